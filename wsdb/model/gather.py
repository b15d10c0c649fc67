"""Statistics of one column from a stream of its chunks: `see` each chunk's raw values once, then `fit`.

Raw values are those of `wsdb.model.columns`. Kept are counts, or one number per row: exact statistics that do not
depend on the order of the rows nor on where the chunks begin.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wsdb.model.columns import (
    MAX_CATEGORIES,
    CategoryFit,
    NumberFit,
    TableFit,
    TextFit,
    TimestampFit,
    VectorFit,
    vector_length_error,
)
from wsdb.model.hashing import HashedRows


class Gather(Protocol):
    """What is known of a column so far."""

    def see(self, raw: Any) -> None:
        """Take in the raw values of a chunk."""

    def fit(self) -> TextFit | TableFit:
        """Fit on all that was seen."""

    def notices(self, name: str) -> list[str]:
        """What the user should know of the column called `name`, one sentence each."""


class TextGather:
    """Rows that each bucket occurs in."""

    def __init__(self, bits: int, min_rows: int) -> None:
        self.bits, self.min_rows, self.n = bits, min_rows, 0
        self.frequency = np.zeros(1 << bits, np.int64)

    def see(self, raw: HashedRows) -> None:
        """Count the buckets, which are distinct within a row."""
        self.n += len(raw.indptr) - 1
        self.frequency += np.bincount(raw.buckets, minlength=1 << self.bits)

    def fit(self) -> TextFit:
        """Fit on all rows."""
        return TextFit.of(self.n, self.frequency, self.bits, self.min_rows)

    def notices(self, name: str) -> list[str]:
        """Nothing."""
        return []


class CategoryGather:
    """Rows of each value."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def see(self, raw: pa.Array) -> None:
        """Count the values that are not NULL."""
        pairs = pc.value_counts(raw.drop_null())
        values, counts = pairs.field(0).to_pylist(), pairs.field(1).to_pylist()
        for value, count in zip(values, counts, strict=True):
            self.counts[value] += count

    def fit(self) -> CategoryFit:
        """Fit on all rows."""
        return CategoryFit.of(self.counts)

    def notices(self, name: str) -> list[str]:
        """Tell of values that are not kept."""
        if len(self.counts) <= MAX_CATEGORIES:
            return []
        return [
            f"column {name}: the {MAX_CATEGORIES:,} most frequent of {len(self.counts):,} values "
            "are kept, the rest count as unknown"
        ]


class NumberGather:
    """All numbers, float64; NaN for none."""

    def __init__(self, fitted: type[NumberFit] | type[TimestampFit]) -> None:
        self.fitted = fitted
        self.parts: list[np.ndarray] = []
        self.odd = 0

    def see(self, raw: np.ndarray, nulls: int | None = None) -> None:
        """Keep the numbers; of those that are missing, `nulls` are NULL and the others were NaN or infinite."""
        missing = np.isnan(raw)
        self.parts.append(raw[~missing])
        self.odd += 0 if nulls is None else int(missing.sum()) - nulls

    def fit(self) -> NumberFit | TimestampFit:
        """Fit on all rows."""
        return self.fitted.of(np.concatenate([np.empty(0), *self.parts]))

    def notices(self, name: str) -> list[str]:
        """Tell of numbers that are none."""
        if not self.odd:
            return []
        return [f"column {name}: {self.odd:,} values are NaN or infinite and count as NULL"]


class VectorGather:
    """Length of the vectors of column `name`, and the squared norm of each, float64."""

    def __init__(self, name: str) -> None:
        self.name, self.length = name, 0
        self.squares: list[np.ndarray] = []

    def see(self, raw: np.ndarray) -> None:
        """Keep the norms; WS507 for vectors of another length than before. A chunk of NULLs has length 0."""
        if raw.shape[1] == 0:
            return
        if self.length not in (0, raw.shape[1]):
            raise vector_length_error(self.name, self.length, raw.shape[1])
        self.length = raw.shape[1]
        known = raw[~np.isnan(raw).any(axis=1)].astype(np.float64)
        self.squares.append((known * known).sum(axis=1))

    def fit(self) -> VectorFit:
        """Fit on all rows."""
        return VectorFit.of(self.length, np.concatenate([np.empty(0), *self.squares]))

    def notices(self, name: str) -> list[str]:
        """Nothing."""
        return []


def gather_of(kind: str, name: str, bits: int, min_rows: int) -> Gather:
    """Return an empty gathering for a column of a kind of `wsdb.model.features.KINDS`."""
    match kind:
        case "text":
            return TextGather(bits, min_rows)
        case "category" | "boolean":
            return CategoryGather()
        case "number":
            return NumberGather(NumberFit)
        case "timestamp":
            return NumberGather(TimestampFit)
    return VectorGather(name)
