"""The SQL files that ship with the package, read by name.

In a checkout (and so in an editable install) they are the repository's `sql/`; in a wheel the build puts the
same folder at `wsdb/_sql`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def read_sql(name: str) -> str:
    """Return the text of the packaged SQL file `name`, such as ``catalog.sql`` or ``macros/predict.sql``.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the message names those that exist.
    """
    file = _folder()
    for part in name.split("/"):
        file = file / part
    if not file.is_file():
        raise FileNotFoundError(f'no packaged SQL file "{name}"; there are: {", ".join(sql_names())}')
    return file.read_text(encoding="utf-8")


def sql_names(under: str = "") -> list[str]:
    """Return the names of all packaged SQL files below the folder `under`, sorted, ``/`` between parts."""
    folder = _folder()
    for part in filter(None, under.split("/")):
        folder = folder / part
    prefix = f"{under.rstrip('/')}/" if under else ""
    return sorted(_walk(folder, prefix)) if folder.is_dir() else []


@cache
def _folder() -> Traversable:
    """Return the folder with the SQL files: `wsdb/_sql` of a wheel, else `sql/` beside the package."""
    packaged = files("wsdb") / "_sql"
    if packaged.is_dir():
        return packaged
    return Path(str(files("wsdb"))).parent / "sql"


def _walk(folder: Traversable, prefix: str) -> list[str]:
    names: list[str] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            names += _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".sql"):
            names.append(f"{prefix}{entry.name}")
    return names
