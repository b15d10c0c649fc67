"""The analysis functions on 1M rows x 50 labeling functions: seconds of each call, with a target of one second.

    python -m bench.bench_analysis [--rows 1000000] [--lfs 50] [--labels 2] [--runs 3] [--gold 0.05] [--out FILE]

The rows are made by range() and a hash: each labeling function votes on 4 to 23 % of them and is right in 60 to 79 % of
its votes; some rows have gold labels. What is timed is the plain SQL, as any DuckDB client would run it on the file,
after one REFRESH LABELS; the seconds of that and of the statistics it stores are printed too. The median of the runs
counts. Sums over the functions' answers are compared with sums over the label matrix.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import duckdb

import wsdb
from wsdb.monitor.review import STRATEGIES
from wsdb.session import run_stats

TARGET = 1.0
"""Seconds in which each function should answer."""


def make(db: wsdb.Session, rows: int, lfs: int, labels: int, gold: float) -> None:
    """Create the table, the task and the labeling functions."""
    db.execute(
        "CREATE TABLE pages AS SELECT i AS id, (hash(i) % ?)::INTEGER AS truth, 'lang' || (i % 7) AS lang, "
        "CASE WHEN i % 10 = 0 THEN 'dev' ELSE 'train' END AS fold, hash(i + 17) % 1000 < ? AS known "
        "FROM range(?) AS r(i)",
        [labels, int(1000 * gold), rows],
    )
    names = [f"c{at}" for at in range(labels)]
    listed = ", ".join(f"'{name}'" for name in names)
    db.execute(f"CREATE VIEW gold AS SELECT id, [{listed}][truth + 1] AS label FROM pages WHERE known")
    kind = "BINARY" if labels == 2 else "MULTICLASS"
    db.execute(f"CREATE TASK t ON pages KEY (id) TYPE {kind} ({listed}) GOLD gold (label) SPLIT BY fold")
    for at in range(lfs):
        fires = f"hash(id * {2 * at + 3}) % 100 < {4 + at % 20}"
        right = f"hash(id + {7919 * (at + 1)}) % 100 < {60 + at % 20}"
        vote = f"[{listed}][(truth + CASE WHEN {right} THEN 0 ELSE {1 + at % (labels - 1)} END) % {labels} + 1]"
        db.execute(f"CREATE LF lf_{at} FOR TASK t AS CASE WHEN {fires} THEN {vote} END")


def calls(lfs: int) -> list[str]:
    """Return the calls to time."""
    widest = f"lf_{min(19, lfs - 1)}"
    return [
        "lf_summary('t')",
        "lf_summary('t', 'dev')",
        "lf_conflicts('t')",
        "lf_dependencies('t')",
        f"lf_errors('t', '{widest}')",
        f"lf_errors('t', '{widest}', 20)",
        f"lf_confusion('t', '{widest}')",
        f"label_buckets('t', '{widest}', 'lf_0')",
        "coverage_gaps('t')",
        "coverage_gaps('t', \"by\" := 'lang')",
        *(f"sample_for_review('t', 50, '{name}')" for name in STRATEGIES),
        "label_issues('t')",
        "explain_row('t', 4711)",
        "label_model_report('t')",
    ]


def check(con: duckdb.DuckDBPyConnection, lfs: int) -> None:
    """Compare sums over the answers with sums over the label matrix.

    Raises
    ------
    AssertionError
        Where they differ.
    """
    votes = " + ".join(f"count(lf_{at})" for at in range(lfs))
    right = " + ".join(f"count(*) FILTER (lf_{at} = __gold)" for at in range(lfs))
    both = "count(*) FILTER (lf_0 IS NOT NULL AND lf_1 IS NOT NULL)"
    known = con.execute(f"SELECT count(*), {votes}, {right}, {both} FROM wsdb.matrix_t").fetchall()[0]
    rows = con.execute("SELECT sum(n) FROM wsdb.coverage_gaps('t')").fetchall()[0][0]
    shares = con.execute("SELECT sum(coverage), sum(correct) FROM wsdb.lf_summary('t')").fetchall()[0]
    pair = con.execute("SELECT sum(n) FROM wsdb.lf_conflicts('t') WHERE lf_a = 'lf_0' AND lf_b = 'lf_1'").fetchall()[0][
        0
    ]
    answer = (rows, round(shares[0] * known[0]), shares[1], pair)
    assert answer == known, f"{answer} is not {known}"


def timed(con: duckdb.DuckDBPyConnection, call: str, runs: int) -> tuple[float, int]:
    """Return the median seconds of a call and its number of rows, after a warm-up."""
    seconds, rows = [], 0
    for _ in range(runs + 1):
        start = time.perf_counter()
        rows = len(con.execute(f"FROM wsdb.{call}").fetchall())
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]), rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--lfs", type=int, default=50)
    parser.add_argument("--labels", type=int, default=2)
    parser.add_argument("--gold", type=float, default=0.05)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    db = wsdb.connect()
    db.execute(f"SET threads = {options.threads}")
    make(db, options.rows, options.lfs, options.labels, options.gold)
    result: dict[str, Any] = {"rows": options.rows, "lfs": options.lfs, "labels": options.labels, "gold": options.gold}
    result |= {"threads": options.threads, "duckdb": duckdb.__version__, "machine": platform.machine(), "seconds": {}}
    spent: list[float] = []
    inner = run_stats.store

    def store(*args: Any, **named: Any) -> None:
        start = time.perf_counter()
        inner(*args, **named)
        spent.append(time.perf_counter() - start)

    run_stats.store = store
    start = time.perf_counter()
    db.execute("REFRESH LABELS FOR TASK t")
    result["refresh_seconds"], result["statistics_seconds"] = time.perf_counter() - start, sum(spent)
    print(f"REFRESH LABELS {result['refresh_seconds']:.2f} s, of which statistics {result['statistics_seconds']:.2f} s")
    start = time.perf_counter()
    db.execute("SELECT count(*) FROM label_model_report('t')").fetchall()
    result["report_seconds"] = time.perf_counter() - start
    print(f"label_model_report, first read (all methods are fitted) {result['report_seconds']:.2f} s")
    con = db.connection
    check(con, options.lfs)
    for call in calls(options.lfs):
        seconds, rows = timed(con, call, options.runs)
        result["seconds"][call] = seconds
        print(f"{seconds:8.3f} s  {rows:8,} rows  {call}{'  over the target' if seconds > TARGET else ''}")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
