"""How often two sources vote the same value: exact counts in bounded memory.

Two ways to count, chosen by cost. Bits: for each value, one bit per row and source; the bits of two sources are
combined by AND and counted 64 rows at a time. Listing: all pairs of votes of a row, a range of left sources at a
time, so that the counts of a range are complete when it ends and rare pairs can be dropped there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BIT_WORD_COST = 0.08
"""Cost of combining one word of bits of two sources; 1 is the cost of listing one pair of votes."""
BIT_TABLE_CELLS = 1 << 29
"""Largest table (rows x sources) of bits, in bits."""
BIT_BLOCK_WORDS = 1 << 15
"""Words combined at a time; a block stays in cache."""
PAIR_CHUNK = 2_000_000
"""Pairs of votes listed at a time."""
COUNTER_CELLS = 1 << 22
"""Counters (left x right x value) held at a time."""


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Rows where two sources vote the same value; only pairs that do are stored.

    Attributes
    ----------
    left, right : int64 arrays of shape (s,), sources with left < right
    value : int64 array of shape (s,), the common value
    count : float64 array of shape (s,), rows; above 0
    """

    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    count: np.ndarray

    @classmethod
    def empty(cls) -> PairCounts:
        """No pairs."""
        none = np.zeros(0, dtype=np.int64)
        return cls(none, none, none, np.zeros(0))

    @classmethod
    def join(cls, parts: list[PairCounts]) -> PairCounts:
        """Put disjoint parts together, ordered by value, left and right."""
        if not parts:
            return cls.empty()
        left, right, value, count = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("left", "right", "value", "count")
        )
        order = np.lexsort((right, left, value))
        return cls(left[order], right[order], value[order], count[order])

    def at_least(self, rows: float) -> PairCounts:
        """Keep the pairs seen together on `rows` rows or more."""
        kept = self.count >= rows
        return PairCounts(self.left[kept], self.right[kept], self.value[kept], self.count[kept])

    def among(self, kept: np.ndarray) -> PairCounts:
        """Keep the pairs of two sources of `kept` (bool, shape (m,))."""
        both = kept[self.left] & kept[self.right]
        return PairCounts(self.left[both], self.right[both], self.value[both], self.count[both])

    def __add__(self, other: PairCounts) -> PairCounts:
        return self._merged(other, 1.0)

    def __sub__(self, other: PairCounts) -> PairCounts:
        return self._merged(other, -1.0)

    def _merged(self, other: PairCounts, sign: float) -> PairCounts:
        if not len(other.count):
            return self
        width = int(max(self.right.max(initial=0), other.right.max())) + 1

        def keys(pairs: PairCounts) -> np.ndarray:
            key: np.ndarray = (pairs.value * width + pairs.left) * width + pairs.right
            return key

        unique, place = np.unique(np.concatenate([keys(self), keys(other)]), return_inverse=True)
        weights = np.concatenate([self.count, sign * other.count])
        count = np.bincount(place.ravel(), weights=weights, minlength=len(unique))
        kept = count > 0
        unique, count = unique[kept], count[kept]
        return PairCounts(unique // width % width, unique % width, unique // width**2, count)


def pairs_in_bits(bits: np.ndarray, counts: np.ndarray, value: int, names: np.ndarray, least: float) -> PairCounts:
    """Count the pairs of one value from a table of bits.

    Parameters
    ----------
    bits : uint64 array of shape (s, words), row r of source i is bit r of `bits[i]` as `np.packbits` orders bits;
        rows are ordered by falling count
    counts : int64 array of shape (r,), falling, rows that each stands for
    value : the value voted
    names : int64 array of shape (s,), rising, the sources
    least : smallest count to keep
    """
    s = len(bits)
    total = np.zeros((s, s))
    # Counts in binary: bit b of the counts of the first rows, and nothing beyond the last row with count 2**b.
    for plane in range(int(counts[0]).bit_length() if len(counts) else 0):
        rows = int(np.searchsorted(-counts, -(1 << plane), side="right"))
        chosen = packed((counts[:rows] >> plane & 1).astype(bool)[None, :])
        whole = bool((counts[:rows] >> plane & 1).all())
        for first in range(0, chosen.shape[1], BIT_BLOCK_WORDS):
            mask = chosen[0, first : first + BIT_BLOCK_WORDS]
            block = bits[:, first : first + len(mask)]
            masked = block if whole and rows == len(counts) else block & mask
            for i in range(s - 1):
                both = np.bitwise_count(masked[i] & block[i + 1 :])
                total[i, i + 1 :] += float(1 << plane) * both.sum(axis=1, dtype=np.uint32)
    left, right = np.nonzero(total >= max(least, 0.5))
    return PairCounts(names[left], names[right], np.full(len(left), value, dtype=np.int64), total[left, right])


def packed(flags: np.ndarray) -> np.ndarray:
    """Pack a bool array of shape (s, r) into uint64 words, shape (s, ceil(r / 64)); missing bits are 0."""
    packs = np.packbits(flags, axis=1)
    rest = -packs.shape[1] % 8
    return np.pad(packs, ((0, 0), (0, rest))).view(np.uint64) if rest else np.ascontiguousarray(packs).view(np.uint64)


def pairs_listed(row: np.ndarray, source: np.ndarray, counts: np.ndarray, value: int, least: float) -> PairCounts:
    """Count the pairs of one value from the list of its votes.

    Parameters
    ----------
    row, source : integer arrays of shape (z,), ordered by row and source
    counts : float64 array of shape (p,), rows that each listed row stands for
    value : the value voted
    least : smallest count to keep
    """
    voting = np.bincount(source) > 0
    names = np.flatnonzero(voting)
    column = (np.cumsum(voting) - 1)[source]
    # A vote pairs with those after it on its row, whose sources are higher.
    last = np.append(np.flatnonzero(row[1:] != row[:-1]), len(row) - 1)
    after = (np.repeat(last, np.diff(last, prepend=-1)) - np.arange(len(row))).astype(np.int32)
    parts = []
    for first, lefts in _ranges(column, after, len(names)):
        counter = np.zeros(0)
        for chunk in _split(lefts, after):
            reps = after[chunk].astype(np.int64)
            partner = np.arange(reps.sum()) + np.repeat(chunk + 1 - (np.cumsum(reps) - reps), reps)
            key = np.repeat((column[chunk] - first) * len(names), reps) + column[partner]
            counted = np.bincount(key, weights=np.repeat(counts[row[chunk]], reps))
            if len(counter) < len(counted):
                counter = np.concatenate([counter, np.zeros(len(counted) - len(counter))])
            counter[: len(counted)] += counted
        found = np.flatnonzero(counter >= max(least, 0.5))
        left, right = np.divmod(found, len(names))
        same = np.full(len(found), value, dtype=np.int64)
        parts.append(PairCounts(names[left + first], names[right], same, counter[found]))
    return PairCounts.join(parts)


def listed_cost(row: np.ndarray) -> float:
    """Number of pairs of votes that `pairs_listed` would list, for the rows of one value's votes."""
    if not len(row):
        return 0.0
    per = np.bincount(row).astype(float)
    return float((per * (per - 1) / 2).sum())


def _ranges(column: np.ndarray, after: np.ndarray, width: int) -> Iterator[tuple[int, np.ndarray]]:
    """First source and votes of ranges of left sources, each range about one chunk of pairs and counters."""
    useful = np.flatnonzero(after > 0)
    # numpy sorts 16-bit numbers by radix, several times faster.
    left = column[useful].astype(np.uint16 if width <= 1 << 16 else np.int64)
    useful = useful[np.argsort(left, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(left, minlength=1))])
    ends = np.concatenate([[0], np.cumsum(after[useful], dtype=np.int64)])[starts]
    first, most = 0, max(1, COUNTER_CELLS // max(width, 1))
    while first < len(starts) - 1:
        stop = int(np.searchsorted(ends, ends[first] + PAIR_CHUNK, side="right")) - 1
        stop = min(max(stop, first + 1), first + most, len(starts) - 1)
        yield first, useful[starts[first] : starts[stop]]
        first = stop


def _split(votes: np.ndarray, after: np.ndarray) -> Iterator[np.ndarray]:
    """Cut a range of left votes into chunks of pairs."""
    place = np.cumsum(after[votes], dtype=np.int64) // PAIR_CHUNK
    cuts = np.flatnonzero(place[1:] != place[:-1]) + 1
    yield from (part for part in np.split(votes, cuts) if len(part))
