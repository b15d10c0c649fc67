"""DenseVotes: the votes as a table, for matrices where many patterns have many votes.

The same sums as `FiredVotes`, a block of patterns at a time: for each value a 0/1 table of the block, multiplied
with weights or posteriors while it is in cache. A list of the votes would need 24 bytes for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from wsdb.core.matrix import ABSTAIN, VotePatterns
from wsdb.labelmodel import pairs as counting
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.rows import normalised, rounded

BLOCK_CELLS = 1 << 16
"""Cells (patterns x sources) of a block; its 0/1 table of float64 stays in cache."""
BIT_ROWS = 1 << 13
"""Rows whose votes are packed into bits at a time; whole words."""
FIRST_ROWS = 1000
ONE_THREAD = 1 << 18
"""Multiply-adds above which BLAS starts threads, which spin where another program uses the cores."""


@dataclass(frozen=True)
class DenseVotes:
    """The votes of p patterns by m sources.

    Attributes
    ----------
    votes : int8 or int16 array of shape (p, m), values in {-1, 0 … k-1}; -1 is abstain
    counts : float64 array of shape (p,), rows per pattern
    n_classes : k
    """

    votes: np.ndarray
    counts: np.ndarray
    n_classes: int

    @classmethod
    def of(cls, patterns: VotePatterns) -> DenseVotes:
        """Take a pattern table, in whichever order of its cells."""
        return cls(patterns.votes, patterns.counts.astype(float), patterns.n_classes)

    @property
    def n_sources(self) -> int:
        """Number of sources, m."""
        return int(self.votes.shape[1])

    @cached_property
    def table(self) -> np.ndarray:
        """F[j, v], rows where source j votes v: float64 array of shape (m, k)."""
        return self._plain[2]

    @cached_property
    def votes_per_pattern(self) -> np.ndarray:
        """Number of votes in each pattern, int64 array of shape (p,)."""
        number: np.ndarray = np.count_nonzero(self.votes != ABSTAIN, axis=1)
        return number

    def select(self, keep: np.ndarray) -> DenseVotes:
        """Keep the votes of the sources marked in `keep` (bool, shape (m,)); source numbers stay."""
        if keep.all():
            return self
        return replace(self, votes=np.where(keep, self.votes, self.votes.dtype.type(ABSTAIN)))

    @cached_property
    def plain_shares(self) -> np.ndarray:
        """Vote shares with one vote each, float64 array of shape (p, k)."""
        return self._plain[3]

    def shares(self, source_weights: np.ndarray | None = None) -> np.ndarray:
        """See `statistics.vote_shares`."""
        return self.plain_shares if source_weights is None else self._shares(source_weights)

    def _shares(self, weights: np.ndarray) -> np.ndarray:
        cells = np.empty((len(self.counts), self.n_classes))
        for rows, value, flags in self._flags():
            cells[rows, value] = _product(flags, weights[:, None])[:, 0]
        return normalised(cells)

    def share_counts(self, source_weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `statistics.count_shares`; one pass for shares and counts."""
        return self._plain[:2] if source_weights is None else self._share_counts(source_weights)[:2]

    @cached_property
    def _plain(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Counts by plain shares, F, and the shares: one pass for all."""
        return self._share_counts(None)

    def _share_counts(self, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        m, k = self.n_sources, self.n_classes
        each = (np.ones(m) if weights is None else weights)[:, None]
        totals, classes = np.zeros((k, m, k + 1)), np.zeros(k)
        every = np.empty((len(self.counts) if weights is None else 0, k))
        for rows, flags in self._blocks(k + 1):
            # The shares of the classes, and 1 to count the votes themselves.
            shares = np.ones((len(flags[0]), k + 1))
            cells = normalised(np.concatenate([_product(one, each) for one in flags], axis=1))
            shares[:, :k] = cells
            if weights is None:
                every[rows] = cells
                rounded(shares[:, :k])
            shares *= self.counts[rows, None]
            for value, one in enumerate(flags):
                totals[value] += _product(one.T, shares)
            classes += shares[:, :k].sum(axis=0)
        counts = np.ascontiguousarray(totals.transpose(1, 0, 2))
        return np.ascontiguousarray(counts[:, :, :k]), classes, np.ascontiguousarray(counts[:, :, k]), every

    def count(self, posterior: np.ndarray) -> np.ndarray:
        """See `statistics.count_votes`."""
        width = posterior.shape[1]
        totals = np.zeros((self.n_classes, self.n_sources, width))
        weighted = posterior * self.counts[:, None]
        for rows, value, flags in self._flags(width):
            totals[value] += _product(flags.T, weighted[rows])
        return np.ascontiguousarray(totals.transpose(1, 0, 2))

    def class_logs(self, scores: np.ndarray) -> np.ndarray:
        """Sum of the scores (float64, shape (m, k, k)) of each pattern's votes: float64 array of shape (p, k)."""
        logs = np.zeros((len(self.counts), self.n_classes))
        by_value = np.ascontiguousarray(scores.transpose(1, 0, 2))
        for rows, value, flags in self._flags(self.n_classes):
            logs[rows] += _product(flags, by_value[value])
        return logs

    def pairs(self, least: float = 1.0) -> PairCounts:
        """Rows where two sources vote the same value; pairs seen on fewer than `least` rows are left out."""
        whole = self.counts.astype(np.int64)
        one = bool((whole == 1).all())
        order = slice(None) if one else np.argsort(-whole, kind="stable")
        votes, parts = self.votes[order], []
        for v in range(self.n_classes):
            names = np.flatnonzero(self.table[:, v])
            if len(names) > 1:
                # A few rows at a time: their columns then stay in cache, in whichever order the cells are.
                flags = (votes[at : at + BIT_ROWS].T[names] == v for at in range(0, len(votes), BIT_ROWS))
                bits = np.concatenate([counting.packed(np.ascontiguousarray(few)) for few in flags], axis=1)
                parts.append(counting.pairs_in_bits(bits, whole[order], v, names, least))
        return PairCounts.join(parts)

    def copies(self) -> np.ndarray:
        """First source whose votes equal those of each source: int64 array of shape (m,)."""
        found = np.arange(self.n_sources)
        for j in range(1, self.n_sources):
            for i in np.flatnonzero((self.table[:j] == self.table[j]).all(axis=1)).tolist():
                if found[i] == i and np.array_equal(self.votes[:, i], self.votes[:, j]):
                    found[j] = i
                    break
        return found

    def distinct_patterns(self) -> int:
        """Number of different patterns with a vote: 0, 1, 2, or 3 for more than two."""
        found = 0
        # A few rows show three patterns almost always.
        for rest in (self.votes[:FIRST_ROWS], self.votes):
            rest = rest[(rest != ABSTAIN).any(axis=1)]
            found = 0
            while len(rest) and found < 3:
                found += 1
                rest = rest[(rest != rest[0]).any(axis=1)]
            if found == 3:
                break
        return found

    def _flags(self, width: int = 2) -> Iterator[tuple[slice, int, np.ndarray]]:
        """0/1 tables (float64, shape (rows, m)) of blocks of patterns, one value at a time."""
        for rows, flags in self._blocks(width):
            for value, one in enumerate(flags):
                yield rows, value, one

    def _blocks(self, width: int) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """0/1 tables (float64, shape (rows, m)) of blocks of patterns, one for each value.

        Parameters
        ----------
        width : columns of what a block is multiplied with; keeps the product within one thread
        """
        m = max(self.n_sources, 1)
        step = max(1, min(2 * BLOCK_CELLS // max(self.n_classes, 1), ONE_THREAD // max(width, 2)) // m)
        for first in range(0, len(self.counts), step):
            rows = slice(first, min(first + step, len(self.counts)))
            block = self.votes[rows]
            yield rows, [(block == value).astype(float) for value in range(self.n_classes)]


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Matrix product; BLAS starts threads for far smaller products with one column, so there are two."""
    wide = right if right.shape[1] > 1 else np.repeat(right, 2, axis=1)
    product: np.ndarray = (left @ wide)[:, : right.shape[1]]
    return product
