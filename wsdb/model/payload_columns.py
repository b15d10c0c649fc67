"""From the list columns of a payload to flat columns of its elements.

A payload of one LIST column has the list's values as elements: the fields of a STRUCT, or one field called ``value``. A
payload of several LIST columns has one field for each of them, and the lists of a row have one length; so has one whose
only column holds spans. A NULL list has
no elements; a NULL inside a list is an element whose fields are all NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from wsdb.core.errors import ModelError
from wsdb.model.parts import PayloadInput, TaskTarget

VALUE = "value"
"""The field of a payload whose elements are no structs."""
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of n rows, flat.

    Attributes
    ----------
    indptr : int64 array of shape (n + 1,); the elements of row i are indptr[i] … indptr[i+1]-1
    fields : by name, an Arrow array of the E elements
    """

    indptr: np.ndarray
    fields: Mapping[str, pa.Array]


def elements_of(payload: PayloadInput, batch: pa.RecordBatch | pa.StructArray, keys: pa.Array | None) -> Elements:
    """Flatten the list columns of a payload.

    Parameters
    ----------
    keys : of the rows, for messages; rows are numbered from 1 where None

    Raises
    ------
    ModelError  WS503 if a column is no list, WS504 if one is missing, WS512 where two lists of a row differ in length.
    """
    lists = {name: _list_column(payload, name, batch) for name, _ in payload.columns}
    parts = {name: _flat(column) for name, column in lists.items()}
    names = list(parts)
    lengths = parts[names[0]][0]
    for name in names[1:]:
        other = parts[name][0]
        wrong = np.flatnonzero(lengths != other)
        if len(wrong):
            raise mismatch(
                f"columns {names[0]} and {name} of payload {payload.name} must have lists of one length in each row",
                [f"{_key(keys, row)} has {lengths[row]} and {other[row]}" for row in wrong[:_EXAMPLES]],
                len(wrong),
                payload=payload.name,
            )
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    if len(names) > 1:
        return Elements(indptr, {name: values for name, (_, values) in parts.items()})
    values = parts[names[0]][1]
    if payload.spans is not None and payload.spans[1].lower() == names[0].lower():
        return Elements(indptr, {names[0]: values})
    if not pt.is_struct(values.type):
        return Elements(indptr, {VALUE: values})
    return Elements(indptr, dict(zip([field.name for field in values.type], values.flatten(), strict=True)))


def check_labels(
    task: TaskTarget, elements: np.ndarray, labels: np.ndarray, present: np.ndarray, keys: pa.Array | None
) -> None:
    """Check that every list of labels is as long as the list of elements of its row.

    Parameters
    ----------
    elements, labels : int64 arrays of shape (n,), the lengths
    present : bool array of shape (n,); a NULL list of labels labels nothing, and fits any row

    Raises
    ------
    ModelError  WS512 naming the key of a row where they differ.
    """
    wrong = np.flatnonzero(present & (elements != labels))
    if len(wrong):
        raise mismatch(
            f"task {task.name} must have a label, or NULL, for every element of payload {task.payload}",
            [f"{_key(keys, row)} has {elements[row]} elements and {labels[row]} labels" for row in wrong[:_EXAMPLES]],
            len(wrong),
            task=task.name,
        )


def mismatch(rule: str, examples: list[str], rows: int, **facts: Any) -> ModelError:
    """Return the error for rows whose lists do not fit together."""
    some = "1 does" if rows == 1 else f"{rows:,} do"
    return ModelError("WS512", f"{rule}; {some} not: {'; '.join(examples)}", rows=rows, **facts)


