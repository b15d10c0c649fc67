"""The error tree. One root, stable codes, made by named constructors next to where they are raised.

    WsdbError
    ├── SyntaxError_     WS1xx  the text is not a wsdb statement
    ├── CatalogError     WS2xx  an object does not exist, exists already, or is still in use
    ├── SpecError        WS3xx  a statement is well formed but says something impossible
    ├── DataError        WS4xx  the user's rows do not fit what was declared (keys, votes, labels, columns)
    ├── ModelError       WS5xx  training or prediction cannot be done
    ├── StorageError     WS6xx  the database file is locked, damaged or of another format
    └── EnvironmentError_ WS7xx a package or a right is missing

The text keeps DuckDB's form, so that the user hears one voice:

    Catalog Error [WS201]: labeling function "has_lnk" does not exist
    LINE 3: DROP LABELING FUNCTION has_lnk
                                   ^^^^^^^
    hint: did you mean "has_link"?
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsdb.core.span import Span


class WsdbError(Exception):
    """Any error wsdb raises on its own account.

    Attributes
    ----------
    code : str
        Stable, ``WSnnn``; listed in docs/reference/errors.md.
    message : str
        One sentence without the code.
    span : Span or None
        Where in the statement's text; printed as LINE and carets.
    hint : str or None
        What to do about it.
    data : dict
        The facts of the message as values (names, counts, examples).
    """

    label: ClassVar[str] = "Error"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        span: Span | None = None,
        hint: str | None = None,
        **data: Any,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span
        self.hint = hint
        self.data = data

    def at(self, span: Span | None) -> WsdbError:
        """Return self, positioned at `span` unless it already has a position."""
        if self.span is None:
            self.span = span
        return self

    def __str__(self) -> str:
        parts = [f"{self.label} [{self.code}]: {self.message}"]
        if self.span is not None:
            parts.append(self.span.render())
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain values, for ``--json`` and for other programs."""
        place = self.span.to_dict() if self.span is not None else None
        return {
            "error": self.label,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "position": place,
            "data": self.data,
        }


class SyntaxError_(WsdbError):
    """The text is not a statement of wsdb's grammar (WS1xx)."""

    label = "Parser Error"


class CatalogError(WsdbError):
    """A named object is missing, exists already, or is still in use (WS2xx)."""

    label = "Catalog Error"


class SpecError(WsdbError):
    """A well-formed statement that says something impossible (WS3xx)."""

    label = "Binder Error"


class DataError(WsdbError):
    """The user's rows do not fit what was declared (WS4xx)."""

    label = "Data Error"


class ModelError(WsdbError):
    """Training or prediction cannot be done (WS5xx)."""

    label = "Model Error"


class StorageError(WsdbError):
    """The database file is locked, damaged or of another format (WS6xx)."""

    label = "IO Error"


class EnvironmentError_(WsdbError):
    """A package or a permission is missing (WS7xx)."""

    label = "Environment Error"


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """Return a hint that names the candidate nearest to `word`, or None where none is near.

    Examples
    --------
    >>> did_you_mean("Fraud", ["ok", "fraud"])
    'did you mean "fraud"?'
    """
    names = {name.lower(): name for name in candidates}
    near = get_close_matches(word.lower(), list(names), n=1, cutoff=0.6)
    return f'did you mean "{names[near[0]]}"?' if near else None
