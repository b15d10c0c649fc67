"""Inputs: what labeling functions read besides their row, as hashes: relations, primitives, macros and models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import uuid4

import duckdb

from wsdb.catalog.fingerprint import digest
from wsdb.core.errors import DataError
from wsdb.core.lf import Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.payload import Primitive, primitives_of
from wsdb.core.sqltext import ident
from wsdb.core.task import Task
from wsdb.engine.analyze import Functions, Reads, is_zoned, reads
from wsdb.engine.primitives import RowPrimitive, row_primitive
from wsdb.engine.rows import beside
from wsdb.engine.udf import source_of


class Inputs:
    """Hashes what labeling functions read; relations that several of them share are hashed once.

    Parameters
    ----------
    table : the full SQL name of something in schema wsdb
    functions : what DuckDB says of its functions
    primitives : those that labeling functions may read, each with the hash of what it was computed from
    served : by lower-cased name of a model or task, the version that predict answers with
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
        self._served = served
        self._relations: dict[str, str] = {}
        self._zoned: set[str] = set()
        self._row_primitives: dict[Primitive, RowPrimitive | None] = {}
        self._functions = functions

    def stale(self, lfs: list[LabelingFunction]) -> tuple[tuple[Primitive, str], ...]:
        """Return the primitives that labeling functions read and whose inputs have changed, with the new hash."""
        used = {one for lf in lfs if lf.enabled for one in self.read_by(lf)}
        now = {one: self.made_from(one) for one in self._primitives if one in used}
        return tuple((one, hashed) for one, hashed in now.items() if hashed != self._primitives[one])

    def read_by(self, lf: LabelingFunction) -> tuple[Primitive, ...]:
        """Return the primitives that a labeling function reads: by column in a row body, by view in a query."""
        own = primitives_of(lf, list(self._primitives))
        body = lf.body
        sql = (
            body.sql
            if isinstance(body, Select | Expression)
            else body.predicate
            if isinstance(body, VoteWhen)
            else None
        )
        if sql is None or not self._primitives:
            return own
        found = reads(self._con, sql if isinstance(body, Select) else f"SELECT (\n{sql}\n)", self._functions)
        views = {_bare(relation).rpartition(".")[2] for relation in found.relations}
        return (*own, *(one for one in self._primitives if one not in own and one.name.lower() in views))

    def by_row(self, primitive: Primitive) -> RowPrimitive | None:
        """Return a primitive as one that is made row by row, None where it is not."""
        if primitive not in self._row_primitives:
            self._row_primitives[primitive] = row_primitive(self._con, primitive, self._functions)
        return self._row_primitives[primitive]

    def made_from(self, primitive: Primitive) -> str:
        """Return the hash of what a primitive is made from."""
        by_row = self.by_row(primitive)
        if by_row is not None:
            return self.hash_relation(f"({by_row.inputs})")
        known = reads(self._con, primitive.sql, self._functions)
        if known.opaque or known.volatile(self._functions, []):
            return digest("always", uuid4().hex)
        hashes = [*map(self.hash_relation, known.relations), *known.macros]
        zoned = known.zoned or not self._zoned.isdisjoint(known.relations)
        return digest(primitive.sql, *hashes, *self._functions.session(zoned=zoned))

    def parts(self, lf: LabelingFunction, task: Task, known: Reads, columns: list[str]) -> list[str] | None:
        """Return the hashes of what a labeling function reads besides its row; None where that cannot be hashed."""
        match lf.body:
            case Python() as body:
                return [source_of(body), *self._functions.session(zoned=known.zoned)]
            case Votes() as body:
                return [self.hash_relation(body.relation)]
            case _:
                if known.opaque or known.volatile(self._functions, [] if isinstance(lf.body, Select) else columns):
                    return None
                own = _bare(task.relation)  # a row body reads columns of it, which are hashed one by one
                whole = (
                    [task.relation] if not isinstance(lf.body, Select) and self._reads_others(lf, known, own) else []
                )
                made = {_bare(self._table(f"primitive_{one.name}")) for one in self._primitives}
                made |= {one.name.lower() for one in self.read_by(lf)}
                others = [name for name in known.relations if isinstance(lf.body, Select) or _bare(name) != own]
                others = [name for name in others if _bare(name) not in made]
                models = [f"{name}: {self._served.get(name.lower(), 'none')}" for name in known.models]
                hashes = [*map(self.hash_relation, [*others, *whole]), *known.macros, *models]
                zoned = known.zoned or not self._zoned.isdisjoint(others)
                return [*hashes, *self._functions.session(zoned=zoned)]

    def _reads_others(self, lf: LabelingFunction, known: Reads, own: str) -> bool:
        """Return whether a row body reads other rows of the task's relation: in a subquery, or by a window."""
        sql = lf.body.predicate if isinstance(lf.body, VoteWhen) else getattr(lf.body, "sql", "")
        if known.windows or ("from" not in sql.lower() and not known.macros):  # no subquery can stand in it
            return known.windows
        alone = reads(self._con, f"SELECT (\n{sql}\n)", self._functions)
        return any(_bare(name) == own for name in alone.relations)

    def hash_relation(self, relation: str) -> str:
        """Return the hash of a whole relation, whatever the order of its rows."""
        if relation not in self._relations:
            columns = self._con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            if any(is_zoned(kind) for _, kind, *_ in columns):
                self._zoned.add(relation)
            hashed = ", ".join(["__rel", *(beside(ident(name)) for name, *_ in columns)])
            row = self._con.execute(
                f"SELECT count(*), bit_xor(hash({hashed})), sum(hash({hashed})::HUGEINT) FROM {relation} AS __rel"
            ).fetchall()[0]
            self._relations[relation] = digest(relation, *(name for name, *_ in columns), *row)
        return self._relations[relation]

    def sources(self, lf: LabelingFunction) -> tuple[str | None, ...]:
        """Return the sources of a vote relation, sorted; (None,) for every other labeling function.

        Raises
        ------
        DataError
            WS407 where a vote has no source.
        """
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


def _bare(relation: str) -> str:
    """Return a relation's SQL name without quotes and in lower case, to compare names by."""
    return relation.replace('"', "").strip("'").lower()
