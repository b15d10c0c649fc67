"""Arrow batches that are worked on while others are read, and the table that they become."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.engine import batches
from wsdb.engine.batches import WORKERS, Batches, batch_rows, worked

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = pa.schema([("n", pa.int64())])


def batch(*values: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"n": list(values)}, schema=SCHEMA)


@given(st.lists(st.integers(0, 7)), st.sampled_from([0, 40, 1 << 20]))
def test_a_table_has_all_rows_in_order_and_full_batches(sizes: list[int], memory: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "GROUP_ROWS", 5)
        held = Batches(memory)
        start = 0
        for size in sizes:
            held.add(batch(*range(start, start + size)))
            start += size
        table = held.table(SCHEMA)
        assert table.column("n").to_pylist() == list(range(start))
        assert all(part.num_rows == 5 for part in table.to_batches()[:-1])
        assert (held.rows, table.schema) == (start, SCHEMA)
        held.close()


def test_answers_come_in_order_while_later_batches_are_read() -> None:
    read, gate = [], threading.Event()

    def source() -> Iterator[pa.RecordBatch]:
        for at in range(6):
            read.append(at)
            if at == WORKERS:
                gate.set()  # the first batch waits for this one: it would wait forever if reading waited for it
            yield batch(at)

    def work(given: pa.RecordBatch) -> int:
        assert gate.wait(10)
        return int(given.column(0)[0].as_py())

    assert list(worked(source(), work)) == list(range(6))
    assert read == list(range(6))


def test_an_error_of_the_work_is_raised_at_its_batch() -> None:
    def work(given: pa.RecordBatch) -> int:
        value = int(given.column(0)[0].as_py())
        if value == 2:
            raise ValueError("two")
        return value

    found: list[int] = []
    with pytest.raises(ValueError, match="two"):
        found.extend(worked((batch(at) for at in range(9)), work))
    assert found == [0, 1]


INTERRUPTED = """
import os, signal, threading
import pyarrow as pa
from wsdb.engine.batches import WORKERS, worked

begun, gate = [], threading.Event()

def work(given):
    begun.append(given.column(0)[0].as_py())
    if len(begun) == WORKERS:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Timer(0.8, gate.set).start()
    gate.wait(10)

try:
    list(worked((pa.record_batch({"n": [at]}) for at in range(WORKERS + 1)), work))
except KeyboardInterrupt:
    print("interrupted", sorted(begun) == list(range(WORKERS)))
"""


def test_what_has_not_begun_is_left_when_ctrl_c_comes() -> None:
    # In a process of its own, whose signal handlers no other test has touched.
    command = [sys.executable, "-c", INTERRUPTED]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == "interrupted True\n"


@pytest.mark.parametrize(
    ("made", "rows"),
    [
        ("repeat('x', 1000)", 64),
        ("repeat('é', 500)", 64),
        ("NULL::VARCHAR", 500),
        ("''", 500),
        ("repeat('x', 90000)", 1),
    ],
)
def test_batches_of_long_texts_have_fewer_rows(monkeypatch: pytest.MonkeyPatch, made: str, rows: int) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 500)
    monkeypatch.setattr(batches, "BATCH_BYTES", 64_128)
    con = duckdb.connect()
    con.execute(f"CREATE TABLE t AS SELECT i % 7 AS n, {made} AS body FROM range(2000) r(i)")
    assert batch_rows(con, "t", ("body", "n")) == rows
    assert batch_rows(con, "(FROM t LIMIT 0)", ("body",)) == 500
    assert batch_rows(con, "t", ()) == 500
