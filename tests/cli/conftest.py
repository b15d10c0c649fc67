"""A small database of the commands' tests, and the commands themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

SCRIPT = """\
CREATE TABLE pages AS
SELECT range AS id, CASE WHEN range % 3 = 0 THEN 'wire transfer now' ELSE 'hello' END AS body FROM range(30);

CREATE TASK fraud ON pages KEY (id) TYPE BINARY ('ok', 'fraud') CLASS BALANCE UNIFORM;
CREATE LF lf_wire FOR TASK fraud VOTE 'fraud' WHEN body LIKE '%wire%';
CREATE LF lf_hello FOR TASK fraud VOTE 'ok' WHEN body LIKE '%hello%';
CREATE LF lf_short FOR TASK fraud VOTE 'ok' WHEN length(body) < 10;

--: How the functions vote
FROM lf_summary('fraud');
"""

Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, 100 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("WSDB_DB", raising=False)
    return tmp_path


@pytest.fixture
def wsdb() -> Command:
    """Return a function that runs a command line in this process."""

    def run(*arguments: str, stdin: str | None = None) -> Result:
        from wsdb.cli.main import main

        result = CliRunner().invoke(main, arguments, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def script(folder: Path) -> Path:
    """Return a script with a task of three labeling functions, fraud.sql."""
    path = folder / "fraud.sql"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def process(*arguments: str, **options: object) -> subprocess.Popen[str]:
    """Start a command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "wsdb", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        **options,  # type: ignore[call-overload]
    )
