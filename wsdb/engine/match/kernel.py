"""Which labeling functions can leave the SQL, and what is evaluated in their place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import polars as pl

from wsdb.core.lf import Expression, LabelingFunction, VoteWhen
from wsdb.core.sqltext import ident
from wsdb.core.task import Task
from wsdb.engine.analyze import functions, trees
from wsdb.engine.match.pattern import Node, Unprovable, never
from wsdb.engine.match.pattern import literal as literal_of
from wsdb.engine.match.predicate import Predicate, Search, atoms
from wsdb.engine.match.rust import regex
from wsdb.engine.match.sqltree import Sql, Value, expression
from wsdb.engine.match.translate import FUNCTIONS, Translator, arms_of

_USED = frozenset({"chr", "unicode", "json_serialize_sql", "if"})
"""Functions that are asked or read here, beside those of predicates."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A labeling function that polars evaluates on Arrow batches.

    Attributes
    ----------
    columns : the columns it reads
    predicates : short SQL texts of its predicates, for EXPLAIN
    arms : (predicate, label code) pairs; the first that is true answers, None and no answer are abstain
    wide : whether codes are int16 instead of int8
    """

    columns: tuple[str, ...]
    predicates: tuple[str, ...]
    arms: tuple[tuple[Predicate, int | None], ...]
    wide: bool = False


def kernel_of(
    con: duckdb.DuckDBPyConnection, lf: LabelingFunction, task: Task, types: Mapping[str, str]
) -> Kernel | None:
    """Return the kernel of one labeling function; see `kernels_of`, which is faster for many."""
    return kernels_of(con, [lf], task, types)[0]


def kernels_of(
    con: duckdb.DuckDBPyConnection,
    lfs: Sequence[LabelingFunction],
    task: Task,
    types: Mapping[str, str],
    own: frozenset[str] | None = None,
) -> list[Kernel | None]:
    """Return the kernel of each labeling function, None where it has to stay in DuckDB.

    A labeling function has a kernel if it votes by VOTE … WHEN or a CASE with constant labels, and every predicate in
    it has provably the same answer here as in DuckDB: same classes of characters, same folding of case, same NULLs.
    Such a predicate cannot fail, so that ON ERROR does not matter.

    Parameters
    ----------
    con : a connection that sees the task's relation, for DuckDB's parser, macros, collations and regular expressions
    types : column name as stored -> DuckDB type, of the task's relation
    own : lower-cased names of the functions that are not DuckDB's own; None asks for them
    """
    queries = {lf: query for lf in lfs if (query := _query(lf)) is not None}
    if not queries or not _plain(con, own):
        return [None] * len(lfs)
    types = _without_collation(con, task, types)
    context = (_bare(task.relation), task.labels, task.code_type, *types.items())
    keys = {lf: (context, query, _label(lf)) for lf, query in queries.items()}
    known = {lf: _known.get(key) for lf, key in keys.items()}  # other threads may empty it at any time
    found = {lf: kernel for lf, entry in known.items() if entry is not None for kernel in entry}
    new = [lf for lf in keys if lf not in found]
    if new:
        made = _made(con.cursor(), new, [queries[lf] for lf in new], task, types)
        found.update(zip(new, made, strict=True))
        if len(_known) > KNOWN:
            _known.clear()
        _known.update((keys[lf], (kernel,)) for lf, kernel in zip(new, made, strict=True))
    return [found.get(lf) for lf in lfs]


KNOWN = 20_000
"""About this many kernels are kept in memory: a refresh makes those of new functions only."""
_known: dict[Hashable, tuple[Kernel | None]] = {}


def _made(
    con: duckdb.DuckDBPyConnection,
    lfs: Sequence[LabelingFunction],
    queries: Sequence[str],
    task: Task,
    types: Mapping[str, str],
) -> list[Kernel | None]:
    """Return the kernels of labeling functions with these queries, on a connection of their own.

    What is asked needs nothing of the session, and an error in it must not end a transaction.
    """
    kernels: list[Kernel | None] = [None] * len(lfs)
    patterns: dict[int, list[tuple[str, str]]] = {}
    for at, tree in enumerate(trees(con, queries)):
        translator = Translator(con, types, _bare(task.relation))
        try:
            kernels[at] = _kernel(lfs[at], expression(tree), task, translator)
            patterns[at] = translator.patterns
        except (Unprovable, RecursionError):
            continue
    compiled = _compiled(con, {pattern for found in patterns.values() for pattern in found})
    for at, found in patterns.items():
        if not compiled.issuperset(found):
            kernels[at] = None
    return kernels


def _label(lf: LabelingFunction) -> str | None:
    """Return the label of VOTE … WHEN, None of any other body."""
    return lf.body.label if isinstance(lf.body, VoteWhen) else None


def _query(lf: LabelingFunction) -> str | None:
    """Return the SELECT whose tree is read, in parentheses on lines of their own as the fused scan has it."""
    match lf.body:
        case VoteWhen(_, predicate):
            return f"SELECT (\n{predicate}\n)"
        case Expression(sql):
            return f"SELECT (\n{sql}\n)"
    return None


def _kernel(lf: LabelingFunction, sql: Sql, task: Task, translator: Translator) -> Kernel:
    def code(answer: Sql) -> int | None:
        if not isinstance(answer, Value) or isinstance(answer.value, bool):
            raise Unprovable
        if answer.value is None:
            return None
        if not isinstance(answer.value, str | int) or str(answer.value) not in task.labels:
            raise Unprovable
        kinds.add(type(answer.value))
        return task.labels.index(str(answer.value))

    kinds: set[type] = set()
    if isinstance(lf.body, VoteWhen):
        if lf.body.label not in task.labels:
            raise Unprovable
        arms: tuple[tuple[Predicate, int | None], ...]
        arms = ((translator.predicate(sql), task.labels.index(lf.body.label)),)
    else:
        arms = arms_of(sql, translator, code)
    while arms and arms[-1][1] is None:
        arms = arms[:-1]
    if not arms or not translator.columns or len(kinds) > 1:
        raise Unprovable
    for predicate, _ in arms:
        for atom in atoms(predicate):
            if isinstance(atom, Search):
                _check_regex(atom.node)
    return Kernel(tuple(translator.columns), tuple(translator.shown), arms, task.code_type != "TINYINT")


def _check_regex(node: Node) -> None:
    """Raise `Unprovable` where polars does not compile a pattern, because it is too large."""
    if never(node) or literal_of(node) is not None:
        return
    try:
        pl.Series([""]).str.contains(regex(node))
    except (pl.exceptions.PolarsError, RecursionError):
        raise Unprovable from None


def _bare(relation: str) -> str:
    """Return the lower-cased last part of a relation's name; empty for a file or anything else."""
    last = relation.rsplit(".", 1)[-1].strip()
    name = last[1:-1] if last.startswith('"') and last.endswith('"') and len(last) > 2 else last
    return name.lower() if name.isidentifier() and "'" not in relation else ""


