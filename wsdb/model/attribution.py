"""Attribution: what of a row speaks for the label that a network predicts.

The attributions of a label sum to its logit, z / T + b, minus the same logit where all inputs are NULL. A part's share
is its Shapley value over two orders: the parts are given to the NULL row one after the other, first to last and last to
first, and each gets the mean of what it adds. That is exact where parts add up, as in a linear path, and where no more
than two of them act together. A text column's share is divided among its n-grams: each gets what it alone adds to the
NULL row, which is its linear weight; what is left, if anything, is the column's own. What the parts of a row
are, and those of an element of a payload, says `wsdb.model.players`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from wsdb.model.arrays import TEXT, EncodedBatch, Ragged
from wsdb.model.columns import TextFit
from wsdb.model.decode import decide
from wsdb.model.encode import column_of, columns_of
from wsdb.model.grams import grams
from wsdb.model.payload_arrays import PREFIX
from wsdb.model.payload_columns import elements_of
from wsdb.model.players import AFTER, BEFORE, OWN, Player, given, players
from wsdb.model.predictor import Predictor

Logits = Callable[[EncodedBatch, np.ndarray], np.ndarray]
"""From rows, and which target each is about, to the logit of the target's label: float64 (n,)."""
LEAST = 1e-5
"""An attribution of no more than this is none, but rounding."""
ENTRIES = 4_096
"""Text entries looked at together."""
ELEMENTS = 65_536
"""Elements looked at together; a row stands there once for each of its elements that is explained."""
SHOWN = 40
"""Letters of an element's value that its name shows."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The t labels that are explained: row int64 (t,), code int64 (t,), and at int64 (t,), the element's place from 0.

    `at` is None of a task on rows.
    """

    row: np.ndarray
    code: np.ndarray
    at: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """The text n-grams of all rows, by row: row int64 (e,), slots int32 (e,), and sizes float64 (e,), attributions."""

    row: np.ndarray
    slots: np.ndarray
    sizes: np.ndarray


@dataclass(frozen=True, slots=True)
class Attributions:
    """What speaks for the predicted labels of one task.

    Attributes
    ----------
    row : int64 (t,), the row of each label, ascending
    pos : the number of its element from 1, or None of a task on rows
    labels : the t labels
    logits, bias : float64 (t,), the label's logit, and the one where all inputs are NULL
    rows : of each label (feature, attribution), the largest in size first
    """

    row: np.ndarray
    pos: np.ndarray | None
    labels: list[str]
    logits: np.ndarray
    bias: np.ndarray
    rows: list[list[tuple[str, float]]]


