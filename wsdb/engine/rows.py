"""The rows of a task's relation: their hash, and which of them differ from those of the stored label matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from wsdb.catalog.fingerprint import digest
from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.rowsql import code, gold_is_own, gold_select, split_of
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import Task
from wsdb.planner.facts import RowChanges

ROW, SPLIT, GOLD = "__row", "__split", "__gold"
"""Columns of a stored label matrix besides keys and votes: the row's hash, its split, the code of its gold label."""
SAMPLED = 50_000
"""From this many rows on, a sample may show that rows changed."""
SAMPLE_PERCENT = 1
"""How much of the rows is in the sample."""
KEPT_COLUMNS = 16
"""Hashes of more columns than this are computed twice rather than kept."""
MANY = 0.5
"""Where more than this share of the rows changed, it is worth asking which columns did."""


def column_hash(task: Task, name: str) -> str:
    """Return SQL of the hash of a row's keys and one column."""
    return f"hash({idents(task.keys)}, {ident(name)})"


def row_hash(task: Task, columns: Sequence[str]) -> str:
    """Return SQL of the hash of a row: of its keys and of these columns.

    It is made from the hashes of the columns, so that a query that asks for both reads long texts once.
    """
    return RowHashes.read(task, columns).row(columns)


@dataclass(frozen=True, slots=True)
class RowHashes:
    """Where the hashes of a task's rows are read.

    Attributes
    ----------
    relation : SQL name of a relation with the keys
    columns : by column of the task's relation, the SQL of the hash of the keys and that column
    """

    task: Task
    relation: str
    columns: Mapping[str, str]

    @classmethod
    def read(cls, task: Task, columns: Iterable[str]) -> RowHashes:
        """Return the hashes as they are computed off the task's relation."""
        return cls(task, task.relation, {name: column_hash(task, name) for name in columns})

    @classmethod
    def kept(cls, con: duckdb.DuckDBPyConnection, task: Task, columns: Iterable[str]) -> RowHashes:
        """Compute the hashes into a temporary table, so that texts are read once, and return them as they stand there.

        `drop` removes the table.
        """
        read = cls.read(task, columns)
        places = {name: f"__h{at}" for at, name in enumerate(read.columns)}
        hashes = [f"{made} AS {places[name]}" for name, made in read.columns.items()]
        table = f"temp.main.{ident(f'__wsdb_hashes_{task.name.lower()}')}"
        picked = ", ".join([idents(task.keys), *hashes])
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table.removeprefix('temp.main.')} AS SELECT {picked} FROM {task.relation}"
        )
        return cls(task, table, places)

    def drop(self, con: duckdb.DuckDBPyConnection) -> None:
        """Remove the table of kept hashes."""
        if self.relation != self.task.relation:
            con.execute(f"DROP TABLE {self.relation}")

    def row(self, columns: Sequence[str]) -> str:
        """Return SQL of the hash of a row: of its keys and of these columns."""
        return f"hash({', '.join(self.columns[name] for name in columns) or idents(self.task.keys)})"


def surely_differs(con: duckdb.DuckDBPyConnection, task: Task, stored: StoredMatrix, matrix: str) -> bool:
    """Return whether the rows surely differ from those of the stored matrix, by their number or by a small sample.

    Where this is known, the rows are compared one by one at once, without a hash over all of them first. A relation
    that is not a table is not asked: that could take as long as reading it.
    """
    name = task.relation.replace('"', "").rpartition(".")[2].lower()
    names = "SELECT lower(table_name) FROM duckdb_tables() EXCEPT SELECT lower(view_name) FROM duckdb_views()"
    if not con.execute(f"SELECT 1 WHERE ? IN ({names})", [name]).fetchall():
        return False
    (n_rows,) = con.execute(f"SELECT count(*) FROM {task.relation}").fetchall()[0]
    if n_rows != stored.n_rows:
        return True
    if n_rows < SAMPLED:
        return False
    share = f"TABLESAMPLE SYSTEM ({SAMPLE_PERCENT} PERCENT)"
    sample = f"SELECT {row_hash(task, stored.row_columns)} AS __new FROM {task.relation} {share}"
    other = f"SELECT 1 FROM ({sample}) AS s ANTI JOIN {matrix} AS m ON s.__new = m.{ROW} LIMIT 1"
    return bool(con.execute(other).fetchall())


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


