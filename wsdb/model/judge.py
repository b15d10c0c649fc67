"""What is found out about a trained network: temperatures, offsets, thresholds, and its scores on dev."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from wsdb.model.calibrate import (
    bit_offsets,
    cases,
    decision_offsets,
    expected_cuts,
    fit_temperature,
    fit_threshold,
    label_at,
    label_shares,
    log_loss,
    log_softmax,
)
from wsdb.model.early_stop import diverged
from wsdb.model.forward import probabilities
from wsdb.model.parts import TaskTarget
from wsdb.model.reader import Rows
from wsdb.model.rows import TaskRows, count, repeat
from wsdb.model.spec import TrainSpec

_ENOUGH_GOLD = 100  # gold rows of dev from which calibration prefers them to held-out weak labels
_ENOUGH_OWN = 20  # held-out rows with the label model's own labels
_CERTAIN = 1e-6
_COVERED = 0.75  # share of labeled rows from which the labels speak for the other rows
_SAMPLE, _LOGITS, _LEAST = 1 << 15, 1 << 24, 1 << 14
"""Rows whose decisions are compared with the class balance: so many, or fewer that have so many logits, or so few."""


@dataclass(frozen=True, slots=True)
class RowLosses:
    """The loss of each thing that a task labels in h rows: sum_y (p_y - label_y)^2.

    No row can outweigh the others, as by its log loss. Of a bitvector it is twice the mean over the known labels, as if
    each were a task with two; a select task has one for each row, the sum over its elements.

    Attributes
    ----------
    values : float64 (h,), or (E,) of a task on elements
    known : bool, the same shape: whether there is a label
    indptr : int64 (h + 1,), the elements of each row; None where values are those of rows
    """

    values: np.ndarray
    known: np.ndarray
    indptr: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """One task's calibration.

    Attributes
    ----------
    temperature : logits are divided by it
    offsets : float64 (k,), added after that
    threshold : least P(second label) of a binary task that is an answer; of a bitvector a list, one for each label; of
        an ordinal task k - 1 cuts of the expected label; None for the likeliest label, and 0.5 of a bitvector
    dev : scores against the gold labels of dev rows; empty without any
    weak : the same against the likeliest held-out labels of the label model; empty without any
    rows : int64 (h,), the rows that the temperature was found on
    losses : what was lost on them
    """

    temperature: float
    offsets: np.ndarray
    threshold: float | list[float] | None
    dev: dict[str, float]
    weak: dict[str, float]
    rows: np.ndarray
    losses: RowLosses


def judge(
    tasks: Sequence[TaskTarget],
    rows: Rows,
    order: np.ndarray,
    held_out: Sequence[np.ndarray],
    logits: Callable[[np.ndarray], list[np.ndarray]],
    spec: TrainSpec,
) -> list[Judged]:
    """Calibrate every task.

    Temperature and thresholds are found on the gold labels of dev where there are 100, else on the held-out weak
    labels; offsets need no labels, and are found on all rows, or on 32,768 of them, fewer where labels are many. What a
    network learns may be less sure than the label model: labels at a uniform class balance. Where the label model's own
    labels come with the rows, the temperature is that of these, and decisions stay.

    Parameters
    ----------
    order : of the rows, by key
    held_out : per task, bool (n,)
    logits : gives the logits of every task, float64 (E, k), for some rows

    Raises
    ------
    ModelError  WS511 for a logit that is not finite.
    """
    sample = order[: max(_LEAST, min(_SAMPLE, _LOGITS // sum(len(task.labels) for task in tasks)))]
    every = logits(sample)
    for task, scores in zip(tasks, every, strict=True):
        if not np.isfinite(scores).all():
            raise diverged(task.name)
    read = order[np.any([*held_out, *(gold.rows for gold in rows.gold)], axis=0)[order]]
    some = logits(read) if len(read) else [np.empty((0, len(task.labels))) for task in tasks]
    found = []
    for t, task in enumerate(tasks):
        gold, weak = (one.take(read) for one in (rows.gold[t], rows.labels[t]))
        by_gold, by_weak = _Part.of(some[t], gold, gold.rows), _Part.of(some[t], weak, held_out[t][read])
        chosen = by_gold if count(task, gold, gold.rows) >= _ENOUGH_GOLD else by_weak
        temperature = 1.0
        if spec.calibrate == "temperature" and chosen.n:
            temperature = _temperature(task, chosen.logits, chosen.known)
        labels = rows.labels[t].take(sample)
        offsets = offsets_of(task, every[t] / temperature, labels, spec.prior_match)
        losses = row_losses(task.kind, chosen.logits, temperature, offsets, chosen.known)
        own = _Part.of(some[t], rows.own[t].take(read), (held_out[t] & rows.own[t].rows)[read])
        if spec.calibrate == "temperature" and chosen is by_weak and own.n >= _ENOUGH_OWN:
            # the same decisions, as sure as the label model's own labels are
            shift = offsets * temperature
            temperature = _temperature(task, own.logits + shift, own.known)
            offsets = shift / temperature
        threshold = threshold_of(task, chosen.logits / temperature + offsets, chosen.known, spec.threshold)
        if task.kind == "ordinal" and spec.threshold != "argmax" and spec.prior_match != 0:
            threshold = cuts_of(task, every[t] / temperature + offsets, labels)
        dev, weak_scores = (
            dev_scores(task, part.logits / temperature + offsets, part.known, threshold) if part.n else {}
            for part in (by_gold, by_weak)
        )
        at = read[gold.rows if chosen is by_gold else held_out[t][read]]
        found.append(Judged(temperature, offsets, threshold, dev, weak_scores, at, losses))
    return found


def _temperature(task: TaskTarget, logits: np.ndarray, known: TaskRows) -> float:
    """Return the best temperature of a task's logits, float64 (E, k), for what is known of the same rows."""
    return fit_temperature(*cases(task.kind, logits, known.probabilities, known.labeled, known.indptr))


