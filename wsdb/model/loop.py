"""The training loop: epochs of steps, and the epoch whose weights are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wsdb.model.average import AveragedWeights
from wsdb.model.backend import torch
from wsdb.model.calibrate import calibrated_loss, cases
from wsdb.model.checkpoint import Checkpoint
from wsdb.model.early_stop import BestWeights
from wsdb.model.losses import side_by_side, task_losses
from wsdb.model.members import Members
from wsdb.model.network import Network, drop, inputs_of, network_logits
from wsdb.model.optimize import Optimizers, TaskBalance
from wsdb.model.parallel import World
from wsdb.model.parts import TaskTarget
from wsdb.model.resolve import Steps, resolve_patience
from wsdb.model.rows import TaskRows, repeat
from wsdb.model.slice_losses import expert_loss, expert_losses, item_weights, membership_loss
from wsdb.model.slices import Outputs
from wsdb.model.spec import TrainSpec
from wsdb.model.store import Store
from wsdb.model.targets import LabelStack, TrainingLabels

_ROWS = 4_096  # rows that are read at a time where no gradients are needed


@dataclass(slots=True)
class Loop:
    """One training run.

    Attributes
    ----------
    network : trained in place
    store : the inputs of the n rows
    tasks : of the network
    stacks : what they are trained on, with weight 0 for what a task is not trained on
    labels : what is known of the rows, held-out ones too
    members : which rows and elements the slices of the network have
    train_rows : rows to visit
    valid_rows : rows that some task holds out, by key
    held_out : per task, bool (v,), which of them it holds out; none where there are too few
    spec : options
    batch_size, steps : resolved from the options
    views : whether heads learn from each kind of input apart
    bf16 : whether the network computes in bf16
    generator : draws the order of rows and dropout
    device : of the network
    world : the processes that train together
    began : time.perf_counter() at the start
    progress : called with every entry of the history
    watch : called after each epoch with its number and a function that gives logits as `logits` does; it may raise
    checkpoint : where the state is kept, if anywhere
    history : see `wsdb.model.train.Trained`
    interrupted : whether Ctrl-C ended the training, and the best epoch so far is kept
    """

    network: Network
    store: Store
    tasks: Sequence[TaskTarget]
    stacks: Sequence[LabelStack]
    labels: Sequence[TaskRows]
    members: Members
    train_rows: np.ndarray
    valid_rows: np.ndarray
    held_out: Sequence[np.ndarray]
    spec: TrainSpec
    batch_size: int
    steps: Steps
    views: bool
    bf16: bool
    generator: torch.Generator
    device: torch.device
    world: World
    began: float
    progress: Callable[[dict[str, Any]], None] | None
    checkpoint: Checkpoint | None = None
    watch: Callable[[int, Callable[[np.ndarray], list[np.ndarray]]], None] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    interrupted: bool = False
    balance: TaskBalance = field(init=False)
    optimizers: Optimizers = field(init=False)
    average: AveragedWeights = field(init=False)
    best: BestWeights = field(init=False)
    parameters: list[torch.nn.Parameter] = field(init=False)
    targets: list[TrainingLabels] = field(init=False)
    stacked: list[int] = field(init=False)
    order: np.ndarray = field(init=False)
    totals: torch.Tensor = field(init=False)  # [t], in the order of the stacks: the loss times the number of labels
    seen: np.ndarray = field(init=False)  # (t,), that number
    patience: int = field(init=False)
    at: int = 0
    saved: float = 0.0

    def __post_init__(self) -> None:
        steps = -(-len(self.train_rows) // self.batch_size)
        learned = self.spec.task_balance == "uncertainty"
        self.stacked = [t for stack in self.stacks for t in stack.tasks]
        self.balance = TaskBalance([self.tasks[t].weight for t in self.stacked], learned=learned).to(self.device)
        self.optimizers = Optimizers(
            self.network,
            self.balance,
            self.spec,
            self.steps,
            most=steps * self.spec.epochs,
        )
        self.patience = resolve_patience(self.spec, self.network.plan, steps)
        self.average = AveragedWeights(self.network, steps)
        self.best = BestWeights(self.network, self.tasks)
        by_task = {t: stack.of(place) for stack in self.stacks for place, t in enumerate(stack.tasks)}
        self.targets = [by_task[t] for t in range(len(self.tasks))]
        own = list(self.balance.parameters()) if learned else []
        self.parameters = [one for one in (*self.network.parameters(), *own) if one.requires_grad]
        if self.network.slices is not None:
            parts = self.members.take(self.train_rows).parts
            shares = {
                at: torch.from_numpy(part.inside.sum(axis=0) / max(len(part.inside), 1)).float()
                for at, part in parts.items()
            }
            self.network.slices.expect(shares, {at: len(part.inside) for at, part in parts.items()})
        self.order = np.empty(0, np.int64)
        self.forget()

    def run(self) -> dict[str, int]:
        """Train; return the epoch of each task whose weights the network has now.

        Ctrl-C ends the training at the best epoch so far if the option on_interrupt says so and there is one.
        """
        epoch, ended = self.resume()
        try:
            while not ended:
                trained = self.epoch(epoch)
                with self.average.applied():
                    valid = self.validate()
                    self.tell(epoch, trained, valid)
                    if self.watch is not None:
                        self.watch(epoch, self.logits)
                    stop = self.best.see(epoch, valid, patience=self.patience, early=self.spec.early_stop)
                ended = stop or epoch == self.spec.epochs
                epoch += 1
                self.order, self.at = np.empty(0, np.int64), 0
                self.save(epoch, ended=ended)
        except KeyboardInterrupt:
            if self.spec.on_interrupt != "keep" or not self.best.ready:
                raise
            self.interrupted = True
        return self.best.restore()

    def epoch(self, epoch: int) -> list[float]:
        """Visit the rows that are left of an epoch; return the mean training loss of each task."""
        if self.at == 0:
            drawn = torch.randperm(len(self.train_rows), generator=self.generator).numpy()
            self.order = self.train_rows[drawn]
            self.forget()
        while self.at < len(self.order):
            loss = self.loss(self.order[self.at : self.at + self.batch_size])
            self.optimizers.zero_grad()
            loss.backward()
            self.world.sum_gradients(self.parameters)
            self.optimizers.step()
            self.average.see()
            self.at += self.batch_size
            if self.world.size == 1 and time.monotonic() - self.saved > self.spec.checkpoint_s:
                self.save(epoch, ended=False)
        both = torch.stack([self.totals, torch.from_numpy(self.seen).to(self.totals)])
        totals, seen = self.world.sum(both).cpu().numpy()
        found = dict(zip(self.stacked, (totals / np.maximum(seen, 1)).tolist(), strict=True))
        return [found[t] for t in range(len(self.tasks))]

    def forget(self) -> None:
        """Begin to add the losses of an epoch up."""
        kind = torch.float32 if self.device.type == "mps" else torch.float64
        self.totals = torch.zeros(len(self.tasks), dtype=kind, device=self.device)
        self.seen = np.zeros(len(self.tasks), np.int64)

    def loss(self, step: np.ndarray) -> torch.Tensor:
        """Return this process's part of the weighted loss of a step's rows; add each task's own to `totals`."""
        rows = self.world.share(step)
        inputs = inputs_of(self.store.take(rows), self.device)
        if self.spec.dropout > 0:
            inputs = drop(inputs, self.spec.dropout, self.generator)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            sliced = None if self.network.slices is None else self.network.outputs(inputs)
            if self.views:
                scores = self.network.views(inputs)
            else:
                scores = [[one] for one in (self.network(inputs) if sliced is None else sliced.logits)]
        parts = [self.stack_losses(stack, scores, rows, step) for stack in self.stacks]
        losses = torch.cat([part[0] for part in parts])  # [t], in the order of the stacks
        counts = np.concatenate([part[1] for part in parts], axis=1)  # [2, t]
        self.seen += counts[0]
        self.totals += losses.detach() * torch.from_numpy(counts[1] / len(scores[0])).to(self.totals)
        total = self.balance(losses) if self.world.size == 1 else self.shared_loss(losses)
        return total if sliced is None else total + self.slice_loss(sliced, rows, step)

    def stack_losses(
        self, stack: LabelStack, scores: Sequence[Sequence[torch.Tensor]], rows: np.ndarray, step: np.ndarray
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Return the losses of the tasks of a stack, float32 [t], and how many labels `rows` and `step` have, (2, t).

        The losses are summed over the views of the logits; of several processes, they are this one's part.
        """
        own = stack.take(rows)
        every = own if self.world.size == 1 else stack.take(step)
        labels = torch.from_numpy(own.labels).to(self.device)  # [E, t, k]
        weights = torch.from_numpy(own.scaled(every.masses())).to(self.device)  # [E, t], or [E, t, k]
        rows_of = own.segments if stack.kind == "select" else None
        segments = None if rows_of is None else torch.from_numpy(rows_of).to(self.device)  # [E]
        losses = labels.new_zeros(len(stack.tasks))
        for view in zip(*(scores[t] for t in stack.tasks), strict=True):
            logits = side_by_side(view, stack.labels.shape[2])  # [E, t, k]
            losses = losses + task_losses(stack.kind, logits, labels, weights, segments)
        return losses, np.stack([own.counts(), every.counts()])

    def slice_loss(self, outputs: Outputs, rows: np.ndarray, step: np.ndarray) -> torch.Tensor:
        """Return the loss of membership and of the experts; of several processes, this one's part."""
        own, every = self.members.take(rows), self.members.take(step)
        n_slices = sum(len(part.names) for part in own.parts.values())
        losses = []
        for place, part in own.parts.items():
            share = len(part.names) / n_slices * len(part.inside) / max(len(every.parts[place].inside), 1)
            losses.append(share * membership_loss(outputs.members[place].float(), self.tensor(part.inside)))
        for task, target, alone in zip(self.tasks, self.targets, outputs.alone, strict=True):
            if alone is None:
                continue
            mine, all_of_step = target.take(rows), target.take(step)
            inside = every.items(task, all_of_step.indptr).astype(np.float32)  # [i, s]
            masses = item_weights(task.kind, all_of_step) @ inside  # [s]
            labels, weights = self.tensor(mine.labels), self.tensor(mine.weights)
            segments = None if mine.segments is None else torch.from_numpy(mine.segments).to(self.device)
            found = expert_losses(task.kind, alone.float(), labels, weights, segments, len(rows))  # [i, s]
            inside = own.items(task, mine.indptr)
            losses.append(task.weight * expert_loss(found, self.tensor(inside), self.tensor(masses)))
        return torch.stack(losses).sum()

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Copy numbers or booleans to the device, as float32."""
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self.device)

    def shared_loss(self, losses: torch.Tensor) -> torch.Tensor:
        """Return the total of this process's parts; the log variances of the tasks count once, not once per process."""
        total = self.balance(losses)
        if not self.balance.learned:
            return total
        extra = (self.balance.weights * self.balance.log_variances / 2).sum()
        return total - extra * (1 - 1 / self.world.size)

    def validate(self) -> list[float | None]:
        """Return the held-out loss of each task at its best temperature, None without held-out rows."""
        scores = self.logits(self.valid_rows) if len(self.valid_rows) else []
        found: list[float | None] = []
        for t, out in enumerate(self.held_out):
            if not out.any():
                found.append(None)
                continue
            own = self.labels[t].take(self.valid_rows)
            kept = repeat(out, own.indptr)  # [E]
            target = self.targets[t].take(self.valid_rows[out])
            pair = cases(self.tasks[t].kind, scores[t][kept], target.labels, own.labeled[kept], target.indptr)
            found.append(calibrated_loss(*pair))
        return found

    def logits(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return the logits of every task for the given rows, float64 (E, k), read a stretch of rows at a time."""
        parts = [
            network_logits(self.network, self.store.take(rows[start : start + _ROWS]), self.device)
            for start in range(0, max(len(rows), 1), _ROWS)
        ]
        return [np.concatenate(scores) for scores in zip(*parts, strict=True)]

    def tell(self, epoch: int, trained: Sequence[float], valid: Sequence[float | None]) -> None:
        """Add an epoch to the history and report it."""
        seconds = time.perf_counter() - self.began
        for task, *losses in zip(self.tasks, trained, valid, strict=True):
            for split, loss in zip(("train", "valid"), losses, strict=True):
                if loss is None:
                    continue
                entry = {"epoch": epoch, "task": task.name, "split": split, "loss": loss, "seconds": seconds}
                self.history.append(entry)
                if self.progress is not None and self.world.rank == 0:
                    self.progress(entry)

    # ── checkpoints ───────────────────────────────────────────────────────────────────────────────

    def save(self, epoch: int, *, ended: bool) -> None:
        """Keep the state: `epoch` is the one to go on with."""
        if self.checkpoint is None or self.world.rank > 0:
            return
        best, kept = self.best.state()
        facts = {"epoch": epoch, "ended": ended, "at": self.at, "history": self.history, "best": best}
        arrays = {
            "generator": self.generator.get_state().numpy(),
            "order": self.order,
            "totals": self.totals.cpu().numpy(),
            "seen": self.seen,
            "averaged": np.array(self.average.steps),
        }
        arrays |= {f"average.{i}": mean.cpu().numpy() for i, mean in enumerate(self.average.means)}
        for name, part in (
            ("network", {name: one.cpu().numpy() for name, one in self.network.state_dict().items()}),
            ("balance", {name: one.cpu().numpy() for name, one in self.balance.state_dict().items()}),
            ("optimizers", self.optimizers.state()),
            ("best", kept),
        ):
            arrays |= {f"{name}:{key}": array for key, array in part.items()}
        self.checkpoint.save(facts, arrays)
        self.saved = time.monotonic()

    def resume(self) -> tuple[int, bool]:
        """Take up the state of an earlier run that was cut off; return the next epoch, and whether it ended."""
        self.saved = time.monotonic()
        found = None if self.checkpoint is None else self.checkpoint.load()
        if found is None:
            return 1, False
        facts, arrays = found

        def part(name: str) -> dict[str, np.ndarray]:
            own = f"{name}:"
            return {key.removeprefix(own): array for key, array in arrays.items() if key.startswith(own)}

        self.network.load_state_dict(_tensors(part("network")))
        self.balance.load_state_dict(_tensors(part("balance")))
        self.optimizers.restore(part("optimizers"))
        self.best.load(facts["best"], part("best"))
        self.generator.set_state(torch.from_numpy(np.array(arrays["generator"])))
        self.average.steps = int(arrays["averaged"])
        self.average.means = [
            torch.from_numpy(np.array(arrays[f"average.{i}"])).to(self.device)
            for i in range(sum(name.startswith("average.") for name in arrays))
        ]
        self.order, self.at = arrays["order"], int(facts["at"])
        self.totals = torch.from_numpy(np.array(arrays["totals"])).to(self.device)
        self.seen = np.array(arrays["seen"])
        self.history.extend(facts["history"])
        return int(facts["epoch"]), bool(facts["ended"])


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
