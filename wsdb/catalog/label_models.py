"""Which label model a task has by its type, and the methods and options that this label model knows."""

from __future__ import annotations

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError, SpecError
from wsdb.core.span import Span
from wsdb.core.specs import LabelModelSpec
from wsdb.core.task import Task
from wsdb.parser.statements import Statement

OPTIONS = ("structure", "prior", "use_dev", "regime", "abstain_informative", "calibrate", "max_iter", "tol")
"""The options of label models whose posterior is a closed form; the others have none."""


def check_label_model(spec: LabelModelSpec, snapshot: CatalogSnapshot, at: Statement) -> None:
    """Check a label model against its tasks.

    Raises
    ------
    CatalogError
        WS203 where a task has another label model.
    SpecError
        WS303 a prior that is not declared; WS332 a task graph with more tasks; WS337 a method or an option that a task
        of this type, or a task graph, does not have.
    """
    for name in spec.tasks:
        other = snapshot.label_model(name)
        if snapshot.find("label model", other.name) is not None and other.name.lower() != spec.name.lower():
            raise CatalogError(
                "WS203",
                f'task "{name}" has the label model "{other.name}" already',
                span=at.at("label model"),
                hint=f"CREATE OR REPLACE LABEL MODEL {other.name} …, or DROP LABEL MODEL {other.name}",
            )
        if spec.prior == "declared" and snapshot.task(name).balance is None:
            raise SpecError(
                "WS303",
                f"prior = 'declared' needs the CLASS BALANCE of task \"{name}\", which has none",
                span=at.at("option prior"),
            )
        if spec.graph is None:
            shape_of(snapshot.task(name), spec, snapshot, at)
    _check_choice(spec, at)
    if spec.graph is None:
        return
    _check_graph_model(spec, at)
    own = {name.lower() for name in spec.tasks}
    for name in snapshot.task_graph(spec.graph).tasks:
        if name.lower() not in own:
            raise SpecError(
                "WS332",
                f'task graph "{spec.graph}" has rules about task "{name}", which label model "{spec.name}" is not for',
                span=at.at("task graph"),
                hint=f"write FOR TASKS ({', '.join(snapshot.task_graph(spec.graph).tasks)})",
            )


def _check_choice(spec: LabelModelSpec, at: Statement) -> None:
    if spec.use_dev == "select" and spec.method != "auto":
        raise SpecError(
            "WS337",
            f"use_dev = 'select' chooses the method, and USING {spec.method} names one",
            span=at.at("option use_dev"),
            hint="leave USING out, or use_dev",
        )


def _check_graph_model(spec: LabelModelSpec, at: Statement) -> None:
    if spec.method != "auto":
        raise SpecError(
            "WS337",
            f"USING {spec.method} is for tasks one by one; a task graph has a label model of its own",
            span=at.at("method"),
            hint="leave USING out, or GRAPH",
        )
    check_options(spec, "the label model of a task graph", at)


def shape_of(task: Task, spec: LabelModelSpec, snapshot: CatalogSnapshot, at: Statement | None = None) -> str | None:
    """Return the shape whose label model a task has; None where the posterior is a closed form over a row's votes.

    Parameters
    ----------
    at : the statement that says so, for the places of errors

    Raises
    ------
    SpecError
        WS337 where the task has no label model of that name, or that has no such option.
    """
    found = _shape(task, spec, snapshot, at)
    if found is not None:
        check_options(spec, f"the label model of {SHAPE_TEXTS[found]}", at)
    return found


SHAPE_TEXTS = {
    "sequence": "sequences",
    "select": "SELECT tasks",
    "bitvector": "BITVECTOR tasks",
    "ordinal": "ORDINAL tasks",
}


def check_options(spec: LabelModelSpec, what: str, at: Statement | None = None) -> None:
    """Raise where an option is set that a label model does not have.

    Raises
    ------
    SpecError
        WS337 with the option.
    """
    plain = LabelModelSpec(name=spec.name, task=spec.task)
    for name in OPTIONS:
        if getattr(spec, name) != getattr(plain, name):
            raise SpecError(
                "WS337",
                f"{what} has no option {name}",
                span=_place(at, f"option {name}"),
                hint=f"leave {name} out of WITH (…)",
            )


def _shape(task: Task, spec: LabelModelSpec, snapshot: CatalogSnapshot, at: Statement | None) -> str | None:
    payload = snapshot.payload(task.payload) if task.payload is not None else None
    sequence = payload is not None and payload.shape == "sequence"
    hint = "USING auto takes the label model of the task's type"
    if spec.method == "hmm" and not (sequence and task.kind == "multiclass"):
        raise SpecError(
            "WS337",
            f'USING hmm needs a MULTICLASS task on a SEQUENCE payload; task "{task.name}" is {_kind(task, snapshot)}',
            span=_place(at, "method"),
            hint=hint,
        )
    if spec.method == "hmm" or (spec.method == "auto" and sequence and task.kind == "multiclass"):
        return "sequence"
    if task.kind in ("bitvector", "select"):
        if spec.method != "auto":
            raise SpecError(
                "WS337",
                f'USING {spec.method} is for tasks with one label a row; task "{task.name}" is {task.kind.upper()}',
                span=_place(at, "method"),
                hint=hint,
            )
        return task.kind
    return "ordinal" if task.kind == "ordinal" and spec.method == "auto" else None


def _kind(task: Task, snapshot: CatalogSnapshot) -> str:
    if task.payload is None or task.kind != "multiclass":
        return task.kind.upper()
    return f"MULTICLASS on a {snapshot.payload(task.payload).shape.upper()}"


def _place(at: Statement | None, name: str) -> Span | None:
    return None if at is None else at.spans.get(name, at.span)
