"""The training rows: read once from a stream of Arrow batches, and encoded to a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wsdb.core.errors import ModelError
from wsdb.model.arrays import EncodedBatch
from wsdb.model.certain import certain
from wsdb.model.encode import Encoder, Hashing
from wsdb.model.features import chosen_kinds
from wsdb.model.members import MemberReader, Members, booleans
from wsdb.model.parts import PayloadInput, SliceInput, TaskTarget
from wsdb.model.payload_arrays import Embedding, PayloadEncoders, PayloadFitting
from wsdb.model.rows import (
    AUGMENTED,
    GOLD_PREFIX,
    KEY,
    OWN_PREFIX,
    SOURCE,
    WEIGHT,
    LabelReader,
    TaskRows,
    hash_key,
    require_labels,
)
from wsdb.model.spec import TrainSpec
from wsdb.model.store import Store, StoreWriter, pieces, spilled_batches, spilled_texts


@dataclass(frozen=True, slots=True)
class Rows:
    """The n training rows, in the order in which they came.

    Attributes
    ----------
    keys : uint64 (n,), hashes of the keys
    labels, gold, own : per task what it learns, gold of dev rows, and the label model's own labels of some rows, which
        may differ from what is learned
    weights : float64 (n,), or None where every row counts 1
    members : which rows and elements the slices have
    made : int64 (n,); 0 for a row of the relation, 1 for one made by transformation functions, 2 … for one of
        sources[made - 2]
    sources : names of the sources there are, sorted
    encoder, payloads : fitted on all rows
    store : the rows encoded
    notices : what the user should know
    """

    keys: np.ndarray
    labels: list[TaskRows]
    gold: list[TaskRows]
    own: list[TaskRows]
    weights: np.ndarray | None
    members: Members
    made: np.ndarray
    sources: tuple[str, ...]
    encoder: Encoder
    payloads: PayloadEncoders
    store: Store
    notices: list[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read of the rows.

    Attributes
    ----------
    features : (column, DuckDB type) of every input of the row
    tasks, payloads : of the model
    slices : their members come in the columns ``__s_<slice>``
    embeddings : by name, those that payloads use
    """

    features: Sequence[tuple[str, str]]
    tasks: Sequence[TaskTarget]
    payloads: Sequence[PayloadInput] = ()
    slices: Sequence[SliceInput] = ()
    embeddings: Mapping[str, Embedding] | None = None

    def payload_of(self, task: TaskTarget) -> PayloadInput | None:
        """Return the sequence or set whose elements a task labels, None for a task of the row."""
        found = {one.name: one for one in self.payloads}.get(task.payload or "")
        return None if found is None or found.shape == "singleton" else found

    def columns(self) -> list[str]:
        """Return the columns that are encoded, once each."""
        lists = [column for one in self.payloads if one.shape != "singleton" for column, _ in one.columns]
        return list(dict.fromkeys([name for name, _ in self.features] + lists))


class _RowReader:
    """What is read of the rows besides their inputs."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        pairs = [(task, wanted.payload_of(task)) for task in wanted.tasks]
        self.labels = [LabelReader(task, payload) for task, payload in pairs]
        self.gold = [LabelReader(task, payload, GOLD_PREFIX) for task, payload in pairs]
        self.own = [LabelReader(task, payload, OWN_PREFIX) for task, payload in pairs]
        self.keys: list[np.ndarray] = []
        self.members = MemberReader(wanted.slices, wanted.payloads)
        self.weights: list[np.ndarray] = []
        self.made_by: list[np.ndarray] = []
        self.codes: dict[str, int] = {}  # of sources, from 2, in the order in which they came

    def see(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        if KEY not in names:
            raise ModelError("WS509", f"the training rows have no key column {KEY}")
        for name in self.wanted.columns():
            if name not in names:
                raise ModelError("WS504", f"the training rows have no column {name}", column=name)
        self.keys.append(hash_key(batch.column(KEY)))
        for reader in (*self.labels, *self.gold, *self.own):
            reader.see(batch)
        self.members.see(batch)
        self.weights.append(_weights(batch))
        made = np.zeros(len(batch), np.int64)
        if SOURCE in names:
            values = batch.column(SOURCE).to_pylist()
            codes = {name: self.codes.setdefault(name, len(self.codes) + 2) for name in set(values) - {None}}
            made = np.array([codes.get(value, 0) for value in values], np.int64)
        made[booleans(batch, AUGMENTED, needed=False)] = 1
        self.made_by.append(made)

    def made(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return where each row is from, and the names of the sources."""
        names = tuple(sorted(self.codes))
        places = np.zeros(len(names) + 2, np.int64)
        places[1] = 1
        for at, name in enumerate(names):
            places[self.codes[name]] = at + 2
        return places[np.concatenate(self.made_by)], names


