"""Calls of wsdb's table functions inside ordinary SQL: checked, refreshed and, for subqueries, rewritten."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError, DataError, ModelError, SpecError, WsdbError, did_you_mean
from wsdb.core.span import Span
from wsdb.core.sqltext import ident
from wsdb.core.task import SPLITS, Task
from wsdb.parser.cursor import STRINGS, Token
from wsdb.parser.script import Piece
from wsdb.serve.macros import FUNCTION
from wsdb.serve.predictor import install, installed
from wsdb.session import run_labels
from wsdb.session.rooms import Rooms, create_functions

MATRIX_FUNCTIONS = ("label_matrix", "label_votes")
LABEL_FUNCTIONS = ("labels", "label_model", "lf_summary", "lf_errors", "label_model_report")
MODEL_FUNCTIONS = ("predict", "evaluate", "confusion_matrix")
HISTORY_FUNCTIONS = ("model_versions", "training_info")
OTHER_FUNCTIONS = ("lineage", "wsdb_objects")
FUNCTIONS = MATRIX_FUNCTIONS + LABEL_FUNCTIONS + MODEL_FUNCTIONS + HISTORY_FUNCTIONS + OTHER_FUNCTIONS


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a table function.

    Attributes
    ----------
    name : lower-cased
    span : from the name to the closing parenthesis
    arguments : the tokens of each argument
    """

    name: str
    span: Span
    arguments: tuple[tuple[Token, ...], ...]


CLASSES: dict[str, type[WsdbError]] = {"WS2": CatalogError, "WS3": SpecError, "WS4": DataError}
"""The classes of errors that SQL raises by error(), by the first digit of their code."""
MAY_CALL = re.compile(rf"\b(?:{'|'.join(FUNCTIONS)})\"?\s*\(", re.IGNORECASE)


def may_call(text: str) -> bool:
    """Return whether a text may call one of the table functions; False is certain, True is not."""
    return MAY_CALL.search(text) is not None


def install_functions(rooms: Rooms) -> None:
    """Give the session's connection the table functions, and its database the function that scores rows.

    What is there already is left alone. A table macro of the user's with one of these names stays what it means.
    """
    _install(rooms, *_functions(rooms))


def _functions(rooms: Rooms) -> tuple[set[str], set[str]]:
    """Return which names are table macros of the user's, and what wsdb has put on this connection already.

    One query for both: DuckDB lists all its functions for it, which takes some milliseconds.
    """
    users: set[str] = set()
    there: set[str] = set()
    for name, kind, database, schema, ours in rooms.engine.rows(
        "SELECT lower(function_name), function_type, database_name, schema_name, "
        "contains(coalesce(macro_definition, ''), '.wsdb.') FROM duckdb_functions() "
        "WHERE function_name = ? OR list_contains(?, lower(function_name))",
        [FUNCTION, list(FUNCTIONS)],
    ):
        if name == FUNCTION or (database == "temp" and ours):
            there.add(name)
        elif schema != "wsdb" and kind in ("table", "table_macro"):
            users.add(name)
    return users, there


def _install(rooms: Rooms, users: set[str], there: set[str]) -> None:
    if not set(FUNCTIONS) - users <= there:
        create_functions(rooms.engine, persisted=False)
        there = there | set(FUNCTIONS)
    for name in sorted(users & there):  # TEMP macros are found before the user's own
        rooms.engine.run(f"DROP MACRO TABLE IF EXISTS temp.main.{ident(name)}")
    if FUNCTION not in there or not installed(rooms.engine):
        install(rooms.engine)


# After these words a table stands; after those no more.
FROM_WORDS = frozenset({"FROM", "JOIN", "LATERAL", "PIVOT", "UNPIVOT", "PIVOT_WIDER", "PIVOT_LONGER"})
OTHER_WORDS = frozenset(
    {
        "SELECT", "WHERE", "GROUP", "ORDER", "HAVING", "QUALIFY", "WINDOW", "LIMIT", "OFFSET", "SET", "VALUES",
        "RETURNING", "WITH", "SAMPLE", "TABLESAMPLE", "UNION", "EXCEPT", "INTERSECT", "WHEN",
    }
)  # fmt: skip
QUERY_WORDS = frozenset({"SELECT", "FROM", "WITH", "VALUES", "PIVOT", "UNPIVOT", "DESCRIBE", "SUMMARIZE", "SHOW", "("})


