"""Calls of wsdb's table functions inside ordinary SQL: checked, refreshed and, for subqueries, rewritten."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError, DataError, EnvironmentError_, ModelError, SpecError, WsdbError
from wsdb.core.sqltext import ident
from wsdb.parser.script import Piece
from wsdb.serve.macros import FUNCTION
from wsdb.serve.predictor import install, installed
from wsdb.session import arguments, model_arguments, run_labels, run_study
from wsdb.session.calls import (
    FUNCTIONS,
    HISTORY_FUNCTIONS,
    MATRIX_FUNCTIONS,
    MODEL_FUNCTIONS,
    OTHER_FUNCTIONS,
    STUDIES,
    Call,
    argument,
    calls,
    constant,
    first_argument,
    rewrite,
)
from wsdb.session.rooms import Rooms, create_functions
from wsdb.session.run_shapes import has_spans

CLASSES: dict[str, type[WsdbError]] = {
    "WS2": CatalogError,
    "WS3": SpecError,
    "WS4": DataError,
    "WS7": EnvironmentError_,
}
"""The classes of errors that SQL raises by error(), or a function of Python's, by the first digit of their code."""


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
    lost = [call for call in own if not snapshot.entries and call.name not in OTHER_FUNCTIONS]
    if lost or (own and not rooms.catalog.exists()):
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
        entry = snapshot.entry("model", name, span)
        if call.name in STUDIES:
            try:
                given = partial(argument, call, piece=piece, parameters=parameters)
                run_study.read(rooms, call.name, entry.name, snapshot, given)
            except WsdbError as error:
                raise error.at(span) from error.__cause__
    elif call.name in MODEL_FUNCTIONS:
        given = partial(argument, call, piece=piece, parameters=parameters)
        model_arguments.check_model(name, span, snapshot)
        model_arguments.check_labels(rooms, name, snapshot)
        if call.name != "predict":
            model_arguments.check(rooms, call, name, snapshot, given)
    else:
        task = snapshot.task(name, span)
        given = partial(argument, call, piece=piece, parameters=parameters)
        arguments.check(rooms, task, given)
        if call.name == "label_spans" and not has_spans(task):
            raise SpecError(
                "WS340",
                f'the labels of task "{task.name}" are not those of spans: O, B-… and I-… on a SEQUENCE payload',
                span=span,
                hint=f"labels('{task.name}') has them",
            )
        matrix_only = call.name in MATRIX_FUNCTIONS
        try:
            run_labels.read_labels(rooms, snapshot, task, matrix_only=matrix_only)
            if call.name == "label_model_report" and rooms.settings.auto_refresh and not rooms.engine.read_only:
                run_labels.refresh_report(rooms, task)
        except WsdbError as error:
            raise error.at(call.span) from error.__cause__
        arguments.check_columns(rooms, task, given)
        if call.name == "explain_row":
            arguments.check_row(rooms, task, constant(call, "key", piece, parameters))


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
    key = re.search(r'(?:Values list|Table) "(?:p|r|e|__wsdb_row)" does not have a column named "([^"]*)"', text)
    if call is not None and key is not None:
        return ModelError(
            "WS502",
            f'{call.name} needs column "{key[1]}", the key by which gold is found, and its input does not have it',
            span=call.span,
            hint="select the task's key too",
            column=key[1],
        )
    if call is not None and "empty set of columns" in text:
        return SpecError(
            "WS312",
            f"{call.name}: by names neither slice, tag, source, split nor a column of the input",
            span=call.span,
        )
    if "[WS" in text and found:
        place = text.index("[WS")
        code = text[place + 1 : text.index("]", place)]
        message = text[text.index("]", place) + 1 :].lstrip(": ").split("\n")[0]
        hint = re.search(r"^hint: (.*)$", text[place:], re.MULTILINE)
        return CLASSES.get(code[:3], ModelError)(code, message, span=found[0].span, hint=hint[1] if hint else None)
    return None
