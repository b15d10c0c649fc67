"""Rooms: what an executor may use, and what a statement gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from wsdb.catalog.catalog import Catalog
from wsdb.core.errors import StorageError
from wsdb.core.progress import Progress
from wsdb.engine.base import Engine
from wsdb.planner.explain import Profile


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement of wsdb's gives back: a table, or nothing but what it did.

    Attributes
    ----------
    table : rows of SHOW, DESCRIBE and EXPLAIN; None for a statement that only does something
    """

    table: pa.Table | None = None

    @classmethod
    def of(cls, names: Sequence[str], rows: Sequence[Sequence[Any]], types: Sequence[pa.DataType] = ()) -> Result:
        """Return a result of rows; columns are strings unless `types` says otherwise."""
        kinds = types or [pa.string()] * len(names)
        arrays = [pa.array([row[at] for row in rows], kind) for at, kind in enumerate(kinds)]
        return cls(pa.Table.from_arrays(arrays, names=list(names)))


@dataclass(slots=True)
class Settings:
    """The session's settings, changed by SET."""

    auto_refresh: bool = True


@dataclass(slots=True)
class Rooms:
    """The rooms of one session.

    Attributes
    ----------
    notices : what the last call has to say to the user, one sentence each
    on_progress : called when work of some length begins, and between its batches of rows
    trusted_python : python labeling functions whose text came from the user in this session, by lower-cased name;
        a read never runs any other
    profiles : by id of a step, what it did
    """

    engine: Engine
    catalog: Catalog
    notices: list[str] = field(default_factory=list)
    on_progress: Callable[[Progress], None] = lambda progress: None
    settings: Settings = field(default_factory=Settings)
    trusted_python: set[str] = field(default_factory=set)
    profiles: dict[int, Profile] = field(default_factory=dict)

    def progress(self, what: str, done: int = 0, total: int = 0) -> None:
        """Say how far a piece of work is, in rows; a total of 0 is not known."""
        self.on_progress(Progress(what, done, total))

    def notice(self, text: str) -> None:
        """Tell the user something, once per call."""
        if text not in self.notices:
            self.notices.append(text)

    @contextmanager
    def writing(self) -> Iterator[bool]:
        """Make schema wsdb where it is missing, and commit all that is done inside or none of it.

        Raises
        ------
        StorageError
            WS604 where the database is open read-only.
        """
        if self.engine.read_only:
            raise StorageError(
                "WS604",
                f'database "{self.engine.database}" is open read-only: what it stores can be read and not changed',
                hint="open it without read_only",
            )
        with self.engine.transaction() as own:
            if not self.catalog.exists():
                self.catalog.create()
                create_functions(self.engine, persisted=True)
            yield own


def create_functions(engine: Engine, *, persisted: bool) -> None:
    """Make the table functions: in schema wsdb of the file, or as TEMP macros of the engine's connection."""
    from wsdb.core.resources import read_sql
    from wsdb.core.sqltext import ident, literal
    from wsdb.monitor.bodies import expand
    from wsdb.monitor.reports import BODIES

    home = "wsdb" if persisted else f"{ident(engine.database)}.wsdb"
    text = read_sql("functions.sql").replace("@macro@", "MACRO" if persisted else "TEMP MACRO")
    at = f"home := {literal(home.removesuffix('wsdb'))}".replace("'", "''")  # inside of a string
    text = text.replace("@here@", "wsdb." if persisted else "").replace("@home@", home).replace("@at@", at)
    for statement in expand(text, home, BODIES).split(";\n"):
        if "CREATE OR REPLACE" in statement:
            engine.run(statement)
