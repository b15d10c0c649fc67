"""CREATE: which function reads which kind of object, from the name on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wsdb.core.errors import SyntaxError_
from wsdb.parser.cursor import Cursor
from wsdb.parser.grammar_constraint import create_constraint
from wsdb.parser.grammar_graph import create_task_graph
from wsdb.parser.grammar_label_model import create_label_model
from wsdb.parser.grammar_lf import create_labeling_function
from wsdb.parser.grammar_model import create_feature_set, create_model
from wsdb.parser.grammar_payload import create_payload, create_primitive
from wsdb.parser.grammar_rows import (
    create_embedding,
    create_slice,
    create_source,
    create_tag,
    create_transformation_function,
)
from wsdb.parser.grammar_task import create_task
from wsdb.parser.kinds import read_kind
from wsdb.parser.statements import Create

CREATORS: dict[str, Callable[[Cursor], Create]] = {
    "task": create_task,
    "task graph": create_task_graph,
    "payload": create_payload,
    "primitive": create_primitive,
    "labeling function": create_labeling_function,
    "label model": create_label_model,
    "feature set": create_feature_set,
    "model": create_model,
    "slice": create_slice,
    "tag": create_tag,
    "transformation function": create_transformation_function,
    "constraint": create_constraint,
    "embedding": create_embedding,
    "source": create_source,
}


def create(cursor: Cursor) -> Create:
    """Parse any CREATE statement.

    Raises
    ------
    SyntaxError_
        WS104 where OR REPLACE and IF NOT EXISTS are both said.
    """
    cursor.expect("CREATE")
    or_replace = cursor.accept("OR", "REPLACE")
    kind = read_kind(cursor)
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
