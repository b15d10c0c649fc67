"""Served: a stored model as predictions need it: the network, what its tasks are, and the rules that tie them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from wsdb.model.decode import Answer, Component, decide, decode
from wsdb.model.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Served:
    """A model version that answers rows. Nothing in it changes; threads may share one.

    Attributes
    ----------
    predictor : the network
    tasks : of each task, in the order of the answer, name, kind, labels and threshold as the manifest has them
    components : tasks that are decoded together
    """

    predictor: Predictor
    tasks: tuple[Mapping[str, Any], ...]
    components: tuple[Component, ...]

    @classmethod
    def load(cls, manifest: Mapping[str, Any], weights: bytes) -> Served:
        """Build from what is stored of a version.

        Raises
        ------
        ModelError
            WS508 where manifest and weights do not fit together.
        """
        components = tuple(Component.from_dict(part) for part in manifest.get("components", ()))
        return cls(Predictor.load(manifest, weights), tuple(manifest["tasks"]), components)

    def answer(self, batch: pa.RecordBatch | pa.StructArray) -> list[Answer]:
        """Return the answers of all tasks, from one pass through the network."""
        scores = self.predictor.predict(batch)
        answers = {
            task["name"]: decide(
                task["kind"],
                tuple(task["labels"]),
                scores[task["name"]].probabilities,
                scores[task["name"]].indptr,
                task.get("threshold"),
            )
            for task in self.tasks
        }
        for component in self.components:
            answers |= decode(component, answers)
        return [answers[task["name"]] for task in self.tasks]
