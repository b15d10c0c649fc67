"""The runner of `.test` files, proven against a made-up session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.slt.records import SltSyntaxError, parse_slt
from tests.slt.runner import REQUIREMENTS, Runner, SltFailure, SltSkip
from tests.slt.values import rows_as_lines, same_line, text_of


class FakeError(Exception):
    """What the made-up session raises for the user's mistakes."""


class FakeResult:
    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self.rows = rows

    def fetchall(self) -> list[tuple[Any, ...]]:
        if self.rows == [("late",)]:
            raise FakeError("Late Error: while fetching")
        return self.rows


class FakeDb:
    """Answers from a dict; remembers what it was asked; a value that is an exception is raised."""

    def __init__(self, path: str, answers: dict[str, Any], log: list[tuple[str, str]]) -> None:
        self.path = path
        self.answers = answers
        self.log = log
        self.notices: list[str] = []
        log.append(("open", Path(path).name))

    def execute(self, sql: str) -> FakeResult | None:
        self.log.append(("execute", sql))
        self.notices = []
        answer = self.answers.get(sql)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            self.notices = answer.split("|")
            return None
        return None if answer is None else FakeResult(answer)

    def close(self) -> None:
        self.log.append(("close", Path(self.path).name))


class Bench:
    """Writes a `.test` file and runs it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "some.test"
        self.log: list[tuple[str, str]] = []

    def run(self, text: str, answers: dict[str, Any] | None = None, update: bool = False) -> int:
        self.path.write_text(text)
        runner = Runner(lambda path: FakeDb(path, answers or {}, self.log), (FakeError,), update=update)
        return runner.run(self.path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_query_passes_when_every_row_is_as_written(bench: Bench) -> None:
    rows = [(1, "a", 0.1 + 0.2, None), (2, "", 1e9, True)]
    bench.run("query ITRB\nQ\n----\n1\ta\t0.3\tNULL\n2\t(empty)\t1000000000.0\ttrue\n", {"Q": rows})


@pytest.mark.parametrize(
    ("expected", "said"),
    [("1\tb", "-1\tb\n+1\ta"), ("1", "-1\n+1\ta"), ("1\ta\n2\tb", "-2\tb"), ("", "+1\ta")],
)
def test_a_query_fails_when_a_row_differs_or_is_missing(bench: Bench, expected: str, said: str) -> None:
    with pytest.raises(SltFailure) as failure:
        bench.run(f"\nquery IT\nQ\n----\n{expected}\n", {"Q": [(1, "a")]})
    assert said in str(failure.value)
    assert f"{bench.path}:2\nQ\n" in str(failure.value)


def test_the_type_letters_must_be_as_many_as_the_columns(bench: Bench) -> None:
    with pytest.raises(SltFailure, match=r'"query I" names 1 columns, the result has 2'):
        bench.run("query I\nQ\n----\n1\ta\n", {"Q": [(1, "a")]})


def test_rowsort_compares_sorted_rows_and_nosort_does_not(bench: Bench) -> None:
    rows = {"Q": [(2,), (1,)]}
    bench.run("query I rowsort\nQ\n----\n1\n2\n", rows)
    bench.run("query I rowsort\nQ\n----\n2\n1\n", rows)
    bench.run("query I nosort\nQ\n----\n2\n1\n", rows)
    with pytest.raises(SltFailure):
        bench.run("query I\nQ\n----\n1\n2\n", rows)


def test_an_empty_result_is_an_empty_expected_part(bench: Bench) -> None:
    bench.run("query I\nQ\n----\n\nstatement ok\nX\n", {"Q": []})


def test_a_plan_in_one_value_is_written_line_by_line(bench: Bench) -> None:
    plan = "01)LabelMatrix task=spam\n02)--Scan version 7f3\n\n03)----end"
    text = "query T\nQ\n----\n01)LabelMatrix task=spam\n02)--Scan version <slt:ignore>\n(empty)\n03)----end\n"
    bench.run(text, {"Q": [(plan,)]})


def test_an_expected_error_is_compared_with_its_carets_exactly(bench: Bench) -> None:
    error = FakeError("Parser Error: no\n\nLINE 1: selct 1\n        ^^^^^\nhint: select")
    head = "statement error\nselct 1\n----\nParser Error: no\nLINE 1: selct 1\n"
    bench.run(head + "        ^^^^^\nhint: select\n", {"selct 1": error})
    bench.run(head + "        ^^^^^\nhint: <slt:ignore>\n", {"selct 1": error})
    for carets in ("        ^^^^", "       ^^^^^"):
        with pytest.raises(SltFailure):
            bench.run(head + f"{carets}\nhint: select\n", {"selct 1": error})


def test_an_ignored_part_stays_within_its_line(bench: Bench) -> None:
    with pytest.raises(SltFailure):
        bench.run("statement error\nX\n----\na<slt:ignore>\n", {"X": FakeError("a\nb")})


def test_an_error_raised_while_rows_are_fetched_counts(bench: Bench) -> None:
    bench.run("statement error\nX\n----\nLate Error: while fetching\n", {"X": [("late",)]})


def test_an_error_that_does_not_come_fails(bench: Bench) -> None:
    with pytest.raises(SltFailure, match="the statement succeeded"):
        bench.run("statement error\nX\n----\nboom\n")


def test_a_defect_is_never_an_expected_error(bench: Bench) -> None:
    with pytest.raises(KeyError):
        bench.run("statement error\nX\n----\n'x'\n", {"X": KeyError("x")}, update=True)


def test_an_unexpected_error_fails_with_its_text_and_the_database_is_closed(bench: Bench) -> None:
    with pytest.raises(SltFailure, match="unexpected error:\nboom"):
        bench.run("statement ok\nX\n", {"X": FakeError("boom")})
    assert bench.log[-1] == ("close", "some.duckdb")


def test_notices_are_compared_exactly(bench: Bench) -> None:
    bench.run("statement notice\nX\n----\nfirst\nsecond\n", {"X": "first|second"})
    with pytest.raises(SltFailure):
        bench.run("statement notice\nX\n----\nfirst\n", {"X": "first|second"})
    bench.run("statement notice\nX\n----\n\n")


def test_one_session_serves_the_file_until_restart_or_load(bench: Bench) -> None:
    bench.run("statement ok\nA\n\nrestart\n\nstatement ok\nB\n\nload other.db\n\nstatement ok\nC\n")
    assert bench.log == [
        ("open", "some.duckdb"),
        ("execute", "A"),
        ("close", "some.duckdb"),
        ("open", "some.duckdb"),
        ("execute", "B"),
        ("close", "some.duckdb"),
        ("open", "other.db"),
        ("execute", "C"),
        ("close", "other.db"),
    ]


def test_variables_are_replaced_and_folders_written_by_name(bench: Bench) -> None:
    bench.run("set n 4 2\n\nstatement ok\nCOPY '${n}' TO '${TMP}/x'\n")
    sql = bench.log[-2][1]
    assert sql.startswith("COPY '4 2' TO '/")
    assert "${" not in sql
    with pytest.raises(SltFailure, match=r"unknown variable \$\{nope\}; there are DATA, ROOT, TMP"):
        bench.run("statement ok\n${nope}\n")
    root = str(Path(__file__).resolve().parents[2])
    bench.run("query T\nQ\n----\n${ROOT}/x\n", {"Q": [(f"{root}/x",)]})


def test_require_skips_the_file_and_onlyif_one_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REQUIREMENTS, "torch", lambda: False)
    monkeypatch.setitem(REQUIREMENTS, "duckdb2", lambda: True)
    bench.run("onlyif torch\nstatement ok\nA\n\nskipif duckdb2\nstatement ok\nB\n\nonlyif duckdb2\nstatement ok\nC\n")
    assert [sql for verb, sql in bench.log if verb == "execute"] == ["C"]
    with pytest.raises(SltSkip, match="requires torch"):
        bench.run("require duckdb2\n\nrequire torch\n\nstatement ok\nX\n")
    with pytest.raises(SltFailure, match='unknown condition "moon"'):
        bench.run("require moon\n")


def test_update_rewrites_only_what_differs_and_keeps_ignored_parts(bench: Bench) -> None:
    before = (
        "# name: x\n\nquery IT\nQ\n----\n1\told\n9\tgone\n\nquery T\nP\n----\nkept <slt:ignore>\nold\n\n"
        "statement error\nE\n----\n\nquery T\nQ2\n----\nas it was\n"
    )
    after = (
        "# name: x\n\nquery IT\nQ\n----\n1\tnew\n\nquery T\nP\n----\nkept <slt:ignore>\nnew\n\n"
        "statement error\nE\n----\nBoom Error: at\n  ^\n\nquery T\nQ2\n----\nas it was\n"
    )
    answers = {
        "Q": [(1, "new")],
        "P": [("kept 17",), ("new",)],
        "E": FakeError("Boom Error: at\n\n  ^"),
        "Q2": [("as it was",)],
    }
    assert bench.run(before, answers, update=True) == 3
    assert bench.path.read_text() == after
    assert bench.run(after, answers, update=True) == 0


def test_update_keeps_what_was_found_before_a_failure(bench: Bench) -> None:
    text = "query I\nQ\n----\n\nstatement ok\nX\n"
    with pytest.raises(SltFailure):
        bench.run(text, {"Q": [(1,)], "X": FakeError("boom")}, update=True)
    assert bench.path.read_text() == "query I\nQ\n----\n1\n\nstatement ok\nX\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("statemen ok\nX\n", r'text.test:1: "statemen ok" is not a record'),
        ("\nquery\nX\n----\n", r'text.test:2: "query" is not a record'),
        ("query Z\nX\n----\n", "unknown column type Z; choose from I"),
        ("query I sorted\nX\n----\n", "unknown sort 'sorted'; choose from nosort, rowsort"),
        ("query I\nX\n", 'no "----" line'),
        ("statement error\nX\n", 'no "----" line'),
        ("statement ok\nX\n----\n1\n", "expects nothing"),
        ("statement ok\n\nX\n", "without SQL"),
        ("require\n", "require takes 1 word"),
        ("set x\n", "set takes a name and a value"),
    ],
)
def test_a_malformed_file_is_an_error_with_its_line(text: str, message: str) -> None:
    with pytest.raises(SltSyntaxError, match=message):
        parse_slt(text)


def test_the_header_is_read_up_to_the_first_record() -> None:
    file = parse_slt("# name: a/b.test\n# description: says what\n# group: [a]\n\nstatement ok\nX\n# late: no\n")
    assert file.header == {"name": "a/b.test", "description": "says what", "group": "[a]"}
    assert [record.sql for record in file.records] == ["X\n# late: no"]


@pytest.mark.parametrize(
    ("value", "letter", "text"),
    [
        (0.1234567, "R", "0.123457"),
        (-0.0000001, "T", "0.0"),
        (0.0000001234567, "R", "1.23457e-07"),
        (float("nan"), "R", "nan"),
        (b"\x01\xff", "T", "\\x01ff"),
        ({"ok": 0.25, "no": None}, "T", "{'ok': 0.25, 'no': NULL}"),
        (["a", ""], "T", "[a, (empty)]"),
    ],
)
def test_values_are_written_in_duckdbs_way(value: Any, letter: str, text: str) -> None:
    assert text_of(value, letter) == text


def test_a_float_column_allows_one_step_of_the_last_decimal() -> None:
    assert same_line("0.123457", "0.123456", "R")
    assert not same_line("0.123457", "0.123455", "R")
    assert not same_line("0.123457", "0.123456", "T")
    assert not same_line("0.0", "0.000001", "R")
    assert same_line("a\t1.5e-07", "a\t1.500001e-07", "TR")


def test_tabs_and_line_ends_inside_a_row_are_escaped() -> None:
    assert rows_as_lines([(1, "a\tb\nc")], "IT") == ["1\ta\\tb\\nc"]
