"""Counts of the rows on which two labeling functions vote, by what they vote: exact and additive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wsdb.core.matrix import ABSTAIN, SparseVotes, VotePatterns
from wsdb.monitor.vote_counts import DENSE_CELLS, Listed

EXACT = 1 << 24
"""Whole numbers below this are exact as float32."""
PAIR_CHUNK = 4_000_000
"""Pairs of votes listed at a time."""
TABLE_CELLS = 1 << 22
"""Cells of the table of indicators multiplied at a time."""
FEW_COLUMNS = 256
"""Columns of such a table for which it is not asked whether they are empty."""
TABLE_COLUMNS = 4_000
"""Most columns (source and value) of such a table."""
LISTING_COST = 75.0
"""Cost of listing one pair of votes; 1 is the cost of one multiplication of a table."""


@dataclass(frozen=True, slots=True)
class VotePairs:
    """Rows on which two sources vote, by what they vote; only what occurs is listed.

    Attributes
    ----------
    left, right : int64 arrays of shape (c,), sources, left < right
    value_left, value_right : int64 arrays of shape (c,), their votes
    n : int64 array of shape (c,), rows
    """

    left: np.ndarray
    right: np.ndarray
    value_left: np.ndarray
    value_right: np.ndarray
    n: np.ndarray


def patched(pairs: VotePairs, came: VotePairs, went: VotePairs, n_sources: int, n_classes: int) -> VotePairs:
    """Return the counts after some rows came and others went; pairs left on no row are not listed."""
    m, k = max(n_sources, 1), max(n_classes, 1)
    parts = (pairs, came, went)
    key = np.concatenate([((p.left * m + p.right) * k + p.value_left) * k + p.value_right for p in parts])
    found, n = _summed(key, np.concatenate([pairs.n, came.n, -went.n]))
    seen = np.flatnonzero(n)
    return _pairs_of(found[seen], n[seen], m, k)


def _pairs_of(key: np.ndarray, n: np.ndarray, m: int, k: int) -> VotePairs:
    rest, value_right = np.divmod(key, k)
    rest, value_left = np.divmod(rest, k)
    left, right = np.divmod(rest, m)
    return VotePairs(left, right, value_left, value_right, n.astype(np.int64))


def count_pairs(votes: VotePatterns | SparseVotes, least: int = 1, voted: np.ndarray | None = None) -> VotePairs:
    """Count, for each pair of sources, the rows on which both vote, by their votes.

    Parameters
    ----------
    least : pairs that vote together on fewer rows are left out
    voted : source * k + value of all votes that are cast, int64, rising, where that is known

    Notes
    -----
    Two ways with one answer: listing the pairs of votes of each row, or, where rows have many votes, multiplying the
    table of indicators (listed rows x source and value) with itself.
    """
    per_row, columns = _per_row(votes), _columns(votes) if voted is None else voted
    n_pairs = float((per_row * (per_row - 1.0) / 2).sum())
    table_cost = float((per_row > 0).sum()) * len(columns) ** 2
    if len(columns) <= TABLE_COLUMNS and table_cost < n_pairs * LISTING_COST:
        pairs = _multiplied(votes, columns)
    else:
        pairs = _paired(Listed.of(votes))
    return pairs if least <= 1 else _at_least(pairs, least, len(votes.sources))


def _per_row(votes: VotePatterns | SparseVotes) -> np.ndarray:
    """Return the number of votes of each listed row."""
    if isinstance(votes, VotePatterns):
        counted: np.ndarray = (votes.votes != ABSTAIN).sum(axis=1)
        return counted
    return np.bincount(votes.row, minlength=len(votes.counts))


def _columns(votes: VotePatterns | SparseVotes) -> np.ndarray:
    """Return source * k + value of what is voted, or of all that could be, where that is few: int64 array, rising."""
    k = votes.n_classes
    if len(votes.sources) * k <= FEW_COLUMNS:
        return np.arange(len(votes.sources) * k)
    if isinstance(votes, SparseVotes):
        return np.unique(votes.source.astype(np.int64) * k + votes.value)
    cast = [np.bincount(votes.votes[:, j] + 1, minlength=k + 1)[1:] > 0 for j in range(len(votes.sources))]
    return np.flatnonzero(np.concatenate(cast)) if cast else np.zeros(0, dtype=np.int64)


def copies(pairs: VotePairs, votes: np.ndarray) -> dict[int, tuple[int, int]]:
    """Return the sources whose votes are those of an earlier one: by source, the first such one and its votes.

    Parameters
    ----------
    votes : float64 or int64 array of shape (m,), votes of each source
    """
    same = np.flatnonzero(pairs.value_left == pairs.value_right)
    key, place = np.unique(pairs.left[same] * len(votes) + pairs.right[same], return_inverse=True)
    agree = np.bincount(place.ravel(), weights=pairs.n[same], minlength=len(key))
    left, right = np.divmod(key, max(len(votes), 1))
    found: dict[int, tuple[int, int]] = {}
    for at in np.flatnonzero((agree == votes[left]) & (agree == votes[right])).tolist():
        found.setdefault(int(right[at]), (int(left[at]), int(agree[at])))
    return found


def _at_least(pairs: VotePairs, least: int, n_sources: int) -> VotePairs:
    key = pairs.left * n_sources + pairs.right
    _, place = np.unique(key, return_inverse=True)
    kept = np.bincount(place.ravel(), weights=pairs.n)[place.ravel()] >= least if len(key) else np.zeros(0, dtype=bool)
    return VotePairs(*(part[kept] for part in (pairs.left, pairs.right, pairs.value_left, pairs.value_right, pairs.n)))


def _multiplied(votes: VotePatterns | SparseVotes, columns: np.ndarray) -> VotePairs:
    """Count pairs by products of tables of indicators."""
    k, width = votes.n_classes, max(len(columns), 1)
    total: np.ndarray = np.zeros((len(columns), len(columns)))
    rows = max(1, TABLE_CELLS // width)
    for first in range(0, len(votes.counts), rows):
        counts = votes.counts[first : first + rows]
        table = _indicators(votes, columns, first, first + len(counts))
        table = table.astype(np.float32 if counts.sum() < EXACT else np.float64)
        weighted = table if (counts == 1).all() else table * counts[:, None].astype(table.dtype)
        total += table.T @ weighted
    a, b = np.nonzero(np.triu(total, 1))
    apart = columns[a] // k != columns[b] // k
    a, b = a[apart], b[apart]
    n = total[a, b].round().astype(np.int64)
    return VotePairs(columns[a] // k, columns[b] // k, columns[a] % k, columns[b] % k, n)


def _indicators(votes: VotePatterns | SparseVotes, columns: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return whether each of some listed rows has each vote: bool array of shape (last - first, len(columns))."""
    if isinstance(votes, VotePatterns):
        source, value = np.divmod(columns, votes.n_classes)
        found: np.ndarray = votes.votes[first:last][:, source] == value.astype(votes.votes.dtype)
        return found
    table = np.zeros((last - first, len(columns)), dtype=bool)
    start, stop = np.searchsorted(votes.row, [first, last]).tolist()
    cast = votes.source[start:stop].astype(np.int64) * votes.n_classes + votes.value[start:stop]
    table[votes.row[start:stop] - first, np.searchsorted(columns, cast)] = True
    return table


