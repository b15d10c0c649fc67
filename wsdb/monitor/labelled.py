"""Rows of a label matrix next to their gold label and their label: what the reports on rows select from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wsdb.core.sqltext import ident, idents, literal, literals, stored
from wsdb.core.task import Task
from wsdb.monitor.rows import vote_label


@dataclass(frozen=True, slots=True)
class Labelled:
    """A task's stored label matrix and the SQL that labels any of its rows.

    Attributes
    ----------
    n_rows : rows of the label matrix
    columns : the vote sources, in the order of the label matrix
    storage : ``wide``, a column for each source, or ``sparse``, a row for each vote
    relation : the task's relation, as it is found wherever USE points
    select : from a SELECT of rows of the label matrix (all its columns, and more) and the quoted columns to keep, the
        SELECT of those columns with label, prob, probs, n_votes, n_conflicts and covered; labels are computed for
        these rows alone
    """

    task: Task
    n_rows: int
    columns: tuple[str, ...]
    storage: str
    relation: str
    select: Callable[[str, Sequence[str]], str]

    @property
    def matrix(self) -> str:
        """Quoted name of the table of rows."""
        return stored("matrix_" + self.task.name)

    @property
    def votes(self) -> str:
        """Quoted name of the table of votes of a sparse matrix."""
        return stored("votes_" + self.task.name)

    @property
    def keys(self) -> list[str]:
        """The quoted key columns."""
        return [ident(key) for key in self.task.keys]

    @property
    def gold(self) -> str:
        """SQL of the gold label of a row of the matrix, or NULL."""
        return vote_label("__gold", self.task)

    @property
    def order(self) -> str:
        """SQL of a number that puts the rows into an order that a seed decides; in place of the seed stands @seed@."""
        return f"hash({idents(self.task.keys)}, @seed@)"

    def uncovered(self, prefix: str = "") -> str:
        """SQL condition on rows of the matrix: no source votes."""
        if self.storage == "sparse":
            return f"{prefix}__id NOT IN (SELECT __id FROM {self.votes})"
        return f"coalesce({idents(self.columns, prefix)}, NULL) IS NULL" if self.columns else "true"

    def of_lf(self, parameter: str, name: str = "__vote") -> str:
        """SELECT of the rows of the matrix on which a vote source votes, with its vote's code as `name`.

        Parameters
        ----------
        parameter : where the source's name is put in, ``@of_lf@``
        """
        return f"SELECT * FROM ({self.with_votes((parameter, name))}) WHERE {name} IS NOT NULL"

    def with_votes(self, *sources: tuple[str, str]) -> str:
        """SELECT of the rows of the matrix with the vote's code, or NULL, of some sources: (parameter, name) each."""
        if self.storage == "sparse":
            query = f"SELECT m.*, {', '.join(f'{name}.code AS {name}' for _, name in sources)} FROM {self.matrix} AS m"
            for parameter, name in sources:
                place = f"(SELECT __id, code FROM {self.votes} WHERE source = {self._position(parameter)})"
                query += f" LEFT JOIN {place} AS {name} USING (__id)"
            return query
        votes = ", ".join(f"{self._column(parameter)} AS {name}" for parameter, name in sources)
        return f"SELECT m.*, {votes} FROM {self.matrix} AS m"

    def _column(self, parameter: str) -> str:
        """SQL of a vote column by its name; the comparison is one of constants and leaves a single column to read."""
        low = f"lower({parameter})"
        arms = " ".join(f"WHEN {low} = {literal(name.lower())} THEN m.{ident(name)}" for name in self.columns)
        return f"CASE {arms} ELSE {self._unknown(parameter)} END" if arms else f"{self._unknown(parameter)}::TINYINT"

    def _position(self, parameter: str) -> str:
        found = (
            f"SELECT min(position) FROM {stored('matrix_columns')} "
            f"WHERE lower(task) = {literal(self.task.name.lower())} AND lower(column_name) = lower({parameter})"
        )
        return f"coalesce(({found}), {self._unknown(parameter)}::INTEGER)"

    def _unknown(self, parameter: str) -> str:
        shown = [*self.columns[:8], "…"] if len(self.columns) > 8 else self.columns
        return (
            f"error('[WS201] labeling function \"' || {parameter} || '\" has no column in the label matrix of task '"
            f" || {literal(self.task.name)} || '; it has ' || array_to_string([{literals(shown)}]::VARCHAR[], ', '))"
        )
