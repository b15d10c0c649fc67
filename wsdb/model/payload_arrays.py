"""The elements of sequence and set payloads as arrays: statistics gathered batch by batch, then applied.

The arrays of a payload with E elements are a Ragged ``payload.<name>``:

- ``categories`` int32 (E, c): slots of values of text fields, bins of numbers and the like, numbered over all fields
- ``dense`` float32 (E, d): numbers, times and vectors
- part ``grams``, where a field is text: a Ragged of E rows with ``slots`` int32, the n-grams of all text fields
- ``pretrained`` int32 (E,), with an embedding: the row of the first text field's value in it, 0 for none
- ``spans`` int32 (E, 2), of spans: where the stretch begins in the row's sequence, from 0, and the end behind it

The columns of a singleton are the row's; only its embedding, if it has one, is read here (`wsdb.model.word_vectors`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wsdb.core.errors import ModelError
from wsdb.model.arrays import CATEGORIES, DENSE, Ragged
from wsdb.model.parts import PayloadInput
from wsdb.model.payload_columns import Elements, check_spans, elements_of, read_spans
from wsdb.model.payload_fields import Field, Fitting, as_kind, fitting_of
from wsdb.model.word_vectors import PRETRAINED, WORDS, Embedding, look_up, tokens_of_arrays, tokens_to_arrays, word_rows

PREFIX = "payload."
"""The Ragged of payload p is called payload.p."""
GRAMS, SPANS = "grams", "spans"


class PayloadFitting:
    """Statistics of all payloads in the making."""

    def __init__(
        self, payloads: Sequence[PayloadInput], min_rows: int, embeddings: Mapping[str, Embedding] | None = None
    ) -> None:
        self.payloads = tuple(one for one in payloads if one.shape != "singleton" or one.embedding is not None)
        self.min_rows = min_rows
        self.embeddings = dict(embeddings or {})
        self.fields: dict[str, dict[str, Fitting]] = {payload.name: {} for payload in self.payloads}
        self.elements = dict.fromkeys(self.fields, 0)
        for payload in self.payloads:
            if payload.embedding is not None and payload.embedding not in self.embeddings:
                raise ModelError(
                    "WS504", f"payload {payload.name} needs embedding {payload.embedding}, which is not given"
                )

    def update(self, batch: pa.RecordBatch, keys: pa.Array | None = None) -> None:
        """Take in the elements of one more batch.

        Parameters
        ----------
        keys : of the rows, for messages; rows are numbered where None

        Raises
        ------
        ModelError  WS503 a type that cannot be read, WS504 a missing column, WS507 vectors of two lengths, WS512 lists
            of two lengths in a row, or a span outside of its sequence.
        """
        lists = [payload for payload in self.payloads if payload.shape != "singleton"]  # the words of others are known
        every = {payload.name: elements_of(payload, batch, keys) for payload in lists}
        for payload in lists:
            elements, own = every[payload.name], self.fields[payload.name]
            self.elements[payload.name] += int(elements.indptr[-1])
            if payload.spans is not None:
                spans_of(payload, payload.spans, every, keys)
            for name, column in elements.fields.items():
                if not _is_span(payload, name):
                    if name not in own:
                        own[name] = fitting_of(payload.name, name, column.type)
                    own[name].update(column)

    def finish(self) -> tuple[PayloadEncoders, list[str]]:
        """Return the encoders of all payloads, and notices."""
        encoders, notices = [], []
        for payload in self.payloads:
            if payload.shape == "singleton":
                encoders.append(PayloadEncoder(payload, (), self.embeddings[payload.embedding or ""]))
                continue
            finished = [field.finish(self.min_rows) for field in self.fields[payload.name].values()]
            notices += [f"payload {payload.name}: {note}" for _, notes in finished for note in notes]
            if not self.elements[payload.name]:
                notices.append(f"payload {payload.name} has no elements in the training rows")
            embedding = None if payload.embedding is None else self.embeddings[payload.embedding]
            fields = tuple(field for field, _ in finished)
            if embedding is not None and not any(field.kind == "text" for field in fields):
                raise ModelError(
                    "WS503",
                    f"payload {payload.name} has no text field whose tokens embedding {embedding.name} could give",
                    payload=payload.name,
                )
            encoders.append(PayloadEncoder(payload, fields, embedding))
        return PayloadEncoders(tuple(encoders)), notices


@dataclass(frozen=True, slots=True)
class PayloadEncoder:
    """One payload with the statistics of its fields.

    Attributes
    ----------
    payload : as declared; a sequence or set, or a singleton with an embedding
    fields : all but the one that holds spans
    embedding : None for none
    """

    payload: PayloadInput
    fields: tuple[Field, ...]
    embedding: Embedding | None

    @property
    def n_category(self) -> int:
        """Number of category slots over all fields."""
        return sum(sum(field.fit.slots) for field in self.fields)

    @property
    def n_dense(self) -> int:
        """Number of dense columns."""
        return sum(field.fit.n_dense for field in self.fields)

    @property
    def n_grams(self) -> int:
        """Number of n-gram slots over all text fields."""
        return sum(len(field.grams.buckets) for field in self.fields if field.grams is not None)

    def apply(self, elements: Elements) -> Ragged:
        """Return the arrays of the elements; spans are the caller's."""
        n, slots = int(elements.indptr[-1]), 0
        categories, dense = [np.empty((n, 0), np.int32)], [np.empty((n, 0), np.float32)]
        for field in self.fields:
            own, numbers = field.apply(self._column(elements, field))
            starts = slots + np.cumsum((0, *field.fit.slots))
            categories.append(own + starts[:-1].astype(np.int32))
            dense.append(numbers)
            slots = int(starts[-1])
        arrays: dict[str, np.ndarray] = {
            CATEGORIES: np.concatenate(categories, axis=1),
            DENSE: np.concatenate(dense, axis=1),
        }
        parts = {GRAMS: self._grams(elements, n)} if self.n_grams else {}
        if self.embedding is not None:
            first = next(field for field in self.fields if field.kind == "text")
            text = as_kind(first.name, "text", self._column(elements, first))
            arrays[PRETRAINED] = look_up(text, self.embedding.tokens)
        return Ragged(elements.indptr, arrays, parts)

    def _column(self, elements: Elements, field: Field) -> pa.Array:
        n = int(elements.indptr[-1])
        column = elements.fields.get(field.name)
        if column is None:
            if n:
                raise ModelError(
                    "WS504",
                    f"payload {self.payload.name} was trained on field {field.name}; its elements have no such field",
                    hint=f"they have {', '.join(elements.fields)}",
                    column=field.name,
                )
            column = pa.nulls(0)
        return column

    def _grams(self, elements: Elements, n: int) -> Ragged:
        """Slots of all text fields of each element; each distinct value is hashed once."""
        parts, start = [], 0
        for field in self.fields:
            if field.grams is None:
                continue
            text = as_kind(field.name, "text", self._column(elements, field))
            coded = pc.dictionary_encode(pc.fill_null(text, ""))
            lengths, slots = field.grams.apply(coded.dictionary)
            indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
            distinct = Ragged(indptr, {"slots": slots + np.int32(start)})
            parts.append(distinct.take(np.asarray(coded.indices).astype(np.int64)))
            start += len(field.grams.buckets)
        return parts[0] if len(parts) == 1 else _side_by_side(parts, n)

    def to_manifest(self) -> dict[str, Any]:
        """Return the declaration and the statistics as plain values."""
        payload = self.payload
        return {
            "name": payload.name,
            "shape": payload.shape,
            "columns": [list(column) for column in payload.columns],
            "reads": list(payload.reads),
            "spans": None if payload.spans is None else list(payload.spans),
            "embedding": payload.embedding,
            "frozen": payload.frozen,
            "fields": [field.to_manifest() for field in self.fields],
        }


