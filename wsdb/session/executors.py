"""EXECUTORS: which function runs which statement."""

from __future__ import annotations

from collections.abc import Callable

from wsdb.core.errors import WsdbError
from wsdb.parser.statements import (
    Alter,
    CommentOn,
    CreateConstraint,
    CreateEmbedding,
    CreateFeatureSet,
    CreateLabelingFunction,
    CreateLabelModel,
    CreateModel,
    CreatePayload,
    CreatePrimitive,
    CreateSlice,
    CreateSource,
    CreateTag,
    CreateTask,
    CreateTaskGraph,
    CreateTransformationFunction,
    Describe,
    Drop,
    Explain,
    Refresh,
    SetOption,
    Show,
    ShowCode,
    ShowCreate,
    ShowVersions,
    Statement,
)
from wsdb.planner.explain import explain
from wsdb.session import (
    model_handle,
    run_constraint,
    run_define,
    run_drop,
    run_embedding,
    run_labels,
    run_model,
    run_objects,
    run_report,
    run_rows,
)
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
    CreateSlice: run_rows.create_slice,
    CreateTag: run_rows.create_slice,
    CreateSource: run_rows.create_source,
    CreateTransformationFunction: run_rows.create_transformation_function,
    CreateConstraint: run_constraint.create_constraint,
    CreateEmbedding: run_embedding.create_embedding,
    CreateModel: run_model.create_model,
    Drop: run_drop.drop,
    Alter: run_drop.alter,
    CommentOn: run_drop.comment_on,
    SetOption: run_drop.set_option,
    Show: run_report.show,
    ShowCreate: run_report.show_create,
    ShowCode: model_handle.show_code,
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
