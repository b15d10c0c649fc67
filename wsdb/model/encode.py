"""Encoder: Arrow columns to the arrays a network reads; fitted once on the training rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.core.errors import ModelError
from wsdb.model.columns import (
    MAX_CATEGORIES,
    TABLE_FITS,
    CategoryFit,
    NumberFit,
    TableFit,
    TextFit,
    TimestampFit,
    VectorFit,
    read_category,
    read_number,
    read_timestamp,
    read_vector,
    vector_length_error,
)
from wsdb.model.features import FeatureSpec, check_column, choose_kinds
from wsdb.model.hashing import HashedRows, concat_rows, hash_ngrams


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """The inputs of n rows.

    Attributes
    ----------
    indptr : int64 array of shape (n + 1,); the text entries of row i are indptr[i] … indptr[i+1]-1
    slots : int32 array of shape (nnz,), text slots over all text columns
    values : float32 array of shape (nnz,), TF-IDF weights; each text column of a row has length 1 (or 0, if
        empty)
    categories : int32 array of shape (n, c), one slot per category column, numbered over all of them
    dense : float32 array of shape (n, d)
    """

    indptr: np.ndarray
    slots: np.ndarray
    values: np.ndarray
    categories: np.ndarray
    dense: np.ndarray

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def take(self, rows: np.ndarray) -> EncodedBatch:
        """Return the given rows, in the given order."""
        lengths = self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        at = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], lengths)
        return EncodedBatch(indptr, self.slots[at], self.values[at], self.categories[rows], self.dense[rows])


@dataclass(frozen=True, slots=True)
class Hashing:
    """How text is hashed: bits of the table, longest word gram, (shortest, longest) character gram."""

    bits: int
    word_ngrams: int
    char_ngrams: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Encoder:
    """Features with their fitted statistics.

    Attributes
    ----------
    features : in the order of the columns
    fits : one per feature
    hashing : for text
    """

    features: tuple[FeatureSpec, ...]
    fits: tuple[TextFit | TableFit, ...]
    hashing: Hashing

    @classmethod
    def fit(
        cls,
        features: Sequence[tuple[str, str]],
        table: pa.Table,
        hashing: Hashing,
        min_rows: int,
        chosen: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[Encoder, EncodedBatch, list[str]]:
        """Choose kinds and fit statistics on all rows of `table`; also return its rows encoded, and notices.

        Text buckets of fewer than `min_rows` rows are dropped; columns in `chosen` have the kind given there.

        Raises
        ------
        ModelError  WS503 unsupported type, WS504 other Arrow type than declared, WS507 vectors of several
            lengths.
        """
        for name, _ in features:
            if name not in table.column_names:
                raise ModelError("WS504", f"the training rows have no column {name}", column=name)
        specs, notices = choose_kinds(features, table, chosen)
        raws, fits = [], []
        for spec in specs:
            column = table.column(spec.name)
            chunks = column.chunks or [pa.array([], column.type)]
            raw = _join(spec, [_read(spec, check_column(spec, chunk), hashing, None) for chunk in chunks])
            fit, notes = _fit(spec, raw, column.null_count, hashing, min_rows)
            raws.append(raw)
            fits.append(fit)
            notices.extend(notes)
        encoder = cls(specs, tuple(fits), hashing)
        return encoder, encoder._apply(raws, table.num_rows), notices

    def encode(self, batch: pa.RecordBatch | pa.StructArray) -> EncodedBatch:
        """Encode rows; columns are found by name, others are ignored. Every batch size gives the same rows.

        Raises
        ------
        ModelError  WS504 if a column is missing or of another family, WS507 for a vector of another length.
        """
        raws = [
            _read(spec, column_of(batch, spec), self.hashing, fit)
            for spec, fit in zip(self.features, self.fits, strict=True)
        ]
        return self._apply(raws, len(batch))

    def _apply(self, raws: Sequence[Any], n: int) -> EncodedBatch:
        texts, categories, dense = [], [np.empty((n, 0), np.int32)], [np.empty((n, 0), np.float32)]
        text_slots = category_slots = 0
        for fit, raw in zip(self.fits, raws, strict=True):
            if isinstance(fit, TextFit):
                row, slot, value = fit.apply(raw)
                texts.append((row, slot + np.int32(text_slots), value))
                text_slots += len(fit.buckets)
            else:
                columns, numbers = fit.apply(raw)
                starts = category_slots + np.cumsum((0, *fit.slots))
                categories.append(columns + starts[:-1].astype(np.int32))
                category_slots = int(starts[-1])
                dense.append(numbers)
        return EncodedBatch(*_stack(texts, n), np.concatenate(categories, axis=1), np.concatenate(dense, axis=1))

    @property
    def n_text(self) -> int:
        """Number of text slots."""
        return sum(len(fit.buckets) for fit in self.fits if isinstance(fit, TextFit))

    @property
    def n_category(self) -> int:
        """Number of category slots."""
        return sum(sum(fit.slots) for fit in self.fits if not isinstance(fit, TextFit))

    @property
    def n_dense(self) -> int:
        """Number of dense columns."""
        return sum(fit.n_dense for fit in self.fits if not isinstance(fit, TextFit))

    def to_manifest(self) -> list[dict[str, Any]]:
        """Return features and statistics as plain values; the arrays of text columns are in `tensors`."""
        rows = []
        for spec, fit in zip(self.features, self.fits, strict=True):
            if isinstance(fit, TextFit):
                facts: dict[str, Any] = {"slots": len(fit.buckets)}
            else:
                facts = {
                    name: list(value) if isinstance(value, tuple) else value
                    for name, value in dataclasses.asdict(fit).items()
                }
            rows.append({**dataclasses.asdict(spec), "fit": facts})
        return rows

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the fitted arrays by name."""
        arrays: dict[str, np.ndarray] = {}
        for i, fit in enumerate(self.fits):
            if isinstance(fit, TextFit):
                arrays |= {f"feature.{i}.buckets": fit.buckets, f"feature.{i}.idf": fit.idf}
        return arrays

    @classmethod
    def restore(cls, rows: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray], hashing: Hashing) -> Encoder:
        """Build from what `to_manifest` and `tensors` gave."""
        specs, fits = [], []
        for i, row in enumerate(rows):
            spec, facts = FeatureSpec(row["name"], row["type"], row["kind"]), row["fit"]
            specs.append(spec)
            if spec.kind == "text":
                buckets, idf = arrays[f"feature.{i}.buckets"], arrays[f"feature.{i}.idf"]
                fits.append(TextFit.restore(buckets, idf, hashing.bits))
            else:
                plain = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
                fits.append(TABLE_FITS[spec.kind](**plain))
        return cls(tuple(specs), tuple(fits), hashing)