def calls(piece: Piece) -> list[Call]:
    """Return the calls of wsdb's table functions in a statement, in order, those inside subqueries too.

    Only where a table may stand: ``labels (`` in a column list, a CTE's name or a scalar call is the user's own.
    """
    found: list[Call] = []
    tokens = piece.tokens
    # For each open parenthesis what stands there: tables, a join's condition, anything else of a query, or no query.
    inside = ["query"]
    for at, token in enumerate(tokens):
        word = token.word
        before = tokens[at - 1].word if at else ""
        after = tokens[at + 1].word if at + 1 < len(tokens) else ""
        if word in ("(", "[", "{"):
            tables = word == "(" and inside[-1] == "tables" and (before in ("(", ",") or before in FROM_WORDS)
            inside.append("tables" if tables else "query" if after in QUERY_WORDS else "none")
        elif word in (")", "]", "}"):
            if len(inside) > 1:
                inside.pop()
        elif inside[-1] == "none":
            continue
        elif word in FROM_WORDS and before != "DISTINCT":
            inside[-1] = "tables"
        elif word in OTHER_WORDS:
            inside[-1] = "query"
        elif word in ("ON", "USING") and inside[-1] == "tables":
            inside[-1] = "condition"
        elif word == "," and inside[-1] == "condition":
            inside[-1] = "tables"
        elif after == "(" and token.kind not in STRINGS and token.text.lower() in FUNCTIONS:
            first = before in FROM_WORDS or before in (",", "(", ":")
            if before == "USING" or (first and inside[-1] == "tables"):
                end, arguments = _arguments(tokens, at + 2)
                if end is not None:
                    span = Span(piece.span.text, token.start, tokens[end].end, piece.span.file)
                    found.append(Call(token.text.lower(), span, arguments))
    return found


def _arguments(tokens: Sequence[Token], start: int) -> tuple[int | None, tuple[tuple[Token, ...], ...]]:
    """Return the index of the closing parenthesis and the arguments before it; None where there is none."""
    arguments: list[tuple[Token, ...]] = []
    current: list[Token] = []
    depth = 0
    for at in range(start, len(tokens)):
        word = tokens[at].word
        if word == ")" and depth == 0:
            return at, tuple([*arguments, tuple(current)] if current else arguments)
        if word == "," and depth == 0:
            arguments.append(tuple(current))
            current = []
            continue
        depth += (word in ("(", "[", "{")) - (word in (")", "]", "}"))
        current.append(tokens[at])
    return None, ()


def prepare(rooms: Rooms, piece: Piece, parameters: Any) -> tuple[str, list[Call]]:
    """Make what a statement reads current and return its text for DuckDB, with the calls found in it.

    Text without a call comes back as it is.

    Raises
    ------
    CatalogError
        WS201 where a call names a task or model that does not exist.
    ModelError
        WS501 where a task has no model.
    """
    found = calls(piece)
    if not found:
        return piece.sql, []
    snapshot = rooms.catalog.snapshot()
    users, there = _functions(rooms)
    own = [call for call in found if call.name not in users]
    if own and not snapshot.entries:
        raise CatalogError(
            "WS206",
            f"{own[0].name}(…) reads what wsdb has stored, and this database has no task yet",
            span=own[0].span,
            hint="CREATE TASK makes one",
        )
    if own or users & there:
        _install(rooms, users, there)
    for call in own:
        with rooms.engine.at_home():
            check(rooms, call, snapshot, piece, parameters)
    return rewrite(piece, own), own


