"""Trained: what training gives, and the manifest in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wsdb.model.backend import torch
from wsdb.model.encode import Hashing
from wsdb.model.judge import Judged
from wsdb.model.parts import TaskTarget
from wsdb.model.plan import NetworkPlan
from wsdb.model.reader import Rows
from wsdb.model.rows import count
from wsdb.model.search import Trial
from wsdb.model.spec import TrainSpec
from wsdb.model.targets import TrainingLabels
from wsdb.model.weights import FORMAT


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network as plain values.

    Attributes
    ----------
    manifest : everything but the arrays; goes through JSON unchanged
    weights : safetensors
    history : one entry per epoch, task and split: {"epoch", "task", "split": "train" | "valid", "loss",
        "seconds"}; the loss is the expected cross-entropy in nats against the (sharpened) training labels,
        for "valid" at the temperature that suits it best
    rows : {task: {"train": n, "valid": n}}, labels used: rows, or elements; with "augmented" and the name of each
        source where there are such rows, which "train" does not count
    epoch : {task: the epoch whose weights were kept}
    notices : what the user should know, one sentence each
    seconds : wall time
    dev : {task: {"n", "accuracy", "f1", "macro_f1", "log_loss"}} against the gold labels of dev rows; only tasks that
        have any
    weak : the same against the likeliest label of held-out rows, log_loss against their probabilities
    trials : what a search tried, in order; empty without one
    interrupted : whether Ctrl-C ended the training, and the best epoch until then is kept
    """

    manifest: dict[str, Any]
    weights: bytes
    history: list[dict[str, Any]]
    rows: dict[str, dict[str, int]]
    epoch: dict[str, int]
    notices: list[str]
    seconds: float
    dev: dict[str, dict[str, float]] = field(default_factory=dict)
    weak: dict[str, dict[str, float]] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    interrupted: bool = False


def manifest_of(
    tasks: Sequence[TaskTarget],
    rows: Rows,
    plan: NetworkPlan,
    judged: Sequence[Judged],
    spec: TrainSpec,
    hashing: Hashing,
    slices: Sequence[str],
) -> dict[str, Any]:
    """Return everything that a prediction needs but the arrays, as plain values.

    Parameters
    ----------
    slices : of the model, also those without experts
    """
    return {
        "format": FORMAT,
        "torch": str(torch.__version__),
        "spec": {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(spec).items()
        },
        "hidden": plan.hidden,
        "hashing": dataclasses.asdict(hashing) | {"char_ngrams": list(hashing.char_ngrams)},
        "features": rows.encoder.to_manifest(),
        "payloads": rows.payloads.to_manifest(),
        "network": plan.to_manifest(),
        "slices": list(slices),
        "tasks": [
            {
                "name": task.name,
                "labels": list(task.labels),
                "kind": task.kind,
                "payload": task.payload,
                "weight": task.weight,
                "balance": None if task.balance is None else list(task.balance),
                "temperature": found.temperature,
                "offsets": found.offsets.tolist(),
                "threshold": found.threshold,
            }
            for task, found in zip(tasks, judged, strict=True)
        ],
    }


def label_counts(task: TaskTarget, rows: Rows, target: TrainingLabels, held_out: np.ndarray, t: int) -> dict[str, int]:
    """Return how many labels of a task are trained on and held out, those of rows from elsewhere apart."""
    used = target.rows

    def labels(mask: np.ndarray) -> int:
        if task.kind == "select" or target.indptr is None:
            return int((used & mask).sum())
        weights = target.weights.any(axis=1) if target.weights.ndim == 2 else target.weights > 0
        return int((weights & np.repeat(mask, np.diff(target.indptr))).sum())

    found = {"train": labels(rows.made == 0), "valid": count(task, rows.labels[t], held_out)}
    if (rows.made == 1).any():
        found["augmented"] = labels(rows.made == 1)
    return found | {name: labels(rows.made == at + 2) for at, name in enumerate(rows.sources)}
