"""What is dropped leaves nothing behind: the relations, macros and rows of schema wsdb are as they were before."""

from __future__ import annotations

from pathlib import Path

import pytest

import wsdb
from wsdb.parser.statements import KINDS

SET_UP = """
CREATE TABLE mails AS SELECT i AS id, 'w' || i AS body, ['a', 'b'] AS tokens FROM range(30) r(i);
CREATE TABLE cast_votes AS SELECT i % 30 AS id, 'w' || (i % 330) AS worker, 'yes' AS label FROM range(660) t(i);
CREATE TASK spam ON mails KEY (id) TYPE BINARY;
CREATE LF even FOR TASK spam VOTE 'yes' WHEN id % 2 = 0;
CREATE TASK advert ON mails KEY (id) TYPE BINARY;
CREATE LF third FOR TASK advert VOTE 'yes' WHEN id % 3 = 0;
"""
MAKE = {
    "task": "CREATE TASK it ON mails KEY (id) TYPE BINARY; CREATE LF own FOR TASK it VOTE 'no' WHEN id < 9",
    "task graph": "CREATE TASK GRAPH it (advert 'yes' IMPLIES spam 'yes')",
    "payload": "CREATE PAYLOAD it ON mails KEY (id) AS SEQUENCE (tokens)",
    "primitive": "CREATE PRIMITIVE it ON mails KEY (id) AS SELECT id, length(body) AS n FROM mails",
    "labeling function": "CREATE LF it FOR TASK spam VOTE 'no' WHEN id < 9",
    "label model": "CREATE LABEL MODEL it FOR TASK spam USING majority",
    "feature set": "CREATE FEATURE SET it ON mails (body)",
    "model": "CREATE MODEL it FOR TASKS (spam, advert) FROM mails FEATURES (body) WITH (epochs = 1); "
    "CREATE OR REPLACE MODEL it FOR TASK spam FROM mails FEATURES (id) WITH (epochs = 1)",
    "slice": "CREATE SLICE it ON mails KEY (id) AS id < 3",
    "tag": "CREATE TAG it ON mails KEY (id) AS id < 3",
    "transformation function": "CREATE TRANSFORMATION FUNCTION it ON mails "
    "AS SELECT * REPLACE (upper(body) AS body) FROM mails",
    "constraint": "CREATE CONSTRAINT it ON TASKS (spam, advert) CHECK (spam = 'yes' OR advert = 'no')",
    "embedding": "CREATE EMBEDDING it FROM '{folder}/words.csv'",
    "source": "CREATE SOURCE it FOR mails TAGS ('made') AS SELECT 99 AS id, 'yes' AS spam",
}
OTHER_SHAPES = """
CREATE TASK many ON mails KEY (id) TYPE BINARY; CREATE LF crowd FOR TASK many FROM VOTES cast_votes (id, worker, label);
CREATE PAYLOAD words ON mails KEY (id) AS SEQUENCE (tokens);
CREATE TASK names ON mails KEY (id) PAYLOAD words TYPE MULTICLASS ('O', 'B-x', 'I-x');
CREATE LF first FOR TASK names AS CASE WHEN value = 'a' THEN 'B-x' ELSE 'O' END;
CREATE TASK topics ON mails KEY (id) TYPE BITVECTOR ('u', 'v'); CREATE LF u FOR TASK topics VOTE 'u' WHEN id > 3;
CREATE TASK pick ON mails KEY (id) PAYLOAD words TYPE SELECT; CREATE LF picks FOR TASK pick VOTE 'yes' WHEN value = 'b';
CREATE TASK GRAPH rules (advert 'yes' IMPLIES spam 'yes');
CREATE LABEL MODEL joint FOR TASKS (spam, advert) GRAPH rules;
"""


def state(db: wsdb.Session) -> dict[str, int]:
    """Return what is in the database: 0 for a view or macro, for a table its rows plus 1."""
    rows = db.connection.execute(
        "SELECT 'macro ' || function_name, NULL FROM duckdb_functions() WHERE schema_name = 'wsdb' UNION ALL "
        "SELECT 'view ' || schema_name || '.' || view_name, NULL FROM duckdb_views() WHERE NOT internal UNION ALL "
        "SELECT schema_name || '.' || table_name, '\"' || schema_name || '\".\"' || table_name || '\"' "
        "FROM duckdb_tables() WHERE table_name <> 'object_versions'"
    ).fetchall()
    return {
        name: 0 if table is None else 1 + len(db.connection.execute(f"SELECT 1 FROM {table}").fetchall())
        for name, table in rows
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for files."""
    return tmp_path_factory.mktemp("dropped")


@pytest.fixture(scope="module")
def db(folder: Path) -> wsdb.Session:
    """A session on a small database with current labels; each test leaves it as it was."""
    session = wsdb.connect()
    session.execute(f"COPY (SELECT 'w1' AS word, 0.1 AS a, 0.2 AS b) TO '{folder}/words.csv'")
    session.execute(SET_UP)
    session.execute("REFRESH LABELS")
    return session


def test_every_kind_of_object_is_made() -> None:
    assert set(MAKE) == set(KINDS.values())


@pytest.mark.parametrize(
    ("kind", "rename"),
    [(kind, rename) for kind in MAKE for rename in (False, True) if not rename or kind not in ("task", "model")],
)
def test_an_object_that_is_dropped_leaves_nothing(db: wsdb.Session, kind: str, rename: bool, folder: Path) -> None:
    if kind == "model":
        pytest.importorskip("torch")
    before = state(db)
    db.execute(MAKE[kind].format(folder=folder))
    db.execute("REFRESH LABELS")
    assert state(db) != before
    if rename:
        db.execute(f"ALTER {kind} it RENAME TO other")
    db.execute(f"DROP {kind} {'other' if rename else 'it'} CASCADE")
    db.execute("REFRESH LABELS")
    assert state(db) == before


def test_tasks_of_every_shape_leave_nothing_of_their_own() -> None:
    db = wsdb.connect()
    db.execute(SET_UP.replace("CREATE TASK spam", "CREATE TASK gone ON mails KEY (id) TYPE BINARY; CREATE TASK spam"))
    db.execute("DROP TASK gone; DROP TASK spam CASCADE; DROP TASK advert CASCADE")
    before = state(db)
    db.execute(SET_UP.partition("CREATE TASK")[1] + SET_UP.partition("CREATE TASK")[2])
    db.execute(OTHER_SHAPES)
    db.execute("REFRESH LABELS; FROM label_model_report('many')")
    for kind, name in db.execute("SELECT kind, name FROM wsdb_objects()").fetchall():
        db.execute(f"DROP {kind} IF EXISTS {name} CASCADE")
    assert state(db) == before
