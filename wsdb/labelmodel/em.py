"""Expectation maximisation for annotators: a posterior over classes and a confusion matrix of each, in turn.

Both maximum likelihood (Dawid and Skene 1979) and mean-field Bayes (Kim and Ghahramani 2012) are this loop; they
differ in how counts become evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wsdb.labelmodel.rows import mean_change, softmax
from wsdb.labelmodel.statistics import VoteTable, count_votes, vote_shares

MAX_ITERATIONS = 100
TOLERANCE = 1e-5
SMALLEST = 1e-10
"""Least count of a value that a source uses, so that its log is finite."""

Evidence = Callable[[np.ndarray], np.ndarray]
"""Counts along the first axis of an array, to the log of their shares along it."""


@dataclass(frozen=True, slots=True)
class Confusions:
    """What EM ends with.

    Attributes
    ----------
    posterior : float64 array of shape (p, k), P(class | votes) of each pattern; zeros where no source votes
    counts : float64 array of shape (m, k, k), [j, v, y] rows of class y where source j votes v, prior included
    classes : float64 array of shape (k,), covered rows of each class
    evidence : float64 array of shape (m, k, k), log-likelihood of each vote given that the source votes
    bias : float64 array of shape (k,), log class balance
    iterations : E-steps done
    """

    posterior: np.ndarray
    counts: np.ndarray
    classes: np.ndarray
    evidence: np.ndarray
    bias: np.ndarray
    iterations: int


def estimate(
    fired: VoteTable,
    evidence: Evidence,
    *,
    prior: float,
    balance: np.ndarray | None = None,
    class_prior: float = 0.0,
    weights: np.ndarray | None = None,
    max_iter: int = MAX_ITERATIONS,
    tol: float = TOLERANCE,
) -> Confusions:
    """Run EM from the vote shares.

    Parameters
    ----------
    evidence : what counts say, see `Evidence`
    prior : votes added to each source and class, evenly over the values that the source uses
    balance : float64 array of shape (k,), the class balance; None to estimate it
    class_prior : rows added to each class where the balance is estimated
    weights : float64 array of shape (m,), weight of each source's evidence; None is 1 each
    max_iter : most E-steps
    tol : mean change of a row's largest changed probability at which to stop; 0 to do all of `max_iter`
    """
    k = fired.n_classes
    covered = fired.votes_per_pattern > 0
    n_covered = max(float(fired.counts[covered].sum()), 1.0)
    used = (fired.table > 0)[:, :, None]
    added = prior / k
    given = None if balance is None else np.log(np.maximum(balance, SMALLEST))

    def maximise(posterior: np.ndarray) -> tuple[np.ndarray, ...]:
        counts = np.where(used, np.maximum(count_votes(fired, posterior) + added, SMALLEST), 0.0)
        classes = fired.counts @ posterior
        bias = evidence(classes + class_prior) if given is None else given
        logs = evidence(np.moveaxis(counts, 1, 0))
        return counts, classes, bias, np.where(used, np.moveaxis(logs, 0, 1), 0.0)

    posterior = vote_shares(fired)
    counts, classes, bias, logs = maximise(posterior)
    done = 0
    for done in range(1, max_iter + 1):  # noqa: B007
        scores = logs if weights is None else weights[:, None, None] * logs
        updated = softmax(fired.class_logs(scores) + bias)
        updated[~covered] = 0.0
        moved = mean_change(updated, posterior, fired.counts, n_covered)
        posterior = updated
        counts, classes, bias, logs = maximise(posterior)
        if moved < tol:
            break
    return Confusions(posterior, counts, classes, logs, bias, done)
