"""The prediction macros: every row that survives the filters is scored exactly once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wsdb.core.sqltext import ident, literal

FUNCTION = "wsdb_predict_needs_a_python_session_with_wsdb_attached"
"""The scalar function behind the macros. Where it is missing, DuckDB's error prints its name, which is the cure."""
RESULT = "STRUCT(label VARCHAR, prob DOUBLE, probs MAP(VARCHAR, DOUBLE))[][]"
"""Its answer for a row: for each task a list, with one struct of a singleton task and one for each element of others.

The label of a bitvector is the names of the labels that apply, with `BETWEEN` between them. Of a select task the label
is ``yes`` for the element that is picked, ``prob`` is the probability that it is the one, and ``probs`` is empty."""
BETWEEN = "chr(31)"


@dataclass(frozen=True, slots=True)
class ServedTask:
    """How a task's part of the answer becomes columns.

    Attributes
    ----------
    name : of the task
    place : of the task in the function's answer
    kind : of the task, as in `wsdb.core.task.Task`
    column : the first list column of its payload; None where the row itself is labeled
    """

    name: str
    place: int
    kind: str = "multiclass"
    column: str | None = None

    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the SQL of each output column, over the column ``__wsdb_answer``."""
        answer = f"__wsdb_answer[{self.place + 1}]"
        for suffix, sql in zip(("", "_prob", "_probs"), self._parts(answer), strict=True):
            if self.column is not None:
                sql = f"CASE WHEN {ident(self.column)} IS NOT NULL THEN {sql} END"
            yield f"predicted_{self.name}{suffix}", sql

    def _parts(self, answer: str) -> tuple[str, str, str]:
        """Return label, probability and all probabilities."""
        if self.kind == "select":
            picked = f"list_position(list_transform({answer}, lambda __e: __e.label), 'yes')"
            chances = f"list_transform({answer}, lambda __e: __e.prob)"
            none = f"greatest(1 - coalesce(list_sum({chances}), 0), 0)"
            return f"nullif({picked}, 0)", f"coalesce({chances}[nullif({picked}, 0)], {none})", chances
        if self.column is None:
            first = f"{answer}[1]"
            return self._label(f"{first}.label"), f"{first}.prob", f"{first}.probs"
        label = f"list_transform({answer}, lambda __e: {self._label('__e.label')})"
        prob, probs = (f"list_transform({answer}, lambda __e: __e.{field})" for field in ("prob", "probs"))
        return label, prob, probs

    def _label(self, label: str) -> str:
        if self.kind != "bitvector":
            return label
        return f"CASE WHEN {label} = '' THEN [] ELSE string_split({label}, {BETWEEN}) END"


def predict_macro(key: str, features: Sequence[str], tasks: Sequence[ServedTask]) -> str:
    """Return the body of a prediction macro over the parameter ``tbl``.

    The unnest of a one-element list is an evaluation barrier: without it DuckDB would inline the call and run it once
    for each predicted column that is used. Filters on the input's columns still go below it. Columns of the input that
    are called as those of the answer, predictions that were stored, are left out: else their values would be read.

    Parameters
    ----------
    key : names the model version for the function
    features : the columns the model reads; only they are handed to it
    tasks : whose columns the macro gives; one call of the function answers for all
    """
    packed = ", ".join(f"{ident(name)} := __wsdb_row.{ident(name)}" for name in features)
    columns = [column for task in tasks for column in task.columns()]
    outputs = ", ".join(f"{sql} AS {ident(name)}" for name, sql in columns)
    own = ", ".join(literal(name.lower()) for name in ("__wsdb_answer", *(name for name, _ in columns)))
    return (
        f"SELECT COLUMNS(lambda __name: lower(__name) NOT IN ({own})), {outputs} FROM (SELECT __wsdb_row.*, "
        f"unnest([{ident(FUNCTION)}({literal(key)}, struct_pack({packed}))]) AS __wsdb_answer "
        "FROM query_table(tbl) AS __wsdb_row)"
    )


def inputs_macro(key: str, features: Sequence[str], keys: Sequence[str]) -> str:
    """Return the body of the macro over ``tbl`` whose rows the functions that explain them read.

    It adds __key (the row's keys, joined by commas), __model (what names the model version) and __input (the features)
    to the input's columns.
    """
    packed = ", ".join(f"{ident(name)} := __wsdb_row.{ident(name)}" for name in features)
    shown = ", ".join(f"__wsdb_row.{ident(name)}" for name in keys)
    return (
        f"SELECT __wsdb_row.*, concat_ws(', ', {shown}) AS __key, {literal(key)} AS __model, "
        f"struct_pack({packed}) AS __input FROM query_table(tbl) AS __wsdb_row"
    )
