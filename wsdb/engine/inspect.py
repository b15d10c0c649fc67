"""Facts of a task's relation: one scan hashes its keys and every column that a labeling function reads."""

from __future__ import annotations

import duckdb

from wsdb.catalog.fingerprint import data_hash, digest
from wsdb.core.errors import DataError, SpecError
from wsdb.core.lf import Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import Task
from wsdb.engine.analyze import Reads, functions, reads
from wsdb.engine.check import describe, relation_columns
from wsdb.engine.udf import source_of
from wsdb.planner.facts import LFFacts, TaskFacts


class Inspector:
    """Reads facts off one connection; relations that several labeling functions share are hashed once."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._relations: dict[str, str] = {}
        self._functions = functions(con)

    def task(self, task: Task, lfs: list[LabelingFunction]) -> TaskFacts:
        """Return the facts of a task.

        Raises
        ------
        DataError
            WS402 where its relation, or a body, no longer fits what was declared.
        """
        columns = self._columns(task)
        together = self._bind_together(lfs, task)
        known = {lf.name: self._reads(lf, task, together) for lf in lfs if lf.enabled}
        by_lf = {lf.name: self._own(lf, task, known[lf.name], columns) for lf in lfs if lf.enabled}
        wanted = [name for name in columns if any(name in own for own in by_lf.values())]
        hashes = self._hash_columns(task, wanted)
        facts = {}
        for lf in lfs:
            if not lf.enabled:
                continue
            sources = self._sources(lf)
            parts = self._input_parts(lf, task, known[lf.name], columns)
            own = [f"{name}={hashes[name]}" for name in by_lf[lf.name]]
            hashed = None if parts is None else digest(data_hash(lf), *task.labels, *own, *parts, *sources)
            looks_up = isinstance(lf.body, VoteWhen | Expression) and len(known[lf.name].relations) > 1
            facts[lf.name] = LFFacts(by_lf[lf.name], hashed, sources, looks_up)
        return TaskFacts(int(hashes["#"]), digest(*task.keys, *task.labels, hashes["#"], hashes["key"]), facts)

    def _columns(self, task: Task) -> list[str]:
        try:
            columns = [name for name, _ in relation_columns(self._con, task.relation, None, f'task "{task.name}"')]
        except SpecError as error:
            raise DataError(
                "WS402",
                f'the relation of task "{task.name}" cannot be read any more: {_plain(error)}',
                hint=f"bring {task.relation} back, or CREATE OR REPLACE TASK {task.name}",
            ) from error
        low = {name.lower() for name in columns}
        for name in (*task.keys, *((task.split.column,) if task.split else ())):
            if name.lower() not in low:
                raise DataError(
                    "WS402",
                    f'relation {task.relation} no longer has column "{name}", which task "{task.name}" needs',
                    hint=f"it has {', '.join(columns)}; bring the column back, or CREATE OR REPLACE TASK {task.name}",
                )
        return columns

    def _query(self, lf: LabelingFunction, task: Task) -> str | None:
        """Return a SELECT that reads what a SQL body reads; None for a body without SQL of its own."""
        match lf.body:
            case VoteWhen(_, sql) | Expression(sql):
                return f"SELECT {idents(task.keys)}, (\n{sql}\n) AS label FROM {task.relation}"
            case Select(sql):
                return f"SELECT * FROM (\n{sql}\n)"
            case Python() | Votes():
                return None

    def _bind_together(self, lfs: list[LabelingFunction], task: Task) -> bool:
        """Return whether all row bodies still bind, in one SELECT; where they do not, each is bound to say which."""
        bodies = [lf.body for lf in lfs if lf.enabled and isinstance(lf.body, VoteWhen | Expression)]
        texts = [body.predicate if isinstance(body, VoteWhen) else body.sql for body in bodies]
        selected = ", ".join([idents(task.keys), *(f"(\n{text}\n) AS __{at}" for at, text in enumerate(texts))])
        try:
            self._con.execute(f"DESCRIBE SELECT {selected} FROM {task.relation}").fetchall()
        except duckdb.Error:
            return False
        return True

    def _reads(self, lf: LabelingFunction, task: Task, together: bool) -> Reads:
        query = self._query(lf, task)
        if query is None:
            return Reads()
        try:
            if not (together and isinstance(lf.body, VoteWhen | Expression)):
                describe(self._con, query, None, f'labeling function "{lf.name}"')
        except SpecError as error:
            raise DataError(
                "WS402",
                f'labeling function "{lf.name}" no longer fits what it reads: {_plain(error)}',
                hint=f"CREATE OR REPLACE LABELING FUNCTION {lf.name} for the columns there are now",
                lf=lf.name,
            ) from error
        body = lf.body
        if isinstance(body, VoteWhen | Expression):  # without the keys, which every LF is bound next to
            sql = body.predicate if isinstance(body, VoteWhen) else body.sql
            return reads(self._con, f"SELECT (\n{sql}\n) FROM {task.relation}", self._functions)
        return reads(self._con, body.sql if isinstance(body, Select) else query, self._functions)

    def _own(self, lf: LabelingFunction, task: Task, known: Reads, columns: list[str]) -> tuple[str, ...]:
        """Return the columns of the task's relation that a labeling function reads."""
        match lf.body:
            case Python():
                low = {name.lower(): name for name in columns}
                for name in lf.columns:
                    if name.lower() not in low:
                        raise DataError(
                            "WS402",
                            f'labeling function "{lf.name}" reads column "{name}", which its relation no longer has',
                            hint=f"it has {', '.join(columns)}",
                        )
                return tuple(low[name.lower()] for name in lf.columns)
            case Votes() | Select():
                return ()
            case _:
                return known.of(columns, task.relation)

    def _hash_columns(self, task: Task, columns: list[str]) -> dict[str, str]:
        """Return the row count (#), the hash of the keys and of each column, in one scan."""
        keys = idents(task.keys)
        parts = [f"bit_xor(hash({keys}))"]
        parts += ["0" if name in task.keys else f"bit_xor(hash({keys}, {ident(name)}))" for name in columns]
        row = self._con.execute(f"SELECT count(*), {', '.join(parts)} FROM {task.relation}").fetchall()[0]
        return {"#": str(row[0]), "key": str(row[1]), **dict(zip(columns, map(str, row[2:]), strict=True))}

    def _input_parts(self, lf: LabelingFunction, task: Task, known: Reads, columns: list[str]) -> list[str] | None:
        """Return the hashes of what a labeling function reads besides its row; None where that cannot be hashed."""
        match lf.body:
            case Python() as body:
                return [source_of(body)]
            case Votes() as body:
                return [self._hash_relation(body.relation)]
            case _:
                if known.opaque or known.volatile(self._functions, [] if isinstance(lf.body, Select) else columns):
                    return None
                own = _bare(task.relation)  # a row body reads columns of it, which are hashed one by one
                others = [name for name in known.relations if isinstance(lf.body, Select) or _bare(name) != own]
                return [*map(self._hash_relation, others), *known.macros]

    def _hash_relation(self, relation: str) -> str:
        """Return the hash of a whole relation, whatever the order of its rows."""
        if relation not in self._relations:
            row = self._con.execute(
                f"SELECT count(*), bit_xor(hash(__rel)), sum(hash(__rel)::HUGEINT) FROM {relation} AS __rel"
            ).fetchall()[0]
            self._relations[relation] = digest(relation, *row)
        return self._relations[relation]

    def _sources(self, lf: LabelingFunction) -> tuple[str | None, ...]:
        if not isinstance(lf.body, Votes) or lf.body.source is None:
            return (None,)
        source = ident(lf.body.source)
        rows = self._con.execute(
            f"SELECT DISTINCT CAST({source} AS VARCHAR) AS source FROM {lf.body.relation} "
            "WHERE source IS NOT NULL ORDER BY source"
        ).fetchall()
        (nulls,) = self._con.execute(f"SELECT count(*) FROM {lf.body.relation} WHERE {source} IS NULL").fetchall()[0]
        if nulls:
            raise DataError(
                "WS407",
                f'{nulls:,} vote{"s" if nulls > 1 else ""} of labeling function "{lf.name}" '
                f"ha{'ve' if nulls > 1 else 's'} no source (NULL in {source})",
                hint="name the voter of each vote, or leave those rows out with a view",
            )
        return tuple(name for (name,) in rows)

    def rows_hash(self, source: str, columns: list[str]) -> str:
        """Return the hash of some columns of a model's source, whatever the order of its rows."""
        names = idents(columns)
        row = self._con.execute(
            f"SELECT count(*), bit_xor(hash({names})), sum(hash({names})::HUGEINT) FROM {source}"
        ).fetchall()[0]
        return digest(source, names, *row)


def _plain(error: SpecError) -> str:
    """Return what DuckDB said, without whose text it was."""
    return error.message.partition('": ')[2] or error.message


def _bare(relation: str) -> str:
    """Return a relation's SQL name without quotes and in lower case, to compare names by."""
    return relation.replace('"', "").strip("'").lower()
