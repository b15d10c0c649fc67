"""Training in several processes, as ``python -m torch.distributed.run`` starts them.

Every process reads all rows and has all weights. Of each step it computes its share of the rows; the gradients are
summed, and all take the same step. The shares are weighed so that the sum is the gradient that one process would have,
up to the order of the sums.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from wsdb.model.backend import torch


@dataclass(frozen=True, slots=True)
class World:
    """The processes of a training run.

    Attributes
    ----------
    rank : of this process, from 0
    size : number of processes
    """

    rank: int = 0
    size: int = 1

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's part of the rows of a step."""
        return rows[self.rank :: self.size]

    def sum_gradients(self, parameters: list[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over all processes."""
        if self.size == 1:
            return
        for one in parameters:
            if one.grad is None:
                one.grad = torch.zeros_like(one)
            torch.distributed.all_reduce(one.grad)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of the values over all processes."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            torch.distributed.barrier()


@contextmanager
def world() -> Iterator[World]:
    """Join the other processes, if torchrun has started several; leave them at the end."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or not torch.distributed.is_available():
        yield World()
        return
    ours = not torch.distributed.is_initialized()
    if ours:
        torch.distributed.init_process_group("gloo")
    try:
        yield World(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        if ours:
            torch.distributed.destroy_process_group()
