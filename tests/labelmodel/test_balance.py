"""The balance ladder: where a fit leaves the uniform balance, where it stays, and what held-out information is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.labelmodel.strategies import as_patterns, drawn, noise
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import Fit, ScoreForm, auto, decide, fit, posterior
from wsdb.labelmodel.auto import with_vote_share
from wsdb.labelmodel.balance import LADDER, damped, held_out_information, settle
from wsdb.labelmodel.statistics import FiredVotes
from wsdb.labelmodel.synthetic import draw_votes

CLIMBED = "follows the vote shares"


def fit_rows(votes: np.ndarray, k: int, **options: object) -> Fit:
    return fit(VotePatterns.of_rows(votes, k), regime="lf", **options)


def skewed(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Forty functions with one class each, twice as likely to fire on it; 88 rows of 100 are of class 0."""
    rng = np.random.default_rng(seed)
    theta = np.zeros((40, 2, 2))
    for j in range(40):
        theta[j, j % 2, j % 2], theta[j, j % 2, 1 - j % 2] = 0.24 * rng.uniform(0.7, 1.3), 0.12
    return draw_votes(rng, theta, np.array([0.88, 0.12]), 3000)


def constant_form(m: int, k: int) -> ScoreForm:
    return ScoreForm(np.zeros(k), np.zeros((m, k, k)), 1.0, 1.0, 1.0, np.full(k, 1 / k))


def test_damped_runs_from_uniform_to_the_shares_and_beyond() -> None:
    shares = np.array([89.0, 9.0])
    np.testing.assert_allclose(damped(shares, 0.0), [0.5, 0.5])
    np.testing.assert_allclose(damped(shares, 0.5), [0.75, 0.25])
    np.testing.assert_allclose(damped(shares, 1.0), [0.9, 0.1])
    assert damped(shares, 1.5)[0] > 0.96
    assert np.isfinite(damped(np.array([1e15, 0.0, 0.0]), 1.5)).all()


def test_the_uniform_rung_holds_until_another_predicts_clearly_better() -> None:
    assert LADDER[0] == (0.0, 0.0)
    assert max(settle([1.0] * 4)) < 0.05
    assert max(settle([0.0] * 4)) < 0.05
    np.testing.assert_allclose(settle([1.0, 1.0, 2.0, 1.0]), LADDER[2], atol=1e-3)
    np.testing.assert_allclose(settle([1.0, 1.0, 1.0, 2.0]), LADDER[3], atol=1e-3)
    near, far = settle([1.0, 1.0, 1.16, 1.0]), settle([1.0, 1.0, 1.17, 1.0])
    assert 0 < far[1] - near[1] < 0.1


def test_held_out_information_is_the_mutual_information_of_a_vote_with_the_others() -> None:
    """By hand: sources 0 and 1 agree on 4 of 4 rows, two of each class, so each tells log 2 of the other."""
    votes = np.array([[0, 0], [0, 0], [1, 1], [1, 1]])
    assert held_out_information(FiredVotes.of(as_patterns(votes, 2)), constant_form(2, 2)) == pytest.approx(
        2 * np.log(2)
    )
    independent = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert held_out_information(FiredVotes.of(as_patterns(independent, 2)), constant_form(2, 2)) == pytest.approx(0)


def test_abstaining_counts_as_an_outcome_and_a_lone_vote_tells_nothing() -> None:
    # Source 2 fires only where 0 and 1 say class 1; the last row has no other vote and is left out for source 2.
    votes = np.array([[0, 0, -1], [0, 0, -1], [1, 1, 1], [1, 1, 1], [-1, -1, 1]])
    found = held_out_information(FiredVotes.of(as_patterns(votes, 2)), constant_form(3, 2))
    lone = held_out_information(FiredVotes.of(as_patterns(votes[:, 2:], 2)), constant_form(1, 2))
    assert lone == 0
    # Sources 0 and 1 abstain on the last row, whose label by source 2 is 1: I of {0: 2 | 1: 2, abstain: 1}.
    outer = np.log(2.5) * 0.4 + np.log(5 / 3) * 0.6
    assert found == pytest.approx(np.log(2) + 2 * outer)


