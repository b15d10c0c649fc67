"""A database file made on one DuckDB version is opened, queried and changed on the other.

``WSDB_OTHER_PYTHON`` names the Python of an environment with the other version; `make compat` sets it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OTHER = os.environ.get("WSDB_OTHER_PYTHON", "")

pytestmark = pytest.mark.skipif(not OTHER, reason="WSDB_OTHER_PYTHON is not set; `make compat` sets it")


def step(python: str, action: str, file: Path) -> Any:
    """Return what tests/compat/steps.py prints for `action`, run by `python`."""
    command = [python, "-m", "tests.compat.steps", action, str(file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_two_environments_have_different_versions(tmp_path: Path) -> None:
    assert step(sys.executable, "version", tmp_path) != step(OTHER, "version", tmp_path)


@pytest.mark.parametrize(("writer", "reader"), [(sys.executable, OTHER), (OTHER, sys.executable)],
                         ids=["written here", "written there"])  # fmt: skip
def test_a_file_of_one_version_works_in_the_other(writer: str, reader: str, tmp_path: Path) -> None:
    file = tmp_path / "mails.duckdb"
    written = step(writer, "write", file)
    assert [row[0] for row in written] == [1, 2, 3, 4]
    assert step(reader, "bare", file) == written
    assert step(reader, "read", file) == written
    changed = step(reader, "change", file)
    assert [row[0] for row in changed] == [1, 2, 3, 4, 5]
    assert step(writer, "bare", file) == changed
    assert step(writer, "read", file) == changed
