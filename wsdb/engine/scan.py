"""VoteScan: one pass over a task's rows that computes votes, in SQL and by the kernels of Match."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import duckdb
import pyarrow as pa

from wsdb.core.lf import LabelingFunction, Python
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import Task
from wsdb.engine import compile as sql
from wsdb.engine.batches import Batches, batch_rows, worked
from wsdb.engine.isolate import abstained
from wsdb.engine.match import Kernel, matcher_of
from wsdb.engine.relation import describe
from wsdb.engine.udf import PythonLF, load
from wsdb.planner.explain import Profile
from wsdb.planner.steps import Column, Fuse, Isolate, Match, Scan, Step

T = TypeVar("T")
Groups = Mapping[bool, Sequence[Sequence[Column]]]
"""What Isolate found to work together, for the scan of all rows (False) and of the rows that differ (True)."""
ARROW_ERRORS = (duckdb.Error, pa.ArrowException, OSError)
"""What DuckDB's Arrow reader raises where a query fails on the way."""
PLAIN = re.compile(
    r"U?(TINYINT|SMALLINT|INTEGER|BIGINT)|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN|VARCHAR|BLOB|DATE|TIME|TIMESTAMP(_S|_MS|_NS)?"
)
"""Types that Arrow has as DuckDB has them."""
AS_TEXT = re.compile(r"U?HUGEINT|UUID|BIT|INTERVAL|TIME WITH TIME ZONE|ENUM\(.*")
"""Types that Arrow has no values for, or not all of them."""


class FusedScanError(Exception):
    """The fused scan failed; which labeling function it was is found out after the transaction is rolled back."""

    def __init__(self, step: Fuse, task: Task, cause: Exception) -> None:
        super().__init__(str(cause))
        self.step = step
        self.task = task
        self.cause = cause


def fuse_of(step: Step) -> Fuse | None:
    """Return the fused scan of a step that computes votes, or None where all leave SQL."""
    inner = step.source if isinstance(step, Match) else step
    return inner.fuse if isinstance(inner, Isolate) else None


def scan_of(step: Step) -> Scan:
    """Return the scan of a step that computes votes."""
    inner = step.source if isinstance(step, Match) else step
    if isinstance(inner, Isolate):
        return inner.fuse.scan
    assert isinstance(inner, Scan)
    return inner


def columns_of_step(step: Step) -> tuple[Column, ...]:
    """Return the columns that a step computes in its pass."""
    fuse = fuse_of(step)
    inside = fuse.columns if fuse is not None else ()
    return inside + (step.columns if isinstance(step, Match) else ())


