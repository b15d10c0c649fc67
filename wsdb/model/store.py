"""Rows on disk: what does not fit the cache of a training run waits in files of a temporary folder.

`Spilled` holds the items of a stream, to be read again in their order; `StoreWriter` collects encoded rows, and its
`Store` gives any of them. Both keep what they have in memory up to a budget, and all of it in files once that is spent.
The results are equal.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import numpy as np
import pyarrow as pa

from wsdb.model.arrays import EncodedBatch, Ragged, concat_batches
from wsdb.model.hashing import HashedRows

Item = TypeVar("Item")
_PIECE = 8 << 20  # bytes of rows that are encoded at a time
_RESIDENT = 256 << 20  # bytes of mapped files that stay in the process's memory
_FAULT = 2 << 20  # most bytes that Linux maps where a page is read: the whole folio that it lies in


class Spilled(Generic[Item]):
    """Items in the order in which they came, all in memory or all in a file.

    Parameters
    ----------
    file : made when the budget is spent
    budget : bytes kept in memory
    save, load : write an item to a file, and read the next one
    """

    def __init__(
        self, file: Path, budget: int, save: Callable[[BinaryIO, Item], None], load: Callable[[BinaryIO], Item]
    ) -> None:
        self.file, self.left, self.save, self.load = file, budget, save, load
        self.items: list[Item] = []
        self.written = 0
        self.handle: BinaryIO | None = None

    def append(self, item: Item, size: int) -> None:
        """Take one more item, of `size` bytes."""
        self.left -= size
        self.items.append(item)
        if self.left >= 0:
            return
        if self.handle is None:
            self.handle = self.file.open("wb")
        for one in self.items:
            self.save(self.handle, one)
        self.written += len(self.items)
        self.items.clear()

    def __iter__(self) -> Iterator[Item]:
        if self.handle is None:
            yield from self.items
            return
        self.handle.flush()
        with self.file.open("rb") as handle:
            for _ in range(self.written):
                yield self.load(handle)

    def __enter__(self) -> Spilled[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the items, and delete the file."""
        self.items.clear()
        if self.handle is not None:
            self.handle.close()
            self.file.unlink()
            self.handle, self.written = None, 0


def spilled_batches(file: Path, budget: int) -> Spilled[pa.RecordBatch]:
    """Return an empty sequence of Arrow batches; its file is compressed by LZ4."""
    return Spilled(file, budget, _save_batch, _load_batch)


def spilled_texts(file: Path, budget: int) -> Spilled[list[HashedRows]]:
    """Return an empty sequence of hashed text columns."""
    return Spilled(file, budget, _save_texts, _load_texts)


def pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join small batches and cut large ones to pieces of at most some 8 megabytes.

    Encoding one takes little memory, and costs little beside what its rows cost.
    """
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += batch.nbytes
        if size >= _PIECE:
            yield from _cut(pa.concat_batches(waiting), size)
            waiting, size = [], 0
    if waiting:
        yield from _cut(pa.concat_batches(waiting), size)


def _cut(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    step = max(1, batch.num_rows * _PIECE // max(size, _PIECE))
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


def _save_batch(file: BinaryIO, batch: pa.RecordBatch) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as stream:
        stream.write_batch(batch)
    written = sink.getvalue()
    file.write(written.size.to_bytes(8, "little"))
    file.write(memoryview(written))


def _load_batch(file: BinaryIO) -> pa.RecordBatch:
    size = int.from_bytes(file.read(8), "little")
    with pa.ipc.open_stream(pa.py_buffer(file.read(size))) as stream:
        return stream.read_next_batch()


def _save_texts(file: BinaryIO, texts: list[HashedRows]) -> None:
    file.write(len(texts).to_bytes(8, "little"))
    for rows in texts:
        for array in (rows.indptr, rows.buckets, rows.counts):
            np.save(file, array)


def _load_texts(file: BinaryIO) -> list[HashedRows]:
    count = int.from_bytes(file.read(8), "little")
    return [HashedRows(*(np.load(file, allow_pickle=False) for _ in range(3))) for _ in range(count)]


# ── encoded rows ──────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Store:
    """Encoded rows with random access; see `EncodedBatch` for the arrays.

    Attributes
    ----------
    encoded : arrays in memory, or mapped from files
    maps : the mapped files
    """

    encoded: EncodedBatch
    maps: list[mmap.mmap] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.encoded)

    def take(self, rows: np.ndarray) -> EncodedBatch:
        """Return the given rows, in the given order, in memory; of mapped files few of them at a time."""
        if not self.maps:
            return self.encoded.take(rows)
        step = max(1, _RESIDENT // (len(self.maps) * _FAULT))
        parts = []
        for start in range(0, max(len(rows), 1), step):
            parts.append(self.encoded.take(rows[start : start + step]))
            self.release()
        return concat_batches(parts)

    def release(self) -> None:
        """Give mapped pages back to the system, which keeps them in its own cache while there is room."""
        for mapped in self.maps:
            mapped.madvise(mmap.MADV_DONTNEED)


class StoreWriter:
    """Collects encoded rows.

    Parameters
    ----------
    folder : for the files
    budget : bytes kept in memory; once they are spent everything goes to files
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder, self.left = folder, budget
        self.columns: dict[str, _Column] = {}
        self.shape: EncodedBatch | None = None
        self.n = 0

    def append(self, batch: EncodedBatch) -> None:
        """Take more rows; every batch has the same arrays."""
        self.shape = self.shape or batch.take(np.arange(0))
        self.n += len(batch)
        for name, array in _flatten(batch):
            column = self.columns.setdefault(name, _Column(self.folder / f"{len(self.columns)}.bin"))
            column.append(array)
            self.left -= array.nbytes
        if self.left < 0:
            for name, column in self.columns.items():
                if not name.endswith(_LENGTHS):
                    column.spill()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for column in self.columns.values():
            column.close()

    def finish(self) -> Store:
        """Return the rows; at least one batch was appended."""
        assert self.shape is not None
        arrays = {name: column.finish() for name, column in self.columns.items()}
        maps = [column.mapped for column in self.columns.values() if column.mapped is not None]
        ragged = {name: _ragged(f"ragged.{name}", part, arrays) for name, part in self.shape.ragged.items()}
        return Store(EncodedBatch(self.n, {name: arrays[f"rows.{name}"] for name in self.shape.rows}, ragged), maps)


_LENGTHS = "#lengths"  # elements per row; always in memory, as random access begins with it


class _Column:
    """One array that grows."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.parts: list[np.ndarray] = []
        self.handle: BinaryIO | None = None
        self.mapped: mmap.mmap | None = None
        self.like = np.empty(0)
        self.rows = 0

    def append(self, array: np.ndarray) -> None:
        self.like = array[:0]
        self.rows += len(array)
        self._keep(array)

    def _keep(self, array: np.ndarray) -> None:
        if self.handle is not None:
            self.handle.write(np.ascontiguousarray(array).data if array.size else b"")
        else:
            self.parts.append(array)

    def spill(self) -> None:
        if self.handle is not None:
            return
        parts, self.parts = self.parts, []
        self.handle = self.file.open("wb")
        for part in parts:
            self._keep(part)

    def close(self) -> None:
        if self.handle is not None:
            self.handle.close()

    def finish(self) -> np.ndarray:
        if self.handle is None:
            return np.concatenate(self.parts)
        self.close()
        shape = (self.rows, *self.like.shape[1:])
        if self.file.stat().st_size == 0:
            return np.empty(shape, self.like.dtype)
        with self.file.open("rb") as file:
            self.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(self.mapped, self.like.dtype).reshape(shape)


def _flatten(batch: EncodedBatch) -> Iterator[tuple[str, np.ndarray]]:
    for name, array in batch.rows.items():
        yield f"rows.{name}", array
    for name, ragged in batch.ragged.items():
        yield from _flatten_ragged(f"ragged.{name}", ragged)


def _flatten_ragged(path: str, ragged: Ragged) -> Iterator[tuple[str, np.ndarray]]:
    yield path + _LENGTHS, np.diff(ragged.indptr)
    for name, array in ragged.arrays.items():
        yield f"{path}.array.{name}", array
    for name, part in ragged.parts.items():
        yield from _flatten_ragged(f"{path}.part.{name}", part)


def _ragged(path: str, shape: Ragged, arrays: Mapping[str, np.ndarray]) -> Ragged:
    return Ragged(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(arrays[path + _LENGTHS], dtype=np.int64)]),
        {name: arrays[f"{path}.array.{name}"] for name in shape.arrays},
        {name: _ragged(f"{path}.part.{name}", part, arrays) for name, part in shape.parts.items()},
    )
