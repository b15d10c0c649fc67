"""wsdb: weak supervision in SQL, inside DuckDB."""

from wsdb.core.errors import WsdbError
from wsdb.session.session import Session, attach, connect

__version__ = "0.1.0"
__all__ = ["Session", "WsdbError", "__version__", "attach", "connect"]
