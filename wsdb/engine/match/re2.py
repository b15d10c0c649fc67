"""Reads the part of RE2's syntax whose meaning is known; everything else raises `Unprovable`.

RE2: https://github.com/google/re2/wiki/Syntax. Whether a pattern matches does not depend on greediness or captures, so
both are dropped. Which patterns are errors is left to DuckDB: a pattern counts only if DuckDB compiles it.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsdb.engine.match.charset import ANY, Ranges, complement, folded, of_chars, union
from wsdb.engine.match.pattern import EMPTY, At, Chars, Node, Repeat, Unprovable, alt, cat, text

_SPACE = of_chars(map(ord, "\t\n\f\r "))
_DIGIT: Ranges = ((48, 57),)
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_PERL = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": _DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": _WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_NEWLINE = of_chars((10,))
_MAX_REPEAT = 1000
_PLACES = {"A": "A", "z": "z", "b": "b"}


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags at a place of a pattern: case-insensitive, dot matches newline, ``^`` and ``$`` match at lines."""

    i: bool = False
    s: bool = False
    m: bool = False


def options(letters: str) -> tuple[Flags, bool]:
    """Return the flags of the option argument of DuckDB's regular expression functions, and whether it is a literal."""
    i = s = literal = False
    for letter in letters:
        if letter in "ci":
            i = letter == "i"
        elif letter in "smnp":
            s = letter == "s"
        elif letter == "l":
            literal = True
        else:
            raise Unprovable
    return Flags(i, s), literal


def parse(pattern: str, flags: Flags, literal: bool = False) -> Node:
    """Return the tree of a pattern.

    Raises
    ------
    Unprovable
        where it has something outside of the known syntax.
    """
    if any(0xD800 <= ord(char) <= 0xDFFF for char in pattern):
        raise Unprovable
    if literal:
        return cat([Chars(_fold(of_chars((ord(char),)), flags)) for char in pattern])
    reader = _Reader(pattern, flags)
    tree = reader.alternation(0)
    if reader.at < len(pattern):
        raise Unprovable
    return tree


def _fold(ranges: Ranges, flags: Flags) -> Ranges:
    if not flags.i:
        return ranges
    both = folded(ranges)
    if both is None:
        raise Unprovable
    return both


