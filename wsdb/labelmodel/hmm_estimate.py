"""The parameters of the sequence model: counts under the posterior, and rates from counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsdb.labelmodel.hmm_fitted import SequenceFit
from wsdb.labelmodel.sequence import Chain, DistinctSequences, chunks, forward_backward, group_codes, likelihoods
from wsdb.labelmodel.spans import TagSet, abstains

SILENT_WEIGHT = 0.3
"""Weight of silence as evidence for O; a vote for a tag weighs 1."""
SILENT_SHARE = 0.3
"""Votes for O that an element with votes for tags gets in the vote shares."""
ANCHOR = 3.0
"""kappa: weight of the counts read off the vote shares against those of the posterior."""
ITERATIONS = 3
PRIOR_STRENGTH = 100.0
"""s0: elements of prior votes per state and source."""
PRIOR_SHIFT = 0.5
"""Share of the prior votes in a state that are moved to the state's own label."""
MOVE_PRIOR = 0.1
"""Moves added to every allowed pair of neighbouring states."""
BALANCE_STEPS = 200
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Elements:
    """The votes as kinds of elements (distinct rows of votes) and distinct sequences of kinds.

    Attributes
    ----------
    symbols : int64 array of shape (p, m), 0 silent, 1 + v for a vote v, per kind
    sequences : the different sequences of kinds, with counts
    rows : float64 array of shape (p,), elements of each kind
    """

    symbols: np.ndarray
    sequences: DistinctSequences
    rows: np.ndarray

    @classmethod
    def of(cls, votes: np.ndarray, offsets: np.ndarray, outside: int) -> Elements:
        """Group votes (integer, shape (n, m)); `outside` is the code of O, or -1."""
        symbols = np.where(abstains(votes, outside), 0, votes.astype(np.int64) + 1)
        first, kind = group_codes(symbols, int(symbols.max(initial=0)) + 1)
        sequences = DistinctSequences.of(kind, offsets)
        weight = np.repeat(sequences.counts, np.diff(sequences.offsets))
        rows = np.bincount(sequences.kinds, weights=weight, minlength=len(first)).astype(float)
        return cls(symbols[first], sequences, rows)


def copy_weights(symbols: np.ndarray) -> np.ndarray:
    """1 / number of sources that vote alike: float64 array of shape (m,)."""
    if not symbols.size:
        return np.ones(symbols.shape[1])
    _, inverse, count = np.unique(symbols, axis=1, return_inverse=True, return_counts=True)
    weights: np.ndarray = 1.0 / count[inverse.ravel()]
    return weights


def vote_shares(symbols: np.ndarray, weights: np.ndarray, tags: TagSet) -> np.ndarray:
    """Share of each label among the votes: float64 (p, k). O where nobody votes; zeros if there is no O."""
    k = len(tags.labels)
    shares = np.stack([(symbols == y + 1) @ weights for y in range(k)], axis=1)
    voted = shares.sum(axis=1) > 0
    if tags.outside >= 0:
        shares[:, tags.outside] = np.where(voted, SILENT_SHARE, 1.0)
    totals = shares.sum(axis=1, keepdims=True)
    divided: np.ndarray = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
    return divided


