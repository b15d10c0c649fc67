"""Run a Train step: read the rows, train one network, store the version with its prediction macros."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from wsdb.core.errors import WsdbError
from wsdb.core.slice import elements_of
from wsdb.core.sqltext import idents
from wsdb.parser.render import render
from wsdb.parser.statements import Statement
from wsdb.planner.explain import Profile
from wsdb.planner.steps import Train
from wsdb.serve.predictor import install
from wsdb.session import model_macros
from wsdb.session.given_labels import check_given, check_keys
from wsdb.session.model_rules import components, rules_apart
from wsdb.session.more_rows import policy_for, rows_query
from wsdb.session.rooms import Rooms
from wsdb.session.training_rows import on_elements, row_keys

if TYPE_CHECKING:
    from wsdb.model.parts import PayloadInput, SliceInput, TaskTarget
    from wsdb.model.payload_arrays import Embedding
    from wsdb.model.search import Trial
    from wsdb.model.spec import TrainSpec
    from wsdb.model.train import Trained
    from wsdb.session.augment import Policy


def train(rooms: Rooms, step: Train, at: Statement) -> None:
    """Run a Train step and store the version it makes.

    Raises
    ------
    DataError
        WS401 for rows that cannot be told apart; WS401, WS403 for labels given by hand that do not fit the task.
    ModelError
        WS5xx where the rows cannot be learned from.
    EnvironmentError_
        WS701 where torch is not installed.
    """
    from wsdb.model.spec import train_spec
    from wsdb.model.train import train as train_network

    check_keys(rooms, step, at)
    check_given(rooms, step, at)
    spec, start = step.spec, time.perf_counter()
    options = train_spec(dict(spec.options))
    rooms.progress(f"training {spec.name} for {', '.join(task.name for task in step.tasks)}")
    folder = checkpoint_folder(rooms, step) if options.resume else None

    def progress(row: Mapping[str, Any]) -> None:
        rooms.progress(f"training {spec.name}: epoch {row['epoch']}, {row['split']} loss {row['loss']:.4f}")

    def run(policy: Policy | None, how: TrainSpec, checkpoint: Path | None = None) -> Trained:
        query = rows_query(rooms, step, uncovered=options.uncovered, policy=policy)
        return train_network(
            step.features,
            targets_of(step),
            lambda: rooms.engine.batches(query),
            how,
            progress,
            payloads=inputs_of(step),
            slices=slices_of(step),
            embeddings=embeddings_of(rooms, step),
            checkpoint=checkpoint,
        )

    try:
        policy, drawn = policy_for(step, lambda tried: held_out_loss(run(tried, replace(options, search="none"))))
        trained = run(policy, options, folder)
    except WsdbError as error:
        if error.code == "WS505":
            explain_unlabeled(rooms, step, error, at)
        raise error.at(at.spans.get(f"option {error.data.get('option')}", at.span)) from None
    seconds = time.perf_counter() - start
    version = store(rooms, step, trained, seconds)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another model's run may have left its own there
            folder.parent.rmdir()
    used = {task: sum(counts.values()) for task, counts in trained.rows.items()}
    rooms.profiles[id(step)] = Profile(max(used.values()), seconds)
    shown = ", ".join(f"{task} {n:,}" for task, n in used.items())
    rooms.notice(f"model {spec.name}@{version}: trained in {seconds:.1f} s on labeled rows: {shown}")
    for text in (*drawn, *trained.notices):
        rooms.notice(f"model {spec.name}: {text}")


def explain_unlabeled(rooms: Rooms, step: Train, error: WsdbError, at: Statement) -> None:
    """Say at the task of a WS505 why none of the rows has a label."""
    task = next((one for one in step.tasks if one.name == error.data.get("task")), None)
    if task is None:
        return
    error.at(at.spans.get(f"task {task.name.lower()}", at.spans.get("task")))
    if error.data.get("option") is not None:  # it has labels, and an option leaves them out
        return
    rows = f"{rooms.engine.table(f'rows_{task.name}')} SEMI JOIN (FROM {step.spec.source}) AS __s"
    ((there, train),) = rooms.engine.rows(
        "SELECT count(*), count(*) FILTER (split IS NOT DISTINCT FROM 'train') "
        f"FROM {rows} USING ({idents(row_keys(task))})"
    )
    if not there:
        error.hint = f"no row of the model has a key of {task.relation}"
    elif not train:
        error.hint = "none of its rows is in the split train"
    elif step.given_to(task) is not None:
        error.hint = "LABELS FROM gives no label to a row of the split train"
    elif not rooms.catalog.definitions().lfs(task.name):
        error.hint = f"CREATE LABELING FUNCTION … FOR TASK {task.name} labels rows, and so does LABELS FROM"


def store(rooms: Rooms, step: Train, trained: Trained, seconds: float) -> int:
    """Store a trained network as a new version with its macros, let it serve its tasks, and return the version."""
    from wsdb.serve.served import Served

    spec, snapshot = step.spec, rooms.catalog.definitions()
    rules = components(rooms, spec, step.tasks, snapshot)
    every = [rule.to_dict() for rule in rules_apart(rooms, spec, step.tasks, snapshot)]
    manifest = {**trained.manifest, "components": [part.to_dict() for part in rules], "rules": every}
    columns = [name for name, _ in step.columns]
    version = rooms.catalog.put_model(
        spec.name,
        tasks=[task.name for task in step.tasks],
        features=columns,
        manifest=manifest,
        weights=trained.weights,
        history=trained.history,
        input_hash=step.input_hash,
        facts=facts_of(trained, seconds),
        sql=render(spec),
        trials=[trial_row(trial) for trial in trained.trials],
    )
    key = model_macros.key_of(spec.name, version, manifest["weights_sha256"])
    install(rooms.engine).put(key, Served.load(manifest, trained.weights))
    model_macros.store_model(rooms, spec.name, version, key, columns, step.tasks)
    snapshot = rooms.catalog.definitions()
    model_macros.serve_tasks(rooms, step.tasks, [spec.name] * len(step.tasks), snapshot)
    return version


def held_out_loss(trained: Trained) -> float:
    """Return the mean loss of a network's tasks on gold of dev where all of them have any, else on held-out rows."""
    if all(task in trained.dev for task in trained.rows):
        return float(np.mean([trained.dev[task]["log_loss"] for task in trained.rows]))
    found = [
        row["loss"] for row in trained.history if row["split"] == "valid" and row["epoch"] == trained.epoch[row["task"]]
    ]
    return float(np.mean(found)) if found else float("inf")


