"""Plan a model: its labels first, then one training run, unless neither labels, rows nor definition changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wsdb.catalog.fingerprint import data_hash, digest
from wsdb.catalog.snapshot import StoredModel
from wsdb.core.specs import ModelSpec
from wsdb.planner.steps import Reuse, Scan, Step, Train


def plan_model(
    step: Train, parts_hashes: Sequence[str], rows_hash: str, stored: StoredModel | None, *, full: bool = False
) -> Step:
    """Return the step that makes a model current: Reuse where nothing it was trained on has changed.

    Parameters
    ----------
    step : the training run, without its hash
    parts_hashes : what its labels, payloads, slices, gold and rules depend on
    rows_hash : the hash of the keys and of the columns that the network reads
    """
    types = (f"{name}:{kind}" for name, kind in step.columns)
    hashed = digest(data_hash(step.spec), rows_hash, *parts_hashes, *types)
    fresh = stored is not None and stored.input_hash == hashed
    if fresh and not full and all(isinstance(part, Reuse) for part in step.labels):
        return Reuse("model", (step.spec.name,))
    return replace(step, input_hash=hashed)


def scan_of(spec: ModelSpec, keys: Sequence[str], columns: Sequence[tuple[str, str]]) -> Scan:
    """Return the scan of the rows that a model is trained on."""
    return Scan(spec.source, (*keys, *(name for name, _ in columns if name not in keys)))
