"""DuckDB's errors about a piece of the user's SQL, moved back to where the user wrote it."""

from __future__ import annotations

import re

import duckdb

from wsdb.core.errors import SpecError
from wsdb.core.span import Span

PLACE = re.compile(r"^LINE (\d+): (.*)\n( *)(\^+)", re.MULTILINE)
KIND = re.compile(r"^(?:\w+ )+Error: ")
BEHIND = re.compile(r'at or near "[^"]*"')
OTHERS = re.compile(r'^Did you mean "(?:pg_|wsdb\.|sqlite_|duckdb_|information_schema|pragma_)')
"""DuckDB proposes its own and wsdb's tables for any name that it does not know."""


def said(error: BaseException) -> str:
    """Return what DuckDB says of an error, in one line: some of its errors begin on the line after their kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return f"{lines[0]} {lines[1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0]


def located(error: duckdb.Error, span: Span | None, *, what: str, first_line: int = 2) -> SpecError:
    """Return the error of a checked query as one at the user's text.

    Parameters
    ----------
    span : the user's text, which stood in the query from line `first_line` on, at the line's start
    what : whose text it is, for the message

    Returns
    -------
    SpecError
        WS309, with DuckDB's own words and the caret on the user's text.
    """
    text = str(error)
    place = PLACE.search(text)
    message = PLACE.sub("", text).strip()
    lines = [line for line in message.splitlines() if line.strip()]
    first = KIND.sub("", lines[0] if lines else text).removesuffix("!")
    if place is not None and span is not None and int(place[1]) - first_line > span.slice.count("\n"):
        first = BEHIND.sub("at the end of it", first)  # DuckDB names the bracket that stands behind the user's text
    hint = "; ".join(line.strip() for line in lines[1:] if not OTHERS.search(line)) or None
    return SpecError("WS309", f"{what}: {first}", span=_moved(place, span, first_line), hint=hint)


def _moved(place: re.Match[str] | None, span: Span | None, first_line: int) -> Span | None:
    if place is None or span is None:
        return span
    row = int(place[1]) - first_line
    rows = span.slice.split("\n")
    if not 0 <= row < len(rows):
        return span
    column = len(place[3]) - len(f"LINE {place[1]}: ")
    shown = place[2]
    if shown.startswith("..."):  # DuckDB shows a window of a long line: find the window again
        window = shown[3:].removesuffix("...")
        begin = rows[row].find(window)
        if begin < 0:
            return span
        column += begin - 3
    start = sum(len(line) + 1 for line in rows[:row]) + max(column, 0)
    if start >= len(span.slice):
        return span
    end = start + len(place[4])
    if len(place[4]) == 1:  # DuckDB 1.5 marks one character; widen it to the word
        word = re.match(r"\w+", span.slice[start:])
        end = start + (len(word[0]) if word else 1)
    return span.shifted(start, min(end, len(span.slice)))
