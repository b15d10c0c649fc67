"""Quoting: how names and strings are written into SQL text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def ident(name: str) -> str:
    """Return `name` as a quoted SQL identifier.

    >>> ident("page")
    '"page"'
    """
    return '"' + name.replace('"', '""') + '"'


AT = "@at@"
"""In the body of a macro of schema wsdb: its database and a dot, or nothing where that is the one in use."""


def stored(name: str) -> str:
    """Return the name of something in schema wsdb as the body of a macro has it.

    >>> stored("rows_spam")
    '@at@wsdb."rows_spam"'
    """
    return f"{AT}wsdb.{ident(name)}"


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


def bare(relation: str) -> str:
    """Return the last part of a relation's name in lower case without quotes; of a path, all of it.

    >>> bare('main."Mails"')
    'mails'
    """
    return relation if relation.startswith("'") else relation.rpartition(".")[2].strip('"').lower()


def shown_row(names: Sequence[str], values: Sequence[object]) -> str:
    """Return columns with their values as an error message shows them, long texts cut.

    >>> shown_row(["id", "name", "note"], [7, "it's", None])
    "id = 7, name = 'it''s', note = NULL"
    """
    return ", ".join(f"{name} = {_shown(value)}" for name, value in zip(names, values, strict=True))


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    text = str(value)
    return literal(text if len(text) <= 40 else text[:39] + "…")