@given(st.one_of(noise(min_sources=1, min_rows=1), drawn(n_rows=200)), st.data())
def test_held_out_information_does_not_depend_on_names_order_or_grouping(
    table: tuple[np.ndarray, int], data: st.DataObject
) -> None:
    votes, k = table
    m = votes.shape[1]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    scores, bias = rng.normal(size=(m, k, k)), rng.normal(size=k)
    form = with_vote_share(ScoreForm(bias, scores, 1.0, None, 0.0, np.full(k, 1 / k)))
    value = held_out_information(FiredVotes.of(as_patterns(votes, k)), form)
    assert value >= -1e-9
    assert held_out_information(FiredVotes.of(VotePatterns.of_rows(votes, k)), form) == pytest.approx(value, abs=1e-9)
    order = np.array(data.draw(st.permutations(range(m))), dtype=int)
    moved = with_vote_share(ScoreForm(bias, scores[order], 1.0, None, 0.0, np.full(k, 1 / k)))
    permuted = held_out_information(FiredVotes.of(as_patterns(votes[:, order], k)), moved)
    assert permuted == pytest.approx(value, abs=1e-9)


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments do not tell the class balance."""
    monkeypatch.setattr(auto, "moment_balance", lambda *_: None)


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("seed", range(3))
def test_skewed_votes_climb_and_are_labeled_nearer_the_truth(seed: int) -> None:
    labels, votes = skewed(seed)
    fitted = fit_rows(votes, 2)
    assert CLIMBED in fitted.reason
    assert fitted.form.bias[0] > fitted.form.bias[1]
    uniform = with_vote_share(fit_rows(votes, 2, balance=np.array([0.5, 0.5])).form)
    covered = (votes >= 0).any(axis=1)
    right = [(decide(form, votes) == labels)[covered].mean() for form in (fitted.form, uniform)]
    assert right[0] >= right[1] + 0.05


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("seed", range(3))
def test_balanced_votes_stay_on_the_uniform_balance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    theta = np.zeros((10, 2, 2))
    for j in range(10):
        theta[j, j % 2, j % 2], theta[j, j % 2, 1 - j % 2] = 0.3, 0.08
    fitted = fit_rows(draw_votes(rng, theta, np.array([0.5, 0.5]), 3000)[1], 2)
    assert CLIMBED not in fitted.reason
    assert np.ptp(fitted.form.bias) < 0.1


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("seed", range(3))
def test_an_unknown_balance_stays_uniform_for_rows_without_votes_where_others_climb(seed: int) -> None:
    _, votes = skewed(seed)
    fitted = fit_rows(votes, 2)
    np.testing.assert_array_equal(fitted.prior, [0.5, 0.5])
    np.testing.assert_array_equal(posterior(fitted.form, np.full((1, 40), -1)), [[0.5, 0.5]])
    assert fitted.training_form is fitted.form  # at a uniform balance, end models would learn other labels


def test_a_known_balance_does_not_climb() -> None:
    _, votes = skewed(0)
    fitted = fit_rows(votes, 2, balance=np.array([0.5, 0.5]))
    assert CLIMBED not in fitted.reason
    np.testing.assert_allclose(fitted.form.bias, np.log([0.5, 0.5]))


@pytest.mark.usefixtures("untold")
def test_an_exact_copy_changes_nothing_on_a_higher_rung() -> None:
    _, votes = skewed(1)
    copied = np.concatenate([votes, votes[:, [0, 0, 3]]], axis=1)
    one, other = fit_rows(votes, 2), fit_rows(copied, 2)
    assert CLIMBED in one.reason
    np.testing.assert_allclose(posterior(other.form, copied), posterior(one.form, votes), atol=1e-9)


def test_an_exact_copy_changes_nothing_where_moments_tell_the_balance() -> None:
    _, votes = skewed(1)
    copied = np.concatenate([votes, votes[:, [0, 0, 3]]], axis=1)
    one, other = fit_rows(votes, 2), fit_rows(copied, 2)
    assert "three groups" in one.reason
    np.testing.assert_allclose(posterior(other.form, copied), posterior(one.form, votes), atol=1e-9)
