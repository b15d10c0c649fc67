"""What a call did, as a value that two databases can be compared by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATEMENTS = Path(__file__).parent / "passthrough.sql"


@dataclass(frozen=True, slots=True)
class Record:
    """One text of passthrough.sql.

    Attributes
    ----------
    line : where it starts in the file
    group : the heading above it
    sql : with {tmp} for a folder and {home} for the name of the database
    shape : whether only the names, types and number of rows can be compared
    """

    line: int
    group: str
    sql: str
    shape: bool = False


def read_records() -> list[Record]:
    """Return the texts of passthrough.sql: `####` starts a group, `%%` ends a text, `%% shape` one that has timings."""
    found: list[Record] = []
    group, lines, start = "", [], 1

    def end(shape: bool) -> None:
        if lines:
            found.append(Record(start, group, "\n".join(lines), shape))
        lines.clear()

    for number, line in enumerate(STATEMENTS.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith(("####", "%%")):
            end("shape" in line.removeprefix("%%").split())
            group = line.removeprefix("#### ") if line.startswith("####") else group
            start = number + 1
        else:
            lines.append(line)
    end(False)
    return found


def attempt(action: Callable[[], Any]) -> Any:
    """Return what an action returns, or its error as (class, text)."""
    try:
        return action()
    except Exception as error:  # whatever it is, both must raise it
        return f"{type(error).__module__}.{type(error).__name__}", str(error)


def rows_of(result: Any, *, shape: bool = False) -> Any:
    """Return the rows of a result as text that tells 1 from 1.0 and finds NaN equal to itself."""
    rows = result.fetchall()
    return len(rows) if shape else repr(rows)


def executed(db: Any, sql: str, parameters: Any = None, *, shape: bool = False) -> Any:
    """Return columns, rows and row count after execute(), or the error."""

    def action() -> Any:
        db.execute(sql, parameters) if parameters is not None else db.execute(sql)
        columns = [tuple(map(str, column)) for column in db.description or ()]
        return columns, attempt(lambda: rows_of(db, shape=shape)), db.rowcount

    return attempt(action)


def related(db: Any, sql: str, parameters: Any = None, *, shape: bool = False) -> Any:
    """Return columns, types and rows of the relation that sql() gives, or the error."""

    def action() -> Any:
        relation = db.sql(sql, params=parameters) if parameters is not None else db.sql(sql)
        if relation is None:
            return None
        columns, types = list(relation.columns), list(map(str, relation.types))
        return columns, types, attempt(lambda: rows_of(relation, shape=shape))

    return attempt(action)
