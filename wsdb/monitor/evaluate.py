"""evaluate: a model's predictions against gold, by task and segment, with intervals."""

from __future__ import annotations

from wsdb.labelmodel.spans_sql import label_spans_sql
from wsdb.monitor.bodies import ONE_TASK, PREDICTED
from wsdb.monitor.curves import binned
from wsdb.monitor.intervals import ends

BASE = f"base AS MATERIALIZED (FROM @scored@(@at@) WHERE gold IS NOT NULL AND {ONE_TASK})"
"""The scored things that have gold, of the task asked for."""
GROUP = "task, place, segment"


def evaluate_body() -> str:
    """Return the body of ``evaluate``.

    Notes
    -----
    A slice, tag or source whose rows have no gold is a segment with n = 0, whose scores are NULL. One of elements is a
    segment of the tasks on these elements; a SELECT task is in it where any of its row's elements is. span_f1 is over
    the rows all of whose elements are in the segment.

    precision, recall and f1 are those of the second label of a binary task; of a SELECT task those of the picked
    elements; of any other the mean over the labels that occur in gold or predictions (macro). micro_f1 sums over the
    labels instead.

    accuracy_low and accuracy_high are the Wilson interval at 95 %. So are those of precision, recall and f1, with the
    effective number n' = m(1 - m) / V of a mean m over labels. V is its variance by the delta method: with I(u) the
    derivative of m by the counts of true and false positives and negatives that thing u adds to, V = sum_u I(u)²,
    since m does not change when all counts grow in proportion. For one label this is the Wilson interval of precision
    and recall. Where V is 0 (every label always or never right), n' = k² / sum_c 1/n_c over the k labels, with n_c the
    labels predicted (precision), in gold (recall) or (1 + J)²/2 times either (f1, where J = tp / (tp + fp + fn)).
    """
    parts = {
        "long": "@segmented@",
        "cells": _cells(),
        "events": _events(),
        "classes": _classes(),
        "slopes": _slopes(),
        "spread": _spread(),
        "means": _means(),
        "seen": f"SELECT {GROUP}, any_value(step) AS step, count(*) AS n, avg((gold = label)::INTEGER) AS accuracy, "
        f"avg(loss) AS log_loss, avg(brier) AS brier FROM long GROUP BY {GROUP}",
        "totals": "FROM seen UNION ALL SELECT t.task, 1, g.segment, t.step, 0, NULL, NULL, NULL FROM (SELECT DISTINCT "
        "task, step, payload FROM base) AS t JOIN (@groups@) AS g ON g.payload IS NULL OR g.payload = t.payload "
        "ANTI JOIN seen AS s ON s.task = t.task "
        "AND s.place = 1 AND s.segment = g.segment",
        "ranked": _auc(),
        "bins": f"SELECT {GROUP}, sum(abs(hits - sure)) / sum(n) AS ece FROM ({binned(GROUP, 'long')}) "
        f"GROUP BY {GROUP}",
        **_spans(),
    }
    ctes = ", ".join(f"{name} AS {'MATERIALIZED ' if name in KEPT else ''}({text})" for name, text in parts.items())
    metrics = ", ".join(f"m.{name}, {ends(name, f'm.{name}', f'm.n_{name}')}" for name in ("precision", "recall", "f1"))
    joins = " ".join(
        f"LEFT JOIN {name} AS {alias} ON {alias}.task = t.task AND {alias}.place = t.place "
        f"AND {alias}.segment IS NOT DISTINCT FROM t.segment"
        for name, alias in (("means", "m"), ("ranked", "a"), ("bins", "e"), ("span_scores", "s"))
    )
    return (
        f"{PREDICTED}, {BASE}, {ctes} SELECT t.task, t.segment, t.n, t.accuracy, "
        f"{ends('accuracy', 't.accuracy', 't.n')}, {metrics}, m.micro_f1, s.span_f1, a.auc, t.log_loss, t.brier, e.ece "
        f"FROM totals AS t {joins} ORDER BY t.step, t.task, t.place, t.segment"
    )


KEPT = ("long", "cells", "events", "classes")
"""What is read more than once."""


def _cells() -> str:
    """Return the SELECT of what is predicted for what, counted."""
    return (
        "SELECT *, row_number() OVER () AS cell FROM "
        f"(SELECT {GROUP}, kind, positive, gold, label, count(*) AS n FROM long GROUP BY ALL)"
    )


def _events() -> str:
    """Return the SELECT of the labels of each cell: ``tp``, ``fp`` or ``fn``; all picks of SELECT are one label."""
    named = "CASE WHEN kind = 'select' THEN 'yes' ELSE class END AS class"
    return (
        f"SELECT {GROUP}, cell, n, {named}, event FROM ("
        "SELECT *, unnest(gold) AS class, CASE WHEN list_contains(label, class) THEN 'tp' ELSE 'fn' END AS event "
        "FROM cells UNION ALL SELECT * FROM (SELECT *, unnest(label) AS class, 'fp' AS event FROM cells) "
        "WHERE NOT list_contains(gold, class)) WHERE positive IS NULL OR class = positive"
    )


