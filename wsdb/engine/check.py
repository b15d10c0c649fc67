"""Checks of tasks and labeling functions when they are created: DuckDB binds every body, and errors point into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import duckdb

from wsdb.core.errors import SpecError
from wsdb.core.lf import Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.payload import POS
from wsdb.core.span import Span
from wsdb.core.sqltext import ident, idents
from wsdb.core.task import MAX_LABELS, Task, unknown_label
from wsdb.engine.analyze import answers, only_empty, spreads
from wsdb.engine.compile import CONFIDENCE, guarded, key_columns
from wsdb.engine.elements import NUMBERS, refuse_spans, whole_rows
from wsdb.engine.partial import KINDS
from wsdb.engine.relation import describe, has_columns, relation_columns
from wsdb.engine.udf import load
from wsdb.parser.render import names as names_of
from wsdb.parser.statements import Statement

STRINGS = ("VARCHAR", "ENUM")
FRACTIONS = ("DECIMAL", "DOUBLE", "FLOAT", '"NULL"')
RESULT_COLUMNS = (
    "split", "gold", "label", "prob", "probs", "n_votes", "n_conflicts", "covered", "vote", "expected", "basis", "lf",
    "source", "lf_version", "computed_at",
)  # fmt: skip
"""Columns that stand next to the keys in labels, rows and reports."""


def check_task(con: duckdb.DuckDBPyConnection, task: Task, at: Statement) -> Task:
    """Return the task with its names as the relation spells them and its labels read.

    Raises
    ------
    SpecError
        WS309, WS312 for a missing relation or column; WS301 for labels that do not make a task.
    """
    columns = relation_columns(con, task.relation, at.at("relation"), f'task "{task.name}"')
    for key in task.keys:
        if key.lower() in RESULT_COLUMNS or key.lower().startswith(("predicted_", "__wsdb")):
            raise SpecError(
                "WS314",
                f'key column "{key}" has the name of a column that wsdb adds to it',
                span=at.at_name("key column", key),
                hint="give it another name in a view, and make the task ON the view",
            )
    task = replace(task, keys=has_columns(task.keys, columns, task.relation, partial(at.at_name, "key column")))
    if task.split is not None:
        (column,) = has_columns((task.split.column,), columns, task.relation, partial(at.at_name, "split column"))
        task = replace(task, split=replace(task.split, column=column))
    if task.labels_from is not None:
        # From here on the labels are a list: the task keeps them when the relation changes.
        task = replace(task, labels=_labels(con, task, at), labels_from=None)
    if task.gold is not None:
        if task.gold.is_query:
            query = f"SELECT * FROM (\n{task.gold.relation[1:-1]}\n)"
            found = describe(con, query, at.at("gold"), f'gold of task "{task.name}"')
        else:
            found = _gold_columns(con, task, columns, at.at("gold"))
        has_columns(task.keys, found, task.gold.relation, lambda name: at.at("gold"))
        column = task.gold.column
        if task.gold.is_query and column == "label":
            keys = {key.lower() for key in task.keys}
            rest = [name for name, _ in found if name.lower() not in keys]
            column = next((name for name in rest if name.lower() == "label"), rest[0] if rest else "label")
        place = at.spans.get("gold column", at.at("gold"))
        (column,) = has_columns((column,), found, task.gold.relation, lambda name: place)
        task = replace(task, gold=replace(task.gold, column=column))
    return task


def _gold_columns(
    con: duckdb.DuckDBPyConnection, task: Task, columns: Sequence[tuple[str, str]], span: Span
) -> list[tuple[str, str]]:
    """Return the (name, type) columns of a gold relation; `columns` are those of the task's."""
    assert task.gold is not None
    try:
        return relation_columns(con, task.gold.relation, span, f'gold of task "{task.name}"')
    except SpecError as error:
        given = task.gold.relation.replace('"', "").lower()
        own = next((name for name, _ in columns if name.lower() == given), None)
        if own is not None:
            error.hint = f"GOLD {task.relation} ({names_of((own,))}) takes the column of the relation itself"
        raise


def _labels(con: duckdb.DuckDBPyConnection, task: Task, at: Statement) -> tuple[str, ...]:
    span = at.at("labels")
    (name, _), *_ = relation_columns(con, task.labels_from or "", span, f'labels of task "{task.name}"')
    found = con.execute(
        f"SELECT DISTINCT CAST({ident(name)} AS VARCHAR) AS label FROM {task.labels_from} "
        "WHERE label IS NOT NULL ORDER BY label"
    ).fetchall()
    if not 2 <= len(found) <= MAX_LABELS:
        raise SpecError("WS301", f"{task.labels_from} has {len(found)} labels; a task has 2 to {MAX_LABELS}", span=span)
    return tuple(label for (label,) in found)


