"""The bar: shown on a terminal after a second, nowhere else, and gone without a trace."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.cli.conftest import process
from tests.cli.terminal import screen, terminal
from wsdb import connect
from wsdb.cli.bar import Bar, left, seen, short
from wsdb.cli.screen import Above, Pieces, Screen, line_of
from wsdb.core.progress import Progress

SLOW = """
CREATE TABLE t AS SELECT range AS id, 'page ' || range AS body FROM range(20000);
CREATE TASK spam ON t KEY (id) TYPE BINARY ('ok', 'spam') CLASS BALANCE UNIFORM;
CREATE LF slow FOR TASK spam LANGUAGE python AS $$
def slow(batch):
    import time
    time.sleep(0.13)
    return ["spam"] * batch.num_rows
$$;
CREATE LF cheap FOR TASK spam VOTE 'ok' WHEN body LIKE '%7%';
SET threads = 1;
REFRESH LABEL MATRIX FOR TASK spam;
SELECT 'done' AS word;
"""


class Dialog(io.StringIO):
    """A terminal in memory."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


Runs = dict[str, str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Return what a script of more than a second writes: on terminals, and to pipes."""
    script = tmp_path_factory.mktemp("slow") / "slow.sql"
    script.write_text(SLOW)
    command = ("run", str(script), "--db", ":memory:")
    with (
        terminal(*command) as shown,
        terminal(*command, "--quiet") as quiet,
        terminal(*command, term="dumb") as dumb,
        process(*command) as piped,
    ):
        out, err = piped.communicate(timeout=30)
        found = {"shown": shown.close(), "--quiet": quiet.close(), "TERM=dumb": dumb.close(), "out": out, "err": err}
        assert [one.returncode for one in (shown.process, quiet.process, dumb.process, piped)] == [0, 0, 0, 0]
    return found


def test_a_terminal_shows_a_bar_after_a_second_and_nothing_of_it_stays(runs: Runs) -> None:
    written = runs["shown"]
    assert "\r" in written.replace("\r\n", "") and "%" in written and "━" in written
    assert "REFRESH LABEL MATRIX" in written or "label matrix of spam" in written
    shown = screen(written)
    assert "done" in shown and not any("━" in line or "%" in line for line in shown)
    assert "\x1b[?25" not in written  # the cursor is left as it is


@pytest.mark.parametrize("how", ["--quiet", "TERM=dumb", "out"])
def test_no_bar_where_nobody_wants_it(runs: Runs, how: str) -> None:
    assert "done" in runs[how] and "━" not in runs[how] and "\r" not in runs[how].replace("\r\n", "")
    assert runs["err"] == ""


def test_duckdb_draws_no_bar_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "settings.sql"
    shown = "enable_progress_bar', 'enable_progress_bar_print"
    script.write_text(
        f"SELECT string_agg(value, ' ' ORDER BY name) AS v FROM duckdb_settings() WHERE name IN ('{shown}')"
    )
    for flags, expected in (((), "true false"), (("--quiet",), "false false")):
        with terminal("run", str(script), "--db", ":memory:", *flags) as one:
            assert expected in one.close()


def test_a_script_of_the_python_api_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with connect() as session:
        session.execute(SLOW.replace("0.13", "0"))
    assert capfd.readouterr() == ("", "")


def test_the_session_reports_values() -> None:
    found: list[Progress] = []
    with connect() as session:
        session.on_progress = found.append
        session.execute(SLOW.replace("0.13", "0").replace("LABEL MATRIX", "LABELS"))
    assert found and all(isinstance(progress, Progress) for progress in found)
    assert any("label model of spam" in str(progress) for progress in found)


def test_a_bar_that_nobody_sees_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Bar("x", None, enabled=False)._thread is None
    monkeypatch.setattr(sys, "stderr", Dialog())
    monkeypatch.setenv("TERM", "xterm")
    assert seen(quiet=False) and not seen(quiet=True)
    monkeypatch.setenv("TERM", "dumb")
    assert not seen(quiet=False)


# --------------------------------------------------------------------------------------------------------------- line


class Query:
    """A connection whose query is as far as it is told."""

    def __init__(self) -> None:
        self.percent = -1.0

    def query_progress(self) -> float:
        return self.percent


def test_a_line_has_rows_a_share_of_a_query_or_seconds() -> None:
    query = Query()
    bar = Bar("REFRESH LABELS", query, enabled=False)
    begin = time.monotonic()
    spinning = bar._pieces(begin + 3)
    assert (spinning.what, spinning.share, spinning.facts) == ("REFRESH LABELS", None, ["3 s"])
    query.percent = 20.0
    assert bar._pieces(begin + 4).share == pytest.approx(0.2)
    query.percent = 40.0
    assert bar._pieces(begin + 6).facts == ["0:06 left"]
    query.percent = 10.0  # another query
    assert bar._pieces(begin + 7).facts == []
    bar(Progress("label matrix of t", 0, 40_000))
    assert bar._pieces(begin + 8).facts == ["40k rows"]
    bar(Progress("label matrix of t", 10_000, 40_000))
    assert bar._pieces(begin + 8).facts == ["10k of 40k rows"]
    time.sleep(0.02)
    bar(Progress("label matrix of t", 30_000, 40_000))
    rows, rate, remaining = bar._pieces(begin + 8).facts
    assert rows == "30k of 40k rows" and rate.endswith(" rows/s") and remaining == "0:00 left"
    bar(Progress("label matrix of t", 40_000, 40_000))
    query.percent = -1.0
    assert bar._pieces(begin + 9).share is None


def test_a_connection_that_is_gone_is_no_error() -> None:
    with connect() as session:
        bar = Bar("x", session.connection, enabled=False)
    assert bar._pieces(time.monotonic()).share is None


PIECES = st.builds(
    Pieces,
    st.text(max_size=80).filter(str.isprintable),
    st.none() | st.floats(0, 1),
    st.lists(st.sampled_from(["12k of 3.00M rows", "3.00M rows", "120k rows/s", "1:02:03 left"]), max_size=3),
    st.sampled_from(["", "⠋"]),
)


@given(PIECES, st.integers(1, 200), st.booleans(), st.booleans())
def test_a_line_is_never_wider_than_the_terminal(pieces: Pieces, width: int, plain: bool, color: bool) -> None:
    line = line_of(pieces, width, plain=plain, color=color)
    assert cell_len(line.plain) <= width and "\n" not in line.plain
    if plain and pieces.what.isascii():
        assert line.plain.isascii()


@given(st.floats(0, 1), st.integers(60, 200))
def test_the_bar_is_as_long_as_the_share(share: float, width: int) -> None:
    line = line_of(Pieces("what", share, []), width, color=False).plain
    size = min(40, width - 6 - 2 - 4)
    assert line.count("━") == int(share * size) and f"{int(share * 100)}%" in line


@given(st.integers(0, 10**13))
def test_short_counts_keep_three_digits(count: int) -> None:
    text = short(count).replace(",", "")
    value = float(text.rstrip("kMG")) * {"k": 1e3, "M": 1e6, "G": 1e9}.get(text[-1], 1)
    assert value == pytest.approx(count, rel=0.05 if count >= 10_000 else 0)


def test_what_remains_is_told_only_when_it_is_known() -> None:
    assert left(0, 100, 5) == [] and left(5, 100, 0) == []
    assert left(50, 50, 60) == ["1:00 left"] and left(1, 7200, 1) == ["2:00:00 left"]


# ------------------------------------------------------------------------------------------------------------- screen


def test_what_the_program_prints_stands_above_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    dialog = Dialog()
    monkeypatch.setattr(sys, "stderr", dialog)
    monkeypatch.setattr(sys, "stdout", dialog)
    with Screen(dialog) as line:
        assert isinstance(sys.stdout, Above)
        line.show(Pieces("what", 0.5, []))
        sys.stdout.write("hello\n")
        sys.stdout.write("one")
        line.show(Pieces("not now", 0.6, []))
        sys.stdout.write(" two\n")
        line.show(Pieces("again", 0.7, []))
        assert screen(dialog.getvalue())[-1].startswith("again")
    assert sys.stdout is dialog and sys.stderr is dialog
    assert screen(dialog.getvalue()) == ["hello", "one two", ""]
    assert "not now" not in dialog.getvalue()


def test_a_stream_that_is_no_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stderr", Dialog())
    monkeypatch.setattr(sys, "stdout", plain)
    with Screen(sys.stderr):
        assert sys.stdout is plain


def test_a_line_that_has_not_changed_is_not_written_again() -> None:
    dialog = Dialog()
    with Screen(dialog) as line:
        line.show(Pieces("what", 0.5, []))
        once = dialog.getvalue()
        line.show(Pieces("what", 0.5, []))
        assert dialog.getvalue() == once
