"""Facts of a task's relation: one scan hashes its keys and every column that a labeling function reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import duckdb
import pyarrow as pa

from wsdb.catalog.fingerprint import digest, votes_hash
from wsdb.catalog.snapshot import StoredMatrix
from wsdb.core.errors import DataError, SpecError
from wsdb.core.lf import Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.payload import Primitive, primitives_of
from wsdb.core.rowsql import gold_is_own, gold_select
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import Task
from wsdb.engine.analyze import Functions, Reads, is_zoned, prepare, reads
from wsdb.engine.compile import key_columns, vote_code
from wsdb.engine.elements import of_elements
from wsdb.engine.inline import inlined
from wsdb.engine.inputs import Inputs
from wsdb.engine.match import Kernel, kernels_of
from wsdb.engine.relation import describe, relation_columns
from wsdb.engine.rows import (
    RowHashes,
    changed_columns,
    changes,
    delta_name,
    fingerprint,
    joins_of,
    probe,
)
from wsdb.planner.columns import columns_of, inline
from wsdb.planner.facts import LFFacts, TaskFacts
from wsdb.planner.match import matched


class Inspector:
    """Reads facts off one connection; relations that several labeling functions share are hashed once.

    Parameters
    ----------
    table : the full SQL name of something in schema wsdb
    functions : what DuckDB says of its functions
    primitives : those that labeling functions may read, each with the hash of what it was computed from
    served : by lower-cased name of a model or task, the version that predict answers with

    Attributes
    ----------
    kernels : after `task`, those of the labeling functions whose predicates can leave SQL
    early : after `task`, the keys and the votes of columns that were read with the hashes of rows; None if none were
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        table: Callable[[str], str],
        functions: Functions,
        primitives: Mapping[Primitive, str | None],
        served: Mapping[str, str],
    ) -> None:
        self._con = con
        self._table = table
        self._primitives = primitives
        self.kernels: dict[LabelingFunction, Kernel] = {}
        self.early: pa.Table | None = None
        self._functions = functions
        self._inputs = Inputs(con, table, functions, primitives, served)

    def task(self, task: Task, lfs: list[LabelingFunction], stored: StoredMatrix | None) -> TaskFacts:
        """Return the facts of a task.

        Parameters
        ----------
        stored : what is known of the stored label matrix

        Raises
        ------
        DataError
            WS402 where its relation, or a body, no longer fits what was declared.
        """
        types, stale = self._columns(task), self._inputs.stale(lfs)
        columns, matrix = list(types), self._table(f"matrix_{task.name}")
        together = self._bind_together(lfs, task)
        if together:
            prepare(self._con, (self._row_query(lf, task) for lf in lfs if lf.enabled and is_row(lf)))
        facts = {lf.name: self._lf(lf, task, types, together) for lf in lfs if lf.enabled}
        facts |= self._kernels(lfs, task, types, facts)
        read = {name for known in facts.values() for name in known.rests_on}
        if task.split is not None:
            read.add(task.split.column)
        if task.gold is not None and gold_is_own(task):
            read.add(task.gold.column)
        low = {key.lower() for key in task.keys}
        wanted = tuple(name for name in columns if name in read and name.lower() not in low)
        gold = self._gold(task)
        if stored is None or stored.hash_probe != probe(self._con) or not set(stored.row_columns) <= set(columns):
            n_rows, (rows_hash,), each = fingerprint(self._con, RowHashes.read(task, wanted), wanted, each=wanted)
            return TaskFacts(n_rows, rows_hash, facts, wanted, None, False, gold, each, stale)
        lists = tuple(dict.fromkeys((stored.row_columns, wanted)))
        early = self._early(task, lfs, facts, stored)
        now = RowHashes.kept(self._con, task, *lists, n_rows=stored.n_rows, votes=early)
        self.early = now.votes
        n_rows, hashes, _ = fingerprint(self._con, now, *lists)
        found, known, each = None, True, stored.column_hashes
        if hashes[0] != stored.rows_hash:
            found = changes(self._con, now, stored, matrix, n_rows)
            known = found is not None
        if found is not None or not known or tuple(name for name, _ in each) != wanted:
            each = fingerprint(self._con, now if now.columns else RowHashes.read(task, wanted), each=wanted)[2]
        now.drop(self._con)
        if found is None:
            return TaskFacts(n_rows, hashes[-1], facts, wanted, None, known, gold, each, stale)
        if found.added or found.removed:
            queries = [lf for lf in lfs if lf.enabled and facts[lf.name].inlined is None]
            facts |= {lf.name: replace(facts[lf.name], moved=True) for lf in queries if self._moved(lf, task)}
        others = changed_columns(stored, found, each)
        if others is not None:
            found = replace(found, columns=others)
        return TaskFacts(n_rows, hashes[-1], facts, wanted, found, True, gold, each, stale)

    def _early(
        self, task: Task, lfs: list[LabelingFunction], facts: dict[str, LFFacts], stored: StoredMatrix
    ) -> dict[str, str]:
        """Return by name the SQL of the votes of those new and edited columns that are read with the hashes of rows.

        Such predicates cannot fail and are too cheap to leave SQL: reading the rows once more would take longer.
        """
        known = TaskFacts(0, "", facts)
        old = {column.name: column.input_hash for column in stored.columns}
        edited = [column for column in columns_of(task, lfs, known) if old.get(column.name) != column.input_hash]
        if stored.storage == "sparse" or matched(edited, known):
            return {}
        able = [column for column in edited if column.lf in self.kernels and not facts[column.lf.name].primitives]
        return {column.name: vote_code(column, task.coded, {}) for column in able}

    def _lf(self, lf: LabelingFunction, task: Task, types: dict[str, str], together: bool) -> LFFacts:
        """Return the facts of one labeling function."""
        columns = list(types)
        known = self._reads(lf, task, together)
        expression = None
        lists = task.kind == "bitvector" or lf.scope in ("relation", "votes")
        listed = lists and self._listed(lf, task)
        if isinstance(lf.body, Select) and (task.kind == "bitvector" or not listed):
            expression = inlined(self._con, lf.body.sql, task, columns, self._functions.aggregates)
            if expression is not None:
                inner = reads(self._con, f"SELECT (\n{expression}\n) FROM {task.relation}", self._functions)
                if inner.spreads:  # by unnest, it votes several times on a row
                    expression = None
                else:
                    lf, known = replace(lf, body=Expression(expression)), inner
        sources = self._inputs.sources(lf)
        if is_row(lf) and known.spreads:
            raise spreading(task, lf)
        own = self._own(lf, task, known, columns)
        zoned = any(is_zoned(types[name]) for name in own)
        parts = self._inputs.parts(lf, task, replace(known, zoned=known.zoned or zoned), columns)
        how = (task.multilabel_absent,) if task.kind == "bitvector" else ()
        about = (votes_hash(lf), *task.keys, *task.labels, *how)
        hashed = None if parts is None else digest(*about, *own, *parts, *sources)
        used = self._inputs.read_by(lf)
        joined = primitives_of(lf, list(self._primitives))
        keys = {key.lower() for key in task.keys}
        rowwise = {
            one: made
            for one in joined
            if {key.lower() for key in one.keys} == keys and (made := self._inputs.by_row(one)) is not None
        }
        through = tuple(name for made in rowwise.values() for name in made.reads)
        if hashed is not None and used:  # by what they are made from: they may have to be computed before they are read
            inputs = (rowwise[one].definition if one in rowwise else self._inputs.made_from(one) for one in used)
            hashed = digest(hashed, *inputs)
        looks_up = isinstance(lf.body, VoteWhen | Expression) and len(known.relations) > 1 + len(joined)
        names = tuple(one.name for one in joined)
        return LFFacts(own, hashed, sources, looks_up, expression, listed=listed, primitives=names, through=through)

    def _listed(self, lf: LabelingFunction, task: Task) -> bool:
        """Return whether the votes of a labeling function are lists of labels."""
        if isinstance(lf.body, Votes):
            types = dict(relation_columns(self._con, lf.body.relation, None, f'labeling function "{lf.name}"'))
            return types[lf.body.label].endswith("[]")
        lf, _ = of_elements(self._con, lf, task)
        query = self._query(lf, task)
        if query is None or isinstance(lf.body, VoteWhen):
            return False
        columns = describe(self._con, query, None, f'labeling function "{lf.name}"')
        label = key_columns(lf, task, [name for name, _ in columns])[1]
        return dict(columns)[label].endswith("[]")

    def _moved(self, lf: LabelingFunction, task: Task) -> bool:
        """Return whether a relation or vote labeling function names keys that came to the relation or left it."""
        if isinstance(lf.body, Votes):
            relation, keys, given = lf.body.relation, task.keys, list(lf.body.keys)
        elif isinstance(lf.body, Select):
            names = [name for name, _ in describe(self._con, f"SELECT * FROM (\n{lf.body.sql}\n)", None, "keys")]
            whole = of_elements(self._con, lf, task)[0] is not lf
            keys = task.keys[:-1] if whole else task.keys
            given = names[: len(keys)] if whole else key_columns(lf, task, names)[0]
            relation = f"(\n{lf.body.sql}\n)"
        else:
            return False
        named = ", ".join(f"{ident(own)} AS {ident(key)}" for own, key in zip(given, keys, strict=True))
        query = f"SELECT 1 FROM (SELECT {named} FROM {relation}) SEMI JOIN {delta_name(task)} USING ({idents(keys)})"
        return bool(self._con.execute(f"{query} LIMIT 1").fetchall())

    def _kernels(
        self, lfs: list[LabelingFunction], task: Task, types: dict[str, str], facts: dict[str, LFFacts]
    ) -> dict[str, LFFacts]:
        """Return the facts of those labeling functions whose predicates can leave SQL, with the predicates."""
        if task.kind == "bitvector":  # whose columns are not labeling functions
            return {}
        able = [inline(lf, facts[lf.name]) for lf in lfs if lf.enabled and facts[lf.name].definition_hash is not None]
        able = [lf for lf in able if lf.scope == "row"]
        found = {}
        for lf, kernel in zip(able, kernels_of(self._con, able, task, types, self._functions.own), strict=True):
            if kernel is not None:
                self.kernels[lf] = kernel
                texts = kernel.predicates
                found[lf.name] = replace(facts[lf.name], predicates=texts, cost=cost(texts))
        return found

    def _joins(self, lf: LabelingFunction, task: Task) -> str:
        names = [one.name for one in primitives_of(lf, list(self._primitives))]
        return joins_of(task, names, self._table)

    def _gold(self, task: Task) -> str:
        """Return the hash of a gold relation apart from the task's; empty without one."""
        if task.gold is None or gold_is_own(task):
            return ""
        row = self._con.execute(
            f"SELECT count(*), bit_xor(hash(__gold)), sum(hash(__gold)::HUGEINT) FROM ({gold_select(task)}) AS __gold"
        ).fetchall()[0]
        return digest(*row)

    def _columns(self, task: Task) -> dict[str, str]:
        try:
            columns = dict(relation_columns(self._con, task.relation, None, f'task "{task.name}"'))
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
                return f"SELECT {idents(task.keys)}, (\n{sql}\n) AS label FROM {task.relation}{self._joins(lf, task)}"
            case Select(sql):
                return f"SELECT * FROM (\n{sql}\n)"
            case _:
                return None

    def _bind_together(self, lfs: list[LabelingFunction], task: Task) -> bool:
        """Return whether all row bodies still bind, in one SELECT; where they do not, each is bound to say which."""
        bodies = [lf.body for lf in lfs if lf.enabled and isinstance(lf.body, VoteWhen | Expression)]
        names = dict.fromkeys(one.name for lf in lfs for one in primitives_of(lf, list(self._primitives)))
        texts = [body.predicate if isinstance(body, VoteWhen) else body.sql for body in bodies]
        selected = ", ".join([idents(task.keys), *(f"(\n{text}\n) AS __{at}" for at, text in enumerate(texts))])
        try:
            joins = joins_of(task, names, self._table)
            self._con.execute(f"DESCRIBE SELECT {selected} FROM {task.relation}{joins}").fetchall()
        except duckdb.Error:
            return False
        return True

    def _reads(self, lf: LabelingFunction, task: Task, together: bool) -> Reads:
        query = self._query(lf, task)
        if query is None:
            return Reads()
        try:
            if not (together and is_row(lf)):
                describe(self._con, query, None, f'labeling function "{lf.name}"')
        except SpecError as error:
            raise DataError(
                "WS402",
                f'labeling function "{lf.name}" no longer fits what it reads: {_plain(error)}',
                hint=_mend(lf, error.message),
                lf=lf.name,
            ) from error
        if is_row(lf):
            return reads(self._con, self._row_query(lf, task), self._functions)
        return reads(self._con, lf.body.sql if isinstance(lf.body, Select) else query, self._functions)

    def _row_query(self, lf: LabelingFunction, task: Task) -> str:
        """Return the SELECT of a row body alone, without the keys, which every labeling function is bound next to."""
        sql = lf.body.predicate if isinstance(lf.body, VoteWhen) else getattr(lf.body, "sql", "")
        return f"SELECT (\n{sql}\n) FROM {task.relation}{self._joins(lf, task)}"

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


