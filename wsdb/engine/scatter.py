"""Scatter: the votes of a relation or vote labeling function, read as (key, vote) and put into rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import duckdb

from wsdb.core.errors import DataError
from wsdb.core.lf import Expression, LabelingFunction, Select, Votes
from wsdb.core.sqltext import ident, idents, literals, shown_row
from wsdb.core.task import Task
from wsdb.engine import compile as sql
from wsdb.engine.elements import check_fit, of_elements
from wsdb.engine.located import said
from wsdb.engine.partial import keep_sets
from wsdb.engine.relation import rows_of
from wsdb.engine.udf import unknown_labels
from wsdb.planner.explain import Profile
from wsdb.planner.steps import Column, Scatter


@dataclass(slots=True)
class VoteReader:
    """Reads relation and vote labeling functions into temporary tables.

    Attributes
    ----------
    confidence, sets : full SQL names of the tables of how sure votes are, and of votes for one of several labels
    seconds : of each column read, its share of the time of its labeling function
    """

    con: duckdb.DuckDBPyConnection
    task: Task
    confidence: str
    sets: str
    notices: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    profiles: dict[int, Profile] = field(default_factory=dict)
    _temporary: list[str] = field(default_factory=list)

    def wide(self, step: Scatter) -> tuple[str, Sequence[Column]]:
        """Read the votes into a temporary table, one row a key and a column for each source; return its name."""
        start = time.perf_counter()
        long = self.long(step)
        wide = self._table(sql.wide_votes(step.columns, self.task, long), step.lf)
        self._spent(step, time.perf_counter() - start)
        return wide, step.columns

    def long(self, step: Scatter) -> str:
        """Read the votes into a temporary table of keys, ``__source`` (a number) and ``__code``; return its name.

        Raises
        ------
        DataError
            WS403 unknown labels, WS404 votes for keys that are not there, WS405 a query that fails, WS408 lists and
            spans that do not fit their row.
        """
        start = time.perf_counter()
        task = self.task
        lf, misfits = of_elements(self.con, step.lf, task)
        check_fit(self.con, lf, task, misfits)
        names: list[str] = []
        if isinstance(lf.body, Select):
            names = [row[0] for row in self.con.execute(f"DESCRIBE SELECT * FROM (\n{lf.body.sql}\n)").fetchall()]
        query = sql.long_votes(lf, task, names, step.columns)
        long = self._table(query, lf)
        clashes, lowest, count = self.con.execute(
            f"SELECT count(*) FILTER (WHERE __clash), min(__lowest), count(*) FROM {long}"
        ).fetchall()[0]
        if lowest == sql.UNKNOWN:
            raise unknown(self.con, task, replace(step.columns[0], lf=lf), names)
        if clashes:
            self.notices.append(
                f'labeling function "{lf.name}" gives {clashes:,} key{"s" if clashes > 1 else ""} two different '
                "labels; it abstains there"
            )
        self._check_strays(lf, long)
        if sql.confidence_of(lf, names) is not None and step.columns[0].bit is None:
            self._keep_confidence(step, long)
        if step.columns[0].listed and step.columns[0].bit is None:
            keep_sets(self.con, self.sets, task, step, long)
        self.profiles[id(step)] = Profile(count, time.perf_counter() - start)
        self._spent(step, time.perf_counter() - start)
        return long

    def _keep_confidence(self, step: Scatter, long: str) -> None:
        """Store how sure each vote is, in a table of its own."""
        keys = idents(self.task.keys)
        names = literals([column.name for column in step.columns])
        wrong = self.con.execute(
            f"SELECT __sure FROM {long} WHERE NOT (__sure BETWEEN 0 AND 1) ORDER BY {keys} LIMIT 1"
        ).fetchall()
        if wrong:
            raise DataError(
                "WS406",
                f'labeling function "{step.lf.name}" has a confidence of {wrong[0][0]:g}; it is from 0 to 1',
                hint="scale it, for example with least(greatest(confidence, 0), 1)",
                lf=step.lf.name,
            )
        table, voted = self.confidence, "coalesce(__code, __set[1])" if step.columns[0].listed else "__code"
        self.con.execute(
            f"CREATE TABLE IF NOT EXISTS {table} AS SELECT {keys}, ''::VARCHAR AS column_name, 1::DOUBLE AS confidence "
            f"FROM {self.task.relation} LIMIT 0"
        )
        self.con.execute(f"DELETE FROM {table} WHERE column_name IN ({names})")
        self.con.execute(
            f"INSERT INTO {table} SELECT {keys}, [{names}][__source + 1], __sure FROM {long} "
            f"WHERE __sure IS NOT NULL AND {voted} IS NOT NULL"
        )

    def _spent(self, step: Scatter, seconds: float) -> None:
        for column in step.columns:
            self.seconds[column.name] = seconds / len(step.columns)

    def _table(self, query: str, lf: LabelingFunction) -> str:
        name = f"__wsdb_part_{len(self._temporary)}_{id(self):x}"
        try:
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
        except duckdb.Error as error:
            raise DataError(
                "WS405",
                f'labeling function "{lf.name}" failed: {said(error)}',
                lf=lf.name,
                hint="run its query alone",
            ) from error
        self._temporary.append(f"temp.main.{name}")
        return self._temporary[-1]

    def _check_strays(self, lf: LabelingFunction, long: str) -> None:
        """Raise where votes name keys that the task's relation does not have."""
        keys = idents(self.task.keys)
        strays = f"SELECT DISTINCT {keys} FROM {long} ANTI JOIN {self.task.relation} USING ({keys})"
        try:
            examples = rows_of(self.con, f"{strays} ORDER BY ALL LIMIT 3")
        except duckdb.Error as error:
            raise DataError(
                "WS404",
                f'the keys of labeling function "{lf.name}" cannot be compared with those of {self.task.relation}: '
                f"{said(error)}",
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

    def close(self) -> None:
        """Drop the temporary tables."""
        for name in self._temporary:
            try:
                self.con.execute(f"DROP TABLE IF EXISTS {name}")
            except duckdb.Error:  # the transaction is aborted: its rollback removes the table
                break
        self._temporary.clear()


def unknown(con: duckdb.DuckDBPyConnection, task: Task, column: Column, names: Sequence[str]) -> DataError:
    """Return the error that names the unknown label of a labeling function and how often it comes."""
    lf = column.lf
    if isinstance(lf.body, Expression):
        relation = f"(SELECT {sql.guarded(lf.body.sql, lf)} AS label FROM {task.relation})"
        label = "label"
    elif isinstance(lf.body, Votes):
        relation, label = lf.body.relation, lf.body.label
    else:
        assert isinstance(lf.body, Select)
        relation, label = f"(\n{lf.body.sql}\n)", sql.key_columns(lf, task, names)[1]
    text = f"CAST({ident(label)} AS VARCHAR)"
    if column.listed:
        text = f"unnest(CAST({ident(label)} AS VARCHAR[]))"
    if column.bit is not None:
        text = f"unnest({sql.list_of(ident(label), listed=column.listed)})"
        task = replace(task, labels=column.labels)
    rows = con.execute(
        f"SELECT __label, count(*) FROM (SELECT {text} AS __label FROM {relation}) "
        "WHERE __label IS NOT NULL AND NOT list_contains(?, __label) "
        "GROUP BY __label ORDER BY count(*) DESC, __label LIMIT 1",
        [list(task.labels)],
    ).fetchall()
    return unknown_labels(lf, task, *rows[0])
