"""The macros behind predict, evaluate and confusion_matrix: one set for each name that a model answers to.

A model answers to its name and to ``name@version``. The tasks it serves answer to theirs, with the versions of the
model that serves them now; a model that has a task's name goes before the task.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.sqltext import ident
from wsdb.core.task import Task
from wsdb.monitor.model_report import confusion_macro, evaluate_macro
from wsdb.serve.macros import predict_macro
from wsdb.session.rooms import Rooms
from wsdb.session.stored import macro


def key_of(model: str, version: int, sha256: str) -> str:
    """Return the text by which the predict function finds a model version, whatever was stored under it before."""
    return f"{model}@{version}#{sha256[:16]}"


def store_model(
    rooms: Rooms, model: str, version: int, key: str, features: Sequence[str], tasks: Sequence[Task]
) -> None:
    """Write the macros of a model's name and of this version of it."""
    every = list(enumerate(tasks))
    for name in (model, f"{model}@{version}"):
        _store(rooms, name, key, features, every)


def serve_task(rooms: Rooms, task: Task, model: str, snapshot: CatalogSnapshot) -> None:
    """Let the versions of a model answer to a task's name, the newest without a version."""
    if snapshot.find("model", task.name) is not None:
        return
    drop(rooms, task.name)
    rows = rooms.engine.rows(
        f"SELECT version, tasks, features, manifest FROM {rooms.engine.table('model_versions')} "
        "WHERE lower(model) = ? ORDER BY version",
        [model.lower()],
    )
    for version, names, features, manifest in rows:
        place = next((at for at, name in enumerate(names) if name.lower() == task.name.lower()), None)
        if place is not None:
            key = key_of(model, version, json.loads(manifest)["weights_sha256"])
            for name in (task.name, f"{task.name}@{version}"):
                _store(rooms, name, key, features, [(place, task)])


def serve_again(rooms: Rooms, task: Task, snapshot: CatalogSnapshot) -> None:
    """After its model was dropped, let the newest remaining model serve a task, or none."""
    serving = rooms.catalog.serve_task(task.name)
    if serving is None:
        drop(rooms, task.name)
    else:
        serve_task(rooms, task, serving[0], snapshot)


def drop(rooms: Rooms, name: str) -> None:
    """Remove the macros of a model's or task's name, all versions of them."""
    found = rooms.engine.rows(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE schema_name = 'wsdb' AND database_name = ? "
        "AND regexp_matches(lower(function_name), ?)",
        [rooms.engine.database, rf"^(predict|evaluate|confusion_matrix)_{_escaped(name.lower())}(@\d+)?$"],
    )
    for (function,) in found:
        rooms.engine.run(f"DROP MACRO TABLE {rooms.engine.table(function)}")


def _store(rooms: Rooms, name: str, key: str, features: Sequence[str], served: Sequence[tuple[int, Task]]) -> None:
    """Write the three macros of one name; `served` gives each task's place in the network's answer."""
    places = [(task.name, place) for place, task in served]
    tasks = [task for _, task in served]
    predict = f"wsdb.{ident(f'predict_{name}')}"
    rooms.engine.run(
        f"CREATE OR REPLACE MACRO {rooms.engine.table(f'predict_{name}')}(tbl) AS TABLE "
        + predict_macro(key, features, places)
    )
    macro(rooms, f"evaluate_{name}", ("tbl", "by_what"), evaluate_macro(predict, tasks))
    macro(rooms, f"confusion_matrix_{name}", ("tbl",), confusion_macro(predict, tasks))


def _escaped(name: str) -> str:
    return "".join(char if char.isalnum() or char == "_" else f"\\{char}" for char in name)
