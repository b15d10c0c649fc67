"""Labeling functions, slices and tags that a script creates in a row are stored together, exactly as one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import wsdb
from wsdb.session import together
from wsdb.session.together import create_together, run_ahead

TABLES = {
    "objects": "id, kind, name, version, task, sql, comment, data_hash, metadata_hash",
    "object_versions": "kind, name, version, sql, data_hash, metadata_hash, parent_data_hash",
    "lineage_edges": "*",
    "lf_details": "*",
}
VIEWS = ("slice_short", "tag_early", "slice_Listed", "tag_short")
STATEMENTS = [
    "CREATE LF has_link FOR TASK spam VOTE 'spam' WHEN body LIKE '%http%'",
    "CREATE OR REPLACE LABELING FUNCTION short FOR TASK spam VOTE 'ham' WHEN length(body) < 9",
    "CREATE LABELING FUNCTION IF NOT EXISTS listed FOR TASK spam TAGS ('old', 'kb') COMMENT 'seen before' "
    "AS SELECT id, label FROM listing",
    "CREATE LF by_crowd FOR TASK spam DEPENDS ON (short) FROM VOTES votes (id, worker, label)",
    "CREATE LF shout FOR TASK spam WITH (columns = ['body']) LANGUAGE python AS "
    "$$def lf(batch):\n    return ['spam' if text.isupper() else None for text in batch['body'].to_pylist()]$$",
    "CREATE LF Cased FOR TASK spam AS CASE WHEN body = 'x' THEN 'ham' END",
]


@pytest.fixture
def db() -> Iterator[wsdb.Session]:
    with wsdb.connect() as session:
        session.execute("CREATE TABLE mails AS SELECT i AS id, 'text ' || i AS body FROM range(20) t(i)")
        session.execute("CREATE TABLE listing AS SELECT id, 'spam' AS label FROM mails WHERE id < 3")
        session.execute("CREATE TABLE votes AS SELECT id, 'ann' AS worker, 'ham' AS label FROM mails WHERE id > 9")
        session.execute("CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam')")
        yield session


def state(session: wsdb.Session) -> dict[str, list[Any]]:
    """Return what the catalog holds of objects, times and owners aside."""
    return {
        table: session.execute(f"SELECT {columns} FROM wsdb.{table} ORDER BY rowid").fetchall()
        for table, columns in TABLES.items()
    }


def single(session: wsdb.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST", 1)


def names(session: wsdb.Session) -> list[str]:
    return [name for name, *_ in session.sql("SHOW LABELING FUNCTIONS").fetchall()]


@pytest.mark.parametrize("again", [False, True])
def test_a_row_of_statements_leaves_what_one_by_one_leaves(
    db: wsdb.Session, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    script = ";\n".join(STATEMENTS)
    if again:  # names that have had a version before
        db.execute(script)
        db.execute(
            "; ".join(f"DROP LF {name}" for name in ("has_link", "by_crowd", "short", "listed", "shout", "cased"))
        )
    db.execute(script)
    at_once, said = state(db), list(db.notices)
    for name in ("has_link", "by_crowd", "short", "listed", "shout", "cased"):
        db.execute(f"DROP LF {name}")
    if not again:
        db.execute("DELETE FROM wsdb.object_versions WHERE kind = 'labeling function'")
    else:
        db.execute("DELETE FROM wsdb.object_versions WHERE kind = 'labeling function' AND version > 1")
    single(db, monkeypatch)
    db.execute(script)
    one_by_one = state(db)
    assert {table: sorted(rows, key=repr) for table, rows in at_once.items()} == {
        table: sorted(rows, key=repr) for table, rows in one_by_one.items()
    }
    assert at_once["objects"] == one_by_one["objects"]  # in order
    assert said == db.notices
    assert db.execute("SELECT count(*) FROM label_votes('spam')").fetchone() is not None


def test_all_of_a_run_are_stored_at_once(db: wsdb.Session) -> None:
    pieces = db.pieces(";\n".join([*STATEMENTS, "SELECT 1"]))
    assert len(run_ahead(pieces, 0)) == len(STATEMENTS)
    assert create_together(run_ahead(pieces, 0), db._rooms) == [
        f"labeling function {name}: created" for name in ("has_link", "short", "listed", "by_crowd", "shout", "Cased")
    ]


GROUPS = [
    "CREATE SLICE short ON mails AS length(body) < 7",
    "CREATE TAG early ON mails COMMENT 'the first' AS SELECT id FROM listing",
    "CREATE LF has_link FOR TASK spam VOTE 'spam' WHEN body LIKE '%http%'",
    "CREATE OR REPLACE SLICE Listed ON mails AS SELECT l.id FROM listing l JOIN mails USING (id) WHERE own_rule(body)",
    "CREATE TAG IF NOT EXISTS short ON mails KEY (id) AS id > 3",
]


def test_slices_and_tags_in_a_row_leave_what_one_by_one_leaves(
    db: wsdb.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("CREATE MACRO own_rule(x) AS x LIKE '%1%'")
    db.execute("CREATE LF all_of FOR TASK spam AS if(id % 2 = 0, 'ham', 'spam')")
    db.execute("CREATE MODEL m FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 1)")
    script = ";\n".join(GROUPS)
    assert len(db.ahead(db.pieces(script), 0)) == len(GROUPS)
    reports = [f"FROM evaluate('m', mails, by := '{by}')" for by in ("slice", "tag")]
    there = f"{' UNION ALL '.join(reports)} ORDER BY ALL"

    def held() -> list[Any]:
        members = [db.execute(f"FROM wsdb.{view} ORDER BY ALL").fetchall() for view in VIEWS]
        found = {table: rows for table, rows in state(db).items() if table != "object_versions"}
        texts = "SELECT view_name, sql FROM duckdb_views() WHERE schema_name = 'wsdb' ORDER BY ALL"
        return [found, members, db.execute(texts).fetchall(), db.execute(there).fetchall()]

    at_once = held()
    db.execute("DROP SLICE short; DROP SLICE listed; DROP TAG early; DROP TAG short; DROP LF has_link")
    db.execute("DELETE FROM wsdb.object_versions WHERE kind IN ('slice', 'tag') OR name = 'has_link'")
    single(db, monkeypatch)
    db.execute(script)
    assert held() == at_once
    assert at_once[1][0] == [(at,) for at in range(10)]


def test_slices_before_an_error_are_stored(db: wsdb.Session) -> None:
    script = [GROUPS[0], GROUPS[1], "CREATE SLICE wrong ON mails AS body", "CREATE SLICE never ON mails AS id > 3"]
    with pytest.raises(wsdb.WsdbError) as error:
        db.execute(";\n".join(script))
    assert error.value.code == "WS344"
    assert "LINE 3" in str(error.value)
    kinds = "SELECT name FROM wsdb_objects() WHERE kind IN ('slice', 'tag') ORDER BY ALL"
    assert db.execute(kinds).fetchall() == [("early",), ("short",)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("CREATE LF bad FOR TASK spam VOTE 'eggs' WHEN true", "WS302"),
        ("CREATE LF bad FOR TASK spam VOTE 'ham' WHEN nothing > 1", "WS309"),
        ("CREATE LF bad FOR TASK spam VOTE 'ham' WHEN", "WS10"),
        ("CREATE LF a FOR TASK spam VOTE 'ham' WHEN id > 1", "WS202"),
        ("CREATE LF bad FOR TASK spam VOTE 'ham' WHEN sum(id) > 1", "WS309"),
    ],
)
def test_what_stands_before_an_error_is_stored(db: wsdb.Session, wrong: str, message: str) -> None:
    right = [f"CREATE LF {name} FOR TASK spam VOTE 'ham' WHEN id > 1" for name in "abc"]
    script = ";\n".join([*right[:2], wrong, right[2]])
    with pytest.raises(wsdb.WsdbError) as error:
        db.execute(script)
    assert message in str(error.value)
    assert "LINE 3" in str(error.value)
    assert names(db) == ["a", "b"]


def test_a_statement_that_does_more_is_run_by_itself(db: wsdb.Session) -> None:
    db.execute("CREATE LF old FOR TASK spam VOTE 'ham' WHEN id > 1; REFRESH LABEL MATRIX FOR TASK spam")
    db.execute(
        "CREATE LF a FOR TASK spam VOTE 'ham' WHEN id > 1; CREATE LF b FOR TASK spam VOTE 'ham' WHEN id > 2;"
        "CREATE OR REPLACE LF old FOR TASK spam VOTE 'ham' WHEN id > 3; "
        "CREATE LF c FOR TASK spam VOTE 'ham' WHEN id > 4;"
        "CREATE LF IF NOT EXISTS a FOR TASK spam VOTE 'ham' WHEN id > 5; "
        "CREATE LF off FOR TASK spam WITH (enabled = false) VOTE 'ham' WHEN id > 5"
    )
    assert db.notices == [
        "labeling function a: created", "labeling function b: created", "labeling function old: replaced",
        "labeling function c: created", "labeling function a: unchanged", "labeling function off: created",
    ]  # fmt: skip
    assert names(db) == ["a", "b", "c", "off", "old"]


def test_a_transaction_of_the_users_keeps_or_leaves_all(db: wsdb.Session) -> None:
    script = "CREATE LF a FOR TASK spam VOTE 'ham' WHEN id > 1; CREATE LF b FOR TASK spam VOTE 'ham' WHEN id > 2"
    db.execute("BEGIN")
    db.execute(script)
    assert names(db) == ["a", "b"]
    db.execute("ROLLBACK")
    assert names(db) == []


def test_a_function_may_name_one_before_it_and_not_one_behind_it(db: wsdb.Session) -> None:
    first = "CREATE LF a FOR TASK spam VOTE 'ham' WHEN id > 1"
    second = "CREATE LF b FOR TASK spam DEPENDS ON (a) VOTE 'ham' WHEN id > 2"
    with pytest.raises(wsdb.WsdbError, match="WS201"):
        db.execute(f"{second}; {first}")
    db.execute(f"{first}; {second}")
    assert names(db) == ["a", "b"]


def test_the_last_statement_leaves_no_result(db: wsdb.Session) -> None:
    script = "CREATE LF a FOR TASK spam VOTE 'ham' WHEN id > 1; CREATE LF b FOR TASK spam VOTE 'ham' WHEN id > 2"
    assert db.execute(f"SELECT 7; {script}").fetchall() == []
    assert db.sql("DROP LF a; DROP LF b") is None
    assert db.sql(script) is None
    assert db.execute(f"{script.replace('a', 'c', 1).replace('LF b', 'LF d')}; SELECT 8").fetchall() == [(8,)]
