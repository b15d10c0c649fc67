from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.model.conftest import batches_of, reviews, rows_of
from wsdb.model.parts import TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import TrainSpec
from wsdb.model.train import Trained, train

SPEC = TrainSpec(epochs=8, buckets_bits=12)
TASK = TaskTarget("tone", ("good", "bad"))


def fit(table: pa.Table, spec: TrainSpec = SPEC) -> Trained:
    return train([("body", "VARCHAR")], (TASK,), batches_of(table, 100), spec)


def predicted(trained: Trained, texts: list[str]) -> np.ndarray:
    found = Predictor.load(trained.manifest, trained.weights).predict(pa.record_batch({"body": texts}))
    return found["tone"].probabilities


@pytest.mark.parametrize("sure", [0.75, 0.99])
def test_predictions_are_as_sure_as_the_own_labels_of_the_label_model_and_decide_the_same(
    sure: float, rng: np.random.Generator
) -> None:
    texts, gold, learned = reviews(800, rng, confidence=0.9)
    table = rows_of({"body": texts}, {"tone": learned.tolist()})
    own = np.where(np.arange(2) == gold[:, None], sure, 1 - sure)
    others = table.append_column("__o_tone", pa.array(own.tolist()))
    plain, trained = fit(table), fit(others)
    assert trained.manifest["tasks"][0]["rows"] == plain.manifest["tasks"][0]["rows"]  # they are not learned
    new = reviews(200, rng)[0]
    before, after = predicted(plain, new), predicted(trained, new)
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    assert abs(before.max(axis=1).mean() - 0.9) < 0.03
    assert abs(after.max(axis=1).mean() - sure) < 0.03


def test_own_labels_of_few_held_out_rows_and_labels_without_calibration_change_nothing(
    rng: np.random.Generator,
) -> None:
    texts, _, learned = reviews(300, rng, confidence=0.9)
    table = rows_of({"body": texts}, {"tone": learned.tolist()})
    few = pa.array([[0.5, 0.5]] * 40 + [None] * 260)
    every = pa.array([[0.5, 0.5]] * 300)
    for spec, own in ((SPEC, few), (TrainSpec(epochs=8, buckets_bits=12, calibrate="none"), every)):
        trained, plain = fit(table.append_column("__o_tone", own), spec), fit(table, spec)
        assert trained.manifest["tasks"] == plain.manifest["tasks"]
