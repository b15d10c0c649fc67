"""evaluate and confusion_matrix: a model's predictions against gold, as SQL over the prediction macro."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.core.sqltext import ident, literal, literals
from wsdb.core.task import Task
from wsdb.monitor.rows import same_key

BINS = 10
"""Number of equal-width bins of the expected calibration error."""
Z95 = 1.959963984540054


def evaluate_macro(predict: str, tasks: Sequence[Task]) -> str:
    """Return the body of the macro ``evaluate``; its parameters are ``tbl`` and ``by_what``.

    Parameters
    ----------
    predict : SQL name of the model's prediction macro
    tasks : the model's tasks; one without gold gives no row

    Notes
    -----
    precision, recall and f1 are those of the second label of a binary task, and the mean over the classes that
    occur of any other. auc is given for binary tasks. ece is the expected calibration error over ten bins of equal
    width (Guo et al. 2017, equation 3). accuracy_low and accuracy_high are the Wilson interval at 95 %.
    """
    parts = [_scores(task, at) for at, task in enumerate(tasks) if task.gold is not None]
    if not parts:
        return f"SELECT * FROM ({_empty()}) WHERE false"
    return f"WITH p AS MATERIALIZED (SELECT * FROM {predict}(@tbl@)) " + " UNION ALL ".join(parts)


def _empty() -> str:
    numbers = ["n", "accuracy", "accuracy_low", "accuracy_high", "precision", "recall", "f1", "auc", "log_loss", "ece"]
    types = {"n": "BIGINT"}
    return "SELECT '' AS task, '' AS segment, " + ", ".join(
        f"NULL::{types.get(name, 'DOUBLE')} AS {name}" for name in numbers
    )


def _base(task: Task, segment: str) -> str:
    name = task.name
    rows = f"wsdb.{ident('rows_' + name)}"
    predicted = ident(f"predicted_{name}")
    return (
        f"SELECT {segment} AS segment, r.gold, p.{predicted} AS label, "
        f"p.{ident(f'predicted_{name}_prob')} AS prob, p.{ident(f'predicted_{name}_probs')} AS probs "
        f"FROM p JOIN {rows} AS r ON {same_key(task, 'p', 'r')} WHERE r.gold IS NOT NULL"
    )


def _scores(task: Task, at: int) -> str:
    segment = (
        "CASE WHEN @by_what@ IS NULL THEN 'all' WHEN @by_what@ = 'split' THEN coalesce(r.split, '(none)') "
        "ELSE error('evaluate: by is NULL or ''split'', not ''' || @by_what@ || '''') END"
    )
    positive = literal(task.labels[-1])
    binary = task.kind == "binary"
    chosen = f"class = {positive}" if binary else "true"
    by_class = (
        "SELECT segment, class, count(*) FILTER (WHERE label = class AND gold = class) AS tp, "
        "count(*) FILTER (WHERE label = class AND gold <> class) AS fp, "
        "count(*) FILTER (WHERE label <> class AND gold = class) AS fn "
        f"FROM base, (SELECT unnest([{literals(task.labels)}]) AS class) GROUP BY segment, class "
        "HAVING tp + fp + fn > 0"
    )
    f1 = (
        "SELECT segment, avg(coalesce(tp / nullif(tp + fp, 0), 0)) AS precision, "
        "avg(coalesce(tp / nullif(tp + fn, 0), 0)) AS recall, avg(2 * tp / (2 * tp + fp + fn)) AS f1 "
        f"FROM ({by_class}) WHERE {chosen} GROUP BY segment"
    )
    # The area under the ROC curve is the Mann-Whitney statistic; equal scores get their mean rank.
    ranks = (
        f"SELECT segment, gold = {positive} AS hit, rank() OVER w + (count(*) OVER e - 1) / 2.0 AS place "
        f"FROM base WINDOW w AS (PARTITION BY segment ORDER BY probs[{positive}]), "
        f"e AS (PARTITION BY segment, probs[{positive}])"
    )
    auc = (
        "SELECT segment, (sum(place) FILTER (WHERE hit) - count(*) FILTER (WHERE hit) * "
        "(count(*) FILTER (WHERE hit) + 1) / 2.0) / nullif(count(*) FILTER (WHERE hit) * "
        f"count(*) FILTER (WHERE NOT hit), 0) AS auc FROM ({ranks}) GROUP BY segment"
    )
    ece = (
        "SELECT segment, sum(abs(hits - sure)) / sum(size) AS ece FROM (SELECT segment, "
        f"least(floor(prob * {BINS}), {BINS - 1}) AS bin, count(*) AS size, sum((label = gold)::INTEGER) AS hits, "
        "sum(prob) AS sure FROM base GROUP BY segment, bin) GROUP BY segment"
    )
    total = (
        "SELECT segment, count(*) AS n, avg((label = gold)::INTEGER) AS accuracy, "
        "avg(-ln(greatest(probs[gold], 1e-15))) AS log_loss FROM base GROUP BY segment"
    )
    centre = f"(accuracy + {Z95**2 / 2} / n) / (1 + {Z95**2} / n)"
    width = f"{Z95} * sqrt(accuracy * (1 - accuracy) / n + {Z95**2 / 4} / (n * n)) / (1 + {Z95**2} / n)"
    return (
        f"SELECT * FROM (WITH base AS ({_base(task, segment)}), total AS ({total}), f1 AS ({f1}), auc AS ({auc}), "
        f"ece AS ({ece}) SELECT {literal(task.name)} AS task, t.segment, t.n, t.accuracy, "
        f"{centre} - {width} AS accuracy_low, {centre} + {width} AS accuracy_high, f.precision, f.recall, f.f1, "
        f"{'a.auc' if binary else 'NULL::DOUBLE'} AS auc, t.log_loss, e.ece FROM total AS t "
        "LEFT JOIN f1 AS f USING (segment) LEFT JOIN auc AS a USING (segment) LEFT JOIN ece AS e USING (segment) "
        "ORDER BY t.segment)"
    )


def confusion_macro(predict: str, tasks: Sequence[Task]) -> str:
    """Return the body of the macro ``confusion_matrix``; its parameter is ``tbl``."""
    parts = [
        f"SELECT {literal(task.name)} AS task, gold, label AS predicted, count(*) AS n "
        f"FROM ({_base(task, literal('all'))}) GROUP BY gold, label"
        for task in tasks
        if task.gold is not None
    ]
    if not parts:
        return "SELECT '' AS task, '' AS gold, '' AS predicted, 0::BIGINT AS n WHERE false"
    rows = " UNION ALL ".join(parts)
    return f"WITH p AS MATERIALIZED (SELECT * FROM {predict}(@tbl@)) SELECT * FROM ({rows}) ORDER BY ALL"
