"""CREATE (all but MODEL), DROP, COMMENT ON and SET: definitions change, nothing is computed."""

from __future__ import annotations

from dataclasses import replace

from wsdb.catalog.snapshot import Entry
from wsdb.core.errors import CatalogError, DataError, SpecError, did_you_mean
from wsdb.core.lf import LabelingFunction, Python, Select, Votes
from wsdb.core.specs import FeatureSet, LabelModelSpec
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import SPLITS, Task
from wsdb.monitor.rows import rows_select
from wsdb.parser.statements import (
    CommentOn,
    Create,
    CreateFeatureSet,
    CreateLabelingFunction,
    CreateLabelModel,
    CreateTask,
    Drop,
    SetOption,
)
from wsdb.planner.steps import Define, Step
from wsdb.session import model_macros, run_labels
from wsdb.session.rooms import Rooms

TASK_VIEWS = ("rows", "label_matrix", "label_votes", "labels", "majority", "training")
TASK_MACROS = ("label_matrix_rows", "lf_summary", "lf_errors", "label_model_report")


def created(rooms: Rooms, kind: str, name: str, done: str) -> None:
    """Say what CREATE did."""
    rooms.notice(f"{kind} {name}: {done}")


def create_task(stmt: CreateTask, rooms: Rooms) -> None:
    """Define a task after checking its relation, gold and names."""
    spec = rooms.engine.check_task(stmt.spec, stmt)
    check_gold(rooms, spec, stmt)
    check_split(rooms, spec, stmt)
    snapshot = rooms.catalog.definitions()
    model = snapshot.find("model", spec.name)
    if model is not None and spec.name not in [name for name, _ in snapshot.model(model.name).tasks]:
        raise SpecError(
            "WS318",
            f'there is a model "{model.name}" without this task',
            span=stmt.at("task"),
            hint="choose another name",
        )
    changed = snapshot.find("task", spec.name)
    parents = [("relation", spec.relation)] + ([("gold", spec.gold.relation)] if spec.gold else [])

    def work() -> None:
        done = rooms.catalog.put(
            spec,
            or_replace=stmt.or_replace,
            if_not_exists=stmt.if_not_exists,
            parents=parents,
            span=stmt.at("task"),
        )
        if done in ("created", "replaced"):
            run_labels.view(rooms, f"rows_{spec.name}", rows_select(spec))
            for lf in snapshot.lfs(spec.name) if changed else []:  # what voted before must still be able to
                rooms.engine.check_lf(lf, spec, stmt)
        created(rooms, "task", spec.name, done)

    run_labels.transact(rooms, work)


def check_gold(rooms: Rooms, task: Task, stmt: Create) -> None:
    """Raise where gold names a label the task does not have, or a key twice.

    Raises
    ------
    DataError
        WS403 unknown gold label; WS401 a key with two gold rows.
    """
    if task.gold is None:
        return
    label, relation = ident(task.gold.column), task.gold.relation
    rows = rooms.engine.rows(
        f"SELECT __label, count(*) FROM (SELECT CAST({label} AS VARCHAR) AS __label FROM {relation}) "
        "WHERE __label IS NOT NULL AND NOT list_contains(?, __label) "
        "GROUP BY __label ORDER BY count(*) DESC, __label LIMIT 1",
        [list(task.labels)],
    )
    if rows:
        found, count = rows[0]
        raise DataError(
            "WS403",
            f"gold of task \"{task.name}\" has the label '{found}' on {count:,} row{'s' * (count != 1)}; the task has "
            f"({', '.join(map(repr, task.labels[:8]))})",
            span=stmt.at("gold"),
            hint=did_you_mean(found, task.labels),
            count=count,
        )
    keys = idents(task.keys)
    twice = rooms.engine.rows(
        f"SELECT {keys}, count(*) FROM {relation} GROUP BY {keys} HAVING count(*) > 1 "
        f"ORDER BY count(*) DESC, {keys} LIMIT 3"
    )
    if twice:
        raise DataError(
            "WS401",
            f'gold of task "{task.name}" has several rows for one key: '
            + ", ".join(f"{', '.join(map(str, row[:-1]))} ({row[-1]} times)" for row in twice),
            span=stmt.at("gold"),
            hint="keep one gold row for each key",
        )


