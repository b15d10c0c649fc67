"""Anchored Dawid-Skene (ADS): class-conditional vote rates read off the majority-vote posterior.

theta[j, v, y] = P(source j votes v | class y). Dawid and Skene (1979) alternate a posterior over classes with
these rates; here the counts behind the rates stay anchored on the vote shares, abstaining is no evidence, and
sources that agree more than their rates explain are weighted down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wsdb.labelmodel.gold import GoldCounts
from wsdb.labelmodel.statistics import FiredVotes, PairCounts, Statistics, count_votes, vote_shares

PRIOR_ACCURACY = 0.75
"""a0: share of the prior's votes that are right."""
PRIOR_STRENGTH = 10.0
"""s0: rows of prior votes per value that a source emits."""
GOLD_STRENGTH = 100.0
"""s: rows that the vote-only rates count for when gold rows correct them."""
NOISE_FLOOR = 2.0
"""tau: standard errors of agreement that count as chance."""
TINY = 1e-12
MANY_SOURCES = 2000
"""Above this, pairs seen together on fewer than MIN_PAIR_ROWS rows are left out of the dependency weights."""
MIN_PAIR_ROWS = 5
ANNOTATOR_ANCHOR = 0.3
"""kappa in the annotator regime."""
MAX_ITERATIONS = 25
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Rates:
    """Fitted vote rates.

    Attributes
    ----------
    theta : float64 array of shape (m, k, k), [j, v, y] = P(source j votes v | class y)
    weights : float64 array of shape (m,), in (0, 1]; below 1 where a source repeats others
    """

    theta: np.ndarray
    weights: np.ndarray


def accuracy_prior(k: int) -> np.ndarray:
    """B[v, y], the prior share of class y among votes of v: float64 array of shape (k, k), rows sum to 1."""
    if k == 1:
        return np.ones((1, 1))
    prior = np.full((k, k), (1 - PRIOR_ACCURACY) / (k - 1))
    np.fill_diagonal(prior, PRIOR_ACCURACY)
    return prior


def vote_rates(
    votes: np.ndarray, classes: np.ndarray, fired: np.ndarray, n_rows: float, balance: np.ndarray
) -> np.ndarray:
    """M-step: theta from expected counts and the prior.

    Parameters
    ----------
    votes : float64 array of shape (m, k, k), rows of class y where source j votes v
    classes : float64 array of shape (k,), rows of each class
    fired : float64 array of shape (m, k), votes by source and value
    n_rows : rows of the label matrix
    balance : float64 array of shape (k,)

    Returns
    -------
    float64 array of shape (m, k, k); zero where a source never votes v; the sum over v is below 1.
    """
    k = len(balance)
    pseudo = PRIOR_STRENGTH * accuracy_prior(k) * (fired > 0)[:, :, None]
    # The prior rows are rows where the source fires; the totals grow with them so that its coverage stays.
    scale = n_rows / np.maximum(fired.sum(axis=1), 1.0)
    totals = np.maximum((pseudo.sum(axis=(1, 2)) * scale)[:, None] * balance, 1.02 * pseudo.sum(axis=1))
    theta = (votes + pseudo) / np.maximum(classes + totals, TINY)[:, None, :]
    mass = theta.sum(axis=1, keepdims=True)
    scaled: np.ndarray = theta * np.where(mass > 0.999, 0.999 / np.maximum(mass, TINY), 1.0)
    return scaled


def dependency_weights(
    theta: np.ndarray, fired: np.ndarray, pairs: PairCounts, n_rows: float, balance: np.ndarray
) -> np.ndarray:
    """Weight of each source: 1 / (1 + agreement with others that the rates do not explain).

    Returns
    -------
    float64 array of shape (m,), in (0, 1]; about 1/g for each of g copies.
    """
    m = theta.shape[0]
    if m > MANY_SOURCES:
        pairs = pairs.at_least(MIN_PAIR_ROWS)
    spread = np.sqrt(np.maximum((theta * (1 - theta)) @ balance, TINY))
    left, right = theta[pairs.left, pairs.value], theta[pairs.right, pairs.value]
    expected = (left * right) @ balance
    scale = spread[pairs.left, pairs.value] * spread[pairs.right, pairs.value]
    excess = np.clip((pairs.count / n_rows - expected) / scale - NOISE_FLOOR / np.sqrt(n_rows), 0.0, 1.0)
    share = fired / np.maximum(fired.sum(axis=1, keepdims=True), 1.0)
    repeated = np.bincount(pairs.left, weights=excess * share[pairs.left, pairs.value], minlength=m)
    repeated += np.bincount(pairs.right, weights=excess * share[pairs.right, pairs.value], minlength=m)
    return 1.0 / (1.0 + repeated)


