"""Plan a model: its labels first, then one training run, unless neither labels, rows nor definition changed."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.catalog.fingerprint import data_hash, digest
from wsdb.catalog.snapshot import StoredModel
from wsdb.core.specs import ModelSpec
from wsdb.core.task import Task
from wsdb.planner.steps import Reuse, Scan, Step, Train


def plan_model(
    spec: ModelSpec,
    tasks: Sequence[Task],
    features: Sequence[tuple[str, str]],
    labels: Sequence[Step],
    labels_hashes: Sequence[str],
    rows_hash: str,
    stored: StoredModel | None,
    *,
    full: bool = False,
) -> Step:
    """Return the step that makes a model current: Reuse where nothing it was trained on has changed.

    Parameters
    ----------
    features : (column, SQL type) pairs of the feature columns
    labels : the steps that make the labels of the tasks current
    labels_hashes : what those labels will depend on, one for each task
    rows_hash : the hash of the keys and feature values of the source
    """
    hashed = digest(data_hash(spec), rows_hash, *labels_hashes, *(f"{name}:{kind}" for name, kind in features))
    fresh = stored is not None and stored.input_hash == hashed and all(isinstance(step, Reuse) for step in labels)
    if fresh and not full:
        return Reuse("model", (spec.name,))
    keys = tuple(key for key in tasks[0].keys)
    scan = Scan(spec.source, keys + tuple(name for name, _ in features if name not in keys))
    return Train(spec, tuple(tasks), tuple(features), hashed, tuple(labels), scan)
