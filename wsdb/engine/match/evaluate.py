"""Predicates to polars expressions."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import polars as pl

from wsdb.engine.match.pattern import BEGIN, END, Cat, literal, never
from wsdb.engine.match.predicate import (
    Always,
    And,
    Atom,
    Compare,
    Flag,
    Known,
    Missing,
    Not,
    OneOf,
    Or,
    Predicate,
    Search,
)
from wsdb.engine.match.rust import regex

_POLARS: dict[str, pl.DataType] = {
    "TINYINT": pl.Int8(),
    "SMALLINT": pl.Int16(),
    "INTEGER": pl.Int32(),
    "BIGINT": pl.Int64(),
    "UTINYINT": pl.UInt8(),
    "USMALLINT": pl.UInt16(),
    "UINTEGER": pl.UInt32(),
    "UBIGINT": pl.UInt64(),
    "FLOAT": pl.Float32(),
    "DOUBLE": pl.Float64(),
}


def cleaned(column: str, case: str) -> str:
    """Return the name of a column in which the characters that `case` takes into ASCII are replaced."""
    return f"{column}\0{case}"


def atom(given: Atom) -> pl.Expr:
    """Return the polars expression of a leaf; columns are by name."""
    match given:
        case Always(value):
            return pl.lit(value, pl.Boolean)
        case Known(column, value):
            return _known(pl.col(column), value)
        case Missing(column):
            return pl.col(column).is_null()
        case Flag(column):
            return pl.col(column)
        case OneOf(column, values):
            return pl.col(column) == values[0] if len(values) == 1 else pl.col(column).is_in(list(values))
        case Compare():
            return _compare(given)
        case Search():
            return _search(given)


def _known(column: pl.Expr, value: bool) -> pl.Expr:
    return pl.when(column.is_not_null()).then(pl.lit(value))


def _compare(given: Compare) -> pl.Expr:
    column = pl.col(given.column)
    if given.measure != "value":
        column = column.str.len_chars() if given.measure == "length" else column.str.len_bytes()
        value = pl.lit(given.value, pl.UInt32)
    elif given.type == "DATE":
        column, value = column.to_physical(), pl.lit(given.value, pl.Int32)
    elif given.type in _POLARS:
        value = pl.lit(given.value, _POLARS[given.type])
    else:
        width, scale = given.type[8:-1].split(",")
        value = pl.lit(given.value, pl.Decimal(int(width), int(scale)))
    match given.op:
        case "=":
            return column == value
        case "<":
            return column < value
        case "<=":
            return column <= value
        case ">":
            return column > value
        case _:
            return column >= value


def _search(given: Search) -> pl.Expr:
    """Return the cheapest expression of a search: a literal anywhere or at an end, else a regular expression."""
    column = pl.col(cleaned(given.column, given.case) if given.case else given.column)
    node = given.node
    if never(node):
        return _known(column, False)
    parts = node.parts if isinstance(node, Cat) else (node,)
    begin, end = parts[:1] == (BEGIN,), parts[-1:] == (END,)
    inside = literal(Cat(parts[begin : len(parts) - end]))
    if inside is None:
        return column.str.contains(regex(node))
    if begin and end:
        return column == inside
    if begin or end:
        return column.str.starts_with(inside) if begin else column.str.ends_with(inside)
    return column.str.contains(inside, literal=True) if inside else _known(column, True)


def combined(predicate: Predicate, leaves: Mapping[Atom, pl.Expr]) -> pl.Expr:
    """Return the expression of a predicate over those of its leaves."""
    match predicate:
        case And(parts):
            return functools.reduce(lambda one, other: one & other, [combined(part, leaves) for part in parts])
        case Or(parts):
            return functools.reduce(lambda one, other: one | other, [combined(part, leaves) for part in parts])
        case Not(part):
            return ~combined(part, leaves)
        case _:
            return leaves[predicate]
