"""The Engine protocol: relations in, Arrow out. Nothing else of wsdb knows which engine runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

from wsdb.core.lf import LabelingFunction
from wsdb.core.matrix import VotePatterns
from wsdb.core.span import Span
from wsdb.core.task import Task
from wsdb.engine.matrix import FusedScanError, MatrixRun
from wsdb.parser.statements import Statement
from wsdb.planner.facts import TaskFacts
from wsdb.planner.steps import LabelMatrix, Pack

Columns = list[tuple[str, str]]


class Engine(Protocol):
    """What the session needs of an engine.

    Attributes
    ----------
    database : the name under which the database that holds schema wsdb is attached
    con : the DuckDB connection through which predictions are served
    """

    database: str
    con: Any

    @property
    def read_only(self) -> bool:
        """Whether the database cannot be written."""

    def table(self, name: str) -> str:
        """Return the full SQL name of something in schema wsdb."""

    def sibling(self) -> Engine:
        """Return an engine on a new connection to the same database; it sees committed state only."""

    def transaction(self) -> AbstractContextManager[bool]:
        """Return a context in which all writes succeed or none; it yields whether the transaction is its own."""

    def at_home(self) -> AbstractContextManager[None]:
        """Return a context in which names are resolved from the database that holds schema wsdb."""

    def check_task(self, task: Task, at: Statement) -> Task:
        """Return the task with its names resolved."""

    def check_lf(self, lf: LabelingFunction, task: Task, at: Statement) -> LabelingFunction:
        """Return the labeling function with its body bound."""

    def columns(self, relation: str, at: Statement | None = None, what: str = "relation") -> Columns:
        """Return the (name, type) columns of a relation."""

    def describe(self, query: str, span: Span | None, what: str) -> Columns:
        """Return the (name, type) columns of a SELECT of the user's."""

    def inspect(self, task: Task, lfs: Sequence[LabelingFunction]) -> TaskFacts:
        """Return what the planner needs to know of the task's relation."""

    def relations_of(self, query: str) -> tuple[str, ...]:
        """Return the SQL names of the relations a SELECT reads."""

    def rows_hash(self, source: str, columns: Sequence[str]) -> str:
        """Return the hash of some columns of a relation, whatever the order of its rows."""

    def run_matrix(self, step: LabelMatrix, progress: Callable[[str], None]) -> tuple[MatrixRun, dict[str, int]]:
        """Bring a stored label matrix up to date; return the run and the votes of each computed column."""

    def isolate(self, failure: FusedScanError) -> None:
        """Find why a fused scan failed; the next run computes apart what works apart."""

    def count_patterns(self, step: Pack) -> VotePatterns:
        """Return the vote patterns of a stored label matrix."""

    def batches(self, query: str, rows: int = ...) -> Iterator[pa.RecordBatch]:
        """Return the rows of a query in Arrow batches of at most `rows`."""

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query as tuples."""

    def run(self, statement: str) -> None:
        """Execute one statement for what it does."""

    def register(self, name: str, function: Callable[..., Any], result: str) -> None:
        """Make a Python function of Arrow arrays callable in SQL."""
