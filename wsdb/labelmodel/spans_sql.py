"""Spans and labels as SQL: votes per token from a relation of spans, and spans from a relation of labels."""

from __future__ import annotations

from collections.abc import Sequence


def quote(name: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def span_votes_sql(
    elements: str,
    spans: str,
    keys: Sequence[str],
    *,
    pos: str = "pos",
    start: str = "start",
    end: str = "end",
    kind: str = "type",
) -> str:
    """SELECT statement that turns spans into a vote per element.

    Where spans overlap, an element gets the label of the one that starts first, then of the longer one; a span
    that another one has cut keeps its other elements.

    Parameters
    ----------
    elements : relation with one row per element: the keys and `pos`; a quoted name or a parenthesised query
    spans : relation with one row per span: the keys, `start`, `end` (the position after the last) and `kind`
    keys : unquoted names of the key columns, in both relations
    pos, start, end, kind : unquoted names of the other columns

    Returns
    -------
    str
        Columns: the keys, `pos` and label VARCHAR, B-kind or I-kind; elements outside of spans have no row.
    """
    on = " AND ".join(f"__ws_e.{quote(key)} = __ws_s.{quote(key)}" for key in keys)
    place, first, after = f"__ws_e.{quote(pos)}", f"__ws_s.{quote(start)}", f"__ws_s.{quote(end)}"
    columns = ", ".join(f"__ws_e.{quote(key)}" for key in keys)
    return (
        f"SELECT {columns}, {place},"
        f" CASE WHEN {place} = {first} THEN 'B-' ELSE 'I-' END || __ws_s.{quote(kind)} AS label"
        f" FROM {elements} AS __ws_e JOIN {spans} AS __ws_s ON {on} AND {place} >= {first} AND {place} < {after}"
        f" QUALIFY row_number() OVER (PARTITION BY {columns}, {place}"
        f" ORDER BY {first}, {after} DESC, __ws_s.{quote(kind)}) = 1"
    )


def label_spans_sql(
    labels: str, keys: Sequence[str], *, pos: str = "pos", label: str = "label", prob: str = "prob"
) -> str:
    """SELECT statement that joins labeled elements to spans.

    An element labeled I-x after anything but B-x or I-x begins a span. O, NULL and a gap in `pos` end one.

    Parameters
    ----------
    labels : relation with one row per element: the keys, integer `pos`, `label` and `prob`, the label's
        probability; a quoted name or a parenthesised query
    keys : unquoted names of the key columns
    pos, label, prob : unquoted names of the other columns

    Returns
    -------
    str
        Columns: the keys; start and end (the position after the last); type VARCHAR; prob DOUBLE, the geometric
        mean of the labels' probabilities.
    """
    by = ", ".join(quote(key) for key in keys)
    kind = f"CASE WHEN {quote(label)} LIKE 'B-%' OR {quote(label)} LIKE 'I-%' THEN substr({quote(label)}, 3) END"
    order = f"OVER (PARTITION BY {by} ORDER BY __ws_pos)"
    tagged = (
        f"SELECT {by}, {quote(pos)} AS __ws_pos, {kind} AS __ws_kind,"
        f" {quote(label)} LIKE 'B-%' AS __ws_begins, {quote(prob)} AS __ws_prob FROM {labels}"
    )
    marked = (
        f"SELECT *, (__ws_begins OR lag(__ws_kind) {order} IS DISTINCT FROM __ws_kind"
        f" OR lag(__ws_pos) {order} IS DISTINCT FROM __ws_pos - 1) AS __ws_new FROM ({tagged})"
    )
    numbered = f"SELECT *, count(*) FILTER (WHERE __ws_new) {order} AS __ws_span FROM ({marked})"
    return (
        f'SELECT {by}, min(__ws_pos) AS "start", max(__ws_pos) + 1 AS "end", any_value(__ws_kind) AS "type",'
        f" exp(avg(ln(greatest(__ws_prob, 1e-300)))) AS prob FROM ({numbered})"
        f" WHERE __ws_kind IS NOT NULL GROUP BY {by}, __ws_span"
    )
