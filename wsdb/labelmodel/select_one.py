"""Select-one tasks: exactly one element of each group is right, as one candidate entity of a query.

A source's votes within a group are one vote for a set S of candidates: those it votes for, or, where it only
votes against some, all others. It has one candidate in mind, the right one with probability accuracy[j], any
other with an equal part of the rest, and shows a set that holds it (coarsening at random, as in
`wsdb.labelmodel.partial`). With G candidates and beta = (1 - accuracy) / (G - 1)

    P(S | right one in S) = accuracy + (|S| - 1) beta        P(S | right one elsewhere) = |S| beta

so that a vote for one of two says less than a vote for one of ten, and a vote for all says nothing. A group may
have no right element: "none" is then one more candidate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.sequence import check_offsets, groups_of

PRIOR_ACCURACY = 0.75
PRIOR_STRENGTH = 10.0
"""Prior votes of each source, 0.75 of them right."""
ANCHOR = 0.3
"""kappa: weight of the counts at the start against those of the posterior."""
MAX_ITERATIONS = 30
TOLERANCE = 1e-4
MOST_ACCURATE = 1 - 1e-6


@dataclass(frozen=True, slots=True)
class SelectFit:
    """A fitted model of m sources.

    Attributes
    ----------
    accuracy : float64 array of shape (m,), estimated P(the candidate in mind is right | voted in the group)
    weights : float64 array of shape (m,), 1 / number of sources with identical votes
    propensity : float64 array of shape (m,), share of groups with a vote
    counts : int64 array of shape (m,), groups with a vote
    none_prior : P(no element of a group is right), or None where every group has one
    iterations : times the accuracies were re-estimated
    n_groups : groups fitted
    """

    accuracy: np.ndarray
    weights: np.ndarray
    propensity: np.ndarray
    counts: np.ndarray
    none_prior: float | None
    iterations: int
    n_groups: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        arrays = {name: getattr(self, name).tolist() for name in ("accuracy", "weights", "propensity", "counts")}
        rest = {name: getattr(self, name) for name in ("none_prior", "iterations", "n_groups")}
        return arrays | rest

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SelectFit:
        """Read what `to_dict` returned."""
        read = dict(values)
        for name in ("accuracy", "weights", "propensity"):
            read[name] = np.asarray(values[name], dtype=float)
        read["counts"] = np.asarray(values["counts"], dtype=np.int64)
        return cls(**read)


@dataclass(frozen=True, slots=True)
class Selected:
    """Answers for n elements in g groups.

    Attributes
    ----------
    probability : float64 array of shape (n,), P(element is the right one); with `none` sums to 1 within a group
    none : float64 array of shape (g,), P(no element is right); 0 where the model has no such candidate
    chosen : int64 array of shape (g,), the likeliest element, the first of equals; -1 where none is likelier
        than all, or where uncovered
    covered : bool array of shape (g,), some source votes in the group
    """

    probability: np.ndarray
    none: np.ndarray
    chosen: np.ndarray
    covered: np.ndarray


@dataclass(frozen=True, slots=True)
class _Ballots:
    """Candidates group after group, "none" last in each, and the set that each source votes for.

    chosen: bool (c, m), candidate is in the source's set. sizes: float (g, m), |S|; 0 without a vote.
    candidates: float (g,), G. is_none: bool (c,). group: int64 (c,). starts: int64 (g,).
    """

    chosen: np.ndarray
    sizes: np.ndarray
    candidates: np.ndarray
    is_none: np.ndarray
    group: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, votes: np.ndarray, offsets: np.ndarray, *, with_none: bool) -> _Ballots:
        """Read the votes of groups that all have an element."""
        n_groups = len(offsets) - 1
        if with_none:
            # A row without votes stands for "none" at the end of every group.
            votes = np.insert(votes, offsets[1:], ABSTAIN, axis=0)
            offsets = offsets + np.arange(n_groups + 1)
        group, starts = groups_of(offsets), offsets[:-1]
        is_none = np.zeros(len(votes), dtype=bool)
        if with_none:
            is_none[offsets[1:] - 1] = True
        positive, negative = votes == 1, votes == 0
        says_for = _any(positive, starts)
        says_against = _any(negative, starts)
        rest = ~negative & (says_against & ~says_for)[group]
        chosen = np.where(says_for[group], positive, rest)
        sizes = _sum(chosen.astype(float), starts)
        candidates = np.diff(offsets).astype(float)
        # A vote for every candidate, or against every one, leaves all of them.
        open_choice = (sizes == candidates[:, None]) | (sizes == 0)
        chosen &= ~open_choice[group]
        return cls(chosen, np.where(open_choice, 0.0, sizes), candidates, is_none, group, starts)

    @property
    def voted(self) -> np.ndarray:
        """Bool array of shape (g, m): the source says something in the group."""
        return self.sizes > 0

    def evidence(self, accuracy: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Log-likelihood of each candidate up to a constant of its group: float64 array of shape (c,)."""
        inside, outside = self._likelihoods(accuracy)
        gain = np.where(self.voted, np.log(inside) - np.log(outside), 0.0) * weights
        total: np.ndarray = np.einsum("cm,cm->c", self.chosen.astype(float), gain[self.group])
        return total

    def right(self, accuracy: np.ndarray, posterior: np.ndarray) -> np.ndarray:
        """Expected groups in which each source had the right candidate in mind: float64 array of shape (m,)."""
        inside, _ = self._likelihoods(accuracy)
        held = _sum(self.chosen * posterior[:, None], self.starts)
        groups: np.ndarray = np.where(self.voted, held * accuracy / inside, 0.0).sum(axis=0)
        return groups

    def _likelihoods(self, accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        other = (1 - accuracy) / np.maximum(self.candidates - 1, 1.0)[:, None]
        return accuracy + (np.maximum(self.sizes, 1.0) - 1) * other, np.maximum(self.sizes, 1.0) * other

    def softmax(self, logs: np.ndarray) -> np.ndarray:
        """Probabilities within each group."""
        mass = np.exp(logs - np.maximum.reduceat(logs, self.starts)[self.group])
        answer: np.ndarray = mass / np.add.reduceat(mass, self.starts)[self.group]
        return answer

    def log_prior(self, none_prior: float | None) -> np.ndarray:
        """Log probability of each candidate without votes, even over the elements."""
        if none_prior is None:
            even: np.ndarray = -np.log(self.candidates)[self.group]
            return even
        elements = np.maximum(self.candidates - 1, 1.0)[self.group]
        split: np.ndarray = np.where(self.is_none, np.log(none_prior), np.log1p(-none_prior) - np.log(elements))
        return split

    def shares(self, weights: np.ndarray) -> np.ndarray:
        """Vote share of each candidate, a vote for S giving 1 / |S| to each; even without votes."""
        part = np.where(self.voted, weights / np.maximum(self.sizes, 1.0), 0.0)
        received = np.einsum("cm,cm->c", self.chosen.astype(float), part[self.group])
        totals = np.add.reduceat(received, self.starts)[self.group]
        even = 1 / self.candidates[self.group]
        shares: np.ndarray = np.where(totals > 0, received / np.maximum(totals, 1e-300), even)
        return shares


def fit_select(votes: np.ndarray, offsets: np.ndarray, none_prior: float | None = None) -> SelectFit:
    """Fit the accuracies of the sources.

    Parameters
    ----------
    votes : integer array of shape (n, m), one row per element: 1 for, 0 against, -1 no vote
    offsets : int64 array of shape (g + 1,), group i is the rows offsets[i] … offsets[i + 1] - 1
    none_prior : P(no element of a group is right), above 0 and below 1; None where every group has one

    Returns
    -------
    SelectFit

    Raises
    ------
    ValueError
        If a vote is not in {-1, 0, 1}, the offsets do not split the votes, or the prior is out of range.
    """
    offsets = _check(votes, offsets, none_prior)
    m, n_groups = votes.shape[1], len(offsets) - 1
    weights = _copy_weights(votes)
    filled = offsets[np.concatenate([[True], np.diff(offsets) > 0])]
    ballots = _Ballots.of(votes, filled, with_none=none_prior is not None)
    accuracy = np.full(m, PRIOR_ACCURACY)
    fired = ballots.voted.sum(axis=0).astype(float)
    posterior = ballots.shares(weights)
    anchor = ballots.right(accuracy, posterior)
    accuracy, steps, moved = _accuracy(anchor, fired), 0, np.inf
    log_prior = ballots.log_prior(none_prior)
    while steps < MAX_ITERATIONS and moved >= TOLERANCE * max(n_groups, 1):
        steps += 1
        updated = ballots.softmax(log_prior + ballots.evidence(accuracy, weights))
        moved = float(np.abs(updated - posterior).sum())
        posterior = updated
        right = (ballots.right(accuracy, posterior) + ANCHOR * anchor) / (1 + ANCHOR)
        accuracy = _accuracy(right, fired)
    counts = np.rint(fired).astype(np.int64)
    return SelectFit(accuracy, weights, fired / max(n_groups, 1), counts, none_prior, steps, n_groups)


def select_posterior(fit: SelectFit, votes: np.ndarray, offsets: np.ndarray) -> Selected:
    """Answer for groups, the fitted ones or others; `votes` and `offsets` as for `fit_select`."""
    offsets = _check(votes, offsets, fit.none_prior)
    if votes.shape[1] != len(fit.accuracy):
        raise ValueError(f"votes {votes.shape} do not match {len(fit.accuracy)} sources")
    n_groups = len(offsets) - 1
    none = np.full(n_groups, 0.0 if fit.none_prior is None else 1.0)  # an empty group has no right element
    answer = Selected(np.zeros(len(votes)), none, np.full(n_groups, ABSTAIN), np.zeros(n_groups, dtype=bool))
    nonempty = np.flatnonzero(np.diff(offsets) > 0)
    if not len(nonempty):
        return answer
    ballots = _Ballots.of(
        votes, offsets[np.concatenate([[True], np.diff(offsets) > 0])], with_none=fit.none_prior is not None
    )
    evidence = ballots.evidence(fit.accuracy, fit.weights)
    posterior = ballots.softmax(ballots.log_prior(fit.none_prior) + evidence)
    if fit.none_prior is not None:
        none[nonempty] = posterior[ballots.is_none]
    covered = answer.covered
    covered[nonempty] = _any(votes != ABSTAIN, offsets[nonempty]).any(axis=1)
    best = np.maximum.reduceat(posterior, ballots.starts)[ballots.group]
    first = np.flatnonzero(posterior >= best - 1e-9)
    winner = first[np.searchsorted(first, ballots.starts)]
    # Candidates are elements with a "none" after each group before them.
    element = winner - (np.arange(len(winner)) if fit.none_prior is not None else 0)
    chosen = np.where(ballots.is_none[winner], ABSTAIN, element)
    answer.chosen[nonempty] = np.where(covered[nonempty], chosen, ABSTAIN)
    return replace(answer, probability=posterior[~ballots.is_none], none=none)


def _accuracy(right: np.ndarray, fired: np.ndarray) -> np.ndarray:
    raised = (right + PRIOR_STRENGTH * PRIOR_ACCURACY) / (fired + PRIOR_STRENGTH)
    bounded: np.ndarray = np.clip(raised, 1 - MOST_ACCURATE, MOST_ACCURATE)
    return bounded


def _copy_weights(votes: np.ndarray) -> np.ndarray:
    if not votes.size:
        return np.ones(votes.shape[1])
    _, place, count = np.unique(votes, axis=1, return_inverse=True, return_counts=True)
    weights: np.ndarray = 1.0 / count[place.ravel()]
    return weights


def _any(flags: np.ndarray, starts: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.logical_or.reduceat(flags, starts, axis=0) if len(starts) else flags
    return found


def _sum(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    summed: np.ndarray = np.add.reduceat(values, starts, axis=0) if len(starts) else values
    return summed


def _check(votes: np.ndarray, offsets: np.ndarray, none_prior: float | None) -> np.ndarray:
    if votes.ndim != 2:
        raise ValueError(f"votes {votes.shape} must have one row per element and one column per source")
    if votes.size and (votes.min() < ABSTAIN or votes.max() > 1):
        raise ValueError("votes must be -1, 0 or 1")
    if none_prior is not None and not 0 < none_prior < 1:
        raise ValueError("none_prior must be above 0 and below 1")
    return check_offsets(offsets, len(votes))
