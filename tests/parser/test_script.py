"""Scripts: where one statement ends, whose it is, and that DuckDB's text comes back byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.core.errors import SyntaxError_
from wsdb.parser.cursor import Cursor, tokens_of
from wsdb.parser.script import has_ours, parse_one, split
from wsdb.parser.statements import Alter, Describe, Drop, Explain, Refresh, SetOption, Show, ShowCreate

STATEMENTS = [
    ("CREATE TASK t ON r KEY (id) TYPE BINARY", True),
    ("create or replace lf f for task t vote 'yes' when a = ';'", True),
    ("CREATE LF f FOR TASK t LANGUAGE python AS $$ x = 1; y = ';' $$", True),
    ("CREATE LF f FOR TASK t AS /* ; */ a -- ;\n + 1", True),
    ("EXPLAIN ANALYZE REFRESH LABELS FOR TASK t", True),
    ("EXPLAIN CREATE LF f FOR TASK t VOTE 'a;b' WHEN c", True),
    ("REFRESH LABELS", True),
    ("SET wsdb_auto_refresh = false", True),
    ("RESET wsdb_auto_refresh", True),
    ("SHOW LFS FOR TASK t", True),
    ("DROP LABEL MODEL IF EXISTS m", True),
    ("COMMENT ON TASK t IS 'a;b'", True),
    ("DESC TASK t", True),
    ("CREATE TASK GRAPH g (a ';' IMPLIES b 'x')", True),
    ("CREATE PAYLOAD p ON r AS SET (x)", True),
    ("CREATE OR REPLACE PRIMITIVE p ON r AS SELECT ';'", True),
    ("ALTER LF f DISABLE", True),
    ("ALTER TASK GRAPH g RENAME TO h", True),
    ("SHOW PAYLOADS", True),
    ("SHOW PRIMITIVES LIKE 'a;b'", True),
    ("SHOW CREATE TASK GRAPH g", True),
    ("DESCRIBE PRIMITIVE p", True),
    ("ALTER LABEL x", False),
    ("DESCRIBE payload", False),
    ("SHOW payload", False),
    ("CREATE TABLE primitive (payload VARCHAR)", False),
    ("SELECT ';' AS \"a;b\" -- ;", False),
    ("EXPLAIN SELECT 1 AS task", False),
    ("CALL pragma_version()", False),
    ("CREATE TABLE task (label VARCHAR)", False),
    ("DESCRIBE task", False),
    ("DESCRIBE model.x", False),
    ('SHOW "models"', False),
    ("SET threads = 2", False),
    ("COMMENT ON TABLE task IS 'x'", False),
    ("DROP TABLE lf", False),
    ("INSERT INTO models VALUES ($$;$$, E'it\\'s;')", False),
    ("ALTER TABLE task ADD COLUMN model INT", False),
]


@pytest.mark.parametrize(("sql", "ours"), STATEMENTS)
def test_a_statement_is_ours_by_its_first_words(sql: str, ours: bool) -> None:
    pieces = split(sql)
    assert [piece.ours for piece in pieces] == [ours]


@given(
    st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=6), st.sampled_from([";", " ;\n", "\n;;\n", "; -- x\n"])
)
def test_a_script_is_cut_at_its_semicolons_and_nowhere_else(chosen: list[tuple[str, bool]], glue: str) -> None:
    script = glue.join(sql + "\n" for sql, _ in chosen)
    pieces = split(script)
    assert [piece.ours for piece in pieces] == [ours for _, ours in chosen]
    for piece, (sql, _) in zip(pieces, chosen, strict=True):
        assert sql.startswith(piece.sql)
        assert sql.removeprefix(piece.sql).strip() in ("", "-- ;")  # a comment at the end belongs to no statement


@given(st.text(max_size=40))
def test_any_text_is_pieces_that_stand_in_it_in_order(text: str) -> None:
    try:
        pieces = split(text)
    except SyntaxError_ as error:
        assert error.code == "WS102"
        return
    end = 0
    for piece in pieces:
        assert end <= piece.span.start <= piece.span.end <= len(text)
        end = piece.span.end


def test_a_script_without_our_words_is_known_to_hold_nothing_of_ours() -> None:
    assert not has_ours("SELECT * FROM mails WHERE body LIKE '%x%'")
    assert all(has_ours(sql) for sql, ours in STATEMENTS if ours)


@pytest.mark.parametrize(
    ("sql", "opener", "what"),
    [
        ("CREATE LF f FOR TASK t VOTE 'a WHEN b", "'", "string"),
        ("CREATE LF f FOR TASK t VOTE 'a' WHEN \"b", '"', "quoted name"),
        ("CREATE LF f FOR TASK t VOTE 'it''s' WHEN b /* c", "/*", "comment"),
        ("-- it's\nCREATE LF f FOR TASK t LANGUAGE python AS $py$ $$ x", "$py$", "string"),
    ],
)
def test_text_without_an_end_is_pointed_at_where_it_starts(sql: str, opener: str, what: str) -> None:
    with pytest.raises(SyntaxError_) as caught:
        split(sql)
    assert caught.value.code == "WS102"
    assert caught.value.message == f"the {what} that starts here has no end"
    assert caught.value.span is not None
    assert (caught.value.span.start, caught.value.span.slice) == (sql.rindex(opener), opener)


def test_text_of_duckdb_without_an_end_is_left_to_duckdb() -> None:
    (piece,) = split("SELECT 'task")
    assert not piece.ours and piece.sql == "SELECT 'task"


def test_places_count_lines_of_the_whole_script() -> None:
    script = "SELECT 1;\n\nDROP TASK\n  tt;"
    drop = split(script, "labels.sql")[1].parse()
    assert isinstance(drop, Drop)
    span = drop.at("task")
    assert (span.line, span.column, span.file, span.slice) == (4, 3, "labels.sql", "tt")


@pytest.mark.parametrize(
    ("sql", "word", "expected"),
    [
        ("CREATE TASK t IN r", "IN", "ON"),
        ("CREATE LABELING FUNCTON f", "FUNCTON", "FUNCTION"),
        ("DROP LF IF EXIST f", "EXIST", "EXISTS"),
        ("REFRESH LABEL MATRICES FOR TASK t", "MATRICES", "MATRIX"),
        ("COMMENT ON TASK t AS 'x'", "AS", "IS"),
        ("SHOW VERSIONS OF TASK t", "TASK", "MODEL"),
        ("DROP TASK t CASCADE now", "now", "the end of the statement"),
        ("ALTER TASK GRAPH g DISABLE", "DISABLE", "RENAME TO"),
        ("CREATE PAYLOAD p ON r KEY (id) IS SET (x)", "IS", "AS"),
        ("CREATE PRIMITIVE p ON r AS 1 + 1", "1", "SELECT"),
        ("CREATE TASK GRAPH g (a APPLIES IF b 'x')", "IF", "WHEN"),
        ("CREATE TASK GRAPH g (a 'x' IMPLIES b)", ")", "a label as a string in quotes"),
        ("CREATE LF f FOR TASKS t VOTE 'x' WHEN y", "t", "("),
        ("CREATE LF f FOR TASK t DEPENDS (g) VOTE 'x' WHEN y", "(", "ON"),
        ("CREATE LF f FOR TASKS (t, u) VOTE (t 'x', u 'y') IF z", "IF", "WHEN"),
    ],
)
def test_an_error_points_at_the_first_wrong_word(sql: str, word: str, expected: str) -> None:
    with pytest.raises(SyntaxError_) as caught:
        parse_one(sql)
    assert caught.value.code == "WS101"
    assert caught.value.span is not None and caught.value.span.slice == word
    assert caught.value.data["expected"] == [expected]


def test_the_end_of_a_statement_is_pointed_at_behind_its_last_word() -> None:
    with pytest.raises(SyntaxError_) as caught:
        parse_one("DROP TASK")
    assert caught.value.span is not None
    assert caught.value.span.start == len("DROP TASK")
    assert "found the end of the statement" in caught.value.message


@pytest.mark.parametrize(
    ("sql", "kind", "fields"),
    [
        ("drop labelling function if exists F cascade", Drop, ("labeling function", "F", True, True)),
        ("DROP FEATURE SET s RESTRICT", Drop, ("feature set", "s", False, False)),
    ],
)
def test_drop_is_read(sql: str, kind: type, fields: tuple[object, ...]) -> None:
    drop = parse_one(sql)
    assert isinstance(drop, Drop)
    assert (drop.kind, drop.name, drop.if_exists, drop.cascade) == fields


def test_the_small_statements_are_read() -> None:
    refresh = parse_one("REFRESH LABEL MATRIX FOR TASK t FULL")
    assert isinstance(refresh, Refresh)
    assert (refresh.target, refresh.name, refresh.full) == ("label matrix", "t", True)
    show = parse_one("SHOW LABELING FUNCTIONS FOR TASK t LIKE 'has%'")
    assert isinstance(show, Show)
    assert (show.kind, show.task, show.like) == ("labeling function", "t", "has%")
    assert isinstance(parse_one("SHOW CREATE LABEL MODEL m"), ShowCreate)
    assert isinstance(parse_one("DESC FEATURE SET s"), Describe)
    explained = parse_one("EXPLAIN ANALYZE REFRESH MODEL m")
    assert isinstance(explained, Explain) and explained.analyze and isinstance(explained.statement, Refresh)
    for text, value in (("= true", True), ("TO off", False), ("= on", True), ("= FALSE", False)):
        option = parse_one(f"SET SESSION wsdb_auto_refresh {text}")
        assert isinstance(option, SetOption) and option.value is value
    reset = parse_one("RESET wsdb_auto_refresh")
    assert isinstance(reset, SetOption) and reset.value is None


def test_alter_is_read() -> None:
    for text, fields in (
        ("ALTER LF F ENABLE", ("labeling function", "F", "enable", None)),
        ("alter labelling function f disable", ("labeling function", "f", "disable", None)),
        ('ALTER TASK GRAPH g RENAME TO "new one"', ("task graph", "g", "rename", "new one")),
        ("ALTER FEATURE SET s RENAME TO t", ("feature set", "s", "rename", "t")),
    ):
        alter = parse_one(text)
        assert isinstance(alter, Alter)
        assert (alter.kind, alter.name, alter.action, alter.new_name) == fields


def test_tokens_behind_a_command_word_are_real_tokens() -> None:
    tokens = tokens_of("EXPLAIN SELECT ';'; CALL f('a;b', \"c\")")
    assert [token.text for token in tokens] == ["EXPLAIN", "SELECT", ";", ";", "CALL", "f", "(", "a;b", ",", "c", ")"]


def test_a_parenthesis_ends_at_its_own_bracket() -> None:
    text = "(SELECT ')' FROM (VALUES (1)) /* ) */) rest"
    cursor = Cursor(text, tokens_of(text))
    assert cursor.parenthesis("query") == "SELECT ')' FROM (VALUES (1))"
    assert cursor.peek("REST")
