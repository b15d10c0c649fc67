"""Rows with labels for tasks of every shape, to train the payloads of `tests.model.factoid` on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from tests.model import factoid
from wsdb.model.spec import TrainSpec
from wsdb.model.train import Trained, train

_ONE = pa.list_(pa.float64())
KINDS = {"intent": _ONE, "fun": _ONE} | dict.fromkeys(("pos", "type", "arg", "rank"), pa.list_(_ONE))


def labeled_table(n: int, gold_every: int = 0, seed: int = 0) -> pa.Table:
    """Return n rows; each `gold_every`th is a dev row: its labels are gold, and no task is trained on it."""
    rng = np.random.default_rng(seed)
    rows = factoid.rows_of(rng, n)
    for i, row in enumerate(rows):
        tokens, entities = row["tokens"], row["entities"]
        labels = {
            "intent": np.eye(3)[i % 3].tolist() if i % 4 else None,
            "fun": [0.2, 0.8] if i % 2 else [0.9, 0.1],
            "pos": None if tokens is None else [_pos(token) for token in tokens],
            "type": None if tokens is None else [[float(token == "obama"), None] for token in tokens],
            "arg": [[0.2, 0.8] if j == 0 else [0.9, 0.1] for j in range(len(entities))],
            "rank": [rng.dirichlet(np.ones(3)).tolist() for _ in entities],
        }
        dev = gold_every and i % gold_every == 0
        row["__key"] = i
        for task, value in labels.items():
            row[f"__p_{task}"], row[f"__g_{task}"] = (None, value) if dev else (value, None)
    schema = factoid.SCHEMA
    for task, kind in KINDS.items():
        schema = schema.append(pa.field(f"__p_{task}", kind)).append(pa.field(f"__g_{task}", kind))
    return pa.Table.from_pylist(rows, schema.append(pa.field("__key", pa.int64())))


def _pos(token: str | None) -> list[float] | None:
    if token is None:
        return None
    return np.eye(3)[factoid.WORDS.index(token) % 3].tolist()


def batches(table: pa.Table, size: int = 64) -> Callable[[], Iterator[pa.RecordBatch]]:
    """Make the rows a stream that can be read once."""
    return lambda: iter(table.to_batches(max_chunksize=size))


def fit_shapes(table: pa.Table, **options: object) -> Trained:
    """Train all tasks of `factoid`."""
    spec = TrainSpec(**{"epochs": 2, "buckets_bits": 10, **options})  # type: ignore[arg-type]
    return train(factoid.FEATURES, factoid.TASKS, batches(table), spec, payloads=factoid.PAYLOADS)
