"""The columns of a label matrix: one for each enabled labeling function, and for each source of a vote relation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wsdb.core.errors import DataError
from wsdb.core.lf import Expression, LabelingFunction, Select, VoteWhen
from wsdb.core.sqltext import literals
from wsdb.core.task import Task
from wsdb.planner.facts import LFFacts, TaskFacts
from wsdb.planner.steps import Column

WIDE_COLUMNS = 320
"""A label matrix of more columns than this is stored sparse: a row for each vote."""
WIDE_BITS = 2_000
"""The same for a bitvector task, whose columns are counted by label."""
ALWAYS = "always"
"""The stored input hash of a column whose inputs cannot be fingerprinted: equal to no hash."""


def columns_of(task: Task, lfs: Sequence[LabelingFunction], facts: TaskFacts) -> tuple[Column, ...]:
    """Return the columns a task's label matrix should have: one for each enabled LF and source.

    Of a bitvector task there is one for each label besides, named ``lf:label``.

    Raises
    ------
    DataError
        WS407 where two sources would have one column, because names of columns are compared without case.
    """
    columns: list[Column] = []
    taken: dict[str, str] = {}
    for lf in lfs:
        if not lf.enabled:
            continue
        known = facts.lfs[lf.name]
        body, hashed = inline(lf, known), known.definition_hash or ALWAYS
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
            if task.kind != "bitvector":
                columns.append(Column(name, body, source, hashed, listed=known.listed))
                continue
            absent = task.multilabel_absent == "no"
            for label in task.labels:
                if not isinstance(body.body, VoteWhen) or body.body.label == label or absent:
                    bit = Column(f"{name}:{label}", body, source, hashed, label, absent, known.listed, task.labels)
                    columns.append(bit)
    return tuple(columns)


def inline(lf: LabelingFunction, known: LFFacts) -> LabelingFunction:
    """Return a SELECT that only filters the task's relation as an expression over a row, which needs no own scan."""
    if isinstance(lf.body, Select) and known.inlined is not None:
        return replace(lf, body=Expression(known.inlined))
    return lf


def storage_of(columns: Sequence[Column]) -> str:
    """Return the form in which this many columns are stored: ``wide`` or ``sparse``.

    Those of a bitvector, of which each labeling function has many, stay wide for longer.
    """
    bits = bool(columns) and columns[0].bit is not None
    return "wide" if len(columns) <= (WIDE_BITS if bits else WIDE_COLUMNS) else "sparse"
