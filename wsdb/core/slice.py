"""Slice and Tag: named groups of a relation's rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wsdb.core.payload import POS, Payload
from wsdb.core.sqltext import bare, ident, idents


@dataclass(frozen=True, slots=True)
class Slice:
    """A group of rows, or of elements of a payload, that models give capacity to and reports tell apart.

    Attributes
    ----------
    name : unique among slices, compared without case
    relation : SQL text of the relation; that of a payload has a row for each element
    keys : columns that identify a row of the relation; empty where not said
    sql : a condition over a row, which has to be true of a member; or a SELECT of the keys of the members
    """

    name: str
    relation: str
    keys: tuple[str, ...]
    sql: str
    comment: str | None = None

    @property
    def is_query(self) -> bool:
        """Whether `sql` is a SELECT; no condition begins with one of these words."""
        return self.sql.split(None, 1)[0].upper() in ("SELECT", "WITH", "FROM")

    @property
    def stored(self) -> str:
        """The name of the view in schema wsdb: a row of keys for each member."""
        return f"slice_{self.name}"


@dataclass(frozen=True, slots=True)
class Tag(Slice):
    """A group of rows that only reports tell apart; names are unique among tags."""

    @property
    def stored(self) -> str:
        """The name of the view in schema wsdb: a row of keys for each member."""
        return f"tag_{self.name}"


def elements_of(group: Slice, payloads: Iterable[Payload]) -> Payload | None:
    """Return the payload whose elements are the members: the group is on its view, by its keys and pos; else None."""
    if POS not in (key.lower() for key in group.keys):
        return None
    lists = (one for one in payloads if one.shape != "singleton")
    return next((one for one in lists if bare(one.name) == bare(group.relation)), None)


def members_select(group: Slice, columns: tuple[str, ...]) -> str:
    """Return the SELECT of the keys of the members, each once; of a SELECT, rows without a key are left out.

    Parameters
    ----------
    columns : of the SELECT, which gives the keys by name, else its first columns in their order; of a condition, of
        no account
    """
    if not group.is_query:
        return f"SELECT DISTINCT {idents(group.keys)} FROM {group.relation} WHERE (\n{group.sql}\n)"
    low = {name.lower(): name for name in columns}
    named = all(key.lower() in low for key in group.keys)
    own = [low[key.lower()] for key in group.keys] if named else list(columns[: len(group.keys)])
    keys = ", ".join(f"{ident(name)} AS {ident(key)}" for name, key in zip(own, group.keys, strict=True))
    known = " AND ".join(f"{ident(name)} IS NOT NULL" for name in own)
    return f"SELECT DISTINCT {keys} FROM (\n{group.sql}\n) WHERE {known}"
