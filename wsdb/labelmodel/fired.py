"""FiredVotes: the votes as a sparse list, and the sums over it that every fit is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from wsdb.core.matrix import ABSTAIN, SparseVotes, VotePatterns
from wsdb.labelmodel import pairs as counting
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.rows import normalised, rounded

FLAT_CELLS = 1 << 22
"""Up to so many cells (votes x classes) all classes are summed at once; EM over crowds is twice as fast for it."""
HASH = 2_654_435_761
"""Knuth's multiplier; spreads row numbers."""


@dataclass(frozen=True)
class FiredVotes:
    """The votes that are not abstains, as a sparse list in pattern order.

    Attributes
    ----------
    pattern, source, value : integer arrays of shape (z,), one entry per vote of a pattern
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
    def of(cls, votes: VotePatterns | SparseVotes) -> FiredVotes:
        """List the votes of a label matrix; rows that a SparseVotes does not list are one more pattern."""
        if isinstance(votes, SparseVotes):
            counts = votes.counts.astype(float)
            unlisted = votes.n_rows - float(counts.sum())
            counts = np.append(counts, unlisted) if unlisted else counts
            return cls(votes.row, votes.source, votes.value, counts, len(votes.sources), votes.n_classes)
        pattern, source = np.nonzero(votes.votes != ABSTAIN)
        value = votes.votes[pattern, source]
        counts = votes.counts.astype(float)
        narrow = pattern.astype(np.int32), source.astype(np.int32)
        return cls(*narrow, value, counts, len(votes.sources), votes.n_classes)

    @cached_property
    def code(self) -> np.ndarray:
        """Position of each vote in a flattened (m, k) table, int64 array of shape (z,)."""
        position: np.ndarray = self.source.astype(np.int64) * self.n_classes + self.value
        return position

    @cached_property
    def table(self) -> np.ndarray:
        """F[j, v], rows where source j votes v: float64 array of shape (m, k)."""
        shape = (self.n_sources, self.n_classes)
        rows = np.bincount(self.code, weights=self.counts[self.pattern], minlength=shape[0] * shape[1])
        return rows.astype(float).reshape(shape)

    @cached_property
    def votes_per_pattern(self) -> np.ndarray:
        """Number of votes in each pattern, int64 array of shape (p,)."""
        return np.bincount(self.pattern, minlength=len(self.counts))

    @cached_property
    def _code_cells(self) -> np.ndarray:
        """Place of each vote's row of k cells in a flattened (m, k, k) table, int64 array of shape (z * k,)."""
        return (self.code[:, None] * self.n_classes + np.arange(self.n_classes)).ravel()

    @cached_property
    def _pattern_cells(self) -> np.ndarray:
        """Place of each vote's row of k cells in a flattened (p, k) table, int64 array of shape (z * k,)."""
        return (self.pattern.astype(np.int64)[:, None] * self.n_classes + np.arange(self.n_classes)).ravel()

    def select(self, keep: np.ndarray) -> FiredVotes:
        """Keep the votes of the sources marked in `keep` (bool, shape (m,)); source numbers stay."""
        if keep.all():
            return self
        kept = keep[self.source]
        return replace(self, pattern=self.pattern[kept], source=self.source[kept], value=self.value[kept])

    def shares(self, source_weights: np.ndarray | None = None) -> np.ndarray:
        """See `statistics.vote_shares`."""
        k = self.n_classes
        weights = None if source_weights is None else source_weights[self.source]
        place = self.pattern.astype(np.int64) * k + self.value
        cells = np.bincount(place, weights=weights, minlength=len(self.counts) * k)
        return normalised(cells.reshape(-1, k).astype(float))

    def count(self, posterior: np.ndarray) -> np.ndarray:
        """See `statistics.count_votes`."""
        m, k = self.n_sources, self.n_classes
        if len(self.pattern) * k <= FLAT_CELLS:
            rows = np.take(posterior * self.counts[:, None], self.pattern, axis=0, mode="clip")
            return np.bincount(self._code_cells, weights=rows.ravel(), minlength=m * k * k).reshape(m, k, k)
        counts = np.empty((m * k, k))
        for y in range(k):
            weight = (self.counts * posterior[:, y])[self.pattern]
            counts[:, y] = np.bincount(self.code, weights=weight, minlength=m * k)
        return counts.reshape(m, k, k)

    def share_counts(self, source_weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `statistics.count_shares`."""
        shares = self.shares(source_weights)
        shares = rounded(shares) if source_weights is None else shares
        return self.count(shares), self.counts @ shares

    def class_logs(self, scores: np.ndarray) -> np.ndarray:
        """Sum of the scores (float64, shape (m, k, k)) of each pattern's votes: float64 array of shape (p, k)."""
        k, p = self.n_classes, len(self.counts)
        if len(self.pattern) * k <= FLAT_CELLS:
            rows = np.take(scores.reshape(-1, k), self.code, axis=0, mode="clip")
            return np.bincount(self._pattern_cells, weights=rows.ravel(), minlength=p * k).reshape(p, k)
        logs = np.empty((p, k))
        by_code = np.ascontiguousarray(scores.reshape(-1, k).T)
        for y in range(k):
            logs[:, y] = np.bincount(self.pattern, weights=by_code[y][self.code], minlength=p)
        return logs

    def pairs(self, least: float = 1.0) -> PairCounts:
        """Rows where two sources vote the same value; pairs seen on fewer than `least` rows are left out."""
        whole = bool((self.counts == np.floor(self.counts)).all())
        parts = []
        for v in np.flatnonzero(self.table.sum(axis=0)).tolist():
            here = np.flatnonzero(self.value == v)
            row, source = self.pattern[here], self.source[here]
            cells = float(min(len(self.counts), len(here)) * np.count_nonzero(self.table[:, v]))
            words = cells / 64 * np.count_nonzero(self.table[:, v]) / 2
            bits = whole and cells < counting.BIT_TABLE_CELLS
            if bits and words * counting.BIT_WORD_COST < counting.listed_cost(row):
                parts.append(self._pairs_in_bits(v, row, source, least))
            else:
                parts.append(counting.pairs_listed(row, source, self.counts, v, least))
        return PairCounts.join(parts)

    def _pairs_in_bits(self, value: int, pattern: np.ndarray, source: np.ndarray, least: float) -> PairCounts:
        rows, row = np.unique(pattern, return_inverse=True)
        names, column = np.unique(source, return_inverse=True)
        counts = self.counts[rows].astype(np.int64)
        order = np.argsort(-counts, kind="stable")
        place = np.empty(len(rows), dtype=np.int64)
        place[order] = np.arange(len(rows))
        flags = np.zeros((len(names), len(rows)), dtype=bool)
        flags[column, place[row]] = True
        return counting.pairs_in_bits(counting.packed(flags), counts[order], value, names.astype(np.int64), least)

    def copies(self) -> np.ndarray:
        """First source whose votes equal those of each source: int64 array of shape (m,)."""
        # Sums of a hash of each vote's row and value, exact in float64, leave few sources to compare vote by vote.
        spread = ((self.pattern.astype(np.int64) + 1) * HASH % (1 << 29)).astype(float)
        sums = np.bincount(self.source, weights=spread * (self.value + 1), minlength=self.n_sources)
        sizes = np.bincount(self.source, minlength=self.n_sources)
        _, place, alike = np.unique(np.stack([sums, sizes]), axis=1, return_inverse=True, return_counts=True)
        suspect = alike[place.ravel()] > 1
        votes = np.flatnonzero(suspect[self.source])
        votes = votes[np.argsort(self.source[votes], kind="stable")]
        ends = np.searchsorted(self.source[votes], np.arange(self.n_sources + 1))
        first: dict[tuple[bytes, bytes], int] = {}
        found = np.arange(self.n_sources)
        for j in np.flatnonzero(suspect).tolist():
            mine = votes[ends[j] : ends[j + 1]]
            found[j] = first.setdefault((self.pattern[mine].tobytes(), self.value[mine].tobytes()), j)
        return found

    def distinct_patterns(self) -> int:
        """Number of different patterns with a vote: 0, 1, 2, or 3 for more than two."""
        per = self.votes_per_pattern
        starts = np.cumsum(per) - per
        rest, found = np.flatnonzero(per), 0
        while len(rest) and found < 3:
            found += 1
            same = rest[per[rest] == per[rest[0]]]
            codes = self.code[starts[same][:, None] + np.arange(per[rest[0]])]
            rest = np.setdiff1d(rest, same[(codes == codes[0]).all(axis=1)], assume_unique=True)
        return found
