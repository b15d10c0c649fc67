"""A `.test` file as records: what tests/sql/README.md describes, read line by line.

SltFile ── header comments (name, description, group)
        └─ Record: kind, SQL, expected lines, and the line range of the expected part (for the update mode)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

IGNORE = "<slt:ignore>"
SEPARATOR = "----"
SORTS = ("nosort", "rowsort")
TYPES = {"I": "integer", "R": "float", "T": "text", "B": "boolean", "D": "date or time", "?": "anything"}
DIRECTIVES = ("require", "load", "restart", "set")


class SltSyntaxError(Exception):
    """A `.test` file that does not keep to the format; the message starts with file:line."""


@dataclass(frozen=True, slots=True)
class Record:
    """One statement, query or directive of a `.test` file.

    `kind` is ``ok``, ``error``, ``notice``, ``query`` or one of DIRECTIVES; `words` holds what follows it.
    `line` is the 1-based line of its first word. `expected` are the lines after ``----``; they stand at the
    0-based lines ``[expected_at, expected_at + len(expected))`` of the file.
    """

    kind: str
    line: int
    words: tuple[str, ...] = ()
    sql: str = ""
    expected: tuple[str, ...] = ()
    expected_at: int = 0
    only_if: tuple[str, ...] = ()
    skip_if: tuple[str, ...] = ()

    @property
    def types(self) -> str:
        """The type letters of a query, one per column."""
        return self.words[0]

    @property
    def rowsort(self) -> bool:
        """Whether the rows of a query are compared as a sorted list."""
        return "rowsort" in self.words[1:]


@dataclass(frozen=True, slots=True)
class SltFile:
    """A whole `.test` file."""

    path: Path
    header: dict[str, str]
    records: tuple[Record, ...]
    lines: tuple[str, ...] = field(repr=False)


def read_slt(path: Path) -> SltFile:
    """Return the records of the file at `path`; raise SltSyntaxError where it leaves the format."""
    return parse_slt(path.read_text(encoding="utf-8"), path)


def parse_slt(text: str, path: Path = Path("text.test")) -> SltFile:
    """Return the records of `text`, which is said to be the file `path`."""
    lines = text.split("\n")
    return SltFile(path, _header(lines), tuple(_records(lines, path)), tuple(lines))


def _header(lines: list[str]) -> dict[str, str]:
    """Return the ``# key: value`` comments before the first record."""
    header: dict[str, str] = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            break
        if found := re.match(r"#\s*(\w+):\s*(.*\S)", line):
            header[found[1]] = found[2]
    return header


def _records(lines: list[str], path: Path) -> list[Record]:
    records: list[Record] = []
    only_if: list[str] = []
    skip_if: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        if not line or line.startswith("#"):
            at += 1
            continue
        keyword, *words = line.split()
        if keyword in ("onlyif", "skipif"):
            if len(words) != 1:
                raise _error(path, at, f"{keyword} takes one condition")
            (only_if if keyword == "onlyif" else skip_if).append(words[0])
            at += 1
            continue
        if keyword in DIRECTIVES:
            record = Record(keyword, at + 1, tuple(words), only_if=tuple(only_if), skip_if=tuple(skip_if))
            at += 1
        else:
            record, at = _block(lines, at, path, tuple(only_if), tuple(skip_if))
        _check(record, path)
        records.append(record)
        only_if, skip_if = [], []
    return records


def _block(
    lines: list[str], at: int, path: Path, only_if: tuple[str, ...], skip_if: tuple[str, ...]
) -> tuple[Record, int]:
    """Return the statement or query that starts at `at`, and the line after it."""
    start = at
    keyword, *words = lines[at].split()
    if keyword == "statement" and words[:1] and words[0] in ("ok", "error", "notice") and len(words) == 1:
        kind, words = words[0], []
    elif keyword == "query" and words:
        kind = "query"
    else:
        raise _error(path, at, f'"{lines[at].strip()}" is not a record')
    at += 1
    sql: list[str] = []
    while at < len(lines) and lines[at].strip() and lines[at].rstrip() != SEPARATOR:
        sql.append(lines[at])
        at += 1
    if not sql:
        raise _error(path, start, "a record without SQL (a blank line ends the SQL)")
    expected: list[str] = []
    separated = at < len(lines) and lines[at].rstrip() == SEPARATOR
    if separated:
        if kind == "ok":
            raise _error(path, at, "`statement ok` expects nothing; use `query`")
        at += 1
    expected_at = at
    if separated:
        while at < len(lines) and lines[at].strip():
            expected.append(lines[at].rstrip())
            at += 1
    elif kind != "ok":
        raise _error(path, start, f'no "{SEPARATOR}" line after the SQL')
    text = "\n".join(sql)
    return Record(kind, start + 1, tuple(words), text, tuple(expected), expected_at, only_if, skip_if), at


def _check(record: Record, path: Path) -> None:
    """Raise SltSyntaxError where the words of a record are not the right ones."""
    line = record.line - 1
    if record.kind == "query":
        if wrong := set(record.types) - set(TYPES):
            known = ", ".join(f"{letter} ({meaning})" for letter, meaning in TYPES.items())
            raise _error(path, line, f"unknown column type {sorted(wrong)[0]}; choose from {known}")
        if any(word not in SORTS for word in record.words[1:]):
            raise _error(path, line, f"unknown sort {record.words[1]!r}; choose from {', '.join(SORTS)}")
    counts = {"require": (1,), "load": (1,), "restart": (0,)}
    if record.kind in counts and len(record.words) not in counts[record.kind]:
        raise _error(path, line, f"{record.kind} takes {counts[record.kind][0]} word(s)")
    if record.kind == "set" and len(record.words) < 2:
        raise _error(path, line, "set takes a name and a value")


def _error(path: Path, line: int, message: str) -> SltSyntaxError:
    return SltSyntaxError(f"{path}:{line + 1}: {message}")
