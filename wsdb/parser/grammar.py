"""The grammar: leading keywords, and one small function for each statement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wsdb.core.errors import SyntaxError_, did_you_mean
from wsdb.parser.cursor import Cursor
from wsdb.parser.grammar_create import create
from wsdb.parser.kinds import PLURAL_WORDS, later_verb, read_kind
from wsdb.parser.statements import (
    Alter,
    CommentOn,
    Describe,
    Drop,
    Explain,
    Refresh,
    SetOption,
    Show,
    ShowCode,
    ShowCreate,
    ShowVersions,
    Statement,
)
from wsdb.parser.syntax import clause_hint

SETTINGS = ("wsdb_auto_refresh",)


def statement(cursor: Cursor) -> Statement:
    """Parse the one statement under the cursor.

    Raises
    ------
    SyntaxError_
        WS101 at the first wrong word; WS103 for a statement of a later version.
    """
    later = later_verb(cursor)
    if later is not None:
        raise later
    verb = next((verb for verb in VERBS if cursor.peek(verb)), None)
    if verb is None:
        raise cursor.wrong(*VERBS)
    try:
        parsed = VERBS[verb](cursor)
        cursor.finish()
    except SyntaxError_ as error:
        if error.code == "WS101" and error.hint is None:
            words = [token.word for token in cursor.tokens]
            error.hint = clause_hint(words, cursor.at, error.data.get("expected", ()))
        raise
    return replace(parsed, span=cursor.span(0), spans=dict(cursor.spans))


def _drop(cursor: Cursor) -> Statement:
    cursor.expect("DROP")
    kind = read_kind(cursor)
    if_exists = cursor.accept("IF")
    if if_exists:
        cursor.expect("EXISTS")
    name = cursor.name(kind)
    cascade = cursor.accept("CASCADE")
    if not cascade:
        cursor.accept("RESTRICT")
    return Drop(span=cursor.span(0), kind=kind, name=name, if_exists=if_exists, cascade=cascade)


def _alter(cursor: Cursor) -> Statement:
    cursor.expect("ALTER")
    kind = read_kind(cursor)
    name = cursor.name(kind)
    if kind == "labeling function":
        for action in ("enable", "disable"):
            if cursor.accept(action.upper()):
                return Alter(span=cursor.span(0), kind=kind, name=name, action=action)
    if not cursor.accept("RENAME"):
        raise cursor.wrong(*(("ENABLE", "DISABLE") if kind == "labeling function" else ()), "RENAME TO")
    cursor.expect("TO")
    return Alter(span=cursor.span(0), kind=kind, name=name, action="rename", new_name=cursor.name("new name"))


def _comment(cursor: Cursor) -> Statement:
    cursor.expect("COMMENT", "ON")
    kind = read_kind(cursor)
    name = cursor.name(kind)
    cursor.expect("IS")
    text = None if cursor.accept("NULL") else cursor.string("the comment")
    return CommentOn(span=cursor.span(0), kind=kind, name=name, text=text)


def _show(cursor: Cursor) -> Statement:
    cursor.expect("SHOW")
    if cursor.accept("CREATE"):
        kind = read_kind(cursor)
        return ShowCreate(span=cursor.span(0), kind=kind, name=cursor.name(kind))
    if cursor.accept("VERSIONS"):
        cursor.expect("OF", "MODEL")
        return ShowVersions(span=cursor.span(0), name=cursor.name("model"))
    if cursor.accept("CODE"):
        cursor.expect("FOR", "MODEL")
        return ShowCode(span=cursor.span(0), name=cursor.name("model"))
    kind = read_kind(cursor, PLURAL_WORDS)
    task = None
    if cursor.accept("FOR"):
        cursor.expect("TASK")
        task = cursor.name("task")
    like = cursor.string("a LIKE pattern") if cursor.accept("LIKE") else None
    return Show(span=cursor.span(0), kind=kind, task=task, like=like)


def _describe(cursor: Cursor) -> Statement:
    if not cursor.accept("DESC"):
        cursor.expect("DESCRIBE")
    kind = read_kind(cursor)
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
    "CREATE": create,
    "ALTER": _alter,
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