def attribute(
    predictor: Predictor,
    batch: pa.RecordBatch | pa.StructArray,
    task: str,
    top_k: int | None = None,
    threshold: float | Sequence[float] | None = None,
) -> Attributions:
    """Return the attributions of the labels that a task predicts on its own: of each row, or of each element.

    Of a bitvector these are the labels that apply, or the most probable one where none does; of a select task ``yes``
    of the element that is picked, its logit less the mean of those of the row's elements.

    Parameters
    ----------
    batch : n rows, as for `Predictor.predict`
    top_k : how many of each label; None for all
    threshold : of the task, as in `wsdb.model.decode.decide`
    """
    at = predictor.tasks.index(task)
    encoded, payload = predictor.encode(batch), predictor.plan.heads[at].payload or None
    if PREFIX + (payload or "") not in encoded.ragged:  # a singleton: the row
        payload = None
    every = _targets(predictor, batch, task, payload, threshold)
    sizes = np.ones(len(every.row)) if payload is None else np.diff(encoded.ragged[PREFIX + payload].indptr)[every.row]
    found = Attributions(every.row, None if every.at is None else every.at + 1, [], np.zeros(0), np.zeros(0), [])
    found.labels.extend(predictor.labels[at][code] for code in every.code.tolist())
    logits, bias = np.zeros(len(every.row)), np.zeros(len(every.row))
    block = ((np.cumsum(sizes) - sizes) // ELEMENTS).astype(np.int64)
    for number in np.unique(block):
        of = np.flatnonzero(block == number)
        own = Targets(every.row[of], every.code[of], None if every.at is None else every.at[of])
        logits[of], bias[of], rows = _explained(predictor, batch, encoded, at, payload, own)
        found.rows.extend(sorted(row, key=lambda item: (-abs(item[1]), item[0]))[:top_k] for row in rows)
    return replace(found, logits=logits, bias=bias)


def _explained(
    predictor: Predictor,
    batch: pa.RecordBatch | pa.StructArray,
    encoded: EncodedBatch,
    at: int,
    payload: str | None,
    targets: Targets,
) -> tuple[np.ndarray, np.ndarray, list[list[tuple[str, float]]]]:
    """Return the logits of targets, those where all is NULL, and what each part is called and adds."""
    everyone = players(predictor, encoded, payload)
    copies = encoded.take(targets.row)

    def value(rows: EncodedBatch, of: np.ndarray) -> np.ndarray:
        scores = np.asarray(predictor.scores(rows)[at]) / predictor.temperatures[at] + predictor.offsets[at]
        place = np.arange(len(of))
        if payload is not None and targets.at is not None:
            indptr = rows.ragged[PREFIX + payload].indptr
            place = indptr[:-1] + targets.at[of]
            if predictor.kinds[at] == "select" and len(of):  # what all elements of a row have in common picks none
                scores = scores - np.repeat(
                    np.add.reduceat(scores, indptr[:-1]) / np.diff(indptr)[:, None], np.diff(indptr), 0
                )
        found: np.ndarray = scores[place, targets.code[of]]
        return found

    def known(parts: frozenset[int]) -> np.ndarray:
        return value(given(copies, everyone, parts, targets.at), np.arange(len(targets.row)))

    full, bias = known(frozenset(range(len(everyone)))), known(frozenset())
    shares = np.zeros((len(everyone), len(full)))
    for order in (range(len(everyone)), range(len(everyone) - 1, -1, -1)):
        before, parts = bias, frozenset[int]()
        for place in order:
            parts |= {place}
            after = full if len(parts) == len(everyone) else known(parts)
            shares[place] += (after - before) / 2
            before = after
    rows: list[list[tuple[str, float]]] = [[] for _ in full]
    entries = _entries(copies, given(copies, everyone, frozenset(), targets.at), bias, value)
    for player, share in zip(everyone, shares, strict=True):
        if player.where is None:
            named = _named(predictor, batch, player, share, entries, targets)
        else:
            named = _named_elements(predictor, batch, player, share, targets)
        for row, found in enumerate(named):
            rows[row] += found
    return full, bias, rows


def _targets(
    predictor: Predictor,
    batch: pa.RecordBatch | pa.StructArray,
    task: str,
    payload: str | None,
    threshold: float | Sequence[float] | None,
) -> Targets:
    """Return the labels that a task predicts on its own."""
    at, scores = predictor.tasks.index(task), predictor.predict(batch)[task]
    answer = decide(predictor.kinds[at], predictor.labels[at], scores.probabilities, scores.indptr, threshold)
    if answer.kind == "bitvector":
        likeliest = np.eye(len(answer.labels), dtype=bool)[answer.probabilities.argmax(axis=1)]
        some = np.asarray(answer.chosen.any(axis=1))
        thing, code = np.nonzero(np.where(some[:, None], answer.chosen, likeliest))
    elif answer.kind == "select":
        thing = np.flatnonzero(answer.chosen)
        code = np.ones(len(thing), np.int64)
    else:
        thing, code = np.arange(len(answer.chosen)), answer.chosen
    row = np.repeat(np.arange(len(answer)), np.diff(answer.offsets))[thing]
    return Targets(row, code, None if payload is None else thing - answer.offsets[row])


def _named_elements(
    predictor: Predictor,
    batch: pa.RecordBatch | pa.StructArray,
    player: Player,
    part: np.ndarray,
    targets: Targets,
) -> Iterator[list[tuple[str, float]]]:
    """Yield for each target the name and share of a part of the payload whose elements are looked at."""
    assert targets.at is not None
    encoder = next(one for one in predictor.payload_encoders.encoders if one.payload.name == player.name)
    elements = elements_of(encoder.payload, batch, None)
    field = encoder.fields[player.field or 0].name if encoder.fields else None
    shown = f"{player.name}.{field}" if player.where == OWN and len(encoder.fields) > 1 else player.name
    letters = player.where == OWN and not player.categories and not player.dense
    step = {OWN: 0, BEFORE: -1, AFTER: 1}.get(player.where or "")
    for at, share in zip((elements.indptr[targets.row] + targets.at).tolist(), part.tolist(), strict=True):
        if abs(share) <= LEAST:
            yield []
        elif step is None or field is None:
            yield [(f"{player.name}: the others", share)]
        else:
            value = str(elements.fields[field][at + step].as_py())
            value = value if len(value) <= SHOWN else value[: SHOWN - 1] + "…"
            side = f" {step:+d}" if step else ""
            yield [(f"{shown}{side}: {'letters of ' if letters else ''}{value}", share)]


def _named(
    predictor: Predictor,
    batch: pa.RecordBatch | pa.StructArray,
    player: Player,
    part: np.ndarray,
    entries: Entries,
    targets: Targets,
) -> Iterator[list[tuple[str, float]]]:
    """Yield for each target the names and shares of one column, or of a payload as a whole."""
    if player.feature is None or player.slots[1] == player.slots[0]:
        for value in part.tolist():
            yield [(player.name, value)] if abs(value) > LEAST else []
        return
    spec, fit = predictor.encoder.features[player.feature], predictor.encoder.fits[player.feature]
    assert isinstance(fit, TextFit)
    texts = column_of(columns_of(batch), spec)
    inside = (entries.slots >= player.slots[0]) & (entries.slots < player.slots[1])
    row, slots, sizes = entries.row[inside], entries.slots[inside] - player.slots[0], entries.sizes[inside]
    for at, value in enumerate(part.tolist()):
        own = slice(*np.searchsorted(row, [at, at + 1]).tolist())
        names: dict[int, dict[str, None]] = {}
        text = texts[int(targets.row[at])].as_py() if own.start < own.stop else None
        for name, bucket in grams(text or "", predictor.encoder.hashing):
            names.setdefault(bucket, {})[name] = None
        found = [
            (f"{player.name}: {' | '.join(names[bucket])}", size)
            for bucket, size in zip(fit.buckets[slots[own]].tolist(), sizes[own].tolist(), strict=True)
            if abs(size) > LEAST
        ]
        rest = value - float(sizes[own].sum())
        yield found + ([(player.name, rest)] if abs(rest) > LEAST else [])


def _entries(copies: EncodedBatch, empty: EncodedBatch, bias: np.ndarray, value: Logits) -> Entries:
    """Return what each text entry adds to the logit of its target, alone on the NULL row `empty`."""
    text = copies.ragged[TEXT]
    row = np.repeat(np.arange(len(text)), np.diff(text.indptr))
    slots, values = text.arrays["slots"], text.arrays["values"]
    sizes = np.zeros(len(row))
    for start in range(0, len(row), ENTRIES):
        here = slice(start, min(start + ENTRIES, len(row)))
        single = Ragged(np.arange(here.stop - start + 1), {"slots": slots[here], "values": values[here]})
        rows = empty.take(row[here])
        rows = EncodedBatch(rows.n, rows.rows, {**rows.ragged, TEXT: single})
        sizes[here] = value(rows, row[here]) - bias[row[here]]
    return Entries(row, slots, sizes)
