"""Votes written by place: the stored label matrix and its patterns are those of a rebuild, whatever the keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wsdb
from wsdb.core.task import Task
from wsdb.engine import places
from wsdb.engine.places import NONE, Edit, Places, key_of
from wsdb.planner import match as match_plan

KEYS = {
    "integer": (("k",), "i::INTEGER AS k"),
    "large": (("k",), "(i::BIGINT << 40) - 9 AS k"),
    "text": (("k",), "'key ' || i AS k"),
    "composite": (("k", "j"), "i // 4 AS k, (i % 4)::VARCHAR AS j"),
    "uuid": (("k",), "md5(i::VARCHAR)::UUID AS k"),
}


def related(keys: str, n_rows: int = 12) -> duckdb.DuckDBPyConnection:
    """Return a database with a matrix of the columns `p` and `q` in some order."""
    con = duckdb.connect()
    con.execute(f"CREATE TABLE data AS SELECT {KEYS[keys][1]}, i FROM range({n_rows}) t(i)")
    con.execute(
        "CREATE TABLE matrix AS SELECT * EXCLUDE (i), CASE WHEN i % 3 > 0 THEN (i % 3)::TINYINT END AS p, "
        "CASE WHEN i % 2 = 0 THEN 0::TINYINT END AS q FROM data ORDER BY hash(i)"
    )
    return con


VOTE = st.sampled_from([None, -2, 0, 1, 2, 3, 4, 5, 120])


@pytest.mark.parametrize("keys", KEYS)
@given(
    votes=st.lists(st.tuples(VOTE, VOTE), min_size=12, max_size=12), gone=st.sets(st.integers(0, 11)), data=st.data()
)
@settings(max_examples=25)
def test_the_update_writes_the_votes_that_were_given(
    keys: str, votes: list[tuple[int | None, int | None]], gone: set[int], data: st.DataObject
) -> None:
    con, names = related(keys), KEYS[keys][0]
    task = Task("t", "data", names, "multiclass", ("x", "y", "z"))
    con.execute("CREATE TABLE votes (i INT, p TINYINT, q TINYINT)")
    given_rows = [(i, *votes[i]) for i in data.draw(st.permutations(range(12))) if i not in gone]
    if given_rows:
        con.executemany("INSERT INTO votes VALUES (?, ?, ?)", given_rows)
    listed = ", ".join(names)
    relation = f"(SELECT {listed}, p, q FROM votes JOIN data USING (i) ORDER BY votes.rowid)"
    found = Places.of(con, task, "matrix", ["p", "q"], 12)
    assert found is not None
    before = con.execute(f"SELECT {listed}, p, q FROM matrix").fetchall()
    edit = Edit(found, found.spread(con.sql(found.query(relation, ["p", "q"])).to_arrow_table(), ["p", "q"]))
    want = con.execute(
        f"SELECT {listed}, v.p, v.q FROM matrix LEFT JOIN {relation} AS v USING ({listed}) ORDER BY ALL"
    ).fetchall()
    assert edit.count == len(set(before) - set(want))
    if edit.count:
        with edit.written(con, task, "matrix") as (rows, update):
            assert set(con.execute(rows).fetchall()) == set(before) - set(want)
            con.execute(update)
    assert con.execute("FROM matrix ORDER BY ALL").fetchall() == want
    assert not con.execute("SELECT 1 FROM duckdb_variables() WHERE name LIKE '%wsdb%'").fetchall()


def test_numbers_tell_rows_apart_themselves_and_other_keys_by_a_hash() -> None:
    assert key_of(Task("t", "data", ("k",), "binary", ("x", "y")), {"k": "BIGINT"}) == '"k"::BIGINT'
    other = key_of(Task("t", "data", ("k",), "binary", ("x", "y")), {"k": "UUID"})
    assert other == 'hash(CAST("k" AS UUID))'
    both = key_of(Task("t", "data", ("k", "J"), "binary", ("x", "y")), {"k": "BIGINT", "j": "DATE"})
    assert both == 'hash(CAST("k" AS BIGINT), CAST("J" AS DATE))'


def test_rows_of_a_transaction_and_hidden_rowids_are_not_found_by_place() -> None:
    con = related("integer")
    task = Task("t", "data", ("k",), "multiclass", ("x", "y", "z"))
    con.execute("BEGIN; INSERT INTO matrix VALUES (99, NULL, NULL)")
    assert Places.of(con, task, "matrix", ["p"], 13) is None
    con.execute("COMMIT")
    assert Places.of(con, task, "matrix", ["p"], 13) is not None
    con.execute("ALTER TABLE matrix ADD COLUMN RowId INT")
    assert Places.of(con, task, "matrix", ["p"], 13) is None


def test_too_many_cells_and_rows_with_one_hash_are_not_found_by_place(monkeypatch: pytest.MonkeyPatch) -> None:
    con = related("integer")
    task = Task("t", "data", ("k",), "multiclass", ("x", "y", "z"))
    con.execute("INSERT INTO matrix VALUES (3, NULL, NULL)")
    assert Places.of(con, task, "matrix", ["p"], 13) is None
    con.execute("DELETE FROM matrix WHERE k = 3")
    assert Places.of(con, task, "matrix", ["p"], 11) is not None
    monkeypatch.setattr(places, "CELLS", 10)
    assert Places.of(con, task, "matrix", ["p"], 11) is None


def test_an_empty_matrix_has_no_votes_that_differ() -> None:
    con = related("integer", 0)
    task = Task("t", "data", ("k",), "multiclass", ("x", "y", "z"))
    found = Places.of(con, task, "matrix", ["p"], 0)
    assert found is not None
    votes = found.spread(con.sql(found.query("matrix", ["p"])).to_arrow_table(), ["p"])
    assert Edit(found, votes).count == 0 and (votes["p"] == np.zeros(0, np.int8) + NONE).all()


@pytest.fixture
def session() -> Iterator[wsdb.Session]:
    with wsdb.connect() as found:
        found.execute(
            "CREATE TABLE kb AS SELECT i AS a FROM range(0, 100, 7) t(i);"
            "CREATE TABLE data AS SELECT i::INT AS id, (i % 97)::INT AS a, 'text ' || (i % 31) AS b "
            "FROM range(400) t(i);"
            "CREATE TASK t ON data KEY (id) TYPE MULTICLASS ('x', 'y');"
            "CREATE LF p FOR TASK t VOTE 'x' WHEN a > 40; CREATE LF q FOR TASK t VOTE 'y' WHEN b LIKE '%1%';"
            "CREATE LF r FOR TASK t VOTE 'y' WHEN a IN (SELECT a FROM kb);"
            "CREATE LF s FOR TASK t AS SELECT id, 'x' AS label FROM data JOIN kb USING (a)"
        )
        yield found


EDITS = [
    "CREATE OR REPLACE LF p FOR TASK t VOTE 'x' WHEN a > {n}",
    "CREATE OR REPLACE LF q FOR TASK t VOTE 'y' WHEN b LIKE '%{n}'",
    "CREATE OR REPLACE LF q FOR TASK t AS CASE WHEN a < {n} THEN 'x' WHEN a > 90 THEN 'y' END",
    "INSERT INTO kb VALUES ({n})",
    "UPDATE data SET b = b || '{n}' WHERE id % 50 = {n}",
    "DELETE FROM data WHERE id = {n}",
    "INSERT INTO data SELECT max(id) + 1, {n}, 'text' FROM data",
    "CREATE OR REPLACE TABLE data AS FROM data ORDER BY hash(id + {n})",
    "CHECKPOINT",
]


def state(session: wsdb.Session) -> list[list[tuple[Any, ...]]]:
    queries = [
        "FROM label_matrix('t') ORDER BY id",
        "FROM labels('t') ORDER BY id",
        "FROM wsdb.patterns_t ORDER BY ALL",
        "SELECT column_name, votes FROM wsdb.matrix_columns ORDER BY position",
    ]
    return [session.execute(query).fetchall() for query in queries]


@pytest.mark.parametrize("worth", [1.0, 0.0])
@given(changes=st.lists(st.tuples(st.sampled_from(EDITS), st.integers(0, 9)), min_size=1, max_size=8))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_edits_give_the_matrix_the_patterns_and_the_labels_of_a_rebuild(
    session: wsdb.Session, monkeypatch: pytest.MonkeyPatch, worth: float, changes: list[tuple[str, int]]
) -> None:
    monkeypatch.setattr(match_plan, "WORTH", worth)
    session.execute("REFRESH LABELS FOR TASK t")
    for change, number in changes:
        session.execute(change.replace("{n}", str(number)))
        session.execute("REFRESH LABELS FOR TASK t")
    kept = state(session)
    session.execute("REFRESH LABELS FOR TASK t FULL")
    assert state(session) == kept


@pytest.mark.parametrize("k", [2, 126, 127, 128, 200])
def test_the_last_label_of_many_is_written(k: int) -> None:
    with wsdb.connect() as db:
        db.execute(f"CREATE TABLE data AS SELECT i AS id, i % {k} AS a FROM range(400) t(i)")
        names = ", ".join(f"'c{at}'" for at in range(k))
        db.execute(f"CREATE TASK t ON data KEY (id) TYPE MULTICLASS ({names}); CREATE LF f FOR TASK t AS 'c' || a")
        db.execute("REFRESH LABEL MATRIX FOR TASK t")
        db.execute(f"CREATE OR REPLACE LF f FOR TASK t AS 'c' || ({k - 1} - a)")
        wrong = "SELECT count(*) FROM label_matrix('t') JOIN data USING (id) WHERE f IS DISTINCT FROM 'c' || "
        assert db.execute(f"{wrong} ({k - 1} - a)").fetchall() == [(0,)]
