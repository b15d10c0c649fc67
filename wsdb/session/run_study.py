"""Studies of a model: further networks, trained to compare and thrown away; only their scores are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError, ModelError, SpecError, WsdbError
from wsdb.monitor.study import ALL, STUDENT, Score, compared, mean_of, nets, score_of
from wsdb.planner.steps import Train
from wsdb.session import run_labels, run_model, run_train
from wsdb.session.arguments import Given
from wsdb.session.given_labels import given_labels
from wsdb.session.rooms import Rooms
from wsdb.session.training_rows import training_query

if TYPE_CHECKING:
    from wsdb.model.spec import TrainSpec
    from wsdb.model.train import Trained

FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
SEEDS = {"learning_curve": 1, "task_transfer": 2}
"""How many networks are trained of a kind, where the call does not say."""
MOST_SEEDS = len(STUDENT)
MOST = 60
"""How many networks task_transfer trains where the call does not allow more."""
TOO_FEW = ("WS505", "WS506")
"""Codes of rows that are too few to train on: none has a label, or all have the same."""
KEY, GOLD = "__key", "__g_"


def read(rooms: Rooms, study: str, model: str, snapshot: CatalogSnapshot, given: Given = lambda name: None) -> None:
    """Make a study of the newest version of a model, unless it is stored or may not be made.

    One with another number of seeds than the call says is made again.

    Raises
    ------
    CatalogError
        WS204 where no version was studied yet and the read may not.
    ModelError
        WS516 where the tasks of a model with a single one are to be compared.
    SpecError
        WS307 for seeds or a number of networks that cannot be, and for more networks than are allowed.
    """
    seeds = _number("seeds", given, MOST_SEEDS)
    most = _number("most", given, None) or MOST
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
            f"SELECT DISTINCT version FROM {rooms.engine.table('studies')} WHERE lower(model) = ? AND study = ? "
            "AND (? IS NULL OR seeds = ?)",
            [model.lower(), study, seeds, seeds],
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
    tasks = [snapshot.task(name) for name, _ in spec.tasks]
    by_hand = {one.task for one in given_labels(rooms, spec, tasks, None)}
    for task in tasks:
        if task.name not in by_hand:
            run_labels.read_labels(rooms, snapshot, task, matrix_only=False)
    step = run_model.plan(rooms, spec, rooms.catalog.snapshot(), full=True)
    assert isinstance(step, Train)
    if step.input_hash != stored.input_hash:
        rooms.notice(f"{study}: rows, labels or definition of model {model} are newer than version {stored.version}")
    trials, n_seeds = Trials(rooms, study, step), seeds or SEEDS[study]
    _check_most(study, len(nets(trials.names)) * n_seeds, most, given)
    lines = (learning_curve if study == "learning_curve" else task_transfer)(trials, n_seeds)
    run_labels.transact(rooms, lambda: rooms.catalog.put_study(model, stored.version, study, lines))


def _number(name: str, given: Given, most: int | None) -> int | None:
    """Return a whole number of at least 1 that a call gives, or None."""
    found = given(name)
    if found is None or found[0] is None:
        return None
    value, span = found
    if not isinstance(value, int) or value < 1 or (most is not None and value > most):
        limit = f"from 1 to {most}" if most is not None else "of at least 1"
        raise SpecError("WS307", f"{name} is a whole number {limit}, not {value!r}", span=span)
    return value


def _check_most(study: str, n_networks: int, most: int, given: Given) -> None:
    """Raise SpecError WS307 where a task transfer would train too many networks: each task, each pair, and all."""
    if study != "task_transfer" or n_networks <= most:
        return
    found = given("most") or given("seeds")
    raise SpecError(
        "WS307",
        f"task_transfer would train {n_networks} networks, and {most} are allowed",
        span=found[1] if found is not None else None,
        hint=f"most => {n_networks} allows them; fewer seeds, or a model of fewer tasks, need less",
    )


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
            slices=run_train.slices_of(self.step),
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


def learning_curve(trials: Trials, seeds: int) -> list[tuple[Any, ...]]:
    """Return the rows of table studies of a learning curve: each task at each fraction of the training rows."""
    trials.begin(len(FRACTIONS) * seeds)
    lines: list[tuple[Any, ...]] = []
    for fraction in FRACTIONS:
        every: list[Trained] = []
        for seed in range(seeds):
            try:
                every.append(trials.train(trials.names, fraction=fraction, seed=seed))
            except WsdbError as error:
                if fraction == 1 or error.code not in TOO_FEW:
                    raise
                trials.rooms.notice(f"learning_curve: {fraction:g} of the rows are too few: {error.message}")
                break
        for task in trials.names:
            found = [score for one in every if (score := score_of(task, one.dev, one.weak)) is not None]
            n = every[0].rows[task]["train"] if every else None
            if not found:
                lines.append((task, None, fraction, n, None, None, seeds, None, None, None, None, None))
                continue
            mean, stderr = mean_of([one.score for one in found])
            log_loss, _ = mean_of([one.log_loss for one in found])
            first = found[0]
            lines.append(
                (task, None, fraction, n, first.metric, first.on, len(found), mean, log_loss, None, None, stderr)
            )
    return lines


def task_transfer(trials: Trials, seeds: int) -> list[tuple[Any, ...]]:
    """Return the rows of table studies of a task transfer: each task with each other one, and with all."""
    names, made = trials.names, nets(trials.names)
    trials.begin(len(made) * seeds)
    scores: dict[tuple[tuple[str, ...], str], list[Score]] = {}
    for tasks in made:
        for seed in range(seeds):
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
                lines.append((task, other, None, None, None, None, seeds, None, None, None, None, None))
                continue
            score, own, delta, stderr = compared([one.score for one in together], [one.score for one in alone])
            log_loss = sum(one.log_loss for one in together) / len(together)
            first = together[0]
            lines.append((task, other, 1.0, None, first.metric, first.on, seeds, score, log_loss, own, delta, stderr))
    return lines
