"""Steps to SQL text: the code of a vote, the fused SELECT, the scattered votes, the packed patterns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsdb.core.lf import Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.sqltext import ident, idents, literal, literals
from wsdb.core.task import Task
from wsdb.engine.udf import struct_of
from wsdb.planner.matrix import bits, per_word
from wsdb.planner.steps import Column

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
            code = task.labels.index(label)
            return f"CASE WHEN {guarded(predicate, lf)} THEN {code}::{task.code_type} END"
        case Expression(sql):
            return code_of(guarded(sql, lf), task)
        case Python():
            return functions[lf.name]
        case Select() | Votes():
            raise ValueError(f"{lf.name} has no row body")


def python_call(function: str, task: Task, columns: Sequence[str]) -> str:
    """Return the call of a registered python labeling function on a row."""
    return f"{ident(function)}({struct_of(task.keys)}, {struct_of(columns)})"


def fused_select(columns: Sequence[Column], task: Task, functions: Mapping[str, str]) -> str:
    """Return the one SELECT that computes keys and the codes of all these columns."""
    votes = [f"{vote_code(column, task, functions)} AS {ident(column.name)}" for column in columns]
    return f"SELECT {', '.join([idents(task.keys), *votes])}\nFROM {task.relation}"


def key_columns(lf: LabelingFunction, task: Task, names: Sequence[str]) -> tuple[list[str], str]:
    """Return the key columns and the label column of a relation body, by name where they have it, else by place."""
    low = [name.lower() for name in names]
    if all(key.lower() in low for key in task.keys):
        keys = [names[low.index(key.lower())] for key in task.keys]
    else:
        keys = list(names[: len(task.keys)])
    rest = [name for name in names if name not in keys]
    label = next((name for name in rest if name.lower() == "label"), rest[0] if rest else "")
    return keys, label


def long_votes(lf: LabelingFunction, task: Task, names: Sequence[str], sources: Sequence[str | None]) -> str:
    """Return the query of a relation or vote LF as keys, ``__source`` (a number) and ``__code``, once for each pair.

    A key that one source gives two different labels abstains there and has ``__clash`` set.
    """
    if isinstance(lf.body, Votes):
        keys, label, relation = list(lf.body.keys), lf.body.label, lf.body.relation
        source = ident(lf.body.source) if lf.body.source is not None else None
    else:
        assert isinstance(lf.body, Select)
        keys, label = key_columns(lf, task, names)
        relation, source = f"(\n{lf.body.sql}\n)", None
    number = "0"
    if source is not None:
        arms = " ".join(f"WHEN {literal(str(name))} THEN {at}" for at, name in enumerate(sources))
        number = f"CASE CAST({source} AS VARCHAR) {arms} END"
    pairs = ", ".join(f"{ident(own)} AS {ident(key)}" for own, key in zip(keys, task.keys, strict=True))
    return (
        f"SELECT {idents(task.keys)}, __source, CASE WHEN min(__vote) = max(__vote) THEN min(__vote) END AS __code, "
        "min(__vote) <> max(__vote) AS __clash, min(__vote) AS __lowest\n"
        f"FROM (SELECT {pairs}, {number} AS __source, {code_of(ident(label), task)} AS __vote FROM {relation})\n"
        f"WHERE __vote IS NOT NULL GROUP BY {idents(task.keys)}, __source"
    )


def wide_votes(columns: Sequence[Column], task: Task, table: str) -> str:
    """Return the query that spreads long votes into one column for each source."""
    votes = ", ".join(
        f"max(__code) FILTER (WHERE __source = {at}) AS {ident(column.name)}" for at, column in enumerate(columns)
    )
    return f"SELECT {idents(task.keys)}, {votes} FROM {table} GROUP BY {idents(task.keys)}"


def packed_select(columns: Sequence[str], n_classes: int, relation: str) -> str:
    """Return the query that counts vote patterns: columns word_0 … word_w (UBIGINT) and n.

    Each vote takes `bits(n_classes)` bits, the first column of a word the lowest; 0 is abstain, 1 … k the classes.
    """
    width, size = bits(n_classes), per_word(n_classes)
    words = []
    for start in range(0, len(columns), size):
        terms = [
            f"(coalesce({ident(name)}, -1) + 1)::UBIGINT * {1 << (width * at)}::UBIGINT"
            for at, name in enumerate(columns[start : start + size])
        ]
        words.append(f"{' + '.join(terms)} AS word_{start // size}")
    if not words:
        return f"SELECT count(*) AS n FROM {relation}"
    return f"SELECT {', '.join(words)}, count(*) AS n FROM {relation} GROUP BY ALL ORDER BY ALL"
