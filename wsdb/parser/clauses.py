"""Clauses that several statements share: option lists, comments, row queries."""

from __future__ import annotations

from collections.abc import Mapping

from wsdb.core.errors import SpecError, SyntaxError_, did_you_mean
from wsdb.core.span import Span
from wsdb.core.specs import Option
from wsdb.parser.cursor import STRINGS, Cursor

LABELING_FUNCTION_OPTIONS: Mapping[str, tuple[str, ...] | type] = {
    "on_error": ("raise", "abstain"),
    "columns": tuple,
    "enabled": bool,
}
LABEL_MODEL_OPTIONS: Mapping[str, tuple[str, ...] | type] = {
    "regime": ("auto", "lf", "annotator"),
    "use_dev": ("never", "anchor"),
}
LABEL_MODEL_METHODS = ("auto", "majority")


def options(cursor: Cursor) -> dict[str, Option]:
    """Read ``(name = value, …)``; ``=>`` and ``:=`` are read as ``=``.

    Values are strings, numbers, true, false, NULL, bare words (read as strings) and lists of strings.
    The span of each value is remembered as ``option <name>``.
    """
    cursor.expect("(")
    found: dict[str, Option] = {}
    while True:
        start = cursor.at
        cursor.spans.pop("option", None)
        name = cursor.name("option").lower()
        if name in found:
            raise SyntaxError_("WS106", f'option "{name}" is given twice', span=cursor.spans["option"])
        if not (cursor.accept("=") or cursor.accept("=>") or cursor.accept(":=")):
            raise cursor.wrong("=")
        found[name] = _value(cursor)
        cursor.spans[f"option {name}"] = cursor.span(start)
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return found


def _value(cursor: Cursor) -> Option:
    token = cursor.token
    if token is None:
        raise cursor.wrong("a value")
    if token.kind in STRINGS:
        return cursor.string("a value")
    for word, value in (("TRUE", True), ("FALSE", False), ("NULL", None)):
        if cursor.accept(word):
            return value
    if token.kind == "NUMBER" or token.word == "-":
        number = cursor.number("a value")
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if cursor.accept("["):
        items = [cursor.string("an item")]
        while cursor.accept(","):
            items.append(cursor.string("an item"))
        cursor.expect("]")
        return tuple(items)
    cursor.spans.pop("value", None)
    return cursor.name("value").lower()


def choice_options(cursor: Cursor, owner: str, allowed: Mapping[str, tuple[str, ...] | type]) -> dict[str, Option]:
    """Read an option list and check it against `allowed`: name to its choices, or to a type.

    Raises
    ------
    SpecError
        WS307 for an unknown option, WS308 for a value that is not one of the choices.
    """
    found = options(cursor)
    for name, value in found.items():
        span = cursor.spans[f"option {name}"]
        if name not in allowed:
            raise unknown_option(owner, name, allowed, span)
        choices = allowed[name]
        if isinstance(choices, tuple) and value not in choices:
            raise SpecError(
                "WS308",
                f"option {name} of a {owner} must be one of {', '.join(choices)}",
                span=span,
                hint=did_you_mean(str(value), choices),
            )
        if isinstance(choices, type) and not isinstance(value, choices):
            kind = "true or false" if choices is bool else "a list of strings"
            raise SpecError("WS308", f"option {name} of a {owner} must be {kind}", span=span)
    return found


def unknown_option(owner: str, name: str, allowed: Mapping[str, object], span: Span) -> SpecError:
    """Return the error for an option that `owner` does not have."""
    return SpecError(
        "WS307",
        f'a {owner} has no option "{name}"',
        span=span,
        hint=did_you_mean(name, allowed) or f"options are {', '.join(allowed)}",
    )


def comment(cursor: Cursor) -> str:
    """Read the text of a COMMENT clause whose keyword has been read."""
    return cursor.string("the comment")
