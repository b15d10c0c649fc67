"""Bitvector tasks: k yes/no labels per row, voted together, each with a binary anchored model.

A source's accuracy on a bit is estimated from few rows where the bit is rare. Its vote rates on the other bits
are added as prior votes (empirical Bayes), so that a source that is bad in general is not trusted on a rare bit.
There is no term for bits that occur together; bits that exclude or imply each other belong in a task graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.partial import TINY, PartialFit, fit_partial, partial_posterior

POOL_STRENGTH = 10.0
"""Prior votes that a source's rates on the other bits count for."""


@dataclass(frozen=True, slots=True)
class BitvectorFit:
    """A fitted model of m sources and k bits.

    Attributes
    ----------
    bits : k binary fits with the classes no (0) and yes (1); `bits[b].form` is the posterior that SQL can be
        written for, and `bits[b].bad` the votes that are worse than chance
    accuracy : float64 array of shape (m,), mean over the votes of all bits of P(vote correct | voted)
    """

    bits: tuple[PartialFit, ...]
    accuracy: np.ndarray

    @property
    def prior(self) -> np.ndarray:
        """P(yes) of each bit without votes: float64 array of shape (k,)."""
        return np.array([bit.prior[1] for bit in self.bits])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"bits": [bit.to_dict() for bit in self.bits], "accuracy": self.accuracy.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> BitvectorFit:
        """Read what `to_dict` returned."""
        return cls(tuple(PartialFit.from_dict(bit) for bit in values["bits"]), np.asarray(values["accuracy"], float))


def fit_bitvector(
    votes: np.ndarray, balance: np.ndarray | None = None, counts: np.ndarray | None = None
) -> BitvectorFit:
    """Fit one binary model per bit, with source accuracies pooled over the bits.

    Parameters
    ----------
    votes : integer array of shape (p, m, k), rows or patterns: 1 yes, 0 no, -1 abstain. A source that votes a
        list of names votes 0 on every bit that is not in it
    balance : float64 array of shape (k,), P(yes) of each bit. If None, the share of yes among the bit's votes:
        a source that votes a list says yes and no, so that its votes tell how rare a bit is
    counts : float64 array of shape (p,), rows per pattern; 1 each if None

    Returns
    -------
    BitvectorFit

    Raises
    ------
    ValueError
        If a vote is not in {-1, 0, 1} or the balance does not match.
    """
    _check(votes)
    _, m, k = votes.shape
    if balance is not None and balance.shape != (k,):
        raise ValueError(f"balance {balance.shape} does not match {k} bits")
    yes = _vote_balance(votes, counts) if balance is None else balance
    shared = np.stack([1 - yes, yes], axis=1)
    alone = _fit_bits(votes, shared, counts, None)
    expected = np.stack([bit.theta * bit.prior for bit in alone]) if k else np.zeros((0, m, 2, 2))
    expected = expected * np.array([bit.n_rows for bit in alone]).reshape(-1, 1, 1, 1)
    others = expected.sum(axis=0) - expected  # [bit, m, v, y]
    rates = others / np.maximum(others.sum(axis=2, keepdims=True), TINY)
    known = others.sum(axis=2, keepdims=True) > 0
    pooled = _fit_bits(votes, shared, counts, POOL_STRENGTH * np.where(known, rates, 0.0))
    voted = np.stack([bit.counts for bit in pooled]).astype(float) if k else np.zeros((0, m))
    right = (voted * np.stack([bit.accuracy for bit in pooled])).sum(axis=0) if k else np.zeros(m)
    total = voted.sum(axis=0)
    return BitvectorFit(tuple(pooled), np.divide(right, total, out=np.full(m, 0.75), where=total > 0))


def bit_posterior(fit: BitvectorFit, votes: np.ndarray) -> np.ndarray:
    """P(yes | votes) of each row and bit: float64 array of shape (n, k); `fit.prior` where uncovered."""
    _check(votes)
    if votes.shape[2] != len(fit.bits):
        raise ValueError(f"votes {votes.shape} do not match {len(fit.bits)} bits")
    answers = [partial_posterior(bit, votes[:, :, b])[:, 1] for b, bit in enumerate(fit.bits)]
    return np.stack(answers, axis=1) if answers else np.zeros((len(votes), 0))


def decide_bits(fit: BitvectorFit, votes: np.ndarray) -> np.ndarray:
    """Label of each bit: int64 array of shape (n, k); 1 yes, 0 no, -1 where no source votes on the bit.

    A probability of exactly one half is yes only where the bit's balance is above one half.
    """
    probability = bit_posterior(fit, votes)
    yes = np.where(np.abs(probability - 0.5) <= 1e-9, fit.prior > 0.5, probability > 0.5)
    return np.where((votes != ABSTAIN).any(axis=1), yes.astype(np.int64), ABSTAIN)


def bits_of_lists(lists: list[list[list[int] | None]], k: int) -> np.ndarray:
    """Votes of each row and source given as lists of bit numbers: int8 array of shape (n, m, k).

    None is abstain; the empty list says that no bit applies.

    Examples
    --------
    >>> bits_of_lists([[[0, 2], None, []]], 3).tolist()
    [[[1, 0, 1], [-1, -1, -1], [0, 0, 0]]]
    """
    votes = np.full((len(lists), len(lists[0]) if lists else 0, k), ABSTAIN, dtype=np.int8)
    for i, row in enumerate(lists):
        for j, named in enumerate(row):
            if named is not None:
                votes[i, j] = 0
                votes[i, j, named] = 1
    return votes


def _fit_bits(
    votes: np.ndarray, balance: np.ndarray, counts: np.ndarray | None, values: np.ndarray | None
) -> list[PartialFit]:
    return [
        fit_partial(
            votes[:, :, b],
            2,
            counts=counts,
            balance=balance[b],
            values=None if values is None else values[b],
        )
        for b in range(votes.shape[2])
    ]


def _vote_balance(votes: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Mean vote share of yes over the rows where a bit is voted on, one row added per class: float64 (k,).

    A bit to which nobody says no, or nobody yes, has one half: such votes do not tell how rare it is.
    """
    rows = np.ones(len(votes)) if counts is None else counts.astype(float)
    given = (votes != ABSTAIN).sum(axis=1)
    share = (votes == 1).sum(axis=1) / np.maximum(given, 1)
    balance = (rows @ share + 1) / (rows @ (given > 0) + 2)
    both = (votes == 0).any(axis=(0, 1)) & (votes == 1).any(axis=(0, 1))
    known: np.ndarray = np.where(both, balance, 0.5)
    return known


def _check(votes: np.ndarray) -> None:
    if votes.ndim != 3:
        raise ValueError(f"votes {votes.shape} must have rows, sources and bits")
    if votes.size and (votes.min() < ABSTAIN or votes.max() > 1):
        raise ValueError("votes must be -1, 0 or 1")
