"""The rules between the tasks of a model, from constraints and task graphs, as combinations of states that are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.constraint import POSITIONS, Constraint
from wsdb.core.errors import SpecError
from wsdb.core.graph import TaskGraph
from wsdb.core.specs import ModelSpec
from wsdb.core.sqltext import idents
from wsdb.core.task import Task
from wsdb.model.decode import NONE, SOME, Component, join
from wsdb.model.rules import Rule, graph_rules
from wsdb.session.rooms import Rooms
from wsdb.session.run_shapes import joint_graph

APART = "WITH (decode = 'none') predicts each task on its own"


def components(
    rooms: Rooms, spec: ModelSpec, tasks: Sequence[Task], snapshot: CatalogSnapshot
) -> tuple[Component, ...]:
    """Return the tasks of a model that rules tie together, with the combinations of their states that are left.

    A rule counts where the model has all its tasks. There are none with ``decode = 'none'``.

    Raises
    ------
    SpecError
        WS360 where no combination is left, or too many; where a rule depends on which element a SELECT task picks,
        not only on whether it picks one.
    """
    if dict(spec.options).get("decode") == "none":
        return ()
    of = {task.name.lower(): task for task in tasks}
    found = [part for graph in snapshot.task_graphs() for part in _of_graph(graph, of)]
    found += [_of_constraint(rooms, one, of) for one in snapshot.constraints([task.name for task in tasks])]
    return join(found)


def has_rules(tasks: Sequence[Task], snapshot: CatalogSnapshot) -> bool:
    """Return whether a constraint or a rule of a task graph has all its tasks among these."""
    names = {task.name.lower() for task in tasks}
    rules = [rule for graph in snapshot.task_graphs() for rule in graph.rules]
    ruled = any(rule.task.lower() in names and rule.other.lower() in names for rule in rules)
    return ruled or bool(snapshot.constraints([task.name for task in tasks]))


def rules_apart(rooms: Rooms, spec: ModelSpec, tasks: Sequence[Task], snapshot: CatalogSnapshot) -> list[Rule]:
    """Return the rules between a model's tasks one by one, with ``decode = 'none'`` too.

    A constraint on which element a SELECT task picks is left out: what is predicted does not keep it.
    """
    of = {task.name.lower(): task for task in tasks}
    names = {name: task.name for name, task in of.items()}
    found = [rule for graph in snapshot.task_graphs() for rule in graph_rules(graph, names)]
    for constraint in snapshot.constraints([task.name for task in tasks]):
        try:
            kept = _of_constraint(rooms, constraint, of)
        except SpecError:
            continue
        found.append(Rule("constraint", constraint.name, constraint.check, kept.tasks, kept))
    return found


def _of_graph(graph: TaskGraph, of: dict[str, Task]) -> list[Component]:
    """Return the components of a task graph over the tasks of a model."""
    rules = tuple(rule for rule in graph.rules if rule.task.lower() in of and rule.other.lower() in of)
    if not rules:
        return []
    part = replace(graph, rules=rules)
    tasks = [of[name.lower()] for name in part.tasks]
    return [
        Component(tuple(tasks[at].name for at in found.tasks), found.vectors)
        for found in joint_graph(part, tasks).components
        if len(found.tasks) > 1
    ]


def _of_constraint(rooms: Rooms, constraint: Constraint, of: dict[str, Task]) -> Component:
    """Return the combinations of states that keep a constraint."""
    tasks = [of[name.lower()] for name in constraint.tasks]
    columns = idents([task.name for task in tasks])
    rows = rooms.engine.rows(f"SELECT {columns} FROM {rooms.engine.table(constraint.stored)}")
    states = {tuple(_state(task, value) for task, value in zip(tasks, row, strict=True)) for row in rows}
    for at in (at for at, task in enumerate(tasks) if task.kind == "select"):
        states = _whether_picked(constraint, tasks[at], states, at)
    vectors = np.array(sorted(states), dtype=np.int64).reshape(-1, len(tasks))
    return Component(tuple(task.name for task in tasks), vectors)


def _state(task: Task, value: Any) -> int:
    """Return the state of an answer; of a SELECT task its position, 0 for none."""
    if task.kind == "bitvector":
        return sum(1 << task.labels.index(label) for label in value)
    if task.kind == "select":
        return value or 0
    return task.labels.index(value)


def _whether_picked(constraint: Constraint, task: Task, states: set[tuple[int, ...]], at: int) -> set[tuple[int, ...]]:
    """Return states with all positions of a SELECT task taken as one."""
    picked: dict[tuple[int, ...], int] = {}
    kept: set[tuple[int, ...]] = set()
    for state in states:
        rest = (*state[:at], SOME, *state[at + 1 :])
        if state[at] == 0:
            kept.add((*state[:at], NONE, *state[at + 1 :]))
        else:
            picked[rest] = picked.get(rest, 0) + 1
    if any(n != POSITIONS for n in picked.values()):
        raise SpecError(
            "WS360",
            f'constraint "{constraint.name}" depends on which element task "{task.name}" picks; a prediction keeps '
            "conditions on whether it picks one",
            hint=APART,
        )
    return kept | set(picked)
