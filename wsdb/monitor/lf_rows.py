"""Reports on the rows that labeling functions vote on: lf_errors, lf_confusion and label_buckets."""

from __future__ import annotations

from wsdb.core.sqltext import idents
from wsdb.monitor.labelled import Labelled

EXAMPLES = 3
"""Keys that label_buckets shows of each bucket."""


def errors_body(rows: Labelled) -> str:
    """Return the body of the macro ``lf_errors``; its parameter ``of_lf`` is a vote source.

    A vote is an error where it differs from the row's gold label; where the row has none, from its label. A vote for
    one of several labels is right where one of them is, one on a bitvector where it is right about its label.
    """
    return f"SELECT {idents(rows.task.keys)}, vote, expected, basis FROM ({_compared(rows)}) WHERE wrong"


def confusion_body(rows: Labelled) -> str:
    """Return the body of the macro ``lf_confusion``; its parameter ``of_lf`` is a vote source."""
    return (
        f"SELECT vote AS label, expected AS truth, count(*) AS n, basis FROM ({_compared(rows)}) "
        "GROUP BY vote, expected, basis ORDER BY basis, label, truth"
    )


def _compared(rows: Labelled) -> str:
    """Return the SELECT of keys, vote, expected, wrong and basis of the rows on which a vote source votes."""
    keys, voted = idents(rows.task.keys), rows.of_lf("@of_lf@")
    gold, label = rows.expected(rows.gold, "@of_lf@"), rows.expected("label", "@of_lf@")
    guessed = rows.select(f"SELECT * FROM ({voted}) WHERE __gold IS NULL", [*rows.keys, "__vote"])
    either = (
        f"SELECT {keys}, __vote, {gold} AS expected, 'gold' AS basis FROM ({voted}) WHERE __gold IS NOT NULL UNION ALL "
        f"SELECT {keys}, __vote, {label} AS expected, 'label' AS basis FROM ({guessed})"
    )
    said, wrong = rows.said("__vote"), rows.wrong("__vote", "expected")
    return f"SELECT {keys}, {said} AS vote, expected, {wrong} AS wrong, basis FROM ({either})"


def buckets_body(rows: Labelled) -> str:
    """Return the body of the macro ``label_buckets``; its parameters ``lf_a`` and ``lf_b`` are vote sources.

    A bucket is a pair of votes, NULL for an abstain, with the truth: gold, or the label where a row has no gold.
    Rows on which both abstain are in no bucket.
    """
    keys = rows.keys
    voted = (
        f"SELECT * FROM ({rows.with_votes(('@lf_a@', '__a'), ('@lf_b@', '__b'))}) WHERE coalesce(__a, __b) IS NOT NULL"
    )
    carried = [*keys, "__a", "__b"]
    if len(keys) == 1:
        shown = f"list_transform(min({keys[0]}, {EXAMPLES}), lambda k: CAST(k AS VARCHAR))"
    else:
        parts = ", ".join(f"k[{at + 1}]" for at in range(len(keys)))
        shown = f"list_transform(min(row({', '.join(keys)}), {EXAMPLES}), lambda k: concat_ws(', ', {parts}))"
    guessed = rows.select(f"SELECT * FROM ({voted}) WHERE __gold IS NULL", carried)
    gold, label = (rows.expected(value, "@lf_a@", "@lf_b@") for value in (rows.gold, "label"))
    every = (
        f"SELECT {', '.join(carried)}, {gold} AS truth, 'gold' AS basis FROM ({voted}) WHERE __gold IS NOT NULL "
        f"UNION ALL SELECT {', '.join(carried)}, {label}, 'label' FROM ({guessed})"
    )
    a, b = rows.said("__a"), rows.said("__b")
    return (
        f"SELECT {a} AS vote_a, {b} AS vote_b, truth, basis, count(*) AS n, {shown} AS keys FROM ({every}) "
        "GROUP BY __a, __b, truth, basis ORDER BY __a NULLS LAST, __b NULLS LAST, truth, basis"
    )
