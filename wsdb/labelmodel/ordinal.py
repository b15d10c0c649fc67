"""Ordered classes: sources that err by one step more often than by two, and decisions that mind the distance."""

from __future__ import annotations

import numpy as np

from wsdb.core.errors import SpecError, did_you_mean
from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.ads import accuracy_prior
from wsdb.labelmodel.partial import PartialFit, fit_partial

DECAY = 1 / 3
"""Prior odds of an error one step further off: the odds 0.25 : 0.75 that any vote is wrong, for every step."""
RULES = ("mode", "median", "mean")
TIE = 1e-9


def ordinal_prior(k: int) -> np.ndarray:
    """Share of class y among prior votes for v: float64 array of shape (k, k), rows sum to 1.

    0.75 for y = v; the rest falls by DECAY with each step of |v - y|. For two classes the prior of any task.

    Examples
    --------
    >>> ordinal_prior(3)[0].round(4).tolist()
    [0.75, 0.1875, 0.0625]
    """
    prior = accuracy_prior(k)
    if k < 3:
        return prior
    steps = np.abs(np.arange(k)[:, None] - np.arange(k))
    wrong = np.where(steps > 0, DECAY**steps, 0.0)
    return np.where(steps == 0, prior, wrong / wrong.sum(axis=1, keepdims=True) * (1 - prior[0, 0]))


def fit_ordinal(
    votes: np.ndarray,
    k: int,
    sets: np.ndarray | None = None,
    *,
    counts: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    balance: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> PartialFit:
    """Fit votes for ordered classes; arguments as for `fit_partial`. A set may be a range ("at least 3")."""
    prior = ordinal_prior(k)
    return fit_partial(
        votes, k, sets, counts=counts, confidence=confidence, balance=balance, weights=weights, prior=prior
    )


def decide_ordinal(probabilities: np.ndarray, covered: np.ndarray, rule: str = "median") -> np.ndarray:
    """Label of each row: int64 array of shape (n,), -1 where uncovered.

    Parameters
    ----------
    probabilities : float64 array of shape (n, k), rows sum to 1
    covered : bool array of shape (n,)
    rule : "mode", the likeliest class; "median", the class of least expected distance; "mean", the expected
        class rounded. Ties go to the lower class

    Raises
    ------
    SpecError
        WS308 for an unknown rule.

    Examples
    --------
    >>> p = np.array([[0.4, 0.1, 0.2, 0.3]])
    >>> [int(decide_ordinal(p, np.array([True]), rule)[0]) for rule in ("mode", "median", "mean")]
    [0, 1, 1]
    """
    if rule not in RULES:
        hint = did_you_mean(rule, RULES) or f"one of {', '.join(RULES)}"
        raise SpecError("WS308", f'unknown decision "{rule}"', hint=hint, choices=list(RULES))
    if rule == "mode":
        chosen = (probabilities >= probabilities.max(axis=1, keepdims=True) - TIE).argmax(axis=1)
    elif rule == "median":
        chosen = (probabilities.cumsum(axis=1) >= 0.5 - TIE).argmax(axis=1)
    else:
        chosen = np.ceil(expected_class(probabilities) - 0.5 - TIE).astype(np.int64)
    return np.where(covered, chosen, ABSTAIN)


def expected_class(probabilities: np.ndarray) -> np.ndarray:
    """Mean of the class number: float64 array of shape (n,)."""
    expected: np.ndarray = probabilities @ np.arange(probabilities.shape[1])
    return expected
