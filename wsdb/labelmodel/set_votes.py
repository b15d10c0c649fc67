"""Votes for classes and for sets of classes, each with a confidence: what their codes stand for, and their shares.

The code of a vote is a class, 0 … k - 1, or k + i for set i; -1 is abstain.
"""

from __future__ import annotations

import numpy as np

from wsdb.core.matrix import ABSTAIN


def set_table(k: int, sets: np.ndarray | None) -> np.ndarray:
    """Classes of each code: bool array of shape (k + s, k)."""
    single = np.eye(k, dtype=bool)
    if sets is None or not len(sets):
        return single
    if sets.shape[1] != k or not sets.any(axis=1).all():
        raise ValueError(f"sets {sets.shape} must have {k} columns and a class each")
    return np.concatenate([single, sets.astype(bool)])


def copy_weights(votes: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """1 / number of sources with the same votes and confidences: float64 array of shape (m,)."""
    if not votes.size:
        return np.ones(votes.shape[1])
    both = np.concatenate([np.where(trust > 0, votes, ABSTAIN).astype(float), trust])
    _, place, count = np.unique(both, axis=1, return_inverse=True, return_counts=True)
    shared: np.ndarray = 1.0 / count[place.ravel()]
    return shared


def vote_shares(votes: np.ndarray, table: np.ndarray, trust: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of the votes that each class has: float64 array of shape (p, k), zeros where uncovered."""
    part = table / table.sum(axis=1, keepdims=True)
    shares = np.zeros((len(votes), table.shape[1]))
    for j in range(votes.shape[1]):
        shares += (trust[:, j] * weights[j])[:, None] * part[votes[:, j]]
    totals = shares.sum(axis=1, keepdims=True)
    divided: np.ndarray = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
    return divided


def trust_of(votes: np.ndarray, n_codes: int, confidence: np.ndarray | None) -> np.ndarray:
    """Confidence of each vote, 0 for an abstain: float64 array of the votes' shape."""
    if votes.size and (votes.min() < ABSTAIN or votes.max() >= n_codes):
        raise ValueError(f"votes must be in -1 … {n_codes - 1}")
    given = votes != ABSTAIN
    if confidence is None:
        certain: np.ndarray = given.astype(float)
        return certain
    if confidence.shape != votes.shape:
        raise ValueError(f"confidence {confidence.shape} does not match votes {votes.shape}")
    trust = np.where(given, confidence, 0.0)
    if not np.isfinite(trust).all() or trust.min(initial=0.0) < 0 or trust.max(initial=0.0) > 1:
        raise ValueError("a confidence must be in [0, 1]")
    return trust
