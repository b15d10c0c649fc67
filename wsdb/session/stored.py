"""Views and macros of schema wsdb, through which what is stored is read."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.core.sqltext import literal
from wsdb.session.rooms import Rooms


def view(rooms: Rooms, name: str, select: str) -> None:
    """Write a view of schema wsdb."""
    rooms.engine.run(f"CREATE OR REPLACE VIEW {rooms.engine.table(name)} AS {select}")


def macro(rooms: Rooms, name: str, parameters: Sequence[str], select: str) -> None:
    """Write a table macro of schema wsdb; in `select` a parameter stands as ``@name@`` and gets a string or NULL.

    The body goes through query(), so that it is bound when it is called. EXPORT DATABASE writes macros before the
    views they read; bound at once, IMPORT DATABASE could not make them. What a macro without parameters gives to
    query() would be known, and bound, when it is made: it gets a parameter that nobody uses.
    """
    body = literal(select)
    if not parameters:
        body, parameters = f"{body} || bound_late", ("bound_late := ''",)
    for parameter in (name for name in parameters if ":=" not in name):
        given = f"coalesce('''' || replace({parameter}, '''', '''''') || '''', 'NULL')"
        body = f"replace({body}, '@{parameter}@', {given})"
    rooms.engine.run(
        f"CREATE OR REPLACE MACRO {rooms.engine.table(name)}({', '.join(parameters)}) AS TABLE FROM query({body})"
    )
