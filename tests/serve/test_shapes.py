"""Models of tasks of every shape, from CREATE MODEL to predict: one pass for all tasks, and rules kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wsdb
from wsdb.serve.predictor import install

pytest.importorskip("torch")

SET_UP = """
CREATE TABLE queries AS
SELECT i AS id, CASE i % 3 WHEN 0 THEN 'how tall is ' WHEN 1 THEN 'how old is ' ELSE 'capital of ' END || name AS body,
       string_split(body, ' ') AS tokens,
       CASE WHEN i % 3 < 2 THEN [{'name': name, 'type': 'person'}, {'name': name || ' island', 'type': 'place'}]
            ELSE [{'name': name || ' singer', 'type': 'person'}, {'name': name, 'type': 'place'}] END AS things
FROM (SELECT i, ['ann', 'bob', 'peru', 'chad', 'eve'][1 + i % 5] AS name FROM range(240) t(i));
CREATE PAYLOAD words ON queries KEY (id) AS SEQUENCE (tokens);
CREATE PAYLOAD asked ON queries KEY (id) AS SINGLETON (body) FROM PAYLOADS (words);
CREATE PAYLOAD candidates ON queries KEY (id) AS SET (things);
CREATE TASK intent ON queries KEY (id) PAYLOAD asked TYPE MULTICLASS ('height', 'age', 'capital');
CREATE LF tall FOR TASK intent VOTE 'height' WHEN body LIKE '%tall%';
CREATE LF old FOR TASK intent VOTE 'age' WHEN body LIKE '%old%';
CREATE LF capital FOR TASK intent VOTE 'capital' WHEN body LIKE 'capital%';
CREATE TASK about ON queries KEY (id) TYPE BITVECTOR ('person', 'number') WITH (multilabel_absent = 'no');
CREATE LF people FOR TASK about AS CASE WHEN body LIKE 'how%' THEN ['person', 'number'] ELSE [] END;
CREATE TASK kind ON queries KEY (id) PAYLOAD words TYPE MULTICLASS ('name', 'word') ROLE ANCILLARY;
CREATE LF small FOR TASK kind VOTE 'word' WHEN value IN ('how', 'tall', 'is', 'old', 'capital', 'of');
CREATE LF others FOR TASK kind VOTE 'name' WHEN value IN ('ann', 'bob', 'peru', 'chad', 'eve');
CREATE TASK best ON queries KEY (id) PAYLOAD candidates TYPE SELECT;
CREATE LF person FOR TASK best
  AS SELECT id, pos, 'yes' AS label FROM candidates WHERE body LIKE 'how%' AND value.type = 'person';
CREATE LF place FOR TASK best
  AS SELECT id, pos, 'yes' AS label FROM candidates WHERE body LIKE 'cap%' AND value.type = 'place';
CREATE MODEL facts FOR TASKS (intent, about, kind, best) FROM queries FEATURES (body)
  PAYLOADS (words, asked, candidates) WITH (seed = 1, epochs = 6, encoder = 'bow', buckets_bits = 10);
"""


@pytest.fixture(scope="session")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the trained model."""
    file = tmp_path_factory.mktemp("shapes") / "shapes.duckdb"
    with wsdb.connect(file) as db:
        db.execute(SET_UP)
    return file


@pytest.fixture
def db(shaped: Path, tmp_path: Path) -> Iterator[wsdb.Session]:
    """A session on a copy, in which nothing is loaded yet."""
    with wsdb.connect(Path(shutil.copy(shaped, tmp_path / "shapes.duckdb"))) as session:
        yield session


def test_the_signature_has_all_tasks_but_the_ancillary_one(db: wsdb.Session) -> None:
    found = db.sql("FROM predict('facts', queries)").columns
    outputs = [name for name in found if name.startswith("predicted_")]
    assert outputs == [
        f"predicted_{task}{part}" for task in ("intent", "about", "best") for part in ("", "_prob", "_probs")
    ]
    alone = db.sql("FROM predict('kind', queries)").columns
    assert [name for name in alone if name.startswith("predicted_")] == [
        "predicted_kind",
        "predicted_kind_prob",
        "predicted_kind_probs",
    ]


