"""Dawid-Skene: maximum likelihood confusion matrices.

Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm".

For annotators: who votes on a row says nothing of its class. With `abstain_informative`, for labeling functions:
abstaining is one more outcome of every source, and the class balance is the given one, or uniform.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsdb.labelmodel.abstains import abstain_evidence, with_abstains
from wsdb.labelmodel.ads import Rates, vote_rates, with_gold
from wsdb.labelmodel.annotators import fit_confusions
from wsdb.labelmodel.assemble import Model, fit_of, given_weights, model_of, share_copies
from wsdb.labelmodel.em import MAX_ITERATIONS, SMALLEST, TOLERANCE
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.majority import fit_unidentifiable
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.rows import TINY, mean_change, softmax
from wsdb.labelmodel.statistics import count_votes, vote_shares

FLAT_PRIOR = 0.1
"""Votes added to each source and class."""


def fit_dawid_skene(request: Request) -> Fit:
    """Fit confusion matrices by maximum likelihood."""
    if not request.options.abstain_informative:
        how = "by maximum likelihood (EM)"
        return fit_confusions(request, log_shares, prior=FLAT_PRIOR, class_prior=0.0, model=how)
    profile = request.profile
    why = profile.unidentifiable
    if why is not None or request.n_classes < 2:
        return fit_unidentifiable(request, "lf", why or "the task has one class")
    uniform, iterations = _with_abstains(request, request.uniform)
    model, iterations = (uniform, iterations) if request.balance is None else _with_abstains(request, request.balance)
    known = "given" if request.balance is not None else "taken as uniform"
    fit = fit_of(request, "lf", model)
    return replace(
        fit,
        chosen="dawid_skene",
        reason="dawid_skene was asked for, with abstains as evidence: by maximum likelihood (EM) in "
        f"{iterations} iterations; the class balance was {known}.",
        training_form=uniform.form,
    )


def log_shares(counts: np.ndarray) -> np.ndarray:
    """Log of counts divided by their sum along the first axis."""
    total = np.maximum(counts.sum(axis=0), SMALLEST)
    logs: np.ndarray = np.log(np.maximum(counts, SMALLEST)) - np.log(total)
    return logs


def _with_abstains(request: Request, balance: np.ndarray) -> tuple[Model, int]:
    """The model of all sources, and the iterations that it took."""
    options, copy_of = request.options, request.merged
    fired = request.fired.select(copy_of == np.arange(request.fired.n_sources))
    weights = given_weights(request)
    covered = fired.votes_per_pattern > 0
    n_rows = float(fired.counts.sum())
    posterior = np.where(covered[:, None], vote_shares(fired), balance)
    theta, done = np.zeros(0), 0
    for done in range(options.max_iter or MAX_ITERATIONS):  # noqa: B007
        theta = vote_rates(count_votes(fired, posterior), fired.counts @ posterior, fired.table, n_rows, balance)
        bias, evidence = abstain_evidence(theta, weights)
        logs = fired.class_logs(weights[:, None, None] * evidence)
        updated = softmax(logs + bias + np.log(np.maximum(balance, TINY)))
        moved = mean_change(updated, posterior, fired.counts, n_rows)
        posterior = updated
        if moved < (TOLERANCE if options.tol is None else options.tol):
            break
    rates = Rates(with_gold(theta, request.gold), weights)
    return share_copies(with_abstains(model_of(rates, balance, given_fired=False), balance), copy_of), done + 1
