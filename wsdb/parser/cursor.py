"""A cursor over the tokens of one statement: accept, expect, and errors that point at the first wrong word."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlglot import tokenize
from sqlglot.errors import TokenError

from wsdb.core.errors import SyntaxError_, did_you_mean
from wsdb.core.span import Span

QUOTED = ("IDENTIFIER",)
STRINGS = ("STRING", "HEREDOC_STRING", "NATIONAL_STRING", "RAW_STRING")
ESCAPED = ("BYTE_STRING", "UNICODE_STRING", "HEX_STRING", "BIT_STRING")
"""Strings such as E'…', whose value is not their text."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind as sqlglot names it, its value, and its offsets in the script (end exclusive)."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The token in upper case where it can be a keyword, else an empty string."""
        return "" if self.kind in QUOTED + STRINGS + ESCAPED else self.text.upper()


UNENDED = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$|(?P<open>'|"|/\*|\$\w*\$)""", re.DOTALL
)
"""Whatever has an end is passed over, so that group `open` is the first opener without one."""
OPENERS = {"'": "string", '"': "quoted name", "/": "comment", "$": "string"}


def _unended(text: str, file: str | None) -> SyntaxError_:
    """Return the error for text that does not become tokens, at the opener that is never closed."""
    found = next((match for match in UNENDED.finditer(text) if match["open"]), None)
    if found is None:
        return SyntaxError_("WS102", "a string, a comment or a quoted name has no end")
    what = OPENERS[found["open"][0]]
    span = Span(text, found.start(), found.end(), file)
    return SyntaxError_("WS102", f"the {what} that starts here has no end", span=span)


def tokens_of(text: str, file: str | None = None) -> list[Token]:
    """Return the tokens of a DuckDB script; comments are left out.

    Raises
    ------
    SyntaxError_
        WS102 where a string, comment or quoted name has no end.
    """
    found: list[Token] = []
    start, lead = 0, ""
    while True:
        try:
            raw = tokenize(lead + text[start:], dialect="duckdb")
        except TokenError as error:
            raise _unended(text, file) from error
        shift = start - len(lead)
        tokens = [Token(token.token_type.name, token.text, token.start + shift, token.end + 1 + shift) for token in raw]
        tokens = tokens[1 if lead else 0 :]
        command = next((at for at, token in enumerate(tokens) if token.kind == "COMMAND"), None)
        if command is None:
            return found + tokens
        # sqlglot hands over the rest of a command (EXPLAIN, CALL …) as one string, cut at the first semicolon even
        # inside quotes. Reading on behind the command word with a word in front gives its real tokens.
        found += tokens[: command + 1]
        start, lead = tokens[command].end, "_ "


