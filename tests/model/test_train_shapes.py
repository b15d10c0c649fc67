from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from tests.model import factoid
from tests.model.conftest import reviews, rows_of
from tests.model.shapes import batches, fit_shapes, labeled_table
from tests.model.test_train import BODY, QUICK, SENTIMENT, fit
from wsdb.core.errors import ModelError
from wsdb.model.calibrate import label_shares
from wsdb.model.decode import decide
from wsdb.model.parts import SliceInput, TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import TrainSpec
from wsdb.model.train import Trained, train


def test_tasks_of_every_shape_are_trained_together_and_predicted() -> None:
    table = labeled_table(200)
    trained = fit_shapes(table, epochs=6, encoder_lr=0.01, warmup=0)
    assert json.loads(json.dumps(trained.manifest)) == trained.manifest
    predictor = Predictor.load(trained.manifest, trained.weights)
    found = predictor.predict(table.combine_chunks().to_batches()[0])
    pos, arg = found["pos"], found["arg"]
    words = [token for row in table["tokens"].to_pylist() for token in row or ()]
    known = [at for at, word in enumerate(words) if word is not None]
    right = [pos.probabilities[at].argmax() == factoid.WORDS.index(words[at]) % 3 for at in known]
    assert np.mean(right) > 0.95
    assert found["intent"].probabilities.shape == (200, 3)
    filled = np.flatnonzero(np.diff(arg.indptr))
    np.testing.assert_allclose(np.add.reduceat(arg.probabilities[:, 1], arg.indptr[filled]), 1)


@pytest.mark.parametrize("encoder", ["cnn", "lstm", "transformer"])
def test_states_have_the_width_asked_for(encoder: str) -> None:
    table = labeled_table(60)
    narrow = fit_shapes(table, epochs=1, encoder=encoder, width=6)
    assert narrow.manifest["network"]["width"] == 6
    assert len(narrow.weights) < len(fit_shapes(table, epochs=1, encoder=encoder).weights)
    found = Predictor.load(narrow.manifest, narrow.weights).predict(table.combine_chunks().to_batches()[0])
    np.testing.assert_allclose(found["pos"].probabilities.sum(axis=1), 1)


def test_rows_that_wait_on_disk_give_the_same_bits() -> None:
    table = labeled_table(150, gold_every=3)
    inside, outside = fit_shapes(table), fit_shapes(table, cache_mb=0)
    assert inside.weights == outside.weights
    assert inside.dev == outside.dev


def test_dev_gold_is_scored_and_never_learned_from() -> None:
    table = labeled_table(120, gold_every=3)
    other = table
    for task in ("intent", "fun"):
        turned = pa.array(table[f"__g_{task}"].to_pylist()[::-1], table.schema.field(f"__g_{task}").type)
        turned = pa.array([None, *turned.to_pylist()[:-1]], turned.type)  # on the same rows as before
        other = other.set_column(other.schema.get_field_index(f"__g_{task}"), f"__g_{task}", turned)
    first, second = fit_shapes(table), fit_shapes(other)
    assert first.weights == second.weights
    assert first.dev["fun"] != second.dev["fun"]
    assert first.dev["intent"]["n"] == sum(value is not None for value in table["__g_intent"].to_pylist())
    assert first.dev["pos"] == second.dev["pos"]


