"""A labeling function of several tasks, as each of them sees it."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from wsdb.core.lf import Expression, LabelingFunction, Python, Select, VoteTogether, VoteWhen

BOTH = LabelingFunction("f", "t", VoteTogether((("t", "a"), ("U", "b")), "x > 1"), tasks=("t", "U"), depends_on=("g",))


def test_the_first_task_is_the_task() -> None:
    assert LabelingFunction("f", "t", VoteWhen("a", "x")).tasks == ("t",)
    assert replace(BOTH, task="T").tasks == ("T", "U")
    assert BOTH.votes_on("u") and BOTH.votes_on("T") and not BOTH.votes_on("v")


def test_each_task_sees_its_own_vote() -> None:
    seen = BOTH.of_task("u")
    assert (seen.task, seen.tasks, seen.body) == ("U", ("U",), VoteWhen("b", "x > 1"))
    assert seen.depends_on == ("g",)
    assert BOTH.of_task("t").body == VoteWhen("a", "x > 1")
    with pytest.raises(ValueError):
        BOTH.of_task("v")
    one = LabelingFunction("f", "t", VoteWhen("a", "x"))
    assert one.of_task("T") is one


def test_the_struct_of_an_expression_is_taken_apart() -> None:
    lf = replace(BOTH, body=Expression("CASE WHEN n > 1 THEN {'T': 'a', 'u': NULL::VARCHAR} END -- both"))
    rows = [
        duckdb.sql(f"SELECT {lf.of_task(task).body.sql} FROM (VALUES (1), (2)) AS r(n) ORDER BY n").fetchall()
        for task in ("t", "u")
    ]
    assert rows == [[(None,), ("a",)], [(None,), (None,)]]


def test_the_columns_of_a_select_are_taken_apart() -> None:
    lf = replace(BOTH, body=Select("SELECT 7 AS id, 'a' AS t, 'b' AS u, 0.5 AS confidence -- both"))
    for task, label in (("t", "a"), ("U", "b")):
        found = duckdb.sql(lf.of_task(task).body.sql)
        assert found.columns == ["id", "label", "confidence"]
        assert found.fetchall()[0][1] == label


def test_other_bodies_have_one_task() -> None:
    with pytest.raises(ValueError):
        replace(BOTH, body=Python("def lf(batch): ...")).of_task("t")
