"""Checks of a spec against the catalog: what it names exists, and goes together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from wsdb.catalog.label_models import check_label_model
from wsdb.catalog.references import mapped
from wsdb.catalog.snapshot import CatalogSnapshot, Entry
from wsdb.core.constraint import Constraint
from wsdb.core.errors import SpecError
from wsdb.core.graph import TaskGraph, cycle, vectors
from wsdb.core.lf import LabelingFunction, VoteTogether
from wsdb.core.payload import Payload
from wsdb.core.slice import elements_of
from wsdb.core.span import Span
from wsdb.core.specs import LabelModelSpec, ModelSpec
from wsdb.core.sqltext import bare
from wsdb.core.task import Task, unknown_label
from wsdb.parser.render import Spec
from wsdb.parser.statements import KINDS, Create, Statement

S = TypeVar("S", bound=Spec)
ONE_LABEL = ("binary", "multiclass", "ordinal")
"""The kinds of task that have one label for a row."""


def check_references(spec: S, snapshot: CatalogSnapshot, at: Statement) -> S:
    """Return a spec with the names of other objects as the catalog spells them.

    Where it replaces an object, what is built on that object is checked again.

    Raises
    ------
    CatalogError
        WS201 where one does not exist; WS203 where a task of a label model has another one.
    SpecError
        WS302 unknown label; WS303 a prior that is not declared; WS330, WS331, WS332, WS336 objects that do not go
        together; WS333 objects that depend on each other in a circle; WS334 rules that nothing keeps; WS337 a label
        model that the type of a task does not have.
    """

    def spelled(kind: str, name: str, place: str) -> str:
        own = snapshot.find(kind, name)
        if own is None and kind == KINDS[type(spec)] and name.lower() == spec.name.lower():
            return spec.name  # a circle of one, which is reported as such
        return snapshot.entry(kind, name, _place(at, place)).name

    found = mapped(spec, spelled)
    _check(found, snapshot, at)
    if isinstance(at, Create) and at.or_replace:
        after, bare = _with(snapshot, found), Statement(span=at.span)
        for entry in _built_on(snapshot, (KINDS[type(spec)], spec.name.lower())):
            _check_again(entry, after, bare)
    return found  # type: ignore[return-value]


def _place(at: Statement, place: str) -> Span:
    """Return where a name stands: under its own place, else under that of its clause."""
    return at.spans.get(place, at.at(place.partition(" ")[0] if place.startswith("task ") else place))


def _with(snapshot: CatalogSnapshot, spec: Spec) -> CatalogSnapshot:
    """Return the snapshot as it would be with this spec in it."""
    kind = KINDS[type(spec)]
    return replace(
        snapshot, entries={**snapshot.entries, (kind, spec.name.lower()): Entry(kind, spec.name, 0, spec, "", "", "")}
    )


def _built_on(snapshot: CatalogSnapshot, name: tuple[str, str]) -> list[Entry]:
    """Return what names an object (kind, name in lower case), or names something that does."""
    found: dict[tuple[str, str], Entry] = {}
    names = [name]
    while names:
        below = names.pop()
        for key, entry in snapshot.entries.items():
            if below in entry.named and key not in found and key != name:
                found[key] = entry
                names.append(key)
    return list(found.values())


def _check(spec: Spec, snapshot: CatalogSnapshot, at: Statement) -> None:
    match spec:
        case Task():
            _check_task(spec, snapshot, at)
        case Payload():
            _check_payload(spec, snapshot, at)
        case TaskGraph():
            _check_graph(spec, snapshot, at)
        case LabelingFunction():
            _check_lf(spec, snapshot, at)
        case LabelModelSpec():
            check_label_model(spec, snapshot, at)
        case Constraint():
            _check_constraint(spec, snapshot, at)
        case ModelSpec():
            _check_model(spec, snapshot, at)


def _check_again(entry: Entry, snapshot: CatalogSnapshot, at: Statement) -> None:
    """Check what is built on an object that is about to be replaced; its name goes before the message."""
    try:
        _check(entry.spec, snapshot, at)
    except SpecError as error:
        error.message = f'{entry.kind} "{entry.name}" would no longer fit: {error.message}'
        raise


def _check_task(spec: Task, snapshot: CatalogSnapshot, at: Statement) -> None:
    _refuse_cycle("task", spec.name, spec.depends_on, snapshot, at)
    if spec.payload is None:
        return
    payload, place = snapshot.payload(spec.payload), at.at("payload")
    if bare(payload.relation) != bare(spec.relation):
        raise SpecError(
            "WS330",
            f'payload "{payload.name}" is of relation {payload.relation}, task "{spec.name}" is on {spec.relation}',
            span=place,
        )
    if payload.keys and {key.lower() for key in payload.keys} != {key.lower() for key in spec.keys}:
        raise SpecError(
            "WS330",
            f'payload "{payload.name}" has the key ({", ".join(payload.keys)}), '
            f'task "{spec.name}" has ({", ".join(spec.keys)})',
            span=place,
        )
    if spec.kind == "select" and payload.shape == "singleton":
        raise SpecError(
            "WS330",
            f'task "{spec.name}" picks one of several elements, and payload "{payload.name}" is a SINGLETON',
            span=place,
            hint="a SELECT task needs a SET or a SEQUENCE",
        )


def _check_payload(spec: Payload, snapshot: CatalogSnapshot, at: Statement) -> None:
    sources = (*spec.from_payloads, *((spec.spans.payload,) if spec.spans is not None else ()))
    _refuse_cycle("payload", spec.name, sources, snapshot, at)
    for name in sources:
        source = snapshot.payload(name)
        place = at.spans.get(f"source payload {name.lower()}", at.at("span payload"))
        if bare(source.relation) != bare(spec.relation):
            raise SpecError(
                "WS331",
                f'payload "{spec.name}" is on {spec.relation}, payload "{source.name}" on {source.relation}',
                span=place,
            )
        if spec.spans is not None and source.shape != "sequence":
            raise SpecError(
                "WS331",
                f'spans are stretches of a SEQUENCE, and payload "{source.name}" is a {source.shape.upper()}',
                span=place,
            )


def _check_graph(spec: TaskGraph, snapshot: CatalogSnapshot, at: Statement) -> None:
    tasks = [snapshot.task(name) for name in spec.tasks]
    for task in tasks:
        if task.kind not in ONE_LABEL:
            raise SpecError(
                "WS332",
                f'a row has one label of each task of a graph; task "{task.name}" is {task.kind.upper()}',
                span=_first_mention(spec, task, at),
            )
    _same_rows(tasks, "WS332", f'the tasks of task graph "{spec.name}"', lambda task: _first_mention(spec, task, at))
    labels = {task.name.lower(): task.labels for task in tasks}
    for number, rule in enumerate(spec.rules):
        for name, label, place in ((rule.task, rule.label, "label"), (rule.other, rule.other_label, "other label")):
            if label is not None and label not in labels[name.lower()]:
                raise unknown_label(snapshot.task(name), label).at(at.at(f"{place} {number}"))
    if next(vectors(spec, labels), None) is None:
        raise SpecError(
            "WS334",
            f'no row can keep all rules of task graph "{spec.name}", whatever its labels',
            span=at.span,
            hint="leave out a rule, or add a label for rows that the rules are not about",
        )


def _first_mention(graph: TaskGraph, task: Task, at: Statement) -> Span:
    """Return where a graph names a task for the first time."""
    for number, rule in enumerate(graph.rules):
        for name, place in ((rule.task, "task"), (rule.other, "other")):
            if name.lower() == task.name.lower():
                return at.at(f"{place} {number}")
    return at.span


def _check_lf(spec: LabelingFunction, snapshot: CatalogSnapshot, at: Statement) -> None:
    tasks = [snapshot.task(name) for name in spec.tasks]
    what = f'the tasks of labeling function "{spec.name}"'
    _same_rows(tasks, "WS336", what, lambda task: at.at_name("task", task.name))
    if isinstance(spec.body, VoteTogether):
        for task, (_, label) in zip(tasks, spec.body.votes, strict=True):
            if label not in task.labels:
                raise unknown_label(task, label, spec.name).at(at.at_name("label", task.name))
    _refuse_cycle("labeling function", spec.name, spec.depends_on, snapshot, at)
    for name in spec.depends_on:
        other = snapshot.labeling_function(name)
        if not any(other.votes_on(task) for task in spec.tasks):
            raise SpecError(
                "WS330",
                f'labeling function "{spec.name}" depends on "{other.name}", which votes on no task of its',
                span=at.at_name("dependency", name),
            )


def _check_constraint(spec: Constraint, snapshot: CatalogSnapshot, at: Statement) -> None:
    tasks = []
    for name in spec.tasks:
        task = snapshot.entry("task", name).spec
        assert isinstance(task, Task)
        about_row = task.kind == "select" or task.payload is None or snapshot.payload(task.payload).shape == "singleton"
        tasks.append(replace(task, payload=None) if about_row else task)  # one answer a row, wherever it is read from
    _same_rows(tasks, "WS332", f'the tasks of constraint "{spec.name}"', lambda task: at.at_name("task", task.name))


def _check_model(spec: ModelSpec, snapshot: CatalogSnapshot, at: Statement) -> None:
    """Raise WS348 where what a model reads besides its features is about another relation than its source.

    A slice may also be on a payload of the source; one of elements on a payload whose elements a task labels.
    """
    if spec.source.startswith("("):
        return
    used: list[tuple[str, str, str]] = [("payload", name, snapshot.payload(name).relation) for name in spec.payloads]
    groups = [snapshot.slice(name) for name in spec.slices if spec.slices != ("*",)]
    payloads = [one for one in snapshot.payloads() if bare(one.relation) == bare(spec.source)]
    labeled = {(snapshot.task(name).payload or "").lower() for name, _ in spec.tasks}
    for group in groups:
        of = elements_of(group, payloads)
        if of is not None and of.name.lower() not in labeled:
            raise SpecError(
                "WS348",
                f'slice "{group.name}" has elements of {of.name}, which no task of model "{spec.name}" labels',
                span=at.at_name("slice", group.name),
                hint=f"KEY ({', '.join(of.keys)}) makes it a slice of the rows with such an element",
            )
        if bare(group.relation) not in {bare(one.name) for one in payloads}:
            used.append(("slice", group.name, group.relation))
    kind = "transformation function"
    used += [(kind, name, snapshot.transformation_function(name).relation) for name in spec.augment]
    for kind, name, relation in used:
        if bare(relation) != bare(spec.source):
            raise SpecError(
                "WS348",
                f'{kind} "{name}" is on {relation}, model "{spec.name}" is FROM {spec.source}',
                span=at.at_name(kind, name),
            )


def _same_rows(tasks: Sequence[Task], code: str, what: str, place: Callable[[Task], Span]) -> None:
    """Raise where tasks are not about the same rows: another relation, payload or key."""
    first = tasks[0]
    for task in tasks[1:]:
        for clause, one, two in (
            ("ON", bare(first.relation), bare(task.relation)),
            ("PAYLOAD", (first.payload or "").lower(), (task.payload or "").lower()),
            ("KEY", _low(first.keys), _low(task.keys)),
        ):
            if one != two:
                raise SpecError(
                    code,
                    f'{what} have to be about the same rows; "{first.name}" and "{task.name}" differ in {clause}',
                    span=place(task),
                )


def _refuse_cycle(kind: str, name: str, to: Sequence[str], snapshot: CatalogSnapshot, at: Statement) -> None:
    """Raise WS333 where `name`, which leads `to` others of its kind, closes a circle of them."""
    if not to:
        return
    spelled = {name.lower(): name}
    edges = {name.lower(): [other.lower() for other in to]}
    for (of, low), entry in snapshot.entries.items():
        if of == kind and low not in edges:
            spelled[low] = entry.name
            edges[low] = [other for other_kind, other in entry.named if other_kind == kind]
    loop = cycle(edges)
    if loop is not None:
        raise SpecError(
            "WS333",
            f"{kind}s that depend on each other: {' -> '.join(spelled[node] for node in loop)}",
            span=at.spans.get(f"dependency {loop[1]}", at.spans.get(f"source payload {loop[1]}", at.span)),
            path=[spelled[node] for node in loop],
        )


def _low(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(name.lower() for name in names))
