"""compare and error_attribution: two models on the same rows, and several tasks on one row."""

from __future__ import annotations

from wsdb.monitor.bodies import ONE_TASK, PREDICTED, ROWS
from wsdb.monitor.intervals import Z95


def compare_body() -> str:
    """Return the body of ``compare``; a is the first model, b the other.

    Notes
    -----
    delta is accuracy_b - accuracy_a over the n rows with gold; of these, `fixed` are wrong in a and right in b,
    `broken` the other way round. delta_low and delta_high are the adjusted Wald interval of paired shares at 95 %
    (Agresti and Min 2005): each cell of the 2 x 2 table gets 1/2 more. p_value is the exact McNemar test with mid-p: of
    fixed + broken fair coins, twice P(fewer heads than min) plus P(as many). churn is the share of rows, with gold or
    not, whose label differs, over n_rows. error_reduction is the errors of a over those of b.
    """
    sides = ", ".join(
        f"{side} AS MATERIALIZED (WITH p AS MATERIALIZED (FROM @{outputs}@('r')) SELECT * FROM @{scored}@(@at@) "
        f"WHERE {ONE_TASK})"
        for side, outputs, scored in (("a", "outputs", "scored"), ("b", "other_outputs", "other_scored"))
    )
    base = (
        "SELECT a.*, b.label AS other, a.label <> b.label AS differs, a.gold = a.label AS one, a.gold = b.label AS two "
        "FROM a JOIN b USING (task, __row, pos)"
    )
    counts = (
        "SELECT task, place, segment, any_value(step) AS step, count(gold) AS n, count(*) AS n_rows, "
        "avg(differs::INTEGER) AS churn, avg(one::INTEGER) AS accuracy_a, avg(two::INTEGER) AS accuracy_b, "
        "count(*) FILTER (WHERE two AND NOT one) AS fixed, count(*) FILTER (WHERE one AND NOT two) AS broken, "
        "count(*) FILTER (WHERE NOT one) AS errors_a, count(*) FILTER (WHERE NOT two) AS errors_b FROM long "
        "GROUP BY ALL"
    )
    width = f"{Z95} * sqrt(fixed + broken + 1 - pow(fixed - broken, 2) / (n + 2)) / (n + 2)"
    centre = "(fixed - broken) / (n + 2)"
    tosses, least = "(fixed + broken)", "least(fixed, broken)"
    chance = f"exp(lgamma({tosses} + 1) - lgamma(i + 1) - lgamma({tosses} - i + 1) - {tosses} * ln(2))"
    p_value = (
        f"CASE WHEN {tosses} = 0 THEN 1.0 ELSE least(1, 2 * coalesce(list_sum(list_transform(range({least}), "
        f"lambda i: {chance})), 0) + list_sum(list_transform([{least}], lambda i: {chance}))) END"
    )
    return (
        f"WITH {ROWS}, {sides}, base AS MATERIALIZED ({base}), long AS MATERIALIZED (@segmented@), "
        f"counts AS ({counts}), f1 AS ({_f1()}) "
        "SELECT c.task, c.segment, n, accuracy_a, accuracy_b, accuracy_b - accuracy_a AS delta, "
        f"CASE WHEN n > 0 THEN greatest({centre} - {width}, -1) END AS delta_low, "
        f"CASE WHEN n > 0 THEN least({centre} + {width}, 1) END AS delta_high, "
        f"CASE WHEN n > 0 THEN {p_value} END AS p_value, f1_a, f1_b, f1_b - f1_a AS f1_delta, fixed, broken, "
        "errors_a / nullif(errors_b, 0) AS error_reduction, n_rows, churn FROM counts AS c LEFT JOIN f1 "
        "ON f1.task = c.task AND f1.place = c.place AND f1.segment IS NOT DISTINCT FROM c.segment "
        "ORDER BY c.step, c.task, c.place, c.segment"
    )


def _f1() -> str:
    """Return the SELECT of the f1 of both sides, as `evaluate` has it."""
    sides = " UNION ALL ".join(
        f"SELECT task, place, segment, kind, positive, gold, {column} AS label, '{side}' AS side FROM long "
        "WHERE gold IS NOT NULL"
        for column, side in (("label", "a"), ("other", "b"))
    )
    classes = (
        "SELECT *, unnest(gold) AS class, list_contains(label, class)::INTEGER AS tp, 0 AS fp, (1 - tp) AS fn "
        "FROM sides UNION ALL "
        "SELECT * FROM (SELECT *, unnest(label) AS class, 0, 1, 0 FROM sides) WHERE NOT list_contains(gold, class)"
    )
    by_class = (
        "SELECT task, place, segment, side, CASE WHEN kind = 'select' THEN 'yes' ELSE class END AS class, "
        f"2 * sum(tp) / (2 * sum(tp) + sum(fp) + sum(fn)) AS f1 FROM ({classes}) "
        "WHERE positive IS NULL OR class = positive GROUP BY ALL"
    )
    return (
        f"WITH sides AS ({sides}) SELECT task, place, segment, avg(f1) FILTER (WHERE side = 'a') AS f1_a, "
        f"avg(f1) FILTER (WHERE side = 'b') AS f1_b FROM ({by_class}) GROUP BY task, place, segment"
    )


def attribution_body() -> str:
    """Return the body of ``error_attribution``: one row for each input row with gold of a task.

    A task is wrong on a row where one of its predictions differs from gold. first_wrong_task is the first of the wrong
    ones in the order in which tasks build on each other, chain that task and the wrong ones that build on it, wrong all
    of them; gold and predicted are those of the first one, of a list the first element that is wrong.
    """
    tasks = (
        "SELECT __row, min(key) AS key, task, any_value(step) AS step, any_value(above) AS above, "
        "bool_or(gold <> label) AS wrong, arg_min(gold, pos) FILTER (WHERE gold <> label) AS gold, "
        "arg_min(label, pos) FILTER (WHERE gold <> label) AS label FROM @scored@(@at@) WHERE gold IS NOT NULL "
        "GROUP BY __row, task"
    )
    by_row = (
        "SELECT __row, arg_min(key, step) AS key, arg_min(task, step) FILTER (WHERE wrong) AS first_wrong_task, "
        "coalesce(list({'task': task, 'above': above} ORDER BY step, task) FILTER (WHERE wrong), []) AS wrong, "
        "arg_min(gold, step) FILTER (WHERE wrong) AS gold, arg_min(label, step) FILTER (WHERE wrong) AS label "
        "FROM tasks GROUP BY __row"
    )
    behind = "w.task = first_wrong_task OR list_contains(w.above, first_wrong_task)"
    return (
        f"{PREDICTED}, tasks AS MATERIALIZED ({tasks}), by_row AS ({by_row}) SELECT key, first_wrong_task, "
        f"list_transform(list_filter(wrong, lambda w: {behind}), lambda w: w.task) AS chain, "
        "list_transform(wrong, lambda w: w.task) AS wrong, array_to_string(gold, ', ') AS gold, "
        "array_to_string(label, ', ') AS predicted FROM by_row ORDER BY __row"
    )
