"""The grammar: leading keywords, and one small function for each statement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wsdb.core.errors import SyntaxError_, did_you_mean
from wsdb.parser.cursor import Cursor
from wsdb.parser.grammar_create import (
    create_feature_set,
    create_label_model,
    create_labeling_function,
    create_model,
    create_task,
)
from wsdb.parser.statements import (
    CommentOn,
    Create,
    Describe,
    Drop,
    Explain,
    Refresh,
    SetOption,
    Show,
    ShowCreate,
    ShowVersions,
    Statement,
)

KIND_WORDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("TASK",), "task"),
    (("LABELING", "FUNCTION"), "labeling function"),
    (("LABELLING", "FUNCTION"), "labeling function"),
    (("LF",), "labeling function"),
    (("LABEL", "MODEL"), "label model"),
    (("FEATURE", "SET"), "feature set"),
    (("MODEL",), "model"),
)
PLURAL_WORDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("TASKS",), "task"),
    (("LABELING", "FUNCTIONS"), "labeling function"),
    (("LABELLING", "FUNCTIONS"), "labeling function"),
    (("LFS",), "labeling function"),
    (("LABEL", "MODELS"), "label model"),
    (("FEATURE", "SETS"), "feature set"),
    (("MODELS",), "model"),
)
CREATORS: dict[str, Callable[[Cursor], Create]] = {
    "task": create_task,
    "labeling function": create_labeling_function,
    "label model": create_label_model,
    "feature set": create_feature_set,
    "model": create_model,
}
LATER_KINDS = (
    ("SLICE",),
    ("TAG",),
    ("PAYLOAD",),
    ("PRIMITIVE",),
    ("TRANSFORMATION", "FUNCTION"),
    ("TASK", "GRAPH"),
    ("EMBEDDING",),
    ("CONSTRAINT",),
    ("TEST",),
)
"""Objects of the design that this version does not have: CREATE and DROP of them say so."""
LATER_VERBS = (
    ("ALTER", "TASK"),
    ("ALTER", "MODEL"),
    ("ALTER", "LF"),
    ("ALTER", "LABELING", "FUNCTION"),
    ("EXPORT", "MODEL"),
    ("EXPORT", "DATA"),
    ("IMPORT", "MODEL"),
    ("IMPORT", "DATA"),
    ("SUGGEST",),
    ("DISTILL",),
    ("QUALIFY", "MODEL"),
    ("EXTRACT", "TASK"),
)
SETTINGS = ("wsdb_auto_refresh",)


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
    if look.accept("SHOW"):
        if look.accept("CREATE"):
            return _kind_ahead(look, KIND_WORDS)
        return look.peek("VERSIONS", "OF") or _kind_ahead(look, PLURAL_WORDS)
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


def _kind_ahead(cursor: Cursor, table: tuple[tuple[tuple[str, ...], str], ...]) -> bool:
    """Return whether a kind of object comes next; its first word decides where that word means nothing to DuckDB."""
    if any(cursor.peek(*words) for words, _ in table):
        return True
    first = any(cursor.peek(word) for word in ("LABELING", "LABELLING", "FEATURE", "LABEL"))
    return first and cursor.at + 1 < len(cursor.tokens)  # alone it is a table's name: SHOW label


def statement(cursor: Cursor) -> Statement:
    """Parse the one statement under the cursor.

    Raises
    ------
    SyntaxError_
        WS101 at the first wrong word; WS103 for a statement of a later version.
    """
    for words in LATER_VERBS:
        if cursor.peek(*words):
            raise _later(cursor, words)
    verb = next((verb for verb in VERBS if cursor.peek(verb)), None)
    if verb is None:
        raise cursor.wrong(*VERBS)
    parsed = VERBS[verb](cursor)
    cursor.finish()
    return replace(parsed, span=cursor.span(0), spans=dict(cursor.spans))


def _later(cursor: Cursor, words: tuple[str, ...]) -> SyntaxError_:
    cursor.accept(*words)
    text = " ".join(words)
    return SyntaxError_("WS103", f"{text} is not available in this version of wsdb", span=cursor.span(0))


def _kind(cursor: Cursor, table: tuple[tuple[tuple[str, ...], str], ...] = KIND_WORDS) -> str:
    """Read the words of a kind of object."""
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
    ):
        plural = "S" if table is PLURAL_WORDS else ""
        if cursor.accept(first):
            raise cursor.wrong(second + plural)
    raise cursor.wrong(*(" ".join(words) for words, _ in table))


def _create(cursor: Cursor) -> Statement:
    cursor.expect("CREATE")
    or_replace = cursor.accept("OR", "REPLACE")
    kind = _kind(cursor)
    if_not_exists = False
    if cursor.accept("IF"):
        cursor.expect("NOT", "EXISTS")
        if_not_exists = True
        if or_replace:
            raise SyntaxError_(
                "WS104",
                "OR REPLACE and IF NOT EXISTS exclude each other",
                span=cursor.span(0),
                hint="choose one",
            )
    return replace(CREATORS[kind](cursor), or_replace=or_replace, if_not_exists=if_not_exists)


def _drop(cursor: Cursor) -> Statement:
    cursor.expect("DROP")
    kind = _kind(cursor)
    if_exists = cursor.accept("IF")
    if if_exists:
        cursor.expect("EXISTS")
    name = cursor.name(kind)
    cascade = cursor.accept("CASCADE")
    if not cascade:
        cursor.accept("RESTRICT")
    return Drop(span=cursor.span(0), kind=kind, name=name, if_exists=if_exists, cascade=cascade)


def _comment(cursor: Cursor) -> Statement:
    cursor.expect("COMMENT", "ON")
    kind = _kind(cursor)
    name = cursor.name(kind)
    cursor.expect("IS")
    text = None if cursor.accept("NULL") else cursor.string("the comment")
    return CommentOn(span=cursor.span(0), kind=kind, name=name, text=text)


def _show(cursor: Cursor) -> Statement:
    cursor.expect("SHOW")
    if cursor.accept("CREATE"):
        kind = _kind(cursor)
        return ShowCreate(span=cursor.span(0), kind=kind, name=cursor.name(kind))
    if cursor.accept("VERSIONS"):
        cursor.expect("OF", "MODEL")
        return ShowVersions(span=cursor.span(0), name=cursor.name("model"))
    kind = _kind(cursor, PLURAL_WORDS)
    task = None
    if cursor.accept("FOR"):
        cursor.expect("TASK")
        task = cursor.name("task")
    like = cursor.string("a LIKE pattern") if cursor.accept("LIKE") else None
    return Show(span=cursor.span(0), kind=kind, task=task, like=like)


def _describe(cursor: Cursor) -> Statement:
    if not cursor.accept("DESC"):
        cursor.expect("DESCRIBE")
    kind = _kind(cursor)
    return Describe(span=cursor.span(0), kind=kind, name=cursor.name(kind))


def _refresh(cursor: Cursor) -> Statement:
    cursor.expect("REFRESH")
    name: str | None = None
    if cursor.accept("LABELS"):
        target = "labels"
        if cursor.accept("FOR"):
            cursor.expect("TASK")
            name = cursor.name("task")
    elif cursor.accept("LABEL"):
        cursor.expect("MATRIX", "FOR", "TASK")
        target, name = "label matrix", cursor.name("task")
    elif cursor.accept("MODEL"):
        target, name = "model", cursor.name("model")
    else:
        raise cursor.wrong("LABELS", "LABEL MATRIX", "MODEL")
    return Refresh(span=cursor.span(0), target=target, name=name, full=cursor.accept("FULL"))


def _explain(cursor: Cursor) -> Statement:
    cursor.expect("EXPLAIN")
    analyze = cursor.accept("ANALYZE")
    inner = replace(cursor, spans={})
    parsed = statement(inner)
    cursor.at = inner.at
    return Explain(span=cursor.span(0), statement=parsed, analyze=analyze)


def _set(cursor: Cursor) -> Statement:
    reset = cursor.accept("RESET")
    if not reset:
        cursor.expect("SET")
    _ = cursor.accept("SESSION") or cursor.accept("GLOBAL") or cursor.accept("LOCAL")
    name = cursor.name("setting").lower()
    if name not in SETTINGS:
        raise SyntaxError_(
            "WS105",
            f'unknown setting "{name}"',
            span=cursor.spans["setting"],
            hint=did_you_mean(name, SETTINGS) or f"wsdb has {', '.join(SETTINGS)}",
        )
    if reset:
        return SetOption(span=cursor.span(0), name=name, value=None)
    if not cursor.accept("="):
        cursor.expect("TO")
    for word, value in (("TRUE", True), ("FALSE", False), ("ON", True), ("OFF", False)):
        if cursor.accept(word):
            return SetOption(span=cursor.span(0), name=name, value=value)
    raise cursor.wrong("TRUE", "FALSE")


VERBS: dict[str, Callable[[Cursor], Statement]] = {
    "CREATE": _create,
    "DROP": _drop,
    "COMMENT": _comment,
    "SHOW": _show,
    "DESCRIBE": _describe,
    "DESC": _describe,
    "REFRESH": _refresh,
    "EXPLAIN": _explain,
    "SET": _set,
    "RESET": _set,
}
