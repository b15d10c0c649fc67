"""Weighted majority vote: one accuracy for each source, whatever it votes (one coin).

The accuracies are those of anchored Dawid-Skene, read off the vote shares. A vote of accuracy a says log a for its
class and log((1 - a) / (k - 1)) for each other one, weighted down where its source repeats others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsdb.labelmodel.ads import fit_anchored
from wsdb.labelmodel.assemble import Model, assumed_balance, fit_of, model_of_scores, share_copies
from wsdb.labelmodel.dependencies import learned_edges
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.majority import fit_unidentifiable
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.rows import TINY
from wsdb.labelmodel.statistics import Statistics

CERTAIN = 0.999
"""Largest accuracy; a source never contradicted is not infallible."""


def fit_weighted_majority(request: Request) -> Fit:
    """Fit one accuracy for each source."""
    profile = request.profile
    regime = profile.regime if request.regime == "auto" else request.regime
    why = profile.unidentifiable
    if why is not None or request.n_classes < 2:
        return fit_unidentifiable(request, regime, why or "the task has one class")
    copy_of = request.merged
    # Annotators agree because they answer alike, not because they copy; residuals would weigh down the busy ones.
    learns = request.options.learns and regime == "lf"
    distinct = request.fired.select(copy_of == np.arange(request.fired.n_sources))
    statistics = Statistics.of_votes(distinct) if learns else Statistics.without_pairs(distinct)

    def fit_at(balance: np.ndarray) -> Model:
        given = request.used.merged(copy_of)
        rates = fit_anchored(distinct, statistics, balance, request.gold, learned=learns, given=given)
        evidence = one_coin(rates.theta)
        return share_copies(model_of_scores(rates, evidence, np.log(np.maximum(balance, TINY)), balance), copy_of)

    balance, known = assumed_balance(request, regime)
    model = fit_at(balance)
    edges = learned_edges(
        model.rates.theta, statistics.pairs, statistics.n_rows, model.form.prior, request.patterns.sources
    )
    return replace(
        fit_of(request, regime, model, edges),
        chosen="weighted_majority",
        reason="weighted_majority was asked for: votes count by their source's one accuracy, read off the agreement "
        f"between sources; the class balance was {known}.",
        training_form=fit_at(request.uniform).form if regime == "lf" else model.form,
    )


def one_coin(theta: np.ndarray) -> np.ndarray:
    """Evidence of votes by one accuracy for each source, that on classes of equal size.

    Accuracy at the class balance would count the balance once more for each vote.

    Parameters
    ----------
    theta : float64 array of shape (m, k, k), [j, v, y] = P(source j votes v | class y)

    Returns
    -------
    float64 array of shape (m, k, k), in nats; zero for sources that never vote
    """
    k = theta.shape[1]
    total = theta.sum(axis=(1, 2))
    right = np.einsum("jvv->j", theta)
    accuracy = np.divide(right, total, out=np.full(len(theta), 1 / k), where=total > 0)
    accuracy = np.clip(accuracy, 1 - CERTAIN, CERTAIN)
    wrong = np.log((1 - accuracy) / (k - 1))
    evidence = np.broadcast_to(wrong[:, None, None], theta.shape).copy()
    np.einsum("jvv->jv", evidence)[...] = np.log(accuracy)[:, None]
    evidence[total == 0] = 0.0
    return evidence
