"""Rows of a label matrix next to their gold label and their label: what the reports on rows select from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wsdb.core.rowsql import gold_labels
from wsdb.core.sqltext import ident, idents, literal, literals, stored
from wsdb.core.task import Task
from wsdb.monitor.rows import set_text, vote_label


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
    bits : of a bitvector task, the label that each column is about; else empty. Its votes are no or yes, its gold and
        its labels lists of labels
    sets : whether some votes are for one of several labels; a vote is then a list of labels
    """

    task: Task
    n_rows: int
    columns: tuple[str, ...]
    storage: str
    relation: str
    select: Callable[[str, Sequence[str]], str]
    bits: tuple[str, ...] = ()
    sets: bool = False

    @property
    def table(self) -> str:
        """Quoted name of the table of rows."""
        return stored("matrix_" + self.task.name)

    @property
    def matrix(self) -> str:
        """SQL of the relation of rows, with the gold of each; that of a bitvector is no column of the table."""
        if self.task.kind != "bitvector":
            return self.table
        keys, gold = idents(self.task.keys), gold_labels("gold")
        known = f"SELECT {keys}, any_value({gold}) AS __gold FROM {stored('rows_' + self.task.name)} GROUP BY {keys}"
        return f"(SELECT m.* EXCLUDE (__gold), r.__gold FROM {self.table} AS m LEFT JOIN ({known}) AS r USING ({keys}))"

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
        """SQL of the gold label of a row of the matrix, or of the list of them, or NULL."""
        return "__gold" if self.task.kind == "bitvector" else vote_label("__gold", self.task)

    def said(self, vote: str) -> str:
        """SQL of a vote as text, from the vote that `with_votes` gives."""
        if self.sets:
            return f"CASE WHEN len({vote}) = 1 THEN {vote}[1] ELSE {set_text(vote)} END"
        return vote_label(vote, self.task.coded)

    def wrong(self, vote: str, expected: str) -> str:
        """SQL condition that a vote is not right; a vote for one of several labels is right if it has the right one."""
        if self.sets:
            return f"NOT list_contains({vote}, {expected})"
        return f"{self.said(vote)} <> {expected}"

    def expected(self, label: str, *parameters: str) -> str:
        """SQL of what sources should vote on a row with a label (or, of a bitvector, a list of labels).

        Parameters
        ----------
        label : SQL of the row's gold or label
        parameters : where the sources' names are put in. The sources of a bitvector should vote no or yes on the label
            they are about; where two are about different ones, it is the list as text
        """
        if self.task.kind != "bitvector":
            return label
        one, *others = [self._bit(parameter) for parameter in parameters]
        answer = f"CASE WHEN list_contains({label}, {one}) THEN 'yes' ELSE 'no' END"
        for other in others:
            answer = f"CASE WHEN {one} = {other} THEN {answer} ELSE CAST({label} AS VARCHAR) END"
        return answer

    def _bit(self, parameter: str) -> str:
        places = " ".join(
            f"WHEN {literal(name.lower())} THEN {literal(bit)}"
            for name, bit in zip(self.columns, self.bits, strict=True)
        )
        return f"CASE lower({parameter}) {places} END" if places else "NULL::VARCHAR"

    @property
    def order(self) -> str:
        """SQL of a number that puts the rows into an order that a seed decides; in place of the seed stands @seed@."""
        return f"hash({idents(self.task.keys)}, @seed@)"

    def uncovered(self, prefix: str = "") -> str:
        """SQL condition on rows of the matrix: no source votes."""
        if self.storage == "sparse":
            silent = f"{prefix}__id NOT IN (SELECT __id FROM {self.votes})"
        else:
            silent = f"coalesce({idents(self.columns, prefix)}, NULL) IS NULL" if self.columns else "true"
        if self.sets:
            keys = idents(self.task.keys, prefix)
            silent += f" AND ({keys}) NOT IN (SELECT ({idents(self.task.keys)}) FROM {self._sets})"
        return silent

    @property
    def _sets(self) -> str:
        """SQL of the votes for one of several labels: keys, column_name and labels."""
        names = literals([name.lower() for name in self.columns])
        return f"(SELECT * FROM {stored('sets_' + self.task.name)} WHERE lower(column_name) IN ({names}))"

    def of_lf(self, parameter: str, name: str = "__vote") -> str:
        """SELECT of the rows of the matrix on which a vote source votes, with its vote as `name`, see `with_votes`.

        Parameters
        ----------
        parameter : where the source's name is put in, ``@of_lf@``
        """
        return f"SELECT * FROM ({self.with_votes((parameter, name))}) WHERE {name} IS NOT NULL"

    def with_votes(self, *sources: tuple[str, str]) -> str:
        """SELECT of the rows of the matrix with the vote, or NULL, of some sources: (parameter, name) each.

        A vote is a code, or, where some votes are for one of several labels, a list of labels.
        """
        votes, joins = [], ""
        for parameter, name in sources:
            if self.storage == "sparse":
                of = f"SELECT __id, code FROM {self.votes} WHERE source = {self._position(parameter)}"
                joins += f" LEFT JOIN ({of}) AS {name} USING (__id)"
            column = f"{name}.code" if self.storage == "sparse" else self._column(parameter)
            if self.sets:
                labels = f"{name}_set"
                column = f"CASE WHEN ({column}) IS NULL THEN {labels}.labels ELSE [{vote_label(column, self.task)}] END"
                of = f"SELECT * FROM {self._sets} WHERE lower(column_name) = lower({parameter})"
                joins += f" LEFT JOIN ({of}) AS {labels} USING ({idents(self.task.keys)})"
            votes.append(f"{column} AS {name}")
        return f"SELECT m.*, {', '.join(votes)} FROM {self.matrix} AS m{joins}"

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
