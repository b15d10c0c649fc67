"""Patterns over text as a tree of character sets: what regular expressions, LIKE and literals are turned into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wsdb.engine.match.charset import ANY, Ranges, chars_of, complement, intersect, of_chars, single

_CAPITALS: Ranges = ((65, 90),)
_SMALL: Ranges = ((97, 122),)
_CASES = 4
"""Most characters of a set that is one letter in all its cases."""


class Unprovable(Exception):
    """Something whose meaning is not provably DuckDB's; it stays in DuckDB."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set; an empty set matches nothing."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class At:
    """A place: ``A`` and ``z`` the ends of the text, ``^`` and ``$`` those of a line, ``b`` an ASCII word boundary."""

    place: str


@dataclass(frozen=True, slots=True)
class Cat:
    """One after the other; without parts, the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """Any of these."""

    arms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Between `low` and `high` times; None is without end."""

    node: Node
    low: int
    high: int | None


Node = Chars | At | Cat | Alt | Repeat
EMPTY = Cat(())
BEGIN, END = At("A"), At("z")
ANYTHING = Repeat(Chars(ANY), 0, None)


def cat(parts: list[Node]) -> Node:
    """Return parts one after the other, nested sequences flattened."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Cat) else (part,))]
    return flat[0] if len(flat) == 1 else Cat(tuple(flat))


def alt(arms: list[Node]) -> Node:
    """Return any of these, nested ones flattened and each once."""
    flat = [inner for arm in arms for inner in (arm.arms if isinstance(arm, Alt) else (arm,))]
    unique = tuple(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else Alt(unique)


def text(literal: str) -> Node:
    """Return the pattern of a literal."""
    return cat([Chars(of_chars((ord(char),))) for char in literal])


def mapped(node: Node, change: Callable[[Ranges], Ranges]) -> Node:
    """Return the tree with each set changed."""
    match node:
        case Chars(ranges):
            return Chars(change(ranges))
        case Cat(parts):
            return Cat(tuple(mapped(part, change) for part in parts))
        case Alt(arms):
            return Alt(tuple(mapped(arm, change) for arm in arms))
        case Repeat(inner, low, high):
            return Repeat(mapped(inner, change), low, high)
        case At():
            return node


def has_boundary(node: Node) -> bool:
    """Return whether a word boundary stands in the tree."""
    match node:
        case At(place):
            return place == "b"
        case Cat(parts) | Alt(parts):
            return any(map(has_boundary, parts))
        case Repeat(inner, _, _):
            return has_boundary(inner)
        case Chars():
            return False


def anchored_at_ends(node: Node, first: bool = True, last: bool = True) -> bool:
    """Return whether the ends of the text stand only where a match can begin or end.

    DuckDB 1.5 rewrites some patterns to LIKE and answers ``$a`` as if it were ``a``; such patterns are not taken.
    """
    match node:
        case At(place):
            return first if place == "A" else last if place == "z" else True
        case Cat(parts):
            end = len(parts) - 1
            return all(anchored_at_ends(part, first and at == 0, last and at == end) for at, part in enumerate(parts))
        case Alt(arms):
            return all(anchored_at_ends(arm, first, last) for arm in arms)
        case Repeat(inner, _, _):
            return anchored_at_ends(inner, False, False)
        case Chars():
            return True


def searched(node: Node) -> Node:
    """Return the tree without what a search does not need: ``.*`` at an end that any character may fill."""
    if not isinstance(node, Cat):
        return node
    parts = list(node.parts)
    if parts[:2] == [BEGIN, ANYTHING]:
        parts = parts[2:]
    if parts[-2:] == [ANYTHING, END]:
        parts = parts[:-2]
    return cat(parts)


def literal(node: Node) -> str | None:
    """Return the text of a tree that is one literal, else None."""
    parts = node.parts if isinstance(node, Cat) else (node,)
    chars = [single(part.ranges) if isinstance(part, Chars) else None for part in parts]
    return None if None in chars else "".join(char for char in chars if char is not None)


def never(node: Node) -> bool:
    """Return whether the tree matches nothing, because it needs a character of an empty set."""
    match node:
        case Chars(ranges):
            return not ranges
        case Cat(parts):
            return any(map(never, parts))
        case Alt(arms):
            return all(map(never, arms))
        case Repeat(inner, low, _):
            return low > 0 and never(inner)
        case At():
            return False


def lowered(node: Node) -> Node | None:
    """Return the tree that finds in a text with its ASCII letters in lower case what `node` finds in the text.

    Such a tree has plainer literals, which are found faster. None where a set takes an ASCII letter in one case only,
    or where no letter is taken in both, so that nothing is gained.

    Notes
    -----
    Each set takes both cases of a letter or none, so that it takes a character exactly where it takes that character
    in lower case; other characters stay as they are, and so do the places of ASCII word boundaries and of line ends.
    """
    sets: list[Ranges] = []

    def noted(ranges: Ranges) -> Ranges:
        sets.append(ranges)
        return ranges

    mapped(node, noted)
    gained = False
    for ranges in sets:
        capitals = set(chars_of(intersect(ranges, _CAPITALS)))
        if {char + 32 for char in capitals} != set(chars_of(intersect(ranges, _SMALL))):
            return None
        gained = gained or (bool(capitals) and sum(high - low + 1 for low, high in ranges) <= _CASES)
    return mapped(node, _without_capitals) if gained else None


def _without_capitals(ranges: Ranges) -> Ranges:
    return ranges if ranges == ANY else intersect(ranges, complement(_CAPITALS))
