"""What a user gives to train on, labels by LABELS FROM or with a source's rows: found, and checked with its keys."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wsdb.core.errors import DataError, SpecError, did_you_mean
from wsdb.core.source import LABEL
from wsdb.core.span import Span
from wsdb.core.specs import ModelSpec
from wsdb.core.sqltext import ident, idents, literal
from wsdb.core.task import Task
from wsdb.parser.statements import Statement
from wsdb.planner.steps import GivenLabels, Train
from wsdb.session.rooms import Rooms
from wsdb.session.training_rows import given_rows, on_elements, row_keys

ROUNDED = 0.01
"""By how much probabilities may miss the sum of 1; they are divided by their sum."""

SOFT = re.compile(r"MAP\((VARCHAR|ENUM\(.*\)), (U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\))\)")
"""The types of a map from label to probability."""


def given_labels(rooms: Rooms, spec: ModelSpec, tasks: Sequence[Task], at: Statement | None) -> tuple[GivenLabels, ...]:
    """Return what LABELS FROM labels, in the order of its queries and their columns.

    A query returns the keys of tasks, and for each of them a column of labels with its name; where the model has one
    task the column may have any name.

    Raises
    ------
    SpecError
        WS313 for a query without the keys of a task or of no labels, or labels of another type; WS316 for a column that
        is of no task, and for a task with two.
    """
    found: list[GivenLabels] = []
    for place, sql in enumerate(spec.labels_from):
        span = at.spans.get(f"labels query {place}") if at is not None else None
        columns = rooms.engine.describe(sql, span, f'LABELS FROM of model "{spec.name}"')
        names = {name.lower(): name for name, _ in columns}
        keyed = {task.name.lower(): task for task in tasks if all(key.lower() in names for key in task.keys)}
        keys = {key.lower() for task in keyed.values() for key in task.keys}
        labels = [(name, kind) for name, kind in columns if name.lower() not in keys]
        shown = ", ".join(name for name, _ in columns)
        if not keyed or not labels or (len(tasks) == 1 and len(labels) > 1):
            wanted = " or ".join(dict.fromkeys(", ".join(task.keys) for task in tasks))
            what = "a label" if len(tasks) == 1 else "labels, in columns named as tasks"
            raise SpecError("WS313", f"LABELS FROM returns ({shown}); it must return {wanted} and {what}", span=span)
        for name, kind in labels:
            task = tasks[0] if len(tasks) == 1 else keyed.get(name.lower())
            if task is None or task.name in {one.task for one in found}:
                why = "is of no task that has these keys" if task is None else "is given twice"
                raise SpecError(
                    "WS316",
                    f'LABELS FROM returns ({shown}), and "{name}" {why}',
                    span=span,
                    hint=f"name a column of labels as its task: {', '.join(one.name for one in tasks)}",
                )
            soft = _is_soft(task, name, kind, span)
            own = tuple(names[key.lower()] for key in task.keys)
            found.append(GivenLabels(task.name, sql, own, name, soft, place))
    return tuple(found)


def _is_soft(task: Task, label: str, kind: str, span: Span | None) -> bool:
    """Return whether labels of that SQL type are probabilities, or raise where they are no labels of the task."""
    if SOFT.fullmatch(kind):
        return True
    base = kind.removesuffix("[]") if task.kind == "bitvector" else kind
    if (
        base.startswith(("VARCHAR", "ENUM"))
        and not base.endswith("[]")
        and (base != kind) == (task.kind == "bitvector")
    ):
        return False
    what = "a list of strings" if task.kind == "bitvector" else "strings"
    raise SpecError(
        "WS313",
        f'LABELS FROM: column "{label}" is {kind}; labels of task "{task.name}" are {what}, or probabilities by label',
        span=span,
        hint=f"probabilities are a map: MAP {{{', '.join(f'{literal(one)}: …' for one in task.labels[:2])}}}",
    )


def check_keys(rooms: Rooms, step: Train, at: Statement) -> None:
    """Raise where rows that a model is trained on cannot be told apart: each would be taught the label several times.

    A task's relation was checked with its votes, unless its labels are given by hand.

    Raises
    ------
    DataError
        WS401 with up to three keys that are in several rows of the model's source, or of the relation of such a task.
    """
    keys = tuple(dict.fromkeys(key for task in step.tasks for key in row_keys(task)))
    by_hand = [task for task in step.tasks if step.given_to(task) is not None]
    wanted = [(step.spec.source, keys, at.at("relation"))]
    wanted += [(task.relation, task.keys, at.at_name("task", task.name)) for task in by_hand]
    known = {(task.relation, task.keys) for task in step.tasks if task not in by_hand}
    for relation, names, span in wanted:
        if (relation, names) in known:
            continue
        there = " OR ".join(f"{ident(key)} IS NOT NULL" for key in names)  # rows without a key have no label
        twice = repeated_keys(rooms, f"(FROM {relation} WHERE {there})", names)
        if twice is not None:
            raise DataError(
                "WS401",
                f"{relation} has several rows for one key ({', '.join(names)}): {twice}",
                span=span,
                hint="a model is trained on one row for each key: leave the others out with a view",
            )
        known.add((relation, names))


def check_given(rooms: Rooms, step: Train, at: Statement) -> None:
    """Raise where LABELS FROM or a source of a Train step gives labels that cannot be those of the task.

    Keys that no row has are ignored, and a notice counts them.

    Raises
    ------
    DataError
        WS403 with the most frequent unknown label, WS401 with up to three keys that are there twice, WS409 with
        probabilities that are none.
    """
    for task in step.tasks:
        given = step.given_to(task)
        if given is not None:
            span, rows = at.spans.get(f"labels query {given.place}", at.span), given_rows(rooms, given, task)
            label = "map_keys(__label)" if given.soft else "__label"
            depth = int(given.soft or task.kind == "bitvector")
            _check_labels(rooms, task, "LABELS FROM", _unnested(f"({rows})", label, depth), span)
            _check_keys(rooms, task, rows, span)
            if given.soft:
                _check_probabilities(rooms, task, rows, span)
            _count_strangers(rooms, step.spec.name, task, rows)
    for source in step.more:
        view = rooms.engine.table(source.stored)
        columns = {name.lower() for name, _ in rooms.engine.columns(view, None, f'source "{source.name}"')}
        for task in step.tasks:
            label = LABEL + task.name
            if task.kind != "select" and label.lower() in columns:
                depth = int(task.kind == "bitvector") + int(on_elements(task))
                _check_labels(rooms, task, f'source "{source.name}"', _unnested(view, ident(label), depth), at.span)


def _unnested(relation: str, label: str, depth: int) -> str:
    """Return the SELECT of labels, in column ``__label``, of a column of them, of lists, or of lists of lists."""
    inner = f"SELECT {label} AS __label FROM {relation}"
    for _ in range(depth):
        inner = f"SELECT unnest(__label) AS __label FROM ({inner})"
    return inner


def _check_labels(rooms: Rooms, task: Task, what: str, labels: str, span: Span) -> None:
    unknown = unknown_label(rooms, task, f"SELECT CAST(__label AS VARCHAR) AS __label FROM ({labels})")
    if unknown is not None:
        found, count = unknown
        raise DataError(
            "WS403",
            f"{what} gives the label '{found}' {count:,} time{'s' * (count != 1)}; task \"{task.name}\" has "
            f"({', '.join(map(repr, task.labels[:8]))})",
            span=span,
            hint=did_you_mean(found, task.labels),
            count=count,
        )


def _check_keys(rooms: Rooms, task: Task, given: str, span: Span) -> None:
    known = " AND ".join(f"{ident(key)} IS NOT NULL" for key in task.keys)
    twice = repeated_keys(rooms, f"(FROM ({given}) WHERE {known})", task.keys)
    if twice is not None:
        raise DataError(
            "WS401",
            f'LABELS FROM has several rows for one key of task "{task.name}": {twice}',
            span=span,
            hint="keep one row for each key",
        )


def _check_probabilities(rooms: Rooms, task: Task, given: str, span: Span) -> None:
    bad = "list_bool_or(list_transform(__shares, lambda __x: __x IS NULL OR NOT (__x BETWEEN 0 AND 1)))"
    if task.kind != "bitvector":
        bad += f" OR coalesce(abs(list_sum(__shares) - 1) > {ROUNDED}, true)"
    rows = rooms.engine.rows(
        f"SELECT {idents(task.keys)}, CAST(__label AS VARCHAR), count(*) OVER () FROM "
        f"(SELECT *, CAST(map_values(__label) AS DOUBLE[]) AS __shares FROM ({given})) WHERE {bad} LIMIT 1"
    )
    if rows:
        *key, shown, count = rows[0]
        raise DataError(
            "WS409",
            f'LABELS FROM: {count:,} row{"s" * (count != 1)} of task "{task.name}" have labels that are no '
            f"probabilities, such as {shown} for {', '.join(map(str, key))}",
            span=span,
            hint="they are numbers from 0 to 1" + ("" if task.kind == "bitvector" else " that sum to 1"),
            count=count,
        )


def _count_strangers(rooms: Rooms, model: str, task: Task, given: str) -> None:
    """Say how many rows of LABELS FROM have a key that no row of the task has."""
    stored = rooms.engine.table(f"rows_{task.name}")
    ((count,),) = rooms.engine.rows(f"SELECT count(*) FROM ({given}) ANTI JOIN {stored} USING ({idents(task.keys)})")
    if count:
        rooms.notice(
            f"model {model}: LABELS FROM gives task {task.name} labels of {count:,} key{'s' * (count != 1)} that "
            f"{task.relation} does not have; ignored"
        )


def unknown_label(rooms: Rooms, task: Task, query: str) -> tuple[str, int] | None:
    """Return the most frequent label that a task does not have, and how often it is there; None without one.

    Parameters
    ----------
    query : gives the labels as text, in column ``__label``
    """
    rows = rooms.engine.rows(
        f"SELECT __label, count(*) FROM ({query}) WHERE __label IS NOT NULL AND NOT list_contains(?, __label) "
        "GROUP BY __label ORDER BY count(*) DESC, __label LIMIT 1",
        [list(task.labels)],
    )
    return rows[0] if rows else None


def repeated_keys(rooms: Rooms, relation: str, keys: Sequence[str]) -> str | None:
    """Return the text of up to three keys that several rows of a relation have, None where each has one row."""
    named = idents(keys)
    twice = rooms.engine.rows(
        f"SELECT {named}, count(*) FROM {relation} GROUP BY {named} HAVING count(*) > 1 "
        f"ORDER BY count(*) DESC, {named} LIMIT 3"
    )
    return ", ".join(f"{', '.join(map(str, row[:-1]))} ({row[-1]} times)" for row in twice) or None
