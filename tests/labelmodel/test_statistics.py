"""The sufficient statistics count what they say, and add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.labelmodel.strategies import as_patterns, noise
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import pairs, statistics
from wsdb.labelmodel.dense import DenseVotes
from wsdb.labelmodel.fired import FiredVotes
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.statistics import Statistics, count_pairs, vote_shares


def dense(found: PairCounts, m: int, k: int) -> np.ndarray:
    table = np.zeros((k, m, m))
    np.add.at(table, (found.value, found.left, found.right), found.count)
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
    assert one.n_overlap == other.n_overlap
    # To the last bit, whatever the order of the sums: shares are multiples of one number.
    np.testing.assert_array_equal(one.fired, other.fired)
    np.testing.assert_array_equal(one.votes, other.votes)
    np.testing.assert_array_equal(one.classes, other.classes)
    np.testing.assert_array_equal(dense(one.pairs, m, k), dense(other.pairs, m, k))


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


@given(noise(), st.floats(0, 1))
def test_rows_taken_away_leave_the_statistics_of_the_rest(table: tuple[np.ndarray, int], cut: float) -> None:
    votes, k = table
    at = int(cut * len(votes))
    whole, part, rest = (Statistics.of(VotePatterns.of_rows(rows, k)) for rows in (votes, votes[:at], votes[at:]))
    left = whole - part
    assert_same(left, rest, votes.shape[1], k)
    np.testing.assert_array_equal(left.votes > 0, rest.votes > 0)
    assert (left.pairs.count > 0).all()
    # A changed row: taken away as it was, added as it is.
    changed = votes[:at][::-1].copy()
    changed[changed >= 0] = k - 1 - changed[changed >= 0]
    after = whole - part + Statistics.of(VotePatterns.of_rows(changed, k))
    expected = Statistics.of(VotePatterns.of_rows(np.concatenate([changed, votes[at:]]), k))
    assert_same(after, expected, votes.shape[1], k)


@given(noise(min_rows=2), st.lists(st.tuples(st.sampled_from("aed"), st.integers(0, 2**20)), max_size=12))
def test_patched_statistics_are_those_of_a_new_count(
    table: tuple[np.ndarray, int], edits: list[tuple[str, int]]
) -> None:
    votes, k = table

    def count(rows: np.ndarray) -> Statistics:
        return Statistics.of(VotePatterns.of_rows(rows, k))

    now, kept = votes, count(votes)
    for edit, seed in edits:
        rng = np.random.default_rng(seed)
        if edit == "a":  # rows are appended
            new = votes[rng.integers(0, len(votes), size=3)]
            now, kept = np.concatenate([now, new]), kept + count(new)
        elif edit == "d":  # rows are deleted
            gone = rng.random(len(now)) < 0.3
            now, kept = now[~gone], kept - count(now[gone])
        elif now.shape[1]:  # a labeling function is edited
            j, after = rng.integers(0, now.shape[1]), now.copy()
            after[:, j] = np.where(rng.random(len(now)) < 0.5, rng.integers(-1, k, size=len(now)), now[:, j])
            other = (after != now).any(axis=1)
            now, kept = after, kept - count(now[other]) + count(after[other])
    assert_same(kept, count(now), votes.shape[1], k)


@given(noise())
def test_statistics_survive_as_plain_arrays(table: tuple[np.ndarray, int]) -> None:
    votes, k = table
    found = Statistics.of(VotePatterns.of_rows(votes, k))
    arrays = found.to_arrays()
    assert all(array.ndim == 1 for array in arrays.values())
    read = Statistics.from_arrays({name: np.array(array.tolist(), array.dtype) for name, array in arrays.items()})
    assert (read.n_rows, read.n_covered) == (found.n_rows, found.n_covered)
    np.testing.assert_array_equal(read.fired, found.fired)
    np.testing.assert_array_equal(read.votes, found.votes)
    np.testing.assert_array_equal(read.classes, found.classes)
    for name in ("left", "right", "value", "count"):
        np.testing.assert_array_equal(getattr(read.pairs, name), getattr(found.pairs, name))


@pytest.mark.parametrize("cost", [1e-9, 1e12], ids=["bits", "listed"])
@pytest.mark.parametrize("least", [1, 3])
def test_both_ways_to_count_pairs_equal_the_definition(
    cost: float, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "BIT_WORD_COST", cost)
    monkeypatch.setattr(pairs, "PAIR_CHUNK", 7)
    monkeypatch.setattr(pairs, "BIT_BLOCK_WORDS", 2)
    monkeypatch.setattr(pairs, "COUNTER_CELLS", 40)
    rng = np.random.default_rng(0)
    votes = rng.integers(-1, 3, size=(300, 6)).astype(np.int8)
    counts = rng.integers(1, 40, size=300)
    expected = brute_force_pairs(np.repeat(votes, counts, axis=0), 3)
    expected[expected < least] = 0
    names = tuple("abcdef")
    for form in (FiredVotes, DenseVotes):
        found = count_pairs(form.of(VotePatterns(votes, counts, names, 3)), least)
        np.testing.assert_array_equal(dense(found, 6, 3), expected)


def test_rare_pairs_of_many_sources_are_left_out() -> None:
    rng = np.random.default_rng(3)
    votes = np.full((200, 301), -1, dtype=np.int8)
    for row in range(200):
        votes[row, rng.integers(0, 40, size=8)] = 1
    fired = FiredVotes.of(as_patterns(votes, 2))
    every = fired.pairs(1)
    assert count_pairs(fired).count.min() == statistics.MIN_PAIR_ROWS
    assert len(count_pairs(fired).count) == (every.count >= statistics.MIN_PAIR_ROWS).sum() < len(every.count)
    assert len(Statistics.of(as_patterns(votes, 2)).pairs.count) == len(every.count)


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
