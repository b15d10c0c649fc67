"""The SQL of a form and numpy give every row the same answer."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labelmodel.strategies import METHODS, REGIMES, balances, drawn, noise
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import ScoreForm, decide, fit, posterior, sql
from wsdb.labelmodel.sql import labels_select

SPLIT = ("it's", 'a "b"', "ünï", "", "e", "f", "g", "h", "i")


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


@st.composite
def forms(draw: st.DrawFn) -> ScoreForm:
    k, m = draw(st.integers(1, 5)), draw(st.integers(0, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    scores = rng.normal(scale=3, size=(m, k, k)) * (rng.random((m, k, 1)) < 0.7)
    mix = draw(st.sampled_from([None, 0.8, 1.0]))
    weights = draw(st.sampled_from([None, rng.uniform(0.2, 1, size=m)])) if mix is not None else None
    return ScoreForm(
        rng.normal(size=k) * draw(st.sampled_from([0, 1, 30])),
        scores * draw(st.sampled_from([1, 100])) * (0 if mix == 1.0 else 1),
        draw(st.sampled_from([1.0, 0.4])),
        mix,
        draw(st.sampled_from([0.6, 1.0])),
        rng.dirichlet(np.ones(k)),
        weights,
    )


def random_votes(seed: int, n: int, m: int, k: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    votes = rng.integers(0, k, size=(n, m)).astype(np.int8)
    votes[rng.random((n, m)) < 0.5] = -1
    return votes


def assert_sql_equals_numpy(connection: duckdb.DuckDBPyConnection, form: ScoreForm, votes: np.ndarray) -> None:
    m, k = votes.shape[1], form.n_classes
    names = [f"l f'{j}\"" for j in range(m)]
    columns = ['"' + name.replace('"', '""') + '"' for name in names]
    labels = [SPLIT[y] if k <= len(SPLIT) else f"c{y}" for y in range(k)]
    raw = {"the key": pa.array(range(len(votes)))}
    for j, name in enumerate(names):
        raw[name] = pa.array(votes[:, j].astype(np.int8), mask=votes[:, j] < 0, type=pa.int8())
    connection.register("votes", pa.table(raw))
    select = labels_select(form, relation='"votes"', keys=['"the key"'], columns=columns, labels=labels)
    relation = connection.sql(f'SELECT * FROM ({select}) ORDER BY "the key"')
    assert relation.columns == ["the key", "label", "prob", "probs", "n_votes", "n_conflicts", "covered"]
    assert [str(t) for t in relation.types[1:]] == [
        "VARCHAR", "DOUBLE", "MAP(VARCHAR, DOUBLE)", "INTEGER", "INTEGER", "BOOLEAN",
    ]  # fmt: skip
    expected, chosen = posterior(form, votes), decide(form, votes)
    rows = relation.fetchall()
    assert len(rows) == len(votes)
    for key, label, prob, probs, n_votes, n_conflicts, covered in rows:
        fired = votes[key][votes[key] >= 0]
        assert list(probs) == labels
        np.testing.assert_allclose(list(probs.values()), expected[key], atol=1e-9)
        assert (n_votes, covered) == (len(fired), len(fired) > 0)
        if covered:
            assert label == labels[chosen[key]]
            assert prob == probs[label]
            assert n_conflicts == (fired != chosen[key]).sum()
        else:
            assert (label, prob, n_conflicts) == (None, None, 0)


@given(forms(), st.integers(0, 99))
@settings(max_examples=60)
def test_any_form_gives_the_same_answer_in_sql(
    connection: duckdb.DuckDBPyConnection, form: ScoreForm, seed: int
) -> None:
    assert_sql_equals_numpy(connection, form, random_votes(seed, 25, form.n_sources, form.n_classes))


@given(st.one_of(noise(), drawn(n_rows=150)), st.data())
@settings(max_examples=60)
def test_any_fit_gives_the_same_answer_in_sql(
    connection: duckdb.DuckDBPyConnection, table: tuple[np.ndarray, int], data: st.DataObject
) -> None:
    votes, k = table
    fitted = fit(
        VotePatterns.of_rows(votes, k),
        method=data.draw(METHODS),
        balance=data.draw(balances(k)),
        regime=data.draw(REGIMES),
    )
    assert_sql_equals_numpy(connection, fitted.form, votes[:30])
    assert_sql_equals_numpy(connection, fitted.training_form, votes[:30])


@pytest.mark.parametrize("arms", [0, 10**9], ids=["lists", "arms"])
def test_lookup_in_lists_and_case_arms_agree(
    connection: duckdb.DuckDBPyConnection, arms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "ARMS", arms)
    rng = np.random.default_rng(0)
    form = ScoreForm(np.zeros(7), rng.normal(size=(4, 7, 7)), 1.0, None, 0.0, np.full(7, 1 / 7))
    assert_sql_equals_numpy(connection, form, random_votes(1, 50, 4, 7))


def test_five_hundred_sources_stay_within_the_depth_of_an_expression(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rng = np.random.default_rng(0)
    form = ScoreForm(np.zeros(2), rng.normal(size=(500, 2, 2)), 1.0, None, 0.0, np.full(2, 0.5))
    assert_sql_equals_numpy(connection, form, random_votes(2, 5, 500, 2))


def test_a_tie_goes_to_the_higher_prior_then_to_the_first_class(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    votes = np.array([[0, 1, 2], [0, 1, -1], [1, 2, -1]])
    for prior, chosen in (([0.2, 0.3, 0.5], [2, 1, 2]), ([0.4, 0.4, 0.2], [0, 0, 1])):
        form = fit(VotePatterns.of_rows(votes, 3), method="majority", balance=np.array(prior)).form
        assert decide(form, votes).tolist() == chosen
        assert_sql_equals_numpy(connection, form, votes)


def test_columns_that_do_not_match_the_form_are_refused() -> None:
    form = ScoreForm(np.zeros(2), np.zeros((1, 2, 2)), 1.0, None, 0.0, np.full(2, 0.5))
    with pytest.raises(ValueError, match="do not match"):
        labels_select(form, relation="t", keys=[], columns=[], labels=["a", "b"])


def test_votes_out_of_range_are_refused() -> None:
    form = ScoreForm(np.zeros(2), np.zeros((1, 2, 2)), 1.0, None, 0.0, np.full(2, 0.5))
    with pytest.raises(ValueError, match=r"votes must be in -1 … 1"):
        posterior(form, np.array([[2]]))
    with pytest.raises(ValueError, match="do not match 1 sources"):
        posterior(form, np.array([[0, 1]]))


def test_chunks_of_rows_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from wsdb.labelmodel import score

    votes = random_votes(3, 101, 4, 3)
    rng = np.random.default_rng(0)
    form = ScoreForm(np.zeros(3), rng.normal(size=(4, 3, 3)), 0.6, 0.8, 0.6, np.full(3, 1 / 3))
    whole = posterior(form, votes)
    monkeypatch.setattr(score, "CHUNK_CELLS", 10)
    np.testing.assert_array_equal(posterior(form, votes), whole)