def read_spans(payload: str, column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return where spans begin and end, int64 (E,) each, counted from 0, the end behind the last; NULL is 0, 0.

    A LIST holds [first, last] and a STRUCT two numbers, first and last, both counted from 1 and both inside. A STRUCT
    whose second field is called ``end`` has its end behind the last element, as the spans of votes do.

    Raises
    ------
    ModelError  WS503 if the column holds neither.
    """
    kind = column.type
    if pt.is_dictionary(kind):
        return read_spans(payload, column.dictionary_decode())
    behind = False
    if pt.is_struct(kind) and kind.num_fields == 2:
        first, last = column.flatten()
        behind = kind.field(1).name.lower() == "end"
    elif _is_list(kind):
        two = pc.equal(pc.list_value_length(column), 2)
        if not pc.all(pc.fill_null(two, True)).as_py():
            raise _no_spans(payload, "a list of another length than 2")
        full = pc.if_else(pc.is_valid(column), column, pa.scalar(None, kind))
        flat = pc.list_flatten(full)
        place = pa.array(np.cumsum(np.asarray(pc.is_valid(full))) * 2 - 2)
        place = pc.if_else(pc.is_valid(full), place, pa.scalar(None, pa.int64()))
        first, last = flat.take(place), flat.take(pc.add(place, 1))
    elif pt.is_null(kind):
        first = last = column
    else:
        raise _no_spans(payload, str(kind))
    try:
        starts = np.asarray(pc.fill_null(pc.cast(first, pa.int64()), 1)) - 1
        ends = np.asarray(pc.fill_null(pc.cast(last, pa.int64()), 1 if behind else 0)) - int(behind)
    except pa.ArrowInvalid as error:
        raise _no_spans(payload, str(kind)) from error
    known = np.asarray(pc.and_(pc.is_valid(first), pc.is_valid(last)))
    return np.where(known, starts, 0), np.where(known, ends, 0)


def check_spans(
    payload: PayloadInput,
    row: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    lengths: np.ndarray,
    keys: pa.Array | None,
) -> None:
    """Raise ModelError WS512 where a span of an element, in row `row`, is outside of a sequence of `lengths` (n,)."""
    none = (starts == 0) & (ends == 0)
    wrong = np.flatnonzero(~none & ((starts < 0) | (ends <= starts) | (ends > lengths[row])))
    if len(wrong):
        raise mismatch(
            f"the spans of payload {payload.name} must lie inside the sequence of their row",
            [
                f"{_key(keys, row[e])} has elements {starts[e] + 1} to {ends[e]} of a sequence of {lengths[row[e]]}"
                for e in wrong[:_EXAMPLES]
            ],
            len(wrong),
            payload=payload.name,
        )


def _no_spans(payload: str, got: str) -> ModelError:
    return ModelError(
        "WS503",
        f"the spans of payload {payload} must be pairs of positions; got {got}",
        hint="a span is a LIST [first, last] or a STRUCT(first, last), counted from 1",
        payload=payload,
    )


def _key(keys: pa.Array | None, row: int) -> str:
    if keys is None:
        return f"row {row + 1}"
    key = keys[int(row)].as_py()
    return ", ".join(f"{name} = {part}" for name, part in key.items()) if isinstance(key, dict) else f"key {key}"


def _is_list(kind: pa.DataType) -> bool:
    return bool(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind))


def _list_column(payload: PayloadInput, name: str, batch: pa.RecordBatch | pa.StructArray) -> pa.Array:
    is_struct = isinstance(batch, pa.StructArray)
    names = [item.name for item in batch.type] if is_struct else batch.schema.names
    if name not in names:
        raise ModelError(
            "WS504",
            f"payload {payload.name} was trained on column {name}; the rows have no such column",
            hint=f"they have {', '.join(names)}",
            column=name,
        )
    index = names.index(name)
    column = batch.flatten()[index] if is_struct else batch.column(index)
    if not (_is_list(column.type) or pt.is_null(column.type)):
        raise ModelError(
            "WS503",
            f"column {name} of payload {payload.name} must be a LIST; got {column.type}",
            hint=f"a {payload.shape.upper()} payload has one list for each row",
            column=name,
        )
    return column


def _flat(column: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Lengths int64 (n,), 0 for NULL, and the elements of all lists."""
    if pt.is_null(column.type):
        return np.zeros(len(column), np.int64), pa.nulls(0)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64)
    return lengths, pc.list_flatten(column)
