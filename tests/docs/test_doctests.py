"""Every module of wsdb can be imported, and every example in its docstrings is true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from tests.slt.runner import REQUIREMENTS

ROOT = Path(__file__).resolve().parents[2]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def _modules() -> list[str]:
    paths = sorted((ROOT / "wsdb").rglob("*.py"))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize("name", _modules())
def test_the_examples_of_a_module_are_true(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.startswith("wsdb.model.") and not REQUIREMENTS["torch"]():
        pytest.skip("requires torch")
    monkeypatch.chdir(ROOT)
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert not failed, "the failed examples are in the captured output"
