"""Votes on elements that a query gives for whole rows: a list of labels, the right element's number, or spans."""

from __future__ import annotations

from dataclasses import dataclass, replace

import duckdb

from wsdb.core.errors import DataError, SpecError
from wsdb.core.lf import LabelingFunction, Select
from wsdb.core.payload import POS
from wsdb.core.span import Span
from wsdb.core.sqltext import ident, idents, shown_row
from wsdb.core.task import Task
from wsdb.engine.compile import CONFIDENCE
from wsdb.engine.relation import Columns, rows_of

NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UINTEGER", "UBIGINT")


@dataclass(frozen=True, slots=True)
class WholeRows:
    """A query of whole rows as votes on elements.

    Attributes
    ----------
    body : the query of keys, ``pos`` and label
    misfits : the query of row keys and what is wrong with the votes of the row
    listed : whether a vote is a list of labels, so that literals in it are labels
    spans : whether the votes are spans, for labels B-… and I-…
    """

    body: Select
    misfits: str
    listed: bool = False
    spans: bool = False


def whole_rows(sql: str, columns: Columns, task: Task) -> WholeRows | None:
    """Return a query of row keys and one list, one number, or spans as votes on elements; None for other queries.

    A list is a vote for each element in order, NULL abstains. Of a select task a number, or each number of a list, is
    an element that may be the right one. A span is the number of its first element, the number after its last one's,
    and its type.

    Parameters
    ----------
    columns : names and types of the query
    """
    own, names = task.keys[:-1], [name for name, _ in columns]
    if task.keys[-1].lower() != POS or len(columns) <= len(own) or CONFIDENCE in map(str.lower, names):
        return None
    keys = ", ".join(f"{ident(name)} AS {ident(key)}" for name, key in zip(names, own, strict=False))
    rest = columns[len(own) :]
    if len(rest) == 3 and rest[0][1] in NUMBERS and rest[1][1] in NUMBERS:
        start, end, kind = (ident(name) for name, _ in rest)
        return _spans(f'SELECT {keys}, {start} AS start, {end} AS "end", {kind} AS type FROM (\n{sql}\n)', task)
    if len(columns) != len(own) + 1 or names[-1].lower() == POS:
        return None
    label, kind = ident(names[-1]), columns[-1][1]
    if task.kind == "select" and not kind.startswith(("VARCHAR", "ENUM")):
        number = f"unnest({label})" if kind.endswith("[]") else label
        return WholeRows(Select(f"SELECT {keys}, {number}::INTEGER AS {POS}, 'yes' AS label FROM (\n{sql}\n)"), "")
    if not kind.endswith("[]"):
        return None
    body = (
        f"SELECT {keys}, generate_subscripts({label}, 1)::INTEGER AS {POS}, unnest({label}) AS label FROM (\n{sql}\n)"
    )
    misfits = (
        f"SELECT {idents(own)}, 'a list of ' || __given || ' for a sequence of ' || coalesce(__n, 0) AS __wrong FROM "
        f"(SELECT {keys}, len({label}) AS __given FROM (\n{sql}\n)) LEFT JOIN {_sizes(task)} USING ({idents(own)}) "
        "WHERE __given <> coalesce(__n, 0)"
    )
    return WholeRows(Select(body), misfits, listed=True)


def _sizes(task: Task) -> str:
    """Return the SELECT, in parentheses, of the number of elements of each row."""
    own = idents(task.keys[:-1])
    return f"(SELECT {own}, count(*) AS __n FROM {task.relation} GROUP BY {own})"


def _spans(spans: str, task: Task) -> WholeRows:
    """Return votes of B- and I- labels for the elements of spans.

    Where spans overlap, an element gets the label of the one that starts first, then of the longer one.
    """
    own = task.keys[:-1]
    keys, pos = ", ".join(f"e.{ident(key)}" for key in own), f"e.{ident(POS)}"
    on = " AND ".join(f"e.{ident(key)} = s.{ident(key)}" for key in own)
    body = (
        f"SELECT {keys}, {pos}, CASE WHEN {pos} = s.start THEN 'B-' ELSE 'I-' END || s.type AS label "
        f'FROM {task.relation} AS e JOIN ({spans}) AS s ON {on} AND {pos} >= s.start AND {pos} < s."end" '
        f'QUALIFY row_number() OVER (PARTITION BY {keys}, {pos} ORDER BY s.start, s."end" DESC, s.type) = 1'
    )
    misfits = (
        f"SELECT {idents(own)}, 'a span from ' || start || ' to ' || \"end\" || ' in a sequence of ' || "
        f"coalesce(__n, 0) AS __wrong FROM ({spans}) LEFT JOIN {_sizes(task)} USING ({idents(own)}) "
        'WHERE start < 1 OR "end" <= start OR "end" > coalesce(__n, 0) + 1'
    )
    return WholeRows(Select(body), misfits, spans=True)


def of_elements(con: duckdb.DuckDBPyConnection, lf: LabelingFunction, task: Task) -> tuple[LabelingFunction, str]:
    """Return a labeling function as one that votes on elements, and the query of what does not fit, if there is one."""
    if not isinstance(lf.body, Select) or task.keys[-1].lower() != POS:
        return lf, ""
    found = con.execute(f"DESCRIBE SELECT * FROM (\n{lf.body.sql}\n)").fetchall()
    whole = whole_rows(lf.body.sql, [(name, kind) for name, kind, *_ in found], task)
    return (lf, "") if whole is None else (replace(lf, body=whole.body), whole.misfits)


def check_fit(con: duckdb.DuckDBPyConnection, lf: LabelingFunction, task: Task, misfits: str) -> None:
    """Raise where votes for a whole row do not fit its elements.

    Raises
    ------
    DataError
        WS408 with their number and three examples.
    """
    if not misfits:
        return
    own = task.keys[:-1]
    rows = rows_of(con, f"{misfits} ORDER BY ALL LIMIT 3")
    if not rows:
        return
    (count,) = con.execute(f"SELECT count(*) FROM ({misfits})").fetchall()[0]
    shown = "; ".join(f"{shown_row(own, row[:-1])} has {row[-1]}" for row in rows)
    raise DataError(
        "WS408",
        f'{count:,} vote{"s" * (count != 1)} of labeling function "{lf.name}" do{"es" * (count == 1)} not fit the '
        f"elements of {task.relation}: {shown}",
        hint="give a list a label or NULL for each element; the first element of a span is 1, and its end is behind it",
        count=count,
        examples=[list(row[:-1]) for row in rows],
    )


def refuse_spans(task: Task, span: Span | None, what: str) -> None:
    """Raise where a query votes spans and the labels of the task are not those of spans.

    Raises
    ------
    SpecError
        WS340 where no label starts with B-.
    """
    if not any(label.startswith("B-") for label in task.labels):
        raise SpecError(
            "WS340",
            f'{what} votes spans, and the labels of task "{task.name}" are not O, B-… and I-…',
            span=span,
            hint="vote for elements: the key, pos and a label",
        )
