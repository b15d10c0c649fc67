"""Labels and votes drawn from a known model, for tests and benchmarks."""

from __future__ import annotations

import numpy as np

from wsdb.core.matrix import ABSTAIN


def labeling_rates(
    rng: np.random.Generator, n_sources: int, n_classes: int, *, coverage: float = 0.3, unipolar: bool = True
) -> np.ndarray:
    """Vote rates of random sources that are better than chance.

    Parameters
    ----------
    rng : source of randomness
    coverage : mean share of rows, over sources and classes, on which a source votes
    unipolar : each source votes for one class only, classes in turn; otherwise for every class

    Returns
    -------
    float64 array of shape (m, k, k), [j, v, y] = P(source j votes v | class y)
    """
    m, k = n_sources, n_classes
    accuracy = rng.uniform(0.6, 0.95, size=m)
    reach = coverage * rng.uniform(0.5, 1.5, size=m)
    theta = np.zeros((m, k, k))
    wrong = (1 - accuracy) / max(k - 1, 1)
    for j in range(m):
        confusion = np.full((k, k), wrong[j])
        np.fill_diagonal(confusion, accuracy[j])
        own = j % k
        theta[j, own] = min(1.0, reach[j] * k) * confusion[own] if unipolar else 0.0
        if not unipolar:
            theta[j] = min(1.0, reach[j]) * confusion
    return theta


def draw_votes(
    rng: np.random.Generator, theta: np.ndarray, balance: np.ndarray, n_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw classes from `balance` and, independently per source, votes from `theta`.

    Parameters
    ----------
    theta : float64 array of shape (m, k, k), [j, v, y] = P(source j votes v | class y)
    balance : float64 array of shape (k,), sums to 1

    Returns
    -------
    labels : int64 array of shape (n,)
    votes : int8 array of shape (n, m), or int16 above 127 classes; -1 is abstain
    """
    m, k = len(theta), len(balance)
    labels = rng.choice(k, size=n_rows, p=balance)
    votes = np.full((n_rows, m), ABSTAIN, dtype=np.int8 if k <= 127 else np.int16)
    for j in range(m):
        reached = np.cumsum(theta[j], axis=0).T[labels]  # [n, k]
        value = (rng.random(n_rows)[:, None] >= reached).sum(axis=1)
        votes[:, j] = np.where(value < k, value, ABSTAIN)
    return labels, votes
