"""wsdb sql: one query, stdin, and the prompt."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from tests.cli.conftest import SCRIPT, Command
from wsdb import connect
from wsdb.cli.output import TextOutput
from wsdb.cli.prompt import Prompt, Words, complete
from wsdb.cli.runner import Runner


def test_a_command_is_run_and_printed(wsdb: Command) -> None:
    result = wsdb("sql", "-c", "SELECT 41 + 1 AS answer; SELECT 'x' AS y")
    assert result.exit_code == 0
    assert result.stdout == "answer\n──────\n    42\n\ny\n─\nx\n"


def test_the_only_database_of_the_folder_is_opened(wsdb: Command, script: Path) -> None:
    wsdb("run", "fraud.sql")
    assert "lf_wire" in wsdb("sql", "-c", "SHOW LFS").stdout
    assert wsdb("sql", "--read-only", "-c", "CREATE TABLE t (a INTEGER)").exit_code == 1


def test_stdin_is_run_and_an_error_ends_it(wsdb: Command) -> None:
    result = wsdb("sql", stdin="SELECT getvariable('v') AS v;\nSELECT nothing;\nSELECT 2 AS two;\n")
    assert result.exit_code == 1
    assert "two" not in result.stdout and result.stderr.startswith("Binder Error")
    assert "7" in wsdb("sql", "--var", "v=7", stdin="SELECT getvariable('v') AS v").stdout


def test_csv_and_json(wsdb: Command, script: Path) -> None:
    wsdb("run", "fraud.sql")
    out = wsdb(
        "sql", "--csv", "-c", "SELECT id, label, probs, covered, NULL AS n FROM labels('fraud') ORDER BY id"
    ).stdout
    read = list(csv.reader(io.StringIO(out)))
    assert read[0] == ["id", "label", "probs", "covered", "n"] and len(read) == 31
    assert read[1][1] == "fraud" and json.loads(read[1][2]).keys() == {"ok", "fraud"} and read[1][3:] == ["true", ""]
    kinds = [json.loads(line)["type"] for line in wsdb("sql", "--json", "-c", "SHOW TASKS").stdout.splitlines()]
    assert kinds == ["statement", "rows"]
    assert wsdb("sql", "--json", "--csv", "-c", "SELECT 1").exit_code == 2


# ------------------------------------------------------------------------------------------------------------- prompt

Typed = Callable[..., None]


@pytest.fixture
def typed() -> Iterator[Typed]:
    """Return a function that types lines at a prompt and leaves."""
    with ExitStack() as stack:
        pipe: PipeInput = stack.enter_context(create_pipe_input())
        session = stack.enter_context(connect())

        def enter(*lines: str) -> None:
            runner = Runner(session, TextOutput(), quiet=True)
            pipe.send_text("".join(f"{line}\r" for line in lines) + ".quit\r")
            Prompt(session, runner, ":memory:", input=pipe, output=DummyOutput()).loop()

        yield enter


def test_statements_take_several_lines_and_an_error_ends_nothing(
    typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("SELECT 41", "+ 1 AS x;", "SELECT nothing;", "SELECT ';' AS y; SELECT 3 AS z;")
    out, err = capsys.readouterr()
    assert out.startswith("wsdb ")
    assert " x\n──\n42\n" in out and "y\n─\n;\n" in out and "z\n─\n3\n" in out
    assert err.startswith("Binder Error")


def test_the_commands_of_the_prompt(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.sql").write_text("CREATE TABLE t AS SELECT 1 AS one;\nFROM t;")
    typed(
        ".help",
        ".read t.sql",
        ".tables",
        ".tasks",
        ".mode csv",
        "FROM t;",
        ".mode json",
        "FROM t;",
        ".mode x",
        ".y",
        ".read n",
    )
    out = capsys.readouterr().out
    for text in (
        ".quit",
        "one\n───\n  1\n",
        "(no rows)",
        "one\n1\n",
        '"rows": [[1]]',
        "the modes are",
        "no command .y",
    ):
        assert text in out
    assert "n cannot be read" in out


def test_the_history_is_kept_in_the_state_directory(typed: Typed, folder: Path) -> None:
    typed("SELECT 12345;")
    assert "SELECT 12345;" in (folder / "state" / "wsdb" / "history").read_text()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CREATE OR REPLACE L", {"LIMIT", "LABELS FROM", "lf_wire", "lf_summary(", "labels("}),
        ("FROM pag", {"pages"}),
        ("DROP TASK fr", {"fraud", "FROM"}),
        (".ta", {".tables", ".tasks"}),
    ],
)
def test_tab_completes_keywords_functions_and_names(text: str, found: set[str]) -> None:
    with connect() as session:
        session.execute(SCRIPT)
        completions = Words(session, [".help", ".tables", ".tasks"]).get_completions(Document(text), CompleteEvent())
        assert found <= {completion.text for completion in completions}


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("", True),
        ("SELECT 1", False),
        ("SELECT 1;", True),
        ("SELECT 1; -- done", True),
        ("SELECT ';", False),
        ("CREATE LF f FOR TASK t LANGUAGE python AS $$\nx = 1;", False),
        (".tables", True),
        ("SELECT 'open;\n", True),
    ],
)
def test_a_statement_is_complete_at_its_semicolon(text: str, ready: bool) -> None:
    assert complete(text) == ready
