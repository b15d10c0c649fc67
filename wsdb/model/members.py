"""Members: which rows, and which elements of payloads, the slices have.

Notation for shapes: n rows, E elements of a payload, s slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wsdb.core.errors import ModelError
from wsdb.model.arrays import elements_of
from wsdb.model.parts import PayloadInput, SliceInput, TaskTarget
from wsdb.model.plan import ROW
from wsdb.model.rows import SLICE_PREFIX, list_lengths, repeat


@dataclass(frozen=True, slots=True)
class Part:
    """The members of some slices of one kind.

    Attributes
    ----------
    names : of the s slices
    inside : bool (n, s), or (E, s) where the slices are of elements
    indptr : int64 (n + 1,), the elements of each row; None where the slices are of rows
    """

    names: tuple[str, ...]
    inside: np.ndarray
    indptr: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Part:
        """Return the members among the given rows, in the given order."""
        if self.indptr is None:
            return Part(self.names, self.inside[rows])
        indptr, at = elements_of(self.indptr, rows)
        return Part(self.names, self.inside[at], indptr)

    def only(self, names: Sequence[str]) -> Part:
        """Return the members of some of the slices."""
        kept = [name in names for name in self.names]
        return Part(tuple(name for name in self.names if name in names), self.inside[:, kept], self.indptr)

    def by_row(self) -> np.ndarray:
        """Return whether each slice has the row, or any element of it, bool (n, s)."""
        if self.indptr is None:
            return self.inside
        totals = np.zeros((len(self.inside) + 1, len(self.names)), np.int64)
        np.cumsum(self.inside, axis=0, out=totals[1:])
        return np.diff(totals[self.indptr], axis=0) > 0


@dataclass(frozen=True, slots=True)
class Members:
    """The members of all slices.

    Attributes
    ----------
    parts : by payload whose elements the slices have, `ROW` for slices of rows; in the order of their names
    """

    parts: Mapping[str, Part]

    def take(self, rows: np.ndarray) -> Members:
        """Return the members among the given rows, in the given order."""
        return Members({place: part.take(rows) for place, part in self.parts.items()})

    def only(self, names: Sequence[str]) -> Members:
        """Return the members of some of the slices."""
        found = {place: part.only(names) for place, part in self.parts.items()}
        return Members({place: part for place, part in found.items() if part.names})

    def correcting(self, task: TaskTarget) -> list[tuple[str, Part]]:
        """Return what corrects a task: slices of rows, then those of the elements that it labels."""
        return [(place, part) for place, part in self.parts.items() if place in (ROW, task.payload)]

    def names(self, task: TaskTarget) -> tuple[str, ...]:
        """Return the names of the slices that correct a task."""
        return tuple(name for _, part in self.correcting(task) for name in part.names)

    def items(self, task: TaskTarget, indptr: np.ndarray | None) -> np.ndarray:
        """Return which of `names` have what a task answers for: bool (n, s), or (E, s) of a task on elements.

        A task that selects an element answers for rows; a slice of elements has those with any of its elements.

        Parameters
        ----------
        indptr : int64 (n + 1,), the elements that the task labels; None of a task on rows
        """
        own = [
            part.by_row() if task.kind == "select" else part.inside if place != ROW else repeat(part.inside, indptr)
            for place, part in self.correcting(task)
        ]
        return np.concatenate(own, axis=1) if own else np.zeros((0, 0), bool)

    def any_of(self, task: TaskTarget, indptr: np.ndarray | None) -> np.ndarray:
        """Return whether any slice has each thing that a task labels, bool (n,) or (E,); some slice corrects it."""
        own = [
            np.asarray(part.inside.any(axis=1)) if place != ROW else repeat(np.asarray(part.inside.any(axis=1)), indptr)
            for place, part in self.correcting(task)
        ]
        return np.asarray(np.logical_or.reduce(own))

    def arrays(self) -> list[np.ndarray]:
        """Return all arrays."""
        return [part.inside for part in self.parts.values()]


class MemberReader:
    """Reads the members of slices, batch by batch.

    Parameters
    ----------
    payloads : of the model
    """

    def __init__(self, slices: Sequence[SliceInput], payloads: Sequence[PayloadInput]) -> None:
        of = {one.name: one for one in payloads}
        self.slices = slices
        self.payloads = {one.payload: of[one.payload] for one in slices if one.payload is not None}
        places = sorted({one.payload or ROW for one in slices})
        self.names = {place: [one.name for one in slices if (one.payload or ROW) == place] for place in places}
        self.inside: dict[str, list[np.ndarray]] = {place: [] for place in places}
        self.lengths: dict[str, list[np.ndarray]] = {place: [] for place in self.payloads}

    def see(self, batch: pa.RecordBatch) -> None:
        """Read the members among more rows.

        A slice of rows has a column of booleans, one of elements a list of the places of its members in each row, from
        1; NULL is no member, and so is a place behind the last element.

        Raises
        ------
        ModelError  WS509 if a column is missing or holds something else.
        """
        for place, names in self.names.items():
            if place == ROW:
                own = [booleans(batch, SLICE_PREFIX + name, needed=True) for name in names]
                self.inside[place].append(np.stack(own, axis=1))
                continue
            lengths = list_lengths(batch.column(self.payloads[place].columns[0][0]))
            self.lengths[place].append(lengths)
            starts, inside = np.cumsum(lengths) - lengths, np.zeros((int(lengths.sum()), len(names)), bool)
            for at, name in enumerate(names):
                row, number = _places(batch, SLICE_PREFIX + name)
                good = (number >= 1) & (number <= lengths[row])
                inside[starts[row[good]] + number[good] - 1, at] = True
            self.inside[place].append(inside)

    def finish(self) -> Members:
        """Return the members among all rows that were read."""
        found = {}
        for place, names in self.names.items():
            indptr = None
            if place in self.lengths:
                indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(self.lengths[place]))])
            found[place] = Part(tuple(names), np.concatenate(self.inside[place]), indptr)
        return Members(found)


def _places(batch: pa.RecordBatch, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and places of members, int64 (m,) each; WS509 where the column is missing or holds no lists."""
    if name not in batch.schema.names:
        raise ModelError("WS509", f"the training rows have no column {name}")
    column = batch.column(name)
    if pa.types.is_null(column.type):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if not (pa.types.is_list(column.type) and pa.types.is_integer(column.type.value_type)):
        raise ModelError("WS509", f"column {name} must hold lists of places; it is {column.type}")
    rows = np.repeat(np.arange(len(column)), list_lengths(column))
    return rows, np.asarray(pc.fill_null(column.flatten(), 0)).astype(np.int64)


def booleans(batch: pa.RecordBatch, name: str, *, needed: bool) -> np.ndarray:
    """Return a BOOLEAN column as bool (n,), NULL as false; WS509 if it is missing and needed, or of another type."""
    if name not in batch.schema.names:
        if needed:
            raise ModelError("WS509", f"the training rows have no column {name}")
        return np.zeros(len(batch), bool)
    column = batch.column(name)
    if not pa.types.is_boolean(column.type):
        raise ModelError("WS509", f"column {name} must hold booleans; it is {column.type}")
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), dtype=bool)
