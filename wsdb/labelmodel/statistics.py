"""Sufficient statistics of the vote patterns: additive over shards, so that a fit never needs the rows.

Symbols: F[j, v] votes of value v by source j; q0[p, y] vote share of class y in pattern p; N0[j, v, y]
shares of
class y summed over the rows where source j votes v; T0[y] shares summed over covered rows; O[(j, v), (j',
v)] rows where two sources vote the same value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wsdb.core.matrix import ABSTAIN, VotePatterns

DENSE_PAIR_COST = 30.0
"""How many multiply-adds of a dense product cost as much as listing one pair of votes."""
DENSE_BLOCK_CELLS = 1 << 17
"""Cells (rows x sources) multiplied at a time; a block that stays in cache is several times faster."""
PAIR_CHUNK = 2_000_000
"""Pairs of votes listed at a time; bounds the memory of pair counting."""


@dataclass(frozen=True, slots=True)
class FiredVotes:
    """The votes that are not abstains, as a sparse list in pattern order.

    Attributes
    ----------
    pattern, source, value : int64 arrays of shape (z,), one entry per vote of a pattern
    counts : float64 array of shape (p,), rows per pattern
    n_sources, n_classes : m and k
    """

    pattern: np.ndarray
    source: np.ndarray
    value: np.ndarray
    counts: np.ndarray
    n_sources: int
    n_classes: int

    @classmethod
    def of(cls, patterns: VotePatterns) -> FiredVotes:
        """List the votes of a pattern table."""
        pattern, source = np.nonzero(patterns.votes != ABSTAIN)
        value = patterns.votes[pattern, source].astype(np.int64)
        counts = patterns.counts.astype(float)
        return cls(pattern, source, value, counts, len(patterns.sources), patterns.n_classes)

    @property
    def code(self) -> np.ndarray:
        """Position of each vote in a flattened (m, k) table, int64 array of shape (z,)."""
        position: np.ndarray = self.source * self.n_classes + self.value
        return position

    @property
    def table(self) -> np.ndarray:
        """F[j, v], rows where source j votes v: float64 array of shape (m, k)."""
        shape = (self.n_sources, self.n_classes)
        rows = np.bincount(self.code, weights=self.counts[self.pattern], minlength=shape[0] * shape[1])
        return rows.astype(float).reshape(shape)

    @property
    def votes_per_pattern(self) -> np.ndarray:
        """Number of votes in each pattern, int64 array of shape (p,)."""
        return np.bincount(self.pattern, minlength=len(self.counts))

    def select(self, keep: np.ndarray) -> FiredVotes:
        """Keep the votes of the sources marked in `keep` (bool, shape (m,)); source numbers stay."""
        kept = keep[self.source]
        return replace(self, pattern=self.pattern[kept], source=self.source[kept], value=self.value[kept])


def vote_shares(fired: FiredVotes, source_weights: np.ndarray | None = None) -> np.ndarray:
    """Weighted share of the votes that each class has in each pattern.

    Parameters
    ----------
    fired : the votes of p patterns
    source_weights : float64 array of shape (m,), positive; None is one vote each

    Returns
    -------
    float64 array of shape (p, k); rows sum to 1, and to 0 where every source abstains.
    """
    k = fired.n_classes
    weights = None if source_weights is None else source_weights[fired.source]
    cells = np.bincount(fired.pattern * k + fired.value, weights=weights, minlength=len(fired.counts) * k)
    shares = cells.reshape(-1, k).astype(float)
    totals = shares.sum(axis=1, keepdims=True)
    normalised: np.ndarray = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
    return normalised


def count_votes(fired: FiredVotes, posterior: np.ndarray) -> np.ndarray:
    """Votes by source, value and class, the class of a row being spread as `posterior` says.

    Parameters
    ----------
    posterior : float64 array of shape (p, k)

    Returns
    -------
    float64 array of shape (m, k, k): [j, v, y] rows of class y where source j votes v.
    """
    m, k = fired.n_sources, fired.n_classes
    weight = fired.counts[fired.pattern]
    code = fired.code
    counts = np.empty((m * k, k))
    for y in range(k):
        counts[:, y] = np.bincount(code, weights=weight * posterior[fired.pattern, y], minlength=m * k)
    return counts.reshape(m, k, k)


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Rows where two sources vote the same value; only pairs that do are stored.

    Attributes
    ----------
    left, right : int64 arrays of shape (s,), sources with left < right
    value : int64 array of shape (s,), the common value
    count : float64 array of shape (s,), rows, each at least 1
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

    def at_least(self, rows: float) -> PairCounts:
        """Keep the pairs seen together on `rows` rows or more."""
        kept = self.count >= rows
        return PairCounts(self.left[kept], self.right[kept], self.value[kept], self.count[kept])

    def __add__(self, other: PairCounts) -> PairCounts:
        keys = np.stack(
            [
                np.concatenate([self.value, other.value]),
                np.concatenate([self.left, other.left]),
                np.concatenate([self.right, other.right]),
            ]
        )
        unique, place = np.unique(keys, axis=1, return_inverse=True)
        count = np.bincount(place.ravel(), weights=np.concatenate([self.count, other.count]), minlength=unique.shape[1])
        return PairCounts(unique[1], unique[2], unique[0], count.astype(float))


def count_pairs(fired: FiredVotes) -> PairCounts:
    """Count, per value, the rows where two sources both vote it.

    Cost: the cheaper of one dense product over the sources that vote the value, and a listing of the pairs of
    votes that do occur; memory is bounded by the pairs that occur.
    """
    parts = [_pairs_of_value(fired, v) for v in range(fired.n_classes)]
    return PairCounts(
        np.concatenate([p.left for p in parts]),
        np.concatenate([p.right for p in parts]),
        np.concatenate([p.value for p in parts]),
        np.concatenate([p.count for p in parts]),
    )


def _pairs_of_value(fired: FiredVotes, value: int) -> PairCounts:
    here = fired.value == value
    pattern, source = fired.pattern[here], fired.source[here]
    together = np.bincount(pattern, minlength=len(fired.counts))
    keep = together[pattern] >= 2
    pattern, source = pattern[keep], source[keep]
    if not len(pattern):
        return PairCounts.empty()
    names, column = np.unique(source, return_inverse=True)
    rows, start, sizes = np.unique(pattern, return_index=True, return_counts=True)
    listed = float((sizes * (sizes - 1.0) / 2).sum())
    if len(rows) * float(len(names)) ** 2 <= DENSE_PAIR_COST * listed and len(names) <= 4096:
        left, right, count = _dense_pairs(np.repeat(np.arange(len(rows)), sizes), column, fired.counts[rows])
    else:
        left, right, count = _listed_pairs(column, start, sizes, fired.counts[rows], len(names))
    return PairCounts(names[left], names[right], np.full(len(left), value, dtype=np.int64), count)


def _dense_pairs(row: np.ndarray, column: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, ...]:
    width = int(column.max()) + 1
    step = max(1, DENSE_BLOCK_CELLS // width)
    total = np.zeros((width, width))
    for first in range(0, len(counts), step):
        lo, hi = np.searchsorted(row, [first, first + step])
        block = np.zeros((min(step, len(counts) - first), width))
        block[row[lo:hi] - first, column[lo:hi]] = 1.0
        # Not `@`: two BLAS threads on a busy machine made this product 90 times slower, einsum stays on one.
        total += np.einsum("ri,rj->ij", block, block * counts[first : first + step, None])
    left, right = np.nonzero(np.triu(total, 1))
    return left, right, total[left, right]


def _listed_pairs(
    column: np.ndarray, start: np.ndarray, sizes: np.ndarray, counts: np.ndarray, width: int
) -> tuple[np.ndarray, ...]:
    keys: list[np.ndarray] = []
    sums: list[np.ndarray] = []
    # Rows with the same number of votes form a rectangle, whose pairs of columns are the pairs of votes.
    for size in np.unique(sizes):
        i, j = np.triu_indices(int(size), 1)
        chosen = np.flatnonzero(sizes == size)
        step = max(1, PAIR_CHUNK // len(i))
        for first in range(0, len(chosen), step):
            rows = chosen[first : first + step]
            votes = column[start[rows][:, None] + np.arange(size)]
            key, place = np.unique(votes[:, i] * width + votes[:, j], return_inverse=True)
            keys.append(key)
            weights = np.repeat(counts[rows], len(i))
            sums.append(np.bincount(place.ravel(), weights=weights, minlength=len(key)))
    unique, place = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(place, weights=np.concatenate(sums), minlength=len(unique))
    return unique // width, unique % width, total


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a fit needs to know of the label matrix; `a + b` is the statistics of both tables together.

    Attributes
    ----------
    n_rows : rows, uncovered ones included
    n_covered : rows with a vote
    fired : float64 array of shape (m, k), F[j, v]
    votes : float64 array of shape (m, k, k), N0[j, v, y]
    classes : float64 array of shape (k,), vote shares summed over covered rows
    pairs : rows where two sources vote the same value
    """

    n_rows: float
    n_covered: float
    fired: np.ndarray
    votes: np.ndarray
    classes: np.ndarray
    pairs: PairCounts

    @classmethod
    def of(cls, patterns: VotePatterns) -> Statistics:
        """Count a pattern table once."""
        return cls.of_votes(FiredVotes.of(patterns))

    @classmethod
    def of_votes(cls, fired: FiredVotes, source_weights: np.ndarray | None = None) -> Statistics:
        """Count a list of votes; `source_weights` (float64, shape (m,)) weigh the vote shares only."""
        shares = vote_shares(fired, source_weights)
        votes = count_votes(fired, shares)
        return cls(
            float(fired.counts.sum()),
            float(fired.counts[fired.votes_per_pattern > 0].sum()),
            fired.table,
            votes,
            fired.counts @ shares,
            count_pairs(fired),
        )

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.n_rows + other.n_rows,
            self.n_covered + other.n_covered,
            self.fired + other.fired,
            self.votes + other.votes,
            self.classes + other.classes,
            self.pairs + other.pairs,
        )
