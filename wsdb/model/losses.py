"""Noise-aware losses: the expected loss under the probabilities of the label model.

Rows and elements, called items here, count by weights; weight 0 masks an item out: it has no part in the value nor in
the gradient. The weights of a step sum to 1, so that a loss is a mean; where all are 0 it is 0. Tasks of one kind with
as many labels are computed together: t of them.

- multiclass, binary, ordinal:  sum_i w_i ( - sum_y p_iy log q_iy ),  q = softmax of the logits
- bitvector:  k sum_iy w_iy ( - p_iy log q_iy - (1 - p_iy) log (1 - q_iy) ),  q the logistic function of the logits: the
  sum of k independent binary losses, where the labels are known of equally many items
- select:  sum_r w_r ( - sum_{i in r} p_i log q_i ),  q the softmax of the yes logits over the items of row r that are
  not masked, p the yes probabilities scaled to sum to 1 over them (METHODS 7.3); w_r the largest of w_i
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsdb.model.backend import torch
from wsdb.model.layers import largest, row_log_softmax, sums

pad = torch.nn.functional.pad
_FEW = 16  # labels: torch's softmax over a short last axis takes up to four times as long as over a first one
_NEVER = -1e9  # a logit whose softmax is 0, and finite, since 0 times it is 0


def task_losses(
    kind: str,
    logits: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
    segments: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the losses of t tasks of one kind, float32 [t].

    Parameters
    ----------
    kind : multiclass, binary, ordinal, bitvector or select
    logits : float32 [E, t, k]
    labels : float32 [E, t, k]; anything finite where the weight is 0
    weights : float32 [E, t]; of bitvectors [E, t, k]; see `wsdb.model.targets.LabelStack.scaled`
    segments : int64 [E], of a select task, which is the only one: the row, from 0, of each element
    """
    if kind == "bitvector":
        return binary_cross_entropies(logits, labels, weights)
    if kind == "select":
        assert segments is not None
        return select_cross_entropy(logits[:, 0, 1], labels[:, 0, 1], weights[:, 0], segments)[None]
    return expected_cross_entropies(logits, labels, weights)


def side_by_side(logits: Sequence[torch.Tensor], k: int) -> torch.Tensor:
    """Return logits [E, k_i] of t tasks as float32 [E, t, k]; what a task has no label for has probability 0."""
    wide = [one if one.shape[1] == k else pad(one.float(), (0, k - one.shape[1]), value=_NEVER) for one in logits]
    return torch.stack(wide, dim=1).float()


def expected_cross_entropies(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return [t] for multiclass tasks; logits and targets [E, t, k], a target's last axis sums to 1; weights [E, t]."""
    axis = 2
    if logits.shape[2] <= _FEW:
        logits, targets, axis = logits.movedim(2, 0).contiguous(), targets.movedim(2, 0), 0  # [k, E, t]
    item = -(targets * torch.log_softmax(logits, dim=axis)).sum(dim=axis)  # [E, t]
    return (weights * item).sum(dim=0)


def binary_cross_entropies(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return [t] for bitvector tasks; all of shape [E, t, k]."""
    bits = torch.nn.functional.softplus(logits) - targets * logits  # [E, t, k]
    return bits.shape[2] * (weights * bits).sum(dim=(0, 2))


def select_cross_entropy(
    scores: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, segments: torch.Tensor
) -> torch.Tensor:
    """Return the loss of a select task, a scalar; all of shape [E]. A row whose targets are all 0 is masked."""
    kept = torch.nonzero(weights > 0).squeeze(1)
    if len(kept) == 0:
        return scores.sum() * 0
    rows, n = segments[kept], int(segments.max()) + 1
    log_q = row_log_softmax(scores[kept, None], rows, n)  # [u, 1]
    mass = sums(targets[kept, None], rows, n)  # [n, 1]
    row = sums(-(targets[kept, None] * log_q), rows, n) / mass.clamp_min(1e-12)  # [n, 1]
    weight = largest(weights[kept, None], rows, n) * (mass > 0)  # [n, 1]
    return (weight * row).sum()


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
