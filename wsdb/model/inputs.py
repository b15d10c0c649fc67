"""Inputs: the tensors of b rows, made from an `EncodedBatch`; no padding but where sequences are laid out for blocks.

Notation for shapes: b rows, e text entries of these rows, c category columns, d dense columns, E elements of a payload
in these rows, m n-grams of these elements, s tokens inside spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from wsdb.model.arrays import CATEGORIES, DENSE, TEXT, EncodedBatch, Ragged
from wsdb.model.backend import torch
from wsdb.model.payload_arrays import GRAMS, PREFIX, SPANS
from wsdb.model.word_vectors import PRETRAINED, WORDS

LONGEST = 512
"""Elements of a sequence that blocks read together; a longer one is read in pieces of this length."""
_AREA = 1 << 15  # rows times length of a padded block at a time


class Padded(NamedTuple):
    """Where the elements of some sequences of like length stand in a padded block of g rows and L columns."""

    elements: torch.Tensor  # [u] int64, elements of the payload
    places: torch.Tensor  # [u] int64, row * L + column
    lengths: torch.Tensor  # [g] int64, on the CPU, each at least 1
    mask: torch.Tensor  # [g, L] bool, true where there is an element


class Elements(NamedTuple):
    """The elements of one payload."""

    rows: torch.Tensor  # [E] int64, the row of each element
    starts: torch.Tensor  # [b] int64, the first element of each row
    categories: torch.Tensor  # [E, c] int32
    dense: torch.Tensor  # [E, d] float32
    slots: torch.Tensor | None  # [m] int32
    offsets: torch.Tensor | None  # [E + 1] int32
    pretrained: torch.Tensor | None  # [E] int32
    span_tokens: torch.Tensor | None  # [s] int64, positions in the row's sequence, from 0
    span_owners: torch.Tensor | None  # [s] int64, the element whose span they are in
    keep: torch.Tensor | None  # [E, 1] float32, 0 where the value of an element is hidden while training
    blocks: tuple[Padded, ...]


class Words(NamedTuple):
    """The words of a singleton payload that its embedding knows."""

    rows: torch.Tensor  # [E] int64, the row of each word
    pretrained: torch.Tensor  # [E] int32


class Inputs(NamedTuple):
    """Tensors of b rows."""

    n: int  # b
    slots: torch.Tensor  # [e] int32
    offsets: torch.Tensor  # [b + 1] int32
    values: torch.Tensor  # [e] float32
    categories: torch.Tensor  # [b, c] int32
    dense: torch.Tensor  # [b, d] float32
    payloads: Mapping[str, Elements]
    words: Mapping[str, Words]


def inputs_of(batch: EncodedBatch, device: torch.device) -> Inputs:
    """Copy encoded rows to the device."""

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    n = len(batch)
    text = batch.ragged.get(TEXT, _NO_TEXT)
    offsets = text.indptr if len(text) == n else np.zeros(n + 1, np.int64)
    return Inputs(
        n=n,
        slots=tensor(text.arrays["slots"]),
        offsets=tensor(offsets.astype(np.int32)),
        values=tensor(text.arrays["values"]),
        categories=tensor(batch.rows.get(CATEGORIES, np.empty((n, 0), np.int32))),
        dense=tensor(batch.rows.get(DENSE, np.empty((n, 0), np.float32))),
        payloads={
            name.removeprefix(PREFIX): _elements(ragged, device)
            for name, ragged in batch.ragged.items()
            if name.startswith(PREFIX)
        },
        words={
            name.removeprefix(WORDS): Words(tensor(_rows(ragged)), tensor(ragged.arrays[PRETRAINED]))
            for name, ragged in batch.ragged.items()
            if name.startswith(WORDS)
        },
    )


_NO_TEXT = Ragged(np.zeros(1, np.int64), {"slots": np.empty(0, np.int32), "values": np.empty(0, np.float32)})


def _elements(ragged: Ragged, device: torch.device) -> Elements:
    def tensor(array: np.ndarray | None) -> torch.Tensor | None:
        return None if array is None else torch.from_numpy(np.ascontiguousarray(array)).to(device)

    grams = ragged.parts.get(GRAMS)
    slots = offsets = tokens = owners = None
    if grams is not None:
        slots, offsets = grams.arrays["slots"], grams.indptr.astype(np.int32)
    if SPANS in ragged.arrays:
        spans = ragged.arrays[SPANS].astype(np.int64)
        lengths = spans[:, 1] - spans[:, 0]
        owners = np.repeat(np.arange(len(spans)), lengths)
        tokens = (
            np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(spans[:, 0], lengths)
        )
    return Elements(
        rows=torch.from_numpy(_rows(ragged)).to(device),
        starts=torch.from_numpy(np.ascontiguousarray(ragged.indptr[:-1])).to(device),
        categories=torch.from_numpy(np.ascontiguousarray(ragged.arrays[CATEGORIES])).to(device),
        dense=torch.from_numpy(np.ascontiguousarray(ragged.arrays[DENSE])).to(device),
        slots=tensor(slots),
        offsets=tensor(offsets),
        pretrained=tensor(ragged.arrays.get(PRETRAINED)),
        span_tokens=tensor(tokens),
        span_owners=tensor(owners),
        keep=None,
        blocks=padded_blocks(ragged.indptr, device),
    )


def _rows(ragged: Ragged) -> np.ndarray:
    """The row of each element, int64 (E,)."""
    return np.repeat(np.arange(len(ragged)), np.diff(ragged.indptr))


def padded_blocks(indptr: np.ndarray, device: torch.device) -> tuple[Padded, ...]:
    """Lay the sequences out as padded blocks: pieces of at most 512 elements, those of like length together."""
    lengths = np.diff(indptr)
    pieces = -(-lengths // LONGEST)  # pieces of each row, 0 of an empty one
    owner = np.repeat(np.arange(len(lengths)), pieces)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = indptr[:-1][owner] + number * LONGEST
    sizes = np.minimum(lengths[owner] - number * LONGEST, LONGEST)
    if len(sizes) * (sizes.max() if len(sizes) else 0) > _AREA:
        order = np.argsort(sizes, kind="stable")
        starts, sizes = starts[order], sizes[order]
    blocks, first = [], 0
    while first < len(sizes):
        last = first + 1
        widest = int(sizes[first])
        while last < len(sizes) and max(widest, int(sizes[last])) * (last + 1 - first) <= _AREA:
            widest = max(widest, int(sizes[last]))
            last += 1
        blocks.append(_padded(starts[first:last], sizes[first:last], widest, device))
        first = last
    return tuple(blocks)


def _padded(starts: np.ndarray, sizes: np.ndarray, widest: int, device: torch.device) -> Padded:
    piece = np.repeat(np.arange(len(sizes)), sizes)
    column = np.arange(len(piece)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return Padded(
        torch.from_numpy(starts[piece] + column).to(device),
        torch.from_numpy(piece * widest + column).to(device),
        torch.from_numpy(sizes),
        torch.from_numpy(np.arange(widest) < sizes[:, None]).to(device),
    )


def drop(inputs: Inputs, share: float, generator: torch.Generator) -> Inputs:
    """Hide a share of the inputs at random, drawn from a CPU generator.

    Text entries and dense columns are hidden one by one, and what stays is scaled to keep the mean. Of the elements of
    a payload the value is hidden and its letters stay, as they are of a token that was never seen.
    """

    def kept(*shape: int) -> torch.Tensor:
        return (torch.rand(shape, generator=generator) >= share).float().to(inputs.dense.device)

    def thin(values: torch.Tensor) -> torch.Tensor:
        return values * kept(*values.shape) / (1 - share)

    payloads = {
        name: one._replace(keep=kept(len(one.rows), 1), dense=thin(one.dense)) for name, one in inputs.payloads.items()
    }
    return inputs._replace(values=thin(inputs.values), dense=thin(inputs.dense), payloads=payloads)
