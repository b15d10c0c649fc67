"""What is written beside the code is true: paths exist, tests are described, decisions made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.slt.records import read_slt

ROOT = Path(__file__).resolve().parents[2]
TOP = ("wsdb", "sql", "extensions", "tests", "examples", "bench", "docs")
_PATH = re.compile(rf"(?<![\w/.$~}}>:-])(?:{'|'.join(TOP)})/[\w./*-]*[<{{]?")
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def pages() -> list[Path]:
    names = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
    return [ROOT / name for name in names if (ROOT / name).exists()] + sorted((ROOT / "docs").rglob("*.md"))


def paths_in(text: str) -> set[str]:
    """Return the repository paths written in `text`: with a suffix, a final slash, or in backticks.

    A path that ends in a placeholder (``tests/sql/<room>``) stands for the folder before it.
    """
    whole = {code.strip() for code in _CODE.findall(text)}
    found: set[str] = set()
    for match in _PATH.findall(text):
        path = match
        if path[-1] in "<{":
            path = path[:-1].rpartition("/")[0] + "/"
        path = path.rstrip(".-")
        last = path.rpartition("/")[2]
        if not last or "." in last or path in whole:
            found.add(path)
    return found


def missing(text: str, folder: Path) -> list[str]:
    """Return the paths in `text`, and the link targets seen from `folder`, that do not exist."""
    gone = [path for path in paths_in(text) if not any(ROOT.glob(path.rstrip("/")))]
    targets = [target for target in _LINK.findall(text) if not re.match(r"[a-z]+:", target)]
    return sorted(gone + [target for target in targets if not (folder / target).exists()])


def test_every_path_written_in_the_docs_exists() -> None:
    gone = {
        str(page.relative_to(ROOT)): found
        for page in pages()
        if (found := missing(page.read_text(encoding="utf-8"), page.parent))
    }
    assert not gone


def test_the_search_for_paths_finds_them() -> None:
    text = (
        "See wsdb/core/task.py, `wsdb/core` and tests/sql/<room>/<behaviour>.test; sql/python is a kind.\n"
        "Also docs/a.md. And https://x.org/docs/b.md, my/docs/c.md, bench/bench_*.py, ${TMP}/sql/x.sql"
    )
    assert paths_in(text) == {"wsdb/core/task.py", "wsdb/core", "tests/sql/", "docs/a.md", "bench/bench_*.py"}
    assert missing("[a](nowhere.md) [b](#x) [c](https://x.org) `tests/nope`", ROOT) == [
        "nowhere.md",
        "tests/nope",
    ]


def test_the_architecture_names_every_room() -> None:
    page = ROOT / "ARCHITECTURE.md"
    if not page.exists():
        pytest.fail("ARCHITECTURE.md is missing")
    text = page.read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "wsdb").glob("*/__init__.py")]
    assert [room for room in sorted(rooms) if not re.search(rf"\b{room}\b", text)] == []


def test_every_sql_test_keeps_to_the_format_and_has_a_description() -> None:
    folder = ROOT / "tests" / "sql"
    files = [path for path in sorted(folder.rglob("*.test*")) if path.suffix in (".test", ".test_slow")]
    silent = [str(path.relative_to(ROOT)) for path in files if not read_slt(path).header.get("description")]
    assert not silent


def test_every_decision_record_has_its_five_parts() -> None:
    parts = ("Context", "Options", "Decision", "Consequences", "Status")
    incomplete: dict[str, list[str]] = {}
    for path in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        text = path.read_text(encoding="utf-8")
        sections = dict(re.findall(r"^#+ *(\w+)[^\n]*\n(.*?)(?=^#|\Z)", text, flags=re.MULTILINE | re.DOTALL))
        if empty := [part for part in parts if not sections.get(part, "").strip()]:
            incomplete[path.name] = empty
    assert not incomplete
