"""Second moments of votes across values: rows where source i votes v and source j votes w."""

from __future__ import annotations

import numpy as np

from wsdb.core.errors import SpecError
from wsdb.labelmodel.dense import DenseVotes
from wsdb.labelmodel.fired import FiredVotes
from wsdb.labelmodel.statistics import VoteTable

LARGEST = 4096
"""Largest number of sources times classes; the table of moments has its square."""
BLOCK_CELLS = 1 << 20
"""Cells (rows x sources x classes) multiplied at a time."""
ONE_THREAD = 1 << 18
"""Multiply-adds above which BLAS starts threads, which spin where another program uses the cores."""


def cross_counts(fired: VoteTable, method: str) -> np.ndarray:
    """Count the rows with each pair of votes.

    Returns
    -------
    float64 array of shape (m, k, m, k), [i, v, j, w] rows where i votes v and j votes w.

    Raises
    ------
    SpecError
        WS320 where the table would be too large for `method`.
    """
    m, k = fired.n_sources, fired.n_classes
    width = m * k
    if width > LARGEST:
        raise SpecError(
            "WS320",
            f"method {method} takes {LARGEST // k} sources of {k} classes at most, not {m}",
            hint="use auto or weighted_majority",
        )
    total = np.zeros((width, width))
    votes = fired.votes_per_pattern > 1
    rows = np.flatnonzero(votes)
    step = max(1, min(BLOCK_CELLS // max(width, 1), ONE_THREAD // max(width, 1) ** 2 or 1))
    step = max(step, 64)
    for first in range(0, len(rows), step):
        chosen = rows[first : first + step]
        flags = _flags(fired, chosen, width)
        total += flags.T @ (flags * fired.counts[chosen, None])
    return total.reshape(m, k, m, k)


def _flags(fired: VoteTable, rows: np.ndarray, width: int) -> np.ndarray:
    """0/1 table of the votes of some patterns: float64 array of shape (rows, m * k)."""
    k = fired.n_classes
    if isinstance(fired, DenseVotes):
        block = fired.votes[rows]
        table: np.ndarray = (block[:, :, None] == np.arange(k)).reshape(len(rows), width).astype(float)
        return table
    lo, hi = _span(fired, rows)
    place = np.full(rows[-1] - rows[0] + 1, -1)
    place[rows - rows[0]] = np.arange(len(rows))
    row = place[fired.pattern[lo:hi] - rows[0]]
    flags = np.zeros((len(rows), width))
    flags[row[row >= 0], fired.code[lo:hi][row >= 0]] = 1.0
    return flags


def _span(fired: FiredVotes, rows: np.ndarray) -> tuple[int, int]:
    lo, hi = np.searchsorted(fired.pattern, [rows[0], rows[-1] + 1])
    return int(lo), int(hi)
