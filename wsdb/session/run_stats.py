"""Store what the analysis functions read, with each fit: counts of votes, the label model as numbers, and macros."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.core.sqltext import AT, ident, literal, stored
from wsdb.core.task import Task
from wsdb.labelmodel.dependencies import Dependency
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.score import ScoreForm
from wsdb.labelmodel.sparse_sql import labels_select_sparse
from wsdb.labelmodel.sql import labels_select
from wsdb.monitor.explain_row import explain_body
from wsdb.monitor.labelled import Labelled
from wsdb.monitor.lf_rows import buckets_body, confusion_body, errors_body
from wsdb.monitor.review import gaps_body, issues_body, prediction_issues_body, sample_body
from wsdb.monitor.vote_counts import SplitCounts, VoteCounts
from wsdb.monitor.vote_pairs import VotePairs, copies
from wsdb.session.rooms import Rooms
from wsdb.session.run_counts import Counted, share_rows
from wsdb.session.stored import macro

TABLES = (
    "split_counts", "vote_counts", "vote_pairs", "vote_sets", "vote_shares", "lf_dependencies", "label_scores",
    "label_bias", "label_reports", "label_confusion",
)  # fmt: skip
"""Tables of schema wsdb that are written here; their rows belong to a task."""
BODIES: dict[str, tuple[tuple[str, ...], Callable[[Labelled], str]]] = {
    "lf_errors": (("of_lf",), errors_body),
    "lf_confusion": (("of_lf",), confusion_body),
    "label_buckets": (("lf_a", "lf_b"), buckets_body),
    "coverage_gaps": (("of_by",), gaps_body),
    "sample_for_review": (("of_n", "strategy", "seed"), sample_body),
    "label_issues": ((), issues_body),
    "prediction_issues": (("of_predictions",), prediction_issues_body),
}
MACROS = (*BODIES, "explain_row")
"""Macros of schema wsdb that are written here, one of each for a task."""


def store(
    rooms: Rooms,
    task: Task,
    counted: Counted,
    fitted: Fit,
    dependencies: Sequence[tuple[str, str, str]],
) -> None:
    """Rewrite what is stored of a task for the analysis functions.

    Parameters
    ----------
    counted : the votes of its label matrix, counted
    dependencies : (source, source, reason) as they were given to the fit; a pair may have several reasons
    """
    counts, columns, storage = counted.counts, counted.pack.columns, counted.pack.storage
    store_counts(rooms, task, counted, task.labels)
    if storage == "wide":
        rooms.engine.keep_changes(counted.pack)
    forget(rooms, task, "vote_sets")
    copied = copies(counted.pairs, np.bincount(counts.source, weights=counts.n, minlength=len(columns)))
    rows = dependency_rows(fitted.sources, fitted.dependencies, dependencies, copied)
    write(rooms, task, "lf_dependencies", rows)
    write(rooms, task, "label_scores", _score_rows(task, columns, fitted.form, counts))
    write(rooms, task, "label_bias", _bias_rows(task, fitted.form))
    write(rooms, task, "label_confusion", confusion_rows(fitted.sources, task.labels, fitted.confusion))
    store_macros(rooms, labelled(rooms, task, counted, _labeller(task, columns, storage, fitted.form)), explain_body)


def store_counts(rooms: Rooms, task: Task, counted: Counted, votes: Sequence[str]) -> None:
    """Write the counts of a label matrix; `votes` are the names of the codes that are voted."""
    splits, columns = counted.splits, counted.pack.columns
    write(rooms, task, "split_counts", _split_rows(splits))
    write(rooms, task, "vote_counts", _count_rows(votes, columns, splits, counted.counts))
    write(rooms, task, "vote_pairs", _pair_rows(votes, columns, counted.pairs))
    write(rooms, task, "vote_shares", share_rows(counted))


def labelled(rooms: Rooms, task: Task, counted: Counted, select: Callable[[str, Sequence[str]], str]) -> Labelled:
    """Return what the reports on rows select from."""
    relation = rooms.engine.qualified(f"FROM {task.relation}", AT)
    return Labelled(task, counted.n_rows, counted.pack.columns, counted.pack.storage, relation, select)


def store_macros(rooms: Rooms, rows: Labelled, explain: Callable[[Labelled], str]) -> None:
    """Write the macros of the reports on rows; `explain` is the body of explain_row."""
    for name, (parameters, body) in BODIES.items():
        macro(rooms, f"{name}_{rows.task.name}", parameters, body(rows))
    macro(rooms, f"explain_row_{rows.task.name}", ("of_key",), explain(rows))


def forget(rooms: Rooms, task: Task, table: str) -> None:
    """Remove a task's rows of a table."""
    rooms.engine.run(f"DELETE FROM {rooms.engine.table(table)} WHERE lower(task) = {literal(task.name.lower())}")


