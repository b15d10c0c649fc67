"""What a refresh costs after a change, as a share of the full rebuild: 1M rows x 50 labeling functions.

    python -m bench.bench_incremental [--rows 1000000] [--runs 3] [--out FILE]

After each change the kept matrix is compared, vote by vote, with one that is built anew.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl

import wsdb
from bench.bench_label_matrix import labeling_functions, make, measured, set_up

REFRESHES = {"label matrix": "REFRESH LABEL MATRIX FOR TASK spam", "labels": "REFRESH LABELS FOR TASK spam"}


def changes(rows: int) -> dict[str, Callable[[int], str]]:
    """Return the statements that make each change, by run."""
    return {
        "nothing changed": lambda run: "SELECT 1",
        "one labeling function edited": lambda run: (
            f"CREATE OR REPLACE LF lf_3 FOR TASK spam VOTE 'spam' WHEN body LIKE '%{['ticket', 'street'][run % 2]}%'"
        ),
        "one regular expression edited": lambda run: (
            "CREATE OR REPLACE LF lf_30 FOR TASK spam VOTE 'ham' WHEN "
            rf"regexp_matches(body, '(?i)\b({['street|stock', 'account|train'][run % 2]})\b')"
        ),
        "1% of the rows appended": lambda run: (
            f"INSERT INTO docs SELECT id + {rows * (run + 2)}, title, body, host, amount, age FROM docs "
            f"WHERE id < {rows} AND id % 100 = {run}"
        ),
        "1% of the rows changed": lambda run: (
            f"UPDATE docs SET body = body || ' free money' WHERE id % 100 = {20 + run}"
        ),
        "1% of the rows deleted": lambda run: f"DELETE FROM docs WHERE id % 100 = {40 + run}",
    }


def main() -> None:
    """Measure, compare, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bad = [f"host{at}.example" for at in range(0, 5_000, 25)]
    pages, patterns = make(arguments.rows), 0
    record: dict[str, dict[str, float]] = {}
    for what, refresh in REFRESHES.items():
        with tempfile.TemporaryDirectory() as folder:
            db = wsdb.connect(str(Path(folder) / "bench.duckdb"))
            set_up(db, pages, labeling_functions(bad), bad)
            record[what] = refreshed(db, refresh, arguments.rows, arguments.runs)
            if what == "labels":
                (patterns,) = db.execute("SELECT count(*) FROM wsdb.patterns_spam").fetchall()[0]
            db.close()
    print(
        f"{arguments.rows:,} rows x 50 labeling functions, {patterns:,} vote patterns; "
        "every kept matrix equals a rebuilt one\n"
    )
    print("| change | label matrix s | of rebuild | labels s | of rebuild |\n|---|---|---|---|---|")
    for name in record["labels"]:
        cells = []
        for what in REFRESHES:
            spent = record[what][name]
            cells += [f"{spent:.2f}", f"{spent / record[what]['full rebuild']:.1%}"]
        print(f"| {name} | {' | '.join(cells)} |")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        found = {"rows": arguments.rows, "patterns": patterns, "wall_s": record, "duckdb": duckdb.__version__,
                 "polars": pl.__version__, "machine": platform.machine()}  # fmt: skip
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")


def refreshed(db: wsdb.Session, refresh: str, rows: int, runs: int) -> dict[str, float]:
    """Return the seconds of a full rebuild and of the refresh after each change, the median of the runs."""
    db.execute(refresh)
    full = [measured(lambda: db.execute(f"{refresh} FULL"))[0] for _ in range(runs)]
    found = {"full rebuild": statistics.median(full)}
    for name, change in changes(rows).items():
        seconds = []
        for run in range(runs):
            db.execute(change(run))
            seconds.append(measured(lambda: db.execute(refresh))[0])
        found[name] = statistics.median(seconds)
        check(db, refresh)
    return found


def check(db: wsdb.Session, refresh: str) -> None:
    """Assert that the kept matrix, and the kept patterns where labels are kept, are those of a rebuild."""
    stored = {"kept": "(SELECT * EXCLUDE (__row) FROM wsdb.matrix_spam)"}
    if "LABELS" in refresh:
        stored["counted"] = "wsdb.patterns_spam"
    for name, relation in stored.items():
        db.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM {relation}")
    db.execute(f"{refresh} FULL")
    for one, other in stored.items():
        for left, right in ((one, other), (other, one)):
            (n,) = db.execute(f"SELECT count(*) FROM (FROM {left} EXCEPT ALL FROM {right})").fetchall()[0]
            assert n == 0, f"{n} rows of {left} are not in {right}"


if __name__ == "__main__":
    main()
