"""Summary: a label matrix as counts over all rows and the patterns of some, which is what labeling functions need.

All but one of the sums that a fit reads are additive, so they can be patched where rows come and go. The vote shares
of the second round are not: they are weighted, and the weights change with every fit. They are counted on a sample
whose size does not grow with the data, as what they change of the plain shares (a ratio estimator), so that a fit
reads few patterns however many there are. Up to MOST patterns the sample is all of them and nothing is estimated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wsdb.core.matrix import ABSTAIN, VotePatterns
from wsdb.labelmodel.dense import DenseVotes
from wsdb.labelmodel.fired import FiredVotes
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.regimes import Profile
from wsdb.labelmodel.statistics import Statistics, VoteTable

MOST = 1 << 16
"""Patterns up to which a fit reads all of them, and about how many it reads of more."""
SHRINK = 10.0
"""Sampled patterns that speak for an unchanged count; keeps the ratios of rare votes near 1."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A label matrix as a fit of labeling functions reads it.

    Attributes
    ----------
    statistics : of all rows; `votes` and `classes` by the vote shares of `kept_sources` alone
    copy_of : int64 array of shape (m,), the first source with the same votes, see `copies`
    n_patterns : distinct rows of votes
    largest : rows of the most frequent pattern with a vote
    some : the patterns with their counts, or a sample of them in which a pattern stands for `counts` rows
    step : 1 where `some` is all patterns, else rows that a pattern of the sample stands for at least
    """

    statistics: Statistics
    copy_of: np.ndarray
    n_patterns: int
    largest: int
    some: VotePatterns
    step: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """Plain counts of a sample, against which other counts of it are read.

    Attributes
    ----------
    votes : float64 array of shape (m, k, k), see `statistics.count_votes`
    classes : float64 array of shape (k,)
    step : rows that a pattern stands for at least
    """

    votes: np.ndarray
    classes: np.ndarray
    step: float

    def scaled(self, whole: Statistics, votes: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Counts over all rows, of counts over the sample whose row classes are spread in another way.

        Each count over all rows is multiplied with what the sample's count has changed by; the votes of a source and
        the covered rows stay as many as they are.
        """
        least = SHRINK * self.step
        found = whole.votes * (votes + least) / (self.votes + least)
        rows = found.sum(axis=2, keepdims=True)
        found = np.divide(found * whole.fired[:, :, None], rows, out=np.zeros_like(found), where=rows > 0)
        totals = whole.classes * (classes + least) / (self.classes + least)
        total = totals.sum()
        return found, totals * (whole.classes.sum() / total) if total > 0 else totals


def fits_some(method: str, regime: str, profile: Profile) -> bool:
    """Whether a label model is fitted to a `Summary`: `auto`, where the sources are labeling functions.

    Parameters
    ----------
    method, regime : as in `methods.fit`
    profile : what the matrix is
    """
    return method == "auto" and (profile.regime if regime == "auto" else regime) == "lf"


def kept_sources(copy_of: np.ndarray, *, learns: bool) -> np.ndarray:
    """Sources whose votes make the vote shares: bool array of shape (m,), the first of those with equal votes.

    Parameters
    ----------
    copy_of : int64 array of shape (m,), see `copies`
    learns : equal sources are known to be, see `Options.learns`; else all make them
    """
    kept: np.ndarray = copy_of == np.arange(len(copy_of))
    return kept if learns else np.ones_like(kept)


def copies(fired: np.ndarray, pairs: PairCounts) -> np.ndarray:
    """First source whose votes equal those of each source, from counts alone: int64 array of shape (m,).

    Parameters
    ----------
    fired : float64 array of shape (m, k), votes by source and value
    pairs : rows where two sources vote the same value, all of them
    """
    m = len(fired)
    found = np.arange(m)
    key, place = np.unique(pairs.left * m + pairs.right, return_inverse=True)
    agree = np.bincount(place.ravel(), weights=pairs.count, minlength=len(key))
    left, right = np.divmod(key, max(m, 1))
    votes = fired.sum(axis=1)
    for i, j in zip(*(side[(agree == votes[left]) & (agree == votes[right])] for side in (left, right)), strict=True):
        found[j] = min(found[j], i)
    silent = np.flatnonzero(votes == 0)
    found[silent] = silent[:1].repeat(len(silent))
    return found


def thin(votes: VoteTable, most: int = MOST) -> tuple[VoteTable, int]:
    """About `most` of the patterns of a table, each with the number of rows that it stands for, and the step.

    A pattern of as many rows as a step has, or more, is kept as it is; of the rows of the others every step-th is.
    """
    n = len(votes.counts)
    if n <= most:
        return votes, 1
    step = int(np.ceil(votes.counts.sum() / most))
    light = np.where(votes.counts < step, votes.counts, 0.0)
    ends = np.cumsum(light)
    kept = np.flatnonzero((votes.counts >= step) | (ends // step > (ends - light) // step))
    counts = np.maximum(votes.counts[kept], step)
    return replace(picked(votes, kept), counts=counts), step


def listed(votes: VoteTable) -> FiredVotes:
    """The votes as a list."""
    if isinstance(votes, FiredVotes):
        return votes
    pattern, source = np.nonzero(votes.votes != ABSTAIN)
    value = votes.votes[pattern, source]
    return FiredVotes(pattern, source, value, votes.counts, votes.n_sources, votes.n_classes)


def picked(votes: VoteTable, kept: np.ndarray) -> VoteTable:
    """Some patterns of a table; `kept` (int64, rising) are their places."""
    if isinstance(votes, DenseVotes):
        return replace(votes, votes=np.ascontiguousarray(votes.votes[kept]), counts=votes.counts[kept])
    assert isinstance(votes, FiredVotes)
    place = np.full(len(votes.counts), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    here = place[votes.pattern] >= 0
    return replace(
        votes,
        pattern=place[votes.pattern[here]],
        source=votes.source[here],
        value=votes.value[here],
        counts=votes.counts[kept],
    )
