"""What predict() says where it cannot answer: the code, the place and the cure."""

from __future__ import annotations

import duckdb
import pytest

import wsdb


def failed(db: wsdb.Session, query: str, parameters: object = None) -> wsdb.WsdbError:
    """Return the error of wsdb's that a query raises."""
    with pytest.raises(wsdb.WsdbError) as caught:
        (db.execute(query, parameters) if parameters else db.execute(query)).fetchall()
    return caught.value


def test_an_unknown_task_is_named_with_the_nearest_one(db: wsdb.Session) -> None:
    error = failed(db, "SELECT * FROM predict('frued', webpages)")
    assert (error.code, error.hint) == ("WS201", 'did you mean "fraud"?')
    assert str(error) == (
        'Catalog Error [WS201]: there is no model and no task "frued"\n'
        "LINE 1: SELECT * FROM predict('frued', webpages)\n"
        "                              ^^^^^^^\n"
        'hint: did you mean "fraud"?'
    )
    assert failed(db, "SELECT * FROM predict(?, webpages)", ["webcrop"]).hint == 'did you mean "webcorp"?'
    assert failed(db, "SELECT * FROM predict($t, webpages)", {"t": "frued"}).code == "WS201"
    assert failed(db, "SELECT * FROM predict(task := 'frued', tbl := webpages)").code == "WS201"
    assert failed(db, "FROM predict('fraud', (FROM predict('nosuch', (FROM webpages))))").code == "WS201"


def test_a_task_without_a_model_says_how_to_train_one(db: wsdb.Session) -> None:
    error = failed(db, "SELECT * FROM predict('unserved', webpages)")
    assert error.code == "WS501"
    assert error.message == 'task "unserved" has no model yet'
    assert "CREATE MODEL" in (error.hint or "")


@pytest.mark.parametrize("name", ["fraud@9", "webcorp@2", "fraud@0", "fraud@x", "fraud@"])
def test_an_unknown_version_is_an_error(db: wsdb.Session, name: str) -> None:
    error = failed(db, f"SELECT * FROM predict('{name}', webpages)")
    assert error.code == "WS207"
    assert "its newest is 1" in error.message


def test_a_missing_column_is_named_at_the_call(db: wsdb.Session) -> None:
    query = "SELECT 1,\n  * FROM predict('fraud', (SELECT id, links, title FROM webpages))"
    error = failed(db, query)
    assert error.code == "WS502"
    assert 'needs column "body"' in error.message
    assert "LINE 2" in str(error)
    db.execute("CREATE TABLE bare AS SELECT id, body FROM webpages")
    assert failed(db, "FROM predict('fraud', bare)").data == {"column": "links"}
    assert failed(db, "FROM predict('fraud', bare)").hint == 'select it, or alias another column AS "links"'


@pytest.mark.parametrize(
    ("cast", "column"),
    [("body::BLOB AS body, links", "body"), ("42 AS body, links", "body"), ("body, 'many' AS links", "links"),
     ("body, [1, 2] AS links", "links")],
    ids=["a blob for a text", "a number for a text", "a text for a number", "a list for a number"],
)  # fmt: skip
def test_a_column_of_another_type_is_an_error(db: wsdb.Session, cast: str, column: str) -> None:
    error = failed(db, f"SELECT predicted_fraud FROM predict('fraud', (SELECT id, {cast} FROM webpages)) LIMIT 1")
    assert error.code == "WS504"
    assert column in error.message
    assert "LINE 1" in str(error)


def test_an_unknown_table_is_duckdbs_error(db: wsdb.Session) -> None:
    with pytest.raises(duckdb.CatalogException, match=r'webpagez does not exist!\nDid you mean "webpages"'):
        db.execute("SELECT * FROM predict('fraud', webpagez)")
    with pytest.raises(duckdb.CatalogException, match="nosuch"):
        db.execute("SELECT * FROM predict('fraud', (SELECT * FROM nosuch))")


def test_wrong_arguments_are_errors(db: wsdb.Session) -> None:
    for call in ("predict()", "predict('fraud')", "predict('fraud', webpages, 3)", "predict(task := 'fraud')"):
        with pytest.raises((duckdb.Error, wsdb.WsdbError)):
            db.execute(f"SELECT * FROM {call}").fetchall()
    with pytest.raises(duckdb.Error):
        db.execute("SELECT predict('fraud', body) FROM webpages").fetchall()


def test_no_text_in_an_argument_becomes_sql(db: wsdb.Session) -> None:
    for name in ("fraud\"(''); DROP TABLE webpages; --", "webpages'); DROP TABLE webpages; --"):
        with pytest.raises((duckdb.Error, wsdb.WsdbError)):
            db.execute("SELECT * FROM predict(?, webpages)", [name]).fetchall()
        with pytest.raises((duckdb.Error, wsdb.WsdbError)):
            db.execute("SELECT * FROM predict('fraud', ?)", [name]).fetchall()
    assert db.execute("SELECT count(*) FROM webpages").fetchall() == [(5000,)]


def test_without_any_task_a_session_says_what_predict_reads() -> None:
    with wsdb.connect() as db:
        db.execute("CREATE TABLE webpages AS SELECT 1 AS id")
        error = failed(db, "SELECT * FROM predict('fraud', webpages)")
        assert (error.code, error.hint) == ("WS206", "CREATE TASK makes one")


def test_an_input_column_named_like_a_prediction_gives_way_to_the_prediction(db: wsdb.Session) -> None:
    db.execute("CREATE TABLE scored AS SELECT id, body, links, 'mine' AS predicted_fraud FROM webpages WHERE id < 3")
    relation = db.sql("SELECT * FROM predict('fraud', scored) ORDER BY id")
    assert relation.columns[:5] == ["id", "body", "links", "predicted_fraud", "predicted_fraud_prob"]
    assert [row[3] for row in relation.fetchall()] == ["fraud", "ok", "ok"]


def test_columns_with_the_names_that_the_macro_uses_inside_are_kept(db: wsdb.Session) -> None:
    db.execute("CREATE TABLE odd AS SELECT *, 'r' AS __wsdb_row, 'x' AS task, 'y' AS tbl FROM webpages WHERE id < 4")
    relation = db.sql(
        "SELECT id, __wsdb_row, task, tbl, predicted_fraud FROM predict('fraud', odd) ORDER BY id LIMIT 1"
    )
    assert relation.fetchall() == [(0, "r", "x", "y", "fraud")]


def test_a_failing_prediction_leaves_the_session_usable(db: wsdb.Session) -> None:
    failed(db, "SELECT * FROM predict('fraud', (SELECT id, 1 AS body, links FROM webpages))")
    assert db.execute("SELECT count(*) FROM predict('fraud', webpages) WHERE id < 5").fetchall() == [(5,)]


def test_a_dropped_model_is_no_longer_asked(db: wsdb.Session) -> None:
    db.execute("DROP MODEL webcorp")
    assert failed(db, "FROM predict('fraud', webpages)").code == "WS501"
    assert failed(db, "FROM predict('webcorp', webpages)").code == "WS201"
