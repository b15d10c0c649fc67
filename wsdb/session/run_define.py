"""CREATE (all but MODEL), DROP, COMMENT ON and SET: definitions change, nothing is computed."""

from __future__ import annotations

from dataclasses import replace

from wsdb.catalog.check import check_references
from wsdb.catalog.label_models import OPTIONS
from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError, DataError, SpecError, did_you_mean
from wsdb.core.graph import cycle
from wsdb.core.lf import Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.payload import element_task
from wsdb.core.rowsql import gold_labels, rows_select
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec
from wsdb.core.sqltext import ident
from wsdb.core.task import SPLITS, Task
from wsdb.labelmodel.methods import APPLIES
from wsdb.parser.script import split
from wsdb.parser.statements import (
    KINDS,
    Create,
    CreateFeatureSet,
    CreateLabelingFunction,
    CreateLabelModel,
    CreateTask,
)
from wsdb.planner.steps import Define, Step
from wsdb.session.calls import calls, first_argument, may_call
from wsdb.session.define import MADE, define
from wsdb.session.given_labels import repeated_keys, unknown_label
from wsdb.session.rooms import Rooms
from wsdb.session.run_constraint import store_combinations
from wsdb.session.run_matrix import store_summary
from wsdb.session.stored import rows_view


def create_task(stmt: CreateTask, rooms: Rooms) -> None:
    """Define a task after checking its relation, gold and names."""
    snapshot = rooms.catalog.definitions()
    spec, resolved = checked_task(stmt, rooms)
    model = snapshot.find("model", spec.name)
    if model is not None and spec.name not in [name for name, _ in snapshot.model(model.name).tasks]:
        raise SpecError(
            "WS318",
            f'there is a model "{model.name}" without this task',
            span=stmt.at("task"),
            hint="choose another name",
        )
    changed = snapshot.find("task", spec.name)
    parents = [("relation", spec.relation)] + ([("gold", spec.gold.relation)] if spec.gold else [])

    def then(done: str) -> None:
        if done not in MADE:
            return
        rows_view(rooms, resolved)
        after = rooms.catalog.definitions()
        for lf in after.lfs(spec.name) if changed else []:  # what voted before must still be able to
            rooms.engine.check_lf(lf, resolved, stmt, after.primitives())
        for constraint in after.constraints() if changed else []:
            if spec.name.lower() in [name.lower() for name in constraint.tasks]:
                store_combinations(rooms, constraint, after, stmt.at("labels"))

    define(rooms, stmt, spec, parents=parents, then=then)


def checked_task(stmt: CreateTask, rooms: Rooms) -> tuple[Task, Task]:
    """Return a task as it is stored, and as a task on the elements of its payload, after its checks."""
    snapshot = rooms.catalog.definitions()
    spec = check_references(stmt.spec, snapshot, stmt)
    on = spec if spec.payload is None else element_task(spec, snapshot.payload(spec.payload))
    resolved = rooms.engine.check_task(on, stmt)
    check_gold(rooms, resolved, stmt)
    check_split(rooms, resolved, stmt)
    if spec.payload is None:
        return resolved, resolved
    return replace(resolved, relation=spec.relation, keys=spec.keys), resolved


def check_gold(rooms: Rooms, task: Task, stmt: Create) -> None:
    """Raise where gold names a label the task does not have, or a key twice.

    Raises
    ------
    DataError
        WS403 unknown gold label; WS401 a key with two gold rows.
    """
    if task.gold is None:
        return
    label, relation = f"CAST({ident(task.gold.column)} AS VARCHAR)", task.gold.relation
    if task.kind == "bitvector":
        label = f"unnest({gold_labels(label)})"
    unknown = unknown_label(rooms, task, f"SELECT {label} AS __label FROM {relation}")
    if unknown is not None:
        found, count = unknown
        raise DataError(
            "WS403",
            f"gold of task \"{task.name}\" has the label '{found}' on {count:,} row{'s' * (count != 1)}; the task has "
            f"({', '.join(map(repr, task.labels[:8]))})",
            span=stmt.at("gold"),
            hint=did_you_mean(found, task.labels),
            count=count,
        )
    twice = repeated_keys(rooms, relation, task.keys)
    if twice is not None:
        raise DataError(
            "WS401",
            f'gold of task "{task.name}" has several rows for one key: {twice}',
            span=stmt.at("gold"),
            hint="keep one gold row for each key",
        )