def rows_hash(con: duckdb.DuckDBPyConnection, source: str, columns: Sequence[str]) -> str:
    """Return the hash of some columns of a relation, whatever the order of its rows."""
    names = idents(columns)
    row = con.execute(f"SELECT count(*), bit_xor(hash({names})), sum(hash({names})::HUGEINT) FROM {source}").fetchall()[
        0
    ]
    return digest(source, names, *row)


def is_row(lf: LabelingFunction) -> bool:
    """Return whether a labeling function is SQL over one row."""
    return isinstance(lf.body, VoteWhen | Expression)


TEXT = re.compile(r"LIKE|contains|lower|upper|similar", re.IGNORECASE)
"""Predicates that read the whole text of a row."""


def cost(predicates: tuple[str, ...]) -> float:
    """Return about how many microseconds a row DuckDB takes for predicates: a regular expression is the dear one."""
    return sum(1.5 if "regexp" in text or "~" in text else 0.3 if TEXT.search(text) else 0.03 for text in predicates)


MISSING = re.compile(r"Function with name \"?(?P<function>[^\s\"]+)|Table with name \"?(?P<table>[^\s\"]+)")


def _mend(lf: LabelingFunction, text: str) -> str:
    """Return what to do about a labeling function that DuckDB does not bind any more.

    Parameters
    ----------
    text : what DuckDB says
    """
    missing, again = MISSING.search(text), f"CREATE OR REPLACE LABELING FUNCTION {lf.name}"
    if missing is not None and missing["function"]:
        return (
            f"register {missing['function']} with create_function, or create its macro, on this connection, as the "
            f"file does not hold it; or {again} without it"
        )
    if missing is not None:
        return f"bring {missing['table']} back (ATTACH its database), or {again} without it"
    return f"{again} for the columns there are now"


def spreading(task: Task, lf: LabelingFunction) -> DataError:
    """Return the error for a row body that calls a macro by which a row gives several votes, or none."""
    return DataError(
        "WS406",
        f'labeling function "{lf.name}" makes several rows of one by unnest; it votes once for each row',
        hint="ask the list itself (list_contains, list_has_any), or write "
        f"AS SELECT {', '.join(task.keys)}, label FROM …",
        lf=lf.name,
    )


def _plain(error: SpecError) -> str:
    """Return what DuckDB said, without whose text it was."""
    return error.message.partition('": ')[2] or error.message