def _paired(votes: Listed) -> VotePairs:
    """Count pairs by listing those of each row."""
    m, k = max(votes.n_sources, 1), max(votes.n_classes, 1)
    size = m * m * k * k
    dense = size <= DENSE_CELLS
    total = np.zeros(size if dense else 0)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for left, right in _listed_pairs(votes):
        key = (votes.source[left] * m + votes.source[right]) * k + votes.value[left]
        key = key * k + votes.value[right]
        counts = votes.counts[votes.row[left]]
        if dense:
            total += np.bincount(key, weights=counts, minlength=size)
        else:
            parts.append(_summed(key, counts))
            if sum(len(part[0]) for part in parts) > 2 * PAIR_CHUNK:
                parts = [_merged(parts)]
    if dense:
        key = np.flatnonzero(total)
        n = total[key]
    else:
        key, n = _merged(parts)
    return _pairs_of(key, n, m, k)


def _summed(key: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found, place = np.unique(key, return_inverse=True)
    return found, np.bincount(place.ravel(), weights=counts, minlength=len(found))


def _merged(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    return _summed(np.concatenate([key for key, _ in parts]), np.concatenate([n for _, n in parts]))


def _listed_pairs(votes: Listed) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the places of the votes of all pairs of a row, the earlier source first, a chunk at a time."""
    z = len(votes.row)
    if not z:
        return
    last = np.append(np.flatnonzero(np.diff(votes.row)), z - 1)
    after = np.repeat(last, np.diff(last, prepend=-1)) - np.arange(z)
    ends = np.cumsum(after)
    start = 0
    while start < z:
        done = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, done + PAIR_CHUNK, side="right")), start + 1)
        reps = after[start:stop]
        left = np.repeat(np.arange(start, stop), reps)
        within = np.arange(len(left)) - np.repeat(np.cumsum(reps) - reps, reps)
        yield left, left + 1 + within
        start = stop
