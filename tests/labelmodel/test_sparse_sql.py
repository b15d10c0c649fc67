"""Votes in long form: the SELECT, numpy and the wide SELECT give every row the same answer."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labelmodel.strategies import METHODS, REGIMES, balances, drawn, noise
from tests.labelmodel.test_sql import SPLIT, forms, random_votes
from wsdb.core.matrix import SparseVotes, VotePatterns
from wsdb.labelmodel import ScoreForm, decide, fit, posterior
from wsdb.labelmodel.sparse_sql import labels_select_sparse, score_rows


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def listed(votes: np.ndarray, k: int) -> SparseVotes:
    names = tuple(f"s{j}" for j in range(votes.shape[1]))
    return SparseVotes.of_patterns(VotePatterns(votes, np.ones(len(votes), dtype=np.int64), names, k))


def assert_same(connection: duckdb.DuckDBPyConnection, form: ScoreForm, votes: np.ndarray) -> None:
    k = form.n_classes
    row, source = np.nonzero(votes >= 0)
    raw = {"the key": row, "part": row % 2, "source": source.astype(np.int32), "code": votes[row, source]}
    connection.register("votes", pa.table(raw))
    keys = np.arange(len(votes))
    connection.register("every row", pa.table({"the key": keys, "part": keys % 2, "more": keys}))
    connection.register("scores", pa.table(score_rows(form)))
    labels = list(SPLIT[:k])
    select = labels_select_sparse(
        form, votes="votes", rows='"every row"', scores="scores", keys=['"the key"', "part"], labels=labels
    )
    relation = connection.sql(f'SELECT * FROM ({select}) ORDER BY "the key"')
    assert relation.columns == ["the key", "part", "label", "prob", "probs", "n_votes", "n_conflicts", "covered"]
    assert [str(t) for t in relation.types[2:]] == [
        "VARCHAR", "DOUBLE", "MAP(VARCHAR, DOUBLE)", "INTEGER", "INTEGER", "BOOLEAN",
    ]  # fmt: skip
    sparse = listed(votes, k)
    expected, chosen = posterior(form, sparse), decide(form, sparse)
    np.testing.assert_allclose(expected, posterior(form, votes), atol=1e-9)
    np.testing.assert_array_equal(chosen, decide(form, votes))
    rows = relation.fetchall()
    assert [found[0] for found in rows] == keys.tolist()
    for key, part, label, prob, probs, n_votes, n_conflicts, covered in rows:
        fired = votes[key][votes[key] >= 0]
        assert part == key % 2
        assert list(probs) == labels
        np.testing.assert_allclose(list(probs.values()), expected[key], atol=1e-9)
        assert (n_votes, covered) == (len(fired), len(fired) > 0)
        if covered:
            assert (label, prob) == (labels[chosen[key]], probs[label])
            assert n_conflicts == (fired != chosen[key]).sum()
        else:
            assert (label, prob, n_conflicts) == (None, None, 0)


@given(forms(), st.integers(0, 99))
@settings(max_examples=60)
def test_any_form_gives_the_same_answer(connection: duckdb.DuckDBPyConnection, form: ScoreForm, seed: int) -> None:
    assert_same(connection, form, random_votes(seed, 25, form.n_sources, form.n_classes))


@given(st.one_of(noise(), drawn(n_rows=120)), st.data())
@settings(max_examples=40)
def test_any_fit_gives_the_same_answer(
    connection: duckdb.DuckDBPyConnection, table: tuple[np.ndarray, int], data: st.DataObject
) -> None:
    votes, k = table
    fitted = fit(listed(votes, k), method=data.draw(METHODS), balance=data.draw(balances(k)), regime=data.draw(REGIMES))
    assert_same(connection, fitted.form, votes[:30])
    assert_same(connection, fitted.training_form, votes[:30])


def test_votes_of_unknown_sources_and_values_are_no_votes(connection: duckdb.DuckDBPyConnection) -> None:
    form = ScoreForm(np.zeros(2), np.array([[[1.0, 0.0], [0.0, 1.0]]]), 1.0, None, 0.0, np.full(2, 0.5))
    connection.register("scores", pa.table(score_rows(form)))
    votes = (
        "(SELECT * FROM (VALUES (1, 0, 1), (1, 7, 0), (1, 0, 9), (2, -1, 0), (3, NULL, 0), (3, 0, NULL)) t(id, s, v))"
    )
    select = labels_select_sparse(
        form,
        votes=votes,
        rows="(SELECT range AS id FROM range(1, 4))",
        scores="scores",
        keys=["id"],
        labels=["no", "yes"],
        source="s",
        code="v",
    )
    found = connection.execute(f"SELECT id, label, n_votes FROM ({select}) ORDER BY id").fetchall()
    assert found == [(1, "yes", 1), (2, None, 0), (3, None, 0)]


def test_labels_and_keys_that_do_not_match_are_refused() -> None:
    form = ScoreForm(np.zeros(2), np.zeros((1, 2, 2)), 1.0, None, 0.0, np.full(2, 0.5))
    for keys, labels in ((["id"], ["a"]), ([], ["a", "b"])):
        with pytest.raises(ValueError, match="do not match"):
            labels_select_sparse(form, votes="v", rows="r", scores="s", keys=keys, labels=labels)
    with pytest.raises(ValueError, match="do not match"):
        posterior(form, listed(np.zeros((1, 2), dtype=np.int8), 2))
