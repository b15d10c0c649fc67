"""The training rows: labels, masks and the held-out part, read from Arrow and put in an order of their own.

Rows are ordered by the hash of ``__key``, so that training does not depend on the order in which they arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from wsdb.core.errors import ModelError
from wsdb.model.hashing import hash_strings, mix
from wsdb.model.losses import balanced_weights, sharpen_labels
from wsdb.model.spec import TaskTarget, TrainSpec

KEY = "__key"
LABEL_PREFIX = "__p_"
_MIN_HELD_OUT = 20  # fewer held-out labels than this say nothing about when to stop, nor about calibration


@dataclass(frozen=True, slots=True)
class TaskRows:
    """What one task knows of the n training rows.

    Attributes
    ----------
    probabilities : float64 array of shape (n, k); rows of unlabeled rows are uniform
    labeled : bool array of shape (n,)
    """

    probabilities: np.ndarray
    labeled: np.ndarray


def hash_keys(column: pa.ChunkedArray) -> np.ndarray:
    """Hash the string form of each key to a uint64, shape (n,); a struct hashes its fields in order."""
    return np.concatenate([np.empty(0, np.uint64), *(_hash_key(chunk) for chunk in column.chunks)])


def _hash_key(chunk: pa.Array) -> np.ndarray:
    if pt.is_dictionary(chunk.type):
        chunk = chunk.dictionary_decode()
    if pt.is_struct(chunk.type):
        combined = np.zeros(len(chunk), np.uint64)
        for field in chunk.flatten():
            combined = mix(combined + _hash_key(field))
        return combined
    if pt.is_nested(chunk.type) or pt.is_binary(chunk.type) or pt.is_large_binary(chunk.type):
        return hash_strings(pa.array([str(value) for value in chunk.to_pylist()], pa.large_string()))
    return hash_strings(pc.cast(chunk, pa.large_string()))


def hold_out(keys: np.ndarray, share: float) -> np.ndarray:
    """Return whether each row is held out, bool (n,); decided by its key alone."""
    return (mix(keys + np.uint64(1)) >> np.uint64(11)) < np.uint64(share * (1 << 53))


def read_task(task: TaskTarget, table: pa.Table) -> TaskRows:
    """Read the label probabilities of one task; they are scaled to sum to 1.

    Raises
    ------
    ModelError  WS505 without any labeled row, WS506 if a single class has all the probability, WS509 if the
        column is missing or holds something else than k numbers from 0 up.
    """
    k = len(task.labels)
    name = LABEL_PREFIX + task.name
    if name not in table.column_names:
        raise ModelError("WS509", f"the training rows have no label column {name}", task=task.name)
    column = table.column(name).combine_chunks()
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    labeled = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=bool)
    if not labeled.any():
        raise ModelError(
            "WS505",
            f"task {task.name} has no labeled row to train on",
            hint="its labeling functions all abstain on these rows",
            task=task.name,
        )
    full = column.drop_null()
    lengths = np.asarray(pc.list_value_length(full).to_numpy(zero_copy_only=False))
    if (lengths != k).any():
        other = int(lengths[lengths != k][0])
        raise ModelError(
            "WS509",
            f"column {name} must hold {k} probabilities per row; found {other}",
            task=task.name,
            expected=k,
        )
    numbers = pc.cast(full.flatten(), pa.float64()).to_numpy(zero_copy_only=False).reshape(-1, k)  # NULL becomes NaN
    total = numbers.sum(axis=1, keepdims=True)
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and (total > 0).all()):
        raise ModelError(
            "WS509", f"column {name} must hold probabilities: numbers from 0 up, not all 0", task=task.name
        )
    probabilities = np.full((len(column), k), 1 / k)
    probabilities[labeled] = numbers / total
    mass = probabilities[labeled].sum(axis=0)
    if (mass > 1e-9 * mass.sum()).sum() < 2:
        raise ModelError(
            "WS506",
            f"every labeled row of task {task.name} is {task.labels[int(mass.argmax())]}: nothing to learn",
            hint="add labeling functions that vote for the other classes",
            task=task.name,
        )
    return TaskRows(probabilities, labeled)


def one_sided(task: TaskTarget, rows: TaskRows) -> list[str]:
    """Return a notice if one label is the likeliest, ties counting for it, of all labeled rows."""
    known = rows.probabilities[rows.labeled]
    always = (known >= known.max(axis=1, keepdims=True)).all(axis=0)
    if not always.any() or always.all():
        return []
    return [
        f"task {task.name}: every labeled row favors {task.labels[int(always.argmax())]}; "
        "add labeling functions that vote for the other classes"
    ]


def held_out_rows(
    tasks: Sequence[TaskTarget], labels: Sequence[TaskRows], keys: np.ndarray, spec: TrainSpec
) -> tuple[list[np.ndarray], list[str]]:
    """Return which rows each task holds out, bool (n,) each, and notices; too few are trained on instead."""
    out = hold_out(keys, spec.valid_share)
    masks, notices = [], []
    for task, rows in zip(tasks, labels, strict=True):
        mask = out & rows.labeled
        found = int(mask.sum())
        if spec.valid_share > 0 and (found < _MIN_HELD_OUT or found == rows.labeled.sum()):
            notices.append(
                f"task {task.name}: {found} held-out labels are too few to stop early or to calibrate on; "
                "they are trained on"
            )
            mask = np.zeros_like(mask)
        masks.append(mask)
    return masks, notices


@dataclass(frozen=True, slots=True)
class TrainingLabels:
    """What one task is trained on.

    Attributes
    ----------
    labels : float32 array of shape (n, k), sharpened, rows sum to 1
    weights : float32 array of shape (n,), 0 for rows that the task is not trained on
    """

    labels: np.ndarray
    weights: np.ndarray

    def without(self, rows: np.ndarray) -> TrainingLabels:
        """Return the same labels with weight 0 where bool (n,) `rows` is true."""
        return TrainingLabels(self.labels, np.where(rows, np.float32(0), self.weights))


def training_labels(task: TaskTarget, rows: TaskRows, spec: TrainSpec, sharpen: float) -> TrainingLabels:
    """Sharpen and weigh the labels of one task, as the options of `spec` say."""
    labels = sharpen_labels(rows.probabilities, sharpen, hard=spec.loss == "hard")
    weights = rows.labeled.astype(np.float64)
    if spec.class_weights == "balanced":
        weights[rows.labeled] = balanced_weights(labels[rows.labeled])
    if spec.uncovered == "prior":
        prior = np.array(task.balance) if task.balance is not None else rows.probabilities[rows.labeled].mean(axis=0)
        labels[~rows.labeled] = prior
        weights[~rows.labeled] = 1.0
    return TrainingLabels(labels.astype(np.float32), weights.astype(np.float32))


def require_rows(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Join the batches to one table.

    Raises
    ------
    ModelError  WS505 if there is no batch, WS509 without a key column.
    """
    if not batches:
        raise ModelError("WS505", "there are no rows to train on")
    table = pa.Table.from_batches(batches)
    if KEY not in table.column_names:
        raise ModelError("WS509", f"the training rows have no key column {KEY}")
    return table
