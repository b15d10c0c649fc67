"""Every error code has a test: a `.test` file or a pytest that names it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"\bWS\d{3}\b")
ELSEWHERE = frozenset(
    {
        "WS510",  # a model whose tensors are gone
        "WS601",  # a lock of another process
        "WS701",  # torch is not installed
        "WS702",  # no such device
    }
)
"""Codes that need another process or another machine; tests/session and tests/model have what can be had."""


def codes(folder: str, *suffixes: str) -> set[str]:
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in suffixes and path != Path(__file__)]
    return {code for path in files for code in CODE.findall(path.read_text(encoding="utf-8"))}


def raised() -> set[str]:
    """The codes that stand in the code as strings of their own, not in docstrings."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "wsdb").rglob("*.py")]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "sql").rglob("*.sql")]
    return {
        code for text in texts for code in re.findall(r"\"(WS\d{3})\"|\[(WS\d{3})\]", text) for code in code if code
    }


def test_every_code_that_is_raised_is_tested() -> None:
    missing = raised() - codes("tests", ".py", ".test", ".test_slow") - ELSEWHERE
    assert not missing, f"no test for {', '.join(sorted(missing))}"


def test_every_code_that_sql_raises_is_pinned_in_a_test_file() -> None:
    """Parser, catalog, engine and planner: message, caret and hint are part of what they promise."""
    rooms = [
        path.read_text(encoding="utf-8")
        for room in ("parser", "catalog", "engine", "planner")
        for path in (ROOT / "wsdb" / room).rglob("*.py")
    ]
    own = {code for text in rooms for code in re.findall(r"\"(WS\d{3})\"", text)}
    files = [path for path in (ROOT / "tests" / "sql").rglob("*.test*") if path.is_file()]
    pinned = {code for path in files for code in re.findall(r"Error \[(WS\d{3})\]", path.read_text(encoding="utf-8"))}
    opened = {"WS601", "WS602", "WS603"}  # raised while a file is opened, before there is a session
    at_once = {"WS208"}  # needs two sessions
    assert own - pinned - opened - at_once == set()
    assert (opened | at_once) - {"WS601"} <= codes("tests", ".py")


def test_the_lists_above_hold_no_code_that_is_gone() -> None:
    assert raised() >= ELSEWHERE
