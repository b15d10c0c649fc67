"""What the matrix is: labeling functions or annotators, and whether accuracies can be estimated from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsdb.labelmodel.statistics import VoteTable

UNIPOLAR = 0.98
"""A source is unipolar if one value is at least this share of its votes."""
ANNOTATOR_UNIPOLAR_VOTES = 0.30
ANNOTATOR_SOURCES = 5
ANNOTATOR_OVERLAP = 0.95


@dataclass(frozen=True, slots=True)
class Profile:
    """Facts of the matrix that decide the regime.

    Attributes
    ----------
    distinct_sources : sources that vote, copies counted once
    distinct_patterns : patterns with a vote: 0, 1, 2, or 3 for "more than two"
    unipolar_votes : share of the votes that unipolar sources cast; 0 without votes
    overlap : share of all rows with two votes or more; 0 without rows
    """

    distinct_sources: int
    distinct_patterns: int
    unipolar_votes: float
    overlap: float

    @classmethod
    def of(cls, fired: VoteTable, copy_of: np.ndarray) -> Profile:
        """Measure votes whose copies are `copy_of` (see `FiredVotes.copies`)."""
        overlap = float(fired.counts[fired.votes_per_pattern >= 2].sum())
        n_rows = float(fired.counts.sum())
        return cls.of_counts(fired.table, overlap, n_rows, fired.distinct_patterns(), copy_of)

    @classmethod
    def of_counts(
        cls, table: np.ndarray, overlap: float, n_rows: float, distinct_patterns: int, copy_of: np.ndarray
    ) -> Profile:
        """Read the facts off counts.

        Parameters
        ----------
        table : float64 array of shape (m, k), votes by source and value
        overlap, n_rows : rows with two votes or more, and all rows
        distinct_patterns : as in the class
        copy_of : int64 array of shape (m,), the first source with the same votes
        """
        votes = table.sum(axis=1)
        unipolar = table.max(axis=1, initial=0.0) >= UNIPOLAR * votes
        return cls(
            len(np.unique(copy_of[votes > 0])),
            distinct_patterns,
            float(votes[unipolar].sum() / max(votes.sum(), 1.0)),
            overlap / max(n_rows, 1.0),
        )

    @property
    def regime(self) -> str:
        """The regime: "annotator" if many sources use several classes and rows overlap, else "lf"."""
        crowd = (
            self.unipolar_votes < ANNOTATOR_UNIPOLAR_VOTES
            and self.distinct_sources >= ANNOTATOR_SOURCES
            and self.overlap >= ANNOTATOR_OVERLAP
        )
        return "annotator" if crowd else "lf"

    @property
    def unidentifiable(self) -> str | None:
        """Why accuracies cannot be estimated, or None if they can."""
        if self.distinct_sources == 0:
            return "no source votes on any row"
        if self.distinct_sources < 3:
            return f"only {self.distinct_sources} different source(s) vote"
        if self.overlap == 0:
            return "no row has two votes"
        if self.distinct_patterns <= 2:
            return f"only {self.distinct_patterns} different pattern(s) of votes occur"
        return None
