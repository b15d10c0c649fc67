"""CREATE PAYLOAD, PRIMITIVE and TASK GRAPH: parts of rows, shared queries, and rules between tasks."""

from __future__ import annotations

from dataclasses import replace

from wsdb.catalog.check import check_references
from wsdb.core.errors import CatalogError, SpecError, did_you_mean
from wsdb.core.payload import POS, Payload, Primitive, element_select
from wsdb.core.sqltext import ident, idents
from wsdb.parser.statements import CreatePayload, CreatePrimitive, CreateTaskGraph, Statement
from wsdb.session.define import MADE, define
from wsdb.session.rooms import Rooms
from wsdb.session.run_shapes import joint_graph


def create_payload(stmt: CreatePayload, rooms: Rooms) -> None:
    """Define a payload after checking its columns, and make its view: a row for each element."""
    snapshot = rooms.catalog.definitions()
    spec = check_payload(rooms, check_references(stmt.spec, snapshot, stmt), stmt)
    view_is_free(rooms, spec.name, snapshot.find("payload", spec.name) is not None, stmt, "payload")

    def then(done: str) -> None:
        if done in MADE:
            create_view(rooms, spec)

    define(rooms, stmt, spec, parents=[("relation", spec.relation)], then=then)


def check_payload(rooms: Rooms, spec: Payload, stmt: Statement) -> Payload:
    """Return a payload with its columns as the relation spells them, and its key.

    Raises
    ------
    SpecError
        WS312 a column the relation does not have; WS331 no key, or an element that is no list.
    """
    types = dict(rooms.engine.columns(spec.relation, stmt, f'payload "{spec.name}"'))
    low = {name.lower(): name for name in types}
    keys = spec.keys or row_key(rooms, spec.relation, list(types))
    if not keys:
        raise SpecError(
            "WS331",
            f'payload "{spec.name}" needs the key of {spec.relation}',
            span=stmt.at("payload"),
            hint="KEY (columns) names what identifies a row",
        )
    for name in (*keys, *spec.columns):
        if name.lower() not in low:
            raise SpecError(
                "WS312",
                f'relation {spec.relation} has no column "{name}"',
                span=stmt.spans.get(f"column {name}", stmt.at("payload")),
                hint=did_you_mean(name, types) or f"it has {', '.join(types)}",
            )
    spec = replace(
        spec, keys=tuple(low[name.lower()] for name in keys), columns=tuple(low[n.lower()] for n in spec.columns)
    )
    for name in spec.columns if spec.shape != "singleton" else ():
        if not types[name].endswith("]"):
            raise SpecError(
                "WS331",
                f'column "{name}" is {types[name]}; a {spec.shape} payload is made of lists',
                span=stmt.spans.get(f"column {name}", stmt.at("payload")),
                hint="string_split(…) makes a list of words; AS SINGLETON takes any column",
            )
    if spec.shape != "singleton" and POS in (key.lower() for key in spec.keys):
        raise SpecError("WS331", f'"{POS}" numbers the elements and cannot be a key column', span=stmt.at("payload"))
    return spec


def row_key(rooms: Rooms, relation: str, columns: list[str]) -> tuple[str, ...]:
    """Return the key of a relation where nobody said it: its primary key, else ``id``, else a first column ``…id``."""
    found = rooms.engine.rows(
        "SELECT constraint_column_names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY' "
        "AND lower(table_name) = ? ORDER BY database_name = current_database() DESC LIMIT 1",
        [relation.rpartition(".")[2].strip('"').lower()],
    )
    if found and {name.lower() for name in found[0][0]} <= {name.lower() for name in columns}:
        return tuple(found[0][0])
    own = [name for name in columns if name.lower() == "id"] or [n for n in columns[:1] if n.lower().endswith("id")]
    return tuple(own)


def view_is_free(rooms: Rooms, name: str, replacing: bool, stmt: Statement, kind: str) -> None:
    """Raise where the view of a payload or primitive would take the name of something of the user's.

    Raises
    ------
    CatalogError
        WS202 where a table or view has the name.
    """
    taken = rooms.engine.rows(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'main' AND lower(table_name) = ? "
        "UNION ALL SELECT 1 FROM duckdb_views() WHERE database_name = ? AND schema_name = 'main' "
        "AND lower(view_name) = ? AND NOT internal",
        [rooms.engine.database, name.lower()] * 2,
    )
    if taken and not replacing:
        raise CatalogError(
            "WS202",
            f'there is a table or view "{name}" already, and a {kind} is read as a view of its name',
            span=stmt.at(kind),
            hint="choose another name",
        )


