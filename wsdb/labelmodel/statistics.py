"""Sufficient statistics of a label matrix, as sums over vote patterns.

`n` rows, `m` sources, `k` classes. All sums are additive: over patterns, rows, batches, shards.
F[j, v] rows where source j votes v;  N0[j, v, y] = sum over rows with vote v of the row's vote share for y;
O[(j, v), (j', v)] rows where two sources vote the same value.

Plain vote shares are rounded to multiples of SHARE_STEP (see `rows.rounded`), so that their sums are exact in whatever
order they are added: statistics that were patched are those of a count from scratch, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from wsdb.core.matrix import SparseVotes, VotePatterns
from wsdb.labelmodel.dense import DenseVotes
from wsdb.labelmodel.fired import FiredVotes
from wsdb.labelmodel.pairs import PairCounts

MANY_SOURCES = 300
"""Above this, pairs seen together on fewer than MIN_PAIR_ROWS rows are left out."""
MIN_PAIR_ROWS = 5
SPARSE_VOTE_COST = 5.0
"""Cost of one vote in a list, for each class and once more; 1 is the cost of a cell of a table for each class."""

VoteTable = FiredVotes | DenseVotes
"""The votes as a fit reads them."""


def read_votes(votes: VotePatterns | SparseVotes) -> VoteTable:
    """Return the cheaper of a list and a table of the votes."""
    if isinstance(votes, SparseVotes):
        return FiredVotes.of(votes)
    k = votes.n_classes
    dense = DenseVotes.of(votes)
    n_votes = float(dense.votes_per_pattern.sum())
    if n_votes * SPARSE_VOTE_COST * (1 + k) < votes.votes.size * k * (1 + k / 8):
        return FiredVotes.of(votes)
    return dense


def vote_shares(votes: VoteTable, source_weights: np.ndarray | None = None) -> np.ndarray:
    """Weighted share of the votes that each class has in each pattern.

    Parameters
    ----------
    votes : the votes of p patterns
    source_weights : float64 array of shape (m,), positive; None is one vote each

    Returns
    -------
    float64 array of shape (p, k); rows sum to 1, and to 0 where every source abstains.
    """
    return votes.shares(source_weights)


def count_votes(votes: VoteTable, posterior: np.ndarray) -> np.ndarray:
    """Votes by source, value and class, the class of a row being spread as `posterior` says.

    Parameters
    ----------
    posterior : float64 array of shape (p, k)

    Returns
    -------
    float64 array of shape (m, k, k): [j, v, y] rows of class y where source j votes v.
    """
    return votes.count(posterior)


def count_shares(votes: VoteTable, source_weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Votes by class and rows by class, the class of a row being spread over its vote shares.

    Returns
    -------
    N : float64 array of shape (m, k, k), see `count_votes`
    T : float64 array of shape (k,), rows with a vote by class
    """
    return votes.share_counts(source_weights)


def count_pairs(votes: VoteTable, least: float | None = None) -> PairCounts:
    """Count, per value, the rows where two sources both vote it.

    Parameters
    ----------
    least : pairs on fewer rows are left out; None is all pairs, and MIN_PAIR_ROWS above MANY_SOURCES sources
    """
    if least is None:
        least = MIN_PAIR_ROWS if votes.n_sources > MANY_SOURCES else 1
    return votes.pairs(float(least))


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a fit needs to know of the label matrix.

    `a + b` is the statistics of both tables together, `a - b` those of the rows of `a` that are not in `b`:
    appended rows are added, deleted rows taken away, changed rows taken away as they were and added as they are.

    Attributes
    ----------
    n_rows : rows, uncovered ones included
    n_covered : rows with a vote
    n_overlap : rows with two votes or more
    fired : float64 array of shape (m, k), F[j, v]
    votes : float64 array of shape (m, k, k), N0[j, v, y]
    classes : float64 array of shape (k,), vote shares summed over covered rows
    pairs : rows where two sources vote the same value
    """

    n_rows: float
    n_covered: float
    n_overlap: float
    fired: np.ndarray
    votes: np.ndarray
    classes: np.ndarray
    pairs: PairCounts

    @classmethod
    def of(cls, votes: VotePatterns | SparseVotes, *, least: float | None = 1) -> Statistics:
        """Count a label matrix once.

        Parameters
        ----------
        least : as in `count_pairs`; with 1, statistics of parts add up to those of the whole
        """
        return cls.of_votes(read_votes(votes), least=least)

    @classmethod
    def of_votes(
        cls, votes: VoteTable, source_weights: np.ndarray | None = None, *, least: float | None = None
    ) -> Statistics:
        """Count votes; `source_weights` (float64, shape (m,)) weigh the vote shares only."""
        return replace(cls.without_pairs(votes, source_weights), pairs=count_pairs(votes, least))

    @classmethod
    def without_pairs(cls, votes: VoteTable, source_weights: np.ndarray | None = None) -> Statistics:
        """Count votes, but no pairs of them."""
        counts, classes = count_shares(votes, source_weights)
        n_rows = float(votes.counts.sum())
        n_covered, n_overlap = (float(votes.counts[votes.votes_per_pattern >= least].sum()) for least in (1, 2))
        return cls(n_rows, n_covered, n_overlap, votes.table, counts, classes, PairCounts.empty())

    def among(self, kept: np.ndarray) -> Statistics:
        """The statistics without the fired votes and pairs of other sources than `kept` (bool, shape (m,))."""
        if kept.all():
            return self
        fired = np.where(kept[:, None], self.fired, 0.0)
        return replace(self, fired=fired, pairs=self.pairs.among(kept))

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.n_rows + other.n_rows,
            self.n_covered + other.n_covered,
            self.n_overlap + other.n_overlap,
            self.fired + other.fired,
            self.votes + other.votes,
            self.classes + other.classes,
            self.pairs + other.pairs,
        )

    def __sub__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.n_rows - other.n_rows,
            self.n_covered - other.n_covered,
            self.n_overlap - other.n_overlap,
            self.fired - other.fired,
            self.votes - other.votes,
            self.classes - other.classes,
            self.pairs - other.pairs,
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return plain arrays, to store per batch: 1-d, and of one length those that start with "pair"."""
        rows = np.array([self.n_rows, self.n_covered, self.n_overlap])
        arrays = {"rows": rows, "fired": self.fired.ravel(), "votes": self.votes.ravel(), "classes": self.classes}
        return arrays | {f"pair_{field.name}": getattr(self.pairs, field.name) for field in fields(PairCounts)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Statistics:
        """Read what `to_arrays` returned."""
        k = len(arrays["classes"])
        n_rows, n_covered, n_overlap = (float(rows) for rows in arrays["rows"])
        pairs = PairCounts(*(np.asarray(arrays[f"pair_{field.name}"]) for field in fields(PairCounts)))
        return cls(
            n_rows,
            n_covered,
            n_overlap,
            np.asarray(arrays["fired"], dtype=float).reshape(-1, k),
            np.asarray(arrays["votes"], dtype=float).reshape(-1, k, k),
            np.asarray(arrays["classes"], dtype=float),
            pairs,
        )
