"""Run a Fit step: read the votes, fit the label model, and store its posterior as views."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.catalog.label_models import check_options, shape_of
from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import SpecError
from wsdb.core.matrix import RowVotes, SparseVotes, VotePatterns
from wsdb.core.specs import LabelModelSpec
from wsdb.core.sqltext import ident, idents, literals
from wsdb.core.task import Task
from wsdb.labelmodel.compare import compare
from wsdb.labelmodel.fitted import Fit as FittedLabelModel
from wsdb.labelmodel.gold import GoldRows
from wsdb.labelmodel.methods import fit
from wsdb.labelmodel.options import Options
from wsdb.labelmodel.score import ScoreForm
from wsdb.labelmodel.sparse_sql import labels_select_sparse, score_rows
from wsdb.labelmodel.sql import labels_select
from wsdb.labelmodel.summary import Summary, fits_some
from wsdb.monitor.vote_counts import some_rows, thinned
from wsdb.planner.explain import Profile
from wsdb.planner.pack import pack
from wsdb.planner.steps import Fit, Pack, Reuse
from wsdb.session import run_stats
from wsdb.session.given_pairs import given_pairs
from wsdb.session.rooms import Rooms
from wsdb.session.run_comparison import COMPARED
from wsdb.session.run_counts import Counted, count
from wsdb.session.run_shapes import run_shape, store_spans
from wsdb.session.stored import view


def run_fit(rooms: Rooms, step: Fit) -> None:
    """Read the votes, fit the label model, and store its posterior as views and its statistics as tables."""
    task, spec, start = step.task, step.spec, time.perf_counter()
    shape = shape_of(task, spec, rooms.catalog.definitions())
    sets = rooms.engine.has_sets(step.pack)
    if sets and spec.method != "auto":
        raise SpecError(
            "WS337",
            f'USING {spec.method} reads votes for one label each; task "{task.name}" has votes for one of several',
            hint="USING auto reads them",
        )
    if shape is None and (sets or unsure(rooms, step)):
        shape = "soft"
        check_options(spec, "the label model of votes with a confidence")
    if shape is not None:
        run_shape(rooms, step, shape, rooms.engine.keyed_votes((step.pack,)))
        return
    counts = count(rooms, step.pack, learns=Options(structure=spec.structure).learns)
    votes, gold, rows = read_votes(rooms, step, counts)
    counted = time.perf_counter()
    n_patterns = votes.n_patterns if isinstance(votes, Summary) else len(votes.counts)
    rooms.profiles[id(step.pack)] = Profile(n_patterns, counted - start)
    rooms.progress(f"label model of {task.name}: {n_patterns:,} vote patterns", 0, 0)
    arguments = fit_arguments(rooms, task, spec, gold)
    method = spec.method if rows is None else selected(rooms, task, spec, rows, arguments)
    fitted = replace(fit(votes, method=method, **arguments), method=spec.method)
    store_label_views(rooms, task, step.pack, fitted)
    run_stats.store(rooms, task, counts, fitted, arguments["dependencies"])
    put_label_run(rooms, step, fitted, time.perf_counter() - start)
    rooms.profiles[id(step)] = Profile(fitted.n_rows, time.perf_counter() - counted)
    rooms.notice(f"labels of task {task.name}: {fitted.chosen}. {fitted.reason}")
    for text in fitted.notices:
        rooms.notice(f"task {task.name}: {text}")


def read_votes(
    rooms: Rooms, step: Fit, counts: Counted
) -> tuple[VotePatterns | SparseVotes | Summary, RowVotes, RowVotes | None]:
    """Return what a label model is fitted to, votes with the gold rows of dev among them, and all votes to select on.

    Where the label model is fitted to counts and a sample, no more is read than that and the gold rows.
    """
    spec, profile = step.spec, counts.profile
    learns = Options(structure=spec.structure).learns
    if profile is not None and spec.use_dev != "select" and fits_some(spec.method, spec.regime, profile):
        return counts.summary(rooms, learns=learns), rooms.engine.counted_votes(step.pack, gold_of="dev"), None
    rows = rooms.engine.votes(step.pack)
    return rows.distinct, rows, rows if spec.use_dev == "select" else None


def selected(rooms: Rooms, task: Task, spec: LabelModelSpec, rows: RowVotes, arguments: Mapping[str, Any]) -> str:
    """Return the method whose labels score best on the gold rows of the dev split: mean of accuracy and macro F1.

    Raises
    ------
    SpecError
        WS315 without gold rows in dev.
    """
    known = dev_gold(task, rows, "select")
    dev = some_rows(rows.votes, known), rows.gold[known]
    few = thinned(rows, COMPARED)
    scored = {
        one.method: (found.accuracy + found.macro_f1) / 2
        for one in compare(few.distinct, **arguments, evaluation={"dev": dev})
        if (found := one.scores.get("dev")) is not None and not np.isnan(found.accuracy + found.macro_f1)
    }
    best = max(scored, key=lambda name: (scored[name], name == "auto")) if scored else "auto"
    rooms.notice(
        f"label model of task {task.name}: {best} is selected, with the best score on {len(known):,} patterns of gold "
        f"rows in dev ({scored.get(best, 0):.3f}; auto has {scored.get('auto', 0):.3f})"
    )
    return best


def unsure(rooms: Rooms, step: Fit) -> bool:
    """Return whether some vote on a task comes with a confidence below 1 that its label model counts."""
    lfs = rooms.catalog.definitions().lfs(step.task.name)
    if step.spec.method != "auto" or not any(lf.enabled and rooms.engine.has_confidence(lf) for lf in lfs):
        return False
    table, names = rooms.engine.table(f"confidence_{step.task.name}"), literals(step.pack.columns)
    return bool(rooms.engine.rows(f"SELECT 1 FROM {table} WHERE confidence < 1 AND column_name IN ({names}) LIMIT 1"))


def pack_of(task: Task, snapshot: CatalogSnapshot) -> Pack:
    """Return the step that reads the votes of the stored label matrix of a task."""
    stored = snapshot.matrices[task.name.lower()]
    names = [column.name for column in stored.columns]
    return pack(task, names, Reuse("label matrix", (task.name,)), stored.storage)


def fit_arguments(rooms: Rooms, task: Task, spec: LabelModelSpec, rows: RowVotes) -> dict[str, Any]:
    """Return what a label model is fitted with, besides the votes and its method."""
    return {
        "balance": None if task.shares is None else np.array(task.shares),
        "regime": spec.regime,
        "gold": gold_rows(rooms, task, rows) if spec.use_dev == "anchor" else None,
        "labels": task.labels,
        "options": Options(
            max_iter=spec.max_iter,
            tol=spec.tol,
            abstain_informative=spec.abstain_informative,
            prior=spec.prior,
            structure=spec.structure,
            calibrate=spec.calibrate,
        ),
        "dependencies": [
            pair
            for pair in given_pairs(rooms, task, rows.votes.sources)
            if spec.structure != "declared" or pair[2] == "declared"
        ],
    }


def gold_rows(rooms: Rooms, task: Task, rows: RowVotes) -> GoldRows:
    """Return the votes and gold labels of the dev split.

    Raises
    ------
    SpecError
        WS315 where the task has no gold rows in dev.
    """
    known = dev_gold(task, rows, "anchor")
    votes = rows.votes
    rooms.notice(f"label model of task {task.name} used {int(votes.counts[known].sum()):,} gold rows of the dev split")
    if isinstance(votes, SparseVotes):
        place = np.full(len(votes.counts), -1)
        place[known] = np.arange(len(known))
        here = place[votes.row] >= 0
        dense = np.full((len(known), len(votes.sources)), -1, dtype=np.int16)
        dense[place[votes.row[here]], votes.source[here]] = votes.value[here]
        return GoldRows(dense, rows.gold[known])
    each = np.repeat(known, votes.counts[known])
    return GoldRows(votes.votes[each], rows.gold[each])


def dev_gold(task: Task, rows: RowVotes, use: str) -> np.ndarray:
    """Return the places of the gold rows of the dev split among the rows.

    Raises
    ------
    SpecError
        WS315 where there are none.
    """
    known = np.flatnonzero((rows.split == "dev") & (rows.gold >= 0))
    if not len(known):
        raise SpecError(
            "WS315",
            f"task \"{task.name}\" has no gold rows in its dev split, which use_dev = '{use}' needs",
            hint="give the task GOLD and SPLIT, or say use_dev = 'never'",
        )
    return known


def store_label_views(rooms: Rooms, task: Task, step: Pack, fitted: FittedLabelModel) -> None:
    """Write the posterior and the training labels as views over the label matrix."""
    keys = [ident(key) for key in task.keys]
    for part in ("scores_labels", "scores_training", "posterior"):  # of labels that were stored in another form
        rooms.engine.run(f"DROP TABLE IF EXISTS {rooms.engine.table(f'{part}_{task.name}')}")

    def select(form: ScoreForm, name: str) -> str:
        if step.storage == "sparse":
            return sparse_select(rooms, task, form, name)
        return labels_select(
            form,
            relation=f"wsdb.{ident('matrix_' + task.name)}",
            keys=keys,
            columns=[ident(column) for column in step.columns],
            labels=task.labels,
        )

    view(rooms, f"labels_{task.name}", select(fitted.form, "labels"))
    view(
        rooms,
        f"training_{task.name}",
        f"SELECT {idents(task.keys, 'l.')}, map_values(l.probs) AS probs, l.covered, r.split "
        f"FROM ({select(fitted.training_form, 'training')}) AS l JOIN wsdb.{ident('rows_' + task.name)} AS r "
        f"USING ({idents(task.keys)})",
    )
    store_spans(rooms, task)


def sparse_select(rooms: Rooms, task: Task, form: ScoreForm, name: str) -> str:
    """Store the scores of a form in a table of their own and return the SELECT that sums them over a row's votes."""
    scores, matrix = f"scores_{name}_{task.name}", f"wsdb.{ident('matrix_' + task.name)}"
    rooms.engine.store(scores, pa.table(score_rows(form)))
    labels = labels_select_sparse(
        form,
        votes=f"wsdb.{ident('votes_' + task.name)}",
        rows=matrix,
        scores=f"wsdb.{ident(scores)}",
        keys=["__id"],
        labels=task.labels,
    )
    return (
        f"SELECT m.* EXCLUDE (__row, __split, __gold, __id), l.* EXCLUDE (__id) FROM {matrix} AS m "
        f"JOIN ({labels}) AS l USING (__id)"
    )


