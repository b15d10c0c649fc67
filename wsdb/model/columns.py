"""One column at a time: Arrow to raw numpy values, the statistics fitted on them, and the statistics applied.

For every kind there is a `read` (needs no statistics), a fit class with a constructor `of`, and the fit's
`apply`; `wsdb.model.gather` collects from a stream of chunks what `of` needs. Statistics do not depend on the order
of the rows: sums run over sorted values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from wsdb.core.errors import ModelError
from wsdb.model.arrays import Ragged
from wsdb.model.hashing import HashedRows

MAX_CATEGORIES = 65_536
"""Values of a category that have a slot of their own."""
_BINS = 16
_SQUARE = 1e100  # numbers above it are scaled before they are squared
_CLIP = 5.0  # standard deviations
_DAY = 86_400_000_000  # microseconds


# ── read: Arrow → numpy ───────────────────────────────────────────────────────────────────────────


def read_category(column: pa.Array) -> pa.Array:
    """Values as large_string; a boolean becomes 'true' or 'false'; NULL stays NULL."""
    return pc.cast(column, pa.large_string())


def read_number(column: pa.Array) -> np.ndarray:
    """Values as float64 of shape (n,); NULL, NaN and infinities become NaN."""
    values = np.array(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    values[~np.isfinite(values)] = np.nan
    return values


def read_timestamp(column: pa.Array) -> np.ndarray:
    """Microseconds since 1970 UTC as float64 of shape (n,); NULL becomes NaN."""
    if pt.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    unit = column.type.unit if pt.is_timestamp(column.type) else "us"
    ticks = pc.cast(pc.cast(column, pa.int64()), pa.float64(), safe=False)
    scale = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}[unit]
    return np.asarray(ticks.to_numpy(zero_copy_only=False)) * scale


def read_vector(name: str, column: pa.Array, length: int | None) -> np.ndarray:
    """Vectors as float32 of shape (n, length); a NULL row is all NaN, a NULL or infinite element is 0.

    Raises
    ------
    ModelError  WS507 if a vector has another length than the first one, or than `length` where that is given.
    """
    n = len(column)
    present = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=bool)
    if pt.is_null(column.type) or not present.any():
        return np.full((n, length or 0), np.nan, np.float32)
    full = column.drop_null()
    lengths = np.asarray(pc.list_value_length(full).to_numpy(zero_copy_only=False))
    wanted = int(lengths[0]) if length is None else length
    if (lengths != wanted).any():
        other = int(lengths[lengths != wanted][0])
        raise vector_length_error(name, wanted, other)
    values = pc.cast(full.flatten(), pa.float32(), safe=False)
    numbers = np.asarray(pc.fill_null(values, 0.0).to_numpy(zero_copy_only=False)).reshape(len(full), wanted)
    rows = np.full((n, wanted), np.nan, np.float32)
    rows[present] = np.where(np.isfinite(numbers), numbers, np.float32(0))
    return rows


def vector_length_error(name: str, expected: int, got: int) -> ModelError:
    """Return the error for vectors of different lengths in one column."""
    message = f"vectors of column {name} must all have {expected} numbers; found one of {got}"
    return ModelError("WS507", message, column=name, expected=expected, got=got)


# ── fit and apply ─────────────────────────────────────────────────────────────────────────────────
# Category slots of a column are counted from 0 within the column; slot 0 always stands for NULL.


@dataclass(frozen=True, slots=True)
class TextFit:
    """Inverse document frequency of the buckets kept; idf = ln((1 + n) / (1 + df)) + 1.

    Attributes
    ----------
    buckets : int32 array of shape (v,), ascending: the slots of the column, slot s is bucket buckets[s]
    idf : float32 array of shape (v,)
    slot_of : int32 array of shape (2**bits,); -1 for a bucket that is not kept
    """

    buckets: np.ndarray
    idf: np.ndarray
    slot_of: np.ndarray

    @classmethod
    def of(cls, n: int, frequency: np.ndarray, bits: int, min_rows: int) -> TextFit:
        """Fit on `n` rows, of which frequency[b] have bucket b; keep the buckets of at least `min_rows` rows."""
        buckets = np.flatnonzero(frequency >= min_rows).astype(np.int32)
        idf = np.log((1 + n) / (1 + frequency[buckets])) + 1
        return cls.restore(buckets, idf.astype(np.float32), bits)

    @classmethod
    def restore(cls, buckets: np.ndarray, idf: np.ndarray, bits: int) -> TextFit:
        """Build from stored statistics."""
        slot_of = np.full(1 << bits, -1, np.int32)
        slot_of[buckets] = np.arange(len(buckets), dtype=np.int32)
        return cls(buckets, idf, slot_of)

    def apply(self, rows: HashedRows) -> Ragged:
        """Return TF-IDF rows of length 1: slots int32 and values float32, of the buckets that are kept.

        tf = 1 + ln(count). A row without a kept bucket has no entry.
        """
        slot = self.slot_of.take(rows.buckets)
        kept = np.flatnonzero(slot >= 0)
        slots, counts = slot.take(kept), rows.counts.take(kept)
        indptr = np.searchsorted(kept, rows.indptr)
        values = self.idf.take(slots)
        many = np.flatnonzero(counts > 1)  # few
        logs = np.log(np.arange(1, counts.max(initial=1) + 1))
        values[many] *= 1 + logs.take(counts[many] - 1)
        sizes = np.diff(indptr)
        full = sizes > 0
        squares = np.square(values, dtype=np.float64)
        length = np.sqrt(np.add.reduceat(squares, indptr[:-1][full])).astype(np.float32)  # of the rows with any
        values /= np.repeat(length, sizes[full])
        return Ragged(indptr, {"slots": slots, "values": values})


@dataclass(frozen=True, slots=True)
class CategoryFit:
    """The values of a category, most frequent first; slots: 0 NULL, 1 unknown, 2 … the values."""

    values: tuple[str, ...]

    n_dense: ClassVar[int] = 0

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> CategoryFit:
        """Fit on the rows of each value."""
        ranked = sorted(counts, key=lambda value: (-counts[value], value))
        return cls(tuple(ranked[:MAX_CATEGORIES]))

    @property
    def slots(self) -> tuple[int, ...]:
        """Slots of each category column made."""
        return (len(self.values) + 2,)

    def apply(self, values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Slots int32 (n, 1) and no dense columns."""
        found = pc.fill_null(pc.index_in(values, pa.array(self.values, pa.large_string())), -1)
        slot = np.asarray(found.to_numpy(zero_copy_only=False)) + 2
        slot[np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False), dtype=bool)] = 0
        return slot.astype(np.int32)[:, None], np.empty((len(slot), 0), np.float32)


