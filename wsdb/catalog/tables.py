"""Tables: the tables of schema wsdb through one connection, read as tuples and written in batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from wsdb.core.sqltext import ident

FEW = 8
"""So many rows are inserted as parameters of a statement."""


class Tables:
    """The tables of one database's schema wsdb.

    Parameters
    ----------
    connection : the session's DuckDB connection; transactions are the session's business
    database : the name under which the user's database is attached
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, database: str) -> None:
        self._con = connection
        self.database = database

    def table(self, name: str) -> str:
        """Return the full SQL name of a table, view or macro of schema wsdb."""
        return f"{ident(self.database)}.wsdb.{ident(name)}"

    def edges(self, kind: str, name: str, version: int, parents: Iterable[tuple[str, str]]) -> None:
        """Replace what an object is recorded as being made from."""
        self._con.execute(
            f"DELETE FROM {self.table('lineage_edges')} WHERE to_kind = ? AND lower(to_name) = ? AND to_version = ?",
            [kind, name.lower(), version],
        )
        self._insert("lineage_edges", [(of, parent, kind, name, version) for of, parent in parents])

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._con.execute(sql, list(parameters)).fetchall()

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Append rows: a few as parameters, many as Arrow, because DuckDB takes its time to bind each parameter."""
        if len(rows) > FEW:
            columns = [pa.array(values) for values in zip(*rows, strict=True)]
            self._con.register("__wsdb_new", pa.table(columns, [f"c{at}" for at in range(len(columns))]))
            self._con.execute(f"INSERT INTO {self.table(table)} FROM __wsdb_new")
            self._con.unregister("__wsdb_new")
        elif rows:
            marks = ", ".join(f"({', '.join('?' * len(row))})" for row in rows)
            self._con.execute(
                f"INSERT INTO {self.table(table)} VALUES {marks}", [value for row in rows for value in row]
            )
