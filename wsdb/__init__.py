"""wsdb: weak supervision in SQL, inside DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsdb.core.errors import WsdbError
    from wsdb.session.session import Session, attach, connect

__version__ = "0.1.0"
__all__ = ["Session", "WsdbError", "__version__", "attach", "connect"]

_HOMES = {
    "Session": "wsdb.session.session",
    "WsdbError": "wsdb.core.errors",
    "attach": "wsdb.session.session",
    "connect": "wsdb.session.session",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: ``wsdb --help`` needs neither DuckDB nor sqlglot."""
    if name not in _HOMES:
        raise AttributeError(f"module 'wsdb' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
