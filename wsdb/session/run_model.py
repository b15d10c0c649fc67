"""CREATE MODEL and REFRESH MODEL: labels first, then one training run, stored with its prediction macros."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.catalog.fingerprint import data_hash, digest
from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import SpecError
from wsdb.core.payload import Payload
from wsdb.core.rowsql import rows_select
from wsdb.core.specs import ModelSpec
from wsdb.core.task import Task
from wsdb.model.decode import Component
from wsdb.parser.statements import CreateModel, Statement
from wsdb.planner.labels import hash_of, plan_labels
from wsdb.planner.model import plan_model, scan_of
from wsdb.planner.steps import Reuse, Step, Train, walk
from wsdb.session import run_labels, run_train
from wsdb.session.given_labels import given_labels
from wsdb.session.model_inputs import (
    model_columns,
    model_payloads,
    refuse_gold,
    resolve,
    source_keys,
)
from wsdb.session.model_rules import components
from wsdb.session.more_rows import source_hash, sources_of
from wsdb.session.rooms import Rooms

VARIANT_SEPARATORS = ("@", ":")


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
    payloads = model_payloads(spec, tasks, snapshot)
    features, lists = model_columns(rooms, spec, tasks, payloads, snapshot, at)
    keys = source_keys(rooms, spec, tasks, at)
    slices = tuple(snapshot.model_slices(spec))
    given = given_labels(rooms, spec, tasks, at)
    by_hand = {one.task for one in given}
    labels: list[Step] = []
    hashes = [rooms.engine.rows_hash(f"(\n{one.sql}\n)", (*one.keys, one.label)) for one in given]
    facts = {}
    with rooms.engine.functions_listed_once():
        for task in tasks:
            if task.name in by_hand:
                hashes.append(data_hash(task))
                continue
            found = run_labels.facts_of(rooms, task, snapshot)
            labels.append(plan_labels(task, snapshot, found))
            hashes.append(hash_of(task, snapshot, found))
            facts[task.name] = found[task.name.lower()]
    lfs = {name: snapshot.lfs(name) for name in facts}
    refuse_gold(rooms, spec, tasks, (*features, *lists), lfs, facts, given, at)
    hashes += [*map(data_hash, payloads), *map(data_hash, slices)]
    hashes += [rooms.engine.rows_hash(rooms.engine.table(group.stored), group.keys) for group in slices]
    hashes += [gold_hash(rooms, task) for task in tasks if task.gold is not None and task.split is not None]
    hashes += [digest(part.to_dict()) for part in rules_of(rooms, spec, tasks, snapshot, at)]
    hashes += embedding_hashes(rooms, payloads)
    functions = tuple(snapshot.transformation_function(name) for name in spec.augment)
    try:
        more = sources_of(rooms, spec, snapshot)
    except SpecError as error:
        raise error.at(at.spans.get("option sources", at.span) if at is not None else None) from None
    hashes += [*map(data_hash, functions), *map(data_hash, more)]
    hashes += [source_hash(rooms, source) for source in more]
    step = Train(
        spec=spec,
        tasks=tuple(tasks),
        features=features,
        input_hash="",
        labels=tuple(labels),
        scan=scan_of(spec, keys, (*features, *lists)),
        payloads=payloads,
        lists=lists,
        slices=slices,
        given=given,
        augment=functions,
        more=more,
    )
    rows = rooms.engine.rows_hash(spec.source, list(dict.fromkeys([*keys, *(name for name, _ in step.columns)])))
    return plan_model(step, hashes, rows, snapshot.models.get(spec.name.lower()), full=full)


def rules_of(
    rooms: Rooms, spec: ModelSpec, tasks: Sequence[Task], snapshot: CatalogSnapshot, at: Statement | None
) -> tuple[Component, ...]:
    """Return the rules between a model's tasks; an error about them is placed at the tasks."""
    try:
        return components(rooms, spec, tasks, snapshot)
    except SpecError as error:
        raise error.at(at.at_name("task", tasks[0].name) if at is not None else None) from None


def gold_hash(rooms: Rooms, task: Task) -> str:
    """Return the hash of the split and gold of a task's rows: those of dev calibrate a model."""
    return rooms.engine.rows_hash(f"({rows_select(task)})", [*task.keys, "split", "gold"])


def embedding_hashes(rooms: Rooms, payloads: Sequence[Payload]) -> list[str]:
    """Return the hashes of the vectors that payloads begin with."""
    names = [payload.embedding.lower() for payload in payloads if payload.embedding is not None]
    table = rooms.engine.table("embedding_files")
    query = f"SELECT content_hash FROM {table} WHERE list_contains(?, lower(name)) ORDER BY name"
    return [str(found) for (found,) in rooms.engine.rows(query, [names])] if names else []


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
    parents = [("task", name) for name, _ in spec.tasks]
    for kind, names in (
        ("feature set", spec.feature_sets),
        ("payload", spec.payloads),
        ("slice", [group.name for group in snapshot.model_slices(spec)]),
        ("transformation function", spec.augment),
    ):
        parents += [(kind, name) for name in names]
    by_hand = {one.task for one in given_labels(rooms, spec, [snapshot.task(name) for name, _ in spec.tasks], stmt)}
    parents += [("labels", name) for name, _ in spec.tasks if name not in by_hand]

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
            run_train.train(rooms, part, at)
        elif isinstance(part, Reuse) and part.what == "model":
            rooms.notice(f"model {part.names[0]}: nothing has changed, version kept")
