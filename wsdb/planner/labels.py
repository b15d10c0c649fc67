"""Plan the labels of a task: its label matrix, its vote patterns, one fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsdb.catalog.fingerprint import data_hash, digest
from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.specs import LabelModelSpec
from wsdb.core.task import Task
from wsdb.planner.columns import columns_of, storage_of
from wsdb.planner.facts import TaskFacts
from wsdb.planner.matrix import plan_matrix
from wsdb.planner.pack import pack
from wsdb.planner.steps import Column, Fit, JointFit, Pack, Reuse, Step


def plan_labels(
    task: Task,
    snapshot: CatalogSnapshot,
    facts: Mapping[str, TaskFacts],
    *,
    full: bool = False,
    matrix_only: bool = False,
) -> Step:
    """Return the step that makes a task's labels (or its label matrix alone) current.

    Labels that are stored are views over the matrix: a matrix that changes takes them along even where only the
    matrix was asked for, so that no stored view is left without its columns.

    Parameters
    ----------
    facts : by lower-cased name those of the task, and of all tasks of its task graph where it has one
    """
    name = task.name.lower()
    spec, own = snapshot.label_model(name), facts[name]
    matrix = plan_matrix(task, snapshot.lfs(name), snapshot.matrices.get(name), own, full=full)
    if matrix_only and (isinstance(matrix, Reuse) or name not in snapshot.label_runs):
        return matrix
    if spec.graph is not None:
        return plan_joint(spec, snapshot, facts, full=full)
    hashed = hash_of(task, snapshot, facts)
    unchanged = isinstance(matrix, Reuse) and snapshot.label_runs.get(name) == hashed
    if unchanged and not full:
        return Reuse("labels", (task.name,))
    return Fit(task, spec, hashed, packed(task, snapshot, own, matrix))


def plan_joint(
    spec: LabelModelSpec, snapshot: CatalogSnapshot, facts: Mapping[str, TaskFacts], *, full: bool = False
) -> Step:
    """Return the step that makes the labels of all tasks of a task graph current."""
    assert spec.graph is not None
    graph = snapshot.task_graph(spec.graph)
    tasks = tuple(snapshot.task(name) for name in graph.tasks)
    packs, fresh = [], True
    shared = digest(*(hash_of(task, snapshot, facts) for task in tasks), *(rule.text for rule in graph.rules))
    hashes = tuple(digest(shared, task.name) for task in tasks)
    for task, hashed in zip(tasks, hashes, strict=True):
        low = task.name.lower()
        matrix = plan_matrix(task, snapshot.lfs(low), snapshot.matrices.get(low), facts[low], full=full)
        packs.append(packed(task, snapshot, facts[low], matrix))
        fresh = fresh and isinstance(matrix, Reuse) and snapshot.label_runs.get(low) == hashed
    if fresh and not full:
        return Reuse("labels", tuple(task.name for task in tasks))
    return JointFit(tasks, spec, graph, hashes, tuple(packs))


def packed(task: Task, snapshot: CatalogSnapshot, facts: TaskFacts, matrix: Step) -> Pack:
    """Return the step that reads the votes of a task."""
    columns = columns_of(task, snapshot.lfs(task.name), facts)
    return pack(task.coded, [column.name for column in columns], matrix, storage_of(columns))


def hash_of(task: Task, snapshot: CatalogSnapshot, facts: Mapping[str, TaskFacts]) -> str:
    """Return the hash of everything the labels of a task depend on, its task graph aside."""
    own, lfs = facts[task.name.lower()], snapshot.lfs(task.name)
    pairs = [f"{lf.name}~{other}" for lf in lfs for other in lf.depends_on]
    label_model = digest(data_hash(snapshot.label_model(task.name)), *pairs)
    return labels_hash(task, columns_of(task, lfs, own), own, label_model)


def labels_hash(task: Task, columns: Sequence[Column], facts: TaskFacts, label_model: str) -> str:
    """Return the hash of everything the labels of a task depend on."""
    return digest(
        data_hash(task),
        facts.rows_hash,
        facts.gold_hash,
        label_model,
        *(f"{column.name}={column.input_hash}" for column in columns),
    )
