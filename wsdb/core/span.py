"""Span: a stretch of statement text, with the line and column arithmetic of error messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start`` (inclusive) to ``end`` (exclusive) of ``text``.

    ``text`` is the whole script, so that lines are counted as the user's editor counts them;
    ``file`` is its path where there is one.
    """

    text: str
    start: int
    end: int
    file: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end <= len(self.text):
            raise ValueError(f"span {self.start}:{self.end} is outside a text of {len(self.text)} characters")

    @property
    def line(self) -> int:
        """1-based line of the first character."""
        return self.text.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """1-based column of the first character."""
        return self.start - self.text.rfind("\n", 0, self.start)

    @property
    def slice(self) -> str:
        """The text that is spanned."""
        return self.text[self.start : self.end]

    def shifted(self, start: int, end: int) -> Span:
        """Return the span at offsets relative to this one's start, clipped to the text."""
        limit = len(self.text)
        first = min(self.start + max(start, 0), limit)
        return Span(self.text, first, min(max(self.start + end, first), limit), self.file)

    def render(self) -> str:
        """Return the LINE and caret lines; the carets stop at the end of the first line."""
        first = self.text.rfind("\n", 0, self.start) + 1
        last = self.text.find("\n", first)
        source = self.text[first : last if last >= 0 else len(self.text)].replace("\t", " ")
        where = f"{self.file}:{self.line}" if self.file else f"LINE {self.line}"
        offset = self.start - first
        width = max(1, min(self.end, first + len(source)) - self.start)
        if len(source) > 160:  # keep the neighbourhood of the carets, as DuckDB does
            cut = max(0, offset - 60)
            source = ("..." if cut else "") + source[cut : cut + 140]
            offset -= cut - (3 if cut else 0)
            width = max(1, min(width, len(source) - offset))
        return f"{where}: {source}\n" + " " * (len(where) + 2 + offset) + "^" * width

    def to_dict(self) -> dict[str, Any]:
        """Return file, line, column, start and end as plain values."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "start": self.start,
            "end": self.end,
        }
