"""Votes for one of several labels: a list in a query or vote relation of a task with one label a row.

The label matrix has no vote there; the labels stand in a table of their own, ``wsdb.sets_<task>``, which the label
model of partial votes reads with it.
"""

from __future__ import annotations

import duckdb
import numpy as np

from wsdb.core.sqltext import idents, literals
from wsdb.core.task import Task
from wsdb.planner.steps import Scatter

KINDS = ("multiclass", "ordinal")
"""The kinds of task for which a list of labels is a vote for one of them."""


def keep_sets(con: duckdb.DuckDBPyConnection, table: str, task: Task, step: Scatter, long: str) -> None:
    """Store the votes for one of several labels that a labeling function has given.

    Parameters
    ----------
    table : full SQL name of the table of such votes
    long : the votes by key, ``__source`` and ``__set``, a list of codes or NULL
    """
    keys, names = idents(task.keys), literals([column.name for column in step.columns])
    con.execute(
        f"CREATE TABLE IF NOT EXISTS {table} AS SELECT {keys}, ''::VARCHAR AS column_name, []::VARCHAR[] AS labels "
        f"FROM {task.relation} LIMIT 0"
    )
    con.execute(f"DELETE FROM {table} WHERE column_name IN ({names})")
    con.execute(
        f"INSERT INTO {table} SELECT {keys}, [{names}][__source + 1], "
        f"list_transform(__set, lambda x: [{literals(task.labels)}][x + 1]) FROM {long} WHERE __set IS NOT NULL"
    )


def with_sets(
    con: duckdb.DuckDBPyConnection, table: str, matrix: str, task: Task, columns: tuple[str, ...], votes: np.ndarray
) -> np.ndarray | None:
    """Write the votes for one of several labels into a matrix of votes, and return what their codes stand for.

    Parameters
    ----------
    matrix : full SQL name of the stored label matrix
    votes : int array of shape (n, m), rows in the order of their keys; gets the codes k, k + 1 … in place

    Returns
    -------
    bool array of shape (s, k), the labels of code k + i; None where there are no such votes
    """
    keys = idents(task.keys)
    found = con.sql(
        f"SELECT r.__at, c.column_name, c.labels FROM {table} AS c JOIN (SELECT {keys}, "
        f"row_number() OVER (ORDER BY {keys}) - 1 AS __at FROM {matrix}) AS r USING ({keys}) ORDER BY ALL"
    ).fetchall()
    place = {name: at for at, name in enumerate(columns)}
    numbers: dict[tuple[str, ...], int] = {}
    for row, name, labels in found:
        if name in place:
            votes[row, place[name]] = len(task.labels) + numbers.setdefault(tuple(labels), len(numbers))
    if not numbers:
        return None
    return np.array([[label in chosen for label in task.labels] for chosen in numbers], dtype=bool)
