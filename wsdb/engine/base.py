"""The Engine protocol: relations in, Arrow out. Nothing else of wsdb knows which engine runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.lf import LabelingFunction
from wsdb.core.matrix import KeyedVotes, RowVotes, Sample
from wsdb.core.payload import Primitive
from wsdb.core.span import Span
from wsdb.core.task import Task
from wsdb.engine.matrix_run import MatrixRun
from wsdb.engine.scan import FusedScanError
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
    code : by lower-cased name, the fingerprints of Python functions that the session has registered
    """

    database: str
    con: Any
    code: dict[str, str]

    @property
    def read_only(self) -> bool:
        """Whether the database cannot be written."""

    @property
    def in_memory(self) -> bool:
        """Whether the database is not a file."""

    def table(self, name: str) -> str:
        """Return the full SQL name of something in schema wsdb."""

    def sibling(self) -> Engine:
        """Return an engine on a new connection to the same database; it sees committed state only."""

    def transaction(self) -> AbstractContextManager[bool]:
        """Return a context in which all writes succeed or none; it yields whether the transaction is its own."""

    def in_transaction(self) -> bool:
        """Return whether the user has begun a transaction."""

    def at_home(self) -> AbstractContextManager[None]:
        """Return a context in which names are resolved from the database that holds schema wsdb."""

    def functions_listed_once(self) -> AbstractContextManager[None]:
        """Return a context that lists functions and macros once; nothing inside makes one that queries call."""

    def qualified(self, query: str, before: str = "") -> str:
        """Return a SELECT of the user's that means the same wherever USE points.

        Parameters
        ----------
        before : what stands before each name of this database
        """

    def check_task(self, task: Task, at: Statement) -> Task:
        """Return the task with its names resolved."""

    def check_lf(
        self, lf: LabelingFunction, task: Task, at: Statement, primitives: Sequence[Primitive] = ()
    ) -> LabelingFunction:
        """Return the labeling function with its body bound."""

    def columns(self, relation: str, at: Statement | None = None, what: str = "relation") -> Columns:
        """Return the (name, type) columns of a relation."""

    def bind(self, query: str, span: Span | None, what: str) -> Columns:
        """Return the (name, type) columns of a query in which the user's text begins on the second line."""

    def describe(self, query: str, span: Span | None, what: str) -> Columns:
        """Return the (name, type) columns of a SELECT of the user's."""

    def materialise(self, primitive: Primitive) -> tuple[int, int]:
        """Bring the table of a primitive up to date; return its number of rows, and how many were computed."""

    def inspect(
        self,
        task: Task,
        lfs: Sequence[LabelingFunction],
        stored: StoredMatrix | None,
        primitives: Mapping[Primitive, str | None] = ...,
        served: Mapping[str, str] = ...,
    ) -> TaskFacts:
        """Return what the planner needs to know of the task's relation, compared with the stored label matrix."""

    def hash_probe(self) -> str:
        """Return what the engine's hash function answers for a few values; stored row hashes are good for it alone."""

    def texts_of(
        self, task: Task, lfs: Sequence[LabelingFunction], primitives: Sequence[Primitive]
    ) -> dict[str, tuple[frozenset[str], frozenset[str], frozenset[str]]]:
        """Return what the text of each SQL labeling function reads: columns, constants and primitives."""

    def relations_of(self, query: str) -> tuple[str, ...]:
        """Return the SQL names of the relations a SELECT reads."""

    def rows_hash(self, source: str, columns: Sequence[str]) -> str:
        """Return the hash of some columns of a relation, whatever the order of its rows."""

    def run_matrix(
        self, step: LabelMatrix, progress: Callable[[str, int, int], None]
    ) -> tuple[MatrixRun, dict[str, int]]:
        """Bring a stored label matrix up to date; return the run and the votes of each column."""

    def isolate(self, failure: FusedScanError) -> None:
        """Find why a fused scan failed; the next run computes apart what works apart."""

    def votes(self, step: Pack) -> RowVotes:
        """Return the votes of a stored label matrix with the split and gold label of their rows."""

    def counted_votes(self, step: Pack, gold_of: str | None = None) -> RowVotes:
        """Return the stored patterns of a wide label matrix in any order, or those of a split with a gold label."""

    def some_votes(self, step: Pack, most: int) -> Sample:
        """Return about `most` of the patterns of a wide label matrix, all of them where there are no more."""

    def changed_votes(self, step: Pack) -> tuple[RowVotes, RowVotes] | None:
        """Return the patterns that came and that went since `keep_changes`; None where that is not known."""

    def keep_changes(self, step: Pack) -> None:
        """From now on, keep what changes of the stored patterns of a label matrix."""

    def has_sets(self, step: Pack) -> bool:
        """Return whether some vote on a task is for one of several labels."""

    def has_confidence(self, lf: LabelingFunction) -> bool:
        """Return whether a labeling function says how sure its votes are."""

    def keyed_votes(self, steps: Sequence[Pack]) -> KeyedVotes:
        """Return the votes of label matrices over the same rows, row by row in the order of their keys."""

    def batches(self, query: str, rows: int = ...) -> Iterator[pa.RecordBatch]:
        """Return the rows of a query in Arrow batches of at most `rows`."""

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query as tuples."""

    def run(self, statement: str) -> None:
        """Execute one statement for what it does."""

    def relation(self, table: pa.Table) -> Any:
        """Return an Arrow table as a relation of the engine's connection."""

    def store(self, name: str, table: pa.Table) -> None:
        """Write an Arrow table as a table of schema wsdb."""

    def register(self, name: str, function: Callable[..., Any], result: str) -> None:
        """Make a Python function of Arrow arrays callable in SQL."""
