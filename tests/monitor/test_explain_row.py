"""The terms of explain_row sum to the probabilities of labels(), for every kind of closed form."""

from __future__ import annotations

import uuid
from pathlib import Path

import duckdb
import numpy as np
import pytest

import wsdb

LABEL = "['a', 'b', 'c'][1 + (hash(id * 10 + {at} + 5000) % {k})::INTEGER]"
VOTE = f"CASE WHEN hash(id * 10 + {{at}}) % 10 < {{rate}} THEN {LABEL} END"
TASK = "CREATE TASK t ON rows KEY (id) TYPE MULTICLASS ('a', 'b', 'c') CLASS BALANCE ('a' = 0.5, 'b' = 0.3, 'c' = 0.2)"


@pytest.fixture(scope="module", params=["auto", "weighted_majority", "dawid_skene", "majority"])
def session(request: pytest.FixtureRequest) -> wsdb.Session:
    """Return a session with a task of three classes and five functions that vote at random."""
    db = wsdb.connect()
    db.sql("CREATE TABLE rows AS SELECT i AS id FROM range(60) AS r(i)")
    db.sql(TASK)
    db.sql(f"CREATE LABEL MODEL m FOR TASK t USING {request.param}")
    for at in range(5):
        k = 1 if at == 4 else 3
        db.sql(f"CREATE LF f{at} FOR TASK t AS {VOTE.format(at=at, rate=2 + at, k=k)}")
    return db


def test_terms_sum_to_the_label(session: wsdb.Session) -> None:
    labels = dict(session.execute("SELECT id, probs FROM labels('t')").fetchall())
    worst = 0.0
    for key in range(0, 60, 7):
        terms = session.execute(f"FROM explain_row('t', {key})").fetchall()
        by_term = {name: [row[4] for row in terms if row[0] == name] for name in {row[0] for row in terms}}
        (found,) = by_term["probability"]
        worst = max(worst, *(abs(found[label] - p) for label, p in labels[key].items()))
        if "total" in by_term:
            parts = [row[4] for row in terms if row[0] in ("prior", "vote", "vote share")]
            total = np.array([sum(part[label] for part in parts) for label in "abc"])
            assert np.allclose(total, [by_term["total"][0][label] for label in "abc"], atol=1e-12)
            mass = np.exp(total - total.max())
            assert np.allclose(mass / mass.sum(), [found[label] for label in "abc"], atol=1e-12)
    assert worst < 1e-9


def test_any_client_reads_the_reports_of_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "t.duckdb")
    with wsdb.connect(path) as db:
        db.sql("CREATE TABLE rows AS SELECT i AS id FROM range(10) AS r(i)")
        db.sql("CREATE TASK t ON rows KEY (id) TYPE BINARY ('no', 'yes')")
        db.sql("CREATE LF low FOR TASK t VOTE 'no' WHEN id < 4")
        db.sql("CREATE LF even FOR TASK t VOTE 'yes' WHEN id % 2 = 0")
        db.sql("REFRESH LABELS FOR TASK t")
    plain = duckdb.connect(path, read_only=True)
    expected = {
        "lf_summary('t')": 2, "lf_conflicts('t')": 1, "lf_dependencies('t')": 0, "lf_confusion('t', 'low')": 1,
        "label_buckets('t', 'low', 'even')": 3, "coverage_gaps('t')": 1, "coverage_gaps('t', \"by\" := 'id')": 10,
        "sample_for_review('t', 3)": 3, "label_issues('t')": 0, "label_model_report('t')": 0,
    }  # fmt: skip
    try:
        assert {call: len(plain.execute(f"FROM wsdb.{call}").fetchall()) for call in expected} == expected
        errors, labels = (
            plain.execute(f"FROM wsdb.{call}").fetchall() for call in ("lf_errors('t', 'low')", "labels('t')")
        )
        assert {row[0] for row in errors} == {row[0] for row in labels if row[0] < 4 and row[1] != "no"}
        with pytest.raises(duckdb.InvalidInputException, match="WS209"):
            plain.execute("FROM wsdb.explain_row('t', 99)").fetchall()
        with pytest.raises(duckdb.InvalidInputException, match="WS201"):
            plain.execute("FROM wsdb.lf_errors('t', 'lowe')").fetchall()
        with pytest.raises(duckdb.InvalidInputException, match="WS308"):
            plain.execute("FROM wsdb.sample_for_review('t', 3, 'entopy')").fetchall()
    finally:
        plain.close()


def test_a_bound_key_may_be_of_any_type() -> None:
    with wsdb.connect() as db:
        db.sql(
            "CREATE TABLE people AS SELECT md5(i::VARCHAR)::UUID AS who, i AS nr, "
            "DATE '2026-01-01' + i::INTEGER AS day FROM range(4) t(i)"
        )
        for task, key in (("one", "who"), ("two", "nr, day")):
            db.sql(f"CREATE TASK {task} ON people KEY ({key}) TYPE BINARY")
            db.sql(f"CREATE LF {task}_lf FOR TASK {task} VOTE 'yes' WHEN nr = 2")
        who, nr, day = db.execute("FROM people WHERE nr = 2").fetchall()[0]
        votes = "SELECT vote FROM explain_row(?, ?) WHERE term = 'vote'"
        assert db.execute(votes, ["one", who]).fetchall() == [("yes",)]
        assert db.execute(votes, ["two", {"nr": nr, "day": day}]).fetchall() == [("yes",)]
        pair = f"SELECT vote FROM explain_row('two', ({{'nr': 2, 'day': DATE '{day}'}})) WHERE term = 'vote'"
        assert db.execute(pair).fetchall() == [("yes",)]
        for task, key in (("one", None), ("one", uuid.UUID(int=7)), ("two", {"nr": 2})):
            with pytest.raises(wsdb.WsdbError, match="no row with the key") as caught:
                db.sql("FROM explain_row(?, ?)", params=[task, key])
            assert caught.value.code == "WS209"
