"""EXECUTORS: which function runs which statement."""

from __future__ import annotations

from collections.abc import Callable

from wsdb.core.errors import WsdbError
from wsdb.parser.statements import (
    Alter,
    CommentOn,
    CreateFeatureSet,
    CreateLabelingFunction,
    CreateLabelModel,
    CreateModel,
    CreatePayload,
    CreatePrimitive,
    CreateTask,
    CreateTaskGraph,
    Describe,
    Drop,
    Explain,
    Refresh,
    SetOption,
    Show,
    ShowCreate,
    ShowVersions,
    Statement,
)
from wsdb.planner.explain import explain
from wsdb.session import run_define, run_drop, run_labels, run_model, run_objects, run_report
from wsdb.session.rooms import Result, Rooms


def explain_statement(stmt: Explain, rooms: Rooms) -> Result:
    """Print the plan of a statement; with ANALYZE run it first."""
    inner = stmt.statement
    step = run_report.plan_of(inner, rooms)
    if not stmt.analyze:
        return Result.of(("explain",), [(line,) for line in explain(step)])
    rooms.profiles.clear()
    if isinstance(inner, Refresh):
        run_labels.transact(rooms, lambda: run_model.run(rooms, step, inner))
    elif isinstance(inner, CreateModel):
        run_model.create_model(inner, rooms, step)
    else:
        execute(inner, rooms)
    return Result.of(("explain",), [(line,) for line in explain(step, rooms.profiles)])


EXECUTORS: dict[type[Statement], Callable[..., Result | None]] = {
    CreateTask: run_define.create_task,
    CreateLabelingFunction: run_define.create_labeling_function,
    CreateLabelModel: run_define.create_label_model,
    CreateFeatureSet: run_define.create_feature_set,
    CreatePayload: run_objects.create_payload,
    CreatePrimitive: run_objects.create_primitive,
    CreateTaskGraph: run_objects.create_task_graph,
    CreateModel: run_model.create_model,
    Drop: run_drop.drop,
    Alter: run_drop.alter,
    CommentOn: run_drop.comment_on,
    SetOption: run_drop.set_option,
    Show: run_report.show,
    ShowCreate: run_report.show_create,
    ShowVersions: run_report.show_versions,
    Describe: run_report.describe,
    Refresh: run_report.refresh,
    Explain: explain_statement,
}


def execute(stmt: Statement, rooms: Rooms) -> Result:
    """Run one statement in the database that holds schema wsdb; an error without a place is placed at it."""
    try:
        with rooms.engine.at_home():
            return EXECUTORS[type(stmt)](stmt, rooms) or Result()
    except WsdbError as error:
        raise error.at(stmt.span) from error.__cause__
