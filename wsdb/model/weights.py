"""Weights as safetensors bytes: fitted arrays of the encoder, parameters of the network. Never pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wsdb.core.errors import ModelError

FORMAT = 5
"""Version of manifest and weights; one reader per version."""

_NETWORK = "network."


def pack(encoder: Mapping[str, np.ndarray], network: Mapping[str, np.ndarray]) -> bytes:
    """Return both sets of arrays as safetensors; equal arrays give equal bytes."""
    arrays = dict(encoder) | {_NETWORK + name: array for name, array in network.items()}
    return save({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)})


def digest(weights: bytes) -> str:
    """Return the SHA-256 of the weights, which their manifest carries."""
    return hashlib.sha256(weights).hexdigest()


def unpack(weights: bytes) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of the encoder and of the network.

    Raises
    ------
    ModelError  WS508 if the bytes are not safetensors.
    """
    try:
        arrays = load(weights)
    except SafetensorError as error:
        raise ModelError("WS508", f"the weights of the model cannot be read: {error}") from error
    network = {name.removeprefix(_NETWORK): array for name, array in arrays.items() if name.startswith(_NETWORK)}
    return {name: array for name, array in arrays.items() if not name.startswith(_NETWORK)}, network


def read_weights(manifest: Mapping[str, Any], weights: bytes) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of the encoders and of the network.

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
    return unpack(weights)
