from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsdb.model.calibrate import fit_temperature, log_loss, prior_offsets, softmax
from wsdb.model.forward import probabilities
from wsdb.model.losses import balanced_weights, sharpen_labels, side_by_side, task_losses
from wsdb.model.parts import KINDS


def task_loss(
    kind: str, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, rows: torch.Tensor | None = None
) -> torch.Tensor:
    """The loss of one task, a scalar; weights of any sum."""
    mass = weights.sum()
    if kind == "select" and rows is not None:
        mass = torch.stack([weights[rows == row].max() for row in rows.unique()]).sum()
    (loss,) = task_losses(kind, logits[:, None], labels[:, None], (weights / mass.clamp_min(1e-12))[:, None], rows)
    return loss


def expected_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return task_loss("multiclass", logits, targets, weights)


def test_loss_equals_the_expected_cross_entropy_worked_by_hand() -> None:
    # row 1: logits 0, 0 -> q = 1/2, 1/2; any p costs ln 2.
    # row 2: logits 0, ln 3 -> q = 1/4, 3/4; p = 0.2, 0.8 costs 0.2 ln 4 + 0.8 ln 4/3.
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    targets = torch.tensor([[0.7, 0.3], [0.2, 0.8]])
    weights = torch.tensor([1.0, 3.0])
    second = 0.2 * math.log(4) + 0.8 * math.log(4 / 3)
    expected = (math.log(2) + 3 * second) / 4
    assert expected_cross_entropy(logits, targets, weights).item() == pytest.approx(expected, abs=1e-6)


def test_a_masked_row_has_no_part_in_the_loss_nor_in_the_gradient() -> None:
    logits = torch.tensor([[1.0, 2.0], [5.0, -5.0]], requires_grad=True)
    targets = torch.tensor([[0.7, 0.3], [0.0, 1.0]])
    masked = expected_cross_entropy(logits, targets, torch.tensor([1.0, 0.0]))
    masked.backward()
    alone = expected_cross_entropy(logits.detach()[:1], targets[:1], torch.tensor([1.0]))
    assert masked.item() == alone.item()
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].tolist() == [0, 0]


