"""Source: more rows to train on, which are no rows of the relation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsdb.core.sqltext import ident

LABEL = "__label_"
"""What stands before a task's name in the column of its labels."""


@dataclass(frozen=True, slots=True)
class Source:
    """A query that gives more training rows for a relation, such as synthetic ones.

    Attributes
    ----------
    name : unique among sources, compared without case
    relation : SQL text of the relation whose rows they are like
    sql : a SELECT of columns of the relation, and of columns named as tasks on it, with labels
    tags : what kind of rows these are, for reports
    """

    name: str
    relation: str
    sql: str
    tags: tuple[str, ...] = ()
    comment: str | None = None

    @property
    def stored(self) -> str:
        """The name of the view in schema wsdb: see `source_select`."""
        return f"source_{self.name}"


def source_select(
    source: Source, given: Sequence[str], columns: Sequence[tuple[str, str]], tasks: Sequence[tuple[str, str]]
) -> str:
    """Return the SELECT behind a source's view.

    It has every column of the relation, NULL where the source does not give it, and the column ``__label_<task>`` for
    each task that the source gives labels of.

    Parameters
    ----------
    given : the columns of the source's query
    columns : (name, type) of the relation
    tasks : (name, type of a label) of the tasks that the source gives labels of
    """
    low = {name.lower(): ident(name) for name in given}
    own = [f"CAST({low.get(name.lower(), 'NULL')} AS {kind}) AS {ident(name)}" for name, kind in columns]
    labels = [f"CAST({low[name.lower()]} AS {kind}) AS {ident(LABEL + name)}" for name, kind in tasks]
    return f"SELECT {', '.join([*own, *labels])} FROM (\n{source.sql}\n)"
