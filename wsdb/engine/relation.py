"""Relations of the user's: their columns, as DuckDB binds them, and whether a key tells their rows apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from wsdb.core.errors import DataError, SpecError, did_you_mean
from wsdb.core.span import Span
from wsdb.core.sqltext import ident, idents, shown_row
from wsdb.core.task import Task
from wsdb.engine.located import located

Columns = list[tuple[str, str]]
"""Names and types of the columns of a query."""


def describe(con: duckdb.DuckDBPyConnection, query: str, span: Span | None, what: str, first_line: int = 2) -> Columns:
    """Return the (name, type) columns of a query.

    Raises
    ------
    SpecError
        WS309 with DuckDB's message, at the user's text.
    """
    try:
        return [(name, kind) for name, kind, *_ in con.execute(f"DESCRIBE {query}").fetchall()]
    except duckdb.Error as error:
        raise located(error, span, what=what, first_line=first_line) from error


def relation_columns(con: duckdb.DuckDBPyConnection, relation: str, span: Span | None, what: str) -> Columns:
    """Return the columns of a relation, given as SQL text (a name, a path or a query in parentheses)."""
    return describe(con, f"SELECT * FROM\n{relation}", span, what)


def has_columns(
    names: tuple[str, ...], columns: Columns, relation: str, place: Callable[[str], Span | None]
) -> tuple[str, ...]:
    """Return `names` as the relation spells them.

    Parameters
    ----------
    place : where each name stands in the statement

    Raises
    ------
    SpecError
        WS312 for the first column that it does not have.
    """
    known = {name.lower(): name for name, _ in columns}
    for name in names:
        if name.lower() not in known:
            raise SpecError(
                "WS312",
                f'relation {relation} has no column "{name}"',
                span=place(name),
                hint=did_you_mean(name, known.values()) or f"it has {', '.join(known.values())}",
            )
    return tuple(known[name.lower()] for name in names)


def rows_of(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query, times of a time zone as text: duckdb makes values of them by pytz, if installed."""
    columns = con.execute(f"DESCRIBE {query}").fetchall()
    zoned = [ident(name) for name, kind, *_ in columns if "TIMESTAMP WITH TIME ZONE" in kind]
    texts = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in zoned)
    return con.execute(f"SELECT * REPLACE ({texts}) FROM ({query})" if texts else query).fetchall()


def check_keys(con: duckdb.DuckDBPyConnection, task: Task) -> None:
    """Raise where keys are NULL or not unique.

    Raises
    ------
    DataError
        WS401 with the count and three examples.
    """
    keys = idents(task.keys)
    is_null = " OR ".join(f"{ident(key)} IS NULL" for key in task.keys)
    (nulls,) = con.execute(f"SELECT count(*) FROM {task.relation} WHERE {is_null}").fetchall()[0]
    if nulls:
        raise DataError(
            "WS401",
            f"{nulls:,} row{'s' if nulls > 1 else ''} of {task.relation} ha{'ve' if nulls > 1 else 's'} "
            f'a NULL in the key ({", ".join(task.keys)}) of task "{task.name}": {_null_rows(con, task, is_null)}',
            hint="a key identifies a row: fill it, or leave those rows out with a view",
            count=nulls,
        )
    repeated = f"SELECT {keys}, count(*) FROM {task.relation} GROUP BY {keys} HAVING count(*) > 1"
    examples = rows_of(con, f"{repeated} ORDER BY count(*) DESC, {keys} LIMIT 3")
    if examples:
        (count,) = con.execute(f"SELECT count(*) FROM ({repeated})").fetchall()[0]
        shown = "; ".join(f"{shown_row(task.keys, row[:-1])} ({row[-1]} times)" for row in examples)
        raise DataError(
            "WS401",
            f"{count:,} key{'s' if count > 1 else ''} of {task.relation} "
            f"{'are' if count > 1 else 'is'} not unique: {shown}",
            hint="name all columns that identify a row in KEY, or remove the duplicates",
            count=count,
            examples=[list(row[:-1]) for row in examples],
        )


def _null_rows(con: duckdb.DuckDBPyConnection, task: Task, is_null: str) -> str:
    """Return up to three rows with a NULL in the key, their first columns, as an error shows them."""
    names = [name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {task.relation}").fetchall()]
    own = {key.lower() for key in task.keys}
    shown = (*task.keys, *[name for name in names if name.lower() not in own][:2])
    rows = rows_of(con, f"SELECT {idents(shown)} FROM {task.relation} WHERE {is_null} ORDER BY ALL LIMIT 3")
    return "; ".join(shown_row(shown, row) for row in rows)
