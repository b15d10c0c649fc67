"""CREATE MODEL and REFRESH MODEL: labels first, then one training run, stored with its prediction macros."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from wsdb.catalog.fingerprint import data_hash
from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import SpecError, WsdbError, did_you_mean
from wsdb.core.specs import ModelSpec
from wsdb.core.sqltext import ident, idents, literals
from wsdb.core.task import Task
from wsdb.parser.render import render
from wsdb.parser.statements import CreateModel, Statement
from wsdb.planner.explain import Profile
from wsdb.planner.labels import hash_of, plan_labels
from wsdb.planner.model import plan_model
from wsdb.planner.steps import Reuse, Step, Train, walk
from wsdb.serve.predictor import install
from wsdb.session import model_macros, run_labels
from wsdb.session.rooms import Rooms

VARIANT_SEPARATORS = ("@", ":")


def resolve(rooms: Rooms, spec: ModelSpec, snapshot: CatalogSnapshot, at: Statement | None) -> ModelSpec:
    """Return the spec with its tasks and options as they are spelled, and every option with its effective value.

    Raises
    ------
    CatalogError
        WS201 for a task or feature set that does not exist.
    SpecError
        WS307 for an option that does not exist or cannot have its value.
    """
    spans = at.spans if at is not None else {}
    tasks = tuple(
        (snapshot.task(name, spans.get(f"task {name.lower()}", spans.get("task"))).name, weight)
        for name, weight in spec.tasks
    )
    if spec.labels_sql is not None and len(tasks) > 1:
        raise SpecError(
            "WS316", "LABELS FROM gives the labels of one task; this model has several", span=spans.get("labels query")
        )
    sets = tuple(snapshot.feature_set(name, spans.get("feature set")).name for name in spec.feature_sets)
    try:
        return replace(spec, tasks=tasks, feature_sets=sets, options=effective_options(dict(spec.options)))
    except WsdbError as error:
        option = error.data.get("option")
        raise error.at(spans.get(f"option {option}", at.span if at else None)) from None


def effective_options(given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return every training option with its value, checked and sorted by name."""
    from wsdb.model.spec import OPTIONS, train_spec

    spec = train_spec(dict(given))
    return tuple((name, getattr(spec, name)) for name in sorted(OPTIONS))


def feature_columns(
    rooms: Rooms, spec: ModelSpec, tasks: Sequence[Task], snapshot: CatalogSnapshot, at: Statement | None
) -> list[tuple[str, str]]:
    """Return the (name, SQL type) of the model's feature columns in the order given.

    Raises
    ------
    SpecError
        WS312 for a column the source does not have; WS317 where no column is left.
    """
    columns = rooms.engine.columns(spec.source, at, f'model "{spec.name}"')
    known = {name.lower(): (name, kind) for name, kind in columns}
    wanted: list[str] = []
    for name in spec.feature_sets:
        wanted += snapshot.feature_set(name).columns
    if spec.columns == ("*",):
        left_out = {name.lower() for name in spec.excluded}
        for task in tasks:
            left_out |= {key.lower() for key in task.keys}
            left_out |= {task.split.column.lower()} if task.split is not None and not task.split.shares else set()
            if task.gold is not None and task.gold.relation.lower() == spec.source.lower():
                left_out.add(task.gold.column.lower())
        wanted += [name for name, _ in columns if name.lower() not in left_out]
    else:
        wanted += spec.columns
    found: dict[str, tuple[str, str]] = {}
    for name in (*wanted, *spec.excluded):
        if name.lower() not in known:
            raise SpecError(
                "WS312",
                f'relation {spec.source} has no column "{name}"',
                span=at.at_name("column", name) if at is not None else None,
                hint=did_you_mean(name, (column for column, _ in columns)),
            )
        if name in wanted:
            found[name.lower()] = known[name.lower()]
    if not found:
        raise SpecError("WS317", f'model "{spec.name}" has no feature column left', span=at.span if at else None)
    return list(found.values())


def plan(
    rooms: Rooms,
    spec: ModelSpec,
    snapshot: CatalogSnapshot,
    at: Statement | None = None,
    *,
    full: bool = False,
) -> Step:
    """Return the step that makes a model current. The spec is resolved."""
    tasks = [snapshot.task(name) for name, _ in spec.tasks]
    features = feature_columns(rooms, spec, tasks, snapshot, at)
    known = {name.lower() for name, _ in rooms.engine.columns(spec.source, at, f'model "{spec.name}"')}
    keys: list[str] = []
    for task in tasks:
        if task.kind == "bitvector":
            raise SpecError(
                "WS338",
                f'task "{task.name}" gives a row any number of labels; this version trains on tasks with one label a '
                "row",
                span=at.at("task") if at is not None else None,
                hint="make a BINARY task for each label that a model shall predict",
            )
        for key in task.keys:
            if key.lower() not in known:
                raise SpecError(
                    "WS312",
                    f'relation {spec.source} has no column "{key}", the key of task "{task.name}"',
                    span=at.at("relation") if at is not None else None,
                )
            keys += [key] if key not in keys else []
    labels: list[Step] = []
    if spec.labels_sql is not None:
        given = rooms.engine.rows_hash(f"(\n{spec.labels_sql}\n)", _label_columns(rooms, spec, tasks[0], at))
        hashes = [given, data_hash(tasks[0])]
    else:
        hashes = []
        for task in tasks:
            facts = run_labels.facts_of(rooms, task, snapshot)
            labels.append(plan_labels(task, snapshot, facts))
            hashes.append(hash_of(task, snapshot, facts))
    rows = rooms.engine.rows_hash(spec.source, [*keys, *(name for name, _ in features)])
    stored = snapshot.models.get(spec.name.lower())
    return plan_model(spec, tasks, features, labels, hashes, rows, stored, full=full)


