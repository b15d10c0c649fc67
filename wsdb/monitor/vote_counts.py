"""Counts over the votes of a label matrix: by split, and by labeling function, label and gold.

All counts are exact whole rows and additive: those of two parts of a table sum to those of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from wsdb.core.matrix import ABSTAIN, RowVotes, SparseVotes, VotePatterns

DENSE_CELLS = 1 << 24
"""Most counters held as one array; beyond, counters of what occurs are kept sorted."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The votes of a label matrix as a list, ordered by row and source.

    Attributes
    ----------
    row, source, value : int64 arrays of shape (z,), one entry for each vote
    counts : int64 array of shape (p,), rows of the label matrix that each listed row stands for
    n_sources, n_classes : m, k
    """

    row: np.ndarray
    source: np.ndarray
    value: np.ndarray
    counts: np.ndarray
    n_sources: int
    n_classes: int

    @classmethod
    def of(cls, votes: VotePatterns | SparseVotes) -> Listed:
        """List the votes of either form."""
        if isinstance(votes, SparseVotes):
            row, source, value = votes.row, votes.source, votes.value
        else:
            row, source = np.nonzero(votes.votes != ABSTAIN)
            value = votes.votes[row, source]
        row, source, value = (part.astype(np.int64, copy=False) for part in (row, source, value))
        return cls(row, source, value, votes.counts, len(votes.sources), votes.n_classes)

    @property
    def per_row(self) -> np.ndarray:
        """Number of votes of each listed row: int64 array of shape (p,)."""
        return np.bincount(self.row, minlength=len(self.counts))

    @property
    def torn(self) -> np.ndarray:
        """Whether two votes of a listed row differ: bool array of shape (p,)."""
        found = np.zeros(len(self.counts), dtype=bool)
        if len(self.row):
            starts = np.flatnonzero(np.diff(self.row, prepend=-1))
            low, high = np.minimum.reduceat(self.value, starts), np.maximum.reduceat(self.value, starts)
            found[self.row[starts]] = low != high
        return found


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Rows of each split.

    Attributes
    ----------
    splits : names of the splits; None is the rows without one
    n, covered, gold : int64 arrays of shape (s,): rows, those with a vote, those with a gold label
    """

    splits: tuple[str | None, ...]
    n: np.ndarray
    covered: np.ndarray
    gold: np.ndarray


@dataclass(frozen=True, slots=True)
class VoteCounts:
    """Votes by split, source, value and gold label; only what occurs is listed.

    Attributes
    ----------
    split : int64 array of shape (c,), place in the list of splits
    source, value : int64 arrays of shape (c,), who voted what
    gold : int64 array of shape (c,), code of the rows' gold label; -1 where they have none
    n : int64 array of shape (c,), votes
    overlap : int64 array of shape (c,), those in whose row another source votes too
    conflict : int64 array of shape (c,), those in whose row two votes differ
    """

    split: np.ndarray
    source: np.ndarray
    value: np.ndarray
    gold: np.ndarray
    n: np.ndarray
    overlap: np.ndarray
    conflict: np.ndarray


def patched(
    counts: tuple[SplitCounts, VoteCounts],
    came: tuple[SplitCounts, VoteCounts],
    went: tuple[SplitCounts, VoteCounts],
    n_sources: int,
    n_classes: int,
) -> tuple[SplitCounts, VoteCounts]:
    """Return the counts after some rows came and others went; what is left of no row is not listed."""
    names = tuple(dict.fromkeys(name for splits, _ in (counts, came, went) for name in splits.splits))
    m, k = max(n_sources, 1), max(n_classes, 1)
    rows = np.zeros((3, len(names)), dtype=np.int64)
    keys, cells = [], []
    for sign, (splits, votes) in ((1, counts), (1, came), (-1, went)):
        place = np.array([names.index(name) for name in splits.splits], dtype=np.int64)
        rows[:, place] += sign * np.stack([splits.n, splits.covered, splits.gold])
        keys.append(((place[votes.split] * m + votes.source) * k + votes.value) * (k + 1) + votes.gold + 1)
        cells.append(sign * np.stack([votes.n, votes.overlap, votes.conflict]))
    left = np.flatnonzero(rows[0])
    found, at = np.unique(np.concatenate(keys), return_inverse=True)
    sums = np.stack([weighed(at.ravel(), part, len(found)) for part in np.concatenate(cells, axis=1)])
    seen = np.flatnonzero(sums[0])
    rest, gold = np.divmod(found[seen], k + 1)
    rest, value = np.divmod(rest, k)
    split, source = np.divmod(rest, m)
    return (
        SplitCounts(tuple(names[at] for at in left.tolist()), *rows[:, left]),
        VoteCounts(np.searchsorted(left, split), source, value, gold - 1, *sums[:, seen]),
    )


def split_codes(split: np.ndarray) -> tuple[np.ndarray, tuple[str | None, ...]]:
    """Number the splits of an object array (strings and None) in the order they are met."""
    found = pa.array(split, pa.string()).dictionary_encode(null_encoding="encode")
    return found.indices.to_numpy().astype(np.int64), tuple(found.dictionary.to_pylist())


