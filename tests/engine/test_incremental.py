"""Incremental = rebuild: after any edits, the stored label matrix is the one a fresh build gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wsdb
from wsdb.engine import patterns, places, primitives, rows
from wsdb.engine.scan import VoteScan
from wsdb.planner import columns as columns_plan
from wsdb.planner import match as match_plan
from wsdb.planner import matrix as matrix_plan

BODIES = [
    "VOTE '{label}' WHEN a > {number}",
    "VOTE '{label}' WHEN b LIKE '%{number}%'",
    "AS CASE WHEN a < {number} THEN '{label}' WHEN b IS NULL THEN 'x' END",
    "WITH (on_error = 'abstain') AS CASE WHEN CAST(b AS INTEGER) > {number} THEN '{label}' END",
    "AS CASE WHEN TRY(CAST(b AS INTEGER)) = {number} THEN '{label}' END",
    "AS CASE WHEN b ~ '^[0-9]+$' THEN CASE WHEN CAST(b AS INTEGER) > {number} THEN '{label}' END END",
    "AS SELECT id, '{label}' AS label FROM data WHERE a >= {number}",
    "AS SELECT d.id, '{label}' FROM data d JOIN kb ON d.a = kb.a WHERE kb.a <> {number}",
    "VOTE '{label}' WHEN a IN (SELECT kb.a FROM kb) AND id <> {number}",
    "FROM VOTES votes (id, worker, label)",
    "VOTE '{label}' WHEN made.size > {number}",
    "AS CASE WHEN made.size + a = {number} THEN '{label}' WHEN alike.n > 1 THEN 'x' END",
    "WITH (columns = ['a']) LANGUAGE python AS $$def lf(batch):\n"
    "    return ['{label}' if a is not None and a > {number} else None for a in batch['a'].to_pylist()]$$",
]
MADE = "PRIMITIVE made ON data AS SELECT id, coalesce(a, 0) + coalesce(length(b), 7) AS size FROM data WHERE id"
ALIKE = "PRIMITIVE alike ON data AS SELECT id, count(*) OVER (PARTITION BY a) AS n FROM data"
NUMBERS = st.integers(0, 4)
EDITS = st.one_of(
    st.tuples(st.just("create"), st.sampled_from("pqr"), st.sampled_from(BODIES), st.sampled_from(["x", "y"]), NUMBERS),
    st.tuples(st.just("drop"), st.sampled_from("pqr")),
    st.tuples(st.just("insert"), st.integers(0, 9), NUMBERS | st.none(), st.sampled_from(["1", "22", "z3", None])),
    st.tuples(st.just("update"), st.integers(0, 9), NUMBERS | st.none(), st.sampled_from(["1", "22", "z3", None])),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("kb"), NUMBERS),
    st.tuples(st.just("primitive"), NUMBERS),
    st.tuples(st.just("vote"), st.integers(0, 9), st.sampled_from(["ann", "bob"]), st.sampled_from(["x", "y"])),
    st.tuples(st.just("read")),
)


def edit(session: wsdb.Session, change: tuple[Any, ...]) -> None:
    """Make one edit; a vote needs its row, and a row takes its votes along."""
    match change:
        case ("create", name, body, label, number):
            filled = body.replace("{label}", label).replace("{number}", str(number))
            session.execute(f"CREATE OR REPLACE LF {name} FOR TASK t {filled}")
        case ("drop", name):
            session.execute(f"DROP LF IF EXISTS {name}")
        case ("insert", key, a, b):
            session.execute("INSERT INTO data SELECT * FROM (SELECT ?::INT id, ?::INT, ?::TEXT) WHERE id NOT IN "
                            "(SELECT id FROM data)", [key, a, b])  # fmt: skip
        case ("update", key, a, b):
            session.execute("UPDATE data SET a = ?, b = ? WHERE id = ?", [a, b, key])
        case ("delete", key):
            session.execute("DELETE FROM votes WHERE id = ?", [key])
            session.execute("DELETE FROM data WHERE id = ?", [key])
        case ("kb", number):
            session.execute("INSERT INTO kb VALUES (?)", [number])
        case ("primitive", number):
            session.execute(f"CREATE OR REPLACE {MADE} - {number} <> 0")
        case ("vote", key, worker, label):
            session.execute("INSERT INTO votes SELECT id, ?, ? FROM data WHERE id = ?", [worker, label, key])
        case ("read",):
            session.execute("FROM label_matrix('t')")


def matrix(session: wsdb.Session) -> tuple[list[str], list[tuple[Any, ...]]]:
    session.execute("FROM label_matrix('t') ORDER BY id")
    names = [column[0] for column in session.description]
    return names, session.fetchall()


def counted(session: wsdb.Session) -> list[list[tuple[Any, ...]]]:
    """Return the counts that are kept beside the matrix: of the votes of each column, and of vote patterns."""
    votes = session.execute("SELECT column_name, votes FROM wsdb.matrix_columns ORDER BY position").fetchall()
    wide = session.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'patterns_t'").fetchall()
    return [votes, session.execute("FROM wsdb.patterns_t ORDER BY ALL").fetchall() if wide else []]


WAYS = {
    "as planned": {},
    "row by row": {matrix_plan: {"FEW": 2.0}, patterns: {"FEW": 2.0}, primitives: {"MANY": 2.0}},
    "row by row, matched": {matrix_plan: {"FEW": 2.0}, match_plan: {"WORTH": 0.0}},
    "row by row, compared in parts, written by key": {
        matrix_plan: {"FEW": 2.0},
        rows: {"PART": 3, "LISTED": -1},
        places: {"CELLS": 0},
    },
    "many columns": {matrix_plan: {"FEW": 2.0}, rows: {"KEPT_COLUMNS": 0}},
    "sparse": {columns_plan: {"WIDE_COLUMNS": 0}, matrix_plan: {"FEW": 2.0}},
    "sparse, matched": {columns_plan: {"WIDE_COLUMNS": 0}, matrix_plan: {"FEW": 2.0}, match_plan: {"WORTH": 0.0}},
}
"""Thresholds moved, so that tables of a few rows take every way a plan can take."""


@pytest.mark.parametrize("way", WAYS)
@given(changes=st.lists(EDITS, min_size=1, max_size=14))
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_matrix_kept_up_to_date_is_the_matrix_built_anew(
    way: str, monkeypatch: pytest.MonkeyPatch, changes: list[tuple[Any, ...]]
) -> None:
    check(way, monkeypatch, changes)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@given(changes=st.lists(EDITS, min_size=6, max_size=20))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_matrix_kept_up_to_date_through_many_changes_is_the_matrix_built_anew(
    way: str, monkeypatch: pytest.MonkeyPatch, changes: list[tuple[Any, ...]]
) -> None:
    check(way, monkeypatch, changes)


def check(way: str, monkeypatch: pytest.MonkeyPatch, changes: list[tuple[Any, ...]]) -> None:
    """Make the changes and compare what was kept with what a rebuild gives."""
    for module, values in WAYS[way].items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)
    with wsdb.connect() as session:
        session.execute(
            "CREATE TABLE data AS SELECT i::INT AS id, (i % 3)::INT AS a, (i * 11)::TEXT AS b FROM range(4) t(i)"
        )
        session.execute("CREATE TABLE kb (a INT); CREATE TABLE votes (id INT, worker TEXT, label TEXT)")
        session.execute("CREATE TASK t ON data KEY (id) TYPE MULTICLASS ('x', 'y')")
        session.execute(f"CREATE {MADE} <> 2; CREATE {ALIKE}; CREATE LF s FOR TASK t VOTE 'x' WHEN made.size > 2")
        for change in changes:
            edit(session, change)
        kept = matrix(session)
        labels = session.execute("FROM labels('t') ORDER BY id").fetchall()
        counts = counted(session)
        made = session.execute("FROM made ORDER BY id").fetchall()
        session.execute("REFRESH LABELS FOR TASK t FULL")
        assert matrix(session) == kept
        assert counted(session) == counts
        assert session.execute("FROM labels('t') ORDER BY id").fetchall() == labels
        (definition,) = session.execute("SELECT sql FROM wsdb.primitives WHERE name = 'made'").fetchall()[0]
        assert session.execute(f"{definition.partition(' AS ')[2]} ORDER BY id").fetchall() == made


def test_predicates_that_cannot_fail_are_read_with_the_hashes_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def select(*_: Any) -> str:
        raise AssertionError("the rows are read once more")

    with wsdb.connect() as session:
        session.execute("CREATE TABLE data AS SELECT i::INT AS id, i::TEXT AS b FROM range(30) t(i)")
        session.execute("CREATE TASK t ON data KEY (id) TYPE MULTICLASS ('x', 'y')")
        session.execute("CREATE LF p FOR TASK t VOTE 'x' WHEN b LIKE '%1%'; REFRESH LABEL MATRIX FOR TASK t")
        session.execute("CREATE OR REPLACE LF p FOR TASK t VOTE 'y' WHEN b LIKE '%2%'")
        session.execute("CREATE LF q FOR TASK t AS CASE WHEN id > 27 THEN 'x' END")
        session.execute("DELETE FROM data WHERE id < 5; INSERT INTO data VALUES (92, '22')")
        monkeypatch.setattr(VoteScan, "select", select)
        session.execute("REFRESH LABEL MATRIX FOR TASK t")
        found = session.execute("SELECT list(id) FILTER (p = 'y'), list(id) FILTER (q = 'x') FROM label_matrix('t')")
        assert [sorted(ids) for ids in found.fetchall()[0]] == [[12, *range(20, 30), 92], [28, 29, 92]]
        session.execute("CREATE LF r FOR TASK t AS CASE WHEN b::INT > 7 THEN 'x' END")
        with pytest.raises(AssertionError, match="once more"):
            session.execute("REFRESH LABEL MATRIX FOR TASK t")
