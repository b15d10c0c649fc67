"""Tables: every column is shown, no line is too wide, numbers are readable."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from wsdb.cli.tables import render, texts, wrap
from wsdb.cli.values import Column, Rows

SUMMARY = [
    *[("lf", "VARCHAR"), ("kind", "VARCHAR"), ("polarity", "VARCHAR[]"), ("coverage", "DOUBLE")],
    *[("overlaps", "DOUBLE"), ("conflicts", "DOUBLE"), ("correct", "BIGINT"), ("incorrect", "BIGINT")],
    *[("emp_acc", "DOUBLE"), ("learned_acc", "DOUBLE"), ("gap", "DOUBLE"), ("ms", "DOUBLE")],
    *[("enabled", "BOOLEAN"), ("owner", "VARCHAR")],
]


def rows(columns: list[tuple[str, str]], *values: tuple[Any, ...], total: int | None = None) -> Rows:
    return Rows([Column(*column) for column in columns], list(values), len(values) if total is None else total)


def lines(result: Rows, width: int) -> list[str]:
    return [line.text for line in render(result, width)]


def summary(n: int) -> Rows:
    one = ("rule", ["legitimate", "phishing"], 0.57921, 0.5, 0.3896, 641, 83, 0.88535, 0.7045, -0.1809, 21.64, True)
    return rows(SUMMARY, *[(f"lf_borrowed_content_{n}", *one[:5], n, *one[6:], "root") for n in range(n)])


def test_a_table_that_fits_is_aligned() -> None:
    result = rows([("name", "VARCHAR"), ("n", "INTEGER"), ("share", "DOUBLE")], ("a", 1, 0.5), ("long", 12345, None))
    assert lines(result, 80) == [
        "name      n  share",
        "────  ─────  ─────",
        "a         1    0.5",
        "long  12345   NULL",
    ]


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_a_wide_table_shows_every_column_in_the_width(width: int, n: int) -> None:
    shown = lines(summary(n), width)
    assert max(cell_len(line) for line in shown) <= width
    text = "\n".join(shown)
    for name, _ in SUMMARY:
        assert name in text or all(part in text for part in (f"{name.split('_')[0]}_", name.split("_")[-1])), name
    assert "lf_borrowed_content_0" in text


def test_what_all_rows_share_is_told_once_below() -> None:
    shown = lines(summary(3), 100)
    assert "enabled = true" in shown[-1] and "owner = root" in shown[-1]
    reason = "because " * 20
    result = rows([("lf", "VARCHAR"), ("x", "DOUBLE"), ("reason", "VARCHAR")], ("a", 0.1, reason), ("b", 0.2, reason))
    shown = lines(result, 80)
    assert shown[:4] == ["lf    x", "──  ───", "a   0.1", "b   0.2"]
    assert shown[4].startswith("reason: because because")


def test_a_single_wide_row_is_turned() -> None:
    result = rows([(f"column_{at}", "VARCHAR") for at in range(12)], tuple("x" * 20 for _ in range(12)))
    assert lines(result, 80)[0] == "column_0   xxxxxxxxxxxxxxxxxxxx"
    assert len(lines(result, 80)) == 12


def test_blocks_repeat_the_first_column() -> None:
    names = [(f"measure_{at}", "VARCHAR") for at in range(12)]
    result = rows([("key", "INTEGER"), *names], *[(n, *[f"value {n}.{at}" for at in range(12)]) for n in range(5)])
    shown = lines(result, 80)
    assert sum(line.lstrip().startswith("key") for line in shown) == shown.count("") + 1 >= 2


def test_long_texts_are_cut_and_in_tables_of_two_columns_wrapped() -> None:
    text = "word " * 50
    three = lines(rows([("a", "VARCHAR"), ("b", "VARCHAR"), ("c", "INTEGER")], ("x", text, 1), ("y", "z", 2)), 80)
    assert three[2].endswith("…  1") and len(three) == 4
    two = lines(rows([("property", "VARCHAR"), ("value", "VARCHAR")], ("x", text), ("y", "z")), 80)
    assert "…" not in "".join(two) and "".join(two).count("word") == 50


def test_more_rows_are_counted() -> None:
    columns = [("a", "INTEGER")]
    assert lines(rows(columns, (1,), total=1235), 80)[-1] == "… 1,234 more rows"
    assert lines(rows(columns, (1,), total=2), 80)[-1] == "… 1 more row"
    assert lines(rows(columns), 80) == ["a", "─", "(no rows)"]


def test_plans_and_statements_keep_their_lines() -> None:
    assert lines(rows([("sql", "VARCHAR")], ("CREATE TASK t\n  ON x",)), 80) == ["CREATE TASK t", "  ON x"]
    plan = rows([("explain_key", "VARCHAR"), ("explain_value", "VARCHAR")], ("physical_plan", "a\nb\n"))
    assert lines(plan, 80) == ["a", "b"]


def test_floats_have_four_digits_and_points_below_each_other() -> None:
    assert texts([0.123456, 0.5, None, 12.3456, 1234.5], "DOUBLE") == [
        "0.1235",
        "0.5000",
        "NULL",
        "12.35  ",
        "1234     ",
    ]
    assert texts([1.0, 2.0], "DOUBLE") == ["1.0", "2.0"]
    assert texts([float("nan"), float("-inf"), 1e-9, 3e20], "DOUBLE") == ["nan", "-inf", "1e-09", "3e+20"]


def test_text_cannot_reach_the_terminal_as_codes() -> None:
    result = rows([("a", "VARCHAR"), ("b", "VARCHAR[]")], ("x\x1b[31m\r\n\ufeffy", ["\x07"]))
    assert lines(result, 80)[-1] == "x?[31m y  [?]"


def test_wide_characters_are_measured() -> None:
    shown = lines(rows([("a", "VARCHAR"), ("b", "VARCHAR")], ("日本", "x"), ("ab", "y")), 80)
    assert shown[2:] == ["日本  x", "ab    y"]


VALUES = st.one_of(st.none(), st.text(max_size=60), st.integers(), st.floats(), st.lists(st.floats(), max_size=4))


@given(st.data(), st.integers(40, 130), st.integers(1, 16), st.integers(0, 5))
def test_no_line_is_wider_than_asked(data: st.DataObject, width: int, m: int, n: int) -> None:
    names = data.draw(st.lists(st.text("abc_ ", min_size=1, max_size=20), min_size=m, max_size=m))
    values = [tuple(data.draw(VALUES) for _ in range(m)) for _ in range(n)]
    assert all(cell_len(line) <= width for line in lines(rows([(name, "VARCHAR") for name in names], *values), width))


@given(st.text("ab ", max_size=200), st.integers(10, 40))
def test_wrapping_loses_nothing(text: str, width: int) -> None:
    wrapped = wrap(text, width, "  ")
    assert all(len(line) <= width for line in wrapped)
    assert "".join(wrapped).replace(" ", "") == text.replace(" ", "")
