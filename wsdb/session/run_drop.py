"""DROP, ALTER, COMMENT ON and SET: objects go or change, with what was derived from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wsdb.catalog.snapshot import CatalogSnapshot, Entry
from wsdb.core.constraint import Constraint
from wsdb.core.embedding import Embedding
from wsdb.core.errors import CatalogError
from wsdb.core.lf import Expression, LabelingFunction, Select, VoteTogether, VoteWhen
from wsdb.core.payload import Payload, Primitive, primitives_of
from wsdb.core.slice import Slice
from wsdb.core.source import Source
from wsdb.core.sqltext import bare, ident
from wsdb.core.task import Task
from wsdb.parser.statements import Alter, CommentOn, Drop, SetOption
from wsdb.planner.steps import Define, Step
from wsdb.session import model_macros, run_labels, run_objects, run_rows, run_stats
from wsdb.session.more_rows import augmented
from wsdb.session.rooms import Rooms
from wsdb.session.run_matrix import store_summary
from wsdb.session.segments import drop_unread_members, store_members
from wsdb.session.stored import rows_view

TASK_VIEWS = ("rows", "label_matrix", "label_votes", "labels", "training")
TASK_MACROS = ("label_matrix_rows", "label_spans", "lf_summary", *run_stats.MACROS)
TASK_TABLES = (
    "matrix",
    "patterns",
    "changes",
    "votes",
    "sources",
    "scores_labels",
    "scores_training",
    "posterior",
    "confidence",
    "sets",
)


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
    if isinstance(entry.spec, Primitive):
        dependents += readers(entry.spec, rooms, snapshot)
    if isinstance(entry.spec, Payload):
        groups = groups_on(entry.spec, snapshot)
        users = [user for group in groups for user in (*snapshot.dependents(group.kind, group.name), group)]
        dependents = list({(one.kind, one.name): one for one in (*users, *dependents)}.values())
    if dependents and not stmt.cascade:
        names = ", ".join(f"{other.kind} {other.name}" for other in dependents)
        raise CatalogError(
            "WS205",
            f'{stmt.kind} "{entry.name}" is used by {names}',
            span=stmt.at(stmt.kind),
            hint="DROP … CASCADE removes those too",
        )
    return [*dependents, entry]


def groups_on(payload: Payload, snapshot: CatalogSnapshot) -> list[Entry]:
    """Return the slices and tags on the view of a payload."""
    return [
        entry
        for entry in snapshot.entries.values()
        if isinstance(entry.spec, Slice) and bare(entry.spec.relation) == bare(payload.name)
    ]


def readers(primitive: Primitive, rooms: Rooms, snapshot: CatalogSnapshot) -> list[Entry]:
    """Return the labeling functions that read a primitive, which their text alone tells."""
    found = []
    for entry in snapshot.entries.values():
        match entry.spec:
            case LabelingFunction(body=VoteWhen(_, sql) | VoteTogether(_, sql) | Expression(sql)):
                query, row = f"SELECT (\n{sql}\n)", True
            case LabelingFunction(body=Select(sql)):
                query, row = sql, False
            case _:
                continue
        own = entry.spec.of_task(entry.spec.task)
        views = {name.replace('"', "").rpartition(".")[2].lower() for name in rooms.engine.relations_of(query)}
        if primitive.name.lower() in views or (row and primitives_of(own, [primitive])):
            found.append(entry)
    return found


def drop(stmt: Drop, rooms: Rooms) -> None:
    """Remove an object, and with CASCADE what is built on it."""
    doomed = to_drop(stmt, rooms)
    if not doomed:
        rooms.notice(f"{stmt.kind} {stmt.name} does not exist, skipped")
        return

    def work() -> None:
        touched: set[str] = set()
        served = _tasks_of(rooms, [entry.name for entry in doomed if entry.kind == "model"])
        for entry in doomed:
            rooms.catalog.drop(entry.kind, entry.name)
            if entry.kind == "task":
                drop_task_state(rooms, entry.name)
            if isinstance(entry.spec, Payload | Primitive):
                drop_view(rooms, entry.name)
            if isinstance(entry.spec, Slice | Source | Constraint | Embedding):
                drop_stored(rooms, entry.spec)
            if isinstance(entry.spec, LabelingFunction):
                rooms.trusted_python.discard(entry.name.lower())
                touched.update(entry.spec.tasks)
            rooms.notice(f"{entry.kind} {entry.name}: dropped")
        if any(isinstance(entry.spec, Slice | Source) for entry in doomed):
            store_members(rooms)
        snapshot = rooms.catalog.definitions()
        for name in touched:
            if snapshot.find("task", name) is not None:
                store_summary(rooms, snapshot.task(name))
        for entry in doomed:
            if entry.kind == "model":
                rooms.engine.run(f"DROP VIEW IF EXISTS {rooms.engine.table(augmented(entry.name))}")
        model_macros.drop(rooms, [entry.name for entry in doomed if entry.kind in ("model", "task")])
        model_macros.serve_again(rooms, [task for task in snapshot.tasks() if task.name.lower() in served], snapshot)
        if any(entry.kind in ("model", "task") for entry in doomed):
            drop_unread_members(rooms)

    run_labels.transact(rooms, work)


def _tasks_of(rooms: Rooms, models: Sequence[str]) -> set[str]:
    """Return the tasks, in lower case, that any version of some models has."""
    rows = rooms.engine.rows(
        f"SELECT DISTINCT lower(unnest(tasks)) FROM {rooms.engine.table('model_versions')} "
        "WHERE list_contains(?, lower(model))",
        [[name.lower() for name in models]],
    )
    return {name for (name,) in rows}


def drop_task_state(rooms: Rooms, name: str) -> None:
    """Remove the label matrix, views, macros and tables of a task."""
    for kind, names in (("VIEW", TASK_VIEWS), ("MACRO TABLE", TASK_MACROS), ("TABLE", TASK_TABLES)):
        for part in names:
            rooms.engine.run(f"DROP {kind} IF EXISTS {rooms.engine.table(f'{part}_{name}')}")


def drop_view(rooms: Rooms, name: str) -> None:
    """Remove the view of a payload or primitive, and a primitive's table."""
    with rooms.engine.at_home():
        rooms.engine.run(f"DROP VIEW IF EXISTS {ident(name)}")
    rooms.engine.run(f"DROP TABLE IF EXISTS {rooms.engine.table(f'primitive_{name}')}")


