"""Calibration: one temperature for the posterior, fitted on rows of known class (Guo et al. 2017)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.gold import GoldRows
from wsdb.labelmodel.score import ScoreForm, posterior

LEAST_ROWS = 100
"""Covered gold rows below which a temperature would be noise."""
RANGE = (0.05, 5.0)
GOLDEN = (np.sqrt(5) - 1) / 2
STEPS = 40


def calibrated(fit: Fit, gold: GoldRows) -> Fit:
    """The fit with its posterior raised to the power that the gold rows ask for, and a notice that says so.

    Unchanged below LEAST_ROWS covered rows. The form that end models are trained on stays.
    """
    covered = (gold.votes != ABSTAIN).any(axis=1)
    if int(covered.sum()) < LEAST_ROWS:
        return fit
    probabilities = posterior(fit.form, gold.votes[covered])
    power = temperature(probabilities, gold.labels[covered])
    said = f"probabilities are calibrated on {int(covered.sum())} gold rows: raised to the power {power:.2f}"
    return replace(fit, form=powered(fit.form, power), notices=(*fit.notices, said))


def powered(form: ScoreForm, power: float) -> ScoreForm:
    """The form whose posterior is that of `form` to the power `power`; labels stay."""
    return replace(form, temperature=form.temperature * power, share_power=form.share_power * power)


def temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Power, in 0.05 … 5, at which probabilities have the least log-loss; by golden section, the loss being convex.

    Parameters
    ----------
    probabilities : float64 array of shape (n, k)
    labels : integer array of shape (n,)
    """
    # A class excluded outright stays excluded at any power; such rows decide nothing.
    possible = probabilities[np.arange(len(labels)), labels] > 0
    if not possible.any():
        return 1.0
    probabilities, labels = probabilities[possible], labels[possible]
    logs = np.log(probabilities, out=np.full_like(probabilities, -np.inf), where=probabilities > 0)
    own = logs[np.arange(len(labels)), labels]

    def loss(power: float) -> float:
        scaled = power * logs
        top = scaled.max(axis=1, keepdims=True)
        total: float = (np.log(np.exp(scaled - top).sum(axis=1)) + top[:, 0] - power * own).mean()
        return total

    low, high = np.log(RANGE)
    for _ in range(STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if loss(float(np.exp(left))) <= loss(float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
