from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdb.model import store
from wsdb.model.arrays import EncodedBatch, Ragged, concat_batches
from wsdb.model.hashing import HashedRows
from wsdb.model.store import StoreWriter, pieces, spilled_batches, spilled_texts


def encoded(rng: np.random.Generator, n: int) -> EncodedBatch:
    """Random rows with arrays of every shape there is, some of no columns."""
    lengths = rng.integers(0, 4, n)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    e = int(indptr[-1])
    inner = np.concatenate([[0], np.cumsum(rng.integers(0, 3, e))]).astype(np.int64)
    grams = Ragged(inner, {"slots": rng.integers(0, 99, inner[-1]).astype(np.int32)})
    tokens = Ragged(
        indptr, {"dense": rng.normal(size=(e, 2)).astype(np.float32), "none": np.empty((e, 0))}, {"grams": grams}
    )
    rows = {"x": rng.normal(size=(n, 3)).astype(np.float32), "none": np.empty((n, 0), np.int32)}
    return EncodedBatch(n, rows, {"tokens": tokens})


def values(ragged: Ragged) -> list[np.ndarray]:
    return [
        ragged.indptr,
        *ragged.arrays.values(),
        *(array for part in ragged.parts.values() for array in values(part)),
    ]


def same(left: EncodedBatch, right: EncodedBatch) -> bool:
    pairs = [*zip(left.rows.values(), right.rows.values(), strict=True)]
    for name, ragged in left.ragged.items():
        pairs += zip(values(ragged), values(right.ragged[name]), strict=True)
    return len(left) == len(right) and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 2_000), st.integers(0, 2**31))
def test_a_store_gives_the_rows_it_was_given(sizes: list[int], budget: int, seed: int) -> None:
    import tempfile

    rng = np.random.default_rng(seed)
    parts = [encoded(rng, n) for n in sizes]
    whole = concat_batches(parts)
    rows = rng.integers(0, max(len(whole), 1), 12 if len(whole) else 0)
    with tempfile.TemporaryDirectory() as folder:
        writer = StoreWriter(Path(folder), budget)
        for part in parts:
            writer.append(part)
        kept = writer.finish()
        assert len(kept) == len(whole)
        assert same(kept.take(np.arange(len(whole))), whole)
        assert same(kept.take(rows), whole.take(rows))
        kept.release()
        assert same(kept.take(rows), whole.take(rows))


def test_taking_rows_twice_is_taking_them_once(rng: np.random.Generator) -> None:
    batch = encoded(rng, 20)
    first, second = rng.integers(0, 20, 15), rng.integers(0, 15, 9)
    assert same(batch.take(first).take(second), batch.take(first[second]))


def test_a_store_beyond_its_budget_is_mapped_from_files_and_released(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_RESIDENT", 4 * 3 * store._FAULT)
    writer = StoreWriter(tmp_path, 0)
    parts = [encoded(rng, 50) for _ in range(3)]
    for part in parts:
        writer.append(part)
    kept = writer.finish()
    assert len(kept.maps) == 3  # x, dense and slots; what has no column has no file
    released: list[int] = []
    plain = store.Store.release
    monkeypatch.setattr(store.Store, "release", lambda self: released.append(1) or plain(self))
    rows = rng.integers(0, 150, 10)
    assert same(kept.take(rows), concat_batches(parts).take(rows))  # read four rows at a time
    assert len(released) == 3
    assert len(kept.take(rows[:0])) == 0
    assert not kept.encoded.rows["x"].flags.writeable


@pytest.mark.parametrize("budget", [0, 1_000, 1 << 20])
def test_spilled_items_come_back_in_their_order_as_often_as_wanted(budget: int, tmp_path: Path) -> None:
    batches = spilled_batches(tmp_path / "rows", budget)
    texts = spilled_texts(tmp_path / "texts", budget)
    given = [pa.record_batch({"a": pa.array([i, None]), "b": pa.array(["x" * i, "y"])}) for i in range(9)]
    hashed = [[HashedRows(np.arange(3), np.arange(2, dtype=np.int32) + i, np.ones(2, np.int32))] * 2 for i in range(9)]
    for batch, rows in zip(given, hashed, strict=True):
        batches.append(batch, 200)
        texts.append(rows, 200)
    for _ in range(2):
        assert list(batches) == given
        found = list(texts)
    assert [rows[1].buckets.tolist() for rows in found] == [rows[1].buckets.tolist() for rows in hashed]
    assert (tmp_path / "rows").exists() == (budget < 9 * 200)
    batches.clear()
    texts.clear()
    assert list(batches) == [] and not (tmp_path / "rows").exists()


def test_large_batches_are_cut_to_pieces_and_small_ones_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PIECE", 1_000)
    large = [pa.record_batch({"a": ["x" * 100] * 50})]
    small = [pa.record_batch({"a": [str(i)]}) for i in range(300)]
    for batches in (large, small, large + small, small + large, []):
        cut = list(pieces(iter(batches)))
        assert [row for piece in cut for row in piece["a"].to_pylist()] == [
            row for batch in batches for row in batch["a"].to_pylist()
        ]
        assert all(piece.nbytes <= 4_000 for piece in cut)
    assert len(list(pieces(large))) > 4
    assert len(list(pieces(small))) < 10
