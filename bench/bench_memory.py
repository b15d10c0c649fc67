"""Memory of training on a table that does not fit into memory.

    python -m bench.bench_memory [--gb 5] [--memory-limit 1GB] [--peak-gb 3] [--folder /tmp] [--out memory.json]

One process makes a DuckDB database with a table of `--gb` gigabytes: texts of a thousand bytes from a vocabulary of
20,000 words, a category and two numbers. Another one opens it under `SET memory_limit` and runs what a user would: a
task, two labeling functions that look for a word of the text, `REFRESH LABELS`, and `CREATE MODEL` for `--epochs`
epochs. Asserted are its peak memory, as the system saw it (mapped files and DuckDB included), that every row has a
label, and that the model has found the words: it is right on 99 % of the rows of a sample.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

import wsdb

ROW_BYTES = 1_000
WORDS = 148
SAMPLE = 20_000

TABLE = f"""
CREATE TABLE corpus AS
SELECT i AS id,
    array_to_string(list_transform(range({WORDS}), lambda x: 'w' || (hash(i * {WORDS} + x) % 20000)), ' ')
        || CASE WHEN hash(i) % 2 = 0 THEN ' lovely' ELSE ' awful' END AS body,
    'kind ' || (hash(i + 1) % 50) AS kind,
    (hash(i + 2) % 1000000) / 1e6 AS a,
    (hash(i + 3) % 100)::INTEGER AS b
FROM range($rows) t(i)
"""
STATEMENTS = """
CREATE TASK tone ON corpus KEY (id) TYPE BINARY ('good', 'bad');
CREATE LABELING FUNCTION lovely FOR TASK tone VOTE 'good' WHEN body LIKE '%lovely%';
CREATE LABELING FUNCTION awful FOR TASK tone VOTE 'bad' WHEN body LIKE '%awful%';
REFRESH LABELS FOR TASK tone;
CREATE MODEL critic FOR TASKS (tone) FROM corpus FEATURES (body, kind, a, b) WITH (epochs = $epochs)
"""
RIGHT = f"""
SELECT avg((predicted_tone = CASE WHEN contains(body, 'lovely') THEN 'good' ELSE 'bad' END)::INTEGER)
FROM predict('tone', (SELECT * FROM corpus WHERE id < {SAMPLE}))
"""


def make_table(file: Path, rows: int) -> None:
    """Create the database; in this process, which is not the one that is measured."""
    connection = duckdb.connect(str(file))
    connection.execute("SET memory_limit = '2GB'")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(TABLE, {"rows": rows})
    connection.close()


def train_on(file: Path, memory_limit: str, epochs: int) -> dict[str, Any]:
    """Label and train under the memory limit; return what was measured."""
    db = wsdb.connect(str(file))
    db.execute(f"SET memory_limit = '{memory_limit}'")
    db.execute("SET threads = 2")
    began, cpu = time.perf_counter(), time.process_time()
    seconds = {}
    for statement in STATEMENTS.replace("$epochs", str(epochs)).split(";"):
        started = time.perf_counter()
        db.execute(statement)
        seconds[" ".join(statement.split()[:2])] = time.perf_counter() - started
    figures = {
        "seconds": seconds,
        "wall_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }
    rows, size = db.sql("SELECT count(*), sum(strlen(body)) FROM corpus").fetchall()[0]
    labels = db.sql("SELECT count(label) FROM labels('tone')").fetchall()[0][0]
    right = db.sql(RIGHT).fetchall()[0][0]
    return {"rows": rows, "text_bytes": int(size), "labels": labels, "right": right} | figures


def main() -> int:
    """Make the table, train in a process of its own, print and check; 1 if it took too much memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gb", type=float, default=5.0, help="size of the texts")
    parser.add_argument("--memory-limit", default="1GB", help="of DuckDB")
    parser.add_argument("--peak-gb", type=float, default=3.0, help="most memory of the process")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="has room for 8 times --gb")
    parser.add_argument("--only", type=Path, help="train on this database in this process")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    if given.only:
        print(json.dumps(train_on(given.only, given.memory_limit, given.epochs)))
        return 0
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        file = Path(folder) / "corpus.duckdb"
        make_table(file, int(given.gb * 1e9 / ROW_BYTES))
        command = [sys.executable, "-m", "bench.bench_memory", "--only", str(file), "--epochs", str(given.epochs)]
        command += ["--memory-limit", given.memory_limit]
        environment = {**os.environ, "TMPDIR": folder, "OMP_NUM_THREADS": "1"}
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        figures: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
        figures["database_gb"] = file.stat().st_size / 1e9
    print(f"{figures['rows']:,} rows, {figures['text_bytes'] / 1e9:.2f} GB of text, memory_limit {given.memory_limit}")
    print(f"labeled and trained in {figures['wall_s']:.0f} s ({figures['cpu_s']:.0f} CPU s)")
    print(f"peak {figures['peak_gb']:.2f} GB, right on {figures['right']:.2%}")
    assert figures["labels"] == figures["rows"], "not every row has a label"
    assert figures["right"] >= 0.99, f"{figures['right']:.1%} right: the network has not found the words"
    missed = [f"peak {figures['peak_gb']:.2f} GB"] if figures["peak_gb"] > given.peak_gb else []
    print(f"missed: {missed[0]}" if missed else "every promise kept")
    if given.out:
        versions = {"python": platform.python_version(), "duckdb": duckdb.__version__, "pyarrow": pa.__version__}
        facts = {"machine": platform.platform(), "versions": versions, "memory_limit": given.memory_limit}
        given.out.write_text(json.dumps(facts | figures | {"missed": missed}, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
