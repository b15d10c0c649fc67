"""The relation that all reports on models select from: each thing a task labels, with its gold and its prediction.

A report scores the rows once and keeps them under the name ``p``: all columns of the input, ``__row`` (its number) and
the predicted columns of every task. The macro ``scored_<model>`` turns ``p`` into one long relation over all tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsdb.core.rowsql import gold_labels
from wsdb.core.sqltext import ident, idents, literal, literals, stored
from wsdb.core.task import Task

LEAST = 1e-15
"""Probabilities below this count as this much in a log loss."""


@dataclass(frozen=True, slots=True)
class ScoredTask:
    """A task as a model answers it.

    Attributes
    ----------
    elements : whether an input row has one answer for each element of a payload, whose number is the task's last key
    step : place in the order in which tasks build on each other, from 0
    above : the tasks that this one builds on, directly or through others
    spans : whether the labels are those of spans: O, B-… and I-…
    payload : the one whose elements it labels or picks, None of a task on rows
    """

    task: Task
    elements: bool = False
    step: int = 0
    above: tuple[str, ...] = ()
    spans: bool = False
    payload: str | None = None

    @property
    def row_keys(self) -> tuple[str, ...]:
        """The key columns of the input row."""
        by_element = self.elements or self.task.kind == "select"
        return self.task.keys[:-1] if by_element else self.task.keys


def scored_select(tasks: Sequence[ScoredTask]) -> str:
    """Return the SELECT over ``p`` of one row for each row, or element, and task.

    Columns: task, kind, positive (the second label of a binary task, else NULL), step, above (tasks), spans, payload
    (whose elements are labeled, else NULL), __row, pos (of an element, else 0), key (VARCHAR, the row's keys joined by
    commas), split, gold and label (lists: of one label, or of a bitvector's; of a SELECT task the position picked, or
    none; gold is NULL where it is not known), sure (probability of the prediction), loss (-ln of the probability of
    gold; of a bitvector the mean over its labels), brier (squared error summed over the labels; of a binary task that
    of the second label alone; of a bitvector the mean) and probs (NULL for SELECT).
    """
    return " UNION ALL ".join(f"({_of(item)})" for item in tasks)


def _of(item: ScoredTask) -> str:
    task = item.task
    label, prob, probs = (f"p.{ident(f'predicted_{task.name}{part}')}" for part in ("", "_prob", "_probs"))
    if task.kind == "select":
        return _select(item, label, prob, probs)
    rows = stored("rows_" + task.name)
    if not item.elements:
        source, place, at = f"p LEFT JOIN {rows} AS r ON {_same(task.keys, 'p')}", "0", "p"
    else:
        keys = idents(item.row_keys, "p.")
        unnested = (
            f"SELECT p.__row, {keys}, unnest(range(1, len({label}) + 1)) AS __pos, unnest({label}) AS __label, "
            f"unnest({prob}) AS __prob, unnest({probs}) AS __probs FROM p"
        )
        on = f"{_same(item.row_keys, 'e')} AND e.__pos = r.{ident(task.keys[-1])}"
        source, place, at = f"({unnested}) AS e LEFT JOIN {rows} AS r ON {on}", "e.__pos", "e"
        label, prob, probs = "e.__label", "e.__prob", "e.__probs"
    figures = _bits(task, label, prob, probs) if task.kind == "bitvector" else _one(task, label, prob, probs)
    return f"SELECT {_constants(item)}, {at}.__row, {place} AS pos, {_key(item, at)}, r.split, {figures} FROM {source}"


def _constants(item: ScoredTask) -> str:
    task = item.task
    positive = literal(task.labels[-1]) if task.kind == "binary" else "NULL::VARCHAR"
    return (
        f"{literal(task.name)} AS task, {literal(task.kind)} AS kind, {positive} AS positive, {item.step} AS step, "
        f"[{literals(item.above)}]::VARCHAR[] AS above, {str(item.spans).lower()} AS spans, "
        f"{'NULL' if item.payload is None else literal(item.payload)}::VARCHAR AS payload"
    )


def _key(item: ScoredTask, at: str) -> str:
    return f"concat_ws(', ', {idents(item.row_keys, f'{at}.')}) AS key"


def _one(task: Task, label: str, prob: str, probs: str) -> str:
    """Return the columns gold to probs where a label is a string."""
    own = f"coalesce({probs}[r.gold], 0)"
    if task.kind == "binary":
        positive = literal(task.labels[-1])
        brier = f"pow({probs}[{positive}] - (r.gold = {positive})::INTEGER, 2)"
    else:
        brier = f"list_sum(list_transform(map_values({probs}), lambda x: x * x)) - 2 * {own} + 1"
    return (
        f"CASE WHEN r.gold IS NOT NULL THEN [r.gold] END AS gold, "
        f"CASE WHEN {label} IS NULL THEN []::VARCHAR[] ELSE [{label}] END AS label, {prob} AS sure, "
        f"CASE WHEN r.gold IS NOT NULL THEN -ln(greatest({own}, {LEAST})) END AS loss, "
        f"CASE WHEN r.gold IS NOT NULL THEN {brier} END AS brier, {probs} AS probs"
    )


def _bits(task: Task, label: str, prob: str, probs: str) -> str:
    """Return the columns gold to probs of a bitvector, whose gold is a list of labels or a single one."""
    gold = f"list_sort(list_distinct({gold_labels('r.gold')}))"
    hit = f"list_contains({gold}, e.key)"
    right = f"CASE WHEN {hit} THEN e.value ELSE 1 - e.value END"

    def mean(value: str) -> str:
        entries = f"list_transform(map_entries({probs}), lambda e: {value})"
        return f"CASE WHEN r.gold IS NOT NULL THEN list_avg({entries}) END"

    loss, brier = mean(f"-ln(greatest({right}, {LEAST}))"), mean(f"pow(1 - ({right}), 2)")
    return (
        f"{gold} AS gold, list_sort(coalesce({label}, []::VARCHAR[])) AS label, {prob} AS sure, {loss} AS loss, "
        f"{brier} AS brier, {probs} AS probs"
    )


def _select(item: ScoredTask, label: str, prob: str, probs: str) -> str:
    """Return the SELECT of a SELECT task: one row for each row whose elements have gold, all no or one yes."""
    task = item.task
    pos, keys = ident(task.keys[-1]), idents(item.row_keys)
    gold = (
        f"SELECT {keys}, min({pos}) FILTER (WHERE gold = 'yes') AS chosen, count(gold) > 0 AS known, "
        f"any_value(split) AS split FROM {stored('rows_' + task.name)} GROUP BY {keys}"
    )
    own = f"coalesce({probs}[r.chosen], 0)"
    brier = f"list_sum(list_transform({probs}, lambda x: x * x)) - 2 * {own} + 1"
    return (
        f"SELECT {_constants(item)}, p.__row, 0 AS pos, {_key(item, 'p')}, r.split, "
        "CASE WHEN r.known AND r.chosen IS NULL THEN []::VARCHAR[] WHEN r.known THEN [r.chosen::VARCHAR] END AS gold, "
        f"CASE WHEN {label} IS NULL THEN []::VARCHAR[] ELSE [{label}::VARCHAR] END AS label, {prob} AS sure, "
        f"CASE WHEN r.chosen IS NOT NULL THEN -ln(greatest({own}, {LEAST})) END AS loss, "
        f"CASE WHEN r.chosen IS NOT NULL THEN {brier} END AS brier, NULL::MAP(VARCHAR, DOUBLE) AS probs "
        f"FROM p LEFT JOIN ({gold}) AS r ON {_same(item.row_keys, 'p')}"
    )


def _same(keys: Sequence[str], at: str) -> str:
    return " AND ".join(f"{at}.{ident(key)} = r.{ident(key)}" for key in keys)
