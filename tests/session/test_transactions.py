"""One transaction for each statement: what fails changes nothing, and files that cannot be opened say why."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import wsdb
from tests.session.invariants import invariants, state

SET_UP = """
CREATE TABLE mails AS SELECT i AS id, CASE WHEN i % 3 = 0 THEN 'win a prize' ELSE 'see you at noon' END || i AS body,
  CASE WHEN i = 7 THEN 'x' ELSE i::VARCHAR END AS number FROM range(100) t(i);
CREATE TABLE twice AS SELECT 1 AS id, 'a' AS body UNION ALL SELECT 1, 'b';
CREATE TABLE strays AS SELECT 1000 AS id, 'spam' AS label;
CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam');
CREATE LF prize FOR TASK spam VOTE 'spam' WHEN body LIKE '%prize%';
CREATE LF noon FOR TASK spam VOTE 'ham' WHEN body LIKE '%noon%';
CREATE LABEL MODEL votes FOR TASK spam USING auto;
REFRESH LABELS FOR TASK spam;
"""
# Each is run after its first part has succeeded; the last statement is the one that fails.
FAILING = {
    "a task that exists": ("", "CREATE TASK spam ON mails KEY (id) TYPE BINARY", "WS202"),
    "a task on no table": ("", "CREATE TASK other ON nosuch KEY (id) TYPE BINARY", "WS309"),
    "a replaced task that loses a label": (
        "", "CREATE OR REPLACE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'junk')", "WS302"
    ),
    "a task on a table without the columns of its functions": (
        "", "CREATE OR REPLACE TASK spam ON strays KEY (id) TYPE BINARY ('ham', 'spam')", "WS309"
    ),
    "a function that exists": ("", "CREATE LF noon FOR TASK spam VOTE 'ham' WHEN id = 1", "WS202"),
    "a function with an unknown label": ("", "CREATE LF bad FOR TASK spam VOTE 'egg' WHEN id = 1", "WS302"),
    "a refresh with a function that fails on a row": (
        "CREATE LF bad FOR TASK spam VOTE 'ham' WHEN number::INTEGER > 3", "REFRESH LABELS FOR TASK spam", "WS405"
    ),
    "a refresh with a function that answers an unknown label": (
        "CREATE LF bad FOR TASK spam AS CASE WHEN id = 5 THEN lower('EGG') END", "REFRESH LABELS FOR TASK spam", "WS403"
    ),
    "a refresh with a Python function that raises": (
        "CREATE LF bad FOR TASK spam LANGUAGE python AS $$def lf(batch): raise ValueError('no')$$",
        "REFRESH LABELS FOR TASK spam", "WS405",
    ),
    "a full refresh with votes for keys that are not there": (
        "CREATE LF bad FOR TASK spam FROM VOTES strays (id, label)", "REFRESH LABELS FOR TASK spam FULL", "WS404"
    ),
    "a first refresh of a task whose key is not unique": (
        "CREATE TASK double ON twice KEY (id) TYPE BINARY ('a', 'b'); CREATE LF f FOR TASK double VOTE 'a' WHEN true",
        "REFRESH LABELS FOR TASK double", "WS401",
    ),
    "a model with an unknown option": (
        "", "CREATE MODEL m FOR TASK spam FROM mails FEATURES (body) WITH (nosuch = 1)", "WS307"
    ),
    "a model without a labeled row": (
        "CREATE TASK quiet ON mails KEY (id) TYPE BINARY; CREATE LF never FOR TASK quiet VOTE 'yes' WHEN false",
        "CREATE MODEL m FOR TASKS (spam, quiet) FROM mails FEATURES (body)", "WS505",
    ),
    "a model of a task whose refresh fails": (
        "CREATE LF bad FOR TASK spam VOTE 'ham' WHEN number::INTEGER > 3",
        "CREATE MODEL m FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 1)", "WS405",
    ),
    "a second label model": ("", "CREATE LABEL MODEL other FOR TASK spam USING majority", "WS203"),
    "a drop of what others are built on": ("", "DROP TASK spam", "WS205"),
    "a drop of nothing": ("", "DROP MODEL nosuch", "WS201"),
    "a comment on nothing": ("", "COMMENT ON LF nosuch IS 'x'", "WS201"),
    "a read that fails while it refreshes": (
        "CREATE LF bad FOR TASK spam VOTE 'ham' WHEN number::INTEGER > 3", "SELECT * FROM labels('spam')", "WS405"
    ),
    "a feature set without the column": ("", "CREATE FEATURE SET f ON mails (nosuch)", "WS312"),
}  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Iterator[wsdb.Session]:
    """A session on a file with labels."""
    with wsdb.connect(tmp_path / "mails.duckdb") as session:
        session.execute(SET_UP)
        yield session


@pytest.mark.parametrize(("before", "failing", "code"), FAILING.values(), ids=FAILING)
def test_a_failing_statement_leaves_everything_as_before(
    db: wsdb.Session, before: str, failing: str, code: str
) -> None:
    db.execute(before or "SELECT 1")
    stored = state(db)
    with pytest.raises(wsdb.WsdbError) as caught:
        db.execute(failing).fetchall()
    assert caught.value.code == code
    assert state(db) == stored
    invariants(db)
    # No transaction is left open, on this connection or in the file.
    db.execute("BEGIN; ROLLBACK")
    db.cursor().execute("COMMENT ON TASK spam IS 'still writable'")


def test_the_statements_of_a_script_before_the_failing_one_stay_done(db: wsdb.Session) -> None:
    with pytest.raises(wsdb.WsdbError):
        db.execute("CREATE LF early FOR TASK spam VOTE 'ham' WHEN id < 3; DROP TASK nosuch; DROP LF prize")
    assert db.execute("SELECT name FROM wsdb.lfs ORDER BY ALL").fetchall() == [("early",), ("noon",), ("prize",)]


def test_a_first_statement_that_fails_makes_no_schema(tmp_path: Path) -> None:
    with wsdb.connect(tmp_path / "new.duckdb") as db:
        with pytest.raises(wsdb.WsdbError):
            db.execute("CREATE TASK t ON nosuch KEY (id) TYPE BINARY")
        invariants(db)
        assert state(db) == {"views": [], "macros": []}


def test_a_rollback_of_the_users_takes_statements_of_wsdbs_back(db: wsdb.Session) -> None:
    stored = state(db)
    db.execute("BEGIN")
    db.execute("CREATE TASK other ON mails KEY (id) TYPE BINARY")
    db.execute("CREATE LF bit FOR TASK other VOTE 'yes' WHEN id = 1; REFRESH LABELS FOR TASK other")
    assert db.execute("SELECT count(*) FROM labels('other')").fetchall() == [(100,)]
    db.execute("ROLLBACK")
    assert state(db) == stored
    invariants(db)


def test_a_commit_of_the_users_keeps_statements_of_wsdbs(db: wsdb.Session) -> None:
    db.execute("BEGIN; CREATE TABLE kept AS SELECT 1 AS x; DROP LF noon; REFRESH LABELS FOR TASK spam; COMMIT")
    invariants(db)
    assert db.execute("SELECT name FROM wsdb.lfs").fetchall() == [("prize",)]
    assert db.execute("FROM kept").fetchall() == [(1,)]


def test_a_model_trained_in_a_transaction_predicts_there_and_is_gone_after_a_rollback(db: wsdb.Session) -> None:
    stored = state(db)
    db.execute("BEGIN; CREATE MODEL m FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 1, hidden = 4)")
    query = "SELECT count(*) FROM predict('spam', mails)"
    assert db.execute(query).fetchall() == [(100,)]
    with pytest.raises(wsdb.WsdbError, match="WS501"):
        db.cursor().execute(query)
    db.execute("ROLLBACK")
    assert state(db) == stored
    with pytest.raises(wsdb.WsdbError, match="WS501"):
        db.execute(query)
    db.execute("CREATE MODEL m FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 1, hidden = 4)")
    assert db.execute(query).fetchall() == [(100,)]
    assert db.cursor().execute(query).fetchall() == [(100,)]
    invariants(db)


def test_a_statement_that_fails_in_a_transaction_of_the_users_never_leaves_half_of_itself(db: wsdb.Session) -> None:
    db.execute("CREATE LF bad FOR TASK spam VOTE 'ham' WHEN number::INTEGER > 3")
    stored = state(db)
    db.execute("BEGIN")
    with pytest.raises((wsdb.WsdbError, duckdb.Error)):
        db.execute("CREATE MODEL m FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 1)")
    db.execute("COMMIT")  # DuckDB takes an aborted transaction back here
    assert state(db) == stored
    invariants(db)


def in_threads(work: list[Any]) -> list[BaseException]:
    """Run functions at the same time and return what they raise."""
    raised: list[BaseException] = []
    barrier = threading.Barrier(len(work))

    def run(function: Any) -> None:
        barrier.wait(timeout=30)
        try:
            function()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return raised


def test_two_sessions_that_refresh_at_once_succeed_or_say_that_they_are_in_each_others_way(db: wsdb.Session) -> None:
    other = db.cursor()
    succeeded = 0
    for number in range(6):
        db.execute(f"CREATE OR REPLACE LF noon FOR TASK spam VOTE 'ham' WHEN id % 9 = {number}")
        raised = in_threads([lambda: db.execute("REFRESH LABELS FULL"), lambda: other.execute("REFRESH LABELS FULL")])
        for error in raised:
            assert isinstance(error, duckdb.TransactionException | wsdb.WsdbError), repr(error)
            assert "onflict" in str(error) and getattr(error, "code", "WS208") == "WS208"
        succeeded += 2 - len(raised)
        invariants(db)
        invariants(other)
    assert succeeded >= 6  # of two, one wins at least
    assert db.execute("SELECT count(*) FROM labels('spam')").fetchall() == [(100,)]


def test_reads_that_find_the_labels_stale_at_once_all_get_them(db: wsdb.Session) -> None:
    sessions = [db, *(db.cursor() for _ in range(3))]
    query = "SELECT count(label) FROM labels('spam')"
    found: list[Any] = []
    work = [lambda one=one: found.append(one.execute(query).fetchall()) for one in sessions]
    for number in range(4):
        db.execute(f"UPDATE mails SET body = 'a prize' WHERE id % 5 = {number}")
        assert in_threads(work) == []
        db.execute("REFRESH LABELS FOR TASK spam FULL")
        assert found[-4:] == [db.execute(query).fetchall()] * 4


def test_two_sessions_that_make_objects_at_once_make_each_of_them_once(db: wsdb.Session) -> None:
    other = db.cursor()
    raised = in_threads(
        [lambda session=session: session.execute("CREATE LF same FOR TASK spam VOTE 'ham' WHEN id = 1")
         for session in (db, other)]
    )  # fmt: skip
    assert len(raised) <= 1
    invariants(db)
    assert db.execute("SELECT count(*) FROM wsdb.lfs WHERE name = 'same'").fetchall() == [(1,)]


HOLD = """
import sys, duckdb
con = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_locked_database_names_the_process_that_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "held.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for read_only in (False, True):
            with pytest.raises(wsdb.WsdbError) as caught:
                wsdb.connect(file, read_only=read_only)
            assert caught.value.code == "WS601"
            assert caught.value.data == {"pid": holder.pid}
            assert f"process {holder.pid}" in str(caught.value)
        holder.communicate("")
    with wsdb.connect(file) as db:
        assert db.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize("size", [0, 100, 4_096, 5_000, 12_287])
