"""Views and macros of schema wsdb, through which what is stored is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wsdb.core.rowsql import rows_select
from wsdb.core.sqltext import AT, literal
from wsdb.core.task import Task
from wsdb.session.rooms import Rooms


def view(rooms: Rooms, name: str, select: str) -> None:
    """Write a view of schema wsdb."""
    rooms.engine.run(f"CREATE OR REPLACE VIEW {rooms.engine.table(name)} AS {select}")


def rows_view(rooms: Rooms, task: Task) -> None:
    """Write the view of a task's rows with their split and gold label."""
    view(rooms, f"rows_{task.name}", rows_text(rooms, task))


def rows_text(rooms: Rooms, task: Task) -> str:
    """Return the SELECT of that view, which means the same wherever USE points."""
    qualified = rooms.engine.qualified
    found = replace(task, relation=qualified(f"FROM {task.relation}").removeprefix("FROM "))
    if task.gold is not None:
        gold = qualified(f"FROM {task.gold.relation}").removeprefix("FROM ")
        found = replace(found, gold=replace(task.gold, relation=gold))
    return rows_select(found)


def macro(rooms: Rooms, name: str, parameters: Sequence[str], select: str) -> None:
    """Write a table macro of schema wsdb; in `select` a parameter stands as ``@name@`` and gets a string or NULL.

    The body goes through query(), so that it is bound when it is called. EXPORT DATABASE writes macros before the
    views they read; bound at once, IMPORT DATABASE could not make them. Its last parameter, ``home``, is what stands
    for ``@at@``: DuckDB looks for the names in a macro's body from the database in use, not from the macro's own.
    """
    body = f"replace({literal(select)}, '{AT}', home)"
    for parameter in parameters:
        given = f"coalesce('''' || replace({parameter}, '''', '''''') || '''', 'NULL')"
        body = f"replace({body}, '@{parameter}@', {given})"
    accepted = ", ".join([*parameters, "home := ''"])
    rooms.engine.run(f"CREATE OR REPLACE MACRO {rooms.engine.table(name)}({accepted}) AS TABLE FROM query({body})")
