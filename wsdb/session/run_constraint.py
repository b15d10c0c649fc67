"""CREATE CONSTRAINT: the combinations of answers that keep it are worked out once, and stored as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wsdb.catalog.check import check_references
from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.constraint import MAX_COMBINATIONS, Constraint, answer_type, combinations_select, n_answers
from wsdb.core.errors import SpecError
from wsdb.core.span import Span
from wsdb.core.sqltext import ident
from wsdb.core.task import Task
from wsdb.engine.located import said
from wsdb.parser.statements import CreateConstraint
from wsdb.session.define import define
from wsdb.session.rooms import Rooms


def create_constraint(stmt: CreateConstraint, rooms: Rooms) -> None:
    """Define a constraint after DuckDB has bound its condition, and store the combinations that keep it."""
    snapshot = rooms.catalog.definitions()
    spec = checked_constraint(stmt, rooms, snapshot)
    define(rooms, stmt, spec, then=lambda done: store_combinations(rooms, spec, snapshot, stmt.at("body")))


def checked_constraint(stmt: CreateConstraint, rooms: Rooms, snapshot: CatalogSnapshot) -> Constraint:
    """Return a constraint with its tasks as the catalog spells them, after DuckDB has bound its condition.

    Raises
    ------
    SpecError
        WS309 where DuckDB refuses the condition; WS346 where it is none, or there are too many combinations.
    """
    spec = check_references(stmt.spec, snapshot, stmt)
    tasks, body, what = [snapshot.task(name) for name in spec.tasks], stmt.at("body"), f'constraint "{spec.name}"'
    answers = ", ".join(f"NULL::{answer_type(task)} AS {ident(task.name)}" for task in tasks)
    ((_, found),) = rooms.engine.bind(f"SELECT (\n{spec.check}\n) AS kept FROM (SELECT {answers})", body, what)
    if found not in ("BOOLEAN", '"NULL"'):
        raise SpecError("WS346", f"{what} needs a condition, this is {found}", span=body)
    combinations = math.prod(n_answers(task) for task in tasks)
    if combinations > MAX_COMBINATIONS:
        raise SpecError(
            "WS346",
            f"the tasks of {what} have more than {MAX_COMBINATIONS:,} combinations of answers",
            span=stmt.at_name("task", tasks[-1].name),
            hint="make a constraint for each pair of tasks, or BINARY tasks of the labels it is about",
        )
    return spec


def store_combinations(rooms: Rooms, spec: Constraint, snapshot: CatalogSnapshot, span: Span | None = None) -> None:
    """Write the combinations of answers that keep a constraint.

    Raises
    ------
    SpecError
        WS346 where there is none.
    """
    tasks: Sequence[Task] = [snapshot.task(name) for name in spec.tasks]
    table = rooms.engine.table(spec.stored)
    try:
        rooms.engine.run(f"CREATE OR REPLACE TABLE {table} AS {combinations_select(spec, tasks)}")
    except Exception as error:
        raise SpecError(
            "WS346", f'constraint "{spec.name}" fails on labels of its tasks: {said(error)}', span=span
        ) from error
    ((left,),) = rooms.engine.rows(f"SELECT count(*) FROM {table}")
    if not left:
        raise SpecError(
            "WS346",
            f'constraint "{spec.name}" leaves no combination of answers of its tasks',
            span=span,
            hint="its condition is false for all of them; are the labels spelled as in the tasks?",
        )
