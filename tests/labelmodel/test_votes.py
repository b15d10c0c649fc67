"""Votes as a table and as a list: the same sums, the same fits, and lists that are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.labelmodel.strategies import METHODS, REGIMES, balances, drawn, noise
from wsdb.core.matrix import SparseVotes, VotePatterns
from wsdb.labelmodel import decide, fired, fit, posterior, statistics
from wsdb.labelmodel.dense import DenseVotes
from wsdb.labelmodel.fired import FiredVotes
from wsdb.labelmodel.statistics import read_votes
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates


@given(noise(), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_and_a_list_give_the_same_sums(
    monkeypatch: pytest.MonkeyPatch, table: tuple[np.ndarray, int], data: st.DataObject
) -> None:
    votes, k = table
    if votes.shape[1] > 2 and len(votes):
        votes[:, 2] = votes[:, 0]
    n, m = votes.shape
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    patterns = VotePatterns(votes, rng.integers(1, 9, size=n), tuple(f"s{j}" for j in range(m)), k)
    posteriors, scores, weights = rng.random((n, k)), rng.random((m, k, k)), rng.uniform(0.1, 1, size=m)
    keep = rng.random(m) < 0.6
    one = DenseVotes.of(patterns)
    monkeypatch.setattr(fired, "FLAT_CELLS", data.draw(st.sampled_from([0, 1 << 22])))
    for other in (FiredVotes.of(patterns), FiredVotes.of(SparseVotes.of_patterns(patterns))):
        np.testing.assert_array_equal(one.table, other.table)
        np.testing.assert_array_equal(one.votes_per_pattern, other.votes_per_pattern)
        np.testing.assert_allclose(one.shares(), other.shares(), atol=1e-12)
        np.testing.assert_allclose(one.shares(weights), other.shares(weights), atol=1e-12)
        np.testing.assert_allclose(one.count(posteriors), other.count(posteriors), atol=1e-9)
        np.testing.assert_allclose(one.class_logs(scores), other.class_logs(scores), atol=1e-9)
        np.testing.assert_array_equal(one.select(keep).table, other.select(keep).table)
        np.testing.assert_array_equal(one.copies(), other.copies())
        assert one.distinct_patterns() == other.distinct_patterns() == min(3, distinct(votes))


def distinct(votes: np.ndarray) -> int:
    return len({row.tobytes() for row in votes if (row >= 0).any()})


def test_copies_are_the_first_of_equal_columns() -> None:
    votes = np.array([[0, -1, 0, 1, -1], [1, -1, 1, 0, -1], [-1, -1, -1, 1, -1]])
    patterns = VotePatterns(votes, np.ones(3, dtype=np.int64), tuple("abcde"), 2)
    for form in (DenseVotes, FiredVotes):
        assert form.of(patterns).copies().tolist() == [0, 1, 0, 3, 1]


def test_the_cheaper_form_is_read() -> None:
    rng = np.random.default_rng(0)
    full = rng.integers(0, 2, size=(50, 6)).astype(np.int8)
    rare = np.where(rng.random((50, 6)) < 0.02, full, -1).astype(np.int8)
    assert isinstance(read_votes(VotePatterns.of_rows(full, 2)), DenseVotes)
    assert isinstance(read_votes(VotePatterns.of_rows(rare, 2)), FiredVotes)


@given(st.one_of(noise(), drawn(n_rows=200)), st.data())
def test_a_list_with_unlisted_rows_gives_the_fit_of_the_table(
    table: tuple[np.ndarray, int], data: st.DataObject
) -> None:
    votes, k = table
    patterns = VotePatterns.of_rows(votes, k)
    covered = (patterns.votes >= 0).any(axis=1)
    kept = VotePatterns(patterns.votes[covered], patterns.counts[covered], patterns.sources, k)
    listed = SparseVotes.of_patterns(kept)
    sparse = SparseVotes(
        listed.row, listed.source, listed.value, listed.counts, listed.sources, k, n_rows=patterns.n_rows
    )
    asked = {"method": data.draw(METHODS), "balance": data.draw(balances(k)), "regime": data.draw(REGIMES)}
    one, other = fit(patterns, **asked), fit(sparse, **asked)
    assert (one.chosen, one.n_rows) == (other.chosen, other.n_rows)
    np.testing.assert_allclose(other.form.scores, one.form.scores, atol=1e-8)
    np.testing.assert_allclose(other.accuracy, one.accuracy, atol=1e-9)
    np.testing.assert_allclose(posterior(other.form, sparse), posterior(one.form, kept.votes), atol=1e-8)
    np.testing.assert_array_equal(decide(one.form, sparse), decide(one.form, kept.votes))


def test_reading_many_classes_as_a_table_or_a_list_gives_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    balance = rng.dirichlet(np.full(5, 9.0))
    votes = draw_votes(rng, labeling_rates(rng, 9, 5, coverage=0.4), balance, 4000)[1]
    found = []
    for cost in (1e-9, 1e9):
        monkeypatch.setattr(statistics, "SPARSE_VOTE_COST", cost)
        found.append(fit(VotePatterns.of_rows(votes, 5), balance=balance))
    np.testing.assert_allclose(found[0].form.scores, found[1].form.scores, atol=1e-9)
    np.testing.assert_allclose(found[0].weights, found[1].weights, atol=1e-9)


def of_list(row: list[int], source: list[int], value: list[int], **more: object) -> SparseVotes:
    arrays = (np.array(part, dtype=np.int64) for part in (row, source, value))
    return SparseVotes.of_list(*arrays, **({"counts": np.ones(3), "sources": ("a", "b"), "n_classes": 2} | more))


def test_a_list_in_any_order_is_ordered() -> None:
    votes = of_list([2, 0, 0], [0, 1, 0], [1, 0, 1], n_rows=7)
    assert (votes.row.tolist(), votes.source.tolist(), votes.value.tolist()) == ([0, 0, 2], [0, 1, 0], [1, 0, 1])
    assert (votes.value.dtype, votes.n_rows) == (np.int8, 7)
    assert FiredVotes.of(votes).counts.tolist() == [1, 1, 1, 4]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([0, 0], [1, 1], [0, 0]), "one of each source on a row"),
        (([0], [2], [0]), "sources in 0 … 1"),
        (([3], [0], [0]), "rows must be in 0 … 2"),
        (([-1], [0], [0]), "rows must be in"),
        (([0], [0], [2]), "votes must be in 0 … 1"),
        (([0], [0], [-1]), "votes must be in 0 … 1"),
    ],
)
def test_an_impossible_list_is_refused(arguments: tuple[list[int], ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        of_list(*arguments)


def test_fewer_rows_than_listed_and_unordered_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="below the 3 rows listed"):
        of_list([0], [0], [0], n_rows=2)
    one = np.array([1, 0])
    with pytest.raises(ValueError, match="ordered by row and source"):
        SparseVotes(one, one, one, np.ones(2, dtype=np.int64), ("a", "b"), 2, 2)
    with pytest.raises(ValueError, match="do not match"):
        SparseVotes(one, one[:1], one, np.ones(2, dtype=np.int64), ("a", "b"), 2, 2)


MANY = """
import resource
import numpy as np
from wsdb.core.matrix import SparseVotes
from wsdb.labelmodel import fit

