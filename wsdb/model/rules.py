"""Rules between the tasks of a model, one by one: which rows' answers keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wsdb.core.graph import TaskGraph
from wsdb.model.decode import Answer, Component, state_of


@dataclass(frozen=True, slots=True)
class Rule:
    """A constraint, or one rule of a task graph.

    Attributes
    ----------
    kind : ``constraint`` or ``task graph``
    name : of the constraint or task graph
    text : the condition, or the rule
    tasks : whose answers it is about; of a graph's rule the task and the other one, or those that say where it applies
    kept : of a constraint, the combinations of states that keep it; None of a graph's rule
    verb : of a graph's rule, ``implies``, ``excludes`` or ``applies``
    labels : of a graph's rule, the label of each task; None of the one that ``applies`` is about
    """

    kind: str
    name: str
    text: str
    tasks: tuple[str, ...]
    kept: Component | None = None
    verb: str | None = None
    labels: tuple[str | None, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "text": self.text,
            "tasks": list(self.tasks),
            "vectors": None if self.kept is None else self.kept.vectors.tolist(),
            "verb": self.verb,
            "labels": list(self.labels),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Rule:
        """Read what `to_dict` returned."""
        kept = Component.from_dict(values) if values["vectors"] is not None else None
        tasks, labels = tuple(values["tasks"]), tuple(values["labels"])
        return cls(values["kind"], values["name"], values["text"], tasks, kept, values["verb"], labels)

    def violated(self, answers: Mapping[str, Answer]) -> np.ndarray:
        """Return which of n rows do not keep the rule, bool (n,); with tasks on elements, those with such an element.

        Parameters
        ----------
        answers : of at least the rule's tasks
        """
        own = [answers[name] for name in self.tasks]
        states = [state_of(answer) for answer in own]
        if self.kept is not None:
            rows = np.ascontiguousarray(np.stack(states, axis=1), dtype=np.int64)
            wrong = np.array([row.tobytes() not in self.kept.known for row in rows], dtype=bool)
        else:
            wrong = self._breaks(own, states)
        if any(answer.kind == "select" for answer in own):  # its state is the row's
            return wrong
        counts = np.concatenate([np.zeros(1, np.int64), np.cumsum(wrong)])
        found: np.ndarray = np.diff(counts[own[0].offsets]) > 0
        return found

    def _breaks(self, own: Sequence[Answer], states: Sequence[np.ndarray]) -> np.ndarray:
        """Return where answers break a graph's rule; a task that does not apply has no label."""
        held = [
            state == answer.labels.index(label) if label is not None else state < len(answer.labels)
            for answer, state, label in zip(own, states, self.labels, strict=True)
        ]
        there: np.ndarray = np.logical_or.reduce(held[1:])
        if self.verb == "applies":
            return held[0] != there
        return held[0] & (~there if self.verb == "implies" else there)


def graph_rules(graph: TaskGraph, names: Mapping[str, str]) -> list[Rule]:
    """Return the rules of a task graph between tasks that a model has; those that say where a task applies are one.

    Parameters
    ----------
    names : of the model's tasks, by their names in lower case
    """
    own = [rule for rule in graph.rules if rule.task.lower() in names and rule.other.lower() in names]
    found = [
        Rule(
            "task graph",
            graph.name,
            rule.text,
            (names[rule.task.lower()], names[rule.other.lower()]),
            verb=rule.verb,
            labels=(rule.label, rule.other_label),
        )
        for rule in own
        if rule.verb != "applies"
    ]
    where = [rule for rule in own if rule.verb == "applies"]
    for name in dict.fromkeys(rule.task.lower() for rule in where):
        any_of = [rule for rule in where if rule.task.lower() == name]
        text = " OR ".join([any_of[0].text, *(f"{rule.other} '{rule.other_label}'" for rule in any_of[1:])])
        tasks = (names[name], *(names[rule.other.lower()] for rule in any_of))
        labels = (None, *(rule.other_label for rule in any_of))
        found.append(Rule("task graph", graph.name, text, tasks, verb="applies", labels=labels))
    return found
