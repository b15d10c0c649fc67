"""What holds in every database of wsdb's between two statements, and its state as a value."""

from __future__ import annotations

import json
from typing import Any

import wsdb
from wsdb.model.predictor import Predictor
from wsdb.parser.script import parse_one

TABLES = {
    "settings", "objects", "object_versions", "matrices", "matrix_columns", "label_runs", "label_parameters",
    "model_versions", "tensors", "training", "serving", "lineage_edges",
}  # fmt: skip
UNSTEADY = {"created_at", "computed_at", "since", "seconds", "run", "version", "to_version", "lf_version"}
"""Columns that differ from one run of a statement to the next."""


def invariants(db: wsdb.Session) -> None:
    """Raise AssertionError unless catalog, matrices, labels, models and macros agree with each other."""
    con = db.connection

    def rows(query: str) -> list[Any]:
        found: list[Any] = con.execute(query).fetchall()
        return found

    def names(query: str) -> set[str]:
        return {row[0] for row in rows(query)}

    tables = names("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'wsdb'")
    if not tables:
        assert not names("SELECT schema_name FROM duckdb_schemas() WHERE schema_name = 'wsdb'"), "half a schema"
        return
    assert tables >= TABLES, f"tables are missing: {TABLES - tables}"
    macros = names("SELECT lower(function_name) FROM duckdb_functions() WHERE schema_name = 'wsdb'")
    views = names("SELECT view_name FROM duckdb_views() WHERE schema_name = 'wsdb'")
    assert {"predict", "labels", "label_matrix", "wsdb_objects"} <= macros

    objects = rows("SELECT kind, lower(name), version, task, sql FROM wsdb.objects")
    known = {(kind, name) for kind, name, *_ in objects}
    assert len(known) == len(objects), "an object twice"
    for kind, name, version, task, sql in objects:
        parse_one(sql)
        found = rows(
            f"SELECT count(*) FROM wsdb.object_versions WHERE kind = '{kind}' AND lower(name) = '{name}' "
            f"AND version = {version}"
        )
        assert found == [(1,)], f"{kind} {name}@{version} is {found[0][0]} times in object_versions"
        assert task is None or ("task", task.lower()) in known, f"{kind} {name} is of task {task}, which is not there"

    # The matrix: its table, its columns, its views.
    matrices = {task.lower(): n for task, n in rows("SELECT task, n_rows FROM wsdb.matrices")}
    assert {f"matrix_{task}" for task in matrices} == {
        name.lower() for name in tables if name.startswith("matrix_")
    } - {"matrix_columns"}
    assert names("SELECT lower(task) FROM wsdb.matrix_columns") <= set(matrices)
    for task, n_rows in matrices.items():
        assert ("task", task) in known, f"a matrix of task {task}, which is not there"
        columns = [
            name
            for (name,) in rows(
                "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'wsdb' "
                f"AND lower(table_name) = 'matrix_{task}' ORDER BY column_index"
            )
        ]
        registered = rows(
            f"SELECT column_name, votes FROM wsdb.matrix_columns WHERE lower(task) = '{task}' ORDER BY position"
        )
        n_keys = len(columns) - len(registered)
        assert n_keys >= 1
        assert columns[n_keys:] == [name for name, _ in registered], f"matrix_{task} has {columns}"
        assert rows(f'SELECT count(*) FROM wsdb."matrix_{task}"') == [(n_rows,)]
        for name, votes in registered:
            assert rows(f'SELECT count("{name}") FROM wsdb."matrix_{task}"') == [(votes,)], f"votes of {name}"
        assert f"label_matrix_{task}" in views
        assert f"label_matrix_rows_{task}" in macros

    # Labels.
    runs = {task.lower(): (run, n) for task, run, n in rows("SELECT task, run, n_rows FROM wsdb.label_runs")}
    assert set(runs) <= set(matrices), "labels without a matrix"
    assert {view.removeprefix("labels_") for view in views if view.startswith("labels_")} == set(runs)
    for task, (run, _) in runs.items():
        parameters = rows(f"SELECT DISTINCT run, lf FROM wsdb.label_parameters WHERE lower(task) = '{task}'")
        assert {number for number, _ in parameters} <= {run}
        columns = names(f"SELECT column_name FROM wsdb.matrix_columns WHERE lower(task) = '{task}'")
        assert {lf for _, lf in parameters} <= columns, f"parameters of task {task} are of other columns"
        assert rows(f'SELECT count(*) FROM wsdb."labels_{task}"') == [(matrices[task],)]

    # Models.
    versions = rows("SELECT model, version, manifest, bytes, tasks FROM wsdb.model_versions")
    assert rows("SELECT count(*) FROM wsdb.tensors") == [(len(versions),)]
    assert names("SELECT lower(model) FROM wsdb.training") <= {model.lower() for model, *_ in versions}
    for model, version, manifest, size, tasks in versions:
        assert ("model", model.lower()) in known
        ((weights,),) = rows(f"SELECT bytes FROM wsdb.tensors WHERE model = '{model}' AND version = {version}")
        assert len(weights) == size
        assert list(Predictor.load(json.loads(manifest), weights).tasks) == tasks
        assert {f"predict_{model}".lower(), f"predict_{model}@{version}".lower()} <= macros
    assert {name for kind, name in known if kind == "model"} == {model.lower() for model, *_ in versions}
    for task, model, version in rows("SELECT lower(task), model, version FROM wsdb.serving"):
        assert ("task", task) in known
        assert (model, version) in {(name, number) for name, number, *_ in versions}
        assert f"predict_{task}" in macros
    for macro in macros:
        if macro.startswith("predict_"):
            name = macro.removeprefix("predict_").partition("@")[0]
            assert ("model", name) in known or ("task", name) in known, f"macro {macro} of nothing"

    for view in sorted(views):
        con.execute(f'SELECT * FROM wsdb."{view}"').fetchall()
    assert db.execute("SHOW TASKS; SELECT count(*) FROM wsdb_objects()").fetchall() == [(len(objects),)]


def state(db: wsdb.Session, *, steady: bool = False) -> dict[str, Any]:
    """Return everything in schema wsdb: rows of its tables, text of its views and macros.

    Parameters
    ----------
    steady : leave out what differs from one run of a statement to the next: times and numbers of versions
    """
    con = db.connection
    found: dict[str, Any] = {}
    for (table,) in con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'wsdb' AND NOT temporary ORDER BY ALL"
    ).fetchall():
        relation = con.sql(f'FROM wsdb."{table}"')
        columns = [name for name in relation.columns if not (steady and name in UNSTEADY)]
        if steady and table in ("object_versions", "training", "tensors", "lineage_edges"):
            continue
        if steady and table in ("model_versions", "label_runs"):
            columns = [name for name in columns if name not in ("manifest", "fit", "valid_loss")]
        picked = ", ".join(f'"{name}"' for name in columns)
        rows = list(map(repr, con.execute(f'SELECT {picked} FROM wsdb."{table}"').fetchall()))
        found[table] = sorted(set(rows) if steady else rows)
    queries = {
        "views": "SELECT view_name, sql FROM duckdb_views() WHERE schema_name = 'wsdb' ORDER BY ALL",
        "macros": "SELECT function_name, macro_definition FROM duckdb_functions() WHERE schema_name = 'wsdb' "
        "ORDER BY ALL",
    }
    for what, query in queries.items():
        rows = con.execute(query).fetchall()
        found[what] = [name for name, _ in rows if not (steady and "@" in name)] if steady else rows
    return found
