"""`fit_rows`: label models whose posterior is no closed form over one row's votes, fitted and answered row by row.

Sequences (hidden Markov model), sets (one element is right), bitvectors (any labels apply), ordered labels, and votes
with a confidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.bitvector import bit_posterior, decide_bits, fit_bitvector
from wsdb.labelmodel.hmm import fit_hmm, tag_sequences
from wsdb.labelmodel.ordinal import decide_ordinal, fit_ordinal
from wsdb.labelmodel.partial import PartialFit, fit_partial, partial_posterior, set_accuracy
from wsdb.labelmodel.row_scores import RowScores, bit_scores, partial_scores, sequence_scores
from wsdb.labelmodel.select_one import fit_select, select_posterior
from wsdb.labelmodel.sequence import group_codes

PRIOR_ROWS = 10.0


@dataclass(frozen=True, slots=True)
class RowVoteMatrix:
    """The votes of a label matrix in the order of its keys.

    Attributes
    ----------
    votes : int array of shape (n, m), values in {-1, 0 … k-1}; -1 is abstain
    sources : m names of its columns
    offsets : int64 array of shape (g + 1,), the elements of group i are the rows offsets[i] … offsets[i + 1] - 1; a
        row is a group of its own where the task is not about elements
    confidence : float64 array of shape (n, m) in [0, 1], or None where no vote has one
    bits : of a bitvector, the (source, label number) of each column, else empty
    sets : bool array of shape (s, k): a vote k + i is for one of the classes of row i; None where there are none
    """

    votes: np.ndarray
    sources: tuple[str, ...]
    offsets: np.ndarray
    confidence: np.ndarray | None = None
    bits: tuple[tuple[str, int], ...] = ()
    sets: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class RowFit:
    """A fitted label model with its answer on every row it was fitted to.

    Attributes
    ----------
    chosen, reason, notices : what was fitted, why, and what the user should know
    sources : m names; those of a bitvector are the columns, each about one label
    accuracy, propensity, weights, stderr : float64 arrays of shape (m,); see `wsdb.labelmodel.fitted.Fit`. A vote for
        several labels is right where one of them is
    precision : float64 array of shape (m, v) of each label voted, NaN where never voted; those of a bitvector are no
        and yes
    counts : int64 array of shape (m,), rows with a vote
    n_rows, n_patterns : sizes of what was fitted
    parameters : everything that was estimated, as plain values
    probabilities : float64 array of shape (n, k); of a bitvector P(yes) of each label; else rows sum to 1
    labels : int64 array of shape (n,), the class, -1 where uncovered; of a bitvector of shape (n, k): 1, 0 or -1
    covered : bool array of shape (n,)
    scores : what the probabilities are made of; None for sets, where it depends on the votes on the other elements
    others : float64 array of shape (n, c), the term `scores.rest` of each row; None where there is none
    confusion : float64 array of shape (m, v, v), [j, v, y] = P(source j votes v | it votes, class y), of a bitvector
        of no and yes; NaN for a source that never votes; None where the model has no such rates
    """

    chosen: str
    reason: str
    notices: tuple[str, ...]
    sources: tuple[str, ...]
    accuracy: np.ndarray
    precision: np.ndarray
    propensity: np.ndarray
    weights: np.ndarray
    counts: np.ndarray
    n_rows: int
    n_patterns: int
    parameters: dict[str, Any]
    probabilities: np.ndarray
    labels: np.ndarray
    covered: np.ndarray
    scores: RowScores | None = None
    others: np.ndarray | None = None
    confusion: np.ndarray | None = None

    @property
    def stderr(self) -> np.ndarray:
        """Standard error of the accuracy of each source: float64 array of shape (m,)."""
        found: np.ndarray = np.sqrt(self.accuracy * (1 - self.accuracy) / (self.counts + PRIOR_ROWS))
        return found


def fit_rows(kind: str, matrix: RowVoteMatrix, labels: Sequence[str], balance: np.ndarray | None = None) -> RowFit:
    """Fit the label model of a shape and answer every row.

    Parameters
    ----------
    kind : ``sequence``, ``select``, ``bitvector``, ``ordinal`` or ``soft`` (votes with a confidence)
    labels : k names
    balance : float64 array of shape (k,), the class balance, or None
    """
    return SHAPES[kind](matrix, labels, balance)


def _sequence(matrix: RowVoteMatrix, labels: Sequence[str], balance: np.ndarray | None) -> RowFit:
    fit = fit_hmm(matrix.votes, matrix.offsets, labels, balance=balance)
    tagged = tag_sequences(fit, matrix.votes, matrix.offsets)
    bio = "spans of B- and I- labels" if fit.tags.bio else "labels"
    return RowFit(
        "hmm",
        f"The elements of a row are labeled together by a hidden Markov model over {bio}: "
        f"{fit.n_sequences:,} sequences of {fit.n_elements:,} elements.",
        (),
        matrix.sources,
        fit.accuracy,
        fit.precision,
        fit.propensity,
        fit.weights,
        fit.counts,
        len(matrix.votes),
        fit.n_patterns,
        fit.to_dict(),
        tagged.posterior,
        tagged.labels,
        tagged.covered,
        sequence_scores(fit, labels),
        tagged.others,
        voted_rates(fit.emission[:, 1:], fit.counts),
    )


def _select(matrix: RowVoteMatrix, labels: Sequence[str], balance: np.ndarray | None) -> RowFit:
    fit = fit_select(matrix.votes, matrix.offsets)
    answer = select_posterior(fit, matrix.votes, matrix.offsets)
    sizes = np.diff(matrix.offsets)
    group = np.repeat(np.arange(len(sizes)), sizes)
    covered = answer.covered[group]
    chosen = np.arange(len(group)) == answer.chosen[group]
    voted = np.zeros((len(matrix.sources), len(labels)), dtype=bool)
    for value in range(len(labels)):
        voted[:, value] = (matrix.votes == value).any(axis=0)
    return RowFit(
        "select",
        f"One element of each row is right: the probabilities of a row's elements sum to 1, in {fit.n_groups:,} rows.",
        (),
        matrix.sources,
        fit.accuracy,
        np.where(voted, fit.accuracy[:, None], np.nan),
        (matrix.votes != ABSTAIN).mean(axis=0) if len(matrix.votes) else np.zeros(len(matrix.sources)),
        fit.weights,
        (matrix.votes != ABSTAIN).sum(axis=0).astype(np.int64),
        len(matrix.votes),
        _n_patterns(matrix.votes),
        fit.to_dict(),
        np.stack([1 - answer.probability, answer.probability], axis=1),
        np.where(covered, chosen.astype(np.int64), ABSTAIN),
        covered,
    )


def _bitvector(matrix: RowVoteMatrix, labels: Sequence[str], balance: np.ndarray | None) -> RowFit:
    names = tuple(dict.fromkeys(name for name, _ in matrix.bits))
    n, k = len(matrix.votes), len(labels)
    votes = np.full((n, len(names), k), ABSTAIN, dtype=np.int8)
    for column, (name, bit) in enumerate(matrix.bits):
        votes[:, names.index(name), bit] = matrix.votes[:, column]
    first, kind = group_codes(votes.reshape(n, len(names) * k).astype(np.int64) + 1, 3)
    distinct, counts = votes[first], np.bincount(kind, minlength=len(first)).astype(float)
    fit = fit_bitvector(distinct, balance, counts)
    places = [(names.index(name), bit) for name, bit in matrix.bits]

    def of_columns(figures: Callable[[PartialFit], np.ndarray]) -> np.ndarray:
        return np.array([figures(fit.bits[bit])[source] for source, bit in places])

    given = matrix.votes != ABSTAIN
    said = np.stack([(matrix.votes == value).any(axis=0) for value in (0, 1)], axis=1)
    return RowFit(
        "bitvector",
        f"Each of the {k} labels applies or not on its own; a source's accuracy is pooled over the labels.",
        (),
        matrix.sources,
        of_columns(lambda one: one.accuracy),
        np.where(said, of_columns(lambda one: one.precision).reshape(-1, 2), np.nan),
        given.mean(axis=0) if n else np.zeros(len(places)),
        of_columns(lambda one: one.weights),
        given.sum(axis=0).astype(np.int64),
        n,
        len(first),
        fit.to_dict(),
        bit_posterior(fit, distinct)[kind],
        decide_bits(fit, distinct)[kind],
        given.any(axis=1),
        bit_scores(fit, labels, places),
        confusion=voted_rates(of_columns(lambda one: one.theta).reshape(-1, 2, 2), given.sum(axis=0)),
    )


def _ordinal(matrix: RowVoteMatrix, labels: Sequence[str], balance: np.ndarray | None) -> RowFit:
    def decide(probabilities: np.ndarray, covered: np.ndarray) -> np.ndarray:
        return decide_ordinal(probabilities, covered)

    reason = "The labels have an order: votes near the right one count for it, and a label is the median of its row."
    return _partial("ordinal", reason, matrix, labels, balance, fit_ordinal, decide)


def _soft(matrix: RowVoteMatrix, labels: Sequence[str], balance: np.ndarray | None) -> RowFit:
    def decide(probabilities: np.ndarray, covered: np.ndarray) -> np.ndarray:
        return np.where(covered, probabilities.argmax(axis=1), ABSTAIN)

    reason = "Votes have a confidence: the evidence of a vote is multiplied with it."
    if matrix.sets is not None:
        reason = "Votes for one of several labels count for each of them, by what their source votes elsewhere."
    return _partial("ads, soft votes", reason, matrix, labels, balance, fit_partial, decide)


def _partial(
    chosen: str,
    reason: str,
    matrix: RowVoteMatrix,
    labels: Sequence[str],
    balance: np.ndarray | None,
    fitter: Callable[..., PartialFit],
    decide: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> RowFit:
    votes, confidence = matrix.votes, matrix.confidence
    fit = fitter(votes, len(labels), matrix.sets, confidence=confidence, balance=balance)
    covered = (votes != ABSTAIN).any(axis=1)
    if confidence is not None:
        covered = ((votes != ABSTAIN) & (confidence > 0)).any(axis=1)
    probabilities = partial_posterior(fit, votes, confidence)
    known = () if balance is not None else ("class balance unknown; give CLASS BALANCE",)
    accuracy = fit.accuracy if matrix.sets is None else set_accuracy(fit, votes)
    return RowFit(
        chosen,
        reason,
        known,
        matrix.sources,
        accuracy,
        fit.precision,
        fit.propensity,
        fit.weights,
        fit.counts,
        len(votes),
        _n_patterns(votes),
        fit.to_dict(),
        probabilities,
        decide(probabilities, covered),
        covered,
        partial_scores(fit, labels),
        confusion=voted_rates(fit.theta, fit.counts),
    )


def voted_rates(rates: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """P(source j votes v | it votes, class y): float64 array of shape (m, k, k), NaN where it never votes.

    Parameters
    ----------
    rates : float64 array of shape (m, k, k), [j, v, y] = P(source j votes v | class y)
    counts : int64 array of shape (m,), its votes
    """
    total = rates.sum(axis=1, keepdims=True)
    known = (total > 0) & (counts > 0)[:, None, None]
    shares: np.ndarray = np.full(rates.shape, np.nan)
    np.divide(rates, total, out=shares, where=np.broadcast_to(known, rates.shape))
    return shares


def _n_patterns(votes: np.ndarray) -> int:
    first, _ = group_codes(votes.astype(np.int64) + 1, int(votes.max(initial=0)) + 2)
    return len(first)


SHAPES: dict[str, Callable[[RowVoteMatrix, Sequence[str], np.ndarray | None], RowFit]] = {
    "sequence": _sequence,
    "select": _select,
    "bitvector": _bitvector,
    "ordinal": _ordinal,
    "soft": _soft,
}
