"""Laws of canonical text: parsing it gives the spec back, and hashes follow the meaning only."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parser.strategies import SPECS
from wsdb.catalog.fingerprint import data_hash, metadata_hash
from wsdb.core.lf import Expression, LabelingFunction
from wsdb.parser.render import Spec, essence, render
from wsdb.parser.script import parse_one, split
from wsdb.parser.statements import Create


def parsed(text: str) -> Spec:
    statement = parse_one(text)
    assert isinstance(statement, Create)
    spec: Spec = statement.spec  # type: ignore[attr-defined]
    return spec


@given(SPECS)
@settings(max_examples=300)
def test_parsing_canonical_text_gives_the_spec_back(spec: Spec) -> None:
    assert parsed(render(spec)) == spec


@given(SPECS)
def test_canonical_text_is_one_statement_of_a_script(spec: Spec) -> None:
    text = render(spec)
    pieces = split(f"SELECT 1; {text};\nSELECT ';'")
    assert [piece.ours for piece in pieces] == [False, True, False]
    assert pieces[1].sql == text


@given(SPECS, st.text(max_size=5))
def test_a_comment_changes_the_metadata_hash_only(spec: Spec, comment: str) -> None:
    other = replace(spec, comment=comment)
    assert data_hash(other) == data_hash(spec)
    assert (metadata_hash(other) == metadata_hash(spec)) == (comment == spec.comment)


def test_layout_and_comments_inside_a_body_do_not_change_the_data_hash() -> None:
    one = LabelingFunction("lf", "t", Expression("CASE WHEN a > 1 THEN 'x' END"))
    two = replace(one, body=Expression("CASE  WHEN a>1 -- why\n  THEN 'x' END"))
    three = replace(one, body=Expression("CASE WHEN a > 2 THEN 'x' END"))
    assert data_hash(one) == data_hash(two) != data_hash(three)


def test_essence_keeps_the_case_of_strings_and_names() -> None:
    assert essence("a = 'X'") != essence("a = 'x'")
