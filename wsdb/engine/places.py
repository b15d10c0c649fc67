"""Where rows stand in a stored label matrix, so that votes are written by place and need no join.

Votes go to DuckDB as bits, one for each row: `get_bit` finds the bit of a row by its rowid. An UPDATE that joins a
million rows by their keys takes several times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from wsdb.core.sqltext import ident
from wsdb.core.task import Task

CELLS = 1 << 27
"""Votes of more cells (rows x columns) than this are joined, as arrays of them would take too much memory."""
SPREAD = 4
"""Rows are found by rowid where rowids are below this multiple of their number; those of a transaction are not."""
INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
NONE = -3
"""Stands for abstain in arrays of codes; -2 is a label that the task does not have."""
ROWS = "__wsdb_rows"
"""The variable with the bits of the rows that differ."""


@dataclass(frozen=True, slots=True)
class Places:
    """The rows of a stored label matrix.

    Attributes
    ----------
    key : SQL of what tells rows apart: their key where it is a number, else a hash of their keys
    rowids : int64 array of shape (n,)
    keys : array of shape (n,), its values, all different
    order : int64 array of shape (n,), the places by ascending value
    votes : by column, the codes that are stored: integer array of shape (n,), `NONE` where the column abstains
    """

    key: str
    rowids: np.ndarray
    keys: np.ndarray
    order: np.ndarray
    votes: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls, con: duckdb.DuckDBPyConnection, task: Task, matrix: str, names: Sequence[str], n_rows: int
    ) -> Places | None:
        """Return the rows of a stored matrix with their votes in some columns; None where they are not found by place.

        Parameters
        ----------
        matrix : full SQL name of the matrix
        n_rows : about how many rows it has
        """
        shape = con.sql(f"FROM {matrix}")
        if "rowid" in map(str.lower, shape.columns) or n_rows * len(names) > CELLS:
            return None
        key = key_of(task, dict(zip(map(str.lower, shape.columns), map(str, shape.types), strict=True)))
        table = con.sql(f"SELECT rowid, {key}, {votes_of(names)} FROM {matrix}").to_arrow_table()
        rowids, keys = (table.column(at).to_numpy() for at in range(2))
        order = ordered(keys)
        known = keys[order]
        if (len(rowids) and int(rowids.max()) >= SPREAD * len(rowids)) or (known[1:] == known[:-1]).any():
            return None
        votes = {name: table.column(at + 2).to_numpy() for at, name in enumerate(names)}
        return cls(key, rowids, keys, order, votes)

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where some keys are among those given and where in the matrix: two int64 arrays of the same length."""
        if np.array_equal(keys, self.keys):
            every = np.arange(len(keys))
            return every, every
        order = ordered(keys)
        here, there = keys[order], self.keys[self.order]
        if not np.array_equal(here, there):  # votes on some of the rows
            _, at, of = np.intersect1d(here, there, assume_unique=True, return_indices=True)
            return order[at], self.order[of]
        return order, self.order

    def query(self, relation: str, names: Sequence[str]) -> str:
        """Return the SELECT that `spread` reads: of the votes of some columns in a relation with the keys."""
        return f"SELECT {self.key}, {votes_of(names)} FROM {relation}"

    def spread(self, table: pa.Table, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the votes in the answer of `query` as columns of the matrix."""
        given, places = self.find(table.column(0).to_numpy())
        found = {}
        for name in names:
            column = np.full_like(self.votes[name], NONE)
            column[places] = table.column(name).to_numpy()[given]
            found[name] = column
        return found


class Edit:
    """New votes of some columns of a stored label matrix.

    Parameters
    ----------
    places : the rows, with the votes that are stored
    votes : by column the new ones, arrays as in `Places`
    """

    def __init__(self, places: Places, votes: Mapping[str, np.ndarray]) -> None:
        self._places, self._votes = places, votes
        differ = [votes[name] != places.votes[name] for name in votes]
        self._rows = np.logical_or.reduce(differ) if differ else np.zeros(len(places.keys), bool)
        self.count = int(self._rows.sum())
        self._labels = {name: labels_of(column[self._rows]) for name, column in votes.items()}

    @contextmanager
    def written(self, con: duckdb.DuckDBPyConnection, task: Task, matrix: str) -> Iterator[tuple[str, str]]:
        """Yield SQL of the rows that differ, and the UPDATE that writes them; both are good inside the context."""
        variables = {ROWS: self._rows}
        values = []
        for name, labels in self._labels.items():
            number = np.searchsorted(np.array([NONE, *labels]), self._votes[name])  # 0 abstains
            bits = []
            for at in range(len(labels).bit_length()):
                variable = f"__wsdb_bits_{len(variables)}"
                variables[variable] = (number >> at) & 1 == 1
                bits.append(f"{1 << at} * {bit(variable)}")
            arms = " ".join(f"WHEN {at} THEN {label}" for at, label in enumerate(labels, start=1))
            vote = f"CASE {' + '.join(bits)} {arms} END" if labels else "NULL"
            values.append(f"{ident(name)} = CAST({vote} AS {task.code_type})")
        try:
            for variable, rows in variables.items():
                con.execute(f"SET VARIABLE {variable} = ?::BLOB::BIT", [self._bits(rows)])
            where = f"WHERE {bit(ROWS)} = 1"
            yield f"(FROM {matrix} {where})", f"UPDATE {matrix} SET {', '.join(values)} {where}"
        finally:
            with suppress(duckdb.Error):  # of a transaction that is aborted
                for variable in variables:
                    con.execute(f"RESET VARIABLE {variable}")

    def _bits(self, rows: np.ndarray) -> bytes:
        """Return a mask of rows as bits by rowid."""
        bits = np.zeros(int(self._places.rowids.max()) + 1, bool)
        bits[self._places.rowids] = rows
        return np.packbits(bits).tobytes()


def key_of(task: Task, types: Mapping[str, str]) -> str:
    """Return SQL of what tells rows apart: their key where it is a number, else a hash of their keys.

    Parameters
    ----------
    types : by lower-cased name, those of the columns of the stored matrix
    """
    if len(task.keys) == 1 and types[task.keys[0].lower()] in INTEGERS:
        return f"{ident(task.keys[0])}::BIGINT"
    return f"hash({', '.join(f'CAST({ident(key)} AS {types[key.lower()]})' for key in task.keys)})"


def ordered(keys: np.ndarray) -> np.ndarray:
    """Return the places of keys by ascending value. Numbers mostly are in order already: then `stable` is fast."""
    if (keys[1:] > keys[:-1]).all():
        return np.arange(len(keys))
    order: np.ndarray = np.argsort(keys, kind="stable" if keys.dtype == np.int64 else None)
    return order


def bit(variable: str) -> str:
    """Return SQL of a row's bit in a variable."""
    return f"get_bit(getvariable('{variable}'), rowid::INTEGER)"


def votes_of(names: Sequence[str]) -> str:
    """Return SQL of the votes of some columns, `NONE` where they abstain."""
    return ", ".join(f"coalesce({ident(name)}, {NONE}::TINYINT) AS {ident(name)}" for name in names)


def labels_of(votes: np.ndarray) -> list[int]:
    """Return the codes in an array of votes, ascending and without abstains."""
    return [code for code in np.unique(votes).tolist() if code != NONE]
