"""The label matrix as a value: VotePatterns (distinct rows, wide) or SparseVotes (one entry per vote, long)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ABSTAIN = -1
"""An abstaining vote inside numpy; NULL in SQL."""


@dataclass(frozen=True, slots=True)
class VotePatterns:
    """Distinct rows of the label matrix and how often each occurs.

    Attributes
    ----------
    votes : int8 or int16 array of shape (p, m), values in {-1, 0 … k-1}; -1 is abstain
    counts : int64 array of shape (p,), each at least 1
    sources : m names, the columns of the label matrix
    n_classes : k
    """

    votes: np.ndarray
    counts: np.ndarray
    sources: tuple[str, ...]
    n_classes: int

    def __post_init__(self) -> None:
        if self.votes.ndim != 2 or self.votes.shape != (len(self.counts), len(self.sources)):
            raise ValueError(
                f"votes {self.votes.shape} do not match {len(self.counts)} counts, {len(self.sources)} sources"
            )
        if self.votes.size and (self.votes.min() < ABSTAIN or self.votes.max() >= self.n_classes):
            raise ValueError(f"votes must be in -1 … {self.n_classes - 1}")

    @property
    def n_rows(self) -> int:
        """Number of rows of the label matrix."""
        return int(self.counts.sum())

    @classmethod
    def of_rows(cls, votes: np.ndarray, n_classes: int, sources: tuple[str, ...] | None = None) -> VotePatterns:
        """Group a dense (n, m) matrix of votes; pattern order is lexicographic."""
        names = sources or tuple(f"lf_{j}" for j in range(votes.shape[1]))
        if votes.shape[0] == 0 or votes.shape[1] == 0:
            patterns = votes[: min(1, len(votes))]
            counts = np.full(len(patterns), len(votes), dtype=np.int64)
            return cls(patterns, counts, names, n_classes)
        patterns, counts = np.unique(votes, axis=0, return_counts=True)
        return cls(patterns, counts.astype(np.int64), names, n_classes)


@dataclass(frozen=True, slots=True)
class SparseVotes:
    """The label matrix as a list of its votes, for crowds and for thousands of sources that rarely vote.

    Attributes
    ----------
    row : integer array of shape (z,), values in 0 … p-1, the listed row of each vote
    source : integer array of shape (z,), values in 0 … m-1; (row, source) increases strictly
    value : integer array of shape (z,), values in 0 … k-1; an abstain is no entry
    counts : int64 array of shape (p,), rows of the label matrix that each listed row stands for, at least 1
    sources : m names
    n_classes : k
    n_rows : rows of the label matrix; those beyond `counts.sum()` have no votes
    """

    row: np.ndarray
    source: np.ndarray
    value: np.ndarray
    counts: np.ndarray
    sources: tuple[str, ...]
    n_classes: int
    n_rows: int

    def __post_init__(self) -> None:
        z, p, m = len(self.row), len(self.counts), len(self.sources)
        if self.source.shape != (z,) or self.value.shape != (z,):
            raise ValueError(f"{z} rows, {len(self.source)} sources and {len(self.value)} values do not match")
        if self.n_rows < self.counts.sum():
            raise ValueError(f"n_rows {self.n_rows} is below the {self.counts.sum()} rows listed")
        if not z:
            return
        if self.row[0] < 0 or self.row[-1] >= p or self.source.min() < 0 or self.source.max() >= m:
            raise ValueError(f"rows must be in 0 … {p - 1} and sources in 0 … {m - 1}")
        if self.value.min() < 0 or self.value.max() >= self.n_classes:
            raise ValueError(f"votes must be in 0 … {self.n_classes - 1}")
        same = self.row[1:] == self.row[:-1]
        later = np.where(same, self.source[1:] > self.source[:-1], self.row[1:] > self.row[:-1])
        if not later.all():
            raise ValueError("votes must be ordered by row and source, one of each source on a row")

    @classmethod
    def of_list(
        cls,
        row: np.ndarray,
        source: np.ndarray,
        value: np.ndarray,
        *,
        counts: np.ndarray,
        sources: tuple[str, ...],
        n_classes: int,
        n_rows: int | None = None,
    ) -> SparseVotes:
        """Order a list of votes that comes in any order.

        Parameters
        ----------
        n_rows : as in the class; None if every row is listed

        Raises
        ------
        ValueError
            If a source votes twice on a row, or a number is out of range.
        """
        key = row.astype(np.int64) * max(len(sources), 1) + source
        order = slice(None) if (key[1:] > key[:-1]).all() else np.argsort(key, kind="stable")
        return cls(
            row[order].astype(np.int32),
            source[order].astype(np.int32),
            value[order].astype(np.int8 if n_classes <= 127 else np.int16),
            counts.astype(np.int64),
            sources,
            n_classes,
            int(counts.sum()) if n_rows is None else n_rows,
        )

    @classmethod
    def of_patterns(cls, patterns: VotePatterns) -> SparseVotes:
        """List the votes of a pattern table; its patterns are the listed rows."""
        row, source = np.nonzero(patterns.votes != ABSTAIN)
        return cls(
            row.astype(np.int32),
            source.astype(np.int32),
            patterns.votes[row, source],
            patterns.counts,
            patterns.sources,
            patterns.n_classes,
            patterns.n_rows,
        )


Votes = VotePatterns | SparseVotes
"""A label matrix in either form."""


@dataclass(frozen=True, slots=True)
class RowVotes:
    """The votes of a label matrix next to what is known of its rows.

    Attributes
    ----------
    votes : distinct (votes, split, gold) with counts, or the list of votes of a sparse matrix
    split : object array of shape (p,), the split of each of them, or None
    gold : int64 array of shape (p,), the code of the gold label, -1 where there is none
    distinct : the distinct votes alone, which a label model is fitted to
    """

    votes: VotePatterns | SparseVotes
    split: np.ndarray
    gold: np.ndarray
    distinct: VotePatterns | SparseVotes


@dataclass(frozen=True, slots=True)
class Sample:
    """Patterns of a label matrix, all or some of them.

    Attributes
    ----------
    votes : distinct votes; `counts` are the rows that each stands for, at least `step`
    n_patterns : number of all patterns
    largest : rows of the most frequent pattern with a vote, 0 without one
    step : 1 where they are all patterns, else rows that one of them stands for at least
    """

    votes: VotePatterns
    n_patterns: int
    largest: int
    step: int


@dataclass(frozen=True, slots=True)
class KeyedVotes:
    """The votes of a label matrix row by row, in the order of its keys.

    Attributes
    ----------
    keys : the key columns, as the engine's own table of columns
    votes : int8 or int16 array of shape (n, m), values in {-1, 0 … k-1}; -1 is abstain
    offsets : int64 array of shape (g + 1,): the elements of group i are the rows offsets[i] … offsets[i + 1] - 1
    confidence : float64 array of shape (n, m) in [0, 1], or None where no vote has one
    sets : bool array of shape (s, k): a vote k + i is for one of the labels of row i; None where there are none
    """

    keys: object
    votes: np.ndarray
    offsets: np.ndarray
    confidence: np.ndarray | None = None
    sets: np.ndarray | None = None
