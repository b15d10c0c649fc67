"""Members of slices and tags: one long relation, each row and group once."""

from __future__ import annotations

import duckdb
import pytest

from wsdb.monitor.members import Group, members_select


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A relation of eight rows, and an input of five of them, one of which comes twice."""
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE pages AS SELECT i AS id, CASE WHEN i > 6 THEN NULL ELSE i * 10 END AS size FROM range(8) t(i)"
    )
    con.execute("CREATE TABLE r AS SELECT row_number() OVER () AS __row, i AS id FROM unnest([2, 3, 5, 7, 5]) t(i)")
    return con


def found(con: duckdb.DuckDBPyConnection, groups: list[Group]) -> list[tuple[int | None, str]]:
    rows: list[tuple[int | None, str]] = con.execute(
        f"SELECT __row, segment FROM ({members_select(groups)}) ORDER BY segment, __row NULLS FIRST"
    ).fetchall()
    return rows


def test_members_among_elements_have_a_place_and_their_row_has_place_0(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE words AS SELECT i // 2 AS id, 1 + i % 2 AS pos FROM range(16) t(i)")
    con.execute('CREATE TABLE seconds AS SELECT id AS "Id", pos AS "Pos" FROM words WHERE pos = 2 AND id > 2')
    groups = [
        Group("first", ("id", "pos"), "words", "pos = 1 AND id < 4", "Words"),
        Group("second", ("Id", "Pos"), "seconds", None, "Words"),
        Group("five", ("id",), "pages", "id = 5"),
        Group("gone", ("id", "pos"), "words", "false", "Words"),
    ]
    rows = con.execute(
        f"SELECT segment, payload, __row, pos FROM ({members_select(groups)}) ORDER BY ALL NULLS FIRST"
    ).fetchall()
    assert rows == [
        ("first", "Words", None, None), ("first", "Words", 1, 0), ("first", "Words", 1, 1),
        ("first", "Words", 2, 0), ("first", "Words", 2, 1),
        ("five", None, None, None), ("five", None, 3, None), ("five", None, 5, None),
        ("gone", "Words", None, None),
        ("second", "Words", None, None), ("second", "Words", 2, 0), ("second", "Words", 2, 2),
        ("second", "Words", 3, 0), ("second", "Words", 3, 2), ("second", "Words", 4, 0), ("second", "Words", 4, 2),
        ("second", "Words", 5, 0), ("second", "Words", 5, 2),
    ]  # fmt: skip


def test_conditions_and_keys_are_members_and_a_condition_that_is_null_is_not(con: duckdb.DuckDBPyConnection) -> None:
    con.execute('CREATE TABLE chosen AS SELECT 3::HUGEINT AS "ID" UNION ALL SELECT 99 UNION ALL SELECT 3')
    groups = [
        Group("large", ("id",), "pages", "size >= 50 -- in kilobytes"),
        Group("it's", ("ID",), "chosen"),
        Group("odd", ("id",), "pages", "id % 2 = 1"),
        Group("none", ("id",), "pages", "false"),
    ]
    assert found(con, groups) == [
        (None, "it's"), (2, "it's"), (None, "large"), (3, "large"), (5, "large"), (None, "none"),
        (None, "odd"), (2, "odd"), (3, "odd"), (4, "odd"), (5, "odd"),
    ]  # fmt: skip


def test_a_row_that_the_relation_has_twice_is_a_member_once(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("INSERT INTO pages VALUES (2, 1), (2, 2)")
    assert found(con, [Group("small", ("id",), "pages", "size < 25")]) == [(None, "small"), (1, "small")]


def test_no_groups_have_no_members(con: duckdb.DuckDBPyConnection) -> None:
    assert found(con, []) == []


def test_five_hundred_conditions_read_their_relation_once(con: duckdb.DuckDBPyConnection) -> None:
    groups = [Group(f"s{at}", ("id",), "pages", f"id <> {at % 8}") for at in range(500)]
    rows = found(con, groups)
    assert len(rows) == 500 + sum(1 for at in range(500) for key in (2, 3, 5, 7, 5) if key != at % 8)
    plan = con.execute(f"EXPLAIN (FORMAT json) {members_select(groups)}").fetchall()[0][1]
    assert plan.count('"pages"') + plan.count("main.pages") <= 2  # DuckDB 1.5 names a scanned table twice
