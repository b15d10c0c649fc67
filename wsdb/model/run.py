"""Run: one configuration, trained on rows that are read already."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from wsdb.model.backend import choose_device, torch, use_bf16
from wsdb.model.checkpoint import Checkpoint, fingerprint
from wsdb.model.choose_pairs import RANK, choose_pairs
from wsdb.model.choose_slices import choose_slices, gains
from wsdb.model.early_stop import diverged
from wsdb.model.encode import Hashing
from wsdb.model.judge import Judged, judge
from wsdb.model.loop import Loop
from wsdb.model.network import Network, build_network
from wsdb.model.parallel import World
from wsdb.model.parts import SliceInput, TaskTarget
from wsdb.model.plan import NetworkPlan, plan_network, resolve_encoder, resolve_layers
from wsdb.model.reader import Rows, Wanted, read_rows
from wsdb.model.resolve import (
    idle_options,
    resolve_batch_size,
    resolve_hidden,
    resolve_pairs,
    resolve_sharpen,
    resolve_slice_mode,
    resolve_steps,
    resolve_views,
)
from wsdb.model.rows import TaskRows, one_sided, repeat
from wsdb.model.search import Report
from wsdb.model.search_run import score_of
from wsdb.model.slices import UPWEIGHT
from wsdb.model.spec import TrainSpec
from wsdb.model.targets import LabelStack, TrainingLabels, held_out_rows, stack_labels, training_labels
from wsdb.model.trained import Trained, label_counts, manifest_of
from wsdb.model.weights import digest, pack

T = TypeVar("T")
Learned = tuple[Trained, list[Judged]]
INTERRUPTED = "training was interrupted; the best epoch until then is kept"


class Run:
    """One configuration; a search makes several."""

    def __init__(
        self,
        wanted: Wanted,
        spec: TrainSpec,
        progress: Callable[[dict[str, Any]], None] | None,
        checkpoint: Path | None,
        processes: World,
        watch: Callable[[int, float], None] | None = None,
    ) -> None:
        self.began = time.perf_counter()
        self.wanted, self.tasks, self.spec, self.progress = wanted, wanted.tasks, spec, progress
        self.checkpoint, self.world, self.watch = checkpoint, processes, watch
        self.interrupted = False
        self.device = choose_device(spec.device)
        self.hashing = Hashing(spec.buckets_bits, spec.word_ngrams, _char_range(spec.char_ngrams))

    def read(self, batches: Callable[[], Iterator[pa.RecordBatch]], folder: Path) -> Rows:
        """Read and encode the rows; what does not fit into memory waits in `folder`."""
        return read_rows(self.wanted, batches(), self.hashing, self.spec, folder)

    def train(self, rows: Rows) -> tuple[Trained, list[Judged]]:
        """Train on the rows, which any run with the same options of encoding has read."""
        mode = self.slice_mode(rows)
        if self.pairs(rows) == "compare":
            trained, judged, note = choose_pairs(self.until_interrupted(lambda rank: self.learn(rows, (), rank)))
            return self.noted(trained, note), judged
        if mode != "compare" or not self.wanted.slices:
            return self.learn(rows, self.wanted.slices if mode == "attention" else ())
        names = [one.name for one in self.wanted.slices]
        trained, judged, note = choose_slices(
            self.until_interrupted(
                lambda kept: self.learn(rows, [one for one in self.wanted.slices if one.name in kept])
            ),
            names,
            partial(gains, self.tasks, rows.members, names),
        )
        return self.noted(trained, note), judged

    def until_interrupted(self, learn: Callable[[T], Learned]) -> Callable[[T], Learned]:
        """Return `learn`, but where Ctrl-C ends a later training before it has anything to keep, the first one again.

        Ctrl-C in any of them is remembered: the network that is kept need not be the one that was interrupted.
        """
        first: list[Learned] = []

        def again(chosen: T) -> Learned:
            try:
                found = learn(chosen)
            except KeyboardInterrupt:
                if not first or self.spec.on_interrupt != "keep":
                    raise
                self.interrupted = True
                return first[0]
            self.interrupted |= found[0].interrupted
            first.append(found)
            return found

        return again

    def noted(self, trained: Trained, note: str | None) -> Trained:
        """Return what was chosen of several trainings, with a notice and the seconds of all of them."""
        notices = trained.notices if note is None else [*trained.notices, note]
        if self.interrupted and not trained.interrupted:
            notices = [*notices, INTERRUPTED]
        manifest = trained.manifest | {"notices": notices}
        return dataclasses.replace(
            trained,
            notices=notices,
            manifest=manifest,
            interrupted=self.interrupted,
            seconds=time.perf_counter() - self.began,
        )

    def pairs(self, rows: Rows) -> str:
        """Return whether pairs of text and other columns have weights."""
        return resolve_pairs(
            self.spec, rows.encoder, payloads=bool(self.wanted.payloads), slices=bool(self.wanted.slices)
        )

    def slice_mode(self, rows: Rows) -> str:
        """Return how slices are learned."""
        elements = any(one.shape != "singleton" for one in self.wanted.payloads)
        return resolve_slice_mode(self.spec, rows.encoder, elements=elements)

    def learn(self, rows: Rows, experts: Sequence[SliceInput], rank: int | None = None) -> tuple[Trained, list[Judged]]:
        """Train one network, with experts for some of the slices and pairs of some rank; None for what is resolved."""
        order = np.argsort(rows.keys, kind="stable")  # [n]; from here on rows are visited in this order
        targets, held_out, notices = self.targets(rows)
        stacks = stack_labels(self.tasks, targets)
        generator = torch.Generator().manual_seed(self.spec.seed)
        rank = (RANK if self.pairs(rows) == "all" else 0) if rank is None else rank
        plan, network = self.network(rows, generator, experts, rank)
        notices += idle_options(self.spec, rows.encoder, plan)
        loop = self.loop(rows, order, stacks, held_out, network, generator)
        targets = loop.targets  # the same as views of the stacks, so that nothing is kept twice
        chosen = loop.run()
        network.eval()
        parameters = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
        if not all(np.isfinite(values).all() for values in parameters.values()):
            raise diverged(self.tasks[0].name)
        judged = judge(self.tasks, rows, order, held_out, loop.logits, self.spec)
        if loop.interrupted:
            notices.append(INTERRUPTED)
        return self.trained(rows, targets, held_out, loop, plan, chosen, parameters, judged, notices), judged

    def targets(self, rows: Rows) -> tuple[list[TrainingLabels], list[np.ndarray], list[str]]:
        """Return what each task is trained on, the rows that it holds out, bool (n,) each, and notices."""
        notices = [*rows.notices]
        notices += [note for task, one in zip(self.tasks, rows.labels, strict=True) for note in one_sided(task, one)]
        held_out, notes = held_out_rows(self.tasks, rows.labels, rows.keys, self.spec, rows.made)
        targets = []
        for task, labels, gold, out in zip(self.tasks, rows.labels, rows.gold, held_out, strict=True):
            sharpen = resolve_sharpen(self.spec, rows.encoder, task)
            found = training_labels(task, labels, self.spec, sharpen, self.factors(rows, task, labels))
            hidden = np.isin(rows.keys, rows.keys[out]) if (rows.made == 1).any() else out
            targets.append(found.without(hidden | gold.rows))  # rows of dev are not even taught the prior
        return targets, held_out, notices + notes

    def factors(self, rows: Rows, task: TaskTarget, labels: TaskRows) -> np.ndarray | None:
        """Return by what the weights of a task's labels are multiplied, float64 (E,); None for 1."""
        found = None if rows.weights is None else repeat(rows.weights, labels.indptr)
        if self.spec.slice_mode != "weight" or not rows.members.correcting(task):
            return found
        heavy = np.where(rows.members.any_of(task, labels.indptr), UPWEIGHT, 1.0)
        return heavy if found is None else heavy * found

    def network(
        self, rows: Rows, generator: torch.Generator, experts: Sequence[SliceInput], rank: int
    ) -> tuple[NetworkPlan, Network]:
        """Plan and build the network."""
        encoder_name = resolve_encoder(self.spec.encoder, self.wanted.payloads)
        plan = plan_network(
            rows.encoder,
            rows.payloads,
            self.tasks,
            self.wanted.payloads,
            hidden=resolve_hidden(self.spec, rows.encoder),
            encoder_name=encoder_name,
            layers=resolve_layers(self.spec.layers, encoder_name),
            combine=self.spec.combine,
            width=self.spec.width,
            slices=experts,
            pairs=rank,
        )
        return plan, build_network(plan, generator, rows.payloads.tables()).to(self.device)

    def loop(
        self,
        rows: Rows,
        order: np.ndarray,
        stacks: list[LabelStack],
        held_out: list[np.ndarray],
        network: Network,
        generator: torch.Generator,
    ) -> Loop:
        """Set the training loop up."""
        train_rows = order[np.any([stack.rows for stack in stacks], axis=0)[order]]
        valid_rows = order[np.any(held_out, axis=0)[order]]
        compared = self.slice_mode(rows) == "compare" and bool(network.plan.slices)
        again = compared or (self.pairs(rows) == "compare" and network.plan.pairs > 0)
        views = resolve_views(rows.encoder, network.plan)
        return Loop(
            network=network,
            store=rows.store,
            tasks=self.tasks,
            stacks=stacks,
            labels=rows.labels,
            members=rows.members.only([one.name for one in network.plan.slices]),
            train_rows=train_rows,
            valid_rows=valid_rows,
            held_out=[out[valid_rows] for out in held_out],
            spec=self.spec,
            batch_size=resolve_batch_size(self.spec, network.plan, len(train_rows)),
            steps=resolve_steps(self.spec, rows.encoder, network.plan, len(train_rows), views=views),
            views=views,
            bf16=use_bf16(self.spec.precision, self.device),
            generator=generator,
            device=self.device,
            world=self.world,
            began=self.began,
            progress=self.progress,
            checkpoint=self.kept(rows, order, stacks, network.plan),
            # a search has seen the epochs of the first network
            watch=None if self.watch is None or again else self.watcher(rows, order, held_out, self.watch),
        )

    def watcher(
        self, rows: Rows, order: np.ndarray, held_out: list[np.ndarray], report: Report
    ) -> Callable[[int, Callable[[np.ndarray], list[np.ndarray]]], None]:
        """Return what tells a search the score after an epoch: the network's as it is, without offsets."""
        plain = dataclasses.replace(self.spec, prior_match=0.0, threshold="argmax")
        read = np.any([*held_out, *(gold.rows for gold in rows.gold)], axis=0)
        some = order[read[order]]

        def watch(epoch: int, logits: Callable[[np.ndarray], list[np.ndarray]]) -> None:
            judged = judge(self.tasks, rows, some, held_out, logits, plain)
            report(epoch, score_of(self.tasks, judged, self.spec.metric))

        return watch

    def kept(self, rows: Rows, order: np.ndarray, stacks: list[LabelStack], plan: NetworkPlan) -> Checkpoint | None:
        """Return where the state is kept, under the fingerprint of this run."""
        if self.checkpoint is None:
            return None
        own = dataclasses.asdict(self.spec)
        for name in ("cache_mb", "checkpoint_s", "on_interrupt"):
            del own[name]
        facts = {
            "spec": own,
            "features": rows.encoder.to_manifest(),
            "payloads": rows.payloads.to_manifest(),
            "tasks": [dataclasses.asdict(task) for task in self.tasks],
            "slices": [dataclasses.asdict(one) for one in self.wanted.slices],
            "experts": [one.name for one in plan.slices],
            "pairs": plan.pairs,
            "torch": str(torch.__version__),
        }
        arrays = [rows.keys[order], *rows.members.take(order).arrays(), *rows.encoder.tensors().values()]
        for stack in stacks:
            found = stack.take(order)
            arrays += [found.labels, found.weights]
        several = self.wanted.slices and self.slice_mode(rows) == "compare"
        folder = self.checkpoint / f"{len(plan.slices)}-experts" if several else self.checkpoint
        if self.pairs(rows) == "compare":
            folder = self.checkpoint / f"{plan.pairs}-pairs"
        return Checkpoint(folder, fingerprint(facts, arrays))

    def trained(
        self,
        rows: Rows,
        targets: Sequence[TrainingLabels],
        held_out: list[np.ndarray],
        loop: Loop,
        plan: NetworkPlan,
        chosen: dict[str, int],
        parameters: dict[str, np.ndarray],
        judged: list[Judged],
        notices: list[str],
    ) -> Trained:
        """Put the results together."""
        counts = {
            task.name: label_counts(task, rows, target, out, t)
            for t, (task, target, out) in enumerate(zip(self.tasks, targets, held_out, strict=True))
        }
        weights = pack(rows.encoder.tensors() | rows.payloads.tensors(), parameters)
        slices = [one.name for one in self.wanted.slices]
        manifest = manifest_of(self.tasks, rows, plan, judged, self.spec, self.hashing, slices) | {
            "weights_sha256": digest(weights),
            "notices": notices,
        }
        for task, facts in zip(self.tasks, manifest["tasks"], strict=True):
            facts |= {"epoch": chosen[task.name], "rows": counts[task.name]}
        return Trained(
            manifest=manifest,
            weights=weights,
            history=loop.history,
            rows=counts,
            epoch=chosen,
            notices=notices,
            interrupted=loop.interrupted,
            seconds=time.perf_counter() - self.began,
            dev={task.name: found.dev for task, found in zip(self.tasks, judged, strict=True) if found.dev},
            weak={task.name: found.weak for task, found in zip(self.tasks, judged, strict=True) if found.weak},
        )


def _char_range(lengths: str) -> tuple[int, int]:
    if lengths == "none":
        return (0, 0)
    first, _, last = lengths.partition("-")
    return (int(first), int(last or first))
