"""Objects as rows: new versions, what only describes, renames in all that name an object, and loading it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pytest

from wsdb.catalog.catalog import Catalog
from wsdb.catalog.check import check_references
from wsdb.core.errors import CatalogError
from wsdb.core.lf import LabelingFunction, Votes
from wsdb.parser.render import Spec, render
from wsdb.parser.script import parse_one, split

SCRIPT = """
CREATE PAYLOAD tokens ON queries KEY (qid) AS SEQUENCE (tokens);
CREATE PAYLOAD query ON queries AS SINGLETON (query) FROM PAYLOADS (Tokens);
CREATE PRIMITIVE shape ON queries AS SELECT qid, len(tokens) AS n FROM queries;
CREATE TASK pos ON queries KEY (qid) PAYLOAD tokens TYPE MULTICLASS ('NOUN', 'VERB');
CREATE TASK ner ON queries KEY (qid) PAYLOAD tokens TYPE MULTICLASS ('PER', 'O') DEPENDS ON (POS);
CREATE TASK GRAPH g (ner 'PER' IMPLIES pos 'NOUN');
CREATE LF gaz FOR TASKS (NER, pos) KIND kb TAGS ('x') VOTE (ner 'PER', pos 'NOUN') WHEN value = 'obama';
CREATE LF crowd FOR TASK ner DEPENDS ON (gaz) FROM VOTES crowd (qid, pos, worker, label);
CREATE LABEL MODEL lm FOR TASKS (ner, pos) GRAPH G;
"""


def put(catalog: Catalog, text: str, **how: bool) -> str:
    """Check and store the object of one statement; say what was done."""
    statement = parse_one(text)
    spec: Spec = statement.spec  # type: ignore[attr-defined]
    return catalog.put(check_references(spec, catalog.definitions(), statement), **how)


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    """A catalog with one of every new kind of object."""
    with duckdb.connect() as con:
        found = Catalog(con, "memory")
        found.create()
        for piece in split(SCRIPT):
            assert put(found, piece.sql) == "created"
        yield found


def sql_of(catalog: Catalog, kind: str, name: str) -> str:
    return render(catalog.definitions().entry(kind, name).spec)


def test_names_are_stored_as_their_objects_are_spelled(catalog: Catalog) -> None:
    assert "FOR TASKS (ner, pos)" in sql_of(catalog, "labeling function", "GAZ")
    assert "FROM PAYLOADS (tokens)" in sql_of(catalog, "payload", "query")
    assert "GRAPH g" in sql_of(catalog, "label model", "lm")
    assert "DEPENDS ON (pos)" in sql_of(catalog, "task", "ner")


def test_lists_by_kind(catalog: Catalog) -> None:
    found = catalog.definitions()
    assert [spec.name for spec in found.payloads()] == ["query", "tokens"]
    assert [spec.name for spec in found.primitives()] == ["shape"]
    assert [spec.tasks for spec in found.task_graphs()] == [("ner", "pos")]
    assert [lf.name for lf in found.lfs("pos")] == ["gaz"]


def test_votes_on_a_payload_have_the_position_in_their_key(catalog: Catalog) -> None:
    body = catalog.definitions().labeling_function("crowd").body
    assert isinstance(body, Votes)
    assert (body.keys, body.source, body.label) == (("qid", "pos"), "worker", "label")


def test_a_rename_reaches_all_that_name_the_object(catalog: Catalog) -> None:
    catalog.rename("payload", "tokens", "words")
    assert "PAYLOAD words" in sql_of(catalog, "task", "pos")
    assert "FROM PAYLOADS (words)" in sql_of(catalog, "payload", "query")
    assert catalog.definitions().find("payload", "tokens") is None
    catalog.rename("labeling function", "gaz", "people")
    assert "DEPENDS ON (people)" in sql_of(catalog, "labeling function", "crowd")
    catalog.rename("task graph", "g", "rules")
    assert "GRAPH rules" in sql_of(catalog, "label model", "lm")
    names = [entry.name for entry in catalog.definitions().entries.values() if entry.kind == "labeling function"]
    assert names == ["people", "crowd"], "the order of columns of the label matrix stays"
    with pytest.raises(CatalogError) as caught:
        catalog.rename("payload", "words", "QUERY")
    assert caught.value.code == "WS202"


def test_an_altered_object_keeps_what_it_was_made_from(catalog: Catalog) -> None:
    statement = parse_one("CREATE LF f FOR TASK pos VOTE 'NOUN' WHEN true")
    catalog.put(statement.spec, parents=[("relation", "queries")])  # type: ignore[attr-defined]
    entry = catalog.definitions().entry("labeling function", "f")
    catalog.alter(entry, replace(entry.spec, enabled=False))  # type: ignore[call-arg]
    after = catalog.definitions().entry("labeling function", "f")
    assert isinstance(after.spec, LabelingFunction) and not after.spec.enabled
    assert after.version == entry.version + 1
    rows = catalog._con.execute(
        "SELECT from_kind, from_name FROM wsdb.lineage_edges WHERE to_name = 'f' AND to_version = 2 ORDER BY ALL"
    ).fetchall()
    assert rows == [("relation", "queries"), ("task", "pos")]


def test_what_describes_an_object_makes_no_version(catalog: Catalog) -> None:
    same = "FOR TASKS (ner, pos) TAGS ('y', 'z') NONSERVABLE VOTE (pos 'NOUN', ner 'PER') WHEN value='obama'"
    before = catalog.definitions().entry("labeling function", "gaz")
    assert put(catalog, f"CREATE LF gaz {same}", or_replace=True) == "commented"
    assert put(catalog, f"CREATE LF gaz {same}", or_replace=True) == "unchanged"
    after = catalog.definitions().entry("labeling function", "gaz")
    assert (after.version, after.data_hash) == (before.version, before.data_hash)
    rows = catalog._con.execute("SELECT tags, kind, servable FROM wsdb.lf_details WHERE lf = 'gaz'").fetchall()
    assert rows == [(["y", "z"], None, False)]
    catalog.comment("labeling function", "gaz", "people")
    assert catalog.definitions().labeling_function("gaz").tags == ("y", "z")
    catalog.drop("labeling function", "gaz")
    assert catalog._con.execute("SELECT lf FROM wsdb.lf_details").fetchall() == [("crowd",)]
