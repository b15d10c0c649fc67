"""Primitives: queries kept as tables; one that is made row by row is brought up to date by the rows that changed.

Column ``__made_from`` of its table is then the hash of the row that each of its rows was made from; else it is NULL.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from wsdb.catalog.fingerprint import digest
from wsdb.core.payload import Primitive
from wsdb.core.sqltext import ident, idents, literal
from wsdb.engine.analyze import Functions, is_zoned, reads
from wsdb.engine.inline import row_select
from wsdb.engine.relation import relation_columns
from wsdb.engine.rows import among, beside

MADE_FROM = "__made_from"
MANY = 0.5
"""Where more than this share of the rows changed, all are computed anew."""


@dataclass(frozen=True, slots=True)
class RowPrimitive:
    """A primitive whose every row is made from the row of its relation that has the same key.

    Attributes
    ----------
    definition : hash of the query and of the macros that it calls
    reads : columns of the relation, keys left out
    select : the SQL of its select list
    where : the SQL of its condition with the word WHERE, empty without one
    """

    primitive: Primitive
    definition: str
    reads: tuple[str, ...]
    select: str
    where: str

    @property
    def row(self) -> str:
        """The SQL of the hash of what a row is made from."""
        read = [part for name in self.reads for part in (ident(name), beside(ident(name)))]
        return f"hash({', '.join([idents(self.primitive.keys), *read, literal(self.definition)])})"

    @property
    def inputs(self) -> str:
        """The SELECT of the keys and of that hash."""
        where = self.where and f" WHERE {self.where}"
        return f"SELECT {idents(self.primitive.keys)}, {self.row} AS {MADE_FROM} FROM {self.primitive.relation}{where}"

    def rows(self, chosen: str = "") -> str:
        """Return the SELECT of the primitive's columns and of their row's hash.

        Parameters
        ----------
        chosen : SQL of a condition on the relation's rows; empty for all of them
        """
        where = " AND ".join(part for part in (self.where, chosen) if part)
        read = f"{self.primitive.relation} WHERE {where}" if where else self.primitive.relation
        return f"SELECT {self.select}, {self.row} AS {MADE_FROM} FROM {read}"


def row_primitive(con: duckdb.DuckDBPyConnection, primitive: Primitive, known: Functions) -> RowPrimitive | None:
    """Return a primitive as one that is made row by row, None where it is not."""
    types = dict(relation_columns(con, primitive.relation, None, f'primitive "{primitive.name}"'))
    columns = list(types)
    found = row_select(con, primitive.sql, primitive.relation, columns, known.aggregates)
    own = reads(con, primitive.sql, known)
    if found is None or own.opaque or own.spreads or own.models or own.volatile(known, columns):
        return None
    low = [name.lower() if plain else "" for name, plain in zip(found.names, found.plain, strict=True)]
    keys = {key.lower() for key in primitive.keys}
    if not keys <= set(low):
        return None
    read = tuple(name for name in own.of(columns, primitive.relation) if name.lower() not in keys)
    names = [name for name, *_ in con.execute(f"DESCRIBE {primitive.sql}").fetchall()]
    select = ", ".join(f"{item} AS {ident(name)}" for item, name in zip(found.items, names, strict=True))
    where = f"({found.where})" if found.where is not None else ""
    zoned = own.zoned or any(is_zoned(types[name]) for name in own.of(columns, primitive.relation))
    definition = digest(primitive.sql, *own.macros, *known.session(zoned=zoned))
    return RowPrimitive(primitive, definition, read, select, where)


def materialise(
    con: duckdb.DuckDBPyConnection, primitive: Primitive, known: Functions, table: str, *, stored: bool
) -> tuple[int, int]:
    """Bring the table of a primitive up to date; return its number of rows, and how many of them were computed.

    Parameters
    ----------
    known : what DuckDB says of its functions
    table : full SQL name of the primitive's table
    stored : whether there is one
    """
    by_row = row_primitive(con, primitive, known)
    computed = _refresh(con, table, by_row) if by_row is not None and stored else None
    if computed is None:
        query = (
            f"SELECT *, NULL::UBIGINT AS {MADE_FROM} FROM (\n{primitive.sql}\n)" if by_row is None else by_row.rows()
        )
        con.execute(f"CREATE OR REPLACE TABLE {table} AS {query}")
    (rows,) = con.execute(f"SELECT count(*) FROM {table}").fetchall()[0]
    return int(rows), int(rows) if computed is None else computed


def _refresh(con: duckdb.DuckDBPyConnection, table: str, by_row: RowPrimitive) -> int | None:
    """Compute the rows that are new or changed, and take those out that are gone.

    Return how many were computed; None where the table has other columns, or most of its rows are not what they were.
    """
    if con.execute(f"DESCRIBE {table}").fetchall() != con.execute(f"DESCRIBE {by_row.rows()}").fetchall():
        return None
    keys = idents(by_row.primitive.keys)
    delta = ident(f"__wsdb_delta_primitive_{by_row.primitive.name.lower()}")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {delta} AS SELECT {keys}, n.{MADE_FROM} AS __new, o.{MADE_FROM} AS __old "
        f"FROM ({by_row.inputs}) AS n FULL JOIN (SELECT {keys}, {MADE_FROM} FROM {table}) AS o USING ({keys}) "
        f"WHERE n.{MADE_FROM} IS DISTINCT FROM o.{MADE_FROM}"
    )
    computed, old, rows = con.execute(
        f"SELECT count(__new), count(__old), (SELECT count(*) FROM {table}) FROM {delta}"
    ).fetchall()[0]
    here = among(by_row.primitive.keys, delta)
    few = max(computed, old) <= MANY * rows
    if few:
        con.execute(f"DELETE FROM {table} WHERE {here}")
        con.execute(f"INSERT INTO {table} {by_row.rows(here)}")
    con.execute(f"DROP TABLE {delta}")
    return int(computed) if few else None