def _plain(con: duckdb.DuckDBPyConnection, own: frozenset[str] | None) -> bool:
    """Return whether functions mean DuckDB's own and texts compare by their bytes."""
    if con.execute("SELECT current_setting('default_collation')").fetchall() != [("",)]:
        return False
    return (functions(con).own if own is None else own).isdisjoint(FUNCTIONS | _USED)


def _without_collation(con: duckdb.DuckDBPyConnection, task: Task, types: Mapping[str, str]) -> dict[str, str]:
    """Return the types, text columns with a collation marked as such.

    DESCRIBE does not show collations. Two different ones cannot be compared, which is an error that binding finds.
    """
    texts = [name for name, type_ in types.items() if type_ == "VARCHAR"]
    if _binds(con, task, texts):
        return dict(types)
    return {name: "COLLATED" if name in texts and not _binds(con, task, [name]) else types[name] for name in types}


def _binds(con: duckdb.DuckDBPyConnection, task: Task, columns: Sequence[str]) -> bool:
    probes = [f"{ident(name)} = ('' COLLATE {other})" for name in columns for other in ("NOCASE", "NOACCENT")]
    if not probes:
        return True
    query = f"SELECT {', '.join(probes)} FROM {task.relation}"  # DuckDB 2.0 ends a transaction in which binding fails
    (answer,) = con.execute("SELECT json_serialize_plan(?) ->> 'error_type'", [query]).fetchall()[0]
    return answer != "binder"


def _compiled(con: duckdb.DuckDBPyConnection, patterns: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of some (pattern, options) DuckDB compiles."""
    found = set()
    for pattern, letters in patterns:
        try:
            con.execute("SELECT regexp_matches('', ?, ?)", [pattern, letters or "c"]).fetchall()
        except duckdb.Error:
            continue
        found.add((pattern, letters))
    return found
