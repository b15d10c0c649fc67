"""Abstains as evidence: log P(source abstains | class) of every source, whether it votes or not.

A vote then counts against its own abstain, so the whole stays a sum over the votes:

    sum over fired j of (log theta[j, v_j, y] - log a[j, y])  +  sum over all j of log a[j, y],
    a[j, y] = 1 - sum_v theta[j, v, y]
"""

from __future__ import annotations

import numpy as np

from wsdb.labelmodel.assemble import Model, model_of_scores
from wsdb.labelmodel.rows import TINY

ABSTAIN_FLOOR = 1e-3
"""Least probability of an abstain."""


def with_abstains(model: Model, balance: np.ndarray) -> Model:
    """The model (see `assemble.model_of`) with the abstains of its sources as evidence, by their weights."""
    rates = model.rates
    bias, evidence = abstain_evidence(rates.theta, rates.weights)
    return model_of_scores(rates, evidence, np.log(np.maximum(balance, TINY)) + bias, balance)


def abstain_evidence(theta: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evidence of abstaining everywhere, and of each vote against its source's abstain.

    Parameters
    ----------
    theta : float64 array of shape (m, k, k), [j, v, y] = P(source j votes v | class y)
    weights : float64 array of shape (m,)

    Returns
    -------
    bias : float64 array of shape (k,), weighted
    evidence : float64 array of shape (m, k, k), unweighted; zero for votes never seen
    """
    silent = np.log(np.maximum(1 - theta.sum(axis=1), ABSTAIN_FLOOR))  # [m, k]
    seen = theta.sum(axis=2, keepdims=True) > 0
    return weights @ silent, np.where(seen, np.log(theta + TINY) - silent[:, None, :], 0.0)
