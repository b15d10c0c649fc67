"""The rows of a task's relation: their hash, and which of them differ from those of the stored label matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import duckdb
import numpy as np
import pyarrow as pa

from wsdb.catalog.fingerprint import digest
from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.rowsql import code, gold_is_own, gold_select, split_of
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import Task
from wsdb.planner.facts import RowChanges

ROW, SPLIT, GOLD = "__row", "__split", "__gold"
"""Columns of a stored label matrix besides keys and votes: the row's hash, its split, the code of its gold label."""
KEPT_COLUMNS = 16
"""Hashes of more columns than this are computed twice rather than kept."""
PART = 1 << 24
"""This many hashes are compared at once."""
LISTED = 1 << 24
"""Hashes of up to this many rows are held in memory, of more in a temporary table."""
NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
"""Types of keys that are held in memory beside them."""
MANY = 0.5
"""Where more than this share of the rows changed, it is worth asking which columns did."""


NESTED = r"(\[|STRUCT|MAP|UNION)"
"""In the name of a type, what tells that its values hold values."""


def column_hash(task: Task, name: str) -> str:
    """Return SQL of the hash of a row's keys and one column.

    Rows are added up by bit_xor, and DuckDB combines two hashes by one too: without the outer hash, a value that
    changes on an even number of rows would cancel out.
    """
    return f"hash(hash({idents(task.keys)}, {ident(name)}, {beside(ident(name))}))"


