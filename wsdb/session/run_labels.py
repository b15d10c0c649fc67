"""Bring label matrices and labels up to date: inspect, plan, run, store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError, DataError, SpecError
from wsdb.core.lf import Python
from wsdb.core.sqltext import ident, idents, literal, literals
from wsdb.core.task import Task
from wsdb.engine.matrix import FusedScanError
from wsdb.labelmodel.fitted import Fit as FittedLabelModel
from wsdb.labelmodel.gold import GoldCounts
from wsdb.labelmodel.majority import majority_form
from wsdb.labelmodel.methods import fit
from wsdb.labelmodel.score import ScoreForm
from wsdb.labelmodel.sql import labels_select
from wsdb.monitor.label_report import report_macro
from wsdb.monitor.lf_report import errors_macro, summary_macro
from wsdb.monitor.rows import matrix_macro, matrix_select, rows_select, same_key, votes_select
from wsdb.planner.explain import Profile
from wsdb.planner.matrix import plan_labels
from wsdb.planner.steps import Fit, Fuse, LabelMatrix, Pack, Reuse, Step, walk
from wsdb.session.rooms import Rooms

T = TypeVar("T")


def transact(rooms: Rooms, work: Callable[[], T]) -> T:
    """Do all of `work` in one transaction or none of it; a failing fused scan is isolated and tried once more."""
    try:
        with rooms.writing() as own:
            return work()
    except FusedScanError as failure:
        if not own:
            first = str(failure.cause).splitlines()[0]
            raise DataError(
                "WS405",
                f"a labeling function failed: {first}",
                hint="roll back, and run the statement outside of a transaction to see which and on which rows",
            ) from failure
        rooms.engine.isolate(failure)
        with rooms.writing():
            return work()


def plan(rooms: Rooms, task: Task, *, full: bool = False, matrix_only: bool = False) -> Step:
    """Return the step that makes the labels (or the label matrix) of a task current."""
    snapshot = rooms.catalog.snapshot()
    facts = rooms.engine.inspect(task, snapshot.lfs(task.name))
    return plan_labels(task, snapshot, facts, full=full, matrix_only=matrix_only)


def run(rooms: Rooms, step: Step) -> None:
    """Run the label steps of a plan, inputs first."""
    for part in walk(step):
        if isinstance(part, LabelMatrix):
            run_matrix(rooms, part)
        elif isinstance(part, Fit):
            run_fit(rooms, part)
        elif isinstance(part, Reuse) and part.what in ("labels", "label matrix"):
            rooms.notice(f"{part.what} of task {part.names[0]}: nothing has changed, reused")


def run_matrix(rooms: Rooms, step: LabelMatrix) -> None:
    """Run a LabelMatrix step and store its views."""
    task = step.task
    rooms.on_progress(f"label matrix of {task.name}: {step.n_rows:,} rows x {len(step.columns)} labeling functions")
    done, votes = rooms.engine.run_matrix(step, rooms.on_progress)
    rooms.profiles.update(done.profiles)
    for text in done.notices:
        rooms.notice(text)
    kept = dict(
        rooms.engine.rows(
            f"SELECT column_name, votes FROM {rooms.engine.table('matrix_columns')} WHERE lower(task) = ?",
            [task.name.lower()],
        )
    )
    rooms.catalog.put_matrix(
        task.name,
        step.n_rows,
        step.keys_hash,
        [
            (
                column.name,
                column.lf.name,
                column.source,
                column.input_hash,
                votes.get(column.name, kept.get(column.name)),
                done.seconds.get(column.name),
            )
            for column in step.columns
        ],
    )
    store_matrix_views(rooms, task, step)
    computed, reused = len(votes), len(step.columns) - len(votes)
    rooms.notice(
        f"label matrix of task {task.name}: {step.n_rows:,} rows, {computed} column{'s' * (computed != 1)} computed"
        + (f", {reused} reused" if reused else "")
    )


def store_matrix_views(rooms: Rooms, task: Task, step: LabelMatrix) -> None:
    """Write the views and macros that show a label matrix."""
    snapshot = rooms.catalog.snapshot()
    names = [column.name for column in step.columns]
    versions = {entry.name.lower(): entry.version for entry in snapshot.entries.values()}
    view(rooms, f"rows_{task.name}", rows_select(task))
    view(rooms, f"label_matrix_{task.name}", matrix_select(task, names))
    places = [(column.name, column.lf.name, column.source) for column in step.columns]
    view(rooms, f"label_votes_{task.name}", votes_select(task, places, versions))
    macro(rooms, f"label_matrix_rows_{task.name}", ("of_split",), matrix_macro(task))
    store_summary(rooms, task)


def store_summary(rooms: Rooms, task: Task) -> None:
    """Write the macro of lf_summary, where there is a label matrix: its columns, and the disabled functions."""
    snapshot = rooms.catalog.snapshot()
    stored = snapshot.matrices.get(task.name.lower())
    if stored is None:
        return
    lfs = {lf.name.lower(): lf for lf in snapshot.lfs(task.name)}
    owners = {entry.name.lower(): entry.created_by for entry in snapshot.entries.values()}
    columns = [(column.name, column.lf) for column in stored.columns if column.lf.lower() in lfs]
    columns = [(name, lf) for name, lf in columns if lfs[lf.lower()].enabled]
    macro(rooms, f"lf_summary_{task.name}", ("of_split",), summary_macro(task, columns, lfs, owners))


def run_fit(rooms: Rooms, step: Fit) -> None:
    """Count the vote patterns, fit the label model, and store its posterior as views."""
    task, start = step.task, time.perf_counter()
    patterns = rooms.engine.count_patterns(step.pack)
    counted = time.perf_counter()
    rooms.profiles[id(step.pack)] = Profile(len(patterns.counts), counted - start)
    rooms.on_progress(f"label model of {task.name}: {len(patterns.counts):,} vote patterns")
    gold = gold_counts(rooms, task, step.pack) if step.spec.use_dev == "anchor" else None
    balance = None if task.shares is None else np.array(task.shares)
    fitted = fit(
        patterns,
        method=step.spec.method,
        balance=balance,
        regime=step.spec.regime,
        gold=gold,
        labels=task.labels,
    )
    store_label_views(rooms, task, step.pack.columns, fitted)
    seconds = time.perf_counter() - start
    rooms.catalog.put_label_run(
        task.name,
        {
            "method": fitted.method,
            "chosen": fitted.chosen,
            "reason": fitted.reason,
            "regime": fitted.regime,
            "notices": list(fitted.notices),
            "n_rows": fitted.n_rows,
            "n_patterns": fitted.n_patterns,
            "input_hash": step.input_hash,
            "fit": json.dumps(fitted.to_dict()),
            "seconds": seconds,
        },
        parameters(task, fitted),
        [lf.name for lf in rooms.catalog.snapshot().lfs(task.name) if lf.enabled],
    )
    rooms.profiles[id(step)] = Profile(fitted.n_rows, time.perf_counter() - counted)
    rooms.notice(f"labels of task {task.name}: {fitted.chosen}. {fitted.reason}")
    for text in fitted.notices:
        rooms.notice(f"task {task.name}: {text}")


def store_label_views(rooms: Rooms, task: Task, columns: tuple[str, ...], fitted: FittedLabelModel) -> None:
    """Write the posterior, majority vote and the training labels as views over the label matrix, and the report."""
    keys = [ident(key) for key in task.keys]

    def select(form: ScoreForm) -> str:
        return labels_select(
            form,
            relation=f"wsdb.{ident('matrix_' + task.name)}",
            keys=keys,
            columns=[ident(name) for name in columns],
            labels=task.labels,
        )

    view(rooms, f"labels_{task.name}", select(fitted.form))
    macro(rooms, f"lf_errors_{task.name}", ("of_lf",), errors_macro(task, columns))
    methods = [(fitted.chosen, f"labels_{task.name}", True)]
    if fitted.method != "majority":
        view(rooms, f"majority_{task.name}", select(majority_form(len(columns), fitted.prior)))
        methods.append(("majority", f"majority_{task.name}", False))
    view(
        rooms,
        f"training_{task.name}",
        f"SELECT {idents(task.keys, 'l.')}, map_values(l.probs) AS probs, l.covered, r.split "
        f"FROM ({select(fitted.training_form)}) AS l JOIN wsdb.{ident('rows_' + task.name)} AS r "
        f"USING ({idents(task.keys)})",
    )
    macro(rooms, f"label_model_report_{task.name}", ("of_split",), report_macro(task, methods))


def parameters(task: Task, fitted: FittedLabelModel) -> list[tuple[object, ...]]:
    """Return the rows of label_parameters: one for each vote source and class it votes for."""
    found: list[tuple[object, ...]] = []
    for j, name in enumerate(fitted.sources):
        for y, label in enumerate(task.labels):
            if not np.isnan(fitted.precision[j, y]):
                found.append(
                    (
                        name,
                        label,
                        _number(fitted.accuracy[j]),
                        _number(fitted.precision[j, y]),
                        float(fitted.propensity[j]),
                        float(fitted.weights[j]),
                        _number(fitted.stderr[j]),
                        int(fitted.counts[j]),
                    )
                )
    return found


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def gold_counts(rooms: Rooms, task: Task, step: Pack) -> GoldCounts:
    """Return the counts of votes by gold label over the dev split.

    Raises
    ------
    SpecError
        WS315 where the task has no gold rows in dev.
    """
    votes = idents(step.columns, "m.")
    rows = rooms.engine.rows(
        f"SELECT list_position([{literals(task.labels)}], r.gold) - 1, {votes} "
        f"FROM {rooms.engine.table('matrix_' + task.name)} AS m "
        f"JOIN {rooms.engine.table('rows_' + task.name)} AS r ON {same_key(task, 'm', 'r')} "
        "WHERE r.split = 'dev' AND r.gold IS NOT NULL"
    )
    if not rows:
        raise SpecError(
            "WS315",
            f"task \"{task.name}\" has no gold rows in its dev split, which use_dev = 'anchor' needs",
            hint="give the task GOLD and SPLIT, or say use_dev = 'never'",
        )
    known = np.array([[-1 if code is None else code for code in row] for row in rows], dtype=np.int64)
    rooms.notice(f"label model of task {task.name} used {len(rows):,} gold rows of the dev split")
    return GoldCounts.of_rows(known[:, 1:], known[:, 0], len(task.labels))


def view(rooms: Rooms, name: str, select: str) -> None:
    """Write a view of schema wsdb."""
    rooms.engine.run(f"CREATE OR REPLACE VIEW {rooms.engine.table(name)} AS {select}")


def macro(rooms: Rooms, name: str, parameters: Sequence[str], select: str) -> None:
    """Write a table macro of schema wsdb; in `select` a parameter stands as ``@name@`` and gets a string or NULL.

    The body goes through query(), so that it is bound when it is called. EXPORT DATABASE writes macros before the
    views they read; bound at once, IMPORT DATABASE could not make them.
    """
    body = literal(select)
    for parameter in parameters:
        given = f"coalesce('''' || replace({parameter}, '''', '''''') || '''', 'NULL')"
        body = f"replace({body}, '@{parameter}@', {given})"
    rooms.engine.run(
        f"CREATE OR REPLACE MACRO {rooms.engine.table(name)}({', '.join(parameters)}) AS TABLE FROM query({body})"
    )


def read_labels(rooms: Rooms, snapshot: CatalogSnapshot, task: Task, *, matrix_only: bool) -> None:
    """Bring what a read is about to see up to date, as far as a read may.

    With ``wsdb_auto_refresh`` off, in a read-only database, or where a python labeling function came with the file,
    stored state is read as it is, and a notice says that it is old.

    Raises
    ------
    CatalogError
        WS204 where there is nothing stored yet and the read may not compute it.
    """
    what, verb = ("label matrix", "is") if matrix_only else ("labels", "are")
    stored = (snapshot.matrices if matrix_only else snapshot.label_runs).get(task.name.lower()) is not None
    step = plan(rooms, task, matrix_only=matrix_only) if rooms.settings.auto_refresh or stored else None
    if isinstance(step, Reuse):
        return
    reason = _barred(rooms, step)
    if reason is None:
        transact(rooms, lambda: run(rooms, plan(rooms, task, matrix_only=matrix_only)))
    elif stored:
        rooms.notice(f"{what} of task {task.name} {verb} out of date: {reason}")
    else:
        target = "LABEL MATRIX" if matrix_only else "LABELS"
        raise CatalogError(
            "WS204",
            f'{what} of task "{task.name}" {verb} not computed yet: {reason}',
            hint=f"REFRESH {target} FOR TASK {task.name}",
        )


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
