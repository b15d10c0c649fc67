"""Predicates over one row, three-valued, as polars evaluates them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from wsdb.engine.match.pattern import Node


@dataclass(frozen=True, slots=True)
class Search:
    """Whether a pattern matches somewhere in a text column.

    Attributes
    ----------
    column : the column
    node : the pattern over the column as stored; sets of characters already take care of lower() and upper()
    case : ``lower`` or ``upper`` where word boundaries are those of the text after that function
    """

    column: str
    node: Node
    case: str = ""


@dataclass(frozen=True, slots=True)
class OneOf:
    """Whether a text column equals one of some values."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A column, or the length of a text, against a number that its type can hold.

    Attributes
    ----------
    column : the column
    measure : ``value``, or ``length`` (code points) or ``bytes`` of a text
    type : DuckDB type of the column
    op : ``= < <= > >=``
    value : dates as days since 1970-01-01
    """

    column: str
    measure: str
    type: str
    op: str
    value: int | float | Decimal


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether a column is NULL."""

    column: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A BOOLEAN column itself."""

    column: str


@dataclass(frozen=True, slots=True)
class Known:
    """The same answer for every row, NULL where the column is."""

    column: str
    value: bool


@dataclass(frozen=True, slots=True)
class Always:
    """A constant; None is NULL."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class And:
    """Kleene's AND."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Kleene's OR."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Kleene's NOT."""

    part: Predicate


Atom = Search | OneOf | Compare | Missing | Flag | Known | Always
Predicate = Atom | And | Or | Not


def atoms(predicate: Predicate) -> Iterator[Atom]:
    """Return the leaves of a predicate, from left to right."""
    match predicate:
        case And(parts) | Or(parts):
            for part in parts:
                yield from atoms(part)
        case Not(part):
            yield from atoms(part)
        case _:
            yield predicate
