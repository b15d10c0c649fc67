"""Runs a LabelMatrix step on a wide matrix: scan, scatter, and writes that touch only what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import duckdb

from wsdb.core.lf import Expression
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import Task
from wsdb.engine import compile as sql
from wsdb.engine.check import check_keys
from wsdb.engine.match import Kernel
from wsdb.engine.patterns import FEW, Patterns
from wsdb.engine.rows import GOLD, ROW, SPLIT, among, delta_name, gold_codes, row_facts
from wsdb.engine.scan import Groups, VoteScan, columns_of_step, scan_of
from wsdb.engine.scatter import VoteReader, unknown
from wsdb.planner.explain import Profile
from wsdb.planner.steps import Column, Isolate, LabelMatrix, Match, Reuse, Scatter, Step


@dataclass(slots=True)
class MatrixRun:
    """One run of a LabelMatrix step.

    Attributes
    ----------
    table : full SQL name of the stored matrix
    patterns : the stored vote patterns, kept in step with the matrix
    groups : how the fused columns are computed where they do not all work in one SELECT
    kernels : by labeling function, the predicates that leave SQL
    joins : SQL of the joins of the primitives that row bodies read
    confidence, sets : full SQL names of the tables of how sure votes are, and of votes for one of several labels
    notices : what the user should know, in sentences
    seconds : of each column, its share of the scan that computed it
    """

    con: duckdb.DuckDBPyConnection
    step: LabelMatrix
    table: str
    patterns: Patterns
    groups: Groups
    kernels: dict[str, Kernel]
    joins: str
    confidence: str
    sets: str
    progress: Callable[[str, int, int], None]
    notices: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    profiles: dict[int, Profile] = field(default_factory=dict)
    _scans: list[VoteScan] = field(default_factory=list)
    _reader: VoteReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = VoteReader(
            self.con, self.task, self.confidence, self.sets, self.notices, self.seconds, self.profiles
        )

    @property
    def task(self) -> Task:
        """The task whose matrix it is."""
        return self.step.task

    def run(self) -> dict[str, int]:
        """Bring the stored matrix up to date and return the number of votes of each column.

        Raises
        ------
        DataError
            WS401 keys, WS403 unknown labels, WS404 votes for keys that are not there, WS405 rows that fail.
        FusedScanError
            where the fused scan fails; nothing is known of the culprit yet.
        """
        start = time.perf_counter()
        try:
            if self.step.write == "create":
                check_keys(self.con, self.task)
                self._create()
            else:
                self._change_rows()
                self._change_columns()
                if self.step.rehash:
                    self._rehash()
            votes = self._votes()
        finally:
            for scan in self._scans:
                scan.close()
            self._reader.close()
        spent = time.perf_counter() - start
        self._share(spent)
        self.profiles[id(self.step)] = Profile(self.step.rows.n_rows, spent, self._bytes())
        return votes

    # ---------------------------------------------------------------------------------------------------- parts

    def _parts(self, of_delta: bool) -> list[Step]:
        """Return the steps that compute votes: of the rows that differ, or of all rows."""
        found: list[Step] = [part for part in self.step.parts if isinstance(part, Isolate | Match)]
        return [part for part in found if bool(scan_of(part).rows) == of_delta]

    def _scan(self, step: Step, where: str = "", extra: Sequence[str] = ()) -> VoteScan:
        """Return the pass that computes the columns of a step."""
        groups = self.groups.get(bool(scan_of(step).rows))
        what = f"label matrix of {self.task.name}"
        total = self.step.rows.n_rows
        changes = self.step.rows.changes
        if where and changes is not None:
            total = changes.touched
        scan = VoteScan(
            self.con,
            self.task,
            step,
            groups,
            where,
            self.joins,
            total,
            extra,
            self.kernels,
            lambda rows: self.progress(what, rows, total),
            self.profiles,
            self.notices,
        )
        self._scans.append(scan)
        return scan

    def _scattered(self) -> list[tuple[str, Sequence[Column]]]:
        parts = []
        for step in self.step.parts:
            if isinstance(step, Scatter):
                self.progress(f"reading the votes of {step.lf.name}", 0, 0)
                parts.append(self._reader.wide(step))
        return parts

    # --------------------------------------------------------------------------------------------------- create

    def _create(self) -> None:
        """Make the table anew: rows, facts of rows, votes."""
        facts = row_facts(self.task, self.step.rows.row_columns)
        parts = self._scattered()
        computing = self._parts(of_delta=False)
        run: Callable[[str], object] = self.con.execute
        if computing:
            scan = self._scan(computing[0], extra=facts)
            base, run = scan.relation(), scan.run
        else:
            base = f"(SELECT {', '.join([idents(self.task.keys), *facts])} FROM {self.task.relation})"
        run(f"CREATE OR REPLACE TABLE {self.table} AS {self._joined(base, parts)}")
        self.patterns.drop()

    def _joined(self, base: str, parts: Sequence[tuple[str, Sequence[Column]]]) -> str:
        """Return the rows of `base` with the columns of the parts, by key, all columns in the step's order."""
        keys = self.task.keys
        owner = {column.name: at for at, (_, columns) in enumerate(parts) for column in columns}
        picked = [*(f"b.{ident(key)}" for key in keys), f"b.{ROW}", f"b.{SPLIT}"]
        joins = "".join(f"\nLEFT JOIN {table} AS p{at} USING ({idents(keys)})" for at, (table, _) in enumerate(parts))
        gold = gold_codes(self.task)
        if gold is not None:
            joins += f"\nLEFT JOIN ({gold}) AS gold USING ({idents(keys)})"
        picked.append(f"b.{GOLD}" if gold is None else f"gold.{GOLD}")
        for column in self.step.columns:
            place = f"p{owner[column.name]}" if column.name in owner else "b"
            picked.append(f"{place}.{ident(column.name)}")
        return f"SELECT {', '.join(picked)} FROM {base} AS b{joins}"

    # ------------------------------------------------------------------------------------------------ row changes

    def _change_rows(self) -> None:
        """Take gone and changed rows out, and put new and changed ones in, with the votes of the kept columns."""
        changes = self.step.rows.changes
        if changes is None or changes.columns is not None:
            return
        delta = f"temp.main.{delta_name(self.task)}"
        here = among(self.task, delta)
        patched = self.step.write == "update" and self.patterns.exists()
        taken = [self.patterns.take(here, -1)] if patched else []
        self._new_rows(here)
        self.con.execute(f"DELETE FROM {self.table} WHERE {here}")
        self.con.execute(f"INSERT INTO {self.table} BY NAME FROM temp.main.__wsdb_rows")
        self.con.execute("DROP TABLE temp.main.__wsdb_rows")
        if patched:
            taken.append(self.patterns.take(here, 1))
            self.patterns.patch(*taken)
        self.con.execute(f"DROP TABLE {delta}")

    def _new_rows(self, here: str) -> None:
        """Compute the new and changed rows into a temporary table with the columns of the stored matrix."""
        keys = idents(self.task.keys)
        facts = row_facts(self.task, self.step.rows.row_columns)
        where = f"WHERE {here}"
        computing = self._parts(of_delta=True)
        run: Callable[[str], object] = self.con.execute
        if computing:
            scan = self._scan(computing[0], where, facts)
            base, run = scan.relation(), scan.run
        else:
            base = f"(SELECT {', '.join([keys, *facts])} FROM {self.task.relation} {where})"
        computed = {column.name for step in computing for column in columns_of_step(step)}
        gold = gold_codes(self.task)
        picked = [f"b.{ident(key)}" for key in self.task.keys] + [f"b.{ROW}", f"b.{SPLIT}"]
        picked.append(f"b.{GOLD}" if gold is None else f"gold.{GOLD}")
        joins = "" if gold is None else f" LEFT JOIN ({gold}) AS gold USING ({keys})"
        stored = self._stored_columns()
        picked += [f"{'b' if name in computed else 'm'}.{ident(name)}" for name in stored]
        joins += f" LEFT JOIN {self.table} AS m USING ({keys})"
        run(f"CREATE OR REPLACE TEMP TABLE __wsdb_rows AS SELECT {', '.join(picked)} FROM {base} AS b{joins}")

    def _stored_columns(self) -> list[str]:
        """Return the vote columns that the stored table has."""
        found = self.con.execute(f"DESCRIBE {self.table}").fetchall()
        return [name for name, *_ in found if name not in (*self.task.keys, ROW, SPLIT, GOLD)]

    # --------------------------------------------------------------------------------------------- column changes

    def _change_columns(self) -> None:
        """Compute new and edited columns on all rows, and write them."""
        parts = self._scattered()
        for step in self._parts(of_delta=False):
            scan = self._scan(step)
            name = f"__wsdb_columns_{len(self._scans)}"
            relation = scan.relation()
            if relation.startswith("("):  # else it is a table of Arrow batches already
                scan.run(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM {relation}")
                scan._temporary.append(name)
                relation = f"temp.main.{name}"
            parts.append((relation, columns_of_step(step)))
        if self.step.write == "rewrite":
            keys = self.task.keys
            kept = [name for part in self.step.parts if isinstance(part, Reuse) for name in part.names]
            base = f"(SELECT {idents([*keys, ROW, SPLIT, GOLD, *kept])} FROM {self.table})"
            self.con.execute(f"CREATE OR REPLACE TABLE {self.table} AS {self._joined_again(base, parts)}")
            self.patterns.drop()
        elif parts:
            self._update(parts)

    def _joined_again(self, base: str, parts: Sequence[tuple[str, Sequence[Column]]]) -> str:
        owner = {column.name: at for at, (_, columns) in enumerate(parts) for column in columns}
        picked = [f"b.{ident(name)}" for name in (*self.task.keys, ROW, SPLIT, GOLD)]
        for column in self.step.columns:
            place = f"p{owner[column.name]}" if column.name in owner else "b"
            picked.append(f"{place}.{ident(column.name)}")
        return f"SELECT {', '.join(picked)} FROM {base} AS b{self._joins(parts)}"

    def _joins(self, parts: Sequence[tuple[str, Sequence[Column]]]) -> str:
        keys = idents(self.task.keys)
        return "".join(f"\nLEFT JOIN {table} AS p{at} USING ({keys})" for at, (table, _) in enumerate(parts))

    def _update(self, parts: Sequence[tuple[str, Sequence[Column]]]) -> None:
        """Write the votes that differ, of the columns of the parts, into the rows of the stored table."""
        names = [(f"p{at}", column.name) for at, (_, columns) in enumerate(parts) for column in columns]
        picked = ", ".join([*(f"m.{ident(key)}" for key in self.task.keys), *(f"{p}.{ident(n)}" for p, n in names)])
        differs = " OR ".join(f"m.{ident(name)} IS DISTINCT FROM {p}.{ident(name)}" for p, name in names)
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE __wsdb_votes AS SELECT {picked} FROM {self.table} AS m{self._joins(parts)} "
            f"WHERE {differs}"
        )
        (count,) = self.con.execute("SELECT count(*) FROM temp.main.__wsdb_votes").fetchall()[0]
        if count:
            patched = count <= FEW * self.step.rows.n_rows and self.patterns.exists()
            here = among(self.task, "temp.main.__wsdb_votes")
            taken = [self.patterns.take(here, -1)] if patched else []
            own = ident(f"matrix_{self.task.name}")
            on = " AND ".join(f"{own}.{ident(key)} = p.{ident(key)}" for key in self.task.keys)
            values = ", ".join(f"{ident(name)} = p.{ident(name)}" for _, name in names)
            self.con.execute(f"UPDATE {self.table} SET {values} FROM temp.main.__wsdb_votes AS p WHERE {on}")
            if patched:
                taken.append(self.patterns.take(here, 1))
                self.patterns.patch(*taken)
            else:
                self.patterns.drop()
        self.con.execute("DROP TABLE temp.main.__wsdb_votes")

    def _rehash(self) -> None:
        """Write hash, split and gold of all rows anew."""
        task, keys = self.task, idents(self.task.keys)
        gold = gold_codes(task)
        facts = f"SELECT {', '.join([keys, *row_facts(task, self.step.rows.row_columns)])} FROM {task.relation}"
        if gold is not None:
            facts = f"SELECT * EXCLUDE ({GOLD}), g.{GOLD} FROM ({facts}) LEFT JOIN ({gold}) AS g USING ({keys})"
        own = ident(f"matrix_{task.name}")
        on = " AND ".join(f"{own}.{ident(key)} = p.{ident(key)}" for key in task.keys)
        values = ", ".join(f"{name} = p.{name}" for name in (ROW, SPLIT, GOLD))
        self.con.execute(f"UPDATE {self.table} SET {values} FROM ({facts}) AS p WHERE {on}")
        self.patterns.drop()

    # ---------------------------------------------------------------------------------------------------- check

    def _votes(self) -> dict[str, int]:
        """Return the votes of all columns; raise where one holds a label the task does not have."""
        if not self.step.columns:
            return {}
        names = [ident(column.name) for column in self.step.columns]
        # Only an expression can give a label of its own making; scattered votes have been checked.
        lowest = [
            f"min({name})" if isinstance(column.lf.body, Expression) else "0"
            for name, column in zip(names, self.step.columns, strict=True)
        ]
        counts = ", ".join(f"count({name}), {low}" for name, low in zip(names, lowest, strict=True))
        row = self.con.execute(f"SELECT {counts} FROM {self.table}").fetchall()[0]
        for at, column in enumerate(self.step.columns):
            if row[2 * at + 1] == sql.UNKNOWN:
                raise unknown(self.con, self.task, column, [])
        return {column.name: row[2 * at] for at, column in enumerate(self.step.columns)}

    def _share(self, spent: float) -> None:
        """Give each column of a scan an equal share of its seconds: in one scan they cannot be told apart."""
        rest = spent - sum(self.seconds.values())
        computed = [column for step in self._parts(of_delta=False) for column in columns_of_step(step)]
        for column in computed:
            self.seconds[column.name] = rest / len(computed)

    def _bytes(self) -> int:
        width = 2 if self.task.code_type == "SMALLINT" else 1
        return self.step.rows.n_rows * len(self.step.columns) * width
