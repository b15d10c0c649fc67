"""Output: what a run has to say, as text for a reader or as JSON Lines for a program."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol, TextIO

from wsdb.cli.notices import Grouped, is_warning
from wsdb.cli.stored import Stored
from wsdb.cli.tables import MAX_ROWS, PROSE, Line, render, wrap
from wsdb.cli.values import Rows, jsonable
from wsdb.core.errors import WsdbError

PIPED = 120
"""The width where the output is no terminal and COLUMNS says nothing."""
STYLES = {"head": "bold", "rule": "dim", "note": "dim", "row": "", "text": ""}


@dataclass(frozen=True, slots=True)
class Done:
    """A statement that has been run.

    Attributes
    ----------
    kind : its first words, such as SELECT or CREATE LABELING FUNCTION
    heading : the text of the ``--:`` comments above it, or None
    rows : what it returned; None where that is nothing to look at
    """

    file: str | None
    line: int
    kind: str
    seconds: float
    notices: list[str]
    heading: str | None
    rows: Rows | None


class Output(Protocol):
    """Where a run tells what it does."""

    @property
    def limit(self) -> int | None:
        """How many rows of a result it wants; None: all."""

    def statement(self, done: Done) -> None:
        """Tell of a statement that has been run."""

    def error(self, error: BaseException, file: str | None, line: int | None) -> None:
        """Tell of a statement that has failed."""

    def interrupted(self, *, running: bool) -> None:
        """Tell that the user has stopped the run, while a statement was running or between two."""

    def summary(self, stored: Stored, seconds: float) -> None:
        """Tell what there is at the end of a run."""

    def close(self) -> None:
        """Tell what is held back."""


class TextOutput:
    """Headings, notices and tables; errors go to stderr, and beside CSV notices too.

    Attributes
    ----------
    quiet : say nothing but results and warnings
    mode : how rows are written: ``table`` or ``csv``
    """

    def __init__(self, *, quiet: bool = False, mode: str = "table") -> None:
        from rich.console import Console

        self.quiet = quiet
        self.mode = mode
        self.width = terminal_width()
        color = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(width=self.width, color_system=color, highlight=False)  # type: ignore[arg-type]
        self._grouped = Grouped()
        self._any = False  # something was printed
        self._below = False  # and that was a table

    @property
    def limit(self) -> int | None:
        """How many rows a table shows."""
        return MAX_ROWS if self.mode == "table" else None

    def lines(self, lines: Iterable[Line]) -> None:
        """Print lines."""
        from rich.text import Text

        for line in lines:
            self._console.print(Text(line.text, STYLES[line.role]), soft_wrap=True)

    def statement(self, done: Done) -> None:
        """Print what there was to say, the heading and the rows."""
        for notice in done.notices:
            if not self.quiet or is_warning(notice):
                self._tell(self._grouped.add(notice))
        if done.rows is None:
            return
        self.close()
        if self.mode == "csv":
            write_csv(done.rows, sys.stdout)
            return
        if self._any:
            self.lines([Line("")])
        if done.heading:
            self.lines([Line(text, "head") for part in done.heading.split("\n") for text in wrap(part, self.width)])
        self.lines(render(done.rows, self.width))
        self._any = self._below = True

    def close(self) -> None:
        """Print the notices that are held back."""
        self._tell(self._grouped.flush())

    def _tell(self, sentences: list[str]) -> None:
        if self.mode == "csv":
            for sentence in sentences:
                print(sentence, file=sys.stderr)
            return
        width = min(self.width, PROSE) - 2
        if sentences and self._below:
            self.lines([Line("")])
            self._below = False
        for sentence in sentences:
            first, *more = wrap(sentence, width) or [""]
            self.lines([Line(f"· {first}", "note"), *[Line(f"  {text}", "note") for text in more]])
            self._any = True

    def error(self, error: BaseException, file: str | None, line: int | None) -> None:
        """Print what went wrong, with the place of the statement."""
        self.close()
        sys.stdout.flush()
        print(error_text(error, file, line), file=sys.stderr)

    def interrupted(self, *, running: bool) -> None:
        """Print that the run was stopped."""
        self.close()
        sys.stdout.flush()
        what = "; the statement that was running has been rolled back" if running else ""
        print(f"interrupted{what}", file=sys.stderr)

    def summary(self, stored: Stored, seconds: float) -> None:
        """Print where things are stored, and what was computed and reused."""
        self.close()
        if self.quiet:
            return
        found = [(f"task {task.name}", ", ".join(task.relations) or "nothing computed yet") for task in stored.tasks]
        found += [
            (f"model {model.name}@{model.version}", f"predict('{model.name}', …) for {' and '.join(model.tasks)}")
            for model in stored.models
        ]
        names = max((len(name) for name, _ in found), default=0)
        lines = [Line("")] if self._any else []
        kept = "Nothing is kept, the database was in memory" if stored.database == ":memory:" else ""
        lines.append(Line(f"{kept or f'Stored in {stored.database}'}; {seconds:.1f} s", "head"))
        for name, text in found:
            pieces = wrap(text, max(self.width - names - 4, 30))
            lines += [Line(f"  {lead:<{names}}  {piece}") for lead, piece in zip_longest([name], pieces, fillvalue="")]
        if found:
            computed, reused = (", ".join(some) or "nothing" for some in (stored.computed, stored.reused))
            said = f"computed: {computed}; reused: {reused}"
            lines += [Line(text, "note") for text in wrap(said, min(self.width, PROSE), "  ")]
        self.lines(lines)


class JsonOutput:
    """One JSON object a line on stdout."""

    limit: int | None = None

    def __init__(self, *, statements: bool = True) -> None:
        self._statements = statements

    def _write(self, record: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
        sys.stdout.flush()

    def statement(self, done: Done) -> None:
        """Write a statement record, and a rows record where there are rows."""
        if self._statements:
            self._write(
                {
                    "type": "statement",
                    "file": done.file,
                    "line": done.line,
                    "kind": done.kind,
                    "seconds": round(done.seconds, 6),
                    "notices": done.notices,
                }
            )
        if done.rows is not None:
            self._write(
                {"type": "rows", "file": done.file, "line": done.line, "heading": done.heading, **rows_dict(done.rows)}
            )

    def error(self, error: BaseException, file: str | None, line: int | None) -> None:
        """Write an error record, and the same to stderr for whoever is watching."""
        self._write({"type": "error", "file": file, "line": line, **error_dict(error)})
        print(error_text(error, file, line), file=sys.stderr)

    def interrupted(self, *, running: bool) -> None:
        """Write an error record of its own kind."""
        self.error(InterruptedError("interrupted"), None, None)

    def summary(self, stored: Stored, seconds: float) -> None:
        """Write the summary record."""
        self._write({"type": "summary", "seconds": round(seconds, 6), **stored.to_dict()})

    def close(self) -> None:
        """Nothing is held back."""


def rows_dict(rows: Rows) -> dict[str, Any]:
    """Return rows as plain values: the columns, and an array of values for each row."""
    return {
        "columns": [{"name": column.name, "type": column.type} for column in rows.columns],
        "rows": [[jsonable(value) for value in row] for row in rows.rows],
    }


def write_csv(rows: Rows, to: TextIO) -> None:
    """Write rows as CSV with a header; NULL is nothing, lists and maps are JSON."""
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow([column.name for column in rows.columns])
    for row in rows.rows:
        writer.writerow(
            [
                json.dumps(jsonable(value), ensure_ascii=False)
                if isinstance(value, dict | list)
                else str(value).lower()
                if isinstance(value, bool)
                else value
                for value in row
            ]
        )


def error_text(error: BaseException, file: str | None, line: int | None) -> str:
    """Return an error as it is printed; errors without a place in the file get one in front."""
    text = str(error).rstrip()
    placed = isinstance(error, WsdbError) and error.span is not None and error.span.file is not None
    return text if placed or file is None else f"{file}:{line}: {text}"


def error_dict(error: BaseException) -> dict[str, Any]:
    """Return any error in the shape of `WsdbError.to_dict`."""
    if isinstance(error, WsdbError):
        return error.to_dict()
    text = str(error).rstrip()
    label, colon, message = text.partition(": ")
    known = colon and label.endswith("Error") and "\n" not in label
    return {
        "error": label if known else type(error).__name__,
        "code": None,
        "message": message if known else text,
        "hint": None,
        "position": None,
        "data": {},
    }


def terminal_width() -> int:
    """Return the width to write for: the terminal's, else COLUMNS, else 120."""
    return max(shutil.get_terminal_size((PIPED, 24)).columns, 40)
