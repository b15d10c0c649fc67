"""Working: what happens while a statement runs, a line on the terminal and Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from types import TracebackType
from typing import Any

DELAY = 0.3
"""Seconds a statement may take before the line appears."""


class Spinner:
    """A line on stderr that says what is being done and for how long, where stderr is a terminal."""

    def __init__(self, text: str, *, enabled: bool) -> None:
        self.text = text
        self._begin = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True) if enabled else None

    def __call__(self, text: str) -> None:
        """Say what is being done now."""
        self.text = text

    def __enter__(self) -> Spinner:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _turn(self) -> None:
        if self._end.wait(DELAY):
            return
        from rich.console import Console

        color = None if os.environ.get("NO_COLOR") else "auto"
        console = Console(stderr=True, color_system=color)  # type: ignore[arg-type]
        with console.status(self._line(), spinner="dots") as status:
            while not self._end.wait(0.1):
                status.update(self._line())

    def _line(self) -> Any:
        from rich.text import Text

        return Text(f"{self.text}  {time.monotonic() - self._begin:.1f} s", overflow="ellipsis", no_wrap=True)


def spinner(text: str, *, quiet: bool) -> Spinner:
    """Return a spinner that shows where there is somebody to see it."""
    seen = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return Spinner(text, enabled=seen)


class Interrupts:
    """Ctrl-C inside this block ends the query that a session runs, and then raises KeyboardInterrupt.

    A signal handler of Python's waits for DuckDB to come back. The byte that the interpreter writes to a socket at
    once does not, and a thread that reads it tells DuckDB to stop.

    Attributes
    ----------
    hit : whether Ctrl-C was pressed since the last `reset`
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.hit = False

    def reset(self) -> None:
        """Forget an interrupt that has been dealt with."""
        self.hit = False

    def __enter__(self) -> Interrupts:
        self._reads, self._writes = socket.socketpair()
        self._writes.setblocking(False)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._old = None
        if threading.current_thread() is threading.main_thread():
            self._old = signal.set_wakeup_fd(self._writes.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._old is not None:
            signal.set_wakeup_fd(self._old)
        self._writes.close()
        self._thread.join()
        self._reads.close()

    def _watch(self) -> None:
        while numbers := self._reads.recv(64):
            if signal.SIGINT in numbers:
                self.hit = True
                with contextlib.suppress(Exception):
                    self._session.connection.interrupt()
