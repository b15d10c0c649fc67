"""CREATE PAYLOAD and CREATE PRIMITIVE, from the name on."""

from __future__ import annotations

from wsdb.core.errors import SpecError, SyntaxError_
from wsdb.core.payload import SHAPES, Payload, Primitive, Spans
from wsdb.parser.clauses import clauses_until_as, comment, distinct_names, once, query
from wsdb.parser.cursor import Cursor
from wsdb.parser.statements import CreatePayload, CreatePrimitive


def create_payload(cursor: Cursor) -> CreatePayload:
    """Parse CREATE PAYLOAD."""
    name = cursor.name("payload")
    cursor.expect("ON")
    relation = cursor.relation()
    keys = distinct_names(cursor, "key column", "WS301") if cursor.accept("KEY") else ()
    if not cursor.accept("AS"):
        raise cursor.wrong("AS") if keys else cursor.wrong("KEY", "AS")
    shape = next((shape for shape in SHAPES if cursor.accept(shape.upper())), None)
    if shape is None:
        raise cursor.wrong(*(shape.upper() for shape in SHAPES))
    columns = distinct_names(cursor, "payload column", "WS331")
    fields: dict[str, object] = {}
    seen: set[str] = set()
    while not cursor.done:
        if cursor.accept("FROM", "PAYLOADS"):
            once(cursor, seen, "FROM PAYLOADS")
            fields["from_payloads"] = distinct_names(cursor, "source payload", "WS331")
        elif cursor.accept("SPANS"):
            once(cursor, seen, "SPANS")
            fields["spans"] = _spans(cursor, shape)
        elif cursor.accept("EMBED", "WITH"):
            once(cursor, seen, "EMBED WITH")
            fields["embedding"] = cursor.name("embedding")
            fields["frozen"] = cursor.accept("FREEZE") or not cursor.accept("FINETUNE")
        elif cursor.accept("COMMENT"):
            once(cursor, seen, "COMMENT")
            fields["comment"] = comment(cursor)
        else:
            raise cursor.wrong("FROM PAYLOADS", "SPANS", "EMBED WITH", "COMMENT")
    spec = Payload(name=name, relation=relation, keys=keys, shape=shape, columns=columns, **fields)  # type: ignore[arg-type]
    _check(cursor, spec)
    return CreatePayload(span=cursor.span(0), spec=spec)


def _spans(cursor: Cursor, shape: str) -> Spans:
    word = cursor.at - 1
    of = cursor.name("span payload")
    column = cursor.names("span column")
    if len(column) != 1:
        raise SyntaxError_("WS101", "SPANS takes one column", span=cursor.spans["span column"])
    if shape == "singleton":
        raise SpecError("WS331", "a SINGLETON payload has no elements that could be spans", span=cursor.span_of(word))
    return Spans(of, column[0])


def _check(cursor: Cursor, spec: Payload) -> None:
    """Raise WS331 where a payload is made from itself, or from others in two ways."""
    if spec.spans is not None and spec.from_payloads:
        raise SpecError("WS331", "a payload has FROM PAYLOADS or SPANS, not both", span=cursor.spans["span payload"])
    own = spec.name.lower()
    places = {other.lower(): cursor.spans[f"source payload {other.lower()}"] for other in spec.from_payloads}
    if spec.spans is not None:
        places[spec.spans.payload.lower()] = cursor.spans["span payload"]
    if own in places:
        raise SpecError("WS331", f'payload "{spec.name}" cannot be made from itself', span=places[own])


def create_primitive(cursor: Cursor) -> CreatePrimitive:
    """Parse CREATE PRIMITIVE; its SELECT reaches to the end of the statement."""
    name = cursor.name("primitive")
    cursor.expect("ON")
    relation = cursor.relation()
    fields = {"keys": ()} | clauses_until_as(
        cursor,
        {
            "KEY": ("keys", lambda cursor: distinct_names(cursor, "key column", "WS301")),
            "COMMENT": ("comment", comment),
        },
    )
    spec = Primitive(name=name, relation=relation, sql=query(cursor, "body"), **fields)  # type: ignore[arg-type]
    return CreatePrimitive(span=cursor.span(0), spec=spec)
