"""Answers: what a network says of a batch, as the Arrow values that the scalar function gives back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from wsdb.model.decode import Answer

SEPARATOR = "\x1f"
"""Stands between the names of a bitvector's labels; `wsdb.serve.macros.BETWEEN` says the same in SQL."""


def answer_type() -> pa.DataType:
    """Return the Arrow type of the function's answer."""
    one = pa.struct([("label", pa.string()), ("prob", pa.float64()), ("probs", pa.map_(pa.string(), pa.float64()))])
    return pa.list_(pa.list_(one))


def to_arrow(answers: Sequence[Answer]) -> pa.Array:
    """Return answers of n rows as Arrow: for each row a list of tasks, each a list of (label, prob, probs) structs."""
    lists = [pa.ListArray.from_arrays(pa.array(one.offsets, pa.int32()), _structs(one)) for one in answers]
    n_tasks, n_rows = len(lists), len(lists[0])
    values = lists[0]
    if n_tasks > 1:
        # Task-major to row-major: row i of task t stands at t * n_rows + i.
        order = (np.arange(n_rows)[:, None] + n_rows * np.arange(n_tasks)[None, :]).ravel()
        values = pa.concat_arrays(lists).take(pa.array(order))
    return pa.ListArray.from_arrays(pa.array(np.arange(n_rows + 1) * n_tasks, pa.int32()), values)


def _structs(answer: Answer) -> pa.StructArray:
    """Return a struct for each element."""
    label, prob = _label(answer)
    maps = _no_maps(len(label)) if answer.kind == "select" else _maps(answer.probabilities, answer.labels)
    return pa.StructArray.from_arrays([label, prob, maps], names=["label", "prob", "probs"])


def _label(answer: Answer) -> tuple[pa.Array, pa.Array]:
    probs, chosen = answer.probabilities, answer.chosen
    if answer.kind == "bitvector":
        patterns, place = np.unique(chosen, axis=0, return_inverse=True)
        names = [SEPARATOR.join(np.array(answer.labels, dtype=object)[row]) for row in patterns]
        prob = np.where(chosen, probs, 1 - probs).prod(axis=1)
        return pa.array(names, pa.string()).take(pa.array(place.ravel())), pa.array(prob)
    if answer.kind == "select":
        return pa.array(np.where(chosen, "yes", "no"), pa.string()), pa.array(np.ascontiguousarray(probs[:, 1]))
    none = chosen < 0  # the task does not apply
    place = np.where(none, 0, chosen)
    prob = probs[np.arange(len(probs)), place].astype(np.float64)
    names = pa.array(answer.labels, pa.string())
    return names.take(pa.array(place, pa.int64(), mask=none)), pa.array(prob, mask=none)


def _maps(probs: np.ndarray, labels: tuple[str, ...]) -> pa.MapArray:
    n, k = probs.shape
    return pa.MapArray.from_arrays(
        pa.array(np.arange(n + 1) * k, pa.int32()),
        pa.array(labels, pa.string()).take(pa.array(np.tile(np.arange(k), n))),
        pa.array(np.ascontiguousarray(probs, dtype=np.float64).ravel()),
    )


def _no_maps(n: int) -> pa.MapArray:
    return pa.MapArray.from_arrays(
        pa.array(np.zeros(n + 1), pa.int32()), pa.array([], pa.string()), pa.array([], pa.float64())
    )
