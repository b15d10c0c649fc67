"""The views of a label matrix: with label strings, by split, and the votes in long form."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.core.sqltext import ident, idents, literal, literals, stored
from wsdb.core.task import Task


def matrix_select(task: Task, columns: Sequence[str], storage: str = "wide") -> str:
    """Return the SELECT of the label matrix with an ENUM of the task's labels for each vote source.

    A sparse matrix has one column ``votes`` instead: a MAP from the sources that vote to their labels.
    """
    name = task.name
    if storage == "sparse":
        low = literal(name.lower())
        votes = (
            f"SELECT v.__id, map(list(c.column_name ORDER BY v.source), list({vote_label('v.code', task)} "
            f"ORDER BY v.source)) AS votes FROM wsdb.{ident('votes_' + name)} AS v JOIN wsdb.matrix_columns AS c "
            f"ON c.position = v.source AND lower(c.task) = {low} GROUP BY v.__id"
        )
        return (
            f"SELECT {idents(task.keys, 'm.')}, coalesce(v.votes, MAP {{}}::MAP(VARCHAR, VARCHAR)) AS votes "
            f"FROM wsdb.{ident('matrix_' + name)} AS m LEFT JOIN ({votes}) AS v USING (__id)"
        )
    enum = f"ENUM ({literals(task.labels)})"
    shown = [f"CAST({vote_label(ident(column), task)} AS {enum}) AS {ident(column)}" for column in columns]
    return f"SELECT {', '.join([idents(task.keys), *shown])} FROM wsdb.{ident('matrix_' + name)}"


def matrix_macro(task: Task) -> str:
    """Return the body of the macro that gives the label matrix of one split, or of all rows for NULL."""
    matrix, rows = stored(f"label_matrix_{task.name}"), stored(f"rows_{task.name}")
    return (
        f"SELECT m.* FROM {matrix} AS m WHERE @of_split@ IS NULL OR "
        f"EXISTS (FROM {rows} AS r WHERE r.split = @of_split@ AND {same_key(task, 'm', 'r')})"
    )


def same_key(task: Task, left: str, right: str) -> str:
    """Return the condition that two aliases are at the same key."""
    return " AND ".join(f"{left}.{ident(key)} = {right}.{ident(key)}" for key in task.keys)


def votes_select(
    task: Task, columns: Sequence[tuple[str, str, str | None]], storage: str = "wide", *, sets: bool = False
) -> str:
    """Return the SELECT of the votes in long form.

    Parameters
    ----------
    columns : (column, lf, source) of the label matrix
    storage : ``wide`` or ``sparse``
    sets : whether there is a table of votes for one of several labels
    """
    matrix, low = f"wsdb.{ident('matrix_' + task.name)} AS m", literal(task.name.lower())
    parts = [_set_votes(task)] if sets and columns else []
    if storage == "sparse":
        parts.append(_sparse_votes(task))
    for name, lf, source in columns if storage == "wide" else ():
        said = "NULL::VARCHAR" if source is None else literal(source)
        recorded = (
            "SELECT max(lf_version) AS lf_version, max(computed_at) AS computed_at FROM wsdb.matrix_columns "
            f"WHERE lower(task) = {low} AND column_name = {literal(name)}"
        )
        vote = f"m.{ident(name)}"
        parts.append(
            f"SELECT {idents(task.keys, 'm.')}, {literal(lf)} AS lf, {said} AS source, "
            f"{vote_label(vote, task)} AS label, c.lf_version, c.computed_at "
            f"FROM {matrix}, ({recorded}) AS c WHERE {vote} IS NOT NULL"
        )
    if not parts:
        parts = [
            f"SELECT {idents(task.keys)}, NULL::VARCHAR AS lf, NULL::VARCHAR AS source, NULL::VARCHAR AS label, "
            f"0 AS lf_version, NULL::TIMESTAMP AS computed_at FROM {matrix} WHERE false"
        ]
    return "\nUNION ALL\n".join(parts)


def _set_votes(task: Task) -> str:
    """Return the SELECT of the votes for one of several labels."""
    return (
        f"SELECT {idents(task.keys, 's.')}, c.lf, c.source, {set_text('s.labels')} AS label, c.lf_version, "
        f"c.computed_at FROM wsdb.{ident('sets_' + task.name)} AS s "
        f"JOIN wsdb.matrix_columns AS c ON c.column_name = s.column_name "
        f"AND lower(c.task) = {literal(task.name.lower())}"
    )


def _sparse_votes(task: Task) -> str:
    """Return the SELECT of the votes of a sparse matrix, which are in long form already."""
    return (
        f"SELECT {idents(task.keys, 'm.')}, c.lf, c.source, {vote_label('v.code', task)} AS label, "
        f"c.lf_version, c.computed_at FROM wsdb.{ident('votes_' + task.name)} AS v "
        f"JOIN wsdb.{ident('matrix_' + task.name)} AS m USING (__id) JOIN wsdb.matrix_columns AS c "
        f"ON c.position = v.source AND lower(c.task) = {literal(task.name.lower())}"
    )


def set_text(labels: str) -> str:
    """Return SQL of the name of a vote for one of several labels, from the list of them."""
    return f"'one of ' || array_to_string({labels}, ', ')"


def vote_label(code: str, task: Task) -> str:
    """Return SQL that turns a vote's code into its label."""
    return f"[{literals(task.labels)}][{code} + 1]"
