"""A table of Arrow batches that grows while a query is read: in memory, and beyond a limit in a temporary file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa

MEMORY = 256 << 20
"""Bytes held in memory; votes are a byte each, so this is several million rows of 50 labeling functions."""


class Batches:
    """Record batches of one schema, to be read back as one table.

    Parameters
    ----------
    memory : bytes to hold before the batches go to a file
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
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
        self._held.append(batch)
        if self._size > self._memory:
            self._spill()

    def _spill(self) -> None:
        if self._writer is None:
            self._folder = tempfile.TemporaryDirectory(prefix="wsdb-")
            self._writer = pa.ipc.new_file(str(self._path), self._held[0].schema)
        for batch in self._held:
            self._writer.write_batch(batch)
        self._held, self._size = [], 0

    @property
    def _path(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "votes.arrow"

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return all batches as one table; those in a file are mapped, not read. `schema` is for no batches."""
        if self._writer is None:
            return pa.Table.from_batches(self._held, self._held[0].schema if self._held else schema)
        if self._held:
            self._spill()
        self._writer.close()
        return pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()

    def close(self) -> None:
        """Let go of the batches and remove the file."""
        self._held = []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
