"""Primitives that are made row by row compute new and changed rows only; others are computed whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import wsdb


@pytest.fixture
def db() -> Iterator[wsdb.Session]:
    """A relation of ten rows, and a function that reads a primitive over it."""
    with wsdb.connect() as session:
        session.execute(
            "CREATE TABLE mails AS SELECT i AS \"Mail Id\", 'text ' || i AS body, i % 3 AS n FROM range(10) t(i)"
        )
        session.execute("CREATE TASK spam ON mails KEY (\"Mail Id\") TYPE BINARY ('ham', 'spam')")
        session.execute("CREATE MACRO letters(x) AS length(x)")
        yield session


def refreshed(db: wsdb.Session) -> list[str]:
    """Refresh the matrix; return what is said of primitives."""
    db.notices.clear()
    db.execute("REFRESH LABEL MATRIX FOR TASK spam")
    return [text.removeprefix("primitive ") for text in db.notices if text.startswith("primitive ")]


def votes(db: wsdb.Session) -> list[int]:
    return [
        key
        for (key,) in db.execute(
            "SELECT \"Mail Id\" FROM label_matrix('spam') WHERE long IS NOT NULL ORDER BY 1"
        ).fetchall()
    ]


def test_only_rows_that_changed_are_computed(db: wsdb.Session) -> None:
    db.execute(
        'CREATE PRIMITIVE size ON mails AS SELECT "Mail Id", letters(body) AS n_letters FROM mails AS m WHERE m.n < 2'
    )
    db.execute("CREATE LF long FOR TASK spam VOTE 'spam' WHEN size.n_letters > 6")
    assert refreshed(db) == ["size: 7 rows, 0 computed"]  # it was computed when it was created
    assert refreshed(db) == []
    db.execute("INSERT INTO mails VALUES (10, 'a new text', 1), (11, 'another text', 2)")
    assert refreshed(db) == ["size: 8 rows, 1 computed"]
    assert votes(db) == [10]
    db.execute("UPDATE mails SET body = 'not that short' WHERE \"Mail Id\" = 3")
    assert refreshed(db) == ["size: 8 rows, 1 computed"]
    db.execute('UPDATE mails SET n = 2 WHERE "Mail Id" = 10; DELETE FROM mails WHERE "Mail Id" = 0')
    assert refreshed(db) == ["size: 6 rows, 0 computed"]
    assert votes(db) == [3]
    db.execute("ALTER TABLE mails ADD COLUMN other INTEGER DEFAULT 1")
    assert refreshed(db) == []
    assert db.execute("FROM size ORDER BY ALL DESC LIMIT 1").fetchall() == [(9, 6)]


def test_a_macro_or_a_type_that_changes_has_all_rows_computed(db: wsdb.Session) -> None:
    db.execute(
        'CREATE PRIMITIVE size ON mails AS SELECT "Mail Id", letters(body) AS n_letters, n + 1 AS more FROM mails'
    )
    db.execute("CREATE LF long FOR TASK spam VOTE 'spam' WHEN size.n_letters > 6")
    refreshed(db)
    db.execute("CREATE OR REPLACE MACRO letters(x) AS length(x) + 1")
    assert refreshed(db) == ["size: 10 rows, 10 computed"]
    assert votes(db) == list(range(10))
    db.execute("ALTER TABLE mails ALTER n TYPE DOUBLE")
    assert refreshed(db) == ["size: 10 rows, 10 computed"]
    assert db.execute("SELECT typeof(more) FROM size LIMIT 1").fetchall() == [("DOUBLE",)]


@pytest.mark.parametrize(
    "query",
    [
        'SELECT "Mail Id", count(*) OVER () AS n_letters FROM mails',
        'SELECT "Mail Id", sum(length(body)) AS n_letters FROM mails GROUP BY ALL',
        'SELECT "Mail Id", length(body) + (SELECT count(*) FROM mails) AS n_letters FROM mails',
        'SELECT DISTINCT "Mail Id", length(body) AS n_letters FROM mails',
        'SELECT "Mail Id" * 1 AS "Mail Id", length(body) AS n_letters FROM mails',
        'SELECT "Mail Id", length(body) AS n_letters FROM (FROM mails)',
    ],
)
def test_other_queries_are_computed_whole(db: wsdb.Session, query: str) -> None:
    db.execute(f'CREATE PRIMITIVE size ON mails KEY ("Mail Id") AS {query}')
    db.execute("CREATE LF long FOR TASK spam VOTE 'spam' WHEN size.n_letters > 6")
    refreshed(db)
    db.execute("INSERT INTO mails VALUES (10, 'a new text', 1)")
    assert refreshed(db) == ["size: 11 rows, 11 computed"]
    assert 10 in votes(db)
    assert db.execute("DESCRIBE size").fetchall() == db.execute(f"DESCRIBE {query}").fetchall()


def test_functions_of_two_tasks_find_a_primitive_that_either_brought_up_to_date(db: wsdb.Session) -> None:
    db.execute('CREATE PRIMITIVE size ON mails AS SELECT "Mail Id", length(body) AS n_letters FROM mails')
    db.execute("CREATE LF long FOR TASK spam VOTE 'spam' WHEN size.n_letters > 6")
    db.execute("CREATE TASK loud ON mails KEY (\"Mail Id\") TYPE BINARY ('no', 'yes')")
    db.execute("CREATE LF shout FOR TASK loud VOTE 'yes' WHEN size.n_letters > 6")
    db.execute("REFRESH LABEL MATRIX FOR TASK spam; REFRESH LABEL MATRIX FOR TASK loud")
    db.execute("INSERT INTO mails VALUES (10, 'a new text', 1)")
    assert refreshed(db) == ["size: 11 rows, 1 computed"]
    query = "SELECT \"Mail Id\" FROM label_matrix('loud') WHERE shout IS NOT NULL"
    assert db.execute(query).fetchall() == [(10,)]
    db.execute("UPDATE mails SET body = 'x' WHERE \"Mail Id\" = 10")
    assert db.execute(query).fetchall() == []
    assert votes(db) == []


def test_rows_are_told_apart_by_all_columns_of_a_key() -> None:
    with wsdb.connect() as db:
        db.execute("CREATE TABLE words AS SELECT i // 3 AS doc, i % 3 AS pos, 'w' || i AS word FROM range(12) t(i)")
        db.execute("CREATE TASK spam ON words KEY (doc, pos) TYPE BINARY ('ham', 'spam')")
        db.execute("CREATE PRIMITIVE size ON words KEY (doc, pos) AS SELECT doc, pos, length(word) AS n FROM words")
        db.execute("CREATE LF long FOR TASK spam VOTE 'spam' WHEN size.n > 3")
        refreshed(db)
        db.execute(
            "UPDATE words SET word = 'longer' WHERE doc = 1 AND pos = 2; DELETE FROM words WHERE doc = 2 AND pos = 1"
        )
        assert refreshed(db) == ["size: 11 rows, 1 computed"]
        assert db.execute("SELECT doc, pos FROM label_matrix('spam') WHERE long IS NOT NULL").fetchall() == [(1, 2)]
