"""Labeling functions that call Python functions which the session has registered with DuckDB."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import wsdb
from wsdb.engine.udf import code_of

SET_UP = """
CREATE TABLE reviews AS SELECT i AS id,
  CASE WHEN i % 7 <> 0 THEN ['great phone', 'broken', 'meh', 'works', 'refund please'][i % 5 + 1] END AS body,
  (i % 6)::TINYINT AS stars FROM range(210) t(i);
CREATE TASK mood ON reviews KEY (id) TYPE BINARY ('bad', 'good');
"""
VOTES = "SELECT lf, label, count(*) FROM label_votes('mood') GROUP BY ALL ORDER BY ALL"
GOOD = {"great phone", "works"}


def mood(text: str | None) -> str | None:
    return "good" if text in GOOD else "bad" if text in ("broken", "refund please") else None


def moods(texts: pa.ChunkedArray) -> pa.Array:
    return pa.array(["bad" if text is not None and "refund" in text else None for text in texts.to_pylist()])


def above(limit: int) -> Callable[[int], bool]:
    def high(stars: int) -> bool:
        return stars > limit

    return high


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reviews.duckdb"


@pytest.fixture
def db(file: Path) -> Iterator[wsdb.Session]:
    with wsdb.connect(file) as session:
        session.execute(SET_UP)
        yield session


def register(db: wsdb.Session, limit: int = 3) -> None:
    db.create_function("mood", mood, ["VARCHAR"], "VARCHAR", null_handling="special")
    db.create_function("moods", moods, ["VARCHAR"], "VARCHAR", type="arrow", null_handling="special")
    db.create_function("high", above(limit), ["TINYINT"], "BOOLEAN")


def define(db: wsdb.Session) -> None:
    db.execute(
        "CREATE LF by_row FOR TASK mood AS mood(body); CREATE LF by_batch FOR TASK mood AS moods(body); "
        "CREATE LF stars FOR TASK mood VOTE 'good' WHEN high(stars)"
    )


EXPECTED = [("by_batch", "bad", 36), ("by_row", "bad", 72), ("by_row", "good", 72), ("stars", "good", 70)]


def test_functions_by_row_and_by_batch_vote_and_abstain(db: wsdb.Session) -> None:
    register(db)
    define(db)
    assert db.execute(VOTES).fetchall() == EXPECTED
    db.execute(VOTES).fetchall()
    assert db.notices == []  # nothing is computed again


def test_another_function_of_the_same_name_is_computed_again(db: wsdb.Session) -> None:
    register(db)
    define(db)
    db.execute(VOTES).fetchall()
    db.remove_function("high")
    db.create_function("high", above(4), ["TINYINT"], "BOOLEAN")  # the same code, with another limit
    found = db.execute(VOTES).fetchall()
    assert db.notices == ["label matrix of task mood: 210 rows, 1 column computed, 2 reused"]
    assert found == [*EXPECTED[:3], ("stars", "good", 35)]


def test_a_function_that_a_macro_or_a_primitive_calls_counts_too(db: wsdb.Session) -> None:
    register(db)
    db.execute(
        "CREATE MACRO liked(x) AS high(x); CREATE LF by_macro FOR TASK mood VOTE 'good' WHEN liked(stars); "
        "CREATE PRIMITIVE known ON reviews AS SELECT id, high(stars) AS yes FROM reviews; "
        "CREATE LF by_primitive FOR TASK mood VOTE 'good' WHEN known.yes"
    )
    assert db.execute(VOTES).fetchall() == [("by_macro", "good", 70), ("by_primitive", "good", 70)]
    db.remove_function("high")
    db.create_function("high", above(4), ["TINYINT"], "BOOLEAN")
    assert db.execute(VOTES).fetchall() == [("by_macro", "good", 35), ("by_primitive", "good", 35)]


def test_a_file_opened_again_wants_its_functions_and_then_computes_nothing(db: wsdb.Session, file: Path) -> None:
    register(db)
    define(db)
    db.execute("SELECT * FROM labels('mood')").fetchall()
    db.close()
    with wsdb.connect(file) as again:
        with pytest.raises(wsdb.WsdbError) as caught:
            again.execute(VOTES)
        assert caught.value.code == "WS402"
        assert caught.value.message == (
            'labeling function "by_row" no longer fits what it reads: Scalar Function with name mood does not exist'
        )
        assert "create_function" in (caught.value.hint or "")
        again.execute("SET wsdb_auto_refresh = false")
        assert again.execute(VOTES).fetchall() == EXPECTED  # what is stored can be read
        (notice,) = again.notices
        assert notice.startswith('label matrix of task mood may be out of date: labeling function "by_row" no longer')
        again.execute("SET wsdb_auto_refresh = true")
        register(again)
        assert again.execute(VOTES).fetchall() == EXPECTED
        assert again.notices == []


def test_a_cursor_knows_the_functions_of_its_session(db: wsdb.Session) -> None:
    register(db)
    define(db)
    db.execute(VOTES).fetchall()
    other = db.cursor()
    assert other.execute(VOTES).fetchall() == EXPECTED
    assert other.notices == []


def test_a_function_with_side_effects_is_called_at_each_refresh(db: wsdb.Session) -> None:
    calls = []

    def count(stars: int) -> bool:
        calls.append(stars)
        return True

    db.create_function("seen", count, ["TINYINT"], "BOOLEAN", side_effects=True)
    db.execute("CREATE LF f FOR TASK mood VOTE 'good' WHEN seen(stars)")
    db.execute(VOTES).fetchall()
    first = len(calls)
    db.execute(VOTES).fetchall()
    assert first == 210
    assert len(calls) == 420


def test_a_function_that_raises_is_named_with_its_rows(db: wsdb.Session) -> None:
    def fails(stars: int) -> bool:
        if stars == 3:
            raise ValueError("three")
        return True

    db.create_function("fails", fails, ["TINYINT"], "BOOLEAN")
    db.execute("CREATE LF f FOR TASK mood VOTE 'good' WHEN fails(stars)")
    with pytest.raises(wsdb.WsdbError, match=r'"f" failed on 35 rows; first at id = 3: .*ValueError: three') as caught:
        db.execute(VOTES).fetchall()
    assert caught.value.code == "WS405"
    db.execute("CREATE OR REPLACE LF f FOR TASK mood WITH (on_error = 'abstain') VOTE 'good' WHEN fails(stars)")
    assert db.execute(VOTES).fetchall() == [("f", "good", 175)]


def test_a_function_that_abstains_without_saying_so_to_duckdb_gets_its_words(db: wsdb.Session) -> None:
    db.create_function("mood", mood, ["VARCHAR"], "VARCHAR")  # without null_handling="special" it may not return None
    db.execute("CREATE LF f FOR TASK mood AS mood(body)")
    with pytest.raises(wsdb.WsdbError, match="contained NULL values, but the 'null_handling' was set to DEFAULT"):
        db.execute(VOTES).fetchall()


def test_a_function_on_the_bare_connection_is_known_by_its_name(file: Path) -> None:
    with duckdb.connect(str(file)) as con:
        con.create_function("high", above(3), ["TINYINT"], "BOOLEAN")
        db = wsdb.attach(con)
        db.execute(SET_UP)
        db.execute("CREATE LF stars FOR TASK mood VOTE 'good' WHEN high(stars)")
        assert db.execute(VOTES).fetchall() == EXPECTED[3:]


def lower(text: str) -> str:
    return text.lower()


def test_the_fingerprint_of_a_function_is_of_its_code_and_the_values_it_reads() -> None:
    def first(x: int, y: int = 1) -> bool:
        return any(one > y for one in range(x))

    def renamed(x: int, y: int = 1) -> bool:
        return any(one > y for one in range(x))

    def other(x: int, y: int = 1) -> bool:
        return any(one < y for one in range(x))

    def default(x: int, y: int = 2) -> bool:
        return any(one > y for one in range(x))

    def unset(x: int) -> Any:
        return later + x

    assert code_of(unset) == code_of(unset)
    later = 1
    assert code_of(first) == code_of(renamed)
    assert len({code_of(one) for one in (first, other, default, above(1), above(2), lower, str.lower, len)}) == 8
    assert code_of(functools.partial(first, 3)) == code_of(first)
    before = code_of(mood)
    GOOD.add("fine")
    assert code_of(mood) != before
    GOOD.discard("fine")
    assert code_of(mood) == before
