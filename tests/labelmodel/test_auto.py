"""`auto` reaches every regime, says why, and falls back by name."""

from __future__ import annotations

import numpy as np
import pytest

from wsdb.core.errors import SpecError
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import Fit, GoldCounts, auto, decide, fit, posterior
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates

BALANCE = np.array([0.7, 0.3])


def functions(seed: int = 0, n_rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.25), BALANCE, n_rows)


def annotators(seed: int = 0, n_rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.8, unipolar=False), BALANCE, n_rows)


def fit_rows(votes: np.ndarray, k: int = 2, **options: object) -> Fit:
    return fit(VotePatterns.of_rows(np.asarray(votes, dtype=np.int8), k), **options)


def test_labeling_functions_with_a_known_balance_get_ads() -> None:
    fitted = fit_rows(functions()[1], balance=BALANCE)
    assert (fitted.chosen, fitted.regime, fitted.balance_known) == ("ads", "lf", True)
    assert "100% of the votes come from sources that vote one class" in fitted.reason
    assert fitted.form.share_mix is None
    assert fitted.form.temperature == 1.0


def test_without_a_balance_ads_is_multiplied_with_the_vote_shares_and_says_so() -> None:
    fitted = fit_rows(functions()[1])
    assert (fitted.chosen, fitted.balance_known) == ("ads x majority", False)
    assert fitted.notices[0] == "class balance unknown; give CLASS BALANCE, or gold rows with use_dev = 'anchor'"
    assert (fitted.form.temperature, fitted.form.share_mix, fitted.form.share_power) == (0.6, 0.8, 0.6)


def test_end_models_learn_labels_at_a_uniform_balance_in_both_cases() -> None:
    rng, near = np.random.default_rng(0), np.array([0.55, 0.45])
    votes = draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.25), near, 2000)[1]
    with_balance, without = fit_rows(votes, balance=near), fit_rows(votes)
    for form in (with_balance.training_form, without.training_form):
        np.testing.assert_array_equal(form.bias, np.log([0.5, 0.5]))
        assert (form.temperature, form.share_mix) == (1.0, None)
        np.testing.assert_array_equal(form.prior, [0.5, 0.5])


@pytest.mark.parametrize("seed", range(4))
def test_end_models_learn_the_labels_of_the_task_where_a_uniform_balance_gives_many_others(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, rare = np.random.default_rng(seed), np.array([0.93, 0.07])
    labels, votes = draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.25), rare, 4000)
    fitted = fit_rows(votes, balance=rare)
    assert fitted.training_form is fitted.form
    monkeypatch.setattr(auto, "REWRITTEN", 1.0)
    uniform, voted = fit_rows(votes, balance=rare).training_form, (votes >= 0).any(axis=1)
    right, before = ((decide(form, votes) == labels)[voted].mean() for form in (fitted.form, uniform))
    assert right > before + 0.05


