"""DuckDBEngine: the default engine, over one connection to the user's database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.errors import CatalogError, SpecError
from wsdb.core.lf import Expression, LabelingFunction, Select, Votes, VoteWhen
from wsdb.core.matrix import KeyedVotes, RowVotes, SparseVotes, VotePatterns
from wsdb.core.payload import POS, Primitive, primitives_of
from wsdb.core.span import Span
from wsdb.core.sqltext import ident, idents, literals
from wsdb.core.task import Task
from wsdb.engine.analyze import functions, reads
from wsdb.engine.check import check_lf, check_task, describe, relation_columns
from wsdb.engine.compile import CONFIDENCE
from wsdb.engine.inspect import Inspector
from wsdb.engine.isolate import isolate
from wsdb.engine.match import Kernel, kernels_of
from wsdb.engine.matrix import MatrixRun
from wsdb.engine.partial import with_sets
from wsdb.engine.patterns import Patterns
from wsdb.engine.rows import GOLD, SPLIT, joins_of, probe
from wsdb.engine.scan import FusedScanError
from wsdb.engine.sparse import ID, SparseRun
from wsdb.parser.statements import Statement
from wsdb.planner.facts import TaskFacts
from wsdb.planner.pack import bits, per_word
from wsdb.planner.steps import Column, LabelMatrix, Match, Pack, Reuse, Scan, walk

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
        self._groups: dict[str, dict[bool, list[list[Column]]]] = {}
        self._matched: dict[str, dict[LabelingFunction, Kernel]] = {}

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

    def check_lf(
        self, lf: LabelingFunction, task: Task, at: Statement, primitives: Sequence[Primitive] = ()
    ) -> LabelingFunction:
        """Return the labeling function with its body bound; see `wsdb.engine.check.check_lf`."""
        joins = joins_of(task, [one.name for one in primitives_of(lf, primitives)], self.table)
        return check_lf(self.con, lf, task, at, joins)

    def materialise(self, primitive: Primitive) -> int:
        """Compute a primitive into its table, and return its number of rows."""
        table = self.table(f"primitive_{primitive.name}")
        self.con.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM (\n{primitive.sql}\n)")
        (rows,) = self.con.execute(f"SELECT count(*) FROM {table}").fetchall()[0]
        return int(rows)

    def columns(self, relation: str, at: Statement | None = None, what: str = "relation") -> list[tuple[str, str]]:
        """Return the (name, type) columns of a relation."""
        return relation_columns(self.con, relation, at.at("relation") if at else None, what)

    def describe(self, query: str, span: Span | None, what: str) -> list[tuple[str, str]]:
        """Return the (name, type) columns of a SELECT of the user's."""
        return describe(self.con, f"SELECT * FROM (\n{query}\n)", span, what)

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
        inspector = Inspector(self.con, self.table, primitives, served)
        facts = inspector.task(task, list(lfs), stored)
        self._matched[task.name.lower()] = inspector.kernels
        return facts

    def hash_probe(self) -> str:
        """Return what this engine's hash function answers for a few values; stored row hashes are good for it alone."""
        return probe(self.con)

    def texts_of(
        self, task: Task, lfs: Sequence[LabelingFunction], primitives: Sequence[Primitive]
    ) -> dict[str, tuple[frozenset[str], frozenset[str], frozenset[str]]]:
        """Return what the text of each SQL labeling function reads: columns, constants and primitives."""
        known, found = functions(self.con), {}
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
        found = reads(self.con, query, functions(self.con)).relations
        return tuple(re.sub(r'"([A-Za-z_]\w*)"', r"\1", relation) for relation in found)

    def rows_hash(self, source: str, columns: Sequence[str]) -> str:
        """Return the hash of some columns of a relation."""
        return Inspector(self.con, self.table).rows_hash(source, list(columns))

    # --------------------------------------------------------------------------------------------- label matrix

    def run_matrix(
        self, step: LabelMatrix, progress: Callable[[str, int, int], None]
    ) -> tuple[MatrixRun | SparseRun, dict[str, int]]:
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
        groups = self._groups.pop(task.name.lower(), {})
        kernels, joins = self._kernels(step), self._joins(step)
        sure = self.table(f"confidence_{task.name}"), self.table(f"sets_{task.name}")
        kept = [name for part in step.parts if isinstance(part, Reuse) for name in part.names]
        for name in ("confidence", "sets"):  # they are written with the columns that are computed
            if self._has_table(f"{name}_{task.name}"):
                old = f"NOT list_contains([{literals(kept)}]::VARCHAR[], column_name)"
                self.con.execute(f"DELETE FROM {self.table(f'{name}_{task.name}')} WHERE {old}")
        patterns = self._patterns(task, [column.name for column in step.columns])
        table, patterns_table = self.table(f"matrix_{task.name}"), self.table(f"patterns_{task.name}")
        if step.storage == "sparse":
            self.con.execute(f"DROP TABLE IF EXISTS {patterns_table}")
            votes, sources = self.table(f"votes_{task.name}"), self.table(f"sources_{task.name}")
            sparse = SparseRun(self.con, step, table, votes, sources, groups, kernels, joins, *sure, progress)
            return sparse, sparse.run()
        if step.write == "create":  # the stored one may be sparse
            for part in ("votes", "sources"):
                self.con.execute(f"DROP TABLE IF EXISTS {self.table(f'{part}_{task.name}')}")
        run = MatrixRun(self.con, step, table, patterns, groups, kernels, joins, *sure, progress)
        return run, run.run()

    def _patterns(self, task: Task, columns: Sequence[str]) -> Patterns:
        table, matrix = self.table(f"patterns_{task.name}"), self.table(f"matrix_{task.name}")
        return Patterns(self.con, task, self.database, table, matrix, columns)

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
        """Return the votes of a stored label matrix with the split and gold label of their rows.

        A wide matrix gives its patterns, which are counted by one GROUP BY where they are not stored yet; a sparse one
        gives its votes.
        """
        return self._sparse_votes(step) if step.storage == "sparse" else self._counted(step)

    def _counted(self, step: Pack) -> RowVotes:
        task = step.task
        stored = self._patterns(task, step.columns)
        if not stored.exists():
            stored.count()
        order = ", ".join([*(f"word_{at}" for at in range(step.words)), "split", "gold"])
        table = self.con.sql(f"FROM {self.table(f'patterns_{task.name}')} ORDER BY {order}").to_arrow_table()
        counts = table.column("n").to_numpy().astype(np.int64)
        if not step.columns and counts.sum() == 0:
            table, counts = table.slice(0, 0), counts[:0]
        packed = [table.column(f"word_{at}").to_numpy() for at in range(step.words)]
        votes = unpack(packed, len(step.columns), len(task.labels), len(counts))
        patterns = VotePatterns(votes, counts, step.columns, len(task.labels))
        distinct = _distinct(patterns, packed)
        return RowVotes(patterns, _objects(table.column("split")), _codes(table.column("gold")), distinct)

    def _sparse_votes(self, step: Pack) -> RowVotes:
        task, matrix = step.task, self.table(f"matrix_{step.task.name}")
        # Rows without a vote are known by number only; the others come in the order of their votes.
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE __wsdb_rows AS SELECT {ID}, "
            f"(row_number() OVER (ORDER BY {ID}) - 1)::INTEGER AS place, {SPLIT} AS split, {GOLD} AS gold FROM {matrix}"
        )
        rows = self.con.sql("SELECT split, gold FROM temp.main.__wsdb_rows ORDER BY place").to_arrow_table()
        found = self.con.sql(
            f"SELECT r.place, v.source, v.code FROM {self.table(f'votes_{task.name}')} AS v "
            f"JOIN temp.main.__wsdb_rows AS r USING ({ID}) ORDER BY r.place, v.source"
        ).to_arrow_table()
        self.con.execute("DROP TABLE temp.main.__wsdb_rows")
        votes = SparseVotes(
            found.column("place").to_numpy(),
            found.column("source").to_numpy(),
            found.column("code").to_numpy(),
            np.ones(rows.num_rows, dtype=np.int64),
            step.columns,
            len(task.labels),
            rows.num_rows,
        )
        return RowVotes(votes, _objects(rows.column("split")), _codes(rows.column("gold")), votes)

    def keyed_votes(self, steps: Sequence[Pack]) -> KeyedVotes:
        """Return the votes of one or more label matrices over the same rows, row by row in the order of their keys.

        Elements, whose key ends with ``pos``, are grouped by the rest of the key. Columns come in the order of `steps`.
        """
        task = steps[0].task
        keys, tables = idents(task.keys), [self.table(f"matrix_{step.task.name}") for step in steps]
        picked = [
            f"m{at}.{ident(name)} AS __{at}_{j}" for at, s in enumerate(steps) for j, name in enumerate(s.columns)
        ]
        joins = "".join(f" JOIN {name} AS m{at} USING ({keys})" for at, name in enumerate(tables) if at)
        if any(step.storage == "sparse" for step in steps):
            raise SpecError(
                "WS311",
                f'task "{task.name}" has more vote sources than this kind of label model reads',
                hint="vote with fewer sources, or put them together in one labeling function",
            )
        source = f"{tables[0]} AS m0{joins}"
        table = self.con.sql(f"SELECT {', '.join([keys, *picked])} FROM {source} ORDER BY {keys}").to_arrow_table()
        n_keys, n = len(task.keys), table.num_rows
        votes = np.full((n, len(picked)), -1, dtype=np.int16)
        for at in range(len(picked)):
            votes[:, at] = table.column(n_keys + at).fill_null(-1).to_numpy()
        offsets = np.arange(n + 1)
        if task.keys[-1].lower() == POS and n:
            rest = idents(task.keys[:-1])
            sizes = self.con.sql(f"SELECT count(*) AS n FROM {source} GROUP BY {rest} ORDER BY {rest}").to_arrow_table()
            offsets = np.concatenate([[0], np.cumsum(sizes.column("n").to_numpy())])
        confidence = self._confidence(steps[0], table) if len(steps) == 1 else None
        sets = None
        if len(steps) == 1 and self._has_table(f"sets_{task.name}"):
            sets = with_sets(self.con, self.table(f"sets_{task.name}"), tables[0], task, steps[0].columns, votes)
        return KeyedVotes(table.select(range(n_keys)), votes, offsets.astype(np.int64), confidence, sets)

    def has_sets(self, step: Pack) -> bool:
        """Return whether some vote on a task is for one of several labels."""
        name = f"sets_{step.task.name}"
        if not self._has_table(name):
            return False
        of = f"column_name IN ({literals(step.columns)})" if step.columns else "false"
        return bool(self.rows(f"SELECT 1 FROM {self.table(name)} WHERE {of} LIMIT 1"))

    def _has_table(self, name: str) -> bool:
        """Return whether schema wsdb has a table."""
        return bool(
            self.rows(
                "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'wsdb' "
                "AND lower(table_name) = ?",
                [self.database, name.lower()],
            )
        )

    def has_confidence(self, lf: LabelingFunction) -> bool:
        """Return whether a labeling function says how sure its votes are."""
        if isinstance(lf.body, Votes):
            return lf.body.confidence is not None
        if not isinstance(lf.body, Select):
            return False
        return any(name.lower() == CONFIDENCE for name, _ in self.describe(lf.body.sql, None, "confidence"))

    def _confidence(self, step: Pack, table: pa.Table) -> np.ndarray | None:
        """Return the confidence of each vote in the order of the keys, None where there is none."""
        task, name = step.task, f"confidence_{step.task.name}"
        if not self._has_table(name):
            return None
        keys = idents(task.keys)
        found = self.con.sql(
            f"SELECT r.__at, c.column_name, c.confidence FROM {self.table(name)} AS c JOIN (SELECT {keys}, "
            f"row_number() OVER (ORDER BY {keys}) - 1 AS __at FROM {self.table(f'matrix_{task.name}')}) AS r "
            f"USING ({keys})"
        ).to_arrow_table()
        place = {column: at for at, column in enumerate(step.columns)}
        columns = np.array([place.get(one, -1) for one in found.column("column_name").to_pylist()], dtype=np.int64)
        if not (columns >= 0).any():
            return None
        confidence = np.ones((table.num_rows, len(step.columns)))
        known = columns >= 0
        rows = found.column("__at").to_numpy()[known]
        confidence[rows, columns[known]] = np.clip(found.column("confidence").to_numpy()[known], 0.0, 1.0)
        return confidence

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


def _distinct(patterns: VotePatterns, words: Sequence[np.ndarray]) -> VotePatterns:
    """Return patterns that come in the order of their words with equal ones, of other rows, as one."""
    n = len(patterns.counts)
    new = np.ones(n, dtype=bool)
    if n:
        new[1:] = np.any([word[1:] != word[:-1] for word in words], axis=0) if words else False
    if new.all():
        return patterns
    starts = np.flatnonzero(new)
    counts = np.add.reduceat(patterns.counts, starts)
    return VotePatterns(patterns.votes[starts], counts, patterns.sources, patterns.n_classes)


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    """Return strings and None as an object array."""
    return np.array(column.to_pylist(), dtype=object)


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return codes as int64, -1 for NULL."""
    filled: np.ndarray = column.fill_null(-1).to_numpy().astype(np.int64)
    return filled


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
