"""Steps to SQL text: the code of a vote, the fused SELECT, the scattered votes, the packed patterns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsdb.core.lf import Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.sqltext import ident, idents, literal, literals
from wsdb.core.task import Task
from wsdb.engine.udf import struct_of
from wsdb.planner.pack import bits, per_word
from wsdb.planner.steps import Column

CONFIDENCE = "confidence"
"""The column of a query that says how sure each vote is, from 0 to 1."""
UNKNOWN = -2
"""The code that stands for a label the task does not have, until it is reported."""


def code_of(label_sql: str, task: Task) -> str:
    """Return SQL that turns a label into its code: NULL stays NULL, an unknown label is -2.

    By place in lists, because that writes `label_sql` a single time: a CASE would compute a volatile expression again
    for each label, and turn a look-up into one join for each label.
    """
    k = len(task.labels)
    codes = f"[{', '.join(map(str, range(k)))}, NULL, {UNKNOWN}]"
    place = f"list_position([{literals(task.labels)}, NULL], CAST({label_sql} AS VARCHAR))"
    return f"CAST({codes}[coalesce({place}, {k + 2})] AS {task.code_type})"


def list_of(label_sql: str, *, listed: bool) -> str:
    """Return SQL of a bitvector vote as a list of labels; NULL abstains."""
    if listed:
        return f"CAST({label_sql} AS VARCHAR[])"
    return f"CASE WHEN ({label_sql}) IS NOT NULL THEN [CAST({label_sql} AS VARCHAR)] END"


def bit_of(given: str, bit: str, column: Column, task: Task) -> str:
    """Return SQL of what a list of labels says of one of them: 1 yes, 0 no, NULL nothing, -2 an unknown label.

    Parameters
    ----------
    given : SQL of the list; NULL abstains, ``[]`` is no to all labels
    bit : SQL of the label
    """
    no = "true" if column.absent else f"len({given}) = 0"
    return (
        f"CAST(CASE WHEN ({given}) IS NULL THEN NULL WHEN NOT list_has_all([{literals(column.labels)}], {given}) "
        f"THEN {UNKNOWN} WHEN list_contains({given}, {bit}) THEN 1 WHEN {no} THEN 0 END AS {task.code_type})"
    )


def label_of(code_sql: str, task: Task) -> str:
    """Return SQL that turns a code back into its label; NULL stays NULL."""
    arms = " ".join(f"WHEN {code} THEN {literal(label)}" for code, label in enumerate(task.labels))
    return f"CASE {code_sql} {arms} END"


def guarded(sql: str, lf: LabelingFunction) -> str:
    """Return a row body in parentheses on lines of its own, so that a comment at its end does no harm."""
    return f"TRY(\n{sql}\n)" if lf.on_error == "abstain" else f"(\n{sql}\n)"


def vote_code(column: Column, task: Task, functions: Mapping[str, str]) -> str:
    """Return the SQL that computes the code of a row or python labeling function on a row of the task's relation.

    Parameters
    ----------
    functions : for python, the name under which each LF is registered, and its columns in `reads`
    """
    lf = column.lf
    match lf.body:
        case VoteWhen(label, predicate):
            code = task.labels.index(label) if column.bit is None else int(column.bit == label)
            return f"CASE WHEN {guarded(predicate, lf)} THEN {code}::{task.code_type} END"
        case Expression(sql):
            if column.bit is not None:
                return bit_of(list_of(guarded(sql, lf), listed=column.listed), literal(column.bit), column, task)
            return code_of(guarded(sql, lf), task)
        case Python():
            return functions[lf.name]
        case _:
            raise ValueError(f"{lf.name} has no row body")


def python_call(function: str, task: Task, columns: Sequence[str]) -> str:
    """Return the call of a registered python labeling function on a row."""
    return f"{ident(function)}({struct_of(task.keys)}, {struct_of(columns)})"


def fused_select(
    columns: Sequence[Column],
    task: Task,
    functions: Mapping[str, str],
    extra: Sequence[str] = (),
    where: str = "",
    joins: str = "",
) -> str:
    """Return the one SELECT that computes keys, `extra` columns and the codes of all these columns.

    Parameters
    ----------
    functions : the SQL that calls each python labeling function
    extra : SQL of more columns with their names
    where : which rows, with the word WHERE; empty for all
    joins : the joins of primitives
    """
    votes = [f"{vote_code(column, task, functions)} AS {ident(column.name)}" for column in columns]
    return f"SELECT {', '.join([idents(task.keys), *extra, *votes])}\nFROM {task.relation}{joins} {where}"


def key_columns(lf: LabelingFunction, task: Task, names: Sequence[str]) -> tuple[list[str], str]:
    """Return the key columns and the label column of a relation body, by name where they have it, else by place."""
    low = [name.lower() for name in names]
    if all(key.lower() in low for key in task.keys):
        keys = [names[low.index(key.lower())] for key in task.keys]
    else:
        keys = list(names[: len(task.keys)])
    rest = [name for name in names if name not in keys and name.lower() != CONFIDENCE]
    label = next((name for name in rest if name.lower() == "label"), rest[0] if rest else "")
    return keys, label


def long_votes(lf: LabelingFunction, task: Task, names: Sequence[str], columns: Sequence[Column]) -> str:
    """Return the query of a relation or vote LF as keys, ``__source`` (the number of a column) and ``__code``.

    A key that one source gives two different labels abstains there and has ``__clash`` set; of a bitvector the labels
    of a source are put together instead. A list of labels, of which one is right, is ``__set``: its codes.
    """
    if isinstance(lf.body, Votes):
        keys, label, relation = list(lf.body.keys), lf.body.label, lf.body.relation
        source = f"CAST({ident(lf.body.source)} AS VARCHAR)" if lf.body.source is not None else "NULL::VARCHAR"
    else:
        assert isinstance(lf.body, Select)
        keys, label = key_columns(lf, task, names)
        relation, source = f"(\n{lf.body.sql}\n)", "NULL::VARCHAR"
    pairs = ", ".join(f"{ident(own)} AS {ident(key)}" for own, key in zip(keys, task.keys, strict=True))
    sure = confidence_of(lf, names)
    numbered = ", ".join(
        f"({at}, {'NULL' if column.source is None else literal(column.source)}, "
        f"{'NULL' if column.bit is None else literal(column.bit)})"
        for at, column in enumerate(columns)
    )
    own = f"(VALUES {numbered}) AS __c(__at, __of, __bit)"
    match = "__c.__of IS NOT DISTINCT FROM __v.__of"
    if columns[0].bit is not None:
        given = list_of(ident(label), listed=columns[0].listed)
        votes = (
            f"SELECT {idents(task.keys)}, __of, list_distinct(flatten(list(__given))) AS __given FROM "
            f"(SELECT {pairs}, {source} AS __of, {given} AS __given FROM {relation}) WHERE __given IS NOT NULL "
            f"GROUP BY {idents(task.keys)}, __of"
        )
        code = bit_of("__given", "__bit", columns[0], task)
        return (
            f"SELECT {idents(task.keys)}, __at AS __source, {code} AS __code, false AS __clash, {code} AS __lowest\n"
            f"FROM ({votes}) AS __v JOIN {own} ON {match} WHERE __code IS NOT NULL"
        )
    if columns[0].listed:
        one = code_of("x", task)
        codes = f"list_sort(list_distinct(list_transform({ident(label)}, lambda x: {one})))"
        same = "min(__vote) = max(__vote)"
        return (
            f"SELECT {idents(task.keys)}, __at AS __source, "
            f"CASE WHEN {same} AND len(min(__vote)) = 1 THEN min(__vote)[1] END AS __code, "
            f"CASE WHEN {same} AND len(min(__vote)) > 1 THEN min(__vote) END AS __set, "
            "min(__vote) <> max(__vote) AS __clash, min(__vote[1]) AS __lowest, max(__sure) AS __sure\n"
            f"FROM (SELECT {pairs}, {source} AS __of, CAST({sure or 'NULL'} AS DOUBLE) AS __sure, "
            f"{codes} AS __vote FROM {relation}) AS __v JOIN {own} ON {match}\n"
            f"WHERE len(__vote) > 0 GROUP BY {idents(task.keys)}, __at"
        )
    return (
        f"SELECT {idents(task.keys)}, __at AS __source, "
        "CASE WHEN min(__vote) = max(__vote) THEN min(__vote) END AS __code, "
        f"min(__vote) <> max(__vote) AS __clash, min(__vote) AS __lowest, max(__sure) AS __sure\n"
        f"FROM (SELECT {pairs}, {source} AS __of, CAST({sure or 'NULL'} AS DOUBLE) AS __sure, "
        f"{code_of(ident(label), task)} AS __vote FROM {relation}) AS __v "
        f"JOIN {own} ON {match}\nWHERE __vote IS NOT NULL GROUP BY {idents(task.keys)}, __at"
    )


def confidence_of(lf: LabelingFunction, names: Sequence[str]) -> str | None:
    """Return the SQL of the column that says how sure a vote of a relation or vote LF is; None without one.

    Parameters
    ----------
    names : columns of a SELECT body
    """
    if isinstance(lf.body, Votes):
        return None if lf.body.confidence is None else ident(lf.body.confidence)
    found = [name for name in names if name.lower() == CONFIDENCE]
    return ident(found[0]) if found else None


def wide_votes(columns: Sequence[Column], task: Task, table: str) -> str:
    """Return the query that spreads long votes into one column for each source."""
    votes = ", ".join(
        f"max(__code) FILTER (WHERE __source = {at}) AS {ident(column.name)}" for at, column in enumerate(columns)
    )
    return f"SELECT {idents(task.keys)}, {votes} FROM {table} GROUP BY {idents(task.keys)}"


def packed_words(columns: Sequence[str], n_classes: int) -> list[str]:
    """Return the SQL of the 64-bit words (UBIGINT) into which the votes of a row are packed.

    Each vote takes `bits(n_classes)` bits, the first column of a word the lowest; 0 is abstain, 1 … k the classes.
    """
    width, size = bits(n_classes), per_word(n_classes)
    words = []
    for start in range(0, len(columns), size):
        terms = [
            f"(coalesce({ident(name)}, -1) + 1)::UBIGINT * {1 << (width * at)}::UBIGINT"
            for at, name in enumerate(columns[start : start + size])
        ]
        words.append(" + ".join(terms))
    return words
