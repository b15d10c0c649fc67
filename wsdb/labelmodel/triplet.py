"""Triplets: accuracies in closed form from agreements of three sources at a time.

Fu et al. 2020, "Fast and three-rious: speeding up weak supervision with triplet methods".
For one class against the rest, a source says +1, -1 or nothing. If two sources are independent given the class,
E[l_i l_j | both vote] = a_i a_j, so three of them give |a_i| = sqrt(|M_ij M_iq / M_jq|). The median over all pairs
(j, q) is taken, and sources are held to be better than chance. Pairs that are known to depend on each other give
no triplet.

With two classes the posterior is exact. With more, the log-odds z of the classes against their rests are combined
as p ∝ exp(z / 2), which is the same for two classes and stays a sum over the votes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsdb.labelmodel.ads import Rates, with_gold
from wsdb.labelmodel.assemble import Model, assumed_balance, fit_of, model_of_scores, share_copies
from wsdb.labelmodel.dependencies import GivenPairs
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.lf_edges import anchored_edges
from wsdb.labelmodel.majority import fit_unidentifiable
from wsdb.labelmodel.moments import cross_counts
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.rows import TINY
from wsdb.labelmodel.statistics import VoteTable

CO_VOTES = 5
"""Least rows on which both sources of a pair vote."""
LEAST_MOMENT = 0.01
"""Least |M_jq| to divide by."""
RANGE = (0.01, 0.99)
"""Accuracies a = 2 P(right) - 1 are kept within."""
PARTNERS = 64
"""Sources that form triplets with one source: those with the most common rows."""
DEFAULT = 0.5
"""a of a source without a triplet: right 3 times out of 4."""


def fit_triplet(request: Request) -> Fit:
    """Fit accuracies by medians over triplets."""
    profile = request.profile
    regime = profile.regime if request.regime == "auto" else request.regime
    why = profile.unidentifiable
    if why is not None or request.n_classes < 2:
        return fit_unidentifiable(request, regime, why or "the task has one class")
    copy_of = request.merged
    distinct = request.fired.select(copy_of == np.arange(request.fired.n_sources))
    accuracy, unmeasured = accuracies(cross_counts(distinct, "triplet"), request.used.merged(copy_of))

    def fit_at(balance: np.ndarray) -> Model:
        return share_copies(_model(request, distinct, accuracy, balance), copy_of)

    balance, known = assumed_balance(request, regime)
    model = fit_at(balance)
    edges = anchored_edges(request, distinct) if request.options.learns else ()
    fit = fit_of(request, regime, model, edges)
    notices = list(fit.notices)
    if profile.unipolar_votes >= 0.5:
        notices.append(
            "triplet compares sources where both vote, and sources that vote one class only can but agree or "
            f"contradict there: {profile.unipolar_votes:.0%} of the votes come from such sources"
        )
    silent = unmeasured & (distinct.table.sum(axis=1) > 0)
    if silent.any():
        notices.append(f"{int(silent.sum())} source(s) are in no triplet; they count as right 3 times out of 4")
    return replace(
        fit,
        chosen="triplet",
        reason="triplet was asked for: accuracies are medians over triplets of sources, in closed form; the class "
        f"balance was {known}.",
        notices=tuple(notices),
        training_form=fit_at(request.uniform).form if regime == "lf" else model.form,
    )


def accuracies(cross: np.ndarray, given: GivenPairs) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of each source on each class against the rest.

    Parameters
    ----------
    cross : float64 array of shape (m, k, m, k), see `moments.cross_counts`
    given : pairs that are not independent given the class

    Returns
    -------
    a : float64 array of shape (m, k), 2 P(right) - 1
    unmeasured : bool array of shape (m,), sources without a triplet in any class
    """
    m, k = cross.shape[:2]
    both = cross.sum(axis=(1, 3))
    usable = both >= CO_VOTES
    usable[given.left, given.right] = usable[given.right, given.left] = False
    np.fill_diagonal(usable, False)
    found = np.full((m, k), np.nan)
    partners = np.argsort(-np.where(usable, both, -1.0), axis=1, kind="stable")[:, :PARTNERS]
    for y in range(k):
        says = cross[:, y, :, :].sum(axis=2)  # i votes y, j votes anything
        against = says + says.T - 2 * cross[:, y, :, y]
        moment = np.where(usable, 1 - 2 * against / np.maximum(both, 1.0), np.nan)
        for i in range(m):
            mine = partners[i][usable[i, partners[i]]]
            one, other = np.triu_indices(len(mine), 1)
            divisor = moment[mine[one], mine[other]]
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = np.abs(moment[i, mine[one]] * moment[i, mine[other]] / divisor)
            valid = np.abs(divisor) >= LEAST_MOMENT
            if valid.any():
                found[i, y] = np.sqrt(np.median(ratio[valid]))
    unmeasured = np.isnan(found).all(axis=1)
    return np.clip(np.where(np.isnan(found), DEFAULT, found), *RANGE), unmeasured


def _model(request: Request, distinct: VoteTable, accuracy: np.ndarray, balance: np.ndarray) -> Model:
    fired, k = distinct.table, request.n_classes
    odds = np.log((1 + accuracy) / (1 - accuracy))  # [m, y], of l = +1 against -1
    says = np.where(np.eye(k, dtype=bool)[None], 1.0, -1.0)  # [1, v, y]
    evidence = 0.5 * odds[:, None, :] * says
    # Rates that give this evidence at the coverage seen, for the report: columns of exp(evidence) made shares.
    confusion = np.where(fired[:, :, None] > 0, np.exp(evidence), 0.0)
    confusion /= np.maximum(confusion.sum(axis=1, keepdims=True), TINY)
    theta = confusion * (fired.sum(axis=1) / max(request.patterns.n_rows, 1))[:, None, None] * 0.999
    evidence = np.where(fired[:, :, None] > 0, evidence, 0.0)
    rates = Rates(with_gold(theta, request.gold), np.ones(len(fired)))
    if request.gold is not None:
        evidence = evidence + np.log(np.maximum(rates.theta, TINY)) - np.log(np.maximum(theta, TINY))
    return model_of_scores(rates, evidence, np.log(np.maximum(balance, TINY)), balance)