def _label_columns(rooms: Rooms, spec: ModelSpec, task: Task, at: Statement | None) -> list[str]:
    """Return the columns of LABELS FROM: the task's keys, then the label.

    Raises
    ------
    SpecError
        WS313 where the query does not return the keys and one more column of strings.
    """
    span = at.spans.get("labels query") if at is not None else None
    columns = rooms.engine.describe(spec.labels_sql or "", span, f'LABELS FROM of model "{spec.name}"')
    names = {name.lower(): name for name, _ in columns}
    rest = [(name, kind) for name, kind in columns if name.lower() not in {key.lower() for key in task.keys}]
    if any(key.lower() not in names for key in task.keys) or len(rest) != 1:
        raise SpecError(
            "WS313",
            f"LABELS FROM returns ({', '.join(names.values())}); it must return {', '.join(task.keys)} and a label",
            span=span,
        )
    if not rest[0][1].startswith(("VARCHAR", "ENUM")):
        raise SpecError("WS313", f'LABELS FROM: column "{rest[0][0]}" is {rest[0][1]}; labels are strings', span=span)
    return [*(names[key.lower()] for key in task.keys), rest[0][0]]


def create_model(stmt: CreateModel, rooms: Rooms, step: Step | None = None) -> None:
    """Define a model and train it, unless nothing it would be trained on has changed.

    Parameters
    ----------
    step : the plan, where it has been made already
    """
    snapshot = rooms.catalog.snapshot()
    taken = next((mark for mark in VARIANT_SEPARATORS if mark in stmt.spec.name), None)
    if taken:
        raise SpecError("WS318", f'a model\'s name may not contain "{taken}"', span=stmt.at("model"))
    spec = resolve(rooms, stmt.spec, snapshot, stmt)
    for task in snapshot.tasks():
        if task.name.lower() == spec.name.lower() and task.name not in [name for name, _ in spec.tasks]:
            raise SpecError(
                "WS318",
                f"there is a task \"{task.name}\", which this model does not have; predict('{spec.name}', …) would "
                "mean either",
                span=stmt.at("model"),
                hint="choose another name",
            )
    old = snapshot.find("model", spec.name)
    if old is not None and stmt.if_not_exists:
        rooms.notice(f"model {old.name} exists already")
        return
    parents = [("task", name) for name, _ in spec.tasks] + [("feature set", name) for name in spec.feature_sets]
    parents += [("labels", name) for name, _ in spec.tasks] if spec.labels_sql is None else []

    def work() -> None:
        rooms.catalog.put(
            spec,
            or_replace=stmt.or_replace,
            parents=[*parents, ("relation", spec.source)],
            span=stmt.at("model"),
        )
        run(rooms, step or plan(rooms, spec, snapshot, stmt), stmt)

    run_labels.transact(rooms, work)


def refresh_model(rooms: Rooms, name: str, at: Statement, *, full: bool) -> None:
    """Train a model again where its labels, rows or definition have changed."""
    snapshot = rooms.catalog.snapshot()
    spec = snapshot.model(name, at.at("model"))
    run_labels.transact(rooms, lambda: run(rooms, plan(rooms, spec, snapshot, full=full), at))


def run(rooms: Rooms, step: Step, at: Statement) -> None:
    """Run the plan of a model."""
    run_labels.run(rooms, step)
    for part in walk(step):
        if isinstance(part, Train):
            train(rooms, part, at)
        elif isinstance(part, Reuse) and part.what == "model":
            rooms.notice(f"model {part.names[0]}: nothing has changed, version kept")


