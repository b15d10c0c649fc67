"""kill -9 in the middle of every write statement: the file then holds the state before it or after it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import wsdb
from tests.session.invariants import invariants
from tests.session.killed import ROUNDS, SET_UP, digest

ROOT = Path(__file__).resolve().parents[2]
KILLS = 4
"""For each kind of statement; with the kinds of ROUNDS that makes 40."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with labels and a model."""
    file = tmp_path_factory.mktemp("kill") / "made.duckdb"
    with wsdb.connect(file) as db:
        db.execute(SET_UP)
        invariants(db)
    return file


def killed(file: Path, kind: str, share: float) -> tuple[list[str], int]:
    """Kill a process that runs the statements of a kind after a share of a round; return its states and its place."""
    command = [sys.executable, "-m", "tests.session.killed", str(file), kind]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            _, errors = process.communicate()
            pytest.fail(errors)
        first = json.loads(line)
        time.sleep(first["seconds"] * share)
        os.kill(process.pid, signal.SIGKILL)
        started = [int(text.split()[1]) for text in process.stdout.read().splitlines() if text.startswith("start ")]
        assert process.wait() == -signal.SIGKILL
    return first["states"], started[-1] if started else -1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ROUNDS)
def test_a_killed_statement_leaves_the_state_before_or_after_it(kind: str, made: Path, tmp_path: Path) -> None:
    assert KILLS * len(ROUNDS) >= 30
    chance = random.Random(kind)
    for number in range(KILLS):
        file = Path(shutil.copy(made, tmp_path / f"{number}.duckdb"))
        # A quarter of a round each, so that the kills are spread over its statements.
        states, at = killed(file, kind, (number + chance.random()) / KILLS)
        with wsdb.connect(file) as db:
            invariants(db)
            assert digest(db) in (states[at - 1], states[at])
            # The database works on: what was interrupted can be run again, to its end.
            db.execute("REFRESH LABELS")
            invariants(db)
            assert db.execute("SELECT count(*) FROM predict('spam', mails)").fetchall() == [(600,)]