def score_table(rates: Rates, *, given_fired: bool) -> np.ndarray:
    """Evidence of each vote: w_j log theta[j, v, y], less the log firing rate where `given_fired`.

    Parameters
    ----------
    given_fired : condition on the source having voted (annotators, whose choice of rows says nothing).
        Otherwise the firing itself is evidence, the only evidence a source with a single value can give.

    Returns
    -------
    float64 array of shape (m, k, k); zero for a vote never seen in training, which says nothing.
    """
    theta = rates.theta
    scores = np.log(theta + TINY)
    if given_fired:
        scores = scores - np.log(np.maximum(theta.sum(axis=1, keepdims=True), 1e-4))
    seen = theta.sum(axis=2, keepdims=True) > 0
    return np.where(seen, rates.weights[:, None, None] * scores, 0.0)


def fit_anchored(
    fired: FiredVotes,
    statistics: Statistics,
    balance: np.ndarray,
    gold: GoldCounts | None = None,
    rounds: int = 2,
) -> Rates:
    """Rates for labeling functions: an M-step from the vote shares, then one from weighted shares.

    The second round takes copies out of the anchor itself, which counts votes; it is why the votes are needed
    besides their `statistics`.
    """
    weights = np.ones(fired.n_sources)
    theta = np.zeros((fired.n_sources, fired.n_classes, fired.n_classes))
    for step in range(rounds):
        if step:
            shares = vote_shares(fired, weights)
            statistics = replace(statistics, votes=count_votes(fired, shares), classes=fired.counts @ shares)
        uncovered = statistics.n_rows - statistics.n_covered
        theta = vote_rates(
            statistics.votes,
            statistics.classes + uncovered * balance,
            statistics.fired,
            statistics.n_rows,
            balance,
        )
        weights = dependency_weights(theta, statistics.fired, statistics.pairs, statistics.n_rows, balance)
    return Rates(with_gold(theta, gold), weights)


def fit_annotators(fired: FiredVotes, balance: np.ndarray, gold: GoldCounts | None = None) -> Rates:
    """Rates for annotators: EM conditioned on who answered, lightly anchored on the vote shares."""
    covered = fired.votes_per_pattern > 0
    n_rows = float(fired.counts.sum())
    shares = np.where(covered[:, None], vote_shares(fired), balance)
    anchor_votes, anchor_classes = count_votes(fired, shares), fired.counts @ shares
    emitted = fired.table
    weights = np.ones(fired.n_sources)
    posterior = shares
    theta = vote_rates(anchor_votes, anchor_classes, emitted, n_rows, balance)
    for _ in range(MAX_ITERATIONS):
        scores = score_table(Rates(theta, weights), given_fired=True)
        updated = class_posterior(fired, scores, balance)
        moved = float(fired.counts @ np.abs(updated - posterior).max(axis=1)) / max(n_rows, 1.0)
        posterior = updated
        votes = (count_votes(fired, posterior) + ANNOTATOR_ANCHOR * anchor_votes) / (1 + ANNOTATOR_ANCHOR)
        classes = (fired.counts @ posterior + ANNOTATOR_ANCHOR * anchor_classes) / (1 + ANNOTATOR_ANCHOR)
        theta = vote_rates(votes, classes, emitted, n_rows, balance)
        if moved < TOLERANCE:
            break
    return Rates(with_gold(theta, gold), weights)


def class_posterior(fired: FiredVotes, scores: np.ndarray, balance: np.ndarray) -> np.ndarray:
    """P(class | votes) per pattern: float64 array of shape (p, k); `balance` where every source abstains."""
    cells = scores.reshape(-1, fired.n_classes)[fired.code]
    logs = np.empty((len(fired.counts), fired.n_classes))
    for y in range(fired.n_classes):
        logs[:, y] = np.bincount(fired.pattern, weights=cells[:, y], minlength=len(fired.counts))
    logs += np.log(np.maximum(balance, TINY))
    logs -= logs.max(axis=1, keepdims=True)
    np.exp(logs, out=logs)
    logs /= logs.sum(axis=1, keepdims=True)
    return logs


def with_gold(theta: np.ndarray, gold: GoldCounts | None) -> np.ndarray:
    """Theta corrected by gold rows: (s theta + N_gold) / (s + T_gold)."""
    if gold is None:
        return theta
    corrected: np.ndarray = (GOLD_STRENGTH * theta + gold.votes) / (GOLD_STRENGTH + gold.classes)
    # A vote seen on gold rows only would rest on those alone; it stays unseen.
    return np.where(theta.sum(axis=2, keepdims=True) > 0, corrected, theta)
