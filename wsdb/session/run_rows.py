"""CREATE SLICE, TAG, SOURCE and TRANSFORMATION FUNCTION: groups of rows, and more rows to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import SpecError, did_you_mean
from wsdb.core.payload import element_keys, element_task
from wsdb.core.slice import Slice, members_select
from wsdb.core.source import Source, source_select
from wsdb.core.sqltext import bare
from wsdb.core.task import Task
from wsdb.core.transformation import TransformationFunction
from wsdb.parser.kinds import PLAIN_NAME
from wsdb.parser.statements import (
    KINDS,
    CreateSlice,
    CreateSource,
    CreateTag,
    CreateTransformationFunction,
    Statement,
)
from wsdb.session.define import MADE, define
from wsdb.session.rooms import Rooms
from wsdb.session.run_objects import row_key
from wsdb.session.segments import store_members
from wsdb.session.stored import view

Columns = Sequence[tuple[str, str]]


def create_slice(stmt: CreateSlice | CreateTag, rooms: Rooms) -> None:
    """Define a slice or tag after DuckDB has bound its condition or query, and make the view of its members."""
    spec = checked_group(stmt, rooms, rooms.catalog.definitions())

    def then(done: str) -> None:
        if done in MADE:
            view_rows(rooms, spec)
        store_members(rooms)

    define(rooms, stmt, spec, parents=group_parents(spec, rooms), then=then)


def group_parents(spec: Slice, rooms: Rooms) -> list[tuple[str, str]]:
    """Return (kind, name) of the relations that a slice or tag is made from."""
    read = rooms.engine.relations_of(spec.sql) if spec.is_query else (spec.relation,)
    return [("relation", name) for name in read]


def view_rows(rooms: Rooms, spec: Slice | Source) -> None:
    """Write the view of a slice, tag or source."""
    if isinstance(spec, Slice):
        columns = rooms.engine.describe(spec.sql, None, spec.name) if spec.is_query else []
        select = members_select(spec, tuple(name for name, _ in columns))
        view(rooms, spec.stored, rooms.engine.qualified(select))
        return
    given = rooms.engine.describe(spec.sql, None, spec.name)
    columns = rooms.engine.columns(spec.relation)
    labels = label_columns(rooms.catalog.definitions(), spec, given, columns)
    select = source_select(spec, [name for name, _ in given], columns, [(task.name, kind) for task, kind in labels])
    view(rooms, spec.stored, rooms.engine.qualified(select))


def checked_group(stmt: CreateSlice | CreateTag, rooms: Rooms, snapshot: CatalogSnapshot) -> Slice:
    """Return a slice or tag with its key, after DuckDB has bound its text.

    Raises
    ------
    SpecError
        WS309 where DuckDB refuses the text; WS312 a key column that the relation does not have; WS344 no key, a
        condition that is none, or a SELECT that does not return the key.
    """
    spec, kind = stmt.spec, KINDS[type(stmt.spec)]
    what, body = f'{kind} "{spec.name}"', stmt.at("body")
    types = dict(rooms.engine.columns(spec.relation, stmt, what))
    spec = replace(spec, keys=group_keys(rooms, spec, snapshot, types, stmt))
    if not spec.is_query:
        relation = f"SELECT (\n{spec.sql}\n) AS member FROM {spec.relation}"
        ((_, found),) = rooms.engine.bind(relation, body, what)
        if found not in ("BOOLEAN", '"NULL"'):
            raise SpecError("WS344", f"{what} needs a condition, this is {found}", span=body, hint="compare it: … > 0")
        return spec
    given = rooms.engine.describe(spec.sql, body, what)
    names = [name for name, _ in given]
    if len(names) < len(spec.keys):
        raise SpecError(
            "WS344",
            f"{what} returns ({', '.join(names)}); it must return {', '.join(spec.keys)}, the key of its members",
            span=body,
        )
    low = [name.lower() for name in names]
    if len(names) != len(spec.keys) and not all(key.lower() in low for key in spec.keys):
        raise SpecError(
            "WS344",
            f"{what} returns ({', '.join(names)}), and not the key {', '.join(spec.keys)}",
            span=body,
            hint="KEY (columns) names what identifies a row",
        )
    if not all(key.lower() in low for key in spec.keys):  # keys by their place
        own = {name.lower(): kind for name, kind in types.items()}
        wanted = [(name, own[key.lower()]) for name, key in zip(names, spec.keys, strict=True)]
        check_types(rooms, given, wanted, stmt, what, code="WS344")
    return spec


def group_keys(
    rooms: Rooms, spec: Slice, snapshot: CatalogSnapshot, types: dict[str, str], stmt: Statement
) -> tuple[str, ...]:
    """Return the key of a slice or tag: of its KEY clause, else of a task or payload, else of the relation.

    The key of a payload's view is that of its rows with pos, which numbers their elements.
    """
    on = [task.keys for task in snapshot.tasks_on(spec.relation)]
    on += [element_keys(one) for one in snapshot.payloads() if bare(one.name) == bare(spec.relation)]
    keys = spec.keys or (on[0] if on else row_key(rooms, spec.relation, list(types)))
    kind, low = KINDS[type(spec)], {name.lower(): name for name in types}
    if not keys:
        raise SpecError(
            "WS344",
            f'{kind} "{spec.name}" needs the key of {spec.relation}',
            span=stmt.at(kind),
            hint="KEY (columns) names what identifies a row",
        )
    for key in keys:
        if key.lower() not in low:
            raise SpecError(
                "WS312",
                f'relation {spec.relation} has no column "{key}"',
                span=stmt.at_name("key column", key),
                hint=did_you_mean(key, types) or f"it has {', '.join(types)}",
            )
    return tuple(low[key.lower()] for key in keys)


def create_transformation_function(stmt: CreateTransformationFunction, rooms: Rooms) -> None:
    """Define a transformation function after DuckDB has bound its query."""
    spec = checked_transformation(stmt, rooms)
    read = [("relation", name) for name in rooms.engine.relations_of(spec.sql)]
    define(rooms, stmt, spec, parents=read)


def checked_transformation(stmt: CreateTransformationFunction, rooms: Rooms) -> TransformationFunction:
    """Return a transformation function whose query reads its relation by name and returns its columns.

    Raises
    ------
    SpecError
        WS309 where DuckDB refuses the query; WS345 where it does not read the relation or does not return its columns.
    """
    spec, body = stmt.spec, stmt.at("body")
    what = f'transformation function "{spec.name}"'
    columns = rooms.engine.columns(spec.relation, stmt, what)
    if not PLAIN_NAME.match(spec.relation):
        raise SpecError(
            "WS345",
            f"{what} is on {spec.relation}; it is applied by putting training rows under the relation's name",
            span=stmt.at("relation"),
            hint="name a table or view of the current schema",
        )
    given = rooms.engine.describe(spec.sql, body, what)
    if bare(spec.relation) not in {bare(name) for name in rooms.engine.relations_of(spec.sql)}:
        raise SpecError("WS345", f"{what} does not read {spec.relation}", span=body, hint=f"FROM {spec.relation}")
    low = {name.lower() for name, _ in given}
    missing = [name for name, _ in columns if name.lower() not in low]
    if missing:
        raise SpecError(
            "WS345",
            f"{what} does not return every column of {spec.relation}",
            span=body,
            hint=f"missing: {', '.join(missing)}; SELECT * REPLACE (… AS column) keeps the others",
        )
    own = {name.lower() for name, _ in columns}
    extra = next((name for name, _ in given if name.lower() not in own), None)
    if extra is not None:
        raise SpecError("WS345", f'{what} returns "{extra}", which is no column of {spec.relation}', span=body)
    check_types(rooms, given, columns, stmt, what)
    return spec


def check_types(
    rooms: Rooms, given: Columns, wanted: Columns, stmt: Statement, what: str, *, code: str = "WS345"
) -> None:
    """Raise where a column cannot be cast to the type it has to have: text is not read as anything else."""
    types = {name.lower(): kind for name, kind in wanted}
    pairs = [(name, kind, types[name.lower()]) for name, kind in given if name.lower() in types]
    for name, kind, want in pairs:
        if kind in (want, '"NULL"'):
            continue
        (found,) = rooms.engine.rows(
            f"SELECT can_cast_implicitly(NULL::{kind}, NULL::{want}) OR "
            f"(can_cast_implicitly(NULL::{want}, NULL::{kind}) AND typeof(NULL::{kind}) <> 'VARCHAR')"
        )[0]
        if not found:
            raise SpecError(code, f'{what}: column "{name}" is {kind} and has to be {want}', span=stmt.at("body"))


def create_source(stmt: CreateSource, rooms: Rooms) -> None:
    """Define a source after DuckDB has bound its query, and make the view of its rows."""
    spec = checked_source(stmt, rooms, rooms.catalog.definitions())
    read = [("relation", name) for name in (*rooms.engine.relations_of(spec.sql), spec.relation)]

    def then(done: str) -> None:
        if done in MADE:
            view_rows(rooms, spec)
        store_members(rooms)

    define(rooms, stmt, spec, parents=list(dict.fromkeys(read)), then=then)


def checked_source(stmt: CreateSource, rooms: Rooms, snapshot: CatalogSnapshot) -> Source:
    """Return a source whose columns are those of its relation or labels of tasks.

    Raises
    ------
    SpecError
        WS309 where DuckDB refuses the query; WS345 for a column that is neither, or of another type.
    """
    spec, body = stmt.spec, stmt.at("body")
    what = f'source "{spec.name}"'
    columns = rooms.engine.columns(spec.relation, stmt, what)
    given = rooms.engine.describe(spec.sql, body, what)
    labels = label_columns(snapshot, spec, given, columns)
    known = {name.lower() for name, _ in columns} | {task.name.lower() for task, _ in labels}
    strange = next((name for name, _ in given if name.lower() not in known), None)
    if strange is not None:
        raise SpecError(
            "WS345",
            f'{what} returns "{strange}", which is no column of {spec.relation} and no task on it',
            span=body,
            hint=did_you_mean(strange, [name for name, _ in columns]) or f"it has {', '.join(n for n, _ in columns)}",
        )
    check_types(rooms, given, [*columns, *((task.name, kind) for task, kind in labels)], stmt, what)
    return spec


def label_columns(snapshot: CatalogSnapshot, spec: Source, given: Columns, columns: Columns) -> list[tuple[Task, str]]:
    """Return the tasks that a source gives labels of, each with the type of its labels."""
    names, own = {name.lower() for name, _ in given}, {name.lower() for name, _ in columns}
    found = []
    for task in snapshot.tasks_on(spec.relation):
        if task.name.lower() in names - own:
            elements = task.payload is not None and element_task(task, snapshot.payload(task.payload)).keys != task.keys
            lists = (task.kind == "bitvector") + (elements and task.kind != "select")
            found.append((task, "INTEGER" if task.kind == "select" else "VARCHAR" + "[]" * lists))
    return found