def test_a_file_that_is_cut_off_says_so(tmp_path: Path, size: int) -> None:
    file = tmp_path / "cut.duckdb"
    with wsdb.connect(file) as db:
        db.execute(SET_UP)
    whole = file.read_bytes()
    assert len(whole) > 12_288
    file.write_bytes(whole[:size])
    with pytest.raises(wsdb.WsdbError) as caught:
        wsdb.connect(file)
    assert caught.value.code == "WS602"
    assert str(file) in str(caught.value)
    assert file.read_bytes() == whole[:size]  # nothing has been written over it


def test_a_file_of_another_kind_says_so(tmp_path: Path) -> None:
    file = tmp_path / "garbage.duckdb"
    file.write_bytes(b"this is not a database" * 1_000)
    with pytest.raises(wsdb.WsdbError) as caught:
        wsdb.connect(file)
    assert caught.value.code == "WS602"


def test_a_damaged_block_says_that_the_file_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "damaged.duckdb"
    with wsdb.connect(file) as db:
        db.execute(SET_UP)
    content = bytearray(file.read_bytes())
    for place in (4_096 + 50, 8_192 + 50):  # both headers
        content[place : place + 64] = b"\xff" * 64
    file.write_bytes(content)
    with pytest.raises(wsdb.WsdbError) as caught:
        wsdb.connect(file)
    assert caught.value.code == "WS602"


