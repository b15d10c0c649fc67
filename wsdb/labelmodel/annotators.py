"""From EM over annotators to a Fit; what Dawid-Skene and IBCC share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsdb.labelmodel.ads import Rates, score_table, with_gold
from wsdb.labelmodel.assemble import fit_of, given_weights, model_of_scores
from wsdb.labelmodel.em import MAX_ITERATIONS, TOLERANCE, Confusions, Evidence, estimate
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.majority import fit_unidentifiable
from wsdb.labelmodel.request import Request


def fit_confusions(request: Request, evidence: Evidence, *, prior: float, class_prior: float, model: str) -> Fit:
    """Fit by EM with `evidence`; see `em.estimate` for the priors.

    Parameters
    ----------
    model : what is fitted, for the reason: "by ..."
    """
    profile, options = request.profile, request.options
    regime = profile.regime if request.regime == "auto" else request.regime
    why = profile.unidentifiable
    if why is not None or request.n_classes < 2:
        return fit_unidentifiable(request, regime, why or "the task has one class")
    weights = given_weights(request)
    found = estimate(
        request.fired,
        evidence,
        prior=prior,
        balance=request.balance,
        class_prior=class_prior,
        weights=weights,
        max_iter=options.max_iter or MAX_ITERATIONS,
        tol=TOLERANCE if options.tol is None else options.tol,
    )
    fit = _fit_of_confusions(request, found, weights)
    known = "given" if request.balance is not None else "estimated with them"
    notices = list(fit.notices)
    if profile.regime == "lf":
        notices.append(
            f"{request.method} takes who votes as random, and learns nothing from a source that votes one class: "
            f"{profile.unipolar_votes:.0%} of the votes come from such sources; auto reads their firing as evidence"
        )
    return replace(
        fit,
        chosen=request.method,
        reason=f"{request.method} was asked for: a confusion matrix of each source, {model} in {found.iterations} "
        f"iterations; the class balance was {known}.",
        notices=tuple(notices),
    )


def _fit_of_confusions(request: Request, found: Confusions, weights: np.ndarray) -> Fit:
    # Rates over all rows, so that coverage is part of them; scores are given that the source votes.
    rows = found.classes + found.counts.sum(axis=1) - request.fired.count(found.posterior).sum(axis=1)
    theta = np.where(request.fired.table[:, :, None] > 0, found.counts / np.maximum(rows, 1e-12)[:, None, :], 0.0)
    theta = theta * np.minimum(1.0, 0.999 / np.maximum(theta.sum(axis=1, keepdims=True), 1e-12))
    rates = Rates(with_gold(theta, request.gold), weights)
    evidence = found.evidence
    if request.gold is not None:
        evidence = score_table(Rates(rates.theta, np.ones_like(weights)), given_fired=True)
    balance = np.exp(found.bias - found.bias.max())
    model = model_of_scores(rates, evidence, found.bias, balance / balance.sum())
    return fit_of(request, "annotator", model)