def train(rooms: Rooms, step: Train, at: Statement) -> None:
    """Run a Train step and store the version it makes.

    Raises
    ------
    ModelError
        WS5xx where the rows cannot be learned from.
    EnvironmentError_
        WS701 where torch is not installed.
    """
    from wsdb.model.predictor import Predictor
    from wsdb.model.spec import TaskTarget, train_spec
    from wsdb.model.train import train as train_network

    spec, start = step.spec, time.perf_counter()
    options = train_spec(dict(spec.options))
    targets = [
        TaskTarget(task.name, task.labels, weight, task.shares)
        for task, (_, weight) in zip(step.tasks, spec.tasks, strict=True)
    ]
    names = ", ".join(task.name for task in step.tasks)
    rooms.progress(f"training {spec.name} for {names}")
    query = training_query(rooms, step, uncovered=options.uncovered)

    def progress(row: Mapping[str, Any]) -> None:
        rooms.progress(f"training {spec.name}: epoch {row['epoch']}, {row['split']} loss {row['loss']:.4f}")

    batches: Callable[[], Iterator[pa.RecordBatch]] = lambda: rooms.engine.batches(query)  # noqa: E731
    try:
        trained = train_network(step.features, targets, batches, options, progress)
    except WsdbError as error:
        raise error.at(at.span) from None
    held_out = [
        row["loss"] for row in trained.history if row["split"] == "valid" and row["epoch"] == trained.epoch[row["task"]]
    ]
    seconds = time.perf_counter() - start
    version = rooms.catalog.put_model(
        spec.name,
        tasks=[task.name for task in step.tasks],
        features=[name for name, _ in step.features],
        manifest=trained.manifest,
        weights=trained.weights,
        history=trained.history,
        input_hash=step.input_hash,
        facts={
            "n_rows": max(sum(counts.values()) for counts in trained.rows.values()),
            "epochs": max(row["epoch"] for row in trained.history),
            "valid_loss": sum(held_out) / len(held_out) if held_out else None,
            "seconds": seconds,
        },
        sql=render(spec),
    )
    key = model_macros.key_of(spec.name, version, trained.manifest["weights_sha256"])
    install(rooms.engine).put(key, Predictor.load(trained.manifest, trained.weights))
    model_macros.store_model(rooms, spec.name, version, key, [name for name, _ in step.features], step.tasks)
    snapshot = rooms.catalog.definitions()
    for task in step.tasks:
        model_macros.serve_task(rooms, task, spec.name, snapshot)
    used = {task: sum(counts.values()) for task, counts in trained.rows.items()}
    rooms.profiles[id(step)] = Profile(max(used.values()), seconds)
    shown = ", ".join(f"{task} {n:,}" for task, n in used.items())
    rooms.notice(f"model {spec.name}@{version}: trained in {seconds:.1f} s on labeled rows: {shown}")
    for text in trained.notices:
        rooms.notice(f"model {spec.name}: {text}")


def training_query(rooms: Rooms, step: Train, *, uncovered: str) -> str:
    """Return the SELECT that feeds training: keys, features, and for each task the probabilities of train rows."""
    joins, outputs = [], []
    for at, task in enumerate(step.tasks):
        name, alias = f"__p_{task.name}", f"__t{at}"
        on = " AND ".join(f"__rows.{ident(key)} = {alias}.{ident(key)}" for key in task.keys)
        if step.spec.labels_sql is not None:
            joins.append(f"LEFT JOIN ({_given_labels(rooms, step, task)}) AS {alias} ON {on}")
            outputs.append(f"{alias}.probs AS {ident(name)}")
            continue
        used = "true" if uncovered == "prior" else f"{alias}.covered"
        joins.append(f"LEFT JOIN {rooms.engine.table('training_' + task.name)} AS {alias} ON {on}")
        outputs.append(
            f"CASE WHEN {used} AND {alias}.split IS NOT DISTINCT FROM 'train' THEN {alias}.probs END AS {ident(name)}"
        )
    keys = idents(step.tasks[0].keys, "__rows.")
    packed = f"concat_ws(chr(31), {keys})"
    features = idents([name for name, _ in step.features], "__rows.")
    return f"SELECT {packed} AS __key, {features}, {', '.join(outputs)} FROM {step.spec.source} AS __rows " + " ".join(
        joins
    )


def _given_labels(rooms: Rooms, step: Train, task: Task) -> str:
    """Return the SELECT of keys and one-hot probabilities from LABELS FROM, train rows only."""
    *own, label = _label_columns(rooms, step.spec, task, None)
    keys = ", ".join(f"g.{ident(name)} AS {ident(key)}" for name, key in zip(own, task.keys, strict=True))
    on = " AND ".join(f"g.{ident(name)} = r.{ident(key)}" for name, key in zip(own, task.keys, strict=True))
    place = f"list_position([{literals(task.labels)}], CAST(g.{ident(label)} AS VARCHAR))"
    unknown = (
        f"error('[WS403] LABELS FROM gives the label ''' || g.{ident(label)} || ''', which task {task.name} has not')"
    )
    codes = f"range(1, {len(task.labels) + 1})"
    hot = f"list_transform({codes}, lambda x: CASE WHEN x = {place} THEN 1.0::DOUBLE ELSE 0.0 END)"
    return (
        f"SELECT {keys}, CASE WHEN g.{ident(label)} IS NULL THEN NULL WHEN {place} IS NULL THEN {unknown} "
        f"ELSE {hot} END AS probs FROM (\n{step.spec.labels_sql}\n) AS g "
        f"JOIN {rooms.engine.table('rows_' + task.name)} AS r ON {on} WHERE r.split IS NOT DISTINCT FROM 'train'"
    )