def read_rows(
    wanted: Wanted, batches: Iterator[pa.RecordBatch], hashing: Hashing, spec: TrainSpec, folder: Path
) -> Rows:
    """Read, fit and encode the training rows.

    The stream is read once. Up to the option cache_mb the rows stay in memory; what is beyond waits in `folder`:
    first as Arrow, while statistics are gathered, then encoded.

    Raises
    ------
    ModelError  WS503, WS504, WS507, WS509, WS512 for columns that are not what was said; WS505 without a row, or
        without a labeled one; WS506 for labels of a single class.
    """
    chosen = chosen_kinds(wanted.features, spec.text, spec.categories)
    budget = spec.cache_mb << 20
    with ExitStack() as files:
        files.callback(getattr(batches, "close", lambda: None))  # rows that cannot be read leave no open result
        spill = files.enter_context(spilled_batches(folder / "rows.arrow", budget))
        texts = files.enter_context(spilled_texts(folder / "texts.bin", budget))
        writer = files.enter_context(StoreWriter(folder, budget))
        reader, columns = _RowReader(wanted), wanted.columns()
        fitting = PayloadFitting(wanted.payloads, spec.min_rows, wanted.embeddings)
        for piece in pieces(batches):
            reader.see(piece)
            fitting.update(piece, piece.column(KEY))
            inputs = piece.select(columns)
            spill.append(inputs, inputs.nbytes)
        if not reader.keys:
            raise ModelError("WS505", "there are no rows to train on")
        labels = [one.finish() for one in reader.labels]
        for task, found in zip(wanted.tasks, labels, strict=True):
            require_labels(task, found)
        labels, doubts = _certain(wanted.tasks, labels, spec.min_label_prob)
        encoder, notices = Encoder.fit(
            wanted.features,
            spill,
            hashing,
            spec.min_rows,
            chosen,
            keep=lambda rows: texts.append(rows, sum(one.buckets.nbytes * 2 + one.indptr.nbytes for one in rows)),
        )
        payloads, notes = fitting.finish()
        for piece, hashed in zip(spill, texts, strict=True):
            encoded = encoder.encode(piece, hashed)
            writer.append(EncodedBatch(len(encoded), encoded.rows, {**encoded.ragged, **payloads.apply(piece)}))
        store = writer.finish()
    made, sources = reader.made()
    weights = np.concatenate(reader.weights)
    return Rows(
        keys=np.concatenate(reader.keys),
        labels=labels,
        gold=[one.finish() for one in reader.gold],
        own=[one.finish() for one in reader.own],
        weights=None if (weights == 1).all() else weights,
        members=reader.members.finish(),
        made=made,
        sources=sources,
        encoder=encoder,
        payloads=payloads,
        store=store,
        notices=doubts + notices + notes,
    )


def _certain(tasks: Sequence[TaskTarget], labels: list[TaskRows], least: float) -> tuple[list[TaskRows], list[str]]:
    """Return the labels that are probable enough, and notices of those that are not."""
    if not least:
        return labels, []
    pairs = [certain(task, found, least) for task, found in zip(tasks, labels, strict=True)]
    for task, (found, _) in zip(tasks, pairs, strict=True):
        require_labels(task, found)
    return [found for found, _ in pairs], [note for _, note in pairs]


def _weights(batch: pa.RecordBatch) -> np.ndarray:
    """Return the weights of rows, float64 (n,); NULL is 1."""
    if WEIGHT not in batch.schema.names:
        return np.ones(len(batch))
    column = pc.fill_null(pc.cast(batch.column(WEIGHT), pa.float64()), 1.0)
    values = np.asarray(column.to_numpy(zero_copy_only=False))
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ModelError("WS509", f"column {WEIGHT} must hold weights: numbers from 0 up")
    return values
