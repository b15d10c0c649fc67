"""Transactions of one connection: all writes or none, next to a transaction that the user may have begun."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from wsdb.core.errors import CatalogError
from wsdb.core.sqltext import ident
from wsdb.engine.located import said

CONFLICT = re.compile(r"conflict|duplicate key|altered", re.IGNORECASE)


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[bool]:
    """Commit what is done inside, or none of it; inside the user's own transaction, leave that to the user.

    Yields whether the transaction is its own.

    Raises
    ------
    CatalogError
        WS208 where another session wrote the same thing at the same time.
    """
    if in_transaction(con):
        yield False
        return
    con.execute("BEGIN TRANSACTION")
    try:
        yield True
        con.execute("COMMIT")
    except BaseException as error:
        _end(con, "ROLLBACK")
        if isinstance(error, duckdb.TransactionException) and CONFLICT.search(str(error)):
            raise CatalogError(
                "WS208",
                f"another session changed the same thing at the same time (conflict): {said(error)}",
                hint="nothing was changed here; run the statement again",
            ) from error
        raise


@contextmanager
def at_home(con: duckdb.DuckDBPyConnection, home: str) -> Iterator[None]:
    """Resolve names as seen from the database that holds schema wsdb, wherever USE points.

    Parameters
    ----------
    home : the name under which that database is attached
    """
    database, schema = con.execute("SELECT current_database(), current_schema()").fetchall()[0]
    if database == home:
        yield
        return
    con.execute(f"USE {ident(home)}")
    try:
        yield
    finally:
        con.execute(f"USE {ident(database)}.{ident(schema)}")


def in_transaction(con: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the user has begun a transaction: outside of one, every statement has one of its own.

    A second BEGIN would tell too, but it aborts the user's transaction.
    """
    first, second = (con.execute("SELECT current_transaction_id()").fetchall() for _ in range(2))
    return first == second


def _end(con: duckdb.DuckDBPyConnection, word: str) -> None:
    try:
        con.execute(word)
    except duckdb.TransactionException:  # DuckDB has ended the transaction itself
        return
