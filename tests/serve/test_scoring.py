"""Which rows reach the network, and what it answers: the push-down of DESIGN 9, on every DuckDB version."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import wsdb
from tests.serve.conftest import ROWS
from wsdb.model.predictor import Predictor
from wsdb.serve.predictor import install

CHUNK = 2_048  # DuckDB hands over at most this many rows at a time

COUNTED = {
    "a filter on the key": ("SELECT predicted_fraud FROM predict('fraud', webpages) WHERE id < 100", 100),
    "a filter on another column": ("FROM predict('fraud', webpages) WHERE links = 2 AND id < 500", 100),
    "a subquery argument": ("FROM predict('fraud', (FROM webpages WHERE id < 100)) WHERE links = 2", 20),
    "a subquery as a string": ("FROM predict('fraud', '(FROM webpages WHERE id < 100)') WHERE links = 2", 20),
    "filters on two predicted columns": (
        "FROM predict('fraud', webpages) WHERE predicted_fraud = 'fraud' AND predicted_fraud_prob > 0.1",
        ROWS,
    ),
    "filters on a predicted and an input column": (
        "FROM predict('fraud', webpages) WHERE predicted_fraud = 'fraud' AND predicted_fraud_prob > 0.1 AND id < 100",
        100,
    ),
    "all columns of two tasks": ("FROM predict('webcorp', webpages)", ROWS),
    "a predicted column used many times": (
        "SELECT upper(predicted_fraud), predicted_fraud || 'x', predicted_fraud_probs['ok'], predicted_fraud_prob "
        "FROM predict('fraud', webpages) WHERE predicted_fraud IN ('ok', 'fraud') AND predicted_fraud_prob < 2",
        ROWS,
    ),
    "a join on a key that is filtered": (
        "SELECT p.predicted_fraud FROM predict('fraud', webpages) p JOIN webpages w USING (id) WHERE p.id < 50",
        50,
    ),
    "a join on a key that the other side filters": (
        "SELECT p.predicted_fraud FROM predict('fraud', webpages) p JOIN webpages w ON p.id = w.id WHERE w.id < 50",
        50,
    ),
    "order by an input column": ("FROM predict('fraud', webpages) ORDER BY id DESC", ROWS),
    "order by a predicted column": ("FROM predict('fraud', webpages) ORDER BY predicted_fraud_prob DESC LIMIT 5", ROWS),
    "an aggregate": ("SELECT predicted_fraud, count(*) FROM predict('fraud', webpages) GROUP BY ALL", ROWS),
    "no predicted column (the barrier still runs)": ("SELECT id FROM predict('fraud', webpages) WHERE id < 100", 100),
    "a view": ("FROM fraud_view WHERE id < 100", 100),
    "two calls": (
        "SELECT * FROM predict('fraud', webpages) f JOIN predict('topic', webpages) t USING (id) "
        "WHERE f.id < 10 AND t.id < 10",
        20,
    ),
    "an empty input": ("FROM predict('fraud', webpages) WHERE id < 0", 0),
}


def scored(db: wsdb.Session, query: str) -> int:
    """Return how many rows reach the network when a query is run."""
    function = install(db._rooms.engine)
    before = function.rows_scored
    db.execute(query).fetchall()
    return function.rows_scored - before


@pytest.mark.parametrize(("query", "expected"), COUNTED.values(), ids=COUNTED)
def test_each_row_that_survives_is_scored_exactly_once(db: wsdb.Session, query: str, expected: int) -> None:
    db.execute("CREATE VIEW fraud_view AS FROM predict('fraud', webpages)")
    assert scored(db, query) == expected


def test_a_limit_scores_no_more_than_one_chunk(db: wsdb.Session) -> None:
    assert 10 <= scored(db, "FROM predict('fraud', webpages) LIMIT 10") <= CHUNK
    assert 10 <= scored(db, "SELECT predicted_fraud FROM predict('webcorp', webpages) LIMIT 10") <= CHUNK


def test_explain_and_prepare_score_nothing(db: wsdb.Session) -> None:
    assert scored(db, "EXPLAIN FROM predict('fraud', webpages)") == 0
    assert scored(db, "DESCRIBE FROM predict('fraud', webpages)") == 0
    assert scored(db, "PREPARE p AS FROM predict('fraud', webpages)") == 0
    assert scored(db, "CREATE VIEW v AS FROM predict('fraud', webpages)") == 0


def test_rows_that_a_relation_filters_afterwards_are_not_scored(db: wsdb.Session) -> None:
    function = install(db._rooms.engine)
    relation = db.sql("FROM predict('fraud', webpages)").filter("id < 30").project("predicted_fraud")
    before = function.rows_scored
    assert len(relation.fetchall()) == 30
    assert function.rows_scored - before == 30


def test_predict_answers_as_the_predictor_does_in_python_for_any_batching(db: wsdb.Session) -> None:
    manifest, weights = db.execute(
        "SELECT manifest, t.bytes FROM wsdb.model_versions JOIN wsdb.tensors t USING (model, version)"
    ).fetchall()[0]
    predictor = Predictor.load(json.loads(manifest), weights)
    rows = db.sql("SELECT body, links, id FROM webpages ORDER BY id").to_arrow_table()
    found = predictor.predict(rows.combine_chunks().to_batches()[0])
    whole = {task: scores.probabilities for task, scores in found.items()}
    query = (
        "SELECT map_values(predicted_topic_probs), predicted_fraud_probs['fraud'] "
        "FROM predict('webcorp', %s) ORDER BY id"
    )
    one_scan = db.execute(query % "webpages").fetchall()
    np.testing.assert_allclose([row[0] for row in one_scan], whole["topic"], rtol=0, atol=1e-12)
    np.testing.assert_allclose([row[1] for row in one_scan], whole["fraud"][:, 1], rtol=0, atol=1e-12)
    for size in (1, 7, 100):
        batches = rows.slice(0, 300).combine_chunks().to_batches(size)
        parts = [predictor.predict(batch)["topic"].probabilities for batch in batches]
        np.testing.assert_allclose(np.concatenate(parts), whole["topic"][:300], rtol=0, atol=1e-6)
    for part in ("(FROM webpages WHERE id < 3)", "(FROM webpages WHERE id = 4999)", "(FROM webpages WHERE links = 3)"):
        ids = [row[0] for row in db.execute(f"SELECT id FROM {part} ORDER BY id").fetchall()]
        found = np.array([row[0] for row in db.execute(query % part).fetchall()])
        np.testing.assert_allclose(found, whole["topic"][ids], rtol=0, atol=1e-6)
    columns = db.execute(query % "(SELECT links, 1 AS other, body, id FROM webpages WHERE id < 50)").fetchall()
    np.testing.assert_allclose([row[0] for row in columns], whole["topic"][:50], rtol=0, atol=1e-6)


def test_null_features_are_values_like_any_other(db: wsdb.Session) -> None:
    db.execute(
        "CREATE TABLE holes AS FROM (VALUES (1, NULL::VARCHAR, 1), (2, 'wire transfer', NULL), (3, NULL, NULL)) "
        "t(id, body, links)"
    )
    found = db.execute(
        "SELECT id, predicted_fraud, predicted_fraud_prob FROM predict('fraud', holes) ORDER BY id"
    ).fetchall()
    assert [row[0] for row in found] == [1, 2, 3]
    assert all(label in ("ok", "fraud") and 0.5 <= prob <= 1 for _, label, prob in found)
    assert found[1][1] == "fraud"


def test_an_empty_table_gives_no_rows_but_all_columns(db: wsdb.Session) -> None:
    db.execute("CREATE TABLE nothing AS FROM webpages WHERE false")
    relation = db.sql("FROM predict('webcorp', nothing)")
    assert relation.columns[-1] == "predicted_topic_probs"
    assert relation.fetchall() == []


def test_numbers_of_any_width_give_the_same_answer(db: wsdb.Session) -> None:
    query = (
        "SELECT predicted_fraud_prob FROM predict('fraud', "
        "(SELECT id, body, links::%s AS links FROM webpages WHERE id < 20)) ORDER BY id"
    )
    expected = db.execute(query % "BIGINT").fetchall()
    for kind in ("TINYINT", "INTEGER", "DOUBLE", "DECIMAL(9, 2)", "HUGEINT", "UBIGINT"):
        assert db.execute(query % kind).fetchall() == expected


def together(work: list[Callable[[], Any]]) -> list[Any]:
    """Return what functions give that run at the same time, each in a thread; raise what the first one raises."""
    found: list[Any] = [None] * len(work)
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(work))

    def run(at: int) -> None:
        try:
            barrier.wait(timeout=30)
            found[at] = work[at]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    if errors:
        raise errors[0]
    return found


def test_four_threads_with_cursors_of_their_own_get_the_same_answers(file: Path) -> None:
    with wsdb.connect(file) as db:  # the model is not loaded yet: the threads race for that, too
        query = "SELECT id, predicted_fraud, predicted_topic FROM predict('webcorp', webpages) ORDER BY id"

        def work() -> Any:
            with db.cursor() as cursor:
                return cursor.execute(query).fetchall()

        answers = together([work] * 4)
        function = install(db._rooms.engine)
        assert function.rows_scored == 4 * ROWS
        assert len(answers[0]) == ROWS
        assert answers[1:] == answers[:1] * 3
        assert db.execute(query).fetchall() == answers[0]


def test_two_files_in_one_process_answer_with_their_own_models(file: Path, tmp_path: Path) -> None:
    with wsdb.connect(file) as db, wsdb.connect(tmp_path / "second.duckdb") as second:
        rows = db.sql("FROM webpages WHERE id < 300").to_arrow_table()
        assert isinstance(rows, pa.Table)
        second.execute(
            "CREATE TABLE webpages AS FROM rows; CREATE TASK fraud ON webpages KEY (id) TYPE BINARY ('left', 'right');"
            "CREATE LF odd FOR TASK fraud AS CASE WHEN links > 2 THEN 'left' ELSE 'right' END;"
            "CREATE MODEL webcorp FOR TASK fraud FROM webpages FEATURES (links) WITH (epochs = 1, hidden = 4)"
        )
        query = "SELECT DISTINCT predicted_fraud FROM predict('fraud', webpages) ORDER BY 1"
        assert db.execute(query).fetchall() == [("fraud",), ("ok",)]
        assert {row[0] for row in second.execute(query).fetchall()} <= {"left", "right"}
        assert db.execute(query).fetchall() == [("fraud",), ("ok",)]


def test_a_session_that_opens_the_file_again_scores_with_the_stored_model(file: Path) -> None:
    query = "SELECT predicted_fraud_prob FROM predict('fraud', webpages) WHERE id < 20 ORDER BY id"
    with wsdb.connect(file) as db:
        first = db.execute(query).fetchall()
    with wsdb.connect(file) as db:
        assert db.execute(query).fetchall() == first
        second = wsdb.connect(file)
        assert second.execute(query).fetchall() == first
        db.close()
        assert second.execute(query).fetchall() == first
        second.close()
