"""Session: one connection to a database; wsdb's statements are run here, all other SQL goes to DuckDB untouched."""

from __future__ import annotations

import atexit
import functools
import sys
import weakref
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any

from wsdb.catalog.catalog import Catalog
from wsdb.core.errors import WsdbError
from wsdb.core.progress import Progress
from wsdb.core.sqltext import ident
from wsdb.engine.connect import open_database
from wsdb.engine.duckdb import DuckDBEngine
from wsdb.engine.udf import code_of
from wsdb.parser.script import Piece, has_ours, split
from wsdb.session import reads
from wsdb.session.calls import calls, may_call
from wsdb.session.executors import execute
from wsdb.session.frames import call_as
from wsdb.session.model_handle import Model, stored_version
from wsdb.session.rooms import Result, Rooms
from wsdb.session.together import create_together, run_ahead

_open: weakref.WeakSet[Session] = weakref.WeakSet()
# Methods of DuckDB's that answer with the connection.
CHAINED = frozenset(
    {
        "append", "begin", "checkpoint", "commit", "register", "rollback", "unregister",
    }
)  # fmt: skip


class Session:
    """A DuckDB connection that also speaks wsdb.

    Every attribute that is not defined here is DuckDB's own: ``table``, ``register``, ``fetchall``, ``df``,
    ``to_arrow_table`` and the rest of `duckdb.DuckDBPyConnection`.

    Attributes
    ----------
    notices : list of str
        What the last call has to say (what was computed, what was reused, warnings), emptied by the next call.
    connection : duckdb.DuckDBPyConnection
        The connection itself.
    on_progress : callable
        Called with a `Progress` (what is done, rows done, all rows) when work of some length begins and between its
        batches, in the thread that does the work; does nothing by default. ``str`` of a Progress is a sentence.
    """

    def __init__(self, connection: Any, *, owned: bool = True, share: Rooms | None = None) -> None:
        self.connection = connection
        self._owned = owned
        self._has_functions = False
        engine = DuckDBEngine(connection)
        if share is not None:
            engine.database, engine.code = share.engine.database, share.engine.code
        self._rooms = Rooms(engine, Catalog(connection, engine.database))
        if share is not None:
            self._rooms.settings = share.settings
            self._rooms.trusted_python = share.trusted_python
        _open.add(self)

    # ------------------------------------------------------------------------------------------------ statements

    def execute(self, query: Any, parameters: Any = None) -> Session:
        """Run a script and keep the result of its last statement for ``fetchall()`` and its siblings.

        Parameters
        ----------
        query : any number of statements of DuckDB's and wsdb's, or a statement object of DuckDB's
        parameters : values for ``?``, ``$1`` or ``$name`` of the statement

        Raises
        ------
        WsdbError
            for a statement of wsdb's; the catalog and all stored state are then as before that statement.
        duckdb.Error
            for any other statement, exactly as DuckDB raises it.
        """
        self._script(query, parameters, sys._getframe(1))
        return self

    def executemany(self, query: Any, parameters: Any = None) -> Session:
        """Run a script once for each row of parameters."""
        if self._pieces(query) is None:
            call_as(sys._getframe(1), self.connection.executemany, (query, parameters))
            return self
        for row in parameters:
            self._script(query, row, sys._getframe(1))
        return self

    def sql(self, query: Any, *, alias: str = "", params: Any = None) -> Any:
        """Run a script and return its last statement as a DuckDB relation; None where that returns no rows.

        Parameters
        ----------
        query, params : see `execute`
        alias : name of the relation
        """
        return self._script(query, params, sys._getframe(1), relation=True, alias=alias)

    query = sql
    from_query = sql

    def _script(self, query: Any, parameters: Any, frame: FrameType, *, relation: bool = False, alias: str = "") -> Any:
        """Run the pieces of a script in order and return what the last one gave: a relation, or what execute() does."""
        self._rooms.notices.clear()
        bound: dict[str, Any] = {"alias": alias} if alias else {}
        if parameters is not None:
            bound["params" if relation else "parameters"] = parameters
        pieces = self._pieces(query)
        if pieces is None:
            return call_as(frame, self._run(relation), (query,), bound)
        answer: Any = None
        stored = 0  # of the pieces, those that were stored together with one before them
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1  # all before it are executed: a relation that nobody reads would not be run
            if at:
                self._complete()
            if at >= stored:
                stored = at + len(self.ahead(pieces, at))
            if at < stored:
                answer = self._show(Result(), relation and last, frame) if last else None
            elif piece.ours:
                answer = self._show(self._execute(piece), relation and last, frame)
            else:
                answer = self._pass(piece, parameters, relation and last, frame, bound if last else {})
        return answer

    def _execute(self, piece: Piece) -> Result:
        """Run a statement of wsdb's; the first one that stores something brings the table functions."""
        result = execute(piece.parse(), self._rooms)
        if not self._has_functions:
            self._ready()
        return result

    def _complete(self) -> None:
        """Let go of the result of the statement before: DuckDB 2 makes no relation while one is open."""
        complete = getattr(self.connection, "complete", None)
        if complete is not None:
            complete()

    def _run(self, relation: bool) -> Callable[..., Any]:
        """Return the function of DuckDB's that runs a text."""
        return self.connection.sql if relation else self.connection.execute

    def _pieces(self, query: Any) -> list[Piece] | None:
        """Return the pieces of a script, or None where all of it goes to DuckDB as it is."""
        if not isinstance(query, str) or not (has_ours(query) or may_call(query)):
            return None
        pieces = split(query)
        if any(piece.ours or calls(piece) for piece in pieces):
            return pieces
        return None

    def _pass(self, piece: Piece, parameters: Any, relation: bool, frame: FrameType, bound: dict[str, Any]) -> Any:
        """Hand a statement to DuckDB: unchanged, but for subquery arguments of wsdb's table functions."""
        text, found = reads.prepare(self._rooms, piece, parameters)
        try:
            return call_as(frame, self._run(relation), (text,), bound)
        except Exception as error:
            better = reads.explained(error, found)
            if better is None:
                raise
            raise better from error

    def _show(self, result: Result, relation: bool, frame: FrameType) -> Any:
        """Return the rows of a statement of wsdb's as DuckDB would."""
        if result.table is not None:
            rows = {"__wsdb_result": result.table}
            return call_as(frame, self._run(relation), ("SELECT * FROM __wsdb_result",), {}, rows)
        if not relation:  # nothing that an earlier statement gave is left to fetch
            self.connection.execute("SELECT NULL AS nothing WHERE false")
        return None

    # --------------------------------------------------------------------------------------------------- session

    @property
    def notices(self) -> list[str]:
        """What the last call has to say, one sentence each."""
        return self._rooms.notices

    @property
    def on_progress(self) -> Callable[[Progress], None]:
        """The function that is told how far work of some length is."""
        return self._rooms.on_progress

    @on_progress.setter
    def on_progress(self, function: Callable[[Progress], None]) -> None:
        self._rooms.on_progress = function

    def create_function(self, name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Session:
        """Register a Python function with DuckDB, whose method this is; labeling functions may call it.

        Its code is part of their fingerprints: register another under the same name, and they are computed again.
        """
        answer = self._chained(self.connection.create_function)(name, function, *arguments, **named)
        self._rooms.engine.code[name.lower()] = code_of(function)
        return answer

    def remove_function(self, name: str) -> Session:
        """Remove a Python function, as DuckDB does."""
        answer = self._chained(self.connection.remove_function)(name)
        self._rooms.engine.code.pop(name.lower(), None)
        return answer

    def pieces(self, text: str, file: str | None = None) -> list[Piece]:
        """Return the statements of a script, with their places in it."""
        return split(text, file)

    def ahead(self, pieces: Sequence[Piece], at: int) -> list[str]:
        """Store the labeling functions, slices and tags that statements of a script create in a row from a place on.

        Returns what each of these statements has to say; they must not be run any more. None are stored where one
        statement alone stands there, where the next one is another or has an error, or inside a transaction.
        """
        said = create_together(run_ahead(pieces, at), self._rooms)
        self.notices.extend(said)
        return said

    def run(self, piece: Piece) -> Any:
        """Run one statement of a script and return its rows as a relation, or None."""
        self._rooms.notices.clear()
        frame = sys._getframe(1)
        if piece.ours:
            return self._show(self._execute(piece), True, frame)
        return self._pass(piece, None, True, frame, {})

    def model(self, name: str) -> Model:
        """Return a trained model: its network as a torch module, its labels, definition and scores.

        Parameters
        ----------
        name : of the model, for its newest version, or ``name@version``

        Raises
        ------
        CatalogError
            WS201 where there is no such model, WS207 where it has no such version.
        """
        engine, snapshot = self._rooms.engine, self._rooms.catalog.snapshot()
        stored, spec = stored_version(self._rooms, name, snapshot), snapshot.model(name.partition("@")[0])
        with engine.at_home():  # from where the model's relation is found, wherever USE points later
            source = engine.qualified(f"FROM {spec.source}", f"{ident(engine.database)}.").removeprefix("FROM ")
        return Model(self.sql, stored, spec, source)

    def cursor(self) -> Session:
        """Return a session on a new connection to the same database, for another thread."""
        return Session(self.connection.cursor(), share=self._rooms)._ready()

    duplicate = cursor

    def _ready(self) -> Session:
        """Give the connection the table functions where the database has stored what they read.

        Inside a transaction of the user's a rollback would take them away, and other connections would have to wait for
        its end: there each read brings what it needs.
        """
        catalog = self._rooms.catalog
        if catalog.exists():
            catalog.create()
            with self._rooms.engine.transaction() as own:
                if own:
                    reads.install_functions(self._rooms)
            self._has_functions = own
        return self

    def close(self) -> None:
        """Close the connection; one that was given to `attach` stays open."""
        _open.discard(self)
        if self._owned:
            self.connection.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "connection":
            raise AttributeError(name)
        found = getattr(self.connection, name)
        return self._chained(found) if name in CHAINED else found

    def _chained(self, method: Callable[..., Any]) -> Callable[..., Session]:
        """Return a method of DuckDB's that answers with its connection as one that answers with the session."""

        @functools.wraps(method)
        def run(*arguments: Any, **named: Any) -> Session:
            call_as(sys._getframe(1), method, arguments, named)
            return self

        return run

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self.connection)})


def connect(database: Any = ":memory:", read_only: bool = False, config: dict[str, Any] | None = None) -> Session:
    """Open a database and return a session.

    Parameters
    ----------
    database : path of a DuckDB file, made where it is missing; ``:memory:``; or an open DuckDB connection
    read_only : open the file without the right to write
    config : settings of DuckDB's

    Raises
    ------
    StorageError
        WS601 where another process holds the file (its process number is in the message); WS602 where it is no
        readable DuckDB database; WS603 where another version of wsdb has written it.
    """
    if not isinstance(database, str) and hasattr(database, "execute"):
        return attach(database)
    session = Session(open_database(str(database), read_only=read_only, config=config))
    try:
        return session._ready()
    except BaseException:
        session.close()
        raise


def attach(connection: Any) -> Session:
    """Return a session over an open DuckDB connection, and give the connection wsdb's table functions.

    The connection stays the caller's: closing the session leaves it open. On it, ``SELECT … FROM predict('t', tbl)``
    works without the session, as do the other table functions; they read what is stored and refresh nothing.
    """
    return Session(connection, owned=False)._ready()


@atexit.register
def _close_all() -> None:
    for session in list(_open):
        try:
            session.close()
        except WsdbError:
            continue
