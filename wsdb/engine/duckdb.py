"""DuckDBEngine: the default engine, over one connection to the user's database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.lf import Expression, LabelingFunction, Select, Votes, VoteWhen
from wsdb.core.matrix import KeyedVotes, RowVotes, Sample
from wsdb.core.payload import Primitive, primitives_of
from wsdb.core.span import Span
from wsdb.core.sqltext import ident, literals
from wsdb.core.task import Task
from wsdb.engine.analyze import Functions, functions, reads
from wsdb.engine.check import check_lf, check_task
from wsdb.engine.compile import CONFIDENCE
from wsdb.engine.inspect import Inspector, rows_hash
from wsdb.engine.isolate import isolate
from wsdb.engine.match import Kernel, kernels_of
from wsdb.engine.matrix import WideRun
from wsdb.engine.matrix_run import MatrixRun
from wsdb.engine.patterns import Patterns, has_table
from wsdb.engine.primitives import materialise
from wsdb.engine.qualify import macros, qualified
from wsdb.engine.relation import describe, relation_columns
from wsdb.engine.rows import joins_of, probe
from wsdb.engine.scan import FusedScanError
from wsdb.engine.sparse import SparseRun
from wsdb.engine.stored_votes import StoredVotes
from wsdb.engine.transaction import at_home, in_transaction, transaction
from wsdb.parser.statements import Statement
from wsdb.planner.facts import TaskFacts
from wsdb.planner.steps import Column, LabelMatrix, Match, Pack, Reuse, Scan, walk

BATCH_ROWS = 65_536
T = TypeVar("T")


class DuckDBEngine:
    """Runs plans in the user's own DuckDB.

    Parameters
    ----------
    connection : the session's connection; the engine does not own it

    Attributes
    ----------
    code : by lower-cased name, the fingerprints of Python functions that the session has registered
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.con = connection
        self.code: dict[str, str] = {}
        (self.database,) = connection.execute("SELECT current_database()").fetchall()[0]
        self._listed: dict[str, Any] | None = None
        self._groups: dict[str, dict[bool, list[list[Column]]]] = {}
        self._matched: dict[str, dict[LabelingFunction, Kernel]] = {}
        self._early: dict[str, pa.Table | None] = {}

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

    @property
    def in_memory(self) -> bool:
        """Whether the database is not a file."""
        found = self.rows("SELECT path IS NULL FROM duckdb_databases() WHERE database_name = ?", [self.database])
        return bool(found and found[0][0])

    def table(self, name: str) -> str:
        """Return the full SQL name of something in schema wsdb."""
        return f"{ident(self.database)}.wsdb.{ident(name)}"

    def transaction(self) -> AbstractContextManager[bool]:
        """Return a context in which all writes succeed or none; see `wsdb.engine.transaction.transaction`."""
        return transaction(self.con)

    def in_transaction(self) -> bool:
        """Return whether the user has begun a transaction."""
        return in_transaction(self.con)

    def at_home(self) -> AbstractContextManager[None]:
        """Return a context in which names are resolved from the database that holds schema wsdb."""
        return at_home(self.con, self.database)

    def qualified(self, query: str, before: str = "") -> str:
        """Return a SELECT of the user's that means the same wherever USE points; see `wsdb.engine.qualify`."""
        return qualified(self.con, query, before, None if self._listed is None else self._once(self._macros))

    @contextmanager
    def functions_listed_once(self) -> Iterator[None]:
        """List DuckDB's functions and macros once for all that is done inside, which makes none that queries call."""
        self._listed = {}
        try:
            yield
        finally:
            self._listed = None

    def _once(self, lists: Callable[[], T]) -> T:
        if self._listed is None:
            return lists()
        if lists.__name__ not in self._listed:
            self._listed[lists.__name__] = lists()
        found: T = self._listed[lists.__name__]
        return found

    def _functions(self) -> Functions:
        return functions(self.con, self.code)

    def _macros(self) -> set[tuple[str, str]]:
        return macros(self.con)

    # --------------------------------------------------------------------------------------------------- checks

    def check_task(self, task: Task, at: Statement) -> Task:
        """Return the task with its names resolved; see `wsdb.engine.check.check_task`."""
        return check_task(self.con, task, at)

    def check_lf(
        self, lf: LabelingFunction, task: Task, at: Statement, primitives: Sequence[Primitive] = ()
    ) -> LabelingFunction:
        """Return the labeling function with its body bound; see `wsdb.engine.check.check_lf`."""
        joins = joins_of(task, [one.name for one in primitives_of(lf, primitives)], self.table)
        return check_lf(self.con, lf, task, at, joins)

    def materialise(self, primitive: Primitive) -> tuple[int, int]:
        """Bring the table of a primitive up to date; see `wsdb.engine.primitives.materialise`."""
        name = f"primitive_{primitive.name}"
        stored = has_table(self.con, self.database, name)
        return materialise(self.con, primitive, self._once(self._functions), self.table(name), stored=stored)

    def columns(self, relation: str, at: Statement | None = None, what: str = "relation") -> list[tuple[str, str]]:
        """Return the (name, type) columns of a relation."""
        return relation_columns(self.con, relation, at.at("relation") if at else None, what)

    def describe(self, query: str, span: Span | None, what: str) -> list[tuple[str, str]]:
        """Return the (name, type) columns of a SELECT of the user's."""
        return describe(self.con, f"SELECT * FROM (\n{query}\n)", span, what)

    def bind(self, query: str, span: Span | None, what: str) -> list[tuple[str, str]]:
        """Return the (name, type) columns of a query in which the user's text begins on the second line."""
        return describe(self.con, query, span, what)

    def inspect(
        self,
        task: Task,
        lfs: Sequence[LabelingFunction],
        stored: StoredMatrix | None,
        primitives: Mapping[Primitive, str | None] = MappingProxyType({}),
        served: Mapping[str, str] = MappingProxyType({}),
    ) -> TaskFacts:
        """Return the facts of a task's relation as it is now, compared with the stored label matrix.

        Parameters
        ----------
        primitives : those of the task's relation, each with the hash of what it was computed from
        served : by lower-cased name of a model or task, the version that predict answers with
        """
        inspector = Inspector(self.con, self.table, self._once(self._functions), primitives, served)
        facts = inspector.task(task, list(lfs), stored)
        self._matched[task.name.lower()] = inspector.kernels
        self._early[task.name.lower()] = inspector.early
        return facts

    def hash_probe(self) -> str:
        """Return what this engine's hash function answers for a few values; stored row hashes are good for it alone."""
        return probe(self.con)

    def texts_of(
        self, task: Task, lfs: Sequence[LabelingFunction], primitives: Sequence[Primitive]
    ) -> dict[str, tuple[frozenset[str], frozenset[str], frozenset[str]]]:
        """Return what the text of each SQL labeling function reads: columns, constants and primitives."""
        known, found = self._once(self._functions), {}
        columns = {name.lower() for name, _ in self.columns(task.relation)} - {key.lower() for key in task.keys}
        for lf in lfs:
            match lf.body:
                case VoteWhen(_, sql) | Expression(sql):
                    text = f"SELECT (\n{sql}\n)"
                case Select(sql):
                    text = sql
                case _:
                    continue
            own = reads(self.con, text, known)
            names = {one.name for one in primitives if one.name.lower() in own.names}
            constants = own.constants - set(task.labels)
            found[lf.name] = (frozenset(own.names & columns), constants, frozenset(names))
        return found

    def relations_of(self, query: str) -> tuple[str, ...]:
        """Return the names of the relations a SELECT reads, quoted only where they must be, as users write them."""
        found = reads(self.con, query, self._once(self._functions)).relations
        return tuple(re.sub(r'"([A-Za-z_]\w*)"', r"\1", relation) for relation in found)

    def rows_hash(self, source: str, columns: Sequence[str]) -> str:
        """Return the hash of some columns of a relation."""
        return rows_hash(self.con, source, columns)

    # --------------------------------------------------------------------------------------------- label matrix

    def run_matrix(
        self, step: LabelMatrix, progress: Callable[[str, int, int], None]
    ) -> tuple[MatrixRun, dict[str, int]]:
        """Bring a stored label matrix up to date; return the run and the votes of each column.

        Parameters
        ----------
        progress : called with what is done, the rows done, and all rows (0 where that is not known)

        Raises
        ------
        FusedScanError
            where the fused scan fails; roll back, call `isolate` and run again.
        """
        task = step.task
        kept = [name for part in step.parts if isinstance(part, Reuse) for name in part.names]
        for name in ("confidence", "sets"):  # they are written with the columns that are computed
            if has_table(self.con, self.database, f"{name}_{task.name}"):
                old = f"NOT list_contains([{literals(kept)}]::VARCHAR[], column_name)"
                self.con.execute(f"DELETE FROM {self.table(f'{name}_{task.name}')} WHERE {old}")
        run = self._matrix_run(step, progress)
        return run, run.run()

    def _matrix_run(self, step: LabelMatrix, progress: Callable[[str, int, int], None]) -> MatrixRun:
        """Return the run of a step, after the tables of the other form of storage are gone."""
        task, table = step.task, self.table
        other = (
            ("patterns", "changes")
            if step.storage == "sparse"
            else ("votes", "sources")
            if step.write == "create"
            else ()
        )
        for part in other:
            self.con.execute(f"DROP TABLE IF EXISTS {table(f'{part}_{task.name}')}")
        shared: dict[str, Any] = {
            "con": self.con,
            "step": step,
            "table": table(f"matrix_{task.name}"),
            "groups": self._groups.pop(task.name.lower(), {}),
            "kernels": self._kernels(step),
            "early": self._early.pop(task.name.lower(), None),
            "joins": self._joins(step),
            "confidence": table(f"confidence_{task.name}"),
            "sets": table(f"sets_{task.name}"),
            "progress": progress,
        }
        if step.storage == "sparse":
            return SparseRun(votes=table(f"votes_{task.name}"), sources=table(f"sources_{task.name}"), **shared)
        columns, matrix = [column.name for column in step.columns], table(f"matrix_{task.name}")
        stored = table(f"patterns_{task.name}"), table(f"changes_{task.name}")
        patterns = Patterns(self.con, task, self.database, *stored, matrix, columns)
        return WideRun(patterns=patterns, **shared)

    def _joins(self, step: LabelMatrix) -> str:
        """Return the SQL of the joins of the primitives that the step's scans read."""
        names = dict.fromkeys(name for part in walk(step) if isinstance(part, Scan) for name in part.primitives)
        return joins_of(step.task, names, self.table)

    def _kernels(self, step: LabelMatrix) -> dict[str, Kernel]:
        """Return the kernels of the labeling functions that leave SQL, as the plan's facts were made with them."""
        matched = [column.lf for part in walk(step) if isinstance(part, Match) for column in part.columns]
        if not matched:
            return {}
        found = self._matched.get(step.task.name.lower(), {})
        if all(lf in found for lf in matched):
            return {lf.name: found[lf] for lf in matched}
        types = dict(relation_columns(self.con, step.task.relation, None, f'task "{step.task.name}"'))
        kernels = zip(matched, kernels_of(self.con, matched, step.task, types), strict=True)
        return {lf.name: kernel for lf, kernel in kernels if kernel is not None}

    def isolate(self, failure: FusedScanError) -> None:
        """Find why a fused scan failed, outside of its transaction; the next run computes what works apart, apart.

        Raises
        ------
        DataError
            WS405 where one labeling function fails alone.
        """
        scans = failure.step.groups
        joins = joins_of(failure.task, failure.step.scan.primitives, self.table)
        groups = [group for scan in scans for group in isolate(self.con, failure.task, scan, joins)]
        if len(groups) == len(scans):
            raise failure.cause
        of_delta = bool(failure.step.scan.rows)
        self._groups.setdefault(failure.task.name.lower(), {})[of_delta] = groups

    def votes(self, step: Pack) -> RowVotes:
        """Return the votes of a stored label matrix; see `wsdb.engine.stored_votes.StoredVotes.rows`."""
        return self._stored().rows(step)

    def counted_votes(self, step: Pack, gold_of: str | None = None) -> RowVotes:
        """Return the stored patterns; see `wsdb.engine.stored_votes.StoredVotes.counted`."""
        return self._stored().counted(step, gold_of)

    def some_votes(self, step: Pack, most: int) -> Sample:
        """Return about `most` of the patterns; see `wsdb.engine.stored_votes.StoredVotes.some`."""
        return self._stored().some(step, most)

    def changed_votes(self, step: Pack) -> tuple[RowVotes, RowVotes] | None:
        """Return what came and what went; see `wsdb.engine.stored_votes.StoredVotes.changed`."""
        return self._stored().changed(step)

    def keep_changes(self, step: Pack) -> None:
        """From now on, keep what changes of the stored patterns of a label matrix."""
        self._stored().keep_changes(step)

    def keyed_votes(self, steps: Sequence[Pack]) -> KeyedVotes:
        """Return the votes row by row; see `wsdb.engine.stored_votes.StoredVotes.keyed`."""
        return self._stored().keyed(steps)

    def has_sets(self, step: Pack) -> bool:
        """Return whether some vote on a task is for one of several labels."""
        return self._stored().has_sets(step)

    def _stored(self) -> StoredVotes:
        return StoredVotes(self.con, self.database, self.table)

    def has_confidence(self, lf: LabelingFunction) -> bool:
        """Return whether a labeling function says how sure its votes are."""
        if isinstance(lf.body, Votes):
            return lf.body.confidence is not None
        if not isinstance(lf.body, Select):
            return False
        return any(name.lower() == CONFIDENCE for name, _ in self.describe(lf.body.sql, None, "confidence"))

    # ------------------------------------------------------------------------------------------------- relations

    def batches(self, query: str, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Return the rows of a query in Arrow batches of at most `rows`; closed early, the connection is free again."""
        reader = self.con.sql(query).to_arrow_reader(rows)
        try:
            yield from reader
        finally:
            reader.close()

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query as tuples."""
        return self.con.execute(query, list(parameters)).fetchall()

    def run(self, statement: str) -> None:
        """Execute one statement for what it does."""
        self.con.execute(statement)

    def store(self, name: str, table: pa.Table) -> None:
        """Write an Arrow table as a table of schema wsdb."""
        self.con.register("__wsdb_stored", table)
        self.con.execute(f"CREATE OR REPLACE TABLE {self.table(name)} AS FROM __wsdb_stored")
        self.con.unregister("__wsdb_stored")

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
