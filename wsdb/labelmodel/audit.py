"""Audit of sources against gold: intervals of their precision, and whether what was learned lies within."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.gold import GoldCounts

BISECTIONS = 60
FRACTION_STEPS = 400
LANCZOS = (
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
)


@dataclass(frozen=True, slots=True)
class SourceAudit:
    """The votes of one source for one class, against gold.

    Attributes
    ----------
    source : its name
    value : the class voted, 0 … k-1
    n_gold : gold rows with this vote
    n_right : those of them that have this class
    precision : n_right / n_gold
    lower, upper : exact binomial interval of the precision (Clopper and Pearson 1934)
    learned : precision that the label model estimated; None where it estimated none
    outside : `learned` lies outside the interval
    """

    source: str
    value: int
    n_gold: int
    n_right: int
    precision: float
    lower: float
    upper: float
    learned: float | None
    outside: bool


def audit(fit: Fit, gold: GoldCounts, level: float = 0.95) -> tuple[SourceAudit, ...]:
    """Audit every source and value with a vote on a gold row.

    Parameters
    ----------
    gold : counts over gold rows that the fit has not used
    level : probability that an interval covers the true precision, at least
    """
    total = gold.votes.sum(axis=2)
    right = np.einsum("jvv->jv", gold.votes)
    lower, upper = binomial_interval(right, total, level)
    found = []
    for j, v in np.argwhere(total > 0).tolist():
        learned = None if fit.theta is None or np.isnan(fit.precision[j, v]) else float(fit.precision[j, v])
        low, high = float(lower[j, v]), float(upper[j, v])
        found.append(
            SourceAudit(
                fit.sources[j],
                v,
                round(total[j, v]),
                round(right[j, v]),
                float(right[j, v] / total[j, v]),
                low,
                high,
                learned,
                learned is not None and not low <= learned <= high,
            )
        )
    return tuple(found)


def binomial_interval(right: np.ndarray, total: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval of a share: the shares at which as many successes or more, or fewer, are not too unlikely.

    Parameters
    ----------
    right, total : arrays of one shape, successes and trials; 0 trials give 0 … 1

    Returns
    -------
    lower, upper : float64 arrays of that shape

    Examples
    --------
    >>> low, high = binomial_interval(np.array([8]), np.array([10]))
    >>> round(float(low[0]), 4), round(float(high[0]), 4)
    (0.4439, 0.9748)
    """
    x, n = np.asarray(right, dtype=float), np.asarray(total, dtype=float)
    tail = (1 - level) / 2
    lower = beta_quantile(tail, x, n - x + 1)
    upper = beta_quantile(1 - tail, x + 1, n - x)
    return np.where(x > 0, lower, 0.0), np.where(x < n, upper, 1.0)


def wilson_interval(right: np.ndarray, total: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of a share by the score test (Wilson 1927); 0 trials give 0 … 1.

    Parameters
    ----------
    right, total : arrays of one shape, successes and trials

    Examples
    --------
    >>> low, high = wilson_interval(np.array([8]), np.array([10]))
    >>> round(float(low[0]), 4), round(float(high[0]), 4)
    (0.4902, 0.9433)
    """
    x, n = np.asarray(right, dtype=float), np.asarray(total, dtype=float)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    trials = np.maximum(n, 1.0)
    share = x / trials
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    lower, upper = np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)
    return np.where(n > 0, lower, 0.0), np.where(n > 0, upper, 1.0)


def beta_quantile(share: float, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The x at which the beta distribution of `a` and `b` reaches `share`, by bisection; any number where one is 0."""
    one, other = np.maximum(a, 1e-9), np.maximum(b, 1e-9)
    low, high = np.zeros(one.shape), np.ones(one.shape)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = beta_share(middle, one, other) < share
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def beta_share(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Regularised incomplete beta function by its continued fraction (Abramowitz and Stegun 26.5.8, Lentz's method).

    Parameters
    ----------
    x : float64 array, within 0 … 1
    a, b : float64 arrays of that shape, above 0
    """
    swap = x > (a + 1) / (a + b + 2)
    p, q, at = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, 1 - x, x)
    tiny = 1e-300
    d = 1 / _not_zero(1 - (p + q) * at / (p + 1))
    c, total = np.ones_like(d), d
    for m in range(1, FRACTION_STEPS):
        even = m * (q - m) * at / ((p + 2 * m - 1) * (p + 2 * m))
        odd = -(p + m) * (p + q + m) * at / ((p + 2 * m) * (p + 2 * m + 1))
        moved = np.ones_like(total)
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            moved = moved * c * d
        total = total * moved
        if (np.abs(moved - 1) < 1e-14).all():
            break
    logs = p * np.log(np.maximum(at, tiny)) + q * np.log(np.maximum(1 - at, tiny))
    front = np.exp(logs + log_gamma(p + q) - log_gamma(p) - log_gamma(q)) / p
    share: np.ndarray = np.clip(front * total, 0.0, 1.0)
    return np.where(swap, 1 - share, share)


def log_gamma(x: np.ndarray) -> np.ndarray:
    """Log of the gamma function at positive numbers, to 1e-13 (Lanczos 1964, with 8 terms)."""
    shifted = x + 1 - 1.0
    total = np.full(np.shape(shifted), 0.99999999999980993)
    for i, weight in enumerate(LANCZOS):
        total = total + weight / (shifted + i + 1)
    base = shifted + len(LANCZOS) - 0.5
    # gamma(x + 1) = x gamma(x)
    logs: np.ndarray = 0.5 * np.log(2 * np.pi) + (shifted + 0.5) * np.log(base) - base + np.log(total) - np.log(x)
    return logs


def _not_zero(value: np.ndarray) -> np.ndarray:
    return np.where(np.abs(value) < 1e-300, 1e-300, value)