def _labeller(task: Task, columns: Sequence[str], storage: str, form: ScoreForm) -> Callable[[str, Sequence[str]], str]:
    """Return the function that writes the SELECT of labels over any rows of the label matrix."""

    def wide(query: str, keep: Sequence[str]) -> str:
        names = [ident(column) for column in columns]
        return labels_select(form, relation=f"({query})", keys=keep, columns=names, labels=task.labels)

    def sparse(query: str, keep: Sequence[str]) -> str:
        votes = stored("votes_" + task.name)
        labels = labels_select_sparse(
            form,
            votes=f"(SELECT * FROM {votes} WHERE __id IN (SELECT __id FROM ({query})))",
            rows=f"(SELECT __id FROM ({query}))",
            scores=stored("scores_labels_" + task.name),
            keys=["__id"],
            labels=task.labels,
        )
        kept = ", ".join(f"__kept.{name}" for name in keep)
        return f"SELECT {kept}, l.* EXCLUDE (__id) FROM ({query}) AS __kept JOIN ({labels}) AS l USING (__id)"

    return sparse if storage == "sparse" else wide


def write(rooms: Rooms, task: Task, table: str, columns: Mapping[str, Any]) -> None:
    """Replace a task's rows of a table; `columns` are those after the task, in the order of the table."""
    engine = rooms.engine
    forget(rooms, task, table)
    rows = pa.table(dict(columns))
    if rows.num_rows:
        rows = rows.add_column(0, "task", pa.repeat(pa.scalar(task.name), rows.num_rows))
        engine.relation(rows).insert_into(engine.table(table))


