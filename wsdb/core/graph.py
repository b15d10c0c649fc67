"""TaskGraph: rules between the labels of tasks, and the label vectors that keep them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

VERBS = ("implies", "excludes", "applies")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: ``task 'label' IMPLIES other 'other_label'``, ``… EXCLUDES …`` or ``task APPLIES WHEN other 'label'``.

    Attributes
    ----------
    verb : ``implies``, ``excludes`` or ``applies``
    label : the label of `task`; None for ``applies``, which is about all of them
    """

    task: str
    label: str | None
    verb: str
    other: str
    other_label: str

    @property
    def text(self) -> str:
        """The rule as a message shows it."""
        if self.label is None:
            return f"{self.task} APPLIES WHEN {self.other} '{self.other_label}'"
        return f"{self.task} '{self.label}' {self.verb.upper()} {self.other} '{self.other_label}'"


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """Rules between the labels of tasks on the same rows.

    Several ``APPLIES WHEN`` rules of one task mean that it applies where any of them holds; elsewhere its label is NA.

    Attributes
    ----------
    name : unique among task graphs, compared without case
    rules : in the order given
    """

    name: str
    rules: tuple[Rule, ...]
    comment: str | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that rules name, in the order of their first mention, each spelled as it was there."""
        found: dict[str, str] = {}
        for rule in self.rules:
            for name in (rule.task, rule.other):
                found.setdefault(name.lower(), name)
        return tuple(found.values())


def cycle(edges: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """Return a path that comes back to where it started, or None.

    Parameters
    ----------
    edges : for each node the nodes it leads to

    >>> cycle({"a": ["b"], "b": ["c"], "c": ["b"]})
    ('b', 'c', 'b')
    """
    done: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> tuple[str, ...] | None:
        if node in path:
            return (*path[path.index(node) :], node)
        if node in done:
            return None
        done.add(node)
        found = (visit(following, (*path, node)) for following in edges.get(node, ()))
        return next((loop for loop in found if loop is not None), None)

    return next((loop for node in edges if (loop := visit(node, ())) is not None), None)


def applies_cycle(graph: TaskGraph) -> tuple[str, ...] | None:
    """Return tasks that apply only where each other does, as a path back to the first; None where there are none."""
    spelled = {name.lower(): name for name in graph.tasks}
    edges: dict[str, list[str]] = {}
    for rule in graph.rules:
        if rule.verb == "applies":
            edges.setdefault(rule.task.lower(), []).append(rule.other.lower())
    found = cycle(edges)
    return tuple(spelled[name] for name in found) if found is not None else None


def vectors(graph: TaskGraph, labels: Mapping[str, Sequence[str]]) -> Iterator[tuple[int, ...]]:
    """Yield the label vectors that keep all rules, in the order of their codes.

    A vector has one code for each task of ``graph.tasks``: the place of its label, or ``len(labels)`` for NA. Only a
    task with an ``APPLIES WHEN`` rule can be NA, and is NA where none of these rules holds. NA implies nothing and
    excludes nothing; a label that implies one of a task that is NA does not hold.

    Parameters
    ----------
    labels : the labels of each task, by its name in lower case
    """
    names = [name.lower() for name in graph.tasks]
    place = {name: at for at, name in enumerate(names)}
    codes = {name: {label: code for code, label in enumerate(labels[name])} for name in names}
    pairs: list[tuple[int, int, str, int, int]] = []
    needs: dict[int, list[tuple[int, int]]] = {}
    for rule in graph.rules:
        task, other = rule.task.lower(), rule.other.lower()
        other_code = codes[other][rule.other_label]
        if rule.label is None:
            needs.setdefault(place[task], []).append((place[other], other_code))
        else:
            pairs.append((place[task], codes[task][rule.label], rule.verb, place[other], other_code))

    def keeps(vector: Sequence[int]) -> bool:
        """Return whether the rules hold whose tasks all have a code; the last code of `vector` is new."""
        last = len(vector) - 1
        for task, code, verb, other, other_code in pairs:
            if (
                max(task, other) == last
                and vector[task] == code
                and (vector[other] == other_code) != (verb == "implies")
            ):
                return False
        for task, parents in needs.items():
            if max(task, *(parent for parent, _ in parents)) == last:
                applies = any(vector[parent] == code for parent, code in parents)
                if applies == (vector[task] == len(labels[names[task]])):
                    return False
        return True

    def extend(vector: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        at = len(vector)
        if at == len(names):
            yield vector
            return
        for code in range(len(labels[names[at]]) + (at in needs)):
            longer = (*vector, code)
            if keeps(longer):
                yield from extend(longer)

    return extend(())


def impossible(
    graph: TaskGraph, labels: Mapping[str, Sequence[str]], most: int = 20_000
) -> tuple[tuple[str, str], ...]:
    """Return the (task, label) pairs that no feasible vector has.

    All of them are returned where there is no feasible vector; none where there are more than `most` vectors, which
    are not all looked at.
    """
    unseen = {(at, code): None for at, name in enumerate(graph.tasks) for code in range(len(labels[name.lower()]))}
    for looked, vector in enumerate(vectors(graph, labels)):
        if looked == most:
            return ()
        for at, code in enumerate(vector):
            unseen.pop((at, code), None)
        if not unseen:
            return ()
    return tuple((graph.tasks[at], labels[graph.tasks[at].lower()][code]) for at, code in unseen)
