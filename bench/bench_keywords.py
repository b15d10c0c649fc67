"""1,800 keyword labeling functions over 1.7M rows of about 50 words, against the fused DuckDB SELECT on a sample.

    python -m bench.bench_keywords [--rows 1700000] [--lfs 1800] [--sample 0.02] [--out FILE]

The SELECT by hand computes the same votes on a sample of the rows; its time is divided by the sample's share. The
votes of the sample are compared one by one. Peak memory is that of the whole process, the table included.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

import wsdb
from bench.bench_label_matrix import measured

LABELS = ("sports", "business", "science", "world")
BATCH = 100_000


def vocabulary(size: int, rng: np.random.Generator) -> list[str]:
    """Return distinct words of 4 to 10 letters."""
    letters = np.array(list("aabcdeeefghiiklmnoopqrsttuuvwxyz"))
    words: dict[str, None] = {}
    while len(words) < size:
        words["".join(rng.choice(letters, rng.integers(4, 11)))] = None
    return list(words)


def fill(db: wsdb.Session, rows: int, words: list[str], rng: np.random.Generator) -> None:
    """Make the table docs (id, body): words drawn so that few are frequent and most are rare."""
    db.execute("CREATE TABLE docs (id BIGINT, body VARCHAR)")
    rank = np.arange(1, len(words) + 1)
    cumulated = np.cumsum(1 / rank**0.9)
    cumulated /= cumulated[-1]
    pool = pa.array(words)
    for start in range(0, rows, BATCH):
        n = min(BATCH, rows - start)
        lengths = rng.integers(35, 66, n)
        picks = np.searchsorted(cumulated, rng.random(int(lengths.sum()))).astype(np.int32)
        lists = pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32), pool.take(picks))
        body = pa.compute.binary_join(lists, " ")
        batch = pa.table({"id": np.arange(start, start + n), "body": body})
        db.register("batch", batch)
        db.execute("INSERT INTO docs FROM batch")
        db.unregister("batch")


def main() -> None:
    """Measure, compare, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_700_000)
    parser.add_argument("--lfs", type=int, default=1_800)
    parser.add_argument("--sample", type=float, default=0.02)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(11)
    words = vocabulary(30_000, rng)
    keywords = [words[at] for at in rng.choice(np.arange(100, len(words)), arguments.lfs, replace=False)]
    with tempfile.TemporaryDirectory() as folder:
        db = wsdb.connect(str(Path(folder) / "bench.duckdb"), config={"memory_limit": "2GB"})
        fill(db, arguments.rows, words, rng)
        labels = ", ".join(f"'{label}'" for label in LABELS)
        db.execute(f"CREATE TASK topic ON docs KEY (id) TYPE MULTICLASS ({labels})")
        start = time.perf_counter()
        db.execute(
            ";\n".join(
                f"CREATE LF k{at} FOR TASK topic VOTE '{LABELS[at % 4]}' WHEN contains(body, '{word}')"
                for at, word in enumerate(keywords)
            )
        )
        defined = time.perf_counter() - start
        wsdb_time = measured(lambda: db.execute("REFRESH LABEL MATRIX FOR TASK topic"))
        peak_matrix = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        (votes,) = db.execute("SELECT count(*) FROM wsdb.votes_topic").fetchall()[0]
        label_time = measured(lambda: db.execute("REFRESH LABELS FOR TASK topic"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sample = int(arguments.rows * arguments.sample)
        cases = ", ".join(
            f"CASE WHEN contains(body, '{word}') THEN {at % 4}::TINYINT END AS k{at}"
            for at, word in enumerate(keywords)
        )
        by_hand = measured(
            lambda: db.execute(f"CREATE TEMP TABLE by_hand AS SELECT id, {cases} FROM docs WHERE id < {sample}")
        )
        db.execute(
            "CREATE TEMP TABLE long AS SELECT id, substr(name, 2)::INTEGER AS source, code FROM "
            "(UNPIVOT by_hand ON COLUMNS(* EXCLUDE (id)) INTO NAME name VALUE code)"
        )
        db.execute(
            f"CREATE TEMP TABLE ours AS SELECT id, source, code FROM wsdb.votes_topic "
            f"JOIN wsdb.matrix_topic USING (__id) WHERE id < {sample}"
        )
        for one, other in (("long", "ours"), ("ours", "long")):
            (n,) = db.execute(f"SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})").fetchall()[0]
            assert n == 0, f"{n} votes of {one} are not in {other}"
        db.close()
    scaled = [seconds / (sample / arguments.rows) for seconds in by_hand]
    print(
        f"{arguments.rows:,} rows x {arguments.lfs:,} labeling functions, {votes:,} votes; equal on {sample:,} rows\n"
    )
    print("| | wall s | CPU s |\n|---|---|---|")
    print(f"| wsdb, label matrix | {wsdb_time[0]:.1f} | {wsdb_time[1]:.1f} |")
    print(f"| wsdb, labels | {label_time[0]:.1f} | {label_time[1]:.1f} |")
    print(f"| fused DuckDB SELECT, scaled from {sample:,} rows | {scaled[0]:.1f} | {scaled[1]:.1f} |")
    print(
        f"\n{scaled[0] / wsdb_time[0]:.1f}x faster in wall time; peak memory {peak_matrix:,.0f} MB (matrix), "
        f"{peak:,.0f} MB"
    )
    print(f"defining the labeling functions took {defined:.1f} s")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "rows": arguments.rows, "lfs": arguments.lfs, "votes": votes, "sample": sample,
            "wall_s": {"matrix": wsdb_time[0], "labels": label_time[0], "by hand": scaled[0], "define": defined},
            "cpu_s": {"matrix": wsdb_time[1], "labels": label_time[1], "by hand": scaled[1]},
            "peak_mb": {"matrix": peak_matrix, "labels": peak}, "duckdb": duckdb.__version__, "polars": pl.__version__,
            "machine": platform.machine(),
        }  # fmt: skip
        arguments.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
