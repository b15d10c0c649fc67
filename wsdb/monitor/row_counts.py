"""The counts of votes where a row is about several labels, or a vote may be for several: bitvectors and partial votes.

Of a bitvector each column is about one label, says no or yes to it, and competes with the columns about the same label
alone. A vote for several labels agrees with each vote that has one of them in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsdb.core.matrix import ABSTAIN, VotePatterns
from wsdb.labelmodel.sequence import group_codes
from wsdb.monitor.vote_counts import SplitCounts, VoteCounts, split_codes, weighed
from wsdb.monitor.vote_pairs import VotePairs, count_pairs

CHUNK_CELLS = 1 << 22
"""Cells (rows x codes) compared at a time."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """Votes row by row with what they are about.

    Attributes
    ----------
    votes : int array of shape (n, m), codes in {-1, 0 … c-1}; -1 is abstain
    subject : int64 array of shape (m,), what each column is about: a label of a bitvector, else 0
    agree : bool array of shape (c, c), whether votes of two codes can both be right
    gold : int64 array of shape (n, s), the gold code of each subject, -1 where it is not known
    """

    votes: np.ndarray
    subject: np.ndarray
    agree: np.ndarray
    gold: np.ndarray

    @property
    def n_codes(self) -> int:
        """Number of codes, c."""
        return len(self.agree)


def agreement(sets: np.ndarray) -> np.ndarray:
    """Whether two codes have a label in common: bool array of shape (c, c); `sets` (c, k) are the labels of each."""
    wide = sets.astype(np.float32)
    common: np.ndarray = wide @ wide.T > 0
    return common


def count_rows(ballot: Ballot, split: np.ndarray) -> tuple[SplitCounts, VoteCounts, VotePairs]:
    """Count rows, votes and pairs of votes on one subject; a vote overlaps and conflicts with votes on its subject.

    Parameters
    ----------
    split : object array of shape (n,), the split of each row, or None
    """
    place, splits = split_codes(split)
    parts = np.concatenate([ballot.votes.astype(np.int64) + 1, place[:, None], ballot.gold + 1], axis=1)
    first, kind = group_codes(parts, int(parts.max(initial=0)) + 1)
    counts = np.bincount(kind, minlength=len(first)).astype(np.int64)
    one = Ballot(ballot.votes[first], ballot.subject, ballot.agree, ballot.gold[first])
    place = place[first]

    def by_split(kept: np.ndarray) -> np.ndarray:
        return weighed(place[kept], counts[kept], len(splits))

    every = np.ones(len(first), dtype=bool)
    voted, known = (one.votes != ABSTAIN).any(axis=1), (one.gold != ABSTAIN).any(axis=1)
    totals = SplitCounts(splits, by_split(every), by_split(voted), by_split(known))
    return totals, _count_votes(one, counts, place, len(splits)), _count_pairs(one, counts)


def _count_votes(ballot: Ballot, counts: np.ndarray, split: np.ndarray, n_splits: int) -> VoteCounts:
    c, n_gold = ballot.n_codes, int(ballot.gold.max(initial=0)) + 2
    tables: list[tuple[np.ndarray, ...]] = []
    for subject in range(ballot.gold.shape[1]):
        columns = np.flatnonzero(ballot.subject == subject)
        votes, gold = ballot.votes[:, columns], ballot.gold[:, subject]
        given, torn = (votes != ABSTAIN).sum(axis=1), _torn(votes, ballot.agree)
        for at, column in enumerate(columns.tolist()):
            here = np.flatnonzero(votes[:, at] != ABSTAIN)
            key = (split[here] * c + votes[here, at]) * n_gold + gold[here] + 1
            n, overlap, conflict = (
                weighed(key, counts[here] * counted, n_splits * c * n_gold)
                for counted in (np.ones(len(here), dtype=bool), given[here] > 1, torn[here])
            )
            seen = np.flatnonzero(n)
            rest, gold_code = np.divmod(seen, n_gold)
            of_split, value = np.divmod(rest, c)
            source = np.full(len(seen), column)
            tables.append((of_split, source, value, gold_code - 1, n[seen], overlap[seen], conflict[seen]))
    tables.append(tuple(np.zeros(0, dtype=np.int64) for _ in range(7)))
    return VoteCounts(*(np.concatenate(parts) for parts in zip(*tables, strict=True)))


def _torn(votes: np.ndarray, agree: np.ndarray) -> np.ndarray:
    """Whether two votes of a row cannot both be right: bool array of shape (p,)."""
    (p, m), c = votes.shape, len(agree)
    found = np.zeros(p, dtype=bool)
    against = (~agree).astype(np.float32)
    step = max(1, CHUNK_CELLS // max(c, 1))
    for start in range(0, p, step):
        block = votes[start : start + step]
        cast = np.zeros((len(block), c), dtype=bool)
        for at in range(m):
            rows = np.flatnonzero(block[:, at] != ABSTAIN)
            cast[rows, block[rows, at]] = True
        found[start : start + step] = ((cast.astype(np.float32) @ against > 0) & cast).any(axis=1)
    return found


def _count_pairs(ballot: Ballot, counts: np.ndarray) -> VotePairs:
    parts = []
    for subject in range(ballot.gold.shape[1]):
        columns = np.flatnonzero(ballot.subject == subject)
        names = tuple(map(str, columns.tolist()))
        pairs = count_pairs(VotePatterns(ballot.votes[:, columns], counts, names, ballot.n_codes))
        parts.append((columns[pairs.left], columns[pairs.right], pairs.value_left, pairs.value_right, pairs.n))
    return VotePairs(*(np.concatenate(part) for part in zip(*parts, strict=True)))
