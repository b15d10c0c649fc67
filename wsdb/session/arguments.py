"""The arguments of the functions that report on a task: whether what they name exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsdb.core.errors import CatalogError, SpecError, did_you_mean
from wsdb.core.span import Span
from wsdb.core.sqltext import literal
from wsdb.core.task import SPLITS, Task
from wsdb.monitor.review import STRATEGIES
from wsdb.parser import render
from wsdb.session.rooms import Rooms

Given = Callable[[str], tuple[Any, Span] | None]
"""From the name of a parameter to its value and place; None where it is not given or not a plain value."""


def check(rooms: Rooms, task: Task, given: Given) -> None:
    """Check what can be known before anything is computed.

    Raises
    ------
    SpecError
        WS307 for a number below zero; WS308 for an unknown strategy.
    """
    found = given("n")
    if found is not None and (not isinstance(found[0], int) or found[0] < 0):
        raise SpecError("WS307", f"n is a whole number of at least 0, not {found[0]!r}", span=found[1])
    found = given("strategy")
    if found is not None and found[0] not in STRATEGIES:
        hint = did_you_mean(str(found[0]), STRATEGIES) or f"one of {', '.join(STRATEGIES)}"
        raise SpecError("WS308", f'unknown strategy "{found[0]}"', span=found[1], hint=hint, choices=list(STRATEGIES))
    _check_split(rooms, task, given("split"))
    _check_by(rooms, task, given("by"))


def _check_split(rooms: Rooms, task: Task, found: tuple[Any, Span] | None) -> None:
    """Raise SpecError WS304 where the task has no row in the split."""
    if found is None or found[0] in SPLITS:
        return
    text, span = str(found[0]), found[1]
    rows = rooms.engine.table(f"rows_{task.name}")
    if not rooms.engine.rows(f"SELECT 1 FROM {rows} WHERE split = ? LIMIT 1", [text]):
        raise SpecError(
            "WS304",
            f"task \"{task.name}\" has no row in split '{text}'",
            span=span,
            hint=did_you_mean(text, SPLITS) or "splits are train, dev and test",
        )


def _check_by(rooms: Rooms, task: Task, found: tuple[Any, Span] | None) -> None:
    """Raise SpecError WS312 where the task's relation has no such column."""
    if found is None:
        return
    names = [name for name, _ in rooms.engine.columns(task.relation)]
    if str(found[0]).lower() not in (name.lower() for name in names):
        raise SpecError(
            "WS312",
            f'relation {task.relation} of task "{task.name}" has no column "{found[0]}"',
            span=found[1],
            hint=did_you_mean(str(found[0]), names) or f"it has {', '.join(names[:8])}",
        )


def check_columns(rooms: Rooms, task: Task, given: Given) -> None:
    """Check that the labeling functions named are columns of the label matrix, once that is current.

    Raises
    ------
    CatalogError
        WS201 with the nearest name, or with what a function of that name has instead.
    """
    for parameter in ("lf", "lf_a", "lf_b"):
        found = given(parameter)
        if found is None:
            continue
        name, span = str(found[0]), found[1]
        snapshot = rooms.catalog.snapshot()
        stored = snapshot.matrices.get(task.name.lower())
        columns = [column.name for column in stored.columns] if stored is not None else []
        if name.lower() in (column.lower() for column in columns):
            continue
        raise CatalogError(
            "WS201",
            f'labeling function "{name}" has no column in the label matrix of task "{task.name}"',
            span=span,
            hint=_instead(name, columns, [lf.name for lf in snapshot.lfs(task.name) if not lf.enabled]),
            name=name,
        )


def check_row(rooms: Rooms, task: Task, key: tuple[str, list[Any], Span] | None) -> None:
    """Check that the row to explain is there.

    Parameters
    ----------
    key : its SQL, the value bound to it, and its place; None where it is known only when the function is read

    Raises
    ------
    CatalogError
        WS209 where no row has the key.
    """
    if key is None:
        return
    sql, bound, span = key
    try:
        ((text,),) = rooms.engine.rows(f"SELECT CAST(to_json({sql}) AS VARCHAR)", bound)
    except Exception:  # DuckDB has its own words for it
        return
    explained = f"{rooms.engine.table(f'explain_row_{task.name}')}({'NULL' if text is None else literal(text)})"
    try:
        rooms.engine.rows(f"SELECT 1 FROM {explained} LIMIT 1")
    except Exception as error:
        if "[WS209]" not in str(error):
            raise
        raise CatalogError(
            "WS209",
            f'task "{task.name}" has no row with the key {text or "NULL" if bound else sql}',
            span=span,
            hint=f"its key is ({render.names(task.keys)})",
        ) from error


def _instead(name: str, columns: list[str], disabled: list[str]) -> str:
    sources = [column for column in columns if column.lower().startswith(f"{name.lower()}:")]
    if sources:
        return f"it has one for each source: {', '.join(sources[:4])}{', …' if len(sources) > 4 else ''}"
    if name.lower() in (lf.lower() for lf in disabled):
        return "it is disabled"
    if not columns:
        return "it has no column yet"
    return did_you_mean(name, columns) or f"it has {', '.join(columns[:8])}{', …' if len(columns) > 8 else ''}"
