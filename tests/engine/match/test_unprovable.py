from __future__ import annotations

import duckdb
import pytest

from tests.engine.match.differ import TASK, Expression, VoteWhen, compared, functions, kernels, types_of
from wsdb.core.lf import LabelingFunction, Python, Select, Votes
from wsdb.core.task import Task
from wsdb.engine.match import kernel_of, kernels_of


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE t (id INTEGER, body VARCHAR, Title VARCHAR, x INTEGER, f BOOLEAN, d DATE, seen TIMESTAMP, "
        "h HUGEINT, j JSON, e ENUM ('a', 'b'), "
        "b BLOB, s STRUCT(body VARCHAR), l VARCHAR[], loud VARCHAR COLLATE NOCASE, "
        "wide DECIMAL(38, 2), r FLOAT)"
    )
    con.execute(
        "INSERT INTO t (id, body, title, x) VALUES (1, 'Free', 'a', 1), (2, NULL, NULL, NULL), (3, 'x', 'free', 3)"
    )
    return con


STAYS = {
    "functions": ["trim(body) = 'x'", "reverse(body) LIKE 'x%'", "body || 'a' = 'ba'", "contains(trim(body), 'x')"],
    "regular expressions of functions": ["regexp_extract(body, 'a') = 'a'", "len(regexp_extract_all(body, 'a')) > 1"],
    "subqueries": ["body = (SELECT 'x')", "body IN (SELECT 'x')", "EXISTS (SELECT 1)", "body = ANY(['x'])"],
    "lists": ["body IN ['x']", "contains(l, 'x')", "list_contains(l, 'x')"],
    "columns on both sides": ["body = title", "contains(body, title)", "body LIKE title", "x > id"],
    "other types": [
        "contains(e, 'x')",
        "j = 'x'",
        "e = 'a'",
        "h > 1",
        "wide > 1",
        "seen > '2020-01-01'",
        "s.body = 'x'",
    ],
    "casts": ["x::VARCHAR = '1'", "x = '1'", "body::BOOLEAN", "x > 1::BIGINT", "x::DOUBLE > 1", "body = 1", "x > 1e0"],
    "order of texts": ["body > 'a'", "body BETWEEN 'a' AND 'b'", "body >= 'a'"],
    "collations": ["loud = 'a'", "contains(loud, 'a')", "body COLLATE NOCASE = 'a'", "loud LIKE 'a%'"],
    "constants that are computed": ["body = 'a' || 'b'", "x > 1 + 1", "contains(body, lower('A'))"],
    "nulls as patterns": ["body LIKE NULL", "contains(body, NULL)", "body = NULL", "x > NULL"],
    "parameters and times": ["d > current_date", "d > today()", "random() > 0.5", "body = current_setting('TimeZone')"],
    "patterns that DuckDB does not compile": [
        f"regexp_matches(body, '{text}')" for text in ("(", "[a", "a**", r"\8", "*a")
    ],
    "patterns too large": ["regexp_matches(body, '((a{100}){10}){10}')", "regexp_matches(body, 'a{1001}')"],
    "Unicode classes": [rf"regexp_matches(body, '{text}')" for text in (r"\pL", r"\p{Greek}", r"[\p{Lu}a]", r"\PN")],
    "syntax that means something else elsewhere": [
        rf"regexp_matches(body, '{text}')"
        for text in (r"\B", r"\C", r"a{,2}", r"\Z", r"(?x)a b", r"[[:foo:]]", r"\1", r"\07")
    ],
    "case folding that is not known": ["regexp_matches(body, '(?i)ǆ')", "regexp_matches(body, '(?i)[à-ӿ]')"],
    "ends in the middle": [
        "regexp_matches(body, 'a$b')",
        "regexp_matches(body, 'a^')",
        "regexp_matches(body, '(^a)*b')",
    ],
    "options that are not known": [
        "regexp_matches(body, 'a', 'g')",
        "regexp_matches(body, 'a', 'q')",
        "regexp_matches(body, title)",
    ],
    "escapes": [
        "body LIKE 'a!' ESCAPE '!'",
        "body LIKE 'a' ESCAPE '%'",
        "body ILIKE 'xA' ESCAPE 'x'",
        "body LIKE 'a' ESCAPE ''",
    ],
    "other operators": ["body GLOB 'a*'", "body SIMILAR TO title", "x & 1 = 1", "-x = 1"],
    "no columns": ["TRUE", "1 = 1", "'a' LIKE 'a'"],
    "columns that are not there": ["nothing = 'a'", "u.body = 'a'", "rowid = 1", "main.t.body = 'a'"],
    "more than one thing": ["body = 'a'), (x > 1", "COLUMNS(*) = 1", "ROW(body) = ROW('a')"],
    "nothing": ["", "(", "SELECT"],
}


@pytest.mark.parametrize("bodies", STAYS.values(), ids=STAYS)
def test_stays_in_duckdb(con: duckdb.DuckDBPyConnection, bodies: list[str]) -> None:
    assert dict(zip(bodies, kernels(con, bodies), strict=True)) == dict.fromkeys(bodies)


