"""StoredVotes: reads a stored label matrix as values, as patterns with counts, a list of votes, or row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from wsdb.core.errors import SpecError
from wsdb.core.matrix import KeyedVotes, RowVotes, Sample, SparseVotes, VotePatterns
from wsdb.core.payload import POS
from wsdb.core.sqltext import ident, idents, literal, literals
from wsdb.engine.partial import with_sets
from wsdb.engine.patterns import Patterns, has_table
from wsdb.engine.rows import GOLD, SPLIT
from wsdb.engine.sparse import ID
from wsdb.planner.pack import bits, per_word
from wsdb.planner.steps import Pack

CELLS = 1 << 28
"""Rows times sources that are read of a sparse label matrix row by row."""


class StoredVotes:
    """Reads the label matrices of one database.

    Parameters
    ----------
    database : the name under which the database is attached
    table : the full SQL name of something in schema wsdb
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, database: str, table: Callable[[str], str]) -> None:
        self._con, self._database, self._table = con, database, table

    def rows(self, step: Pack) -> RowVotes:
        """Return the votes of a stored label matrix with the split and gold label of their rows.

        A wide matrix gives its patterns, which are counted by one GROUP BY where they are not stored yet; a sparse one
        gives its votes.
        """
        return self._sparse_votes(step) if step.storage == "sparse" else self._counted(step)

    def _counted(self, step: Pack) -> RowVotes:
        order = ", ".join([*_words(step), "split", "gold"])
        counted, packed, table = self._read(step, f"FROM {self._current(step)} ORDER BY {order}")
        distinct = _distinct(counted, packed)
        return RowVotes(counted, _objects(table.column("split")), _codes(table.column("gold")), distinct)

    def counted(self, step: Pack, gold_of: str | None = None) -> RowVotes:
        """Return the patterns of a wide label matrix in any order, counted where they are not stored yet.

        `distinct` are the patterns themselves: the same votes may come again with another split or gold label.

        Parameters
        ----------
        gold_of : a split, to return only its patterns with a gold label
        """
        known = "" if gold_of is None else f" WHERE split = {literal(gold_of)} AND gold IS NOT NULL ORDER BY ALL"
        return self._rows(step, f"FROM {self._current(step)}{known}")

    def some(self, step: Pack, most: int) -> Sample:
        """Return about `most` of the patterns of a wide label matrix, whatever their split and gold label.

        Which ones follows from the patterns alone: of those on fewer rows than a step, about every step-th row, by a
        hash of the votes.
        """
        patterns, words = self._current(step), ", ".join(_words(step))
        grouped = f"(SELECT {words}, sum(n)::BIGINT AS n FROM {patterns} GROUP BY {words})" if words else patterns
        if step.task.split is None and step.task.gold is None:
            grouped = patterns  # each pattern is stored once
        voted = " OR ".join(f"{word} <> 0" for word in _words(step)) or "false"
        number, largest, n_rows = self._con.execute(
            f"SELECT count(*), coalesce(max(n) FILTER ({voted}), 0), coalesce(sum(n), 0)::BIGINT FROM {grouped}"
        ).fetchall()[0]
        size = -(-n_rows // most) if number > most else 1
        drawn = f"WHERE n >= {size} OR hash({words}) % {size}::UBIGINT < n::UBIGINT" if size > 1 else ""
        query = f"SELECT {words or 'NULL AS none'}, greatest(n, {size}) AS n FROM {grouped} {drawn} ORDER BY ALL"
        return Sample(self._read(step, query)[0], number, largest, size)

    def changed(self, step: Pack) -> tuple[RowVotes, RowVotes] | None:
        """Return the patterns that came and that went since `keep_changes`, in any order; None where all are new."""
        stored = self._patterns(step)
        if not stored.exists() or not stored.has_changes():
            return None
        listed = ", ".join(["split", "gold", *_words(step)])
        net = f"SELECT {listed}, sum(n)::BIGINT AS n FROM {self._table(f'changes_{step.task.name}')} GROUP BY {listed}"
        came, went = (f"SELECT {listed}, abs(n) AS n FROM ({net}) WHERE n {sign} 0" for sign in "><")
        return self._rows(step, came), self._rows(step, went)

    def keep_changes(self, step: Pack) -> None:
        """Keep what changes of the patterns from now on."""
        self._patterns(step).keep_changes()

    def _patterns(self, step: Pack) -> Patterns:
        table, changes, matrix = (self._table(f"{part}_{step.task.name}") for part in ("patterns", "changes", "matrix"))
        return Patterns(self._con, step.task, self._database, table, changes, matrix, step.columns)

    def _current(self, step: Pack) -> str:
        """Return the full SQL name of the stored patterns, after counting them where they are not stored yet."""
        stored = self._patterns(step)
        if not stored.exists():
            stored.count()
        return self._table(f"patterns_{step.task.name}")

    def _rows(self, step: Pack, query: str) -> RowVotes:
        counted, _, table = self._read(step, query)
        return RowVotes(counted, _objects(table.column("split")), _codes(table.column("gold")), counted)

    def _read(self, step: Pack, query: str) -> tuple[VotePatterns, list[np.ndarray], pa.Table]:
        """Return the patterns of a query, their words, and the rows of the query."""
        table = self._con.sql(query).to_arrow_table()
        counts = table.column("n").to_numpy().astype(np.int64)
        if not step.columns and counts.sum() == 0:
            table, counts = table.slice(0, 0), counts[:0]
        packed = [table.column(word).to_numpy() for word in _words(step)]
        votes = unpack(packed, len(step.columns), len(step.task.labels), len(counts))
        return VotePatterns(votes, counts, step.columns, len(step.task.labels)), packed, table

    def _sparse_votes(self, step: Pack) -> RowVotes:
        task, matrix = step.task, self._table(f"matrix_{step.task.name}")
        # Rows without a vote are known by number only; the others come in the order of their votes.
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE __wsdb_rows AS SELECT {ID}, "
            f"(row_number() OVER (ORDER BY {ID}) - 1)::INTEGER AS place, {SPLIT} AS split, {GOLD} AS gold FROM {matrix}"
        )
        rows = self._con.sql("SELECT split, gold FROM temp.main.__wsdb_rows ORDER BY place").to_arrow_table()
        found = self._con.sql(
            f"SELECT r.place, v.source, v.code FROM {self._table(f'votes_{task.name}')} AS v "
            f"JOIN temp.main.__wsdb_rows AS r USING ({ID}) ORDER BY r.place, v.source"
        ).to_arrow_table()
        self._con.execute("DROP TABLE temp.main.__wsdb_rows")
        votes = SparseVotes(
            found.column("place").to_numpy(),
            found.column("source").to_numpy(),
            found.column("code").to_numpy(),
            np.ones(rows.num_rows, dtype=np.int64),
            step.columns,
            len(task.labels),
            rows.num_rows,
        )
        return RowVotes(votes, _objects(rows.column("split")), _codes(rows.column("gold")), votes)

    def keyed(self, steps: Sequence[Pack]) -> KeyedVotes:
        """Return the votes of one or more label matrices over the same rows, row by row in the order of their keys.

        Elements, whose key ends with ``pos``, are grouped by the rest of the key. Columns come in the order of `steps`.
        """
        task = steps[0].task
        keys, tables = idents(task.keys), [self._table(f"matrix_{step.task.name}") for step in steps]
        joins = "".join(f" JOIN {name} AS m{at} USING ({keys})" for at, name in enumerate(tables) if at)
        source = f"{tables[0]} AS m0{joins}"
        sparse = {at for at, step in enumerate(steps) if step.storage == "sparse"}
        if sparse:
            self._check_size(steps, source)
        picked = [
            f"m{at}.{ident(name)} AS __{at}_{j}"
            for at, step in enumerate(steps)
            for j, name in enumerate((ID,) if at in sparse else step.columns)
        ]
        table = self._con.sql(f"SELECT {', '.join([keys, *picked])} FROM {source} ORDER BY {keys}").to_arrow_table()
        n_keys, n = len(task.keys), table.num_rows
        votes = np.full((n, sum(len(step.columns) for step in steps)), -1, dtype=np.int16)
        column, place = n_keys, 0
        for at, step in enumerate(steps):
            if at in sparse:
                self._scatter(step, table.column(column).to_numpy(), votes[:, place : place + len(step.columns)])
            for j in range(0 if at in sparse else len(step.columns)):
                votes[:, place + j] = table.column(column + j).fill_null(-1).to_numpy()
            column += 1 if at in sparse else len(step.columns)
            place += len(step.columns)
        offsets = np.arange(n + 1)
        if task.keys[-1].lower() == POS and n:
            rest = idents(task.keys[:-1])  # empty where all rows are one sequence
            grouped = f" GROUP BY {rest} ORDER BY {rest}" if rest else ""
            sizes = self._con.sql(f"SELECT count(*) AS n FROM {source}{grouped}").to_arrow_table()
            offsets = np.concatenate([[0], np.cumsum(sizes.column("n").to_numpy())])
        confidence = self._confidence(steps[0], table) if len(steps) == 1 else None
        sets = None
        if len(steps) == 1 and has_table(self._con, self._database, f"sets_{task.name}"):
            sets = with_sets(self._con, self._table(f"sets_{task.name}"), tables[0], task, steps[0].columns, votes)
        return KeyedVotes(table.select(range(n_keys)), votes, offsets.astype(np.int64), confidence, sets)

    def _check_size(self, steps: Sequence[Pack], source: str) -> None:
        """Raise where the votes of sparse label matrices are too many for a table of rows and sources.

        Raises
        ------
        SpecError
            WS311 with both numbers.
        """
        (n_rows,) = self._con.execute(f"SELECT count(*) FROM {source}").fetchall()[0]
        columns = sum(len(step.columns) for step in steps)
        if n_rows * columns > CELLS:
            raise SpecError(
                "WS311",
                f'task "{steps[0].task.name}" has {columns:,} vote sources on {n_rows:,} rows; its kind of label model '
                f"reads {CELLS:,} votes and abstains at most",
                hint="vote with fewer sources, or put them together in one labeling function",
            )

    def _scatter(self, step: Pack, ids: np.ndarray, votes: np.ndarray) -> None:
        """Write the votes of a sparse label matrix into a table of votes, whose rows have these numbers."""
        found = self._con.sql(f"SELECT {ID}, source, code FROM {self._table(f'votes_{step.task.name}')}")
        listed = found.to_arrow_table()
        order = np.argsort(ids)
        place = np.searchsorted(ids, listed.column(0).to_numpy(), sorter=order)
        votes[order[place], listed.column(1).to_numpy()] = listed.column(2).to_numpy()

    def has_sets(self, step: Pack) -> bool:
        """Return whether some vote on a task is for one of several labels."""
        name = f"sets_{step.task.name}"
        if not has_table(self._con, self._database, name):
            return False
        of = f"column_name IN ({literals(step.columns)})" if step.columns else "false"
        return bool(self._con.execute(f"SELECT 1 FROM {self._table(name)} WHERE {of} LIMIT 1").fetchall())

    def _confidence(self, step: Pack, table: pa.Table) -> np.ndarray | None:
        """Return the confidence of each vote in the order of the keys, None where there is none."""
        task, name = step.task, f"confidence_{step.task.name}"
        if not has_table(self._con, self._database, name):
            return None
        keys = idents(task.keys)
        found = self._con.sql(
            f"SELECT r.__at, c.column_name, c.confidence FROM {self._table(name)} AS c JOIN (SELECT {keys}, "
            f"row_number() OVER (ORDER BY {keys}) - 1 AS __at FROM {self._table(f'matrix_{task.name}')}) AS r "
            f"USING ({keys})"
        ).to_arrow_table()
        place = {column: at for at, column in enumerate(step.columns)}
        columns = np.array([place.get(one, -1) for one in found.column("column_name").to_pylist()], dtype=np.int64)
        if not (columns >= 0).any():
            return None
        confidence = np.ones((table.num_rows, len(step.columns)))
        known = columns >= 0
        rows = found.column("__at").to_numpy()[known]
        confidence[rows, columns[known]] = np.clip(found.column("confidence").to_numpy()[known], 0.0, 1.0)
        return confidence


