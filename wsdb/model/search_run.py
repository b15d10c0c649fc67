"""A search over training runs: trials that encode the rows alike share them, and the best network is returned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from wsdb.model.checkpoint import Checkpoint, fingerprint
from wsdb.model.journal import Entry, Journal
from wsdb.model.judge import Judged
from wsdb.model.parts import PayloadInput, TaskTarget
from wsdb.model.reader import Rows
from wsdb.model.search import ENCODING, Outcome, Pruned, Report, search, space_of
from wsdb.model.spec import TrainSpec
from wsdb.model.trained import Trained


class Run(Protocol):
    """A training run of one configuration."""

    spec: TrainSpec

    def train(self, rows: Rows) -> tuple[Trained, list[Judged]]:
        """Train on the rows."""


R = TypeVar("R", bound=Run)


class SearchRun(Generic[R]):
    """One call of `train` with a search.

    Parameters
    ----------
    start : makes the run of a configuration, which tells its scores to the report
    read : reads and encodes the rows as a run wants them; called once for each way to encode them
    tasks, payloads : of the model
    spec : the configuration as it was written
    folder : of the journal; None to keep none
    """

    def __init__(
        self,
        start: Callable[[TrainSpec, Report | None], R],
        read: Callable[[R], Rows],
        tasks: Sequence[TaskTarget],
        payloads: Sequence[PayloadInput],
        spec: TrainSpec,
        folder: Path | None = None,
    ) -> None:
        self.start, self.read, self.tasks, self.payloads, self.spec = start, read, tasks, payloads, spec
        self.folder, self.journal = folder, Journal()
        self.encoded: dict[tuple[object, ...], Rows] = {}

    def train(self) -> Trained:
        """Try configurations; return the best network, with all trials."""
        rows = self.rows(self.start(self.spec, None))
        self.journal = Journal.read(self.kept(rows))
        kinds = {feature.kind for feature in rows.encoder.features}
        space = space_of(kinds, {payload.shape for payload in self.payloads})
        metrics = sorted({metric_of(task, self.spec.metric) for task in self.tasks})
        found = search(self.trial, self.spec, space, ", ".join(metrics))
        best = found.result
        if isinstance(best, TrainSpec):
            run = self.start(best, None)
            best, _ = run.train(self.rows(run))
        notices = [*best.notices, *found.notices, *self.notices()]
        manifest = best.manifest | {"notices": notices}
        return dataclasses.replace(best, manifest=manifest, notices=notices, trials=found.trials)

    def trial(self, spec: TrainSpec, report: Report) -> Outcome[Trained | TrainSpec]:
        """Train one configuration; one that the journal has is told as it was, and trained only if it is the best."""
        entry = self.journal.find(spec)
        if entry is not None:
            for epoch, score in entry.reports:
                report(epoch, score)
            if entry.score is None:
                raise Pruned(entry.reports[-1][0])
            return Outcome(spec, entry.score)
        seen: list[tuple[int, float]] = []

        def told(epoch: int, score: float) -> None:
            seen.append((epoch, score))
            try:
                report(epoch, score)
            except Pruned:
                self.journal.add(spec, Entry(tuple(seen), None))
                raise

        run = self.start(spec, told)
        trained, judged = run.train(self.rows(run))
        found = score_of(self.tasks, judged, spec.metric)
        if not trained.interrupted:
            self.journal.add(spec, Entry(tuple(seen), found))
        return Outcome(trained, found, trained.interrupted)

    def kept(self, rows: Rows) -> Checkpoint | None:
        """Return where the journal is kept, under the fingerprint of the rows and of the model as it was written."""
        if self.folder is None:
            return None
        facts = {
            "spec": dataclasses.asdict(self.spec),
            "features": rows.encoder.to_manifest(),
            "payloads": rows.payloads.to_manifest(),
            "tasks": [dataclasses.asdict(task) for task in self.tasks],
        }
        order = rows.keys.argsort(kind="stable")
        arrays = [rows.keys[order], *rows.members.take(order).arrays(), *rows.encoder.tensors().values()]
        for known in (*rows.labels, *rows.gold, *rows.own):
            taken = known.take(order)
            arrays += [taken.probabilities, taken.labeled]
        return Checkpoint(self.folder, fingerprint(facts, arrays))

    def rows(self, run: R) -> Rows:
        """Return the rows as a run encodes them."""
        key = tuple(getattr(run.spec, name) for name in sorted(ENCODING))
        if key not in self.encoded:
            self.encoded[key] = self.read(run)
        return self.encoded[key]

    def notices(self) -> list[str]:
        """Say which tasks were compared on weak labels, for want of gold."""
        rows = next(iter(self.encoded.values()))
        without = [task.name for task, gold in zip(self.tasks, rows.gold, strict=True) if not gold.rows.any()]
        if not without:
            return []
        return [f"task {', '.join(without)}: no gold labels of dev rows; trials were compared on held-out weak labels"]


def metric_of(task: TaskTarget, metric: str) -> str:
    """Return the metric of a task; 'auto' is f1 for a bitvector, else accuracy."""
    return ("f1" if task.kind == "bitvector" else "accuracy") if metric == "auto" else metric


def score_of(tasks: Sequence[TaskTarget], judged: Sequence[Judged], metric: str) -> float:
    """Return the mean over tasks, by their weights, of the metric on dev, or on held-out weak labels; higher is better.

    Tasks without either count for nothing; 0 if none has any.
    """
    total = weights = 0.0
    for task, found in zip(tasks, judged, strict=True):
        scores = found.dev or found.weak
        if not scores:
            continue
        name = metric_of(task, metric)
        total += task.weight * (-scores[name] if name == "log_loss" else scores[name])
        weights += task.weight
    return total / weights if weights else 0.0
