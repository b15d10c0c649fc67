"""The parts of a row that attributions are shared among, and a row without some of them.

Of a task on rows the parts are the columns, and each payload as a whole. Of a task on the elements of a payload, looked
at one by one, that payload falls into the element's own fields, of text the value and its letters apart, the elements
beside it, and all others. Without a part, columns and elements are NULL, as many of them as there were; a payload that
is a part of a row has no elements then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsdb.model.arrays import CATEGORIES, DENSE, TEXT, EncodedBatch, Ragged
from wsdb.model.columns import TextFit
from wsdb.model.payload_arrays import GRAMS, PREFIX, SPANS, PayloadEncoder
from wsdb.model.predictor import Predictor
from wsdb.model.word_vectors import PRETRAINED, WORDS

OWN, BEFORE, AFTER, OTHERS = "own", "before", "after", "others"
"""Where an element is, seen from the one that is looked at."""


@dataclass(frozen=True, slots=True)
class Player:
    """A column, a payload, or a part of the payload whose elements are looked at, and where it is among the arrays.

    Attributes
    ----------
    feature : place among the features; None for a payload
    slots : first and last + 1 of its text slots; of a payload, of its n-grams
    categories, dense : the columns it makes
    nulls : the category slots that stand for NULL
    ragged : of a payload, the name of its elements among the ragged arrays
    where : of a part of the payload whose elements are looked at, which of them; None for all
    field : of the element itself, the place of the field; None for all fields
    words : whether the pretrained vectors belong to it
    spanned : of a payload, the names of those whose elements are stretches of it
    """

    name: str
    feature: int | None = None
    slots: tuple[int, int] = (0, 0)
    categories: tuple[int, ...] = ()
    dense: tuple[int, ...] = ()
    nulls: tuple[int, ...] = ()
    ragged: str | None = None
    where: str | None = None
    field: int | None = None
    words: bool = False
    spanned: tuple[str, ...] = ()


def players(predictor: Predictor, encoded: EncodedBatch, payload: str | None = None) -> list[Player]:
    """Return the parts: the columns in the order of the features, then the payloads.

    Parameters
    ----------
    payload : whose elements are looked at, or None
    """
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
    encoders = {PREFIX + one.payload.name: one for one in predictor.payload_encoders.encoders}
    for name in sorted(name for name in encoded.ragged if name != TEXT):
        if name not in encoders:  # the words of a singleton
            found.append(Player(name.removeprefix(WORDS), ragged=name, words=True))
            continue
        parts = _fields(encoders[name])
        whole = Player(
            encoders[name].payload.name,
            slots=(0, encoders[name].n_grams),
            categories=tuple(at for part in parts for at in part.categories),
            dense=tuple(at for part in parts for at in part.dense),
            nulls=tuple(at for part in parts for at in part.nulls),
            ragged=name,
            words=True,
            spanned=tuple(
                other
                for other, one in encoders.items()
                if one.payload.spans is not None and one.payload.spans[0] == encoders[name].payload.name
            ),
        )
        if name != f"{PREFIX}{payload}":
            found.append(whole)
            continue
        sides = (OTHERS, BEFORE, AFTER) if encoders[name].payload.shape == "sequence" else (OTHERS,)
        found += [replace(whole, where=where) for where in sides] + parts
    return found


def _fields(encoder: PayloadEncoder) -> list[Player]:
    """Return the parts of an element itself: its fields, of text the value and the letters apart."""
    name, ragged, found = encoder.payload.name, PREFIX + encoder.payload.name, []
    category = column = dense = slots = 0
    first_text = next((place for place, field in enumerate(encoder.fields) if field.kind == "text"), None)
    for place, field in enumerate(encoder.fields):
        starts = (category + np.cumsum((0, *field.fit.slots))[:-1]).tolist()
        columns, numbers = range(column, column + len(field.fit.slots)), range(dense, dense + field.fit.n_dense)
        words = encoder.embedding is not None and place == first_text
        arrays = (tuple(columns), tuple(numbers), tuple(starts))
        found.append(Player(name, None, (0, 0), *arrays, ragged, OWN, place, words))
        category, column, dense = category + sum(field.fit.slots), columns.stop, numbers.stop
        if field.grams is not None:
            grams = (slots, slots + len(field.grams.buckets))
            found.append(Player(name, slots=grams, ragged=ragged, where=OWN, field=place))
            slots = grams[1]
    return found


def given(
    encoded: EncodedBatch, everyone: Sequence[Player], known: frozenset[int], at: np.ndarray | None = None
) -> EncodedBatch:
    """Return the rows with only the parts in `known`; the others are NULL.

    Parameters
    ----------
    at : the place of the element that is looked at in its row, int64 (n,), from 0; None of a task on rows
    """
    categories, dense = encoded.rows[CATEGORIES].copy(), encoded.rows[DENSE].copy()
    ragged: dict[str, Ragged] = dict(encoded.ragged)
    kept = np.ones(len(encoded.ragged[TEXT].arrays["slots"]), bool)
    for place, player in enumerate(everyone):
        if place in known:
            continue
        if player.ragged is not None:
            own = ragged[player.ragged]
            if at is None or player.ragged.startswith(WORDS):
                ragged[player.ragged] = _without(own, np.zeros(int(own.indptr[-1]), bool))
                for other in player.spanned:
                    stretches = ragged[other]
                    none = np.zeros_like(stretches.arrays[SPANS])
                    ragged[other] = Ragged(stretches.indptr, {**stretches.arrays, SPANS: none}, stretches.parts)
            else:
                ragged[player.ragged] = _nulled(own, player, _hidden(own, player, at, everyone))
            continue
        categories[:, list(player.categories)] = np.array(player.nulls, np.int32)
        dense[:, list(player.dense)] = 0
        slots = encoded.ragged[TEXT].arrays["slots"]
        kept &= (slots < player.slots[0]) | (slots >= player.slots[1])
    ragged[TEXT] = _without(encoded.ragged[TEXT], kept)
    return EncodedBatch(encoded.n, {**encoded.rows, CATEGORIES: categories, DENSE: dense}, ragged)


def _hidden(ragged: Ragged, player: Player, at: np.ndarray, everyone: Sequence[Player]) -> np.ndarray:
    """Return which elements of a payload a part is about, bool (E,)."""
    if player.where is None:
        return np.ones(int(ragged.indptr[-1]), bool)
    far = np.arange(int(ragged.indptr[-1])) - np.repeat(ragged.indptr[:-1] + at, np.diff(ragged.indptr))
    beside = [-1, 1] if any(one.where == BEFORE for one in everyone) else []
    found: np.ndarray = {
        OWN: far == 0,
        BEFORE: far == -1,
        AFTER: far == 1,
        OTHERS: ~np.isin(far, [0, *beside]),
    }[player.where]
    return found


def _nulled(ragged: Ragged, player: Player, hidden: np.ndarray) -> Ragged:
    """Return the elements of a payload with a part NULL in those that are hidden, bool (E,)."""
    arrays, parts, rows = dict(ragged.arrays), dict(ragged.parts), np.flatnonzero(hidden)
    for name, columns, nulls in ((CATEGORIES, player.categories, player.nulls), (DENSE, player.dense, 0)):
        if columns:
            arrays[name] = arrays[name].copy()
            arrays[name][np.ix_(rows, np.array(columns))] = nulls
    if player.words and PRETRAINED in arrays:
        arrays[PRETRAINED] = np.where(hidden, 0, arrays[PRETRAINED]).astype(arrays[PRETRAINED].dtype)
    if GRAMS in parts and player.slots[1] > player.slots[0]:
        grams = parts[GRAMS]
        slots = grams.arrays["slots"]
        inside = (slots >= player.slots[0]) & (slots < player.slots[1])
        parts[GRAMS] = _without(grams, ~(inside & np.repeat(hidden, np.diff(grams.indptr))))
    return Ragged(ragged.indptr, arrays, parts)


def _without(ragged: Ragged, kept: np.ndarray) -> Ragged:
    """Return the rows with the kept elements alone, bool (E,)."""
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept, dtype=np.int64)])[ragged.indptr]
    at = np.flatnonzero(kept)
    return Ragged(
        indptr,
        {name: array[at] for name, array in ragged.arrays.items()},
        {name: part.take(at) for name, part in ragged.parts.items()},
    )
