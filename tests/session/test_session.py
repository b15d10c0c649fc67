"""What a session does beyond a connection: scripts of both kinds, chains, results, places to open."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import wsdb

GLOBAL_ARROW = pa.table({"task": [1, 2, 3]})
SCRIPT = "SET wsdb_auto_refresh = true; "  # a statement of wsdb's in front: the script is split


def test_local_variables_are_found_inside_a_script_that_also_has_a_statement_of_wsdbs() -> None:
    db = wsdb.connect()
    rows = pa.table({"x": [1, 2, 3]})
    assert db.execute(SCRIPT + "CREATE TABLE kept AS FROM rows; SELECT sum(x) FROM rows").fetchall() == [(6,)]
    assert db.sql(SCRIPT + "SELECT sum(x) FROM rows").fetchall() == [(6,)]
    assert db.sql(SCRIPT + "SELECT sum(task) FROM GLOBAL_ARROW").fetchall() == [(6,)]
    assert db.execute("FROM kept ORDER BY x").fetchall() == [(1,), (2,), (3,)]

    def below() -> Any:
        rows = pl.DataFrame({"x": [10]})
        return db.sql(SCRIPT + "SELECT sum(x) FROM rows").fetchall(), rows.height

    assert below() == ([(10,)], 1)
    assert db.run(db.pieces("SELECT count(*) FROM rows")[0]).fetchall() == [(len(rows),)]
    db.close()


def test_parameters_go_to_the_last_statement_of_a_script() -> None:
    db = wsdb.connect()
    db.execute("CREATE TABLE t (x INTEGER)")
    assert db.execute(SCRIPT + "INSERT INTO t VALUES (1); SELECT x + ? FROM t", [4]).fetchall() == [(5,)]
    assert db.sql(SCRIPT + "SELECT $a", params={"a": 6}, alias="named").alias == "named"
    db.close()


def test_every_select_of_a_script_is_run_even_if_only_the_last_one_is_returned() -> None:
    db = wsdb.connect()
    db.execute("CREATE SEQUENCE s")
    assert db.sql("SELECT nextval('s'); " + SCRIPT + "SELECT currval('s')").fetchall() == [(1,)]
    with pytest.raises(duckdb.Error, match="stop here"):
        db.sql("SELECT error('stop here'); " + SCRIPT)
    db.close()


def test_a_statement_of_wsdbs_leaves_no_old_result_behind() -> None:
    db = wsdb.connect()
    db.execute("SELECT 1 AS old")
    db.execute("SET wsdb_auto_refresh = true")
    assert db.fetchall() == []
    db.execute("SELECT * FROM range(100000)")  # not fetched
    assert db.sql("SHOW TASKS").fetchall() == []
    db.close()


def test_every_method_that_chains_answers_with_the_session() -> None:
    db = wsdb.connect()
    assert db.execute("SELECT 1") is db
    assert db.begin() is db
    assert db.commit() is db
    assert db.register("r", GLOBAL_ARROW).unregister("r") is db
    assert db.execute("CREATE TABLE t (x INTEGER)").executemany("INSERT INTO t VALUES (?)", [[1]]) is db
    assert isinstance(db.cursor(), wsdb.Session)
    assert isinstance(db.duplicate(), wsdb.Session)
    assert db.begin().execute("SHOW TASKS; SELECT 1").fetchall() == [(1,)]
    db.close()


def test_executemany_of_a_statement_of_wsdbs_never_reaches_duckdb() -> None:
    db = wsdb.connect()
    db.execute("CREATE TABLE t AS SELECT 1 AS id")
    with pytest.raises(wsdb.WsdbError, match="WS101"):
        db.executemany("CREATE TASK ON t", [[]])
    db.close()


def test_all_that_a_connection_has_is_listed_on_the_session() -> None:
    plain, db = duckdb.connect(), wsdb.connect()
    missing = [name for name in dir(plain) if not name.startswith("_") and not hasattr(db, name)]
    assert missing == []
    assert {"fetchall", "to_arrow_table", "notices", "cursor"} <= set(dir(db))
    plain.close()
    db.close()


def test_connect_takes_a_path_a_name_for_memory_and_an_open_connection(tmp_path: Path) -> None:
    for place in (tmp_path / "a.duckdb", str(tmp_path / "b.duckdb"), ":memory:", ":memory:named", ""):
        db = wsdb.connect(place)
        assert db.execute("SELECT 1").fetchall() == [(1,)]
        db.close()
    plain = duckdb.connect()
    with wsdb.connect(plain) as db:
        db.execute("CREATE TABLE t AS SELECT 5 AS x")
    assert plain.execute("FROM t").fetchall() == [(5,)]  # still open
    plain.close()
    with wsdb.connect(config={"threads": 1}) as db:
        assert db.execute("SELECT current_setting('threads')").fetchall() == [(1,)]
    with pytest.raises(duckdb.Error, match="nosuch"):
        wsdb.connect(config={"nosuch": 1})


def test_a_closed_file_can_be_opened_by_duckdb_at_once(tmp_path: Path) -> None:
    db = wsdb.connect(tmp_path / "a.duckdb")
    db.execute("CREATE TABLE t AS SELECT 1 AS id; CREATE TASK k ON t KEY (id) TYPE BINARY")
    cursor = db.cursor()
    cursor.execute("FROM labels('k')")
    cursor.close()
    db.close()
    with duckdb.connect(str(tmp_path / "a.duckdb"), config={"threads": 1}) as plain:
        assert plain.execute("SELECT count(*) FROM wsdb.tasks").fetchall() == [(1,)]


def test_the_users_own_del_frees_a_table_that_was_queried() -> None:
    class Kept(list):  # type: ignore[type-arg]
        pass

    db = wsdb.connect()
    value = Kept()
    watch = weakref.ref(value)
    db.execute("SELECT 1").fetchall()
    db.sql(SCRIPT + "SELECT 1").fetchall()
    del value
    assert watch() is None
    assert db.execute("SELECT 2").fetchall() == [(2,)]
    db.close()
