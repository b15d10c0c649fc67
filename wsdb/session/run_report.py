"""SHOW, SHOW CREATE, DESCRIBE, REFRESH, and the plans that EXPLAIN prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from wsdb.core.constraint import Constraint
from wsdb.core.embedding import Embedding
from wsdb.core.errors import SpecError
from wsdb.core.graph import TaskGraph
from wsdb.core.lf import LabelingFunction
from wsdb.core.payload import Payload, Primitive
from wsdb.core.slice import Slice
from wsdb.core.source import Source
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec
from wsdb.core.task import Task
from wsdb.core.transformation import TransformationFunction
from wsdb.parser.render import render, value
from wsdb.parser.statements import (
    Alter,
    CommentOn,
    Create,
    CreateModel,
    Describe,
    Drop,
    Refresh,
    Show,
    ShowCreate,
    ShowVersions,
    Statement,
)
from wsdb.planner.steps import Step
from wsdb.session import run_define, run_drop, run_labels, run_model
from wsdb.session.rooms import Result, Rooms

WITH_TASKS = ("labeling function", "label model", "model", "constraint")
"""The kinds of object that are about tasks."""


def show(stmt: Show, rooms: Rooms) -> Result:
    """List the objects of a kind."""
    snapshot = rooms.catalog.snapshot()
    task = snapshot.task(stmt.task, stmt.at("task")).name.lower() if stmt.task is not None else None
    rows: list[tuple[Any, ...]] = []
    for name in snapshot.names(stmt.kind):
        entry = snapshot.entry(stmt.kind, name)
        spec = entry.spec
        if isinstance(spec, LabelingFunction | LabelModelSpec | Constraint):
            of = list(spec.tasks)
        else:
            of = [task_name for task_name, _ in spec.tasks] if isinstance(spec, ModelSpec) else []
        if task is not None and task not in [other.lower() for other in of]:
            continue
        if stmt.like is not None and not like(name, stmt.like):
            continue
        row: tuple[Any, ...] = (entry.name, entry.version)
        if stmt.kind in WITH_TASKS:
            row += (", ".join(of),)
        if isinstance(spec, LabelingFunction):
            row += (spec.kind, ", ".join(spec.tags), spec.servable, spec.enabled)
        rows.append((*row, spec.comment, entry.created_by))
    names: tuple[str, ...] = ("name", "version")
    types = [pa.string(), pa.int32()]
    if stmt.kind in WITH_TASKS:
        names, types = (*names, "tasks" if stmt.kind in ("model", "constraint") else "task"), [*types, pa.string()]
    if stmt.kind == "labeling function":
        names = (*names, "kind", "tags", "servable", "enabled")
        types += [pa.string(), pa.string(), pa.bool_(), pa.bool_()]
    names, types = (*names, "comment", "owner"), [*types, pa.string(), pa.string()]
    return Result.of(names, rows, types)


def like(name: str, pattern: str) -> bool:
    """Return whether a name matches a LIKE pattern, without case.

    >>> like("has_link", "HAS%")
    True
    """
    regex = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(regex, name, re.IGNORECASE | re.DOTALL) is not None


def show_create(stmt: ShowCreate, rooms: Rooms) -> Result:
    """Print the statement that makes an object."""
    entry = rooms.catalog.snapshot().entry(stmt.kind, stmt.name, stmt.at(stmt.kind))
    return Result.of(("sql",), [(render(entry.spec) + ";",)])


def show_versions(stmt: ShowVersions, rooms: Rooms) -> Result:
    """List the versions of a model, newest first."""
    entry = rooms.catalog.snapshot().entry("model", stmt.name, stmt.at("model"))
    rows = rooms.engine.rows(
        "SELECT version, tasks, n_rows, epochs, valid_loss, bytes, created_at "
        f"FROM {rooms.engine.table('model_versions')} WHERE lower(model) = ? ORDER BY version DESC",
        [entry.name.lower()],
    )
    types = [
        pa.int32(), pa.list_(pa.string()), pa.int64(), pa.int32(), pa.float64(), pa.int64(), pa.timestamp("us")
    ]  # fmt: skip
    names = ("version", "tasks", "n_rows", "epochs", "valid_loss", "bytes", "created_at")
    return Result.of(names, rows, types)


def describe(stmt: Describe, rooms: Rooms) -> Result:
    """Print what is known of an object."""
    snapshot = rooms.catalog.snapshot()
    entry = snapshot.entry(stmt.kind, stmt.name, stmt.at(stmt.kind))
    rows = [("kind", entry.kind), ("name", entry.name), ("version", str(entry.version))]
    spec = entry.spec
    match spec:
        case Task():
            rows += [
                ("relation", spec.relation),
                ("key", ", ".join(spec.keys)),
                ("type", spec.kind),
                ("labels", ", ".join(spec.labels)),
                ("class balance", _balance(spec)),
                ("gold", "none" if spec.gold is None else f"{spec.gold.relation} ({spec.gold.column})"),
                ("split", "none" if spec.split is None else spec.split.column),
                ("labeling functions", ", ".join(lf.name for lf in snapshot.lfs(spec.name))),
                ("label model", snapshot.label_model(spec.name).method),
                ("served by", "@".join(map(str, snapshot.serving.get(spec.name.lower(), ("no model",))))),
            ]
        case LabelingFunction():
            rows += [("task", ", ".join(spec.tasks)), ("scope", spec.scope), ("on_error", spec.on_error)]
            rows += [("enabled", value(spec.enabled)), ("kind", spec.kind or ""), ("tags", ", ".join(spec.tags))]
            rows += [("servable", value(spec.servable)), ("depends on", ", ".join(spec.depends_on))]
        case LabelModelSpec():
            rows += [("task", ", ".join(spec.tasks)), ("method", spec.method), ("regime", spec.regime)]
            rows += [("use_dev", spec.use_dev), ("structure", spec.structure), ("prior", spec.prior)]
            rows += [("task graph", spec.graph or "none")]
        case Payload():
            rows += [("relation", spec.relation), ("key", ", ".join(spec.keys)), ("shape", spec.shape)]
            rows += [("columns", ", ".join(spec.columns)), ("from payloads", ", ".join(spec.from_payloads))]
            if spec.embedding is not None:
                rows += [("embedding", f"{spec.embedding}, {'frozen' if spec.frozen else 'fine-tuned'}")]
        case Primitive():
            rows += [("relation", spec.relation), ("key", ", ".join(spec.keys)), ("query", spec.sql)]
        case TaskGraph():
            rows += [(f"rule {at + 1}", rule.text) for at, rule in enumerate(spec.rules)]
        case FeatureSet():
            servable = {True: "yes", False: "no", None: "not said"}[spec.servable]
            rows += [("relation", spec.relation), ("columns", ", ".join(spec.columns)), ("servable", servable)]
        case Slice():
            rows += [("relation", spec.relation), ("key", ", ".join(spec.keys))]
            rows += [("query" if spec.is_query else "condition", spec.sql)]
        case TransformationFunction():
            rows += [("relation", spec.relation), ("query", spec.sql)]
        case Source():
            rows += [("relation", spec.relation), ("tags", ", ".join(spec.tags)), ("query", spec.sql)]
        case Constraint():
            rows += [("tasks", ", ".join(spec.tasks)), ("condition", spec.check)]
        case Embedding():
            rows += [("file", spec.file)]
        case ModelSpec():
            rows += [
                ("tasks", ", ".join(name for name, _ in spec.tasks)),
                ("source", spec.source),
                ("features", ", ".join((*spec.columns, *spec.feature_sets))),
                ("payloads", ", ".join(spec.payloads)),
                ("slices", ", ".join(spec.slices)),
                ("augment with", ", ".join(spec.augment)),
                ("serves", ", ".join(task for task, (model, _) in snapshot.serving.items() if model == entry.name)),
                *((f"option {name}", value(option)) for name, option in spec.options),
            ]
    rows += [("comment", spec.comment or ""), ("owner", entry.created_by), ("data hash", entry.data_hash)]
    return Result.of(("property", "value"), rows)


def _balance(task: Task) -> str:
    if task.shares is None:
        return "unknown"
    return ", ".join(f"{label} {share:g}" for label, share in zip(task.labels, task.shares, strict=True))


def refresh(stmt: Refresh, rooms: Rooms) -> Result:
    """Bring derived state up to date."""
    snapshot = rooms.catalog.snapshot()
    if stmt.target == "model":
        run_model.refresh_model(rooms, stmt.name or "", stmt, full=stmt.full)
        return Result()
    tasks = [snapshot.task(stmt.name, stmt.at("task"))] if stmt.name is not None else snapshot.tasks()
    matrix_only = stmt.target == "label matrix"

    def work() -> None:
        with rooms.engine.functions_listed_once():
            for task in tasks:
                run_labels.run(rooms, run_labels.plan(rooms, task, full=stmt.full, matrix_only=matrix_only))

    run_labels.transact(rooms, work)
    return Result()


def plan_refresh(stmt: Refresh, rooms: Rooms) -> Step:
    """Return the plan of a REFRESH."""
    snapshot = rooms.catalog.snapshot()
    if stmt.target == "model":
        return run_model.plan(rooms, snapshot.model(stmt.name or "", stmt.at("model")), snapshot, full=stmt.full)
    if stmt.name is None:
        raise SpecError("WS319", "EXPLAIN REFRESH LABELS needs FOR TASK", span=stmt.span)
    task = snapshot.task(stmt.name, stmt.at("task"))
    return run_labels.plan(rooms, task, full=stmt.full, matrix_only=stmt.target == "label matrix")


def plan_create_model(stmt: CreateModel, rooms: Rooms) -> Step:
    """Return the plan of a CREATE MODEL."""
    snapshot = rooms.catalog.snapshot()
    spec = run_model.resolve(rooms, stmt.spec, snapshot, stmt)
    return run_model.plan(rooms, spec, snapshot, stmt)


PLANS: dict[type[Statement], Callable[..., Step]] = {
    Refresh: plan_refresh,
    CreateModel: plan_create_model,
}


def plan_of(stmt: Statement, rooms: Rooms) -> Step:
    """Return the plan of any statement that writes.

    Raises
    ------
    SpecError
        WS319 for a statement that only reads the catalog, which has no plan.
    """
    if type(stmt) in PLANS:
        return PLANS[type(stmt)](stmt, rooms)
    if isinstance(stmt, Create):
        return run_define.plan_define(stmt, rooms)
    if isinstance(stmt, Drop | CommentOn | Alter):
        return run_drop.plan_drop(stmt, rooms)
    raise SpecError("WS319", "this statement reads the catalog only; it has no plan", span=stmt.span)
