"""Scatter: relation and vote labeling functions, read as (key, vote)."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.planner.steps import Column, Scatter, Step


def scatter(columns: Sequence[Column]) -> tuple[Step, ...]:
    """Return a step for each relation and vote labeling function among these columns."""
    by_lf: dict[str, list[Column]] = {}
    for column in columns:
        if column.lf.scope in ("relation", "votes"):
            by_lf.setdefault(column.lf.name, []).append(column)
    return tuple(Scatter(tuple(own)) for own in by_lf.values())
