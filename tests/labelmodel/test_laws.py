"""Laws every fitted label model keeps, whatever the votes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labelmodel.strategies import COPY_METHODS, METHODS, REGIMES, as_patterns, balances, drawn, noise
from tests.labelmodel.strategies import options as method_options
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import Fit, decide, fit, posterior
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates

TABLES = st.one_of(noise(), drawn(n_rows=200))


def refit(data: st.DataObject, votes: np.ndarray, k: int) -> tuple[Fit, dict[str, object]]:
    method = data.draw(METHODS)
    options = {
        "method": method,
        "balance": data.draw(balances(k)),
        "regime": data.draw(REGIMES),
        "options": data.draw(method_options(method)),
    }
    return fit(VotePatterns.of_rows(votes, k), **options), options


@given(TABLES, st.data())
def test_every_posterior_is_a_distribution_and_nothing_is_nan(
    table: tuple[np.ndarray, int], data: st.DataObject
) -> None:
    votes, k = table
    fitted, _ = refit(data, votes, k)
    for form in (fitted.form, fitted.training_form):
        probabilities = posterior(form, votes)
        assert (probabilities >= 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-9)
    for figures in (fitted.accuracy, fitted.stderr, fitted.weights, fitted.propensity, fitted.prior):
        assert np.isfinite(figures).all()
    assert ((fitted.accuracy >= 0) & (fitted.accuracy <= 1)).all()
    emitted = np.stack([(votes == v).any(axis=0) for v in range(k)], axis=1)
    np.testing.assert_array_equal(np.isnan(fitted.precision), ~emitted)


@given(TABLES, st.data())
def test_rows_without_votes_have_no_label_and_the_prior(table: tuple[np.ndarray, int], data: st.DataObject) -> None:
    votes, k = table
    fitted, _ = refit(data, votes, k)
    blank = np.full((2, votes.shape[1]), -1, dtype=np.int8)
    np.testing.assert_array_equal(posterior(fitted.form, blank), [fitted.prior] * 2)
    assert (decide(fitted.form, blank) == -1).all()
    covered = (votes >= 0).any(axis=1)
    assert ((decide(fitted.form, votes) >= 0) == covered).all()


@given(TABLES, st.data())
@settings(max_examples=200)
def test_votes_that_agree_are_never_overruled_without_a_notice_that_names_one_as_below_chance(
    table: tuple[np.ndarray, int], data: st.DataObject
) -> None:
    votes, k = table
    fitted, _ = refit(data, votes, k)
    chosen = decide(fitted.form, votes)
    named = " ".join(notice for notice in fitted.notices if "worse than chance" in notice)
    for row, label in zip(votes, chosen, strict=True):
        fired = row[row >= 0]
        if len(set(fired.tolist())) == 1 and label != fired[0]:
            names = [fitted.sources[j] for j in np.flatnonzero(row >= 0)]
            assert any(f"{name} voting '{fired[0]}'" in named for name in names), (row, label, fitted.notices)


@given(TABLES, st.data())
def test_renaming_classes_permutes_posteriors(table: tuple[np.ndarray, int], data: st.DataObject) -> None:
    votes, k = table
    fitted, options = refit(data, votes, k)
    order = np.array(data.draw(st.permutations(range(k))))
    renamed = np.where(votes >= 0, order[votes], -1).astype(np.int8)
    balance = options["balance"]
    if balance is not None:
        swapped = np.empty(k)
        swapped[order] = balance
        options["balance"] = swapped
    other = fit(VotePatterns.of_rows(renamed, k), **options)
    np.testing.assert_allclose(posterior(other.form, renamed)[:, order], posterior(fitted.form, votes), atol=1e-8)
    np.testing.assert_allclose(other.weights, fitted.weights, atol=1e-9)


@given(TABLES, st.data())
def test_permuting_sources_permutes_parameters(table: tuple[np.ndarray, int], data: st.DataObject) -> None:
    votes, k = table
    fitted, options = refit(data, votes, k)
    order = np.array(data.draw(st.permutations(range(votes.shape[1]))), dtype=int)
    other = fit(VotePatterns.of_rows(votes[:, order], k), **options)
    assert other.chosen == fitted.chosen
    np.testing.assert_allclose(other.weights, fitted.weights[order], atol=1e-9)
    np.testing.assert_allclose(other.accuracy, fitted.accuracy[order], atol=1e-9)
    np.testing.assert_allclose(other.form.scores, fitted.form.scores[order], atol=1e-8)


@given(TABLES, st.data())
def test_patterns_and_rows_give_the_same_fit(table: tuple[np.ndarray, int], data: st.DataObject) -> None:
    votes, k = table
    fitted, options = refit(data, votes, k)
    other = fit(as_patterns(votes, k), **options)
    assert other.chosen == fitted.chosen
    assert other.notices == fitted.notices
    np.testing.assert_allclose(other.form.scores, fitted.form.scores, atol=1e-8)
    np.testing.assert_allclose(other.accuracy, fitted.accuracy, atol=1e-9)


@given(drawn(n_rows=300), st.data())
def test_an_exact_copy_of_a_labeling_function_changes_nothing(
    table: tuple[np.ndarray, int], data: st.DataObject
) -> None:
    votes, k = table
    balance, method = data.draw(balances(k)), data.draw(COPY_METHODS)
    source = data.draw(st.integers(0, votes.shape[1] - 1))
    copied = np.concatenate([votes, votes[:, [source] * data.draw(st.integers(1, 4))]], axis=1)
    one = fit(VotePatterns.of_rows(votes, k), method=method, balance=balance, regime="lf")
    other = fit(VotePatterns.of_rows(copied, k), method=method, balance=balance, regime="lf")
    np.testing.assert_allclose(posterior(other.form, copied), posterior(one.form, votes), atol=1e-9)
    np.testing.assert_allclose(other.accuracy[: votes.shape[1]], one.accuracy, atol=1e-9)
    assert len(other.weights) == copied.shape[1]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_a_near_copy_changes_few_answers(seed: int, known: bool) -> None:
    rng = np.random.default_rng(seed)
    balance = rng.dirichlet(np.full(3, 5.0))
    _, votes = draw_votes(rng, labeling_rates(rng, 12, 3, coverage=0.2), balance, 3000)
    near = np.where(rng.random(3000) < 0.98, votes[:, 0], -1)
    copied = np.column_stack([votes, near]).astype(np.int8)
    given_balance = balance if known else None
    one = fit(VotePatterns.of_rows(votes, 3), balance=given_balance)
    other = fit(VotePatterns.of_rows(copied, 3), balance=given_balance)
    moved = np.abs(posterior(other.form, copied) - posterior(one.form, votes)).mean()
    changed = (decide(other.form, copied) != decide(one.form, votes)).mean()
    assert moved <= 0.05
    assert changed <= 0.03


@pytest.mark.parametrize("seed", range(5))
def test_known_rates_are_recovered_within_tolerance(seed: int) -> None:
    """With 20,000 rows of 12 sources, answers are within 2 points of the true model's, coverage within 1.

    The estimated accuracy is that of the anchor, which is pulled towards the vote shares: it may
    be off by 0.2 for a source, and ranks sources (correlation above 0.7).
    """
    rng = np.random.default_rng(seed)
    balance = np.array([0.5, 0.3, 0.2])
    theta = labeling_rates(rng, 12, 3, coverage=0.3, unipolar=False)
    labels, votes = draw_votes(rng, theta, balance, 20_000)
    fitted = fit(VotePatterns.of_rows(votes, 3), balance=balance, regime="lf")
    covered = (votes >= 0).any(axis=1)
    logs = np.log(balance) + sum(np.where(votes[:, [j]] >= 0, np.log(theta[j])[votes[:, j]], 0.0) for j in range(12))
    best = (logs.argmax(axis=1) == labels)[covered].mean()
    assert (decide(fitted.form, votes) == labels)[covered].mean() >= best - 0.02
    joint = theta * balance
    true_accuracy = np.einsum("jvv->j", joint) / joint.sum(axis=(1, 2))
    assert np.abs(fitted.accuracy - true_accuracy).max() <= 0.2
    assert np.corrcoef(fitted.accuracy, true_accuracy)[0, 1] >= 0.7
    assert np.abs(fitted.propensity - joint.sum(axis=(1, 2))).max() <= 0.01
