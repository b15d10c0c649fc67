"""How good labels and probabilities are against known classes; every row may stand for several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsdb.core.matrix import ABSTAIN, SparseVotes, VotePatterns
from wsdb.labelmodel.score import ScoreForm, choose, posterior

LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a form on rows of known class.

    Attributes
    ----------
    accuracy : share of the covered rows with the right label; NaN without covered rows, as the next two
    macro_f1 : mean F1 over the classes that occur in gold or answer, covered rows
    log_loss : mean of -log P(true class), covered rows
    accuracy_all : share of all rows, an uncovered row getting the class that is likeliest a priori
    n_rows, n_covered : rows scored, and those with a vote
    """

    accuracy: float
    macro_f1: float
    log_loss: float
    accuracy_all: float
    n_rows: int
    n_covered: int


def score(form: ScoreForm, votes: VotePatterns | SparseVotes, gold: np.ndarray) -> Scores:
    """Score a form.

    Parameters
    ----------
    votes : rows, or distinct (votes, class) with counts
    gold : integer array of shape (p,), the class of the rows of each pattern or listed row; rows of a SparseVotes
        that are not listed are not scored
    """
    if gold.shape != (len(votes.counts),):
        raise ValueError(f"{len(gold)} classes do not match {len(votes.counts)} patterns")
    weights = votes.counts.astype(float)
    probabilities = posterior(form, votes if isinstance(votes, SparseVotes) else votes.votes)
    covered = covered_rows(votes)
    answer = np.where(covered, choose(form, probabilities), form.tie_order[0])
    right = answer == gold
    inside = weights * covered
    total = max(float(weights.sum()), 1.0)
    if not inside.any():
        none = float("nan")
        return Scores(none, none, none, float(weights @ right) / total, int(weights.sum()), 0)
    losses = -np.log(np.maximum(probabilities[np.arange(len(gold)), gold], LEAST_PROBABILITY))
    return Scores(
        float(inside @ right / inside.sum()),
        macro_f1(gold, answer, inside, form.n_classes),
        float(inside @ losses / inside.sum()),
        float(weights @ right) / total,
        int(weights.sum()),
        int(inside.sum()),
    )


def macro_f1(gold: np.ndarray, answer: np.ndarray, weights: np.ndarray, n_classes: int) -> float:
    """Mean F1 over the classes that occur in `gold` or `answer` (integer arrays of shape (p,)) where weights are > 0.

    Examples
    --------
    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3), 3)
    0.6666666666666666
    """
    cells = np.bincount(gold * n_classes + answer, weights=weights, minlength=n_classes**2)
    table = cells.reshape(n_classes, n_classes)
    either = table.sum(axis=0) + table.sum(axis=1)
    occurs = either > 0
    return float((2 * np.diag(table)[occurs] / either[occurs]).mean())


def covered_rows(votes: VotePatterns | SparseVotes) -> np.ndarray:
    """Whether each pattern or listed row has a vote: bool array of shape (p,)."""
    if isinstance(votes, SparseVotes):
        return np.bincount(votes.row, minlength=len(votes.counts)) > 0
    covered: np.ndarray = (votes.votes != ABSTAIN).any(axis=1)
    return covered
