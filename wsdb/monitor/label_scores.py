"""The scores of labels that are stored row by row, against gold, by split."""

from __future__ import annotations

from wsdb.core.rowsql import gold_labels
from wsdb.core.sqltext import ident, idents, literals
from wsdb.core.task import Task


def stored_scores(task: Task) -> str:
    """Return the SELECT of split, n, coverage, n_gold, accuracy, macro_f1, accuracy_all and log_loss.

    accuracy, macro_f1 and log_loss are over rows with gold and a label; accuracy_all is over all rows with gold, one
    without a label having the likeliest one of its probabilities. A bitvector is right where all its labels are, as in
    evaluate(); its log_loss is the mean over its labels. Scores are NULL where there is no gold.
    """
    labels, rows = f"wsdb.{ident('labels_' + task.name)}", f"wsdb.{ident('rows_' + task.name)}"
    bits = task.kind == "bitvector"
    gold, label = (gold_labels("r.gold"), "l.label") if bits else ("[r.gold]", "[l.label]")
    likeliest = "map_keys(probs)[list_position(map_values(probs), list_max(map_values(probs)))]"
    if bits:
        likeliest = "list_filter(map_keys(probs), lambda x: probs[x] > 0.5)"
        loss = "list_avg(list_transform(map_entries(probs), lambda e: {}))"
        loss = loss.format(
            "-ln(greatest(CASE WHEN list_contains(gold, e.key) THEN e.value ELSE 1 - e.value END, 1e-15))"
        )
    else:
        likeliest, loss = f"[{likeliest}]", "-ln(greatest(probs[gold[1]], 1e-15))"
    known = "label IS NOT NULL AND gold IS NOT NULL"
    base = (
        f"SELECT r.split, CASE WHEN r.gold IS NOT NULL THEN list_sort(list_distinct({gold})) END AS gold, "
        f"CASE WHEN l.label IS NOT NULL THEN list_sort({label}) END AS label, l.covered, l.probs FROM {labels} AS l "
        f"JOIN {rows} AS r USING ({idents(task.keys)})"
    )
    f1 = (
        "SELECT split, avg(2 * tp / nullif(2 * tp + fp + fn, 0)) AS macro_f1 FROM (SELECT split, class, "
        "count(*) FILTER (WHERE list_contains(label, class) AND list_contains(gold, class)) AS tp, "
        "count(*) FILTER (WHERE list_contains(label, class) AND NOT list_contains(gold, class)) AS fp, "
        "count(*) FILTER (WHERE NOT list_contains(label, class) AND list_contains(gold, class)) AS fn "
        f"FROM base, (SELECT unnest([{literals(task.labels)}]) AS class) WHERE {known} "
        "GROUP BY split, class) GROUP BY split"
    )
    return (
        f"WITH base AS ({base}), f1 AS ({f1}) SELECT b.split, count(*), avg(b.covered::INTEGER), count(b.gold), "
        "avg((b.label = b.gold)::INTEGER), any_value(f1.macro_f1), "
        f"avg((coalesce(b.label, list_sort({likeliest})) = b.gold)::INTEGER) FILTER (WHERE b.gold IS NOT NULL), "
        f"avg({loss}) FILTER (WHERE {known}) "
        "FROM base AS b LEFT JOIN f1 ON b.split IS NOT DISTINCT FROM f1.split GROUP BY b.split ORDER BY b.split"
    )
