"""Majority vote: the plain vote share, and votes of one assumed precision where nothing can be estimated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsdb.labelmodel.ads import accuracy_prior
from wsdb.labelmodel.assemble import blank_fit
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.rows import TINY
from wsdb.labelmodel.score import ScoreForm
from wsdb.labelmodel.statistics import count_votes, vote_shares
from wsdb.labelmodel.unanimity import keep_unanimity


def fit_majority(request: Request) -> Fit:
    """Majority vote: the posterior is the vote share; accuracy is agreement with it, own vote included."""
    form = majority_form(request.fired.n_sources, request.known_or_uniform)
    expected = count_votes(request.fired, vote_shares(request.fired))
    blank = blank_fit(request, "majority", form, expected)
    return replace(blank, chosen="majority", reason="Majority vote was asked for: every vote counts the same.")


def fit_unidentifiable(request: Request, regime: str, why: str) -> Fit:
    """Votes of one assumed precision, because of `why`."""
    form = precision_form(request.fired.n_sources, request.known_or_uniform)
    none = np.zeros(form.scores.shape[:2], dtype=bool)
    form = replace(form, scores=keep_unanimity(form.bias, form.scores, none))
    blank = blank_fit(request, regime, form, None)
    return replace(
        blank,
        chosen="majority-precision",
        reason=f"Accuracies cannot be estimated because {why}: every vote counts as right 3 times out of 4.",
        notices=(*blank.notices, f"accuracies cannot be estimated: {why}"),
    )


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
