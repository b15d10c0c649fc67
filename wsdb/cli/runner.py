"""Runner: the statements of a script, run one after the other in a session and told to an output."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import replace
from typing import Any

from wsdb.cli import bar, values
from wsdb.cli.interrupts import Interrupts
from wsdb.cli.output import Done, Output

OK, FAILED, USAGE, UNOPENED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes."""
SILENT = (["Count"], ["Success"])
"""The columns of what DuckDB returns for statements that only do something."""


class Runner:
    """Runs scripts in a session.

    Parameters
    ----------
    quiet : draw no bar, even on a terminal
    leave : after Ctrl-C, end the program where something cannot be stopped; what is not committed is then rolled back
        by whoever opens the database next

    Attributes
    ----------
    output : where it tells what happens; may be exchanged between scripts
    """

    def __init__(self, session: Any, output: Output, *, quiet: bool = False, leave: bool = False) -> None:
        self._session = session
        self._seen = bar.seen(quiet=quiet)
        self._leaves = leave
        self._bar: bar.Bar | None = None  # while a statement runs
        self.output = output
        bar.count(session.connection, wanted=self._seen)

    def play(self, text: str, file: str | None = None, *, hide_empty: bool = False) -> int:
        """Run the statements of a script up to the first that fails; return the exit code.

        With `hide_empty`, a result without rows is not told.
        """
        interrupts = Interrupts(self._session, self._leave if self._leaves else None)
        try:
            with interrupts:
                return self._play(text, file, hide_empty, interrupts)
        except KeyboardInterrupt:
            running, self._bar = self._bar is not None, None
            roll_back(self._session)
            self.output.interrupted(running=running)
            return INTERRUPTED

    def _play(self, text: str, file: str | None, hide_empty: bool, interrupts: Interrupts) -> int:
        """Run the statements of a script; KeyboardInterrupt leaves `_bar` where a statement was running."""
        place: tuple[str | None, int] = (file, 1)
        before, ahead = 0, list[Done]()
        try:
            pieces = self._session.pieces(text, file)
            for at, piece in enumerate(pieces):
                place = (file, piece.span.line)
                above = heading(text[before : piece.span.start])
                ahead = ahead or self._ahead(pieces, at)
                done = replace(ahead.pop(0), heading=above) if ahead else self._run(piece, above)
                if not (hide_empty and done.rows is not None and not done.rows.total):
                    self.output.statement(done)
                before = piece.span.end
                if interrupts.hit:
                    raise KeyboardInterrupt
        except Exception as error:
            if interrupts.pressed() or isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            if not spoken(error):
                raise
            self._bar = None
            self.output.error(error, *place)
            return FAILED
        return OK

    def _ahead(self, pieces: list[Any], at: int) -> list[Done]:
        """Run a row of statements that the session runs at once, and share their time among them."""
        begin = time.perf_counter()
        said = self._session.ahead(pieces, at)
        seconds = (time.perf_counter() - begin) / max(len(said), 1)
        run = zip(pieces[at : at + len(said)], said, strict=True)
        return [
            Done(piece.span.file, piece.span.line, kind_of(self._session, piece), seconds, [text], None, None)
            for piece, text in run
        ]

    def _run(self, piece: Any, above: str | None) -> Done:
        begin = time.perf_counter()
        kind = kind_of(self._session, piece)
        self._bar = bar.Bar(first_line(piece.sql), self._session.connection, enabled=self._seen)
        with self._bar as telling:
            self._session.on_progress = telling
            relation = self._session.run(piece)
            rows = values.fetch(relation, self.output.limit) if worth_showing(piece, kind, relation) else None
        self._bar = None
        return Done(
            piece.span.file,
            piece.span.line,
            kind,
            time.perf_counter() - begin,
            list(self._session.notices),
            above,
            rows,
        )

    def _leave(self) -> None:
        """End the program while a statement is still running, which a crash of the program would do too."""
        if self._bar is not None:
            self._bar.close()
        self.output.interrupted(running=self._bar is not None)
        sys.stdout.flush()
        os._exit(INTERRUPTED)


def kind_of(session: Any, piece: Any) -> str:
    """Return what kind of statement a piece is, in capitals."""
    if piece.ours:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(piece.parse()).__name__).upper()
    try:
        found = session.connection.extract_statements(piece.sql)
    except Exception:
        return "UNKNOWN"
    return str(found[-1].type).rpartition(".")[2] if found else "UNKNOWN"


def worth_showing(piece: Any, kind: str, relation: Any) -> bool:
    """Return whether the rows of a statement are something to look at."""
    if relation is None:
        return False
    return piece.ours or kind in ("SELECT", "EXECUTE", "EXPLAIN") or list(relation.columns) not in SILENT


def heading(above: str) -> str | None:
    r"""Return the text of the ``--:`` lines directly above a statement.

    Examples
    --------
    >>> heading("SELECT 1;\n\n--: Two lines\n--: of heading\n")
    'Two lines\nof heading'
    >>> heading("--: too far\n\n") is None
    True
    """
    lines = above.split("\n")
    if lines.pop().strip():
        return None
    found: list[str] = []
    while lines and lines[-1].lstrip().startswith("--:"):
        found.insert(0, lines.pop().strip()[3:].strip())
    return "\n".join(found) or None


def spoken(error: Exception) -> bool:
    """Return whether an error is one that wsdb or DuckDB raised, and no fault of the program's."""
    from wsdb.core.errors import WsdbError

    if isinstance(error, BrokenPipeError):
        return False
    rooms = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    return isinstance(error, WsdbError | OSError) or bool(rooms & {"duckdb", "_duckdb"})


def roll_back(session: Any) -> None:
    """End a transaction that the user has begun and not ended."""
    try:
        session.connection.rollback()
    except Exception:  # there was none
        return


def first_line(sql: str) -> str:
    """Return the start of a statement, for the line that says what is being done."""
    return " ".join(sql.split())[:60]