def put_label_run(rooms: Rooms, step: Fit, fitted: FittedLabelModel, seconds: float) -> None:
    """Record the fit in the catalog."""
    task = step.task
    rooms.catalog.put_label_run(
        task.name,
        {
            "method": fitted.method,
            "chosen": fitted.chosen,
            "reason": fitted.reason,
            "regime": fitted.regime,
            "notices": list(fitted.notices),
            "n_rows": fitted.n_rows,
            "n_patterns": fitted.n_patterns,
            "input_hash": step.input_hash,
            "fit": json.dumps(fitted.to_dict()),
            "seconds": seconds,
        },
        parameters(task, fitted),
        [lf.name for lf in rooms.catalog.definitions().lfs(task.name) if lf.enabled],
    )


def parameters(task: Task, fitted: FittedLabelModel) -> list[tuple[object, ...]]:
    """Return the rows of label_parameters: one for each vote source and class it votes for."""
    found: list[tuple[object, ...]] = []
    for j, name in enumerate(fitted.sources):
        for y, label in enumerate(task.labels):
            if not np.isnan(fitted.precision[j, y]):
                found.append(
                    (
                        name,
                        label,
                        _number(fitted.accuracy[j]),
                        _number(fitted.precision[j, y]),
                        float(fitted.propensity[j]),
                        float(fitted.weights[j]),
                        _number(fitted.stderr[j]),
                        int(fitted.counts[j]),
                    )
                )
    return found


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
