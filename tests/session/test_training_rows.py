"""The rows that training reads: labels of every shape, in the right splits, next to the elements they are about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import wsdb
from wsdb.core.specs import ModelSpec
from wsdb.planner.steps import Train
from wsdb.session import run_labels, run_model
from wsdb.session.training_rows import training_query

SET_UP = """
CREATE TABLE queries AS SELECT id, body, tokens, list_transform(
  things, lambda t: {'name': split_part(t, ':', 1), 'kind': split_part(t, ':', 2)}) AS things, split
FROM (VALUES
  (1, 'how tall is ann', ['how', 'tall', 'is', 'ann'], ['ann:person', 'ann arbor:town'], 'train'),
  (2, 'is peru big', ['is', 'peru', 'big'], ['peru:country'], 'train'),
  (3, 'ann', ['ann'], NULL, 'train'),
  (4, '', [], [], 'train'),
  (5, 'nothing known', NULL, ['x:thing', 'y:thing'], 'train'),
  (6, 'tall peru', ['tall', 'peru'], ['peru:country', 'ann:person'], 'dev'),
  (7, 'tall ann', ['tall', 'ann'], ['ann:person'], 'test')
) AS t(id, body, tokens, things, split);
CREATE TABLE gold_height AS FROM (VALUES (1, 'yes'), (6, 'yes'), (7, 'no')) AS t(id, label);
CREATE TABLE gold_types AS FROM (VALUES (6, 1, []), (6, 2, ['place']), (7, 2, ['person'])) AS t(id, pos, label);
CREATE TABLE gold_best AS FROM (VALUES (1, 1, 'yes'), (6, 2, 'yes'), (7, 1, 'yes')) AS t(id, pos, label);

CREATE PAYLOAD tokens ON queries KEY (id) AS SEQUENCE (tokens);
CREATE PAYLOAD things ON queries KEY (id) AS SET (things);
CREATE TASK height ON queries KEY (id) TYPE BINARY ('no', 'yes') GOLD gold_height (label) SPLIT BY split;
CREATE LF tall FOR TASK height VOTE 'yes' WHEN body LIKE '%tall%';
CREATE LF big FOR TASK height VOTE 'no' WHEN body LIKE '%big%';
CREATE TASK about ON queries KEY (id) TYPE BITVECTOR ('person', 'place', 'size') SPLIT BY split;
CREATE LF people FOR TASK about VOTE 'person' WHEN body LIKE '%ann%';
CREATE LF peru FOR TASK about AS CASE WHEN body LIKE '%peru%' THEN ['place', 'size'] WHEN body = '' THEN [] END;
CREATE TASK tags ON queries KEY (id) PAYLOAD tokens TYPE MULTICLASS ('name', 'word') SPLIT BY split;
CREATE LF names FOR TASK tags VOTE 'name' WHEN value IN ('ann', 'peru');
CREATE LF words FOR TASK tags VOTE 'word' WHEN value IN ('is', 'tall');
CREATE LABEL MODEL lm FOR TASK tags USING majority;
CREATE TASK types ON queries KEY (id) PAYLOAD tokens TYPE BITVECTOR ('person', 'place')
  GOLD gold_types (label) SPLIT BY split;
