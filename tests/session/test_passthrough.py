"""What is not wsdb's reaches DuckDB byte for byte: the statements of passthrough.sql through both, in order."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import wsdb
from tests.session.outcomes import Record, executed, read_records, related
from wsdb.parser.script import has_ours, split
from wsdb.session.calls import may_call

RECORDS = read_records()
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{9,27}")
WAYS: dict[str, Callable[..., Any]] = {"execute": executed, "sql": related}


def replay(
    records: list[Record], connect: Callable[..., Any], run: Callable[..., Any], folder: Path, name: str, lead: str = ""
) -> list[Any]:
    """Run records on a new database in an empty folder and return what each did."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    db = connect(name if name == ":memory:" else str(folder / name))
    home = "memory" if name == ":memory:" else Path(name).stem
    try:
        db.execute("SET threads = 1")
        return [
            run(db, lead + record.sql.replace("{tmp}", str(folder)).replace("{home}", home), shape=record.shape)
            for record in records
        ]
    finally:
        db.close()


def differences(records: list[Record], left: list[Any], right: list[Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs, by the text that was run. Random names in DuckDB's own messages are no difference."""
    pairs = zip(records, left, right, strict=True)
    return {
        record.sql: (one, other) for record, one, other in pairs if UUID.sub("", repr(one)) != UUID.sub("", repr(other))
    }


# Every difference that there is, and why. `replay` finds no other one.
ALLOWED = {
    "COMMENT ON FEATURE x IS 'y'": "an error in both; COMMENT ON FEATURE SET is wsdb's",
    "EXPORT DATA": "an error in both; EXPORT DATA is a statement of a later wsdb",
}
NOT_IN_A_SCRIPT = {
    "SELECT 1 /* never closed CREATE TASK": "where a script of wsdb's has no end, wsdb says so",
    "INSERT INTO s1 VALUES (100); SELEC 'task'; INSERT INTO s1 VALUES (200)": "DuckDB 1.5 parses all of a script first",
}


def test_the_statements_are_many_and_most_of_them_look_like_wsdbs() -> None:
    assert len(RECORDS) >= 300
    assert sum(has_ours(record.sql) or may_call(record.sql) for record in RECORDS) >= 200


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [":memory:", "home.duckdb"])
def test_every_statement_does_the_same_through_wsdb_and_through_duckdb(way: str, name: str, tmp_path: Path) -> None:
    plain = replay(RECORDS, duckdb.connect, WAYS[way], tmp_path / "work", name)
    ours = replay(RECORDS, wsdb.connect, WAYS[way], tmp_path / "work", name)
    assert set(differences(RECORDS, plain, ours)) == set(ALLOWED)


@pytest.mark.parametrize("way", WAYS)
def test_every_statement_does_the_same_in_a_script_with_a_statement_of_wsdbs(way: str, tmp_path: Path) -> None:
    # Here the script is split by wsdb, so its idea of where a statement ends is what is tested. Of an error only the
    # first line is compared: the LINE below it shows the statement and not the whole script. A text without a
    # statement leaves the result of the one before it, and in an aborted transaction wsdb's fails like any other.
    records = [
        record
        for record in RECORDS
        if record.group not in ("Transactions", "Syntax errors")
        and record.sql not in NOT_IN_A_SCRIPT
        and any(piece.tokens for piece in split(record.sql))
    ]
    assert len(records) >= 300
    plain = replay(records, duckdb.connect, WAYS[way], tmp_path / "work", ":memory:")
    lead = "SET wsdb_auto_refresh = true; "
    ours = replay(records, wsdb.connect, WAYS[way], tmp_path / "work", ":memory:", lead)
    found = differences(records, list(map(first_line, plain)), list(map(first_line, ours)))
    assert not found


def first_line(outcome: Any) -> Any:
    """Return an outcome with the first line of its error only."""
    if isinstance(outcome, tuple) and len(outcome) == 2:
        return outcome[0], outcome[1].split("\n")[0]
    return outcome


IN_A_DATABASE_WITH_TASKS = {
    "CREATE TEMP MACRO label_matrix(t) AS TABLE SELECT t AS t": "wsdb's own TEMP macro has that name; OR REPLACE works",
    "SELECT * FROM label_matrix('mine')": "follows from the line above",
    "SELECT confusion_matrix(1)": "an error in both; DuckDB now knows a table function of that name",
    "SELECT id, model_versions(id) FROM mails": "an error in both; as above",
}


def test_a_database_with_a_task_answers_the_same_as_one_without(tmp_path: Path) -> None:
    # Without the groups that list all tables and functions, where schema wsdb shows, as it should.
    left_out = ("Files", "Attached databases", "SHOW, DESCRIBE, PRAGMA, settings", "EXPLAIN", "Syntax errors")
    records = [record for record in RECORDS if record.group not in left_out]
    assert len(records) >= 250
    plain = replay(records, duckdb.connect, executed, tmp_path / "work", "home.duckdb")

    def with_task(path: str) -> wsdb.Session:
        db = wsdb.connect(path)
        db.execute("CREATE TABLE first_rows AS SELECT 1 AS id")
        db.execute("CREATE TASK first_task ON first_rows KEY (id) TYPE BINARY; FROM labels('first_task')")
        return db

    ours = replay(records, with_task, executed, tmp_path / "work", "home.duckdb")
    found = differences(records, list(map(first_line, plain)), list(map(first_line, ours)))
    assert set(found) == set(IN_A_DATABASE_WITH_TASKS)
