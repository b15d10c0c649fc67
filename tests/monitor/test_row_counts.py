"""Counts of votes for several labels, and of bitvectors, against counting row by row."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.core.matrix import RowVotes, VotePatterns
from wsdb.monitor.row_counts import Ballot, agreement, count_rows
from wsdb.monitor.vote_counts import count_votes
from wsdb.monitor.vote_pairs import count_pairs

SPLITS = ("train", "dev", None)
K = 3
SETS = np.array([[True, True, False], [False, True, True], [True, True, True]])


@st.composite
def ballots(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of votes, of which those from K on are for several labels, splits and gold."""
    m, n = draw(st.integers(1, 5)), draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    votes = rng.integers(0, K + draw(st.sampled_from([0, len(SETS)])), size=(n, m)).astype(np.int16)
    votes[rng.random((n, m)) < draw(st.sampled_from([0.0, 0.5, 0.9]))] = -1
    split = np.array([*(SPLITS[at] for at in rng.integers(0, 3, size=n)), None], dtype=object)[:-1]
    return votes, split, rng.integers(-1, K, size=n)


def listed(votes: np.ndarray, split: np.ndarray, gold: np.ndarray, held: np.ndarray) -> Counter[tuple[object, ...]]:
    """Count votes, overlaps and conflicts of (split, source, value, gold) row by row."""
    found: Counter[tuple[object, ...]] = Counter()
    for row, name, g in zip(votes.tolist(), split, gold.tolist(), strict=True):
        cast = [(j, v) for j, v in enumerate(row) if v >= 0]
        torn = any(not (held[a] & held[b]).any() for (_, a), (_, b) in combinations(cast, 2))
        for j, v in cast:
            for what, here in (("n", True), ("overlap", len(cast) > 1), ("conflict", torn)):
                found[what, name, j, v, g] += here
    return +found


@given(ballots())
def test_counts_are_those_of_rows(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    votes, split, gold = table
    held = np.concatenate([np.eye(K, dtype=bool), SETS])
    ballot = Ballot(votes, np.zeros(votes.shape[1], dtype=int), agreement(held), gold[:, None])
    totals, counts, pairs = count_rows(ballot, split)
    found: Counter[tuple[object, ...]] = Counter()
    for s, j, v, g, *numbers in zip(
        *(counts.split, counts.source, counts.value, counts.gold, counts.n, counts.overlap, counts.conflict),
        strict=True,
    ):
        for what, number in zip(("n", "overlap", "conflict"), numbers, strict=True):
            found[what, totals.splits[s], int(j), int(v), int(g)] += int(number)
    assert +found == listed(votes, split, gold, held)
    rows = Counter(split.tolist())
    covered = Counter(split[(votes >= 0).any(axis=1)].tolist())
    for name, n, voted, known in zip(totals.splits, totals.n, totals.covered, totals.gold, strict=True):
        assert (n, voted) == (rows[name], covered[name])
        assert known == sum(g >= 0 for s, g in zip(split, gold, strict=True) if s == name)
    expected = count_pairs(VotePatterns.of_rows(votes, len(held))) if len(votes) else pairs
    assert sorted(zip(pairs.left, pairs.right, pairs.value_left, pairs.value_right, pairs.n, strict=True)) == sorted(
        zip(expected.left, expected.right, expected.value_left, expected.value_right, expected.n, strict=True)
    )


@given(ballots())
def test_votes_for_one_label_are_counted_as_ever(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    votes, split, gold = table
    votes = np.where(votes >= K, -1, votes).astype(np.int8)
    ballot = Ballot(votes, np.zeros(votes.shape[1], dtype=int), np.eye(K, dtype=bool), gold[:, None])
    _, counts, _ = count_rows(ballot, split)
    names = tuple(f"lf_{j}" for j in range(votes.shape[1]))
    patterns = VotePatterns(votes, np.ones(len(votes), dtype=np.int64), names, K)
    _, expected = count_votes(RowVotes(patterns, split, gold, patterns))
    for part in ("source", "value", "gold", "n", "overlap", "conflict"):
        assert sorted(getattr(counts, part)) == sorted(getattr(expected, part))


@given(ballots(), st.integers(0, 2**20))
def test_bits_are_counted_label_by_label(table: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int) -> None:
    votes, split, _ = table
    votes = np.where(votes > 1, -1, votes)
    rng = np.random.default_rng(seed)
    subject = rng.integers(0, 2, size=votes.shape[1])
    gold = rng.integers(-1, 2, size=(len(votes), 2))
    _, counts, pairs = count_rows(Ballot(votes, subject, np.eye(2, dtype=bool), gold), split)
    for bit in (0, 1):
        columns = np.flatnonzero(subject == bit)
        found = listed(votes[:, columns], split, gold[:, bit], np.eye(2, dtype=bool))
        here = np.isin(counts.source, columns)
        for what, numbers in (("n", counts.n), ("overlap", counts.overlap), ("conflict", counts.conflict)):
            assert numbers[here].sum() == sum(n for key, n in found.items() if key[0] == what)
    assert (subject[pairs.left] == subject[pairs.right]).all()


def test_a_vote_for_all_labels_conflicts_with_none() -> None:
    votes = np.array([[0, 5], [2, 3]])
    held = np.concatenate([np.eye(K, dtype=bool), SETS])
    ballot = Ballot(votes, np.zeros(2, dtype=int), agreement(held), np.array([[-1], [-1]]))
    _, counts, _ = count_rows(ballot, np.array([None, None], dtype=object))
    assert dict(zip(counts.value.tolist(), counts.conflict.tolist(), strict=True)) == {0: 0, 5: 0, 2: 1, 3: 1}
    assert agreement(held)[5].all()
    assert pytest.approx(1) == agreement(held)[3, 4]
