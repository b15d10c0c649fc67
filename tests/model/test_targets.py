from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsdb.model.calibrate import (
    bit_offsets,
    cases,
    expected_cuts,
    fit_temperature,
    fit_threshold,
    label_at,
    log_loss,
)
from wsdb.model.losses import task_losses
from wsdb.model.optimize import TaskBalance
from wsdb.model.parts import TaskTarget
from wsdb.model.rows import TaskRows
from wsdb.model.spec import TrainSpec
from wsdb.model.targets import LabelStack, TrainingLabels, sharpened, stack_labels, training_labels

KINDS = ("multiclass", "bitvector", "select")


def random_labels(kind: str, rng: np.random.Generator, n: int = 12) -> tuple[TaskRows, np.ndarray]:
    """Labels of n rows of up to four elements, and logits, both (E, 2)."""
    indptr = np.concatenate([[0], np.cumsum(rng.integers(0, 5, n))]).astype(np.int64)
    e = int(indptr[-1])
    labeled = rng.random((e, 2) if kind == "bitvector" else e) < 0.7
    labels = rng.random((e, 2))
    if kind == "multiclass":
        labels /= labels.sum(axis=1, keepdims=True)
    if kind == "select":
        owner = np.repeat(np.arange(n), np.diff(indptr))
        yes = np.where(labeled, labels[:, 1], 0)
        total = np.bincount(owner, yes, minlength=n)[owner]
        yes = np.divide(yes, total, out=np.zeros(e), where=total > 0)
        labels, labeled = np.stack([1 - yes, yes], axis=1), labeled & (total > 0)
    return TaskRows(labels, labeled, indptr), rng.normal(size=(e, 2))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**31), power=st.floats(0.5, 8))
def test_sharpening_keeps_the_order_and_the_sums(kind: str, seed: int, power: float) -> None:
    rows, _ = random_labels(kind, np.random.default_rng(seed))
    found = sharpened(kind, rows, power, hard=False)
    np.testing.assert_allclose(sharpened(kind, rows, 1.0, hard=False)[rows.labeled], rows.probabilities[rows.labeled])
    if kind == "multiclass":
        np.testing.assert_allclose(found.sum(axis=1), 1)
    if kind == "bitvector":
        assert ((found > 0.5) == (rows.probabilities > 0.5)).all()
    if kind == "select":
        assert rows.indptr is not None
        for start, stop in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
            own = found[start:stop, 1]
            assert own.sum() == pytest.approx(1 if rows.labeled[start:stop].any() else 0)
            assert (
                np.argsort(own, kind="stable") == np.argsort(rows.probabilities[start:stop, 1], kind="stable")
            ).all()


def test_a_hard_choice_is_one_element_of_a_row() -> None:
    rows = TaskRows(np.array([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]), np.array([True, True, False]), np.array([0, 2, 3]))
    assert sharpened("select", rows, 4.0, hard=True)[:, 1].tolist() == [1, 0, 0]


def stack(kind: str, rows: TaskRows) -> LabelStack:
    """The labels of one task alone."""
    labels = TrainingLabels(rows.probabilities.astype(np.float32), rows.labeled.astype(np.float32), rows.indptr)
    names = ("no", "yes") if kind == "select" else tuple("abcd"[: rows.probabilities.shape[1]])
    payload = None if rows.indptr is None else "words"
    (found,) = stack_labels([TaskTarget("t", names, kind=kind, payload=payload)], [labels])
    return found


def test_tasks_of_one_kind_and_payload_with_few_labels_are_stacked_and_the_stack_gives_each_back() -> None:
    rng = np.random.default_rng(0)
    tasks = [
        TaskTarget("a", ("x", "y")),
        TaskTarget("b", ("x", "y", "z")),
        TaskTarget("c", ("x", "y"), kind="ordinal"),
        TaskTarget("d", ("x", "y"), kind="bitvector"),
        TaskTarget("e", ("no", "yes"), kind="select", payload="words"),
        TaskTarget("f", ("no", "yes"), kind="select", payload="words"),
        TaskTarget("g", ("x", "y"), kind="binary", payload="words"),
        TaskTarget("h", tuple("abcdefghijklmnopq")),
    ]
    indptr = np.arange(0, 21, 2)
    targets = []
    for task in tasks:
        n, k = 10 if task.payload is None else 20, len(task.labels)
        weights = rng.integers(0, 2, (n, k) if task.kind == "bitvector" else n).astype(np.float32)
        labels = rng.random((n, k)).astype(np.float32)
        targets.append(TrainingLabels(labels, weights, None if task.payload is None else indptr))
    stacks = stack_labels(tasks, targets)
    assert [one.tasks for one in stacks] == [(0, 1, 2), (3,), (4,), (5,), (6,), (7,)]
    rows = np.array([7, 2, 2])
    for one in stacks:
        for place, t in enumerate(one.tasks):
            own, expected = one.of(place).take(rows), targets[t].take(rows)
            np.testing.assert_array_equal(own.labels, expected.labels)
            np.testing.assert_array_equal(own.weights, expected.weights)
            assert one.counts()[place] == np.count_nonzero(targets[t].weights)
        np.testing.assert_array_equal(one.rows, np.any([targets[t].rows for t in one.tasks], axis=0))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**31))
