"""Runs a LabelMatrix step on a sparse matrix: a table of rows, and a table with a row for each vote."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from wsdb.core.lf import Expression
from wsdb.core.sqltext import ident, idents, literals
from wsdb.engine import compile as sql
from wsdb.engine.batches import BATCH_ROWS, Batches, batch_rows, worked
from wsdb.engine.match import matcher_of
from wsdb.engine.matrix_run import MatrixRun
from wsdb.engine.rows import among, delta_name, facts_select
from wsdb.engine.scan import ARROW_ERRORS, VoteScan, columns_of_step, fuse_of, scan_of
from wsdb.engine.scatter import unknown
from wsdb.planner.explain import Profile
from wsdb.planner.steps import Column, Isolate, Match, Scatter, Step

ID = "__id"
"""The number of a row, by which its votes are found."""
CHUNK = 100
"""Columns that one SELECT computes before their votes are read off it."""


@dataclass(slots=True, kw_only=True)
class SparseRun(MatrixRun):
    """One run of a LabelMatrix step whose votes are stored as (row, source, code).

    Attributes
    ----------
    votes, sources : full SQL names: the votes, and which column each source number is
    """

    votes: str
    sources: str
    _number: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        MatrixRun.__post_init__(self)
        self._number = {column.name: at for at, column in enumerate(self.step.columns)}

    def _change(self) -> None:
        if self.step.write == "rewrite":
            self._renumber()
        self._change_rows()
        if self.step.rehash:
            self._write_facts(self._facts())
        self._clear()
        self._compute_all()

    # ----------------------------------------------------------------------------------------------------- rows

    def _create(self) -> None:
        self.con.execute(
            f"CREATE OR REPLACE TABLE {self.table} AS "
            f"SELECT *, (row_number() OVER () - 1)::BIGINT AS {ID} FROM ({self._facts()})"
        )
        self.con.execute(
            f"CREATE OR REPLACE TABLE {self.votes} ({ID} BIGINT, source INTEGER, code {self.task.code_type})"
        )
        self._name_sources()
        self._compute_all()

    def _name_sources(self) -> None:
        names = literals([column.name for column in self.step.columns])
        self.con.execute(
            f"CREATE OR REPLACE TABLE {self.sources} AS SELECT (i - 1)::INTEGER AS source, names[i] AS name "
            f"FROM (SELECT [{names}]::VARCHAR[] AS names), range(1, len(names) + 1) AS r(i)"
        )

    def _facts(self, where: str = "") -> str:
        return facts_select(self.task, self.step.rows.row_columns, where)

    def _renumber(self) -> None:
        """Give the votes of kept columns the numbers of their new places; the others lose their votes."""
        old = f"{self.sources}"
        names = literals([column.name for column in self.step.columns])
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE __wsdb_kept AS SELECT source AS old, "
            f"(list_position([{names}]::VARCHAR[], name) - 1)::INTEGER AS new FROM {old}"
        )
        self.con.execute(
            f"CREATE OR REPLACE TABLE {self.votes} AS SELECT v.{ID}, k.new AS source, v.code FROM {self.votes} AS v "
            "JOIN temp.main.__wsdb_kept AS k ON v.source = k.old WHERE k.new IS NOT NULL"
        )
        self.con.execute("DROP TABLE temp.main.__wsdb_kept")
        self._name_sources()

    def _change_rows(self) -> None:
        """Take gone rows out, give changed rows their new facts, and put new rows in; changed rows lose their votes."""
        changes = self.step.rows.changes
        if changes is None or changes.columns is not None:
            return
        task, delta = self.task, f"temp.main.{delta_name(self.task)}"
        keys = idents(task.keys)
        kept = self._scattered_numbers()
        gone = f"SELECT {ID} FROM {self.table} SEMI JOIN (FROM {delta} WHERE __new IS NULL) USING ({keys})"
        self.con.execute(f"DELETE FROM {self.votes} WHERE {ID} IN ({gone})")
        self.con.execute(f"DELETE FROM {self.table} WHERE {among(task.keys, f'(FROM {delta} WHERE __new IS NULL)')}")
        changed = f"SELECT {ID} FROM {self.table} SEMI JOIN {delta} USING ({keys})"
        others = f" AND source NOT IN ({kept})" if kept else ""
        self.con.execute(f"DELETE FROM {self.votes} WHERE {ID} IN ({changed}){others}")
        self._write_facts(self._facts(f"WHERE {among(task.keys, delta)}"))
        new = f"WHERE {among(task.keys, f'(FROM {delta} WHERE __old IS NULL)')}"
        (last,) = self.con.execute(f"SELECT coalesce(max({ID}), -1) FROM {self.table}").fetchall()[0]
        self.con.execute(
            f"INSERT INTO {self.table} BY NAME "
            f"SELECT *, {last} + row_number() OVER () AS {ID} FROM ({self._facts(new)})"
        )

    def _scattered_numbers(self) -> str:
        """Return the numbers of sources whose votes do not depend on a row's own columns."""
        return ", ".join(
            str(self._number[column.name]) for column in self.step.columns if column.lf.scope in ("relation", "votes")
        )

    # ---------------------------------------------------------------------------------------------------- votes

    def _clear(self) -> None:
        """Remove the votes of the columns that are computed on all rows."""
        edited: list[Column] = []
        for step in self.step.parts:
            if isinstance(step, Scatter):
                edited += step.columns
            elif isinstance(step, Isolate | Match) and not scan_of(step).rows:
                edited += columns_of_step(step)
        if edited:
            numbers = ", ".join(str(self._number[column.name]) for column in edited)
            self.con.execute(f"DELETE FROM {self.votes} WHERE source IN ({numbers})")

    def _compute_all(self) -> None:
        for step in self.step.parts:
            self._compute(step)

    def _compute(self, step: Step) -> None:
        start = time.perf_counter()
        if isinstance(step, Scatter):
            long = self._reader.long(step)
            numbers = ", ".join(str(self._number[column.name]) for column in step.columns)
            self.con.execute(
                f"INSERT INTO {self.votes} SELECT m.{ID}, [{numbers}][__source + 1], __code FROM {long} "
                f"JOIN {self.table} AS m USING ({idents(self.task.keys)}) WHERE __code IS NOT NULL"
            )
            return
        if not isinstance(step, Isolate | Match):
            return
        delta = f"temp.main.{delta_name(self.task)}"
        where = (
            f"WHERE {among(self.task.keys, f'(FROM {delta} WHERE __new IS NOT NULL)')}" if scan_of(step).rows else ""
        )
        scan = self._scan(step, where)
        if isinstance(step, Match):
            self._match(scan, step)
        fuse = fuse_of(step)
        for group in scan.groups or (fuse.groups if fuse is not None else ()):
            for at in range(0, len(group), CHUNK):
                self._fused(scan, group[at : at + CHUNK])
        computed = columns_of_step(step)
        for column in computed if not where else ():  # what all rows took stays recorded
            self.seconds[column.name] = (time.perf_counter() - start) / len(computed)

    def _numbered(self, select: str, columns: str) -> str:
        """Return the SELECT of the row's number and of `columns` of a SELECT that has the keys."""
        return f"SELECT m.{ID}, {columns} FROM {select} AS s JOIN {self.table} AS m USING ({idents(self.task.keys)})"

    def _match(self, scan: VoteScan, step: Match) -> None:
        """Read the text once and keep the votes that the kernels find."""
        start = time.perf_counter()
        matcher = matcher_of([self.kernels[column.lf.name] for column in step.columns])
        numbers = np.array([self._number[column.name] for column in step.columns], dtype=np.int32)
        taken = [f"{ident(name)} AS __m{at}" for at, name in enumerate(matcher.columns)]
        picked = ", ".join(f"s.__m{at}" for at in range(len(taken)))
        query = self._numbered(scan.select((), taken), picked)

        def votes(batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            text = pa.RecordBatch.from_arrays(batch.columns[1:], names=list(matcher.columns))
            rows, kernels, codes = matcher.hits(text)
            return batch.column(0).to_numpy()[rows], numbers[kernels], codes

        size = batch_rows(self.con, self.task.relation, matcher.columns)
        found = self._store(scan, query, votes, size)
        self.profiles[id(step)] = Profile(found, time.perf_counter() - start)

    def _fused(self, scan: VoteScan, columns: Sequence[Column]) -> None:
        """Compute some columns in SQL and keep their votes."""
        numbers = [self._number[column.name] for column in columns]
        picked = ", ".join(f"s.{ident(column.name)}" for column in columns)
        query = self._numbered(scan.select(columns, ()), picked)

        def votes(batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            ids = batch.column(0).to_numpy()
            parts = []
            for number, codes in zip(numbers, batch.columns[1:], strict=True):
                rows = np.flatnonzero(codes.is_valid().to_numpy(zero_copy_only=False))
                parts.append((ids[rows], np.full(len(rows), number, dtype=np.int32), codes.drop_null().to_numpy()))
            return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))  # type: ignore[return-value]

        self._store(scan, query, votes)

    def _store(
        self,
        scan: VoteScan,
        query: str,
        votes: Callable[[pa.RecordBatch], tuple[np.ndarray, np.ndarray, np.ndarray]],
        size: int = BATCH_ROWS,
    ) -> int:
        """Run a query in batches of `size` rows and write the votes read off them; return their number."""
        code = pa.int8() if self.task.code_type == "TINYINT" else pa.int16()
        schema = pa.schema([(ID, pa.int64()), ("source", pa.int32()), ("code", code)])
        batches, rows = Batches(), 0

        def listed(batch: pa.RecordBatch) -> tuple[int, pa.RecordBatch]:
            ids, sources, codes = votes(batch)
            arrays = [pa.array(ids, pa.int64()), pa.array(sources, pa.int32()), pa.array(codes).cast(code)]
            return batch.num_rows, pa.RecordBatch.from_arrays(arrays, schema=schema)

        try:
            try:
                for read, found in worked(self.con.sql(query).to_arrow_reader(size), listed):
                    batches.add(found)
                    rows += read
                    self.progress(f"label matrix of {self.task.name}", rows, self.step.rows.n_rows)
            except ARROW_ERRORS as error:
                scan.fail(error)
            scan.check()
            self.con.register("__wsdb_found", batches.table(schema))
            self.con.execute(f"INSERT INTO {self.votes} FROM __wsdb_found")
            self.con.unregister("__wsdb_found")
        finally:
            batches.close()
        return batches.rows

    def _votes(self) -> dict[str, int]:
        found = {
            source: (count, lowest)
            for source, count, lowest in self.con.execute(
                f"SELECT source, count(*), min(code) FROM {self.votes} GROUP BY source"
            ).fetchall()
        }
        for at, column in enumerate(self.step.columns):
            if found.get(at, (0, 0))[1] == sql.UNKNOWN and isinstance(column.lf.body, Expression):
                raise unknown(self.con, self.task, column, [])
        return {column.name: found.get(at, (0, 0))[0] for at, column in enumerate(self.step.columns)}

    def _bytes(self, votes: dict[str, int]) -> int:
        return 13 * sum(votes.values())