def test_rows_of_dev_are_not_taught_the_prior(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(80, rng)
    table = rows_of({"body": texts}, {"tone": [*labels[:60].tolist(), *[None] * 20]})
    gold = pa.array([None] * 60 + labels[60:].round().tolist(), pa.list_(pa.float64()))
    spec = TrainSpec(epochs=1, buckets_bits=12, uncovered="prior")
    assert fit(table, spec).rows["tone"]["train"] == 80
    assert fit(table.append_column("__g_tone", gold), spec).rows["tone"]["train"] == 60


@pytest.mark.parametrize("metric", ["f1", "accuracy"])
def test_a_threshold_is_the_best_on_dev(metric: str, rng: np.random.Generator) -> None:
    texts, gold, labels = reviews(600, rng, confidence=0.7)
    flipped = np.where(rng.random(600) < 0.3, 1 - gold, gold)  # gold that the network cannot know
    dev = np.arange(600) >= 400
    table = rows_of(
        {"body": texts}, {"tone": [None if d else row for d, row in zip(dev, labels.tolist(), strict=True)]}
    )
    hot = [np.eye(2)[y].tolist() if d else None for d, y in zip(dev, flipped, strict=True)]
    table = table.append_column("__g_tone", pa.array(hot, pa.list_(pa.float64())))
    task = (TaskTarget("tone", ("no", "yes"), kind="binary"),)
    plain, cut = (fit(table, TrainSpec(epochs=3, buckets_bits=12, threshold=how), task) for how in ("argmax", metric))
    assert plain.manifest["tasks"][0]["threshold"] is None
    assert 0 <= cut.manifest["tasks"][0]["threshold"] <= 1
    assert cut.dev["tone"][metric] >= plain.dev["tone"][metric]


def ordered(n: int, rng: np.random.Generator) -> tuple[pa.Table, np.ndarray]:
    """Rows of a number with soft labels of four steps for two of three, and the steps."""
    step = rng.choice(4, n, p=[0.3, 0.4, 0.2, 0.1])
    labels = np.array([np.convolve(np.eye(4)[y], [0.2, 0.6, 0.2], "same") for y in step])
    labels /= labels.sum(axis=1, keepdims=True)
    known = [row if i % 3 else None for i, row in enumerate(labels.tolist())]
    return rows_of({"x": (step + rng.normal(0, 0.2, n)).tolist()}, {"tone": known}), step


def test_an_ordinal_task_cuts_its_expected_label_at_the_shares_of_its_labels(rng: np.random.Generator) -> None:
    table, step = ordered(600, rng)
    labels = tuple("abcd")

    def run(kind: str = "ordinal", balance: tuple[float, ...] | None = None, **options: object) -> Trained:
        task = TaskTarget("tone", labels, kind=kind, balance=balance)
        return train([("x", "DOUBLE")], [task], batches(table), TrainSpec(epochs=10, **options))  # type: ignore[arg-type]

    def chosen(trained: Trained) -> np.ndarray:
        predictor = Predictor.load(trained.manifest, trained.weights)
        found = predictor.predict(table.combine_chunks().to_batches()[0])["tone"].probabilities
        return decide("ordinal", labels, found, None, trained.manifest["tasks"][0]["threshold"]).chosen

    cut = run()
    cuts = cut.manifest["tasks"][0]["threshold"]
    assert len(cuts) == 3
    assert cuts == sorted(cuts)
    assert np.abs(chosen(cut) - step).mean() < 0.05
    known = [row for row in table["__p_tone"].to_pylist() if row is not None]
    np.testing.assert_allclose(np.bincount(chosen(cut)) / 600, label_shares(np.array(known)), atol=0.02)
    shares = np.bincount(chosen(run(balance=(0.1, 0.2, 0.3, 0.4))), minlength=4) / 600
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=0.01)
    for other in (run(threshold="argmax"), run(prior_match=0), run("multiclass")):
        assert other.manifest["tasks"][0]["threshold"] is None


