"""Dependencies of labels that are stored row by row: planted pairs are found, independent sources are not."""

from __future__ import annotations

import numpy as np
import pytest

from wsdb.core.matrix import ABSTAIN, VotePatterns
from wsdb.labelmodel.dependencies import Dependency
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.row_edges import row_edges
from wsdb.labelmodel.shapes import RowVoteMatrix, fit_rows
from wsdb.monitor.vote_pairs import count_pairs

N, M = 6_000, 5


def drawn(k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True classes and votes of five sources, the last of which repeats 80 % of the votes of the first."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, k, N)
    votes = np.where(random.random((N, M)) < 0.75, truth[:, None], random.integers(0, k, (N, M)))
    votes[:, -1] = np.where(random.random(N) < 0.8, votes[:, 0], votes[:, -1])
    return truth, np.where(random.random((N, M)) < 0.7, votes, ABSTAIN)


def edges(kind: str, votes: np.ndarray, labels: list[str], offsets: np.ndarray) -> list[Dependency]:
    matrix = RowVoteMatrix(votes, tuple("abcde"), offsets)
    pairs = count_pairs(VotePatterns(votes.astype(np.int16), np.ones(N, np.int64), matrix.sources, len(labels)))
    same = pairs.value_left == pairs.value_right
    agreed = PairCounts(pairs.left[same], pairs.right[same], pairs.value_left[same], pairs.n[same].astype(float))
    return row_edges(matrix, fit_rows(kind, matrix, labels), agreed)


@pytest.mark.parametrize(("kind", "size"), [("ordinal", 1), ("soft", 1), ("sequence", 6)])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_repeated_source_is_found_and_no_other(kind: str, size: int, seed: int) -> None:
    _, votes = drawn(3, seed)
    found = edges(kind, votes, ["x", "y", "z"], np.arange(0, N + 1, size))
    assert [(edge.source_a, edge.source_b, edge.reason) for edge in found] == [("a", "e", "learned")]


def test_sources_of_a_set_are_compared_where_they_point() -> None:
    random = np.random.default_rng(3)
    right = (np.arange(N) % 4 == random.integers(0, 4, N // 4).repeat(4)).astype(np.int64)
    hits = np.where(random.random((N, M)) < 0.8, right[:, None], 1 - right[:, None])
    hits[:, -1] = np.where(random.random(N) < 0.9, hits[:, 0], hits[:, -1])
    found = edges("select", np.where(random.random((N, M)) < 0.8, hits, ABSTAIN), ["no", "yes"], np.arange(0, N + 1, 4))
    assert ("a", "e") in [(edge.source_a, edge.source_b) for edge in found]
    assert found[0][:2] == ("a", "e")


def test_no_votes_and_no_pairs_have_no_edges() -> None:
    for votes in (np.full((N, M), ABSTAIN), np.where(np.arange(M) == np.arange(N)[:, None] % M, 0, ABSTAIN)):
        assert edges("soft", votes, ["x", "y"], np.arange(N + 1)) == []
