"""Studies of a model: further networks, trained to compare and thrown away; only their scores are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError, ModelError, WsdbError
from wsdb.monitor.study import ALL, Score, compared, nets, score_of
from wsdb.planner.steps import Train
from wsdb.session import run_labels, run_model, run_train
from wsdb.session.rooms import Rooms
from wsdb.session.training_rows import training_query

if TYPE_CHECKING:
    from wsdb.model.spec import TrainSpec
    from wsdb.model.train import Trained

FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
SEEDS = 2
TOO_FEW = ("WS505", "WS506")
"""Codes of rows that are too few to train on: none has a label, or all have the same."""
KEY, GOLD = "__key", "__g_"


def read(rooms: Rooms, study: str, model: str, snapshot: CatalogSnapshot) -> None:
    """Make a study of the newest version of a model, unless it is stored or may not be made.

    Raises
    ------
    CatalogError
        WS204 where no version was studied yet and the read may not.
    ModelError
        WS516 where the tasks of a model with a single one are to be compared.
    """
    spec, stored = snapshot.model(model), snapshot.models.get(model.lower())
    if study == "task_transfer" and len(spec.tasks) < 2:
        raise ModelError(
            "WS516",
            f'model "{model}" has one task, {spec.tasks[0][0]}; task_transfer compares tasks that are learned together',
            hint=f"learning_curve('{model}') is for any model",
        )
    if stored is None:
        raise CatalogError("WS204", f'model "{model}" is not trained yet', hint=f"REFRESH MODEL {model}")
    there = {
        version
        for (version,) in rooms.engine.rows(
            f"SELECT DISTINCT version FROM {rooms.engine.table('studies')} WHERE lower(model) = ? AND study = ?",
            [model.lower(), study],
        )
    }
    if stored.version in there:
        return
    barred = (
        "wsdb_auto_refresh is off"
        if not rooms.settings.auto_refresh
        else "the database is read-only"
        if rooms.engine.read_only
        else None
    )
    if barred and there:
        rooms.notice(f"{study} of model {model} is of version {max(there)}, not {stored.version}: {barred}")
        return
    if barred:
        raise CatalogError("WS204", f'{study} of model "{model}" is not computed yet: {barred}')
    if spec.labels_sql is None:
        for name, _ in spec.tasks:
            run_labels.read_labels(rooms, snapshot, snapshot.task(name), matrix_only=False)
    step = run_model.plan(rooms, spec, rooms.catalog.snapshot(), full=True)
    assert isinstance(step, Train)
    if step.input_hash != stored.input_hash:
        rooms.notice(f"{study}: rows, labels or definition of model {model} are newer than version {stored.version}")
    lines = (learning_curve if study == "learning_curve" else task_transfer)(Trials(rooms, study, step))
    run_labels.transact(rooms, lambda: rooms.catalog.put_study(model, stored.version, study, lines))


class Trials:
    """Trains networks of a model on parts of its rows and for some of its tasks.

    They have the model's options but for a search, and neither augmented rows nor those of sources.
    """

    def __init__(self, rooms: Rooms, study: str, step: Train) -> None:
        from wsdb.model.spec import train_spec

        self.rooms, self.study, self.step = rooms, study, step
        self.options = replace(train_spec(dict(step.spec.options)), search="none")
        self.query = training_query(rooms, step, uncovered=self.options.uncovered)
        self.embeddings = run_train.embeddings_of(rooms, step)
        self.names = [task.name for task in step.tasks]
        self.done = self.total = 0

    def begin(self, total: int) -> None:
        """Say how many networks are trained."""
        self.total = total
        left = [what for what, there in (("augmented rows", self.step.augment), ("sources", self.step.more)) if there]
        without = f", without {' and '.join(left)}" if left else ""
        self.rooms.notice(
            f"{self.study} of model {self.step.spec.name}: trained {total} networks to compare{without}; only their "
            "scores are kept, and the model is as it was"
        )

    def train(self, tasks: Sequence[str], *, fraction: float = 1.0, seed: int = 0) -> Trained:
        """Train one network.

        Parameters
        ----------
        fraction : share of the rows that are neither held out nor have gold of dev
        seed : added to the model's
        """
        from wsdb.model.train import train

        options = replace(self.options, seed=self.options.seed + seed)
        self.rooms.progress(f"{self.study} of model {self.step.spec.name}", self.done, self.total)
        self.done += 1
        return train(
            self.step.features,
            [target for target in run_train.targets_of(self.step) if target.name in tasks],
            lambda: self.batches(fraction, options),
            options,
            lambda row: self.rooms.progress(f"{self.study} of model {self.step.spec.name}", self.done - 1, self.total),
            payloads=run_train.inputs_of(self.step),
            slices=[group.name for group in self.step.slices],
            embeddings=self.embeddings,
        )

    def batches(self, fraction: float, options: TrainSpec) -> Iterator[pa.RecordBatch]:
        """Give the rows of a part: those chosen by their key, and all that networks are judged on."""
        stream = self.rooms.engine.batches(self.query)
        try:
            for batch in stream:
                yield batch if fraction >= 1 else batch.filter(pa.array(kept(batch, fraction, options.valid_share)))
        finally:
            getattr(stream, "close", lambda: None)()


def kept(batch: pa.RecordBatch, fraction: float, valid_share: float) -> np.ndarray:
    """Return which rows are in a part of the training rows, bool (n,); a smaller part is inside of a larger one.

    Rows that are held out and rows of dev with gold are in all parts.
    """
    from wsdb.model.hashing import mix
    from wsdb.model.rows import hash_key, hold_out

    keys = hash_key(batch.column(KEY))
    chosen = (mix(keys + np.uint64(2)) >> np.uint64(11)) < np.uint64(fraction * (1 << 53))
    chosen |= hold_out(keys, valid_share)
    for name in batch.schema.names:
        if name.startswith(GOLD):
            chosen |= np.asarray(batch.column(name).is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    return np.asarray(chosen)


def learning_curve(trials: Trials) -> list[tuple[Any, ...]]:
    """Return the rows of table studies of a learning curve: each task at each fraction of the training rows."""
    trials.begin(len(FRACTIONS))
    lines: list[tuple[Any, ...]] = []
    for fraction in FRACTIONS:
        trained: Trained | None = None
        try:
            trained = trials.train(trials.names, fraction=fraction)
        except WsdbError as error:
            if fraction == 1 or error.code not in TOO_FEW:
                raise
            trials.rooms.notice(f"learning_curve: {fraction:g} of the rows are too few: {error.message}")
        for task in trials.names:
            found = None if trained is None else score_of(task, trained.dev, trained.weak)
            n = None if trained is None else trained.rows[task]["train"]
            what = (None,) * 4 if found is None else (found.metric, found.on, found.score, found.log_loss)
            metric, on, score, log_loss = what
            lines.append((task, None, fraction, n, metric, on, 1, score, log_loss, None, None, None))
    return lines


def task_transfer(trials: Trials) -> list[tuple[Any, ...]]:
    """Return the rows of table studies of a task transfer: each task with each other one, and with all."""
    names, made = trials.names, nets(trials.names)
    trials.begin(len(made) * SEEDS)
    scores: dict[tuple[tuple[str, ...], str], list[Score]] = {}
    for tasks in made:
        for seed in range(SEEDS):
            trained = trials.train(tasks, seed=seed)
            for task in tasks:
                found = score_of(task, trained.dev, trained.weak)
                if found is not None:
                    scores.setdefault((tasks, task), []).append(found)
    lines: list[tuple[Any, ...]] = []
    for tasks in made[len(names) :]:
        for task in tasks:
            other = ALL if len(tasks) > 2 else next(name for name in tasks if name != task)
            together, alone = scores.get((tasks, task)), scores.get(((task,), task))
            if not together or not alone:
                lines.append((task, other, None, None, None, None, SEEDS, None, None, None, None, None))
                continue
            score, own, delta, stderr = compared([one.score for one in together], [one.score for one in alone])
            log_loss = sum(one.log_loss for one in together) / len(together)
            first = together[0]
            lines.append((task, other, 1.0, None, first.metric, first.on, SEEDS, score, log_loss, own, delta, stderr))
    return lines
