"""Majority vote as score forms: the plain vote share, and votes of one assumed precision."""

from __future__ import annotations

import numpy as np

from wsdb.labelmodel.ads import TINY, accuracy_prior
from wsdb.labelmodel.score import ScoreForm


def majority_form(n_sources: int, prior: np.ndarray) -> ScoreForm:
    """Posterior = the share of the row's votes; ties go to the higher `prior` (float64, shape (k,))."""
    k = len(prior)
    return ScoreForm(np.zeros(k), np.zeros((n_sources, k, k)), 1.0, 1.0, 1.0, prior)


def precision_form(n_sources: int, prior: np.ndarray) -> ScoreForm:
    """Posterior ∝ prior times 0.75 per vote for the class and an even part of 0.25 per vote against it.

    For matrices from which no accuracy can be estimated: every source counts as equally accurate.
    """
    k = len(prior)
    scores = np.broadcast_to(np.log(accuracy_prior(k)), (n_sources, k, k)).copy()
    return ScoreForm(np.log(np.maximum(prior, TINY)), scores, 1.0, None, 0.0, prior)
