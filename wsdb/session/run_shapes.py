"""Label models whose labels are stored row by row: sequences, sets, bitvectors, ordered labels, task graphs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.core.errors import SpecError
from wsdb.core.graph import TaskGraph, vectors
from wsdb.core.matrix import ABSTAIN, KeyedVotes
from wsdb.core.payload import POS
from wsdb.core.specs import LabelModelSpec
from wsdb.core.sqltext import ident, idents, literals, stored
from wsdb.core.task import Task
from wsdb.labelmodel.joint import fit_joint, joint_posterior
from wsdb.labelmodel.joint_graph import MAX_VECTORS, Component, Constraint, JointGraph, JointTask, feasible_vectors
from wsdb.labelmodel.row_scores import joint_others, joint_scores
from wsdb.labelmodel.shapes import RowFit, RowVoteMatrix, fit_rows, voted_rates
from wsdb.labelmodel.spans import tag_set
from wsdb.labelmodel.spans_sql import label_spans_sql
from wsdb.planner.explain import Profile
from wsdb.planner.steps import Fit, JointFit, Pack
from wsdb.session.rooms import Rooms
from wsdb.session.run_row_counts import counted
from wsdb.session.run_row_stats import store_row_stats
from wsdb.session.stored import macro, view


def run_shape(rooms: Rooms, step: Fit, shape: str, keyed: KeyedVotes) -> None:
    """Fit the label model of a shape, and store the labels of all rows and their statistics."""
    task, start = step.task, time.perf_counter()
    matrix = _matrix(task, step.pack, keyed)
    fitted = fit_rows(shape, matrix, task.labels, _balance(task))
    store_rows(rooms, task, step.pack, keyed, fitted)
    store_row_stats(rooms, task, counted(rooms, task, step.pack, matrix, keyed), matrix, fitted)
    put_rows_run(rooms, task, step.spec, step.input_hash, shape, fitted, time.perf_counter() - start)
    rooms.profiles[id(step)] = Profile(fitted.n_rows, time.perf_counter() - start)


def _balance(task: Task) -> np.ndarray | None:
    return None if task.shares is None else np.array(task.shares)


def _matrix(task: Task, pack: Pack, keyed: KeyedVotes) -> RowVoteMatrix:
    bits: tuple[tuple[str, int], ...] = ()
    if task.kind == "bitvector":
        parts = [name.rpartition(":") for name in pack.columns]
        if any(label not in task.labels for _, _, label in parts):  # a label with a colon in it
            parts = [_split_bit(name, task) for name in pack.columns]
        bits = tuple((source, task.labels.index(label)) for source, _, label in parts)
    return RowVoteMatrix(keyed.votes, pack.columns, keyed.offsets, keyed.confidence, bits, keyed.sets)


def _split_bit(name: str, task: Task) -> tuple[str, str, str]:
    label = max((label for label in task.labels if name.endswith(f":{label}")), key=len)
    return name[: -len(label) - 1], ":", label


def store_rows(rooms: Rooms, task: Task, pack: Pack, keyed: KeyedVotes, fitted: RowFit) -> None:
    """Write the labels of all rows as a table, and the views of labels and training labels over it."""
    covered, k = fitted.covered, len(task.labels)
    if task.kind == "bitvector":
        label, prob, wrong = _bit_columns(task, pack, keyed, fitted)
    else:
        names = np.array([*task.labels, None], dtype=object)
        label = pa.array(names[fitted.labels], pa.string())
        place = np.maximum(fitted.labels, 0)
        chosen = fitted.probabilities[np.arange(len(place)), place]
        prob = pa.array(chosen, pa.float64(), mask=fitted.labels < 0)
        wrong = ((keyed.votes != ABSTAIN) & ~_agree(keyed, fitted.labels, k)).sum(axis=1)
    votes = (keyed.votes != ABSTAIN).sum(axis=1)
    keys: Any = keyed.keys
    table = keys.append_column("label", label).append_column("prob", prob)
    flat = pa.array(np.ascontiguousarray(fitted.probabilities).ravel())
    lists = pa.ListArray.from_arrays(pa.array(np.arange(0, len(flat) + 1, k), pa.int32()), flat)
    table = table.append_column("probs", lists)
    if task.kind == "bitvector":
        known = pa.array((fitted.labels >= 0).ravel())
        table = table.append_column("known", pa.ListArray.from_arrays(lists.offsets, known))
    table = table.append_column("n_votes", pa.array(votes, pa.int32()))
    table = table.append_column("n_conflicts", pa.array(np.where(covered, wrong, 0), pa.int32()))
    table = table.append_column("covered", pa.array(covered))
    if fitted.others is not None:
        width = fitted.others.shape[1]
        places = pa.array(np.arange(0, len(table) * width + 1, width), pa.int32())
        table = table.append_column("others", pa.ListArray.from_arrays(places, pa.array(fitted.others.ravel())))
    rooms.engine.store(f"posterior_{task.name}", table)
    store_row_views(rooms, task)


def _agree(keyed: KeyedVotes, labels: np.ndarray, k: int) -> np.ndarray:
    """Return whether each vote is for its row's label, or for several with that one: bool array of shape (n, m)."""
    if keyed.sets is None:
        same: np.ndarray = keyed.votes == labels[:, None]
        return same
    table = np.concatenate([np.eye(k, dtype=bool), keyed.sets])
    held: np.ndarray = table[np.maximum(keyed.votes, 0), np.maximum(labels, 0)[:, None]]
    return held


