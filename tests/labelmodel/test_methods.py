"""Every named method recovers a drawn truth, equals its definition, and says where it does not suit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wsdb.core.errors import SpecError
from wsdb.core.matrix import SparseVotes, VotePatterns
from wsdb.labelmodel import APPLIES, METHODS, Fit, GoldCounts, GoldRows, Options, decide, fit, posterior
from wsdb.labelmodel.dawid_skene import log_shares
from wsdb.labelmodel.dependencies import NO_PAIRS
from wsdb.labelmodel.em import estimate
from wsdb.labelmodel.ibcc import digamma, expected_log_shares
from wsdb.labelmodel.matrix_completion import complete
from wsdb.labelmodel.moments import cross_counts
from wsdb.labelmodel.statistics import read_votes
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates
from wsdb.labelmodel.triplet import accuracies

BALANCE = np.array([0.5, 0.3, 0.2])
NAMED = [method for method in METHODS if method not in ("auto", "majority")]


def crowd(seed: int = 0, n_rows: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    theta = labeling_rates(rng, 9, 3, coverage=0.6, unipolar=False)
    labels, votes = draw_votes(rng, theta, BALANCE, n_rows)
    return theta, labels, votes


def functions(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return draw_votes(rng, labeling_rates(rng, 9, 3, coverage=0.25), BALANCE, 3000)


def fit_rows(votes: np.ndarray, k: int = 3, **options: object) -> Fit:
    return fit(VotePatterns.of_rows(votes, k), **options)


@pytest.mark.parametrize("method", NAMED)
@pytest.mark.parametrize("known", [True, False])
def test_every_method_labels_drawn_crowds_at_least_as_well_as_majority_vote(method: str, known: bool) -> None:
    _, labels, votes = crowd()
    balance = BALANCE if known else None
    fitted = fit_rows(votes, method=method, balance=balance)
    majority = fit_rows(votes, method="majority", balance=balance)
    right = [(decide(one.form, votes) == labels).mean() for one in (fitted, majority)]
    assert (fitted.method, fitted.chosen) == (method, method)
    assert f"{method} was asked for" in fitted.reason
    assert right[0] >= right[1] - 0.005
    assert right[0] > 0.9


@pytest.mark.parametrize("method", ["weighted_majority", "triplet", "matrix"])
def test_methods_for_labeling_functions_keep_up_with_majority_vote(method: str) -> None:
    labels, votes = functions()
    covered = (votes >= 0).any(axis=1)
    right = [
        (decide(fit_rows(votes, method=name, balance=BALANCE).form, votes) == labels)[covered].mean()
        for name in (method, "majority")
    ]
    assert right[0] >= right[1] - 0.01


@pytest.mark.parametrize("method", ["dawid_skene", "ibcc"])
def test_confusion_matrices_are_recovered(method: str) -> None:
    theta, _, votes = crowd(n_rows=20_000)
    fitted = fit_rows(votes, method=method)
    assert fitted.confusion is not None
    np.testing.assert_allclose(fitted.confusion.sum(axis=1), 1.0)
    assert np.abs(fitted.confusion - theta / theta.sum(axis=1, keepdims=True)).max() < 0.03
    np.testing.assert_allclose(fitted.prior, BALANCE, atol=0.02)
    assert np.abs(fitted.propensity - theta.mean(axis=2).sum(axis=1)).max() < 0.02


@pytest.mark.parametrize("method", ["dawid_skene", "ibcc", "triplet"])
def test_methods_that_do_not_suit_labeling_functions_say_so(method: str) -> None:
    share = "100% of the votes come from such sources"
    assert any(share in notice for notice in fit_rows(functions()[1], method=method).notices)
    assert not any("such sources" in notice for notice in fit_rows(crowd()[2], method=method).notices)


@pytest.mark.parametrize("method", NAMED)
def test_where_accuracies_cannot_be_estimated_the_fallback_is_named(method: str) -> None:
    fitted = fit_rows(np.array([[0, 1], [0, -1], [1, 1], [-1, 0]]), k=2, method=method)
    assert (fitted.method, fitted.chosen) == (method, "majority-precision")
    assert "accuracies cannot be estimated" in fitted.notices[-1]


def literal_em(votes: np.ndarray, k: int, iterations: int) -> np.ndarray:
    """Dawid and Skene 1979, equations 2.3 to 2.5, one item at a time."""
    n, m = votes.shape
    q = np.zeros((n, k))
    for i in range(n):
        for j in range(m):
            if votes[i, j] >= 0:
                q[i, votes[i, j]] += 1
        q[i] /= q[i].sum()
    for _ in range(iterations):
        share = q.mean(axis=0)
        error = np.zeros((m, k, k))
        for j in range(m):
            for v in range(k):
                error[j, v] = q[votes[:, j] == v].sum(axis=0)
            error[j] /= error[j].sum(axis=0)
        for i in range(n):
            q[i] = share
            for j in range(m):
                if votes[i, j] >= 0:
                    q[i] = q[i] * error[j, votes[i, j]]
            q[i] /= q[i].sum()
    return q


def test_em_without_a_prior_is_dawid_and_skenes() -> None:
    votes = crowd(n_rows=150)[2]
    votes = votes[(votes >= 0).any(axis=1)]
    names = tuple(f"w{j}" for j in range(9))
    patterns = VotePatterns(votes, np.ones(len(votes), dtype=np.int64), names, 3)
    for form in (patterns, SparseVotes.of_patterns(patterns)):
        found = estimate(read_votes(form), log_shares, prior=0.0, max_iter=7, tol=0.0)
        np.testing.assert_allclose(found.posterior, literal_em(votes, 3, 7), atol=1e-9)
        assert found.iterations == 7


def test_digamma_is_the_derivative_of_log_gamma() -> None:
    x = np.array([0.02, 0.3, 1.0, 2.5, 9.9, 10.1, 400.0])
    step = 1e-5
    slope = [(math.lgamma(v + step) - math.lgamma(v - step)) / (2 * step) for v in x]
    np.testing.assert_allclose(digamma(x), slope, rtol=1e-5)
    np.testing.assert_allclose(digamma(x + 1), digamma(x) + 1 / x, atol=1e-11)


def test_expected_log_shares_shrink_rare_votes_more_than_log_shares() -> None:
    counts = np.array([[20.0], [0.5]])
    assert expected_log_shares(counts)[1, 0] < log_shares(counts)[1, 0]
    np.testing.assert_allclose(expected_log_shares(counts * 1e6), log_shares(counts * 1e6), atol=1e-6)


def test_triplets_recover_accuracies_of_independent_sources() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, size=40_000)
    right = np.array([0.9, 0.8, 0.75, 0.7, 0.6])
    votes = np.where(rng.random((40_000, 5)) < right, labels[:, None], 1 - labels[:, None])
    votes[rng.random(votes.shape) < 0.3] = -1
    fired = read_votes(VotePatterns.of_rows(votes.astype(np.int8), 2))
    fitted = fit_rows(votes.astype(np.int8), 2, method="triplet")
    no_pairs = fit(VotePatterns.of_rows(votes.astype(np.int8), 2), method="triplet", options=Options(structure="none"))
    np.testing.assert_allclose(fitted.form.scores, no_pairs.form.scores)
    found, unmeasured = accuracies(cross_counts(fired, "triplet"), NO_PAIRS)
    assert not unmeasured.any()
    np.testing.assert_allclose((found + 1) / 2, np.tile(right, (2, 1)).T, atol=0.02)
    # The evidence of a vote is the log-odds of its source.
    odds = fitted.form.scores[:, 1, 1] - fitted.form.scores[:, 1, 0]
    np.testing.assert_allclose(odds, np.log(right / (1 - right)), atol=0.15)
    np.testing.assert_allclose(fitted.accuracy, right, atol=0.03)


def test_matrix_completion_reaches_the_rates_from_a_wrong_start() -> None:
    rng = np.random.default_rng(2)
    theta = labeling_rates(rng, 8, 2, coverage=0.4, unipolar=False)
    balance = np.array([0.6, 0.4])
    votes = draw_votes(rng, theta, balance, 60_000)[1]
    fired = read_votes(VotePatterns.of_rows(votes, 2))
    start = 0.5 * theta + 0.5 * theta[:, :, ::-1] * 0.6 + 0.02
    limits = (200, 1e-9)
    mu, steps = complete(cross_counts(fired, "matrix"), fired.table, 60_000.0, balance, start, NO_PAIRS, *limits)
    assert steps > 1
    assert np.abs(mu - theta).max() < 0.3 * np.abs(start - theta).max()


def test_cross_counts_are_pair_counts_of_any_values() -> None:
    votes = np.random.default_rng(3).integers(-1, 3, size=(200, 4)).astype(np.int8)
    expected = np.zeros((4, 3, 4, 3))
    for row in votes:
        for i in np.flatnonzero(row >= 0):
            for j in np.flatnonzero(row >= 0):
                expected[i, row[i], j, row[j]] += np.count_nonzero(row >= 0) > 1
    patterns = VotePatterns.of_rows(votes, 3)
    for form in (patterns, SparseVotes.of_patterns(patterns)):
        np.testing.assert_array_equal(cross_counts(read_votes(form), "matrix"), expected)


def test_a_table_of_moments_too_large_is_refused_with_a_way_out() -> None:
    votes = np.zeros((5, 1400), dtype=np.int8)
    votes[np.arange(5), np.arange(5)] = 1
    votes += np.random.default_rng(0).integers(0, 2, size=votes.shape).astype(np.int8)
    with pytest.raises(SpecError, match="method triplet takes 1365 sources of 3 classes at most, not 1400") as caught:
        fit_rows(votes, 3, method="triplet")
    assert "weighted_majority" in str(caught.value)


def test_abstains_are_evidence_where_asked_for() -> None:
    """One source fires on class 1 always and on class 0 never: a row on which it is silent is of class 0."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, size=4000)
    votes = np.full((4000, 5), -1, dtype=np.int8)
    votes[:, 0] = np.where((labels == 1) & (rng.random(4000) < 0.95), 1, -1)
    for j in range(1, 5):
        votes[:, j] = np.where(rng.random(4000) < 0.5, np.where(rng.random(4000) < 0.65, labels, 1 - labels), -1)
    for method in ("auto", "dawid_skene"):
        options = Options(abstain_informative=True)
        fitted = fit_rows(votes, 2, method=method, balance=np.array([0.5, 0.5]), regime="lf", options=options)
        plain = fit_rows(votes, 2, method="auto", balance=np.array([0.5, 0.5]), regime="lf")
        mixed = np.array([[-1, 0, 1, -1, -1]])
        assert posterior(fitted.form, mixed)[0, 0] > posterior(plain.form, mixed)[0, 0] + 0.05
        silent = (votes[:, 0] < 0) & (votes >= 0).any(axis=1)
        right = [(decide(one.form, votes) == labels)[silent].mean() for one in (fitted, plain)]
        assert right[0] > right[1]