def check_split(rooms: Rooms, task: Task, stmt: Create) -> None:
    """Raise where SPLIT BY leaves no row to train on; say which of its values are no split.

    Raises
    ------
    SpecError
        WS304 where no row is in train.
    """
    if task.split is None or task.split.shares:
        return
    rows = rooms.engine.rows(
        f"SELECT split, count(*) FROM ({rows_select(replace(task, gold=None))}) GROUP BY split ORDER BY count(*) DESC"
    )
    if not rows:  # an empty relation may be filled later
        return
    other = [f"{name!r} ({n:,} row{'s' * (n != 1)})" for name, n in rows if name not in SPLITS]
    if "train" not in [name for name, _ in rows]:
        raise SpecError(
            "WS304",
            f"SPLIT BY {task.split.column} puts no row into train; its values are "
            + ", ".join(repr(name) for name, _ in rows[:5]),
            span=stmt.at("split column"),
            hint="splits are train, dev (or valid) and test; map the column in a view, or use SPLIT HASH",
        )
    if other:
        rooms.notice(f"task {task.name}: split values {', '.join(other[:5])} are not train, dev or test; in no split")


def create_labeling_function(stmt: CreateLabelingFunction, rooms: Rooms) -> None:
    """Define a labeling function after DuckDB has bound its body."""
    snapshot = rooms.catalog.definitions()
    task = snapshot.task(stmt.spec.task, stmt.at("task"))
    old = snapshot.find("labeling function", stmt.spec.name)
    if old is not None and old.spec.task.lower() != task.name.lower():  # type: ignore[union-attr]
        raise CatalogError(
            "WS202",
            f'labeling function "{old.name}" exists already, for task "{old.spec.task}"',  # type: ignore[union-attr]
            span=stmt.at("labeling function"),
            hint="choose another name, or DROP it first",
        )
    spec = rooms.engine.check_lf(replace(stmt.spec, task=task.name), task, stmt)
    parents = [("task", task.name)]
    if isinstance(spec.body, Votes):
        parents.append(("relation", spec.body.relation))
    elif isinstance(spec.body, Select):
        parents += [("relation", relation) for relation in rooms.engine.relations_of(spec.body.sql)]
    else:
        parents.append(("relation", task.relation))

    def work() -> None:
        done = rooms.catalog.put(
            spec,
            or_replace=stmt.or_replace,
            if_not_exists=stmt.if_not_exists,
            parents=parents,
            span=stmt.at("labeling function"),
        )
        if done == "replaced" or (done == "created" and not spec.enabled):
            run_labels.store_summary(rooms, task)
        created(rooms, "labeling function", spec.name, done)

    run_labels.transact(rooms, work)
    if isinstance(spec.body, Python):
        rooms.trusted_python.add(spec.name.lower())


def create_label_model(stmt: CreateLabelModel, rooms: Rooms) -> None:
    """Define the label model of a task; each task has one."""
    snapshot = rooms.catalog.definitions()
    task = snapshot.task(stmt.spec.task, stmt.at("task"))
    spec = replace(stmt.spec, task=task.name)
    for entry in snapshot.entries.values():
        other = entry.spec
        same = isinstance(other, LabelModelSpec) and other.task.lower() == task.name.lower()
        if same and entry.name.lower() != spec.name.lower():
            raise CatalogError(
                "WS203",
                f'task "{task.name}" has the label model "{entry.name}" already',
                span=stmt.at("label model"),
                hint=f"CREATE OR REPLACE LABEL MODEL {entry.name} …, or DROP LABEL MODEL {entry.name}",
            )

    def work() -> None:
        done = rooms.catalog.put(
            spec,
            or_replace=stmt.or_replace,
            if_not_exists=stmt.if_not_exists,
            parents=[("task", task.name)],
            span=stmt.at("label model"),
        )
        created(rooms, "label model", spec.name, done)

    run_labels.transact(rooms, work)


def create_feature_set(stmt: CreateFeatureSet, rooms: Rooms) -> None:
    """Define a feature set after checking its columns."""
    spec: FeatureSet = stmt.spec
    known = {name.lower(): name for name, _ in rooms.engine.columns(spec.relation, stmt, f'feature set "{spec.name}"')}
    for name in spec.columns:
        if name.lower() not in known:
            raise SpecError(
                "WS312",
                f'relation {spec.relation} has no column "{name}"',
                span=stmt.at_name("column", name),
                hint=did_you_mean(name, known.values()),
            )
    spec = replace(spec, columns=tuple(known[name.lower()] for name in spec.columns))

    def work() -> None:
        done = rooms.catalog.put(
            spec,
            or_replace=stmt.or_replace,
            if_not_exists=stmt.if_not_exists,
            parents=[("relation", spec.relation)],
            span=stmt.at("feature set"),
        )
        created(rooms, "feature set", spec.name, done)

    run_labels.transact(rooms, work)