def test_few_gold_rows_do_not_set_the_temperature(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(400, rng, confidence=0.7)
    table = rows_of({"body": texts}, {"tone": labels.tolist()})

    def temperature(gold: int) -> float:
        hot = pa.array(
            [np.eye(2)[int(i % 2)].tolist() if i < gold else None for i in range(400)], pa.list_(pa.float64())
        )
        return fit(table.append_column("__g_tone", hot), QUICK).manifest["tasks"][0]["temperature"]

    assert temperature(99) != temperature(100)
    assert temperature(100) > 19  # gold that has nothing to do with the text: the network knows nothing


def test_a_task_that_cannot_be_learned_counts_less_by_uncertainty(rng: np.random.Generator) -> None:
    # Two tasks pull one torso; by uncertainty the noisy one loses its share, and the clean one gets better.
    x = rng.normal(size=(600, 1))
    clean = np.where(x > 0, [[0.99, 0.01]], [[0.01, 0.99]]).tolist()
    noise = np.eye(2)[rng.integers(0, 2, 600)].tolist()
    table = rows_of({"x": x[:, 0]}, {"clean": clean, "noise": noise})
    tasks = (TaskTarget("clean", ("a", "b")), TaskTarget("noise", ("a", "b")))
    fixed, learned = (
        fit(table, TrainSpec(epochs=8, hidden=8, task_balance=how, early_stop=False), tasks, [("x", "DOUBLE")])
        for how in ("fixed", "uncertainty")
    )
    assert fixed.weights != learned.weights
    assert _last(learned, "clean") <= _last(fixed, "clean") + 0.01


def _last(trained, task: str) -> float:
    return [entry["loss"] for entry in trained.history if entry["task"] == task and entry["split"] == "train"][-1]


def test_a_bitvector_of_a_row_learns_each_label_by_itself(rng: np.random.Generator) -> None:
    a, b = rng.integers(0, 2, (2, 400))
    texts = [
        f"{'alpha' if x else 'plain'} {'beta' if y else 'simple'} item {i}"
        for i, (x, y) in enumerate(zip(a, b, strict=True))
    ]
    labels = [
        [0.9 if x else 0.1, None if i % 3 == 0 else (0.9 if y else 0.1)]
        for i, (x, y) in enumerate(zip(a, b, strict=True))
    ]
    task = TaskTarget("tags", ("a", "b"), kind="bitvector", balance=(0.5, 0.5))
    trained = fit(rows_of({"body": texts}, {"tags": labels}), TrainSpec(epochs=10, buckets_bits=12), (task,))
    predictor = Predictor.load(trained.manifest, trained.weights)
    found = predictor.predict(pa.record_batch({"body": ["alpha simple", "plain beta", "alpha beta"]}))["tags"]
    assert (found.probabilities > 0.5).tolist() == [[True, False], [False, True], [True, True]]


def test_a_label_list_of_another_length_than_its_payload_names_the_row() -> None:
    table = labeled_table(30)
    labels = table["__p_pos"].to_pylist()
    row = next(i for i, value in enumerate(labels) if value)
    labels[row] = labels[row][:-1]
    kind = table.schema.field("__p_pos").type
    table = table.set_column(table.schema.get_field_index("__p_pos"), "__p_pos", pa.array(labels, kind))
    with pytest.raises(ModelError, match=f"task pos.*{row} has") as caught:
        fit_shapes(table)
    assert caught.value.code == "WS512"


@pytest.mark.parametrize(("task", "value"), [("type", [[0.5, 1.5]]), ("arg", [[0.0, 0.0]]), ("pos", [[0.5, 0.5]])])
def test_element_labels_that_are_no_probabilities_are_an_error(task: str, value: list[list[float]]) -> None:
    table = labeled_table(30)
    lists = "entities" if task == "arg" else "tokens"
    labels = [None if items is None else value * len(items) for items in table[lists].to_pylist()]
    kind = table.schema.field(f"__p_{task}").type
    at = table.schema.get_field_index(f"__p_{task}")
    with pytest.raises(ModelError, match=f"__p_{task}") as caught:
        fit_shapes(table.set_column(at, f"__p_{task}", pa.array(labels, kind)))
    assert caught.value.code == "WS509"


@pytest.mark.parametrize(("value", "code"), [([1.0, 0.0], "WS506"), (None, "WS505"), ([None, None], "WS505")])
def test_a_bitvector_without_two_sides_is_an_error(value: list[float] | None, code: str) -> None:
    task = (TaskTarget("tags", ("a", "b"), kind="bitvector"),)
    with pytest.raises(ModelError) as caught:
        fit(rows_of({"body": ["one", "two"]}, {"tags": [value, value]}), tasks=task)
    assert caught.value.code == code


def test_augmented_rows_follow_their_row_and_are_never_held_out(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(300, rng)
    plain = rows_of({"body": texts}, {"tone": labels.tolist()})
    twice = pa.concat_tables(
        [part.append_column("__augmented", pa.array([made] * 300)) for part, made in ((plain, False), (plain, True))]
    )
    alone, both = fit(plain, QUICK), fit(twice, QUICK)
    held = alone.rows["tone"]["valid"]
    assert held > 0
    assert both.rows["tone"] == {"train": 300 - held, "valid": held, "augmented": 300 - held}


def test_rows_of_sources_are_counted_apart_and_weigh_what_they_say(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(300, rng)
    table = rows_of({"body": texts}, {"tone": labels.tolist()})
    source = pa.array([None if i < 200 else "made_up" for i in range(300)], pa.string())
    trained = fit(table.append_column("__source", source), QUICK)
    assert trained.rows["tone"]["made_up"] == 100
    assert sum(trained.rows["tone"].values()) == 300
    silent = fit(table.append_column("__w", pa.array([1.0 if i < 200 else 0.0 for i in range(300)])), QUICK)
    assert silent.rows["tone"]["train"] < 210
    with pytest.raises(ModelError, match="__w") as caught:
        fit(table.append_column("__w", pa.array([-1.0] * 300)), QUICK)
    assert caught.value.code == "WS509"


def test_slices_may_weigh_more(rng: np.random.Generator) -> None:
    texts, _, labels = reviews(200, rng)
    table = rows_of({"body": texts}, {"tone": labels.tolist()}).append_column(
        "__s_few", pa.array([i < 20 for i in range(200)])
    )
    spec = TrainSpec(epochs=2, buckets_bits=12, slice_mode="weight")
    heavier = train(BODY, [SENTIMENT], batches(table), spec, slices=[SliceInput("few")])
    assert heavier.weights != train(BODY, [SENTIMENT], batches(table), spec).weights
    with pytest.raises(ModelError, match="__s_other") as caught:
        train(BODY, [SENTIMENT], batches(table), spec, slices=[SliceInput("other")])
    assert caught.value.code == "WS509"


def test_memory_that_runs_out_says_what_to_lower(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    from wsdb.model import loop

    table = labeled_table(20)
    for error in (MemoryError("Unable to allocate 9 TiB"), RuntimeError("not enough memory: you tried to allocate")):
        monkeypatch.setattr(loop, "inputs_of", lambda *_, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(ModelError, match="ran out of memory") as caught:
            fit_shapes(table)
        assert caught.value.code == "WS513"
        assert caught.value.hint is not None and "buckets_bits (10)" in caught.value.hint
    monkeypatch.setattr(loop, "inputs_of", lambda *_: (_ for _ in ()).throw(RuntimeError("another matter")))
    with pytest.raises(RuntimeError, match="another matter"):
        fit_shapes(table)
