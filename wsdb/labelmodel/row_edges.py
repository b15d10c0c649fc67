"""Dependencies among the sources of labels that are stored row by row, against the probabilities of the rows."""

from __future__ import annotations

import numpy as np

from wsdb.labelmodel.dependencies import Dependency, learned_edges
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.rows import TINY
from wsdb.labelmodel.shapes import RowFit, RowVoteMatrix


def row_edges(matrix: RowVoteMatrix, fitted: RowFit, pairs: PairCounts) -> list[Dependency]:
    """Pairs of sources that agree more than their rates explain (see `learned_edges`), the strongest first.

    The rates are counted with the probabilities of the rows as their classes, a shape has no others. The labels of a
    bitvector are a yes or no each: only sources that are about one label are compared.

    Parameters
    ----------
    pairs : rows on which two sources vote the same
    """
    if not matrix.bits:
        given = fitted.probabilities
        rest = 1 - given.sum(axis=1, keepdims=True)  # a task of a graph may not apply
        return _edges(matrix.votes, given if np.all(rest < TINY) else np.hstack([given, rest]), pairs, matrix.sources)
    about = np.array([bit for _, bit in matrix.bits], dtype=np.int64)
    found = []
    for bit in np.unique(about[pairs.left]).tolist():
        yes = fitted.probabilities[:, bit]
        here = (about[pairs.left] == bit) & (about[pairs.right] == bit)
        own = PairCounts(pairs.left[here], pairs.right[here], pairs.value[here], pairs.count[here])
        found += _edges(matrix.votes, np.stack([1 - yes, yes], axis=1), own, matrix.sources)
    return sorted(found, key=lambda edge: -(edge.r or 0.0))


def _edges(votes: np.ndarray, classes: np.ndarray, pairs: PairCounts, sources: tuple[str, ...]) -> list[Dependency]:
    """Edges where `classes`, float64 of shape (n, k), are the probabilities of the rows."""
    if not len(pairs.count):
        return []
    codes, k = int(pairs.value.max()) + 1, classes.shape[1]
    of_class = classes.sum(axis=0)
    rates = np.zeros((votes.shape[1], codes, k))
    for j in np.unique([pairs.left, pairs.right]).tolist():
        place = np.minimum(votes[:, j].astype(np.int64), codes) + 1
        for y in range(k):
            rates[j, :, y] = np.bincount(place, weights=classes[:, y], minlength=codes + 2)[1 : codes + 1]
    rates /= np.maximum(of_class, TINY)
    n_rows = float(len(votes))
    return learned_edges(rates, pairs, n_rows, of_class / n_rows, sources)
