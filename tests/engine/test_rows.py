"""The hashes of rows, and what is found by comparing them with those of the stored label matrix."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.task import Task
from wsdb.engine import rows
from wsdb.engine.rows import ROW, RowHashes, changes, delta_name, fingerprint, one_sided, row_hash
from wsdb.planner.facts import RowChanges

TASK = Task("t", "data", ("id",), "multiclass", ("x", "y"))
COLUMNS = ("a", "b")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return related()


def related() -> duckdb.DuckDBPyConnection:
    """A relation of 10 rows, and the matrix that was made from it."""
    found = duckdb.connect()
    found.execute("CREATE TABLE data AS SELECT i::INT AS id, i % 3 AS a, 'text ' || i AS b FROM range(10) t(i)")
    found.execute(f"CREATE TABLE matrix AS SELECT id, {row_hash(TASK, COLUMNS)} AS {ROW} FROM data")
    return found


def stored(con: duckdb.DuckDBPyConnection) -> StoredMatrix:
    n_rows, (hashed,), each = fingerprint(con, RowHashes.read(TASK, COLUMNS), COLUMNS, each=COLUMNS)
    return StoredMatrix(n_rows, (), hashed, COLUMNS, each, "", "", "wide")


@pytest.mark.parametrize("most", [0, 16])
@pytest.mark.parametrize("listed", [9, 10])
@pytest.mark.parametrize("key", ["INT", "VARCHAR", "DATE"])
def test_kept_hashes_are_those_that_are_read_off_the_rows(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, most: int, listed: int, key: str
) -> None:
    monkeypatch.setattr(rows, "KEPT_COLUMNS", most)
    monkeypatch.setattr(rows, "LISTED", listed)
    made = "DATE '2026-01-01' + id" if key == "DATE" else f"id::{key}"
    con.execute(f"CREATE OR REPLACE TABLE data AS SELECT {made} AS id, a, b FROM data")
    for lists in ((COLUMNS,), (("a",), COLUMNS), ((),), (("b", "a"),)):
        read, kept = RowHashes.read(TASK, COLUMNS), RowHashes.kept(con, TASK, *lists, n_rows=10)
        assert bool(kept.totals) == (listed == 10 and key == "INT")
        each = lists[-1] if most else ()
        assert fingerprint(con, kept, *lists, each=each) == fingerprint(con, read, *lists, each=each)
        assert bool(kept.columns) == bool(most and any(lists))
        kept.drop(con)
    assert not con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name LIKE '%hashes%'").fetchall()
    assert not con.execute("SELECT 1 FROM duckdb_views() WHERE view_name LIKE '%listed%'").fetchall()


def compared(con: duckdb.DuckDBPyConnection, known: StoredMatrix) -> RowChanges | None:
    kept = RowHashes.kept(con, TASK, COLUMNS, n_rows=known.n_rows)
    (n_rows,) = con.execute("SELECT count(*) FROM data").fetchall()[0]
    return changes(con, kept, known, "matrix", n_rows)


@pytest.mark.parametrize(("part", "listed"), [(3, 9), (1 << 24, 1 << 24)])
@given(
    changed=st.sets(st.integers(0, 9)),
    removed=st.sets(st.integers(0, 9)),
    added=st.sets(st.integers(10, 20)),
    order=st.sampled_from(["id", "id DESC", "hash(id)"]),
    shape=st.sampled_from(["TABLE", "VIEW"]),
)
@settings(max_examples=40)
def test_every_row_that_differs_is_listed_with_both_hashes(
    part: int, listed: int, changed: set[int], removed: set[int], added: set[int], order: str, shape: str
) -> None:
    con = related()
    known = stored(con)
    old = dict(con.execute(f"SELECT id, {ROW} FROM matrix").fetchall())
    con.execute("UPDATE data SET b = b || '!' WHERE list_contains(?::INT[], id)", [sorted(changed)])
    con.execute("DELETE FROM data WHERE list_contains(?::INT[], id)", [sorted(removed)])
    con.execute("INSERT INTO data SELECT unnest(?::INT[]), 1, 'new'", [sorted(added)])
    con.execute(f"CREATE TABLE base AS FROM data ORDER BY {order}; DROP TABLE data")
    con.execute(f"CREATE {shape} data AS FROM base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "PART", part)
        patch.setattr(rows, "LISTED", listed)
        found = compared(con, known)
    new = dict(con.execute(f"SELECT id, {row_hash(TASK, COLUMNS)} FROM data").fetchall())
    assert found == RowChanges(len(added), len(changed - removed), len(removed))
    listed = con.execute(f"FROM {delta_name(TASK)} ORDER BY id").fetchall()
    differ = sorted(added | changed | removed)
    assert listed == [(key, new.get(key), old.get(key)) for key in differ]


@pytest.mark.parametrize(
    "values",
    [
        "(3, 1, 'text 3')",
        "(3, 0, 'text 3')",
        "(3, 1, 'other')",
        "(NULL, 1, 'x')",
        "(20, 1, 'x'), (20, 1, 'y')",
        "(20, 1, 'x'), (20, 1, 'x')",
    ],
)
@pytest.mark.parametrize("before", ["SELECT 1", "DELETE FROM data WHERE id > 7", "UPDATE data SET a = 9 WHERE id = 3"])
def test_rows_with_a_key_that_is_taken_cannot_be_told_apart(
    con: duckdb.DuckDBPyConnection, before: str, values: str
) -> None:
    known = stored(con)
    con.execute(before)
    con.execute(f"INSERT INTO data VALUES {values}")
    assert compared(con, known) is None


def test_keys_of_another_type_cannot_be_told_apart(con: duckdb.DuckDBPyConnection) -> None:
    known = stored(con)
    con.execute("CREATE OR REPLACE TABLE data AS SELECT id::BIGINT AS id, a, b FROM data")
    assert compared(con, known) is None


@given(st.lists(st.integers(0, 8)), st.lists(st.integers(0, 8)), st.sampled_from([1, 4, 100]))
def test_a_hash_is_one_sided_where_it_is_once_in_both_arrays(here: list[int], there: list[int], part: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "PART", part)
        found = one_sided(np.array(here, np.uint64), np.array(there, np.uint64))
    assert sorted(found.tolist()) == [one for one in range(9) if (here + there).count(one) == 1]
