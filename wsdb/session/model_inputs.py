"""What a model reads: its definition with every name resolved, its columns, its payloads, and no gold by accident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from wsdb.catalog.check import check_references
from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import ModelError, SpecError, WsdbError, did_you_mean
from wsdb.core.lf import Expression, LabelingFunction, Python, Select, Votes, VoteTogether, VoteWhen
from wsdb.core.payload import Payload
from wsdb.core.rowsql import gold_is_own
from wsdb.core.specs import ModelSpec
from wsdb.core.sqltext import idents
from wsdb.core.task import Task
from wsdb.model.features import family
from wsdb.parser.statements import Statement
from wsdb.planner.facts import LFFacts, TaskFacts
from wsdb.planner.steps import GivenLabels
from wsdb.session.model_options import check_effects, effective_options
from wsdb.session.rooms import Rooms
from wsdb.session.training_rows import row_keys


def resolve(rooms: Rooms, spec: ModelSpec, snapshot: CatalogSnapshot, at: Statement) -> ModelSpec:
    """Return the spec with its names and options as they are spelled, and every option with its effective value.

    Raises
    ------
    CatalogError
        WS201 for something that does not exist.
    SpecError
        WS307 for an option that does not exist, cannot have its value or would change nothing.
    """
    spec = check_references(snapshot.expanded(spec, at), snapshot, at)
    try:
        found = replace(spec, options=effective_options(dict(spec.options)))
        payloads = model_payloads(found, [snapshot.task(name) for name, _ in found.tasks], snapshot)
        check_effects(rooms, found, payloads, snapshot)
    except WsdbError as error:
        raise error.at(at.spans.get(f"option {error.data.get('option')}", at.span)) from None
    return found


def model_payloads(spec: ModelSpec, tasks: Sequence[Task], snapshot: CatalogSnapshot) -> tuple[Payload, ...]:
    """Return the payloads of a model, each once and after those it reads.

    They are those that PAYLOADS names, those whose elements its tasks label, and what these are made from.
    """
    found: dict[str, Payload] = {}

    def add(name: str) -> None:
        if name.lower() in found:
            return
        payload = snapshot.payload(name)
        for other in (*payload.from_payloads, *((payload.spans.payload,) if payload.spans is not None else ())):
            add(other)
        found[name.lower()] = payload

    for name in (*spec.payloads, *(task.payload for task in tasks if task.payload is not None)):
        add(name)
    return tuple(found.values())


Columns = tuple[tuple[str, str], ...]


def model_columns(
    rooms: Rooms,
    spec: ModelSpec,
    tasks: Sequence[Task],
    payloads: Sequence[Payload],
    snapshot: CatalogSnapshot,
    at: Statement | None,
) -> tuple[Columns, Columns]:
    """Return the (name, SQL type) pairs of the features, and of the lists that payloads are made of.

    Raises
    ------
    SpecError
        WS312 for a column the source does not have; WS317 where no column is left.
    """
    columns = rooms.engine.columns(spec.source, at, f'model "{spec.name}"')
    whole = [name for payload in payloads if payload.shape == "singleton" for name in payload.columns]
    parts = [name for payload in payloads if payload.shape != "singleton" for name in payload.columns]
    known = {name.lower() for name, _ in columns}
    parts += [
        payload.spans.column
        for payload in payloads
        if payload.spans is not None and payload.spans.column.lower() in known
    ]
    wanted = [column for name in spec.feature_sets for column in snapshot.feature_set(name).columns]
    if spec.columns == ("*",):
        left_out = _not_features(spec, tasks) | {name.lower() for name in (*spec.excluded, *parts)}
        wanted += [name for name, _ in columns if name.lower() not in left_out]
    else:
        wanted += spec.columns
    _check_columns(spec, columns, (*wanted, *whole, *parts, *spec.excluded), at)
    features = _pairs(columns, (*wanted, *whole))
    lists = _pairs(columns, [name for name in parts if name.lower() not in {known.lower() for known, _ in features}])
    if not features and not lists:
        raise SpecError("WS317", f'model "{spec.name}" has no feature column left', span=at.span if at else None)
    _check_types(spec, features, at)
    return features, lists


def _check_types(spec: ModelSpec, features: Columns, at: Statement | None) -> None:
    """Raise WS503 at the first column of a type that a model cannot read; of FEATURES (*), say which to leave out."""
    wrong: dict[str, ModelError] = {}
    for name, kind in features:
        try:
            family(name, kind)
        except ModelError as error:
            wrong[name] = error
    for name, found in wrong.items():
        if spec.columns == ("*",):
            left_out = f"FEATURES (* EXCLUDE ({idents((*spec.excluded, *wrong))})) leaves out what it cannot read"
            found.hint = f"{found.hint}; {left_out}"
        raise found.at(None if at is None else at.spans.get(f"column {name.lower()}", at.at("features")))


def _not_features(spec: ModelSpec, tasks: Sequence[Task]) -> set[str]:
    """Return the columns, in lower case, that FEATURES (*) leaves out: keys, split and gold."""
    found = {key.lower() for task in tasks for key in task.keys}
    for task in tasks:
        if task.split is not None and not task.split.shares:
            found.add(task.split.column.lower())
        if task.gold is not None and task.gold.relation.lower() in (spec.source.lower(), task.relation.lower()):
            found.add(task.gold.column.lower())
    return found


def _pairs(columns: Sequence[tuple[str, str]], wanted: Sequence[str]) -> Columns:
    of = {name.lower(): (name, kind) for name, kind in columns}
    return tuple({name.lower(): of[name.lower()] for name in wanted}.values())


def _check_columns(
    spec: ModelSpec, columns: Sequence[tuple[str, str]], wanted: Sequence[str], at: Statement | None
) -> None:
    known = {name.lower() for name, _ in columns}
    for name in wanted:
        if name.lower() not in known:
            raise SpecError(
                "WS312",
                f'relation {spec.source} has no column "{name}"',
                span=at.at_name("column", name) if at is not None else None,
                hint=did_you_mean(name, (column for column, _ in columns)),
            )


def source_keys(rooms: Rooms, spec: ModelSpec, tasks: Sequence[Task], at: Statement | None) -> tuple[str, ...]:
    """Return the key columns of all tasks that the source has to have, each once.

    Raises
    ------
    SpecError
        WS312 where it has not.
    """
    known = {name.lower() for name, _ in rooms.engine.columns(spec.source, at, f'model "{spec.name}"')}
    keys: dict[str, None] = {}
    for task in tasks:
        for key in row_keys(task):
            if key.lower() not in known:
                raise SpecError(
                    "WS312",
                    f'relation {spec.source} has no column "{key}", the key of task "{task.name}"',
                    span=at.at("relation") if at is not None else None,
                )
            keys[key] = None
    return tuple(keys)


def refuse_gold(
    rooms: Rooms,
    spec: ModelSpec,
    tasks: Sequence[Task],
    columns: Columns,
    lfs: Mapping[str, Sequence[LabelingFunction]],
    facts: Mapping[str, TaskFacts],
    given: Sequence[GivenLabels],
    at: Statement | None,
) -> None:
    """Raise where gold labels reach training unasked: as a column that the model reads, or by a labeling function.

    Labels that LABELS FROM takes from gold are asked for; a notice says what was trained on them.

    Parameters
    ----------
    lfs, facts : by task, its labeling functions and what they read; of those that LABELS FROM does not label
    given : what LABELS FROM labels

    Raises
    ------
    SpecError
        WS361 with what reads them.
    """
    if dict(spec.options).get("allow_gold"):
        return
    span = at.at("task") if at is not None else None
    hint = "WITH (allow_gold = true) trains on it all the same"
    for task in tasks:
        if task.gold is None:
            continue
        column, relation = task.gold.column, task.gold.relation
        held = relation.lower() in (spec.source.lower(), task.relation.lower())
        if held and column.lower() in {name.lower() for name, _ in columns}:
            raise SpecError(
                "WS361", f'feature "{column}" holds the gold labels of task "{task.name}"', span=span, hint=hint
            )
        own = next((one for one in given if one.task == task.name), None)
        if own is not None and relation in rooms.engine.relations_of(own.sql):
            rooms.notice(f"model {spec.name}: LABELS FROM reads {relation}, the gold of task {task.name}")
        for lf in lfs.get(task.name, ()):
            if lf.enabled and _reads_gold(rooms, lf, task, facts[task.name].lfs[lf.name]):
                raise SpecError(
                    "WS361",
                    f'labeling function "{lf.name}" reads {relation}, the gold of task "{task.name}"',
                    span=span,
                    hint=hint,
                )


def _reads_gold(rooms: Rooms, lf: LabelingFunction, task: Task, facts: LFFacts) -> bool:
    """Return whether the SQL of a labeling function names a task's gold: its relation, or its column of the task's own.

    Gold that is a query has no name, and what Python reads is not known.
    """
    gold = task.gold
    if gold is None or gold.is_query or isinstance(lf.body, Python):
        return False
    if gold_is_own(task):
        return gold.column.lower() in (name.lower() for name in facts.rests_on)
    match lf.body:
        case Select(sql):
            query = sql
        case Votes(relation=relation):
            query = f"SELECT * FROM {relation}"
        case VoteWhen(_, sql) | VoteTogether(_, sql) | Expression(sql):
            query = f"SELECT (\n{sql}\n) FROM {task.relation}"
    return gold.relation.lower() in (name.lower() for name in rooms.engine.relations_of(query))
