"""CREATE EMBEDDING: the vectors of a file are read once, when the statement runs, and stored as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from wsdb.core.embedding import Embedding
from wsdb.core.errors import SpecError
from wsdb.core.span import Span
from wsdb.core.sqltext import ident, literal
from wsdb.engine.located import said
from wsdb.parser.statements import CreateEmbedding
from wsdb.session.define import define
from wsdb.session.rooms import Rooms

READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".tsv": "read_csv"}
LINES = (".txt", ".vec")
ARRAY = ".npy"
NUMBERS = ("FLOAT", "DOUBLE", "DECIMAL", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "HUGEINT")


def create_embedding(stmt: CreateEmbedding, rooms: Rooms) -> None:
    """Define an embedding and read its file into the database; a file that was read before is read again."""
    spec = stmt.spec

    def then(done: str) -> None:
        if not (done == "unchanged" and stmt.if_not_exists):
            read_embedding(rooms, spec, stmt.at("file"))

    define(rooms, stmt, spec, then=then)


def read_embedding(rooms: Rooms, spec: Embedding, span: Span | None) -> None:
    """Read tokens and vectors from the file of an embedding, and check them.

    Raises
    ------
    SpecError
        WS347 for a file of another kind, that cannot be read, without a column of tokens or of numbers, with a
        NULL token or number, with a token that stands twice, or with vectors of different lengths.
    """
    what, table = f'embedding "{spec.name}"', rooms.engine.table(spec.stored)
    suffix = Path(spec.file).suffix.lower()
    if suffix not in READERS and suffix not in LINES and suffix != ARRAY:
        known = ", ".join((*READERS, *LINES, ARRAY))
        raise SpecError("WS347", f"{what}: a file of vectors is one of {known}; this is {spec.file}", span=span)
    try:
        if suffix == ARRAY:
            rooms.engine.store(spec.stored, _array(Path(spec.file)))
        else:
            source = f"{READERS[suffix]}({literal(spec.file)})" if suffix in READERS else _lines(spec.file)
            token, vector = _columns(rooms.engine.columns(source), what, span)
            if READERS.get(suffix) == "read_csv":  # a token is a text, also where all look like numbers
                source = f"read_csv({literal(spec.file)}, types = {{{literal(token)}: 'VARCHAR'}})"
            rooms.engine.run(
                f"CREATE OR REPLACE TABLE {table} AS SELECT CAST({ident(token)} AS VARCHAR) AS token, "
                f"CAST({vector} AS FLOAT[]) AS vector FROM {source}"
            )
    except Exception as error:
        if isinstance(error, SpecError) and error.code != "WS309":
            raise error.at(span) from None
        first = error.message if isinstance(error, SpecError) else said(error)
        raise SpecError("WS347", f"{what}: {spec.file} cannot be read: {first}", span=span) from error
    n_tokens, dims = _check_vectors(rooms, table, what, span)
    rooms.engine.run(f"ALTER TABLE {table} ALTER vector TYPE FLOAT[{dims}]")
    hashed = rooms.engine.rows_hash(table, ["token", "vector"])
    rooms.catalog.put_embedding(spec.name, n_tokens, dims, hashed)


def _array(file: Path) -> pa.Table:
    """Return tokens and vectors of a .npy file, float (tokens, d), whose tokens are the lines of the .txt beside it."""
    file = file.expanduser()
    names = file.with_suffix(".txt")
    try:
        vectors = np.load(file, allow_pickle=False)
    except ValueError:  # numpy's own text advises to unpickle
        raise SpecError("WS347", f"{file} holds no array of numbers") from None
    if not isinstance(vectors, np.ndarray):  # an archive of several, under another name
        raise SpecError("WS347", f"{file} holds several arrays, as an .npz does; it must be one")
    if vectors.ndim != 2 or not vectors.size or vectors.dtype.kind not in "fiu":
        shape = f"{vectors.dtype} of shape {vectors.shape}"
        raise SpecError("WS347", f"{file} is {shape}; it must be numbers of shape (tokens, length of a vector)")
    if not names.exists():
        raise SpecError(
            "WS347",
            f"{file} has vectors and no tokens, and there is no {names.name} beside it",
            hint=f"write the token of each row into {names.name}, one a line; vectors of the rows of a table are no "
            "embedding but a column of type FLOAT[]",
        )
    tokens = names.read_text("utf-8").removesuffix("\n").split("\n")
    if len(tokens) != len(vectors):
        raise SpecError("WS347", f"{file} has {len(vectors):,} vectors, and {names.name} has {len(tokens):,} lines")
    numbers = np.ascontiguousarray(vectors, np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), numbers.shape[1])
    return pa.table({"token": pa.array(tokens, pa.string()), "vector": lists.cast(pa.list_(pa.float32()))})


def _lines(file: str) -> str:
    """Return a SELECT of the lines of a GloVe or word2vec file: a token, which may have blanks, and its numbers.

    There are as many numbers as most lines have; a first line of two whole numbers only counts lines and numbers. Each
    number is cast on its own, as DuckDB 1.5 moves the cast of a slice to the whole list.
    """
    how = "columns = {'line': 'VARCHAR'}, header = false, delim = '\x01', quote = '', escape = '', auto_detect = false"
    fields = f"SELECT string_split(rtrim(line), ' ') AS f FROM read_csv({literal(file)}, {how})"
    numbers = "greatest(len(f) - d, 1)"
    return (
        f"(SELECT array_to_string(f[:{numbers}], ' ') AS token, "
        f"list_transform(f[{numbers} + 1:], lambda x: CAST(x AS FLOAT)) AS vector "
        f"FROM ({fields}), (SELECT mode(len(f)) - 1 AS d FROM ({fields})) "
        "WHERE NOT (len(f) = 2 AND d > 1 AND regexp_full_match(f[1], '[0-9]+') AND regexp_full_match(f[2], '[0-9]+')))"
    )


def _columns(columns: list[tuple[str, str]], what: str, span: Span | None) -> tuple[str, str]:
    """Return the column of tokens, and SQL of the vector: a list column, else all number columns in their order."""
    texts = [name for name, kind in columns if kind == "VARCHAR"]
    token = next((name for name, _ in columns if name.lower() == "token"), texts[0] if texts else None)
    lists = [name for name, kind in columns if kind.endswith("]") and kind.startswith(NUMBERS)]
    numbers = [name for name, kind in columns if kind.startswith(NUMBERS) and name != token and name not in lists]
    if token is None or not (lists or numbers):
        shown = ", ".join(f"{name} {kind}" for name, kind in columns)
        raise SpecError(
            "WS347",
            f"{what}: the file has ({shown}); it needs a column token and a list or columns of numbers",
            span=span,
        )
    return token, ident(lists[0]) if lists else f"[{', '.join(map(ident, numbers))}]"


def _check_vectors(rooms: Rooms, table: str, what: str, span: Span | None) -> tuple[int, int]:
    """Return the number of tokens and the length of their vectors."""
    ((n_tokens, nulls, holes, shortest, longest),) = rooms.engine.rows(
        "SELECT count(*), count(*) FILTER (token IS NULL), count(*) FILTER (vector IS NULL OR "
        "len(list_filter(vector, lambda x: x IS NULL OR NOT isfinite(x))) > 0), min(len(vector)), max(len(vector)) "
        f"FROM {table}"
    )
    problem = None
    if not n_tokens or not longest:
        problem = "the file has no vectors"
    elif nulls:
        problem = f"{nulls:,} row{'s' * (nulls != 1)} without a token"
    elif holes:
        problem = f"{holes:,} vector{'s' * (holes != 1)} with a NULL, NaN or infinite number"
    elif shortest != longest:
        problem = f"vectors of different lengths, from {shortest} to {longest}"
    else:
        twice = rooms.engine.rows(
            f"SELECT token, count(*) FROM {table} GROUP BY token HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
        )
        problem = f"the token '{twice[0][0]}' stands {twice[0][1]} times" if twice else None
    if problem is not None:
        raise SpecError("WS347", f"{what}: {problem}", span=span, hint="one row for each token, of numbers")
    return n_tokens, longest
