"""Rows to train small networks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pytest

LISTS = pa.list_(pa.float64())


def rows_of(columns: dict[str, object], labels: dict[str, Sequence[object]], keys: object = None) -> pa.Table:
    """Training rows: inputs, per task a list of probabilities or None, and keys 0 … n-1 unless given."""
    n = len(next(iter(labels.values())))
    arrays = {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    arrays |= {f"__p_{task}": pa.array(list(values), LISTS) for task, values in labels.items()}
    arrays["__key"] = pa.array(range(n)) if keys is None else pa.array(keys)
    return pa.table(arrays)


def batches_of(table: pa.Table, size: int = 100) -> Callable[[], Iterator[pa.RecordBatch]]:
    """Make the batches of a table iterable again and again."""
    return lambda: iter(table.to_batches(max_chunksize=size))


GOOD = ["fine", "lovely", "great", "superb"]
BAD = ["awful", "poor", "dreadful", "bad"]
FILL = ["film", "seat", "screen", "actor", "road", "river", "stone", "paper", "night", "window"]


def reviews(n: int, rng: np.random.Generator, *, confidence: float = 0.9) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts that say good or bad words among fillers: texts, their class, and soft labels (n, 2)."""
    gold = rng.integers(0, 2, n)
    words = [[*rng.choice(FILL, 5), rng.choice(BAD if y else GOOD)] for y in gold]
    texts = [" ".join(rng.permutation(row)) for row in words]
    labels = np.where(np.arange(2) == gold[:, None], confidence, 1 - confidence)
    return texts, gold, labels


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(7)
