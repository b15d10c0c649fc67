"""ScoreForm: the closed form of every label model's posterior, and its evaluation in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wsdb.core.matrix import ABSTAIN, SparseVotes
from wsdb.labelmodel.fired import FiredVotes
from wsdb.labelmodel.rows import row_max, row_sum

TIE = 1e-9
"""Probabilities nearer than this are a tie: the higher prior wins, then the lower class."""
CHUNK_CELLS = 1 << 19
"""Cells (rows x classes) scored at a time."""


@dataclass(frozen=True, slots=True)
class ScoreForm:
    """Posterior of a row, up to its normaliser.

        exp(temperature * (bias[y] + sum over fired j of scores[j, v_j, y]))
            * (share_mix * share[y] + (1 - share_mix) / k) ** share_power

    with share[y] the share of the row's votes that are y. A row without votes has `prior` and no label.

    Attributes
    ----------
    bias : float64 array of shape (k,)
    scores : float64 array of shape (m, k, k), [j, v, y] evidence of a vote v by source j for class y, in nats
    temperature : multiplies the evidence; below 1 flattens
    share_mix : in [0, 1], or None for no vote-share factor
    share_power : exponent of the vote-share factor
    prior : float64 array of shape (k,), sums to 1; breaks ties and is the answer for uncovered rows
    share_weights : float64 array of shape (m,), positive, weight of a vote in the vote share; None is 1 each
    """

    bias: np.ndarray
    scores: np.ndarray
    temperature: float
    share_mix: float | None
    share_power: float
    prior: np.ndarray
    share_weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        k = len(self.prior)
        if self.bias.shape != (k,) or self.scores.ndim != 3 or self.scores.shape[1:] != (k, k):
            raise ValueError(f"bias {self.bias.shape}, scores {self.scores.shape} do not match {k} classes")

    @property
    def n_sources(self) -> int:
        """Number of sources, m."""
        return len(self.scores)

    @property
    def n_classes(self) -> int:
        """Number of classes, k."""
        return len(self.prior)

    @property
    def tie_order(self) -> np.ndarray:
        """Classes from the one that wins ties to the one that loses them: int64 array of shape (k,)."""
        return np.lexsort((np.arange(self.n_classes), -self.prior))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "bias": self.bias.tolist(),
            "scores": self.scores.tolist(),
            "temperature": self.temperature,
            "share_mix": self.share_mix,
            "share_power": self.share_power,
            "prior": self.prior.tolist(),
            "share_weights": None if self.share_weights is None else self.share_weights.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ScoreForm:
        """Read what `to_dict` returned."""
        prior = np.asarray(values["prior"], dtype=float)
        weights = values["share_weights"]
        return cls(
            np.asarray(values["bias"], dtype=float),
            np.asarray(values["scores"], dtype=float).reshape(-1, len(prior), len(prior)),
            values["temperature"],
            values["share_mix"],
            values["share_power"],
            prior,
            None if weights is None else np.asarray(weights, dtype=float),
        )


def posterior(form: ScoreForm, votes: np.ndarray | SparseVotes) -> np.ndarray:
    """P(class | votes) of each row.

    Parameters
    ----------
    votes : integer array of shape (n, m), values in {-1, 0 … k-1}; -1 is abstain; or a list of votes, of which
        the listed rows are answered

    Returns
    -------
    float64 array of shape (n, k); rows sum to 1; `form.prior` where every source abstains.

    Raises
    ------
    ValueError
        If the columns are not the form's sources or a vote is out of range.
    """
    k = form.n_classes
    if isinstance(votes, SparseVotes):
        return _posterior_listed(form, votes)
    if votes.ndim != 2 or votes.shape[1] != form.n_sources:
        raise ValueError(f"votes {votes.shape} do not match {form.n_sources} sources")
    if votes.size and (votes.min() < ABSTAIN or votes.max() >= k):
        raise ValueError(f"votes must be in -1 … {k - 1}")
    # One more row of zeros per source, which index -1 (abstain) picks.
    tables = np.zeros((form.n_sources, k + 1, k))
    tables[:, :k] = form.temperature * form.scores
    useful = [j for j in range(form.n_sources) if tables[j].any()]
    answer = np.empty((len(votes), k))
    step = max(1, CHUNK_CELLS // k)
    for first in range(0, len(votes), step):
        # Columns as rows: a lookup then reads contiguous votes.
        block = np.ascontiguousarray(votes[first : first + step].T)
        answer[first : first + step] = _posterior_block(form, tables, useful, block)
    return answer


def _posterior_listed(form: ScoreForm, votes: SparseVotes) -> np.ndarray:
    if len(votes.sources) != form.n_sources or votes.n_classes != form.n_classes:
        shape = (len(votes.sources), votes.n_classes)
        raise ValueError(f"votes of {shape} sources and classes do not match {form.n_sources, form.n_classes}")
    fired = FiredVotes.of(votes)
    logs = form.temperature * (fired.class_logs(form.scores) + form.bias)
    logs -= row_max(logs)[:, None]
    mass = np.exp(logs, out=logs)
    if form.share_mix is not None:
        shares = fired.shares(form.share_weights)
        mass *= (form.share_mix * shares + (1 - form.share_mix) / form.n_classes) ** form.share_power
    totals = row_sum(mass)[:, None]
    np.divide(mass, totals, out=mass, where=totals > 0)
    mass[fired.votes_per_pattern == 0] = form.prior
    answer: np.ndarray = mass[: len(votes.counts)]
    return answer


def _posterior_block(form: ScoreForm, tables: np.ndarray, useful: list[int], block: np.ndarray) -> np.ndarray:
    n, k = block.shape[1], form.n_classes
    logs = np.tile(form.temperature * form.bias, (n, 1))
    for j in useful:
        logs += tables[j][block[j]]
    logs -= logs.max(axis=1, keepdims=True)
    mass = np.exp(logs, out=logs)
    n_votes = np.count_nonzero(block != ABSTAIN, axis=0)
    covered = n_votes > 0
    if form.share_mix is not None:
        shares = _shares(form, block)
        mass *= (form.share_mix * shares + (1 - form.share_mix) / k) ** form.share_power
    totals = mass.sum(axis=1, keepdims=True)
    np.divide(mass, totals, out=mass, where=totals > 0)
    mass[~covered] = form.prior
    return mass


def _shares(form: ScoreForm, block: np.ndarray) -> np.ndarray:
    classes = range(form.n_classes)
    if form.share_weights is None:
        counts = np.stack([np.count_nonzero(block == y, axis=0) for y in classes], axis=1).astype(float)
    else:
        counts = np.stack([form.share_weights @ (block == y) for y in classes], axis=1)
    totals = counts.sum(axis=1, keepdims=True)
    counts /= np.where(totals > 0, totals, 1.0)
    return counts


def choose(form: ScoreForm, probabilities: np.ndarray) -> np.ndarray:
    """Class of each row of `probabilities` (float64, shape (n, k)); ties go by prior, then class number."""
    order = form.tie_order
    near = probabilities[:, order] >= probabilities.max(axis=1, keepdims=True) - TIE
    chosen: np.ndarray = order[near.argmax(axis=1)]
    return chosen


def decide(form: ScoreForm, votes: np.ndarray | SparseVotes) -> np.ndarray:
    """Label of each row of `votes` (see `posterior`): int64 array of shape (n,), -1 where no source votes."""
    if isinstance(votes, SparseVotes):
        covered = np.bincount(votes.row, minlength=len(votes.counts)) > 0
        return np.where(covered, choose(form, posterior(form, votes)), ABSTAIN)
    if not votes.size:
        return np.full(len(votes), ABSTAIN, dtype=np.int64)
    labels = choose(form, posterior(form, votes))
    return np.where((votes != ABSTAIN).any(axis=1), labels, ABSTAIN)