@dataclass(frozen=True, slots=True)
class _Part:
    """Some n rows: the logits of one task, and what is known of them."""

    n: int
    logits: np.ndarray
    known: TaskRows

    @classmethod
    def of(cls, logits: np.ndarray, known: TaskRows, chosen: np.ndarray) -> _Part:
        """Take the rows where bool (r,) `chosen` is true, of logits float64 (E, k) of r rows."""
        return cls(int(chosen.sum()), logits[repeat(chosen, known.indptr)], known.take(np.flatnonzero(chosen)))


def row_losses(kind: str, logits: np.ndarray, temperature: float, offsets: np.ndarray, known: TaskRows) -> RowLosses:
    """Return the losses of a task, given its logits, float64 (E, k)."""
    shares = probabilities(kind, logits, temperature, offsets, known.indptr)
    squares = (shares - known.probabilities) ** 2  # [E, k]
    if kind == "bitvector":
        each = np.where(known.labeled, squares, 0).sum(axis=1) / np.maximum(known.labeled.sum(axis=1), 1)
        return RowLosses(2 * each, known.known, known.indptr)
    if kind != "select":
        return RowLosses(squares.sum(axis=1), known.known, known.indptr)
    assert known.indptr is not None
    totals = np.concatenate([np.zeros(1), np.cumsum(squares[:, 1])])
    return RowLosses(np.diff(totals[known.indptr]), known.rows)


def offsets_of(task: TaskTarget, logits: np.ndarray, labels: TaskRows, share: float | str) -> np.ndarray:
    """Return the share of the offsets that bring decisions to the task's balance, float64 (k,).

    Where the balance is not known it is that of the labels of the task's rows; a task on elements, a bitvector and a
    select task are then left as they are. 'auto' is all of the offset for two labels, and half of it otherwise; where
    the labels are without doubt it corrects the shares of the labels to a balance that is known, and nothing else.

    A network of soft labels doubts most where the labels do, and then leans to one side: on youtube it said spam for
    41% of the rows where its labels did for 46%, with an area under the curve of 0.99. The labels' shares hold for
    rows without one, too, where at least three quarters of the rows have one; otherwise only labeled rows are counted.
    Test accuracy without and with: youtube 93.8, 94.4; rna_titles 71.8, 78.6; trec 69.4, 71.7; semeval 79.0, 79.3;
    mushroom 91.3, 91.6; phishing_web 73.8, 73.0.
    """
    two = len(task.labels) == 2 and task.kind != "bitvector"
    part = float(share) if share != "auto" else 1.0 if two else 0.5
    if part == 0 or task.kind == "select" or not len(logits):
        return np.zeros(len(task.labels))
    if task.kind == "bitvector":
        return (
            np.zeros(len(task.labels)) if task.balance is None else part * bit_offsets(logits, np.array(task.balance))
        )
    if share == "auto" and labels.indptr is None and (task.given or _certain(labels)):
        return _prior_shift(task, labels)
    matched = _to_match(task, logits, labels)
    return np.zeros(len(task.labels)) if matched is None else part * decision_offsets(*matched)


def _certain(labels: TaskRows) -> bool:
    """Return whether every label of a row has probability 1, as those of sources; also without a label."""
    known = labels.probabilities[labels.labeled]
    return bool((known.max(axis=1) > 1 - _CERTAIN).all())


