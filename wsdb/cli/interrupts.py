"""Interrupts: Ctrl-C ends what a session does, wherever it is."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

AGAIN = 0.1
"""Seconds between two attempts to stop what a session does."""
ASKING = b"\0"
"""What is no signal."""
GRACE = 0.8
"""Seconds after which the program is left without waiting any longer."""


class Interrupts:
    """Ctrl-C inside this block ends the query that a session runs, and then raises KeyboardInterrupt.

    A signal handler of Python's waits for DuckDB to come back. The byte that the interpreter writes to a socket at
    once does not, and a thread that reads it tells DuckDB to stop. It does so until the block is left: a query that
    begins in the meantime, such as a second attempt, is stopped too. Python functions that DuckDB calls in threads of
    its own never see the signal; KeyboardInterrupt is raised in them.

    Parameters
    ----------
    overdue : called, in another thread, where the block has not been left `GRACE` seconds after Ctrl-C: something
        waits that nobody can wake, such as a long sleep in a labeling function. None waits for it.

    Attributes
    ----------
    hit : whether Ctrl-C was pressed
    """

    def __init__(self, session: Any, overdue: Callable[[], None] | None = None) -> None:
        self._session = session
        self._overdue = overdue
        self._left = threading.Lock()  # held by the one that deals with the end: the block, or `overdue`
        self._asked = threading.Event()
        self.hit = False

    def pressed(self) -> bool:
        """Return whether Ctrl-C was pressed, after all signals up to now have been looked at.

        DuckDB looks for signals too. What it then raises may come before the thread here has read the byte.
        """
        self._asked.clear()
        self._writes.send(ASKING)
        self._asked.wait(1)
        return self.hit

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
        self._left.acquire()
        if self._old is not None:
            signal.set_wakeup_fd(self._old)
        self._writes.close()
        self._thread.join()
        self._reads.close()

    def _watch(self) -> None:
        first = 0.0
        while True:
            try:
                numbers = self._reads.recv(64)
            except TimeoutError:
                numbers = bytes([signal.SIGINT])
            if not numbers:
                return
            if signal.SIGINT not in numbers:
                self._answer(numbers)
                continue
            if not self.hit:
                self.hit, first = True, time.monotonic()
                self._reads.settimeout(AGAIN)
            self._answer(numbers)
            if self._overdue is not None and time.monotonic() - first > GRACE and self._left.acquire(blocking=False):
                self._overdue()
            self._stop()

    def _answer(self, numbers: bytes) -> None:
        if ASKING in numbers:
            self._asked.set()

    def _stop(self) -> None:
        with contextlib.suppress(Exception):
            self._session.connection.interrupt()
        raise_in_foreign_threads(KeyboardInterrupt)


def raise_in_foreign_threads(kind: type[BaseException]) -> None:
    """Raise an exception in each thread that runs Python but was not started by it: those of DuckDB, in functions.

    It is raised at the next instruction of Python; what waits in a system call ends that first.
    """
    own = {thread.ident for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)}
    for number in sys._current_frames().keys() - own:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(number), ctypes.py_object(kind))
