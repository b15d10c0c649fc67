"""TransformationFunction: a query that turns rows of a relation into more rows to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsdb.core.sqltext import ident


@dataclass(frozen=True, slots=True)
class TransformationFunction:
    """A query over a relation that changes, drops or multiplies rows and keeps their keys.

    Attributes
    ----------
    name : unique among transformation functions, compared without case
    relation : the relation's name
    sql : a SELECT with all columns of the relation, under their names
    """

    name: str
    relation: str
    sql: str
    comment: str | None = None


def applied(function: TransformationFunction, rows: str, columns: Sequence[tuple[str, str]]) -> str:
    """Return the SELECT that applies a transformation function to some rows instead of the whole relation.

    In the function's text the relation's name stands for those rows, so that functions can be applied one after the
    other, and none sees a row that is not handed to it.

    Parameters
    ----------
    rows : a SELECT with the columns of the relation
    columns : (name, type) of the relation; the answer has them in this order
    """
    shown = ", ".join(f"CAST({ident(name)} AS {kind}) AS {ident(name)}" for name, kind in columns)
    return f"WITH {function.relation} AS (\n{rows}\n) SELECT {shown} FROM (\n{function.sql}\n)"