@dataclass(frozen=True, slots=True)
class PayloadEncoders:
    """The encoders of a network's sequence and set payloads; empty where it has none."""

    encoders: tuple[PayloadEncoder, ...] = ()

    def apply(self, batch: pa.RecordBatch | pa.StructArray, keys: pa.Array | None = None) -> dict[str, Ragged]:
        """Return the arrays of all payloads by name, ``payload.<name>``; of singletons ``words.<name>``.

        Parameters
        ----------
        batch : n rows; columns are found by name
        keys : of the rows, for messages

        Raises
        ------
        ModelError  WS503 or WS504 for a column of another type, or missing; WS507 for a vector of another length; WS512
            for lists of two lengths in a row, and for a span outside of its sequence.
        """
        lists = [one for one in self.encoders if one.payload.shape != "singleton"]
        every = {one.payload.name: elements_of(one.payload, batch, keys) for one in lists}
        found = {
            WORDS + one.payload.name: word_rows(one.payload, batch, one.embedding.tokens)
            for one in self.encoders
            if one.payload.shape == "singleton" and one.embedding is not None
        }
        for one in lists:
            elements = every[one.payload.name]
            arrays = one.apply(elements)
            if one.payload.spans is not None:
                spans = spans_of(one.payload, one.payload.spans, every, keys)
                arrays = Ragged(arrays.indptr, {**arrays.arrays, SPANS: spans}, arrays.parts)
            found[PREFIX + one.payload.name] = arrays
        return found

    def tables(self) -> dict[str, np.ndarray]:
        """Return the pretrained vectors by payload, float32 (v + 1, d); row 0 stands for no vector."""
        return {
            one.payload.name: np.concatenate(
                [np.zeros((1, one.embedding.vectors.shape[1]), np.float32), one.embedding.vectors]
            )
            for one in self.encoders
            if one.embedding is not None
        }

    def to_manifest(self) -> list[dict[str, Any]]:
        """Return the payloads as plain values; the arrays are in `tensors`."""
        return [one.to_manifest() for one in self.encoders]

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the fitted arrays by name: buckets of n-grams, and the tokens of embeddings as UTF-8."""
        arrays: dict[str, np.ndarray] = {}
        for p, one in enumerate(self.encoders):
            for f, field in enumerate(one.fields):
                if field.grams is not None:
                    arrays[f"{PREFIX}{p}.{f}.buckets"] = field.grams.buckets
            if one.embedding is not None:
                arrays |= tokens_to_arrays(f"{PREFIX}{p}", one.embedding.tokens)
        return arrays

    @classmethod
    def restore(cls, rows: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]) -> PayloadEncoders:
        """Build from what `to_manifest` and `tensors` gave; the vectors of embeddings are weights of the network."""
        found = []
        for p, row in enumerate(rows):
            payload = PayloadInput(
                name=row["name"],
                shape=row["shape"],
                columns=tuple((name, kind) for name, kind in row["columns"]),
                reads=tuple(row["reads"]),
                spans=None if row["spans"] is None else (row["spans"][0], row["spans"][1]),
                embedding=row["embedding"],
                frozen=row["frozen"],
            )
            fields = tuple(
                Field.restore(facts, arrays.get(f"{PREFIX}{p}.{f}.buckets")) for f, facts in enumerate(row["fields"])
            )
            embedding = None
            if payload.embedding is not None:
                tokens = tokens_of_arrays(f"{PREFIX}{p}", arrays)
                embedding = Embedding(payload.embedding, tokens, np.empty((0, 0), np.float32))
            found.append(PayloadEncoder(payload, fields, embedding))
        return cls(tuple(found))


def spans_of(
    payload: PayloadInput, spans: tuple[str, str], every: Mapping[str, Elements], keys: pa.Array | None
) -> np.ndarray:
    """Return where the span of each element begins and ends in its row's sequence, int32 (E, 2); see `read_spans`.

    Raises
    ------
    ModelError  WS503 or WS504 if there are no spans or no sequence, WS512 for a span outside of its sequence.
    """
    of, column = spans
    elements = every[payload.name]
    if of not in every:
        raise ModelError(
            "WS504",
            f"payload {payload.name} has spans of payload {of}, which the model does not have",
            hint=f"name it: PAYLOADS ({of}, {payload.name})",
            payload=payload.name,
        )
    name = next((field for field in elements.fields if field.lower() == column.lower()), None)
    if name is None and elements.indptr[-1]:
        raise ModelError("WS504", f"the elements of payload {payload.name} have no field {column}", column=column)
    starts, ends = read_spans(payload.name, elements.fields[name] if name is not None else pa.nulls(0))
    row = np.repeat(np.arange(len(elements.indptr) - 1), np.diff(elements.indptr))
    check_spans(payload, row, starts, ends, np.diff(every[of].indptr), keys)
    return np.stack([starts, ends], axis=1).astype(np.int32)


def _is_span(payload: PayloadInput, field: str) -> bool:
    return payload.spans is not None and field.lower() == payload.spans[1].lower()


def _side_by_side(parts: Sequence[Ragged], n: int) -> Ragged:
    row = np.concatenate([np.repeat(np.arange(n), np.diff(part.indptr)) for part in parts])
    slots = np.concatenate([part.arrays["slots"] for part in parts])
    order = np.argsort(row, kind="stable")
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(row, minlength=n), dtype=np.int64)])
    return Ragged(indptr, {"slots": slots[order]})
