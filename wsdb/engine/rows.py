"""The rows of a task's relation: their hash, and which of them differ from those of the stored label matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import duckdb

from wsdb.catalog.fingerprint import digest
from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.rowsql import code, gold_is_own, gold_select, split_of
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import Task
from wsdb.planner.facts import RowChanges

ROW, SPLIT, GOLD = "__row", "__split", "__gold"
"""Columns of a stored label matrix besides keys and votes: the row's hash, its split, the code of its gold label."""
MANY = 0.5
"""Where more than this share of the rows changed, it is worth asking which columns did."""


def column_hash(task: Task, name: str) -> str:
    """Return SQL of the hash of a row's keys and one column."""
    return f"hash({idents(task.keys)}, {ident(name)})"


def row_hash(task: Task, columns: Sequence[str]) -> str:
    """Return SQL of the hash of a row: of its keys and of these columns.

    It is made from the hashes of the columns, so that a query that asks for both reads long texts once.
    """
    if not columns:
        return f"hash({idents(task.keys)})"
    return f"hash({', '.join(column_hash(task, name) for name in columns)})"


def row_facts(task: Task, columns: Sequence[str]) -> list[str]:
    """Return the SQL of what is stored of a row besides votes; gold only where the task's relation has it."""
    gold = code(f"CAST({ident(task.gold.column)} AS VARCHAR)", task) if task.gold and gold_is_own(task) else "NULL"
    return [
        f"{row_hash(task, columns)} AS {ROW}",
        f"{split_of(task)} AS {SPLIT}",
        f"CAST({gold} AS SMALLINT) AS {GOLD}",
    ]


def gold_codes(task: Task) -> str | None:
    """Return the SELECT of keys and gold code of a gold relation apart from the task's; None without one."""
    if task.gold is None or gold_is_own(task):
        return None
    keys = idents(task.keys)
    return f"SELECT {keys}, min({code('gold', task)}) AS {GOLD} FROM ({gold_select(task)}) GROUP BY {keys}"


def delta_name(task: Task) -> str:
    """Return the name of the temporary table that lists the rows that differ: keys, ``__new`` and ``__old`` hashes."""
    return ident(f"__wsdb_delta_{task.name.lower()}")


def among(task: Task, table: str) -> str:
    """Return the SQL condition that a row's key stands in a table."""
    keys = idents(task.keys)
    if len(task.keys) == 1:
        return f"{keys} IN (SELECT {keys} FROM {table})"
    return f"({keys}) IN (SELECT ({keys}) FROM {table})"


def probe(con: duckdb.DuckDBPyConnection) -> str:
    """Return what this DuckDB's hash function answers for a few values: stored hashes are good while that is equal."""
    values = "hash(1), hash('wsdb', 2.5), hash(NULL::VARCHAR, DATE '2026-01-01', [1, 2])"
    return digest(*con.execute(f"SELECT {values}").fetchall()[0])


def fingerprint(
    con: duckdb.DuckDBPyConnection, task: Task, *column_lists: Sequence[str]
) -> tuple[int, tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the number of rows, and hashes over all rows, whatever their order; one scan.

    The hashes are one for each list of columns, and one for each column of the last list.
    """
    parts = [f"bit_xor({row_hash(task, columns)})" for columns in column_lists]
    parts += [f"bit_xor({column_hash(task, name)})" for name in column_lists[-1]]
    row = con.execute(f"SELECT count(*), {', '.join(parts)} FROM {task.relation}").fetchall()[0]
    lists, each = row[1 : 1 + len(column_lists)], row[1 + len(column_lists) :]
    hashes = tuple(
        digest(*task.keys, *task.labels, *columns, row[0], value)
        for columns, value in zip(column_lists, lists, strict=True)
    )
    return int(row[0]), hashes, tuple(zip(column_lists[-1], map(str, each), strict=True))


def changes(
    con: duckdb.DuckDBPyConnection, task: Task, stored: StoredMatrix, matrix: str, n_rows: int
) -> RowChanges | None:
    """Compare the relation with the stored matrix row by row; list what differs in a temporary table.

    Returns None where rows cannot be told apart by key: some key is NULL or there twice, or of another type now.
    """
    keys, delta = idents(task.keys), delta_name(task)
    if _types(con, task, task.relation) != _types(con, task, matrix):
        return None
    now = f"SELECT {keys}, {row_hash(task, stored.row_columns)} AS __new FROM {task.relation}"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {delta} AS SELECT {keys}, __new, {ROW} AS __old FROM ({now}) "
        f"FULL JOIN (SELECT {keys}, {ROW} FROM {matrix}) USING ({keys}) WHERE __new IS DISTINCT FROM {ROW}"
    )
    nulls = " OR ".join(f"{ident(key)} IS NULL" for key in task.keys)
    added, changed, removed, distinct, empty = con.execute(
        "SELECT count(*) FILTER (WHERE __old IS NULL), "
        "count(*) FILTER (WHERE __old IS NOT NULL AND __new IS NOT NULL), "
        f"count(*) FILTER (WHERE __new IS NULL), count(DISTINCT ({keys})), count(*) FILTER (WHERE {nulls}) FROM {delta}"
    ).fetchall()[0]
    if empty or distinct != added + changed + removed or n_rows != stored.n_rows + added - removed:
        return None
    return RowChanges(added, changed, removed)


def _types(con: duckdb.DuckDBPyConnection, task: Task, relation: str) -> list[str]:
    """Return the types of the key columns in a relation."""
    return [kind for _, kind, *_ in con.execute(f"DESCRIBE SELECT {idents(task.keys)} FROM {relation}").fetchall()]


def changed_columns(
    stored: StoredMatrix, found: RowChanges, now: tuple[tuple[str, str], ...]
) -> tuple[str, ...] | None:
    """Return which columns changed, where the keys are the same and much of the rest is not; else None.

    Parameters
    ----------
    now : the hash of each column that is read
    """
    if found.added or found.removed or found.changed <= MANY * stored.n_rows or not stored.column_hashes:
        return None
    each = dict(now)
    return tuple(name for name, hashed in stored.column_hashes if each.get(name) != hashed)


def joins_of(task: Task, names: Iterable[str], table: Callable[[str], str]) -> str:
    """Return the SQL that puts the columns of primitives next to a row of the task's relation.

    Parameters
    ----------
    table : the full SQL name of something in schema wsdb
    """
    keys = idents(task.keys)
    return "".join(f" LEFT JOIN {table(f'primitive_{name}')} AS {ident(name)} USING ({keys})" for name in names)
