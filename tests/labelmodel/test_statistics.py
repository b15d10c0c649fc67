"""The sufficient statistics count what they say, and add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.labelmodel.strategies import as_patterns, noise
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import statistics
from wsdb.labelmodel.statistics import FiredVotes, Statistics, count_pairs, vote_shares


def dense(pairs: statistics.PairCounts, m: int, k: int) -> np.ndarray:
    table = np.zeros((k, m, m))
    np.add.at(table, (pairs.value, pairs.left, pairs.right), pairs.count)
    return table


def brute_force_pairs(votes: np.ndarray, k: int) -> np.ndarray:
    m = votes.shape[1]
    table = np.zeros((k, m, m))
    for v in range(k):
        for left in range(m):
            for right in range(left + 1, m):
                table[v, left, right] = ((votes[:, left] == v) & (votes[:, right] == v)).sum()
    return table


def assert_same(one: Statistics, other: Statistics, m: int, k: int) -> None:
    assert one.n_rows == other.n_rows
    assert one.n_covered == other.n_covered
    np.testing.assert_allclose(one.fired, other.fired)
    np.testing.assert_allclose(one.votes, other.votes, atol=1e-9)
    np.testing.assert_allclose(one.classes, other.classes, atol=1e-9)
    np.testing.assert_allclose(dense(one.pairs, m, k), dense(other.pairs, m, k))


@given(noise(), st.floats(0, 1))
def test_statistics_of_two_shards_add_up_to_those_of_the_whole(table: tuple[np.ndarray, int], cut: float) -> None:
    votes, k = table
    at = int(cut * len(votes))
    parts = [Statistics.of(VotePatterns.of_rows(part, k)) for part in (votes[:at], votes[at:])]
    assert_same(parts[0] + parts[1], Statistics.of(VotePatterns.of_rows(votes, k)), votes.shape[1], k)


@given(noise())
def test_statistics_of_patterns_are_those_of_rows(table: tuple[np.ndarray, int]) -> None:
    votes, k = table
    grouped = Statistics.of(VotePatterns.of_rows(votes, k))
    assert_same(grouped, Statistics.of(as_patterns(votes, k)), votes.shape[1], k)


@pytest.mark.parametrize("cost", [0.0, 1e12], ids=["listed", "dense"])
def test_both_ways_to_count_pairs_equal_the_definition(cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "DENSE_PAIR_COST", cost)
    monkeypatch.setattr(statistics, "PAIR_CHUNK", 7)
    votes = np.random.default_rng(0).integers(-1, 3, size=(60, 6)).astype(np.int8)
    pairs = count_pairs(FiredVotes.of(VotePatterns.of_rows(votes, 3)))
    np.testing.assert_array_equal(dense(pairs, 6, 3), brute_force_pairs(votes, 3))


def test_thousands_of_rare_sources_need_memory_for_their_common_votes_only() -> None:
    rng = np.random.default_rng(1)
    m, n, k = 6000, 4000, 3
    votes = np.full((n, m), -1, dtype=np.int8)
    for row in range(n):
        votes[row, rng.integers(0, m, size=4)] = rng.integers(0, k)
    found = Statistics.of(as_patterns(votes, k))
    assert len(found.pairs.count) <= n * 6
    assert found.fired.sum() == (votes >= 0).sum()


def test_a_row_without_votes_has_no_shares() -> None:
    shares = vote_shares(FiredVotes.of(as_patterns(np.array([[-1, -1], [0, 1], [1, 1]]), 2)))
    np.testing.assert_array_equal(shares, [[0, 0], [0.5, 0.5], [0, 1]])


def test_votes_by_class_spread_each_row_over_its_vote_shares() -> None:
    found = Statistics.of(VotePatterns(np.array([[0, 1, 1], [0, -1, -1]]), np.array([3, 2]), ("a", "b", "c"), 2))
    np.testing.assert_allclose(found.votes[0], [[3 / 3 + 2, 3 * 2 / 3], [0, 0]])
    np.testing.assert_allclose(found.classes, [3.0, 2.0])
