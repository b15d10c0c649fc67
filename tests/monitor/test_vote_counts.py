"""Counts of votes against counting row by row, and their laws."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.core.matrix import RowVotes, SparseVotes, VotePatterns
from wsdb.monitor import vote_counts, vote_pairs
from wsdb.monitor.vote_counts import SplitCounts, VoteCounts, count_votes, some_rows, thinned
from wsdb.monitor.vote_pairs import VotePairs, count_pairs

SPLITS = ("train", "dev", None)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, list[str | None], np.ndarray, int]:
    """Rows of votes, their splits and gold labels, and the number of classes; abstains from none to all."""
    k = draw(st.sampled_from([2, 3, 9]))
    m, n = draw(st.integers(0, 7)), draw(st.integers(0, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    votes = rng.integers(0, k, size=(n, m)).astype(np.int8)
    votes[rng.random((n, m)) < draw(st.sampled_from([0.0, 0.4, 0.9, 1.0]))] = -1
    gold = rng.integers(-1, k, size=n)
    return votes, [SPLITS[at] for at in rng.integers(0, 3, size=n)], gold, k


def patterns(votes: np.ndarray, split: list[str | None], gold: np.ndarray, k: int) -> RowVotes:
    """Group rows by split, gold and votes, as a wide label matrix is stored."""
    groups = Counter((s, int(g), tuple(row)) for s, g, row in zip(split, gold, votes.tolist(), strict=True))
    names = tuple(f"lf_{j}" for j in range(votes.shape[1]))
    table = np.array([key[2] for key in groups], dtype=np.int8).reshape(len(groups), votes.shape[1])
    counts = np.array(list(groups.values()), dtype=np.int64)
    splits = np.array([key[0] for key in groups], dtype=object)
    golds = np.array([key[1] for key in groups], dtype=np.int64)
    return RowVotes(VotePatterns(table, counts, names, k), splits, golds, VotePatterns.of_rows(votes, k, names))


def listed(votes: np.ndarray, split: list[str | None], gold: np.ndarray, k: int) -> RowVotes:
    """List the votes of the rows, as a sparse label matrix is stored."""
    row, source = np.nonzero(votes != -1)
    names = tuple(f"lf_{j}" for j in range(votes.shape[1]))
    ones = np.ones(len(votes), dtype=np.int64)
    found = SparseVotes.of_list(row, source, votes[row, source], counts=ones, sources=names, n_classes=k)
    return RowVotes(found, np.array(split, dtype=object), gold, found)


def by_hand(
    votes: np.ndarray, split: list[str | None], gold: np.ndarray
) -> dict[tuple[str | None, int, int, int], list[int]]:
    """Count row by row: by split, source, value and gold, the votes, overlaps and conflicts."""
    found: dict[tuple[str | None, int, int, int], list[int]] = {}
    for row, where, truth in zip(votes.tolist(), split, gold.tolist(), strict=True):
        cast = [value for value in row if value != -1]
        for j, value in enumerate(row):
            if value != -1:
                cell = found.setdefault((where, j, value, truth), [0, 0, 0])
                cell[0] += 1
                cell[1] += len(cast) > 1
                cell[2] += len(set(cast)) > 1
    return found


def as_dict(rows: RowVotes) -> dict[tuple[str | None, int, int, int], list[int]]:
    return listed_counts(*count_votes(rows))


def listed_counts(splits: SplitCounts, counts: VoteCounts) -> dict[tuple[str | None, int, int, int], list[int]]:
    keys = zip(counts.split.tolist(), counts.source.tolist(), counts.value.tolist(), counts.gold.tolist(), strict=True)
    values = zip(counts.n.tolist(), counts.overlap.tolist(), counts.conflict.tolist(), strict=True)
    return {(splits.splits[s], *rest): list(value) for (s, *rest), value in zip(keys, values, strict=True)}


@given(tables(), st.booleans(), st.booleans())
def test_votes_are_counted_as_row_by_row(
    table: tuple[np.ndarray, list[str | None], np.ndarray, int], sparse: bool, sorted_keys: bool
) -> None:
    rows = (listed if sparse else patterns)(*table)
    with pytest.MonkeyPatch.context() as patch:
        if sorted_keys:
            patch.setattr(vote_counts, "DENSE_CELLS", 0)
        assert as_dict(rows) == by_hand(*table[:3])


@given(tables(), st.floats(0, 1), st.floats(0, 1))
def test_patched_counts_are_those_of_a_new_count(
    table: tuple[np.ndarray, list[str | None], np.ndarray, int], first: float, second: float
) -> None:
    votes, split, gold, k = table
    low, high = sorted(round(cut * len(votes)) for cut in (first, second))

    def part(rows: slice) -> RowVotes:
        return patterns(votes[rows], split[rows], gold[rows], k)

    before, went, came = part(slice(0, high)), part(slice(0, low)), part(slice(high, None))
    left, m = part(slice(low, None)), votes.shape[1]
    splits, counts = vote_counts.patched(*(count_votes(rows) for rows in (before, came, went)), m, k)
    assert listed_counts(splits, counts) == as_dict(left)
    totals, _ = count_votes(left)
    assert split_sizes(splits) == split_sizes(totals)
    pairs = vote_pairs.patched(*(count_pairs(rows.votes) for rows in (before, came, went)), m, k)
    assert listed_pairs(pairs) == pairs_by_hand(votes[low:])


def split_sizes(totals: SplitCounts) -> dict[str | None, tuple[int, int, int]]:
    sizes = zip(totals.n.tolist(), totals.covered.tolist(), totals.gold.tolist(), strict=True)
    return dict(zip(totals.splits, sizes, strict=True))


@given(tables(), st.booleans())
def test_rows_of_splits_are_counted(table: tuple[np.ndarray, list[str | None], np.ndarray, int], sparse: bool) -> None:
    votes, split, gold, _ = table
    totals, _ = count_votes((listed if sparse else patterns)(*table))
    covered = (votes != -1).any(axis=1) if votes.size else np.zeros(len(votes), dtype=bool)
    expected = {
        name: (
            split.count(name),
            sum(c for c, s in zip(covered.tolist(), split, strict=True) if s == name),
            sum(g >= 0 for g, s in zip(gold.tolist(), split, strict=True) if s == name),
        )
        for name in set(split)
    }
    assert split_sizes(totals) == expected


def pairs_by_hand(votes: np.ndarray) -> Counter[tuple[int, int, int, int]]:
    """Count the pairs of votes row by row: (left, right, value of left, value of right)."""
    return Counter(
        (i, j, row[i], row[j])
        for row in votes.tolist()
        for i, j in combinations(range(len(row)), 2)
        if row[i] != -1 and row[j] != -1
    )


def pairs_of(votes: VotePatterns | SparseVotes, least: int = 1) -> dict[tuple[int, int, int, int], int]:
    return listed_pairs(count_pairs(votes, least))


def listed_pairs(found: VotePairs) -> dict[tuple[int, int, int, int], int]:
    parts = (found.left, found.right, found.value_left, found.value_right, found.n)
    return {(i, j, a, b): n for i, j, a, b, n in zip(*(part.tolist() for part in parts), strict=True)}


@pytest.mark.parametrize("way", ["listing", "keys", "table"])
@pytest.mark.parametrize("sparse", [False, True])
def test_pairs_are_counted_as_row_by_row_in_every_way(way: str, sparse: bool) -> None:
    @given(tables(), st.integers(1, 4))
    def check(table: tuple[np.ndarray, list[str | None], np.ndarray, int], least: int) -> None:
        rows = (listed if sparse else patterns)(*table)
        every = pairs_by_hand(table[0])
        both = Counter[tuple[int, int]]()
        for (i, j, _, _), n in every.items():
            both[i, j] += n
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vote_pairs, "LISTING_COST", 1e9 if way == "table" else 0.0)
            patch.setattr(vote_pairs, "PAIR_CHUNK", 5)
            patch.setattr(vote_pairs, "TABLE_CELLS", 20)
            if way == "keys":
                patch.setattr(vote_pairs, "DENSE_CELLS", 0)
            expected = {key: n for key, n in every.items() if both[key[:2]] >= least}
            assert pairs_of(rows.distinct, least) == expected
            _, counts = count_votes(rows)
            voted = np.unique(counts.source * table[3] + counts.value)
            assert listed_pairs(count_pairs(rows.distinct, least, voted)) == expected

    check()


@given(tables(), st.booleans(), st.integers(0, 2**20))
def test_parts_add_up_to_the_whole(
    table: tuple[np.ndarray, list[str | None], np.ndarray, int], sparse: bool, seed: int
) -> None:
    rows = (listed if sparse else patterns)(*table)
    here = np.random.default_rng(seed).random(len(rows.gold)) < 0.5
    total: dict[tuple[str | None, int, int, int], list[int]] = {}
    for chosen in (np.flatnonzero(here), np.flatnonzero(~here)):
        votes = some_rows(rows.votes, chosen)
        for key, counts in as_dict(RowVotes(votes, rows.split[chosen], rows.gold[chosen], votes)).items():
            total[key] = [a + b for a, b in zip(total.get(key, [0, 0, 0]), counts, strict=True)]
    assert total == as_dict(rows)


@pytest.mark.parametrize("sparse", [False, True])
def test_thinned_votes_are_rows_of_the_table_in_proportion(sparse: bool) -> None:
    rng = np.random.default_rng(3)
    votes = rng.integers(-1, 3, size=(20_000, 6)).astype(np.int8)
    votes[:8_000] = -1
    split: list[str | None] = ["train"] * 20_000
    rows = (listed if sparse else patterns)(votes, split, rng.integers(-1, 3, size=20_000), 3)
    few = thinned(rows, 2_000)
    share = 2_000 / len(rows.votes.counts)
    assert len(few.votes.counts) <= 4_000 and few.votes.counts.sum() == pytest.approx(20_000 * share, rel=0.05)
    per_row = vote_counts.Listed.of(few.votes).per_row
    assert few.votes.counts[per_row == 0].sum() / few.votes.counts.sum() == pytest.approx(0.4, abs=0.03)
    assert few.distinct.counts.sum() == few.votes.counts.sum()
    assert as_dict(few).keys() <= as_dict(rows).keys()
    assert thinned(few, 10**6) is few


@given(tables(), st.integers(0, 6), st.integers(0, 6))
def test_copies_are_columns_with_the_votes_of_an_earlier_one(
    table: tuple[np.ndarray, list[str | None], np.ndarray, int], one: int, other: int
) -> None:
    votes, split, gold, k = table
    if max(one, other) < votes.shape[1]:
        votes[:, other] = votes[:, one]
    found = vote_pairs.copies(count_pairs(patterns(votes, split, gold, k).distinct), (votes != -1).sum(axis=0))
    same = {
        j: (i, int((votes[:, i] != -1).sum()))
        for j in range(votes.shape[1])
        for i in range(j - 1, -1, -1)
        if (votes[:, i] == votes[:, j]).all() and (votes[:, i] != -1).any()
    }
    assert found == same


def test_many_votes_a_row_are_multiplied_and_few_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[str] = []
    for name in ("_multiplied", "_paired"):
        inner = getattr(vote_pairs, name)
        monkeypatch.setattr(vote_pairs, name, lambda *args, inner=inner, name=name: ways.append(name) or inner(*args))
    full = VotePatterns.of_rows(np.random.default_rng(0).integers(0, 2, size=(500, 60)).astype(np.int8), 2)
    count_pairs(full)
    thin = full.votes.copy()
    thin[np.random.default_rng(1).random(thin.shape) < 0.97] = -1
    count_pairs(VotePatterns.of_rows(thin, 2))
    assert ways == ["_multiplied", "_paired"]


def test_no_rows_and_no_sources_count_nothing() -> None:
    nothing = patterns(np.zeros((0, 3), dtype=np.int8), [], np.zeros(0, dtype=np.int64), 2)
    totals, counts = count_votes(nothing)
    assert totals.splits == () and len(counts.n) == 0 and pairs_of(nothing.distinct) == {}
    alone = patterns(np.zeros((4, 0), dtype=np.int8), ["dev"] * 4, np.array([0, 1, -1, -1]), 2)
    totals, counts = count_votes(alone)
    assert (totals.splits, totals.n.tolist(), totals.covered.tolist(), totals.gold.tolist()) == (
        ("dev",),
        [4],
        [0],
        [2],
    )
    assert len(counts.n) == 0 and pairs_of(alone.distinct) == {}
