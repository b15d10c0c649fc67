"""The losses of slices beside those of the tasks: of membership, and of each slice's own prediction on its members.

Notation for shapes: b rows, E elements of a payload, s slices, k labels of a task; and items, i of them: what a task
gives an answer for, rows or elements, of a select task the rows.
"""

from __future__ import annotations

import numpy as np

from wsdb.model.backend import torch
from wsdb.model.layers import largest, row_log_softmax, sums
from wsdb.model.targets import TrainingLabels

SHARE = 0.5
"""Weight of the losses of membership and of experts beside the task's."""
binary_cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits


def membership_loss(members: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Return half the cross-entropy of membership, a scalar: the mean over rows or elements, and slices.

    Parameters
    ----------
    members : float32 [n, s], logits
    inside : float32 [n, s], 1 where the slicing function selects the row or element
    """
    return SHARE * binary_cross_entropy(members, inside) if len(members) else members.sum()


def expert_loss(losses: torch.Tensor, inside: torch.Tensor, masses: torch.Tensor) -> torch.Tensor:
    """Return half the loss of the experts of one task on the members of their slices, a scalar.

    The mean over slices of each slice's mean over its items; a slice without an item counts 0.

    Parameters
    ----------
    losses : float32 [i, s], see `expert_losses`
    inside : float32 [i, s], 1 where the slice has the item
    masses : float32 [s], sums of the weights of each slice's items; of the whole step where these are a part of it
    """
    return SHARE * ((inside * losses).sum(dim=0) / masses.clamp_min(1e-12)).mean()


def expert_losses(
    kind: str,
    alone: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
    segments: torch.Tensor | None = None,
    n_rows: int = 0,
) -> torch.Tensor:
    """Return the loss of each slice's own prediction for each item, times the weight of the item, float32 [i, s].

    The losses are those of `wsdb.model.losses`.

    Parameters
    ----------
    alone : float32 [n, s, k]; of a select task [E, s, 1]
    labels : float32 [n, k], the task's labels
    weights : float32 [n], of a bitvector [n, k]; 0 masks out
    segments : int64 [E], the row of each element, of a select task
    """
    if kind == "bitvector":
        bits = binary_cross_entropy(alone, labels.unsqueeze(1).expand_as(alone), reduction="none")  # [n, s, k]
        return (weights.unsqueeze(1) * bits).sum(dim=2)
    if kind != "select":
        return weights.unsqueeze(1) * -(labels.unsqueeze(1) * torch.log_softmax(alone, dim=2)).sum(dim=2)
    assert segments is not None
    kept = torch.nonzero(weights > 0).squeeze(1)
    rows, scores = segments[kept], alone[kept, :, 0]  # [u], [u, s]
    if len(kept) == 0:
        return scores.new_zeros(n_rows, alone.shape[1]) + alone.sum() * 0
    yes = labels[kept, 1:]  # [u, 1]
    mass = sums(yes, rows, n_rows)  # [b, 1]
    losses = sums(-(yes * row_log_softmax(scores, rows, n_rows)), rows, n_rows) / mass.clamp_min(1e-12)  # [b, s]
    return largest(weights[kept, None], rows, n_rows) * (mass > 0) * losses


def item_weights(kind: str, target: TrainingLabels) -> np.ndarray:
    """Return the weight of each item, float32 (i,): those by which `expert_losses` are divided.

    Of a bitvector it is the mean over labels, as a loss is the sum over them; of a select task that of the heaviest
    element of a row with a yes.
    """
    if kind == "bitvector":
        return np.asarray(target.weights.mean(axis=1))
    if kind != "select":
        return target.weights
    assert target.indptr is not None
    found = np.zeros(len(target.indptr) - 1, np.float32)
    filled = np.flatnonzero(np.diff(target.indptr))
    if len(filled):
        starts = target.indptr[filled]
        yes = np.add.reduceat(np.where(target.weights > 0, target.labels[:, 1], 0), starts) > 0
        found[filled] = np.maximum.reduceat(target.weights, starts) * yes
    return found
