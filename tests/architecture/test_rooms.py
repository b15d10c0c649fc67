"""What the import contract in pyproject.toml cannot say: weight, size, names, completeness."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWNERS = {
    "core": "Spec",
    "parser": "Statement",
    "catalog": "Catalog",
    "planner": "Plan",
    "engine": "Engine",
    "labelmodel": "LabelModel",
    "suggest": "Suggestion",
    "model": "Network",
    "monitor": "Report",
    "session": "Session",
    "serve": "Predictor",
    "project": "Project",
    "cli": "Command",
}
HEAVY = ("torch", "pyspark", "polars", "pandas")
MAX_LINES = 500


def modules() -> list[Path]:
    return sorted((ROOT / "wsdb").rglob("*.py"))


def test_import_wsdb_loads_nothing_heavy() -> None:
    script = "import sys, json, wsdb; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert not set(HEAVY) & set(json.loads(run.stdout))


def test_the_rooms_are_the_ones_that_have_an_owner() -> None:
    rooms = {path.parent.name for path in (ROOT / "wsdb").glob("*/__init__.py")}
    assert rooms == set(OWNERS)


@pytest.mark.parametrize("room", sorted(OWNERS))
def test_a_rooms_docstring_starts_with_its_owner(room: str) -> None:
    tree = ast.parse((ROOT / "wsdb" / room / "__init__.py").read_text(encoding="utf-8"))
    assert (ast.get_docstring(tree) or "").startswith(f"{OWNERS[room]}:")


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules()
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_no_module_is_longer_than_500_lines() -> None:
    folders = ("wsdb", "tests", "bench", "extensions", "examples")
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := path.read_text(encoding="utf-8").count("\n")) > MAX_LINES
    }
    assert not long


def names_from_sqlglot(tree: ast.AST) -> set[str]:
    """Return the names that a module binds by importing from sqlglot, or sqlglot itself."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sqlglot":
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {
                alias.asname or alias.name.split(".")[0]
                for alias in node.names
                if alias.name.split(".")[0] == "sqlglot"
            }
    return names


def sqlglot_subclasses(tree: ast.AST) -> list[str]:
    """Return the classes of a module that inherit from a name imported from sqlglot."""
    names = names_from_sqlglot(tree)
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if (dotted := ast.unparse(base)) and dotted.split(".")[0].split("[")[0] in names
    ]


def test_no_class_inherits_from_sqlglot() -> None:
    heirs = {
        str(path.relative_to(ROOT)): found
        for path in modules()
        if (found := sqlglot_subclasses(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert not heirs


@pytest.mark.parametrize(
    "source",
    [
        "from sqlglot.dialects import DuckDB\nclass Mine(DuckDB): ...",
        "import sqlglot as sg\nclass Mine(sg.Parser): ...",
        "import sqlglot.parser\nclass Mine(sqlglot.parser.Parser): ...",
    ],
)
def test_the_search_for_heirs_of_sqlglot_finds_them(source: str) -> None:
    assert sqlglot_subclasses(ast.parse(source)) == ["Mine"]


def concrete(module: ModuleType, base: type) -> set[type]:
    """Return the subclasses of `base` that `module` defines and that have none of their own there."""
    classes = {item for item in vars(module).values() if isinstance(item, type) and issubclass(item, base)}
    return {cls for cls in classes if not any(other is not cls and issubclass(other, cls) for other in classes)}


def test_every_statement_has_an_executor() -> None:
    from wsdb.parser import statements
    from wsdb.session.executors import EXECUTORS

    known = concrete(statements, statements.Statement) - {statements.Statement}
    assert known, "wsdb/parser/statements.py defines no statements"
    missing = sorted(cls.__name__ for cls in known if cls not in EXECUTORS)
    assert not missing
