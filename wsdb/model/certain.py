"""Labels that are too uncertain to learn from, by the option min_label_prob."""

from __future__ import annotations

import numpy as np

from wsdb.core.errors import ModelError
from wsdb.model.parts import TaskTarget
from wsdb.model.rows import TaskRows

_ROUNDING = 1e-9


def certain(task: TaskTarget, rows: TaskRows, least: float) -> tuple[TaskRows, str]:
    """Return the labels without those that are less probable than `least`, and a notice of how many they are.

    A label counts by the probability of its likeliest class. Each label of a bitvector counts for itself, present or
    absent; a row of a select task by its likeliest element. What is left out counts as not labeled.

    Raises
    ------
    ModelError  WS505 where none is left.
    """
    sure = _likeliest(task.kind, rows) >= least - _ROUNDING
    labeled = rows.labeled & sure
    before, after = (_count(task, TaskRows(rows.probabilities, one, rows.indptr)) for one in (rows.labeled, labeled))
    if not after:
        raise ModelError(
            "WS505",
            f"task {task.name} has no labeled row to train on: none of its {before:,} labels has a probability of "
            f"{least:g}",
            hint="lower min_label_prob",
            option="min_label_prob",
        )
    if before == after:
        return rows, f"min_label_prob changed nothing for task {task.name}: no label is less probable than {least:g}"
    unknown = 0.5 if task.kind == "bitvector" else 1 / len(task.labels)
    shown = labeled if task.kind == "bitvector" else labeled[:, None]
    note = (
        f"task {task.name}: {before - after:,} of {before:,} labels are less probable than {least:g} and are left out"
    )
    return TaskRows(np.where(shown, rows.probabilities, unknown), labeled, rows.indptr), note


def _likeliest(kind: str, rows: TaskRows) -> np.ndarray:
    """Return the probability of the likeliest class, float64 (E,), of a bitvector (E, k)."""
    given = rows.probabilities
    if kind == "bitvector":
        return np.maximum(given, 1 - given)
    if kind != "select":
        return np.asarray(given.max(axis=1))
    assert rows.indptr is not None
    lengths = np.diff(rows.indptr)
    tops = np.zeros(len(lengths))
    filled = np.flatnonzero(lengths)
    if len(filled):
        tops[filled] = np.maximum.reduceat(np.where(rows.labeled, given[:, 1], 0), rows.indptr[filled])
    return np.repeat(tops, lengths)


def _count(task: TaskTarget, rows: TaskRows) -> int:
    return int((rows.rows if task.kind == "select" else rows.labeled).sum())
