"""Opening databases: files that DuckDB 1.5 can read too, and errors that say who holds a lock."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb

from wsdb.core.errors import StorageError, WsdbError
from wsdb.core.sqltext import literal

STORAGE_VERSION = "v1.5.0"
"""New files are written in this storage format, so that DuckDB 1.5 clients open them."""
HOLDER = re.compile(r"Conflicting lock is held in (.*?) \(PID (\d+)\)")


def open_database(
    path: str, *, read_only: bool = False, config: dict[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection to a database file (made where missing), or to memory for ``:memory:``.

    Raises
    ------
    StorageError
        WS601 where another process holds the file; WS602 where it is no readable DuckDB database.
    """
    file = Path(path)
    made = False
    try:
        if path and not path.startswith(":") and "://" not in path and not file.exists() and not read_only:
            _make(path)
            made = True
        return duckdb.connect(path, read_only=read_only, config=config or {})
    except duckdb.Error as error:
        if made:
            file.unlink(missing_ok=True)
        raise _explained(path, error) from error


def _make(path: str) -> None:
    """Make an empty database file in the storage format that the oldest supported DuckDB reads."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH {literal(path)} AS made (STORAGE_VERSION '{STORAGE_VERSION}')")
        con.execute("DETACH made")


def _explained(path: str, error: duckdb.Error) -> WsdbError | duckdb.Error:
    """Return what went wrong with a file in wsdb's words; an error of any other kind as it is."""
    damaged = isinstance(error, duckdb.IOException | duckdb.SerializationException | duckdb.InternalException)
    if not damaged and type(error) is not duckdb.Error:  # DuckDB 2 reports a bad checksum as an error of no kind
        return error
    text = str(error)
    if "Could not set lock" in text or "Conflicting lock" in text:
        holder = HOLDER.search(text)
        who = f" by process {holder[2]} ({holder[1]})" if holder else ""
        return StorageError(
            "WS601",
            f'database "{path}" is locked{who}',
            hint="end that process, or open the file with read_only in all of them",
            pid=int(holder[2]) if holder else None,
        )
    if Path(path).is_file():
        first = text.splitlines()[0]
        return StorageError(
            "WS602",
            f'"{path}" cannot be opened as a DuckDB database: {first}',
            hint="the file is cut off or damaged, or is of another kind; restore it from a copy",
        )
    return error
