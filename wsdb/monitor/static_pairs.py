"""Pairs of labeling functions that look alike in their text: they read one column, one constant or one primitive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

COMMON = {"constant": 20, "primitive": 200, "column": 200}
"""What more labeling functions than this have in common tells none of them apart and makes no pair."""
SHOWN = 40
"""Longest constant that a reason spells out, in characters."""
WILDCARDS = "%_^$.*?+\\"
"""Characters around the words of a pattern of LIKE or of a regular expression."""


class Reads(NamedTuple):
    """What the text of a labeling function reads.

    Attributes
    ----------
    columns : names of columns
    constants : keywords and numbers, as text
    primitives : names of primitives
    """

    columns: frozenset[str] = frozenset()
    constants: frozenset[str] = frozenset()
    primitives: frozenset[str] = frozenset()


class StaticPair(NamedTuple):
    """Two labeling functions that depend on each other by their text, the one that was given first first."""

    lf_a: str
    lf_b: str
    reason: str


def static_pairs(
    reads: Mapping[str, tuple[Iterable[str], Iterable[str], Iterable[str]]], ignored: Iterable[str] = ()
) -> list[StaticPair]:
    """Return the pairs of labeling functions that have something in common, one for each thing they share.

    Parameters
    ----------
    reads : by labeling function its (columns, constants, primitives); names are compared without case
    ignored : names that tell nothing: the labels of the task and its key

    Returns
    -------
    list of StaticPair
        Reasons are ``shared_constant: win money``, ``shared_primitive: page_terms`` and ``shared_column: body``, in
        that order for a pair: what says more comes first.

    Examples
    --------
    >>> static_pairs({"a": (["body"], ["money"], []), "b": (["body"], ["Money"], []), "c": (["score"], [], [])})[0]
    StaticPair(lf_a='a', lf_b='b', reason='shared_constant: money')
    """
    nothing = {"", *(name.lower() for name in ignored)}
    order = {name: place for place, name in enumerate(reads)}
    found: list[StaticPair] = []
    for part, word in ((1, "constant"), (2, "primitive"), (0, "column")):
        users: dict[str, list[str]] = {}
        for name, parts in reads.items():
            for thing in sorted({thing.strip().lower() for thing in parts[part]} - nothing):
                users.setdefault(thing, []).append(name)
        for thing, names in users.items():
            shown = thing if len(thing) <= SHOWN else thing[: SHOWN - 1] + "…"
            if len(names) <= COMMON[word]:
                found += [StaticPair(a, b, f"shared_{word}: {shown}") for a, b in combinations(names, 2)]
    return sorted(found, key=lambda pair: (order[pair.lf_a], order[pair.lf_b]))


def constants_of(tree: Mapping[str, Any]) -> frozenset[str]:
    """Return the constants of a statement that tell what it looks for: words of text, and numbers but 0 and 1.

    Parameters
    ----------
    tree : what ``json_serialize_sql`` answers, parsed; the trees of DuckDB 1.5 and 2.0 differ, and both are read

    Notes
    -----
    Wildcards around a pattern are left out: ``'%money%'`` and ``'money'`` look for one word.
    """
    texts = (_constant(node) for node in _nodes(tree) if node.get("class") == "CONSTANT")
    words = {text.strip().strip(WILDCARDS).strip().lower() for text in texts if text is not None}
    return frozenset(word for word in words if len(word) > 1 or word.isdigit()) - {"0", "1"}


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(tree, Mapping):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _constant(node: Mapping[str, Any]) -> str | None:
    if "literal" in node:  # DuckDB 2.0
        kind, content, scale = node["literal"].get("kind"), node["literal"]["text"], 0
        is_text, is_number = kind == "STRING", kind in ("INTEGER", "NUMERIC")
    else:
        value = node.get("value", {})
        kind, content = value.get("type", {}).get("id"), value.get("value")
        is_text, is_number = kind == "VARCHAR" and not value.get("is_null"), isinstance(content, int | float)
        scale = (value.get("type", {}).get("type_info") or {}).get(
            "scale", 0
        )  # a DECIMAL is a whole number and a scale
    if is_number and kind != "BOOLEAN":
        return f"{float(content) / 10**scale:g}"
    return str(content) if is_text else None
