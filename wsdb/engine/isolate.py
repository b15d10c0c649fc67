"""Isolate: find the labeling function that fails in a fused scan, and the rows on which it fails."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from wsdb.core.errors import DataError
from wsdb.core.lf import Expression, LabelingFunction, VoteWhen
from wsdb.core.sqltext import ident, idents, shown_row
from wsdb.core.task import Task
from wsdb.engine import compile as sql
from wsdb.engine.located import said
from wsdb.engine.relation import rows_of
from wsdb.engine.udf import raised
from wsdb.planner.steps import Column


def isolate(
    con: duckdb.DuckDBPyConnection, task: Task, columns: Sequence[Column], joins: str = ""
) -> list[list[Column]]:
    """Return the columns in groups whose scans succeed; python labeling functions report their own rows.

    Two labeling functions that work alone can fail in one SELECT, because DuckDB shares a subexpression across a
    guard: they come back in different groups.

    Raises
    ------
    DataError
        WS405 where one fails alone: its name, the count of its rows and one of them.
    """
    if _works(con, task, columns, joins):
        return [list(columns)]
    if len(columns) == 1:
        raise _failing(con, task, columns[0].lf, joins)
    half = len(columns) // 2
    return isolate(con, task, columns[:half], joins) + isolate(con, task, columns[half:], joins)


def _works(con: duckdb.DuckDBPyConnection, task: Task, columns: Sequence[Column], joins: str) -> bool:
    plain = [column for column in columns if column.lf.scope == "row"]
    if not plain:
        return True
    largest = ", ".join(f"max({ident(column.name)})" for column in plain)
    try:
        con.execute(f"SELECT {largest} FROM (\n{sql.fused_select(plain, task, {}, joins=joins)}\n)").fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        return False
    return True


def _failing(con: duckdb.DuckDBPyConnection, task: Task, lf: LabelingFunction, joins: str) -> DataError:
    """Return the error of a row labeling function that fails alone."""
    assert isinstance(lf.body, VoteWhen | Expression)
    body = lf.body.predicate if isinstance(lf.body, VoteWhen) else lf.body.sql
    keys, source = idents(task.keys), f"{task.relation}{joins}"
    try:
        (count,) = con.execute(f"SELECT count(*) FROM {source} WHERE {fails(body)}").fetchall()[0]
        row = rows_of(con, f"SELECT {keys} FROM {source} WHERE {fails(body)} ORDER BY {keys} LIMIT 1")[0]
    except duckdb.Error:  # TRY takes no subqueries
        count, row = None, _first_failing(con, task, body, joins)
    text = _message(con, task, body, row, joins)
    return raised(lf, count, dict(zip(task.keys, row, strict=True)), text)


def abstained(
    con: duckdb.DuckDBPyConnection, task: Task, lfs: Sequence[LabelingFunction], joins: str, where: str = ""
) -> list[str]:
    """Return what is to be said of row labeling functions that abstain where they fail: on how many rows they did.

    Parameters
    ----------
    where : SQL of the rows that were read, with the word WHERE; empty for all of them
    """
    keys = idents(task.keys)
    source = f"(SELECT * FROM {task.relation} {where}) AS {_alias(task)}{joins}"
    notices = []
    for lf in lfs:  # one by one: in one SELECT, DuckDB takes out of TRY what several of them have in common
        body = lf.body.predicate if isinstance(lf.body, VoteWhen) else getattr(lf.body, "sql", "")
        failing = f"FROM {source} WHERE {fails(body)}"
        (count,) = con.execute(f"SELECT count(*) {failing}").fetchall()[0]
        if count:
            (first,) = rows_of(con, f"SELECT {keys} {failing} ORDER BY {keys} LIMIT 1")
            shown, rows = shown_row(task.keys, first), "1 row" if count == 1 else f"{count:,} rows"
            notices.append(f'labeling function "{lf.name}" failed on {rows}; first at {shown}; those rows abstain')
    return notices


def fails(body: str) -> str:
    """Return the SQL condition that a row body fails on a row.

    TRY gives NULL where its argument fails; coalesce keeps apart the rows where the body itself is NULL.
    """
    return f"TRY(coalesce(CAST((\n{body}\n) AS VARCHAR), '')) IS NULL"


def _message(con: duckdb.DuckDBPyConnection, task: Task, body: str, row: tuple[object, ...], joins: str) -> str:
    """Return what DuckDB says of the body on one row."""
    same = " AND ".join(f"{ident(key)} = ?" for key in task.keys)
    try:
        con.execute(
            f"SELECT (\n{body}\n) FROM (SELECT * FROM {task.relation} WHERE {same}) AS {_alias(task)}{joins}",
            list(row),
        ).fetchall()
    except duckdb.Error as error:
        return said(error)
    return "the error does not come back on this row alone"


def _first_failing(con: duckdb.DuckDBPyConnection, task: Task, body: str, joins: str) -> tuple[object, ...]:
    """Return the key of the first row, by key, at which the body fails: found by halving the number of rows read."""
    keys = idents(task.keys)
    (most,) = con.execute(f"SELECT count(*) FROM {task.relation}").fetchall()[0]
    low, high = 0, most  # the body works on the first `low` rows and fails on the first `high`
    while high - low > 1:
        middle = (low + high) // 2
        part = f"(SELECT * FROM {task.relation} ORDER BY {keys} LIMIT {middle}) AS {_alias(task)}{joins}"
        try:
            con.execute(f"SELECT max(label) FROM (SELECT (\n{body}\n) AS label FROM {part})").fetchall()
            low = middle
        except duckdb.Error:
            high = middle
    return rows_of(con, f"SELECT {keys} FROM {task.relation} ORDER BY {keys} LIMIT 1 OFFSET {max(high - 1, 0)}")[0]


def _alias(task: Task) -> str:
    """Return the name by which a body may call the task's relation."""
    last = task.relation.rsplit(".", 1)[-1]
    return last if last.startswith('"') or last.isidentifier() else ident(last.strip("'"))
