"""Run a LabelMatrix step and store the views that show the label matrix."""

from __future__ import annotations

from wsdb.catalog.fingerprint import digest
from wsdb.catalog.snapshot import CatalogSnapshot, StoredColumn, StoredMatrix
from wsdb.core.task import Task
from wsdb.monitor.lf_report import summary_macro
from wsdb.monitor.rows import matrix_macro, matrix_select, votes_select
from wsdb.planner.pack import pack
from wsdb.planner.steps import Fuse, LabelMatrix, Match, Reuse, Scatter, walk
from wsdb.session.rooms import Rooms
from wsdb.session.stored import macro, rows_text, view


def run_matrix(rooms: Rooms, step: LabelMatrix) -> None:
    """Run a LabelMatrix step and store its views."""
    task, rows = step.task, step.rows
    done, votes = rooms.engine.run_matrix(step, rooms.progress)
    rooms.profiles.update(done.profiles)
    for text in done.notices:
        rooms.notice(text)
    snapshot = rooms.catalog.snapshot()
    before, views = snapshot.matrices.get(task.name.lower()), matrix_views(rooms, snapshot, task, step)
    versions = {
        entry.name.lower(): entry.version for entry in snapshot.entries.values() if entry.kind == "labeling function"
    }
    hashes = [digest(select) for select in views.values()]
    stored = StoredMatrix(
        rows.n_rows,
        tuple(
            StoredColumn(
                column.name, column.lf.name, column.source, column.input_hash, versions[column.lf.name.lower()]
            )
            for column in step.columns
        ),
        rows.rows_hash,
        rows.row_columns,
        rows.column_hashes,
        rows.gold_hash,
        rooms.engine.hash_probe(),
        step.storage,
        " ".join(hashes),
    )
    computed = {
        column.name for part in walk(step) if isinstance(part, Fuse | Match | Scatter) for column in part.columns
    }
    measured = {name: (count, done.seconds.get(name), name in computed) for name, count in votes.items()}
    rooms.catalog.put_matrix(task.name, stored, measured)
    old = () if step.write == "create" or before is None else tuple(before.views_hash.split())
    for at, (name, select) in enumerate(views.items()):
        if old[at : at + 1] != (hashes[at],):  # it takes DuckDB long to bind them
            view(rooms, name, select)
    macro(rooms, f"label_matrix_rows_{task.name}", ("of_split",), matrix_macro(task))
    summary(rooms, task, snapshot, stored)
    rooms.notice(said(step))


def said(step: LabelMatrix) -> str:
    """Return the sentence about what was done to a label matrix."""
    rows, changes = step.rows, step.rows.changes
    kept = sum(len(part.names) for part in step.parts if isinstance(part, Reuse))
    computed = len(step.columns) - kept
    text = f"label matrix of task {step.task.name}: {rows.n_rows:,} row{'s' * (rows.n_rows != 1)}, "
    text += f"{computed} column{'s' * (computed != 1)} computed"
    text += f", {kept} reused" if kept else ""
    if step.write != "create" and changes is not None and changes.columns is None:
        added = f"{changes.added:,} row{'s' * (changes.added != 1)} added"
        text += f"; {added}, {changes.changed:,} changed, {changes.removed:,} removed"
    return text


def matrix_views(rooms: Rooms, snapshot: CatalogSnapshot, task: Task, step: LabelMatrix) -> dict[str, str]:
    """Return the views that show a label matrix: name -> SELECT."""
    names = [column.name for column in step.columns]
    places = [(column.name, column.lf.name, column.source) for column in step.columns]
    sets = rooms.engine.has_sets(pack(task, names, step, step.storage))
    return {
        # `task` is coded, and has no gold where it is a bitvector.
        f"rows_{task.name}": rows_text(rooms, snapshot.task(task.name)),
        f"label_matrix_{task.name}": matrix_select(task, names, step.storage),
        f"label_votes_{task.name}": votes_select(task, places, step.storage, sets=sets),
    }


def store_summary(rooms: Rooms, task: Task) -> None:
    """Write the macro of lf_summary anew, where there is a label matrix."""
    snapshot = rooms.catalog.snapshot()
    stored = snapshot.matrices.get(task.name.lower())
    if stored is not None:
        summary(rooms, task, snapshot, stored)


def summary(rooms: Rooms, task: Task, snapshot: CatalogSnapshot, stored: StoredMatrix) -> None:
    """Write the macro of lf_summary: the columns of a label matrix, and the disabled functions."""
    lfs = {lf.name.lower(): lf for lf in snapshot.lfs(task.name)}
    owners = {entry.name.lower(): entry.created_by for entry in snapshot.entries.values()}
    columns = [(column.name, column.lf) for column in stored.columns if column.lf.lower() in lfs]
    columns = [(name, lf) for name, lf in columns if lfs[lf.lower()].enabled]
    defined = snapshot.task(task.name)
    text = summary_macro(defined.coded, columns, lfs, owners, has_gold=defined.gold is not None)
    macro(rooms, f"lf_summary_{task.name}", ("of_split",), text)
