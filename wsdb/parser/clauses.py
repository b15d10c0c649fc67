"""Clauses that several statements share: option lists, comments, row queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from wsdb.core.errors import SpecError, SyntaxError_, did_you_mean
from wsdb.core.span import Span
from wsdb.core.specs import Option, Values
from wsdb.parser.cursor import STRINGS, Cursor

Choices = tuple[str, ...] | type
"""What an option may be: one of some words, or any value of a type."""

TASK_OPTIONS: Mapping[str, Choices] = {"multilabel_absent": ("abstain", "no")}
LABELING_FUNCTION_OPTIONS: Mapping[str, Choices] = {
    "on_error": ("raise", "abstain"),
    "columns": tuple,
    "enabled": bool,
}
LABEL_MODEL_OPTIONS: Mapping[str, Choices] = {
    "regime": ("auto", "lf", "annotator"),
    "use_dev": ("never", "anchor", "select"),
    "structure": ("auto", "none", "static", "learned", "declared"),
    "prior": ("auto", "uniform", "declared"),
    "abstain_informative": bool,
    "calibrate": bool,
    "max_iter": int,
    "tol": float,
}
LABEL_MODEL_METHODS = (
    "auto",
    "majority",
    "weighted_majority",
    "dawid_skene",
    "ibcc",
    "triplet",
    "matrix",
    "hmm",
)
TYPE_TEXTS = {
    bool: "true or false",
    tuple: "a list of strings",
    str: "a string",
    int: "a whole number above 0",
    float: "a number above 0",
}


def once(cursor: Cursor, seen: set[str], clause: str) -> None:
    """Raise WS106 where a clause stands a second time."""
    if clause in seen:
        raise SyntaxError_("WS106", f"clause {clause} is given twice", span=cursor.span(cursor.at - 1))
    seen.add(clause)


def repeated(items: Sequence[str]) -> str | None:
    """Return the first item that stands in a list a second time, or None."""
    return next((item for at, item in enumerate(items) if item in items[:at]), None)


def distinct_names(cursor: Cursor, what: str, code: str) -> tuple[str, ...]:
    """Read ``(name, …)`` without a name twice, compared without case.

    Raises
    ------
    SpecError
        `code` at the name that stands a second time.
    """
    start = cursor.at
    found = cursor.names(what)
    twice = repeated([name.lower() for name in found])
    if twice is not None:
        at = [name.lower() for name in found].index(twice)
        second = [name.lower() for name in found].index(twice, at + 1)
        span = cursor.span_of(start + 1 + 2 * second)
        raise SpecError(code, f'{what} "{found[second]}" is named twice', span=span)
    return found


def tasks(cursor: Cursor) -> tuple[str, ...]:
    """Read ``TASK name`` or ``TASKS (name, …)``; the place of each is remembered as ``task <name>``.

    Raises
    ------
    SpecError
        WS306 where a task is named twice.
    """
    if cursor.accept("TASK"):
        return (cursor.name("task"),)
    if not cursor.accept("TASKS"):
        raise cursor.wrong("TASK", "TASKS")
    return distinct_names(cursor, "task", "WS306")


def query(cursor: Cursor, what: str) -> str:
    """Read a SELECT that reaches to the end of the statement.

    Raises
    ------
    SyntaxError_
        WS101 where something else stands there.
    """
    if not (cursor.peek("SELECT") or cursor.peek("WITH") or cursor.peek("FROM")):
        raise cursor.wrong("SELECT")
    return cursor.rest(what, "a SELECT")


def options(cursor: Cursor) -> dict[str, Option]:
    """Read ``(name = value, …)``; ``=>`` and ``:=`` are read as ``=``.

    Values are strings, numbers, true, false, NULL, bare words (read as strings), intervals (read as their text), lists
    of strings or numbers, and such lists by name, ``{name: […], …}``, read as pairs.
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
    if cursor.accept("INTERVAL"):
        return _interval(cursor)
    if cursor.accept("["):
        return _items(cursor)
    if cursor.accept("{"):
        return _lists(cursor)
    cursor.spans.pop("value", None)
    return cursor.name("value").lower()


