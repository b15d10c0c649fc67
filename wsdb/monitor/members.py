"""Members of slices, tags and sources among the rows of an input, as one long relation."""

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
    """

    name: str
    keys: tuple[str, ...]
    relation: str
    condition: str | None = None


def members_select(groups: Sequence[Group], qualified: Callable[[str], str] = str) -> str:
    """Return the SELECT of ``__row`` and ``segment`` (a group's name) over the relation ``r``, each pair once.

    Each name also comes with the ``__row`` NULL, so that a group without members is known. Conditions on one relation
    are looked at in one pass over it.

    Parameters
    ----------
    qualified : returns a SELECT over the groups' relations as it has to be written
    """
    if not groups:
        return "SELECT r.__row, NULL::VARCHAR AS segment FROM r WHERE false"
    by_keys: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        by_keys.setdefault(tuple(sorted(key.lower() for key in group.keys)), []).append(group)
    parts = [f"SELECT NULL::BIGINT AS __row, unnest([{', '.join(literal(group.name) for group in groups)}]) AS segment"]
    for keys, own in by_keys.items():
        on = " AND ".join(f"r.{ident(key)} = m.{ident(key)}" for key in keys)
        parts.append(f"SELECT r.__row, m.segment FROM r JOIN ({qualified(_keyed(keys, own))}) AS m ON {on}")
    return "SELECT DISTINCT __row, segment FROM (" + " UNION ALL ".join(parts) + ")"


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
