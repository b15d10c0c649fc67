"""CREATE CONSTRAINT and CREATE EMBEDDING: what is worked out once, when the statement runs, and stored as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from wsdb.catalog.check import check_references
from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.constraint import MAX_COMBINATIONS, Constraint, answer_type, combinations_select, n_answers
from wsdb.core.embedding import Embedding
from wsdb.core.errors import SpecError
from wsdb.core.span import Span
from wsdb.core.sqltext import ident, literal
from wsdb.core.task import Task
from wsdb.parser.statements import CreateConstraint, CreateEmbedding
from wsdb.session.define import define
from wsdb.session.rooms import Rooms

READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".tsv": "read_csv"}
LINES = (".txt", ".vec")
NUMBERS = ("FLOAT", "DOUBLE", "DECIMAL", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "HUGEINT")


def create_constraint(stmt: CreateConstraint, rooms: Rooms) -> None:
    """Define a constraint after DuckDB has bound its condition, and store the combinations that keep it."""
    snapshot = rooms.catalog.definitions()
    spec = checked_constraint(stmt, rooms, snapshot)
    define(rooms, stmt, spec, then=lambda done: store_combinations(rooms, spec, snapshot, stmt.at("body")))


def checked_constraint(stmt: CreateConstraint, rooms: Rooms, snapshot: CatalogSnapshot) -> Constraint:
    """Return a constraint with its tasks as the catalog spells them, after DuckDB has bound its condition.

    Raises
    ------
    SpecError
        WS309 where DuckDB refuses the condition; WS346 where it is none, or there are too many combinations.
    """
    spec = check_references(stmt.spec, snapshot, stmt)
    tasks, body, what = [snapshot.task(name) for name in spec.tasks], stmt.at("body"), f'constraint "{spec.name}"'
    answers = ", ".join(f"NULL::{answer_type(task)} AS {ident(task.name)}" for task in tasks)
    ((_, found),) = rooms.engine.bind(f"SELECT (\n{spec.check}\n) AS kept FROM (SELECT {answers})", body, what)
    if found not in ("BOOLEAN", '"NULL"'):
        raise SpecError("WS346", f"{what} needs a condition, this is {found}", span=body)
    combinations = math.prod(n_answers(task) for task in tasks)
    if combinations > MAX_COMBINATIONS:
        raise SpecError(
            "WS346",
            f"the tasks of {what} have more than {MAX_COMBINATIONS:,} combinations of answers",
            span=stmt.at_name("task", tasks[-1].name),
            hint="make a constraint for each pair of tasks, or BINARY tasks of the labels it is about",
        )
    return spec


def store_combinations(rooms: Rooms, spec: Constraint, snapshot: CatalogSnapshot, span: Span | None = None) -> None:
    """Write the combinations of answers that keep a constraint.

    Raises
    ------
    SpecError
        WS346 where there is none.
    """
    tasks: Sequence[Task] = [snapshot.task(name) for name in spec.tasks]
    table = rooms.engine.table(spec.stored)
    try:
        rooms.engine.run(f"CREATE OR REPLACE TABLE {table} AS {combinations_select(spec, tasks)}")
    except Exception as error:
        first = str(error).splitlines()[0]
        raise SpecError(
            "WS346", f'constraint "{spec.name}" fails on labels of its tasks: {first}', span=span
        ) from error
    ((left,),) = rooms.engine.rows(f"SELECT count(*) FROM {table}")
    if not left:
        raise SpecError(
            "WS346",
            f'constraint "{spec.name}" leaves no combination of answers of its tasks',
            span=span,
            hint="its condition is false for all of them; are the labels spelled as in the tasks?",
        )


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
    if suffix not in READERS and suffix not in LINES:
        known = ", ".join((*READERS, *LINES))
        raise SpecError("WS347", f"{what}: a file of vectors is one of {known}; this is {spec.file}", span=span)
    try:
        source = f"{READERS[suffix]}({literal(spec.file)})" if suffix in READERS else _lines(spec.file)
        token, vector = _columns(rooms.engine.columns(source), what, span)
        rooms.engine.run(
            f"CREATE OR REPLACE TABLE {table} AS SELECT CAST({ident(token)} AS VARCHAR) AS token, "
            f"CAST({vector} AS FLOAT[]) AS vector FROM {source}"
        )
    except Exception as error:
        if isinstance(error, SpecError) and error.code != "WS309":
            raise
        first = error.message if isinstance(error, SpecError) else str(error).splitlines()[0]
        raise SpecError("WS347", f"{what}: {spec.file} cannot be read: {first}", span=span) from error
    n_tokens, dims = _check_vectors(rooms, table, what, span)
    rooms.engine.run(f"ALTER TABLE {table} ALTER vector TYPE FLOAT[{dims}]")
    hashed = rooms.engine.rows_hash(table, ["token", "vector"])
    rooms.catalog.put_embedding(spec.name, n_tokens, dims, hashed)


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