def check(rooms: Rooms, call: Call, snapshot: CatalogSnapshot, piece: Piece, parameters: Any) -> None:
    """Check the name a call starts with, and refresh what it is about to read."""
    name, span = first_argument(call, piece, parameters)
    if name is None or call.name in OTHER_FUNCTIONS:
        return
    if call.name in HISTORY_FUNCTIONS:
        snapshot.entry("model", name, span)
    elif call.name in MODEL_FUNCTIONS:
        check_model(name, span, snapshot)
        if call.name != "predict":
            check_scored(rooms, call, name.partition("@")[0], snapshot)
    else:
        check_split(rooms, call, snapshot.task(name, span))
        matrix_only = call.name in MATRIX_FUNCTIONS
        try:
            run_labels.read_labels(rooms, snapshot, snapshot.task(name, span), matrix_only=matrix_only)
        except WsdbError as error:
            raise error.at(call.span) from error.__cause__


def first_argument(call: Call, piece: Piece, parameters: Any) -> tuple[str | None, Span]:
    """Return the name a call starts with, where it is a string or a bound parameter, and its place."""
    if not call.arguments:
        return None, call.span
    tokens = call.arguments[0]
    if len(tokens) > 2 and tokens[1].text in (":=", "=>"):
        tokens = tokens[2:]
    span = Span(call.span.text, tokens[0].start, tokens[-1].end, call.span.file)
    if len(tokens) == 1 and (tokens[0].kind in STRINGS or tokens[0].kind in ("VAR", "IDENTIFIER")):
        return tokens[0].text, span
    if tokens[0].kind == "PLACEHOLDER" and isinstance(parameters, Sequence):
        place = sum(token.kind == "PLACEHOLDER" and token.start < tokens[0].start for token in piece.tokens)
        return _text(parameters[place] if place < len(parameters) else None), span
    if tokens[0].kind == "PARAMETER" and len(tokens) == 2:
        word = tokens[1].text
        if isinstance(parameters, Mapping):
            return _text(parameters.get(word)), span
        if isinstance(parameters, Sequence) and word.isdigit() and 0 < int(word) <= len(parameters):
            return _text(parameters[int(word) - 1]), span
    return None, span


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def check_model(name: str, span: Span, snapshot: CatalogSnapshot) -> None:
    """Raise unless `name` is a trained model, a task that one serves, or a version of either."""
    plain, mark, version = name.partition("@")
    model = snapshot.models.get(plain.lower())
    serving = snapshot.serving.get(plain.lower())
    if model is not None or serving is not None:
        newest = model.version if model is not None else serving[1] if serving is not None else 0
        if mark and not (version.isdigit() and 1 <= int(version) <= newest):
            raise CatalogError(
                "WS207", f'"{plain}" has no version "{version}"; its newest is {newest}', span=span, name=name
            )
        return
    if snapshot.find("task", plain) is not None:
        raise ModelError(
            "WS501",
            f'task "{plain}" has no model yet',
            span=span,
            hint=f"CREATE MODEL m FOR TASK {plain} FROM … FEATURES (…) trains one",
        )
    known = [*snapshot.names("model"), *snapshot.names("task")]
    raise CatalogError(
        "WS201", f'there is no model and no task "{plain}"', span=span, hint=did_you_mean(plain, known), name=name
    )


def named(call: Call, name: str) -> Token | None:
    """Return the string that a call gives to a named argument, or None."""
    for tokens in call.arguments[1:]:
        if len(tokens) == 3 and tokens[0].text.lower() == name and tokens[1].text in (":=", "=>"):
            return tokens[2] if tokens[2].kind in STRINGS else None
    return None