def _words(step: Pack) -> list[str]:
    return [f"word_{at}" for at in range(step.words)]


def _distinct(patterns: VotePatterns, words: Sequence[np.ndarray]) -> VotePatterns:
    """Return patterns that come in the order of their words with equal ones, of other rows, as one."""
    n = len(patterns.counts)
    new = np.ones(n, dtype=bool)
    if n:
        new[1:] = np.any([word[1:] != word[:-1] for word in words], axis=0) if words else False
    if new.all():
        return patterns
    starts = np.flatnonzero(new)
    counts = np.add.reduceat(patterns.counts, starts)
    return VotePatterns(patterns.votes[starts], counts, patterns.sources, patterns.n_classes)


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    """Return strings and None as an object array."""
    found = column.combine_chunks().dictionary_encode(null_encoding="encode")
    names = np.array([*found.dictionary.to_pylist(), None], dtype=object)[:-1]
    objects: np.ndarray = names[found.indices.to_numpy()]
    return objects


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return codes as int64, -1 for NULL."""
    filled: np.ndarray = column.fill_null(-1).to_numpy().astype(np.int64)
    return filled


def unpack(words: Sequence[np.ndarray], n_columns: int, n_classes: int, n_rows: int) -> np.ndarray:
    """Return the votes packed into words: int8 or int16 array of shape (n_rows, n_columns), -1 is abstain."""
    width, size = bits(n_classes), per_word(n_classes)
    kind: type[np.signedinteger[Any]] = np.int8 if n_classes <= 127 else np.int16
    votes = np.empty((n_rows, n_columns), dtype=kind, order="F")  # they are counted source by source
    mask = kind((1 << width) - 1)
    for at in range(n_columns):
        word = words[at // size].astype(np.uint64, copy=False)
        votes[:, at] = ((word >> np.uint64(width * (at % size))).astype(kind) & mask) - kind(1)
    return votes
