"""wsdb show: an overview, lists, one object; nothing is changed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def database(wsdb: Command, script: Path) -> Path:
    """Return a database with a task, made by the script."""
    assert wsdb("run", "fraud.sql", "-q").exit_code == 0
    return Path("fraud.duckdb")


def test_the_overview_has_tasks_functions_and_how_old_they_are(wsdb: Command, database: Path) -> None:
    before = database.read_bytes()
    out = wsdb("show").stdout
    assert re.search(r"^fraud +3 +30 ", out, re.MULTILINE)
    for word in ("lf_wire", "lf_hello", "label matrix", "definition_changed"):
        assert word in out
    assert "feature_set" not in out and "epochs" not in out  # there are none
    assert database.read_bytes() == before


def test_a_kind_is_listed_in_the_singular_and_the_plural(wsdb: Command) -> None:
    assert "lf_wire" in wsdb("show", "lfs").stdout
    assert wsdb("show", "lf").stdout == wsdb("show", "labeling-functions").stdout
    assert "fraud" in wsdb("show", "tasks").stdout


def test_an_object_is_shown_as_its_statement_and_its_properties(wsdb: Command) -> None:
    out = wsdb("show", "lf", "lf_wire").stdout
    assert out.startswith("CREATE LABELING FUNCTION lf_wire FOR TASK fraud")
    assert re.search(r"\nscope +row\n", out)


def test_json_gives_rows(wsdb: Command) -> None:
    records = [json.loads(line) for line in wsdb("show", "lf", "lf_wire", "--json").stdout.splitlines()]
    assert [record["type"] for record in records] == ["rows", "rows"]


def test_what_is_not_there(wsdb: Command) -> None:
    missing = wsdb("show", "lf", "lf_wir")
    assert missing.exit_code == 1 and 'did you mean "lf_wire"?' in missing.stderr
    assert wsdb("show", "cats").exit_code == 2
    other = wsdb("show", "--db", "other.duckdb")
    assert other.exit_code == 2 and 'there is no database "other.duckdb"' in other.stderr
    assert not Path("other.duckdb").exists()


def test_a_database_is_found_or_asked_for(wsdb: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    wsdb("run", "-", "--db", "second.duckdb", stdin="SELECT 1")
    several = wsdb("show")
    assert several.exit_code == 2 and "fraud.duckdb, second.duckdb" in several.stderr
    assert wsdb("show", "--db", "second.duckdb").stdout == "second.duckdb holds no task yet; CREATE TASK makes one\n"
    monkeypatch.setenv("WSDB_DB", "fraud.duckdb")
    assert "lf_wire" in wsdb("show").stdout
