"""Predictor: the scalar function that scores Arrow batches with stored models, loaded once each."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from wsdb.core.errors import ModelError
from wsdb.serve.answers import answer_type, to_arrow
from wsdb.serve.explainer import BROKEN, EXPLAIN, EXPLAINED, RULES, SEEN, SLICES, Explainer
from wsdb.serve.macros import FUNCTION, RESULT

if TYPE_CHECKING:
    from wsdb.serve.served import Served

MARK = "__wsdb_instance_"


class Source(Protocol):
    """What a predictor needs of an engine: to read stored models on a connection of its own, and to be registered."""

    con: Any
    database: str

    def __init__(self, connection: Any) -> None: ...

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""

    def table(self, name: str) -> str:
        """Return the full name of a table of schema wsdb."""

    def register(self, name: str, function: Any, result: str) -> None:
        """Make a Python function callable in SQL."""


class PredictFunction:
    """Scores rows; one of them serves all connections to a database instance.

    It holds the connections of sessions weakly: a database can be closed, and a connection that was given to
    `wsdb.attach` is enough, whether or not its session is kept.

    Attributes
    ----------
    rows_scored : how many rows have reached a network so far
    """

    def __init__(self) -> None:
        self.connections: weakref.WeakKeyDictionary[Any, tuple[type[Source], str]] = weakref.WeakKeyDictionary()
        self.rows_scored = 0
        self.explainer = Explainer(self.model)
        self._models: dict[str, Served] = {}
        self._lock = threading.Lock()
        # What DuckDB calls. The connection that registers it holds the only other reference, yet the function stays in
        # the database when that connection is closed: without this one DuckDB would call freed memory.
        self.registered = self.__call__

    def __call__(self, keys: pa.ChunkedArray, rows: pa.ChunkedArray) -> pa.Array:
        """Return for each row a list of tasks, in the model's order, each a list of (label, prob, probs) structs."""
        batch = rows.combine_chunks() if isinstance(rows, pa.ChunkedArray) else rows
        with self._lock:
            self.rows_scored += len(batch)
        if len(batch) == 0:
            return pa.array([], answer_type())
        return to_arrow(self.model(keys[0].as_py()).answer(batch))

    def model(self, key: str) -> Served:
        """Return the loaded model of a key ``name@version#hash``, from memory or from the database."""
        with self._lock:
            if key not in self._models:
                self._models[key] = self._load(key)
            return self._models[key]

    def _load(self, key: str) -> Served:
        from wsdb.serve.served import Served

        name, version, mark = _parts(key)
        for connection, (engine, database) in list(self.connections.items()):
            try:
                cursor = connection.cursor()
            except Exception:  # closed: another may be open
                continue
            with cursor:
                reader = engine(cursor)
                reader.database = database
                found = reader.rows(
                    f"SELECT v.manifest, t.bytes FROM {reader.table('model_versions')} v "
                    f"JOIN {reader.table('tensors')} t USING (model, version) WHERE lower(model) = ? AND version = ?",
                    [name.lower(), int(version)],
                )
            for manifest, weights in found:
                if mark in ("", weights_mark(weights)):  # another database of the same process may have this name, too
                    return Served.load(json.loads(manifest), weights)
        raise ModelError("WS510", f'model "{name}@{version}" is not stored in this database')

    def put(self, key: str, model: Served) -> None:
        """Keep a model that is loaded already, such as one trained in a transaction that is still open."""
        with self._lock:
            self._models[key] = model


def _parts(key: str) -> tuple[str, str, str]:
    """Return name, version and mark of a key ``name@version#mark``."""
    plain, _, mark = key.partition("#")
    name, _, version = plain.rpartition("@")
    return name, version, mark


def weights_mark(weights: bytes) -> str:
    """Return the part of a key that tells models of one name and version apart."""
    return hashlib.sha256(weights).hexdigest()[:16]


_functions: dict[str, PredictFunction] = {}


def install(engine: Source) -> PredictFunction:
    """Return the predict function of the engine's database, registered there once."""
    marks = engine.rows(
        "SELECT function_name FROM duckdb_functions() WHERE starts_with(function_name, ?) LIMIT 1", [MARK]
    )
    if marks and marks[0][0] in _functions:
        function = _functions[marks[0][0]]
    else:
        function = PredictFunction()
        mark = f"{MARK}{uuid.uuid4().hex}"
        _functions[mark] = function
        _register(engine, FUNCTION, function.registered, RESULT)
        _register(engine, EXPLAIN, function.explainer.explained, EXPLAINED)
        _register(engine, SEEN, function.explainer.seen, SLICES)
        _register(engine, RULES, function.explainer.checked, BROKEN)
        _register(engine, mark, _nothing, "VARCHAR")
    function.connections[engine.con] = (type(engine), engine.database)
    return function


def _register(engine: Source, name: str, function: Any, result: str) -> None:
    """Register a function on the engine's connection, where the user's open transaction sees it.

    A rollback takes it out of the database again, and DuckDB then refuses the name on that connection for ever: from
    then on another connection registers it.
    """
    try:
        engine.register(name, function, result)
    except Exception as error:
        if "already created" not in str(error):
            raise
        with engine.con.cursor() as cursor:
            type(engine)(cursor).register(name, function, result)


def _nothing() -> None:
    """Stand behind the function that marks a database instance; nobody calls it."""


def installed(engine: Source) -> bool:
    """Return whether a predict function can load models through this engine's connection."""
    return any(engine.con in function.connections for function in _functions.values())
