"""Runner: the statements of a script, run one after the other in a session and told to an output."""

from __future__ import annotations

import re
import time
from typing import Any

from wsdb.cli import values
from wsdb.cli.output import Done, Output
from wsdb.cli.working import Interrupts, spinner

OK, FAILED, USAGE, UNOPENED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes."""
SILENT = (["Count"], ["Success"])
"""The columns of what DuckDB returns for statements that only do something."""


class Runner:
    """Runs scripts in a session.

    Attributes
    ----------
    output : where it tells what happens; may be exchanged between scripts
    """

    def __init__(self, session: Any, output: Output, *, quiet: bool = False) -> None:
        self._session = session
        self._quiet = quiet
        self.output = output

    def play(self, text: str, file: str | None = None, *, hide_empty: bool = False) -> int:
        """Run the statements of a script up to the first that fails; return the exit code.

        With `hide_empty`, a result without rows is not told.
        """
        place: tuple[str | None, int] = (file, 1)
        with Interrupts(self._session) as interrupts:
            try:
                try:
                    before = 0
                    for piece in self._session.pieces(text, file):
                        place = (file, piece.span.line)
                        done = self._run(piece, heading(text[before : piece.span.start]))
                        if not (hide_empty and done.rows is not None and not done.rows.total):
                            self.output.statement(done)
                        before = piece.span.end
                except Exception as error:
                    if interrupts.hit or isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
                        raise KeyboardInterrupt from None
                    if not spoken(error):
                        raise
                    self.output.error(error, *place)
                    return FAILED
            except KeyboardInterrupt:
                roll_back(self._session)
                self.output.interrupted()
                return INTERRUPTED
        return OK

    def _run(self, piece: Any, above: str | None) -> Done:
        begin = time.perf_counter()
        kind = kind_of(self._session, piece)
        with spinner(first_line(piece.sql), quiet=self._quiet) as turning:
            self._session.on_progress = turning
            relation = self._session.run(piece)
            rows = values.fetch(relation, self.output.limit) if worth_showing(piece, kind, relation) else None
        return Done(
            piece.span.file,
            piece.span.line,
            kind,
            time.perf_counter() - begin,
            list(self._session.notices),
            above,
            rows,
        )


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
