"""Store what the analysis functions read of labels that are stored row by row: counts, scores and macros."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.core.sqltext import ident, stored
from wsdb.core.task import Task
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.row_edges import row_edges
from wsdb.labelmodel.row_scores import RowScores
from wsdb.labelmodel.shapes import RowFit, RowVoteMatrix
from wsdb.monitor.explain_stored import select_body, stored_body
from wsdb.monitor.vote_counts import VoteCounts
from wsdb.monitor.vote_pairs import copies
from wsdb.session.given_pairs import given_pairs
from wsdb.session.rooms import Rooms
from wsdb.session.run_counts import Counted
from wsdb.session.run_row_counts import set_names
from wsdb.session.run_stats import (
    columns_of,
    confusion_rows,
    dependency_rows,
    forget,
    labelled,
    names_of,
    store_counts,
    store_macros,
    write,
)

SILENT = -1
"""The code of no vote, in wsdb.label_scores, where that is evidence."""


def store_row_stats(rooms: Rooms, task: Task, counted: Counted, matrix: RowVoteMatrix, fitted: RowFit) -> None:
    """Rewrite what is stored of a task for the analysis functions.

    Parameters
    ----------
    counted : the votes of its label matrix, counted
    """
    sets, scores = set_names(task, matrix.sets), fitted.scores
    votes = (*task.coded.labels, *sets)
    store_counts(rooms, task, counted, votes)
    if counted.shares is not None:
        rooms.engine.keep_changes(counted.pack)
    text = pa.string()
    write(rooms, task, "vote_sets", columns_of([("label", text), ("labels", pa.list_(text))], list(sets.items())))
    for table in ("label_scores", "label_bias"):
        forget(rooms, task, table)
    write(rooms, task, "lf_dependencies", _dependency_rows(rooms, task, counted, matrix, fitted))
    write(rooms, task, "label_confusion", confusion_rows(fitted.sources, task.coded.labels, fitted.confusion))
    if scores is not None:
        write(rooms, task, "label_scores", _score_rows(counted.pack.columns, votes, scores, counted.counts))
        write(rooms, task, "label_bias", _bias_rows(scores))
    rows = labelled(rooms, task, counted, _stored_labels(task))
    rows = replace(rows, bits=tuple(task.labels[bit] for _, bit in matrix.bits), sets=bool(sets))
    if scores is None:
        store_macros(rooms, rows, select_body)
    else:
        unsure = matrix.confidence is not None and task.kind != "bitvector" and scores.share is not None
        prior = scores.rest is None or bool(scores.bias.any())
        store_macros(rooms, rows, lambda one: stored_body(one, scores.rest, prior=prior, unsure=unsure))


def _stored_labels(task: Task) -> Callable[[str, Sequence[str]], str]:
    """Return the function that writes the SELECT of stored labels of any rows of the label matrix."""

    def select(query: str, keep: Sequence[str]) -> str:
        keys = [ident(key) for key in task.keys]
        kept = ", ".join(f"__kept.{name}" for name in keep)
        return (
            f"SELECT {kept}, l.* EXCLUDE ({', '.join(keys)}) FROM ({query}) AS __kept "
            f"JOIN {stored('labels_' + task.name)} AS l USING ({', '.join(keys)})"
        )

    return select


def _dependency_rows(
    rooms: Rooms, task: Task, counted: Counted, matrix: RowVoteMatrix, fitted: RowFit
) -> dict[str, Any]:
    """Return the pairs of sources that depend on each other, by their text or by their votes."""
    counts, pairs = counted.counts, counted.pairs
    same = pairs.value_left == pairs.value_right
    agreed = PairCounts(pairs.left[same], pairs.right[same], pairs.value_left[same], pairs.n[same].astype(float))
    given = given_pairs(rooms, task, matrix.sources)
    copied = copies(pairs, np.bincount(counts.source, weights=counts.n, minlength=len(matrix.sources)))
    return dependency_rows(matrix.sources, row_edges(matrix, fitted, agreed), given, copied)


def _score_rows(columns: Sequence[str], votes: Sequence[str], scores: RowScores, counts: VoteCounts) -> dict[str, Any]:
    """Return the evidence of each vote that was cast, and of silence, for each class; votes about one label for it."""
    n_codes, c = scores.scores.shape[1:]
    cast = np.unique(counts.source * n_codes + counts.value)
    source, code = np.divmod(cast, n_codes)
    table = scores.scores[source, code]
    share = np.zeros(table.shape) if scores.share is None else scores.share[source, code]
    if scores.silence is not None:
        source = np.concatenate([source, np.arange(len(columns))])
        code = np.concatenate([code, np.full(len(columns), SILENT)])
        table = np.concatenate([table, scores.silence])
        share = np.concatenate([share, np.zeros(scores.silence.shape)])
    classes = np.tile(np.arange(c), len(source))
    source, code = np.repeat(source, c), np.repeat(code, c)
    kept = np.ones(len(source), dtype=bool) if scores.about is None else scores.about[source] == classes
    return {
        "source": source[kept].astype(np.int32),
        "lf": names_of(columns, source[kept]),
        "code": code[kept].astype(np.int16),
        "vote": names_of(votes, code[kept]),
        "class": classes[kept].astype(np.int16),
        "label": names_of(scores.classes, classes[kept]),
        "score": table.ravel()[kept],
        "share": share.ravel()[kept],
    }


def _bias_rows(scores: RowScores) -> dict[str, Any]:
    c = len(scores.classes)
    return {
        "class": np.arange(c, dtype=np.int16),
        "label": pa.array(scores.classes, pa.string()),
        "bias": scores.bias,
        "prior": scores.prior,
        "mix": pa.nulls(c, pa.float64()) if scores.mix is None else np.full(c, float(scores.mix)),
        "power": np.full(c, float(scores.power)),
    }
