"""Everything a user can write, and every error code, stands in docs/reference/; pages are what their blocks give."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

from tests.slt.runner import REQUIREMENTS

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Return docs/_generate/reference.py."""
    if not REQUIREMENTS["torch"]():
        pytest.skip("requires torch")
    sys.path.insert(0, str(ROOT / "docs" / "_generate"))
    try:
        return importlib.import_module("reference")
    finally:
        sys.path.pop(0)


def page(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def headings(text: str) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE))


def test_columns_of_table_functions_need_no_quotes() -> None:
    functions = page("sql.md").split("## Table functions")[1]
    columns = set(re.findall(r"^\| `([^`]+)` \|", functions, flags=re.MULTILINE))
    reserved = set()
    for name in columns:
        try:
            duckdb.sql(f'SELECT {name} FROM (SELECT 1 AS "{name}")')
        except duckdb.ParserException:
            reserved.add(name)
    assert reserved == {"overlaps"}  # the word that Snorkel's users know


def test_every_statement_is_in_the_sql_reference(reference: ModuleType) -> None:
    titles = {reference.title(cls) for cls in reference.statement_classes()}
    assert len(titles) == len(reference.statement_classes())
    assert sorted(titles - headings(page("sql.md"))) == []


def test_every_table_function_is_in_the_sql_reference(reference: ModuleType) -> None:
    from wsdb.session.calls import FUNCTIONS

    macros = {name for name, _, _ in reference.macro_entries()}
    assert macros == set(FUNCTIONS), "sql/functions.sql and wsdb/session/calls.py name different functions"
    assert sorted(set(FUNCTIONS) - headings(page("sql.md"))) == []


def test_every_option_and_setting_is_in_the_sql_reference() -> None:
    from wsdb.model.spec import OPTIONS
    from wsdb.parser.clauses import LABEL_MODEL_METHODS, LABEL_MODEL_OPTIONS, LABELING_FUNCTION_OPTIONS
    from wsdb.parser.grammar import SETTINGS

    rows = set(re.findall(r"^\| `(\w+)` \|", page("sql.md"), flags=re.MULTILINE))
    assert sorted({*OPTIONS, *LABELING_FUNCTION_OPTIONS, *LABEL_MODEL_OPTIONS, *SETTINGS} - rows) == []
    assert all(f"`{method}`" in page("sql.md") for method in LABEL_MODEL_METHODS)


def test_every_error_code_is_in_the_error_reference(reference: ModuleType) -> None:
    codes = reference.codes_in_source()
    assert sorted(codes - set(reference.EXAMPLES)) == [], "add them to docs/_generate/error_examples.py"
    assert sorted(set(reference.EXAMPLES) - codes) == [], "no code of wsdb/ raises these any more"
    assert sorted(codes - headings(page("errors.md"))) == [], "run make docs"


def test_an_error_code_has_one_class(reference: ModuleType) -> None:
    classes: dict[str, set[str]] = {}
    for place in reference.raised():
        classes.setdefault(place.code, set()).add(place.label)
    assert {code: found for code, found in classes.items() if len(found) > 1} == {}


def test_every_example_gives_the_error_that_it_stands_for(reference: ModuleType) -> None:
    wrong = {
        code: text
        for code, example in reference.EXAMPLES.items()
        if example.sql and f"[{code}]:" not in (text := reference.provoked(example))
    }
    assert wrong == {}


def test_every_stored_table_is_in_the_storage_reference() -> None:
    from wsdb.core.resources import read_sql

    names = set(
        re.findall(r"CREATE (?:OR REPLACE )?(?:TABLE|VIEW) (?:IF NOT EXISTS )?(wsdb\.\w+)", read_sql("catalog.sql"))
    )
    per_task = set(re.findall(r"^--   (wsdb\.\w+_t)\b", read_sql("catalog.sql"), flags=re.MULTILINE))
    assert sorted((names | per_task) - headings(page("storage.md"))) == []


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("sql.md", ("statements", "labeling_function_options", "label_model_options", "model_options", "settings")),
        ("errors.md", ("errors",)),
        ("storage.md", ("storage", "task_storage")),
    ],
)
def test_a_page_is_what_its_blocks_give(reference: ModuleType, name: str, parts: tuple[str, ...]) -> None:
    if not REQUIREMENTS["duckdb2"]():
        pytest.skip("DuckDB 1.5 words some errors and types differently")
    text = page(name)
    assert [part for part in parts if getattr(reference, part)() not in text] == [], "run make docs"
