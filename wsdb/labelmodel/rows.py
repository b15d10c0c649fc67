"""Reductions over the few classes of many rows; numpy reduces a short last axis one row at a time."""

from __future__ import annotations

from functools import reduce

import numpy as np

TINY = 1e-12
"""Least probability whose log is taken."""
SHARE_STEP = 2.0**-24
"""Vote shares are counted in multiples of this; sums over up to 2**29 rows are then exact."""
FEW = 32
"""Up to so many columns, adding column by column is faster."""


def row_sum(table: np.ndarray) -> np.ndarray:
    """Sum of each row of a float64 array of shape (p, k): shape (p,)."""
    if 0 < table.shape[1] <= FEW:
        total: np.ndarray = reduce(np.add, table.T)
        return total
    return np.asarray(table.sum(axis=1))


def row_max(table: np.ndarray) -> np.ndarray:
    """Largest value of each row of a float64 array of shape (p, k), k at least 1: shape (p,)."""
    if table.shape[1] <= FEW:
        largest: np.ndarray = reduce(np.maximum, table.T)
        return largest
    return np.asarray(table.max(axis=1))


def normalised(table: np.ndarray) -> np.ndarray:
    """Rows of a float64 array of shape (p, k) divided by their sum; rows of zeros stay."""
    totals = row_sum(table)[:, None]
    shares: np.ndarray = np.divide(table, totals, out=np.zeros_like(table), where=totals > 0)
    return shares


def rounded(shares: np.ndarray) -> np.ndarray:
    """Shares (float64) as multiples of SHARE_STEP, in place."""
    shares /= SHARE_STEP
    np.rint(shares, out=shares)
    shares *= SHARE_STEP
    return shares


def softmax(logs: np.ndarray) -> np.ndarray:
    """Probabilities of rows of log masses (float64, shape (p, k)), in place."""
    logs -= row_max(logs)[:, None]
    np.exp(logs, out=logs)
    logs /= row_sum(logs)[:, None]
    return logs


def mean_change(one: np.ndarray, other: np.ndarray, counts: np.ndarray, n_rows: float) -> float:
    """Largest change of a probability of each row (float64 arrays of shape (p, k)), averaged over the rows."""
    return float(counts @ row_max(np.abs(one - other))) / max(n_rows, 1.0)
