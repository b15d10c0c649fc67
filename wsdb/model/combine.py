"""Pooling: the elements of a payload as one vector for each row.

Notation for shapes: E elements of b rows, h units, a attention heads.
"""

from __future__ import annotations

from wsdb.model.backend import torch
from wsdb.model.layers import Affine, affine, largest, means, row_log_softmax, sums

nn = torch.nn
_HEADS = 4


class AttentionPooling(nn.Module):
    """Each head averages a part of the states, weighted by a softmax over the row's elements of learned scores."""

    def __init__(self, scores: Affine, values: Affine) -> None:
        super().__init__()
        self.scores = scores  # h -> a
        self.values = values  # h -> h

    def forward(self, states: torch.Tensor, rows: torch.Tensor, n: int) -> torch.Tensor:
        """Map float32 [E, h] to [b, h]; a row without elements is 0."""
        weights = row_log_softmax(self.scores(states), rows, n).exp()  # [E, a]
        values = self.values(states).unflatten(1, (weights.shape[1], -1))  # [E, a, h / a]
        return sums((weights[:, :, None] * values).flatten(1), rows, n)  # [b, h]


class MeanPooling(nn.Module):
    """The mean of the states."""

    def forward(self, states: torch.Tensor, rows: torch.Tensor, n: int) -> torch.Tensor:
        """Map float32 [E, h] to [b, h]; a row without elements is 0."""
        return means(states, rows, n)


class MaxPooling(nn.Module):
    """The largest of the states, unit by unit."""

    def forward(self, states: torch.Tensor, rows: torch.Tensor, n: int) -> torch.Tensor:
        """Map float32 [E, h] to [b, h]; a row without elements is 0."""
        return largest(states, rows, n)


def build_pooling(combine: str, width: int, generator: torch.Generator) -> nn.Module:
    """Return the pooling of one payload as another reads it; see `wsdb.model.plan.COMBINES`."""
    match combine:
        case "attention":
            heads = _HEADS if width % _HEADS == 0 else 1
            return AttentionPooling(affine(width, heads, generator, gain=0.1), affine(width, width, generator))
        case "mean":
            return MeanPooling()
        case "max":
            return MaxPooling()
    raise ValueError(f"no pooling is called {combine}")
