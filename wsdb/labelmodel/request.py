"""Request: a checked call of `fit`, with the votes read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsdb.core.matrix import SparseVotes, VotePatterns
from wsdb.labelmodel.dependencies import NO_PAIRS, GivenPairs
from wsdb.labelmodel.gold import GoldCounts
from wsdb.labelmodel.options import DEFAULTS, Options
from wsdb.labelmodel.regimes import Profile
from wsdb.labelmodel.statistics import VoteTable
from wsdb.labelmodel.summary import Summary


@dataclass(frozen=True, slots=True)
class Request:
    """A checked call of `fit`.

    Attributes
    ----------
    method : what was asked for
    patterns : the label matrix, or the sampled patterns of a summary
    fired : its votes
    copy_of : int64 array of shape (m,), the first source with the same votes
    balance : float64 array of shape (k,) or None if not known, the option `prior` applied
    regime : "auto", "lf" or "annotator"
    gold : counts over gold rows, or None
    labels : k class names for notices
    given : all pairs of sources given as dependent
    summary : what is known of all rows where the votes are those of some; None where they are all
    """

    method: str
    patterns: VotePatterns | SparseVotes
    fired: VoteTable
    copy_of: np.ndarray
    balance: np.ndarray | None
    regime: str
    gold: GoldCounts | None
    labels: Sequence[str]
    options: Options = DEFAULTS
    given: GivenPairs = NO_PAIRS
    summary: Summary | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes, k."""
        return self.patterns.n_classes

    @property
    def n_rows(self) -> int:
        """Rows of the label matrix."""
        return self.patterns.n_rows if self.summary is None else int(self.summary.statistics.n_rows)

    @property
    def n_patterns(self) -> int:
        """Distinct rows of votes."""
        return len(self.fired.counts) if self.summary is None else self.summary.n_patterns

    @property
    def table(self) -> np.ndarray:
        """F[j, v], rows where source j votes v: float64 array of shape (m, k)."""
        return self.fired.table if self.summary is None else self.summary.statistics.fired

    @property
    def largest_pattern(self) -> float:
        """Share of the covered rows that have the most frequent pattern; 0 without covered rows."""
        if self.summary is not None:
            return self.summary.largest / max(self.summary.statistics.n_covered, 1.0)
        covered = self.fired.counts[self.fired.votes_per_pattern > 0]
        return float(covered.max() / covered.sum()) if len(covered) else 0.0

    @property
    def uniform(self) -> np.ndarray:
        """Uniform class balance, float64 array of shape (k,)."""
        return np.full(self.n_classes, 1 / self.n_classes)

    @property
    def known_or_uniform(self) -> np.ndarray:
        """The class balance if known, else a uniform one: float64 array of shape (k,)."""
        return self.uniform if self.balance is None else self.balance

    @property
    def profile(self) -> Profile:
        """What the matrix is."""
        if self.summary is None:
            return Profile.of(self.fired, self.copy_of)
        whole = self.summary.statistics
        patterns = self.fired.distinct_patterns()
        return Profile.of_counts(whole.fired, whole.n_overlap, whole.n_rows, patterns, self.copy_of)

    @property
    def merged(self) -> np.ndarray:
        """The first of the sources that count as one, for each source: int64 array of shape (m,)."""
        return self.copy_of if self.options.learns else np.arange(len(self.copy_of))

    @property
    def used(self) -> GivenPairs:
        """The given pairs that count, by the option `structure`."""
        return self.given.used(self.options.structure)
