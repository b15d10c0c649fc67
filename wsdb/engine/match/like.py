"""LIKE patterns to pattern trees."""

from __future__ import annotations

from wsdb.engine.match.charset import ANY, of_chars
from wsdb.engine.match.pattern import ANYTHING, BEGIN, END, Chars, Node, Unprovable, cat


def like(pattern: str, escape: str | None) -> Node:
    """Return the tree of a LIKE pattern.

    Raises
    ------
    Unprovable
        where DuckDB would raise an error, or for a NUL, which is DuckDB's own sign for "no escape".
    """
    if "\0" in pattern or (escape is not None and (len(escape) != 1 or escape in "%_\0" or not escape.isascii())):
        raise Unprovable
    parts: list[Node] = [BEGIN]
    chars = iter(pattern)
    for char in chars:
        if char == escape:
            after = next(chars, None)
            if after is None:
                raise Unprovable
            parts.append(Chars(of_chars((ord(after),))))
        elif char == "%":
            parts += [] if parts[-1] == ANYTHING else [ANYTHING]
        elif char == "_":
            parts.append(Chars(ANY))
        else:
            parts.append(Chars(of_chars((ord(char),))))
    return cat([*parts, END])