def test_one_pass_through_the_network_answers_all_tasks(db: wsdb.Session) -> None:
    function = install(db._rooms.engine)
    for query, rows in (
        ("FROM predict('facts', queries)", 240),
        ("SELECT * FROM predict('facts', queries) WHERE predicted_intent = 'age' AND predicted_best_prob > 0", 240),
        ("SELECT predicted_best, predicted_about FROM predict('facts', queries) WHERE id < 10", 10),
        ("SELECT len(predicted_kind), predicted_kind[1] FROM predict('kind', queries) WHERE id < 10", 10),
    ):
        before = function.rows_scored
        db.execute(query).fetchall()
        assert function.rows_scored - before == rows


def test_the_network_has_learned_each_task(db: wsdb.Session) -> None:
    intents, sets, picked = db.execute(
        "SELECT avg((predicted_intent = CASE id % 3 WHEN 0 THEN 'height' WHEN 1 THEN 'age' ELSE 'capital' END)::INT), "
        "avg((len(predicted_about) = CASE WHEN id % 3 < 2 THEN 2 ELSE 0 END)::INT), "
        "avg((predicted_best = CASE WHEN id % 3 < 2 THEN 1 ELSE 2 END)::INT) FROM predict('facts', queries)"
    ).fetchall()[0]
    assert (intents, sets) == (1, 1)
    assert picked > 0.9
    names = db.execute(
        "SELECT avg((list_last(predicted_kind) = 'name' AND predicted_kind[1] = 'word')::INT) "
        "FROM predict('kind', queries)"
    ).fetchall()
    assert names == [(1.0,)]


def test_payloads_that_are_null_or_empty_leave_the_other_tasks_as_they_are(db: wsdb.Session) -> None:
    rows = "(SELECT id, body, tokens, things FROM queries WHERE id < 3 UNION ALL BY NAME "
    rows += "SELECT 10 AS id, 'how tall is ann' AS body UNION ALL BY NAME "
    rows += "SELECT 11 AS id, 'how tall is ann' AS body, [] AS tokens, [] AS things UNION ALL BY NAME SELECT 12 AS id)"
    found = db.execute(
        "SELECT predicted_intent, predicted_best, predicted_best_probs, len(predicted_about) "
        f"FROM predict('facts', {rows}) WHERE id > 9 ORDER BY id"
    ).fetchall()
    assert found[0][1:3] == (None, None)
    assert found[1][1:3] == (None, [])
    assert found[0][0] is not None and found[2][0] is not None and found[2][3] is not None
    kinds = db.execute(f"SELECT predicted_kind FROM predict('kind', {rows}) WHERE id > 9 ORDER BY id").fetchall()
    assert kinds == [(None,), ([],), (None,)]


def test_a_row_is_answered_alike_in_any_company(db: wsdb.Session) -> None:
    query = "SELECT predicted_best_probs, predicted_intent_prob FROM predict('facts', %s) ORDER BY id"
    every = db.execute(query % "queries").fetchall()
    for at in (0, 7, 100):
        (alone,) = db.execute(query % f"(FROM queries WHERE id = {at})").fetchall()
        assert alone[0] == pytest.approx(every[at][0], abs=1e-5)
        assert alone[1] == pytest.approx(every[at][1], abs=1e-5)


def test_the_model_in_python(db: wsdb.Session) -> None:
    from torch import nn

    model = db.model("facts")
    assert (model.name, model.version, list(model.labels)) == ("facts", 1, ["intent", "about", "kind", "best"])
    assert model.labels["best"] == ("no", "yes")
    assert dict(model.spec.options)["epochs"] == 6
    assert isinstance(model.module, nn.Module)
    assert not model.module.training
    assert model.module is model.module
    assert "words" in str(model.module)
    assert model.code.splitlines() == [line for (line,) in db.execute("SHOW CODE FOR MODEL facts").fetchall()]
    for name, code in (("fact", "WS201"), ("facts@2", "WS207")):
        with pytest.raises(wsdb.WsdbError) as caught:
            db.model(name)
        assert caught.value.code == code


