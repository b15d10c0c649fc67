"""IBCC: independent Bayesian classifier combination, by mean-field variational Bayes.

Kim and Ghahramani 2012, "Bayesian classifier combination"; the variational form is that of Simpson et al. 2013.
Dawid-Skene with Dirichlet priors on the confusion matrices and the class balance; evidence is the expected log of
a share, digamma(count) - digamma(sum of counts).
"""

from __future__ import annotations

import numpy as np

from wsdb.labelmodel.annotators import fit_confusions
from wsdb.labelmodel.em import SMALLEST
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.request import Request

PRIOR = 2.0
"""Votes added to each source and class."""
CLASS_PRIOR = 1.0
"""Rows added to each class."""


def fit_ibcc(request: Request) -> Fit:
    """Fit confusion matrices by variational Bayes."""
    model = "by variational Bayes (IBCC)"
    return fit_confusions(request, expected_log_shares, prior=PRIOR, class_prior=CLASS_PRIOR, model=model)


def expected_log_shares(counts: np.ndarray) -> np.ndarray:
    """Expected log of the shares along the first axis, of a Dirichlet distribution with parameters `counts`."""
    total = np.maximum(counts.sum(axis=0), SMALLEST)
    logs: np.ndarray = digamma(np.maximum(counts, SMALLEST)) - digamma(total)
    return logs


def digamma(x: np.ndarray) -> np.ndarray:
    """Derivative of log gamma at positive numbers, to 1e-12.

    Recurrence up to 6, then the asymptotic series (Abramowitz and Stegun 6.3.5 and 6.3.18).

    Examples
    --------
    >>> round(float(digamma(np.array([1.0]))[0]), 10)
    -0.5772156649
    """
    shifted = np.asarray(x, dtype=float).copy()
    total = np.zeros_like(shifted)
    for _ in range(10):
        small = shifted < 10
        total -= np.where(small, 1 / shifted, 0.0)
        shifted += small
    square = 1 / shifted**2
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240 - square / 132))))
    slope: np.ndarray = total + np.log(shifted) - 0.5 / shifted - series
    return slope