@dataclass(frozen=True, slots=True)
class NumberFit:
    """Mean, standard deviation and the edges between at most 16 bins; slots: 0 NULL, 1 … the bins."""

    mean: float
    std: float
    edges: tuple[float, ...]

    n_dense: ClassVar[int] = 1

    @classmethod
    def of(cls, values: np.ndarray) -> NumberFit:
        """Fit on all rows; bins are the distinct values where there are at most 16, quantiles otherwise."""
        known = np.sort(values[~np.isnan(values)])
        if len(known) == 0:
            return cls(0.0, 1.0, ())
        distinct = np.unique(known)
        if len(distinct) <= _BINS:
            edges = (distinct[1:] + distinct[:-1]) / 2
        else:
            edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS))
        return cls(*_mean_and_spread(known), tuple(edges.tolist()))

    @property
    def slots(self) -> tuple[int, ...]:
        """Slots of each category column made."""
        return (len(self.edges) + 2,)

    def apply(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slots int32 (n, 1); dense float32 (n, 1), standardized and clipped to 5 deviations, NULL 0."""
        missing = np.isnan(values)
        slot = np.where(missing, 0, 1 + np.searchsorted(np.array(self.edges), values, side="right"))
        return slot.astype(np.int32)[:, None], _standard(values, self.mean, self.std)[:, None]


@dataclass(frozen=True, slots=True)
class TimestampFit:
    """Mean and standard deviation in days; slots of hour, weekday, month, day and minute in UTC, 0 for NULL."""

    mean: float
    std: float

    n_dense: ClassVar[int] = 1
    slots: ClassVar[tuple[int, ...]] = (25, 8, 13, 32, 61)

    @classmethod
    def of(cls, micros: np.ndarray) -> TimestampFit:
        """Fit on all rows."""
        days = np.sort(micros[~np.isnan(micros)]) / _DAY
        return cls(*_mean_and_spread(days)) if len(days) else cls(0.0, 1.0)

    def apply(self, micros: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slots int32 (n, 5); dense float32 (n, 1), the day standardized, NULL 0."""
        missing = np.isnan(micros)
        whole = np.where(missing, 0, micros).astype(np.int64)
        day = whole // _DAY
        month = day.astype("datetime64[D]").astype("datetime64[M]")
        parts = (
            whole // (_DAY // 24) % 24,
            (day + 4) % 7,  # 1970-01-01 was a Thursday
            month.astype(np.int64) % 12,
            day - month.astype("datetime64[D]").astype(np.int64),
            whole // (_DAY // 1440) % 60,
        )
        slot = np.where(missing[:, None], 0, np.stack(parts, axis=1) + 1)
        return slot.astype(np.int32), _standard(micros / _DAY, self.mean, self.std)[:, None]


@dataclass(frozen=True, slots=True)
class VectorFit:
    """Length of the vectors and the root mean square of their norms; slots: 0 NULL, 1 present."""

    length: int
    norm: float

    slots: ClassVar[tuple[int, ...]] = (2,)

    @classmethod
    def of(cls, length: int, squares: np.ndarray) -> VectorFit:
        """Fit on the squared norms of all vectors."""
        norm = float(np.sqrt(np.sort(squares).mean())) if len(squares) else 1.0
        return cls(length, norm or 1.0)

    @property
    def n_dense(self) -> int:
        """Dense columns made."""
        return self.length

    def apply(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slots int32 (n, 1); dense float32 (n, length), scaled to a mean element of size 1, NULL 0."""
        missing = np.isnan(rows).any(axis=1)
        dense = np.where(missing[:, None], 0, rows / self.norm * np.sqrt(max(self.length, 1)))
        return np.where(missing, 0, 1).astype(np.int32)[:, None], dense.astype(np.float32)


TableFit = CategoryFit | NumberFit | TimestampFit | VectorFit
TABLE_FITS: dict[str, Any] = {
    "category": CategoryFit,
    "boolean": CategoryFit,
    "number": NumberFit,
    "timestamp": TimestampFit,
    "vector": VectorFit,
}
"""Fit class of every kind but text."""


def _mean_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation, which is 1 where all values are equal; also of values whose squares overflow."""
    most = float(np.abs(values).max())
    if most > _SQUARE:
        mean, spread = _mean_and_spread(values / most)
        return mean * most, spread * most
    spread = float(values.std())
    return float(values.mean()), spread if spread > 1e-12 * max(1.0, most) else 1.0


def _standard(values: np.ndarray, mean: float, std: float) -> np.ndarray:
    return np.clip(np.nan_to_num((values - mean) / std, nan=0.0), -_CLIP, _CLIP).astype(np.float32)
