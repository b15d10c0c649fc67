"""Search: proposals, pruning, budgets and pins against a fake objective, and one small search of real networks."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from tests.model.conftest import batches_of, reviews, rows_of
from wsdb.core.errors import EnvironmentError_, ModelError, SpecError
from wsdb.model.parts import TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.search import Outcome, Report, Searched, free, grid, search, space_of
from wsdb.model.spec import OPTIONS, TrainSpec, train_spec
from wsdb.model.train import train

SPACE = {"sharpen": ("auto", 1.0, 4.0), "dropout": (0.0, 0.1, 0.3), "class_weights": ("none", "balanced")}


def quality(spec: TrainSpec) -> float:
    """A score with its maximum at sharpen 4, dropout 0.1, balanced."""
    return 0.5 + 0.2 * (spec.sharpen == 4.0) + 0.1 * (spec.dropout == 0.1) + 0.05 * (spec.class_weights == "balanced")


def plain(spec: TrainSpec, report: Report) -> Outcome[TrainSpec]:
    return Outcome(spec, quality(spec))


def run(how: str, trials: int = 40, seed: int = 0, **options: object) -> Searched[TrainSpec]:
    return search(plain, TrainSpec(search=how, trials=trials, seed=seed, **options), SPACE, "accuracy")


@pytest.mark.parametrize("how", ["auto", "random", "grid"])
def test_the_best_of_a_small_space_is_found_and_chosen_once(how: str) -> None:
    found = run(how)
    assert quality(found.result) == pytest.approx(0.85)
    assert [trial.score for trial in found.trials if trial.chosen] == [pytest.approx(0.85)]
    assert found.result.search == "none"


def test_a_grid_tries_every_configuration_once() -> None:
    found = run("grid", trials=100)
    options = [tuple(sorted(trial.options.items())) for trial in found.trials]
    assert len(options) == len(set(options)) == 18


@pytest.mark.parametrize("how", ["auto", "random", "grid"])
def test_equal_seeds_give_equal_trials_and_others_do_not(how: str) -> None:
    def options(seed: int) -> list[object]:
        return [(dict(trial.options), trial.score, trial.chosen) for trial in run(how, trials=8, seed=seed).trials]

    assert options(3) == options(3)
    assert options(3) != options(4)


def test_no_configuration_is_trained_twice() -> None:
    found = run("random", trials=15)
    options = [tuple(sorted(trial.options.items())) for trial in found.trials]
    assert len(options) == len(set(options))


def test_the_first_trial_is_the_model_as_written() -> None:
    found = run("auto", trials=1)
    assert [dict(trial.options) for trial in found.trials] == [{}]
    assert found.trials[0].chosen


def test_of_equal_scores_the_first_is_chosen() -> None:
    found = search(lambda spec, report: Outcome(spec, 0.5), TrainSpec(search="random", trials=5), SPACE, "accuracy")
    assert [trial.chosen for trial in found.trials] == [True, False, False, False, False]


def test_a_pin_and_a_given_option_stay_as_they_are() -> None:
    spec = TrainSpec(search="grid", trials=100, pin=("sharpen",), dropout=0.3)
    assert set(free(SPACE, spec)) == {"class_weights"}
    found = search(plain, spec, SPACE, "accuracy")
    assert len(found.trials) == 2
    assert found.result.dropout == 0.3


def test_values_that_are_given_are_the_space() -> None:
    space = (("lr", (0.1, 0.5, 0.1)), ("word_ngrams", (1.0, 2.0)), ("loss", ("hard",)))
    spec = train_spec({"lr": 0.5, "pin": ("loss",), "space": space, "search": "grid"})
    assert free(SPACE, spec) == {"lr": (0.5, 0.1), "word_ngrams": (2, 1)}
    assert len(search(plain, spec, SPACE, "accuracy").trials) == 4
    assert free(SPACE, train_spec({"space": ()})) == free(SPACE, train_spec({}))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ((("lrr", (0.1,)),), '"lrr" is no option that a search can change'),
        ((("valid_share", (0.1,)),), '"valid_share" is no option'),
        ((("lr", ()),), "the space of lr has no values"),
        ((("lr", (-1.0,)),), "space: option lr must be a number from 1e-06 to 100"),
        ((0.1, 0.2), "option space must be lists of values by option"),
        (3, "option space must be lists of values by option"),
    ],
)
def test_a_space_of_what_is_no_option_or_value_is_refused(space: object, said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(said)) as caught:
        train_spec({"space": space})
    assert caught.value.code == "WS307"
    assert caught.value.data["option"] == "space"


def test_a_pin_that_is_no_option_is_an_error() -> None:
    with pytest.raises(SpecError, match='pin "sharpness"') as caught:
        run("random", pin=("sharpness",))
    assert caught.value.code == "WS307"


def test_a_budget_in_seconds_ends_the_search_but_not_before_the_first_trial() -> None:
    ticks = iter(range(1000))
    spec = TrainSpec(search="random", trials=50, budget="10 seconds")
    found = search(plain, spec, SPACE, "accuracy", clock=lambda: float(next(ticks)))
    assert 1 < len(found.trials) < 10


def test_control_c_ends_a_search_and_keeps_the_best_so_far_where_asked() -> None:
    def cut(spec: TrainSpec, report: Report) -> Outcome[TrainSpec]:
        calls.append(spec)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(spec, report)

    calls: list[TrainSpec] = []
    found = search(cut, TrainSpec(search="random", on_interrupt="keep"), SPACE, "accuracy")
    assert [trial.status for trial in found.trials] == ["done", "done"]
    assert found.notices[-1] == "the search was interrupted; the best configuration until then is kept"
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        search(cut, TrainSpec(search="random"), SPACE, "accuracy")
    calls[:] = calls[:2]
    with pytest.raises(KeyboardInterrupt):  # nothing is there to keep
        search(cut, TrainSpec(search="random", on_interrupt="keep"), SPACE, "accuracy")


def test_a_trial_that_the_budget_ends_is_pruned_and_the_first_one_is_not() -> None:
    now = [0.0]

    def slow(spec: TrainSpec, report: Report) -> Outcome[TrainSpec]:
        for epoch in range(1, 6):
            now[0] += 3
            report(epoch, quality(spec) - 1 / epoch)
        return plain(spec, report)

    spec = TrainSpec(search="random", trials=50, epochs=5, budget="00:00:20")
    found = search(slow, spec, SPACE, "accuracy", clock=lambda: now[0])
    assert [(trial.status, trial.pruned_at) for trial in found.trials] == [("done", None), ("pruned", 2)]
    now[0] = 0  # over in the last epoch of the second trial, which is as good as done
    spec = TrainSpec(search="random", trials=50, epochs=5, budget="29 seconds")
    found = search(slow, spec, SPACE, "accuracy", clock=lambda: now[0])
    assert [trial.status for trial in found.trials] == ["done", "done"]
    short = search(slow, TrainSpec(search="random", budget="1s"), SPACE, "accuracy", clock=lambda: now[0])
    assert [trial.status for trial in short.trials] == ["done"]
    ticks = iter(range(0, 100_000, 1000))
    found = search(plain, spec, SPACE, "accuracy", clock=lambda: float(next(ticks)))
    assert len(found.trials) == 1


def learning(epochs: int = 8) -> tuple[Callable[[TrainSpec, Report], Outcome[TrainSpec]], list[int]]:
    """An objective whose score rises to `quality`, and the epochs that each trial ran for."""
    ran: list[int] = []

    def objective(spec: TrainSpec, report: Report) -> Outcome[TrainSpec]:
        ran.append(0)
        for epoch in range(1, epochs + 1):
            ran[-1] = epoch
            report(epoch, quality(spec) * (1 - 0.5**epoch))
        return Outcome(spec, quality(spec))

    return objective, ran


def test_bad_trials_are_stopped_early_and_recorded() -> None:
    objective, ran = learning()
    found = search(objective, TrainSpec(search="random", trials=15, seed=1), SPACE, "accuracy")
    pruned = [trial for trial in found.trials if trial.status == "pruned"]
    assert pruned
    assert all(trial.pruned_at is not None and trial.pruned_at < 8 and not trial.chosen for trial in pruned)
    assert [trial.pruned_at or 8 for trial in found.trials] == ran
    assert found.trials[0].status == "done"
    assert f"{len(pruned)} pruned" in found.notices[0]


def test_a_trial_that_diverges_is_recorded_as_failed() -> None:
    def objective(spec: TrainSpec, report: Report) -> Outcome[TrainSpec]:
        if spec.dropout == 0.3:
            raise ModelError("WS511", "diverged")
        return plain(spec, report)

    found = search(objective, TrainSpec(search="grid", trials=100), SPACE, "accuracy")
    failed = [trial for trial in found.trials if trial.status == "failed"]
    assert len(failed) == 6
    assert all(trial.score is None and trial.options["dropout"] == 0.3 for trial in failed)
    assert quality(found.result) == pytest.approx(0.85)


def test_other_errors_and_a_search_without_success_are_raised() -> None:
    def broken(code: str) -> Callable[[TrainSpec, Report], Outcome[TrainSpec]]:
        def objective(spec: TrainSpec, report: Report) -> Outcome[TrainSpec]:
            raise ModelError(code, "no")

        return objective

    calls = TrainSpec(search="random", trials=3)
    for code in ("WS511", "WS505"):
        with pytest.raises(ModelError) as caught:
            search(broken(code), calls, SPACE, "accuracy")
        assert caught.value.code == code


def test_an_interrupted_trial_is_the_last() -> None:
    found = search(
        lambda spec, report: Outcome(spec, 0.5, interrupted=True), TrainSpec(search="random"), SPACE, "accuracy"
    )
    assert len(found.trials) == 1


def test_the_space_holds_only_what_has_an_effect() -> None:
    assert {"char_ngrams", "word_ngrams"} <= set(space_of({"text"}, set()))
    assert "hidden" not in space_of({"text"}, set())
    table = space_of({"number", "category"}, set())
    assert "hidden" in table
    assert "char_ngrams" not in table
    assert "encoder" not in space_of({"text"}, {"set"})
    assert {"encoder", "layers", "combine", "width", "encoder_lr"} <= set(space_of(set(), {"sequence"}))
    assert "width" not in space_of({"text"}, {"singleton"})


def test_every_value_of_the_space_is_a_value_of_its_option() -> None:
    for name, values in space_of({"text", "number"}, {"sequence", "set"}).items():
        assert [OPTIONS[name].read(value) for value in values] == list(values)
        assert OPTIONS[name].default in values


def test_the_grid_is_a_sample_where_it_is_too_large() -> None:
    points = grid([10] * 8, 50, 0)
    assert len(points) == len(set(points)) == 50
    assert points == grid([10] * 8, 50, 0)
    assert all(0 <= place < 10 for point in points for place in point)


def test_without_optuna_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(EnvironmentError_, match="Optuna") as caught:
        run("random")
    assert caught.value.code == "WS701"


# ── networks ──────────────────────────────────────────────────────────────────────────────────────


def small(rng: np.random.Generator, *, gold: bool) -> pa.Table:
    texts, truth, labels = reviews(400, rng)
    table = rows_of({"text": texts}, {"y": [None if gold and i % 4 == 0 else row for i, row in enumerate(labels)]})
    if not gold:
        return table
    known = [[1.0 - y, float(y)] if i % 4 == 0 else None for i, y in enumerate(truth)]
    return table.append_column("__g_y", pa.array(known, pa.list_(pa.float64())))


def test_a_search_returns_the_best_network_with_its_trials(rng: np.random.Generator) -> None:
    table = small(rng, gold=True)
    reads = []

    def batches() -> object:
        reads.append(1)
        return batches_of(table)()

    spec = TrainSpec(search="random", trials=6, epochs=4, pin=("word_ngrams",), seed=2)
    tasks = [TaskTarget("y", ("good", "bad"))]
    found = train([("text", "VARCHAR")], tasks, batches, spec)
    best = max((trial for trial in found.trials if trial.status == "done"), key=lambda trial: trial.score or 0)
    chosen = next(trial for trial in found.trials if trial.chosen)
    assert len(found.trials) == 6
    assert chosen.score == best.score == found.dev["y"]["accuracy"]
    assert len(reads) == len({trial.options.get("char_ngrams", "none") for trial in found.trials})
    assert any("search tried 6" in notice for notice in found.manifest["notices"])
    assert not any("weak labels" in notice for notice in found.notices)
    for name, value in chosen.options.items():
        assert found.manifest["spec"][name] == value
    assert set(Predictor.load(found.manifest, found.weights).tasks) == {"y"}
    again = train([("text", "VARCHAR")], tasks, batches, spec)
    assert again.weights == found.weights
    assert [(one.options, one.score) for one in again.trials] == [(one.options, one.score) for one in found.trials]


def test_without_gold_on_dev_the_held_out_weak_labels_decide_and_a_notice_says_so(rng: np.random.Generator) -> None:
    spec = TrainSpec(search="random", trials=2, epochs=2, pin=("char_ngrams", "word_ngrams"))
    found = train([("text", "VARCHAR")], [TaskTarget("y", ("good", "bad"))], batches_of(small(rng, gold=False)), spec)
    assert found.dev == {}
    assert any("held-out weak labels" in notice for notice in found.notices)
    assert all(trial.score is not None and 0 <= trial.score <= 1 for trial in found.trials)
