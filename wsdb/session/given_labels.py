"""Labels that a user gives, by LABELS FROM or with the rows of a source, are checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

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
    unknown = unknown_label(rooms, task, f"SELECT CAST(__label AS VARCHAR) AS __label FROM ({inner})")
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


def _check_keys(rooms: Rooms, task: Task, query: str, keys: list[str], span: Span) -> None:
    twice = repeated_keys(rooms, query, keys)
    if twice is not None:
        raise DataError(
            "WS401",
            f'LABELS FROM has several rows for one key of task "{task.name}": {twice}',
            span=span,
            hint="keep one row for each key",
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
