"""Bring label matrices and labels up to date: inspect, plan, run, store."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError, DataError
from wsdb.core.lf import Python
from wsdb.core.task import Task
from wsdb.engine.located import said
from wsdb.engine.scan import FusedScanError
from wsdb.labelmodel.shapes import SHAPES
from wsdb.planner.facts import TaskFacts
from wsdb.planner.labels import plan_labels
from wsdb.planner.steps import Fit, Fuse, JointFit, LabelMatrix, Materialise, Reuse, Step, walk
from wsdb.session import run_comparison
from wsdb.session.rooms import Rooms
from wsdb.session.run_fit import fit_arguments, pack_of, run_fit
from wsdb.session.run_matrix import run_matrix
from wsdb.session.run_shapes import run_joint

T = TypeVar("T")
WAITS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries of a read that comes while another session refreshes the same labels."""


def transact(rooms: Rooms, work: Callable[[], T]) -> T:
    """Do all of `work` in one transaction or none of it; a failing fused scan is isolated and tried once more."""
    try:
        with rooms.writing() as own:
            return work()
    except FusedScanError as failure:
        if not own:
            raise DataError(
                "WS405",
                f"a labeling function failed: {said(failure.cause)}",
                hint="roll back, and run the statement outside of a transaction to see which and on which rows",
            ) from failure
        rooms.engine.isolate(failure)
        with rooms.writing():
            return work()


def plan(rooms: Rooms, task: Task, *, full: bool = False, matrix_only: bool = False) -> Step:
    """Return the step that makes the labels (or the label matrix) of a task current."""
    snapshot = rooms.catalog.snapshot()
    return plan_labels(task, snapshot, facts_of(rooms, task, snapshot, full=full), full=full, matrix_only=matrix_only)


def facts_of(rooms: Rooms, task: Task, snapshot: CatalogSnapshot, *, full: bool = False) -> dict[str, TaskFacts]:
    """Return what the planner must know of a task's relation as it is now, and of the tasks of its task graph."""
    spec = snapshot.label_model(task.name)
    names = snapshot.task_graph(spec.graph).tasks if spec.graph is not None else (task.name,)
    return {
        name.lower(): _facts(rooms, snapshot.task(name), snapshot, full=full)
        for name in dict.fromkeys((task.name, *names))
    }


def _facts(rooms: Rooms, task: Task, snapshot: CatalogSnapshot, *, full: bool) -> TaskFacts:
    own = [one for one in snapshot.primitives() if one.relation == task.relation]
    primitives = {one: snapshot.primitive_hashes.get(one.name.lower()) for one in own}
    stored = None if full else snapshot.matrices.get(task.name.lower())  # all is computed anew, whatever has changed
    served = {name: f"{model}@{version}" for name, (model, version) in snapshot.serving.items()}
    served |= {name: f"{name}@{model.version}" for name, model in snapshot.models.items()}
    return rooms.engine.inspect(task, snapshot.lfs(task.name), stored, primitives, served)


def run(rooms: Rooms, step: Step) -> None:
    """Run the label steps of a plan, inputs first."""
    for part in walk(step):
        if isinstance(part, Materialise):
            rooms.progress(f"primitive {part.primitive.name}", 0, 0)
            rows, computed = rooms.engine.materialise(part.primitive)
            rooms.catalog.put_primitive(part.primitive.name, rows, part.input_hash)
            rooms.notice(f"primitive {part.primitive.name}: {rows:,} rows, {computed:,} computed")
        elif isinstance(part, LabelMatrix):
            run_matrix(rooms, part)
        elif isinstance(part, Fit):
            run_fit(rooms, part)
        elif isinstance(part, JointFit):
            run_joint(rooms, part)
        elif isinstance(part, Reuse) and part.what in ("labels", "label matrix"):
            rooms.notice(f"{part.what} of task {part.names[0]}: nothing has changed, reused")


def refresh_report(rooms: Rooms, task: Task) -> None:
    """Fit the other label models, where the stored report is of an older run than the labels."""
    snapshot = rooms.catalog.snapshot()
    step = pack_of(task, snapshot)
    spec = snapshot.label_model(task.name)
    if rooms.catalog.shape_of_run(task.name) in SHAPES or spec.graph is not None:
        transact(rooms, lambda: run_comparison.report_stored(rooms, task))
        return
    transact(
        rooms,
        lambda: run_comparison.report(
            rooms, task, lambda: rooms.engine.votes(step), lambda rows: fit_arguments(rooms, task, spec, rows)
        ),
    )


def read_labels(rooms: Rooms, snapshot: CatalogSnapshot, task: Task, *, matrix_only: bool) -> None:
    """Bring what a read is about to see up to date, as far as a read may.

    With ``wsdb_auto_refresh`` off, in a read-only database, or where a python labeling function came with the file,
    stored state is read as it is, and a notice says that it is old, or why that is not known.

    Raises
    ------
    CatalogError
        WS204 where there is nothing stored yet and the read may not compute it.
    """
    what, verb = ("label matrix", "is") if matrix_only else ("labels", "are")
    stored = (snapshot.matrices if matrix_only else snapshot.label_runs).get(task.name.lower()) is not None
    fixed = stored and (not rooms.settings.auto_refresh or rooms.engine.read_only)
    try:
        step = plan(rooms, task, matrix_only=matrix_only) if rooms.settings.auto_refresh or stored else None
    except DataError as error:
        if not fixed:
            raise
        rooms.notice(f"{what} of task {task.name} may be out of date: {error.message}")
        return
    if isinstance(step, Reuse):
        return
    reason = _barred(rooms, step)
    if reason is None:
        _patiently(rooms, lambda: run(rooms, plan(rooms, task, matrix_only=matrix_only)))
    elif stored:
        rooms.notice(f"{what} of task {task.name} {verb} out of date: {reason}")
    else:
        target = "LABEL MATRIX" if matrix_only else "LABELS"
        raise CatalogError(
            "WS204",
            f'{what} of task "{task.name}" {verb} not computed yet: {reason}',
            hint=f"REFRESH {target} FOR TASK {task.name}",
        )


def _patiently(rooms: Rooms, work: Callable[[], None]) -> None:
    """Do the work of a read in one transaction; where another session does the same, wait for it and look again.

    Raises
    ------
    CatalogError
        WS208 where others are still at it after some seconds.
    """
    said_before = list(rooms.notices)
    for wait in WAITS:
        try:
            transact(rooms, work)
            return
        except CatalogError as error:
            if error.code != "WS208":
                raise
        rooms.notices[:] = said_before  # what was done is undone
        time.sleep(wait)
    transact(rooms, work)


def _barred(rooms: Rooms, step: Step | None) -> str | None:
    """Return why a read may not refresh, or None where it may."""
    if not rooms.settings.auto_refresh:
        return "wsdb_auto_refresh is off"
    if rooms.engine.read_only:
        return "the database is read-only"
    for part in walk(step) if step is not None else []:
        for column in part.columns if isinstance(part, Fuse) else ():
            if isinstance(column.lf.body, Python) and column.lf.name.lower() not in rooms.trusted_python:
                return f"a read runs no Python stored in the file, and {column.lf.name} is; REFRESH runs it"
    return None