def check_split(rooms: Rooms, task: Task, stmt: Create) -> None:
    """Raise where SPLIT BY leaves no row to train on; say which of its values are no split.

    Raises
    ------
    SpecError
        WS304 where no row is in train.
    """
    if task.split is None or task.split.shares:
        return
    rows = rooms.engine.rows(
        f"SELECT split, count(*) FROM ({rows_select(replace(task, gold=None))}) GROUP BY split ORDER BY count(*) DESC"
    )
    if not rows:  # an empty relation may be filled later
        return
    other = [f"{name!r} ({n:,} row{'s' * (n != 1)})" for name, n in rows if name not in SPLITS]
    if "train" not in [name for name, _ in rows]:
        raise SpecError(
            "WS304",
            f"SPLIT BY {task.split.column} puts no row into train; its values are "
            + ", ".join(repr(name) for name, _ in rows[:5]),
            span=stmt.at("split column"),
            hint="splits are train, dev (or valid) and test; map the column in a view, or use SPLIT HASH",
        )
    if other:
        rooms.notice(f"task {task.name}: split values {', '.join(other[:5])} are not train, dev or test; in no split")


def create_labeling_function(stmt: CreateLabelingFunction, rooms: Rooms) -> None:
    """Define a labeling function after DuckDB has bound its body."""
    snapshot = rooms.catalog.definitions()
    old = snapshot.find("labeling function", stmt.spec.name)
    spec = checked_lf(stmt, rooms, snapshot)
    if old is not None and isinstance(old.spec, LabelingFunction) and not any(map(spec.votes_on, old.spec.tasks)):
        raise CatalogError(
            "WS202",
            f'labeling function "{old.name}" exists already, for task "{old.spec.task}"',
            span=stmt.at("labeling function"),
            hint="choose another name, or DROP it first",
        )
    parents = parents_of(spec, rooms, snapshot)
    others = old.spec.tasks if old is not None and isinstance(old.spec, LabelingFunction) else ()

    def then(done: str) -> None:
        if done == "replaced" or (done == "created" and not spec.enabled):
            for name in dict.fromkeys((*spec.tasks, *others)):
                store_summary(rooms, snapshot.task(name))

    define(rooms, stmt, spec, parents=parents, then=then)
    if isinstance(spec.body, Python):
        rooms.trusted_python.add(spec.name.lower())


def parents_of(lf: LabelingFunction, rooms: Rooms, snapshot: CatalogSnapshot) -> list[tuple[str, str]]:
    """Return (kind, name) of the tasks and relations that a labeling function is made from."""
    parents = [("task", name) for name in lf.tasks]
    if isinstance(lf.body, Votes):
        return [*parents, ("relation", lf.body.relation)]
    if isinstance(lf.body, Select):
        return parents + [("relation", relation) for relation in rooms.engine.relations_of(lf.body.sql)]
    return [*parents, ("relation", snapshot.task(lf.task).relation)]


def checked_lf(stmt: CreateLabelingFunction, rooms: Rooms, snapshot: CatalogSnapshot) -> LabelingFunction:
    """Return a labeling function with its names resolved, after DuckDB has bound its body for each of its tasks."""
    whole = check_references(stmt.spec, snapshot, stmt)
    refuse_circles(rooms, whole, snapshot, stmt)
    primitives = snapshot.primitives()
    checked = [
        rooms.engine.check_lf(whole.of_task(name), snapshot.task(name), stmt, primitives) for name in whole.tasks
    ]
    return checked[0] if len(checked) == 1 else whole