def column_of(batch: pa.RecordBatch | pa.StructArray, spec: FeatureSpec) -> pa.Array:
    """Return the column of `spec`, checked; NULL where a struct row itself is NULL.

    Raises
    ------
    ModelError  WS504 if the batch has no such column or one of another family.
    """
    is_struct = isinstance(batch, pa.StructArray)
    names = [item.name for item in batch.type] if is_struct else batch.schema.names
    if spec.name not in names:
        raise ModelError(
            "WS504",
            f"model was trained on column {spec.name} ({spec.type}); the rows have no such column",
            hint=f"they have {', '.join(names)}",
            column=spec.name,
        )
    index = names.index(spec.name)
    column = batch.flatten()[index] if is_struct else batch.column(index)
    return check_column(spec, column)


def _read(spec: FeatureSpec, column: pa.Array, hashing: Hashing, fit: TextFit | TableFit | None) -> Any:
    """Values of one column without statistics: see `wsdb.model.columns`."""
    match spec.kind:
        case "text":
            return hash_ngrams(
                column, bits=hashing.bits, word_ngrams=hashing.word_ngrams, char_ngrams=hashing.char_ngrams
            )
        case "category" | "boolean":
            return read_category(column)
        case "number":
            return read_number(column)
        case "timestamp":
            return read_timestamp(column)
    return read_vector(spec.name, column, fit.length if isinstance(fit, VectorFit) else None)


def _join(spec: FeatureSpec, parts: list[Any]) -> Any:
    """Put the raw values of several chunks one under the other; WS507 for vectors of two lengths."""
    if isinstance(parts[0], HashedRows):
        return concat_rows(parts)
    if isinstance(parts[0], pa.Array):
        return pa.concat_arrays(parts)
    if parts[0].ndim == 2:  # a chunk of NULL vectors does not know the length
        lengths = [part.shape[1] for part in parts if part.shape[1]]
        length = lengths[0] if lengths else 0
        for other in lengths:
            if other != length:
                raise vector_length_error(spec.name, length, other)
        parts = [part if part.shape[1] else np.full((len(part), length), np.nan, np.float32) for part in parts]
    return np.concatenate(parts)


def _fit(
    spec: FeatureSpec, raw: Any, nulls: int, hashing: Hashing, min_rows: int
) -> tuple[TextFit | TableFit, list[str]]:
    """Fit one column on all its raw values; `nulls` of them are NULL in Arrow."""
    notices = []
    fit: TextFit | TableFit
    match spec.kind:
        case "text":
            return TextFit.of(raw, hashing.bits, min_rows), []
        case "category" | "boolean":
            fit, distinct = CategoryFit.of([raw])
            if distinct > MAX_CATEGORIES:
                notices.append(
                    f"column {spec.name}: the {MAX_CATEGORIES:,} most frequent of {distinct:,} values "
                    "are kept, the rest count as unknown"
                )
        case "number":
            fit = NumberFit.of(raw)
            if odd := int(np.isnan(raw).sum()) - nulls:
                notices.append(f"column {spec.name}: {odd:,} values are NaN or infinite and count as NULL")
        case "timestamp":
            fit = TimestampFit.of(raw)
        case _:
            fit = VectorFit.of(raw)
    return fit, notices


def _stack(texts: Sequence[tuple[np.ndarray, ...]], n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join the entries of several text columns row by row: indptr, slots, values."""
    row = np.concatenate([np.empty(0, np.int64), *(text[0] for text in texts)])
    slot = np.concatenate([np.empty(0, np.int32), *(text[1] for text in texts)])
    value = np.concatenate([np.empty(0, np.float32), *(text[2] for text in texts)])
    if len(texts) > 1:
        order = np.argsort(row, kind="stable")
        row, slot, value = row[order], slot[order], value[order]
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(row, minlength=n))])
    return indptr, slot, value
