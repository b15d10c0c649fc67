"""Labels that a user gives, by LABELS FROM or with the rows of a source, are checked before anything is trained."""

from __future__ import annotations

from wsdb.core.errors import DataError, did_you_mean
from wsdb.core.source import LABEL
from wsdb.core.span import Span
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import Task
from wsdb.parser.statements import Statement
from wsdb.planner.steps import Train
from wsdb.session.rooms import Rooms
from wsdb.session.training_rows import on_elements


def check_given(rooms: Rooms, step: Train, at: Statement) -> None:
    """Raise where LABELS FROM or a source of a Train step gives a label that the task does not have, or a key twice.

    Raises
    ------
    DataError
        WS403 with the most frequent unknown label, WS401 with up to three keys.
    """
    if step.given is not None:
        (task,), span, query = step.tasks, at.spans.get("labels query", at.span), f"(\n{step.spec.labels_sql}\n)"
        *keys, label = step.given
        depth = int(task.kind == "bitvector")
        _check_labels(rooms, task, "LABELS FROM", (query, label, depth), span)
        _check_keys(rooms, task, query, keys, span)
    for source in step.more:
        view = rooms.engine.table(source.stored)
        given = {name.lower() for name, _ in rooms.engine.columns(view, None, f'source "{source.name}"')}
        for task in step.tasks:
            label = LABEL + task.name
            if task.kind != "select" and label.lower() in given:
                depth = int(task.kind == "bitvector") + int(on_elements(task))
                _check_labels(rooms, task, f'source "{source.name}"', (view, label, depth), at.span)


def _check_labels(rooms: Rooms, task: Task, what: str, given: tuple[str, str, int], span: Span) -> None:
    relation, label, depth = given  # lists of labels, or lists of these, are unnested
    inner = f"SELECT {ident(label)} AS __label FROM {relation}"
    for _ in range(depth):
        inner = f"SELECT unnest(__label) AS __label FROM ({inner})"
    rows = rooms.engine.rows(
        f"SELECT __label, count(*) FROM (SELECT CAST(__label AS VARCHAR) AS __label FROM ({inner})) "
        "WHERE __label IS NOT NULL AND NOT list_contains(?, __label) "
        "GROUP BY __label ORDER BY count(*) DESC, __label LIMIT 1",
        [list(task.labels)],
    )
    if rows:
        found, count = rows[0]
        raise DataError(
            "WS403",
            f"{what} gives the label '{found}' {count:,} time{'s' * (count != 1)}; task \"{task.name}\" has "
            f"({', '.join(map(repr, task.labels[:8]))})",
            span=span,
            hint=did_you_mean(found, task.labels),
            count=count,
        )


def _check_keys(rooms: Rooms, task: Task, query: str, keys: list[str], span: Span) -> None:
    named = idents(keys)
    twice = rooms.engine.rows(
        f"SELECT {named}, count(*) FROM {query} GROUP BY {named} HAVING count(*) > 1 "
        f"ORDER BY count(*) DESC, {named} LIMIT 3"
    )
    if twice:
        raise DataError(
            "WS401",
            f'LABELS FROM has several rows for one key of task "{task.name}": '
            + ", ".join(f"{', '.join(map(str, row[:-1]))} ({row[-1]} times)" for row in twice),
            span=span,
            hint="keep one row for each key",
        )
