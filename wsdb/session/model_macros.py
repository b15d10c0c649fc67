"""The macros behind predict and the reports on models: one set for each name that a model answers to.

    predict_<name>(tbl)    the input and its predictions; a model's ancillary tasks are left out
    outputs_<name>(tbl)    the same with all tasks, which is what reports read
    scored_<name>()        predictions next to gold, over a relation p: see `wsdb.monitor.scored`
    inputs_<name>(tbl)     the input with __key, __model and __input, which the functions that explain rows read
    segments_<name>(kind)  members of slices, tags or sources, over a relation r

A model answers to its name and to ``name@version``. The tasks it serves answer to theirs, with the versions of the
model that serves them now; a model that has a task's name goes before the task.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.sqltext import AT
from wsdb.core.task import Task
from wsdb.labelmodel.spans import tag_set
from wsdb.monitor.scored import ScoredTask, scored_select
from wsdb.serve.macros import ServedTask, inputs_macro, predict_macro
from wsdb.session import segments
from wsdb.session.rooms import Rooms
from wsdb.session.stored import macro
from wsdb.session.training_rows import on_elements, row_keys


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


def serve_tasks(rooms: Rooms, tasks: Sequence[Task], models: Sequence[str | None], snapshot: CatalogSnapshot) -> None:
    """Let the versions of a model answer to the name of each task, the newest without a version; None for no model."""
    served = [
        (task, model)
        for task, model in zip(tasks, models, strict=True)
        if model is None or snapshot.find("model", task.name) is None
    ]
    drop(rooms, [task.name for task, _ in served])
    for task, model in served:
        if model is not None:
            _serve(rooms, task, model)


def _serve(rooms: Rooms, task: Task, model: str) -> None:
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


def serve_again(rooms: Rooms, tasks: Sequence[Task], snapshot: CatalogSnapshot) -> None:
    """After their model was dropped, let the newest remaining model serve each of some tasks, or none."""
    serving = [rooms.catalog.serve_task(task.name) for task in tasks]
    serve_tasks(rooms, tasks, [None if one is None else one[0] for one in serving], snapshot)


def drop(rooms: Rooms, names: Sequence[str]) -> None:
    """Remove the macros of the names of models or tasks, all versions of them."""
    if not names:
        return
    any_of = "|".join(_escaped(name.lower()) for name in names)
    found = rooms.engine.rows(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE schema_name = 'wsdb' AND database_name = ? "
        "AND regexp_matches(lower(function_name), ?)",
        [rooms.engine.database, rf"^(predict|outputs|scored|inputs|segments)_({any_of})(@\d+)?$"],
    )
    for (function,) in found:
        rooms.engine.run(f"DROP MACRO TABLE {rooms.engine.table(function)}")


def _store(rooms: Rooms, name: str, key: str, features: Sequence[str], answers: Sequence[tuple[int, Task]]) -> None:
    """Write the macros of one name; `answers` gives each task's place in the network's answer."""
    snapshot = rooms.catalog.definitions()
    tasks = [task for _, task in answers]
    served = [(place, task) for place, task in answers if task.role != "ancillary" or len(answers) == 1]
    for what, own in (("predict", served or answers), ("outputs", answers)):
        columns = [served_task(task, place, snapshot) for place, task in own]
        _plain_macro(rooms, f"{what}_{name}", predict_macro(key, features, columns))
    _plain_macro(rooms, f"inputs_{name}", inputs_macro(key, features, row_keys(tasks[0])))
    macro(rooms, f"scored_{name}", (), scored_select(scored_tasks(tasks, snapshot)))
    model = snapshot.find("model", key.rpartition("@")[0])
    reach = segments.reach(snapshot, tasks, snapshot.model(model.name).source if model is not None else None)
    segments.store_reaches(rooms, snapshot, [reach])
    members = f"""'FROM {AT}wsdb."' || @kind@ || '{segments.members_name("", reach)}"(home := ''{AT}'')'"""
    macro(rooms, f"segments_{name}", ("kind",), f"FROM query({members})")


def _plain_macro(rooms: Rooms, name: str, select: str) -> None:
    """Write a macro over the relation ``tbl``, which is bound where it is called."""
    rooms.engine.run(f"CREATE OR REPLACE MACRO {rooms.engine.table(name)}(tbl) AS TABLE {select}")


def scored_tasks(tasks: Sequence[Task], snapshot: CatalogSnapshot) -> list[ScoredTask]:
    """Return the tasks in the order in which they build on each other, as reports score them."""
    above = upstream(tasks, snapshot)
    order = sorted(tasks, key=lambda task: len(above[task.name.lower()]))
    of = {task.name.lower(): task.name for task in tasks}
    return [
        ScoredTask(
            task,
            elements=on_elements(task) and task.kind != "select",
            step=order.index(task),
            above=tuple(of[name] for name in sorted(above[task.name.lower()])),
            payload=task.payload if on_elements(task) else None,
            spans=on_elements(task) and task.kind == "multiclass" and tag_set(task.labels).bio,
        )
        for task in tasks
    ]


def upstream(tasks: Sequence[Task], snapshot: CatalogSnapshot) -> dict[str, set[str]]:
    """Return for each task, in lower case, the ones among `tasks` that it builds on, directly or through others.

    A task builds on those it DEPENDS ON, on those whose labels its own IMPLY in a task graph, and on those that say
    where it APPLIES. Of tasks that build on each other none does.
    """
    edges = {task.name.lower(): {name.lower() for name in task.depends_on} for task in tasks}
    for graph in snapshot.task_graphs():
        for rule in graph.rules:
            if rule.verb != "excludes" and rule.task.lower() in edges:
                edges[rule.task.lower()].add(rule.other.lower())
    found: dict[str, set[str]] = {}
    for name in edges:
        seen, rest = set(), [name]
        while rest:
            rest = [other for one in rest for other in edges[one] if other in edges and other not in seen]
            seen |= set(rest)
        found[name] = seen
    return {name: {other for other in seen if name not in found[other]} for name, seen in found.items()}


def served_task(task: Task, place: int, snapshot: CatalogSnapshot) -> ServedTask:
    """Return how a task's part of the network's answer becomes columns."""
    column = snapshot.payload(task.payload).columns[0] if task.payload is not None and on_elements(task) else None
    return ServedTask(task.name, place, task.kind, column)


def _escaped(name: str) -> str:
    return "".join(char if char.isalnum() or char == "_" else f"\\{char}" for char in name)