def test_expressions_that_are_no_case_of_known_labels_stay(con: duckdb.DuckDBPyConnection) -> None:
    answers = [
        *("body", "'spam'", "CASE WHEN x > 1 THEN body END", "CASE WHEN x > 1 THEN 'unknown' END", "lower('SPAM')"),
        *(
            "CASE WHEN x > 1 THEN 1 ELSE 'spam' END",
            "CASE WHEN x > 1 THEN NULL END",
            "CASE WHEN f THEN TRUE END",
            "x > 1",
        ),
        *("CASE WHEN trim(body) = 'a' THEN 'spam' WHEN x > 1 THEN 'ham' END", "CASE WHEN x > 1 THEN 1.0 END"),
    ]
    assert kernels(con, [Expression(answer) for answer in answers]) == [None] * len(answers)


def test_other_bodies_stay(con: duckdb.DuckDBPyConnection) -> None:
    bodies = [Select("SELECT id, 'spam' FROM t"), Python("def f(b): return b"), Votes("v", ("id",), None, "label")]
    assert kernels(con, bodies) == [None] * 3


def test_cases_answer_what_duckdb_answers(con: duckdb.DuckDBPyConnection) -> None:
    answers = [
        "CASE WHEN body = 'x' THEN 'spam' WHEN x = 1 THEN 'ham' END",
        "CASE WHEN body = 'x' THEN 'spam' WHEN x = 1 THEN NULL ELSE 'ham' END",
        "CASE body WHEN 'x' THEN 'spam' WHEN 'Free' THEN 'ham' ELSE '1' END",
        "CASE x WHEN 1 THEN 'spam' END",
        "CASE WHEN x >= 1 THEN CASE WHEN body LIKE '%e' THEN 'spam' END ELSE 'ham' END",
        "CASE WHEN x >= 1 THEN CASE WHEN body LIKE '%e' THEN 'spam' ELSE NULL END WHEN body = 'x' THEN 'ham' END",
        "CASE WHEN x > 1 THEN 1 END",
        "CASE WHEN TRUE THEN 'spam' WHEN x > 1 THEN 'ham' END",
        "CASE WHEN NULL THEN 'spam' WHEN x > 1 THEN 'ham' END",
        "if(x > 1, 'spam', 'ham')",
        "CASE WHEN x > 1 THEN 'spam' ELSE 'ham' END -- done",
    ]
    assert compared(con, [Expression(answer) for answer in answers])[0] == len(answers)


def test_columns_are_found_as_duckdb_finds_them(con: duckdb.DuckDBPyConnection) -> None:
    bodies = ["BODY = 'x'", "t.body = 'x'", "T.\"Body\" = 'x'", "title = 'a'", "\"TITLE\" = 'a'"]
    assert compared(con, bodies)[0] == len(bodies)
    assert [kernel.columns for kernel in kernels(con, bodies) if kernel] == [("body",)] * 3 + [("Title",)] * 2


def test_a_column_that_is_named_like_the_relation_hides_it() -> None:
    con = duckdb.connect()
    con.execute("CREATE TABLE t AS SELECT 1 AS id, {'body': 'x'} AS t, 'y' AS body")
    assert kernels(con, ["t.body = 'x'"]) == [None]


@pytest.mark.parametrize("name", ["contains", '"~~"', "lower", "regexp_matches", "LENGTH"])
@pytest.mark.parametrize("kind", ["MACRO", "TEMP MACRO"])
def test_a_macro_with_the_name_of_a_function_leaves_all_in_duckdb(
    con: duckdb.DuckDBPyConnection, name: str, kind: str
) -> None:
    assert kernels(con, ["contains(body, 'x')"]) != [None]
    con.execute(f"CREATE {kind} {name}(a, b) AS false")
    assert kernels(con, ["contains(body, 'x')"]) == [None]


def test_a_default_collation_leaves_all_in_duckdb(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("SET default_collation = 'nocase'")
    assert kernels(con, ["body = 'x'"]) == [None]


def test_a_collation_is_found_behind_a_view(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE VIEW v AS SELECT id, body, loud AS quiet FROM t")
    task = Task("spam", "v", ("id",), "binary", ("ham", "spam"))
    found = kernels_of(con, functions(["body = 'x'", "quiet = 'x'"]), task, types_of(con, "v"))
    assert [kernel is None for kernel in found] == [False, True]


def test_errors_do_not_matter_where_nothing_can_fail(con: duckdb.DuckDBPyConnection) -> None:
    kernel = kernel_of(con, LabelingFunction("a", "spam", VoteWhen("spam", "x > 1"), "abstain"), TASK, types_of(con))
    assert kernel is not None
    assert kernel.predicates == ("x > 1",)


def test_predicates_are_shown_as_sql(con: duckdb.DuckDBPyConnection) -> None:
    body = "contains(lower(body), 'it''s') AND NOT (x BETWEEN 1 AND 2) OR \"Title\" IN ('a', NULL) OR f IS NULL"
    (kernel,) = kernels(con, [body])
    assert kernel is not None
    assert kernel.predicates == (
        "contains(lower(body), 'it''s')",
        "x BETWEEN 1 AND 2",
        "\"Title\" IN ('a', NULL)",
        "f IS NULL",
    )