def refuse_circles(rooms: Rooms, lf: LabelingFunction, snapshot: CatalogSnapshot, stmt: CreateLabelingFunction) -> None:
    """Raise where a labeling function reads what its own votes help to make.

    Raises
    ------
    SpecError
        WS333 where it reads the labels or predictions of one of its tasks, directly or through others, with the path.
    """
    own = answers_read(rooms, lf, snapshot)
    if not own:  # it makes no edge
        return
    edges: dict[str, set[str]] = {}
    for entry in snapshot.entries.values():
        if isinstance(entry.spec, LabelingFunction) and entry.name.lower() != lf.name.lower():
            for name in entry.spec.tasks:
                edges.setdefault(name.lower(), set()).update(answers_read(rooms, entry.spec, snapshot))
    for name in lf.tasks:
        edges.setdefault(name.lower(), set()).update(own)
    path = cycle({name: sorted(read) for name, read in edges.items()})
    if path is not None:
        raise SpecError(
            "WS333",
            f'labeling function "{lf.name}" would make task "{path[0]}" supervise itself: {" -> ".join(path)}',
            span=stmt.at("body"),
            hint="a task reads the answers of the next one; break the circle with a table of stored predictions",
        )


def answers_read(rooms: Rooms, lf: LabelingFunction, snapshot: CatalogSnapshot) -> set[str]:
    """Return the tasks, in lower case, whose labels or predictions a body reads."""
    match lf.body:
        case VoteWhen(_, sql) | Expression(sql) | Select(sql):
            text = sql
        case _:
            return set()
    if not may_call(text):
        return set()
    found: set[str] = set()
    for call in calls(split(f"SELECT (\n{text}\n)" if not isinstance(lf.body, Select) else text)[0]):
        name, _ = first_argument(call, split(text)[0], None)
        plain = (name or "").partition("@")[0].lower()
        model = snapshot.find("model", plain)
        if model is not None and isinstance(model.spec, ModelSpec):
            found.update(task.lower() for task, _ in model.spec.tasks)
        elif snapshot.find("task", plain) is not None:
            found.add(plain)
    return found


def create_label_model(stmt: CreateLabelModel, rooms: Rooms) -> None:
    """Define the label model of one task or, by a task graph, of several; each task has one."""
    spec = check_references(stmt.spec, rooms.catalog.definitions(), stmt)
    check_method(spec, stmt)
    define(rooms, stmt, spec, parents=[("task", name) for name in spec.tasks])


def check_method(spec: LabelModelSpec, stmt: Create) -> None:
    """Raise SpecError WS320 where a method of label models does not know an option that is set."""
    if spec.method not in APPLIES:
        return
    knows = APPLIES[spec.method]
    plain = LabelModelSpec(name=spec.name, task=spec.task)
    for name in OPTIONS:
        if name not in ("use_dev", *knows) and getattr(spec, name) != getattr(plain, name):
            raise SpecError(
                "WS320",
                f"option {name} does not apply to {spec.method}",
                span=stmt.at(f"option {name}"),
                hint=f"{spec.method} knows {', '.join(sorted(knows))}",
            )


def create_feature_set(stmt: CreateFeatureSet, rooms: Rooms) -> None:
    """Define a feature set after checking its columns."""
    spec: FeatureSet = stmt.spec
    known = {name.lower(): name for name, _ in rooms.engine.columns(spec.relation, stmt, f'feature set "{spec.name}"')}
    for name in spec.columns:
        if name.lower() not in known:
            raise SpecError(
                "WS312",
                f'relation {spec.relation} has no column "{name}"',
                span=stmt.at_name("column", name),
                hint=did_you_mean(name, known.values()),
            )
    spec = replace(spec, columns=tuple(known[name.lower()] for name in spec.columns))
    define(rooms, stmt, spec, parents=[("relation", spec.relation)])


def plan_define(stmt: Create, rooms: Rooms) -> Step:
    """Return the step of a CREATE that only changes definitions, after its checks."""
    snapshot, spec = rooms.catalog.definitions(), stmt.spec  # type: ignore[attr-defined]
    if isinstance(stmt, CreateTask):
        checked_task(stmt, rooms)
    elif isinstance(stmt, CreateLabelingFunction):
        checked_lf(stmt, rooms, snapshot)
    else:
        check_references(spec, snapshot, stmt)
    return Define("create", KINDS[type(spec)], (spec.name,))
