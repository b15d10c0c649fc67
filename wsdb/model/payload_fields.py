"""One field of a payload's elements: its statistics, gathered batch by batch, and its arrays.

A text field becomes two things: the slot of the whole value in a vocabulary (0 NULL, 1 unknown, 2 … the values, most
frequent first), as categories have it, and the slots of its hashed n-grams. These are the word and the character grams
of 3 and 4 letters inside it, so that a misspelt or unseen token is near to what it looks like; where values are long
(more than three blanks on average) they are words and pairs of words. Other fields are read as columns are.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from wsdb.core.errors import ModelError
from wsdb.model.columns import (
    TABLE_FITS,
    CategoryFit,
    TableFit,
    TextFit,
    VectorFit,
    read_category,
    read_number,
    read_timestamp,
    read_vector,
)
from wsdb.model.gather import gather_of
from wsdb.model.hashing import HashedRows, hash_ngrams

MAX_VALUES = 50_000
"""Values of a text field that have a slot of their own."""
_BITS = 18
_LONG = 3  # blanks in a value, on average, from which on words are read instead of letters
_MOST_COUNTED = 2_000_000  # values counted at a time; where there are more, those met once are forgotten


@dataclass(frozen=True, slots=True)
class GramsFit:
    """The n-gram buckets of a text field that came often enough.

    Attributes
    ----------
    buckets : int32 array of shape (v,), ascending: slot s is bucket buckets[s]
    long : whether grams are words and pairs of words
    slot_of : int32 array of shape (2**18,); -1 for a bucket that is not kept
    """

    buckets: np.ndarray
    long: bool
    slot_of: np.ndarray

    @classmethod
    def of(cls, buckets: np.ndarray, *, long: bool) -> GramsFit:
        """Number the kept buckets."""
        slot_of = np.full(1 << _BITS, -1, np.int32)
        slot_of[buckets] = np.arange(len(buckets), dtype=np.int32)
        return cls(buckets.astype(np.int32), long, slot_of)

    def apply(self, values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Kept slots of each value: lengths int64 (E,) and slots int32 (nnz,)."""
        grams = count_grams(values, long=self.long)
        slots = self.slot_of[grams.buckets]
        row = np.repeat(np.arange(len(values)), np.diff(grams.indptr))[slots >= 0]
        return np.bincount(row, minlength=len(values)), slots[slots >= 0]


def count_grams(values: pa.Array, *, long: bool) -> HashedRows:
    """Hash the n-grams of text values."""
    return hash_ngrams(values, bits=_BITS, word_ngrams=2 if long else 1, char_ngrams=(0, 0) if long else (3, 4))


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the elements with its fitted statistics.

    Attributes
    ----------
    name : of the field
    kind : text, boolean, number, timestamp or vector
    fit : of the column; of a text field, its vocabulary
    grams : of a text field, None otherwise
    """

    name: str
    kind: str
    fit: TableFit
    grams: GramsFit | None

    def apply(self, column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Slots int32 (E, c) and dense columns float32 (E, d)."""
        column = as_kind(self.name, self.kind, column)
        length = self.fit.length if isinstance(self.fit, VectorFit) else None
        return self.fit.apply(_read(self.name, self.kind, column, length))

    def to_manifest(self) -> dict[str, Any]:
        """Return the statistics as plain values; the buckets of grams are in the tensors."""
        facts = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self.fit).items()}
        long = None if self.grams is None else self.grams.long
        return {"name": self.name, "kind": self.kind, "fit": facts, "long": long}

    @classmethod
    def restore(cls, facts: Mapping[str, Any], buckets: np.ndarray | None) -> Field:
        """Build from what `to_manifest` gave, and the buckets."""
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in facts["fit"].items()}
        grams = None if buckets is None else GramsFit.of(buckets, long=facts["long"])
        return cls(facts["name"], facts["kind"], TABLE_FITS[_FITS[facts["kind"]]](**plain), grams)


_FITS = {"text": "category", "boolean": "boolean", "number": "number", "timestamp": "timestamp", "vector": "vector"}


class Fitting(Protocol):
    """Statistics of one field in the making."""

    def update(self, column: pa.Array) -> None:
        """Take in the elements of one more batch."""

    def finish(self, min_rows: int) -> tuple[Field, list[str]]:
        """Return the field, and notices."""


