"""Answers of every shape: what the scalar function gives, and the columns that a prediction macro makes of it."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from wsdb.engine.duckdb import DuckDBEngine
from wsdb.model.decode import Answer, decide
from wsdb.serve.answers import answer_type, to_arrow
from wsdb.serve.macros import FUNCTION, RESULT, ServedTask, predict_macro

TASKS = (
    ServedTask("intent", 0, "multiclass"),
    ServedTask("topics", 1, "bitvector"),
    ServedTask("pos", 2, "multiclass", "tokens"),
    ServedTask("kinds", 3, "bitvector", "tokens"),
    ServedTask("best", 4, "select", "things"),
)
TOKENS = [["a", "b"], [], None, ["c"]]
THINGS = [["x", "y", "z"], None, [], ["x"]]


def answers_of(batch: pa.StructArray) -> list[Answer]:
    """Return answers that depend on each row's number ``id`` alone, 0 to 3."""
    ids = batch.field("id").to_pylist()
    tokens = np.cumsum([0, *(len(TOKENS[i] or []) for i in ids)])
    things = np.cumsum([0, *(len(THINGS[i] or []) for i in ids)])
    first = np.array([[0.9 - 0.2 * i, 0.1 + 0.2 * i] for i in ids]).reshape(-1, 2)
    bits = np.array([[0.5 * (i % 2), 0.25 * i] for i in ids]).reshape(-1, 2)
    place = np.array([j for i in ids for j in range(len(TOKENS[i] or []))], dtype=float)
    pos = np.stack([1 - 0.6 * (place + 1) / 2, 0.6 * (place + 1) / 2], axis=1)
    yes = np.array([p for i in ids for p in ([0.2, 0.6, 0.1] if i == 0 else [0.3] if i == 3 else [])])
    return [
        decide("multiclass", ("height", "age"), first, None),
        decide("bitvector", ("a", "b"), bits, None),
        decide("multiclass", ("NOUN", "VERB"), pos, tokens),
        decide("bitvector", ("person", "place"), pos, tokens),
        decide("select", ("no", "yes"), np.stack([1 - yes, yes], axis=1), things),
    ]


@pytest.fixture
def con() -> Any:
    con = duckdb.connect()

    def score(keys: pa.ChunkedArray, rows: pa.ChunkedArray) -> pa.Array:
        batch = rows.combine_chunks()
        return to_arrow(answers_of(batch)) if len(batch) else pa.array([], answer_type())

    DuckDBEngine(con).register(FUNCTION, score, RESULT)
    con.execute("CREATE TABLE rows (id INTEGER, tokens VARCHAR[], things VARCHAR[])")
    con.executemany("INSERT INTO rows VALUES (?, ?, ?)", [(i, TOKENS[i], THINGS[i]) for i in range(4)])
    con.execute(f"CREATE MACRO scored(tbl) AS TABLE {predict_macro('k', ['id', 'tokens', 'things'], TASKS)}")
    yield con
    con.close()


def column(con: Any, name: str) -> list[Any]:
    return [value for (value,) in con.execute(f"SELECT {name} FROM scored('rows') ORDER BY id").fetchall()]


def test_the_arrow_type_is_the_one_that_is_declared() -> None:
    batch = pa.StructArray.from_arrays([pa.array([0, 1, 2, 3])], names=["id"])
    found = to_arrow(answers_of(batch))
    found.validate(full=True)
    assert found.type == answer_type()
    assert [len(task) for task in found.to_pylist()[0]] == [1, 1, 2, 2, 3]


def test_types_of_the_columns(con: Any) -> None:
    kinds = {name: kind for name, kind, *_ in con.execute("DESCRIBE FROM scored('rows')").fetchall()}
    one, many, maps = "VARCHAR", "VARCHAR[]", "MAP(VARCHAR, DOUBLE)"
    expected = {
        "intent": (one, "DOUBLE", maps),
        "topics": (many, "DOUBLE", maps),
        "pos": (many, "DOUBLE[]", f"{maps}[]"),
        "kinds": (f"{many}[]", "DOUBLE[]", f"{maps}[]"),
        "best": ("INTEGER", "DOUBLE", "DOUBLE[]"),
    }
    for task, types in expected.items():
        assert tuple(kinds[f"predicted_{task}{suffix}"] for suffix in ("", "_prob", "_probs")) == types


def test_labels_of_rows(con: Any) -> None:
    assert column(con, "predicted_intent") == ["height", "height", "height", "age"]
    assert column(con, "predicted_intent_prob") == pytest.approx([0.9, 0.7, 0.5, 0.7])
    assert column(con, "predicted_topics") == [[], ["a"], ["b"], ["a", "b"]]
    # the probability of exactly this set
    assert column(con, "predicted_topics_prob") == pytest.approx([1, 0.5 * 0.75, 0.5, 0.5 * 0.75])
    assert column(con, "predicted_topics_probs['b']") == pytest.approx([0, 0.25, 0.5, 0.75])


def test_labels_of_elements_where_lists_are_empty_or_null(con: Any) -> None:
    assert column(con, "predicted_pos") == [["NOUN", "VERB"], [], None, ["NOUN"]]
    assert column(con, "predicted_kinds") == [[["person"], ["place"]], [], None, [["person"]]]
    assert column(con, "list_transform(predicted_pos_probs, lambda m: m['VERB'])") == [
        pytest.approx([0.3, 0.6]),
        [],
        None,
        pytest.approx([0.3]),
    ]


def test_the_element_that_is_picked(con: Any) -> None:
    assert column(con, "predicted_best") == [2, None, None, None]  # the only element of the last row has 0.3
    assert column(con, "predicted_best_prob") == [
        pytest.approx(0.6),
        None,
        pytest.approx(1.0),
        pytest.approx(0.7),
    ]
    assert column(con, "predicted_best_probs") == [pytest.approx([0.2, 0.6, 0.1]), None, [], pytest.approx([0.3])]


def test_a_task_that_does_not_apply_is_null() -> None:
    probs = np.array([[0.25, 0.75], [0.5, 0.5]])
    answer = Answer("multiclass", ("a", "b"), probs, np.arange(3), np.array([1, -1]))
    found = to_arrow([answer]).to_pylist()
    assert [row[0][0]["label"] for row in found] == ["b", None]
    assert [row[0][0]["prob"] for row in found] == [0.75, None]
    assert found[1][0][0]["probs"] == [("a", 0.5), ("b", 0.5)]
