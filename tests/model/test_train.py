from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.model.conftest import batches_of, reviews, rows_of
from wsdb.model.calibrate import log_loss
from wsdb.model.parts import TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import TrainSpec
from wsdb.model.train import Trained, train

QUICK = TrainSpec(epochs=6, buckets_bits=12)
SENTIMENT = TaskTarget("tone", ("good", "bad"))
BODY = [("body", "VARCHAR")]


def fit(
    table: pa.Table,
    spec: TrainSpec = QUICK,
    tasks: tuple[TaskTarget, ...] = (SENTIMENT,),
    features: list[tuple[str, str]] = BODY,
    size: int = 100,
) -> Trained:
    return train(features, tasks, batches_of(table, size), spec)


def predict(trained: Trained, columns: dict[str, Any]) -> dict[str, np.ndarray]:
    found = Predictor.load(trained.manifest, trained.weights).predict(pa.record_batch(columns))
    return {task: scores.probabilities for task, scores in found.items()}


def review_table(n: int, rng: np.random.Generator) -> pa.Table:
    texts, _, labels = reviews(n, rng)
    return rows_of({"body": texts}, {"tone": labels.tolist()})


def test_soft_labels_are_recovered_on_a_separable_set(rng: np.random.Generator) -> None:
    texts, _gold, labels = reviews(600, rng, confidence=0.8)
    spec = TrainSpec(epochs=15, buckets_bits=12, sharpen=1.0, weight_decay=0.0)
    trained = fit(rows_of({"body": texts}, {"tone": labels.tolist()}), spec)
    new_texts, new_gold, _ = reviews(200, rng)
    found = predict(trained, {"body": new_texts})["tone"]
    assert (found.argmax(axis=1) == new_gold).all()
    assert np.abs(found[np.arange(200), new_gold] - 0.8).mean() < 0.05


def test_the_same_seed_gives_the_same_bits_and_another_does_not(rng: np.random.Generator) -> None:
    table = review_table(200, rng)
    spec = TrainSpec(epochs=3, buckets_bits=12, dropout=0.2)
    assert fit(table, spec).weights == fit(table, spec).weights
    assert fit(table, spec).weights != fit(table, TrainSpec(epochs=3, buckets_bits=12, dropout=0.2, seed=1)).weights


def test_neither_the_order_of_rows_nor_their_batches_change_a_bit(rng: np.random.Generator) -> None:
    table = review_table(200, rng)
    shuffled = table.take(rng.permutation(200))
    first, second = fit(table), fit(shuffled, size=7)
    assert first.weights == second.weights
    assert first.manifest["tasks"] == second.manifest["tasks"]


def test_training_leaves_the_global_generator_and_the_threads_alone(rng: np.random.Generator) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    fit(
        rows_of({"x": np.arange(100.0)}, {"tone": [[0.9, 0.1]] * 50 + [[0.1, 0.9]] * 50}),
        TrainSpec(epochs=2, hidden=8, dropout=0.1),
        features=[("x", "DOUBLE")],
    )
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_a_task_with_few_labels_does_not_see_the_rows_of_the_other(rng: np.random.Generator) -> None:
    # Rows 0 … 299 are labeled for tone only, the rest for length only; the two parts share no word.
    # On the first part the head of length must say nothing beyond its bias: the same for all rows.
    texts, _, labels = reviews(300, rng)
    others = [f"{'long' if i % 2 else 'short'} item" for i in range(60)]
    sizes = [[0.1, 0.9] if i % 2 else [0.9, 0.1] for i in range(60)]
    table = rows_of(
        {"body": texts + others},
        {"tone": [*labels.tolist(), *[None] * 60], "length": [*[None] * 300, *sizes]},
    )
    trained = fit(table, tasks=(SENTIMENT, TaskTarget("length", ("short", "long"))))
    assert sum(trained.rows["length"].values()) in range(40, 61)
    assert sum(trained.rows["tone"].values()) == 300
    found = predict(trained, {"body": [*texts[:50], "long item", "short item"]})
    assert np.ptp(found["length"][:50, 0]) < 1e-9
    assert found["length"][50, 1] > 0.7 > 0.3 > found["length"][51, 1]
    assert np.ptp(found["tone"][:50, 0]) > 0.5


def test_tasks_without_a_torso_learn_what_they_learn_alone(rng: np.random.Generator) -> None:
    # Full batches leave no randomness but the order of a sum: the heads are independent softmax regressions.
    texts, _gold, labels = reviews(120, rng)
    spec = TrainSpec(epochs=5, batch_size=1000, buckets_bits=12, valid_share=0)
    alone = fit(rows_of({"body": texts}, {"tone": labels.tolist()}), spec)
    other = TaskTarget("other", ("a", "b", "c"), weight=0.3)
    both = fit(
        rows_of({"body": texts}, {"tone": labels.tolist(), "other": [[0.1, 0.2, 0.7], [0.6, 0.2, 0.2]] * 60}),
        spec,
        tasks=(SENTIMENT, other),
    )
    np.testing.assert_allclose(
        predict(alone, {"body": texts})["tone"], predict(both, {"body": texts})["tone"], atol=1e-5
    )