@pytest.mark.parametrize("method", ["dawid_skene", "ibcc", "auto"])
def test_iterations_stop_where_asked(method: str) -> None:
    votes = crowd()[2]
    one, all_of_them = (fit_rows(votes, method=method, options=Options(max_iter=n, tol=0.0)) for n in (1, 40))
    loose = fit_rows(votes, method=method, options=Options(max_iter=40, tol=1.0))
    np.testing.assert_allclose(loose.form.scores, one.form.scores)
    assert np.abs(all_of_them.form.scores - one.form.scores).max() > 1e-3


def test_priors_are_uniform_declared_or_from_gold() -> None:
    _, labels, votes = crowd()
    gold = GoldCounts.of_rows(votes[:200], labels[:200], 3)
    np.testing.assert_allclose(fit_rows(votes, balance=BALANCE, options=Options(prior="uniform")).prior, [1 / 3] * 3)
    np.testing.assert_allclose(fit_rows(votes, balance=BALANCE, gold=gold).prior, BALANCE)
    declared = fit_rows(votes, balance=BALANCE, gold=gold, options=Options(prior="declared"))
    np.testing.assert_allclose(declared.prior, BALANCE)
    with pytest.raises(SpecError, match="needs a class balance") as caught:
        fit_rows(votes, gold=gold, options=Options(prior="declared"))
    assert caught.value.code == "WS303"
    uniform = fit_rows(functions()[1], options=Options(prior="uniform"))
    assert (uniform.chosen, uniform.balance_known) == ("ads", True)