def check_lf(
    con: duckdb.DuckDBPyConnection, lf: LabelingFunction, task: Task, at: Statement, joins: str = ""
) -> LabelingFunction:
    """Return the labeling function with its names resolved, after DuckDB has bound its body.

    Parameters
    ----------
    joins : SQL of the joins of the primitives that a row body names

    Raises
    ------
    SpecError
        WS302 unknown label; WS309 DuckDB refuses the body; WS310 python text; WS312 missing column;
        WS313 a body of the wrong type or shape.
    """
    span, what = at.at("body"), f'labeling function "{lf.name}"'
    if lf.name.lower() in {key.lower() for key in task.keys}:
        raise SpecError("WS314", f'"{lf.name}" is a key column of task "{task.name}"', span=at.at("labeling function"))
    match lf.body:
        case VoteWhen(label, predicate):
            if label not in task.labels:
                raise unknown_label(task, label, lf.name).at(at.spans.get("label", at.at("labels")))
            kind = _row_type(con, lf, task, predicate, span, joins)
            _refuse_spreading(con, predicate, task, span, what)
            if kind not in ("BOOLEAN", '"NULL"'):
                raise SpecError(
                    "WS313",
                    f"{what}: WHEN needs a condition, this is {kind}",
                    span=span,
                    hint="compare it: … > 0",
                )
        case Expression(sql):
            kind = _row_type(con, lf, task, sql, span, joins)
            _refuse_spreading(con, sql, task, span, what)
            if not (_is_label(kind, task) or _is_no_label(con, kind, task, f"SELECT (\n{sql}\n)")):
                raise SpecError(
                    "WS313",
                    f"{what} returns {kind}; labels are strings and NULL is abstain",
                    span=span,
                    hint=_answers_of(task),
                )
            _check_answers(con, "SELECT (\n" + sql + "\n)", len("SELECT (\n"), lf, task, span)
        case Select(sql):
            columns = describe(con, f"SELECT * FROM (\n{sql}\n)", span, what)
            names = [name for name, _ in columns]
            whole = whole_rows(sql, columns, task)
            if whole is not None:
                if whole.spans:
                    refuse_spans(task, span, what)
                if whole.listed:
                    _check_answers(con, sql, 0, lf, task, span, len(names) - 1)
                check_lf(con, replace(lf, body=whole.body), task, at)
                return lf
            if CONFIDENCE in (name.lower() for name in names):
                _refuse_confidence(task, span, what)
                _check_confidence(columns, span, what)
                names = [name for name in names if name.lower() != CONFIDENCE]
            if len(names) != len(task.keys) + 1:
                raise SpecError(
                    "WS313",
                    f"{what} returns {len(names)} column{'s' * (len(names) != 1)} ({', '.join(names)}); "
                    f"it must return {names_of(task.keys)} and a label",
                    span=span,
                )
            _, label = key_columns(lf, task, names)
            kind = dict(columns)[label]
            if not (
                _is_label(kind, task)
                or _is_set(kind, task)
                or _is_no_label(con, kind, task, sql, [name for name, _ in columns].index(label))
            ):
                raise SpecError(
                    "WS313",
                    f'{what}: column "{label}" is {dict(columns)[label]}; labels are strings and NULL is abstain',
                    span=span,
                    hint=_answers_of(task),
                )
            _check_answers(con, sql, 0, lf, task, span, names.index(label))
            _refuse_guard(lf, span, what)
        case Python() as body:
            load(body, lf.name, span)
            columns = relation_columns(con, task.relation, None, f'task "{task.name}"')
            wanted = lf.columns or tuple(name for name, _ in columns)
            place = at.spans.get("option columns", span)
            return replace(lf, columns=has_columns(wanted, columns, task.relation, lambda name: place))
        case Votes() as body:
            _refuse_guard(lf, span, what)
            if body.confidence is not None:
                _refuse_confidence(task, span, what)
            return replace(lf, body=_check_votes(con, body, task, at, what))
    return lf


def _is_label(kind: str, task: Task) -> bool:
    """Return whether a SQL type can hold a vote: a string, NULL, and for a bitvector a list of strings."""
    if task.kind == "bitvector" and kind.endswith("[]"):
        kind = kind.removesuffix("[]")
    return (kind.startswith(STRINGS) and not kind.endswith("[]")) or kind == '"NULL"'


def _is_no_label(con: duckdb.DuckDBPyConnection, kind: str, task: Task, query: str, column: int = 0) -> bool:
    """Return whether the votes on a bitvector are all ``[]``, no label applies, whose type says nothing of its own."""
    return task.kind == "bitvector" and kind == "INTEGER[]" and only_empty(con, query, column)


def _is_set(kind: str, task: Task) -> bool:
    """Return whether a SQL type holds votes for one of several labels: a list of strings on a task about rows."""
    return task.kind in KINDS and task.keys[-1].lower() != POS and kind.startswith(STRINGS) and kind.endswith("[]")


