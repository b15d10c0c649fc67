"""What a fit says of each source: accuracy, precision per value, coverage, standard error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsdb.labelmodel.ads import PRIOR_ACCURACY, PRIOR_STRENGTH


@dataclass(frozen=True, slots=True)
class SourceReport:
    """Per-source figures; see `Fit` for each array's meaning."""

    accuracy: np.ndarray
    precision: np.ndarray
    propensity: np.ndarray
    stderr: np.ndarray
    counts: np.ndarray


def report_sources(expected: np.ndarray | None, fired: np.ndarray, n_rows: float) -> SourceReport:
    """Summarise the sources.

    Parameters
    ----------
    expected : float64 array of shape (m, k, k), proportional per source to P(votes v, class y); None where
        nothing was estimated, and every source has the assumed accuracy
    fired : float64 array of shape (m, k), votes by source and value
    n_rows : rows of the label matrix
    """
    m, k = fired.shape
    assumed = PRIOR_ACCURACY if k > 1 else 1.0
    counts = fired.sum(axis=1)
    if expected is None:
        accuracy = np.full(m, assumed)
        precision = np.where(fired > 0, assumed, np.nan)
        rows = np.zeros(m)
    else:
        right = np.einsum("jvv->jv", expected)
        per_value = expected.sum(axis=2)
        total = per_value.sum(axis=1)
        voting, voted = (total > 0) & (counts > 0), (per_value > 0) & (fired > 0)
        accuracy = np.divide(right.sum(axis=1), total, out=np.full(m, assumed), where=voting)
        precision = np.divide(right, per_value, out=np.full((m, k), np.nan), where=voted)
        rows = counts
    return SourceReport(
        accuracy,
        precision,
        counts / max(n_rows, 1.0),
        np.sqrt(accuracy * (1 - accuracy) / (rows + PRIOR_STRENGTH)),
        counts.astype(np.int64),
    )