def _classes() -> str:
    """Return the SELECT of each label's true and false positives and false negatives."""
    counts = ", ".join(
        f"coalesce(sum(n) FILTER (WHERE event = '{event}'), 0)::DOUBLE AS {event}" for event in ("tp", "fp", "fn")
    )
    return (
        "SELECT *, coalesce(tp / nullif(tp + fp, 0), 0) AS precision, coalesce(tp / nullif(tp + fn, 0), 0) AS recall, "
        f"2 * tp / (2 * tp + fp + fn) AS f1 FROM (SELECT {GROUP}, class, {counts} FROM events GROUP BY {GROUP}, class)"
    )


def _slopes() -> str:
    """Return the SELECT of the derivatives of each label's precision, recall and f1 by its counts."""
    return (
        f"SELECT {GROUP}, class, unnest(['tp', 'fp', 'fn']) AS event, "
        "coalesce(unnest([fp, -tp, 0]) / nullif(pow(tp + fp, 2), 0), 0) AS precision, "
        "coalesce(unnest([fn, 0, -tp]) / nullif(pow(tp + fn, 2), 0), 0) AS recall, "
        "unnest([2 * (fp + fn), -2 * tp, -2 * tp]) / pow(2 * tp + fp + fn, 2) AS f1 FROM classes"
    )


def _spread() -> str:
    """Return the SELECT of k² times the variance of each mean over k labels."""
    names = ("precision", "recall", "f1")
    sums = ", ".join(f"sum(d.{name}) AS {name}" for name in names)
    squares = ", ".join(f"sum(n * {name} * {name}) AS {name}" for name in names)
    return (
        f"SELECT {GROUP}, {squares} FROM (SELECT {GROUP}, e.cell, any_value(e.n) AS n, {sums} FROM events AS e "
        f"JOIN slopes AS d USING ({GROUP}, class, event) GROUP BY {GROUP}, e.cell) GROUP BY {GROUP}"
    )


def _means() -> str:
    """Return the SELECT of precision, recall, f1 and micro_f1, and of the effective numbers of the first three."""
    sizes = {
        "precision": "tp + fp",
        "recall": "tp + fn",
        "f1": "(tp + fp + fn) * pow(1 + tp / (tp + fp + fn), 2) / 2",
    }
    numbers = ", ".join(
        f"CASE WHEN any_value(v.{name}) > 1e-12 * count(*) THEN avg(c.{name}) * (1 - avg(c.{name})) * count(*) * "
        f"count(*) / any_value(v.{name}) "
        f"ELSE pow(count(nullif({size}, 0)), 2) / sum(1 / nullif({size}, 0)) END AS n_{name}"
        for name, size in sizes.items()
    )
    averages = ", ".join(f"avg(c.{name}) AS {name}" for name in sizes)
    return (
        f"SELECT {GROUP}, {averages}, 2 * sum(tp) / (2 * sum(tp) + sum(fp) + sum(fn)) AS micro_f1, {numbers} "
        f"FROM classes AS c JOIN spread AS v USING ({GROUP}) GROUP BY {GROUP}"
    )


def _auc() -> str:
    """Return the SELECT of the area under the ROC curve of binary tasks.

    It is the Mann-Whitney statistic; equal scores get their mean rank.
    """
    hits, misses = "count(*) FILTER (WHERE hit)", "count(*) FILTER (WHERE NOT hit)"
    ranks = (
        f"SELECT {GROUP}, gold[1] = positive AS hit, rank() OVER w + (count(*) OVER e - 1) / 2.0 AS rank "
        f"FROM long WHERE kind = 'binary' WINDOW w AS (PARTITION BY {GROUP} ORDER BY probs[positive]), "
        f"e AS (PARTITION BY {GROUP}, probs[positive])"
    )
    return (
        f"SELECT {GROUP}, (sum(rank) FILTER (WHERE hit) - {hits} * ({hits} + 1) / 2.0) / nullif({hits} * {misses}, 0) "
        f"AS auc FROM ({ranks}) GROUP BY {GROUP}"
    )


def _spans() -> dict[str, str]:
    """Return the SELECTs that count spans: one is right where an equal one, type and ends, is in gold."""
    found = {}
    for what in ("gold", "label"):
        rows = f"(SELECT task, __row, pos, {what}[1] AS tag, 1.0 AS prob FROM base WHERE spans)"
        found[f"spans_{what}"] = label_spans_sql(rows, ("task", "__row"), label="tag")
    by_row = (
        "SELECT coalesce(g.task, l.task) AS task, coalesce(g.__row, l.__row) AS __row, "
        "count(*) FILTER (WHERE g.task IS NOT NULL AND l.task IS NOT NULL) AS tp, count(g.task) + count(l.task) "
        "AS size FROM spans_gold AS g FULL JOIN spans_label AS l ON g.task = l.task AND g.__row = l.__row "
        'AND g."start" = l."start" AND g."end" = l."end" AND g.type = l.type GROUP BY ALL'
    )
    number = "(SELECT task, __row, count(*) AS m FROM base WHERE spans GROUP BY ALL)"
    seen = (
        f"SELECT {GROUP}, __row FROM long JOIN {number} USING (task, __row) GROUP BY ALL HAVING count(*) = any_value(m)"
    )
    found["span_scores"] = (
        f"SELECT {GROUP}, 2 * sum(tp) / nullif(sum(size), 0) AS span_f1 FROM ({seen}) "
        f"JOIN ({by_row}) USING (task, __row) GROUP BY {GROUP}"
    )
    return found