@dataclass(slots=True)
class VoteScan:
    """One pass over rows of a task's relation.

    Attributes
    ----------
    step : a Match or an Isolate step
    groups : the columns of each SELECT, where Isolate found what works apart only; None is as the step says
    where : SQL of the rows to read, with the word WHERE; empty for all of them
    joins : SQL of the joins of primitives
    rows : how many rows will be read
    extra : SQL of more columns for each row, with their names
    kernels : by name, those of the labeling functions that leave SQL
    early : the keys and the votes of columns that were read with the hashes of rows
    progress : called with rows read and all rows
    """

    con: duckdb.DuckDBPyConnection
    task: Task
    step: Step
    groups: Sequence[Sequence[Column]] | None
    where: str
    joins: str
    rows: int
    extra: Sequence[str]
    kernels: dict[str, Kernel]
    early: pa.Table | None
    progress: Callable[[int], None]
    profiles: dict[int, Profile] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    _counted: bool = False
    _python: dict[str, PythonLF] = field(default_factory=dict)
    _temporary: list[str] = field(default_factory=list)
    _registered: list[str] = field(default_factory=list)
    _batches: list[Batches] = field(default_factory=list)

    def relation(self) -> str:
        """Return what to select from: the keys, the extra columns and a column for each vote source of the step.

        A single SELECT is not run here but where it is selected from, by `run`.
        """
        if self.early is not None and self._is_early(self.early.column_names):
            name = f"__wsdb_early_{id(self):x}"
            self.con.register(name, self.early)
            self._registered.append(name)
            return name
        fuse = fuse_of(self.step)
        groups = list(self.groups or (fuse.groups if fuse is not None else ())) or [()]
        base = self._matched(groups[0]) if isinstance(self.step, Match) else self.select(groups[0], self.extra)
        if len(groups) == 1:
            return base
        own = [*self.task.keys, *(text.rpartition(" AS ")[2] for text in self.extra)]
        names = [column.name for column in columns_of_step(self.step) if column in groups[0] or not _in(groups, column)]
        picked = [f"b.{ident(name)}" for name in (*own, *names)]
        joins = ""
        for at, group in enumerate(groups[1:]):
            joins += f"\nLEFT JOIN {self._table(group)} AS g{at} USING ({idents(self.task.keys)})"
            picked += [f"g{at}.{ident(column.name)}" for column in group]
        return f"(SELECT {', '.join(picked)} FROM {base} AS b{joins})"

    def _is_early(self, names: Sequence[str]) -> bool:
        """Return whether the votes of all rows are there, and nothing more is asked."""
        asked = {column.name for column in columns_of_step(self.step)}
        return not (self.where or self.extra) and asked.issubset(names)

    def run(self, statement: str) -> None:
        """Execute a statement that selects from `relation`.

        Raises
        ------
        FusedScanError
            where the SELECT fails on some row.
        DataError
            WS403, WS405, WS406 of python labeling functions.
        """
        self._timed(lambda: self.con.execute(statement))

    def read(self, query: str) -> pa.Table:
        """Return the answer of a query that selects from `relation`; it raises what `run` does."""
        return self._timed(lambda: self.con.sql(query).to_arrow_table())

    def _timed(self, work: Callable[[], T]) -> T:
        fuse, start = fuse_of(self.step), time.perf_counter()
        self.progress(0)
        try:
            found = work()
        except ARROW_ERRORS as error:
            self.fail(error)
        self.check()
        if fuse is not None and not isinstance(self.step, Match):
            self.profiles[id(fuse)] = Profile(self.rows, time.perf_counter() - start)
        return found

    def fail(self, error: Exception) -> NoReturn:
        """Raise what a failing SELECT of this pass means: a python function's own error, or a FusedScanError."""
        fuse = fuse_of(self.step)
        for function in self._python.values():
            if function.error is not None:
                raise function.error from None
        if fuse is None or isinstance(error, duckdb.InterruptException):
            raise error
        raise FusedScanError(fuse, self.task, error) from error

    def check(self) -> None:
        """Raise where a python labeling function failed on rows; note the rows where one may fail and did."""
        if not self._counted:
            self._counted = True
            self.notices += abstained(self.con, self.task, self._failing(), self.joins, self.where)
        for function in self._python.values():
            notice = function.check()
            if notice:
                self.notices.append(notice)
                function.failed = 0

    def _failing(self) -> list[LabelingFunction]:
        """Return the labeling functions of the SELECT that abstain where they fail."""
        fuse = fuse_of(self.step)
        lfs = [column.lf for column in (fuse.columns if fuse is not None else ())]
        return list(dict.fromkeys(lf for lf in lfs if lf.scope == "row" and lf.on_error == "abstain"))

    def select(self, columns: Sequence[Column], extra: Sequence[str]) -> str:
        """Return the SELECT, in parentheses, of keys, extra columns and the votes of some columns."""
        functions = {column.lf.name: self._register(column.lf) for column in columns if column.lf.scope == "python"}
        return f"({sql.fused_select(columns, self.task, functions, extra, self.where, self.joins)})"

    def _table(self, group: Sequence[Column]) -> str:
        name = f"__wsdb_group_{len(self._temporary)}_{id(self):x}"
        self.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {self.select(group, ())}")
        self._temporary.append(name)
        return f"temp.main.{name}"

    # --------------------------------------------------------------------------------------------------- match

    def _matched(self, inside: Sequence[Column]) -> str:
        """Read the rows once in Arrow batches, add the votes of the kernels, and return the registered table."""
        assert isinstance(self.step, Match)
        start = time.perf_counter()
        columns = self.step.columns
        matcher = matcher_of([self.kernels[column.lf.name] for column in columns])
        taken = [f"{ident(name)} AS __m{at}" for at, name in enumerate(matcher.columns)]
        types = describe(self.con, f"SELECT {idents(self.task.keys)} FROM {self.task.relation}", None, "the key")
        other = {key: kind for key, kind in types if not PLAIN.fullmatch(kind)}
        texts = {key: "VARCHAR" for key, kind in other.items() if AS_TEXT.fullmatch(kind)}
        query = _cast(self.select(inside, [*self.extra, *taken]), texts)
        batches, name = Batches(), f"__wsdb_votes_{id(self):x}"
        self._registered.append(name)
        self._batches.append(batches)
        code = pa.int8() if self.task.code_type == "TINYINT" else pa.int16()
        try:
            rows = batch_rows(self.con, self.task.relation, matcher.columns)
            reader = self.con.sql(f"FROM {query}").to_arrow_reader(rows)
            kept = [at for at, name in enumerate(reader.schema.names) if not name.startswith("__m")]
            schema = pa.schema([*(reader.schema.field(at) for at in kept), *(pa.field(c.name, code) for c in columns)])

            def voted(batch: pa.RecordBatch) -> pa.RecordBatch:
                text = pa.RecordBatch.from_arrays(
                    [batch.column(f"__m{at}") for at in range(len(matcher.columns))], names=list(matcher.columns)
                )
                votes = [array.cast(code) for array in matcher.codes(text)]
                return pa.RecordBatch.from_arrays([*(batch.column(at) for at in kept), *votes], schema=schema)

            for batch in worked(reader, voted):
                batches.add(batch)
                self.progress(batches.rows)
        except ARROW_ERRORS as error:
            self.fail(error)
        self.check()
        self.con.register(name, batches.table(schema))
        self.profiles[id(self.step)] = Profile(batches.rows, time.perf_counter() - start, batches.bytes)
        return _cast(name, other)

    # -------------------------------------------------------------------------------------------------- python

    def _register(self, lf: LabelingFunction) -> str:
        """Register a python LF for this run and return the SQL that calls it."""
        assert isinstance(lf.body, Python)
        name = f"__wsdb_lf_{len(self._python)}_{id(self):x}"
        function = PythonLF(lf, self.task, load(lf.body, lf.name))
        self.con.execute("SELECT 1").fetchall()  # DuckDB 2 registers nothing while a result is open
        self.con.create_function(  # type: ignore[call-overload]
            name,
            function.__call__,
            None,
            duckdb.sqltype(self.task.code_type),
            type="arrow",
            null_handling="special",
        )
        self._python[name] = function
        return sql.python_call(name, self.task, lf.columns)

    def close(self) -> None:
        """Remove what the pass has put on the connection."""
        for name in self._registered:
            with contextlib.suppress(duckdb.Error):
                self.con.unregister(name)
        for batches in self._batches:
            batches.close()
        for name in self._temporary:
            try:
                self.con.execute(f"DROP TABLE IF EXISTS temp.main.{name}")
            except duckdb.Error:  # the transaction is aborted: its rollback removes the table
                break
        for name in self._python:
            try:
                self.con.remove_function(name)
            except duckdb.Error:
                break


def _cast(relation: str, types: Mapping[str, str]) -> str:
    """Return a relation with some columns as other types."""
    casts = ", ".join(f"CAST({ident(name)} AS {kind}) AS {ident(name)}" for name, kind in types.items())
    return f"(SELECT * REPLACE ({casts}) FROM {relation})" if casts else relation


def _in(groups: Sequence[Sequence[Column]], column: Column) -> bool:
    return any(column in group for group in groups)
