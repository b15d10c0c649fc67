"""A command line on a terminal of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """A process whose stdin, stdout and stderr are a terminal; what it writes is read at once."""

    def __init__(self, *arguments: str, width: int = 100, term: str = "xterm-256color") -> None:
        self._screen, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wsdb", *arguments],
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": term, "PYTHONIOENCODING": "utf-8"},
        )
        os.close(end)
        self._written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the process has ended
            while found := os.read(self._screen, 65536):
                self._written += found

    @property
    def text(self) -> str:
        """What has been written so far."""
        return self._written.decode(errors="replace")

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Wait until something has been written."""
        end = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < end and (self.process.poll() is None or text in self.text), self.text
            time.sleep(0.01)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._screen, text.encode())

    def interrupt(self) -> float:
        """Send SIGINT; return when, in seconds of the monotonic clock."""
        self.process.send_signal(signal.SIGINT)
        return time.monotonic()

    def close(self) -> str:
        """Wait for the end and return all that was written."""
        self.process.wait(30)
        self._reader.join(5)
        return self.text


@contextlib.contextmanager
def terminal(*arguments: str, width: int = 100, term: str = "xterm-256color") -> Iterator[Terminal]:
    """Run a command line on a terminal; it is killed where it has not ended."""
    running = Terminal(*arguments, width=width, term=term)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def screen(written: str) -> list[str]:
    """Return the lines that a terminal shows after all that was written, without colors.

    It knows what a progress line uses: carriage return, line feed, erase to the end of the line, colors.
    """
    import re

    lines = [""]
    at = 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|.|\n", written.replace("\r\n", "\n"), re.DOTALL):
        if part == "\n":
            lines.append("")
            at = 0
        elif part == "\r":
            at = 0
        elif part == "\x1b[K":
            lines[-1] = lines[-1][:at]
        elif not part.startswith("\x1b"):
            lines[-1] = lines[-1][:at].ljust(at) + part + lines[-1][at + 1 :]
            at += 1
        else:
            assert part.endswith("m"), part
    return lines
