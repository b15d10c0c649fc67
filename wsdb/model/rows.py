"""The labels of the training rows, read from a stream of Arrow batches.

Rows are visited in the order of the hash of ``__key``, so that training does not depend on the order in which they
arrive. A task labels the rows themselves (a singleton task), or the elements of a payload's lists: E is the number of
rows n for the first, and the number of elements of all rows for the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from wsdb.core.errors import ModelError
from wsdb.model.arrays import elements_of
from wsdb.model.hashing import hash_strings, mix
from wsdb.model.parts import PayloadInput, TaskTarget
from wsdb.model.payload_columns import check_labels

KEY = "__key"
AUGMENTED = "__augmented"
SOURCE = "__source"
WEIGHT = "__w"
LABEL_PREFIX = "__p_"
GOLD_PREFIX = "__g_"
OWN_PREFIX = "__o_"
SLICE_PREFIX = "__s_"


@dataclass(frozen=True, slots=True)
class TaskRows:
    """What one task knows of the n training rows.

    Attributes
    ----------
    probabilities : float64 array of shape (E, k). Each row sums to 1, and is uniform where nothing is known; of a
        bitvector each number stands alone, and is 0.5 where nothing is known; of a select task column 1 is the share
        of an element in the 'yes' of its row
    labeled : bool array of shape (E,); of a bitvector (E, k)
    indptr : int64 array of shape (n + 1,), the elements of each row; None for a singleton task
    """

    probabilities: np.ndarray
    labeled: np.ndarray
    indptr: np.ndarray | None = None

    @property
    def known(self) -> np.ndarray:
        """Whether anything is known of each element, bool (E,)."""
        return np.asarray(self.labeled.any(axis=1)) if self.labeled.ndim == 2 else self.labeled

    def take(self, rows: np.ndarray) -> TaskRows:
        """Return the labels of the given rows, in the given order."""
        if self.indptr is None:
            return TaskRows(self.probabilities[rows], self.labeled[rows])
        indptr, at = elements_of(self.indptr, rows)
        return TaskRows(self.probabilities[at], self.labeled[at], indptr)

    @property
    def rows(self) -> np.ndarray:
        """Whether anything is known of each row, bool (n,)."""
        return self.known if self.indptr is None else any_of(self.known, self.indptr)


def any_of(elements: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Return whether any element of each row is true, bool (n,)."""
    return np.diff(np.concatenate([np.zeros(1, np.int64), np.cumsum(elements)])[indptr]) > 0


def repeat(rows: np.ndarray, indptr: np.ndarray | None) -> np.ndarray:
    """Return the values of its row for every element, shape (E, …)."""
    return rows if indptr is None else np.repeat(rows, np.diff(indptr), axis=0)


def list_lengths(lists: pa.Array) -> np.ndarray:
    """Return the number of elements of each list, int64 (n,); NULL has none."""
    if pa.types.is_null(lists.type):
        return np.zeros(len(lists), np.int64)
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────


def hash_key(chunk: pa.Array) -> np.ndarray:
    """Hash the string form of each key to a uint64, shape (n,); a struct hashes its fields in order."""
    if pt.is_dictionary(chunk.type):
        chunk = chunk.dictionary_decode()
    if pt.is_struct(chunk.type):
        combined = np.zeros(len(chunk), np.uint64)
        for field in chunk.flatten():
            combined = mix(combined + hash_key(field))
        return combined
    if pt.is_nested(chunk.type) or pt.is_binary(chunk.type) or pt.is_large_binary(chunk.type):
        return hash_strings(pa.array([str(value) for value in chunk.to_pylist()], pa.large_string()))
    return hash_strings(pc.cast(chunk, pa.large_string()))


def hold_out(keys: np.ndarray, share: float) -> np.ndarray:
    """Return whether each row is held out, bool (n,); decided by its key alone."""
    return (mix(keys + np.uint64(1)) >> np.uint64(11)) < np.uint64(share * (1 << 53))


# ── labels ────────────────────────────────────────────────────────────────────────────────────────