@given(seed=st.integers(0, 2**31), sizes=st.lists(st.integers(2, 6), min_size=1, max_size=4))
def test_tasks_of_several_sizes_side_by_side_cost_and_learn_what_each_does_alone(seed: int, sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = [(torch.randn(5, k, generator=generator) * 4).requires_grad_() for k in sizes]
    alone = [one.detach().clone().requires_grad_() for one in logits]
    targets = [torch.softmax(torch.randn(5, k, generator=generator), dim=1) for k in sizes]
    weights = torch.rand(5, len(sizes), generator=generator)
    labels = torch.zeros(5, len(sizes), max(sizes))
    for t, one in enumerate(targets):
        labels[:, t, : sizes[t]] = one
    together = task_losses("multiclass", side_by_side(logits, max(sizes)), labels, weights)
    each = [
        task_losses("multiclass", one[:, None], target[:, None], weights[:, t, None])
        for t, (one, target) in enumerate(zip(alone, targets, strict=True))
    ]
    torch.testing.assert_close(together, torch.cat(each))
    together.sum().backward()
    torch.cat(each).sum().backward()
    for one, other in zip(logits, alone, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_batch_without_labels_for_a_task_costs_nothing_and_moves_nothing() -> None:
    logits = torch.tensor([[1.0, 2.0]], requires_grad=True)
    loss = expected_cross_entropy(logits, torch.tensor([[0.5, 0.5]]), torch.zeros(1))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and logits.grad.tolist() == [[0, 0]]


def test_sharpening_raises_to_a_power_and_normalizes() -> None:
    # 0.8^2 : 0.2^2 = 16 : 1
    np.testing.assert_allclose(sharpen_labels(np.array([[0.8, 0.2]]), 2.0), [[16 / 17, 1 / 17]])


def test_sharpening_survives_tiny_probabilities_and_large_powers() -> None:
    rows = sharpen_labels(np.array([[1e-200, 1e-200, 0.0]]), 50.0)
    np.testing.assert_allclose(rows, [[0.5, 0.5, 0.0]])


def test_hard_labels_take_the_first_of_equal_classes() -> None:
    assert sharpen_labels(np.array([[0.4, 0.4, 0.2]]), 4.0, hard=True).tolist() == [[1, 0, 0]]


def test_balanced_weights_give_every_class_the_same_total() -> None:
    labels = np.eye(2)[[0, 0, 0, 1]]
    weights = balanced_weights(labels)
    np.testing.assert_allclose(weights @ labels, [2, 2])
    assert weights.mean() == pytest.approx(1)


def drawn(n: int, scale: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `scale` times too large, and one-hot labels drawn from the true ones."""
    true = rng.normal(size=(n, 3)) * 1.5
    labels = np.array([rng.choice(3, p=p) for p in softmax(true)])
    return true * scale, np.eye(3)[labels]


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_temperature_finds_the_scale_of_the_logits(scale: float, rng: np.random.Generator) -> None:
    logits, labels = drawn(4000, scale, rng)
    assert fit_temperature(logits, labels) == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_temperature_never_makes_the_held_out_loss_worse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(25, 3)) * 4, rng.dirichlet(np.ones(3), 25)
    found = fit_temperature(logits, labels)
    assert log_loss(logits / found, labels) <= log_loss(logits, labels)


def test_temperature_is_one_where_nothing_is_better() -> None:
    assert fit_temperature(np.zeros((30, 2)), np.full((30, 2), 0.5)) == 1.0


def test_prior_matching_brings_the_mean_prediction_to_the_balance(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(500, 3))
    balance = np.array([0.7, 0.2, 0.1])
    offsets = prior_offsets(logits, balance)
    np.testing.assert_allclose(softmax(logits + offsets).mean(axis=0), balance, atol=1e-6)
    assert offsets.sum() == pytest.approx(0, abs=1e-9)


def items(kind: str, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random logits, labels, weights and rows of a task of a kind; some weights are 0."""
    generator = torch.Generator().manual_seed(seed)
    k = 2 if kind == "select" else 3
    logits = torch.randn(12, k, generator=generator)
    labels = torch.rand(12, k, generator=generator)
    if kind != "bitvector":
        labels = labels / labels.sum(dim=1, keepdim=True)
    shape = (12, k) if kind == "bitvector" else (12,)
    weights = torch.randint(0, 3, shape, generator=generator).float()
    return logits, labels, weights, torch.tensor([0, 0, 0, 1, 3, 3, 3, 3, 4, 4, 5, 5])  # row 2 has no element


@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 1000))
def test_what_is_masked_has_no_gradient_and_no_part_in_the_loss(kind: str, seed: int) -> None:
    logits, labels, weights, rows = items(kind, seed)
    logits.requires_grad_()
    loss = task_loss(kind, logits, labels, weights, rows)
    loss.backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    masked = weights == 0
    assert not logits.grad[masked].any()
    other = torch.where(masked if masked.ndim == 2 else masked[:, None], torch.randn(logits.shape), logits.detach())
    others = torch.where(masked if masked.ndim == 2 else masked[:, None], torch.rand(labels.shape), labels)
    assert task_loss(kind, other, others, weights, rows).item() == pytest.approx(loss.item(), abs=1e-6)


@given(kind=st.sampled_from([kind for kind in KINDS if kind != "select"]), seed=st.integers(0, 1000))
def test_tasks_that_are_computed_together_have_the_losses_they_have_alone(kind: str, seed: int) -> None:
    tasks = [items(kind, seed + t)[:3] for t in range(3)]
    scaled = [(logits, labels, weights / weights.sum().clamp_min(1e-12)) for logits, labels, weights in tasks]
    together = task_losses(kind, *(torch.stack(parts, dim=1) for parts in zip(*scaled, strict=True)))
    alone = torch.stack([task_loss(kind, *one) for one in tasks])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_is_masked_whole_costs_nothing(kind: str) -> None:
    logits, labels, weights, rows = items(kind, 0)
    logits.requires_grad_()
    loss = task_loss(kind, logits, labels, weights * 0, rows)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and not logits.grad.any()


@given(seed=st.integers(0, 1000))
def test_a_bitvector_costs_as_much_as_its_labels_by_themselves(seed: int) -> None:
    logits, labels, weights, _ = items("bitvector", seed)
    weights = weights[:, :1].expand(-1, 3) + 0.0  # every label is known of the same items
    alone = 0.0
    for y in range(3):
        both = torch.stack([torch.zeros(12), logits[:, y]], dim=1)
        targets = torch.stack([1 - labels[:, y], labels[:, y]], dim=1)
        alone += task_loss("binary", both, targets, weights[:, y]).item()
    assert task_loss("bitvector", logits, labels, weights).item() == pytest.approx(alone, rel=1e-5)


@given(seed=st.integers(0, 1000))
def test_a_select_task_is_a_multiclass_task_over_the_elements_of_each_row(seed: int) -> None:
    logits, labels, weights, rows = items("select", seed)
    total, mass = 0.0, 0.0
    for row in range(6):
        own = (rows == row) & (weights > 0)
        if own.any():
            weight = weights[own].max()
            targets = labels[own, 1][None] / labels[own, 1].sum()
            total += float(weight) * expected_cross_entropy(logits[own, 1][None], targets, torch.ones(1)).item()
            mass += float(weight)
    expected = total / mass if mass else 0.0
    assert task_loss("select", logits, labels, weights, rows).item() == pytest.approx(expected, abs=1e-5)


def test_a_row_that_selects_nothing_is_masked() -> None:
    logits = torch.tensor([[0.0, 2.0], [0.0, 1.0]], requires_grad=True)
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss = task_loss("select", logits, labels, torch.ones(2), torch.zeros(2, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


@given(
    seed=st.integers(0, 10_000), n=st.integers(1, 40), k=st.integers(2, 5), size=st.floats(-2, 2), hard=st.booleans()
)
def test_no_temperature_has_a_smaller_loss_than_the_one_that_is_found(
    seed: int, n: int, k: int, size: float, hard: bool
) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 10**size
    targets = rng.dirichlet(np.full(k, 0.5), n)
    targets = np.eye(k)[targets.argmax(axis=1)] if hard else targets
    found = fit_temperature(logits, targets)
    others = [log_loss(logits / other, targets) for other in np.geomspace(0.05, 20, 200)]
    assert 0.05 <= found <= 20
    assert log_loss(logits / found, targets) <= min(others) + 1e-9


@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 1000), shift=st.floats(-800, 800))
def test_probabilities_are_those_of_the_loss_and_survive_large_logits(kind: str, seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    k = 2 if kind == "select" else 3
    logits, indptr = rng.normal(size=(7, k)) + shift, np.array([0, 0, 3, 4, 4, 7])
    found = probabilities(kind, logits, 2.0, np.zeros(k), indptr)
    assert ((found >= 0) & (found <= 1)).all()
    if kind == "bitvector":
        np.testing.assert_allclose(found[:, 1], softmax(np.stack([np.zeros(7), logits[:, 1] / 2], axis=1))[:, 1])
    elif kind == "select":
        for first, last in ((0, 3), (3, 4), (4, 7)):
            np.testing.assert_allclose(found[first:last, 1], softmax(logits[first:last, 1][None] / 2)[0], atol=1e-12)
    else:
        np.testing.assert_allclose(found, softmax(logits / 2))