def test_end_models_do_not_learn_labels_that_leave_a_class_out(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = functions()[1]
    assert fit_rows(votes, balance=BALANCE).training_form.prior[0] == BALANCE[0]
    monkeypatch.setattr(auto, "label_shares", lambda votes, form: np.array([1.0, 0.0]))
    assert fit_rows(votes, balance=BALANCE).training_form.prior[0] == 0.5


def test_annotators_are_recognised_and_fitted_given_who_answered() -> None:
    labels, votes = annotators()
    fitted = fit_rows(votes)
    assert (fitted.chosen, fitted.regime, fitted.form.temperature) == ("annotator", "annotator", 0.4)
    assert fitted.training_form is fitted.form
    assert (decide(fitted.form, votes) == labels).mean() > 0.9


def test_the_regime_can_be_forced() -> None:
    assert fit_rows(annotators()[1], regime="lf").chosen == "ads x majority"
    forced = fit_rows(functions()[1], regime="annotator")
    assert forced.chosen.startswith("annotator")
    assert "as asked" in forced.reason


@pytest.mark.parametrize(
    ("votes", "why"),
    [
        ([[0, 1], [0, -1], [1, 1], [-1, 0]], "only 2 different source(s) vote"),
        ([[0, -1, -1], [-1, 1, -1], [-1, -1, 0]], "no row has two votes"),
        ([[0, 0, 0, 0]], "only 1 different source(s) vote"),
        ([[0, 1, 0], [1, 1, 0]], "only 2 different pattern(s) of votes occur"),
        ([[-1, -1, -1]], "no source votes on any row"),
    ],
)
def test_where_accuracies_cannot_be_estimated_every_vote_is_right_3_times_in_4(
    votes: list[list[int]], why: str
) -> None:
    fitted = fit_rows(np.array(votes))
    assert fitted.chosen == "majority-precision"
    assert why in fitted.reason
    assert f"accuracies cannot be estimated: {why}" in fitted.notices
    assert fitted.theta is None
    assert (fitted.accuracy == 0.75).all()
    lone = np.full((1, len(votes[0])), -1)
    lone[0, 0] = 1
    np.testing.assert_allclose(posterior(fitted.form, lone), [[0.25, 0.75]])


def test_a_skewed_balance_does_not_overrule_agreeing_votes_of_unmeasured_sources() -> None:
    fitted = fit_rows(np.array([[1, -1], [0, 0], [-1, 1], [1, 1]]), balance=np.array([0.99, 0.01]))
    assert decide(fitted.form, np.array([[1, -1], [-1, 1], [1, 1]])).tolist() == [1, 1, 1]


def test_the_guard_replaces_a_balance_that_the_votes_contradict() -> None:
    labels, votes = functions()
    fitted = fit_rows(votes, balance=np.array([1e-6, 1 - 1e-6]))
    assert fitted.chosen == "ads x majority"
    assert "contradicts a clear majority of the votes" in fitted.notices[-1]
    assert fitted.form.share_mix == 0.8
    assert fitted.training_form is fitted.form
    covered = (votes >= 0).any(axis=1)
    assert (decide(fitted.form, votes) == labels)[covered].mean() > 0.7
    np.testing.assert_allclose(fitted.prior, [1e-6, 1 - 1e-6])


def test_the_guard_stays_silent_on_sound_votes() -> None:
    for fitted in (fit_rows(functions()[1], balance=BALANCE), fit_rows(annotators()[1])):
        assert not [notice for notice in fitted.notices if "contradicts" in notice]


def test_gold_rows_give_the_balance_and_correct_a_source_that_is_wrong() -> None:
    labels, votes = functions()
    misled = votes.copy()
    misled[:, 0] = np.where(votes[:, 0] >= 0, 1 - votes[:, 0], -1)
    gold = GoldCounts.of_rows(misled[:400], labels[:400], 2)
    before, after = fit_rows(misled), fit_rows(misled, gold=gold)
    assert after.balance_known
    np.testing.assert_allclose(after.prior, gold.balance)
    assert after.accuracy[0] < before.accuracy[0] - 0.1
    covered = (misled >= 0).any(axis=1)
    right = [(decide(f.form, misled) == labels)[covered].mean() for f in (before, after)]
    assert right[1] > right[0]


def test_a_given_balance_wins_over_that_of_gold_rows() -> None:
    labels, votes = functions()
    fitted = fit_rows(votes, balance=BALANCE, gold=GoldCounts.of_rows(votes[:50], labels[:50], 2))
    np.testing.assert_allclose(fitted.prior, BALANCE)


def test_silent_sources_copies_and_classes_without_votes_are_named() -> None:
    _, votes = functions()
    silent = np.full((len(votes), 1), -1)
    table = np.concatenate([votes, votes[:, [2]], silent], axis=1)
    fitted = fit_rows(table, 3, labels=["ok", "fraud", "other"])
    assert "never votes: lf_9" in fitted.notices
    assert "votes exactly as another source, so they share one weight: lf_8 = lf_2" in fitted.notices
    assert "no source votes for 'other'" in fitted.notices
    assert fitted.weights[8] == fitted.weights[2] <= 0.5
    assert (fitted.counts[9], fitted.propensity[9], fitted.accuracy[9]) == (0, 0.0, 0.75)
    assert np.isfinite(posterior(fitted.form, table)).all()


def test_a_source_worse_than_chance_is_named_with_its_class() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, size=3000)
    votes = np.full((3000, 7), -1)
    for j in range(7):
        fires = rng.random(3000) < 0.6
        right = rng.random(3000) < (0.15 if j == 6 else 0.9)
        votes[:, j] = np.where(fires, np.where(right, labels, 1 - labels), -1)
    fitted = fit_rows(votes, balance=np.array([0.5, 0.5]), labels=["ok", "fraud"])
    worse = [notice for notice in fitted.notices if notice.startswith("estimated worse than chance")]
    assert len(worse) == 1
    assert "lf_6 voting 'fraud'" in worse[0]
    assert "lf_0" not in worse[0]
    assert fitted.accuracy[6] < 0.5 < fitted.accuracy[:6].min()


