"""Class balance from third moments of the votes, where they tell it.

Split the sources into three groups and let each say +1, 0 or -1 of a class: more of its votes are for the class, as
many, or fewer, than were they even. If the groups are independent given whether a row has the class, which a share p
of the rows has, their centred sayings z have

    E[z_a z_b] = p (1 - p) d_a d_b,      E[z_1 z_2 z_3] = p (1 - p) (1 - 2 p) d_1 d_2 d_3,

d_a being how far the group's mean moves with the class. So the third moment over the root of the product of the three
second ones is r = (1 - 2 p) / sqrt(p (1 - p)), whatever the groups are worth, and p = (1 - r / sqrt(4 + r^2)) / 2.
Groups that are better than chance have d_a > 0, which tells p from 1 - p. (Method of moments for mixtures with three
views: Anandkumar et al. 2014, "Tensor decompositions for learning latent variable models", section 3.2.)

Sources are not independent. Those that nearly copy each other stay in one group; beyond that, the more dependence
matters, the more the answer depends on how the sources are split. Many splits are drawn, and the median counts only
where its sampling error and the spread over the splits are small.
"""

from __future__ import annotations

import numpy as np

from wsdb.labelmodel.fired import FiredVotes
from wsdb.labelmodel.rows import TINY
from wsdb.labelmodel.statistics import Statistics, VoteTable
from wsdb.labelmodel.summary import listed, thin

SPLITS = 32
PATTERNS = 10_000
"""Patterns that are read."""
DRAWN = 0.25
"""Least part of the splits that give an answer."""
STANDARD_ERRORS = 2.0
"""Second moments below so many standard errors give none."""
TRUSTED = 0.05
"""Largest standard error of a share, and largest median deviation (scaled to a normal one's) over the splits."""
OFF = 0.1
"""By how much the shares of the classes, each found alone, may miss a sum of 1."""
NEAR_COPY = 0.8
"""Correlation of the votes of two sources for one class above which they stay in one group."""
LEAST = 0.01
"""Least share of a class."""


def moment_balance(votes: VoteTable, statistics: Statistics) -> np.ndarray | None:
    """Class balance by third moments; None where the votes do not tell it.

    Parameters
    ----------
    votes : the votes, exact copies left out; a sample stands for as many rows as `counts` says
    statistics : of the votes

    Returns
    -------
    float64 array of shape (k,), sums to 1, each share at least LEAST / k; or None
    """
    clusters = _clusters(statistics)
    if len(np.unique(clusters[clusters >= 0])) < 3 or votes.n_classes < 2:
        return None
    few, step = thin(votes, PATTERNS)
    ratios, errors = _ratios(listed(few), clusters, float(few.counts.sum()) / step)
    if (np.isfinite(ratios).mean(axis=0) < DRAWN).any():
        return None
    ratio = np.nanmedian(ratios, axis=0)
    slope = 2 / (4 + ratio**2) ** 1.5  # of p in r
    spread = 1.4826 * np.nanmedian(np.abs(ratios - ratio), axis=0)
    shares = (1 - ratio / np.sqrt(4 + ratio**2)) / 2
    if (slope * np.nanmedian(errors, axis=0) > TRUSTED).any() or (slope * spread > TRUSTED).any():
        return None
    if abs(shares.sum() - 1) > OFF:
        return None
    shares = np.maximum(shares, LEAST)
    balance: np.ndarray = shares / shares.sum()
    return balance


def _clusters(statistics: Statistics) -> np.ndarray:
    """Number of the near copies that each source belongs to, -1 where it never votes: int64 array of shape (m,).

    They are numbered in an order that does not depend on the columns of the sources or on the numbers of the classes.
    """
    totals, m = statistics.fired.sum(axis=1), len(statistics.fired)
    keys = (np.square(statistics.votes).sum(axis=(1, 2)), statistics.fired.max(axis=1, initial=0.0), totals)
    place = np.empty(m, dtype=np.int64)
    place[np.lexsort(keys)] = np.arange(m)
    pairs, share = statistics.pairs, statistics.fired / max(statistics.n_rows, 1.0)
    one, other = share[pairs.left, pairs.value], share[pairs.right, pairs.value]
    spread = np.sqrt(np.maximum(one * (1 - one) * other * (1 - other), TINY))
    alike = (pairs.count / max(statistics.n_rows, 1.0) - one * other) / spread > NEAR_COPY
    found = place.copy()
    for _ in range(m):
        before = found.copy()
        for side, far in ((pairs.left, pairs.right), (pairs.right, pairs.left)):
            np.minimum.at(found, side[alike], found[far[alike]])
        if (found == before).all():
            break
    _, number = np.unique(np.where(totals > 0, found, m), return_inverse=True)
    return np.where(totals > 0, number.ravel(), -1)


def _ratios(votes: FiredVotes, clusters: np.ndarray, n_rows: float) -> tuple[np.ndarray, np.ndarray]:
    """Third moment over the root of the second ones, by split and class, and its standard error.

    Parameters
    ----------
    clusters : int64 array of shape (m,), the sources that stay together; -1 for one that never votes
    n_rows : rows that the moments rest on

    Returns
    -------
    float64 arrays of shape (SPLITS, k); NaN where a second moment is not clearly above 0
    """
    p, k = len(votes.counts), votes.n_classes
    weights = votes.counts / votes.counts.sum()
    ratios, errors = np.full((2, SPLITS, k), np.nan)
    size = int(clusters.max()) + 1
    rng = np.random.default_rng(0)
    for split in range(SPLITS):
        group = (rng.permutation(size) % 3)[clusters]
        place = (group[votes.source] * p + votes.pattern) * k + votes.value
        cast = np.bincount(place, minlength=3 * p * k).reshape(3, p, k)
        said = np.sign(k * cast - cast.sum(axis=2, keepdims=True)).astype(float)
        one, two, three = said - np.einsum("p,gpk->gk", weights, said)[:, None]
        pairs = np.stack([one * two, one * three, two * three])
        second = np.einsum("p,gpk->gk", weights, pairs)
        second_error = np.sqrt(np.maximum(np.einsum("p,gpk->gk", weights, pairs**2) - second**2, 0.0) / n_rows)
        triple = one * two * three
        third = weights @ triple
        third_error = np.sqrt(np.maximum(weights @ triple**2 - third**2, 0.0) / n_rows)
        clear = (second > STANDARD_ERRORS * second_error + TINY).all(axis=0)
        second = np.where(clear, second, 1.0)
        scale = np.sqrt(second.prod(axis=0))
        ratios[split] = np.where(clear, third / scale, np.nan)
        relative = ((second_error / second) ** 2).sum(axis=0) / 4
        errors[split] = np.where(clear, np.sqrt((third_error / scale) ** 2 + (third / scale) ** 2 * relative), np.nan)
    return ratios, errors
