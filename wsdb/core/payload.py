"""Payload and Primitive: named parts of a relation's rows, and queries that are computed once for all who read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wsdb.core.lf import Expression, LabelingFunction, VoteWhen
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import Task

POS = "pos"
"""The column that numbers the elements of a row, from 1."""
SHAPES = ("singleton", "sequence", "set")


@dataclass(frozen=True, slots=True)
class Spans:
    """``SPANS payload (column)``: the elements are stretches of another payload.

    Attributes
    ----------
    payload : the sequence payload they are stretches of
    column : the field or column that holds a stretch: first and last position in it
    """

    payload: str
    column: str


@dataclass(frozen=True, slots=True)
class Payload:
    """A part of each row that tasks can label: the row itself, or each element of its lists.

    Attributes
    ----------
    name : unique among payloads, compared without case
    relation : SQL text of the relation
    keys : columns that identify a row of the relation; empty where not said
    shape : ``singleton`` (one per row), ``sequence`` (the elements of a list, in order) or ``set`` (without order)
    columns : its columns; of a sequence or set, lists of one length for each row
    from_payloads : payloads that a model reads this one from, such as a query from its tokens
    spans : where the elements are stretches of another payload, or None
    embedding : the embedding whose vectors the tokens of its text columns begin with, or None
    frozen : whether training leaves those vectors as they are
    """

    name: str
    relation: str
    keys: tuple[str, ...]
    shape: str
    columns: tuple[str, ...]
    from_payloads: tuple[str, ...] = ()
    spans: Spans | None = None
    embedding: str | None = None
    frozen: bool = True
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Primitive:
    """A query over a relation that is computed once and read by any number of labeling functions.

    Attributes
    ----------
    name : unique among primitives, compared without case
    relation : SQL text of the relation it is about
    keys : columns that identify a row; empty where not said
    sql : the SELECT
    """

    name: str
    relation: str
    keys: tuple[str, ...]
    sql: str
    comment: str | None = None


def element_select(payload: Payload, columns: tuple[str, ...]) -> str:
    """Return the SELECT behind a payload's view: a row for each element, or for each row of a singleton.

    The columns are the keys, ``pos``, the elements (``value``, or of several lists their own names), and the other
    columns of the relation.

    Parameters
    ----------
    columns : of the payload's relation
    """
    keys = payload.keys
    if payload.shape == "singleton":
        return f"SELECT {idents((*keys, *(name for name in columns if name not in keys)))} FROM {payload.relation}"
    first = ident(payload.columns[0])
    named = ("value",) if len(payload.columns) == 1 else payload.columns
    lists = [f"unnest({ident(name)}) AS {ident(alias)}" for name, alias in zip(payload.columns, named, strict=True)]
    taken = {name.lower() for name in (*keys, POS, *payload.columns, *named)}
    others = [ident(name) for name in columns if name.lower() not in taken]
    place = f"generate_subscripts({first}, 1)::INTEGER AS {POS}"
    return f"SELECT {', '.join([idents(keys), place, *lists, *others])} FROM {payload.relation}"


def element_task(task: Task, payload: Payload) -> Task:
    """Return a task on a payload as a task on the payload's view, whose keys number the elements."""
    return replace(task, relation=ident(payload.name), keys=element_keys(payload, task.keys))


def element_keys(payload: Payload, keys: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the key of a payload's view; `keys` are those of its rows where the payload has none."""
    own = payload.keys or keys
    whole = payload.shape == "singleton" or POS in (key.lower() for key in own)
    return own if whole else (*own, POS)


def primitives_of(lf: LabelingFunction, primitives: Sequence[Primitive]) -> tuple[Primitive, ...]:
    """Return the primitives whose columns a row body names, as ``primitive.column``; other bodies read their views."""
    match lf.body:
        case VoteWhen(_, sql) | Expression(sql):
            return tuple(one for one in primitives if re.search(rf'\b{re.escape(one.name)}"?\s*\.', sql, re.IGNORECASE))
        case _:
            return ()