@pytest.mark.parametrize("method", ["auto", "majority"])
@pytest.mark.parametrize(
    ("votes", "k"),
    [
        (np.zeros((0, 3), dtype=np.int8), 2),
        (np.zeros((4, 0), dtype=np.int8), 2),
        (np.zeros((0, 0), dtype=np.int8), 3),
        (np.array([[0]]), 2),
        (np.array([[0], [-1], [1]]), 2),
        (np.zeros((5, 4), dtype=np.int8), 1),
        (np.full((5, 4), -1), 2),
        (np.tile([[0], [1], [1], [-1]], (1, 6)), 2),
        (np.array([[0, 0, 0], [0, 0, -1], [0, -1, 0]]), 4),
    ],
)
def test_degenerate_matrices_get_a_finite_answer(votes: np.ndarray, k: int, method: str) -> None:
    fitted = fit(VotePatterns.of_rows(votes.astype(np.int8), k), method=method)
    probabilities = posterior(fitted.form, votes)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert fitted.chosen in {"majority", "majority-precision", "ads x majority"}
    chosen = decide(fitted.form, votes)
    for row, label in zip(votes, chosen, strict=True):
        fired = set(row[row >= 0].tolist())
        assert label in (fired if fired else {-1})


def test_a_hundred_classes_keep_the_prior_mass() -> None:
    rng = np.random.default_rng(4)
    k = 100
    theta = labeling_rates(rng, 200, k, coverage=0.008)
    labels, votes = draw_votes(rng, theta, np.full(k, 1 / k), 5000)
    fitted = fit(VotePatterns.of_rows(votes, k), balance=np.full(k, 1 / k))
    covered = (votes >= 0).any(axis=1)
    assert (decide(fitted.form, votes) == labels)[covered].mean() > 0.5
    assert (fitted.theta.sum(axis=1) <= 1).all()


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"method": "majorty"}, "WS308", 'did you mean "majority"?'),
        ({"regime": "crowd"}, "WS308", "auto, lf, annotator"),
        ({"balance": np.array([1.0])}, "WS303", "has 1 shares, the task has 2 classes"),
        ({"balance": np.array([0.5, 0.6])}, "WS303", "they sum to 1.1"),
        ({"balance": np.array([1.5, -0.5])}, "WS303", "at least 0"),
        ({"balance": np.array([np.nan, 1.0])}, "WS303", "at least 0"),
        ({"labels": ["one"]}, "WS320", "1 labels do not match 2 classes"),
        ({"gold": GoldCounts(np.zeros((1, 2, 2)), np.zeros(2))}, "WS320", "do not match 8 sources"),
    ],
)
def test_impossible_input_is_refused(options: dict[str, object], code: str, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        fit_rows(functions(n_rows=50)[1], **options)
    assert caught.value.code == code
    assert text in str(caught.value)
