from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wsdb.model.calibrate import fit_temperature, log_loss, prior_offsets, softmax
from wsdb.model.losses import balanced_weights, expected_cross_entropy, sharpen_labels


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
