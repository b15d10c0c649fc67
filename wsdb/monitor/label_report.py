"""label_model_report: the label model next to majority vote, against gold, by split."""

from __future__ import annotations

from wsdb.core.sqltext import ident, literal, literals
from wsdb.core.task import Task
from wsdb.monitor.rows import same_key


def report_macro(task: Task, methods: list[tuple[str, str, bool]]) -> str:
    """Return the body of the macro ``label_model_report``; its parameter ``of_split`` is a split or NULL for all.

    Parameters
    ----------
    methods : (name, view in schema wsdb, whether it is the one chosen)

    Notes
    -----
    accuracy, macro_f1 and log_loss are over rows that have gold and a label; accuracy_all is over all rows with gold
    and counts a row without a label as wrong. Ties go to the class with the larger share, then to the first.
    """
    parts = [_method(task, *method) for method in methods]
    rows = " UNION ALL ".join(parts)
    return f"SELECT * FROM ({rows}) WHERE @of_split@ IS NULL OR split = @of_split@ ORDER BY split, chosen, method"


def _method(task: Task, name: str, view: str, chosen: bool) -> str:
    labels, rows = f"wsdb.{ident(view)}", f"wsdb.{ident('rows_' + task.name)}"
    base = (
        f"SELECT r.split, r.gold, l.label, l.probs, l.covered FROM {rows} AS r "
        f"JOIN {labels} AS l ON {same_key(task, 'r', 'l')}"
    )
    scored = (
        "SELECT split, count(*) AS n, avg(covered::INTEGER) AS coverage, count(gold) AS n_gold, "
        "avg((label = gold)::INTEGER) AS accuracy, "
        "avg((label IS NOT DISTINCT FROM gold)::INTEGER) FILTER (WHERE gold IS NOT NULL) AS accuracy_all, "
        "avg(-ln(greatest(probs[gold], 1e-15))) FILTER (WHERE label IS NOT NULL AND gold IS NOT NULL) AS log_loss "
        "FROM base GROUP BY split"
    )
    f1 = (
        "SELECT split, avg(2 * tp / nullif(2 * tp + fp + fn, 0)) AS macro_f1 FROM ("
        "SELECT split, class, count(*) FILTER (WHERE label = class AND gold = class) AS tp, "
        "count(*) FILTER (WHERE label = class AND gold <> class) AS fp, "
        "count(*) FILTER (WHERE label <> class AND gold = class) AS fn "
        f"FROM base, (SELECT unnest([{literals(task.labels)}]) AS class) WHERE label IS NOT NULL AND gold IS NOT NULL "
        "GROUP BY split, class) GROUP BY split"
    )
    return (
        f"SELECT * FROM (WITH base AS ({base}), scored AS ({scored}), f1 AS ({f1}) "
        f"SELECT {literal(name)} AS method, {str(chosen).lower()} AS chosen, s.split, s.n, s.coverage, s.n_gold, "
        "s.accuracy, f.macro_f1, s.accuracy_all, s.log_loss FROM scored AS s LEFT JOIN f1 AS f "
        "ON s.split IS NOT DISTINCT FROM f.split)"
    )
