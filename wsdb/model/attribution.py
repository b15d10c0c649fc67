"""Attribution: what of a row speaks for the label that a network predicts.

The attributions of a row sum to the logit of the label, z / T + b, minus the same logit of a row whose columns are all
NULL. A column's part is its Shapley value over two orders: columns are given to the NULL row one after the other, first
to last and last to first, and each gets the mean of what it adds. That is exact where columns add up, as in the wide
path, and where no more than two of them act together. A text column's part is shared among its n-grams: each gets what
it alone adds to the NULL row, which is its weight in the wide path; what is left, if anything, is the column's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from wsdb.model.arrays import CATEGORIES, DENSE, TEXT, EncodedBatch, Ragged
from wsdb.model.columns import TextFit
from wsdb.model.encode import column_of
from wsdb.model.grams import grams
from wsdb.model.plan import ROW
from wsdb.model.predictor import Predictor

Logits = Callable[[EncodedBatch], np.ndarray]
LEAST = 1e-9
"""An attribution of no more than this is none."""
REST = 1e-5
"""What a text column has beyond its n-grams is shown from here on; less is rounding."""
ENTRIES = 4_096
"""Text entries looked at together."""


@dataclass(frozen=True, slots=True)
class Player:
    """A column, or a payload, and where it is among the arrays.

    Attributes
    ----------
    feature : place among the features; None for a payload
    slots : first and last + 1 of its text slots
    categories, dense : the columns it makes
    nulls : the category slots that stand for NULL
    """

    name: str
    feature: int | None
    slots: tuple[int, int] = (0, 0)
    categories: tuple[int, ...] = ()
    dense: tuple[int, ...] = ()
    nulls: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Entries:
    """The text n-grams of all rows, by row: row int64 (e,), slots int32 (e,), and sizes float64 (e,), attributions."""

    row: np.ndarray
    slots: np.ndarray
    sizes: np.ndarray


@dataclass(frozen=True, slots=True)
class Attributions:
    """What speaks for one task's predicted label.

    Attributes
    ----------
    labels : of each of the n rows, the label
    logits, bias : float64 (n,), the label's logit for the row and for the row of NULLs
    rows : of each row (feature, attribution), the largest in size first
    """

    labels: list[str]
    logits: np.ndarray
    bias: np.ndarray
    rows: list[list[tuple[str, float]]]


def attribute(
    predictor: Predictor, batch: pa.RecordBatch | pa.StructArray, task: str, top_k: int | None = None
) -> Attributions:
    """Return the attributions of the most probable label of every row.

    Parameters
    ----------
    batch : n rows, as for `Predictor.predict`
    task : one that labels rows, not the elements of a payload; see `explained`
    top_k : how many of each row; None for all
    """
    encoded = predictor.encode(batch)
    at = predictor.tasks.index(task)
    scale, offsets = predictor.temperatures[at], predictor.offsets[at]

    def logits(rows: EncodedBatch) -> np.ndarray:
        return np.asarray(predictor.scores(rows)[at]) / scale + offsets  # [n, k]

    everyone = players(predictor, encoded)
    full = logits(encoded)
    best, n = full.argmax(axis=1), np.arange(len(full))
    empty = given(encoded, everyone, frozenset())
    bias = logits(empty)[n, best]
    parts = np.zeros((len(everyone), len(full)))
    for order in (range(len(everyone)), range(len(everyone) - 1, -1, -1)):
        before, known = bias, frozenset[int]()
        for place in order:
            known |= {place}
            after = logits(given(encoded, everyone, known))[n, best]
            parts[place] += (after - before) / 2
            before = after
    rows: list[list[tuple[str, float]]] = [[] for _ in full]
    entries = _entries(encoded, empty, bias, best, logits)
    for player, part in zip(everyone, parts, strict=True):
        for row, found in enumerate(_named(predictor, batch, player, part, entries)):
            rows[row] += found
    kept = [sorted(row, key=lambda item: (-abs(item[1]), item[0]))[:top_k] for row in rows]
    return Attributions([predictor.labels[at][place] for place in best.tolist()], full[n, best], bias, kept)


def explained(predictor: Predictor) -> list[str]:
    """Return the tasks whose labels can be explained: those that label rows."""
    return [head.task for head in predictor.plan.heads if head.payload == ROW and head.kind != "select"]


def players(predictor: Predictor, encoded: EncodedBatch) -> list[Player]:
    """Return the columns in the order of the features, then the payloads."""
    found: list[Player] = []
    text = category = column = dense = 0
    for place, (spec, fit) in enumerate(zip(predictor.encoder.features, predictor.encoder.fits, strict=True)):
        if isinstance(fit, TextFit):
            found.append(Player(spec.name, place, slots=(text, text + len(fit.buckets))))
            text += len(fit.buckets)
            continue
        starts = (category + np.cumsum((0, *fit.slots))[:-1]).tolist()
        columns, numbers = range(column, column + len(fit.slots)), range(dense, dense + fit.n_dense)
        found.append(Player(spec.name, place, (0, 0), tuple(columns), tuple(numbers), tuple(starts)))
        category, column, dense = category + sum(fit.slots), columns.stop, numbers.stop
    names = sorted(name for name in encoded.ragged if name != TEXT)
    return found + [Player(name.removeprefix("payload."), None) for name in names]


def given(encoded: EncodedBatch, everyone: Sequence[Player], known: frozenset[int]) -> EncodedBatch:
    """Return the rows with only the columns and payloads in `known`; the others are NULL."""
    categories, dense = encoded.rows[CATEGORIES].copy(), encoded.rows[DENSE].copy()
    ragged: dict[str, Ragged] = dict(encoded.ragged)
    kept = np.ones(len(encoded.ragged[TEXT].arrays["slots"]), bool)
    for place, player in enumerate(everyone):
        if place in known:
            continue
        if player.feature is None:
            name = f"payload.{player.name}"
            ragged[name] = _without(ragged[name], np.zeros(int(ragged[name].indptr[-1]), bool))
        categories[:, list(player.categories)] = np.array(player.nulls, np.int32)
        dense[:, list(player.dense)] = 0
        slots = encoded.ragged[TEXT].arrays["slots"]
        kept &= (slots < player.slots[0]) | (slots >= player.slots[1])
    ragged[TEXT] = _without(encoded.ragged[TEXT], kept)
    return EncodedBatch(encoded.n, {**encoded.rows, CATEGORIES: categories, DENSE: dense}, ragged)


def _without(ragged: Ragged, kept: np.ndarray) -> Ragged:
    """Return the rows with the kept elements alone, bool (E,)."""
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept, dtype=np.int64)])[ragged.indptr]
    at = np.flatnonzero(kept)
    return Ragged(
        indptr,
        {name: array[at] for name, array in ragged.arrays.items()},
        {name: part.take(at) for name, part in ragged.parts.items()},
    )


def _named(
    predictor: Predictor, batch: pa.RecordBatch | pa.StructArray, player: Player, part: np.ndarray, entries: Entries
) -> Iterator[list[tuple[str, float]]]:
    """Yield for each row the names and parts of one column."""
    if player.feature is None or player.slots[1] == player.slots[0]:
        for value in part.tolist():
            yield [(player.name, value)] if abs(value) > LEAST else []
        return
    spec, fit = predictor.encoder.features[player.feature], predictor.encoder.fits[player.feature]
    assert isinstance(fit, TextFit)
    texts = column_of(batch, spec)
    inside = (entries.slots >= player.slots[0]) & (entries.slots < player.slots[1])
    row, slots, sizes = entries.row[inside], entries.slots[inside] - player.slots[0], entries.sizes[inside]
    for at, value in enumerate(part.tolist()):
        own = slice(*np.searchsorted(row, [at, at + 1]).tolist())
        names: dict[int, dict[str, None]] = {}
        for name, bucket in grams(texts[at].as_py() or "", predictor.encoder.hashing) if own.start < own.stop else ():
            names.setdefault(bucket, {})[name] = None
        found = [
            (f"{player.name}: {' | '.join(names[bucket])}", size)
            for bucket, size in zip(fit.buckets[slots[own]].tolist(), sizes[own].tolist(), strict=True)
            if abs(size) > LEAST
        ]
        rest = value - float(sizes[own].sum())
        yield found + ([(player.name, rest)] if abs(rest) > REST else [])


def _entries(encoded: EncodedBatch, empty: EncodedBatch, bias: np.ndarray, best: np.ndarray, logits: Logits) -> Entries:
    """Return what each text entry adds to the logit of its row's label, alone on the row of NULLs `empty`."""
    text = encoded.ragged[TEXT]
    row = np.repeat(np.arange(len(text)), np.diff(text.indptr))
    slots, values = text.arrays["slots"], text.arrays["values"]
    sizes = np.zeros(len(row))
    for start in range(0, len(row), ENTRIES):
        here = slice(start, min(start + ENTRIES, len(row)))
        single = Ragged(np.arange(here.stop - start + 1), {"slots": slots[here], "values": values[here]})
        rows = empty.take(row[here])
        rows = EncodedBatch(rows.n, rows.rows, {**rows.ragged, TEXT: single})
        sizes[here] = logits(rows)[np.arange(rows.n), best[row[here]]] - bias[row[here]]
    return Entries(row, slots, sizes)
