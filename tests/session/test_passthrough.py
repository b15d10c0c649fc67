"""What is not wsdb's reaches DuckDB byte for byte: the statements of passthrough.sql through both, in order."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import wsdb
from tests.session.outcomes import Record, executed, read_records, related
from wsdb.parser.script import has_ours
from wsdb.session.reads import may_call

RECORDS = read_records()
WAYS: dict[str, Callable[..., Any]] = {"execute": executed, "sql": related}


def replay(connect: Callable[..., Any], run: Callable[..., Any], folder: Path, name: str, lead: str = "") -> list[Any]:
    """Run all records on a new database in an empty folder and return what each did."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    db = connect(name if name == ":memory:" else str(folder / name))
    home = "memory" if name == ":memory:" else Path(name).stem
    try:
        db.execute("SET threads = 1")
        return [
            run(db, lead + record.sql.replace("{tmp}", str(folder)).replace("{home}", home), shape=record.shape)
            for record in RECORDS
        ]
    finally:
        db.close()


def differences(left: list[Any], right: list[Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs, by the text that was run."""
    pairs = zip(RECORDS, left, right, strict=True)
    return {record.sql: (one, other) for record, one, other in pairs if one != other}


def test_the_statements_are_many_and_most_of_them_look_like_wsdbs() -> None:
    assert len(RECORDS) >= 300
    assert sum(has_ours(record.sql) or may_call(record.sql) for record in RECORDS) >= 200


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [":memory:", "home.duckdb"])
def test_every_statement_does_the_same_through_wsdb_and_through_duckdb(way: str, name: str, tmp_path: Path) -> None:
    plain = replay(duckdb.connect, WAYS[way], tmp_path / "work", name)
    ours = replay(wsdb.connect, WAYS[way], tmp_path / "work", name)
    assert differences(plain, ours) == {}