def beside(column: str) -> str:
    """Return SQL of what to hash beside a column: its type, and what tells NULL from [] and 1 month from 30 days.

    DuckDB hashes those alike. It knows the type when it binds, so that one branch is left, for most types a constant.
    """
    kind = f"typeof({column})"
    deep = f"{kind} SIMILAR TO '.*({NESTED}.*{NESTED}|INTERVAL).*'"
    return (
        f"CASE WHEN {deep} THEN hash({kind}, {column}::VARCHAR) "
        f"WHEN {kind} SIMILAR TO '.*{NESTED}.*' THEN hash({kind}, {column} IS NULL) ELSE hash({kind}) END"
    )


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
    lists : by list of columns, the SQL of the hash of the keys and those columns, where that stands in the relation
    totals : what is known of all rows: the answers of aggregates by their SQL
    votes : the keys and the columns that were read with the hashes
    """

    task: Task
    relation: str
    columns: Mapping[str, str]
    lists: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    votes: pa.Table | None = None

    @classmethod
    def read(cls, task: Task, columns: Iterable[str]) -> RowHashes:
        """Return the hashes as they are computed off the task's relation."""
        return cls(task, task.relation, {name: column_hash(task, name) for name in columns})

    @classmethod
    def kept(
        cls,
        con: duckdb.DuckDBPyConnection,
        task: Task,
        *lists: tuple[str, ...],
        n_rows: int = 0,
        votes: Mapping[str, str] = MappingProxyType({}),
    ) -> RowHashes:
        """Compute the hashes of rows, so that texts are read once; return them as they stand.

        They are in an Arrow table or, where they are many or keys are not numbers, in a temporary table: a hash for
        each list of columns and, in a temporary table and where they are few, for each column. `drop` removes it.

        Parameters
        ----------
        n_rows : about how many rows there are
        votes : by name the SQL of more columns; the Arrow table has them, the temporary table does not
        """
        read = cls.read(task, dict.fromkeys(name for columns in lists for name in columns))
        each = read.columns if len(read.columns) <= KEPT_COLUMNS else {}
        rows = {columns: f"__r{at}" for at, columns in enumerate(dict.fromkeys(lists))}
        texts = {place: read.row(names) for names, place in rows.items()}
        if n_rows <= LISTED and NUMBERS.issuperset(_types(con, task, task.relation)):
            return cls._listed(con, task, each, rows, texts, votes)
        columns = {name: f"__h{at}" for at, name in enumerate(each)}
        picked = [idents(task.keys), *(f"{each[name]} AS {place}" for name, place in columns.items())]
        picked += [f"{text} AS {place}" for place, text in texts.items()]
        table = ident(f"__wsdb_hashes_{task.name.lower()}")
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {', '.join(picked)} FROM {task.relation}")
        return cls(task, f"temp.main.{table}", columns, rows)

    @classmethod
    def _listed(
        cls,
        con: duckdb.DuckDBPyConnection,
        task: Task,
        each: Mapping[str, str],
        rows: Mapping[tuple[str, ...], str],
        texts: Mapping[str, str],
        votes: Mapping[str, str],
    ) -> RowHashes:
        """Read the hashes of rows as one list, and in the same pass what they and those of columns add up to."""
        packed = [f"{place} := {text}" for place, text in texts.items()]
        packed += [f"{ident(key)} := {ident(key)}" for key in task.keys]
        packed += [f"{ident(name)} := {text}" for name, text in votes.items()]
        # DuckDB 1.5 fails where it hands a comparison of a column of 64-bit numbers without sign to Arrow.
        shown = {columns: f"({place} | 0)" for columns, place in rows.items()}
        sums = {f"bit_xor({shown[columns]})": texts[place] for columns, place in rows.items()}
        sums |= {f"bit_xor({text})": text for text in each.values()}
        asked = [f"list(struct_pack({', '.join(packed)}))", "count(*)", *(f"bit_xor({text})" for text in sums.values())]
        answer = con.sql(f"SELECT {', '.join(asked)} FROM {task.relation}").to_arrow_table().combine_chunks()
        held = pa.Table.from_batches([pa.RecordBatch.from_struct_array(answer.column(0).chunk(0).flatten())])
        name = f"__wsdb_listed_{task.name.lower()}"
        con.register(name, held)
        totals = {text: found[0].as_py() for text, found in zip(("count(*)", *sums), answer.columns[1:], strict=True)}
        return cls(task, ident(name), each, shown, totals, held.select([*task.keys, *votes]))

    def drop(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let go of kept hashes."""
        if self.totals:
            con.unregister(self.relation.strip('"'))
        else:
            con.execute(f"DROP TABLE {self.relation}")

    def row(self, columns: Sequence[str]) -> str:
        """Return SQL of the hash of a row: of its keys and of these columns."""
        kept = self.lists.get(tuple(columns))
        return kept or f"hash({', '.join(self.columns[name] for name in columns) or f'hash({idents(self.task.keys)})'})"


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


def among(keys: Sequence[str], table: str) -> str:
    """Return the SQL condition that a row's key stands in a table."""
    named = idents(keys)
    if len(keys) == 1:
        return f"{named} IN (SELECT {named} FROM {table})"
    return f"({named}) IN (SELECT ({named}) FROM {table})"


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
    parts.insert(0, "count(*)")
    if now.totals.keys() >= set(parts):
        row = tuple(now.totals[part] for part in parts)
    else:
        row = con.execute(f"SELECT {', '.join(parts)} FROM {now.relation}").fetchall()[0]
    lists, columns_hashes = row[1 : 1 + len(column_lists)], row[1 + len(column_lists) :]
    hashes = tuple(
        digest(*task.keys, *task.labels, *columns, row[0], value)
        for columns, value in zip(column_lists, lists, strict=True)
    )
    return int(row[0]), hashes, tuple(zip(each, map(str, columns_hashes), strict=True))


def changes(
    con: duckdb.DuckDBPyConnection, now: RowHashes, stored: StoredMatrix, matrix: str, n_rows: int
) -> RowChanges | None:
    """List the rows that are not those of the stored matrix in a temporary table, see `delta_name`.

    A row of which the hash stands on one side only was added, changed or removed. They are found by sorting the hashes,
    whatever the order of the rows, and only they are joined by their keys.

    Returns None where rows cannot be told apart by key: some key is NULL or there twice, or of another type now.
    """
    task = now.task
    keys, delta, new = idents(task.keys), delta_name(task), now.row(stored.row_columns)
    if _types(con, task, task.relation) != _types(con, task, matrix):
        return None
    here, there = _hashes(con, f"SELECT {new} FROM {now.relation}"), _hashes(con, f"SELECT {ROW} FROM {matrix}")
    con.register("__wsdb_differ", pa.table({"hash": one_sided(here, there)}))
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {delta} AS SELECT {keys}, __new, {ROW} AS __old "
        f"FROM (SELECT {keys}, {new} AS __new FROM {now.relation} WHERE {new} IN (FROM __wsdb_differ)) "
        f"FULL JOIN (SELECT {keys}, {ROW} FROM {matrix} WHERE {ROW} IN (FROM __wsdb_differ)) USING ({keys})"
    )
    con.unregister("__wsdb_differ")
    nulls = " OR ".join(f"{ident(key)} IS NULL" for key in task.keys)
    added, changed, removed, distinct, empty = con.execute(
        "SELECT count(*) FILTER (WHERE __old IS NULL), "
        "count(*) FILTER (WHERE __old IS NOT NULL AND __new IS NOT NULL), "
        f"count(*) FILTER (WHERE __new IS NULL), count(DISTINCT ({keys})), count(*) FILTER (WHERE {nulls}) FROM {delta}"
    ).fetchall()[0]
    if empty or distinct != added + changed + removed or n_rows != stored.n_rows + added - removed:
        return None
    taken = f"SELECT 1 FROM (FROM {delta} WHERE __old IS NULL) SEMI JOIN {matrix} USING ({keys}) LIMIT 1"
    if added and con.execute(taken).fetchall():  # a row that did not change has the key of a new one
        return None
    return RowChanges(added, changed, removed)


def one_sided(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the hashes that are in one of two arrays and not in the other, sorted within parts: uint64 array.

    A hash that is twice in one array is left out.
    """
    parts = (len(here) + len(there)) // PART + 1
    if parts == 1:
        return np.setxor1d(here, there, assume_unique=True)
    each = [(here[here % parts == at], there[there % parts == at]) for at in range(parts)]
    return np.concatenate([np.setxor1d(one, other, assume_unique=True) for one, other in each])


def _hashes(con: duckdb.DuckDBPyConnection, query: str) -> np.ndarray:
    """Return the one column of a query: uint64 array."""
    hashes: np.ndarray = con.sql(query).to_arrow_table().column(0).to_numpy()
    return hashes


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
