"""Reports on the rows that labeling functions vote on: lf_errors, lf_confusion and label_buckets."""

from __future__ import annotations

from wsdb.core.sqltext import idents
from wsdb.monitor.labelled import Labelled
from wsdb.monitor.rows import vote_label

EXAMPLES = 3
"""Keys that label_buckets shows of each bucket."""


def errors_body(rows: Labelled) -> str:
    """Return the body of the macro ``lf_errors``; its parameter ``of_lf`` is a vote source.

    A vote is an error where it differs from the row's gold label; where the row has none, from its label.
    """
    return f"SELECT {idents(rows.task.keys)}, vote, expected, basis FROM ({_compared(rows)}) WHERE vote <> expected"


def confusion_body(rows: Labelled) -> str:
    """Return the body of the macro ``lf_confusion``; its parameter ``of_lf`` is a vote source."""
    return (
        f"SELECT vote AS label, expected AS truth, count(*) AS n, basis FROM ({_compared(rows)}) "
        "GROUP BY vote, expected, basis ORDER BY basis, label, truth"
    )


def _compared(rows: Labelled) -> str:
    """Return the SELECT of keys, vote, expected and basis of the rows on which a vote source votes."""
    keys, voted = idents(rows.task.keys), rows.of_lf("@of_lf@")
    vote = vote_label("__vote", rows.task)
    known = f"SELECT {keys}, {vote} AS vote, {rows.gold} AS expected, 'gold' AS basis FROM ({voted}) "
    guessed = rows.select(f"SELECT * FROM ({voted}) WHERE __gold IS NULL", [*rows.keys, "__vote"])
    return (
        f"{known} WHERE __gold IS NOT NULL UNION ALL "
        f"SELECT {keys}, {vote} AS vote, label AS expected, 'label' AS basis FROM ({guessed})"
    )


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
    every = (
        f"SELECT {', '.join(carried)}, {rows.gold} AS truth, 'gold' AS basis FROM ({voted}) WHERE __gold IS NOT NULL "
        f"UNION ALL SELECT {', '.join(carried)}, label, 'label' FROM ({guessed})"
    )
    a, b = (vote_label(name, rows.task) for name in ("__a", "__b"))
    return (
        f"SELECT {a} AS vote_a, {b} AS vote_b, truth, basis, count(*) AS n, {shown} AS keys FROM ({every}) "
        "GROUP BY __a, __b, truth, basis ORDER BY __a NULLS LAST, __b NULLS LAST, truth, basis"
    )