m, n, per, k = 1800, 1_700_000, 12, 2
rng = np.random.default_rng(0)
labels = rng.random(n) < 0.3
own = np.arange(m) % k
source = (m * rng.random((n, per)) ** 2).astype(np.int32)
right = own[source] == labels[:, None]
kept = rng.random((n, per)) < np.where(right, 1.0, 0.25)
row = np.repeat(np.arange(n, dtype=np.int32), per)[kept.ravel()]
code = np.unique(row * np.int64(m) + source.ravel()[kept.ravel()])
row, source = (code // m).astype(np.int32), (code % m).astype(np.int32)
del code, right, kept
names = tuple(f"lf_{j}" for j in range(m))
votes = SparseVotes(row, source, own[source].astype(np.int8), np.ones(n, np.int64), names, k, n)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import time
start = time.process_time()
fitted = fit(votes, balance=np.array([0.7, 0.3]))
took = time.process_time() - start
from wsdb.labelmodel import decide
right = (decide(fitted.form, votes) == labels).mean()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(row), fitted.chosen, peak // 1024, right, round(took, 1), before // 1024)
"""


@pytest.mark.slow
def test_eighteen_hundred_functions_over_millions_of_rows_fit_in_four_gigabytes() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", MANY], capture_output=True, text=True, env=environment, cwd=root, check=True
    )
    n_votes, chosen, megabytes, right = done.stdout.split()[:4]
    assert int(n_votes) > 10_000_000
    assert chosen == "ads"
    assert int(megabytes) < 4096
    assert float(right) > 0.8