class _Reader:
    """A cursor over a pattern; `flags` are those at the cursor."""

    def __init__(self, pattern: str, flags: Flags) -> None:
        self.pattern = pattern
        self.flags = flags
        self.at = 0

    def peek(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def take(self) -> str:
        if self.at >= len(self.pattern):
            raise Unprovable
        self.at += 1
        return self.pattern[self.at - 1]

    def accept(self, text: str) -> bool:
        found = self.peek(text)
        self.at += len(text) if found else 0
        return found

    def until(self, end: str) -> str:
        stop = self.pattern.find(end, self.at)
        if stop < 0:
            raise Unprovable
        found, self.at = self.pattern[self.at : stop], stop + len(end)
        return found

    def alternation(self, depth: int) -> Node:
        """Read alternatives up to a closing parenthesis or the end; flags set inside hold to there."""
        if depth > 60:
            raise Unprovable
        arms = [self.sequence(depth)]
        while self.accept("|"):
            arms.append(self.sequence(depth))
        return alt(arms)

    def sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.at < len(self.pattern) and not self.peek("|") and not self.peek(")"):
            parts.append(self.repeated(self.atom(depth)))
        return cat(parts)

    def repeated(self, node: Node | None) -> Node:
        """Read the quantifier behind an atom; None is a group that only sets flags, which takes none."""
        bounds = self.quantifier()
        if bounds is None:
            return EMPTY if node is None else node
        self.accept("?")
        if node is None or isinstance(node, At) or self.quantifier() is not None:
            raise Unprovable
        return Repeat(node, *bounds)

    def quantifier(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.accept(sign):
                return bounds
        if not self.accept("{"):
            return None
        low, comma, high = self.until("}").partition(",")
        if not (low.isascii() and low.isdigit()) or not (high == "" or (high.isascii() and high.isdigit())):
            raise Unprovable
        first = int(low)
        last = first if not comma else int(high) if high else None
        if first > _MAX_REPEAT or (last is not None and not first <= last <= _MAX_REPEAT):
            raise Unprovable
        return first, last

    def atom(self, depth: int) -> Node | None:
        char = self.take()
        if char == "(":
            return self.group(depth)
        if char == "[":
            return Chars(self.charset())
        if char == ".":
            return Chars(ANY if self.flags.s else complement(_NEWLINE))
        if char == "^":
            return At("^" if self.flags.m else "A")
        if char == "$":
            return At("$" if self.flags.m else "z")
        if char == "\\":
            return self.escape()
        if char in "*+?{":
            raise Unprovable
        return Chars(_fold(of_chars((ord(char),)), self.flags))

    def group(self, depth: int) -> Node | None:
        outer = self.flags
        if self.accept("?P<") or self.accept("?<"):
            name = self.until(">")
            if not (name.isascii() and name.isidentifier()):
                raise Unprovable
        elif self.accept("?"):
            letters = ""
            while not self.peek(":") and not self.peek(")"):
                letters += self.take()
            self.flags = _changed(self.flags, letters)
            if self.accept(")"):
                return None
            self.take()
        inner = self.alternation(depth + 1)
        if not self.accept(")"):
            raise Unprovable
        self.flags = outer
        return inner

    def escape(self) -> Node:
        if self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char in _PLACES:
                self.at += 1
                return At(_PLACES[char])
            if char == "Q":
                self.at += 1
                end = self.pattern.find("\\E", self.at)
                quoted = self.pattern[self.at :] if end < 0 else self.pattern[self.at : end]
                if self.flags.i or not quoted:
                    raise Unprovable
                self.at = len(self.pattern) if end < 0 else end + 2
                if self.quantifier() is not None:  # it would bind to the last character only
                    raise Unprovable
                return text(quoted)
        perl = self.perl()
        return Chars(_fold(of_chars((self.escaped(),)), self.flags) if perl is None else perl)

    def perl(self) -> Ranges | None:
        """Read ``d``, ``s``, ``w`` and their opposites behind a backslash."""
        char = self.pattern[self.at : self.at + 1]
        if char.lower() not in _PERL:
            return None
        self.at += 1
        ranges = _fold(_PERL[char.lower()], self.flags)
        return complement(ranges) if char.isupper() else ranges

    def escaped(self) -> int:
        """Read one escaped character behind its backslash."""
        char = self.take()
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "x":
            digits = self.until("}") if self.accept("{") else self.take() + self.take()
            if not digits or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
                raise Unprovable
            code = int(digits, 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise Unprovable
            return code
        if char.isascii() and not char.isalnum() and char.isprintable() and char != "_":
            return ord(char)
        raise Unprovable

    def charset(self) -> Ranges:
        """Read a class behind its bracket."""
        negated = self.accept("^")
        parts: list[tuple[int, int]] = []
        first = True
        while first or not self.peek("]"):
            parts += self.class_item(first)
            first = False
        self.at += 1
        ranges = union(parts)
        return complement(ranges) if negated else ranges

    def class_item(self, first: bool) -> Ranges:
        if self.accept("[:"):
            name = self.until(":]")
            opposite = name.startswith("^")
            if name.removeprefix("^") not in _POSIX:
                raise Unprovable
            ranges = _fold(_POSIX[name.removeprefix("^")], self.flags)
            return complement(ranges) if opposite else ranges
        if self.peek("\\"):
            self.at += 1
            perl = self.perl()
            if perl is not None:
                if self.peek("-") and not self.peek("-]"):
                    raise Unprovable
                return perl
            low = self.escaped()
        else:
            if self.peek("-") and not first and not self.peek("-]"):
                raise Unprovable
            low = ord(self.take())
        if not self.peek("-") or self.peek("-]"):
            return _fold(of_chars((low,)), self.flags)
        self.at += 1
        if self.peek("[") or self.peek("-"):
            raise Unprovable
        high = self.escaped() if self.accept("\\") else ord(self.take())
        if high < low or (low <= 0xDFFF and high >= 0xD800 and not (low < 0xD800 and high > 0xDFFF)):
            raise Unprovable
        return _fold(((low, high),), self.flags)


def _changed(flags: Flags, letters: str) -> Flags:
    """Return flags after ``i``, ``s``, ``m``, ``U`` and ``-`` of a group."""
    values = {"i": flags.i, "s": flags.s, "m": flags.m, "U": False}
    on = True
    for at, letter in enumerate(letters):
        if letter == "-" and on and at + 1 < len(letters):
            on = False
        elif letter in values:
            values[letter] = on
        else:
            raise Unprovable
    if not letters:
        return flags
    return Flags(values["i"], values["s"], values["m"])
