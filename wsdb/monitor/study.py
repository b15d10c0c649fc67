"""learning_curve and task_transfer: what is told of networks that were trained to compare, and how they compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALL = "(all)"
"""Stands for all tasks of a model, in place of the name of another task."""
COLUMNS = {
    "learning_curve": 'version, task, fraction, n_rows, metric, "on", score, log_loss',
    "task_transfer": 'version, task, with_task, metric, "on", seeds, score, alone, delta, stderr',
}
ORDER = {"learning_curve": "task, fraction", "task_transfer": f"task, with_task = '{ALL}', with_task"}


@dataclass(frozen=True, slots=True)
class Score:
    """One task's score by one network.

    Attributes
    ----------
    metric : accuracy on gold, agreement with the likeliest weak label
    on : gold (of dev rows) or weak (held-out weak labels)
    score : share of right answers, 0 … 1
    log_loss : in nats
    """

    metric: str
    on: str
    score: float
    log_loss: float


def study_body(study: str) -> str:
    """Return the body of ``learning_curve`` or ``task_transfer``: what is stored of the version studied last."""
    own = f"lower(model) = lower(@model@) AND study = '{study}'"
    return (
        f"SELECT {COLUMNS[study]} FROM @home@.studies WHERE {own} "
        f"AND version = (SELECT max(version) FROM @home@.studies WHERE {own}) ORDER BY {ORDER[study]}"
    )


def score_of(
    task: str, dev: Mapping[str, Mapping[str, float]], weak: Mapping[str, Mapping[str, float]]
) -> Score | None:
    """Return a task's score on gold of dev where there is any, else on held-out weak labels; None without either.

    Parameters
    ----------
    dev, weak : {task: {"accuracy", "log_loss", …}}, as training gives them
    """
    for found, metric, on in ((dev, "accuracy", "gold"), (weak, "agreement", "weak")):
        if task in found:
            return Score(metric, on, found[task]["accuracy"], found[task]["log_loss"])
    return None


def nets(tasks: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the tasks of each network of a task transfer: each alone, each pair, and all if they are more."""
    alone = [(task,) for task in tasks]
    pairs = [(task, other) for at, task in enumerate(tasks) for other in tasks[at + 1 :]]
    return [*alone, *pairs, *([tuple(tasks)] if len(tasks) > 2 else [])]


def compared(together: Sequence[float], alone: Sequence[float]) -> tuple[float, float, float, float | None]:
    """Return the means of two rows of scores, seed by seed, their difference, and its standard error over the seeds.

    The standard error is that of the mean of paired differences; None of a single seed.
    """
    differences = [one - other for one, other in zip(together, alone, strict=True)]
    n = len(differences)
    delta = sum(differences) / n
    stderr = None
    if n > 1:
        stderr = math.sqrt(sum((one - delta) ** 2 for one in differences) / (n - 1) / n)
    return sum(together) / n, sum(alone) / n, delta, stderr
