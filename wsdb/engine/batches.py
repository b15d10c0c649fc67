"""Arrow batches: work on them while later ones are read, and a table of them that grows.

The table is in memory, and beyond a limit in a temporary file.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from wsdb.core.sqltext import ident, idents

T = TypeVar("T")
BATCH_ROWS = 30_720
"""Rows of a batch: a few megabytes of text, which stay in the caches of a processor while all kernels read them."""
BATCH_BYTES = 1 << 26
"""Where texts are so long that a batch would be larger, it has fewer rows; DuckDB ends at 2 GB of one column."""
SAMPLE = 1024
"""Rows whose texts tell how long texts are."""
GROUP_ROWS = 122_880
"""As many as a row group of DuckDB has: row groups that are not full are written anew at a checkpoint."""
WORKERS = 2
"""Batches that are worked on at once, while the next one is read."""

MEMORY = 256 << 20
"""Bytes held in memory; votes are a byte each, so this is several million rows of 50 labeling functions."""


def batch_rows(con: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str]) -> int:
    """Return how many rows a batch of some columns of a relation should have: `BATCH_ROWS`, fewer of long texts."""
    sizes = " + ".join(f"coalesce(avg(strlen({ident(name)}::VARCHAR)), 0)" for name in columns)
    query = f"SELECT {sizes or 0} FROM (SELECT {idents(columns) or 1} FROM {relation} LIMIT {SAMPLE})"
    (size,) = con.execute(query).fetchall()[0]
    return max(min(BATCH_ROWS, int(BATCH_BYTES / max(size, 1))), 1)


def worked(batches: Iterable[pa.RecordBatch], work: Callable[[pa.RecordBatch], T]) -> Iterator[T]:
    """Return the answers of `work` for each batch, in order; it runs while later batches are read.

    What has not begun when an error or Ctrl-C ends it is not begun any more.
    """
    pool, todo = ThreadPoolExecutor(WORKERS), deque[Future[T]]()
    try:
        for batch in batches:
            todo.append(pool.submit(work, batch))
            if len(todo) > WORKERS:
                yield _answer(todo.popleft())
        while todo:
            yield _answer(todo.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _answer(future: Future[T]) -> T:
    """Return the answer of a future. With the signal handler of polars, Ctrl-C would not end a wait without a limit."""
    while not future.done():
        wait((future,), 0.1)
    return future.result()


class Batches:
    """Record batches of one schema, to be read back as one table of batches of `GROUP_ROWS` rows.

    Parameters
    ----------
    memory : bytes to hold before the batches go to a file
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._loose: list[pa.RecordBatch] = []  # less than GROUP_ROWS
        self._held: list[pa.RecordBatch] = []
        self._size = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._writer: pa.RecordBatchFileWriter | None = None
        self.rows = 0
        self.bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        self.rows += batch.num_rows
        self.bytes += batch.nbytes
        self._size += batch.nbytes
        self._loose.append(batch)
        if sum(part.num_rows for part in self._loose) >= GROUP_ROWS:
            self._join()
        if self._size > self._memory:
            self._spill()

    def _join(self) -> None:
        """Make full batches of the loose ones; what is left over stays loose."""
        parts = pa.Table.from_batches(self._loose).combine_chunks().to_batches(GROUP_ROWS)
        self._loose = [part for part in parts[-1:] if part.num_rows < GROUP_ROWS]
        self._held += parts[: len(parts) - len(self._loose)]

    def _spill(self) -> None:
        if self._writer is None:
            self._folder = tempfile.TemporaryDirectory(prefix="wsdb-")
            self._writer = pa.ipc.new_file(str(self._path), (self._held + self._loose)[0].schema)
        for batch in self._held:
            self._writer.write_batch(batch)
        self._held, self._size = [], sum(part.nbytes for part in self._loose)

    @property
    def _path(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "votes.arrow"

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return all batches as one table; those in a file are mapped, not read. `schema` is for no batches."""
        if self._loose:
            self._join()
            self._held, self._loose = self._held + self._loose, []
        if self._writer is None:
            return pa.Table.from_batches(self._held, self._held[0].schema if self._held else schema)
        if self._held:
            self._spill()
        self._writer.close()
        return pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()

    def close(self) -> None:
        """Let go of the batches and remove the file."""
        self._held, self._loose = [], []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
