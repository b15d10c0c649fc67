"""DuckDBEngine: the default engine, over one connection to the user's database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from wsdb.core.errors import CatalogError
from wsdb.core.lf import LabelingFunction
from wsdb.core.matrix import VotePatterns
from wsdb.core.span import Span
from wsdb.core.sqltext import ident
from wsdb.core.task import Task
from wsdb.engine.analyze import functions, reads
from wsdb.engine.check import check_lf, check_task, describe, relation_columns
from wsdb.engine.compile import packed_select
from wsdb.engine.inspect import Inspector
from wsdb.engine.isolate import isolate
from wsdb.engine.matrix import FusedScanError, MatrixRun
from wsdb.parser.statements import Statement
from wsdb.planner.facts import TaskFacts
from wsdb.planner.matrix import bits, per_word
from wsdb.planner.steps import Column, LabelMatrix, Pack

BATCH_ROWS = 65_536
CONFLICT = re.compile(r"conflict|duplicate key|altered", re.IGNORECASE)


class DuckDBEngine:
    """Runs plans in the user's own DuckDB.

    Parameters
    ----------
    connection : the session's connection; the engine does not own it
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.con = connection
        (self.database,) = connection.execute("SELECT current_database()").fetchall()[0]
        self._groups: dict[str, list[list[Column]]] = {}

    def sibling(self) -> DuckDBEngine:
        """Return an engine on a new connection to the same database; it sees committed state only."""
        other = DuckDBEngine(self.con.cursor())
        other.database = self.database
        return other

    @property
    def read_only(self) -> bool:
        """Whether the database cannot be written."""
        found = self.rows("SELECT readonly FROM duckdb_databases() WHERE database_name = ?", [self.database])
        return bool(found and found[0][0])

    def table(self, name: str) -> str:
        """Return the full SQL name of something in schema wsdb."""
        return f"{ident(self.database)}.wsdb.{ident(name)}"

    # --------------------------------------------------------------------------------------------- transactions

    @contextmanager
    def transaction(self) -> Iterator[bool]:
        """Commit what is done inside, or none of it; inside the user's own transaction, leave that to the user.

        Yields whether the transaction is its own.

        Raises
        ------
        CatalogError
            WS208 where another session wrote the same thing at the same time.
        """
        if self._in_transaction():
            yield False
            return
        self.con.execute("BEGIN TRANSACTION")
        try:
            yield True
            self.con.execute("COMMIT")
        except BaseException as error:
            self._end("ROLLBACK")
            if isinstance(error, duckdb.TransactionException) and CONFLICT.search(str(error)):
                first = str(error).splitlines()[0]
                raise CatalogError(
                    "WS208",
                    f"another session changed the same thing at the same time (conflict): {first}",
                    hint="nothing was changed here; run the statement again",
                ) from error
            raise

    def _in_transaction(self) -> bool:
        """Return whether the user has begun a transaction: outside of one, every statement has one of its own.

        A second BEGIN would tell too, but it aborts the user's transaction.
        """
        first, second = (self.rows("SELECT current_transaction_id()") for _ in range(2))
        return first == second

    def _end(self, word: str) -> None:
        try:
            self.con.execute(word)
        except duckdb.TransactionException:  # DuckDB has ended the transaction itself
            return

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """Resolve names as seen from the database that holds schema wsdb, wherever USE points."""
        database, schema = self.con.execute("SELECT current_database(), current_schema()").fetchall()[0]
        if database == self.database:
            yield
            return
        self.con.execute(f"USE {ident(self.database)}")
        try:
            yield
        finally:
            self.con.execute(f"USE {ident(database)}.{ident(schema)}")

    # --------------------------------------------------------------------------------------------------- checks

    def check_task(self, task: Task, at: Statement) -> Task:
        """Return the task with its names resolved; see `wsdb.engine.check.check_task`."""
        return check_task(self.con, task, at)

    def check_lf(self, lf: LabelingFunction, task: Task, at: Statement) -> LabelingFunction:
        """Return the labeling function with its body bound; see `wsdb.engine.check.check_lf`."""
        return check_lf(self.con, lf, task, at)

    def columns(self, relation: str, at: Statement | None = None, what: str = "relation") -> list[tuple[str, str]]:
        """Return the (name, type) columns of a relation."""
        return relation_columns(self.con, relation, at.at("relation") if at else None, what)

    def describe(self, query: str, span: Span | None, what: str) -> list[tuple[str, str]]:
        """Return the (name, type) columns of a SELECT of the user's."""
        return describe(self.con, f"SELECT * FROM (\n{query}\n)", span, what)

    def inspect(self, task: Task, lfs: Sequence[LabelingFunction]) -> TaskFacts:
        """Return the facts of a task's relation as it is now."""
        return Inspector(self.con).task(task, list(lfs))

    def relations_of(self, query: str) -> tuple[str, ...]:
        """Return the names of the relations a SELECT reads, quoted only where they must be, as users write them."""
        found = reads(self.con, query, functions(self.con)).relations
        return tuple(re.sub(r'"([A-Za-z_]\w*)"', r"\1", relation) for relation in found)

    def rows_hash(self, source: str, columns: Sequence[str]) -> str:
        """Return the hash of some columns of a relation."""
        return Inspector(self.con).rows_hash(source, list(columns))

    # --------------------------------------------------------------------------------------------- label matrix

    def run_matrix(self, step: LabelMatrix, progress: Callable[[str], None]) -> tuple[MatrixRun, dict[str, int]]:
        """Bring a stored label matrix up to date; return the run and the votes of each computed column.

        Raises
        ------
        FusedScanError
            where the fused scan fails; roll back, call `isolate` and run again.
        """
        name = step.task.name.lower()
        run = MatrixRun(self.con, step, self.table(f"matrix_{step.task.name}"), self._groups.pop(name, None), progress)
        return run, run.run()

    def isolate(self, failure: FusedScanError) -> None:
        """Find why a fused scan failed, outside of its transaction; the next run computes what works apart, apart.

        Raises
        ------
        DataError
            WS405 where one labeling function fails alone.
        """
        scans = failure.step.groups
        groups = [group for scan in scans for group in isolate(self.con, failure.task, scan)]
        if len(groups) == len(scans):
            raise failure.cause
        self._groups[failure.task.name.lower()] = groups

    def count_patterns(self, step: Pack) -> VotePatterns:
        """Return the vote patterns of a stored label matrix, counted by one GROUP BY over packed words."""
        task = step.task
        query = packed_select(step.columns, len(task.labels), self.table(f"matrix_{task.name}"))
        table = self.con.sql(query).to_arrow_table()
        counts = table.column("n").to_numpy().astype(np.int64)
        if not step.columns and counts.sum() == 0:
            counts = counts[:0]
        words = [table.column(f"word_{at}").to_numpy() for at in range(step.words)]
        votes = unpack(words, len(step.columns), len(task.labels), len(counts))
        return VotePatterns(votes, counts, step.columns, len(task.labels))

    # ------------------------------------------------------------------------------------------------- relations

    def batches(self, query: str, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Return the rows of a query in Arrow batches of at most `rows`."""
        yield from self.con.sql(query).to_arrow_reader(rows)

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query as tuples."""
        return self.con.execute(query, list(parameters)).fetchall()

    def run(self, statement: str) -> None:
        """Execute one statement for what it does."""
        self.con.execute(statement)

    def relation(self, table: pa.Table) -> duckdb.DuckDBPyRelation:
        """Return an Arrow table as a relation of this connection."""
        return self.con.from_arrow(table)

    def register(self, name: str, function: Callable[..., Any], result: str) -> None:
        """Make a Python function of Arrow arrays callable in SQL, for all cursors of this database, once.

        Parameters
        ----------
        function : called with one Arrow array for each argument, of at most 2,048 rows; returns one array
        result : the SQL type it returns
        """
        known = self.rows("SELECT 1 FROM duckdb_functions() WHERE function_name = ? LIMIT 1", [name])
        if not known:
            self.con.create_function(  # type: ignore[call-overload]
                name, function, None, duckdb.sqltype(result), type="arrow", null_handling="special"
            )


def unpack(words: Sequence[np.ndarray], n_columns: int, n_classes: int, n_rows: int) -> np.ndarray:
    """Return the votes packed into words: int8 or int16 array of shape (n_rows, n_columns), -1 is abstain."""
    width, size = bits(n_classes), per_word(n_classes)
    votes = np.empty((n_rows, n_columns), dtype=np.int8 if n_classes <= 127 else np.int16)
    mask = np.uint64((1 << width) - 1)
    for at in range(n_columns):
        word = words[at // size].astype(np.uint64, copy=False)
        shifted = (word >> np.uint64(width * (at % size))) & mask
        votes[:, at] = shifted.astype(np.int16) - 1
    return votes
