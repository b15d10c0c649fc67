"""A script: SQL text split into wsdb's statements and stretches that go to DuckDB byte for byte."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsdb.core.errors import SyntaxError_
from wsdb.core.span import Span
from wsdb.parser.cursor import Cursor, Token, tokens_of
from wsdb.parser.grammar import statement
from wsdb.parser.kinds import is_ours
from wsdb.parser.statements import Statement

# A script without one of these words holds no statement of wsdb's; it is not even tokenised.
LEADING = re.compile(
    r"\b(?:task|tasks|lf|lfs|label|labeling|labelling|model|models|feature|refresh|wsdb_\w+|slices?|tags?|payloads?"
    r"|primitives?|transformation|embeddings?|constraints?|sources?|test|suggest|distill|qualify|extract|versions|import"
    r"|export)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement of a script.

    Attributes
    ----------
    span : its text, without the semicolon
    tokens : its tokens; empty where the script was not tokenised
    ours : whether it starts as a statement of wsdb's
    """

    span: Span
    tokens: tuple[Token, ...]
    ours: bool

    @property
    def sql(self) -> str:
        """The statement's text."""
        return self.span.slice

    def parse(self) -> Statement:
        """Parse a statement of wsdb's.

        Raises
        ------
        SyntaxError_
            WS1xx at the first wrong word.
        """
        return statement(Cursor(self.span.text, list(self.tokens), self.span.file))


def has_ours(text: str) -> bool:
    """Return whether `text` may hold a statement of wsdb's; False is certain, True is not."""
    return LEADING.search(text) is not None


def split(text: str, file: str | None = None) -> list[Piece]:
    """Split a script at its semicolons.

    Text that sqlglot cannot tokenise is one piece for DuckDB, which then reports what is wrong with it, unless
    a statement of wsdb's stands in it.

    Raises
    ------
    SyntaxError_
        WS102 where a script with a statement of wsdb's has a string, comment or quoted name without an end.
    """
    try:
        tokens = tokens_of(text, file)
    except SyntaxError_ as error:
        if error.span is not None and _ours_before(text, error.span.start, file):
            raise
        return [Piece(Span(text, 0, len(text), file), (), False)]
    pieces: list[Piece] = []
    start = 0
    for at in range(len(tokens) + 1):
        if at == len(tokens) or tokens[at].kind == "SEMICOLON":
            if at > start:
                own = tokens[start:at]
                span = Span(text, own[0].start, own[-1].end, file)
                pieces.append(Piece(span, tuple(own), is_ours(Cursor(text, own, file))))
            start = at + 1
    return pieces


def parse_one(text: str) -> Statement:
    """Parse a text that is exactly one statement of wsdb's, such as a stored one."""
    pieces = split(text)
    if len(pieces) != 1 or not pieces[0].ours:
        raise SyntaxError_("WS101", "expected one statement of wsdb", span=Span(text, 0, len(text)))
    return pieces[0].parse()


def _ours_before(text: str, end: int, file: str | None) -> bool:
    """Return whether a statement of wsdb's starts before `end`, where a string without an end begins."""
    return any(piece.ours for piece in split(text[:end], file))
