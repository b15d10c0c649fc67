"""References: which objects a spec names, and the same spec with other names in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from wsdb.core.constraint import Constraint
from wsdb.core.graph import TaskGraph
from wsdb.core.lf import LabelingFunction, VoteTogether
from wsdb.core.payload import Payload
from wsdb.core.specs import LabelModelSpec, ModelSpec
from wsdb.core.task import Task
from wsdb.parser.render import Spec

ALL = ("*",)
NameOf = Callable[[str, str, str], str]
"""The name to write for a reference: of its kind, its name, and where the statement has it (see `mapped`)."""


def mapped(spec: Spec, name_of: NameOf) -> Spec:
    """Return a spec with every name of another object replaced by what `name_of` returns for it.

    Parameters
    ----------
    name_of : called with the kind, the name and the place, under which the parser remembers the name's span
    """

    def each(kind: str, names: tuple[str, ...], place: str) -> tuple[str, ...]:
        return tuple(name_of(kind, name, f"{place} {name.lower()}") for name in names)

    match spec:
        case Task():
            payload = name_of("payload", spec.payload, "payload") if spec.payload is not None else None
            return replace(spec, payload=payload, depends_on=each("task", spec.depends_on, "dependency"))
        case TaskGraph():
            rules = tuple(
                replace(
                    rule,
                    task=name_of("task", rule.task, f"task {at}"),
                    other=name_of("task", rule.other, f"other {at}"),
                )
                for at, rule in enumerate(spec.rules)
            )
            return replace(spec, rules=rules)
        case Payload():
            sources = each("payload", spec.from_payloads, "source payload")
            spans = spec.spans
            if spans is not None:
                spans = replace(spans, payload=name_of("payload", spans.payload, "span payload"))
            embedding = name_of("embedding", spec.embedding, "embedding") if spec.embedding is not None else None
            return replace(spec, from_payloads=sources, spans=spans, embedding=embedding)
        case LabelingFunction():
            tasks = each("task", spec.tasks, "task")
            body = spec.body
            if isinstance(body, VoteTogether):
                spelled = dict(zip((name.lower() for name in spec.tasks), tasks, strict=True))
                body = replace(body, votes=tuple((spelled[name.lower()], label) for name, label in body.votes))
            others = each("labeling function", spec.depends_on, "dependency")
            return replace(spec, task=tasks[0], tasks=tasks, depends_on=others, body=body)
        case LabelModelSpec():
            tasks = each("task", spec.tasks, "task")
            graph = name_of("task graph", spec.graph, "task graph") if spec.graph is not None else None
            return replace(spec, task=tasks[0], tasks=tasks, graph=graph)
        case ModelSpec():
            weights = tuple((name_of("task", name, f"task {name.lower()}"), weight) for name, weight in spec.tasks)
            augment = each("transformation function", spec.augment, "transformation function")
            slices = spec.slices if spec.slices == ALL else each("slice", spec.slices, "slice")
            return replace(
                spec,
                tasks=weights,
                feature_sets=each("feature set", spec.feature_sets, "feature set"),
                payloads=each("payload", spec.payloads, "payload"),
                slices=slices,
                augment=augment,
            )
        case Constraint():
            return replace(spec, tasks=each("task", spec.tasks, "task"))
        case _:
            return spec


@lru_cache(maxsize=50_000)
def references(spec: Spec) -> tuple[tuple[str, str], ...]:
    """Return the objects a spec names as (kind, name) pairs, each once, in the order of the statement."""
    found: dict[tuple[str, str], None] = {}

    def note(kind: str, name: str, place: str) -> str:
        found.setdefault((kind, name))
        return name

    mapped(spec, note)
    return tuple(found)


def renamed(spec: Spec, kind: str, old: str, new: str) -> Spec:
    """Return a spec in which the object `old` is called `new`; names are compared without case."""

    def rename(of: str, name: str, place: str) -> str:
        return new if of == kind and name.lower() == old.lower() else name

    return mapped(spec, rename)