def test_a_torso_learns_what_a_linear_map_cannot(rng: np.random.Generator) -> None:
    a, b = rng.integers(0, 2, (2, 800))
    table = rows_of({"a": a.astype(bool), "b": b.astype(bool)}, {"tone": np.eye(2)[a ^ b] * 0.8 + 0.1})
    features = [("a", "BOOLEAN"), ("b", "BOOLEAN")]
    rows = {"a": [False, False, True, True], "b": [False, True, False, True]}
    deep = predict(fit(table, TrainSpec(epochs=20, hidden=16), features=features), rows)["tone"]
    flat = predict(fit(table, TrainSpec(epochs=20, hidden=0), features=features), rows)["tone"]
    assert deep.argmax(axis=1).tolist() == [0, 1, 1, 0]
    assert np.abs(flat - 0.5).max() < 0.2


def test_saved_weights_and_json_give_equal_predictions(rng: np.random.Generator) -> None:
    table = rows_of(
        {"body": reviews(200, rng)[0], "x": rng.normal(size=200)},
        {"tone": rng.dirichlet(np.ones(2), 200).tolist()},
    )
    trained = fit(table, TrainSpec(epochs=2, hidden=4), features=[*BODY, ("x", "DOUBLE")])
    batch = table.select(["body", "x"]).to_batches()[0]
    before = Predictor.load(trained.manifest, trained.weights).predict(batch)["tone"].probabilities
    after = (
        Predictor.load(json.loads(json.dumps(trained.manifest)), bytes(trained.weights))
        .predict(batch)["tone"]
        .probabilities
    )
    assert np.array_equal(before, after)
    assert np.ptp(before[:, 0]) > 0


