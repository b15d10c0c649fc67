"""Labeled rows, or counts over them; used only where passed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsdb.core.matrix import ABSTAIN


@dataclass(frozen=True, slots=True)
class GoldCounts:
    """Counts over rows whose class is known.

    Attributes
    ----------
    votes : float64 array of shape (m, k, k), [j, v, y] gold rows of class y where source j votes v
    classes : float64 array of shape (k,), gold rows of each class
    """

    votes: np.ndarray
    classes: np.ndarray

    def __post_init__(self) -> None:
        k = len(self.classes)
        if self.votes.ndim != 3 or self.votes.shape[1:] != (k, k):
            raise ValueError(f"gold votes {self.votes.shape} do not match {k} classes")

    @classmethod
    def of_rows(cls, votes: np.ndarray, labels: np.ndarray, n_classes: int) -> GoldCounts:
        """Count labeled rows.

        Parameters
        ----------
        votes : integer array of shape (n, m), values in {-1, 0 … k-1}; -1 is abstain
        labels : integer array of shape (n,), values in 0 … k-1
        n_classes : k
        """
        row, source = np.nonzero(votes != ABSTAIN)
        value = votes[row, source].astype(np.int64)
        m, k = votes.shape[1], n_classes
        cells = np.bincount((source * k + value) * k + labels[row], minlength=m * k * k)
        return cls(cells.reshape(m, k, k).astype(float), np.bincount(labels, minlength=k).astype(float))

    def __add__(self, other: GoldCounts) -> GoldCounts:
        return GoldCounts(self.votes + other.votes, self.classes + other.classes)

    @property
    def balance(self) -> np.ndarray:
        """Class balance with half a row added per class: float64 array of shape (k,), sums to 1."""
        shares: np.ndarray = (self.classes + 0.5) / (self.classes.sum() + 0.5 * len(self.classes))
        return shares


@dataclass(frozen=True, slots=True)
class GoldRows:
    """Rows whose class is known, with all their votes: counts over them, and calibration.

    Attributes
    ----------
    votes : integer array of shape (n, m), values in {-1, 0 … k-1}; -1 is abstain
    labels : integer array of shape (n,), values in 0 … k-1
    """

    votes: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.votes.ndim != 2 or self.labels.shape != (len(self.votes),):
            raise ValueError(f"gold votes {self.votes.shape} do not match {len(self.labels)} labels")

    def counts(self, n_classes: int) -> GoldCounts:
        """Counts of the rows."""
        return GoldCounts.of_rows(self.votes, self.labels, n_classes)
