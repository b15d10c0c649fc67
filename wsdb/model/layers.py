"""Linear maps and tables whose first weights are given or drawn from a generator, never from torch's global one."""

from __future__ import annotations

from collections.abc import Mapping

from wsdb.model.backend import torch

nn = torch.nn


class Affine(nn.Module):
    """x W^T + v with given first weights; nn.Linear would draw them from the global generator."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)  # [out, in]
        self.bias = nn.Parameter(torch.zeros(len(weight)))  # [out]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map float32 [..., in] to [..., out]; without inputs every row is the bias."""
        if inputs.shape[-1] == 0:
            return self.bias.expand(*inputs.shape[:-1], -1)
        return nn.functional.linear(inputs, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.weight.shape[1]} -> {self.weight.shape[0]}"


def affine(n_in: int, n_out: int, generator: torch.Generator, gain: float = 1.0) -> Affine:
    """Return an affine map with normal weights of variance gain / n_in; 2 suits rectified units."""
    return Affine(torch.randn(n_out, n_in, generator=generator) * (gain / max(n_in, 1)) ** 0.5)


class Named(nn.ModuleDict):
    """Modules by the names of tasks or payloads, also of those that are called as a method of torch is."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._modules.update(modules)


class Norm(nn.Module):
    """Each vector brought to mean 0 and variance 1, then scaled and moved."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))  # [h]
        self.bias = nn.Parameter(torch.zeros(width))  # [h]

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return float32 [..., h]."""
        return nn.functional.layer_norm(states, self.weight.shape, self.weight, self.bias)


class Lookup(nn.EmbeddingBag):
    """The sum of the rows of a table that the category columns of a row name.

    A small table is multiplied by counts: its gradient is a product as well, which takes half the time of adding rows.
    """

    def forward(self, slots: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return float32 [b, h] of slots int32 [b, c]."""
        if len(self.weight) > SMALL:
            return super().forward(slots)
        counts = self.weight.new_zeros(len(slots), len(self.weight))
        counts.scatter_add_(1, slots.long(), counts.new_ones(()).expand(slots.shape))  # [b, slots of the table]
        return counts @ self.weight


SMALL = 512
"""Most rows of a table that is multiplied by counts."""


def bag(table: torch.Tensor, *, by_offsets: bool, mode: str = "sum") -> nn.EmbeddingBag | None:
    """Return a table whose rows are summed (or averaged), or None where it has no rows.

    Parameters
    ----------
    by_offsets : whether rows name any number of its rows, by slots and offsets; else one for each column
    """
    if not len(table):
        return None
    if not by_offsets:
        return Lookup.from_pretrained(table, freeze=False, mode="sum")
    return nn.EmbeddingBag.from_pretrained(table, freeze=False, mode=mode, include_last_offset=True)


def sums(values: torch.Tensor, rows: torch.Tensor, n: int) -> torch.Tensor:
    """Add up float32 [E, h] by row: [n, h], 0 where a row has no element."""
    return values.new_zeros(n, *values.shape[1:]).index_add_(0, rows, values)


def means(values: torch.Tensor, rows: torch.Tensor, n: int) -> torch.Tensor:
    """Average float32 [E, h] by row: [n, h], 0 where a row has no element."""
    return sums(values, rows, n) / counts(rows, n).clamp_min(1)[:, None]


def largest(values: torch.Tensor, rows: torch.Tensor, n: int) -> torch.Tensor:
    """Return the largest of float32 [E, h] by row: [n, h], 0 where a row has no element."""
    at = rows[:, None].expand_as(values)
    return values.new_zeros(n, values.shape[1]).scatter_reduce(0, at, values, "amax", include_self=False)


def counts(rows: torch.Tensor, n: int) -> torch.Tensor:
    """Return the number of elements of each row, float32 [n]."""
    return torch.bincount(rows, minlength=n).float()


def row_log_softmax(scores: torch.Tensor, rows: torch.Tensor, n: int) -> torch.Tensor:
    """Return log softmax of float32 [E, q] over the elements of each row."""
    top = largest(scores.detach(), rows, n)  # [n, q]; moves the scores, not the result
    shifted = scores - top[rows]
    return shifted - torch.log(sums(shifted.exp(), rows, n))[rows]
