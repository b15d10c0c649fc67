"""What networks with payloads can learn: references between payloads, misspelt tokens, pretrained vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from wsdb.model.parts import PayloadInput, TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import TrainSpec
from wsdb.model.train import train
from wsdb.model.word_vectors import Embedding

TOKENS = PayloadInput("tokens", "sequence", (("tokens", "VARCHAR[]"),))
COLORS = ("red", "green", "blue")


def learned(
    rows: Sequence[dict[str, Any]], task: TaskTarget, payloads: Sequence[PayloadInput], spec: TrainSpec, **options: Any
) -> Predictor:
    """Train one task; the labels of row r are r["label"]."""
    inner: pa.DataType = pa.list_(pa.float64())
    kind = inner if task.payload is None else pa.list_(inner)
    table = pa.Table.from_pylist([{name: value for name, value in row.items() if name != "label"} for row in rows])
    table = table.append_column(f"__p_{task.name}", pa.array([row["label"] for row in rows], kind))
    table = table.append_column("__key", pa.array(range(len(rows))))
    found = train((), [task], lambda: iter(table.to_batches(100)), spec, payloads=payloads, **options)
    return Predictor.load(found.manifest, found.weights)


def picked(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    """Rows that name a color, and three things of which one stands where the color is said again."""
    rows = []
    for i in range(n):
        order = rng.permutation(3)
        tokens = ["take", "the", COLORS[i % 3], "one", "of", *(COLORS[c] for c in order)]
        things = [{"name": f"thing {p}", "span": {"first": 6 + p, "last": 6 + p}} for p in range(3)]
        label = [[0.1, 0.9] if c == i % 3 else [0.9, 0.1] for c in order]
        rows.append(
            {"tokens": tokens, "things": things, "label": label, "answer": int(np.flatnonzero(order == i % 3)[0])}
        )
    rows[5] |= {"label": None}  # NULL labels nothing
    return rows


@pytest.mark.parametrize(("combine", "encoder"), [("attention", "mlp"), ("mean", "mlp"), ("max", "cnn")])
def test_a_selected_element_is_the_one_whose_span_says_what_the_row_asks(combine: str, encoder: str) -> None:
    # Every color is in every row, and the largest states say no more unless they know their neighbors.
    rows = picked(np.random.default_rng(0), 600)
    things = PayloadInput("things", "set", (("things", "STRUCT(…)[]"),), spans=("tokens", "span"))
    task = TaskTarget("pick", ("no", "yes"), kind="select", payload="things")
    spec = TrainSpec(epochs=20, encoder=encoder, combine=combine, encoder_lr=0.01)
    predictor = learned(rows, task, (TOKENS, things), spec)
    new = picked(np.random.default_rng(1), 150)
    scores = predictor.predict(
        pa.RecordBatch.from_pylist([{"tokens": r["tokens"], "things": r["things"]} for r in new])
    )
    best = scores["pick"].probabilities[:, 1].reshape(150, 3).argmax(axis=1)
    assert (best == np.array([row["answer"] for row in new])).mean() > 0.9


def tagged(rng: np.random.Generator, n: int, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of words among which one is a name."""
    words = ("we", "saw", "it", "near", "there", "once", "more")
    rows = []
    for _ in range(n):
        tokens = list(rng.choice(words, 5))
        at = int(rng.integers(0, 5))
        tokens[at] = str(rng.choice(names))
        rows.append({"tokens": tokens, "label": [[0.1, 0.9] if p == at else [0.9, 0.1] for p in range(5)], "at": at})
    return rows


def found_names(predictor: Predictor, rows: Sequence[dict[str, Any]]) -> float:
    """Share of the rows whose likeliest name is the name."""
    scores = predictor.predict(pa.RecordBatch.from_pylist([{"tokens": row["tokens"]} for row in rows]))["name"]
    return float((scores.probabilities[:, 1].reshape(-1, 5).argmax(axis=1) == [row["at"] for row in rows]).mean())


NAME = TaskTarget("name", ("no", "yes"), kind="binary", payload="tokens")


def test_misspelt_tokens_are_known_by_their_letters() -> None:
    rng = np.random.default_rng(0)
    predictor = learned(
        tagged(rng, 400, ("washington", "barcelona", "alexandria")), NAME, (TOKENS,), TrainSpec(epochs=8, encoder="bow")
    )
    assert found_names(predictor, tagged(rng, 100, ("washingtun", "barcelonna", "alexxandria"))) > 0.95


def test_tokens_never_seen_are_known_by_their_pretrained_vectors() -> None:
    rng = np.random.default_rng(0)
    names = ["ab", "cd", "ef", "gh", "ij", "kl"]
    tokens = pa.array([*names, "we", "saw", "it", "near", "there", "once", "more"])
    vectors = rng.normal(size=(13, 8)).astype(np.float32) * 0.1
    vectors[:6, 0] += 3
    payload = PayloadInput("tokens", "sequence", TOKENS.columns, embedding="vectors", frozen=True)
    rows = tagged(rng, 400, names[:3])
    given = {"vectors": Embedding("vectors", tokens, vectors)}
    predictor = learned(rows, NAME, (payload,), TrainSpec(epochs=8, encoder="mlp"), embeddings=given)
    assert found_names(predictor, tagged(rng, 100, names[3:])) > 0.95
