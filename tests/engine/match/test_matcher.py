from __future__ import annotations

import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.match.differ import Expression, compared, functions, kernels, searches, types_of
from wsdb.core.task import Task
from wsdb.engine.match import Matcher, kernels_of, scan
from wsdb.engine.match.keywords import Keyword, KeywordIndex
from wsdb.engine.match.pattern import lowered

TEXTS = ["Free money", None, "free", "", "a kiss", "a \u212aiss", "moneyfree", "x", None, "KISS free"]
BODIES = [
    *(r"regexp_matches(body, '(?i)\bfree\b')", "contains(body, 'free')", "body ILIKE '%kiss%'"),
    *("NOT contains(body, 'free') OR x > 3", "x > 5", "contains(lower(body), 'k')", "body IS NULL"),
]


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.register("given", pa.table({"id": range(len(TEXTS)), "body": TEXTS, "x": range(len(TEXTS))}))
    con.execute("CREATE TABLE t AS FROM given")
    return con


def matcher(con: duckdb.DuckDBPyConnection) -> Matcher:
    answers = Expression("CASE WHEN contains(body, 'free') THEN 'spam' WHEN x > 3 THEN 'ham' END")
    found = kernels(con, [*BODIES, answers])
    assert None not in found
    return Matcher([kernel for kernel in found if kernel is not None])


@pytest.mark.parametrize("cost", [0.0, 1e9])
def test_hits_are_the_votes_among_the_codes(
    con: duckdb.DuckDBPyConnection, cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "PASS_COST", cost)
    many = matcher(con)
    batch = con.sql("FROM t").to_arrow_table()
    rows, numbers, codes = many.hits(batch)
    assert (rows.dtype, numbers.dtype, codes.dtype) == (np.int64, np.int32, np.int16)
    votes = [
        (row, number, code)
        for number, column in enumerate(many.codes(batch))
        for row, code in enumerate(column.to_pylist())
        if code is not None
    ]
    assert list(zip(rows.tolist(), numbers.tolist(), codes.tolist(), strict=True)) == votes


@pytest.mark.parametrize("cost", [0.0, 1e9])
def test_slices_chunks_and_other_string_types_are_read(
    con: duckdb.DuckDBPyConnection, cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "PASS_COST", cost)
    many = matcher(con)
    whole = con.sql("FROM t").to_arrow_table()
    wanted = [column.to_pylist() for column in many.codes(whole)]
    for type_ in (pa.string(), pa.large_string(), pa.string_view()):
        table = whole.set_column(1, "body", whole["body"].cast(type_))
        assert [column.to_pylist() for column in many.codes(table)] == wanted
        pieces = pa.concat_tables([table.slice(0, 3), table.slice(3, 0), table.slice(3)])
        assert [column.to_pylist() for column in many.codes(pieces)] == wanted
        batch = table.combine_chunks().to_batches()[0].slice(2, 5)
        assert [column.to_pylist() for column in many.codes(batch)] == [part[2:7] for part in wanted]
    assert [len(column) for column in many.codes(whole.slice(0, 0))] == [0] * len(wanted)
    assert len(many.hits(whole.slice(0, 0))[0]) == 0


def test_no_kernels_give_no_codes() -> None:
    assert Matcher([]).columns == ()


def test_many_labels_have_wide_codes(con: duckdb.DuckDBPyConnection) -> None:
    task = Task("many", "t", ("id",), "multiclass", tuple(f"c{at}" for at in range(300)))
    bodies = [Expression("CASE WHEN x > 5 THEN 'c299' END")]
    (kernel,) = kernels_of(con, functions(bodies), task, types_of(con))
    assert kernel is not None
    (codes,) = Matcher([kernel]).codes(con.sql("FROM t").to_arrow_table())
    assert codes.type == pa.int16()
    assert codes.to_pylist() == [None] * 6 + [299] * 4


WORD = st.text("ab_k1", min_size=1, max_size=10)
PHRASE = st.text("ab k-", min_size=1, max_size=20)


@given(
    st.lists(st.tuples(WORD | PHRASE, st.booleans(), st.booleans()), min_size=1, max_size=8),
    st.lists(st.text("abk_1 -A\u00e9", max_size=30), max_size=8),
    st.booleans(),
)
def test_an_index_finds_what_regular_expressions_find(
    words: list[tuple[str, bool, bool]], texts: list[str], fold: bool
) -> None:
    index = KeywordIndex([[Keyword(text.encode(), fold, left, right)] for text, left, right in words], fold)
    parts = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(parts), np.uint8)
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    rows, found = index.pairs(data, offsets)
    flags = re.ASCII | (re.IGNORECASE if fold else 0)
    wanted = [
        (row, at)
        for row, text in enumerate(texts)
        for at, (word, left, right) in enumerate(words)
        if re.search(r"\b" * left + re.escape(word) + r"\b" * right, text, flags)
    ]
    assert list(zip(rows.tolist(), found.tolist(), strict=True)) == wanted


@pytest.mark.parametrize(
    ("body", "folds"),
    [
        (r"regexp_matches(body, '(?i)\bkiss\b')", True),
        ("body ILIKE '%free%'", True),
        (r"regexp_matches(body, '(?i)f.ee\s\w+')", True),
        ("contains(body, 'free')", False),  # one case only
        ("regexp_matches(body, '(?i)free[a-z]') AND x >= 0", True),
        ("regexp_matches(body, '[Ff]re[e]')", False),  # a letter of which only one case is meant
        (r"regexp_matches(body, '\w+ \w+')", False),  # nothing gained
    ],
)
def test_only_patterns_that_take_both_cases_are_searched_in_lower_case(
    con: duckdb.DuckDBPyConnection, body: str, folds: bool
) -> None:
    (kernel,) = kernels(con, [body])
    assert kernel is not None
    assert [lowered(search.node) is not None for search in searches(kernel)] == [folds]


def test_searches_in_lower_case_answer_what_duckdb_answers(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "INSERT INTO t VALUES (20, 'FREE\u017f', 1), (21, 'fREe \u00c9 KI\u017fS', 2), (22, 'I\u0130 FREEk', 3)"
    )
    bodies = [r"regexp_matches(body, '(?i)\bkiss\b')", "body ILIKE '%free%'", r"regexp_matches(body, '(?i)e[^x]ki\w')"]
    bodies += [r"regexp_matches(body, '(?i)frees|\Aa kis')", "body NOT ILIKE '%ii%'"]
    known, _ = compared(con, bodies)
    assert known == len(bodies)
