"""Pairs of text and other columns: learned where a label hangs on them, and else not there at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.conftest import FILL, batches_of, rows_of
from wsdb.model.choose_pairs import RANK, choose_pairs, gained
from wsdb.model.judge import Judged, RowLosses
from wsdb.model.parts import SliceInput, TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import train_spec
from wsdb.model.train import Trained, train

TASK = TaskTarget("y", ("no", "yes"))
COLUMNS = [("t", "VARCHAR"), ("place", "VARCHAR"), ("price", "DOUBLE")]


def rows(n: int, rule: str, seed: int = 0) -> tuple[pa.Table, np.ndarray]:
    """Texts, places and prices; the label is that of a word, turned round by the place or by the price."""
    rng = np.random.default_rng(seed)
    said, place, price = rng.integers(0, 2, n), rng.integers(0, 4, n), rng.uniform(0, 10, n)
    turned = {"place": place < 2, "price": price < 5, "none": np.zeros(n, bool)}[rule]
    gold = said ^ turned
    texts = [" ".join([*rng.choice(FILL, 4), ("blue", "red")[one]]) for one in said]
    columns = {"t": texts, "place": [f"place{one}" for one in place], "price": price}
    return rows_of(columns, {"y": np.where(np.arange(2) == gold[:, None], 1.0, 0.0).tolist()}), gold


def fit(table: pa.Table, **options: object) -> Trained:
    spec = train_spec({"buckets_bits": 12, "text": ["t"], "categories": ["place"], **options})
    return train(COLUMNS, [TASK], batches_of(table, 1000), spec)


def right(trained: Trained, rule: str) -> float:
    table, gold = rows(1000, rule, seed=1)
    (batch,) = table.combine_chunks().to_batches()
    found = Predictor.load(trained.manifest, trained.weights).predict(batch)["y"].probabilities
    return float((found.argmax(axis=1) == gold).mean())


@pytest.mark.parametrize("rule", ["place", "price"])
def test_a_label_that_hangs_on_a_word_and_a_column_together_is_learned(rule: str) -> None:
    table, _ = rows(1500, rule)
    found = fit(table)
    assert right(found, rule) > 0.95
    assert right(fit(table, pairs="none"), rule) < 0.6
    assert any("read in pairs" in one for one in found.notices)
    assert found.manifest["network"]["pairs"] == RANK


@pytest.mark.parametrize("epoch", [1, 2])
def test_control_c_while_pairs_are_trained_keeps_the_network_without_them(epoch: int) -> None:
    table, _ = rows(800, "place")
    seen: list[int] = []

    def interrupt(entry: dict[str, Any]) -> None:
        again = 1 in seen and entry["epoch"] == 1 and max(seen) > 1  # the second network begins
        seen.append(entry["epoch"])
        if entry["epoch"] == epoch and (again or seen.count(epoch) > 2):
            raise KeyboardInterrupt

    spec = train_spec({"buckets_bits": 12, "text": ["t"], "categories": ["place"], "on_interrupt": "keep"})
    found = train(COLUMNS, [TASK], batches_of(table, 1000), spec, interrupt)
    assert found.interrupted
    assert found.weights == fit(table, pairs="none").weights
    assert any("interrupted" in notice for notice in found.notices)


def test_where_words_decide_alone_the_network_is_the_same_without_pairs() -> None:
    table, _ = rows(800, "none")
    found, without = fit(table), fit(table, pairs="none")
    assert found.weights == without.weights
    assert found.notices == without.notices
    assert fit(table, pairs="all").manifest["network"]["pairs"] == RANK


def test_pairs_take_text_beside_columns_and_no_slices_unless_asked_for() -> None:
    table, _ = rows(300, "place")
    inside = table.append_column("__s_a", pa.array([True, False, False] * 100))
    for pairs, rank in (("auto", 0), ("all", RANK)):
        spec = train_spec({"buckets_bits": 12, "text": ["t"], "categories": ["place"], "pairs": pairs, "epochs": 1})
        trained = train(COLUMNS, [TASK], batches_of(inside), spec, slices=[SliceInput("a")])
        assert trained.manifest["network"]["pairs"] == rank
    text = rows_of({"t": table.column("t").combine_chunks()}, {"y": table.column("__p_y").to_pylist()})
    alone = train(COLUMNS[:1], [TASK], batches_of(text), train_spec({"text": ["t"], "pairs": "all", "epochs": 1}))
    assert alone.manifest["network"]["pairs"] == 0
    assert any(one.startswith("pairs changed nothing") for one in alone.notices)


def judged(losses: np.ndarray) -> Judged:
    known = np.ones(len(losses), bool)
    return Judged(1.0, np.zeros(2), None, {}, {}, np.arange(len(losses)), RowLosses(losses, known))


@given(st.integers(30, 200), st.floats(0, 0.2), st.integers(0, 9))
def test_a_large_gain_of_one_task_is_a_reason_unless_others_lose_more(n: int, share: float, seed: int) -> None:
    before = judged(np.random.default_rng(seed).uniform(0.1, 1, n))
    little, much, worse = (judged(before.losses.values * part) for part in (1 - share, 0.5, 1.6))
    assert gained([before], [little]) is None
    assert gained([before], [worse]) is None
    assert gained([before, before], [little, much]) == pytest.approx(0.5)
    assert gained([before, before], [much, worse]) is None
    one = judged(np.ones(1))
    assert gained([one], [judged(np.zeros(1))]) is None  # one row shows nothing


@dataclass(frozen=True)
class Done:
    """What training returned."""

    interrupted: bool = False


def test_an_interrupted_training_is_not_followed_by_another() -> None:
    seen: list[int] = []

    def learn(rank: int) -> tuple[Done, list[Judged]]:
        seen.append(rank)
        return Done(interrupted=True), [judged(np.ones(9))]

    assert choose_pairs(learn)[2] is None
    assert seen == [0]
