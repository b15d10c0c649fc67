"""learning_curve and task_transfer: what is told of networks that were trained to compare, and how they compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALL = "(all)"
"""Stands for all tasks of a model, in place of the name of another task."""
STUDENT = (None, 12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)
"""The 97.5 % quantiles of Student's t with n - 1 degrees of freedom, for n = 1 … 10 seeds; none for one."""
WIDTH = f"([{', '.join('NULL' if t is None else repr(t) for t in STUDENT)}]::DOUBLE[])[seeds]"


def _end(of: str, sign: str, most: int) -> str:
    """Return SQL of an end of the interval of a mean, which no share or difference of shares goes beyond."""
    within = "greatest" if sign == "-" else "least"
    return f"CASE WHEN t IS NOT NULL THEN {within}({most}, {of} {sign} stderr * t) END"


COLUMNS = {
    "learning_curve": "version, task, fraction, n_rows, metric, judged_on, seeds, score, "
    f"{_end('score', '-', 0)} AS score_low, {_end('score', '+', 1)} AS score_high, log_loss",
    "task_transfer": "version, task, with_task, metric, judged_on, seeds, score, alone, delta, stderr, "
    f"{_end('delta', '-', -1)} AS delta_low, {_end('delta', '+', 1)} AS delta_high",
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
        f"SELECT {COLUMNS[study]} FROM (SELECT *, {WIDTH} AS t FROM @home@.studies) WHERE {own} "
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


def mean_of(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of values, one a seed, and its standard error; None of a single seed."""
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return mean, None
    return mean, math.sqrt(sum((one - mean) ** 2 for one in values) / (n - 1) / n)


def compared(together: Sequence[float], alone: Sequence[float]) -> tuple[float, float, float, float | None]:
    """Return the means of two rows of scores, seed by seed, their difference, and its standard error over the seeds.

    The standard error is that of the mean of paired differences; None of a single seed.
    """
    delta, stderr = mean_of([one - other for one, other in zip(together, alone, strict=True)])
    return mean_of(together)[0], mean_of(alone)[0], delta, stderr