def _prior_shift(task: TaskTarget, labels: TaskRows) -> np.ndarray:
    """Return what turns the log odds of a network that learned `labels` into those at the task's balance; else zeros.

    Labels without doubt leave the network with none of the bias that matching decisions mends, and to match decisions
    where columns say little is to guess: on rows of which a quarter has a label that no column tells, 0.64 of the
    decisions were right, where the likelier label always is for 0.76.
    """
    if task.balance is None or not labels.labeled.any():
        return np.zeros(len(task.labels))
    shift = np.log(np.array(task.balance)) - np.log(label_shares(labels.probabilities[labels.labeled]))
    return np.asarray(shift - shift.mean())


def _to_match(task: TaskTarget, logits: np.ndarray, labels: TaskRows) -> tuple[np.ndarray, np.ndarray] | None:
    """Return logits, float64 (n, k), and the shares, float64 (k,), that their labels should have; None if unknown."""
    if task.balance is not None:
        return logits, np.array(task.balance)
    if labels.indptr is not None or not labels.labeled.any():
        return None
    known = labels.labeled
    return logits if known.mean() >= _COVERED else logits[known], label_shares(labels.probabilities[known])


def cuts_of(task: TaskTarget, logits: np.ndarray, labels: TaskRows) -> list[float] | None:
    """Return the cuts of an ordinal task's expected label that give its labels their shares; None if unknown.

    The label between two cuts is nearer to the right one than the likeliest label, and than the median, which soft
    labels draw to the middle (bench/quality_ordinal.py).
    """
    matched = _to_match(task, logits, labels) if len(logits) else None
    return None if matched is None else expected_cuts(np.exp(log_softmax(matched[0])), matched[1])


def threshold_of(task: TaskTarget, logits: np.ndarray, known: TaskRows, metric: str) -> float | list[float] | None:
    """Return the best threshold of a binary task, or of each label of a bitvector; None for other tasks."""
    if metric in ("auto", "argmax") or not len(logits):
        return None
    if task.kind == "bitvector":
        yes = 1 / (1 + np.exp(-logits))
        return [
            fit_threshold(yes[has, y], known.probabilities[has, y], metric) for y, has in enumerate(known.labeled.T)
        ]
    if task.kind != "binary":
        return None
    yes = np.exp(log_softmax(logits))[:, 1]
    return fit_threshold(yes[known.labeled], known.probabilities[known.labeled, 1], metric)


def dev_scores(
    task: TaskTarget, logits: np.ndarray, gold: TaskRows, threshold: float | list[float] | None
) -> dict[str, float]:
    """Return scores against gold labels.

    Accuracy counts items: rows, elements, bits of a bitvector, rows of a select task. f1 is that of the second label of
    a binary task, of all bits of a bitvector together, and equal to macro_f1, the mean over labels, of others.
    """
    wide, targets = cases(task.kind, logits, gold.probabilities, gold.labeled, gold.indptr)
    shares = np.exp(log_softmax(wide))
    if task.kind == "bitvector":
        cuts = np.full(len(task.labels), 0.5) if threshold is None else np.asarray(threshold)
        said = (shares[:, 1] >= np.broadcast_to(cuts, gold.labeled.shape)[gold.labeled]).astype(np.int64)
    elif isinstance(threshold, float):
        said = (shares[:, 1] >= threshold).astype(np.int64)
    else:
        said = wide.argmax(axis=1) if threshold is None else label_at(shares, threshold)
    true = targets.argmax(axis=1)
    scores = {"n": float(len(true)), "accuracy": float((said == true).mean()), "log_loss": log_loss(wide, targets)}
    if task.kind == "bitvector":
        label = np.broadcast_to(np.arange(len(task.labels)), gold.labeled.shape)[gold.labeled]
        each = [f1(said[label == y] == 1, true[label == y] == 1) for y in range(len(task.labels))]
        return scores | {"f1": f1(said == 1, true == 1), "macro_f1": float(np.mean(each))}
    if task.kind == "select":
        return scores | {"f1": scores["accuracy"], "macro_f1": scores["accuracy"]}
    each = [f1(said == y, true == y) for y in range(len(task.labels)) if ((said == y) | (true == y)).any()]
    macro = float(np.mean(each))
    return scores | {"f1": f1(said == 1, true == 1) if task.kind == "binary" else macro, "macro_f1": macro}


def f1(said: np.ndarray, true: np.ndarray) -> float:
    """Return 2 hits / (said + true), 0 where both are empty; arguments bool (m,)."""
    total = int(said.sum() + true.sum())
    return 2 * int((said & true).sum()) / total if total else 0.0
