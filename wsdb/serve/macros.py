"""The prediction macros: every row that survives the filters is scored exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.core.sqltext import ident, literal

FUNCTION = "wsdb_predict_needs_a_python_session_with_wsdb_attached"
"""The scalar function behind the macros. Where it is missing, DuckDB's error prints its name, which is the cure."""
RESULT = "STRUCT(label VARCHAR, prob DOUBLE, probs MAP(VARCHAR, DOUBLE))[]"


def predict_macro(key: str, features: Sequence[str], tasks: Sequence[tuple[str, int]]) -> str:
    """Return the body of a prediction macro over the parameter ``tbl``.

    The unnest of a one-element list is an evaluation barrier: without it DuckDB would inline the call and run it once
    for each predicted column that is used. Filters on the input's columns still go below it.

    Parameters
    ----------
    key : names the model version for the function
    features : the columns the model reads; only they are handed to it
    tasks : (task, place in the function's answer)
    """
    packed = ", ".join(f"{ident(name)} := __wsdb_row.{ident(name)}" for name in features)
    outputs = ", ".join(
        f"__wsdb_answer[{place + 1}].{field} AS {ident(f'predicted_{task}{suffix}')}"
        for task, place in tasks
        for field, suffix in (("label", ""), ("prob", "_prob"), ("probs", "_probs"))
    )
    return (
        f"SELECT * EXCLUDE (__wsdb_answer), {outputs} FROM (SELECT __wsdb_row.*, "
        f"unnest([{ident(FUNCTION)}({literal(key)}, struct_pack({packed}))]) AS __wsdb_answer "
        "FROM query_table(tbl) AS __wsdb_row)"
    )
