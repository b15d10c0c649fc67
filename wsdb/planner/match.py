"""Match: text predicates that leave SQL, where that is worth the way of the text through Arrow."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.planner.facts import TaskFacts
from wsdb.planner.steps import Column

WORTH = 1.0
"""Microseconds a row that DuckDB must need for the predicates before they leave it."""


def matched(columns: Sequence[Column], facts: TaskFacts) -> tuple[Column, ...]:
    """Return the columns whose predicates are computed outside of SQL: all that can be, or none."""
    able = tuple(column for column in columns if facts.lfs[column.lf.name].predicates)
    cost = sum(facts.lfs[column.lf.name].cost for column in able)
    return able if cost >= WORTH else ()
