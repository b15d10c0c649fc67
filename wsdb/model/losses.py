"""Noise-aware loss: the expected cross-entropy under the probabilities of the label model.

loss = sum_i w_i ( - sum_y p_iy log q_iy ) / sum_i w_i  over the rows i that have a label for the task.
"""

from __future__ import annotations

import numpy as np

from wsdb.model.backend import torch


def expected_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the loss of one task, a scalar; 0 where all weights are 0.

    Parameters
    ----------
    logits : float32 [b, k]
    targets : float32 [b, k], rows sum to 1; anything finite where the weight is 0
    weights : float32 [b]; 0 masks a row out: it has no part in the value nor in the gradient
    """
    row = -(targets * torch.log_softmax(logits, dim=1)).sum(dim=1)  # [b]
    return (weights * row).sum() / weights.sum().clamp_min(1e-12)


def sharpen_labels(probabilities: np.ndarray, power: float, *, hard: bool = False) -> np.ndarray:
    """Return p^power, normalized, float64 (n, k); `hard` gives all to the first likeliest label."""
    if hard:
        return np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    raised = (probabilities / probabilities.max(axis=1, keepdims=True)) ** power  # no underflow of the largest
    return raised / raised.sum(axis=1, keepdims=True)


def balanced_weights(targets: np.ndarray) -> np.ndarray:
    """Return w_i = sum_y p_iy / n_y, scaled to mean 1; float64 (n,); n_y is the mass of class y."""
    mass = targets.sum(axis=0)
    weights = targets @ np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0)
    return weights / weights.mean()
