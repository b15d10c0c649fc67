"""The kinds of object, the words that name them, and which statements are wsdb's by their first words."""

from __future__ import annotations

import re
from dataclasses import replace

from wsdb.core.errors import SyntaxError_
from wsdb.parser.cursor import Cursor

PLAIN_NAME = re.compile(r'(?:[A-Za-z_]\w*|"(?:[^"]|"")+")\Z')
"""A name that is not qualified, as SQL text."""
Words = tuple[tuple[tuple[str, ...], str], ...]

KIND_WORDS: Words = (
    (("TASK", "GRAPH"), "task graph"),
    (("TASK",), "task"),
    (("PAYLOAD",), "payload"),
    (("PRIMITIVE",), "primitive"),
    (("LABELING", "FUNCTION"), "labeling function"),
    (("LABELLING", "FUNCTION"), "labeling function"),
    (("LF",), "labeling function"),
    (("LABEL", "MODEL"), "label model"),
    (("FEATURE", "SET"), "feature set"),
    (("MODEL",), "model"),
    (("SLICE",), "slice"),
    (("TAG",), "tag"),
    (("TRANSFORMATION", "FUNCTION"), "transformation function"),
    (("CONSTRAINT",), "constraint"),
    (("EMBEDDING",), "embedding"),
    (("SOURCE",), "source"),
)
PLURAL_WORDS: Words = tuple(((*words[:-1], f"{words[-1]}S"), kind) for words, kind in KIND_WORDS)
LATER_KINDS = (("TEST",),)
"""Objects of the design that this version does not have: CREATE and DROP of them say so."""
LATER_VERBS = (
    ("ALTER", "TASK"),
    ("ALTER", "MODEL"),
    ("EXPORT", "MODEL"),
    ("EXPORT", "DATA"),
    ("IMPORT", "MODEL"),
    ("IMPORT", "DATA"),
    ("SUGGEST",),
    ("DISTILL",),
    ("QUALIFY", "MODEL"),
    ("EXTRACT", "TASK"),
)


def is_ours(cursor: Cursor) -> bool:
    """Return whether the statement at the cursor starts as one of wsdb's; such a one never reaches DuckDB."""
    look = replace(cursor, spans={})
    if look.accept("EXPLAIN"):
        look.accept("ANALYZE")
        return is_ours(look) if not look.peek("EXPLAIN") else False
    if look.accept("CREATE"):
        look.accept("OR", "REPLACE")
        return _kind_ahead(look, KIND_WORDS) or any(look.peek(*words) for words in LATER_KINDS)
    if look.accept("DROP"):
        return _kind_ahead(look, KIND_WORDS) or any(look.peek(*words) for words in LATER_KINDS)
    if look.accept("COMMENT", "ON"):
        return _kind_ahead(look, KIND_WORDS)
    if look.accept("ALTER"):
        return any(look.peek(*words) for words, _ in KIND_WORDS)
    if look.accept("SHOW"):
        if look.accept("CREATE"):
            return _kind_ahead(look, KIND_WORDS)
        return look.peek("VERSIONS", "OF") or look.peek("CODE", "FOR") or _kind_ahead(look, PLURAL_WORDS)
    if look.accept("DESCRIBE") or look.accept("DESC"):
        words = next((words for words, _ in KIND_WORDS if look.peek(*words)), None)
        if words is None:
            return False
        look.accept(*words)
        return not look.done and look.token is not None and look.token.text not in (".", ",", "(")
    if look.accept("SET") or look.accept("RESET"):
        _ = look.accept("SESSION") or look.accept("GLOBAL") or look.accept("LOCAL")
        return look.token is not None and look.token.text.lower().startswith("wsdb_")
    return look.peek("REFRESH") or any(look.peek(*words) for words in LATER_VERBS)


def _kind_ahead(cursor: Cursor, table: Words) -> bool:
    """Return whether a kind of object comes next; its first word decides where that word means nothing to DuckDB."""
    if any(cursor.peek(*words) for words, _ in table):
        return True
    first = any(cursor.peek(word) for word in ("LABELING", "LABELLING", "FEATURE", "LABEL", "TRANSFORMATION"))
    return first and cursor.at + 1 < len(cursor.tokens)  # alone it is a table's name: SHOW label


def later_verb(cursor: Cursor) -> SyntaxError_ | None:
    """Return the error for a statement of a later version, or None where this is not one."""
    words = next((words for words in LATER_VERBS if cursor.peek(*words)), None)
    return _later(cursor, words) if words is not None and not cursor.peek("ALTER", "TASK", "GRAPH") else None


def _later(cursor: Cursor, words: tuple[str, ...]) -> SyntaxError_:
    cursor.accept(*words)
    text = " ".join(words)
    return SyntaxError_("WS103", f"{text} is not available in this version of wsdb", span=cursor.span(0))


def read_kind(cursor: Cursor, table: Words = KIND_WORDS) -> str:
    """Read the words of a kind of object and return it as error messages name it.

    Raises
    ------
    SyntaxError_
        WS103 for a kind of a later version; WS101 for anything else.
    """
    for words in LATER_KINDS:
        if cursor.peek(*words):
            raise _later(cursor, words)
    for keywords, kind in table:
        if cursor.accept(*keywords):
            return kind
    for first, second in (
        ("LABELING", "FUNCTION"),
        ("LABELLING", "FUNCTION"),
        ("LABEL", "MODEL"),
        ("FEATURE", "SET"),
        ("TRANSFORMATION", "FUNCTION"),
    ):
        plural = "S" if table is PLURAL_WORDS else ""
        if cursor.accept(first):
            raise cursor.wrong(second + plural)
    raise cursor.wrong(*(" ".join(words) for words, _ in table))
