"""Runs a LabelMatrix step: scatter, fuse, and one write that creates, updates or rewrites the stored table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import duckdb

from wsdb.core.errors import DataError
from wsdb.core.lf import Expression, LabelingFunction, Python, Select, Votes
from wsdb.core.sqltext import ident, idents, shown_row
from wsdb.core.task import Task
from wsdb.engine import compile as sql
from wsdb.engine.check import check_keys
from wsdb.engine.udf import PythonLF, load, unknown_labels
from wsdb.planner.explain import Profile
from wsdb.planner.steps import Column, Fuse, Isolate, LabelMatrix, Reuse, Scatter


class FusedScanError(Exception):
    """The fused scan failed; which labeling function it was is found out after the transaction is rolled back."""

    def __init__(self, step: Fuse, task: Task, cause: duckdb.Error) -> None:
        super().__init__(str(cause))
        self.step = step
        self.task = task
        self.cause = cause


@dataclass(slots=True)
class MatrixRun:
    """One run of a LabelMatrix step.

    Attributes
    ----------
    table : full SQL name of the stored matrix
    groups : how the fused columns are computed: normally all in one scan; several where Isolate found that labeling
        functions which work alone fail together
    notices : what the user should know, in sentences
    seconds : of each column, its share of the scan that computed it
    """

    con: duckdb.DuckDBPyConnection
    step: LabelMatrix
    table: str
    groups: Sequence[Sequence[Column]] | None
    progress: Callable[[str], None]
    notices: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    profiles: dict[int, Profile] = field(default_factory=dict)
    _python: dict[str, PythonLF] = field(default_factory=dict)
    _temporary: list[str] = field(default_factory=list)

    @property
    def task(self) -> Task:
        """The task whose matrix it is."""
        return self.step.task

    def run(self) -> dict[str, int]:
        """Bring the stored matrix up to date and return the number of votes of each computed column.

        Raises
        ------
        DataError
            WS401 keys, WS403 unknown labels, WS404 votes for keys that are not there, WS405 rows that fail.
        FusedScanError
            where the fused scan fails; nothing is known of the culprit yet.
        """
        if self.step.write == "create" and not self.step.checked:
            check_keys(self.con, self.task)
        start = time.perf_counter()
        try:
            parts = [self._scatter(part) for part in self.step.parts if isinstance(part, Scatter)]
            fused = [part.fuse for part in self.step.parts if isinstance(part, Isolate)]
            computed = self._write(parts, fused[0] if fused else None)
            votes = self._votes(computed)
        finally:
            self._clean()
        self._share(fused, time.perf_counter() - start)
        self.profiles[id(self.step)] = Profile(self.step.n_rows, time.perf_counter() - start)
        return votes

    def _share(self, fused: Sequence[Fuse], seconds: float) -> None:
        """Give each column of the fused scan an equal share of its seconds: in one scan they cannot be told apart."""
        rest = seconds - sum(self.seconds.values())
        for fuse in fused:
            for column in fuse.columns:
                self.seconds[column.name] = rest / len(fuse.columns)

    # ------------------------------------------------------------------------------------------------- scatter

    def _scatter(self, step: Scatter) -> tuple[str, Sequence[Column]]:
        """Read the votes of a relation or vote LF into a temporary table, one row a key, and return its name."""
        start = time.perf_counter()
        lf, task = step.lf, self.task
        self.progress(f"reading the votes of {lf.name}")
        names: list[str] = []
        if isinstance(lf.body, Select):
            names = [row[0] for row in self.con.execute(f"DESCRIBE SELECT * FROM (\n{lf.body.sql}\n)").fetchall()]
        query = sql.long_votes(lf, task, names, [column.source for column in step.columns])
        long = self._temporary_table(query, lf)
        clashes, lowest, count = self.con.execute(
            f"SELECT count(*) FILTER (WHERE __clash), min(__lowest), count(*) FROM {long}"
        ).fetchall()[0]
        if lowest == sql.UNKNOWN:
            raise self._unknown(lf, names)
        if clashes:
            self.notices.append(
                f'labeling function "{lf.name}" gives {clashes:,} key{"s" if clashes > 1 else ""} two different '
                "labels; it abstains there"
            )
        self._check_strays(lf, long)
        wide = self._temporary_table(sql.wide_votes(step.columns, task, long), lf)
        seconds = time.perf_counter() - start
        for column in step.columns:
            self.seconds[column.name] = seconds / len(step.columns)
        self.profiles[id(step)] = Profile(count, seconds)
        return wide, step.columns

    def _temporary_table(self, query: str, lf: LabelingFunction) -> str:
        name = f"temp.main.__wsdb_part_{len(self._temporary)}"
        try:
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name.split('.')[-1]} AS {query}")
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise DataError(
                "WS405",
                f'labeling function "{lf.name}" failed: {first}',
                lf=lf.name,
                hint="run its query alone",
            ) from error
        self._temporary.append(name)
        return name

    def _check_strays(self, lf: LabelingFunction, long: str) -> None:
        """Raise where votes name keys that the task's relation does not have."""
        keys = idents(self.task.keys)
        strays = f"SELECT DISTINCT {keys} FROM {long} ANTI JOIN {self.task.relation} USING ({keys})"
        try:
            examples = self.con.execute(f"{strays} ORDER BY ALL LIMIT 3").fetchall()
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise DataError(
                "WS404",
                f'the keys of labeling function "{lf.name}" cannot be compared with those of {self.task.relation}: '
                f"{first}",
                hint="give them the type of the task's key",
                lf=lf.name,
            ) from error
        if not examples:
            return
        (count,) = self.con.execute(f"SELECT count(*) FROM ({strays})").fetchall()[0]
        shown = "; ".join(shown_row(self.task.keys, row) for row in examples)
        raise DataError(
            "WS404",
            f'labeling function "{lf.name}" votes for {count:,} key{"s" if count > 1 else ""} that '
            f"{'are' if count > 1 else 'is'} not in {self.task.relation}: {shown}",
            hint="join it with the task's relation",
            count=count,
            examples=[list(row) for row in examples],
        )

    # --------------------------------------------------------------------------------------------------- write

    def _write(self, parts: list[tuple[str, Sequence[Column]]], fuse: Fuse | None) -> list[Column]:
        """Write the matrix table and return the columns that were computed."""
        keys, write = self.task.keys, self.step.write
        groups = [tuple(group) for group in (self.groups or (fuse.groups if fuse else ()))]
        computed = [column for group in groups for column in group] + [c for _, columns in parts for c in columns]
        if write == "create" and len(groups) <= 1:
            base = self._select(groups[0] if groups else (), fuse)
            self._replace(base, groups[0] if groups else (), parts, fuse)
            return computed
        if fuse is not None:
            for group in groups:
                parts = [*parts, (self._group_table(group, fuse), group)]
        if write == "update":
            self._update(parts)
            return computed
        kept = [name for step in self.step.parts if isinstance(step, Reuse) for name in step.names]
        if write == "create":
            base = f"SELECT {idents(keys)} FROM {self.task.relation}"
        else:
            base = f"SELECT {idents([*keys, *kept])} FROM {self.table}"
        self._replace(base, (), parts, fuse)
        return computed

    def _select(self, columns: Sequence[Column], fuse: Fuse | None) -> str:
        functions = {column.lf.name: self._register(column.lf) for column in columns if column.lf.scope == "python"}
        return sql.fused_select(columns, self.task, functions)

    def _replace(
        self, base: str, own: Sequence[Column], parts: list[tuple[str, Sequence[Column]]], fuse: Fuse | None
    ) -> None:
        """Make the table anew: the rows of `base`, joined with the parts by key, its columns in the step's order."""
        keys = self.task.keys
        owner = {column.name: at for at, (_, columns) in enumerate(parts) for column in columns}
        picked = [
            f"p{owner[column.name]}.{ident(column.name)}" if column.name in owner else f"b.{ident(column.name)}"
            for column in self.step.columns
        ]
        joins = "".join(f"\nLEFT JOIN {table} AS p{at} USING ({idents(keys)})" for at, (table, _) in enumerate(parts))
        select = ", ".join([*(f"b.{ident(key)}" for key in keys), *picked])
        query = base if not parts and not picked else f"SELECT {select} FROM (\n{base}\n) AS b{joins}"
        self._guarded(f"CREATE OR REPLACE TABLE {self.table} AS {query}", fuse)

    def _group_table(self, group: Sequence[Column], fuse: Fuse) -> str:
        name = f"temp.main.__wsdb_part_{len(self._temporary)}"
        query = self._select(group, fuse)
        self._guarded(f"CREATE OR REPLACE TEMP TABLE {name.split('.')[-1]} AS {query}", fuse)
        self._temporary.append(name)
        return name

    def _update(self, parts: list[tuple[str, Sequence[Column]]]) -> None:
        own = ident(f"matrix_{self.task.name}")
        for table, columns in parts:
            values = ", ".join(f"{ident(column.name)} = p.{ident(column.name)}" for column in columns)
            on = " AND ".join(f"{own}.{ident(key)} = p.{ident(key)}" for key in self.task.keys)
            cleared = ", ".join(f"{ident(column.name)} = NULL" for column in columns)
            if columns[0].lf.scope in ("relation", "votes"):  # keys without a vote must become NULL again
                self.con.execute(f"UPDATE {self.table} SET {cleared}")
            self.con.execute(f"UPDATE {self.table} SET {values} FROM {table} AS p WHERE {on}")

    def _guarded(self, statement: str, fuse: Fuse | None) -> None:
        try:
            start = time.perf_counter()
            self.con.execute(statement)
            if fuse is not None:
                self.profiles[id(fuse)] = Profile(self.step.n_rows, time.perf_counter() - start)
        except duckdb.Error as error:
            for function in self._python.values():
                if function.error is not None:
                    raise function.error from None
            if fuse is None:
                raise
            raise FusedScanError(fuse, self.task, error) from error
        for function in self._python.values():
            notice = function.check()
            if notice:
                self.notices.append(notice)
                function.failed = 0

    # --------------------------------------------------------------------------------------------------- check

    def _votes(self, computed: Sequence[Column]) -> dict[str, int]:
        """Return the votes of the computed columns; raise where one holds a label the task does not have."""
        if not computed:
            return {}
        names = [ident(column.name) for column in computed]
        # Only an expression can give a label of its own making; scattered votes have been checked.
        lowest = [
            f"min({name})" if isinstance(column.lf.body, Expression) else "0"
            for name, column in zip(names, computed, strict=True)
        ]
        counts = ", ".join(f"count({name}), {low}" for name, low in zip(names, lowest, strict=True))
        row = self.con.execute(f"SELECT {counts} FROM {self.table}").fetchall()[0]
        for at, column in enumerate(computed):
            if row[2 * at + 1] == sql.UNKNOWN:
                raise self._unknown(column.lf, [])
        return {column.name: row[2 * at] for at, column in enumerate(computed)}

    def _unknown(self, lf: LabelingFunction, names: list[str]) -> DataError:
        """Return the error that names the unknown label and how often it comes."""
        if isinstance(lf.body, Expression):
            relation = f"(SELECT {sql.guarded(lf.body.sql, lf)} AS label FROM {self.task.relation})"
            label = "label"
        elif isinstance(lf.body, Votes):
            relation, label = lf.body.relation, lf.body.label
        else:
            assert isinstance(lf.body, Select)
            relation, label = f"(\n{lf.body.sql}\n)", sql.key_columns(lf, self.task, names)[1]
        rows = self.con.execute(
            f"SELECT __label, count(*) FROM (SELECT CAST({ident(label)} AS VARCHAR) AS __label FROM {relation}) "
            "WHERE __label IS NOT NULL AND NOT list_contains(?, __label) "
            "GROUP BY __label ORDER BY count(*) DESC, __label LIMIT 1",
            [list(self.task.labels)],
        ).fetchall()
        return unknown_labels(lf, self.task, *rows[0])

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

    def _clean(self) -> None:
        for name in self._temporary:
            try:
                self.con.execute(f"DROP TABLE IF EXISTS {name}")
            except duckdb.Error:  # the transaction is aborted: its rollback removes the table
                break
        for name in self._python:
            try:
                self.con.remove_function(name)
            except duckdb.Error:
                break
        self._temporary.clear()
