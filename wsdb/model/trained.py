"""Trained: what training gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wsdb.model.search import Trial


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
