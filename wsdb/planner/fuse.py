"""Fuse: all row and python labeling functions in one scan of the columns they read."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.core.task import Task
from wsdb.planner.facts import TaskFacts
from wsdb.planner.match import matched
from wsdb.planner.steps import Column, Fuse, Isolate, Match, Scan, Step

LOOKUPS = 8
"""This many labeling functions that look something up share a scan."""


def fuse(task: Task, columns: Sequence[Column], facts: TaskFacts, rows: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """Return the step that computes the row and python labeling functions among these columns, if there are any.

    Parameters
    ----------
    rows : the steps that name the rows to read; all of them where it is empty
    """
    fused = tuple(column for column in columns if column.lf.scope in ("row", "python"))
    if not fused:
        return ()
    reads = list(task.keys)
    for column in fused:
        reads += [read for read in facts.lfs[column.lf.name].reads if read not in reads]
    joined = dict.fromkeys(name for column in fused for name in facts.lfs[column.lf.name].primitives)
    scan = Scan(task.relation, tuple(reads), rows, tuple(joined))
    outside = matched(fused, facts)
    inside = tuple(column for column in fused if column not in outside)
    step: Step = Isolate(Fuse(groups(inside, facts), scan)) if inside else scan
    if outside:
        predicates = dict.fromkeys(text for column in outside for text in facts.lfs[column.lf.name].predicates)
        step = Match(outside, tuple(predicates), step)
    return (step,)


def groups(fused: tuple[Column, ...], facts: TaskFacts) -> tuple[tuple[Column, ...], ...]:
    """Return the columns of each scan.

    DuckDB takes ever longer to plan a SELECT with many look-ups (20 of them ten times as long as 10, and 60 took
    minutes), so beyond `LOOKUPS` of them they share scans in that number.
    """
    lookups = tuple(column for column in fused if facts.lfs[column.lf.name].looks_up)
    if len(lookups) <= LOOKUPS:
        return (fused,)
    plain = tuple(column for column in fused if column not in lookups)
    chunks = tuple(lookups[at : at + LOOKUPS] for at in range(0, len(lookups), LOOKUPS))
    return (plain, *chunks) if plain else chunks
