"""What the planner must know beyond the catalog: facts an engine reads off the user's relations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsdb.core.payload import Primitive


@dataclass(frozen=True, slots=True)
class LFFacts:
    """What a labeling function reads.

    Attributes
    ----------
    reads : columns of the task's relation
    definition_hash : hash of its definition and of all data it reads besides its row; None where that cannot be
        fingerprinted (a volatile function, a table function), so that it is computed at every refresh
    sources : the distinct sources of a vote relation, sorted; (None,) for every other body
    looks_up : whether a row body reads another relation, by a subquery
    inlined : for a SELECT that only filters the task's relation, the same as an expression over a row
    predicates : texts of the predicates that can run outside of SQL with DuckDB's meaning; empty where the labeling
        function stays in SQL
    cost : what those predicates cost DuckDB, in microseconds a row
    listed : whether its votes are lists of labels
    primitives : the names of the primitives whose columns its row body reads
    through : columns of the task's relation that those of these primitives are made from that are made row by row
    moved : whether its query names keys that came to the task's relation, or left it, since the stored label matrix
    """

    reads: tuple[str, ...]
    definition_hash: str | None
    sources: tuple[str | None, ...] = (None,)
    looks_up: bool = False
    inlined: str | None = None
    predicates: tuple[str, ...] = ()
    cost: float = 0.0
    listed: bool = False
    primitives: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    moved: bool = False

    @property
    def rests_on(self) -> tuple[str, ...]:
        """The columns of the task's relation whose change can change its votes."""
        return tuple(dict.fromkeys((*self.reads, *self.through)))


@dataclass(frozen=True, slots=True)
class RowChanges:
    """How the task's relation differs from the rows that the stored label matrix was made from.

    Attributes
    ----------
    added, changed, removed : numbers of rows
    columns : where the keys are the same and many rows changed, the columns that hold the difference; None where that
        was not asked
    """

    added: int
    changed: int
    removed: int
    columns: tuple[str, ...] | None = None

    @property
    def touched(self) -> int:
        """The rows to compute votes for."""
        return self.added + self.changed


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """The task's relation as it is now.

    Attributes
    ----------
    n_rows : its rows
    rows_hash : the hash of its keys and of `row_columns`
    row_columns : the columns that the labeling functions, the split and the gold labels read, keys left out
    lfs : the facts of each enabled labeling function by name
    changes : what changed since the stored matrix; None where nothing did, or nothing is stored
    known : whether the stored matrix can tell which rows changed
    gold_hash : the hash of a gold relation apart from the task's; empty without one
    column_hashes : the hash of each of `row_columns`, where they were read; else empty
    stale : primitives that labeling functions read and that must be computed first, with the hash of their inputs
    """

    n_rows: int
    rows_hash: str
    lfs: Mapping[str, LFFacts]
    row_columns: tuple[str, ...] = ()
    changes: RowChanges | None = None
    known: bool = True
    gold_hash: str = ""
    column_hashes: tuple[tuple[str, str], ...] = ()
    stale: tuple[tuple[Primitive, str], ...] = ()
