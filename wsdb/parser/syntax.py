"""How a clause is written, as the class of its statement says: the hint of an error inside the clause."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from wsdb.parser.statements import Create

ITEMS = re.compile(r"[\[{(]|[\]})]|[^\s\[\]{}()]+")
GRAMMAR = re.compile(r"``CREATE \[OR REPLACE\] (?P<kind>[^\[]+) \[IF NOT EXISTS\] name (?P<rest>.*?)``")
MOST = 3
"""Where more clauses could stand than this, their grammar is too long for a hint."""


def clause_hint(words: Sequence[str], at: int, expected: Sequence[str]) -> str | None:
    """Return how the clause is written in which a CREATE statement goes wrong, or those that are missing.

    Parameters
    ----------
    words : the statement's words in capitals, empty where a token is no word
    at : the place of the wrong one
    expected : what should stand there
    """
    clauses = clauses_of(tuple(word for word in words[:6] if word not in ("OR", "REPLACE")))
    missing = [text for start, text in clauses if start[0] in expected or " ".join(start) in expected]
    if missing:
        return " or ".join(missing) if len(missing) <= MOST else None
    for place in range(at - 1, 0, -1):
        found = [(start, text) for start, text in clauses if tuple(words[place : place + len(start)]) == start]
        longest = max((len(start) for start, _ in found), default=0)
        if longest:
            return " or ".join(text for start, text in found if len(start) == longest)
    return None


@cache
def clauses_of(words: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Return the clauses of the CREATE statement that begins with some words: their first words and their grammar."""
    found = [
        (len(head), grammar)
        for one in Create.__subclasses__()
        for head, grammar in grammars(one.__doc__ or "")
        if words[: len(head)] == head
    ]
    if not found:
        return ()
    return tuple((leading(clause), clause) for clause in _clauses(max(found)[1]) if leading(clause))


def grammars(doc: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the words that a statement can begin with, and what may stand behind its name, from a class's text."""
    for found in GRAMMAR.finditer(" ".join(doc.split())):
        for name in found["kind"].strip("{}").split(" | "):
            yield ("CREATE", *name.split()), found["rest"]


def _clauses(grammar: str) -> Iterator[str]:
    """Divide a grammar into its clauses; of those that exclude each other, each."""
    own: list[str] = []
    for item in parts(grammar):
        inner = item[1:-1].strip()
        if item.startswith("[") and leading(inner):
            yield " ".join(own)
            own = []
            yield inner
        elif item.startswith("{") and not own:
            yield from parts(inner, "|")
        elif item.isupper() and item.isalpha() and not (own and all(word.isupper() for word in own)):
            yield " ".join(own)
            own = [item]
        elif own:
            own.append(item)
    yield " ".join(own)


def parts(text: str, between: str = "") -> Iterator[str]:
    """Divide text at top level, into words and bracketed groups, or at what stands between."""
    depth, start, last = 0, 0, 0
    for found in ITEMS.finditer(text):
        item = found[0]
        if depth == 0 and between:
            if item == between:
                yield text[start : found.start()].strip()
                start = found.end()
        elif depth == 0:
            start = found.start()
        depth += (item in "[{(") - (item in "]})")
        last = found.end()
        if depth == 0 and not between:
            yield text[start:last]
    if between:
        yield text[start:last].strip()


def leading(text: str) -> tuple[str, ...]:
    """Return the words in capitals that text begins with."""
    found = []
    for word in text.split():
        if not (word.isupper() and word.isalpha()):
            break
        found.append(word)
    return tuple(found)
