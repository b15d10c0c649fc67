"""Bar: one line on the terminal that says how far a statement is, while it runs."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from wsdb.cli.screen import Pieces, Screen
from wsdb.core.progress import Progress

DELAY = 1.0
"""Seconds a statement may take before the line appears."""
EVERY = 0.1
"""Seconds between two updates of the line."""
UNITS = (("k", 1e3), ("M", 1e6), ("G", 1e9))
TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Bar:
    """A line on stderr with what is being done, rows, rows in a second and the time that remains.

    A thread of its own draws it. What the session reports are rows; while DuckDB works on one statement and nothing is
    reported, its own share of the work done is asked for. Where neither is known, a sign turns and seconds count.

    Parameters
    ----------
    text : what is being done, until the session reports something better
    connection : the DuckDB connection that works; see `count`
    enabled : whether anybody sees it; if not, nothing is done at all
    """

    def __init__(self, text: str, connection: Any, *, enabled: bool) -> None:
        self._connection = connection
        self._begin = time.monotonic()
        self._now = Mark(Progress(text), 0, self._begin, self._begin)
        self._share: tuple[float, float] | None = None  # the share at which the running query was seen first, and when
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True) if enabled else None

    def __call__(self, progress: Progress) -> None:
        """Take a report of the session."""
        now, last = time.monotonic(), self._now.last
        same = progress.what == last.what and 0 < last.done <= progress.done
        self._now = replace(self._now, last=progress, at=now) if same else Mark(progress, progress.done, now, now)

    def __enter__(self) -> Bar:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the line away."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        if self._end.wait(DELAY):
            return
        with contextlib.suppress(OSError), Screen(sys.stderr) as screen:
            while not self._end.is_set():
                screen.show(self._pieces(time.monotonic()))
                self._end.wait(EVERY)

    def _pieces(self, now: float) -> Pieces:
        """Return what the line says at a time, in seconds of the monotonic clock."""
        progress = self._now.last
        if 0 < progress.done < progress.total:
            return rows_pieces(self._now)
        share = self._query_share(now)
        if share is None:
            turn = TURNING[int((now - self._begin) / EVERY) % len(TURNING)]
            return Pieces(progress.what, None, [f"{now - self._begin:,.0f} s"], turn)
        began, since = self._share or (share, now)
        rows = [f"{short(progress.total)} rows"] if progress.total else []
        return Pieces(progress.what, share, [*rows, *left(share - began, 1 - share, now - since)])

    def _query_share(self, now: float) -> float | None:
        """Return the share of the running query that is done, from 0 to 1; None where that is not known."""
        try:
            share = float(self._connection.query_progress()) / 100
        except Exception:  # the connection is being closed
            share = -1.0
        if not 0 <= share <= 1:
            self._share = None
            return None
        if self._share is None or share < self._share[0]:
            self._share = (share, now)
        return share


@dataclass(frozen=True, slots=True)
class Mark:
    """The last report on a piece of work, and the first one.

    Attributes
    ----------
    last : the last report
    first : the rows that were done at the first report
    since, at : when the first and the last report came, in seconds of the monotonic clock
    """

    last: Progress
    first: int
    since: float
    at: float


def rows_pieces(mark: Mark) -> Pieces:
    """Return what is said of a piece of work whose rows are counted.

    Examples
    --------
    >>> found = rows_pieces(Mark(Progress("label matrix of spam", 300_000, 1_000_000), 100_000, 10.0, 12.0))
    >>> found.share, found.facts
    (0.3, ['300k of 1.00M rows', '100k rows/s', '0:07 left'])
    """
    last = mark.last
    facts = [f"{short(last.done)} of {short(last.total)} rows"]
    counted, seconds = last.done - mark.first, mark.at - mark.since
    if counted > 0 and seconds > 0:
        facts.append(f"{short(counted / seconds)} rows/s")
    return Pieces(last.what, last.done / last.total, [*facts, *left(counted, last.total - last.done, seconds)])


def left(done: float, rest: float, seconds: float) -> list[str]:
    """Return the time that remains at the speed so far, as a list of one text, or of none where that is not known.

    Examples
    --------
    >>> left(0.25, 0.75, 30), left(1, 1000, 10), left(0, 1, 10)
    (['1:30 left'], ['2:46:40 left'], [])
    """
    if done <= 0 or seconds <= 0:
        return []
    minutes, second = divmod(round(rest / done * seconds), 60)
    hours, minute = divmod(minutes, 60)
    return [f"{hours}:{minute:02}:{second:02} left" if hours else f"{minute}:{second:02} left"]


def short(count: float) -> str:
    """Return a count in few characters.

    Examples
    --------
    >>> short(9999), short(131072), short(999_999), short(12_345_678), short(3.2e9)
    ('9,999', '131k', '1.00M', '12.3M', '3.20G')
    """
    if round(count) < 10_000:
        return f"{count:,.0f}"
    sign, size = next(unit for unit in UNITS if count < 999.5 * unit[1] or unit is UNITS[-1])
    value = count / size
    digits = 0 if value >= 99.95 or sign == "k" else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}{sign}"


def seen(*, quiet: bool) -> bool:
    """Return whether there is somebody to see a bar."""
    return not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def count(connection: Any, *, wanted: bool) -> None:
    """Let DuckDB count how far each query of a connection is, where wanted, and draw nothing itself.

    On a terminal it would draw a bar of its own after two seconds.
    """
    connection.execute("SET enable_progress_bar_print = false")
    connection.execute(f"SET enable_progress_bar = {str(wanted).lower()}")
