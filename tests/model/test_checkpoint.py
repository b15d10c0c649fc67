from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.model import factoid
from tests.model.shapes import batches, labeled_table
from tests.model.test_train import BODY, SENTIMENT, review_table
from wsdb.core.errors import ModelError
from wsdb.model.checkpoint import FILE, Checkpoint, fingerprint
from wsdb.model.optimize import Optimizers
from wsdb.model.spec import TrainSpec
from wsdb.model.train import Trained, train

SHAPES = TrainSpec(epochs=4, buckets_bits=10, batch_size=16, dropout=0.1, task_balance="uncertainty")
TABLE = labeled_table(90)


class Killed(Exception):
    """What the tests end a run with."""


def kill_at(epoch: int) -> Callable[[dict[str, Any]], None]:
    def progress(entry: dict[str, Any]) -> None:
        if entry["epoch"] == epoch:
            raise Killed

    return progress


def run(
    folder: Path | None, progress: Callable[[dict[str, Any]], None] | None = None, spec: TrainSpec = SHAPES
) -> Trained:
    return train(
        factoid.FEATURES, factoid.TASKS, batches(TABLE), spec, progress, payloads=factoid.PAYLOADS, checkpoint=folder
    )


def losses(trained: Trained) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in trained.history]


@pytest.mark.parametrize("epoch", [2, 3])
def test_a_run_that_was_killed_goes_on_with_the_same_bits(epoch: int, tmp_path: Path) -> None:
    whole = run(None)
    with pytest.raises(Killed):
        run(tmp_path, kill_at(epoch))
    heard: list[int] = []
    resumed = run(tmp_path, lambda entry: heard.append(entry["epoch"]))
    assert resumed.weights == whole.weights
    assert losses(resumed) == losses(whole)
    assert resumed.epoch == whole.epoch
    assert min(heard) == epoch  # the epochs before are not done again


def test_a_run_that_was_killed_inside_an_epoch_goes_on_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TrainSpec(**{name: getattr(SHAPES, name) for name in SHAPES.__slots__} | {"checkpoint_s": 0})
    whole, taken = run(None, spec=spec), []
    step = Optimizers.step

    def stop_after_eight(self: Optimizers) -> None:
        if len(taken) == 8:
            raise Killed
        taken.append(1)
        step(self)

    with monkeypatch.context() as patched:
        patched.setattr(Optimizers, "step", stop_after_eight)
        with pytest.raises(Killed):
            run(tmp_path, spec=spec)
    taken.clear()
    with monkeypatch.context() as patched:
        patched.setattr(Optimizers, "step", lambda self: (taken.append(1), step(self)))
        resumed = run(tmp_path, spec=spec)
    assert resumed.weights == whole.weights
    assert losses(resumed) == losses(whole)
    assert len(taken) == 4 * 6 - 8  # 90 rows make six steps an epoch


def test_a_run_that_ended_is_not_repeated(tmp_path: Path) -> None:
    first = run(tmp_path)
    heard: list[dict[str, Any]] = []
    assert run(tmp_path, heard.append).weights == first.weights
    assert heard == []


def test_the_state_of_another_run_is_not_taken_up(tmp_path: Path) -> None:
    run(tmp_path)
    other = TrainSpec(**{name: getattr(SHAPES, name) for name in SHAPES.__slots__} | {"seed": 1})
    assert run(tmp_path, spec=other).weights == run(None, spec=other).weights


def test_a_checkpoint_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no safetensors")
    with pytest.raises(ModelError) as caught:
        run(tmp_path)
    assert caught.value.code == "WS514"
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be used") as caught:
        Checkpoint(tmp_path / "file", "run").save({}, {"x": np.zeros(1)})
    assert caught.value.code == "WS514"


def test_a_checkpoint_gives_back_what_it_was_given(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "new" / "folder", "run")
    facts = {"loss": [0.1 + 0.2, float("inf")], "epoch": 3}
    arrays = {"a": np.arange(6.0).reshape(2, 3)[:, ::2], "b": np.array(7), "c": np.empty((0, 2), np.float32)}
    kept.save(facts, arrays)
    found = kept.load()
    assert found is not None and found[0] == facts
    assert all(np.array_equal(found[1][name], array) for name, array in arrays.items())
    assert Checkpoint(tmp_path / "new" / "folder", "another run").load() is None


def test_a_fingerprint_tells_values_types_and_shapes_apart() -> None:
    a = np.arange(4)
    assert fingerprint({"x": 1}, [a]) == fingerprint({"x": 1}, [a.copy()])
    others = [({"x": 2}, [a]), ({"x": 1}, [a + 1]), ({"x": 1}, [a.astype(np.int32)]), ({"x": 1}, [a.reshape(2, 2)])]
    assert len({fingerprint({"x": 1}, [a])} | {fingerprint(*other) for other in others}) == 5


@pytest.mark.parametrize("how", ["abort", "keep"])
def test_control_c_aborts_or_keeps_the_best_so_far(how: str, rng: np.random.Generator) -> None:
    table = review_table(300, rng)

    def interrupt(entry: dict[str, Any]) -> None:
        if entry["epoch"] == 3:
            raise KeyboardInterrupt

    def spec(epochs: int) -> TrainSpec:
        return TrainSpec(epochs=epochs, buckets_bits=12, on_interrupt=how)

    if how == "abort":
        with pytest.raises(KeyboardInterrupt):
            train(BODY, [SENTIMENT], batches(table), spec(9), interrupt)
        return
    kept = train(BODY, [SENTIMENT], batches(table), spec(9), interrupt)
    assert kept.weights == train(BODY, [SENTIMENT], batches(table), spec(2)).weights
    assert any("interrupted" in notice for notice in kept.notices)


def test_control_c_before_the_first_epoch_ends_keeps_nothing(rng: np.random.Generator) -> None:
    def interrupt(entry: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    spec = TrainSpec(epochs=2, buckets_bits=12, on_interrupt="keep")
    with pytest.raises(KeyboardInterrupt):
        train(BODY, [SENTIMENT], batches(review_table(300, rng)), spec, interrupt)