def neighbours(sequences: DistinctSequences, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moves between neighbours (k, k) and first labels (k,) that independent labels of `shares` would make."""
    weight = np.repeat(sequences.counts, np.diff(sequences.offsets))
    starts = sequences.offsets[:-1]
    follows = np.ones(len(sequences.kinds), dtype=bool)
    follows[starts] = False
    after = np.flatnonzero(follows)
    # Neighbours as pairs of kinds: far fewer than elements.
    first, number = group_codes(
        np.stack([sequences.kinds[after - 1], sequences.kinds[after]], axis=1), max(len(shares), 1)
    )
    rows = np.bincount(number, weights=weight[after], minlength=len(first))
    left, right = sequences.kinds[after - 1][first], sequences.kinds[after][first]
    moves = (shares[left] * rows[:, None]).T @ shares[right]
    return moves, sequences.counts @ shares[sequences.kinds[starts]]


def log_evidence(symbols: np.ndarray, emission: np.ndarray, weights: np.ndarray, silent_weight: float) -> np.ndarray:
    """Log-likelihood of the votes of each kind of element: float64 array of shape (p, k).

    Parameters
    ----------
    symbols : int64 array of shape (p, m)
    emission, weights, silent_weight : as in `SequenceFit`
    """
    table = evidence_table(emission, weights, silent_weight)
    total = np.zeros((len(symbols), emission.shape[2]))
    for j in range(symbols.shape[1]):
        total += table[j, symbols[:, j]]
    return total


def evidence_table(emission: np.ndarray, weights: np.ndarray, silent_weight: float) -> np.ndarray:
    """Log-likelihood of each symbol of each source: float64 array of shape (m, k + 1, k); arguments as above."""
    table: np.ndarray = np.log(emission + TINY) * weights[:, None, None]
    # A vote never seen in the fit says nothing.
    table[emission.sum(axis=2) <= 0] = 0.0
    table[:, 0] *= silent_weight
    return table


@dataclass(frozen=True, slots=True)
class Estimator:
    """The two steps of EM over the elements.

    Attributes
    ----------
    weights : float64 array of shape (m,), weight of each source
    balance : float64 array of shape (k,) or None; used for labels without an O
    """

    elements: Elements
    tags: TagSet
    weights: np.ndarray
    balance: np.ndarray | None

    @property
    def silent_weight(self) -> float:
        """Weight of silence as evidence: none where the labels have no O."""
        return SILENT_WEIGHT if self.tags.outside >= 0 else 0.0

    def expected(self, posterior: np.ndarray) -> np.ndarray:
        """Elements by source, vote and state (m, k + 1, k), the state spread as `posterior` (p, k) says."""
        rows = posterior * self.elements.rows[:, None]
        return self.sum_by_vote(rows)

    def sum_by_vote(self, rows: np.ndarray) -> np.ndarray:
        """Sums of `rows` (float64, shape (p, k)) by source and vote: float64 array of shape (m, k + 1, k)."""
        symbols, k = self.elements.symbols, len(self.tags.labels)
        totals = np.zeros((symbols.shape[1], k + 1, k))
        for j in range(symbols.shape[1]):
            for y in range(k):
                totals[j, :, y] = np.bincount(symbols[:, j], weights=rows[:, y], minlength=k + 1)
        return totals

    def expect(self, emission: np.ndarray, chain: Chain) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """E-step: votes by state (m, k + 1, k), moves (k, k) and first states (k,), all as expected counts."""
        distinct, k = self.elements.sequences, len(self.tags.labels)
        likelihood = likelihoods(log_evidence(self.elements.symbols, emission, self.weights, self.silent_weight))
        rows, moves, first_states = np.zeros((len(likelihood), k)), np.zeros((k, k)), np.zeros(k)
        for first, last in chunks(distinct.offsets, k):
            part = slice(distinct.offsets[first], distinct.offsets[last])
            block, counts = distinct.offsets[first : last + 1] - part.start, distinct.counts[first:last]
            kinds = distinct.kinds[part]
            posterior, moved = forward_backward(likelihood[kinds], block, chain, counts)
            weighted = posterior * np.repeat(counts, np.diff(block))[:, None]
            for y in range(k):
                rows[:, y] += np.bincount(kinds, weights=weighted[:, y], minlength=len(rows))
            moves += moved
            first_states += weighted[block[:-1]].sum(axis=0)
        return self.sum_by_vote(rows), moves, first_states

    def maximise(self, votes: np.ndarray, moves: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, Chain]:
        """M-step: emission and chain from counts, with their priors."""
        raised = votes + PRIOR_STRENGTH * self.prior_votes()
        emission = raised / np.maximum(raised.sum(axis=1, keepdims=True), TINY)
        allowed, allowed_first = self.tags.allowed, self.tags.allowed_first
        smoothed = np.where(allowed, moves + MOVE_PRIOR, 0.0)
        if self.tags.outside < 0:
            balance = np.full(len(first), 1 / len(first)) if self.balance is None else self.balance
            return emission, Chain(scale_to(smoothed, balance), balance)
        starts = np.where(allowed_first, first + MOVE_PRIOR, 0.0)
        return emission, Chain(smoothed / smoothed.sum(axis=1, keepdims=True), starts / starts.sum())

    def prior_votes(self) -> np.ndarray:
        """How a source votes over all elements, half of it moved to the state's own label: (m, k + 1, k)."""
        k = len(self.tags.labels)
        emitted = self.sum_by_vote(np.repeat(self.elements.rows[:, None], k, axis=1))[:, :, 0]
        emitted[:, 0] += emitted.sum(axis=1) == 0  # without elements every source is silent
        share = emitted / np.maximum(emitted.sum(axis=1, keepdims=True), 1.0)
        prior = np.repeat(share[:, :, None], k, axis=2)
        # Without an O, silence says nothing of the state, and a source keeps its coverage.
        movable = 1.0 if self.tags.outside >= 0 else 1.0 - share[:, 0]
        first = 0 if self.tags.outside >= 0 else 1
        for y in range(k):
            own = emitted[:, y + 1] > 0
            prior[own, first:, y] *= 1 - PRIOR_SHIFT
            prior[own, y + 1, y] += (PRIOR_SHIFT * movable * np.ones(len(own)))[own]
        return prior

    def report(
        self, emission: np.ndarray, chain: Chain, votes: np.ndarray, n_elements: int, n_sequences: int
    ) -> SequenceFit:
        """Put the parameters and the figures per source together."""
        m, k = len(emission), len(self.tags.labels)
        voted = votes[:, 1:, :].sum(axis=2)
        right = np.einsum("jvv->jv", votes[:, 1:, :])
        fired = voted.sum(axis=1)
        states = votes[0].sum(axis=0) if m else np.zeros(k)
        prior = (states + MOVE_PRIOR) / (states + MOVE_PRIOR).sum()
        if self.tags.outside < 0:
            prior = chain.initial
        return SequenceFit(
            self.tags,
            emission,
            self.weights,
            chain,
            prior,
            self.silent_weight,
            ITERATIONS,
            np.divide(right.sum(axis=1), fired, out=np.full(m, 0.5), where=fired > 0),
            np.divide(right, voted, out=np.full((m, k), np.nan), where=voted > 0),
            fired / max(n_elements, 1),
            np.rint(fired).astype(np.int64),
            n_elements,
            n_sequences,
            len(self.elements.symbols),
        )


def scale_to(moves: np.ndarray, balance: np.ndarray) -> np.ndarray:
    """Transitions with the odds ratios of `moves` whose stationary shares are `balance` (Sinkhorn scaling)."""
    share = np.maximum(balance, TINY)
    left, right = np.ones(len(share)), np.ones(len(share))
    for _ in range(BALANCE_STEPS):
        left = share / np.maximum(moves @ right, TINY)
        right = share / np.maximum(moves.T @ left, TINY)
    joint = moves * left[:, None] * right
    transition: np.ndarray = joint / np.maximum(joint.sum(axis=1, keepdims=True), TINY)
    return transition