def count_votes(rows: RowVotes) -> tuple[SplitCounts, VoteCounts]:
    """Count the rows and the votes of a label matrix.

    Parameters
    ----------
    rows : votes with their split and gold label; -1 is no gold label
    """
    split, splits = split_codes(rows.split)
    gold = np.asarray(rows.gold, dtype=np.int64)
    if isinstance(rows.votes, VotePatterns):
        shape = (3, len(splits), rows.votes.n_classes + 1, rows.votes.n_classes + 1)
        if len(rows.votes.sources) * np.prod(shape, dtype=float) <= DENSE_CELLS:
            return _count_patterns(rows.votes, split, splits, gold)
    votes = Listed.of(rows.votes)
    per_row = votes.per_row

    def by_split(kept: np.ndarray) -> np.ndarray:
        return weighed(split[kept], votes.counts[kept], len(splits))

    every = np.ones(len(votes.counts), dtype=bool)
    totals = SplitCounts(splits, by_split(every), by_split(per_row > 0), by_split(gold >= 0))
    m, k = max(votes.n_sources, 1), max(votes.n_classes, 1)
    key = ((split[votes.row] * m + votes.source) * k + votes.value) * (k + 1) + gold[votes.row] + 1
    size = len(splits) * m * k * (k + 1)
    if size > DENSE_CELLS:
        found, key = np.unique(key, return_inverse=True)
        key, size = key.ravel(), len(found)
    else:
        found = np.arange(size)
    counts = votes.counts[votes.row]
    n = weighed(key, counts, size)
    overlap = weighed(key, counts * (per_row[votes.row] > 1), size)
    conflict = weighed(key, counts * votes.torn[votes.row], size)
    seen = np.flatnonzero(n)
    rest, gold_code = np.divmod(found[seen], k + 1)
    rest, value = np.divmod(rest, k)
    place, source = np.divmod(rest, m)
    return totals, VoteCounts(place, source, value, gold_code - 1, n[seen], overlap[seen], conflict[seen])


def _count_patterns(
    votes: VotePatterns, split: np.ndarray, splits: tuple[str | None, ...], gold: np.ndarray
) -> tuple[SplitCounts, VoteCounts]:
    """Count the votes of patterns source by source, without listing each of them.

    Parameters
    ----------
    split : int64 array of shape (p,), place of each pattern in `splits`
    gold : int64 array of shape (p,); -1 is no gold label
    """
    s, m, k = len(splits), len(votes.sources), votes.n_classes
    per_row = (votes.votes != ABSTAIN).sum(axis=1)
    status = (per_row > 1).astype(np.int64)  # 0 alone, 1 with others, 2 with others that differ
    if m:
        unsigned = votes.votes.view(f"u{votes.votes.dtype.itemsize}")  # an abstain is the largest number
        status += (per_row > 1) & (unsigned.min(axis=1).astype(np.int64) != votes.votes.max(axis=1))
    shape = (3, s, k + 1, k + 1)
    place = ((status * s + split) * (k + 1) + gold + 1) * (k + 1) + 1
    weights = None if (votes.counts == 1).all() else votes.counts.astype(np.float64)
    table = np.zeros((m, *shape), dtype=np.int64)
    for j in range(m):
        found = np.bincount(place + votes.votes[:, j], weights=weights, minlength=table[j].size)
        table[j] = found.astype(np.int64).reshape(shape)
    cast = table[..., 1:].transpose(1, 2, 0, 4, 3)  # status, split, source, vote, gold
    n = cast.sum(axis=0)
    seen = np.nonzero(n)
    overlap, conflict = cast[1:].sum(axis=0)[seen], cast[2][seen]
    counted = VoteCounts(seen[0], seen[1], seen[2], seen[3] - 1, n[seen], overlap, conflict)

    def by_split(kept: np.ndarray) -> np.ndarray:
        return weighed(split[kept], votes.counts[kept], s)

    every = np.ones(len(split), dtype=bool)
    return SplitCounts(splits, by_split(every), by_split(per_row > 0), by_split(gold >= 0)), counted


def weighed(key: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """Sum whole numbers by key; sums below 2**53 are exact."""
    return np.bincount(key, weights=counts, minlength=size).astype(np.int64)


def some_rows(votes: VotePatterns | SparseVotes, chosen: np.ndarray) -> VotePatterns | SparseVotes:
    """Return some listed rows of the votes; `chosen` (int64, rising) are their places."""
    if isinstance(votes, VotePatterns):
        return VotePatterns(votes.votes[chosen], votes.counts[chosen], votes.sources, votes.n_classes)
    place = np.full(len(votes.counts), -1)
    place[chosen] = np.arange(len(chosen))
    here = place[votes.row] >= 0
    counts = votes.counts[chosen]
    row = place[votes.row[here]].astype(votes.row.dtype)
    return SparseVotes(
        row, votes.source[here], votes.value[here], counts, votes.sources, votes.n_classes, int(counts.sum())
    )


def thinned(rows: RowVotes, most: int, seed: int = 0) -> RowVotes:
    """Return the votes of rows drawn at random, each with the same probability, so that about `most` are listed.

    Votes that are listed `most` times or less come back as they are.
    """
    listed = len(rows.votes.counts)
    if listed <= most:
        return rows
    drawn = np.random.default_rng(seed).binomial(rows.votes.counts, most / listed)
    chosen = np.flatnonzero(drawn)
    votes = replace(some_rows(rows.votes, chosen), counts=drawn[chosen])
    if isinstance(votes, SparseVotes):
        votes = replace(votes, n_rows=int(votes.counts.sum()))
    return RowVotes(votes, rows.split[chosen], rows.gold[chosen], _distinct(votes))


def _distinct(votes: VotePatterns | SparseVotes) -> VotePatterns | SparseVotes:
    if isinstance(votes, SparseVotes):
        return votes
    patterns, place = np.unique(votes.votes, axis=0, return_inverse=True)
    return replace(votes, votes=patterns, counts=weighed(place.ravel(), votes.counts, len(patterns)))
