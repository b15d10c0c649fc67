"""VotePatterns: the label matrix as distinct rows of votes with their counts."""

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
