"""What attributions of elements, picks and sets of labels add up to, over random networks of every shape."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.model import factoid
from wsdb.model.attribution import attribute
from wsdb.model.predictor import Predictor

ELEMENTS = {"pos": "tokens", "type": "tokens", "arg": "entities", "rank": "entities"}
ROWS = factoid.rows_of(np.random.default_rng(5), 14)
BATCH = factoid.batch_of(ROWS)


def logits(predictor: Predictor, task: str) -> np.ndarray:
    at = predictor.tasks.index(task)
    scaled: np.ndarray = predictor.scores(predictor.encode(BATCH))[at] / predictor.temperatures[at]
    if predictor.kinds[at] == "select":
        indptr = predictor.predict(BATCH)[task].indptr
        assert indptr is not None
        for start, end in itertools.pairwise(indptr):
            scaled[start:end] -= scaled[start:end].mean(axis=0) if end > start else 0
    return scaled + predictor.offsets[at]


@pytest.mark.parametrize("encoder", ["bow", "cnn", "lstm", "transformer"])
@pytest.mark.parametrize("task", [task.name for task in factoid.TASKS])
def test_the_attributions_of_a_label_sum_to_its_logit_minus_the_bias(task: str, encoder: str) -> None:
    predictor = factoid.predictor_of(encoder=encoder, hidden=4)
    found = attribute(predictor, BATCH, task)
    assert len(found.rows) == len(found.labels) == len(found.row) > 3
    sums = np.array([sum(value for _, value in row) for row in found.rows])
    np.testing.assert_allclose(sums, found.logits - found.bias, rtol=0, atol=2e-4)
    indptr = predictor.predict(BATCH)[task].indptr
    place = found.row if found.pos is None or indptr is None else indptr[found.row] + found.pos - 1
    codes = [predictor.labels[predictor.tasks.index(task)].index(label) for label in found.labels]
    np.testing.assert_allclose(found.logits, logits(predictor, task)[place, codes], rtol=0, atol=1e-4)
    assert np.abs(found.logits - found.bias).max() > 0.01


@pytest.mark.parametrize("task", ["pos", "rank"])
def test_every_element_is_explained_with_the_label_that_is_predicted(task: str) -> None:
    predictor = factoid.predictor_of()
    found, scores = attribute(predictor, BATCH, task), predictor.predict(BATCH)[task]
    assert scores.indptr is not None
    sizes = np.diff(scores.indptr)
    assert found.row.tolist() == np.repeat(np.arange(len(sizes)), sizes).tolist()
    assert found.pos is not None
    assert found.pos.tolist() == [at + 1 for size in sizes.tolist() for at in range(size)]
    names = predictor.labels[predictor.tasks.index(task)]
    assert found.labels == [names[code] for code in scores.probabilities.argmax(axis=1)]


def test_of_a_select_task_the_picked_element_is_explained_and_of_a_bitvector_the_labels_that_apply() -> None:
    predictor = factoid.predictor_of()
    picked = attribute(predictor, BATCH, "arg")
    assert set(picked.labels) == {"yes"}
    assert len(set(picked.row.tolist())) == len(picked.row) == sum(bool(row["entities"]) for row in ROWS)
    probabilities = predictor.predict(BATCH)["type"].probabilities
    for threshold in (None, [0.0, 0.9], [1.0, 1.0]):
        found = attribute(predictor, BATCH, "type", threshold=threshold)
        applies = probabilities >= np.array(threshold if threshold is not None else 0.5)
        assert len(found.labels) == np.maximum(applies.sum(axis=1), 1).sum()


def test_a_network_that_looks_at_one_element_alone_gives_nothing_to_the_others() -> None:
    predictor = factoid.predictor_of(encoder="bow")
    found = attribute(predictor, BATCH, "pos")
    beside = [name for row in found.rows for name, _ in row if " -1: " in name or " +1: " in name or "others" in name]
    assert beside == []
    assert all(name.startswith("tokens: ") for row in found.rows for name, _ in row if name.startswith("tokens"))


def test_a_network_that_looks_around_gives_each_its_name() -> None:
    predictor = factoid.predictor_of(encoder="cnn")
    found = attribute(predictor, BATCH, "pos")
    assert found.pos is not None
    place = next(at for at, pos in enumerate(found.pos) if pos == 2 and len(ROWS[found.row[at]]["tokens"]) > 3)
    tokens = ROWS[found.row[place]]["tokens"]
    names = {name for name, _ in found.rows[place]}
    wanted = {f"tokens: {tokens[1]}", f"tokens -1: {tokens[0]}", f"tokens +1: {tokens[2]}", "tokens: the others"}
    assert wanted <= names | {"tokens +1: None", "tokens -1: None", "tokens: None"}
    sizes = [abs(value) for _, value in found.rows[place]]
    assert sizes == sorted(sizes, reverse=True)
    assert [len(row) for row in attribute(predictor, BATCH, "pos", 2).rows] == [min(len(row), 2) for row in found.rows]


def test_fields_of_an_element_are_told_apart() -> None:
    found = attribute(factoid.predictor_of(), BATCH, "rank")
    names = {name.partition(":")[0] for row in found.rows for name, _ in row}
    assert {"entities.name", "entities.size", "entities.known", "entities.vec", "tokens"} <= names


def test_many_elements_are_looked_at_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = factoid.predictor_of()
    whole = attribute(predictor, BATCH, "pos")
    monkeypatch.setattr("wsdb.model.attribution.ELEMENTS", 10)
    parts = attribute(predictor, BATCH, "pos")
    assert [[name for name, _ in row] for row in parts.rows] == [[name for name, _ in row] for row in whole.rows]
    np.testing.assert_allclose(parts.logits, whole.logits, rtol=0, atol=1e-5)


def test_rows_without_elements_have_nothing_to_explain() -> None:
    predictor = factoid.predictor_of()
    empty = factoid.batch_of([{**ROWS[0], "tokens": None, "entities": []}])
    for task in ELEMENTS:
        assert attribute(predictor, empty, task).rows == []
        assert attribute(predictor, BATCH.slice(0, 0), task).rows == []
