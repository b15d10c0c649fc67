"""The scores of labels that are stored row by row, against gold, by split."""

from __future__ import annotations

from wsdb.core.sqltext import ident, idents, literals
from wsdb.core.task import Task


def stored_scores(task: Task) -> str:
    """Return the SELECT of split, n, coverage, n_gold, accuracy, macro_f1, accuracy_all and log_loss.

    accuracy, macro_f1 and log_loss are over rows with gold and a label; accuracy_all counts a row without a label as
    wrong. Scores are NULL for a bitvector, whose labels are lists, and where there is no gold.
    """
    labels, rows = f"wsdb.{ident('labels_' + task.name)}", f"wsdb.{ident('rows_' + task.name)}"
    gold = "NULL::VARCHAR" if task.kind == "bitvector" else "r.gold"
    label = "NULL::VARCHAR" if task.kind == "bitvector" else "l.label"
    base = (
        f"SELECT r.split, {gold} AS gold, {label} AS label, l.covered, l.probs FROM {labels} AS l "
        f"JOIN {rows} AS r USING ({idents(task.keys)})"
    )
    f1 = (
        "SELECT split, avg(2 * tp / nullif(2 * tp + fp + fn, 0)) AS macro_f1 FROM (SELECT split, class, "
        "count(*) FILTER (WHERE label = class AND gold = class) AS tp, "
        "count(*) FILTER (WHERE label = class AND gold <> class) AS fp, "
        "count(*) FILTER (WHERE label <> class AND gold = class) AS fn "
        f"FROM base, (SELECT unnest([{literals(task.labels)}]) AS class) "
        "WHERE label IS NOT NULL AND gold IS NOT NULL GROUP BY split, class) GROUP BY split"
    )
    return (
        f"WITH base AS ({base}), f1 AS ({f1}) SELECT b.split, count(*), avg(b.covered::INTEGER), count(b.gold), "
        "avg((b.label = b.gold)::INTEGER), any_value(f1.macro_f1), "
        "avg((b.label IS NOT DISTINCT FROM b.gold)::INTEGER) FILTER (WHERE b.gold IS NOT NULL), "
        "avg(-ln(greatest(b.probs[b.gold], 1e-15))) FILTER (WHERE b.label IS NOT NULL AND b.gold IS NOT NULL) "
        "FROM base AS b LEFT JOIN f1 ON b.split IS NOT DISTINCT FROM f1.split GROUP BY b.split ORDER BY b.split"
    )
