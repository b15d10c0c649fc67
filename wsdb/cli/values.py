"""Rows: the result of a query as plain Python values, read once and counted to its end."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

BATCH = 20_000
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
HUGE = ("HUGEINT", "UHUGEINT", "BIGNUM", "VARINT")
FLOATS = ("FLOAT", "DOUBLE")
PLAIN = (*INTEGERS, *FLOATS, "BOOLEAN", "VARCHAR")
DIGITS = 15
"""A decimal of so many digits is exact as a JSON number in every reader."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result.

    Attributes
    ----------
    name : as the query gives it; two columns may have the same one
    type : as DuckDB writes it
    """

    name: str
    type: str

    @property
    def numeric(self) -> bool:
        """Whether its values stand at the right side of their cells."""
        return self.type in (*INTEGERS, *HUGE, *FLOATS) or self.type.startswith("DECIMAL")


@dataclass(frozen=True, slots=True)
class Rows:
    """A result: the first rows, and how many there are."""

    columns: list[Column]
    rows: list[tuple[Any, ...]]
    total: int


def fetch(relation: Any, limit: int | None = None) -> Rows:
    """Run a relation and return its first `limit` rows (None: all of them) and the number of all.

    Values are None, bool, int, float, str, Decimal, list and dict. What has no place there (dates, times, intervals,
    blobs, …) is text, as DuckDB writes it.
    """
    columns = [Column(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)]
    readers = [reader(column.type) for column in columns]
    if any(cast for cast, _ in readers):
        relation = relation.project(
            ", ".join((cast or "{}").format(f"#{at + 1}") + f" AS c{at}" for at, (cast, _) in enumerate(readers))
        )
    kept: list[tuple[Any, ...]] = []
    total = 0
    for batch in relation.to_arrow_reader(BATCH):
        wanted = batch.num_rows if limit is None else min(limit - len(kept), batch.num_rows)
        total += batch.num_rows
        if wanted > 0:
            part = batch.slice(0, wanted)
            kept += zip(*_columns(part, [convert for _, convert in readers]), strict=True)
    return Rows(columns, kept, total)


def _columns(batch: Any, converts: list[Callable[[Any], Any] | None]) -> Iterator[list[Any]]:
    for at, convert in enumerate(converts):
        values = batch.column(at).to_pylist()
        yield values if convert is None else [None if value is None else convert(value) for value in values]


def reader(kind: str) -> tuple[str | None, Callable[[Any], Any] | None]:
    """Return the SQL that a column of DuckDB type `kind` is read through, and what is done to each value then."""
    if kind in PLAIN or (kind.startswith("DECIMAL") and not kind.endswith("]")):
        return None, None
    if kind in HUGE:
        return "CAST({} AS VARCHAR)", int
    if kind.endswith("]") or kind.startswith(("STRUCT(", "MAP(", "UNION(")):
        leaves = set(re.findall(r"[A-Z]{2,}", re.sub(r'"[^"]*"|\'[^\']*\'', "", kind))) - {"MAP"}
        if not leaves - set(PLAIN) and "STRUCT" not in leaves:
            return None, (_pairs if kind.startswith("MAP(") and not kind.endswith("]") else None)
        return "CAST(to_json({}) AS VARCHAR)", _loaded
    return "CAST({} AS VARCHAR)", None


def _pairs(value: Any) -> Any:
    """Return a map as a dictionary; Arrow gives it as pairs."""
    return {str(key): item for key, item in value}


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def jsonable(value: Any) -> Any:
    """Return a value as JSON can hold it.

    Examples
    --------
    >>> jsonable(float("nan")), jsonable(Decimal("1.50")), jsonable({1: [float("inf")]})
    ('NaN', 1.5, {'1': ['Infinity']})
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Decimal):
        return float(value) if len(value.as_tuple().digits) <= DIGITS else str(value)
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
