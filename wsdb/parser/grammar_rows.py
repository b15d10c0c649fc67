"""CREATE SLICE, TAG, TRANSFORMATION FUNCTION, SOURCE and EMBEDDING, from the name on."""

from __future__ import annotations

from collections.abc import Callable

from wsdb.core.embedding import Embedding
from wsdb.core.slice import Slice, Tag
from wsdb.core.source import Source
from wsdb.core.transformation import TransformationFunction
from wsdb.parser.clauses import clauses_until_as, comment, distinct_names, query, tags
from wsdb.parser.cursor import Cursor
from wsdb.parser.statements import (
    CreateEmbedding,
    CreateSlice,
    CreateSource,
    CreateTag,
    CreateTransformationFunction,
)

Clauses = dict[str, tuple[str, Callable[[Cursor], object]]]
COMMENT: Clauses = {"COMMENT": ("comment", comment)}


def create_slice(cursor: Cursor) -> CreateSlice:
    """Parse CREATE SLICE."""
    return CreateSlice(spec=_group(cursor, "slice", Slice), span=cursor.span(0))


def create_tag(cursor: Cursor) -> CreateTag:
    """Parse CREATE TAG."""
    spec = _group(cursor, "tag", Tag)
    assert isinstance(spec, Tag)
    return CreateTag(spec=spec, span=cursor.span(0))


def _group(cursor: Cursor, kind: str, make: type[Slice]) -> Slice:
    name = cursor.name(kind)
    cursor.expect("ON")
    relation = cursor.relation()
    keys: Clauses = {"KEY": ("keys", lambda cursor: distinct_names(cursor, "key column", "WS301"))}
    fields = {"keys": ()} | clauses_until_as(cursor, keys | COMMENT)
    return make(name=name, relation=relation, sql=cursor.rest("body", "a condition or a SELECT"), **fields)  # type: ignore[arg-type]


def create_transformation_function(cursor: Cursor) -> CreateTransformationFunction:
    """Parse CREATE TRANSFORMATION FUNCTION."""
    name = cursor.name("transformation function")
    cursor.expect("ON")
    relation = cursor.relation()
    fields = clauses_until_as(cursor, COMMENT)
    spec = TransformationFunction(name=name, relation=relation, sql=query(cursor, "body"), **fields)  # type: ignore[arg-type]
    return CreateTransformationFunction(span=cursor.span(0), spec=spec)


def create_source(cursor: Cursor) -> CreateSource:
    """Parse CREATE SOURCE."""
    name = cursor.name("source")
    cursor.expect("FOR")
    relation = cursor.relation()
    fields = clauses_until_as(cursor, {"TAGS": ("tags", tags)} | COMMENT)
    spec = Source(name=name, relation=relation, sql=query(cursor, "body"), **fields)  # type: ignore[arg-type]
    return CreateSource(span=cursor.span(0), spec=spec)


def create_embedding(cursor: Cursor) -> CreateEmbedding:
    """Parse CREATE EMBEDDING."""
    name = cursor.name("embedding")
    cursor.expect("FROM")
    file = cursor.string("file")
    text = comment(cursor) if cursor.accept("COMMENT") else None
    return CreateEmbedding(span=cursor.span(0), spec=Embedding(name, file, text))
