"""The multitask network: a wide linear path per task over all inputs, and an optional shared torso.

Notation for shapes: b rows, e text entries of these rows, c category columns, d dense columns, h hidden
units, k labels of a task.

With h = 0 every parameter belongs to one task, and the network is one softmax regression per task. With h > 0
category and dense columns also pass through a torso of two layers whose output every task reads; text stays
in the wide path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wsdb.model.backend import torch
from wsdb.model.encode import EncodedBatch
from wsdb.model.forward import ROWS

nn = torch.nn


class Inputs(NamedTuple):
    """Tensors of b rows; see `EncodedBatch`."""

    slots: torch.Tensor  # [e] int32
    offsets: torch.Tensor  # [b + 1] int32
    values: torch.Tensor  # [e] float32
    categories: torch.Tensor  # [b, c] int32
    dense: torch.Tensor  # [b, d] float32


def inputs_of(batch: EncodedBatch, device: torch.device) -> Inputs:
    """Copy encoded rows to the device."""
    arrays = (batch.slots, batch.indptr.astype(np.int32), batch.values, batch.categories, batch.dense)
    return Inputs(*(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays))


class Affine(nn.Module):
    """x W^T + v with given first weights; nn.Linear would draw them from the global generator."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)  # [out, in]
        self.bias = nn.Parameter(torch.zeros(len(weight)))  # [out]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map float32 [b, in] to [b, out]; without inputs every row is the bias."""
        if inputs.shape[1] == 0:
            return self.bias.expand(len(inputs), -1)
        return inputs @ self.weight.T + self.bias


class Torso(nn.Module):
    """Two hidden layers over category and dense columns."""

    def __init__(self, categories: nn.EmbeddingBag | None, dense: Affine, second: Affine) -> None:
        super().__init__()
        self.categories = categories
        self.dense = dense
        self.second = second

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Return the hidden units, float32 [b, h]."""
        first = self.dense(inputs.dense)  # [b, h]
        if self.categories is not None:
            first = first + self.categories(inputs.categories)  # [b, h]
        return torch.relu(self.second(torch.relu(first)))  # [b, h]


class Head(nn.Module):
    """Logits of one task: the sum of a linear map of every kind of input."""

    def __init__(self, text: nn.EmbeddingBag | None, categories: nn.EmbeddingBag | None, dense: Affine) -> None:
        super().__init__()
        self.text = text
        self.categories = categories
        self.dense = dense

    def forward(self, inputs: Inputs, hidden: torch.Tensor | None) -> torch.Tensor:
        """Return logits, float32 [b, k]."""
        dense = inputs.dense  # [b, d]
        if hidden is not None:
            dense = torch.cat([dense, hidden], dim=1) if dense.shape[1] else hidden  # [b, d + h]
        logits = self.dense(dense)  # [b, k]
        if self.text is not None:
            logits = logits + self.text(inputs.slots, inputs.offsets, per_sample_weights=inputs.values)  # [b, k]
        if self.categories is not None:
            logits = logits + self.categories(inputs.categories)  # [b, k]
        return logits


class Network(nn.Module):
    """A torso, or none, and a head per task."""

    def __init__(self, torso: Torso | None, heads: Sequence[Head]) -> None:
        super().__init__()
        self.torso = torso
        self.heads = nn.ModuleList(heads)

    def forward(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the logits of every task, float32 [b, k] each."""
        hidden = None if self.torso is None else self.torso(inputs)  # [b, h]
        return [head(inputs, hidden) for head in self.heads]


def build_network(
    *,
    n_text: int,
    n_category: int,
    n_dense: int,
    hidden: int,
    n_labels: Sequence[int],
    generator: torch.Generator,
) -> Network:
    """Build the network for the given numbers of slots, columns and labels.

    Linear maps to logits begin at 0; the torso's weights are drawn from `generator`, a CPU generator.
    """
    torso = _torso(n_category, n_dense, hidden, generator) if hidden else None
    return Network(torso, [_head(n_text, n_category, n_dense + hidden, k) for k in n_labels])


def _head(n_text: int, n_category: int, n_dense: int, n_labels: int) -> Head:
    return Head(
        _bag(torch.zeros(n_text, n_labels), by_offsets=True),
        _bag(torch.zeros(n_category, n_labels), by_offsets=False),
        Affine(torch.zeros(n_labels, n_dense)),
    )


def _torso(n_category: int, n_dense: int, hidden: int, generator: torch.Generator) -> Torso:
    def draw(rows: int, columns: int, scale: float) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) * scale

    return Torso(
        _bag(draw(n_category, hidden, 0.1), by_offsets=False),
        Affine(draw(hidden, n_dense, (2 / max(n_dense, 1)) ** 0.5)),  # variance 2 / inputs, as rectified units need
        Affine(draw(hidden, hidden, (2 / hidden) ** 0.5)),
    )


def _bag(table: torch.Tensor, *, by_offsets: bool) -> nn.EmbeddingBag | None:
    """A table whose rows are summed, or None where it has no rows."""
    if not len(table):
        return None
    return nn.EmbeddingBag.from_pretrained(table, freeze=False, mode="sum", include_last_offset=by_offsets)


def network_logits(network: Network, batch: EncodedBatch, device: torch.device) -> Sequence[np.ndarray]:
    """Return the logits of every task, float64 (n, k), computed 4,096 rows at a time."""
    parts = []
    with torch.inference_mode():
        for start in range(0, max(len(batch), 1), ROWS):
            rows = np.arange(start, min(start + ROWS, len(batch)))
            scores = network(inputs_of(batch.take(rows), device))
            parts.append([score.cpu().numpy().astype(np.float64) for score in scores])
    return [np.concatenate(scores) for scores in zip(*parts, strict=True)]
