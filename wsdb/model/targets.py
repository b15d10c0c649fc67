"""From the labels of the rows to what the loss sees: sharpened, weighed, some rows held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsdb.model.arrays import elements_of
from wsdb.model.losses import balanced_weights, sharpen_labels
from wsdb.model.parts import TaskTarget
from wsdb.model.rows import TaskRows, any_of, count, hold_out, repeat
from wsdb.model.spec import TrainSpec

_FEW = 16  # tasks of at most so many labels are computed as if they had as many as the largest of them
_MIN_HELD_OUT = 20  # fewer held-out labels than this say nothing about when to stop, nor about calibration


@dataclass(frozen=True, slots=True)
class TrainingLabels:
    """What one task is trained on.

    Attributes
    ----------
    labels : float32 array of shape (E, k), sharpened; see `TaskRows`
    weights : float32 array of shape (E,), of a bitvector (E, k); 0 for what the task is not trained on
    indptr : int64 array of shape (n + 1,), the elements of each row; None for a singleton task
    """

    labels: np.ndarray
    weights: np.ndarray
    indptr: np.ndarray | None = None

    def without(self, rows: np.ndarray) -> TrainingLabels:
        """Return the same labels with weight 0 where bool (n,) `rows` is true."""
        out = repeat(rows, self.indptr)
        out = out[:, None] if self.weights.ndim == 2 else out
        return TrainingLabels(self.labels, np.where(out, np.float32(0), self.weights), self.indptr)

    def take(self, rows: np.ndarray) -> TrainingLabels:
        """Return the labels of the given rows, in the given order."""
        if self.indptr is None:
            return TrainingLabels(self.labels[rows], self.weights[rows])
        indptr, at = elements_of(self.indptr, rows)
        return TrainingLabels(self.labels[at], self.weights[at], indptr)

    @property
    def segments(self) -> np.ndarray | None:
        """The row of each element, int64 (E,); None for singleton tasks."""
        return segments_of(self.indptr)

    @property
    def rows(self) -> np.ndarray:
        """Whether the task is trained on each row, bool (n,)."""
        used = np.asarray(self.weights.any(axis=1)) if self.weights.ndim == 2 else self.weights > 0
        return used if self.indptr is None else any_of(used, self.indptr)


@dataclass(frozen=True, slots=True)
class LabelStack:
    """The labels of t tasks whose losses are computed together: of one kind and payload, and with about as many labels.

    Attributes
    ----------
    kind : of the tasks
    tasks : their places among the tasks of the network; a select task stands alone
    sizes : how many labels each has; k is the largest
    labels : float32 (E, t, k); 0 beyond the labels of a task
    weights : float32 (E, t), of bitvectors (E, t, k)
    indptr : as in `TrainingLabels`
    """

    kind: str
    tasks: tuple[int, ...]
    sizes: tuple[int, ...]
    labels: np.ndarray
    weights: np.ndarray
    indptr: np.ndarray | None

    def take(self, rows: np.ndarray) -> LabelStack:
        """Return the labels of the given rows, in the given order."""
        at, indptr = rows, None
        if self.indptr is not None:
            indptr, at = elements_of(self.indptr, rows)
        return replace(self, labels=self.labels.take(at, axis=0), weights=self.weights.take(at, axis=0), indptr=indptr)

    def of(self, place: int) -> TrainingLabels:
        """Return the labels of one of the t tasks, as views."""
        return TrainingLabels(self.labels[:, place, : self.sizes[place]], self.weights[:, place], self.indptr)

    @property
    def segments(self) -> np.ndarray | None:
        """The row of each element, int64 (E,); None for singleton tasks."""
        return segments_of(self.indptr)

    @property
    def rows(self) -> np.ndarray:
        """Whether any of the tasks is trained on each row, bool (n,)."""
        used = np.asarray(self.weights.reshape(len(self.weights), -1).any(axis=1))
        return used if self.indptr is None else any_of(used, self.indptr)

    def counts(self) -> np.ndarray:
        """Return how many labels each task has, int64 (t,)."""
        used = np.count_nonzero(self.weights, axis=0)
        return used.sum(axis=1) if used.ndim == 2 else used

    def scaled(self, masses: np.ndarray) -> np.ndarray:
        """Return the weights, float32, divided by those sums of weights (t,): of a step, of which this is a part."""
        scale = np.divide(1, masses, out=np.zeros(len(masses)), where=masses > 0).astype(np.float32)
        return self.weights * (scale[:, None] if self.weights.ndim == 3 else scale)

    def masses(self) -> np.ndarray:
        """Return the sum of the weights of each task, by which its loss is divided, float64 (t,).

        A row of a select task weighs as much as its heaviest element.
        """
        if self.kind != "select":
            return self.weights.sum(axis=(0, *range(2, self.weights.ndim)), dtype=np.float64)
        assert self.indptr is not None
        filled = np.flatnonzero(np.diff(self.indptr))
        weights = np.maximum.reduceat(self.weights, self.indptr[filled]) if len(filled) else np.empty((0, 1))
        return weights.sum(axis=0, dtype=np.float64)


def segments_of(indptr: np.ndarray | None) -> np.ndarray | None:
    """Return the row of each element, int64 (E,); None for None."""
    return None if indptr is None else np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def stack_labels(tasks: Sequence[TaskTarget], targets: Sequence[TrainingLabels]) -> list[LabelStack]:
    """Put the labels of tasks that can be computed together side by side, those of up to 16 labels in one stack."""
    alike: dict[tuple[str, str | None, int], list[int]] = {}
    for t, task in enumerate(tasks):
        kind, k = task.kind if task.kind in ("bitvector", "select") else "multiclass", len(task.labels)
        width = max(k, _FEW) if kind == "multiclass" else k
        alike.setdefault((kind, task.payload if kind != "select" else task.name, width), []).append(t)
    return [
        LabelStack(
            kind,
            tuple(own),
            tuple(len(tasks[t].labels) for t in own),
            _side_by_side([targets[t].labels for t in own]),
            targets[own[0]].weights[:, None] if len(own) == 1 else np.stack([targets[t].weights for t in own], axis=1),
            targets[own[0]].indptr,
        )
        for (kind, _, _), own in alike.items()
    ]


def _side_by_side(labels: Sequence[np.ndarray]) -> np.ndarray:
    """Return labels (E, k_i) of t tasks as (E, t, k), with 0 beyond those of a task; those of one task as a view."""
    if len(labels) == 1:
        return labels[0][:, None]
    stacked = np.zeros((len(labels[0]), len(labels), max(one.shape[1] for one in labels)), np.float32)
    for t, one in enumerate(labels):
        stacked[:, t, : one.shape[1]] = one
    return stacked


def training_labels(
    task: TaskTarget, rows: TaskRows, spec: TrainSpec, sharpen: float, factors: np.ndarray | None = None
) -> TrainingLabels:
    """Sharpen and weigh the labels of one task, as the options of `spec` say.

    Parameters
    ----------
    factors : float64 (E,), by which the weights are multiplied; None for 1
    """
    labels = sharpened(task.kind, rows, sharpen, hard=spec.loss == "hard")
    weights = rows.labeled.astype(np.float64)
    if spec.class_weights == "balanced":
        weights = _balanced(task.kind, labels, rows)
    if spec.uncovered == "prior" and task.kind != "select":
        labels, weights = _with_prior(task, labels, weights, rows)
    if factors is not None:
        weights = weights * (factors[:, None] if weights.ndim == 2 else factors)
    return TrainingLabels(labels.astype(np.float32), weights.astype(np.float32), rows.indptr)


def sharpened(kind: str, rows: TaskRows, power: float, *, hard: bool) -> np.ndarray:
    """Return p^power, float64 (E, k), normalized over the classes, both values of a bit, or the elements of a row."""
    given = rows.probabilities
    if kind == "bitvector":
        pairs = np.stack([1 - given.ravel(), given.ravel()], axis=1)
        return sharpen_labels(pairs, power, hard=hard)[:, 1].reshape(given.shape)
    if kind != "select":
        return sharpen_labels(given, power, hard=hard)
    assert rows.indptr is not None
    filled = np.flatnonzero(np.diff(rows.indptr))
    if len(filled) == 0:
        return given
    owner = np.repeat(np.arange(len(filled)), np.diff(rows.indptr)[filled])  # [E]
    share = np.where(rows.labeled, given[:, 1], 0)  # [E]
    top = np.maximum.reduceat(share, rows.indptr[filled])[owner]  # [E]
    if hard:
        place = np.arange(len(share))
        first = np.minimum.reduceat(np.where(share >= top, place, len(share)), rows.indptr[filled])
        raised = (place == first[owner]) & (top > 0)
    else:
        raised = np.divide(share, top, out=np.zeros(len(share)), where=top > 0) ** power
    total = np.bincount(owner, raised)[owner]  # [E]
    yes = np.divide(raised, total, out=np.zeros(len(share)), where=total > 0)
    return np.stack([1 - yes, yes], axis=1)


def _balanced(kind: str, labels: np.ndarray, rows: TaskRows) -> np.ndarray:
    """Weights by the rarity of the class; a bitvector is balanced label by label, a select task not at all."""
    weights = rows.labeled.astype(np.float64)
    if kind == "bitvector":
        for y, known in enumerate(rows.labeled.T):
            if known.any():
                pairs = np.stack([1 - labels[known, y], labels[known, y]], axis=1)
                weights[known, y] = balanced_weights(pairs)
    elif kind != "select":
        weights[rows.labeled] = balanced_weights(labels[rows.labeled])
    return weights


def _with_prior(
    task: TaskTarget, labels: np.ndarray, weights: np.ndarray, rows: TaskRows
) -> tuple[np.ndarray, np.ndarray]:
    """Teach what is not labeled the class balance, or the mean of the labels where none is known."""
    if task.kind == "bitvector":
        totals = np.where(rows.labeled, rows.probabilities, 0).sum(axis=0)
        means = totals / np.maximum(rows.labeled.sum(axis=0), 1)
        prior = np.array(task.balance) if task.balance is not None else means
        return np.where(rows.labeled, labels, prior), np.where(rows.labeled, weights, 1.0)
    prior = np.array(task.balance) if task.balance is not None else rows.probabilities[rows.labeled].mean(axis=0)
    labels[~rows.labeled] = prior
    weights[~rows.labeled] = 1.0
    return labels, weights


def held_out_rows(
    tasks: Sequence[TaskTarget], labels: Sequence[TaskRows], keys: np.ndarray, spec: TrainSpec, made: np.ndarray
) -> tuple[list[np.ndarray], list[str]]:
    """Return which rows each task holds out, bool (n,) each, and notices; too few are trained on instead.

    Only rows of the relation, for which int64 (n,) `made` is 0, are held out.
    """
    out = hold_out(keys, spec.valid_share) & (made == 0)
    masks, notices = [], []
    for task, rows in zip(tasks, labels, strict=True):
        mask = out & rows.rows
        found = count(task, rows, mask)
        if spec.valid_share > 0 and (found < _MIN_HELD_OUT or found == count(task, rows, np.ones_like(mask))):
            notices.append(
                f"task {task.name}: {found} held-out label{'s are' if found != 1 else ' is'} too few to stop early "
                f"or to calibrate on; {'they are' if found != 1 else 'it is'} trained on"
            )
            mask = np.zeros_like(mask)
        masks.append(mask)
    return masks, notices
