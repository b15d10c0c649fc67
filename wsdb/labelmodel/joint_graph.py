"""Task graphs: tasks whose labels imply or exclude each other, and the label vectors that are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wsdb.core.errors import SpecError

IMPLIES, EXCLUDES = "implies", "excludes"
MAX_VECTORS = 200_000
"""Label vectors of connected tasks that are enumerated at most."""
MAX_LABELS = 500
"""Labels of a task in a graph; every source has a rate for each pair of them."""


@dataclass(frozen=True, slots=True)
class JointTask:
    """A task of the graph: a name and k labels."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Constraint:
    """`task` = `label` implies or excludes `other_task` = `other_label`; `kind` is "implies" or "excludes"."""

    task: str
    label: str
    kind: str
    other_task: str
    other_label: str


@dataclass(frozen=True, slots=True)
class Component:
    """Tasks that constraints connect, and their feasible vectors.

    Attributes
    ----------
    tasks : int64 array of shape (t,), positions in the graph's tasks
    sizes : int64 array of shape (t,), number of labels of each task
    vectors : int64 array of shape (r, t), label codes; the code `sizes[i]` says that task i does not apply
    """

    tasks: np.ndarray
    sizes: np.ndarray
    vectors: np.ndarray

    @property
    def optional(self) -> np.ndarray:
        """Bool array of shape (t,): the task does not apply in some vector."""
        found: np.ndarray = (self.vectors == self.sizes).any(axis=0)
        return found


