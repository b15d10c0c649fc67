"""Quoting: how names and strings are written into SQL text."""

from __future__ import annotations

from collections.abc import Iterable


def ident(name: str) -> str:
    """Return `name` as a quoted SQL identifier.

    >>> ident('My "page"')
    '"My ""page\"""'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as a SQL string literal.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def idents(names: Iterable[str], prefix: str = "") -> str:
    """Return a comma-separated list of quoted identifiers, each behind `prefix`.

    >>> idents(["a", "b"], "t.")
    't."a", t."b"'
    """
    return ", ".join(prefix + ident(name) for name in names)


def literals(values: Iterable[str]) -> str:
    """Return a comma-separated list of string literals."""
    return ", ".join(literal(value) for value in values)
