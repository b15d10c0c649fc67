"""Members of slices, tags and sources among the rows of an input and their elements, as one long relation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wsdb.core.sqltext import ident, idents, literal


@dataclass(frozen=True, slots=True)
class Group:
    """A slice, a tag, or the rows of a source.

    Attributes
    ----------
    keys : columns that tell which rows are members
    relation : where members are looked for
    condition : what is true of a member; None where every row of the relation is one
    payload : whose elements the members are, by the last of the keys; None of rows
    """

    name: str
    keys: tuple[str, ...]
    relation: str
    condition: str | None = None
    payload: str | None = None


def members_select(groups: Sequence[Group], qualified: Callable[[str], str] = str) -> str:
    """Return the SELECT of ``__row``, ``segment`` (a group's name), ``payload`` and ``pos`` over ``r``, each once.

    payload and pos are NULL where the whole row is a member, and with it all its elements. Of a group of elements there
    is a row for each of them, and one with pos 0 for the row that has any, by which a task that picks one of them is
    told apart. Each name also comes with the ``__row`` NULL, so that a group without members is known. Conditions on
    one relation are looked at in one pass over it.

    Parameters
    ----------
    qualified : returns a SELECT over the groups' relations as it has to be written
    """
    if not groups:
        return (
            "SELECT r.__row, NULL::VARCHAR AS segment, NULL::VARCHAR AS payload, NULL::BIGINT AS pos FROM r WHERE false"
        )
    by_keys: dict[tuple[tuple[str, ...], str | None], list[Group]] = {}
    for group in groups:
        low = tuple(key.lower() for key in group.keys)
        keys = tuple(sorted(low)) if group.payload is None else (*sorted(low[:-1]), low[-1])
        by_keys.setdefault((keys, group.payload), []).append(group)
    names = ", ".join(literal(group.name) for group in groups)
    places = ", ".join("NULL" if group.payload is None else literal(group.payload) for group in groups)
    parts = [
        f"SELECT NULL::BIGINT AS __row, unnest([{names}]) AS segment, unnest([{places}]::VARCHAR[]) AS payload, "
        "NULL::BIGINT AS pos"
    ]
    for (keys, payload), own in by_keys.items():
        rows = keys if payload is None else keys[:-1]
        place = "NULL, NULL" if payload is None else f"{literal(payload)}, unnest([0, m.{ident(keys[-1])}])"
        on = " AND ".join(f"r.{ident(key)} = m.{ident(key)}" for key in rows)
        parts.append(f"SELECT r.__row, m.segment, {place} FROM r JOIN ({qualified(_keyed(keys, own))}) AS m ON {on}")
    return "SELECT DISTINCT __row, segment, payload, pos FROM (" + " UNION ALL ".join(parts) + ")"


def _keyed(keys: Sequence[str], groups: Sequence[Group]) -> str:
    """Return the SELECT of keys and segment."""
    parts: list[str] = []
    together: dict[str, list[Group]] = {}
    for group in groups:
        if group.condition is None:
            parts.append(f"SELECT {idents(keys)}, {literal(group.name)} AS segment FROM {group.relation}")
        else:
            together.setdefault(group.relation, []).append(group)
    for relation, own in together.items():
        names = ", ".join(f"CASE WHEN (\n{group.condition}\n) THEN {literal(group.name)} END" for group in own)
        held = f"list_filter([{names}], lambda __name: __name IS NOT NULL)"
        parts.append(f"SELECT {idents(keys)}, unnest({held}) AS segment FROM {relation}")
    return " UNION ALL ".join(parts)
