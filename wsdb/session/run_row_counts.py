"""Count the votes of bitvector tasks and of votes for one of several labels, row by row, with each fit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from wsdb.core.matrix import ABSTAIN, KeyedVotes
from wsdb.core.rowsql import gold_labels
from wsdb.core.sqltext import idents, literals
from wsdb.core.task import Task
from wsdb.labelmodel.shapes import RowVoteMatrix
from wsdb.monitor.row_counts import Ballot, agreement, count_rows
from wsdb.planner.steps import Pack
from wsdb.session.rooms import Rooms
from wsdb.session.run_counts import Counted, count


def set_names(task: Task, sets: np.ndarray | None) -> dict[str, list[str]]:
    """Return what a vote for one of several labels is called in reports, with its labels: name -> labels.

    Parameters
    ----------
    sets : bool array of shape (s, k), or None where there are no such votes
    """
    chosen = [[task.labels[at] for at in np.flatnonzero(row)] for row in ([] if sets is None else sets)]
    return {set_name(labels): labels for labels in chosen}


def set_name(labels: list[str]) -> str:
    """Return the name of a vote for one of several labels, as `wsdb.monitor.rows.set_text` writes it in SQL."""
    return f"one of {', '.join(labels)}"


def counted(rooms: Rooms, task: Task, pack: Pack, matrix: RowVoteMatrix, keyed: KeyedVotes) -> Counted:
    """Return the counts of a label matrix whose labels are stored row by row.

    Parameters
    ----------
    task : as it was defined; of a bitvector, that of `pack` has the labels no and yes
    """
    if task.kind != "bitvector" and keyed.sets is None:
        return count(rooms, pack)
    facts = _facts(rooms, task)
    split = np.array([*facts.column("split").to_pylist(), None], dtype=object)[:-1]
    if task.kind == "bitvector":
        subject = np.array([bit for _, bit in matrix.bits], dtype=np.int64)
        ballot = Ballot(keyed.votes, subject, np.eye(2, dtype=bool), _bits(task, facts.column("gold")))
    else:
        every = np.concatenate([np.eye(len(task.labels), dtype=bool), keyed.sets])
        gold = facts.column("gold").fill_null(ABSTAIN).to_numpy().astype(np.int64)
        ballot = Ballot(keyed.votes, np.zeros(len(pack.columns), dtype=np.int64), agreement(every), gold[:, None])
    return Counted(pack, *count_rows(ballot, split), None)


def _facts(rooms: Rooms, task: Task) -> pa.Table:
    """Return the split and gold of the rows of a label matrix, in the order of the keys.

    The gold of a bitvector is a list that says of each label whether the row has it.
    """
    matrix, keys = rooms.engine.table(f"matrix_{task.name}"), idents(task.keys)
    query = f"SELECT __split AS split, __gold AS gold FROM {matrix}"
    if task.kind == "bitvector":
        has = f"list_transform([{literals(task.labels)}], lambda l: list_contains(gold, l)::TINYINT)"
        known = (
            f"SELECT {keys}, any_value({has}) AS gold FROM (SELECT {keys}, {gold_labels('gold')} AS gold "
            f"FROM {rooms.engine.table(f'rows_{task.name}')}) WHERE gold IS NOT NULL GROUP BY {keys}"
        )
        query = f"SELECT m.__split AS split, r.gold FROM {matrix} AS m LEFT JOIN ({known}) AS r USING ({keys})"
    batches = list(rooms.engine.batches(f"{query} ORDER BY {keys}"))
    return pa.Table.from_batches(batches) if batches else pa.table({"split": pa.nulls(0), "gold": pa.nulls(0)})


def _bits(task: Task, gold: pa.ChunkedArray) -> np.ndarray:
    """Return whether each row has each label: int64 array of shape (n, k), 1 yes, 0 no, -1 where there is no gold."""
    hits = np.full((len(gold), len(task.labels)), ABSTAIN, dtype=np.int64)
    known = gold.is_valid().to_numpy()
    if known.any():
        hits[known] = np.array(gold.filter(gold.is_valid()).to_pylist(), dtype=np.int64)
    return hits
