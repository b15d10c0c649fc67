"""The class balance is told by three groups of sources where they are many and independent, and else not at all."""

from __future__ import annotations

import numpy as np
import pytest

from wsdb.core.matrix import SparseVotes, VotePatterns
from wsdb.labelmodel import decide, fit
from wsdb.labelmodel.moments_balance import moment_balance
from wsdb.labelmodel.statistics import Statistics, read_votes
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates


def made(k: int, m: int, share: float, *, unipolar: bool, n: int = 6000, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return a balance with one class of a given share, true classes, and votes of independent sources."""
    rng = np.random.default_rng(seed)
    balance = np.full(k, (1 - share) / (k - 1))
    balance[rng.integers(k)] = share
    return balance, *draw_votes(rng, labeling_rates(rng, m, k, coverage=0.3, unipolar=unipolar), balance, n)


def told(votes: np.ndarray | SparseVotes, k: int) -> np.ndarray | None:
    table = read_votes(VotePatterns.of_rows(votes, k) if isinstance(votes, np.ndarray) else votes)
    return moment_balance(table, Statistics.of_votes(table))


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.93])
@pytest.mark.parametrize("unipolar", [True, False])
def test_the_balance_of_independent_sources_is_found(k: int, share: float, unipolar: bool) -> None:
    balance, _, votes = made(k, 18, share, unipolar=unipolar)
    found = told(votes, k)
    assert found is not None
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, balance, atol=0.03)


def test_the_order_of_rows_and_sources_and_the_form_of_the_votes_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    _, _, votes = made(3, 14, 0.7, unipolar=True)
    found = told(votes, 3)
    assert found is not None
    moved = votes[rng.permutation(len(votes))][:, rng.permutation(14)]
    np.testing.assert_allclose(told(moved, 3), found, atol=1e-9)
    np.testing.assert_allclose(told(SparseVotes.of_patterns(VotePatterns.of_rows(votes, 3)), 3), found, atol=1e-9)


def test_classes_are_found_by_their_votes_and_not_by_their_numbers() -> None:
    _, _, votes = made(3, 14, 0.7, unipolar=True)
    found, names = told(votes, 3), np.array([2, 0, 1])
    renamed = np.where(votes >= 0, names[votes], -1).astype(np.int8)
    np.testing.assert_allclose(told(renamed, 3)[names], found, atol=1e-9)


@pytest.mark.parametrize("n", [40, 200])
def test_few_rows_tell_nothing(n: int) -> None:
    assert told(made(2, 9, 0.9, unipolar=True, n=n)[2], 2) is None


def test_two_sources_or_no_overlap_tell_nothing() -> None:
    votes = made(2, 9, 0.8, unipolar=False)[2]
    assert told(votes[:, :2], 2) is None
    alone = np.full((900, 9), -1, dtype=np.int8)
    alone[np.arange(900), np.arange(900) % 9] = np.arange(900) % 2
    assert told(alone, 2) is None
    assert told(np.full((10, 4), -1, dtype=np.int8), 2) is None


def test_an_answer_that_hangs_on_the_split_is_not_given() -> None:
    # Half of the sources vote on something else than the class, with another share.
    rng = np.random.default_rng(3)
    _, _, one = made(2, 6, 0.5, unipolar=False, seed=4)
    _, _, other = made(2, 6, 0.93, unipolar=False, seed=5)
    votes = np.concatenate([one, other], axis=1)[:, rng.permutation(12)]
    assert told(votes, 2) is None


@pytest.mark.parametrize("regime", ["lf", "annotator"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_skewed_votes_are_labeled_as_well_as_by_majority_without_a_balance(regime: str, seed: int) -> None:
    balance, truth, votes = made(2, 25, 0.9, unipolar=regime == "lf", seed=seed)
    patterns, covered = VotePatterns.of_rows(votes, 2), (votes >= 0).any(axis=1)

    def right(**asked: object) -> float:
        return float((decide(fit(patterns, **asked).form, votes) == truth)[covered].mean())  # type: ignore[arg-type]

    alone = right(regime=regime)
    assert alone >= right(method="majority") - 0.005
    assert alone >= right(regime=regime, balance=balance) - 0.01
    found = fit(patterns, regime=regime)
    assert "three groups of sources" in found.reason
    assert not found.balance_known


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_to_train_on_survive_dense_skewed_votes(known: bool, seed: int) -> None:
    balance, truth, votes = made(2, 30, 0.85, unipolar=True, seed=seed)
    found = fit(VotePatterns.of_rows(votes, 2), balance=balance if known else None, regime="lf")
    answer = decide(found.training_form, votes)
    recall = np.mean([(answer[truth == y] == y).mean() for y in range(2)])
    assert recall > 0.85
    np.testing.assert_allclose(found.training_form.prior, 0.5)