def test_places_where_no_database_can_be_are_errors_as_duckdb_words_them(tmp_path: Path) -> None:
    for place, read_only in ((tmp_path, False), (tmp_path / "no" / "such.duckdb", False), (tmp_path / "gone", True)):
        with pytest.raises(duckdb.IOException) as plain:
            duckdb.connect(str(place), read_only=read_only)
        with pytest.raises(duckdb.IOException) as ours:
            wsdb.connect(place, read_only=read_only)
        assert str(ours.value) == str(plain.value)
    assert not (tmp_path / "gone").exists()


def test_a_file_of_another_version_of_wsdb_is_not_touched(db: wsdb.Session, tmp_path: Path) -> None:
    db.execute("UPDATE wsdb.settings SET value = '99' WHERE name = 'format_version'")
    db.close()
    with pytest.raises(wsdb.WsdbError) as caught:
        wsdb.connect(tmp_path / "mails.duckdb")
    assert caught.value.code == "WS603"
    with duckdb.connect(str(tmp_path / "mails.duckdb")) as con:  # the failed session has let go of the file
        assert con.execute("SELECT value FROM wsdb.settings").fetchall() == [("99",)]


def test_nothing_is_written_to_a_read_only_database(db: wsdb.Session, tmp_path: Path) -> None:
    db.close()
    content = (tmp_path / "mails.duckdb").read_bytes()
    with wsdb.connect(tmp_path / "mails.duckdb", read_only=True) as reader:
        assert reader.execute("SELECT count(*) FROM labels('spam')").fetchall() == [(100,)]
        for statement in ("DROP LF noon", "REFRESH LABELS FULL", "COMMENT ON TASK spam IS 'x'"):
            with pytest.raises(wsdb.WsdbError, match="is open read-only") as caught:
                reader.execute(statement)
            assert caught.value.code == "WS604"
    assert (tmp_path / "mails.duckdb").read_bytes() == content
