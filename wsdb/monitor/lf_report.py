"""The reports on labeling functions: lf_summary and lf_errors, as SQL over the stored label matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsdb.core.lf import LabelingFunction
from wsdb.core.sqltext import ident, idents, literal, literals
from wsdb.core.task import Task
from wsdb.monitor.rows import same_key, vote_label

KINDS = {"VoteWhen": "rule", "Expression": "rule", "Select": "query", "Python": "python", "Votes": "votes"}


def summary_macro(
    task: Task,
    columns: Sequence[tuple[str, str]],
    lfs: Mapping[str, LabelingFunction],
    owners: Mapping[str, str],
) -> str:
    """Return the body of the macro ``lf_summary``; its parameter ``of_split`` is a split or NULL for all rows.

    One aggregation over the wide matrix. A vote conflicts where another vote of its row differs, which is so for
    every vote of a row whose least and greatest votes differ.

    Parameters
    ----------
    columns : (column, lf) of the label matrix
    lfs : the labeling functions of the task by lower-cased name, disabled ones too
    owners : who created each
    """
    names = [ident(name) for name, _ in columns]
    matrix, rows = f"wsdb.{ident('matrix_' + task.name)}", f"wsdb.{ident('rows_' + task.name)}"
    counted = " + ".join(f"({name} IS NOT NULL)::INTEGER" for name in names) or "0"
    least = f"least({', '.join(names)}, NULL)" if names else "NULL"
    greatest = f"greatest({', '.join(names)}, NULL)" if names else "NULL"
    gold = "CASE r.gold " + " ".join(f"WHEN {literal(label)} THEN {code}" for code, label in enumerate(task.labels))
    base = (
        f"SELECT m.*, {counted} AS __n, {least} IS DISTINCT FROM {greatest} AS __torn, {gold} END AS __gold "
        f"FROM {matrix} AS m JOIN {rows} AS r ON {same_key(task, 'm', 'r')} "
        "WHERE @of_split@ IS NULL OR r.split = @of_split@"
    )
    stats = ", ".join(_stats(at, column, lf, lfs, owners, task) for at, (column, lf) in enumerate(columns))
    off = [lf for lf in lfs.values() if not lf.enabled]
    parts = []
    if stats:
        parts.append(f"SELECT unnest([{stats}], recursive := true) FROM ({base})")
    parts += [_disabled(lf, owners) for lf in off]
    if not parts:
        parts = [f"SELECT * FROM ({_disabled(None, owners)}) WHERE false"]
    return _finish(" UNION ALL ".join(parts), task)


def _stats(
    at: int,
    column: str,
    lf: str,
    lfs: Mapping[str, LabelingFunction],
    owners: Mapping[str, str],
    task: Task,
) -> str:
    name = ident(column)
    if len(task.labels) <= 62:  # one bit a label: one aggregate for each labeling function, however many labels
        bits = f"bit_or(1::BIGINT << {name}::INTEGER)"
        seen = f"list_filter([{literals(task.labels)}], lambda x, i: ({bits} >> (i - 1)::INTEGER) & 1 = 1)"
    else:
        seen = f"list_transform(list_sort(list_distinct(list({name}))), lambda c: {vote_label('c', task)})"
    kind = KINDS[type(lfs[lf.lower()].body).__name__]
    return (
        f"{{'position': {at}, 'lf': {literal(column)}, 'kind': {literal(kind)}, 'polarity': {seen}, "
        f"'n': count(*), 'votes': count({name}), 'overlap': count({name}) FILTER (WHERE __n > 1), "
        f"'conflict': count({name}) FILTER (WHERE __torn), "
        f"'correct': {_scored(task, f'{name} = __gold')}, 'incorrect': {_scored(task, f'{name} <> __gold')}, "
        f"'enabled': true, 'owner': {literal(owners.get(lf.lower(), ''))}}}"
    )


def _scored(task: Task, condition: str) -> str:
    """Return the count of rows that meet a condition on gold; NULL for a task without gold."""
    return "NULL::BIGINT" if task.gold is None else f"count(*) FILTER (WHERE {condition})"


def _disabled(lf: LabelingFunction | None, owners: Mapping[str, str]) -> str:
    name = "" if lf is None else lf.name
    kind = "" if lf is None else KINDS[type(lf.body).__name__]
    return (
        f"SELECT 100000 AS position, {literal(name)} AS lf, {literal(kind)} AS kind, []::VARCHAR[] AS polarity, "
        "0::BIGINT AS n, 0::BIGINT AS votes, 0::BIGINT AS overlap, 0::BIGINT AS conflict, 0::BIGINT AS correct, "
        f"0::BIGINT AS incorrect, false AS enabled, {literal(owners.get(name.lower(), ''))} AS owner"
    )


def _finish(stats: str, task: Task) -> str:
    """Return the shares and the joined facts of the label model and the last run."""
    low = literal(task.name.lower())
    learned = (
        "SELECT lf, any_value(accuracy) AS learned_acc FROM wsdb.label_parameters "
        f"WHERE lower(task) = {low} GROUP BY lf"
    )
    timing = f"SELECT column_name, seconds FROM wsdb.matrix_columns WHERE lower(task) = {low}"
    return (
        "SELECT s.lf, s.kind, s.polarity, "
        "s.votes / nullif(s.n, 0) AS coverage, s.overlap / nullif(s.n, 0) AS overlaps, "
        "s.conflict / nullif(s.n, 0) AS conflicts, s.correct, s.incorrect, "
        "s.correct / nullif(s.correct + s.incorrect, 0) AS emp_acc, l.learned_acc, "
        "l.learned_acc - s.correct / nullif(s.correct + s.incorrect, 0) AS gap, t.seconds * 1000 AS ms, "
        f"s.enabled, s.owner FROM ({stats}) AS s LEFT JOIN ({learned}) AS l ON l.lf = s.lf "
        f"LEFT JOIN ({timing}) AS t ON t.column_name = s.lf ORDER BY s.position, s.lf"
    )


def errors_macro(task: Task, columns: Sequence[str]) -> str:
    """Return the body of the macro ``lf_errors``; its parameter ``of_lf`` is a column of the label matrix.

    A vote is an error where it differs from the row's gold label; where the row has none, from its label.
    """
    low = "lower(@of_lf@)"
    arms = " ".join(
        f"WHEN {low} = {literal(name.lower())} THEN {vote_label('m.' + ident(name), task)}" for name in columns
    )
    known = literals(columns) if columns else ""
    unknown = (
        f"error('[WS201] labeling function \"' || @of_lf@ || '\" has no column in the label matrix of task "
        f"{task.name.replace(chr(39), chr(39) * 2)}; it has ' || array_to_string([{known}]::VARCHAR[], ', '))"
    )
    vote = f"CASE {arms} ELSE {unknown} END" if arms else unknown
    matrix, rows, labels = (f"wsdb.{ident(f'{what}_{task.name}')}" for what in ("matrix", "rows", "labels"))
    keys = idents(task.keys)
    return (
        f"SELECT {keys}, vote, expected, basis FROM (SELECT {idents(task.keys, 'm.')}, {vote} AS vote, "
        "coalesce(r.gold, l.label) AS expected, CASE WHEN r.gold IS NULL THEN 'label' ELSE 'gold' END AS basis "
        f"FROM {matrix} AS m JOIN {rows} AS r ON {same_key(task, 'm', 'r')} "
        f"JOIN {labels} AS l ON {same_key(task, 'm', 'l')}) WHERE vote <> expected ORDER BY {keys}"
    )
