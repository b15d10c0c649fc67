"""Plan the label matrix: compute new and edited columns, new and changed rows, and keep the rest."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.lf import LabelingFunction
from wsdb.core.task import Task
from wsdb.planner.columns import ALWAYS, columns_of, storage_of
from wsdb.planner.facts import RowChanges, TaskFacts
from wsdb.planner.fuse import fuse
from wsdb.planner.scatter import scatter
from wsdb.planner.steps import Append, Column, LabelMatrix, Materialise, Rescan, Retract, Reuse, Step

FEW = 0.5
"""Where more than this share of the rows changed, all are computed anew."""


def plan_matrix(
    task: Task, lfs: Sequence[LabelingFunction], known: StoredMatrix | None, facts: TaskFacts, *, full: bool = False
) -> Step:
    """Return the step that makes the label matrix of a task current: Reuse where nothing has changed."""
    columns, task = columns_of(task, lfs, facts), task.coded
    storage = storage_of(columns)
    first: tuple[Step, ...] = tuple(Materialise(primitive, hashed) for primitive, hashed in facts.stale)
    if known is None or full or anew(facts, known, storage):
        parts = first + fuse(task, columns, facts) + scatter(columns)
        return LabelMatrix(task, "create", storage, columns, facts, parts)
    old = {column.name: column.input_hash for column in known.columns}
    other = facts.changes.columns if facts.changes is not None else None
    edited = tuple(column for column in columns if is_edited(column, old, facts, other or ()))
    kept = tuple(column for column in columns if column not in edited)
    changes = None if other is not None else facts.changes
    same = list(old) == [column.name for column in columns]
    rehash = facts.row_columns != known.row_columns or facts.gold_hash != known.gold_hash or other is not None
    if same and not (edited or changes or rehash or first):
        return Reuse("label matrix", (task.name,))
    parts = first + (rows_of(task, kept, facts, changes) if changes is not None else ())
    parts += fuse(task, edited, facts) + scatter(edited)
    if kept:
        parts += (Reuse("columns", tuple(column.name for column in kept)),)
    names = {column.name for column in kept}
    votes = tuple((one.name, one.votes) for one in known.columns if one.name in names and one.votes is not None)
    return LabelMatrix(task, "update" if same else "rewrite", storage, columns, facts, parts, rehash, votes)


def anew(facts: TaskFacts, known: StoredMatrix, storage: str) -> bool:
    """Return whether the stored matrix is of no use: its rows cannot be compared, or most of them changed."""
    if not facts.known or known.storage != storage:
        return True
    changes = facts.changes
    if changes is None or changes.columns is not None:
        return False
    return changes.touched + changes.removed > FEW * max(facts.n_rows, known.n_rows)


def is_edited(column: Column, old: dict[str, str], facts: TaskFacts, changed: Sequence[str]) -> bool:
    """Return whether a column must be computed on all rows."""
    if column.input_hash == ALWAYS or old.get(column.name) != column.input_hash:
        return True
    known = facts.lfs[column.lf.name]
    return known.moved or any(name in changed for name in known.rests_on)


def rows_of(task: Task, kept: Sequence[Column], facts: TaskFacts, changes: RowChanges) -> tuple[Step, ...]:
    """Return the steps that take rows out and that compute the kept columns on new and changed rows."""
    parts: tuple[Step, ...] = (Retract(changes.removed),) if changes.removed else ()
    rows: tuple[Step, ...] = (Append(changes.added),) if changes.added else ()
    rows += (Rescan(changes.changed),) if changes.changed else ()
    if not rows:
        return parts
    return parts + (fuse(task, kept, facts, rows) or rows)
