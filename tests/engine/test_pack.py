"""Votes packed into words by SQL and unpacked by numpy are the same votes."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdb.engine.compile import packed_words
from wsdb.engine.stored_votes import unpack
from wsdb.planner.pack import per_word


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@given(
    n_classes=st.one_of(st.integers(2, 20), st.sampled_from([127, 128, 255, 256, 10_000])),
    n_columns=st.integers(1, 70),
    n_rows=st.integers(1, 12),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=60)
def test_packed_votes_come_back(
    con: duckdb.DuckDBPyConnection, n_classes: int, n_columns: int, n_rows: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    votes = rng.integers(-1, n_classes, size=(n_rows, n_columns)).astype(np.int16)
    votes[rng.random(votes.shape) < 0.2] = n_classes - 1  # the highest code fills all its bits
    names = [f"v{j}" for j in range(n_columns)]
    columns = [
        pa.array([None if vote < 0 else int(vote) for vote in votes[:, j]], pa.int16()) for j in range(n_columns)
    ]
    con.register("matrix", pa.table(columns, names=names))
    selected = ", ".join(f"{word} AS word_{at}" for at, word in enumerate(packed_words(names, n_classes)))
    packed = con.sql(f"SELECT {selected}, count(*) AS n FROM matrix GROUP BY ALL").to_arrow_table()
    counts = packed.column("n").to_numpy()
    words = [packed.column(f"word_{at}").to_numpy() for at in range(-(-n_columns // per_word(n_classes)))]
    found = unpack(words, n_columns, n_classes, len(counts))
    expected, expected_counts = np.unique(votes, axis=0, return_counts=True)
    order = np.lexsort(found.T[::-1])
    assert np.array_equal(found[order], expected)
    assert np.array_equal(counts[order], expected_counts)
    assert found.dtype == (np.int8 if n_classes <= 127 else np.int16)


def test_a_matrix_without_columns_is_one_pattern() -> None:
    assert packed_words([], 2) == []
    assert unpack([], 0, 2, 1).shape == (1, 0)
