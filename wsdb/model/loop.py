"""The training loop: epochs of steps, and the epoch whose weights are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wsdb.model.average import AveragedWeights
from wsdb.model.backend import torch
from wsdb.model.calibrate import calibrated_loss
from wsdb.model.early_stop import BestWeights
from wsdb.model.encode import EncodedBatch
from wsdb.model.losses import expected_cross_entropy
from wsdb.model.network import Network, inputs_of, network_logits
from wsdb.model.rows import TrainingLabels
from wsdb.model.spec import TaskTarget, TrainSpec

_DENSE_LR = 0.1  # step size of dense inputs, as a share of that of sparse inputs


@dataclass(slots=True)
class Loop:
    """One training run.

    Attributes
    ----------
    network : trained in place
    encoded : the inputs of the n rows
    tasks, targets : with weight 0 for rows that the task is not trained on
    train_rows : rows to visit
    valid_rows : held-out rows per task, none where there are too few
    spec : options
    batch_size, lr, weight_decay : resolved from the options
    generator : draws the order of rows and dropout
    device : of the network
    began : time.perf_counter() at the start
    progress : called with every entry of the history
    history : see `wsdb.model.train.Trained`
    """

    network: Network
    encoded: EncodedBatch
    tasks: Sequence[TaskTarget]
    targets: Sequence[TrainingLabels]
    train_rows: np.ndarray
    valid_rows: Sequence[np.ndarray]
    spec: TrainSpec
    batch_size: int
    lr: float
    weight_decay: float
    generator: torch.Generator
    device: torch.device
    began: float
    progress: Callable[[dict[str, Any]], None] | None
    history: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> dict[str, int]:
        """Train; return the epoch of each task whose weights the network has now."""
        optimizer = torch.optim.Adagrad(parameter_groups(self.network, self.lr), weight_decay=self.weight_decay)
        average = AveragedWeights(self.network, -(-len(self.train_rows) // self.batch_size))
        best = BestWeights(self.network, self.tasks)
        for epoch in range(1, self.spec.epochs + 1):
            trained = self.epoch(optimizer, average)
            last = epoch == self.spec.epochs
            with average.applied():
                valid = self.validate()
                self.tell(epoch, trained, valid)
                stop = best.see(epoch, valid, patience=self.spec.patience, early=self.spec.early_stop)
            if last or stop:
                break
        return best.restore()

    def epoch(self, optimizer: torch.optim.Optimizer, average: AveragedWeights) -> list[float]:
        """Visit the rows once; return the mean training loss of each task."""
        totals = np.zeros((len(self.tasks), 2))  # loss times rows, rows
        order = torch.randperm(len(self.train_rows), generator=self.generator).numpy()
        shuffled = self.train_rows[order]
        for start in range(0, len(shuffled), self.batch_size):
            loss = self.loss(shuffled[start : start + self.batch_size], totals)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            average.see()
        return [float(total / max(rows, 1)) for total, rows in totals]

    def loss(self, rows: np.ndarray, totals: np.ndarray) -> torch.Tensor:
        """Return the weighted loss of a batch, and add each task's own to `totals`."""
        inputs = inputs_of(self.encoded.take(rows), self.device)
        if self.spec.dropout > 0:
            inputs = drop(inputs, self.spec.dropout, self.generator)
        loss = torch.zeros((), device=self.device)
        for t, logits in enumerate(self.network(inputs)):  # logits [b, k]
            labels = torch.from_numpy(self.targets[t].labels[rows]).to(self.device)  # [b, k]
            weights = torch.from_numpy(self.targets[t].weights[rows]).to(self.device)  # [b]
            task_loss = expected_cross_entropy(logits, labels, weights)
            loss = loss + self.tasks[t].weight * task_loss
            labeled = float((self.targets[t].weights[rows] > 0).sum())
            totals[t] += float(task_loss.detach()) * labeled, labeled
        return loss

    def validate(self) -> list[float | None]:
        """Return the held-out loss of each task at its best temperature, None without held-out rows."""
        return [
            calibrated_loss(
                network_logits(self.network, self.encoded.take(rows), self.device)[t], self.targets[t].labels[rows]
            )
            if len(rows)
            else None
            for t, rows in enumerate(self.valid_rows)
        ]

    def tell(self, epoch: int, trained: Sequence[float], valid: Sequence[float | None]) -> None:
        """Add an epoch to the history and report it."""
        seconds = time.perf_counter() - self.began
        for task, *losses in zip(self.tasks, trained, valid, strict=True):
            for split, loss in zip(("train", "valid"), losses, strict=True):
                if loss is None:
                    continue
                entry = {"epoch": epoch, "task": task.name, "split": split, "loss": loss, "seconds": seconds}
                self.history.append(entry)
                if self.progress is not None:
                    self.progress(entry)


def parameter_groups(network: Network, lr: float) -> list[dict[str, Any]]:
    """Tables of sparse inputs take steps of `lr`, dense maps of a tenth of it."""
    bags = [module for module in network.modules() if isinstance(module, torch.nn.EmbeddingBag)]
    sparse = {id(bag.weight) for bag in bags}
    groups = [
        {"params": [p for p in network.parameters() if (id(p) in sparse) is wanted], "lr": rate}
        for wanted, rate in ((True, lr), (False, lr * _DENSE_LR))
    ]
    return [group for group in groups if group["params"]]


def drop(inputs: Any, share: float, generator: torch.Generator) -> Any:
    """Hide a share of the text entries and dense columns at random; what stays is scaled to keep the mean."""

    def thin(values: torch.Tensor) -> torch.Tensor:
        keep = torch.rand(values.shape, generator=generator) >= share
        return values * keep.to(values.device) / (1 - share)

    return inputs._replace(values=thin(inputs.values), dense=thin(inputs.dense))