def test_the_cases_of_calibration_have_the_loss_of_training(kind: str, seed: int) -> None:
    rows, logits = random_labels(kind, np.random.default_rng(seed))
    weights = rows.labeled.astype(np.float32)
    if not weights.any():
        return
    target = stack(kind, rows)
    segments = torch.from_numpy(target.segments) if kind == "select" else None
    # a masked element of a select task is not among those that the loss compares
    shown = np.where(rows.labeled[:, None], logits, -1e30) if kind == "select" else logits
    arrays = (logits[:, None], target.labels, target.scaled(target.masses()))
    (expected,) = task_losses(kind, *(torch.from_numpy(one) for one in arrays), segments)
    found = log_loss(*cases(kind, shown, rows.probabilities, rows.labeled, rows.indptr))
    assert found * (2 if kind == "bitvector" else 1) == pytest.approx(float(expected), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**31), parts=st.integers(1, 4))
def test_masses_of_the_parts_add_up(kind: str, seed: int, parts: int) -> None:
    rows, _ = random_labels(kind, np.random.default_rng(seed))
    target, every = stack(kind, rows), np.arange(12)
    found = np.sum([target.take(every[part::parts]).masses() for part in range(parts)], axis=0)
    np.testing.assert_allclose(found, target.masses())


def test_temperature_of_padded_rows_is_that_of_the_rows_alone() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(60, 2)) * 4
    rows = TaskRows(np.tile([[0.8, 0.2], [0.2, 0.8]], (30, 1)), np.ones(60, bool), np.arange(0, 61, 2))
    ragged = TaskRows(
        np.concatenate([rows.probabilities, [[0.0, 1.0]]]), np.ones(61, bool), np.append(rows.indptr, 61)
    )  # a row of one element teaches nothing
    alone = fit_temperature(*cases("select", logits, rows.probabilities, rows.labeled, rows.indptr))
    padded = np.concatenate([logits, [[0.0, 5.0]]])
    assert fit_temperature(
        *cases("select", padded, ragged.probabilities, ragged.labeled, ragged.indptr)
    ) == pytest.approx(alone, rel=1e-6)


@given(st.integers(0, 2**31))
def test_offsets_of_bits_bring_each_mean_to_its_balance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, balance = rng.normal(size=(200, 3)), np.array([0.2, 0.5, 0.7])
    means = (1 / (1 + np.exp(-(logits + bit_offsets(logits, balance))))).mean(axis=0)
    np.testing.assert_allclose(means, balance, atol=1e-6)


@pytest.mark.parametrize("metric", ["f1", "accuracy"])
@given(seed=st.integers(0, 2**31), size=st.integers(1, 30))
def test_no_other_threshold_is_better(metric: str, seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    scores, yes = rng.choice(np.arange(9) / 10, size), (rng.random(size) < 0.4).astype(float)

    def value(cut: float) -> float:
        said = scores >= cut
        if metric == "accuracy":
            return float((said == (yes > 0.5)).mean())
        return 2 * float((said * yes).sum()) / max(float(said.sum() + yes.sum()), 1e-12)

    assert value(fit_threshold(scores, yes, metric)) == pytest.approx(max(value(cut) for cut in np.arange(-1, 21) / 20))


def test_a_threshold_without_rows_is_a_half() -> None:
    assert fit_threshold(np.empty(0), np.empty(0), "f1") == 0.5


@given(seed=st.integers(0, 2**31), k=st.integers(2, 6), n=st.integers(1, 300))
def test_cuts_give_ordered_labels_their_shares_and_keep_their_order(seed: int, k: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities, shares = rng.dirichlet(np.ones(k), n), rng.dirichlet(np.ones(k))
    cuts = expected_cuts(probabilities, shares)
    said = label_at(probabilities, cuts)
    assert len(cuts) == k - 1
    assert cuts == sorted(cuts)
    np.testing.assert_allclose(np.bincount(said, minlength=k).cumsum() / n, shares.cumsum(), atol=1.001 / n)
    by_expected = said[np.argsort(probabilities @ np.arange(k))]
    assert (np.diff(by_expected) >= 0).all()


@given(st.lists(st.floats(0.01, 5), min_size=2, max_size=4))
def test_learned_task_weights_settle_at_the_inverse_of_the_loss(losses: list[float]) -> None:
    # d/ds (exp(-s) L + s / 2) = 0 at exp(-s) = 1 / (2 L): every task then counts a half
    balance = TaskBalance([1.0] * len(losses), learned=True)
    with torch.no_grad():
        balance.log_variances.copy_(torch.log(2 * torch.tensor(losses)))
    total = balance(torch.tensor(losses))
    total.backward()
    assert balance.log_variances.grad is not None
    assert balance.log_variances.grad.abs().max() < 1e-5
    fixed = TaskBalance([2.0, 0.5], learned=False)
    assert float(fixed(torch.tensor([1.0, 3.0]))) == 3.5


def test_balanced_bits_weigh_their_two_sides_alike() -> None:
    probabilities = np.array([[1.0, 0.5], [0.0, 0.5], [0.0, 0.5], [0.0, 0.5]])
    labeled = np.array([[True, False]] * 4)
    spec = TrainSpec(class_weights="balanced")
    task = TaskTarget("t", ("a", "b"), kind="bitvector")
    found = training_labels(task, TaskRows(probabilities, labeled), spec, 1.0)
    assert found.weights[0, 0] == pytest.approx(found.weights[1:, 0].sum())
    assert not found.weights[:, 1].any()