def test_a_hundred_gold_rows_calibrate_the_probabilities_and_leave_labels_and_training_alone() -> None:
    _, labels, votes = crowd(n_rows=6000)
    rows = GoldRows(votes[:500], labels[:500])
    for method in ("auto", "dawid_skene", "majority", "triplet"):
        plain = fit_rows(votes, method=method, gold=rows, options=Options(calibrate=False))
        fitted = fit_rows(votes, method=method, gold=rows)
        assert "calibrated on 500 gold rows" in fitted.notices[-1] or "calibrated" in str(fitted.notices)
        np.testing.assert_array_equal(decide(fitted.form, votes), decide(plain.form, votes))
        np.testing.assert_array_equal(fitted.training_form.scores, plain.training_form.scores)
        losses = [
            -np.log(np.maximum(posterior(one.form, votes[500:])[np.arange(5500), labels[500:]], 1e-12)).mean()
            for one in (fitted, plain)
        ]
        assert losses[0] < losses[1] + 0.01
    few = fit_rows(votes, gold=GoldRows(votes[:60], labels[:60]))
    assert not any("calibrated" in notice for notice in few.notices)


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"structure": "lerned"}, "WS308", 'did you mean "learned"?'),
        ({"prior": "flat"}, "WS308", "auto, uniform, declared"),
        ({"max_iter": 0}, "WS308", "max_iter must be at least 1, not 0"),
        ({"tol": -1.0}, "WS308", "tol must be at least 0, not -1"),
        ({"tol": float("nan")}, "WS308", "tol must be at least 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], code: str, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        Options(**options)
    assert caught.value.code == code
    assert text in str(caught.value)


@pytest.mark.parametrize("method", list(METHODS))
def test_an_option_that_a_method_would_ignore_is_refused(method: str) -> None:
    votes = crowd(n_rows=200)[2]
    changed = {"max_iter": 3, "tol": 0.1, "abstain_informative": True, "structure": "none"}
    for name, value in changed.items():
        if name in APPLIES[method]:
            fit_rows(votes, method=method, options=Options(**{name: value}))
            continue
        with pytest.raises(SpecError, match=f"option {name} does not apply to {method}") as caught:
            fit_rows(votes, method=method, options=Options(**{name: value}))
        assert caught.value.code == "WS320"


def test_gold_rows_of_other_sources_are_refused() -> None:
    _, labels, votes = crowd(n_rows=200)
    with pytest.raises(SpecError, match="gold rows of 3 sources do not match 9 sources"):
        fit_rows(votes, gold=GoldRows(votes[:, :3], labels))
    with pytest.raises(ValueError, match="do not match 199 labels"):
        GoldRows(votes, labels[1:])
