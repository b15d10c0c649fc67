"""The views of a task's rows: split and gold, the label matrix with label strings, the votes in long form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsdb.core.sqltext import ident, idents, literal, literals
from wsdb.core.task import Task


def rows_select(task: Task) -> str:
    """Return the SELECT of keys, split (train, dev, test or NULL) and gold (label string or NULL), a row each.

    A row whose task declares no split is in train.
    """
    if task.gold is None:
        return f"SELECT {idents(task.keys)}, {_split(task)} AS split, NULL::VARCHAR AS gold FROM {task.relation} AS rel"
    gold = f"SELECT {idents(task.keys)}, CAST({ident(task.gold.column)} AS VARCHAR) AS gold FROM {task.gold.relation}"
    return (
        f"SELECT {idents(task.keys, 'rel.')}, {_split(task)} AS split, g.gold FROM {task.relation} AS rel "
        f"LEFT JOIN ({gold}) AS g USING ({idents(task.keys)})"
    )


def _split(task: Task) -> str:
    if task.split is None:
        return "'train'"
    column = f"rel.{ident(task.split.column)}"
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


def matrix_select(task: Task, columns: Sequence[str]) -> str:
    """Return the SELECT of the label matrix with an ENUM of the task's labels for each vote source."""
    enum = f"ENUM ({literals(task.labels)})"
    votes = [f"CAST({vote_label(ident(name), task)} AS {enum}) AS {ident(name)}" for name in columns]
    return f"SELECT {', '.join([idents(task.keys), *votes])} FROM wsdb.{ident('matrix_' + task.name)}"


def matrix_macro(task: Task) -> str:
    """Return the body of the macro that gives the label matrix of one split, or of all rows for NULL."""
    matrix, rows = ident(f"label_matrix_{task.name}"), ident(f"rows_{task.name}")
    return (
        f"SELECT m.* FROM wsdb.{matrix} AS m WHERE @of_split@ IS NULL OR "
        f"EXISTS (FROM wsdb.{rows} AS r WHERE r.split = @of_split@ AND {same_key(task, 'm', 'r')})"
    )


def same_key(task: Task, left: str, right: str) -> str:
    """Return the condition that two aliases are at the same key."""
    return " AND ".join(f"{left}.{ident(key)} = {right}.{ident(key)}" for key in task.keys)


def votes_select(task: Task, columns: Sequence[tuple[str, str, str | None]], versions: Mapping[str, int]) -> str:
    """Return the SELECT of the votes in long form.

    Parameters
    ----------
    columns : (column, lf, source) of the label matrix
    versions : version of each labeling function
    """
    parts = []
    for name, lf, source in columns:
        said = "NULL::VARCHAR" if source is None else literal(source)
        computed_at = (
            f"SELECT max(c.computed_at) FROM wsdb.matrix_columns AS c WHERE lower(c.task) = "
            f"{literal(task.name.lower())} AND c.column_name = {literal(name)}"
        )
        parts.append(
            f"SELECT {idents(task.keys)}, {literal(lf)} AS lf, {said} AS source, "
            f"{vote_label(ident(name), task)} AS label, {versions.get(lf.lower(), 0)} AS lf_version, "
            f"({computed_at}) AS computed_at "
            f"FROM wsdb.{ident('matrix_' + task.name)} WHERE {ident(name)} IS NOT NULL"
        )
    if not parts:
        parts = [
            f"SELECT {idents(task.keys)}, NULL::VARCHAR AS lf, NULL::VARCHAR AS source, NULL::VARCHAR AS label, "
            f"0 AS lf_version, NULL::TIMESTAMP AS computed_at FROM wsdb.{ident('matrix_' + task.name)} WHERE false"
        ]
    return "\nUNION ALL\n".join(parts)


def vote_label(code: str, task: Task) -> str:
    """Return SQL that turns a vote's code into its label."""
    return f"[{literals(task.labels)}][{code} + 1]"
