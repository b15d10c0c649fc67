"""lf_summary: one row for each labeling function, from the stored vote counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsdb.core.lf import LabelingFunction
from wsdb.core.sqltext import literal, literals, stored
from wsdb.core.task import Task

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""
OFF = 1_000_000
"""Place of disabled labeling functions: after all others."""
KINDS = {"VoteWhen": "rule", "Expression": "rule", "Select": "query", "Python": "python", "Votes": "votes"}


def summary_macro(
    task: Task,
    columns: Sequence[tuple[str, str]],
    lfs: Mapping[str, LabelingFunction],
    owners: Mapping[str, str],
    *,
    has_gold: bool,
) -> str:
    """Return the body of the macro ``lf_summary``; its parameter ``of_split`` is a split or NULL for all rows.

    Sums over the stored vote counts, whatever the number of rows. A vote conflicts where two votes of its row differ. A
    vote for one of several labels is right where one of them is, and differs from votes that have none of them in
    common. A bitvector has a line for each label that a source votes on: its votes no and yes are right as the gold row
    has that label or not, and only votes on that label overlap and conflict.

    Parameters
    ----------
    task : with the labels that are voted, of a bitvector no and yes
    columns : (column, lf) of the label matrix, of enabled labeling functions
    lfs : the labeling functions of the task by lower-cased name, disabled ones too
    owners : who created each
    """
    low = literal(task.name.lower())
    here = f"lower(task) = {low} AND (@of_split@ IS NULL OR split = @of_split@)"
    labels = f"[{literals(task.labels)}]"
    sets = f"(SELECT label, labels FROM {stored('vote_sets')} WHERE lower(task) = {low})"
    values = (
        f"SELECT lf, list(label ORDER BY place, label) AS polarity, {', '.join(f'sum({x}) AS {x}' for x in 'nocrw')}, "
        "sum(n * width) / sum(n) AS width "
        f"FROM (SELECT lf, label, list_position({labels}, label) AS place, sum(n)::BIGINT AS n, sum(overlap) AS o, "
        "sum(conflict) AS c, sum(n) FILTER (fits) AS r, sum(n) FILTER (NOT fits) AS w, any_value(width) AS width "
        "FROM (SELECT v.*, v.label = v.gold OR coalesce(list_contains(s.labels, v.gold), false) AS fits, "
        f"coalesce(len(s.labels), 1) AS width FROM (FROM {stored('vote_counts')} WHERE {here}) AS v "
        f"LEFT JOIN {sets} AS s USING (label)) GROUP BY lf, label) GROUP BY lf"
    )
    learned = (
        f"SELECT lf, any_value(accuracy) AS accuracy, any_value(stderr) AS stderr FROM {stored('label_parameters')} "
        f"WHERE lower(task) = {low} GROUP BY lf"
    )
    copies = (
        f"SELECT lf_b AS lf, min(lf_a) AS first FROM {stored('lf_dependencies')} "
        f"WHERE lower(task) = {low} AND reason = 'copy' GROUP BY lf_b"
    )
    scored = "coalesce({}, 0)::BIGINT" if has_gold else "NULL::BIGINT"
    joined = (
        f"SELECT f.position, f.lf, coalesce(d.kind, f.kind) AS kind, coalesce(v.polarity, []) AS polarity, "
        "f.enabled, f.owner, CASE WHEN f.enabled THEN (SELECT sum(n) FROM total) END AS n_rows, coalesce(v.n, 0) AS n, "
        "coalesce(v.o, 0) AS o, coalesce(v.c, 0) AS c, "
        f"{scored.format('v.r')} AS correct, {scored.format('v.w')} AS incorrect, "
        "coalesce(v.width, 1) AS width, l.accuracy AS learned_acc, l.stderr AS learned_stderr, "
        "t.seconds * 1000 AS ms, k.first AS copy_of "
        f"FROM ({_facts(columns, lfs, owners)}) AS f LEFT JOIN ({values}) AS v ON v.lf = f.lf "
        f"LEFT JOIN ({learned}) AS l ON l.lf = f.lf AND f.enabled LEFT JOIN ({copies}) AS k ON k.lf = f.lf "
        f"LEFT JOIN (SELECT column_name, seconds FROM {stored('matrix_columns')} WHERE lower(task) = {low}) AS t "
        f"ON t.column_name = f.lf AND f.enabled LEFT JOIN {stored('lf_details')} AS d "
        "ON lower(d.lf) = lower(f.function)"
    )
    measured = (
        "SELECT *, correct / nullif(correct + incorrect, 0) AS emp_acc, "
        f"{wilson('correct', 'correct + incorrect', -1)} AS emp_low, "
        f"{wilson('correct', 'correct + incorrect', 1)} AS emp_high FROM joined"
    )
    return (
        f"WITH total AS (SELECT n FROM {stored('split_counts')} WHERE {here}), joined AS ({joined}), "
        f"measured AS ({measured}) "
        "SELECT lf, kind, polarity, n / nullif(n_rows, 0) AS coverage, o / nullif(n_rows, 0) AS overlaps, "
        "c / nullif(n_rows, 0) AS conflicts, correct, incorrect, emp_acc, emp_low, emp_high, learned_acc, "
        "learned_stderr, "
        f"learned_acc - emp_acc AS gap, ms, enabled, owner, {_audit(len(task.labels))} AS audit "
        "FROM measured ORDER BY position, lf"
    )


def _facts(columns: Sequence[tuple[str, str]], lfs: Mapping[str, LabelingFunction], owners: Mapping[str, str]) -> str:
    """Return a SELECT of position, lf, function, kind, enabled and owner: of each column, and of functions without."""
    listed = [(name, lfs[lf.lower()]) for name, lf in columns]
    shown = {lf.name for _, lf in listed}
    listed += [(lf.name, lf) for lf in lfs.values() if lf.enabled and lf.name not in shown]
    listed += [(lf.name, lf) for lf in lfs.values() if not lf.enabled]
    rows = [
        f"({at if lf.enabled else OFF}, {literal(name)}, {literal(lf.name)}, {literal(KINDS[type(lf.body).__name__])}, "
        f"{str(lf.enabled).lower()}, {literal(owners.get(lf.name.lower(), ''))})"
        for at, (name, lf) in enumerate(listed)
    ]
    if not rows:
        return "SELECT 0 AS position, '' AS lf, '' AS function, '' AS kind, false AS enabled, '' AS owner WHERE false"
    return f"SELECT * FROM (VALUES {', '.join(rows)}) AS facts(position, lf, function, kind, enabled, owner)"


def wilson(right: str, n: str, side: int) -> str:
    """Return SQL of a bound of the 95 % interval of a share (Wilson 1927); NULL where nothing was counted.

    Parameters
    ----------
    right, n : SQL of the counts
    side : -1 for the lower bound, 1 for the upper one
    """
    share, z2 = f"(({right}) / nullif({n}, 0))", Z95**2
    spread = f"{Z95} * sqrt({share} * (1 - {share}) / nullif({n}, 0) + {z2 / 4} / (nullif({n}, 0) * ({n})))"
    return f"({share} + {z2 / 2} / nullif({n}, 0) {'+' if side > 0 else '-'} {spread}) / (1 + {z2} / nullif({n}, 0))"


def _audit(n_classes: int) -> str:
    """Return SQL of what is wrong with a labeling function, NULL for nothing.

    Chance is 1/k, or the mean number of labels voted for over k. Gold that is surely above chance counts more than the
    label model; without it, a learned accuracy below chance plus two standard errors is not surely better.
    """
    chance = f"(width / {n_classes})"
    doubted = f"n > 0 AND coalesce(emp_low, 0) <= {chance}"
    worse = f"(emp_high < {chance} OR learned_acc < {chance})"
    outside = "learned_acc < emp_low OR learned_acc > emp_high"
    notes = [
        "CASE WHEN n = 0 THEN 'never votes' END",
        "'copy of ' || copy_of",
        f"CASE WHEN {doubted} AND {worse} THEN 'worse than chance' "
        f"WHEN {doubted} AND learned_acc < {chance} + 2 * learned_stderr THEN 'not surely better than chance' END",
        f"CASE WHEN {outside} THEN 'learned accuracy outside the interval of gold' END",
    ]
    return f"CASE WHEN enabled THEN nullif(concat_ws('; ', {', '.join(notes)}), '') END"
