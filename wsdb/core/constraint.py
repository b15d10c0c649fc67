"""Constraint: a condition between the labels of tasks on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from wsdb.core.sqltext import ident, literals
from wsdb.core.task import Task

MAX_COMBINATIONS = 100_000
"""The most combinations of labels that a constraint is tried on."""
POSITIONS = 16
"""Of a SELECT task, positions up to this one are tried."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition that the answers of several tasks on one row have to keep.

    Attributes
    ----------
    name : unique among constraints, compared without case
    tasks : at least one, each once
    check : a condition in which each task's name is a column with its answer: the label; of a BITVECTOR task the list
        of its labels, in the order of the task; of a SELECT task the position of the element from 1, or NULL for none.
        A combination keeps it unless it is false, as with CHECK of a table
    """

    name: str
    tasks: tuple[str, ...]
    check: str
    comment: str | None = None

    @property
    def stored(self) -> str:
        """The name of the table in schema wsdb: a row for each combination that keeps the condition."""
        return f"constraint_{self.name}"


def answer_type(task: Task) -> str:
    """Return the SQL type that a task's answer has in a constraint."""
    return {"bitvector": "VARCHAR[]", "select": "INTEGER"}.get(task.kind, "VARCHAR")


def n_answers(task: Task) -> int:
    """Return the number of answers that a constraint is tried on."""
    return {"bitvector": 1 << len(task.labels), "select": POSITIONS + 1}.get(task.kind, len(task.labels))


def answers_sql(task: Task) -> str:
    """Return a SELECT of all answers of a task, in one column of its name.

    Of a bitvector: every set of its labels, the smaller first.
    """
    match task.kind:
        case "bitvector":
            sets = (chosen for size in range(len(task.labels) + 1) for chosen in combinations(task.labels, size))
            answers = f"[{', '.join(f'[{literals(chosen)}]' for chosen in sets)}]::VARCHAR[][]"
        case "select":
            answers = f"[NULL, {', '.join(map(str, range(1, POSITIONS + 1)))}]::INTEGER[]"
        case _:
            answers = f"[{literals(task.labels)}]::VARCHAR[]"
    return f"SELECT unnest({answers}) AS {ident(task.name)}"


def combinations_select(constraint: Constraint, tasks: Sequence[Task]) -> str:
    """Return the SELECT of the combinations of answers that keep a constraint, a column for each task."""
    every = " CROSS JOIN ".join(f"({answers_sql(task)})" for task in tasks)
    return f"SELECT * FROM {every} WHERE (\n{constraint.check}\n) IS NOT FALSE"
