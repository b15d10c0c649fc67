"""Many dense sources: what the class makes them agree on is not dependence, what they copy still is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.labelmodel.strategies import as_patterns
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import Fit, Options, decide, fit, posterior
from wsdb.labelmodel.ads import fit_anchored, majority_counts
from wsdb.labelmodel.auto import _Fitter
from wsdb.labelmodel.balance import settle_majority
from wsdb.labelmodel.dependencies import NO_PAIRS
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.statistics import FiredVotes, Statistics, read_votes
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates

CHOSEN = "counted against the majority of each row"


def dense(
    seed: int, k: int = 2, m: int = 50, coverage: float = 0.5, accuracy: float = 0.8, skew: float = 0.8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, votes and balance of independent sources with one class each."""
    rng = np.random.default_rng(seed)
    balance = np.full(k, (1 - skew) / (k - 1))
    balance[0] = skew
    theta = np.zeros((m, k, k))
    for j in range(m):
        right = accuracy + rng.uniform(-0.05, 0.05)
        theta[j, j % k] = (1 - right) / (k - 1)
        theta[j, j % k, j % k] = right
        theta[j] *= min(1.0, coverage * k * rng.uniform(0.7, 1.3))
    return *draw_votes(rng, theta, balance, 2000), balance


def fit_rows(votes: np.ndarray, balance: np.ndarray | None, **options: object) -> Fit:
    k = 2 if balance is None else len(balance)
    return fit(VotePatterns.of_rows(votes.astype(np.int8), k), balance=balance, regime="lf", **options)


def accuracy_of(fitted: Fit, votes: np.ndarray, labels: np.ndarray) -> float:
    covered = (votes >= 0).any(axis=1)
    return float((decide(fitted.form, votes) == labels)[covered].mean())


def majority_accuracy(votes: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Of the row's most frequent vote; a tie is right by its share."""
    covered = (votes >= 0).any(axis=1)
    tally = np.stack([(votes == y).sum(axis=1) for y in range(k)], axis=1)[covered]
    top = tally == tally.max(axis=1, keepdims=True)
    return float((top[np.arange(len(top)), labels[covered]] / top.sum(axis=1)).mean())


@pytest.mark.parametrize("accuracy", [0.62, 0.75, 0.9])
@pytest.mark.parametrize("coverage", [0.3, 0.5])
@pytest.mark.parametrize(("m", "k"), [(25, 2), (50, 2), (100, 2), (50, 4)])
def test_independent_sources_are_not_clearly_worse_than_their_majority(
    m: int, k: int, coverage: float, accuracy: float
) -> None:
    labels, votes, balance = dense(m + k, k, m, coverage, accuracy)
    assert accuracy_of(fit_rows(votes, balance), votes, labels) >= majority_accuracy(votes, labels, k) - 0.015


@pytest.mark.parametrize("coverage", [0.3, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_fifty_random_sources_are_not_clearly_worse_than_their_majority(seed: int, coverage: float) -> None:
    rng = np.random.default_rng(seed)
    balance = np.array([0.8, 0.2])
    labels, votes = draw_votes(rng, labeling_rates(rng, 50, 2, coverage=coverage), balance, 2000)
    fitted = fit_rows(votes, balance)
    assert accuracy_of(fitted, votes, labels) >= majority_accuracy(votes, labels, 2) - 0.01
    assert fitted.form.share_mix is None


@pytest.mark.parametrize("noise", [0.05, 0.2])
@pytest.mark.parametrize("copies", [2, 4])
@pytest.mark.parametrize("seed", range(2))
def test_near_copies_of_a_wide_source_change_little_among_many(seed: int, copies: int, noise: float) -> None:
    labels, votes, balance = dense(seed)
    rng = np.random.default_rng(seed)
    votes[:, 0] = np.where(rng.random(2000) < 0.9, 0, -1)  # fires nearly everywhere and says little
    fires = (votes[:, 0] >= 0).mean()
    near = [
        np.where(rng.random(2000) < noise, np.where(rng.random(2000) < fires, 0, -1), votes[:, 0])
        for _ in range(copies)
    ]
    copied = np.column_stack([votes, *near])
    one, other = fit_rows(votes, balance), fit_rows(copied, balance)
    assert CHOSEN in one.reason
    assert (decide(one.form, votes) != decide(other.form, copied)).mean() <= 0.02
    assert accuracy_of(other, copied, labels) >= majority_accuracy(votes, labels, 2) - 0.02
    assert other.weights[[0, *range(50, 50 + copies)]].sum() <= 2.0


def test_near_copies_are_weighed_down_with_either_anchor() -> None:
    rng = np.random.default_rng(0)
    balance = np.array([0.6, 0.4])
    votes = draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.3), balance, 3000)[1]
    near = [np.where(rng.random(3000) < 0.95, votes[:, 0], -1) for _ in range(3)]
    table = FiredVotes.of(as_patterns(np.column_stack([votes, *near]).astype(np.int8), 2))
    for majority in (False, True):
        weights = fit_anchored(table, Statistics.of_votes(table), balance, majority=majority).weights
        assert 0.8 <= weights[[0, 8, 9, 10]].sum() <= 1.6


def test_an_exact_copy_changes_nothing_where_the_majority_is_the_anchor() -> None:
    _, votes, balance = dense(1)
    copied = np.column_stack([votes, votes[:, [0, 0, 7]]])
    one, other = fit_rows(votes, balance), fit_rows(copied, balance)
    assert CHOSEN in one.reason
    assert CHOSEN in other.reason
    np.testing.assert_allclose(posterior(other.form, copied), posterior(one.form, votes), atol=1e-9)


@pytest.mark.parametrize("structure", ["auto", "none"])
def test_few_votes_per_row_keep_the_vote_shares(structure: str) -> None:
    rng = np.random.default_rng(3)
    balance = np.array([0.7, 0.3])
    votes = draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.08), balance, 2000)[1]
    fitted = fit_rows(votes, balance, options=Options(structure=structure))
    table = FiredVotes.of(VotePatterns.of_rows(votes, 2))
    rates = fit_anchored(table, Statistics.of_votes(table), balance, learned=structure == "auto")
    assert CHOSEN not in fitted.reason
    np.testing.assert_allclose(fitted.theta, rates.theta, atol=1e-12)
    np.testing.assert_allclose(fitted.weights, rates.weights, atol=1e-12)


