"""Calls of wsdb's table functions in ordinary SQL: where they stand, what they name, how their text is rewritten."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wsdb.core.span import Span
from wsdb.core.sqltext import literal
from wsdb.parser.cursor import STRINGS, Token
from wsdb.parser.script import Piece

MATRIX_FUNCTIONS = ("label_matrix", "label_votes")
LABEL_FUNCTIONS = (
    "labels", "label_spans", "label_model", "lf_summary", "lf_conflicts", "lf_dependencies", "label_confusion",
    "lf_errors", "lf_confusion", "label_buckets", "coverage_gaps", "sample_for_review", "label_issues", "explain_row",
    "label_model_report",
)  # fmt: skip
MODEL_FUNCTIONS = (
    "predict", "evaluate", "confusion_matrix", "roc_curve", "pr_curve", "calibration", "compare", "error_attribution",
    "explain_predict", "slices", "constraint_violations",
)  # fmt: skip
HISTORY_FUNCTIONS = ("model_versions", "training_info", "feature_info", "trials", "learning_curve", "task_transfer")
STUDIES = ("learning_curve", "task_transfer")
OTHER_FUNCTIONS = ("lineage", "wsdb_objects")
RELATION_FUNCTIONS = (*MODEL_FUNCTIONS, "label_issues")
"""Functions with an argument that is a relation, which may be written as a bare name."""
PARAMETERS = {
    "label_matrix": ("task", "split"),
    "lf_summary": ("task", "split"),
    "lf_errors": ("task", "lf", "n"),
    "lf_confusion": ("task", "lf"),
    "label_buckets": ("task", "lf_a", "lf_b"),
    "coverage_gaps": ("task", "by"),
    "sample_for_review": ("task", "n", "strategy", "seed"),
    "explain_row": ("task", "key"),
    "label_model_report": ("task", "split"),
    "evaluate": ("model", "tbl", "task", "by"),
    "confusion_matrix": ("model", "tbl", "task", "slice", "tag"),
    "roc_curve": ("model", "tbl", "task", "label", "slice", "tag"),
    "pr_curve": ("model", "tbl", "task", "label", "slice", "tag"),
    "calibration": ("model", "tbl", "task", "slice", "tag"),
    "compare": ("model", "other", "tbl", "task", "by"),
    "error_attribution": ("model", "tbl"),
    "explain_predict": ("model", "tbl", "top_k", "task"),
    "slices": ("model", "tbl"),
    "constraint_violations": ("model", "tbl"),
    "learning_curve": ("model", "seeds"),
    "task_transfer": ("model", "seeds", "most"),
}
"""Parameters by place, of the functions whose arguments are checked."""
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


BOUND = ("PLACEHOLDER", "PARAMETER")
"""Kinds of the tokens that a bound value begins with."""
MAY_CALL = re.compile(rf"\b(?:{'|'.join(FUNCTIONS)})\"?\s*\(", re.IGNORECASE)


def may_call(text: str) -> bool:
    """Return whether a text may call one of the table functions; False is certain, True is not."""
    return MAY_CALL.search(text) is not None


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


def first_argument(call: Call, piece: Piece, parameters: Any) -> tuple[str | None, Span]:
    """Return the name a call starts with, where it is a string or a bound parameter, and its place."""
    if not call.arguments:
        return None, call.span
    tokens = call.arguments[0]
    if not tokens:
        return None, call.span
    if len(tokens) > 2 and tokens[1].text in (":=", "=>"):
        tokens = tokens[2:]
    if len(tokens) == 1 and tokens[0].kind in ("VAR", "IDENTIFIER"):
        return tokens[0].text, _span(call, tokens)
    return _text(_given(tokens, piece, parameters)), _span(call, tokens)


def argument(call: Call, name: str, piece: Piece, parameters: Any) -> tuple[Any, Span] | None:
    """Return what a call gives for a parameter, by place or by name, and where it stands.

    Strings, whole numbers and bound parameters are read; anything else is None, and so is a parameter not given.
    """
    tokens = _tokens(call, name)
    value = None if tokens is None else _given(tokens, piece, parameters)
    return None if tokens is None or value is None else (value, _span(call, tokens))


def constant(call: Call, name: str, piece: Piece, parameters: Any) -> tuple[str, list[Any], Span] | None:
    """Return the SQL of an argument that is a constant, with the value bound to it, and where it stands.

    One that calls a function may be another value each time, so it is none; nor are parts of it that are bound.
    """
    tokens = _tokens(call, name)
    if tokens is None:
        return None
    span = _span(call, tokens)
    if tokens[0].kind in BOUND and len(tokens) <= 2:
        return "?", [_given(tokens, piece, parameters)], span
    after = [*(token.word for token in tokens[1:]), ""]
    called = any(token.text.isidentifier() and word == "(" for token, word in zip(tokens, after, strict=True))
    return None if called or any(token.kind in BOUND for token in tokens) else (span.slice, [], span)


def _tokens(call: Call, name: str) -> tuple[Token, ...] | None:
    """Return what stands for a parameter of a call, by place or by name."""
    places = PARAMETERS.get(call.name, ())
    for at, tokens in enumerate(call.arguments):
        if len(tokens) > 2 and tokens[1].text in (":=", "=>"):
            known, tokens = tokens[0].text.lower(), tokens[2:]
        else:
            known = places[at] if at < len(places) else ""
        if known == name:
            return tokens or None  # DuckDB says that nothing stands between two commas
    return None


def _span(call: Call, tokens: Sequence[Token]) -> Span:
    return Span(call.span.text, tokens[0].start, tokens[-1].end, call.span.file)


def _given(tokens: Sequence[Token], piece: Piece, parameters: Any) -> Any:
    """Return the value of an argument: a string, a whole number or what is bound to a parameter; None for others."""
    if len(tokens) == 1 and tokens[0].kind in STRINGS:
        return tokens[0].text
    digits = "".join(token.text for token in tokens)
    if tokens[-1].kind == "NUMBER" and digits.removeprefix("-").isdigit():
        return int(digits)
    if tokens[0].kind == "PLACEHOLDER" and isinstance(parameters, Sequence):
        place = sum(token.kind == "PLACEHOLDER" and token.start < tokens[0].start for token in piece.tokens)
        return parameters[place] if place < len(parameters) else None
    if tokens[0].kind == "PARAMETER" and len(tokens) == 2:
        word = tokens[1].text
        if isinstance(parameters, Mapping):
            return parameters.get(word)
        if isinstance(parameters, Sequence) and word.isdigit() and 0 < int(word) <= len(parameters):
            return parameters[int(word) - 1]
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def rewrite(piece: Piece, found: Sequence[Call]) -> str:
    """Return the text with each subquery argument moved into a CTE next to its call; all else stays byte for byte."""
    moves: list[tuple[Span, int, int, str | None]] = []
    for number, call in enumerate(found):
        for tokens in call.arguments[1:]:
            at = 2 if len(tokens) > 3 and tokens[1].text in (":=", "=>") else 0
            if call.name not in RELATION_FUNCTIONS or not tokens:
                continue
            if tokens[at].word == "(" and tokens[-1].word == ")":
                moves.append((call.span, tokens[at].start, tokens[-1].end, f"__wsdb_query_{number}"))
                break
            if all(_is_name(token) for token in tokens[at:]):
                # A bare name that is in scope would be taken for a lateral reference to its rows.
                moves.append((call.span, tokens[at].start, tokens[-1].end, None))
                break
    return _moved(piece.span.text, piece.span.start, piece.span.end, moves)


def _is_name(token: Token) -> bool:
    return token.text == "." or (
        token.kind not in STRINGS and (token.kind == "IDENTIFIER" or token.text.isidentifier())
    )


def _moved(text: str, start: int, end: int, moves: Sequence[tuple[Span, int, int, str | None]]) -> str:
    """Return a stretch of the text after the moves in it.

    Parameters
    ----------
    moves : the call, where its argument starts and ends, and the CTE that a subquery becomes; None for a bare name,
        which becomes a string
    """
    parts: list[str] = []
    for call, opens, closes, cte in moves:
        if not start <= call.start < call.end <= end:
            continue
        if cte is None:
            parts += [text[start:opens], literal(text[opens:closes])]
            start = closes
            continue
        query = _moved(text, opens, closes, moves)
        before, after = text[call.start : opens], text[closes : call.end]
        parts += [text[start : call.start], f"(WITH {cte} AS {query} SELECT * FROM {before}{cte}{after})"]
        start = call.end
    return "".join([*parts, text[start:end]])
