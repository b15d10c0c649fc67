"""Plan the label matrix and the labels: compute what is new or changed, keep the rest."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.catalog.fingerprint import data_hash, digest
from wsdb.catalog.snapshot import CatalogSnapshot, StoredMatrix
from wsdb.core.errors import DataError, SpecError
from wsdb.core.lf import LabelingFunction
from wsdb.core.sqltext import literals
from wsdb.core.task import Task
from wsdb.planner.facts import TaskFacts
from wsdb.planner.steps import Column, Fit, Fuse, Isolate, LabelMatrix, Pack, Reuse, Scan, Scatter, Step

MAX_COLUMNS = 2_000
"""The wide label matrix holds up to this many vote sources."""
LOOKUPS = 8
"""This many labeling functions that look something up share a scan."""
ALWAYS = "always"
"""The stored input hash of a column whose inputs cannot be fingerprinted: equal to no hash."""


def columns_of(lfs: Sequence[LabelingFunction], facts: TaskFacts) -> tuple[Column, ...]:
    """Return the columns a task's label matrix should have: one for each enabled LF and source.

    Raises
    ------
    SpecError
        WS311 where there are more than the wide label matrix holds.
    DataError
        WS407 where two sources would have one column, because names of columns are compared without case.
    """
    columns: list[Column] = []
    taken: dict[str, str] = {}
    for lf in lfs:
        if not lf.enabled:
            continue
        known = facts.lfs[lf.name]
        for source in known.sources:
            name = lf.name if source is None else f"{lf.name}:{source}"
            other = taken.setdefault(name.lower(), name)
            if source is not None and other != name:
                raise DataError(
                    "WS407",
                    f'sources {literals([other.partition(":")[2], source])} of labeling function "{lf.name}" differ '
                    "only in case; a column of the label matrix is named after each",
                    hint="name voters apart, for example with lower(source) or a number in a view",
                )
            columns.append(Column(name, lf, source, known.input_hash or ALWAYS))
    if len(columns) > MAX_COLUMNS:
        raise SpecError(
            "WS311",
            f"{len(columns)} vote sources are more than the {MAX_COLUMNS} a label matrix holds",
            hint="vote with fewer sources, or drop those with few votes",
        )
    return tuple(columns)


def plan_matrix(
    task: Task, lfs: Sequence[LabelingFunction], known: StoredMatrix | None, facts: TaskFacts, *, full: bool = False
) -> Step:
    """Return the step that makes the label matrix of a task current: Reuse where nothing has changed.

    With `full`, what is stored saves only the check of keys that have been checked.
    """
    columns = columns_of(lfs, facts)
    stored = None if full else known
    old = {} if stored is None else {column.name: column.input_hash for column in stored.columns}
    same_rows = stored is not None and stored.keys_hash == facts.keys_hash
    changed = tuple(
        column
        for column in columns
        if not same_rows or column.input_hash == ALWAYS or old.get(column.name) != column.input_hash
    )
    kept = tuple(column.name for column in columns if column not in changed)
    if same_rows and not changed and len(old) == len(columns):
        return Reuse("label matrix", (task.name,))
    write = "create" if not same_rows else "update" if set(old) == {column.name for column in columns} else "rewrite"
    parts = fuse(task, changed, facts) + scatter(changed) + ((Reuse("columns", kept),) if kept else ())
    checked = known is not None and known.keys_hash == facts.keys_hash
    return LabelMatrix(task, write, columns, facts.keys_hash, facts.n_rows, parts, checked)


def fuse(task: Task, changed: Sequence[Column], facts: TaskFacts) -> tuple[Step, ...]:
    """Put all row and python labeling functions into one scan of the columns they read.

    DuckDB takes ever longer to plan a SELECT with many look-ups (20 of them ten times as long as 10, and 60 took
    minutes), so beyond `LOOKUPS` of them they share scans in that number.
    """
    fused = tuple(column for column in changed if column.lf.scope in ("row", "python"))
    if not fused:
        return ()
    reads = list(task.keys)
    for column in fused:
        reads += [read for read in facts.lfs[column.lf.name].reads if read not in reads]
    lookups = tuple(column for column in fused if facts.lfs[column.lf.name].looks_up)
    if len(lookups) <= LOOKUPS:
        groups: tuple[tuple[Column, ...], ...] = (fused,)
    else:
        plain = tuple(column for column in fused if column not in lookups)
        chunks = tuple(lookups[at : at + LOOKUPS] for at in range(0, len(lookups), LOOKUPS))
        groups = (plain, *chunks) if plain else chunks
    return (Isolate(Fuse(groups, Scan(task.relation, tuple(reads)))),)


def scatter(changed: Sequence[Column]) -> tuple[Step, ...]:
    """Read each relation and vote labeling function on its own."""
    by_lf: dict[str, list[Column]] = {}
    for column in changed:
        if column.lf.scope in ("relation", "votes"):
            by_lf.setdefault(column.lf.name, []).append(column)
    return tuple(Scatter(tuple(columns)) for columns in by_lf.values())


def bits(n_classes: int) -> int:
    """Return how many bits hold a vote: abstain and the classes."""
    return n_classes.bit_length()


def per_word(n_classes: int) -> int:
    """Return how many votes fit into a 64-bit word."""
    return 64 // bits(n_classes)


def pack(task: Task, columns: Sequence[str], matrix: Step) -> Pack:
    """Return the step that counts vote patterns: as many votes as fit share a word."""
    size = per_word(len(task.labels))
    return Pack(task, tuple(columns), -(-len(columns) // size), matrix)


def plan_labels(
    task: Task, snapshot: CatalogSnapshot, facts: TaskFacts, *, full: bool = False, matrix_only: bool = False
) -> Step:
    """Return the step that makes a task's labels (or its label matrix alone) current.

    Labels that are stored are views over the matrix: a matrix that changes takes them along even where only the
    matrix was asked for, so that no stored view is left without its columns.
    """
    name = task.name.lower()
    lfs, spec = snapshot.lfs(name), snapshot.label_model(name)
    matrix = plan_matrix(task, lfs, snapshot.matrices.get(name), facts, full=full)
    if matrix_only and (isinstance(matrix, Reuse) or name not in snapshot.label_runs):
        return matrix
    columns = columns_of(lfs, facts)
    hashed = labels_hash(task, columns, facts, data_hash(spec))
    unchanged = isinstance(matrix, Reuse) and snapshot.label_runs.get(name) == hashed
    if unchanged and not full:
        return Reuse("labels", (task.name,))
    return Fit(task, spec, hashed, pack(task, [column.name for column in columns], matrix))


def labels_hash(task: Task, columns: Sequence[Column], facts: TaskFacts, label_model: str) -> str:
    """Return the hash of everything the labels of a task depend on."""
    return digest(
        data_hash(task),
        facts.keys_hash,
        label_model,
        *(f"{column.name}={column.input_hash}" for column in columns),
    )
