"""SQL of a task's rows: their split and their gold label, from the columns of the task's relation."""

from __future__ import annotations

from wsdb.core.sqltext import ident, idents, literal, literals
from wsdb.core.task import Task


def rows_select(task: Task) -> str:
    """Return the SELECT of keys, split (train, dev, test or NULL) and gold (label string or NULL), a row each.

    A row whose task declares no split is in train.
    """
    if task.gold is None:
        return f"SELECT {idents(task.keys)}, {split_of(task)} AS split, NULL::VARCHAR AS gold FROM {task.relation}"
    return (
        f"SELECT {idents(task.keys, 'rel.')}, rel.split, g.gold FROM "
        f"(SELECT {idents(task.keys)}, {split_of(task)} AS split FROM {task.relation}) AS rel "
        f"LEFT JOIN ({gold_select(task)}) AS g USING ({idents(task.keys)})"
    )


def gold_select(task: Task) -> str:
    """Return the SELECT of keys and gold, the label string, of a task that has gold."""
    assert task.gold is not None
    return f"SELECT {idents(task.keys)}, CAST({ident(task.gold.column)} AS VARCHAR) AS gold FROM {task.gold.relation}"


def gold_labels(gold: str) -> str:
    """Return SQL of the gold of a bitvector task as a list of labels: its text is that of a list, or one label."""
    return f"CASE WHEN {gold} IS NOT NULL THEN coalesce(TRY_CAST({gold} AS VARCHAR[]), [{gold}]) END"


def gold_is_own(task: Task) -> bool:
    """Return whether the gold labels are a column of the task's relation."""
    return task.gold is not None and task.gold.relation == task.relation


def code(label: str, task: Task) -> str:
    """Return SQL that turns a label string into its code; NULL for NULL and for a string that is no label."""
    return f"CAST(list_position([{literals(task.labels)}], {label}) - 1 AS SMALLINT)"


def split_of(task: Task) -> str:
    """Return SQL over a row of the task's relation that gives the split of the row."""
    if task.split is None:
        return "'train'"
    column = ident(task.split.column)
    if not task.split.shares:
        name = f"lower(CAST({column} AS VARCHAR))"
        return f"CASE WHEN {name} IN ('valid', 'validation', 'val') THEN 'dev' ELSE {name} END"
    # md5 is the same in every version of DuckDB; hash() is not promised to be.
    place = f"(md5_number_lower(CAST({column} AS VARCHAR)) % 10000) / 100.0"
    arms, total = "", 0.0
    for name, share in task.split.shares:
        total += share
        arms += f" WHEN {place} < {total!r} THEN {literal(name)}"
    return f"CASE{arms} END"
