"""Comparisons of numbers and dates with constants, exact by arithmetic instead of DuckDB's casts.

A number is compared mathematically: DuckDB casts both sides to a type that holds both, or the constant to DOUBLE. Types
and constants for which a cast could round or overflow are left alone.
"""

from __future__ import annotations

import math
import re
import struct
from datetime import date
from decimal import Decimal

from wsdb.engine.match.pattern import Unprovable
from wsdb.engine.match.predicate import Compare, Known, Predicate

_INTEGERS = {
    "TINYINT": (-(1 << 7), (1 << 7) - 1),
    "SMALLINT": (-(1 << 15), (1 << 15) - 1),
    "INTEGER": (-(1 << 31), (1 << 31) - 1),
    "BIGINT": (-(1 << 63), (1 << 63) - 1),
    "UTINYINT": (0, (1 << 8) - 1),
    "USMALLINT": (0, (1 << 16) - 1),
    "UINTEGER": (0, (1 << 32) - 1),
    "UBIGINT": (0, (1 << 64) - 1),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_EPOCH = date(1970, 1, 1).toordinal()
_EXACT_DIGITS = 15
"""Digits of a decimal constant that DOUBLE surely keeps apart, and with which no cast to DECIMAL overflows."""

FLIPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
COMPARABLE = ("DATE", "DOUBLE", "FLOAT", *_INTEGERS)


def is_number(type_: str) -> bool:
    """Return whether columns of a type can be compared here."""
    return type_ in COMPARABLE or _DECIMAL.fullmatch(type_) is not None


def compare(column: str, measure: str, type_: str, op: str, value: object) -> Predicate:
    """Return ``column op value``; `op` is not ``<>``.

    Raises
    ------
    Unprovable
        where DuckDB's answer is not surely the mathematical one.
    """
    if measure != "value":
        return _in_steps(column, measure, type_, op, _fraction(value), 0, (0, (1 << 31) - 1))
    if type_ == "DATE":
        return Compare(column, measure, type_, op, _day(value))
    number = _fraction(value)
    if type_ in _INTEGERS:
        return _in_steps(column, measure, type_, op, number, 0, _INTEGERS[type_])
    if type_ == "DOUBLE":
        return Compare(column, measure, type_, op, float(number))
    if type_ == "FLOAT":
        if struct.unpack("f", struct.pack("f", float(number)))[0] != number:
            raise Unprovable
        return Compare(column, measure, type_, op, float(number))
    found = _DECIMAL.fullmatch(type_)
    if found is None or int(found[1]) > 18:
        raise Unprovable
    top = 10 ** int(found[1]) - 1
    return _in_steps(column, measure, type_, op, number, int(found[2]), (-top, top))


def _fraction(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unprovable
    number = Decimal(value)
    if len(number.as_tuple().digits) > _EXACT_DIGITS or abs(int(number.as_tuple().exponent)) > _EXACT_DIGITS:
        raise Unprovable
    return number


def _day(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise Unprovable
    try:
        return date.fromisoformat(value).toordinal() - _EPOCH
    except ValueError:
        raise Unprovable from None


def _in_steps(
    column: str, measure: str, type_: str, op: str, number: Decimal, scale: int, limits: tuple[int, int]
) -> Predicate:
    """Compare with a number that may lie between two values of the type, or beyond all of them."""
    scaled = number.scaleb(scale)
    below = math.floor(scaled)
    exact = below == scaled
    if op == "=" and not exact:
        return Known(column, False)
    if not exact:  # x < 2.5 is x <= 2, x > 2.5 is x > 2
        op = "<=" if op in ("<", "<=") else ">"
    low, high = limits
    if below < low:
        return Known(column, op in (">", ">="))
    if below > high:
        return Known(column, op in ("<", "<="))
    return Compare(column, measure, type_, op, Decimal(below).scaleb(-scale) if scale else below)
