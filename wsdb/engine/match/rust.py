"""Pattern trees to the regular expressions of polars, which are those of Rust's regex crate."""

from __future__ import annotations

from wsdb.engine.match.charset import ANY, Ranges, complement, single
from wsdb.engine.match.pattern import Alt, At, Cat, Chars, Node, Repeat

_PLACES = {"A": r"\A", "z": r"\z", "^": "(?m:^)", "$": "(?m:$)", "b": r"(?-u:\b)"}
_NEVER = r"[^\x{0}-\x{10FFFF}]"


def regex(node: Node) -> str:
    """Return the regular expression of a tree; every set is written out, no flag and no Unicode class is used."""
    match node:
        case Chars(ranges):
            return _class(ranges)
        case At(place):
            return _PLACES[place]
        case Cat(parts):
            return "".join(regex(part) if not isinstance(part, Alt) else _grouped(part) for part in parts)
        case Alt(arms):
            return "|".join(regex(arm) for arm in arms)
        case Repeat(inner, low, high):
            inside = regex(inner) if isinstance(inner, Chars) else _grouped(inner)
            return f"(?:{inside}{_bounds(low, high)})"


def _grouped(node: Node) -> str:
    return f"(?:{regex(node)})"


def _bounds(low: int, high: int | None) -> str:
    if (low, high) in ((0, None), (1, None), (0, 1)):
        return {(0, None): "*", (1, None): "+", (0, 1): "?"}[low, high]
    return f"{{{low}}}" if high == low else f"{{{low},{'' if high is None else high}}}"


def _class(ranges: Ranges) -> str:
    if not ranges:
        return _NEVER
    if ranges == ANY:
        return "(?s:.)"
    only = single(ranges)
    if only is not None:
        return _char(ord(only))
    rest = complement(ranges)
    if len(rest) < len(ranges):
        return f"[^{_items(rest)}]"
    return f"[{_items(ranges)}]"


def _items(ranges: Ranges) -> str:
    return "".join(_char(low) if low == high else f"{_char(low)}-{_char(high)}" for low, high in ranges)


def _char(code: int) -> str:
    char = chr(code)
    return char if char.isascii() and char.isalnum() else f"\\x{{{code:X}}}"