def to_drop(stmt: Drop, rooms: Rooms) -> list[Entry]:
    """Return what DROP removes, dependents first; empty where IF EXISTS finds nothing.

    Raises
    ------
    CatalogError
        WS201 where it does not exist; WS205 where something is built on it and CASCADE is not said.
    """
    snapshot = rooms.catalog.definitions()
    if stmt.if_exists and snapshot.find(stmt.kind, stmt.name) is None:
        return []
    entry = snapshot.entry(stmt.kind, stmt.name, stmt.at(stmt.kind))
    dependents = snapshot.dependents(stmt.kind, stmt.name)
    if dependents and not stmt.cascade:
        names = ", ".join(f"{other.kind} {other.name}" for other in dependents)
        raise CatalogError(
            "WS205",
            f'{stmt.kind} "{entry.name}" is used by {names}',
            span=stmt.at(stmt.kind),
            hint="DROP … CASCADE removes those too",
        )
    return [*dependents, entry]


def drop(stmt: Drop, rooms: Rooms) -> None:
    """Remove an object, and with CASCADE what is built on it."""
    doomed = to_drop(stmt, rooms)
    if not doomed:
        rooms.notice(f"{stmt.kind} {stmt.name} does not exist, skipped")
        return

    def work() -> None:
        touched: set[str] = set()
        for entry in doomed:
            rooms.catalog.drop(entry.kind, entry.name)
            if entry.kind == "task":
                drop_task_state(rooms, entry.name)
            if isinstance(entry.spec, LabelingFunction):
                rooms.trusted_python.discard(entry.name.lower())
                touched.add(entry.spec.task)
            rooms.notice(f"{entry.kind} {entry.name}: dropped")
        snapshot = rooms.catalog.definitions()
        for name in touched:
            if snapshot.find("task", name) is not None:
                run_labels.store_summary(rooms, snapshot.task(name))
        for entry in doomed:
            if entry.kind == "model":
                model_macros.drop(rooms, entry.name)
                for name, _ in entry.spec.tasks:  # type: ignore[union-attr]
                    if snapshot.find("task", name) is not None:
                        model_macros.serve_again(rooms, snapshot.task(name), snapshot)

    run_labels.transact(rooms, work)


def drop_task_state(rooms: Rooms, name: str) -> None:
    """Remove the label matrix, views and macros of a task."""
    for view in TASK_VIEWS:
        rooms.engine.run(f"DROP VIEW IF EXISTS {rooms.engine.table(f'{view}_{name}')}")
    for macro in TASK_MACROS:
        rooms.engine.run(f"DROP MACRO TABLE IF EXISTS {rooms.engine.table(f'{macro}_{name}')}")
    rooms.engine.run(f"DROP TABLE IF EXISTS {rooms.engine.table(f'matrix_{name}')}")
    model_macros.drop(rooms, name)


def comment_on(stmt: CommentOn, rooms: Rooms) -> None:
    """Set an object's comment."""
    entry = rooms.catalog.definitions().entry(stmt.kind, stmt.name, stmt.at(stmt.kind))
    run_labels.transact(rooms, lambda: rooms.catalog.comment(entry.kind, entry.name, stmt.text))
    rooms.notice(f"{entry.kind} {entry.name}: commented")


def set_option(stmt: SetOption, rooms: Rooms) -> None:
    """Change a setting of the session; RESET brings its default back."""
    rooms.settings.auto_refresh = True if stmt.value is None else bool(stmt.value)


def plan_define(stmt: Create | Drop | CommentOn, rooms: Rooms) -> Step:
    """Return the step of a statement that only changes definitions, after its checks."""
    if isinstance(stmt, Drop):
        doomed = to_drop(stmt, rooms)
        return Define("drop", stmt.kind, tuple(f"{entry.kind} {entry.name}" for entry in doomed))
    if isinstance(stmt, CommentOn):
        entry = rooms.catalog.definitions().entry(stmt.kind, stmt.name, stmt.at(stmt.kind))
        return Define("comment", entry.kind, (entry.name,))
    if isinstance(stmt, CreateTask):
        spec = rooms.engine.check_task(stmt.spec, stmt)
        check_gold(rooms, spec, stmt)
        check_split(rooms, spec, stmt)
    if isinstance(stmt, CreateLabelingFunction):
        task = rooms.catalog.definitions().task(stmt.spec.task, stmt.at("task"))
        rooms.engine.check_lf(stmt.spec, task, stmt)
    kinds = {
        CreateTask: "task",
        CreateLabelingFunction: "labeling function",
        CreateLabelModel: "label model",
        CreateFeatureSet: "feature set",
    }
    return Define("create", kinds[type(stmt)], (stmt.spec.name,))  # type: ignore[attr-defined]