class LabelReader:
    """Reads the labels of one task, batch by batch.

    Parameters
    ----------
    task : what to read
    payload : of an element task
    prefix : of the column's name; all but ``__p_<task>`` may be missing
    """

    def __init__(self, task: TaskTarget, payload: PayloadInput | None, prefix: str = LABEL_PREFIX) -> None:
        self.task, self.payload, self.needed = task, payload, prefix == LABEL_PREFIX
        self.name = prefix + task.name
        self.probabilities: list[np.ndarray] = []
        self.labeled: list[np.ndarray] = []
        self.lengths: list[np.ndarray] = []

    def see(self, batch: pa.RecordBatch) -> None:
        """Read the labels of more rows.

        Raises
        ------
        ModelError  WS509 if the column is missing or holds something else than k probabilities, WS512 for a list of
            labels that is not as long as its payload's.
        """
        bits, k = self.task.kind == "bitvector", len(self.task.labels)
        if self.name in batch.schema.names:
            column = batch.column(self.name)
        elif not self.needed:
            column = pa.nulls(len(batch))
        else:
            raise ModelError("WS509", f"the training rows have no label column {self.name}", task=self.task.name)
        n = len(column)
        if self.payload is not None:
            column, lengths = self._elements(batch, column)
            self.lengths.append(lengths)
            n = int(lengths.sum())
        present, numbers = self._numbers(column)
        probabilities = np.full((n, k), 0.5 if bits else 1 / k)
        labeled = np.zeros((n, k) if bits else n, bool)
        if self.payload is not None:
            place = np.flatnonzero(np.repeat(self._present, lengths))[present]
        else:
            place = np.flatnonzero(present)
        if bits:
            labeled[place] = ~np.isnan(numbers)
            probabilities[place] = np.where(np.isnan(numbers), 0.5, numbers)
        else:
            labeled[place] = True
            probabilities[place] = numbers
        self.probabilities.append(probabilities)
        self.labeled.append(labeled)

    def _elements(self, batch: pa.RecordBatch, column: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """Return the labels of the elements of rows that have any, and the elements of every row, int64 (n,)."""
        assert self.payload is not None
        lists = batch.column(self.payload.columns[0][0])
        lengths = list_lengths(lists)
        self._present = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=bool)
        if pt.is_null(column.type):
            return column.slice(0, 0), lengths
        if not _is_list(column.type):
            raise self._wrong(f"lists, one label for each element; it is {column.type}")
        given = list_lengths(column)
        keys = batch.column(KEY) if KEY in batch.schema.names else None
        check_labels(self.task, lengths, given, self._present, keys)
        return column.drop_null().flatten(), lengths

    def _numbers(self, column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return which labels are not NULL, bool (m,), and their numbers, float64 (l, k), checked and normalized."""
        task, k = self.task, len(self.task.labels)
        present = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=bool)
        if pt.is_null(column.type) or not present.any():
            return np.zeros(len(column), bool), np.empty((0, k))
        if not _is_list(column.type):
            raise self._wrong(f"lists of {k} probabilities; it is {column.type}")
        full = column.drop_null()
        lengths = np.asarray(pc.list_value_length(full).to_numpy(zero_copy_only=False))
        if (lengths != k).any():
            raise ModelError(
                "WS509",
                f"column {self.name} must hold {k} probabilities per row; found {int(lengths[lengths != k][0])}",
                task=task.name,
                expected=k,
            )
        flat = pc.cast(full.flatten(), pa.float64())
        numbers = np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(-1, k)  # NULL becomes NaN
        if task.kind == "bitvector":
            if not ((numbers >= 0) & (numbers <= 1) | np.isnan(numbers)).all():
                raise self._wrong("probabilities: numbers from 0 to 1, or NULL")
            return present, numbers
        total = numbers.sum(axis=1, keepdims=True)
        if not (np.isfinite(numbers).all() and (numbers >= 0).all() and (total > 0).all()):
            raise self._wrong("probabilities: numbers from 0 up, not all 0")
        return present, numbers / total

    def _wrong(self, wanted: str) -> ModelError:
        return ModelError("WS509", f"column {self.name} must hold {wanted}", task=self.task.name)

    def finish(self) -> TaskRows:
        """Return the labels of all rows that were read."""
        indptr = None
        if self.payload is not None:
            indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(self.lengths))])
        rows = TaskRows(np.concatenate(self.probabilities), np.concatenate(self.labeled), indptr)
        return share_of_row(rows) if self.task.kind == "select" else rows


def share_of_row(rows: TaskRows) -> TaskRows:
    """Turn P(yes) of each element to its share of the yes of its row; a row that is surely 'no' has no label."""
    assert rows.indptr is not None
    owner = np.repeat(np.arange(len(rows.indptr) - 1), np.diff(rows.indptr))  # [E]
    yes = np.where(rows.labeled, rows.probabilities[:, 1], 0)
    total = np.bincount(owner, yes, minlength=len(rows.indptr) - 1)[owner]  # [E]
    labeled = rows.labeled & (total > 0)
    share = np.divide(yes, total, out=np.zeros(len(yes)), where=labeled)
    return TaskRows(np.stack([1 - share, share], axis=1), labeled, rows.indptr)


def require_labels(task: TaskTarget, rows: TaskRows) -> None:
    """Refuse labels that teach nothing.

    Raises
    ------
    ModelError  WS505 without any labeled row, WS506 if a single class has all the probability.
    """
    if not rows.known.any():
        raise ModelError(
            "WS505",
            f"task {task.name} has no labeled row to train on",
            hint="its labeling functions all abstain on these rows",
            task=task.name,
        )
    if task.kind == "select":
        return
    if task.kind == "bitvector":
        masses = [
            (rows.probabilities[known, y].sum(), (1 - rows.probabilities[known, y]).sum())
            for y, known in enumerate(rows.labeled.T)
        ]
        if all(min(mass) <= 1e-9 * sum(mass) for mass in masses):
            raise ModelError(
                "WS506",
                f"every label of task {task.name} is on all labeled rows, or on none: nothing to learn",
                hint="add labeling functions that vote against the labels",
                task=task.name,
            )
        return
    mass = rows.probabilities[rows.labeled].sum(axis=0)
    if (mass > 1e-9 * mass.sum()).sum() < 2:
        raise ModelError(
            "WS506",
            f"every labeled row of task {task.name} is {task.labels[int(mass.argmax())]}: nothing to learn",
            hint="add labeling functions that vote for the other classes",
            task=task.name,
        )


def one_sided(task: TaskTarget, rows: TaskRows) -> list[str]:
    """Return a notice if one label is the likeliest, ties counting for it, of all labeled rows."""
    if task.kind in ("bitvector", "select"):
        return []
    known = rows.probabilities[rows.labeled]
    always = (known >= known.max(axis=1, keepdims=True)).all(axis=0)
    if not always.any() or always.all():
        return []
    return [
        f"task {task.name}: every labeled row favors {task.labels[int(always.argmax())]}; "
        "add labeling functions that vote for the other classes"
    ]


def count(task: TaskTarget, rows: TaskRows, mask: np.ndarray) -> int:
    """Number of labels in the rows where bool (n,) `mask` is true: elements, or rows of a select task."""
    if task.kind == "select":
        return int((rows.rows & mask).sum())
    return int((rows.known & repeat(mask, rows.indptr)).sum())


def _is_list(kind: pa.DataType) -> bool:
    return bool(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind))
