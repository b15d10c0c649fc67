"""Ctrl-C: whatever runs is stopped within a second, and all is as it was."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from tests.cli.terminal import screen, terminal
from wsdb import connect
from wsdb.cli import interrupts as interrupts_module
from wsdb.cli.interrupts import Interrupts, raise_in_foreign_threads

LIMIT = 2.0
"""Seconds from Ctrl-C to the end of the process; the machine of the tests may be busy."""
SAID = "interrupted; the statement that was running has been rolled back"
READY = """
CREATE TABLE t AS SELECT range AS id, 'page ' || range AS body FROM range({rows});
CREATE TASK spam ON t KEY (id) TYPE BINARY ('ok', 'spam') CLASS BALANCE UNIFORM;
CREATE LF cheap FOR TASK spam VOTE 'spam' WHEN body LIKE '%7%';
CREATE LF other FOR TASK spam VOTE 'ok' WHEN body LIKE '%3%';
REFRESH LABELS FOR TASK spam;
"""
SLEEPS = "CREATE LF slow FOR TASK spam LANGUAGE python AS $$\ndef slow(batch):\n    import time\n    {}\n$$;"
HEAVY = {
    "scan": "CREATE LF slow FOR TASK spam VOTE 'ok' WHEN levenshtein(repeat(body, 40), repeat('page 1', 40)) < 9;",
    # DuckDB looks for interrupts between vectors of 2,048 rows; one takes half a minute here
    "vector": "CREATE LF slow FOR TASK spam VOTE 'ok' WHEN levenshtein(repeat(body, 400), repeat('page 1', 400)) < 9;",
    "kernels": "".join(
        f"CREATE LF k{at} FOR TASK spam VOTE 'ok' WHEN "
        f"regexp_matches(body, '.*[0-{at % 8}].*[{at % 9}-9].*{at % 10}$');\n"
        for at in range(1, 40)
    )
    + "CREATE LF slow FOR TASK spam VOTE 'ok' WHEN regexp_matches(body, '.*[3-5].*[07].*3$');",
    "join": "CREATE LF slow FOR TASK spam VOTE 'ok' WHEN "
    "(SELECT count(*) FROM t a, t b WHERE a.id * b.id % 1009 = t.id) > 1000000;",
    "python": SLEEPS.format("[time.sleep(0.002) for row in range(batch.num_rows)]"),
    "python that swallows": SLEEPS.format(
        "for row in range(4000):\n        try:\n            time.sleep(0.01)\n        except Exception:\n"
        "            pass\n    return [None] * batch.num_rows"
    ),
    "python that sleeps": SLEEPS.format("time.sleep(60)"),
}
ROWS = {"scan": 300_000, "kernels": 3_000_000}
FAST = ("python",)


@pytest.fixture(autouse=True)
def only_new_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the threads of the test runner alone: they too were not started by Python's threading."""
    frames, before = sys._current_frames, set(sys._current_frames())
    monkeypatch.setattr(sys, "_current_frames", lambda: {n: f for n, f in frames().items() if n not in before})


def script(kind: str) -> None:
    """Make a database with labels, and a script whose last statement takes a minute."""
    with connect("work.duckdb") as session:
        session.execute(READY.format(rows=ROWS.get(kind, 20_000)))
    Path("slow.sql").write_text(f"{HEAVY[kind]}\nSELECT 'now' AS word;\nREFRESH LABELS FOR TASK spam;\n")


def check_earlier_state() -> None:
    """The labels of before are there, and can be read and refreshed."""
    with connect("work.duckdb") as session:
        session.execute("SET wsdb_auto_refresh = false")
        rows = session.sql("SELECT label, count(*) FROM labels('spam') GROUP BY ALL ORDER BY ALL").fetchall()
        assert [label for label, _ in rows] == ["ok", "spam", None]
        columns = session.sql("SELECT * FROM label_matrix('spam') LIMIT 0").columns
        assert "slow" not in columns and "cheap" in columns
        assert session.sql("SHOW LFS").fetchall()[-1][0] == "slow"  # a statement of its own, done before
        session.execute("DROP LF slow; SET wsdb_auto_refresh = true; REFRESH LABELS FOR TASK spam")


