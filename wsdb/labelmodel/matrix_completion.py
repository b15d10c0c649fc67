"""Matrix completion: vote rates from the pairwise counts of independent sources.

Ratner et al. 2019, "Training complex models with multi-task weak supervision", the label model of Snorkel.
If sources are independent given the class, the rows where i votes v and j votes w are O = mu diag(balance) mu' off
the blocks of one source, mu[j, v, y] = P(source j votes v | class y). mu minimises

    sum over i != j of |O_ij - mu_i diag(balance) mu_j'|^2  +  sum over j of |F_j - mu_j balance|^2
    + ridge |mu - mu_0|^2

from mu_0, the rates read off the vote shares. With the others fixed each mu_j is a least squares problem; all are
solved at once, and the step towards the solutions is halved until the loss falls. No randomness, and no order of
sources. Pairs that are known to depend on each other are left out of the sum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsdb.labelmodel.ads import Rates, anchored_rates, with_gold
from wsdb.labelmodel.assemble import Model, assumed_balance, fit_of, model_of, share_copies
from wsdb.labelmodel.dependencies import GivenPairs
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.lf_edges import anchored_edges
from wsdb.labelmodel.majority import fit_unidentifiable
from wsdb.labelmodel.moments import cross_counts
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.statistics import Statistics

MAX_ITERATIONS = 100
TOLERANCE = 1e-4
"""Relative fall of the loss at which iterations stop."""
RIDGE = 100.0
"""Rows that the rates read off the vote shares count for."""
SMALLEST = 1e-6
"""Least rate of a vote that a source does cast."""
HALVINGS = 12


def fit_matrix(request: Request) -> Fit:
    """Fit vote rates by completing the matrix of pairwise counts."""
    profile, options = request.profile, request.options
    regime = profile.regime if request.regime == "auto" else request.regime
    why = profile.unidentifiable
    if why is not None or request.n_classes < 2:
        return fit_unidentifiable(request, regime, why or "the task has one class")
    copy_of = request.merged
    distinct = request.fired.select(copy_of == np.arange(request.fired.n_sources))
    statistics = Statistics.without_pairs(distinct)
    cross = cross_counts(distinct, "matrix")
    limits = (options.max_iter or MAX_ITERATIONS, TOLERANCE if options.tol is None else options.tol)

    def fit_at(balance: np.ndarray) -> tuple[Model, int]:
        start = anchored_rates(statistics, balance)
        given = request.used.merged(copy_of)
        mu, done = complete(cross, statistics.fired, statistics.n_rows, balance, start, given, *limits)
        rates = Rates(with_gold(mu, request.gold), np.ones(len(mu)))
        return share_copies(model_of(rates, balance, given_fired=False), copy_of), done

    balance, known = assumed_balance(request, regime)
    model, iterations = fit_at(balance)
    edges = anchored_edges(request, distinct) if request.options.learns else ()
    return replace(
        fit_of(request, regime, model, edges),
        chosen="matrix",
        reason="matrix was asked for: vote rates complete the matrix of pairwise counts, in "
        f"{iterations} iterations; the class balance was {known}.",
        training_form=fit_at(request.uniform)[0].form if regime == "lf" else model.form,
    )


def complete(
    cross: np.ndarray,
    fired: np.ndarray,
    n_rows: float,
    balance: np.ndarray,
    start: np.ndarray,
    given: GivenPairs,
    max_iter: int,
    tol: float,
) -> tuple[np.ndarray, int]:
    """Minimise the loss of the module's text from `start`.

    Parameters
    ----------
    cross : float64 array of shape (m, k, m, k), see `moments.cross_counts`
    fired : float64 array of shape (m, k), votes by source and value
    start : float64 array of shape (m, k, k), mu_0
    given : pairs of sources left out

    Returns
    -------
    mu : float64 array of shape (m, k, k); zero where a source never votes v, the sum over v at most 0.999
    iterations : steps done
    """
    m, k = fired.shape
    observed = (cross / n_rows).reshape(m * k, m * k)
    once = fired.ravel() / n_rows
    apart = np.ones((m, m))
    apart[given.left, given.right] = apart[given.right, given.left] = 0.0
    np.fill_diagonal(apart, 0.0)
    mask = np.repeat(np.repeat(apart, k, axis=0), k, axis=1)
    ridge = RIDGE / n_rows
    anchor = start.reshape(m * k, k)

    def loss(mu: np.ndarray) -> float:
        pairs = mask * (observed - (mu * balance) @ mu.T)
        ones = once - mu @ balance
        return float((pairs**2).sum() / 2 + (ones**2).sum() + ridge * ((mu - anchor) ** 2).sum())

    def solved(mu: np.ndarray) -> np.ndarray:
        """Each source's best rates, the others being as in `mu`."""
        blocks = mu.reshape(m, k, k)
        squares = np.einsum("ij,jvy,jvz->iyz", apart, blocks, blocks) + 1.0
        squares *= balance[:, None] * balance
        squares += ridge * np.eye(k)
        right = ((mask * observed) @ mu + once[:, None]) * balance + ridge * anchor
        return np.linalg.solve(squares, right.reshape(m, k, k).transpose(0, 2, 1)).transpose(0, 2, 1).reshape(m * k, k)

    mu, now, done = anchor, loss(anchor), 0
    for done in range(1, max_iter + 1):  # noqa: B007
        towards = _bounded(solved(mu), fired) - mu
        for halved in range(HALVINGS):
            tried = mu + towards / 2**halved
            least = loss(tried)
            if least < now:
                break
        else:
            break
        fell, mu, now = now - least, tried, least
        if fell <= tol * now:
            break
    return _bounded(mu, fired).reshape(m, k, k), done


def _bounded(mu: np.ndarray, fired: np.ndarray) -> np.ndarray:
    """Rates within (0, 1) whose sum over the values of a source is at most 0.999."""
    m, k = fired.shape
    rates = np.where(fired.ravel()[:, None] > 0, np.clip(mu, SMALLEST, 0.999), 0.0).reshape(m, k, k)
    mass = rates.sum(axis=1, keepdims=True)
    return (rates * np.where(mass > 0.999, 0.999 / np.maximum(mass, 0.999), 1.0)).reshape(m * k, k)
