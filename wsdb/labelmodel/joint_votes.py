"""Votes of a task graph as combinations: what each source says of all tasks of a component at once.

A vote on one task can decide others: who votes for a leaf votes for its whole path. The likelihood of such a
vote is that of its coarsest part times that of each finer part given the coarser ones (the chain rule), so the
decided parts are filled in, from coarse to fine. A part that follows from coarser ones, such as "the tasks
beside the path do not apply", has probability one and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.joint_graph import Component
from wsdb.labelmodel.sequence import group_codes

UNDECIDED = -1


@dataclass(frozen=True, slots=True)
class SourceVotes:
    """The combinations of votes that one source casts over the tasks of a component.

    Attributes
    ----------
    number : int64 array of shape (p,), the combination in each pattern
    values : int64 array of shape (c, t), label code; -1 where the source says nothing that does not follow
        from the other values
    """

    number: np.ndarray
    values: np.ndarray

    @property
    def voted(self) -> np.ndarray:
        """Bool array of shape (p,): the source votes in the pattern."""
        some: np.ndarray = (self.values != UNDECIDED).any(axis=1)[self.number]
        return some

    def agreement(self, vectors: np.ndarray) -> np.ndarray:
        """Number of values that a vector agrees with: float64 array of shape (c, r)."""
        total = np.zeros((len(self.values), len(vectors)))
        for t in range(vectors.shape[1]):
            fired = np.flatnonzero(self.values[:, t] != UNDECIDED)
            total[fired] += self.values[fired, t][:, None] == vectors[:, t]
        return total

    def evidence(self, log_rates: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """Log-likelihood of each combination given each vector: float64 array of shape (c, r).

        Parameters
        ----------
        log_rates : float64 array of shape (t, kmax, kmax), [t, v, u] log P(vote v | voted, task t has u)
        vectors : int64 array of shape (r, t)
        """
        total = np.zeros((len(self.values), len(vectors)))
        for t in range(vectors.shape[1]):
            fired = np.flatnonzero(self.values[:, t] != UNDECIDED)
            total[fired] += log_rates[t][self.values[fired, t]][:, vectors[:, t]]
        return total


def read_votes(component: Component, votes: np.ndarray, columns: list[list[tuple[int, int]]]) -> list[SourceVotes]:
    """Complete the votes of each source.

    Parameters
    ----------
    votes : integer array of shape (p, c), label codes; -1 is abstain
    columns : for each source, its (column of `votes`, task within the component)
    """
    return [_source_votes(component, votes, own) for own in columns]


def _source_votes(component: Component, votes: np.ndarray, own: list[tuple[int, int]]) -> SourceVotes:
    n_tasks = len(component.tasks)
    if not own or not len(votes):
        return SourceVotes(np.zeros(len(votes), dtype=np.int64), np.full((1, n_tasks), UNDECIDED))
    said = votes[:, [column for column, _ in own]].astype(np.int64)
    first, number = group_codes(said + 1, int(said.max()) + 2)
    values = np.full((len(first), n_tasks), UNDECIDED)
    for c, row in enumerate(said[first].tolist()):
        explicit = {task: vote for (_, task), vote in zip(own, row, strict=True) if vote != ABSTAIN}
        for task, value in _parts(component, explicit):
            values[c, task] = value
    return SourceVotes(number, values)


def _parts(component: Component, explicit: dict[int, int]) -> list[tuple[int, int]]:
    """(task, label) pairs that say what `explicit` says, none of which follows from the ones before it."""
    vectors = component.vectors
    implied: dict[int, set[int]] = {}
    for task, label in explicit.items():
        left = vectors[vectors[:, task] == label]
        for other in np.flatnonzero((left == left[0]).all(axis=0)).tolist():
            implied.setdefault(other, set()).add(int(left[0, other]))
    # Where explicit votes imply different labels of a task, they say nothing of it.
    decided = {t: min(labels) for t, labels in implied.items() if len(labels) == 1}
    decided = {t: label for t, label in decided.items() if label < component.sizes[t]} | explicit
    agreeing = {task: vectors[:, task] == label for task, label in decided.items()}
    parts = []
    possible = np.ones(len(vectors), dtype=bool)
    for task in sorted(decided, key=lambda t: (-int(agreeing[t].sum()), t)):
        follows = not (possible & ~agreeing[task]).any() and possible.any()
        if not follows:
            parts.append((task, decided[task]))
            possible &= agreeing[task]
    return parts