def store_row_views(rooms: Rooms, task: Task) -> None:
    """Write the views of labels and training labels over the stored labels."""
    posterior, names = f"wsdb.{ident('posterior_' + task.name)}", literals(task.labels)
    view(
        rooms,
        f"labels_{task.name}",
        f"SELECT {idents(task.keys)}, label, prob, map([{names}], probs) AS probs, n_votes, n_conflicts, covered "
        f"FROM {posterior}",
    )
    # Where a task may not apply, the probabilities of its labels sum to less than 1; it is trained on where it does.
    # Those of a bitvector are about one label each; without a vote nothing is known of it, where others are voted on.
    probs = "list_transform(l.probs, lambda p: p / list_sum(l.probs))"
    if task.kind == "bitvector":
        probs = "list_transform(l.probs, lambda p, i: CASE WHEN l.known[i] OR NOT l.covered THEN p END)"
    view(
        rooms,
        f"training_{task.name}",
        f"SELECT {idents(task.keys, 'l.')}, {probs} AS probs, l.covered AND l.label IS NOT NULL AS covered, r.split "
        f"FROM {posterior} AS l JOIN wsdb.{ident('rows_' + task.name)} AS r USING ({idents(task.keys)})",
    )
    store_spans(rooms, task)


def store_spans(rooms: Rooms, task: Task) -> None:
    """Write the macro that shows the labels of a task as spans, where they are those of spans."""
    if has_spans(task):
        keys = task.keys[:-1]
        spans = label_spans_sql(stored("labels_" + task.name), keys)
        select = f'SELECT {idents(keys)}, "start" AS start_pos, "end" AS end_pos, type, prob FROM ({spans})'
        macro(rooms, f"label_spans_{task.name}", (), f"{select} ORDER BY ALL")
    else:
        rooms.engine.run(f"DROP MACRO TABLE IF EXISTS {rooms.engine.table(f'label_spans_{task.name}')}")


def has_spans(task: Task) -> bool:
    """Return whether the labels of a task are those of spans of a sequence's elements."""
    return task.keys[-1].lower() == POS and tag_set(task.labels).bio


def _bit_columns(task: Task, pack: Pack, keyed: KeyedVotes, fitted: RowFit) -> tuple[pa.Array, pa.Array, np.ndarray]:
    """Return the list of labels that apply, its probability, and how many votes say otherwise."""
    yes = fitted.labels == 1
    names = np.array(task.labels, dtype=object)
    label = pa.array(
        [list(names[row]) if there else None for row, there in zip(yes, fitted.covered, strict=True)],
        pa.list_(pa.string()),
    )
    known = np.where(yes, fitted.probabilities, 1 - fitted.probabilities)
    prob = pa.array(np.where(fitted.labels >= 0, known, 1.0).prod(axis=1), pa.float64(), mask=~fitted.covered)
    bits = np.array([bit for _, bit in _matrix(task, pack, keyed).bits], dtype=np.int64)
    decided = fitted.labels[:, bits] if len(bits) else np.zeros(keyed.votes.shape, dtype=np.int64)
    return label, prob, ((keyed.votes != ABSTAIN) & (keyed.votes != decided)).sum(axis=1)


def put_rows_run(
    rooms: Rooms, task: Task, spec: LabelModelSpec, input_hash: str, shape: str, fitted: RowFit, seconds: float
) -> None:
    """Record the fit in the catalog, and say what was done."""
    found: list[tuple[object, ...]] = []
    for j, name in enumerate(fitted.sources):
        for y, label in enumerate(task.coded.labels):
            if not np.isnan(fitted.precision[j, y]):
                figures = (fitted.accuracy[j], fitted.precision[j, y], fitted.propensity[j], fitted.weights[j])
                found.append((name, label, *map(float, figures), float(fitted.stderr[j]), int(fitted.counts[j])))
    rooms.catalog.put_label_run(
        task.name,
        {
            "method": spec.method,
            "chosen": fitted.chosen,
            "reason": fitted.reason,
            "regime": shape,
            "notices": list(fitted.notices),
            "n_rows": fitted.n_rows,
            "n_patterns": fitted.n_patterns,
            "input_hash": input_hash,
            "fit": json.dumps(fitted.parameters),
            "seconds": seconds,
        },
        found,
        [lf.name for lf in rooms.catalog.definitions().lfs(task.name) if lf.enabled],
    )
    rooms.notice(f"labels of task {task.name}: {fitted.chosen}. {fitted.reason}")
    for text in fitted.notices:
        rooms.notice(f"task {task.name}: {text}")


