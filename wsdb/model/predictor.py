"""Predictor: a trained network ready for rows. It needs numpy and Arrow, not torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.core.errors import ModelError
from wsdb.model.calibrate import softmax
from wsdb.model.encode import Encoder, Hashing
from wsdb.model.forward import Weights, logits
from wsdb.model.weights import FORMAT, digest, unpack


@dataclass(frozen=True, slots=True)
class Predictor:
    """A trained network with its encoder and calibration. Nothing in it changes; threads may share one.

    Attributes
    ----------
    encoder : features with their statistics
    weights : the network's parameters
    tasks : names, in the order of the heads
    labels : the k class names of every task
    temperatures : one per task
    offsets : float64 (k,) per task, added to the scaled logits
    """

    encoder: Encoder
    weights: Weights
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
        """
        if manifest.get("format") != FORMAT:
            raise ModelError(
                "WS508",
                f"the model is of format {manifest.get('format')}; this version reads format {FORMAT}",
                hint="train the model again, or use the version of wsdb that trained it",
            )
        if manifest.get("weights_sha256") != digest(weights):
            raise ModelError("WS508", "manifest and weights of the model do not belong together, or are damaged")
        arrays, parameters = unpack(weights)
        hashing = Hashing(**{**manifest["hashing"], "char_ngrams": tuple(manifest["hashing"]["char_ngrams"])})
        encoder = Encoder.restore(manifest["features"], arrays, hashing)
        tasks = manifest["tasks"]
        network = Weights.of(parameters, [len(task["labels"]) for task in tasks])
        return cls(
            encoder=encoder,
            weights=network,
            tasks=tuple(task["name"] for task in tasks),
            labels=tuple(tuple(task["labels"]) for task in tasks),
            temperatures=tuple(float(task["temperature"]) for task in tasks),
            offsets=tuple(np.array(task["offsets"], dtype=np.float64) for task in tasks),
        )

    def predict(self, batch: pa.RecordBatch | pa.StructArray) -> dict[str, np.ndarray]:
        """Return the probabilities of every task, float64 (n, k), rows sum to 1.

        Columns are found by name; a NULL is a value like any other. n may be 0. A row's answer does not
        depend on the other rows of the batch.

        Raises
        ------
        ModelError  WS504 if a column is missing or of another family than in training, WS507 for a vector of
            another length.
        """
        scores = logits(self.weights, self.encoder.encode(batch))
        return {
            task: softmax(score / temperature + offset)
            for task, score, temperature, offset in zip(
                self.tasks, scores, self.temperatures, self.offsets, strict=True
            )
        }
