"""Checkpoints: the state of a training run as safetensors with JSON inside, never pickle.

A folder holds one file. It is written beside the old one and then takes its place, so that a kill at any moment leaves
a whole checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from wsdb.core.errors import ModelError

FILE = "state.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a training run keeps its state.

    Attributes
    ----------
    folder : made if it is not there
    run : fingerprint of rows, labels and options; the state of another run is not read
    """

    folder: Path
    run: str

    def save(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write the state.

        Raises
        ------
        ModelError  WS514 if the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new = self.folder / f"{FILE}.new"
            whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
            save_file(whole, new, metadata={"run": self.run, "facts": json.dumps(facts)})
            os.replace(new, self.folder / FILE)
        except (OSError, SafetensorError) as error:
            raise _unusable(self.folder, error) from error

    def load(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Return facts and arrays as they were saved; None where there is no state of this run.

        Raises
        ------
        ModelError  WS514 if the file cannot be read.
        """
        file = self.folder / FILE
        if not file.exists():
            return None
        try:
            with safe_open(file, framework="numpy") as state:
                metadata = state.metadata() or {}
                if metadata.get("run") != self.run:
                    return None
                facts = json.loads(metadata["facts"])
                return facts, {name: state.get_tensor(name) for name in state.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise _unusable(self.folder, error) from error


def fingerprint(facts: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> str:
    """Return a hash of everything that decides what a run computes."""
    found = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _unusable(folder: Path, error: Exception) -> ModelError:
    return ModelError(
        "WS514",
        f"the checkpoint in {folder} cannot be used: {error}",
        hint="name another folder, or delete it to begin anew",
        folder=str(folder),
    )