def facts_select(task: Task, columns: Sequence[str], where: str = "") -> str:
    """Return the SELECT of keys, hash, split and gold code of the rows of a task's relation.

    Parameters
    ----------
    columns : those that the hash is made from
    where : SQL of the rows to read, with the word WHERE; empty for all of them
    """
    keys = idents(task.keys)
    base = f"SELECT {', '.join([keys, *row_facts(task, columns)])} FROM {task.relation} {where}"
    gold = gold_codes(task)
    if gold is None:
        return base
    return f"SELECT b.* EXCLUDE ({GOLD}), g.{GOLD} FROM ({base}) AS b LEFT JOIN ({gold}) AS g USING ({keys})"


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
    con: duckdb.DuckDBPyConnection, now: RowHashes, *column_lists: Sequence[str], each: Sequence[str] = ()
) -> tuple[int, tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the number of rows, and hashes over all rows, whatever their order; one scan.

    The hashes are one for each list of columns, and with their names those of the columns in `each`.
    """
    task = now.task
    parts = [f"bit_xor({now.row(columns)})" for columns in column_lists]
    parts += [f"bit_xor({now.columns[name]})" for name in each]
    row = con.execute(f"SELECT {', '.join(['count(*)', *parts])} FROM {now.relation}").fetchall()[0]
    lists, columns_hashes = row[1 : 1 + len(column_lists)], row[1 + len(column_lists) :]
    hashes = tuple(_digest(task, columns, row[0], value) for columns, value in zip(column_lists, lists, strict=True))
    return int(row[0]), hashes, tuple(zip(each, map(str, columns_hashes), strict=True))


def changes(
    con: duckdb.DuckDBPyConnection, now: RowHashes, stored: StoredMatrix, matrix: str, n_rows: int
) -> RowChanges | None:
    """Compare the relation with the stored matrix row by row; list what differs in a temporary table.

    Returns None where rows cannot be told apart by key: some key is NULL or there twice, or of another type now.
    """
    task = now.task
    keys, delta = idents(task.keys), delta_name(task)
    if _types(con, task, task.relation) != _types(con, task, matrix):
        return None
    new = f"{now.row(stored.row_columns)} AS __new"
    behind = appended(con, now, stored, n_rows)
    if behind is not None:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {delta} AS SELECT {keys}, {new}, NULL::UBIGINT AS __old FROM {behind}"
        )
        if con.execute(f"SELECT 1 FROM {delta} SEMI JOIN {matrix} USING ({keys}) LIMIT 1").fetchall():
            return None
    else:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {delta} AS SELECT {keys}, __new, {ROW} AS __old "
            f"FROM (SELECT {keys}, {new} FROM {now.relation}) "
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


def appended(con: duckdb.DuckDBPyConnection, now: RowHashes, stored: StoredMatrix, n_rows: int) -> str | None:
    """Return the SQL of the rows that stand behind those of the stored matrix; None where more than that has changed.

    New rows mostly stand at the end. Where the hash over all rows before them is the stored one, which is how it is
    known of any rows that they did not change, the rows need not be compared one by one.
    """
    if now.relation == now.task.relation or n_rows <= stored.n_rows:
        return None
    before = f"SELECT bit_xor({now.row(stored.row_columns)}) FROM {now.relation} WHERE rowid < {stored.n_rows}"
    (found,) = con.execute(before).fetchall()[0]
    same = _digest(now.task, stored.row_columns, stored.n_rows, found) == stored.rows_hash
    return f"(FROM {now.relation} WHERE rowid >= {stored.n_rows})" if same else None


def _digest(task: Task, columns: Sequence[str], n_rows: int, hashed: int | None) -> str:
    """Return the hash over all rows, from the bits of theirs."""
    return digest(*task.keys, *task.labels, *columns, n_rows, hashed)


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
