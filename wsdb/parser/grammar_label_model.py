"""CREATE LABEL MODEL, from the name on."""

from __future__ import annotations

from wsdb.core.errors import SpecError, did_you_mean
from wsdb.core.specs import LabelModelSpec
from wsdb.parser.clauses import LABEL_MODEL_METHODS, LABEL_MODEL_OPTIONS, choice_options, comment, once, tasks
from wsdb.parser.cursor import Cursor
from wsdb.parser.statements import CreateLabelModel


def create_label_model(cursor: Cursor) -> CreateLabelModel:
    """Parse CREATE LABEL MODEL; the clauses behind the tasks may stand in any order."""
    name = cursor.name("label model")
    cursor.expect("FOR")
    own = tasks(cursor)
    fields: dict[str, object] = {}
    seen: set[str] = set()
    while not cursor.done:
        if cursor.accept("GRAPH"):
            once(cursor, seen, "GRAPH")
            fields["graph"] = cursor.name("task graph")
        elif cursor.accept("USING"):
            once(cursor, seen, "USING")
            fields["method"] = _method(cursor)
        elif cursor.accept("WITH"):
            once(cursor, seen, "WITH")
            fields.update(choice_options(cursor, "label model", LABEL_MODEL_OPTIONS))
        elif cursor.accept("COMMENT"):
            once(cursor, seen, "COMMENT")
            fields["comment"] = comment(cursor)
        else:
            raise cursor.wrong("GRAPH", "USING", "WITH", "COMMENT")
    if "tol" in fields:
        fields["tol"] = float(fields["tol"])  # type: ignore[arg-type]  # 1 and 1.0 are the same option
    spec = LabelModelSpec(name=name, task=own[0], tasks=own, **fields)  # type: ignore[arg-type]
    return CreateLabelModel(span=cursor.span(0), spec=spec)


def _method(cursor: Cursor) -> str:
    method = cursor.name("method").lower()
    if method not in LABEL_MODEL_METHODS:
        raise SpecError(
            "WS305",
            f'unknown label model method "{method}"',
            span=cursor.spans["method"],
            hint=did_you_mean(method, LABEL_MODEL_METHODS) or f"methods are {', '.join(LABEL_MODEL_METHODS)}",
        )
    return method
