"""A session is used as a DuckDB connection is: every way to run, fetch, bind, register and close, through both."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import wsdb
from tests.session.outcomes import attempt

HAS_PANDAS = importlib.util.find_spec("pandas") is not None
V2 = duckdb.__version__.startswith("2.")
GLOBAL_ARROW = pa.table({"task": [1, 2, 3]})
GLOBAL_POLARS = pl.DataFrame({"model": ["a", "b"]})
SCRIPT_OF_DUCKDB = "SELECT 'task'; "


def fetched_one_at_a_time(db: Any) -> Any:
    db.execute("SELECT * FROM range(5) t(task)")
    return db.fetchone(), db.fetchmany(2), db.fetchall(), db.fetchone()


def fetched_after_a_chain(db: Any) -> Any:
    return db.execute("SELECT 1 AS label, 'x' AS task").fetchall(), db.execute("SELECT 2").fetchone(), db.fetchall()


def arrow_of_execute(db: Any) -> Any:
    table = db.execute("SELECT 1 AS task, 'x' AS label").to_arrow_table()
    return table.schema.to_string(), table.to_pylist()


def arrow_of_sql(db: Any) -> Any:
    table = db.sql("SELECT 1 AS task, [1, 2] AS label").to_arrow_table()
    return table.schema.to_string(), table.to_pylist()


def reader_of_sql(db: Any) -> Any:
    return [batch.num_rows for batch in db.sql("SELECT * FROM range(5000) t(task)").to_arrow_reader(2048)]


def polars_of_sql(db: Any) -> Any:
    frame = db.sql("SELECT 1 AS task").pl()
    return str(frame.schema), frame.rows()


def numpy_of_execute(db: Any) -> Any:
    return {
        name: (str(array.dtype), array.tolist()) for name, array in db.execute("SELECT 1 AS task").fetchnumpy().items()
    }


def description_and_rowcount(db: Any) -> Any:
    db.execute("CREATE TABLE t (task INTEGER)")
    db.execute("INSERT INTO t VALUES (1), (2)")
    count = db.rowcount
    db.execute("SELECT task, 'x' AS label FROM t")
    return count, str(db.description), db.rowcount


def positional_parameters(db: Any) -> Any:
    return (
        db.execute("SELECT ?, ? AS task", [1, "a;b"]).fetchall(),
        db.execute("SELECT $2, $1 AS model", ["x", None]).fetchall(),
        db.execute("SELECT ?::INTEGER AS label", ("7",)).fetchall(),
        db.sql("SELECT ? AS task", params=[[1, 2]]).fetchall(),
    )


def named_parameters(db: Any) -> Any:
    return (
        db.execute("SELECT $task, $model", {"task": 1, "model": {"a": 2}}).fetchall(),
        db.execute("SELECT $task", parameters={"task": 3}).fetchall(),
        db.sql("SELECT $label AS x", params={"label": "y"}).fetchall(),
    )


def parameters_of_the_last_statement(db: Any) -> Any:
    return db.execute(
        "CREATE TABLE p (task INTEGER); INSERT INTO p VALUES (1); SELECT task + ? FROM p", [10]
    ).fetchall()


def too_few_parameters(db: Any) -> Any:
    return db.execute("SELECT ?, ? AS task", [1]).fetchall()


def too_many_parameters(db: Any) -> Any:
    return db.execute("SELECT ? AS task", [1, 2]).fetchall()


def unknown_parameter(db: Any) -> Any:
    return db.execute("SELECT $task", {"model": 1}).fetchall()


def many_rows_of_parameters(db: Any) -> Any:
    db.execute("CREATE TABLE label (task INTEGER, model VARCHAR)")
    db.executemany("INSERT INTO label VALUES (?, ?)", [[1, "a"], [2, "b"]])
    return db.execute("FROM label ORDER BY ALL").fetchall()


def many_rows_of_wrong_parameters(db: Any) -> Any:
    db.execute("CREATE TABLE label (task INTEGER)")
    return db.executemany("INSERT INTO label VALUES (?)", [["x"]])


def statement_objects(db: Any) -> Any:
    one, two = db.extract_statements("SELECT 1 AS task; SELECT $model AS label")
    return (
        one.query,
        str(two.named_parameters),
        db.execute(one).fetchall(),
        db.execute(two, {"model": 2}).fetchall(),
        db.sql(one).fetchall(),
    )


def relation_methods(db: Any) -> Any:
    db.execute("CREATE TABLE t AS SELECT range AS id, range % 2 AS task FROM range(6)")
    relation = db.sql("SELECT * FROM t")
    other = db.table("t").project("id AS id2, task AS task2").set_alias("o")
    return (
        relation.filter("id > 1").project("id, task").order("id DESC").limit(3).fetchall(),
        relation.aggregate("task, sum(id)", "task").order("task").fetchall(),
        relation.set_alias("a").join(other, "a.id = o.id2").count("*").fetchall(),
        relation.distinct().order("id").limit(1).fetchall(),
        relation.columns,
        list(map(str, relation.types)),
        relation.shape,
        relation.describe().order("aggr").fetchall(),
        relation.query("labels", "SELECT count(*) FROM labels").fetchall(),
        relation.union(relation).count("id").fetchall(),
    )


def relation_that_writes(db: Any) -> Any:
    db.sql("SELECT 1 AS task").create("model")
    db.table("model").insert([2])
    db.sql("SELECT task FROM model WHERE task > 1").create_view("label")
    return db.table("model").fetchall(), db.view("label").fetchall()


def relation_of_nothing(db: Any) -> Any:
    return [str(db.sql(text)) for text in ("CREATE TABLE task (x INTEGER)", "-- only a task", "", ";;")]


def relation_with_an_alias(db: Any) -> Any:
    return db.sql("SELECT 1 AS task", alias="model").alias, db.query("SELECT 1 AS x", alias="y").alias


def relation_shown(db: Any) -> Any:
    return str(db.sql("SELECT 1 AS task, 'x' AS model"))


def other_sources(db: Any) -> Any:
    return (
        db.values([1, "task"]).fetchall(),
        db.from_arrow(GLOBAL_ARROW).filter("task > 1").fetchall(),
        db.from_query("SELECT 5 AS task").fetchall(),
        db.query("SELECT 6 AS task").fetchall(),
        db.table_function("range", [3]).fetchall(),
        attempt(lambda: db.table("nosuch")),
        attempt(lambda: db.view("nosuch")),
    )


def csv_files(db: Any) -> Any:
    db.sql("SELECT 1 AS task, 'x' AS label").write_csv("made.csv")
    return (
        db.read_csv("made.csv").fetchall(),
        db.from_csv_auto("made.csv").columns,
        db.sql("FROM 'made.csv'").fetchall(),
    )


def registered_tables(db: Any) -> Any:
    db.register("model", GLOBAL_ARROW)
    first = db.execute("SELECT sum(task) FROM model").fetchall()
    db.unregister("model")
    return first, attempt(lambda: db.execute("SELECT * FROM model"))


def own_functions(db: Any) -> Any:
    db.create_function("label", lambda x: x + 1, ["INTEGER"], "INTEGER")
    first = db.execute("SELECT label(task::INTEGER) FROM range(3) t(task)").fetchall()
    db.remove_function("label")
    return first, attempt(lambda: db.execute("SELECT label(1)"))


def transactions(db: Any) -> Any:
    db.execute("CREATE TABLE task (x INTEGER)")
    db.begin().execute("INSERT INTO task VALUES (1)")
    db.rollback()
    db.begin()
    db.execute("INSERT INTO task VALUES (2)")
    db.commit()
    return (
        db.execute("FROM task").fetchall(),
        attempt(lambda: db.rollback().rowcount),
        attempt(lambda: db.commit().rowcount),
    )


def interrupted(db: Any) -> Any:
    timer = threading.Timer(0.05, db.interrupt)
    timer.start()
    try:
        return attempt(
            lambda: db.execute("SELECT count(*) AS task FROM range(10000000) a, range(1000000) b").fetchall()
        )
    finally:
        timer.join()


def cursors(db: Any) -> Any:
    db.execute("CREATE TABLE task AS SELECT 1 AS x")
    other, third = db.cursor(), db.duplicate()
    other.execute("CREATE TEMP TABLE label AS SELECT 2 AS y")
    answers = other.execute("SELECT * FROM task, label").fetchall(), third.execute("FROM task").fetchall()
    hidden = attempt(lambda: db.execute("FROM label"))
    other.close()
    return answers, hidden, attempt(lambda: other.execute("SELECT 'task'")), db.execute("FROM task").fetchall()


def threads(db: Any) -> Any:
    db.execute("CREATE TABLE task AS SELECT range AS x FROM range(1000)")
    found: list[Any] = []

    def work(number: int) -> None:
        with db.cursor() as cursor:
            found.append(cursor.execute("SELECT sum(x) AS label FROM task WHERE x % 4 = ?", [number]).fetchall())

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(found)


def used_after_close(db: Any) -> Any:
    db.close()
    return (
        attempt(lambda: db.execute("SELECT 1")),
        attempt(lambda: db.execute("SELECT 'task' AS model")),
        attempt(lambda: db.sql("SELECT 1")),
        attempt(lambda: db.fetchall()),
        attempt(lambda: db.cursor()),
        attempt(db.close),
    )


def closed_by_with(db: Any) -> Any:
    with db as inside:
        rows = inside.execute("SELECT 1 AS task").fetchall()
    return rows, attempt(lambda: db.execute("SELECT 1"))


def no_such_attribute(db: Any) -> Any:
    kind, text = attempt(lambda: db.nosuch_task)
    return kind, text.split("'")[-2:]


def wrong_arguments(db: Any) -> Any:
    return [attempt(lambda value=value: db.execute(value))[0] for value in (None, 1, b"SELECT 1")]


def wrong_arguments_of_sql(db: Any) -> Any:
    return [attempt(lambda value=value: db.sql(value))[0] for value in (None, 1)]


def names_of_tables(db: Any) -> Any:
    return sorted(db.get_table_names("SELECT * FROM task, model JOIN label USING (x)"))


def variables_through_execute(db: Any) -> Any:
    local_rows = pa.table({"label": [7, 8]})
    frame = pl.DataFrame({"y": [1]})
    return (
        db.execute("SELECT sum(label) FROM local_rows").fetchall(),
        db.execute("SELECT * FROM frame, GLOBAL_POLARS").fetchall(),
        db.execute("SELECT sum(task) FROM GLOBAL_ARROW").fetchall(),
        len(local_rows) + len(frame),
    )


def variables_through_sql(db: Any) -> Any:
    local_rows = pa.table({"label": [7, 8]})
    reader = pa.RecordBatchReader.from_batches(local_rows.schema, local_rows.to_batches())
    lazy = pl.LazyFrame({"z": [4]})
    return (
        db.sql("SELECT sum(label) FROM local_rows").fetchall(),
        db.sql("SELECT task FROM GLOBAL_ARROW ORDER BY task").filter("task > 1").fetchall(),
        db.query("FROM reader").fetchall(),
        db.sql("FROM lazy").fetchall(),
        len(local_rows) + lazy.collect().height,
        reader is not None,
    )


def variables_of_a_relation(db: Any) -> Any:
    numbers = db.sql("SELECT 3 AS task")
    return db.sql("SELECT task + 1 FROM numbers").fetchall(), db.execute("FROM numbers").fetchall(), numbers.columns


def variables_several_calls_down(db: Any) -> Any:
    rows = pa.table({"label": [1]})

    def inner() -> Any:
        rows = pa.table({"label": [2, 3]})

        def innermost() -> Any:
            inside = rows  # a name of this function: DuckDB sees the calling frame and the module only
            found = db.sql("SELECT sum(label) FROM inside").fetchall(), attempt(lambda: db.execute("FROM nosuch_rows"))
            return found, len(inside)

        return innermost(), db.execute("SELECT sum(label) FROM rows").fetchall()

    return inner(), [db.sql("SELECT sum(label) FROM rows").fetchall() for _ in range(1)], len(rows)


def variables_that_are_no_tables(db: Any) -> Any:
    number = 5
    return attempt(lambda: db.sql("FROM number")), attempt(lambda: db.execute(SCRIPT_OF_DUCKDB + "FROM number")), number


def variables_hidden_by_tables(db: Any) -> Any:
    task = pa.table({"x": [1]})
    db.execute("CREATE TABLE task AS SELECT 2 AS x")
    return db.sql("SELECT x FROM task").fetchall(), len(task)


def variables_turned_off(db: Any) -> Any:
    task = pa.table({"x": [1]})
    db.execute("SET python_enable_replacements = false")
    kind, text = attempt(lambda: db.sql("FROM task"))
    return kind, text.split("\n")[0], len(task)


def lazy_relation_of_a_variable(db: Any) -> Any:
    def made() -> Any:
        rows = pa.table({"label": [1, 2]})
        return db.sql("SELECT label FROM rows"), rows.num_rows

    relation, _ = made()
    return relation.fetchall()


CALLS: list[Callable[[Any], Any]] = [
    call for call in list(globals().values()) if callable(call) and getattr(call, "__module__", "") == __name__
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_the_session_answers_as_the_connection_does(
    call: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = []
    for connect in (duckdb.connect, wsdb.connect):
        db = connect()
        try:
            answers.append(attempt(lambda db=db: call(db)))
        finally:
            db.close()
    assert repr(answers[1]) == repr(answers[0])


@pytest.mark.skipif(not HAS_PANDAS, reason="pandas is not installed here")
def test_pandas_frames_are_read_and_made_as_by_duckdb() -> None:
    import pandas as pd

    frame = pd.DataFrame({"task": [1, 2], "label": ["x", None]})
    for connect in (duckdb.connect, wsdb.connect):
        db = connect()
        pd.testing.assert_frame_equal(db.sql("FROM frame").df(), db.execute("FROM frame").df())
        assert db.execute("SELECT sum(task) FROM frame").fetchall() == [(3,)]
        assert db.from_df(frame).project("label").fetchall() == [("x",), (None,)]
        pd.testing.assert_frame_equal(db.execute("SELECT 1 AS task").fetchdf(), db.sql("SELECT 1 AS task").df())
        db.close()


@pytest.mark.skipif(V2, reason="DuckDB 2 has these on relations only")
def test_the_fetches_that_only_duckdb_15_has_are_there() -> None:
    db = wsdb.connect()
    assert db.execute("SELECT 1 AS task").pl().rows() == [(1,)]
    assert callable(db.fetch_arrow_table)
    db.close()