def create_view(rooms: Rooms, spec: Payload | Primitive) -> None:
    """Make the view under whose name a payload or primitive is read."""
    if isinstance(spec, Payload):
        columns = tuple(name for name, _ in rooms.engine.columns(spec.relation))
        select = element_select(spec, columns)
    else:
        select = f"SELECT * EXCLUDE (__made_from) FROM wsdb.{ident(f'primitive_{spec.name}')}"
    with rooms.engine.at_home():
        rooms.engine.run(f"CREATE OR REPLACE VIEW {ident(spec.name)} AS {select}")


def create_primitive(stmt: CreatePrimitive, rooms: Rooms) -> None:
    """Define a primitive, compute it, and make its view."""
    snapshot = rooms.catalog.definitions()
    spec = check_primitive(rooms, check_references(stmt.spec, snapshot, stmt), stmt)
    view_is_free(rooms, spec.name, snapshot.find("primitive", spec.name) is not None, stmt, "primitive")
    read = [("relation", relation) for relation in rooms.engine.relations_of(spec.sql)]

    def then(done: str) -> None:
        if done in MADE:
            rows, _ = rooms.engine.materialise(spec)
            rooms.catalog.put_primitive(spec.name, rows, None)  # its inputs are hashed at the first refresh
            create_view(rooms, spec)

    define(rooms, stmt, spec, parents=read, then=then)


def check_primitive(rooms: Rooms, spec: Primitive, stmt: Statement) -> Primitive:
    """Return a primitive with its key, after DuckDB has bound its query.

    Raises
    ------
    SpecError
        WS309 where DuckDB refuses the query; WS313 where it has no key column, or another column has the name of one
        of the relation's, which a labeling function could then not tell apart.
    """
    columns = [name for name, _ in rooms.engine.describe(spec.sql, stmt.at("body"), f'primitive "{spec.name}"')]
    own = {name.lower() for name, _ in rooms.engine.columns(spec.relation, stmt, f'primitive "{spec.name}"')}
    low = {name.lower(): name for name in columns}
    keys = spec.keys or row_key(rooms, spec.relation, columns) or tuple(columns[:1])
    missing = [key for key in keys if key.lower() not in low or key.lower() not in own]
    if missing:
        raise SpecError(
            "WS313",
            f'primitive "{spec.name}" returns no column "{missing[0]}", the key of {spec.relation}',
            span=stmt.at("body"),
            hint="KEY (columns) names the columns that identify a row in both",
        )
    both = [name for name in columns if name.lower() in own and name.lower() not in {key.lower() for key in keys}]
    if both:
        raise SpecError(
            "WS313",
            f'primitive "{spec.name}" returns "{both[0]}", which is a column of {spec.relation} too',
            span=stmt.at("body"),
            hint=f"leave it out, or name it another way: {both[0]} AS {both[0]}_of_{spec.name}",
        )
    table = f"(\n{spec.sql}\n)"
    repeated = rooms.engine.rows(
        f"SELECT {idents(keys)}, count(*) FROM {table} GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
    )
    if repeated:
        raise SpecError(
            "WS313",
            f'primitive "{spec.name}" returns several rows for one key, such as '
            f"{', '.join(map(str, repeated[0][:-1]))} ({repeated[0][-1]} times)",
            span=stmt.at("body"),
            hint="GROUP BY the key",
        )
    return replace(spec, keys=tuple(keys))


def create_task_graph(stmt: CreateTaskGraph, rooms: Rooms) -> None:
    """Define a task graph after checking its rules."""
    snapshot = rooms.catalog.definitions()
    spec = check_references(stmt.spec, snapshot, stmt)
    try:
        joint_graph(spec, [snapshot.task(name) for name in spec.tasks])
    except SpecError as error:
        raise error.at(stmt.at("task graph")) from None
    define(rooms, stmt, spec)
