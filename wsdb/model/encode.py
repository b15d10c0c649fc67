"""Encoder: Arrow columns to the arrays a network reads; fitted once on the training rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.core.errors import ModelError
from wsdb.model.arrays import CATEGORIES, DENSE, TEXT, EncodedBatch, Ragged
from wsdb.model.columns import (
    TABLE_FITS,
    TableFit,
    TextFit,
    VectorFit,
    read_category,
    read_number,
    read_timestamp,
    read_vector,
)
from wsdb.model.features import FeatureSpec, check_column, choose_kinds
from wsdb.model.gather import NumberGather, gather_of
from wsdb.model.hashing import HashedRows, hash_ngrams


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
        batches: Iterable[pa.RecordBatch],
        hashing: Hashing,
        min_rows: int,
        chosen: Mapping[str, str] = MappingProxyType({}),
        keep: Callable[[list[HashedRows]], None] | None = None,
    ) -> tuple[Encoder, list[str]]:
        """Choose kinds and fit statistics on all rows; also return notices.

        Parameters
        ----------
        batches : the rows, which can be read several times
        min_rows : text buckets of fewer rows are dropped
        chosen : kinds by column, where the user has decided
        keep : called for every batch with the hashed rows of its text columns, in their order, for `encode`

        Raises
        ------
        ModelError  WS503 unsupported type, WS504 other Arrow type than declared, WS507 vectors of several
            lengths.
        """
        specs, notices = choose_kinds(features, batches, chosen)
        gathers = [gather_of(spec.kind, spec.name, hashing.bits, min_rows) for spec in specs]
        for batch in batches:
            texts, columns = [], columns_of(batch)
            for spec, gather in zip(specs, gathers, strict=True):
                column = column_of(columns, spec)
                raw = _read(spec, column, hashing, None)
                if isinstance(raw, HashedRows):
                    texts.append(raw)
                if isinstance(gather, NumberGather) and spec.kind == "number":
                    gather.see(raw, column.null_count)
                else:
                    gather.see(raw)
            if keep is not None:
                keep(texts)
        for spec, gather in zip(specs, gathers, strict=True):
            notices += gather.notices(spec.name)
        return cls(specs, tuple(gather.fit() for gather in gathers), hashing), notices

    def encode(self, batch: pa.RecordBatch | pa.StructArray, texts: Sequence[HashedRows] | None = None) -> EncodedBatch:
        """Encode rows; columns are found by name, others are ignored. Every batch size gives the same rows.

        Parameters
        ----------
        texts : the hashed rows of the text columns, where they are known already

        Raises
        ------
        ModelError  WS504 if a column is missing or of another family, WS507 for a vector of another length.
        """
        known, columns = iter(texts or ()), columns_of(batch)
        raws = [
            next(known)
            if texts is not None and spec.kind == "text"
            else _read(spec, column_of(columns, spec), self.hashing, fit)
            for spec, fit in zip(self.features, self.fits, strict=True)
        ]
        return self._apply(raws, len(batch))

    def _apply(self, raws: Sequence[Any], n: int) -> EncodedBatch:
        texts, categories, dense = [], [np.empty((n, 0), np.int32)], [np.empty((n, 0), np.float32)]
        text_slots = category_slots = 0
        for fit, raw in zip(self.fits, raws, strict=True):
            if isinstance(fit, TextFit):
                texts.append((text_slots, fit.apply(raw)))
                text_slots += len(fit.buckets)
            else:
                columns, numbers = fit.apply(raw)
                starts = category_slots + np.cumsum((0, *fit.slots))
                categories.append(columns + starts[:-1].astype(np.int32))
                category_slots = int(starts[-1])
                dense.append(numbers)
        rows = {CATEGORIES: np.concatenate(categories, axis=1), DENSE: np.concatenate(dense, axis=1)}
        return EncodedBatch(n, rows, {TEXT: _stack(texts, n)})

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


def columns_of(batch: pa.RecordBatch | pa.StructArray) -> dict[str, pa.Array]:
    """Return the columns of rows by name; NULL where a struct row itself is NULL."""
    if isinstance(batch, pa.StructArray):
        return dict(zip((item.name for item in batch.type), batch.flatten(), strict=True))
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def column_of(columns: Mapping[str, pa.Array], spec: FeatureSpec) -> pa.Array:
    """Return the column of `spec`, checked.

    Raises
    ------
    ModelError  WS504 if there is no such column or one of another family.
    """
    column = columns.get(spec.name)
    if column is None:
        raise ModelError(
            "WS504",
            f"model was trained on column {spec.name} ({spec.type}); the rows have no such column",
            hint=f"they have {', '.join(columns)}",
            column=spec.name,
        )
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


def _stack(texts: Sequence[tuple[int, Ragged]], n: int) -> Ragged:
    """Join the entries of several text columns, each with its first slot, row by row."""
    if not texts:
        return Ragged(np.zeros(n + 1, np.int64), {"slots": np.empty(0, np.int32), "values": np.empty(0, np.float32)})
    if len(texts) == 1:
        return texts[0][1]
    row = np.concatenate([np.repeat(np.arange(n), np.diff(text.indptr)) for _, text in texts])
    order = np.argsort(row, kind="stable")
    slot = np.concatenate([text.arrays["slots"] + np.int32(start) for start, text in texts])[order]
    value = np.concatenate([text.arrays["values"] for _, text in texts])[order]
    return Ragged(np.sum([text.indptr for _, text in texts], axis=0), {"slots": slot, "values": value})
