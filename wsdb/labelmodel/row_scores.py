"""RowScores: what the label model of a shape makes of each vote, as numbers that add up to a row's probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsdb.labelmodel.bitvector import BitvectorFit
from wsdb.labelmodel.hmm_estimate import evidence_table
from wsdb.labelmodel.hmm_fitted import SequenceFit
from wsdb.labelmodel.joint import TINY
from wsdb.labelmodel.joint_fitted import JointFit
from wsdb.labelmodel.partial import PartialFit

NOT_APPLYING = "(does not apply)"
"""The last class of a task whose labels may not apply, as a task graph can have it."""


@dataclass(frozen=True, slots=True)
class RowScores:
    """The arithmetic of a row's label, up to a constant that is the same for all classes.

        total[y] = bias[y] + sum over votes of scores[j, code_j, y] + power * log(vote-share factor) + others[y]

    exp(total), scaled to sum to 1, are the probabilities; those of a bitvector are 1 / (1 + exp(-total)) of each label.

    Attributes
    ----------
    classes : names of the c classes
    scores : float64 array of shape (m, v, c), evidence of each code of each source, in nats
    bias, prior : float64 arrays of shape (c,), what is added without votes, and the answer without votes
    share : float64 array of shape (m, v, c), what a vote gives each class in the vote share; None where there is none
    mix, power : of the vote-share factor, see `wsdb.labelmodel.score.ScoreForm`
    silence : float64 array of shape (m, c), evidence of a source that does not vote; None for none
    rest : what `RowFit.others` is, as a word for reports; None where there is no such term
    about : int64 array of shape (m,), the class that each column of a bitvector is about; else None
    """

    classes: tuple[str, ...]
    scores: np.ndarray
    bias: np.ndarray
    prior: np.ndarray
    share: np.ndarray | None = None
    mix: float | None = None
    power: float = 0.0
    silence: np.ndarray | None = None
    rest: str | None = None
    about: np.ndarray | None = None


def partial_scores(fit: PartialFit, labels: Sequence[str]) -> RowScores:
    """Scores of votes for classes and sets of classes; a vote with a confidence counts that many times."""
    part = fit.sets / fit.sets.sum(axis=1, keepdims=True)
    return RowScores(
        tuple(labels),
        fit.temperature * fit.scores,
        fit.temperature * fit.bias,
        fit.prior,
        fit.weights[:, None, None] * part,
        fit.share_mix,
        fit.share_power,
    )


def bit_scores(fit: BitvectorFit, labels: Sequence[str], bits: Sequence[tuple[int, int]]) -> RowScores:
    """Log odds of yes, one for each label, that the votes no and yes of each column give its label.

    Parameters
    ----------
    bits : (source, label number) of each column
    """
    scores = np.zeros((len(bits), 2, len(labels)))
    for column, (source, bit) in enumerate(bits):
        one = fit.bits[bit]
        scores[column, :, bit] = one.temperature * (one.scores[source, :2, 1] - one.scores[source, :2, 0])
    bias = np.array([one.temperature * (one.bias[1] - one.bias[0]) for one in fit.bits])
    return RowScores(tuple(labels), scores, bias, fit.prior, about=np.array([bit for _, bit in bits], dtype=np.int64))


def sequence_scores(fit: SequenceFit, labels: Sequence[str]) -> RowScores:
    """Scores of the votes on an element; what its neighbours say comes to them. A vote for O is silence."""
    table, outside = evidence_table(fit.emission, fit.weights, fit.silent_weight), fit.tags.outside
    scores = table[:, 1:].copy()
    if outside >= 0:
        scores[:, outside] = table[:, 0]
    silence = table[:, 0] if fit.silent_weight else None
    return RowScores(
        tuple(labels), scores, np.zeros(len(labels)), fit.prior, silence=silence, rest="rest of the sequence"
    )


def joint_scores(fit: JointFit, task: int, names: Sequence[str], labels: Sequence[str]) -> RowScores:
    """Scores of the votes on one task of a graph; what the votes on the other tasks say comes to them.

    Parameters
    ----------
    task : its position in the graph
    names : the sources with a column for it
    """
    logs, prior = _joint_part(fit, task, names)
    classes = (*labels, NOT_APPLYING) if len(prior) > len(labels) else tuple(labels)
    return RowScores(classes, logs, np.log(np.maximum(prior, TINY)), prior, rest="other tasks")


def joint_others(fit: JointFit, task: int, names: Sequence[str], votes: np.ndarray, marginal: np.ndarray) -> np.ndarray:
    """What the votes on the other tasks, and the rules between them, say of one task.

    Where no source votes on two tasks, these are the log odds of the same row without its votes on the task, against
    the prior. A vote that follows from the source's other votes is no evidence of its own: the others take it back.

    Parameters
    ----------
    votes : int array of shape (n, m), the votes of `names` on the task; -1 is abstain
    marginal : float64 array of shape (n, k + 1), the answer of the joint model for the task

    Returns
    -------
    float64 array of shape (n, c), up to a constant of each row
    """
    logs, prior = _joint_part(fit, task, names)
    with np.errstate(divide="ignore"):
        others: np.ndarray = np.log(marginal[:, : len(prior)])
    others -= np.log(np.maximum(prior, TINY))
    table = np.concatenate([logs, np.zeros((len(logs), 1, len(prior)))], axis=1)  # -1 picks the row of zeros
    for j in range(votes.shape[1]):
        others -= table[j, votes[:, j]]
    return others


def _joint_part(fit: JointFit, task: int, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Log rates (m, k, c) of the sources on a task, and the prior (c,) of its classes."""
    for component, rates, prior in zip(fit.graph.components, fit.rates, fit.priors, strict=True):
        places = component.tasks.tolist()
        if task in places:
            at = places.index(task)
            k = int(component.sizes[at])
            values = component.vectors[:, at]
            shares = np.bincount(values, weights=prior, minlength=k + 1)
            width = k + 1 if (values == k).any() else k
            rows = [fit.sources.index(name) for name in names]
            return np.log(rates[rows, at, :k, :width] + TINY), shares[:width]
    raise ValueError(f"no component has task {task}")
