"""The Engine protocol: relations in, Arrow out. Nothing else of wsdb knows which engine runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

from wsdb.core.lf import LabelingFunction
from wsdb.core.matrix import VotePatterns
from wsdb.core.task import Task
from wsdb.engine.matrix import MatrixRun
from wsdb.parser.statements import Statement
from wsdb.planner.facts import TaskFacts
from wsdb.planner.steps import LabelMatrix, Pack


class Engine(Protocol):
    """What the session needs of an engine."""

    def check_task(self, task: Task, at: Statement) -> Task:
        """Return the task with its names resolved."""

    def check_lf(self, lf: LabelingFunction, task: Task, at: Statement) -> LabelingFunction:
        """Return the labeling function with its body bound."""

    def inspect(self, task: Task, lfs: Sequence[LabelingFunction]) -> TaskFacts:
        """Return what the planner needs to know of the task's relation."""

    def run_matrix(self, step: LabelMatrix, progress: Callable[[str], None]) -> tuple[MatrixRun, dict[str, int]]:
        """Bring a stored label matrix up to date."""

    def count_patterns(self, step: Pack) -> VotePatterns:
        """Return the vote patterns of a stored label matrix."""

    def batches(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """Return the rows of a query in Arrow batches."""

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context in which all writes succeed or none."""

    def register(self, name: str, function: Callable[..., Any], result: str) -> None:
        """Make a Python function of Arrow arrays callable in SQL."""
