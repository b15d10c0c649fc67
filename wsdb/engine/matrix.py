"""Runs a LabelMatrix step on a wide matrix: scan, scatter, and writes that touch only what changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from wsdb.core.lf import Expression, VoteWhen
from wsdb.core.sqltext import ident, idents
from wsdb.engine import compile as sql
from wsdb.engine.matrix_run import MatrixRun
from wsdb.engine.patterns import FEW, Patterns
from wsdb.engine.places import Edit, Places
from wsdb.engine.rows import GOLD, ROW, SPLIT, among, delta_name, facts_select, gold_codes, row_facts
from wsdb.engine.scan import VoteScan, columns_of_step, scan_of
from wsdb.engine.scatter import unknown
from wsdb.planner.steps import Column, Isolate, Match, Reuse, Scatter, Step


@dataclass(slots=True, kw_only=True)
class WideRun(MatrixRun):
    """One run of a LabelMatrix step whose votes are stored as one column for each source.

    Attributes
    ----------
    patterns : the stored vote patterns, kept in step with the matrix
    """

    patterns: Patterns
    _kept: dict[str, int] = field(init=False)  # the votes of kept columns, in step with the rows

    def __post_init__(self) -> None:
        MatrixRun.__post_init__(self)
        self._kept = dict(self.step.votes)

    def run(self) -> dict[str, int]:
        """Bring the stored matrix up to date and return the votes of each column; see MatrixRun."""
        votes = MatrixRun.run(self)
        self._share(self.profiles[id(self.step)].seconds)
        return votes

    def _change(self) -> None:
        self._change_rows()
        self._change_columns()
        if self.step.rehash:
            self._rehash()

    # ---------------------------------------------------------------------------------------------------- parts

    def _parts(self, of_delta: bool) -> list[Step]:
        """Return the steps that compute votes: of the rows that differ, or of all rows."""
        found: list[Step] = [part for part in self.step.parts if isinstance(part, Isolate | Match)]
        return [part for part in found if bool(scan_of(part).rows) == of_delta]

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
        query = self._joined(base, parts, gold_codes(self.task))
        if base.startswith("("):
            run(f"CREATE OR REPLACE TABLE {self.table} AS {query}")
        else:
            self._declare(query)
            run(f"INSERT INTO {self.table} {query}")
        self.patterns.drop()

    def _declare(self, query: str) -> None:
        """Make the table empty, with the columns of a query over Arrow batches.

        The votes of VOTE ... WHEN are one label: one value for each segment, and a bit for each row that says who
        votes. For them DuckDB need not try all ways to compress, which takes longer than to write them.
        """
        plain = {column.name for column in self.step.columns if isinstance(column.lf.body, VoteWhen)}
        found = self.con.execute(f"DESCRIBE {query}").fetchall()
        how = {name: " USING COMPRESSION uncompressed" for name in plain}
        columns = ", ".join(f"{ident(name)} {kind}{how.get(name, '')}" for name, kind, *_ in found)
        self.con.execute(f"CREATE OR REPLACE TABLE {self.table} ({columns})")

    def _joined(self, base: str, parts: Sequence[tuple[str, Sequence[Column]]], gold: str | None) -> str:
        """Return the rows of `base` with the columns of the parts, by key, all columns in the step's order.

        Parameters
        ----------
        gold : the SELECT of keys and gold codes; None takes those of `base`
        """
        keys = self.task.keys
        owner = {column.name: at for at, (_, columns) in enumerate(parts) for column in columns}
        picked = [f"b.{ident(name)}" for name in (*keys, ROW, SPLIT)]
        picked.append(f"b.{GOLD}" if gold is None else f"gold.{GOLD}")
        for column in self.step.columns:
            place = f"p{owner[column.name]}" if column.name in owner else "b"
            picked.append(f"{place}.{ident(column.name)}")
        joins = self._joins(parts)
        joins += "" if gold is None else f"\nLEFT JOIN ({gold}) AS gold USING ({idents(keys)})"
        return f"SELECT {', '.join(picked)} FROM {base} AS b{joins}"

    def _joins(self, parts: Sequence[tuple[str, Sequence[Column]]]) -> str:
        keys = idents(self.task.keys)
        return "".join(f"\nLEFT JOIN {table} AS p{at} USING ({keys})" for at, (table, _) in enumerate(parts))

    # ------------------------------------------------------------------------------------------------ row changes

    def _change_rows(self) -> None:
        """Take gone and changed rows out, and put new and changed ones in, with the votes of the kept columns."""
        changes = self.step.rows.changes
        if changes is None or changes.columns is not None:
            return
        delta = f"temp.main.{delta_name(self.task)}"
        here = among(self.task.keys, delta)
        old, new = "temp.main.__wsdb_old", "temp.main.__wsdb_rows"
        patched = self.step.write == "update" and self.patterns.exists()
        taken: list[str] = []
        if changes.touched:
            self._new_rows(here)
            self._recount(new, 1)
            taken += [self.patterns.take(new, 1)] if patched else []
        if changes.changed or changes.removed:
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE __wsdb_old AS FROM {self.table} WHERE {here}")
            self._recount(old, -1)
            taken += [self.patterns.take(old, -1)] if patched else []
            self.con.execute(f"DELETE FROM {self.table} WHERE {here}")
            self.con.execute(f"DROP TABLE {old}")
        if changes.touched:
            self.con.execute(f"INSERT INTO {self.table} BY NAME FROM {new}")
            self.con.execute(f"DROP TABLE {new}")
        if patched:
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
        joins += f" LEFT JOIN {self.table} AS m USING ({keys})" if not computed.issuperset(stored) else ""
        run(f"CREATE OR REPLACE TEMP TABLE __wsdb_rows AS SELECT {', '.join(picked)} FROM {base} AS b{joins}")

    def _stored_columns(self) -> list[str]:
        """Return the vote columns that the stored table has."""
        found = self.con.execute(f"DESCRIBE {self.table}").fetchall()
        return [name for name, *_ in found if name not in (*self.task.keys, ROW, SPLIT, GOLD)]

    # --------------------------------------------------------------------------------------------- column changes

    def _change_columns(self) -> None:
        """Compute new and edited columns on all rows, and write them."""
        parts = self._scattered()
        scans = [self._scan(step) for step in self._parts(of_delta=False)]
        if self.step.write == "update" and self._edit(parts, scans):
            return
        for scan in scans:
            relation = scan.relation()
            if relation.startswith("("):  # else it is a table of Arrow batches already
                name = f"__wsdb_columns_{id(scan):x}"
                scan.run(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM {relation}")
                scan._temporary.append(name)
                relation = f"temp.main.{name}"
            parts.append((relation, columns_of_step(scan.step)))
        if self.step.write == "rewrite":
            keys = self.task.keys
            kept = [name for part in self.step.parts if isinstance(part, Reuse) for name in part.names]
            base = f"(SELECT {idents([*keys, ROW, SPLIT, GOLD, *kept])} FROM {self.table})"
            self.con.execute(f"CREATE OR REPLACE TABLE {self.table} AS {self._joined(base, parts, None)}")
            self.patterns.drop()
        elif parts:
            self._update(parts)

    def _edit(self, parts: Sequence[tuple[str, Sequence[Column]]], scans: Sequence[VoteScan]) -> bool:
        """Write the votes that differ by the place of their rows; return whether that can be done."""
        names = [column.name for _, columns in parts for column in columns]
        names += [column.name for scan in scans for column in columns_of_step(scan.step)]
        places = Places.of(self.con, self.task, self.table, names, self.step.rows.n_rows) if names else None
        if places is None:
            return False
        votes: dict[str, np.ndarray] = {}
        for relation, columns in parts:
            listed = [column.name for column in columns]
            votes |= places.spread(self.con.sql(places.query(relation, listed)).to_arrow_table(), listed)
        for scan in scans:
            listed = [column.name for column in columns_of_step(scan.step)]
            votes |= places.spread(scan.read(places.query(scan.relation(), listed)), listed)
        edit = Edit(places, votes)
        if edit.count:
            with edit.written(self.con, self.task, self.table) as (rows, update):
                self._replace(edit.count, rows, update)
        return True

    def _update(self, parts: Sequence[tuple[str, Sequence[Column]]]) -> None:
        """Write the votes that differ, of the columns of the parts, into the rows of the stored table, by key."""
        names = [(f"p{at}", column.name) for at, (_, columns) in enumerate(parts) for column in columns]
        picked = ", ".join([*(f"m.{ident(key)}" for key in self.task.keys), *(f"{p}.{ident(n)}" for p, n in names)])
        differs = " OR ".join(f"m.{ident(name)} IS DISTINCT FROM {p}.{ident(name)}" for p, name in names)
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE __wsdb_votes AS SELECT {picked} FROM {self.table} AS m{self._joins(parts)} "
            f"WHERE {differs}"
        )
        (count,) = self.con.execute("SELECT count(*) FROM temp.main.__wsdb_votes").fetchall()[0]
        if count:
            rows = f"(FROM {self.table} WHERE {among(self.task.keys, 'temp.main.__wsdb_votes')})"
            own = ident(f"matrix_{self.task.name}")
            on = " AND ".join(f"{own}.{ident(key)} = p.{ident(key)}" for key in self.task.keys)
            values = ", ".join(f"{ident(name)} = p.{ident(name)}" for _, name in names)
            self._replace(count, rows, f"UPDATE {self.table} SET {values} FROM temp.main.__wsdb_votes AS p WHERE {on}")
        self.con.execute("DROP TABLE temp.main.__wsdb_votes")

    def _replace(self, count: int, rows: str, update: str) -> None:
        """Run the UPDATE of some rows of the stored table, and keep the patterns in step.

        Parameters
        ----------
        rows : SQL of those rows
        """
        patched = count <= FEW * self.step.rows.n_rows and self.patterns.exists()
        taken = [self.patterns.take(rows, -1)] if patched else []
        self.con.execute(update)
        if patched:
            self.patterns.patch(*taken, self.patterns.take(rows, 1))
        else:
            self.patterns.drop()

    def _rehash(self) -> None:
        """Write hash, split and gold of all rows anew."""
        self._write_facts(facts_select(self.task, self.step.rows.row_columns))
        self.patterns.drop()

    # ---------------------------------------------------------------------------------------------------- check

    def _votes(self) -> dict[str, int]:
        known = self._kept
        found = known | self._counted([column for column in self.step.columns if column.name not in known], self.table)
        return {column.name: found[column.name] for column in self.step.columns}

    def _recount(self, rows: str, sign: int) -> None:
        """Add the votes in a table of rows to those of the kept columns, or take them away."""
        columns = [column for column in self.step.columns if column.name in self._kept]
        for name, votes in self._counted(columns, rows).items():
            self._kept[name] += sign * votes

    def _counted(self, columns: Sequence[Column], rows: str) -> dict[str, int]:
        """Return the votes of some columns in a table of rows; raise where one holds a label the task does not have."""
        if not columns:
            return {}
        names = [ident(column.name) for column in columns]
        # Only an expression can give a label of its own making; scattered votes have been checked.
        lowest = [
            f"min({name})" if isinstance(column.lf.body, Expression) else "0"
            for name, column in zip(names, columns, strict=True)
        ]
        counts = ", ".join(f"count({name}), {low}" for name, low in zip(names, lowest, strict=True))
        row = self.con.execute(f"SELECT {counts} FROM {rows}").fetchall()[0]
        for at, column in enumerate(columns):
            if row[2 * at + 1] == sql.UNKNOWN:
                raise unknown(self.con, self.task, column, [])
        return {column.name: row[2 * at] for at, column in enumerate(columns)}

    def _share(self, spent: float) -> None:
        """Give each column of a scan an equal share of its seconds: in one scan they cannot be told apart."""
        rest = spent - sum(self.seconds.values())
        computed = [column for step in self._parts(of_delta=False) for column in columns_of_step(step)]
        for column in computed:
            self.seconds[column.name] = rest / len(computed)

    def _bytes(self, votes: dict[str, int]) -> int:
        width = 2 if self.task.code_type == "SMALLINT" else 1
        return self.step.rows.n_rows * len(self.step.columns) * width