def joint_graph(graph: TaskGraph, tasks: Sequence[Task]) -> JointGraph:
    """Return the feasible label vectors of a task graph.

    A task does not apply where the labels of the others leave it none, and where its APPLIES WHEN rules say so.

    Raises
    ------
    SpecError
        WS342 where a label can never hold, WS343 where there are too many vectors.
    """
    of = {task.name.lower(): task for task in tasks}
    named = [JointTask(task.name, task.labels) for task in tasks]
    rules: list[Constraint] = []
    applies = any(rule.label is None for rule in graph.rules)
    for rule in graph.rules:
        task, other = of[rule.task.lower()], of[rule.other.lower()]
        if rule.label is not None:
            rules.append(Constraint(task.name, rule.label, rule.verb, other.name, rule.other_label))
    if applies:
        table = np.array(
            list(islice(vectors(graph, {name: task.labels for name, task in of.items()}), MAX_VECTORS + 1)),
            dtype=np.int64,
        ).reshape(-1, len(tasks))
        if len(table) > MAX_VECTORS:
            raise SpecError(
                "WS343",
                f"task graph {graph.name} leaves more than {MAX_VECTORS:,} combinations of labels",
                hint="make graphs of fewer tasks, or more rules",
            )
        for at, task in enumerate(tasks):
            never = [label for code, label in enumerate(task.labels) if not (table[:, at] == code).any()]
            if never:
                raise SpecError(
                    "WS342",
                    f"the constraints leave no combination with {task.name} = '{never[0]}'",
                )
        sizes = np.array([len(task.labels) for task in tasks], dtype=np.int64)
        return JointGraph(tuple(named), (Component(np.arange(len(tasks)), sizes, table),))
    return feasible_vectors(named, rules)


def refuse_soft(rooms: Rooms, step: JointFit) -> None:
    """Raise where votes on tasks of a task graph are not for one label each, and sure.

    Raises
    ------
    SpecError
        WS337 with the task.
    """
    snapshot = rooms.catalog.definitions()
    for task, pack in zip(step.tasks, step.packs, strict=True):
        lfs = [lf for lf in snapshot.lfs(task.name) if lf.enabled and rooms.engine.has_confidence(lf)]
        if lfs or rooms.engine.has_sets(pack):
            what = f'a confidence, of "{lfs[0].name}"' if lfs else "votes for one of several labels"
            raise SpecError(
                "WS337",
                f'task graph "{step.graph.name}" needs plain votes, and task "{task.name}" has {what}',
                hint="leave that out, or give the task a label model of its own",
            )


def run_joint(rooms: Rooms, step: JointFit) -> None:
    """Fit one label model over the feasible labels of a task graph, and store the labels of each task."""
    start = time.perf_counter()
    tasks, names = step.tasks, [task.name.lower() for task in step.tasks]
    graph = joint_graph(step.graph, tasks)
    refuse_soft(rooms, step)
    keyed = rooms.engine.keyed_votes(step.packs)
    columns = [(name, at) for at, pack in enumerate(step.packs) for name in pack.columns]
    rooms.progress(f"label model of {', '.join(names)}: {len(keyed.votes):,} rows", 0, 0)
    balances = {at: np.array(task.shares) for at, task in enumerate(tasks) if task.shares is not None}
    fit = fit_joint(graph, keyed.votes, columns, None, balances)
    answer = joint_posterior(fit, keyed.votes)
    read = time.perf_counter()
    place = 0
    for at, (task, pack, hashed) in enumerate(zip(tasks, step.packs, step.input_hashes, strict=True)):
        own = KeyedVotes(keyed.keys, keyed.votes[:, place : place + len(pack.columns)], keyed.offsets)
        place += len(pack.columns)
        k = len(task.labels)
        labels = np.where(answer.labels[:, at] == k, ABSTAIN, answer.labels[:, at])
        sources = [fit.sources.index(name) for name in pack.columns]
        accuracy = fit.accuracy[sources, at]
        given = (own.votes != ABSTAIN).sum(axis=0).astype(np.int64)
        said = np.stack([(own.votes == y).any(axis=0) for y in range(k)], axis=1)
        scores = joint_scores(fit, at, pack.columns, task.labels)
        fitted = RowFit(
            "joint",
            f"The labels of {', '.join(other.name for other in tasks)} are found together, under the rules of task "
            f"graph {step.graph.name}.",
            (),
            pack.columns,
            accuracy,
            np.where(said, accuracy[:, None], np.nan),
            given / max(len(own.votes), 1),
            np.ones(len(pack.columns)),
            given,
            fit.n_rows,
            fit.n_patterns,
            fit.to_dict(),
            answer.marginals[at][:, :k],
            labels,
            answer.covered[:, at],
            scores,
            joint_others(fit, at, pack.columns, own.votes, answer.marginals[at]),
            voted_rates(np.exp(scores.scores)[:, :, :k], given),
        )
        store_rows(rooms, task, pack, own, fitted)
        matrix = _matrix(task, pack, own)
        store_row_stats(rooms, task, counted(rooms, task, pack, matrix, own), matrix, fitted)
        put_rows_run(rooms, task, step.spec, hashed, "joint", fitted, time.perf_counter() - start)
    rooms.profiles[id(step)] = Profile(fit.n_rows, time.perf_counter() - read)
