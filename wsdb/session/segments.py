"""Which slices, tags and sources the reports on a model tell apart, and the macros that give their members."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.payload import element_keys
from wsdb.core.slice import elements_of
from wsdb.core.specs import ModelSpec
from wsdb.core.sqltext import AT, bare, ident
from wsdb.core.task import Task
from wsdb.monitor.bodies import MEMBERS
from wsdb.monitor.members import Group, members_select
from wsdb.session.rooms import Rooms
from wsdb.session.stored import macro
from wsdb.session.training_rows import on_elements, row_keys


@dataclass(frozen=True, slots=True)
class Reach:
    """What a report's rows are rows of: groups of these relations count, where the keys are among these.

    Attributes
    ----------
    relations, keys : in lower case, sorted
    payloads : the names of those whose elements tasks label: groups of these count too
    """

    relations: tuple[str, ...]
    keys: tuple[str, ...]
    payloads: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """A short text that no other reach has."""
        return hashlib.sha256(repr((self.relations, self.keys, self.payloads)).encode()).hexdigest()[:12]


def reach(snapshot: CatalogSnapshot, tasks: Sequence[Task], source: str | None) -> Reach:
    """Return the reach of a model's tasks; `source` is the relation it is trained on."""
    relations = {bare(source)} if source is not None else set()
    keys: set[str] = set()
    payloads: set[str] = set()
    for task in tasks:
        relations.add(bare(task.relation))
        if task.payload is not None:
            relations.add(bare(snapshot.payload(task.payload).relation))
        if task.payload is not None and on_elements(task):
            payloads.add(task.payload)
        keys |= {key.lower() for key in row_keys(task)}
    views = {bare(one.name) for one in snapshot.payloads() if bare(one.relation) in relations}
    return Reach(tuple(sorted(relations | views)), tuple(sorted(keys)), tuple(sorted(payloads)))


def groups(snapshot: CatalogSnapshot, kind: str, found: Reach) -> list[Group]:
    """Return the slices, tags or sources within a reach; the tags of a source are tags of its rows."""
    every: list[Group] = []
    if kind in ("slice", "tag"):
        for part in snapshot.slices() if kind == "slice" else snapshot.tags():
            payload = None
            if not {key.lower() for key in part.keys} <= set(found.keys):
                payload = elements_of(part, [snapshot.payload(name) for name in found.payloads])
                if payload is None:
                    continue
            if bare(part.relation) in found.relations:
                relation = f"wsdb.{ident(part.stored)}" if part.is_query else part.relation
                condition = None if part.is_query else part.sql
                of = (part.keys, None) if payload is None else (element_keys(payload), payload.name)
                every.append(Group(part.name, of[0], relation, condition, of[1]))
    for source in snapshot.sources() if kind != "slice" else ():
        if bare(source.relation) in found.relations:
            names = [source.name] if kind == "source" else source.tags
            every += [Group(name, found.keys, f"wsdb.{ident(source.stored)}") for name in names]
    return every


def store_members(rooms: Rooms) -> None:
    """Write the macros that give members, of every model: after a slice, tag or source has come, changed or gone."""
    snapshot = rooms.catalog.definitions()
    found: set[Reach] = set()
    for name in snapshot.names("model"):
        spec = snapshot.model(name)
        tasks = _tasks(snapshot, spec)
        found.add(reach(snapshot, tasks, spec.source))
        found |= {reach(snapshot, [task], spec.source) for task in tasks}
    store_reaches(rooms, snapshot, found)


def store_reaches(rooms: Rooms, snapshot: CatalogSnapshot, found: Iterable[Reach]) -> None:
    """Write the macros that give the members within each reach: one each for slices, tags and sources."""
    qualified = partial(rooms.engine.qualified, before=AT)
    for one in found:
        for kind in MEMBERS:
            macro(rooms, members_name(kind, one), (), members_select(groups(snapshot, kind, one), qualified))


def drop_unread_members(rooms: Rooms) -> None:
    """Remove the macros that give members which no model's macros call: after a model has gone."""
    own = "SELECT function_name AS name, macro_definition AS body FROM duckdb_functions() WHERE schema_name = 'wsdb' "
    found = rooms.engine.rows(
        f"WITH f AS ({own} AND database_name = ?), m AS (SELECT name, regexp_extract(name, ?, 1) AS mark FROM f) "
        "SELECT name FROM m WHERE mark <> '' AND NOT EXISTS "
        "(FROM f WHERE starts_with(f.name, 'segments_') AND contains(f.body, '_members_' || m.mark))",
        [rooms.engine.database, f"^(?:{'|'.join(MEMBERS)})_members_([0-9a-f]{{12}})$"],
    )
    for (name,) in found:
        rooms.engine.run(f"DROP MACRO TABLE {rooms.engine.table(name)}")


def members_name(kind: str, found: Reach) -> str:
    """Return the name of a macro that gives members."""
    return f"{kind}_members_{found.mark}"


def of_name(snapshot: CatalogSnapshot, name: str) -> Reach:
    """Return the reach of what a name stands for: a model's, with or without a version, or a task's."""
    plain = name.partition("@")[0].lower()
    if snapshot.find("model", plain) is not None:
        spec = snapshot.model(plain)
        return reach(snapshot, _tasks(snapshot, spec), spec.source)
    return reach(snapshot, [snapshot.task(plain)], snapshot.model(snapshot.serving[plain][0]).source)


def _tasks(snapshot: CatalogSnapshot, spec: ModelSpec) -> list[Task]:
    return [snapshot.task(name) for name, _ in spec.tasks if snapshot.find("task", name) is not None]