@dataclass(slots=True)
class Cursor:
    """The tokens ``[at, end)`` of a script and the place read so far."""

    text: str
    tokens: list[Token]
    file: str | None = None
    at: int = 0
    spans: dict[str, Span] = field(default_factory=dict)

    @property
    def token(self) -> Token | None:
        """The next token, None at the end of the statement."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    @property
    def done(self) -> bool:
        """True at the end of the statement."""
        return self.at >= len(self.tokens)

    def span(self, start: int | None = None) -> Span:
        """Return the span from token index `start` (default: the next token) up to the last token read."""
        if start is None or start >= self.at:
            token = self.token
            if token is not None:
                return Span(self.text, token.start, token.end, self.file)
            end = self.tokens[-1].end if self.tokens else len(self.text)
            return Span(self.text, end, end, self.file)
        return Span(self.text, self.tokens[start].start, self.tokens[self.at - 1].end, self.file)

    def span_of(self, at: int) -> Span:
        """Return the span of the token at index `at`."""
        token = self.tokens[at]
        return Span(self.text, token.start, token.end, self.file)

    def peek(self, *words: str) -> bool:
        """Return whether the next tokens are these keywords."""
        following = self.tokens[self.at : self.at + len(words)]
        return len(following) == len(words) and all(
            token.word == word for token, word in zip(following, words, strict=True)
        )

    def accept(self, *words: str) -> bool:
        """Read these keywords if they come next."""
        if self.peek(*words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        """Read these keywords one at a time, so that an error points at the first wrong one."""
        for word in words:
            if not self.accept(word):
                raise self.wrong(word)

    def wrong(self, *expected: str) -> SyntaxError_:
        """Return the error for the next token where one of `expected` should stand."""
        token = self.token
        found = "the end of the statement" if token is None else f'"{self.text[token.start : token.end][:40]}"'
        choices = " or ".join([", ".join(expected[:-1]), expected[-1]] if len(expected) > 1 else expected)
        hint = did_you_mean(token.word, expected) if token is not None and token.word else None
        return SyntaxError_(
            "WS101",
            f"expected {choices}, found {found}",
            span=self.span(),
            hint=hint,
            expected=list(expected),
        )

    def name(self, what: str) -> str:
        """Read an identifier and remember its span under `what`."""
        token = self.token
        plain = token is not None and (token.text[:1].isalpha() or token.text[:1] == "_")
        if token is None or token.kind in STRINGS or not (plain or token.kind in QUOTED):
            raise self.wrong(f"the name of {'an' if what[0] in 'aeiou' else 'a'} {what}")
        self.spans.setdefault(what, self.span())
        self.at += 1
        return token.text

    def string(self, what: str) -> str:
        """Read a string literal."""
        token = self.token
        if token is None or token.kind not in STRINGS:
            phrase = what if what.startswith(("a ", "an ", "the ")) else f"a {what}"
            raise self.wrong(f"{phrase} as a string in quotes")
        self.spans.setdefault(what, self.span())
        self.at += 1
        return token.text

    def number(self, what: str) -> float:
        """Read a number, with an optional sign."""
        sign = -1.0 if self.accept("-") else 1.0
        token = self.token
        if token is None or token.kind != "NUMBER":
            raise self.wrong(f"{what} as a number")
        self.at += 1
        return sign * float(token.text)

    def names(self, what: str) -> tuple[str, ...]:
        """Read ``(name, …)`` and remember the span of each as ``what name``, in lower case."""
        self.expect("(")
        found: list[str] = []
        while True:
            at = self.at
            found.append(self.name(what))
            self.spans.setdefault(f"{what} {found[-1].lower()}", self.span(at))
            if not self.accept(","):
                break
        self.expect(")")
        return tuple(found)

    def relation(self, what: str = "relation") -> str:
        """Read a table name, a qualified name or a quoted path; return its SQL text."""
        start = self.at
        token = self.token
        if token is not None and token.kind in STRINGS:
            self.at += 1
        else:
            self.name("relation")
            while self.accept("."):
                self.name("relation")
        self.spans[what] = self.span(start)
        return self.spans[what].slice

    def parenthesis(self, what: str) -> str:
        """Read ``( … )`` whole and return the text between the parentheses."""
        self.expect("(")
        start, depth = self.at, 1
        while depth:
            if self.done:
                raise self.wrong(")")
            depth += {"(": 1, ")": -1}.get(self.tokens[self.at].word, 0)
            self.at += 1
        if self.at - 1 == start:
            raise SyntaxError_("WS101", f"{what} is empty", span=self.span(start - 1))
        inside = Span(self.text, self.tokens[start].start, self.tokens[self.at - 2].end, self.file)
        self.spans[what] = inside
        return inside.slice

    def rest(self, what: str, expected: str) -> str:
        """Read everything up to the end of the statement and return its text."""
        if self.done:
            raise self.wrong(expected)
        start, self.at = self.at, len(self.tokens)
        self.spans[what] = self.span(start)
        return self.spans[what].slice

    def finish(self) -> None:
        """Raise unless the statement has been read to its end."""
        if not self.done:
            raise self.wrong("the end of the statement")
