"""Early stopping: the weights of the best held-out loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from wsdb.core.errors import ModelError
from wsdb.model.backend import torch
from wsdb.model.network import Network
from wsdb.model.parts import TaskTarget


class BestWeights:
    """Keeps the weights of the best held-out loss: of the whole network, or of each task if they share none."""

    def __init__(self, network: Network, tasks: Sequence[TaskTarget]) -> None:
        self.tasks = tasks
        alone = not network.shared
        self.groups = [[t] for t in range(len(tasks))] if alone else [list(range(len(tasks)))]
        self.parts = [network.task_weights(t) for t in range(len(tasks))] if alone else [network.state_dict()]
        self.best = [(math.inf, 0)] * len(self.parts)
        self.states: list[dict[str, torch.Tensor]] = [{}] * len(self.parts)

    def see(self, epoch: int, losses: Sequence[float | None], *, patience: int, early: bool = True) -> bool:
        """Keep what became better, and return whether all tasks have stopped.

        A group without held-out rows, and every group unless `early`, keeps its last weights and never stops.
        """
        running = False
        for g, group in enumerate(self.groups):
            known = [(losses[t], self.tasks[t].weight) for t in group if losses[t] is not None]
            total = sum(loss * weight for loss, weight in known if loss is not None)
            latest = not early or not known
            if latest or total < self.best[g][0]:
                self.best[g] = (math.inf if latest else total, epoch)
                self.states[g] = {name: tensor.clone() for name, tensor in self.parts[g].items()}
            running |= epoch - self.best[g][1] < patience
        return not running

    @property
    def ready(self) -> bool:
        """Whether there are weights to restore for every task."""
        return all(self.states)

    def state(self) -> tuple[list[tuple[float, int]], dict[str, np.ndarray]]:
        """Return loss and epoch of each group, and its weights as arrays."""
        arrays = {
            f"{g}.{name}": tensor.cpu().numpy() for g, state in enumerate(self.states) for name, tensor in state.items()
        }
        return list(self.best), arrays

    def load(self, best: Sequence[Sequence[float]], arrays: Mapping[str, np.ndarray]) -> None:
        """Put back what `state` gave."""
        self.best = [(float(loss), int(epoch)) for loss, epoch in best]
        for g in range(len(self.states)):
            own = f"{g}."
            self.states[g] = {
                name.removeprefix(own): torch.from_numpy(np.array(array))
                for name, array in arrays.items()
                if name.startswith(own)
            }

    def restore(self) -> dict[str, int]:
        """Put the kept weights back; return the epoch of each task.

        Raises
        ------
        ModelError  WS511 if no epoch had a finite held-out loss.
        """
        chosen: dict[str, int] = {}
        for part, state, (_, epoch), group in zip(self.parts, self.states, self.best, self.groups, strict=True):
            if not state:
                raise diverged(self.tasks[group[0]].name)
            for name, tensor in part.items():  # views of the network's weights
                tensor.copy_(state[name])
            chosen |= {self.tasks[t].name: epoch for t in group}
        return chosen


def diverged(task: str) -> ModelError:
    """Return the error for weights or logits that are not finite."""
    return ModelError(
        "WS511",
        f"training of task {task} diverged: its weights are no longer finite",
        hint="lower lr, for example WITH (lr = 0.05)",
        task=task,
    )
