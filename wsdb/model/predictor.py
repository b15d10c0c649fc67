"""Predictor: a trained network ready for rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.core.errors import ModelError
from wsdb.model.backend import torch
from wsdb.model.calibrate import softmax
from wsdb.model.encode import EncodedBatch, Encoder, Hashing
from wsdb.model.network import Network, build_network, inputs_of
from wsdb.model.weights import FORMAT, digest, unpack

_ROWS = 4_096  # rows in the network at a time


@dataclass(frozen=True, slots=True)
class Predictor:
    """A trained network with its encoder and calibration. Nothing in it changes; threads may share one.

    Attributes
    ----------
    encoder : features with their statistics
    network : on the CPU
    tasks : names, in the order of the heads
    labels : the k class names of every task
    temperatures : one per task
    offsets : float64 (k,) per task, added to the scaled logits
    """

    encoder: Encoder
    network: Network
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
            raise ModelError(
                "WS508", "manifest and weights of the model do not belong together, or are damaged"
            )
        arrays, parameters = unpack(weights)
        hashing = Hashing(**{**manifest["hashing"], "char_ngrams": tuple(manifest["hashing"]["char_ngrams"])})
        encoder = Encoder.restore(manifest["features"], arrays, hashing)
        tasks = manifest["tasks"]
        network = build_network(
            n_text=encoder.n_text,
            n_category=encoder.n_category,
            n_dense=encoder.n_dense,
            hidden=manifest["hidden"],
            n_labels=[len(task["labels"]) for task in tasks],
            generator=torch.Generator(),
        )
        network.load_state_dict({name: torch.from_numpy(array) for name, array in parameters.items()})
        network.requires_grad_(False).eval()
        return cls(
            encoder=encoder,
            network=network,
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
        logits = network_logits(self.network, self.encoder.encode(batch), torch.device("cpu"))
        return {
            task: softmax(scores / temperature + offset)
            for task, scores, temperature, offset in zip(
                self.tasks, logits, self.temperatures, self.offsets, strict=True
            )
        }


def network_logits(network: Network, batch: EncodedBatch, device: torch.device) -> Sequence[np.ndarray]:
    """Return the logits of every task, float64 (n, k), computed 4,096 rows at a time."""
    parts = []
    with torch.inference_mode():
        for start in range(0, max(len(batch), 1), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(batch)))
            scores = network(inputs_of(batch.take(rows), device))
            parts.append([score.cpu().numpy().astype(np.float64) for score in scores])
    return [np.concatenate(scores) for scores in zip(*parts, strict=True)]