def checkpoint_folder(rooms: Rooms, step: Train) -> Path | None:
    """Return where a training run keeps its checkpoints: beside the database file; None for one in memory."""
    found = rooms.engine.rows("SELECT path FROM duckdb_databases() WHERE database_name = ?", [rooms.engine.database])
    return Path(f"{found[0][0]}.training") / step.input_hash if found and found[0][0] else None


def facts_of(trained: Trained, seconds: float) -> dict[str, Any]:
    """Return what the catalog shows of a training run."""
    losses = [
        row["loss"] for row in trained.history if row["split"] == "valid" and row["epoch"] == trained.epoch[row["task"]]
    ]
    return {
        "n_rows": max(sum(counts.values()) for counts in trained.rows.values()),
        "epochs": max(row["epoch"] for row in trained.history),
        "valid_loss": sum(losses) / len(losses) if losses else None,
        "seconds": seconds,
    }


def trial_row(trial: Trial) -> tuple[Any, ...]:
    """Return a trial of a search as the catalog stores it, the model and its version left out."""
    options = json.dumps(dict(trial.options))
    return (
        trial.number, options, trial.metric, trial.score, trial.chosen, trial.seconds, trial.status, trial.pruned_at
    )  # fmt: skip


def targets_of(step: Train) -> list[TaskTarget]:
    """Return the tasks as training reads them."""
    from wsdb.model.parts import TaskTarget

    return [
        TaskTarget(
            task.name,
            task.labels,
            weight,
            task.shares,
            task.kind,
            task.payload if on_elements(task) else None,
            given=step.given_to(task) is not None,
        )
        for task, (_, weight) in zip(step.tasks, step.spec.tasks, strict=True)
    ]


def inputs_of(step: Train) -> list[PayloadInput]:
    """Return the payloads as training reads them."""
    from wsdb.model.parts import PayloadInput

    types = dict(step.columns)
    return [
        PayloadInput(
            payload.name,
            payload.shape,
            tuple((name, types[name]) for name in payload.columns),
            payload.from_payloads,
            None if payload.spans is None else (payload.spans.payload, payload.spans.column),
            payload.embedding,
            payload.embedding is not None and payload.frozen,
        )
        for payload in step.payloads
    ]


def slices_of(step: Train) -> list[SliceInput]:
    """Return the slices as training reads them."""
    from wsdb.model.parts import SliceInput

    places = [elements_of(group, step.payloads) for group in step.slices]
    return [
        SliceInput(group.name, None if place is None else place.name)
        for group, place in zip(step.slices, places, strict=True)
    ]


def embeddings_of(rooms: Rooms, step: Train) -> dict[str, Embedding]:
    """Return the vectors that the payloads of a model begin with, by name."""
    from wsdb.model.payload_arrays import Embedding

    found = {}
    for name in dict.fromkeys(payload.embedding for payload in step.payloads if payload.embedding is not None):
        query = f"SELECT token, vector FROM {rooms.engine.table(f'embedding_{name}')} ORDER BY token"
        rows = pa.Table.from_batches(rooms.engine.batches(query)).combine_chunks()
        tokens, vectors = rows.column("token").combine_chunks(), rows.column("vector").combine_chunks()
        flat = np.asarray(vectors.flatten(), dtype=np.float32)
        found[name] = Embedding(name, tokens, flat.reshape(len(tokens), -1))
    return found
