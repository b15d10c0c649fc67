"""Tasks of all shapes in an exported database, and read by DuckDB without wsdb."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

import wsdb

SET_UP = """
CREATE TABLE queries AS FROM (VALUES (1, ['bob', 'lee', 'sings']), (2, ['ann', 'of', 'peru'])) AS t(qid, tokens);
CREATE PAYLOAD tokens ON queries AS SEQUENCE (tokens);
CREATE TASK ner ON queries KEY (qid) PAYLOAD tokens TYPE MULTICLASS ('O', 'B-per', 'I-per');
CREATE LF tags FOR TASK ner
  AS CASE WHEN value IN ('bob', 'ann') THEN 'B-per' WHEN value = 'lee' THEN 'I-per' ELSE 'O' END;
CREATE LF lists FOR TASK ner AS SELECT qid, ['B-per', NULL, NULL] AS label FROM queries;
CREATE TASK bits ON queries KEY (qid) TYPE BITVECTOR ('x', 'y');
CREATE LF bit FOR TASK bits AS CASE WHEN qid = 1 THEN ['x'] ELSE [] END;
CREATE TASK chosen ON queries KEY (qid) PAYLOAD tokens TYPE SELECT;
CREATE LF second FOR TASK chosen AS SELECT qid, 2 AS label FROM queries;
CREATE TASK size ON queries KEY (qid) TYPE ORDINAL ('s', 'm', 'l');
CREATE LF small FOR TASK size AS CASE qid WHEN 1 THEN 's' END;
CREATE LF not_small FOR TASK size AS SELECT qid, ['m', 'l'] AS label FROM queries WHERE qid = 2;
CREATE PRIMITIVE lengths ON queries AS SELECT qid, len(tokens) AS n FROM queries;
CREATE TASK long ON queries KEY (qid) TYPE BINARY ('no', 'yes');
CREATE LF long FOR TASK long VOTE 'yes' WHEN lengths.n > 2;
CREATE TASK other ON queries KEY (qid) TYPE BINARY ('no', 'yes');
CREATE LF second_row FOR TASK other VOTE 'yes' WHEN qid = 2;
CREATE TASK GRAPH both (long 'no' IMPLIES other 'yes');
CREATE LABEL MODEL joint FOR TASKS (long, other) GRAPH both;
REFRESH LABELS;
"""
READS = (
    *(f"FROM wsdb.labels('{task}') ORDER BY ALL" for task in ("ner", "bits", "chosen", "size", "long", "other")),
    "FROM wsdb.label_spans('ner')",
    "FROM wsdb.label_matrix('chosen') ORDER BY ALL",
    "SELECT * EXCLUDE (computed_at) FROM wsdb.label_votes('size') ORDER BY ALL",
    "SELECT lf, coverage FROM wsdb.lf_summary('bits') ORDER BY ALL",
    "FROM tokens ORDER BY ALL",
    "FROM lengths ORDER BY ALL",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file, what it answers, and an export of it."""
    found = tmp_path_factory.mktemp("shapes")
    with wsdb.connect(found / "x.duckdb") as db:
        db.execute(SET_UP)
        db.execute(f"EXPORT DATABASE '{found / 'out'}'")
    return found


def test_the_file_answers_without_wsdb(folder: Path) -> None:
    with wsdb.connect(folder / "x.duckdb") as db:
        expected = [db.execute(read.replace("wsdb.", "")).fetchall() for read in READS]
    with duckdb.connect(folder / "x.duckdb", read_only=True) as con:
        assert [con.execute(read).fetchall() for read in READS] == expected
    with duckdb.connect() as con:
        con.execute(f"IMPORT DATABASE '{folder / 'out'}'")
        assert [con.execute(read).fetchall() for read in READS] == expected


def test_an_imported_database_goes_on(folder: Path) -> None:
    with wsdb.connect() as db:
        db.execute(f"IMPORT DATABASE '{folder / 'out'}'")
        assert len(db.execute("FROM labels('ner')").fetchall()) == 6
        assert db.notices == []
        db.execute("INSERT INTO queries VALUES (3, ['bob', 'lee', 'met'])")
        assert db.execute("FROM label_spans('ner') WHERE qid = 3").fetchall()[0][:4] == (3, 1, 3, "per")
        assert db.execute("SELECT label FROM labels('chosen') WHERE qid = 3 ORDER BY pos").fetchall() == [
            ("no",), ("yes",), ("no",)
        ]  # fmt: skip