@dataclass(frozen=True, slots=True)
class JointGraph:
    """A task graph, split into components that do not constrain each other."""

    tasks: tuple[JointTask, ...]
    components: tuple[Component, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "tasks": [[task.name, list(task.labels)] for task in self.tasks],
            "components": [[part.tasks.tolist(), part.vectors.tolist()] for part in self.components],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> JointGraph:
        """Read what `to_dict` returned."""
        tasks = tuple(JointTask(name, tuple(labels)) for name, labels in values["tasks"])
        components = []
        for members, vectors in values["components"]:
            sizes = np.array([len(tasks[t].labels) for t in members], dtype=np.int64)
            table = np.asarray(vectors, dtype=np.int64).reshape(-1, len(members))
            components.append(Component(np.asarray(members, dtype=np.int64), sizes, table))
        return cls(tasks, tuple(components))


def feasible_vectors(tasks: Sequence[JointTask], constraints: Sequence[Constraint]) -> JointGraph:
    """Enumerate the label vectors that no constraint forbids.

    A task does not apply exactly where the labels of the others leave none of its labels: where every type of
    crime implies verdict 'guilty', the task of crime types does not apply to the innocent.

    Parameters
    ----------
    tasks : each with at least one label; names are unique
    constraints : by names of tasks and labels

    Returns
    -------
    JointGraph

    Raises
    ------
    SpecError
        WS341 for a constraint that names an unknown task, label or kind, or the same task twice; WS342 where
        no vector is left, or a label stands in none; WS343 for more than MAX_VECTORS vectors or a task
        of more than MAX_LABELS labels.

    Examples
    --------
    >>> animal = JointTask("animal", ("bird", "fish"))
    >>> bird = JointTask("bird", ("owl", "crow"))
    >>> only = [Constraint("bird", name, IMPLIES, "animal", "bird") for name in ("owl", "crow")]
    >>> feasible_vectors([animal, bird], only).components[0].vectors.tolist()
    [[0, 0], [0, 1], [1, 2]]
    """
    place = {task.name: i for i, task in enumerate(tasks)}
    rules = [_coded(rule, tasks, place) for rule in constraints]
    components = []
    for members in _connected(len(tasks), rules):
        inside = [rule for rule in rules if rule[0] in members]
        components.append(_component(tasks, members, inside))
    return JointGraph(tuple(tasks), tuple(components))


Rule = tuple[int, int, bool, int, int]
"""(task, label, implies, other task, other label), as positions."""
Pairs = dict[tuple[int, int], np.ndarray]
"""For two tasks of a component, bool array [value, other value]: both may stand in one vector."""


def _coded(rule: Constraint, tasks: Sequence[JointTask], place: dict[str, int]) -> Rule:
    for name, named in ((rule.task, rule.label), (rule.other_task, rule.other_label)):
        if name not in place:
            raise SpecError("WS341", f'the task graph has no task "{name}"', hint=f"tasks: {', '.join(place)}")
        if named not in tasks[place[name]].labels:
            hint = f"labels: {', '.join(tasks[place[name]].labels)}"
            raise SpecError("WS341", f"task {name} has no label '{named}'", hint=hint)
    if rule.kind not in (IMPLIES, EXCLUDES):
        raise SpecError("WS341", f'unknown constraint "{rule.kind}"', hint="IMPLIES or EXCLUDES")
    if rule.task == rule.other_task:
        raise SpecError("WS341", f"a constraint relates two tasks; task {rule.task} stands on both sides")
    task, other = place[rule.task], place[rule.other_task]
    label, other_label = tasks[task].labels.index(rule.label), tasks[other].labels.index(rule.other_label)
    return task, label, rule.kind == IMPLIES, other, other_label


def _connected(n_tasks: int, rules: list[Rule]) -> list[list[int]]:
    """Tasks in groups that rules connect, each sorted, in order of their first task."""
    group = list(range(n_tasks))
    for task, other in {(rule[0], rule[3]) for rule in rules}:
        old, new = max(group[task], group[other]), min(group[task], group[other])
        if old != new:
            group = [new if g == old else g for g in group]
    return [[t for t in range(n_tasks) if group[t] == g] for g in sorted(set(group))]


def _component(tasks: Sequence[JointTask], members: list[int], rules: list[Rule]) -> Component:
    sizes = [len(tasks[t].labels) for t in members]
    for t, size in zip(members, sizes, strict=True):
        if size > MAX_LABELS:
            hint = "split it into a coarse task and finer ones"
            raise SpecError(
                "WS343", f"task {tasks[t].name} of the graph has {size} labels, at most {MAX_LABELS}", hint=hint
            )
    column = {t: i for i, t in enumerate(members)}
    pairs = _pairs(sizes, [(column[a], u, implies, column[b], v) for a, u, implies, b, v in rules])
    vectors = np.zeros((1, 0), dtype=np.int64)
    for i, size in enumerate(sizes):
        values = size + (len(members) > 1)  # a task of its own always applies
        possible = np.ones((len(vectors), values), dtype=bool)
        for before in range(i):
            if (before, i) in pairs:
                possible &= pairs[before, i][vectors[:, before], :values]
        row, value = np.nonzero(possible)
        if len(row) > 10 * MAX_VECTORS:
            raise _too_many(tasks, members)
        vectors = np.column_stack([vectors[row], value])
    vectors = vectors[_applies(vectors, sizes, pairs)]
    if len(vectors) > MAX_VECTORS:
        raise _too_many(tasks, members)
    for i, t in enumerate(members):
        missing = np.setdiff1d(np.arange(sizes[i]), vectors[:, i])
        if len(missing):
            label = tasks[t].labels[missing[0]]
            raise SpecError("WS342", f"the constraints leave no combination with {tasks[t].name} = '{label}'")
    return Component(np.array(members, dtype=np.int64), np.array(sizes, dtype=np.int64), vectors)


def _too_many(tasks: Sequence[JointTask], members: list[int]) -> SpecError:
    names = ", ".join(tasks[t].name for t in members)
    hint = "add constraints, or put tasks that do not determine each other into graphs of their own"
    return SpecError("WS343", f"tasks {names} have more than {MAX_VECTORS} combinations of labels", hint=hint)


def _pairs(sizes: list[int], rules: list[Rule]) -> Pairs:
    pairs: Pairs = {}
    for task, label, implies, other, other_label in rules:
        if (task, other) not in pairs:
            both = np.ones((sizes[task] + 1, sizes[other] + 1), dtype=bool)
            pairs[task, other], pairs[other, task] = both, both.T
        allowed = pairs[task, other]
        if implies:
            kept = allowed[label, other_label]
            allowed[label] = False
            allowed[label, other_label] = kept
        else:
            allowed[label, other_label] = False
    return pairs


def _applies(vectors: np.ndarray, sizes: list[int], pairs: Pairs) -> np.ndarray:
    """Whether each vector leaves a task out only where none of its labels could stand."""
    kept = np.ones(len(vectors), dtype=bool)
    for i, size in enumerate(sizes):
        left_out = np.flatnonzero(vectors[:, i] == size)
        possible = np.ones((len(left_out), size), dtype=bool)
        for other in range(len(sizes)):
            if (other, i) in pairs:
                possible &= pairs[other, i][vectors[left_out, other], :size]
        kept[left_out[possible.any(axis=1)]] = False
    return kept
