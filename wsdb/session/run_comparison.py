"""Store what label_model_report reads: how all label model methods compare on a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.core.matrix import RowVotes, SparseVotes, VotePatterns
from wsdb.core.task import Task
from wsdb.labelmodel.compare import compare
from wsdb.monitor.label_scores import stored_scores
from wsdb.monitor.vote_counts import count_votes, some_rows, thinned
from wsdb.session.rooms import Rooms
from wsdb.session.run_stats import columns_of, write

REPORT = [
    ("run", pa.int32()), ("method", pa.string()), ("chosen", pa.string()), ("selected", pa.bool_()),
    ("split", pa.string()), ("n", pa.int64()), ("coverage", pa.float64()), ("agreement", pa.float64()),
    ("log_likelihood", pa.float64()), ("n_gold", pa.int64()), ("accuracy", pa.float64()), ("macro_f1", pa.float64()),
    ("accuracy_all", pa.float64()), ("log_loss", pa.float64()), ("reason", pa.string()),
]  # fmt: skip
"""Columns of label_reports after the task."""
COMPARED = 20_000
"""Vote patterns to which label_model_report fits all methods, and gold patterns of a split that it compares."""


def report(
    rooms: Rooms,
    task: Task,
    counted: Callable[[], RowVotes],
    arguments: Callable[[RowVotes], Mapping[str, Any]],
) -> None:
    """Fit all label model methods and store how they compare, unless what is stored is of the current label run.

    Parameters
    ----------
    counted : reads the votes with the split and gold label of their rows
    arguments : what the label model is fitted with besides the votes and its method
    """
    run, method = _label_run(rooms, task)
    known = rooms.engine.rows(
        f"SELECT 1 FROM {rooms.engine.table('label_reports')} WHERE lower(task) = ? AND run = ? LIMIT 1",
        [task.name.lower(), run],
    )
    if known or run is None:
        return
    rows = counted()
    few = thinned(rows, COMPARED)
    if few is not rows:
        rooms.notice(
            f"label_model_report of task {task.name}: all methods are fitted to {len(few.votes.counts):,} of "
            f"{len(rows.votes.counts):,} vote patterns, drawn at random"
        )
    splits, _ = count_votes(rows)
    sizes = list(zip(splits.splits, splits.n.tolist(), splits.covered.tolist(), splits.gold.tolist(), strict=True))
    lines = []
    for made in compare(few.distinct, method=method, **arguments(rows), evaluation=_evaluation(rows)):
        for split, n, covered, gold in sizes:
            found = made.scores.get(split or "")
            scores = (found.accuracy, found.macro_f1, found.accuracy_all, found.log_loss) if found else (None,) * 4
            coverage = None if made.coverage is None or not n else covered / n
            lines.append(
                (
                    run, made.method, made.chosen, made.selected, split, n, coverage, _number(made.agreement),
                    _number(made.log_likelihood), gold, *map(_number, scores), made.reason,
                )
            )  # fmt: skip
    write(rooms, task, "label_reports", columns_of(REPORT, lines))


def report_stored(rooms: Rooms, task: Task) -> None:
    """Store how the labels that are stored row by row compare with gold, unless that is of the current label run."""
    run, method = _label_run(rooms, task)
    if run is None:
        return
    (chosen, reason) = rooms.engine.rows(
        f"SELECT chosen, reason FROM {rooms.engine.table('label_runs')} WHERE lower(task) = ?", [task.name.lower()]
    )[0]
    lines = [
        (run, method, chosen, True, split, n, coverage, 1.0, None, gold, *scores, reason)
        for split, n, coverage, gold, *scores in rooms.engine.rows(stored_scores(task))
    ]
    write(rooms, task, "label_reports", columns_of(REPORT, lines))


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _label_run(rooms: Rooms, task: Task) -> tuple[int | None, str]:
    """Return the number and the method of the current label run."""
    found = rooms.engine.rows(
        f"SELECT run, method FROM {rooms.engine.table('label_runs')} WHERE lower(task) = ?", [task.name.lower()]
    )
    return found[0] if found else (None, "")


def _evaluation(rows: RowVotes) -> dict[str, tuple[VotePatterns | SparseVotes, np.ndarray]]:
    """Return the votes and gold labels of the rows of each split that have one; rows without a split are in ''."""
    found: dict[str, tuple[VotePatterns | SparseVotes, np.ndarray]] = {}
    for split in dict.fromkeys(rows.split.tolist()):
        known = np.flatnonzero((rows.split == split) & (rows.gold >= 0))
        if len(known):
            votes = some_rows(rows.votes, known)
            few = thinned(RowVotes(votes, rows.split[known], rows.gold[known], votes), COMPARED)
            found[split or ""] = (few.votes, few.gold)
    return found