def _refuse_confidence(task: Task, span: Span | None, what: str) -> None:
    if task.kind in ("bitvector", "select") or task.keys[-1].lower() == POS:
        raise SpecError(
            "WS313",
            f'{what} gives a confidence; votes on labels of task "{task.name}" are read without one',
            span=span,
            hint="leave out the votes that are not sure; rows of BINARY, MULTICLASS and ORDINAL tasks read it",
        )


def _check_confidence(columns: Sequence[tuple[str, str]], span: Span | None, what: str) -> None:
    for name, kind in columns:
        if name.lower() == CONFIDENCE and not kind.startswith((*NUMBERS, *FRACTIONS)):
            raise SpecError(
                "WS313",
                f'{what}: column "{name}" is {kind}; a confidence is a number from 0 to 1',
                span=span,
            )


def _answers_of(task: Task) -> str:
    return f"return one of {', '.join(repr(label) for label in task.labels[:8])} or NULL"


def _refuse_guard(lf: LabelingFunction, span: Span | None, what: str) -> None:
    if lf.on_error == "abstain":
        raise SpecError("WS307", f"{what}: on_error = 'abstain' is for row and python bodies", span=span)


def _row_type(
    con: duckdb.DuckDBPyConnection, lf: LabelingFunction, task: Task, sql: str, span: Span | None, joins: str
) -> str:
    """Return the type of a row body. It is bound next to the keys, as in the fused scan."""
    query = f"SELECT {idents(task.keys)}, {guarded(sql, lf)} AS label FROM {task.relation}{joins}"
    try:
        found = describe(con, query, span, f'labeling function "{lf.name}"')
    except SpecError as error:
        if "GROUP BY" in error.message:
            error.message = f'labeling function "{lf.name}": an aggregate needs the rows of a group, this body sees one'
            error.hint = f"write AS SELECT {names_of(task.keys)}, label FROM …, with the aggregate in a subquery"
        if "Subquery returns" in error.message:
            error.hint = f"write AS SELECT {names_of(task.keys)}, label FROM … without parentheses to vote by key"
        raise
    if len(found) != len(task.keys) + 1:
        several = len(found) - len(task.keys)
        raise SpecError(
            "WS313",
            f'labeling function "{lf.name}": COLUMNS makes {several} expressions of one; it has one answer for each '
            "row",
            span=span,
            hint="name the columns, and join what is asked of them with AND or OR",
        )
    return found[-1][1]


def _refuse_spreading(con: duckdb.DuckDBPyConnection, sql: str, task: Task, span: Span | None, what: str) -> None:
    if spreads(con, f"SELECT (\n{sql}\n)"):
        raise SpecError(
            "WS313",
            f"{what}: unnest makes several rows of one; a rule or an expression votes once for each row",
            span=span,
            hint="ask the list itself (list_contains, list_has_any), or write "
            f"AS SELECT {names_of(task.keys)}, label FROM …",
        )


def _check_answers(
    con: duckdb.DuckDBPyConnection,
    query: str,
    lead: int,
    lf: LabelingFunction,
    task: Task,
    span: Span | None,
    column: int = 0,
) -> None:
    """Raise where a body names a label the task does not have: found in the text, before a row is read."""
    for constant in answers(con, query, column):
        if constant.text not in task.labels:
            start = constant.start - lead
            place = span.shifted(start, start + len(constant.text) + 2) if span is not None else None
            raise unknown_label(task, constant.text, lf.name).at(place)


def _check_votes(con: duckdb.DuckDBPyConnection, body: Votes, task: Task, at: Statement, what: str) -> Votes:
    columns = relation_columns(con, body.relation, at.at("body"), what)
    span, place = at.at("vote column"), partial(at.at_name, "vote column")
    given = has_columns(body.keys, columns, body.relation, place)
    (label,) = has_columns((body.label,), columns, body.relation, place)
    if not (_is_label(dict(columns)[label], task) or _is_set(dict(columns)[label], task)):
        kind = dict(columns)[label]
        raise SpecError(
            "WS313",
            f'{what}: column "{label}" is {kind}; labels are strings',
            span=place(label),
            hint=f"its labels are {', '.join(repr(label) for label in task.labels[:8])}; cast the column in a view",
        )
    n_keys = len(task.keys)
    body = replace(body, keys=given, label=label).of_task(n_keys)
    if len(body.keys) != n_keys:
        raise SpecError(
            "WS313",
            f'{what} lists {len(given)} columns before the label; task "{task.name}" has '
            f"{n_keys} key column{'s' if n_keys > 1 else ''}",
            span=span,
            hint="write FROM VOTES relation (keys, label) or (keys, source, label)",
        )
    return body