def _interval(cursor: Cursor) -> str:
    """Read what follows INTERVAL, ``'10 minutes'`` or ``10 minutes``, as text."""
    kind = cursor.token.kind if cursor.token is not None else ""
    if kind not in (*STRINGS, "NUMBER"):
        raise cursor.wrong("a length of time, such as '10 minutes'")
    text = cursor.string("a length of time") if kind in STRINGS else f"{cursor.number('a length of time'):g}"
    if any(letter.isalpha() or letter == ":" for letter in text):
        return text
    return f"{text} {cursor.name('unit of time').lower()}"


def _items(cursor: Cursor) -> Values:
    items: list[str | float] = []
    while not cursor.accept("]"):
        if items:
            cursor.expect(",")
        number = cursor.token is not None and cursor.token.kind == "NUMBER"
        items.append(cursor.number("an item") if number else cursor.string("an item"))
    return tuple(items)


def _lists(cursor: Cursor) -> tuple[tuple[str, Values], ...]:
    found: dict[str, Values] = {}
    while not cursor.accept("}"):
        if found:
            cursor.expect(",")
        start = cursor.at
        quoted = cursor.token is not None and cursor.token.kind in STRINGS
        name = (cursor.string("a name") if quoted else cursor.name("name")).lower()
        cursor.spans.pop("name", None)
        if name in found:
            raise SyntaxError_("WS106", f'"{name}" is given twice', span=cursor.span(start))
        cursor.expect(":")
        cursor.expect("[")
        found[name] = _items(cursor)
    return tuple(found.items())


def choice_options(cursor: Cursor, owner: str, allowed: Mapping[str, Choices]) -> dict[str, Option]:
    """Read an option list and check it against `allowed`: name to its choices, or to a type.

    Raises
    ------
    SpecError
        WS307 for an unknown option, WS308 for a value that is not one of the choices or of another type.
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
        if isinstance(choices, type) and not _is(value, choices):
            raise SpecError("WS308", f"option {name} of a {owner} must be {TYPE_TEXTS[choices]}", span=span)
    return found


def _is(value: Option, kind: type) -> bool:
    """Return whether a value is of the type that an option asks for; numbers have to be above 0."""
    if kind in (int, float):
        allowed = (int,) if kind is int else (int, float)
        return isinstance(value, allowed) and not isinstance(value, bool) and value > 0
    if isinstance(value, tuple):  # the lists that are checked so hold strings
        return kind is tuple and all(isinstance(item, str) for item in value)
    return isinstance(value, kind)


def unknown_option(owner: str, name: str, allowed: Iterable[str], span: Span) -> SpecError:
    """Return the error for an option that `owner` does not have."""
    return SpecError(
        "WS307",
        f'a {owner} has no option "{name}"',
        span=span,
        hint=did_you_mean(name, allowed) or f"options are {', '.join(allowed)}",
    )


def clauses_until_as(
    cursor: Cursor, clauses: Mapping[str, tuple[str, Callable[[Cursor], object]]]
) -> dict[str, object]:
    """Read clauses in any order up to AS, and AS.

    Parameters
    ----------
    clauses : by first word, the field of a spec that a clause sets and the function that reads the rest of it

    Raises
    ------
    SyntaxError_
        WS106 for a clause that stands twice.
    """
    fields: dict[str, object] = {}
    seen: set[str] = set()
    while not cursor.accept("AS"):
        word = next((word for word in clauses if cursor.accept(word)), None)
        if word is None:
            raise cursor.wrong(*(word for word in clauses if word not in seen), "AS")
        once(cursor, seen, word)
        field, read = clauses[word]
        fields[field] = read(cursor)
    return fields


def tags(cursor: Cursor) -> tuple[str, ...]:
    """Read ``('text', …)`` of a TAGS clause, each text once."""
    cursor.expect("(")
    found = [cursor.string("a tag")]
    while cursor.accept(","):
        found.append(cursor.string("a tag"))
    cursor.expect(")")
    return tuple(dict.fromkeys(found))


def comment(cursor: Cursor) -> str:
    """Read the text of a COMMENT clause whose keyword has been read."""
    return cursor.string("the comment")
