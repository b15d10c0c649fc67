"""Votes for sets of classes, votes with a confidence, and ordered classes: laws and reductions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.core.errors import SpecError
from wsdb.labelmodel.ads import Rates, accuracy_prior, score_table, vote_rates
from wsdb.labelmodel.ordinal import decide_ordinal, expected_class, fit_ordinal, ordinal_prior
from wsdb.labelmodel.partial import PartialFit, fit_partial, partial_posterior
from wsdb.labelmodel.score import ScoreForm, posterior
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates
from wsdb.labelmodel.unanimity import below_chance, keep_unanimity

SETS = np.array([[True, True, False], [False, True, True], [True, True, True]])
BALANCE = np.array([0.5, 0.3, 0.2])


@st.composite
def tables(draw: st.DrawFn, codes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Votes with codes below `codes`, and confidences."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    shape = (draw(st.integers(0, 30)), draw(st.integers(1, 5)))
    votes = rng.integers(0, codes, shape)
    votes[rng.random(shape) < draw(st.sampled_from([0.2, 0.6, 1.0]))] = -1
    return votes, rng.random(shape).round(2)


BALANCES = st.sampled_from([None, BALANCE])


@given(tables(), BALANCES)
def test_posteriors_are_distributions_and_the_prior_where_uncovered(
    table: tuple[np.ndarray, np.ndarray], balance: np.ndarray | None
) -> None:
    votes, confidence = table
    fitted = fit_partial(votes, 3, SETS, confidence=confidence, balance=balance)
    answer = partial_posterior(fitted, votes, confidence)
    np.testing.assert_allclose(answer.sum(axis=1), 1.0, atol=1e-9)
    blank = ~((votes >= 0) & (confidence > 0)).any(axis=1)
    np.testing.assert_array_equal(answer[blank], np.tile(fitted.prior, (int(blank.sum()), 1)))
    assert (fitted.theta.sum(axis=1) < 1).all()
    assert ((fitted.accuracy >= 0) & (fitted.accuracy <= 1)).all()


@given(tables(codes=3), BALANCES)
def test_votes_for_single_classes_are_anchored_dawid_skene(
    table: tuple[np.ndarray, np.ndarray], balance: np.ndarray | None
) -> None:
    """The rates and the posterior are those of the ordinary model, number for number."""
    votes, _ = table
    m = votes.shape[1]
    given_balance = np.full(3, 1 / 3) if balance is None else balance
    fitted = fit_partial(votes, 3, SETS, balance=balance, weights=np.ones(m))
    shares = np.stack([(votes == y).sum(axis=1) for y in range(3)], axis=1).astype(float)
    covered = shares.sum(axis=1) > 0
    shares[covered] /= shares[covered].sum(axis=1, keepdims=True)
    counted = np.einsum("njv,ny->jvy", (votes[:, :, None] == np.arange(3)).astype(float), shares)
    fired = np.stack([(votes == v).sum(axis=0) for v in range(3)], axis=1).astype(float)
    classes = shares.sum(axis=0) + (~covered).sum() * given_balance
    theta = vote_rates(counted, classes, fired, float(len(votes)), given_balance)
    np.testing.assert_allclose(fitted.theta, theta, atol=1e-12)
    evidence = score_table(Rates(theta, np.ones(m)), given_fired=False)
    bias, seen = np.log(given_balance), theta.sum(axis=2) > 0
    bad = below_chance(bias, evidence) & seen
    np.testing.assert_array_equal(fitted.bad, bad)
    scores = np.where(seen[:, :, None], keep_unanimity(bias, evidence, bad), 0.0)
    mix, power = (0.8, 0.6) if balance is None else (None, 0.0)
    form = ScoreForm(bias, scores, 0.6 if balance is None else 1.0, mix, power, given_balance)
    np.testing.assert_allclose(partial_posterior(fitted, votes), posterior(form, votes), atol=1e-9)
    np.testing.assert_allclose(posterior(fitted.form, votes), posterior(form, votes), atol=1e-9)


@given(tables(), BALANCES, st.data())
def test_permuting_sources_and_classes_permutes_the_answers(
    table: tuple[np.ndarray, np.ndarray], balance: np.ndarray | None, data: st.DataObject
) -> None:
    votes, confidence = table
    order = np.array(data.draw(st.permutations(range(3))))
    sources = np.array(data.draw(st.permutations(range(votes.shape[1]))))
    codes = np.concatenate([order, [3, 4, 5], [-1]])
    renamed = codes[votes][:, sources]
    sets = SETS[:, np.argsort(order)]
    swapped = None if balance is None else balance[np.argsort(order)]
    one = fit_partial(votes, 3, SETS, confidence=confidence, balance=balance)
    other = fit_partial(renamed, 3, sets, confidence=confidence[:, sources], balance=swapped)
    right = partial_posterior(other, renamed, confidence[:, sources])
    np.testing.assert_allclose(right[:, order], partial_posterior(one, votes, confidence), atol=1e-9)


@given(tables(), BALANCES)
def test_patterns_and_rows_give_the_same_fit(table: tuple[np.ndarray, np.ndarray], balance: np.ndarray | None) -> None:
    votes, _ = table
    patterns, counts = np.unique(votes, axis=0, return_counts=True)
    one, other = (
        fit_partial(votes, 3, SETS, balance=balance),
        fit_partial(patterns, 3, SETS, counts=counts, balance=balance),
    )
    np.testing.assert_allclose(one.theta, other.theta, atol=1e-9)
    assert one.n_rows == other.n_rows


@given(tables(), BALANCES)
def test_confidence_one_is_a_vote_and_zero_an_abstain(
    table: tuple[np.ndarray, np.ndarray], balance: np.ndarray | None
) -> None:
    votes, confidence = table
    rounded = (confidence > 0.5).astype(float)
    silent = np.where(rounded > 0, votes, -1)
    weights = np.ones(votes.shape[1])
    one = fit_partial(votes, 3, SETS, confidence=rounded, balance=balance, weights=weights)
    other = fit_partial(silent, 3, SETS, balance=balance, weights=weights)
    np.testing.assert_allclose(one.theta, other.theta, atol=1e-12)
    np.testing.assert_allclose(partial_posterior(one, votes, rounded), partial_posterior(other, silent), atol=1e-12)


@given(tables(), BALANCES)
def test_a_copy_of_a_source_changes_nothing(table: tuple[np.ndarray, np.ndarray], balance: np.ndarray | None) -> None:
    votes, confidence = table
    copied = np.concatenate([votes, votes[:, :1]], axis=1)
    trust = np.concatenate([confidence, confidence[:, :1]], axis=1)
    one = fit_partial(votes, 3, SETS, confidence=confidence, balance=balance)
    other = fit_partial(copied, 3, SETS, confidence=trust, balance=balance)
    np.testing.assert_allclose(
        partial_posterior(other, copied, trust), partial_posterior(one, votes, confidence), atol=1e-9
    )


@given(tables(), BALANCES)
def test_a_fit_survives_json(table: tuple[np.ndarray, np.ndarray], balance: np.ndarray | None) -> None:
    votes, confidence = table
    fitted = fit_partial(votes, 3, SETS, confidence=confidence, balance=balance)
    read = PartialFit.from_dict(json.loads(json.dumps(fitted.to_dict())))
    np.testing.assert_array_equal(
        partial_posterior(read, votes, confidence), partial_posterior(fitted, votes, confidence)
    )


@given(tables(codes=3), BALANCES)
def test_votes_that_agree_are_never_overruled_unless_one_is_reported_as_bad(
    table: tuple[np.ndarray, np.ndarray], balance: np.ndarray | None
) -> None:
    votes, _ = table
    fitted = fit_partial(votes, 3, SETS, balance=balance)
    for row, answer in zip(votes, partial_posterior(fitted, votes), strict=True):
        fired = np.flatnonzero(row >= 0)
        if len(fired) and len(set(row[fired].tolist())) == 1 and not fitted.bad[fired, row[fired]].any():
            assert answer[row[fired[0]]] >= answer.max() - 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_a_set_says_less_than_its_members_and_more_than_nothing(seed: int) -> None:
    """Where votes for a class are shown as a set that holds it, answers lie between all and none of them."""
    rng = np.random.default_rng(seed)
    labels, votes = draw_votes(rng, labeling_rates(rng, 8, 3, coverage=0.4, unipolar=False), BALANCE, 4000)
    votes = votes.astype(np.int64)
    blurred = (rng.random(votes.shape) < 0.5) & (votes >= 0)
    pair = np.where(votes == 0, 3, np.where(votes == 2, 4, rng.integers(3, 5, votes.shape)))

    def right(shown: np.ndarray) -> float:
        fitted = fit_partial(shown, 3, SETS, balance=BALANCE)
        return float((partial_posterior(fitted, shown).argmax(axis=1) == labels).mean())

    sharp, soft, dropped = right(votes), right(np.where(blurred, pair, votes)), right(np.where(blurred, -1, votes))
    assert sharp > soft > dropped


def test_rows_that_agree_on_a_class_or_a_set_of_it_get_that_class() -> None:
    rng = np.random.default_rng(1)
    labels, votes = draw_votes(rng, labeling_rates(rng, 6, 3, unipolar=False), np.full(3, 1 / 3), 2000)
    fitted = fit_partial(votes.astype(np.int64), 3, SETS)
    shown = np.array([[1, 3, -1, 4, -1, -1], [-1, 0, 3, -1, 5, -1], [3, 4, -1, -1, -1, -1]])
    assert partial_posterior(fitted, shown).argmax(axis=1).tolist() == [1, 0, 1]
    assert (labels >= 0).all()


@pytest.mark.parametrize(
    ("confidence", "message"), [([[1.5]], r"in \[0, 1\]"), ([[np.nan]], r"in \[0, 1\]"), ([[0.5, 0.5]], "not match")]
)
def test_confidences_are_checked(confidence: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_partial(np.array([[0]]), 3, confidence=np.array(confidence))


def test_codes_and_sets_are_checked() -> None:
    with pytest.raises(ValueError, match="votes must be in"):
        fit_partial(np.array([[3]]), 3)
    with pytest.raises(ValueError, match="a class each"):
        fit_partial(np.array([[0]]), 3, np.zeros((1, 3), dtype=bool))


@pytest.mark.parametrize("k", [1, 2])
def test_one_or_two_ordered_classes_are_any_classes(k: int) -> None:
    rng = np.random.default_rng(0)
    votes = rng.integers(-1, k, (200, 4))
    np.testing.assert_array_equal(ordinal_prior(k), accuracy_prior(k))
    np.testing.assert_array_equal(fit_ordinal(votes, k).theta, fit_partial(votes, k).theta)


@given(st.integers(3, 12))
def test_the_ordinal_prior_falls_with_distance_and_keeps_its_mass(k: int) -> None:
    prior = ordinal_prior(k)
    np.testing.assert_allclose(prior.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.diag(prior), 0.75)
    for v in range(k):
        assert (np.diff(prior[v, v:]) < 0).all()
        assert (np.diff(prior[v, : v + 1]) > 0).all()


@given(tables(codes=3))
def test_turning_the_order_round_turns_the_answers_round(table: tuple[np.ndarray, np.ndarray]) -> None:
    votes, _ = table
    turned = np.where(votes >= 0, 2 - votes, -1)
    one, other = fit_ordinal(votes, 3), fit_ordinal(turned, 3)
    np.testing.assert_allclose(partial_posterior(other, turned)[:, ::-1], partial_posterior(one, votes), atol=1e-9)


@given(st.integers(0, 2**20))
def test_the_median_has_the_least_expected_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(5, 0.5), size=20)
    covered = rng.random(20) < 0.8
    cost = probabilities @ np.abs(np.arange(5)[:, None] - np.arange(5))
    median = decide_ordinal(probabilities, covered, "median")
    assert ((median >= 0) == covered).all()
    np.testing.assert_allclose(cost[covered, median[covered]], cost.min(axis=1)[covered], atol=1e-9)
    mean = decide_ordinal(probabilities, covered, "mean")
    assert (np.abs(mean - expected_class(probabilities))[covered] <= 0.5 + 1e-9).all()
    np.testing.assert_array_equal(
        decide_ordinal(probabilities, covered, "mode")[covered], probabilities.argmax(1)[covered]
    )


def test_an_unknown_decision_is_an_error() -> None:
    with pytest.raises(SpecError, match="did you mean"):
        decide_ordinal(np.ones((1, 1)), np.array([True]), "medain")


@pytest.mark.parametrize("seed", range(3))
def test_the_median_is_nearer_than_majority_vote_on_drawn_ratings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k, n, m = 5, 3000, 6
    labels = rng.integers(0, k, n)
    spread = rng.uniform(0.4, 1.5, m)
    votes = np.clip(np.rint(labels[:, None] + rng.normal(0, spread, (n, m))), 0, k - 1).astype(np.int64)
    votes[rng.random((n, m)) < 0.4] = -1
    covered = (votes >= 0).any(axis=1)
    chosen = decide_ordinal(partial_posterior(fit_ordinal(votes, k), votes), covered)
    counts = np.stack([(votes == y).sum(axis=1) for y in range(k)], axis=1) + rng.random((n, k)) * 0.5
    assert np.abs(chosen - labels)[covered].mean() < 0.95 * np.abs(counts.argmax(axis=1) - labels)[covered].mean()
