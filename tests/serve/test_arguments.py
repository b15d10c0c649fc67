"""predict(task, tbl): every way to name a relation and a task gives the same rows, in a session and without one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import wsdb

N = 40
PICK = f"id, predicted_fraud, round(predicted_fraud_prob, 9) AS p FROM %s WHERE id < {N} ORDER BY id"

RELATIONS = {
    "a bare name": "webpages",
    "a quoted name": '"webpages"',
    "a string": "'webpages'",
    "a name with its schema": "main.webpages",
    "a name with its database": "served.main.webpages",
    "a view": "recent",
    "a temp view": "recent_temp",
    "a table with blanks in its name": '"my Web pages"',
    "a table in a schema with a blank": '"my s"."my t"',
    "a table of another database": "other.main.pages",
    "a subquery": "(SELECT * FROM webpages)",
    "a subquery that starts with FROM": "(FROM webpages WHERE body <> ')' )",
    "a subquery as a string": "'(SELECT * FROM webpages)'",
    "a subquery with a CTE": "(WITH c AS (FROM webpages) SELECT * FROM c)",
    "a table function in a subquery": "(SELECT * FROM query_table('webpages'))",
}


@pytest.fixture
def full(db: wsdb.Session, tmp_path: Path) -> Iterator[wsdb.Session]:
    """A session with the pages under many names."""
    db.execute(
        "CREATE VIEW recent AS FROM webpages; CREATE TEMP VIEW recent_temp AS FROM webpages;"
        'CREATE TABLE "my Web pages" AS FROM webpages; CREATE SCHEMA "my s";'
        'CREATE TABLE "my s"."my t" AS FROM webpages; ATTACH \':memory:\' AS other;'
        "CREATE TABLE other.pages AS FROM webpages"
    )
    db.execute(f"COPY webpages TO '{tmp_path}/pages.parquet'; COPY webpages TO '{tmp_path}/pages.csv'")
    yield db


def rows(db: Any, source: str, parameters: Any = None, lead: str = "") -> Any:
    """Return the predictions of the first pages."""
    text = lead + "SELECT " + PICK % source
    return (db.execute(text, parameters) if parameters is not None else db.execute(text)).fetchall()


@pytest.fixture
def expected(full: wsdb.Session) -> Any:
    """The rows that the plainest call gives."""
    found = rows(full, "predict('fraud', webpages)")
    assert [row[0] for row in found] == list(range(N))
    assert [row[1] for row in found] == ["fraud" if i % 3 == 0 else "ok" for i in range(N)]
    return found


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=RELATIONS)
def test_predict_takes(full: wsdb.Session, expected: Any, relation: str) -> None:
    assert rows(full, f"predict('fraud', {relation})") == expected
    assert rows(full, f"predict(task := 'fraud', tbl := {relation}) AS scored") == expected
    assert rows(full, f"predict('webcorp', {relation})") == expected


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_predict_takes_the_path_of_a_file(full: wsdb.Session, expected: Any, tmp_path: Path, ending: str) -> None:
    assert rows(full, f"predict('fraud', '{tmp_path}/pages.{ending}')") == expected
    assert rows(full, f"predict('fraud', (FROM '{tmp_path}/pages.{ending}'))") == expected


def test_predict_takes_a_cte(full: wsdb.Session, expected: Any) -> None:
    lead = "WITH c AS (SELECT * FROM webpages) "
    assert rows(full, "predict('fraud', c)", lead=lead) == expected
    assert rows(full, "predict('fraud', (SELECT * FROM c))", lead=lead) == expected
    assert rows(full, "predict('fraud', (FROM c WHERE id < 1000))", lead=lead) == expected


def test_predict_takes_a_local_variable(full: wsdb.Session, expected: Any) -> None:
    arrow = full.sql("FROM webpages").to_arrow_table()
    frame = pl.from_arrow(arrow)
    assert isinstance(arrow, pa.Table)
    assert isinstance(frame, pl.DataFrame)
    for name in ("arrow", "frame"):
        # The text is run here, as a user would: DuckDB looks for variables in the calling frame.
        assert full.execute("SELECT " + PICK % f"predict('fraud', {name})").fetchall() == expected
        assert full.sql("SELECT " + PICK % f"predict('fraud', (FROM {name}))").fetchall() == expected


def test_predict_takes_parameters(full: wsdb.Session, expected: Any) -> None:
    assert rows(full, "predict(?, webpages)", ["fraud"]) == expected
    assert rows(full, "predict(?, ?)", ["fraud", "webpages"]) == expected
    assert rows(full, "predict($2, $1)", ["webpages", "fraud"]) == expected
    assert rows(full, "predict($t, $r)", {"t": "fraud", "r": "recent"}) == expected
    assert rows(full, "predict($t, (SELECT * FROM webpages WHERE id < $n))", {"t": "fraud", "n": 100}) == expected
    assert full.sql("SELECT " + PICK % "predict(?, webpages)", params=["fraud"]).fetchall() == expected


def test_predict_can_be_prepared(full: wsdb.Session, expected: Any) -> None:
    full.execute("PREPARE p AS SELECT " + PICK % "predict($1, $2)")
    assert full.execute("EXECUTE p('fraud', 'webpages')").fetchall() == expected
    assert full.execute("EXECUTE p('webcorp', 'recent')").fetchall() == expected


@pytest.mark.parametrize("name", ["fraud", "FRAUD", "webcorp", "fraud@1", "webcorp@1"])
def test_predict_takes_tasks_models_and_versions(full: wsdb.Session, expected: Any, name: str) -> None:
    assert rows(full, f"predict('{name}', webpages)") == expected


def test_a_model_of_several_tasks_gives_the_columns_of_all_and_a_task_its_own(db: wsdb.Session) -> None:
    inputs = ["id", "title", "body", "links"]

    def outputs(task: str) -> list[str]:
        return [f"predicted_{task}", f"predicted_{task}_prob", f"predicted_{task}_probs"]

    whole = db.sql("FROM predict('webcorp', webpages)")
    assert whole.columns == inputs + outputs("fraud") + outputs("topic")
    assert list(map(str, whole.types))[-3:] == ["VARCHAR", "DOUBLE", "MAP(VARCHAR, DOUBLE)"]
    assert db.sql("FROM predict('webcorp@1', webpages)").columns == whole.columns
    assert db.sql("FROM predict('topic', webpages)").columns == inputs + outputs("topic")
    both = db.execute(
        "SELECT predicted_fraud, predicted_topic FROM predict('webcorp', webpages) ORDER BY id"
    ).fetchall()
    fraud = db.execute("SELECT predicted_fraud FROM predict('fraud', webpages) ORDER BY id").fetchall()
    topic = db.execute("SELECT predicted_topic FROM predict('topic', webpages) ORDER BY id").fetchall()
    assert both == [(*one, *other) for one, other in zip(fraud, topic, strict=True)]


def test_the_probability_is_that_of_the_predicted_label_and_all_sum_to_one(db: wsdb.Session) -> None:
    wrong = db.execute(
        "SELECT count(*) FROM predict('topic', webpages) "
        "WHERE abs(list_sum(map_values(predicted_topic_probs)) - 1) > 1e-9 "
        "OR predicted_topic_probs[predicted_topic] <> predicted_topic_prob "
        "OR list_max(map_values(predicted_topic_probs)) <> predicted_topic_prob"
    ).fetchall()
    assert wrong == [(0,)]
    keys = db.execute("SELECT DISTINCT map_keys(predicted_topic_probs) FROM predict('topic', webpages)").fetchall()
    assert keys == [(["sport", "money", "food"],)]


def test_two_calls_in_one_statement_and_calls_inside_calls(db: wsdb.Session) -> None:
    assert db.execute(
        "SELECT count(*), count(*) FILTER (WHERE f.predicted_fraud = 'fraud') FROM predict('fraud', webpages) f "
        "JOIN predict('topic', (SELECT * FROM webpages WHERE id < 12)) t USING (id) WHERE t.predicted_topic = 'sport'"
    ).fetchall() == [(3, 1)]
    nested = db.execute(
        "SELECT predicted_fraud, predicted_topic, count(*) AS n "
        "FROM predict('fraud', (SELECT * FROM predict('topic', (FROM webpages WHERE id < 12)))) "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert sum(n for *_, n in nested) == 12
    both = "(SELECT id FROM predict('fraud', (FROM webpages WHERE id < 3)) UNION ALL FROM (SELECT 7))"
    assert db.execute(f"SELECT count(*) FROM {both}").fetchall() == [(4,)]
    assert db.execute("SELECT 5 IN (SELECT id FROM predict('fraud', webpages))").fetchall() == [(True,)]


def test_a_subquery_argument_works_where_rows_are_written(db: wsdb.Session) -> None:
    source = "SELECT id, predicted_fraud FROM predict('fraud', (SELECT * FROM webpages WHERE id < 10)) p"
    db.execute(f"CREATE TABLE written AS {source}")
    db.execute(f"INSERT INTO written {source} WHERE p.id < 5")
    db.execute(f"CREATE OR REPLACE VIEW shown AS {source}")
    db.execute(f"UPDATE written SET predicted_fraud = 'seen' FROM ({source}) s WHERE s.id = written.id AND s.id = 0")
    db.execute(f"CREATE MACRO first_rows(n) AS TABLE {source} WHERE p.id < n")
    assert db.execute("SELECT count(*), count(*) FILTER (WHERE predicted_fraud = 'seen') FROM written").fetchall() == [
        (15, 2)
    ]
    assert db.execute("SELECT count(*) FROM shown").fetchall() == [(10,)]
    assert db.execute("SELECT count(*) FROM first_rows(4)").fetchall() == [(4,)]


def test_predictions_are_a_relation_like_any_other(db: wsdb.Session) -> None:
    relation = db.sql("FROM predict('fraud', webpages)")
    assert relation.filter("id < 6").project("id, predicted_fraud").order("id DESC").limit(2).fetchall() == [
        (5, "ok"),
        (4, "ok"),
    ]
    assert db.sql("SELECT id FROM predict('fraud', webpages) LIMIT 3").pl().height == 3
    assert db.sql("SELECT id FROM predict('fraud', webpages)").to_arrow_table().num_rows == 5_000


def test_a_view_over_predict_works_in_every_session_and_cursor(file: Path) -> None:
    with wsdb.connect(file) as first:
        first.execute("CREATE VIEW scored AS SELECT id, predicted_fraud FROM predict('fraud', webpages)")
        first.execute("CREATE VIEW scored_too AS SELECT * FROM predict('fraud', (FROM webpages WHERE id < 5))")
        assert first.cursor().execute("SELECT count(*) FROM scored WHERE id < 7").fetchall() == [(7,)]
    with wsdb.connect(file) as second:  # this session has seen no call of predict
        assert second.execute("SELECT count(*) FROM scored WHERE id < 7").fetchall() == [(7,)]
        assert second.execute("SELECT count(*) FROM scored_too").fetchall() == [(5,)]
        assert second.execute("SELECT count(*) FROM wsdb.predict('fraud', webpages) WHERE id < 7").fetchall() == [(7,)]
    with wsdb.connect(file, read_only=True) as third:
        assert third.execute("SELECT count(*) FROM scored WHERE id < 7").fetchall() == [(7,)]


def test_predict_works_on_a_read_only_database(file: Path) -> None:
    with wsdb.connect(file, read_only=True) as db:
        assert len(rows(db, "predict('fraud', webpages)")) == N
        assert len(rows(db, "predict('fraud', (FROM webpages))")) == N


def test_predict_works_while_another_database_is_in_use(full: wsdb.Session, expected: Any) -> None:
    full.execute("USE other")
    assert rows(full, "predict('fraud', pages)") == expected
    assert rows(full, "predict('fraud', (FROM pages))") == expected
    assert rows(full, "predict('fraud', served.webpages)") == expected
    assert full.execute("SELECT current_database()").fetchall() == [("other",)]


def test_a_connection_with_wsdb_attached_predicts_without_the_session(file: Path) -> None:
    con = duckdb.connect(str(file))
    session = wsdb.attach(con)
    first = rows(con, "predict('fraud', webpages)")
    assert first == rows(session, "predict('fraud', webpages)")
    assert rows(con, "predict($1, webpages)", ["fraud"]) == first
    assert rows(con, "predict('fraud', c)", lead="WITH c AS (FROM webpages) ") == first
    assert rows(con, "predict('fraud', '(FROM webpages)')") == first
    assert con.sql("FROM predict('webcorp', webpages)").limit(1).columns[-1] == "predicted_topic_probs"
    # TEMP macros are a connection's own: on another cursor it is wsdb.predict, or wsdb.attach() of that cursor.
    cursor = con.cursor()
    assert rows(cursor, "wsdb.predict('fraud', webpages)") == first
    with pytest.raises(duckdb.CatalogException, match=r"wsdb\.predict"):
        rows(cursor, "predict('fraud', webpages)")
    wsdb.attach(cursor)
    assert rows(cursor, "predict('fraud', webpages)") == first
    session.close()
    assert rows(con, "predict('fraud', webpages)") == first
    con.close()


def test_attach_is_enough_even_if_nothing_keeps_its_session(file: Path) -> None:
    con = duckdb.connect(str(file))
    wsdb.attach(con)
    gc.collect()
    assert len(rows(con, "predict('fraud', webpages)")) == N
    assert len(rows(con.cursor(), "wsdb.predict('fraud', webpages)")) == N
    con.close()


def test_predict_works_on_after_the_session_that_loaded_the_model_is_closed(file: Path) -> None:
    first, second = wsdb.connect(file), wsdb.connect(file)
    expected = rows(first, "predict('fraud', webpages)")
    first.close()
    del first
    gc.collect()
    assert rows(second, "predict('fraud', webpages)") == expected
    second.close()


def test_duckdb_alone_says_what_predict_needs(file: Path) -> None:
    with duckdb.connect(str(file)) as con:
        with pytest.raises(duckdb.CatalogException, match="needs_a_python_session_with_wsdb_attached"):
            con.execute("FROM wsdb.predict('fraud', webpages)")
        assert con.execute("SELECT count(*) FROM wsdb.models").fetchall() == [(1,)]
