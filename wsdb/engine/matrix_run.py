"""MatrixRun: what one run of a LabelMatrix step needs whatever the form the votes are stored in."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from wsdb.core.sqltext import ident
from wsdb.core.task import Task
from wsdb.engine.match import Kernel
from wsdb.engine.relation import check_keys
from wsdb.engine.rows import GOLD, ROW, SPLIT
from wsdb.engine.scan import Groups, VoteScan, scan_of
from wsdb.engine.scatter import VoteReader
from wsdb.planner.explain import Profile
from wsdb.planner.steps import LabelMatrix, Step


@dataclass(slots=True, kw_only=True)
class MatrixRun(ABC):
    """One run of a LabelMatrix step.

    Attributes
    ----------
    table : full SQL name of the stored matrix
    groups : how the fused columns are computed where they do not all work in one SELECT
    kernels : by labeling function, the predicates that leave SQL
    early : the keys and the votes of columns that were read with the hashes of rows
    joins : SQL of the joins of the primitives that row bodies read
    confidence, sets : full SQL names of the tables of how sure votes are, and of votes for one of several labels
    progress : called with what is done, the rows done, and all rows (0 where that is not known)
    notices : what the user should know, in sentences
    seconds : of each column, its share of the scan that computed it
    """

    con: duckdb.DuckDBPyConnection
    step: LabelMatrix
    table: str
    groups: Groups
    kernels: dict[str, Kernel]
    early: pa.Table | None
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
                self._change()
            votes = self._votes()
        finally:
            for scan in self._scans:
                scan.close()
            self._reader.close()
        spent = time.perf_counter() - start
        self.profiles[id(self.step)] = Profile(self.step.rows.n_rows, spent, self._bytes(votes))
        return votes

    @abstractmethod
    def _create(self) -> None:
        """Make the stored matrix anew."""

    @abstractmethod
    def _change(self) -> None:
        """Write what differs into the stored matrix."""

    @abstractmethod
    def _votes(self) -> dict[str, int]:
        """Return the votes of all columns; raise where one holds a label the task does not have."""

    @abstractmethod
    def _bytes(self, votes: dict[str, int]) -> int:
        """Return about how large the stored matrix is."""

    def _scan(self, step: Step, where: str = "", extra: Sequence[str] = ()) -> VoteScan:
        """Return the pass that computes the columns of a step.

        Parameters
        ----------
        where : SQL of the rows to read, with the word WHERE; empty for all of them
        extra : SQL of more columns for each row, with their names
        """
        what, changes = f"label matrix of {self.task.name}", self.step.rows.changes
        total = changes.touched if where and changes is not None else self.step.rows.n_rows
        scan = VoteScan(
            self.con,
            self.task,
            step,
            self.groups.get(bool(scan_of(step).rows)),
            where,
            self.joins,
            total,
            extra,
            self.kernels,
            self.early,
            lambda rows: self.progress(what, rows, total),
            self.profiles,
            self.notices,
        )
        self._scans.append(scan)
        return scan

    def _write_facts(self, facts: str) -> None:
        """Write hash, split and gold of the rows of a SELECT into the stored rows."""
        own = ident(f"matrix_{self.task.name}")
        on = " AND ".join(f"{own}.{ident(key)} = p.{ident(key)}" for key in self.task.keys)
        values = ", ".join(f"{name} = p.{name}" for name in (ROW, SPLIT, GOLD))
        self.con.execute(f"UPDATE {self.table} SET {values} FROM ({facts}) AS p WHERE {on}")