@pytest.mark.parametrize("kind", [one if one in FAST else pytest.param(one, marks=pytest.mark.slow) for one in HEAVY])
def test_ctrl_c_stops_a_label_matrix_and_leaves_the_state_before(kind: str) -> None:
    script(kind)
    with terminal("run", "slow.sql", "--db", "work.duckdb") as running:
        running.wait_for("now")
        if kind == "kernels":
            running.wait_for(" rows/s")  # between two batches
        time.sleep(0.4)
        begin = running.interrupt()
        written = running.close()
        assert time.monotonic() - begin < LIMIT
        assert running.process.returncode == 130
    assert [line for line in screen(written) if line][-1] == SAID
    check_earlier_state()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scan", "python that sleeps"])
def test_ctrl_c_while_the_bar_is_shown_leaves_no_garbage(kind: str) -> None:
    script(kind)
    with terminal("run", "slow.sql", "--db", "work.duckdb") as running:
        running.wait_for("now")
        time.sleep(1.6)
        assert "\r" in running.text.replace("\r\n", "")
        running.interrupt()
        written = running.close()
    assert screen(written)[-2:] == [SAID, ""]
    assert running.process.returncode == 130


@pytest.mark.slow
def test_the_prompt_goes_on_after_ctrl_c() -> None:
    script("scan")
    with terminal("sql", "--db", "work.duckdb") as running:
        running.wait_for("doesn't support cursor position requests")
        running.wait_for("wsdb>")
        running.type(HEAVY["scan"] + "\r")
        running.wait_for("created")
        running.type("REFRESH LABELS FOR TASK spam;\r")
        time.sleep(1.6)
        begin = running.interrupt()
        running.wait_for(SAID)
        assert time.monotonic() - begin < LIMIT
        running.type("SELECT 'on' || 'wards' AS word;\r")
        running.wait_for("onwards")
        running.type(".quit\r")
        running.close()
        assert running.process.returncode == 0


# ------------------------------------------------------------------------------------------------------------ threads


class Connection:
    """A connection that counts how often it is told to stop."""

    def __init__(self) -> None:
        self.connection = self
        self.stopped = 0

    def interrupt(self) -> None:
        self.stopped += 1


def ctrl_c(interrupts: Interrupts) -> None:
    """Do what the interpreter does with a signal."""
    interrupts._writes.send(b"\x02")


def test_a_session_is_told_to_stop_until_the_block_is_left() -> None:
    session = Connection()
    with Interrupts(session) as interrupts:
        time.sleep(0.05)
        assert not interrupts.hit and session.stopped == 0
        ctrl_c(interrupts)
        time.sleep(0.35)
        assert interrupts.hit and session.stopped >= 3
    before = session.stopped
    time.sleep(0.2)
    assert session.stopped == before


def test_a_signal_is_known_at_once_to_the_one_who_asks() -> None:
    for _ in range(50):
        with Interrupts(Connection()) as interrupts:
            assert not interrupts.pressed()
            ctrl_c(interrupts)
            assert interrupts.pressed() and interrupts.pressed()


def test_what_cannot_be_stopped_is_overdue_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts_module, "GRACE", 0.25)
    called: list[float] = []
    left = threading.Event()
    begin = time.monotonic()

    def overdue() -> None:
        called.append(time.monotonic() - begin)
        interrupts._left.release()  # the program would end here
        left.set()

    with Interrupts(Connection(), overdue) as interrupts:
        ctrl_c(interrupts)
        assert left.wait(5)
        interrupts._overdue = None
    assert len(called) == 1 and 0.25 < called[0] < 1


def test_a_block_that_is_left_in_time_is_not_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts_module, "GRACE", 0.3)
    called: list[str] = []
    with Interrupts(Connection(), lambda: called.append("overdue")) as interrupts:
        ctrl_c(interrupts)
        time.sleep(0.1)
    time.sleep(0.4)
    assert called == []


def test_threads_of_the_program_are_not_touched() -> None:
    ended: list[str] = []

    def work() -> None:
        for _ in range(20):
            time.sleep(0.01)
        ended.append("well")

    thread = threading.Thread(target=work)
    thread.start()
    raise_in_foreign_threads(KeyboardInterrupt)
    thread.join()
    assert ended == ["well"]