def fitting_of(payload: str, name: str, kind: pa.DataType) -> Fitting:
    """Return the statistics to gather for a field of an Arrow type.

    Raises
    ------
    ModelError  WS503 if a model cannot read the type.
    """
    found = kind_of(kind)
    if found is None:
        raise ModelError(
            "WS503",
            f"a model cannot read field {name} of payload {payload}: it is of type {kind}",
            hint="fields are VARCHAR, BOOLEAN, numbers, DATE, TIMESTAMP, and lists of words or of numbers",
            payload=payload,
            column=name,
        )
    return _TextFitting(name) if found == "text" else _ColumnFitting(name, found)


def kind_of(kind: pa.DataType) -> str | None:
    """Return the kind of a field by its Arrow type, None where a model cannot read it; a list of words is text."""
    if pt.is_dictionary(kind):
        return kind_of(kind.value_type)
    if pt.is_string(kind) or pt.is_large_string(kind) or pt.is_null(kind):
        return "text"
    if pt.is_boolean(kind):
        return "boolean"
    if pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind):
        return "number"
    if pt.is_timestamp(kind) or pt.is_date(kind):
        return "timestamp"
    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind):
        return {"text": "text", "number": "vector"}.get(kind_of(kind.value_type) or "")
    return None


def as_kind(name: str, kind: str, column: pa.Array) -> pa.Array:
    """Return the column as its kind is read: text as large_string, words of a list joined by blanks.

    Raises
    ------
    ModelError  WS504 if it is of another kind than in training.
    """
    if pt.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pt.is_null(column.type):
        return pa.nulls(len(column), pa.large_string()) if kind == "text" else column
    if kind_of(column.type) != kind:
        raise ModelError(
            "WS504",
            f"model was trained on field {name} as {kind}; got {column.type}",
            column=name,
            got=str(column.type),
        )
    if kind != "text":
        return column
    if not (pt.is_string(column.type) or pt.is_large_string(column.type)):
        column = pc.binary_join(pc.cast(column, pa.list_(pa.string())), " ")
    return pc.cast(column, pa.large_string())


def _read(name: str, kind: str, column: pa.Array, length: int | None) -> Any:
    match kind:
        case "text" | "boolean":
            return read_category(column)
        case "number":
            return read_number(column)
        case "timestamp":
            return read_timestamp(column)
    return read_vector(name, column, length)


class _TextFitting:
    """Counts of values and of grams; both readings of a value are counted, as only the end shows which suits."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: Counter[str] = Counter()
        self.letters = np.zeros(1 << _BITS, np.int64)
        self.words = np.zeros(1 << _BITS, np.int64)
        self.total = self.blanks = 0

    def update(self, column: pa.Array) -> None:
        """Count the values of one more batch."""
        counted = pc.value_counts(as_kind(self.name, "text", column).drop_null())
        values, counts = counted.field("values"), np.asarray(counted.field("counts"))
        if not len(values):
            return
        for value, count in zip(values.to_pylist(), counts.tolist(), strict=True):
            self.values[value] += count
        if len(self.values) > _MOST_COUNTED:
            self.values = Counter({value: count for value, count in self.values.items() if count > 1})
        self.total += int(counts.sum())
        self.blanks += int(np.asarray(pc.count_substring(values, " ")) @ counts)
        for table, long in ((self.letters, False), (self.words, True)):
            grams = count_grams(values, long=long)
            np.add.at(table, grams.buckets, np.repeat(counts, np.diff(grams.indptr)))

    def finish(self, min_rows: int) -> tuple[Field, list[str]]:
        """Keep the values and buckets met at least `min_rows` times, of values the most frequent."""
        often = [value for value, count in self.values.items() if count >= min_rows]
        often.sort(key=lambda value: (-self.values[value], value))
        notices = []
        if len(often) > MAX_VALUES:
            notices.append(
                f"field {self.name}: the {MAX_VALUES:,} most frequent of {len(often):,} values have a vector of their "
                "own, the rest is known by its letters"
            )
        long = self.blanks > _LONG * self.total
        buckets = np.flatnonzero((self.words if long else self.letters) >= max(min_rows, 1))
        fit = CategoryFit(tuple(often[:MAX_VALUES]))
        return Field(self.name, "text", fit, GramsFit.of(buckets, long=long)), notices


class _ColumnFitting:
    """What the statistics of other fields need, gathered as of columns."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.gather = gather_of(kind, name, 0, 0)

    def update(self, column: pa.Array) -> None:
        """Take in the values of one more batch."""
        self.gather.see(_read(self.name, self.kind, as_kind(self.name, self.kind, column), None))

    def finish(self, min_rows: int) -> tuple[Field, list[str]]:
        """Fit on all values."""
        fit = self.gather.fit()
        assert not isinstance(fit, TextFit)
        return Field(self.name, self.kind, fit, None), self.gather.notices(self.name)