GRAPH = """
CREATE TABLE pages AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'prince wire ' ELSE 'lake photo ' END ||
  CASE WHEN i % 10 < 3 THEN 'bank ' WHEN i % 10 < 6 THEN 'parcel ' ELSE 'nothing ' END AS body FROM range(400) t(i);
CREATE TASK fraud ON pages KEY (id) TYPE BINARY ('ok', 'fraud');
CREATE LF wire FOR TASK fraud VOTE 'fraud' WHEN body LIKE '%wire%';
CREATE LF lake FOR TASK fraud VOTE 'ok' WHEN body LIKE '%lake%';
CREATE TASK scam ON pages KEY (id) TYPE MULTICLASS ('none', 'bank', 'parcel');
CREATE LF bank FOR TASK scam VOTE 'bank' WHEN body LIKE '%bank%';
CREATE LF parcel FOR TASK scam VOTE 'parcel' WHEN body LIKE '%parcel%';
CREATE LF none FOR TASK scam VOTE 'none' WHEN body LIKE '%nothing%';
"""
BROKEN = "SELECT count(*) FROM predict('m', pages) WHERE predicted_fraud = 'ok' AND predicted_scam <> 'none'"
TRAIN = "CREATE OR REPLACE MODEL m FOR TASKS (fraud, scam) FROM pages FEATURES (body) WITH (seed = 1, epochs = 4{})"
RULES = {
    "a constraint": "CREATE CONSTRAINT c ON TASKS (fraud, scam) CHECK (NOT (fraud = 'ok' AND scam <> 'none'))",
    "a task graph": "CREATE TASK GRAPH g (scam 'bank' IMPLIES fraud 'fraud', scam 'parcel' IMPLIES fraud 'fraud')",
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_predictions_keep_the_rules(rule: str) -> None:
    with wsdb.connect() as db:
        db.execute(GRAPH)
        db.execute(TRAIN.format(""))
        assert db.execute(BROKEN).fetchall()[0][0] > 0
        free = db.execute("SELECT id, predicted_fraud_probs FROM predict('m', pages) ORDER BY id").fetchall()
        db.execute(rule)
        db.execute(TRAIN.format(", decode = 'none'"))
        assert db.execute(BROKEN).fetchall()[0][0] > 0
        db.execute(TRAIN.format(""))
        assert db.execute(BROKEN).fetchall() == [(0,)]
        kept = db.execute("SELECT id, predicted_fraud_probs FROM predict('m', pages) ORDER BY id").fetchall()
        assert kept == free  # the probabilities are those of the network
        best = db.execute(
            "SELECT count(*) FROM (SELECT *, predicted_fraud_probs['ok'] * predicted_scam_probs['none'] AS calm, "
            "predicted_fraud_probs['fraud'] * list_max(map_values(predicted_scam_probs)) AS bad "
            "FROM predict('m', pages)) WHERE (predicted_fraud = 'ok') <> (calm > bad) AND abs(calm - bad) > 1e-9"
        ).fetchall()
        assert best == [(0,)]
        db.close()


def test_rules_that_cannot_be_kept_are_refused(db: wsdb.Session) -> None:
    train = (
        "CREATE OR REPLACE MODEL facts FOR TASKS (intent, kind, best) FROM queries FEATURES (body) WITH (epochs = 1{})"
    )
    db.execute("CREATE CONSTRAINT first ON TASKS (intent, best) CHECK (intent <> 'age' OR best = 1)")
    with pytest.raises(wsdb.WsdbError, match="depends on which element") as caught:
        db.execute(train.format(""))
    assert caught.value.code == "WS360"
    db.execute(train.format(", decode = 'none'"))


def test_a_constraint_on_whether_an_element_is_picked(db: wsdb.Session) -> None:
    db.execute("CREATE CONSTRAINT whom ON TASKS (intent, best) CHECK (intent = 'capital' OR best IS NOT NULL)")
    db.execute("REFRESH MODEL facts")
    rows: Any = "(SELECT id, body, tokens, CASE WHEN id < 100 THEN things END AS things FROM queries)"
    found = db.execute(
        "SELECT id < 100, list(DISTINCT predicted_intent ORDER BY predicted_intent) "
        f"FROM predict('facts', {rows}) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert found == [(False, ["capital"]), (True, ["age", "capital", "height"])]
