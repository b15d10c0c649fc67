"""The hashes of rows: what a change, a kept table of hashes and a sample do to them."""

from __future__ import annotations

import duckdb
import pytest

from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.task import Task
from wsdb.engine import rows
from wsdb.engine.rows import (
    ROW,
    RowHashes,
    appended,
    changes,
    delta_name,
    fingerprint,
    row_hash,
    surely_differs,
)
from wsdb.planner.facts import RowChanges

TASK = Task("t", "data", ("id",), "multiclass", ("x", "y"))
COLUMNS = ("a", "b")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A relation of 10 rows, and the matrix that was made from it."""
    found = duckdb.connect()
    found.execute("CREATE TABLE data AS SELECT i::INT AS id, i % 3 AS a, 'text ' || i AS b FROM range(10) t(i)")
    found.execute(f"CREATE TABLE matrix AS SELECT id, {row_hash(TASK, COLUMNS)} AS {ROW} FROM data")
    return found


def stored(con: duckdb.DuckDBPyConnection) -> StoredMatrix:
    n_rows, (hashed,), each = fingerprint(con, RowHashes.read(TASK, COLUMNS), COLUMNS, each=COLUMNS)
    return StoredMatrix(n_rows, (), hashed, COLUMNS, each, "", "", "wide")


def test_kept_hashes_are_those_that_are_read_off_the_rows(con: duckdb.DuckDBPyConnection) -> None:
    read, kept = RowHashes.read(TASK, COLUMNS), RowHashes.kept(con, TASK, COLUMNS)
    for lists in ((COLUMNS,), (("a",), COLUMNS), ((),), (("b", "a"),)):
        assert fingerprint(con, kept, *lists, each=lists[-1]) == fingerprint(con, read, *lists, each=lists[-1])
    kept.drop(con)
    assert not con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name LIKE '%hashes%'").fetchall()


def test_changes_are_the_same_from_kept_hashes(con: duckdb.DuckDBPyConnection) -> None:
    known = stored(con)
    con.execute("UPDATE data SET b = 'other' WHERE id = 3; DELETE FROM data WHERE id = 5")
    con.execute("INSERT INTO data VALUES (20, 1, 'new'), (21, 1, NULL)")
    found = []
    for now in (RowHashes.read(TASK, COLUMNS), RowHashes.kept(con, TASK, COLUMNS)):
        change = changes(con, now, known, "matrix", 11)
        found.append((change, con.execute(f"FROM {delta_name(TASK)} ORDER BY id").fetchall()))
    assert found[0] == found[1]
    assert found[0][0] is not None
    assert (found[0][0].added, found[0][0].changed, found[0][0].removed) == (2, 1, 1)


@pytest.mark.parametrize("sampled", [0, 50_000])
def test_what_did_not_change_never_surely_differs(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, sampled: int
) -> None:
    monkeypatch.setattr(rows, "SAMPLED", sampled)
    monkeypatch.setattr(rows, "SAMPLE_PERCENT", 100)
    known = stored(con)
    assert not surely_differs(con, TASK, known, "matrix")
    con.execute("CREATE OR REPLACE TABLE data AS FROM data ORDER BY id DESC")
    assert not surely_differs(con, TASK, known, "matrix")


def test_another_number_of_rows_or_a_changed_row_in_the_sample_surely_differs(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = stored(con)
    con.execute("UPDATE data SET a = 7 WHERE id = 3")
    assert not surely_differs(con, TASK, known, "matrix")  # too few rows to take a sample
    monkeypatch.setattr(rows, "SAMPLED", 0)
    monkeypatch.setattr(rows, "SAMPLE_PERCENT", 100)
    assert surely_differs(con, TASK, known, "matrix")
    con.execute("UPDATE data SET a = 0 WHERE id = 3; DELETE FROM data WHERE id = 4")
    assert surely_differs(con, TASK, known, "matrix")


def test_a_view_is_not_counted_first(con: duckdb.DuckDBPyConnection) -> None:
    known = stored(con)
    con.execute("ALTER TABLE data RENAME TO base; CREATE VIEW data AS FROM base WHERE id < 5")
    assert not surely_differs(con, TASK, known, "matrix")


def test_rows_behind_those_that_are_known_are_new(con: duckdb.DuckDBPyConnection) -> None:
    known = stored(con)
    con.execute("INSERT INTO data VALUES (20, 1, 'new'), (21, 1, NULL)")
    kept = RowHashes.kept(con, TASK, COLUMNS)
    assert appended(con, kept, known, 12) is not None
    assert appended(con, RowHashes.read(TASK, COLUMNS), known, 12) is None
    assert changes(con, kept, known, "matrix", 12) == RowChanges(2, 0, 0)
    found = con.execute(f"SELECT id, __new, __old FROM {delta_name(TASK)} ORDER BY id").fetchall()
    hashes = con.execute(f"SELECT id, {row_hash(TASK, COLUMNS)}, NULL FROM data WHERE id >= 20 ORDER BY id").fetchall()
    assert found == hashes


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE data SET b = 'other' WHERE id = 3",
        "DELETE FROM data WHERE id = 3; INSERT INTO data VALUES (22, 0, '')",
        "CREATE OR REPLACE TABLE data AS FROM data ORDER BY id DESC",
    ],
)
def test_rows_are_compared_where_those_before_the_new_ones_changed_or_moved(
    con: duckdb.DuckDBPyConnection, change: str
) -> None:
    known = stored(con)
    con.execute("INSERT INTO data VALUES (20, 1, 'new'), (21, 1, NULL)")
    con.execute(change)
    kept = RowHashes.kept(con, TASK, COLUMNS)
    assert appended(con, kept, known, 12) is None
    found = changes(con, kept, known, "matrix", 12)
    assert found is not None and found.added >= 2


@pytest.mark.parametrize(
    "rows", ["(3, 1, 'text 3')", "(3, 1, 'other')", "(NULL, 1, 'x')", "(20, 1, 'x'), (20, 1, 'y')"]
)
def test_a_new_row_with_a_key_that_is_taken_cannot_be_told_apart(con: duckdb.DuckDBPyConnection, rows: str) -> None:
    known = stored(con)
    con.execute(f"INSERT INTO data VALUES {rows}")
    (n_rows,) = con.execute("SELECT count(*) FROM data").fetchall()[0]
    kept = RowHashes.kept(con, TASK, COLUMNS)
    assert appended(con, kept, known, n_rows) is not None
    assert changes(con, kept, known, "matrix", n_rows) is None