CREATE LF persons FOR TASK types AS CASE WHEN value = 'ann' THEN ['person'] WHEN value = 'is' THEN [] END;
CREATE LF places FOR TASK types AS CASE WHEN value = 'peru' THEN ['place'] WHEN value = 'is' THEN [] END;
CREATE TASK best ON queries KEY (id) PAYLOAD things TYPE SELECT GOLD gold_best (label) SPLIT BY split;
CREATE LF kinds FOR TASK best AS SELECT id, pos, 'yes' AS label FROM things WHERE value.kind IN ('person', 'country');
"""
TASKS = ("height", "about", "tags", "types", "best")


@pytest.fixture
def db() -> Iterator[wsdb.Session]:
    """A session with tasks of every shape."""
    with wsdb.connect() as session:
        session.execute(SET_UP)
        yield session


def step_of(db: wsdb.Session, **given: Any) -> Train:
    """Return the training step of a model, with the labels it needs computed."""
    spec = ModelSpec(**{"name": "m", "tasks": tuple((task, 1.0) for task in TASKS), "source": "queries"} | given)
    rooms = db._rooms
    step = run_model.plan(rooms, spec, rooms.catalog.snapshot())
    assert isinstance(step, Train)
    run_labels.transact(rooms, lambda: run_labels.run(rooms, step))
    return step


def read(db: wsdb.Session, column: str, uncovered: str = "drop", **given: Any) -> list[Any]:
    """Return a column of the training rows, in the order of their keys."""
    query = training_query(db._rooms, step_of(db, columns=("body",), **given), uncovered=uncovered)
    return [value for (value,) in db.connection.execute(f'SELECT "{column}" FROM ({query}) ORDER BY __key').fetchall()]


def where(values: list[Any]) -> list[bool]:
    return [value is not None for value in values]


def test_the_columns_are_key_features_lists_labels_gold_and_slices(db: wsdb.Session) -> None:
    db.execute("CREATE SLICE short ON queries KEY (id) AS length(body) < 5")
    step = step_of(db, columns=("body",), slices=("*",))
    query = training_query(db._rooms, step, uncovered="drop")
    found = [name for name, *_ in db.connection.execute(f"DESCRIBE {query}").fetchall()]
    own = {"height": "pgo", "types": "pg", "best": "pg"}  # labels of the others are stored as they are learned
    labels = [f"__{part}_{task}" for task in TASKS for part in own.get(task, "p")]
    assert found == ["__key", "body", "tokens", "things", *labels, "__s_short"]
    assert [payload.name for payload in step.payloads] == ["tokens", "things"]
    assert read(db, "__s_short", slices=("short",)) == [False, False, True, True, False, False, False]


def test_members_among_elements_are_the_places_in_their_row(db: wsdb.Session) -> None:
    db.execute("CREATE SLICE peru ON things AS value.name = 'peru' OR value.kind = 'thing'")
    places = read(db, "__s_peru", slices=("*",))
    assert [one and sorted(one) for one in places] == [None, [1], None, None, [1, 2], [1], None]


def test_labels_of_rows_are_those_of_train_and_gold_is_that_of_dev(db: wsdb.Session) -> None:
    labels = read(db, "__p_height")
    assert where(labels) == [True, True, False, False, False, False, False]
    assert labels[0][1] > 0.5 > labels[1][1]
    assert read(db, "__g_height") == [None, None, None, None, None, [0.0, 1.0], None]


def test_rows_without_votes_are_taught_the_prior_where_that_is_asked_for(db: wsdb.Session) -> None:
    labels = read(db, "__p_height", uncovered="prior")
    assert where(labels) == [True] * 5 + [False, False]
    assert labels[2] == labels[3] == pytest.approx([0.5, 0.5])


def test_bits_that_nobody_votes_on_are_unknown(db: wsdb.Session) -> None:
    labels = read(db, "__p_about")
    assert where(labels) == [True, True, True, True, False, False, False]
    assert [where(bits) for bits in labels[:4]] == [
        [True, False, False],
        [False, True, True],
        [True, False, False],
        [True, True, True],
    ]
    assert labels[0][0] > 0.5
    assert labels[1][1] > 0.5
    assert max(labels[3]) < 0.5  # the empty list says no to all
    # each number is about one label: they need not sum to 1
    assert labels[1][1] + labels[1][2] > 1


def test_labels_of_elements_stand_next_to_them(db: wsdb.Session) -> None:
    labels, tokens = read(db, "__p_tags"), read(db, "tokens")
    assert where(labels) == [True, True, True, False, False, False, False]
    for row, words in zip(labels[:3], tokens[:3], strict=True):
        assert where(row) == [word in ("ann", "peru", "is", "tall") for word in words]
        for probs, word in zip(row, words, strict=True):
            if probs is not None:
                assert sum(probs) == pytest.approx(1)
                assert (probs[0] > 0.5) == (word in ("ann", "peru"))


def test_bits_of_elements(db: wsdb.Session) -> None:
    labels = read(db, "__p_types")
    assert where(labels) == [True, True, True, False, False, False, False]
    assert where(labels[0]) == [False, False, True, True]  # how tall is ann
    assert max(labels[0][2]) < 0.5
    assert labels[0][3][0] > 0.5
    assert read(db, "__g_types") == [None] * 5 + [[[0.0, 0.0], [0.0, 1.0]], None]


def test_the_element_that_is_meant(db: wsdb.Session) -> None:
    labels = read(db, "__p_best")
    assert where(labels) == [True, True, False, False, False, False, False]
    assert [len(row) for row in labels[:2]] == [2, 1]
    assert labels[0][0][1] > 0.5 > labels[0][1][1]
    assert read(db, "__g_best") == [None] * 5 + [[[1.0, 0.0], [0.0, 1.0]], None]


def test_a_query_of_some_rows_is_read_as_it_is(db: wsdb.Session) -> None:
    found = read(db, "__p_tags", source="(SELECT id, body, tokens, things FROM queries WHERE id IN (2, 4))")
    assert where(found) == [True, False]
    assert len(found[0]) == 3


def test_given_labels_of_elements_and_bitvectors(db: wsdb.Session) -> None:
    one = {
        "tasks": (("tags", 1.0),),
        "labels_from": ("SELECT id, pos, 'word' AS label FROM tokens WHERE value = 'is'",),
    }
    assert read(db, "__p_tags", **one)[:2] == [[None, None, [0.0, 1.0], None], [[0.0, 1.0], None, None]]
    bits = {
        "tasks": (("about", 1.0),),
        "labels_from": ("SELECT id, ['size', 'place'] AS label FROM queries WHERE id > 3",),
    }
    assert read(db, "__p_about", **bits) == [None, None, None, [0.0, 1.0, 1.0], [0.0, 1.0, 1.0], None, None]


def test_given_probabilities_are_read_by_label(db: wsdb.Session) -> None:
    soft = "MAP {'yes': 0.75, 'no': 0.252}"  # rounded: divided by the sum
    rows = {"tasks": (("height", 1.0),), "labels_from": (f"SELECT id, {soft} AS label FROM queries WHERE id <> 2",)}
    found = read(db, "__p_height", **rows)
    assert where(found) == [True, False, True, True, True, False, False]
    assert found[0] == pytest.approx([0.252 / 1.002, 0.75 / 1.002])
    bits = {"tasks": (("about", 1.0),), "labels_from": ("SELECT id, MAP {'size': 0.3} AS label FROM queries",)}
    assert read(db, "__p_about", **bits)[0] == [None, None, 0.3]
    own = "SELECT id, 2 AS pos, MAP {'no': 0.25, 'yes': 0.75} AS label FROM queries"
    picks = read(db, "__p_best", tasks=(("best", 1.0),), labels_from=(own,))
    assert picks == [[[1.0, 0.0], [0.25, 0.75]], None, None, None, [[1.0, 0.0], [0.25, 0.75]], None, None]


def test_a_query_labels_the_tasks_it_has_columns_of(db: wsdb.Session) -> None:
    given = {
        "labels_from": (
            "SELECT id, 'no' AS Height, ['size'] AS about FROM queries WHERE id = 3",
            "SELECT id, pos, 'name' AS tags FROM tokens WHERE value = 'ann'",
        )
    }
    step = step_of(db, columns=("body",), **given)
    assert [(one.task, one.label, one.place) for one in step.given] == [
        ("height", "Height", 0),
        ("about", "about", 0),
        ("tags", "tags", 1),
    ]
    assert len(step.labels) == 2  # types and best keep those of their label models
    assert read(db, "__p_height", **given) == [None, None, [1.0, 0.0], None, None, None, None]
    assert read(db, "__p_tags", **given)[:2] == [[None, None, None, [1.0, 0.0]], None]
    assert where(read(db, "__p_types", **given)) == [True, True, True, False, False, False, False]


def test_gold_that_a_feature_or_function_reads_is_refused(db: wsdb.Session) -> None:
    db.execute("CREATE LF cheat FOR TASK height AS SELECT id, label FROM gold_height")
    with pytest.raises(wsdb.WsdbError, match='labeling function "cheat" reads gold_height') as caught:
        step_of(db, columns=("body",))
    assert caught.value.code == "WS361"
    step_of(db, columns=("body",), options=(("allow_gold", True),))
    step_of(db, columns=("body",), tasks=(("height", 1.0),), labels_from=("SELECT id, label FROM gold_height",))
    assert "model m: LABELS FROM reads gold_height, the gold of task height" in db.notices
    db.execute(
        "CREATE TABLE own AS SELECT id, body, 'yes' AS truth FROM queries;"
        "CREATE TASK odd ON own KEY (id) TYPE BINARY ('no', 'yes') GOLD own (truth);"
        "CREATE LF short FOR TASK odd VOTE 'yes' WHEN length(body) < 5"
    )
    given = {"tasks": (("odd", 1.0),), "source": "own"}
    with pytest.raises(wsdb.WsdbError, match='feature "truth" holds the gold labels') as caught:
        step_of(db, columns=("body", "truth"), **given)
    assert caught.value.code == "WS361"
    step_of(db, columns=("*",), **given)
    db.execute("CREATE LF seen FOR TASK odd VOTE 'yes' WHEN truth = 'yes'")
    with pytest.raises(wsdb.WsdbError, match='"seen" reads own') as caught:
        step_of(db, columns=("body",), **given)
    assert caught.value.code == "WS361"
