"""The SQL fences of a Markdown page, run in order in one session; test_pages.py says what they mean."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

OUTPUTS = ("text", "output")
LANGUAGES = {"sql": "SQL", "python": "Python"}
Errors = type[Exception] | tuple[type[Exception], ...]


# Figures that are different in every run: "trained in 1.2 s" and the seconds of EXPLAIN ANALYZE.
_TIMES = re.compile(r"\b\d+\.\d+ s\b|\bseconds=\d+\.\d+")


class Session(Protocol):
    """What a page needs of a session."""

    notices: list[str]

    def sql(self, query: str) -> Any:
        """Run `query`; str() of the relation that comes back is its rendered table. None where there is none."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced or hidden block: its words after the backticks, its text, its first line (0-based)."""

    words: tuple[str, ...]
    text: str
    line: int
    end: int

    @property
    def language(self) -> str:
        """The first word, or nothing."""
        return self.words[0] if self.words else ""


def fences(text: str) -> list[Fence]:
    """Return the fences of a page; a hidden set-up block is an HTML comment that starts with ``<!-- sql``."""
    lines = text.split("\n")
    found: list[Fence] = []
    at = 0
    while at < len(lines):
        opened = re.match(r"(`{3,})\s*(.*)$", lines[at])
        hidden = re.match(r"<!-- sql\s*$", lines[at])
        if not opened and not hidden:
            at += 1
            continue
        close = opened[1] if opened else "-->"
        end = at + 1
        while end < len(lines) and lines[end].strip() != close:
            end += 1
        words = tuple(opened[2].split()) if opened else ("sql", "hidden")
        found.append(Fence(words, "\n".join(lines[at + 1 : end]), at + 1, end))
        at = end + 1
    return found


def steps(text: str) -> list[tuple[Fence, Fence | None]]:
    """Return each fence that runs, with the output fence directly after it (blank lines aside)."""
    lines = text.split("\n")
    blocks = fences(text)
    found: list[tuple[Fence, Fence | None]] = []
    for block, after in zip(blocks, [*blocks[1:], None], strict=False):
        if not ((block.language == "sql" and "no-run" not in block.words) or block.words == ("python", "run")):
            continue
        near = after is not None and not any(line.strip() for line in lines[block.end + 1 : after.line - 1])
        found.append((block, after if near and after is not None and after.language in OUTPUTS else None))
    return found


def rendered(session: Session, query: str) -> str:
    """Return what the reader of the page sees: the table, or the notices of a statement that gives none."""
    result = session.sql(query)
    return clean("\n".join(session.notices) if result is None else str(result))


def printed(session: Session, code: str) -> str:
    """Return what Python code prints, in which ``db`` is the session."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        exec(code, {"db": session})
    return clean(text.getvalue())


def same(shown: str, actual: str) -> bool:
    """Return whether two outputs are equal but for times."""
    return _TIMES.sub("", clean(shown)) == _TIMES.sub("", actual)


def clean(text: str) -> str:
    """Return `text` without the spaces at line ends and the blank lines around it."""
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


@dataclass(frozen=True, slots=True)
class Difference:
    """An output fence that is not what its SQL gives; `failed` where it gives an error."""

    fence: Fence
    actual: str
    failed: bool = False

    @property
    def expected(self) -> bool:
        """Whether the page shows an error where the SQL gives one, and none where it gives none."""
        return self.failed == ("Error" in self.fence.text)


def run_page(text: str, session: Session, error: Errors) -> list[Difference]:
    """Run the page's SQL and ``python run`` fences in `session`; return the output fences that differ.

    A statement may fail only where the output fence after it shows the error.
    """
    differences: list[Difference] = []
    for sql, output in steps(text):
        failed = False
        try:
            actual = (rendered if sql.language == "sql" else printed)(session, sql.text)
        except error as failure:
            failed = True
            if output is None:
                raise AssertionError(
                    f"line {sql.line}: this {LANGUAGES[sql.language]} fails:\n{sql.text}\n{failure}"
                ) from failure
            actual = clean(str(failure))
        if output is not None and not same(output.text, actual):
            differences.append(Difference(output, actual, failed))
    return differences


def updated(text: str, differences: list[Difference]) -> str:
    """Return the page with the output fences replaced by what was found."""
    lines = text.split("\n")
    for difference in sorted(differences, key=lambda item: item.fence.line, reverse=True):
        lines[difference.fence.line : difference.fence.end] = difference.actual.split("\n")
    return "\n".join(lines)


def check_page(path: Path, connect: Callable[[], Session], error: Errors, *, compare: bool, update: bool) -> None:
    """Run the page at `path`; raise AssertionError with the differences, or write them if `update`.

    An update turns no table into an error and no error into a table: write ``Error`` where one is meant.
    """
    text = path.read_text(encoding="utf-8")
    differences = run_page(text, connect(), error)
    if not compare or not differences:
        return
    if update and all(item.expected for item in differences):
        path.write_text(updated(text, differences), encoding="utf-8")
        return
    shown = "\n\n".join(
        f"{path}:{item.fence.line}: the page says\n{item.fence.text}\nbut the SQL gives\n{item.actual}"
        for item in differences
    )
    raise AssertionError(f"{shown}\n(WSDB_UPDATE_GOLDEN=1 rewrites the page)")
