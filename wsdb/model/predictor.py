"""Predictor: a trained network ready for rows. A network over rows alone needs numpy and Arrow, not torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.model.arrays import EncodedBatch
from wsdb.model.encode import Encoder, Hashing
from wsdb.model.forward import Weights, logits, members, probabilities
from wsdb.model.payload_arrays import PREFIX, PayloadEncoders
from wsdb.model.plan import NetworkPlan
from wsdb.model.weights import read_weights

Logits = Callable[[EncodedBatch], Sequence[np.ndarray]]
Members = Callable[[EncodedBatch], Mapping[str, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Scores:
    """The answers of one task.

    Attributes
    ----------
    probabilities : float64 (E, k). Rows sum to 1; of a bitvector each number stands for itself; of a select task they
        are (no, yes), and the yes parts of a row's elements sum to 1
    indptr : int64 (n + 1,), the elements of row i are indptr[i] … indptr[i+1]-1; None where the task labels rows, E = n
    """

    probabilities: np.ndarray
    indptr: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Predictor:
    """A trained network with its encoders and calibration. Nothing in it changes; threads may share one.

    Attributes
    ----------
    encoder : features with their statistics
    payload_encoders : sequence and set payloads with theirs
    scores : from encoded rows to the logits of every task, float64 (E, k)
    members : from encoded rows to P(in the slice) of rows or elements, see `slice_members`; None without slices
    plan : of the network
    tasks : names, in the order of the heads
    labels : the k class names of every task
    temperatures : one per task
    offsets : float64 (k,) per task, added to the scaled logits
    """

    encoder: Encoder
    payload_encoders: PayloadEncoders
    scores: Logits
    members: Members | None
    plan: NetworkPlan
    tasks: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    temperatures: tuple[float, ...]
    offsets: tuple[np.ndarray, ...]

    @classmethod
    def load(cls, manifest: Mapping[str, Any], weights: bytes) -> Predictor:
        """Build from what `train` returned.

        Raises
        ------
        ModelError  WS508 if manifest and weights do not fit together or are of another format.
        EnvironmentError_  WS701 if the network has payloads and torch is not installed.
        """
        arrays, parameters = read_weights(manifest, weights)
        hashing = Hashing(**{**manifest["hashing"], "char_ngrams": tuple(manifest["hashing"]["char_ngrams"])})
        plan = NetworkPlan.restore(manifest["network"])
        tasks = manifest["tasks"]
        scores, members = (_torch_scores if plan.payloads else _numpy_scores)(plan, parameters)
        return cls(
            encoder=Encoder.restore(manifest["features"], arrays, hashing),
            payload_encoders=PayloadEncoders.restore(manifest["payloads"], arrays),
            scores=scores,
            members=members,
            plan=plan,
            tasks=tuple(task["name"] for task in tasks),
            labels=tuple(tuple(task["labels"]) for task in tasks),
            temperatures=tuple(float(task["temperature"]) for task in tasks),
            offsets=tuple(np.array(task["offsets"], dtype=np.float64) for task in tasks),
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of every task."""
        return tuple(head.kind for head in self.plan.heads)

    @property
    def slices(self) -> dict[str, tuple[str, ...]]:
        """Names of the slices whose members the network knows, by payload whose elements they have, '' of rows."""
        return {} if self.members is None else self.plan.members()

    def elements(self, batch: pa.RecordBatch | pa.StructArray) -> dict[str, np.ndarray]:
        """Return where the elements of each row are, int64 (n + 1,), by payload of lists; errors as `predict`."""
        found = self.payload_encoders.apply(batch)
        return {name.removeprefix(PREFIX): one.indptr for name, one in found.items() if name.startswith(PREFIX)}

    def slice_members(self, batch: pa.RecordBatch | pa.StructArray) -> dict[str, Scores]:
        """Return the probability that each of `slices` has each row or element, (n, s) or (E, s); errors as `predict`.

        They are independent of each other: rows do not sum to 1.
        """
        if self.members is None:
            return {}
        encoded = self.encode(batch)
        found = {}
        for place, inside in self.members(encoded).items():
            elements = encoded.ragged.get(PREFIX + place)
            found[place] = Scores(inside, None if elements is None else elements.indptr)
        return found

    def encode(self, batch: pa.RecordBatch | pa.StructArray) -> EncodedBatch:
        """Return the rows as the network reads them; errors as of `predict`."""
        encoded = self.encoder.encode(batch)
        return EncodedBatch(encoded.n, encoded.rows, {**encoded.ragged, **self.payload_encoders.apply(batch)})

    def predict(self, batch: pa.RecordBatch | pa.StructArray) -> dict[str, Scores]:
        """Return the answers of every task.

        Columns are found by name; a NULL is a value like any other, and a NULL list has no elements. n may be 0. A
        row's answer does not depend on the other rows of the batch.

        Raises
        ------
        ModelError  WS504 if a column is missing or of another family than in training, WS507 for a vector of
            another length, WS512 if lists of a row do not fit together.
        """
        encoded = self.encode(batch)
        found = {}
        every = zip(self.tasks, self.plan.heads, self.scores(encoded), self.temperatures, self.offsets, strict=True)
        for task, head, score, temperature, offset in every:
            elements = encoded.ragged.get(PREFIX + head.payload)
            indptr = None if elements is None else elements.indptr
            found[task] = Scores(probabilities(head.kind, score, temperature, offset, indptr), indptr)
        return found


def _numpy_scores(plan: NetworkPlan, parameters: Mapping[str, np.ndarray]) -> tuple[Logits, Members | None]:
    weights = Weights.of(parameters, plan)
    return partial(logits, weights), partial(members, weights) if plan.slices else None


def _torch_scores(plan: NetworkPlan, parameters: Mapping[str, np.ndarray]) -> tuple[Logits, Members | None]:
    from wsdb.model.module import members_of, network_of_weights, scores_of

    network = network_of_weights(plan, parameters)
    return partial(scores_of, network), None if network.slices is None else partial(members_of, network)