@pytest.mark.parametrize("hidden", [0, 8])
def test_predictions_do_not_depend_on_the_batch(hidden: int, rng: np.random.Generator) -> None:
    texts, _, labels = reviews(150, rng)
    table = rows_of({"body": texts, "x": rng.normal(size=150)}, {"tone": labels.tolist()})
    trained = fit(table, TrainSpec(epochs=2, hidden=hidden), features=[*BODY, ("x", "DOUBLE")])
    predictor = Predictor.load(trained.manifest, trained.weights)
    rows = table.select(["body", "x"])
    whole = predictor.predict(rows.combine_chunks().to_batches()[0])["tone"].probabilities
    for size in (1, 37):
        parts = [predictor.predict(part)["tone"].probabilities for part in rows.to_batches(max_chunksize=size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    np.testing.assert_allclose(whole.sum(axis=1), 1)


def test_no_rows_one_row_and_nulls_are_predicted(rng: np.random.Generator) -> None:
    trained = fit(review_table(100, rng))
    assert predict(trained, {"body": pa.array([], pa.string())})["tone"].shape == (0, 2)
    one = predict(trained, {"body": pa.array([None], pa.string())})["tone"]
    assert one.shape == (1, 2) and np.isfinite(one).all()


def test_threads_share_a_predictor(rng: np.random.Generator) -> None:
    table = review_table(400, rng)
    trained = fit(table)
    predictor = Predictor.load(trained.manifest, trained.weights)
    batches = table.select(["body"]).to_batches(max_chunksize=20)
    alone = [predictor.predict(batch)["tone"].probabilities for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: predictor.predict(batch)["tone"].probabilities, batches))
    assert all(np.array_equal(left, right) for left, right in zip(alone, together, strict=True))


def test_a_text_of_a_megabyte_trains_and_is_predicted(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(60, rng)
    texts[0] = " ".join(texts) * 300
    assert len(texts[0]) > 500_000
    trained = fit(rows_of({"body": texts}, {"tone": labels.tolist()}))
    assert np.isfinite(predict(trained, {"body": texts[:1] * 2})["tone"]).all()


def test_a_known_balance_moves_the_decisions_towards_it(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(400, rng, confidence=0.7)
    table = rows_of({"body": texts}, {"tone": labels.tolist()})
    shares = []
    for share in (0.0, 0.5, 1.0):
        task = TaskTarget("tone", ("good", "bad"), balance=(0.9, 0.1))
        trained = fit(table, TrainSpec(epochs=3, buckets_bits=12, prior_match=share), tasks=(task,))
        shares.append((predict(trained, {"body": texts})["tone"].argmax(axis=1) == 0).mean())
    assert shares[0] <= shares[1] < shares[2]
    assert shares[2] == pytest.approx(0.9, abs=0.1)  # rows with equal words move together


def test_calibration_does_not_make_the_held_out_loss_worse(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(500, rng, confidence=0.7)
    table = rows_of({"body": texts}, {"tone": labels.tolist()})
    losses = {}
    for kind in ("none", "temperature"):
        trained = fit(table, TrainSpec(epochs=10, buckets_bits=12, calibrate=kind))
        losses[kind] = log_loss(np.log(predict(trained, {"body": texts})["tone"]), labels)
    # sharpened labels (0.97) teach too much certainty for labels of 0.7
    assert losses["temperature"] < losses["none"]


def test_training_stops_early_and_keeps_the_best_epoch(rng: np.random.Generator) -> None:
    noise = rows_of({"body": reviews(300, rng)[0]}, {"tone": rng.permutation(np.eye(2).repeat(150, axis=0)).tolist()})
    trained = fit(noise, TrainSpec(epochs=30, buckets_bits=12, patience=2))
    valid = [entry["loss"] for entry in trained.history if entry["split"] == "valid"]
    assert len(valid) < 30
    assert trained.epoch["tone"] == int(np.argmin(valid)) + 1 == len(valid) - 2


def test_progress_is_told_every_entry_of_the_history(rng: np.random.Generator) -> None:
    heard: list[dict[str, Any]] = []
    trained = train(BODY, [SENTIMENT], batches_of(review_table(300, rng)), QUICK, heard.append)
    assert heard == trained.history
    assert {entry["split"] for entry in heard} == {"train", "valid"}


def test_uncovered_rows_are_dropped_or_taught_the_prior(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(200, rng)
    silent = ["quiet item"] * 100
    table = rows_of({"body": texts + silent}, {"tone": [*labels.tolist(), *[None] * 100]})
    task = TaskTarget("tone", ("good", "bad"), balance=(0.8, 0.2))
    options = {"epochs": 15, "buckets_bits": 12, "prior_match": 0.0, "calibrate": "none"}
    dropped, taught = (
        predict(fit(table, TrainSpec(**options, uncovered=how), tasks=(task,)), {"body": silent[:1]})["tone"][0, 0]
        for how in ("drop", "prior")
    )
    assert abs(taught - 0.8) < 0.1 < abs(dropped - 0.8)


def test_reading_features_does_not_import_torch_and_its_absence_is_explained() -> None:
    program = """
import sys
import wsdb.model, wsdb.model.encode, wsdb.model.spec
assert "torch" not in sys.modules
sys.modules["torch"] = None
try:
    import wsdb.model.train
except Exception as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found == "Environment Error [WS701]: torch is not installed\nhint: pip install 'wsdb[torch]'\n"


@pytest.mark.parametrize(
    "keys",
    [
        [f"k{i}" for i in range(300)],
        [{"a": i, "b": str(i)} for i in range(300)],
        [[i, i + 1] for i in range(300)],
        [b"%d" % i for i in range(300)],
        [i / 7 for i in range(300)],
    ],
)
def test_a_key_of_any_type_holds_a_tenth_of_the_rows_out(keys: list[object], rng: np.random.Generator) -> None:
    texts, _, labels = reviews(300, rng)
    trained = fit(rows_of({"body": texts}, {"tone": labels.tolist()}, keys), TrainSpec(epochs=1, buckets_bits=12))
    assert 15 <= trained.rows["tone"]["valid"] <= 48
    assert sum(trained.rows["tone"].values()) == 300


def test_too_few_held_out_rows_are_trained_on(rng: np.random.Generator) -> None:
    trained = fit(review_table(100, rng))
    assert trained.rows["tone"] == {"train": 100, "valid": 0}
    assert any("are trained on" in notice for notice in trained.notices)


def test_the_user_decides_between_text_and_categories(rng: np.random.Generator) -> None:
    bodies = ["fine film", "poor film", "great seat", "bad seat"] * 30
    table = rows_of({"body": bodies}, {"tone": [[0.9, 0.1], [0.1, 0.9]] * 60})
    kinds = {
        option: fit(table, TrainSpec(epochs=1, **({option: ("BODY",)} if option else {})))
        for option in ("", "text", "categories")
    }
    assert [run.manifest["features"][0]["kind"] for run in kinds.values()] == ["category", "text", "category"]
    assert [any("text = ['body']" in notice for notice in run.notices) for run in kinds.values()] == [
        True,
        False,
        False,
    ]
    assert json.loads(json.dumps(kinds["text"].manifest)) == kinds["text"].manifest


def test_labels_that_always_favor_one_class_give_a_notice(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(60, rng)
    one_sided = np.stack([labels.max(axis=1), labels.min(axis=1)], axis=1).tolist()
    assert any("favors good" in notice for notice in fit(rows_of({"body": texts}, {"tone": one_sided})).notices)
    assert not any("favors" in notice for notice in fit(rows_of({"body": texts}, {"tone": labels.tolist()})).notices)


def test_a_torso_without_dense_columns_sees_no_junk(rng: np.random.Generator) -> None:
    values = rng.choice(["a", "b", "c"], 200).tolist()
    table = rows_of({"body": values}, {"tone": [[0.9, 0.1] if v == "a" else [0.1, 0.9] for v in values]})
    trained = fit(table, TrainSpec(epochs=3))
    assert trained.manifest["hidden"] == 64
    found = [predict(trained, {"body": ["a", "b"]})["tone"] for _ in range(20)]
    assert all(np.array_equal(found[0], again) for again in found)
    assert found[0].argmax(axis=1).tolist() == [0, 1]
