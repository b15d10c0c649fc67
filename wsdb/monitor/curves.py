"""confusion_matrix, roc_curve, pr_curve and calibration: what probabilities and labels are worth, from scored rows."""

from __future__ import annotations

from wsdb.monitor.bodies import ONE_TASK, PREDICTED, within
from wsdb.monitor.intervals import ends

BINS = 10
"""Bins of the calibration report."""


def _base() -> str:
    return f"{PREDICTED}, base AS (FROM @scored@(@at@) WHERE gold IS NOT NULL AND {ONE_TASK} AND {within()})"


def confusion_body() -> str:
    """Return the body of ``confusion_matrix``.

    Of a bitvector each label is a matrix of its own, with 'not <label>' for its absence; of a SELECT task the labels
    are positions, or '(none)'.
    """
    bits = (
        "SELECT task, step, CASE WHEN list_contains(gold, class) THEN class ELSE 'not ' || class END AS gold, "
        "CASE WHEN list_contains(label, class) THEN class ELSE 'not ' || class END AS predicted FROM "
        "(SELECT *, unnest(map_keys(probs)) AS class FROM base WHERE kind = 'bitvector')"
    )
    single = (
        "SELECT task, step, coalesce(gold[1], '(none)') AS gold, coalesce(label[1], '(none)') AS predicted "
        "FROM base WHERE kind <> 'bitvector'"
    )
    return (
        f"{_base()} SELECT task, gold, predicted, count(*) AS n FROM ({single} UNION ALL {bits}) "
        "GROUP BY task, step, gold, predicted ORDER BY step, task, gold, predicted"
    )


def _counted() -> str:
    """Return the SELECTs up to ``points``: for each label and threshold the hits and misses at or above it.

    The label of a binary task is its second one; any other label is asked for by name, or all are counted.
    """
    pairs = (
        "SELECT task, step, e.key AS label, e.value AS threshold, list_contains(gold, e.key) AS hit FROM "
        "(SELECT *, unnest(map_entries(probs)) AS e FROM base) WHERE CASE WHEN @label@ IS NOT NULL "
        "THEN lower(e.key) = lower(@label@) ELSE positive IS NULL OR e.key = positive END"
    )
    steps = (
        "SELECT task, step, label, threshold, count(*) FILTER (WHERE hit) AS hits, "
        "count(*) FILTER (WHERE NOT hit) AS misses FROM pairs GROUP BY ALL"
    )
    order = "OVER (PARTITION BY task, label ORDER BY threshold DESC)"
    whole = "OVER (PARTITION BY task, label)"
    points = (
        f"SELECT *, sum(hits) {order} AS tp, sum(misses) {order} AS fp, sum(hits) {whole} AS positives, "
        f"sum(misses) {whole} AS negatives FROM steps"
    )
    return f"{_base()}, pairs AS ({pairs}), steps AS ({steps}), points AS ({points})"


def roc_body() -> str:
    """Return the body of ``roc_curve``; it starts at the threshold infinity, where nothing is predicted."""
    start = "SELECT DISTINCT task, step, label, 'infinity'::DOUBLE AS threshold, 0.0 AS fpr, 0.0 AS tpr FROM points"
    return (
        f"{_counted()} SELECT task, label, threshold, fpr, tpr FROM ({start} UNION ALL SELECT task, step, label, "
        "threshold, fp / nullif(negatives, 0), tp / nullif(positives, 0) FROM points) "
        "ORDER BY step, task, label, threshold DESC"
    )


def pr_body() -> str:
    """Return the body of ``pr_curve``."""
    return (
        f"{_counted()} SELECT task, label, threshold, tp / (tp + fp) AS precision, tp / nullif(positives, 0) AS recall "
        "FROM points ORDER BY step, task, label, threshold DESC"
    )


def binned(group: str, rows: str) -> str:
    """Return the SELECT of 10 bins with equally many rows: n, hits and the sum of the probabilities, low and high.

    Rows that are equally sure share a bin, so that the order of rows has no influence.

    Parameters
    ----------
    group : the columns within whose values the bins are made
    rows : the relation of scored things
    """
    place = (
        f"SELECT {group}, sure, (gold = label)::INTEGER AS hit, ((rank() OVER (PARTITION BY {group} "
        f"ORDER BY sure) - 1) * {BINS} // count(*) OVER (PARTITION BY {group})) + 1 AS bin FROM {rows} "
        "WHERE sure IS NOT NULL"
    )
    return (
        f"SELECT {group}, bin, count(*) AS n, sum(hit) AS hits, sum(sure) AS sure, min(sure) AS low, max(sure) AS high "
        f"FROM ({place}) GROUP BY {group}, bin"
    )


def calibration_body() -> str:
    """Return the body of ``calibration``: how sure predictions are, and how often they are right, in equal-count bins.

    Notes
    -----
    ece = sum over bins of n_b / n |accuracy_b - confidence_b| (Guo et al. 2017, equation 3, with bins of equal counts).
    """
    totals = "SELECT task, any_value(step) AS step, avg(brier) AS brier, avg(loss) AS log_loss FROM base GROUP BY task"
    return (
        f"{_base()}, bins AS ({binned('task', 'base')}), totals AS ({totals}) "
        "SELECT b.task, b.bin, b.n, b.low, b.high, b.sure / b.n AS confidence, b.hits / b.n AS accuracy, "
        f"{ends('accuracy', 'b.hits / b.n', 'b.n')}, "
        "sum(abs(b.hits - b.sure)) OVER (PARTITION BY b.task) / sum(b.n) OVER (PARTITION BY b.task) AS ece, "
        "t.brier, t.log_loss FROM bins AS b JOIN totals AS t USING (task) ORDER BY t.step, b.task, b.bin"
    )