def drop_stored(rooms: Rooms, spec: Slice | Source | Constraint | Embedding) -> None:
    """Remove the view or table of an object."""
    kind = "VIEW" if isinstance(spec, Slice | Source) else "TABLE"
    rooms.engine.run(f"DROP {kind} IF EXISTS {rooms.engine.table(spec.stored)}")


def alter(stmt: Alter, rooms: Rooms) -> None:
    """Turn a labeling function on or off, or rename an object.

    Raises
    ------
    CatalogError
        WS201 where it does not exist, WS202 where the new name is taken; WS205 for a payload that has slices or tags.
    """
    snapshot = rooms.catalog.definitions()
    entry = snapshot.entry(stmt.kind, stmt.name, stmt.at(stmt.kind))
    groups = groups_on(entry.spec, snapshot) if isinstance(entry.spec, Payload) and stmt.action == "rename" else []
    if groups:
        raise CatalogError(
            "WS205",
            f'payload "{entry.name}" is used by {", ".join(f"{one.kind} {one.name}" for one in groups)}',
            span=stmt.at(stmt.kind),
            hint="their text names its view: drop them, and create them on the new name",
        )

    def work() -> None:
        if stmt.action == "rename":
            assert stmt.new_name is not None
            rooms.catalog.rename(entry.kind, entry.name, stmt.new_name, stmt.at("new name"))
            rename_stored(rooms, entry, stmt.new_name)
            rooms.notice(f"{entry.kind} {entry.name}: renamed to {stmt.new_name}")
        else:
            assert isinstance(entry.spec, LabelingFunction)
            rooms.catalog.alter(entry, replace(entry.spec, enabled=stmt.action == "enable"))
            rooms.notice(f"{entry.kind} {entry.name}: {stmt.action}d")
        tasks = entry.spec.tasks if isinstance(entry.spec, LabelingFunction) else ()
        for name in tasks:
            store_summary(rooms, rooms.catalog.definitions().task(name))

    run_labels.transact(rooms, work)


def rename_stored(rooms: Rooms, entry: Entry, new_name: str) -> None:
    """Give the view or table of an object its new name, and tell it to what reads it."""
    spec = entry.spec
    if isinstance(spec, Slice | Source):
        drop_stored(rooms, spec)
        run_rows.view_rows(rooms, replace(spec, name=new_name))
        store_members(rooms)
    if isinstance(spec, Constraint | Embedding):
        old, new = rooms.engine.table(spec.stored), rooms.engine.table(replace(spec, name=new_name).stored)
        if old.lower() != new.lower():
            rooms.engine.run(f"CREATE TABLE {new} AS FROM {old}")
            drop_stored(rooms, spec)
    if isinstance(spec, Embedding | Primitive):
        rooms.catalog.rename_record(entry.kind, spec.name, new_name)
    if not isinstance(entry.spec, Payload | Primitive):
        return
    if isinstance(entry.spec, Primitive):
        old = rooms.engine.table(f"primitive_{entry.name}")
        rooms.engine.run(f"CREATE TABLE {rooms.engine.table(f'primitive_{new_name}')} AS FROM {old}")
    drop_view(rooms, entry.name)
    run_objects.create_view(rooms, replace(entry.spec, name=new_name))
    snapshot = rooms.catalog.definitions()
    for other in snapshot.entries.values() if isinstance(entry.spec, Payload) else ():
        if isinstance(other.spec, Task) and (other.spec.payload or "").lower() == new_name.lower():
            rows_view(rooms, snapshot.task(other.name))


def comment_on(stmt: CommentOn, rooms: Rooms) -> None:
    """Set an object's comment."""
    entry = rooms.catalog.definitions().entry(stmt.kind, stmt.name, stmt.at(stmt.kind))
    run_labels.transact(rooms, lambda: rooms.catalog.comment(entry.kind, entry.name, stmt.text))
    rooms.notice(f"{entry.kind} {entry.name}: commented")


def set_option(stmt: SetOption, rooms: Rooms) -> None:
    """Change a setting of the session; RESET brings its default back."""
    rooms.settings.auto_refresh = True if stmt.value is None else bool(stmt.value)


def plan_drop(stmt: Drop | CommentOn | Alter, rooms: Rooms) -> Step:
    """Return the step of a statement that removes an object or changes what is said of it, after its checks."""
    if isinstance(stmt, Drop):
        doomed = to_drop(stmt, rooms)
        return Define("drop", stmt.kind, tuple(f"{entry.kind} {entry.name}" for entry in doomed))
    entry = rooms.catalog.definitions().entry(stmt.kind, stmt.name, stmt.at(stmt.kind))
    return Define(stmt.action if isinstance(stmt, Alter) else "comment", entry.kind, (entry.name,))
