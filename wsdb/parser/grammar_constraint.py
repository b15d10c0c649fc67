"""CREATE CONSTRAINT, from the name on."""

from __future__ import annotations

from wsdb.core.constraint import Constraint
from wsdb.parser.clauses import comment, tasks
from wsdb.parser.cursor import Cursor
from wsdb.parser.statements import CreateConstraint


def create_constraint(cursor: Cursor) -> CreateConstraint:
    """Parse CREATE CONSTRAINT; the place of the condition is remembered as ``body``."""
    name = cursor.name("constraint")
    cursor.expect("ON")
    own = tasks(cursor)
    text = comment(cursor) if cursor.accept("COMMENT") else None
    if not cursor.accept("CHECK"):
        raise cursor.wrong(*(("CHECK",) if text is not None else ("COMMENT", "CHECK")))
    check = cursor.parenthesis("body")
    return CreateConstraint(span=cursor.span(0), spec=Constraint(name, own, check, text))
