"""Served: a stored model as predictions need it: the network, what its tasks are, and the rules that tie them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.model.decode import Answer, Component, decide, decode
from wsdb.model.predictor import Predictor
from wsdb.model.rules import Rule


@dataclass(frozen=True, slots=True)
class Served:
    """A model version that answers rows. Nothing in it changes; threads may share one.

    Attributes
    ----------
    predictor : the network
    tasks : of each task, in the order of the answer, name, kind, labels and threshold as the manifest has them
    components : tasks that are decoded together
    rules : the constraints and the rules of task graphs, one by one; also those that are not decoded by
    """

    predictor: Predictor
    tasks: tuple[Mapping[str, Any], ...]
    components: tuple[Component, ...]
    rules: tuple[Rule, ...] = ()

    @classmethod
    def load(cls, manifest: Mapping[str, Any], weights: bytes) -> Served:
        """Build from what is stored of a version.

        Raises
        ------
        ModelError
            WS508 where manifest and weights do not fit together.
        """
        components = tuple(Component.from_dict(part) for part in manifest.get("components", ()))
        rules = tuple(Rule.from_dict(part) for part in manifest.get("rules", ()))
        return cls(Predictor.load(manifest, weights), tuple(manifest["tasks"]), components, rules)

    def answer(self, batch: pa.RecordBatch | pa.StructArray) -> list[Answer]:
        """Return the answers of all tasks, from one pass through the network."""
        answers = self._decoded(self._decided(batch))
        return [answers[task["name"]] for task in self.tasks]

    def violations(self, batch: pa.RecordBatch | pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of n rows break each rule, before and after tasks are decoded together: bool (n, rules) each."""
        before = self._decided(batch)
        found = []
        for answers in (before, self._decoded(before)):
            broken = [rule.violated(answers) for rule in self.rules]
            found.append(np.stack(broken, axis=1) if broken else np.zeros((len(batch), 0), bool))
        return found[0], found[1]

    def _decided(self, batch: pa.RecordBatch | pa.StructArray) -> dict[str, Answer]:
        """Return the answer of each task on its own."""
        scores = self.predictor.predict(batch)
        return {
            task["name"]: decide(
                task["kind"],
                tuple(task["labels"]),
                scores[task["name"]].probabilities,
                scores[task["name"]].indptr,
                task.get("threshold"),
            )
            for task in self.tasks
        }

    def _decoded(self, answers: dict[str, Answer]) -> dict[str, Answer]:
        """Return the answers of the tasks, those of a component together."""
        for component in self.components:
            answers = answers | decode(component, answers)
        return answers
