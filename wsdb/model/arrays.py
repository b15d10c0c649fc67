"""Rows as arrays: one value per row, or any number of elements per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

TEXT = "text"
"""Ragged array of a row's text n-grams: slots int32, values float32."""
CATEGORIES = "categories"
"""Row array int32 (n, c): one slot per category column, numbered over all of them."""
DENSE = "dense"
"""Row array float32 (n, d)."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """Elements of n rows, the rows one after the other.

    Attributes
    ----------
    indptr : int64 array of shape (n + 1,); row i owns elements indptr[i] … indptr[i+1]-1; indptr[0] is 0
    arrays : per name an array of shape (E, …) with E = indptr[-1]
    parts : per name a Ragged of E rows, where an element has any number of parts (the n-grams of a token)
    """

    indptr: np.ndarray
    arrays: Mapping[str, np.ndarray]
    parts: Mapping[str, Ragged] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def take(self, rows: np.ndarray) -> Ragged:
        """Return the given rows, in the given order."""
        if not self.indptr[-1]:
            return Ragged(np.zeros(len(rows) + 1, np.int64), self.arrays, self.parts)
        indptr, at = elements_of(self.indptr, rows)
        return Ragged(
            indptr,
            {name: array.take(at, axis=0) for name, array in self.arrays.items()},
            {name: part.take(at) for name, part in self.parts.items()},
        )


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """The inputs of n rows.

    A network over columns alone reads the row arrays `CATEGORIES` and `DENSE` and the ragged array `TEXT`, whose
    values are TF-IDF weights: each text column of a row has length 1 (or 0, if empty). A payload named p adds arrays
    under ``payload.p``; see `wsdb.model.payload_arrays`.

    Attributes
    ----------
    n : number of rows
    rows : per name an array of shape (n, …)
    ragged : per name the elements of the n rows
    """

    n: int
    rows: Mapping[str, np.ndarray]
    ragged: Mapping[str, Ragged]

    def __len__(self) -> int:
        return self.n

    def take(self, rows: np.ndarray) -> EncodedBatch:
        """Return the given rows, in the given order."""
        return EncodedBatch(
            len(rows),
            {name: array.take(rows, axis=0) for name, array in self.rows.items()},
            {name: ragged.take(rows) for name, ragged in self.ragged.items()},
        )


def elements_of(indptr: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indptr of the given rows alone, int64 (b + 1,), and the elements they own, int64 (e,)."""
    lengths = indptr[rows + 1] - indptr[rows]
    own = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return own, np.arange(own[-1]) + np.repeat(indptr[rows] - own[:-1], lengths)


def concat_ragged(parts: Sequence[Ragged]) -> Ragged:
    """Put blocks of rows one under the other; there is at least one block, and all have the same arrays."""
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    return Ragged(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)]),
        {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays},
        {name: concat_ragged([part.parts[name] for part in parts]) for name in parts[0].parts},
    )


def concat_batches(parts: Sequence[EncodedBatch]) -> EncodedBatch:
    """Put batches one under the other; there is at least one, and all have the same arrays."""
    return EncodedBatch(
        sum(len(part) for part in parts),
        {name: np.concatenate([part.rows[name] for part in parts]) for name in parts[0].rows},
        {name: concat_ragged([part.ragged[name] for part in parts]) for name in parts[0].ragged},
    )
