"""Rules that stand for 'auto', views of text and vectors, and offsets that match decisions to labels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.conftest import batches_of, reviews, rows_of
from wsdb.model.calibrate import decision_offsets, label_shares
from wsdb.model.judge import offsets_of
from wsdb.model.parts import TaskTarget
from wsdb.model.plan import NetworkPlan
from wsdb.model.predictor import Predictor
from wsdb.model.resolve import resolve_batch_size, resolve_patience
from wsdb.model.rows import TaskRows
from wsdb.model.spec import TrainSpec
from wsdb.model.train import Trained, train
from wsdb.model.weights import unpack

TWO, THREE = TaskTarget("y", ("a", "b")), TaskTarget("y", ("a", "b", "c"))


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1), st.floats(0.5, 4))
def test_decision_offsets_bring_the_likeliest_labels_to_the_shares(k: int, seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(3000, k)) * spread
    shares = rng.dirichlet(np.full(k, 5.0))
    offsets = decision_offsets(logits, shares)
    found = np.bincount((logits + offsets).argmax(axis=1), minlength=k) / len(logits)
    assert offsets.sum() == pytest.approx(0, abs=1e-9)
    assert np.abs(found - shares).max() < 0.05


def test_label_shares_divide_ties_and_are_never_zero() -> None:
    assert label_shares(np.array([[0.5, 0.5], [0.9, 0.1]])) == pytest.approx([0.75, 0.25])
    shares = label_shares(np.tile([0.8, 0.2], (50, 1)))
    assert shares.sum() == pytest.approx(1)
    assert shares[1] == pytest.approx(0.01, rel=0.02)
    # more than two labels: half way from the likeliest to the probabilities
    assert label_shares(np.array([[0.6, 0.2, 0.2]] * 50)) == pytest.approx([0.8, 0.1, 0.1])


def labels_of(probabilities: np.ndarray, covered: np.ndarray) -> TaskRows:
    return TaskRows(probabilities, covered, None)


def test_offsets_follow_the_labels_where_no_balance_is_known(rng: np.random.Generator) -> None:
    logits = np.stack([np.zeros(2000), rng.normal(size=2000) - 1], axis=1)
    labels = labels_of(np.where(np.arange(2) == (np.arange(2000) % 2)[:, None], 0.9, 0.1), np.ones(2000, bool))
    offsets = offsets_of(TWO, logits, labels, "auto")
    assert (logits + offsets).argmax(axis=1).mean() == pytest.approx(0.5, abs=0.03)
    assert offsets_of(TWO, logits, labels, 0.5) == pytest.approx(offsets / 2)
    assert not offsets_of(TWO, logits, labels, 0.0).any()


def test_a_known_balance_comes_before_that_of_the_labels(rng: np.random.Generator) -> None:
    logits = np.stack([np.zeros(2000), rng.normal(size=2000)], axis=1)
    labels = labels_of(np.full((2000, 2), 0.5), np.ones(2000, bool))
    known = TaskTarget("y", ("a", "b"), balance=(0.8, 0.2))
    assert (logits + offsets_of(known, logits, labels, "auto")).argmax(axis=1).mean() == pytest.approx(0.2, abs=0.03)


def test_three_labels_take_half_of_the_offset(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(500, 3))
    labels = labels_of(np.tile([0.6, 0.2, 0.2], (500, 1)), np.ones(500, bool))
    assert offsets_of(THREE, logits, labels, "auto") == pytest.approx(offsets_of(THREE, logits, labels, 1.0) / 2)


def test_rows_without_a_label_count_only_where_most_rows_have_one(rng: np.random.Generator) -> None:
    scores = np.r_[rng.normal(size=1000), rng.normal(size=1000) - 6]  # the second half is class 0 beyond doubt
    logits = np.stack([np.zeros(2000), scores], axis=1)
    probabilities = np.where(np.arange(2) == (np.arange(2000) % 2)[:, None], 0.9, 0.1)
    few = offsets_of(TWO, logits, labels_of(probabilities, np.arange(2000) < 1000), "auto")
    many = offsets_of(TWO, logits, labels_of(probabilities, np.arange(2000) < 1600), "auto")
    assert (logits + few).argmax(axis=1)[:1000].mean() == pytest.approx(0.5, abs=0.05)
    assert (logits + many).argmax(axis=1).mean() == pytest.approx(0.5, abs=0.05)


def certain(n: int, yes: float) -> TaskRows:
    return labels_of(np.eye(2)[(np.arange(n) < yes * n).astype(int)], np.ones(n, bool))


def test_labels_without_doubt_move_nothing_but_the_shares_to_a_known_balance(rng: np.random.Generator) -> None:
    logits, labels = np.stack([np.zeros(2000), rng.normal(size=2000)], axis=1), certain(2000, 0.2)
    assert not offsets_of(TWO, logits, labels, "auto").any()
    assert offsets_of(TWO, logits, labels, 1.0).any()
    known = TaskTarget("y", ("a", "b"), balance=(0.5, 0.5))
    shift = offsets_of(known, logits, labels, "auto")
    assert shift[1] - shift[0] == pytest.approx(np.log(0.8 / 0.2))
    assert not offsets_of(TWO, logits, labels_of(np.zeros((2000, 2)), np.zeros(2000, bool)), "auto").any()


def test_networks_with_hidden_units_take_some_steps_an_epoch_however_few_the_rows() -> None:
    wide, deep = (NetworkPlan(0, 3, 0, hidden, ()) for hidden in (0, 8))
    sizes = [resolve_batch_size(TrainSpec(), deep, n) for n in (1, 30, 100, 500, 640, 10_240, 10_241, 10**6)]
    assert sizes == [4, 4, 4, 16, 64, 64, 128, 1024]
    assert [resolve_batch_size(TrainSpec(), wide, n) for n in (1, 500, 10_240)] == [64, 64, 64]
    assert resolve_batch_size(TrainSpec(batch_size=7), deep, 500) == 7
    assert [resolve_patience(TrainSpec(), deep, steps) for steps in (0, 1, 20, 86, 1000)] == [256, 256, 13, 3, 3]
    assert resolve_patience(TrainSpec(), wide, 1) == 3
    assert resolve_patience(TrainSpec(patience=1), deep, 1) == 1


def test_labels_of_elements_move_nothing(rng: np.random.Generator) -> None:
    labels = TaskRows(np.tile([0.9, 0.1], (10, 1)), np.ones(10, bool), np.array([0, 5, 10]))
    assert not offsets_of(TWO, rng.normal(size=(10, 2)), labels, "auto").any()


# ── views ─────────────────────────────────────────────────────────────────────────────────────────

BOTH = [("body", "VARCHAR"), ("vector", "FLOAT[4]")]
FIXED = {"epochs": 3, "buckets_bits": 12, "early_stop": False, "calibrate": "none", "prior_match": 0.0}


def table_of(rng: np.random.Generator, vectors: np.ndarray) -> pa.Table:
    texts, _, labels = reviews(len(vectors), rng)
    columns = {"body": texts, "vector": pa.array(vectors.tolist(), pa.list_(pa.float32()))}
    return rows_of(columns, {"tone": labels.tolist()})


def fitted(table: pa.Table, features: list[tuple[str, str]], **options: object) -> Trained:
    spec = TrainSpec(**{**FIXED, **options})
    return train(features, [TaskTarget("tone", ("good", "bad"))], batches_of(table), spec)


def words(trained: Trained) -> np.ndarray:
    _, parameters = unpack(trained.weights)
    return next(array for name, array in parameters.items() if name.endswith(".text.weight"))


def test_text_learns_the_same_whatever_the_vectors_are() -> None:
    noise = np.random.default_rng(1).normal(size=(2, 300, 4))
    one, other = (fitted(table_of(np.random.default_rng(7), vectors), BOTH) for vectors in noise)
    assert words(one) == pytest.approx(words(other), abs=0)
    assert one.weights != other.weights


def test_the_text_view_learns_as_text_alone_does() -> None:
    vectors = np.random.default_rng(1).normal(size=(300, 4))
    table = table_of(np.random.default_rng(7), vectors)
    both, text = fitted(table, BOTH), fitted(table, BOTH[:1])
    # but for the intercept, which has steps of its own in the text view
    assert np.corrcoef(words(both).ravel(), words(text).ravel())[0, 1] > 0.98
    batch = table.combine_chunks().to_batches()[0]
    found = Predictor.load(both.manifest, both.weights).predict(batch)["tone"].probabilities
    assert (found.argmax(axis=1) == np.array([row[1] > 0.5 for row in table["__p_tone"].to_pylist()])).mean() > 0.95


def test_a_torso_reads_all_inputs_together() -> None:
    noise = np.random.default_rng(1).normal(size=(2, 300, 4))
    one, other = (fitted(table_of(np.random.default_rng(7), vectors), BOTH, hidden=8) for vectors in noise)
    assert np.abs(words(one) - words(other)).max() > 0


def test_sharpening_is_stronger_for_two_labels_than_for_three(rng: np.random.Generator) -> None:
    texts = reviews(200, rng)[0]
    for labels, power in (([0.6, 0.4], 4.0), ([0.6, 0.2, 0.2], 1.0)):
        names = tuple("abc"[: len(labels)])
        rows = [labels if i % 2 else labels[::-1] for i in range(200)]
        task = [TaskTarget("tone", names)]
        table = rows_of({"body": texts}, {"tone": rows})
        auto = train(BOTH[:1], task, batches_of(table), TrainSpec(**FIXED))
        given = train(BOTH[:1], task, batches_of(table), TrainSpec(**FIXED, sharpen=power))
        assert auto.history[0]["loss"] == given.history[0]["loss"]