def columns_of(fields: Sequence[tuple[str, pa.DataType]], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return rows as columns of the given names and types."""
    return {name: pa.array([row[at] for row in rows], kind) for at, (name, kind) in enumerate(fields)}


def names_of(names: Sequence[str | None], codes: np.ndarray) -> pa.Array:
    """Return the names that codes stand for; NULL for -1."""
    return pa.array(names, pa.string()).take(pa.array(codes, mask=codes < 0))


def _split_rows(splits: SplitCounts) -> dict[str, Any]:
    names = pa.array(splits.splits, pa.string())
    return {"split": names, "n": splits.n, "covered": splits.covered, "gold": splits.gold}


def _count_rows(
    votes: Sequence[str], columns: Sequence[str], splits: SplitCounts, counts: VoteCounts
) -> dict[str, Any]:
    return {
        "split": names_of(splits.splits, counts.split),
        "lf": names_of(columns, counts.source),
        "label": names_of(votes, counts.value),
        "gold": names_of(votes, counts.gold),
        "n": counts.n,
        "overlap": counts.overlap,
        "conflict": counts.conflict,
    }


def _pair_rows(votes: Sequence[str], columns: Sequence[str], pairs: VotePairs) -> dict[str, Any]:
    return {
        "lf_a": names_of(columns, pairs.left),
        "lf_b": names_of(columns, pairs.right),
        "label_a": names_of(votes, pairs.value_left),
        "label_b": names_of(votes, pairs.value_right),
        "n": pairs.n,
    }


def dependency_rows(
    sources: Sequence[str],
    found: Sequence[Dependency],
    given: Sequence[tuple[str, str, str]],
    copied: Mapping[int, tuple[int, int]],
) -> dict[str, Any]:
    """Return a row for each pair and reason, the pair in the order of the label matrix; scores where measured.

    Parameters
    ----------
    found : what a fit says; it gives a pair one reason only: that it was given, although the votes may show more
    given : (source, source, reason) as known before the votes were read; a pair may have several reasons
    copied : by number of a source, that of the one that it repeats, and on how many rows
    """
    place = {name: at for at, name in enumerate(sources)}
    edges: dict[tuple[str, str, str], tuple[float | None, float | None, int | None]] = {}
    measured: dict[tuple[str, str], tuple[float | None, float | None, int | None]] = {}
    for edge in found:
        a, b = sorted((edge.source_a, edge.source_b), key=place.__getitem__)
        measured[a, b] = (edge.r, edge.z, edge.rows)
        edges[a, b, edge.reason] = measured[a, b]
        if edge.z is not None:
            edges[a, b, "learned"] = measured[a, b]
    for one, two, reason in given:
        a, b = sorted((one, two), key=place.__getitem__)
        edges.setdefault((a, b, reason), measured.get((a, b), (None, None, None)))
    for right, (left, n) in copied.items():
        edges[sources[left], sources[right], "copy"] = (1.0, None, n)
    text, number = pa.string(), pa.float64()
    fields = [("lf_a", text), ("lf_b", text), ("reason", text), ("score", number), ("z", number), ("n", pa.int64())]
    return columns_of(fields, [(*key, *value) for key, value in edges.items()])


def _score_rows(task: Task, columns: Sequence[str], form: ScoreForm, counts: VoteCounts) -> dict[str, Any]:
    """Return the evidence of each vote that was cast for each class."""
    k = form.n_classes
    cast = np.unique(counts.source * k + counts.value)
    source, code = (np.repeat(part, k) for part in np.divmod(cast, k))
    classes = np.tile(np.arange(k), len(cast))
    weights = np.ones(form.n_sources) if form.share_weights is None else form.share_weights
    return {
        "source": source.astype(np.int32),
        "lf": names_of(columns, source),
        "code": code.astype(np.int16),
        "vote": names_of(task.labels, code),
        "class": classes.astype(np.int16),
        "label": names_of(task.labels, classes),
        "score": form.temperature * form.scores[source, code, classes],
        "share": np.where(code == classes, weights[source], 0.0),
    }


def confusion_rows(sources: Sequence[str], labels: Sequence[str], confusion: np.ndarray | None) -> dict[str, Any]:
    """Return how often each source that votes is expected to vote each label on rows of each class.

    Parameters
    ----------
    confusion : float64 array of shape (m, k, k), [j, v, y]; NaN of a source that never votes; None for none
    """
    m, k = len(sources), len(labels)
    shares = np.full((m, k, k), np.nan) if confusion is None else confusion
    source, label, truth = (part.ravel() for part in np.indices((m, k, k)))
    kept = ~np.isnan(shares.ravel())
    return {
        "lf": names_of(sources, source[kept]),
        "truth": names_of(labels, truth[kept]),
        "label": names_of(labels, label[kept]),
        "p": shares.ravel()[kept],
    }


def _bias_rows(task: Task, form: ScoreForm) -> dict[str, Any]:
    k = form.n_classes
    mix = pa.nulls(k, pa.float64()) if form.share_mix is None else np.full(k, float(form.share_mix))
    return {
        "class": np.arange(k, dtype=np.int16),
        "label": pa.array(task.labels, pa.string()),
        "bias": form.temperature * form.bias,
        "prior": form.prior,
        "mix": mix,
        "power": np.full(k, float(form.share_power)),
    }