def check_scored(rooms: Rooms, call: Call, name: str, snapshot: CatalogSnapshot) -> None:
    """Say which tasks of a model cannot be scored for want of gold.

    Raises
    ------
    CatalogError
        WS201 where ``task :=`` names a task the model does not have.
    """
    model = snapshot.find("model", name)
    tasks = [task for task, _ in snapshot.model(name).tasks] if model is not None else [snapshot.task(name).name]
    wanted = named(call, "task")
    if wanted is not None:
        tasks = [task for task in tasks if task.lower() == wanted.text.lower()] or tasks
        if tasks[0].lower() != wanted.text.lower():
            raise CatalogError(
                "WS201",
                f'"{name}" has no task "{wanted.text}"; it has {", ".join(tasks)}',
                span=Span(call.span.text, wanted.start, wanted.end, call.span.file),
                hint=did_you_mean(wanted.text, tasks),
                name=wanted.text,
            )
    for task in tasks:
        if snapshot.find("task", task) is not None and snapshot.task(task).gold is None:
            rooms.notice(f"{call.name}: task {task} has no GOLD to compare with")


def check_split(rooms: Rooms, call: Call, task: Task) -> None:
    """Raise where ``split :=`` names a split in which the task has no row.

    Raises
    ------
    SpecError
        WS304 with the nearest name of a split.
    """
    split = named(call, "split")
    if split is None or split.text in SPLITS:
        return
    rows = rooms.engine.table(f"rows_{task.name}")
    if not rooms.engine.rows(f"SELECT 1 FROM {rows} WHERE split = ? LIMIT 1", [split.text]):
        raise SpecError(
            "WS304",
            f"task \"{task.name}\" has no row in split '{split.text}'",
            span=Span(call.span.text, split.start, split.end, call.span.file),
            hint=did_you_mean(split.text, SPLITS) or "splits are train, dev and test",
        )


def rewrite(piece: Piece, found: Sequence[Call]) -> str:
    """Return the text with each subquery argument moved into a CTE next to its call; all else stays byte for byte."""
    moves = []
    for number, call in enumerate(found):
        for tokens in call.arguments[1:]:
            at = 2 if len(tokens) > 3 and tokens[1].text in (":=", "=>") else 0
            if tokens[at].word == "(" and tokens[-1].word == ")":
                moves.append((call.span, tokens[at].start, tokens[-1].end, f"__wsdb_query_{number}"))
                break
    return _moved(piece.span.text, piece.span.start, piece.span.end, moves)


def _moved(text: str, start: int, end: int, moves: Sequence[tuple[Span, int, int, str]]) -> str:
    """Return a stretch of the text after the moves in it: (the call, where its subquery starts and ends, its name)."""
    parts: list[str] = []
    for call, opens, closes, cte in moves:
        if not start <= call.start < call.end <= end:
            continue
        query = _moved(text, opens, closes, moves)
        before, after = text[call.start : opens], text[closes : call.end]
        parts += [text[start : call.start], f"(WITH {cte} AS {query} SELECT * FROM {before}{cte}{after})"]
        start = call.end
    return "".join([*parts, text[start:end]])


def explained(error: Exception, found: Sequence[Call]) -> WsdbError | None:
    """Return DuckDB's error about a call in wsdb's words, or None where it has none better."""
    text = str(error)
    call = next((call for call in found if call.name in MODEL_FUNCTIONS), None)
    if call is not None and 'does not have a column named "' in text and "__wsdb_row" in text:
        column = text.split('does not have a column named "')[1].split('"')[0]
        return ModelError(
            "WS502",
            f'{call.name} needs column "{column}", which the model was trained on and its input does not have',
            span=call.span,
            hint=f"select it, or alias another column AS {ident(column)}",
            column=column,
        )
    if call is not None and 'Values list "p" does not have a column named "' in text:
        column = text.split('does not have a column named "')[1].split('"')[0]
        return ModelError(
            "WS502",
            f'{call.name} needs column "{column}", the key by which gold is found, and its input does not have it',
            span=call.span,
            hint="select the task's key too",
            column=column,
        )
    if "[WS" in text and found:
        place = text.index("[WS")
        code = text[place + 1 : text.index("]", place)]
        message = text[text.index("]", place) + 1 :].lstrip(": ").split("\n")[0]
        return CLASSES.get(code[:3], ModelError)(code, message, span=found[0].span)
    return None
