"""Sets of code points as sorted ranges, and the case foldings of DuckDB's regular expressions and lower()/upper()."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import duckdb

Ranges = tuple[tuple[int, int], ...]
"""Sorted, disjoint, not adjacent (first, last) pairs of code points."""

LAST = 0x10FFFF
ANY: Ranges = ((0, LAST),)

_BLOCKS = ((0x00, 0x17F), (0x370, 0x3FF), (0x400, 0x52F))
"""Where an orbit is the character with its lower and upper case, but for `_ORBITS`."""

_CASELESS = (
    (0x590, 0x6FF),  # Hebrew, Arabic
    (0x900, 0xDFF),  # Devanagari to Sinhala
    (0xE00, 0xE7F),  # Thai
    (0x2000, 0x20CF),  # punctuation, currencies
    (0x3000, 0x9FFF),  # CJK
    (0xAC00, 0xD7A3),  # Hangul
    (0x1F300, 0x1FAFF),  # emoji
)
"""Blocks in which no character folds."""

_ORBITS = (
    *("kK\u212a", "sS\u017f", "\u00b5\u039c\u03bc", "\u00c5\u00e5\u212b", "\u00df\u1e9e", "\u0131", "\u0130"),
    *("\u0392\u03b2\u03d0", "\u0395\u03b5\u03f5", "\u0398\u03b8\u03d1\u03f4", "\u0399\u03b9\u0345\u1fbe"),
    *("\u039a\u03ba\u03f0", "\u03a0\u03c0\u03d6", "\u03a1\u03c1\u03f1", "\u03a3\u03c3\u03c2", "\u03a6\u03c6\u03d5"),
    *("\u03a9\u03c9\u2126", "\u0412\u0432\u1c80", "\u0414\u0434\u1c81", "\u041e\u043e\u1c82", "\u0421\u0441\u1c83"),
    *("\u0422\u0442\u1c84\u1c85", "\u042a\u044a\u1c86", "\u0462\u0463\u1c87"),
)
"""Characters that fold to each other in RE2 and are not one lower and one upper case."""

_ORBIT_OF = {ord(char): frozenset(map(ord, orbit)) for orbit in _ORBITS for char in orbit}


def union(parts: Iterable[tuple[int, int]]) -> Ranges:
    """Return ranges as one sorted set without overlaps."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(parts):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


def complement(ranges: Ranges) -> Ranges:
    """Return every other code point."""
    out, start = [], 0
    for low, high in ranges:
        if low > start:
            out.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        out.append((start, LAST))
    return tuple(out)


def intersect(one: Ranges, other: Ranges) -> Ranges:
    """Return the code points of both."""
    return complement(union((*complement(one), *complement(other))))


def of_chars(chars: Iterable[int]) -> Ranges:
    """Return the set of these code points."""
    return union((char, char) for char in chars)


def chars_of(ranges: Ranges) -> Iterable[int]:
    """Return the code points one by one."""
    return (char for low, high in ranges for char in range(low, high + 1))


def single(ranges: Ranges) -> str | None:
    """Return the character of a set of one, else None."""
    return chr(ranges[0][0]) if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else None


def _within(char: int, blocks: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= char <= high for low, high in blocks)


def orbit(char: int) -> frozenset[int] | None:
    """Return the characters that RE2 takes for `char` when case does not matter; None where that is not known."""
    if char in _ORBIT_OF:
        return _ORBIT_OF[char]
    if _within(char, _BLOCKS):
        both = {form for form in (chr(char), chr(char).lower(), chr(char).upper()) if len(form) == 1}
        return frozenset(map(ord, both))
    return frozenset((char,)) if _within(char, _CASELESS) else None


@lru_cache(maxsize=4096)
def folded(ranges: Ranges) -> Ranges | None:
    """Return the set with everything RE2's ``(?i)`` adds to it, None where that is not known."""
    if sum(high - low + 1 for low, high in ranges) > 1024:
        return None
    orbits = [orbit(char) for char in chars_of(ranges)]
    if None in orbits:
        return None
    return union((*ranges, *of_chars(other for found in orbits if found for other in found)))


@dataclass(frozen=True, eq=False)
class CaseMap:
    """What DuckDB's lower() or upper() does to single characters.

    Attributes
    ----------
    changes : code point -> its image, where that is another one
    """

    changes: Mapping[int, int]

    @cached_property
    def unchanged(self) -> Ranges:
        """The characters that stay as they are."""
        return complement(of_chars(self.changes))

    @cached_property
    def sources(self) -> Mapping[int, tuple[int, ...]]:
        """Code point -> the others that become it."""
        found: dict[int, tuple[int, ...]] = {}
        for code, to in self.changes.items():
            found[to] = (*found.get(to, ()), code)
        return found


@lru_cache(maxsize=4096)
def preimage(ranges: Ranges, case: CaseMap) -> Ranges:
    """Return the characters that lower() or upper() turns into one of `ranges`.

    DuckDB maps each code point by itself: a pattern over ``lower(x)`` is the pattern with these sets over ``x``.
    """
    char = single(ranges)
    if char is not None:
        own = () if ord(char) in case.changes else (ord(char),)
        return of_chars((*own, *case.sources.get(ord(char), ())))
    inside = [code for code, to in case.changes.items() if any(low <= to <= high for low, high in ranges)]
    return union((*intersect(ranges, case.unchanged), *of_chars(inside)))


def case_map(con: duckdb.DuckDBPyConnection, function: str) -> CaseMap:
    """Return what DuckDB's lower() or upper() does, as this process's DuckDB answers."""
    if function not in _case_maps:
        rows = con.cursor().execute(
            f"SELECT code, unicode({function}(chr(code::INTEGER))) FROM range(1, {LAST + 1}) AS r(code) "
            f"WHERE code NOT BETWEEN {0xD800} AND {0xDFFF} AND {function}(chr(code::INTEGER)) <> chr(code::INTEGER)"
        )
        _case_maps[function] = CaseMap(dict(rows.fetchall()))
    return _case_maps[function]


_case_maps: dict[str, CaseMap] = {}
