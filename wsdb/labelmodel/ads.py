"""Anchored Dawid-Skene (ADS): class-conditional vote rates read off the majority-vote posterior.

theta[j, v, y] = P(source j votes v | class y). Dawid and Skene (1979) alternate a posterior over classes with
these rates; here the counts behind the rates stay anchored on the vote shares, abstaining is no evidence, and
sources that agree more than their rates explain are weighted down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wsdb.labelmodel.dependencies import NO_PAIRS, GivenPairs, dependency_weights
from wsdb.labelmodel.gold import GoldCounts
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.rows import TINY, mean_change, row_max, row_sum, softmax
from wsdb.labelmodel.score import TIE
from wsdb.labelmodel.statistics import Statistics, VoteTable, count_shares, count_votes, vote_shares
from wsdb.labelmodel.summary import Sampled

PRIOR_ACCURACY = 0.75
"""a0: share of the prior's votes that are right."""
PRIOR_STRENGTH = 10.0
"""s0: rows of prior votes per value that a source emits."""
GOLD_STRENGTH = 100.0
"""s: rows that the vote-only rates count for when gold rows correct them."""
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
        scores = scores - np.log(np.maximum(theta.sum(axis=1, keepdims=True), TINY))
    seen = theta.sum(axis=2, keepdims=True) > 0
    return np.where(seen, rates.weights[:, None, None] * scores, 0.0)


def fit_anchored(
    fired: VoteTable,
    statistics: Statistics,
    balance: np.ndarray,
    gold: GoldCounts | None = None,
    rounds: int = 2,
    *,
    learned: bool = True,
    given: GivenPairs = NO_PAIRS,
    majority: bool = False,
    sampled: Sampled | None = None,
) -> Rates:
    """Rates for labeling functions: an M-step from the vote shares, then one from weighted shares.

    The second round takes copies out of the anchor itself, which counts votes; it is why the votes are needed
    besides their `statistics`.

    Parameters
    ----------
    learned : weigh sources down by what they repeat of each other
    given : pairs that are known to depend on each other
    majority : read the rates off the majority of each row, not the vote shares, see `majority_counts`
    sampled : the plain counts of the votes where they are a sample of those that `statistics` counts
    """
    weights = np.ones(fired.n_sources)
    theta = np.zeros((fired.n_sources, fired.n_classes, fired.n_classes))
    pairs, whole = statistics.pairs if learned else PairCounts.empty(), statistics
    for step in range(rounds):
        if majority or (step and (weights < 1).any()):
            votes, classes = (majority_counts if majority else count_shares)(fired, weights)
            if sampled is not None:
                votes, classes = sampled.scaled(whole, votes, classes)
            statistics = replace(statistics, votes=votes, classes=classes)
        theta = anchored_rates(statistics, balance)
        weights = dependency_weights(theta, statistics.fired, pairs, statistics.n_rows, balance, given)
    return Rates(with_gold(theta, gold), weights)


def majority_counts(fired: VoteTable, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Votes by class and rows by class, a row being of the class with the largest vote share; ties in equal parts.

    The anchor of rows with many votes. Their shares stay away from 0 and 1 however sure the class is: of 30
    independent votes that are right 3 times in 4, a quarter goes to the wrong class. Rates read off such shares are
    pulled together; the agreement that the class itself causes then exceeds what they explain, and passes for
    dependence. On rows with few votes the majority is the worse anchor: it forgets how they are split.

    Parameters
    ----------
    weights : float64 array of shape (m,), weight of a source in the shares

    Returns
    -------
    N : float64 array of shape (m, k, k), see `count_votes`
    T : float64 array of shape (k,), rows with a vote by class
    """
    shares = vote_shares(fired, weights)
    top = (shares >= row_max(shares)[:, None] - TIE).astype(float)
    top /= row_sum(top)[:, None]
    top[fired.votes_per_pattern == 0] = 0.0
    return count_votes(fired, top), fired.counts @ top


def anchored_rates(statistics: Statistics, balance: np.ndarray) -> np.ndarray:
    """M-step from the vote shares; rows without votes have the class `balance`."""
    uncovered = statistics.n_rows - statistics.n_covered
    classes = statistics.classes + uncovered * balance
    return vote_rates(statistics.votes, classes, statistics.fired, statistics.n_rows, balance)


def fit_annotators(
    fired: VoteTable,
    balance: np.ndarray,
    gold: GoldCounts | None = None,
    *,
    weights: np.ndarray | None = None,
    max_iter: int = MAX_ITERATIONS,
    tol: float = TOLERANCE,
) -> Rates:
    """Rates for annotators: EM conditioned on who answered, lightly anchored on the vote shares.

    Parameters
    ----------
    weights : float64 array of shape (m,), weight of each source's evidence; None is 1 each
    """
    covered = fired.votes_per_pattern > 0
    n_rows = float(fired.counts.sum())
    shares = np.where(covered[:, None], vote_shares(fired), balance)
    anchor_votes, anchor_classes = count_votes(fired, shares), fired.counts @ shares
    emitted = fired.table
    weights = np.ones(fired.n_sources) if weights is None else weights
    posterior = shares
    theta = vote_rates(anchor_votes, anchor_classes, emitted, n_rows, balance)
    for _ in range(max_iter):
        scores = score_table(Rates(theta, weights), given_fired=True)
        updated = class_posterior(fired, scores, balance)
        moved = mean_change(updated, posterior, fired.counts, n_rows)
        posterior = updated
        votes = (count_votes(fired, posterior) + ANNOTATOR_ANCHOR * anchor_votes) / (1 + ANNOTATOR_ANCHOR)
        classes = (fired.counts @ posterior + ANNOTATOR_ANCHOR * anchor_classes) / (1 + ANNOTATOR_ANCHOR)
        theta = vote_rates(votes, classes, emitted, n_rows, balance)
        if moved < tol:
            break
    return Rates(with_gold(theta, gold), weights)


def class_posterior(fired: VoteTable, scores: np.ndarray, balance: np.ndarray) -> np.ndarray:
    """P(class | votes) per pattern: float64 array of shape (p, k); `balance` where every source abstains."""
    logs = fired.class_logs(scores)
    logs += np.log(np.maximum(balance, TINY))
    return softmax(logs)


def with_gold(theta: np.ndarray, gold: GoldCounts | None) -> np.ndarray:
    """Theta corrected by gold rows: (s theta + N_gold) / (s + T_gold)."""
    if gold is None:
        return theta
    corrected: np.ndarray = (GOLD_STRENGTH * theta + gold.votes) / (GOLD_STRENGTH + gold.classes)
    # A vote seen on gold rows only would rest on those alone; it stays unseen.
    return np.where(theta.sum(axis=2, keepdims=True) > 0, corrected, theta)
