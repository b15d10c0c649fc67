"""Screen: the last line of a terminal, and what stands on it."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True, slots=True)
class Pieces:
    """What one line says.

    Attributes
    ----------
    what : what is being done
    share : how much of it is done, from 0 to 1; None where that is not known
    facts : figures; where there is little room, the last one stays
    turn : the turning sign, where there is no share
    """

    what: str
    share: float | None
    facts: list[str]
    turn: str = ""


class Screen:
    """The last line of a terminal, drawn and taken away again; what the program prints goes above it.

    Parameters
    ----------
    stream : the terminal
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._stream = stream
        self._lock = threading.RLock()
        self._drawn = ""  # what stands on the line now
        self._held = False  # a line of the program's is not finished
        system = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(file=stream, color_system=system, highlight=False)  # type: ignore[arg-type]
        self._plain = (stream.encoding or "").lower().replace("-", "") != "utf8"
        self._above: list[tuple[str, Above]] = []

    def __enter__(self) -> Screen:
        for name in ("stdout", "stderr"):
            found = getattr(sys, name)
            if found.isatty():
                above = Above(found, self)
                self._above.append((name, above))
                setattr(sys, name, above)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, above in self._above:
            if getattr(sys, name) is above:
                setattr(sys, name, above.stream)
        with self._lock:
            self._clear()

    def show(self, pieces: Pieces) -> None:
        """Draw the line."""
        width = width_of(self._stream) - 3  # room for the ^C that the terminal writes
        line = line_of(pieces, width, plain=self._plain, color=self._console.color_system is not None)
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True)
        with self._lock:
            if not self._held and captured.get() != self._drawn:
                self._stream.write(f"\r{captured.get()}\x1b[K")
                self._stream.flush()
                self._drawn = captured.get()

    def print(self, text: str, stream: TextIO) -> int:
        """Write what the program prints, in place of the line."""
        with self._lock:
            self._clear()
            if text:
                self._held = not text.endswith("\n")
            return stream.write(text)

    def _clear(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = ""


class Above:
    """A standard stream on a terminal whose last line is in use."""

    def __init__(self, stream: TextIO, screen: Screen) -> None:
        self.stream = stream
        self._screen = screen

    def write(self, text: str) -> int:
        """Write a text."""
        return self._screen.print(text, self.stream)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def line_of(pieces: Pieces, width: int, *, plain: bool = False, color: bool = True) -> Text:
    """Return a line of at most `width` cells: where it is narrow, without the bar, then with fewer figures.

    Parameters
    ----------
    plain : draw with ASCII only
    color : tell the two parts of the bar apart by color, else by leaving the second one out
    """
    from rich.cells import cell_len
    from rich.text import Text

    facts = list(pieces.facts)
    if pieces.share is not None:
        facts.insert(0, f"{int(pieces.share * 100):3}%")
    while len(facts) > 1 and cell_len("  ".join(facts)) + 22 > width:
        facts.pop(-2)
    figures = "  ".join(facts)
    free = width - cell_len(figures) - 2
    size = 0 if pieces.share is None else min(40, free - 2 - min(cell_len(pieces.what), 30))
    size = size if size >= 8 else 0
    lead = "" if not pieces.turn else "* " if plain else f"{pieces.turn} "
    what = Text(lead + pieces.what, no_wrap=True)
    what.truncate(max(free - (size + 2 if size else 0), 1), overflow="crop" if plain else "ellipsis")
    line = Text.assemble(what, no_wrap=True)
    if size and pieces.share is not None:
        full, sign = int(pieces.share * size), "-" if plain else "━"
        line.append("  ").append(sign * full, "cyan").append((sign if color else " ") * (size - full), "dim")
    line.append("  ").append(figures, "dim")
    line.truncate(max(width, 1))
    return line


def width_of(stream: TextIO) -> int:
    """Return the number of columns of a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