def test_majority_counts_by_hand() -> None:
    votes = np.array([[0, 0, 1], [1, -1, 0], [-1, -1, -1], [1, 1, 1]])
    for table in (FiredVotes.of(as_patterns(votes, 2)), read_votes(as_patterns(votes, 2))):
        counted, classes = majority_counts(table, np.ones(3))
        np.testing.assert_allclose(classes, [1.5, 1.5])  # the second row is a tie, the third has no votes
        np.testing.assert_allclose(counted[0], [[1.0, 0.0], [0.5, 1.5]])
        np.testing.assert_allclose(counted[2], [[0.5, 0.5], [1.0, 1.0]])
        _, weighted = majority_counts(table, np.array([0.4, 0.4, 1.0]))
        np.testing.assert_allclose(weighted, [1.0, 2.0])


def test_the_majority_becomes_the_anchor_gradually() -> None:
    assert settle_majority(1.0, 1.04) == 0.0
    assert settle_majority(0.0, 0.0) == 0.0
    assert settle_majority(1.0, 1.4) == 1.0
    weights = [settle_majority(1.0, 1 + step / 1000) for step in range(400)]
    assert np.diff(weights).min() >= 0.0
    assert np.diff(weights).max() <= 0.06


def test_between_the_anchors_the_rates_are_their_mean() -> None:
    _, votes, balance = dense(0, m=12)
    patterns = VotePatterns.of_rows(votes, 2)
    table = read_votes(patterns)
    fitter = _Fitter.of(Request("auto", patterns, table, np.arange(12), balance, "lf", None, ()), table, NO_PAIRS)
    shares, sharp, between = (fitter.rates(balance, majority) for majority in (0.0, 1.0, 0.25))
    assert np.abs(shares.theta - sharp.theta).max() > 0.05
    np.testing.assert_allclose(between.theta, 0.75 * shares.theta + 0.25 * sharp.theta)
    np.testing.assert_allclose(between.weights, 0.75 * shares.weights + 0.25 * sharp.weights)
