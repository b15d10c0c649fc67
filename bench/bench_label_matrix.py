"""The label matrix of 1M rows x 50 labeling functions, against the same SELECT by hand and polars expressions by hand.

    python -m bench.bench_label_matrix [--rows 1000000] [--runs 3] [--out FILE]

One run measures all three on the same table, in turn, after a warm-up on a tenth of it; every cell of the three
matrices is compared. Wall and CPU seconds are the median of the runs.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

import wsdb

WORDS = [
    "account", "alert", "bank", "bonus", "buy", "call", "cash", "check", "cheap", "claim", "click", "cold",
    "coffee", "deal", "door", "email", "evening", "family", "free", "friend", "garden", "gift", "great", "green",
    "happy", "home", "hour", "house", "invoice", "kind", "late", "letter", "link", "lottery", "lunch", "market",
    "meeting", "money", "morning", "music", "night", "note", "offer", "order", "paper", "party", "password", "pay",
    "phone", "picture", "please", "plan", "prize", "project", "question", "quick", "rain", "report", "river",
    "road", "sale", "school", "secure", "send", "share", "shop", "song", "stock", "street", "subscribe", "summer",
    "sun", "team", "ticket", "today", "train", "transfer", "travel", "trial", "urgent", "verify", "video", "visit",
    "water", "weather", "week", "win", "winner", "wire", "work",
]  # fmt: skip


def make(rows: int, seed: int = 7) -> pa.Table:
    """Return id, title (about 40 characters), body (about 300 characters), amount and age."""
    rng = np.random.default_rng(seed)
    words = np.array(WORDS, dtype=object)
    pool = [" ".join(words[rng.integers(0, len(words), 8)]) for _ in range(40_000)]
    some = np.array(pool, dtype=object)
    picks = rng.integers(0, len(pool), (rows, 6))
    body = [" ".join(parts) for parts in some[picks]]
    title = some[rng.integers(0, len(pool), rows)]
    return pa.table(
        {
            "id": np.arange(rows),
            "title": pa.array(list(title)),
            "body": pa.array(body),
            "amount": rng.gamma(2.0, 50.0, rows),
            "age": rng.integers(0, 3650, rows),
        }
    )


Predicate = tuple[int, str, Callable[[], pl.Expr]]


def labeling_functions() -> list[Predicate]:
    """Return 50 (label code, predicate as SQL, predicate as polars) of the kinds people write."""
    found: list[Predicate] = []

    def add(code: int, sql: str, expression: Callable[[], pl.Expr]) -> None:
        found.append((code, sql, expression))

    for word in ("lottery", "winner", "password", "urgent", "wire", "bonus", "prize", "verify", "invoice", "claim"):
        add(1, f"body LIKE '%{word}%'", lambda w=word: pl.col("body").str.contains(w, literal=True))
    for word in ("meeting", "lunch", "garden", "school", "music", "coffee", "weather", "project", "family", "river"):
        add(0, f"contains(title, '{word}')", lambda w=word: pl.col("title").str.contains(w, literal=True))
    for one, two in (("free", "money"), ("click", "link"), ("cheap", "deal"), ("send", "cash"), ("pay", "phone")):
        add(
            1,
            f"body LIKE '%{one}%' AND title LIKE '%{two}%'",
            lambda a=one, b=two: (
                pl.col("body").str.contains(a, literal=True) & pl.col("title").str.contains(b, literal=True)
            ),
        )
    for one, two, three in (
        ("great", "happy", "kind"),
        ("team", "report", "work"),
        ("summer", "sun", "travel"),
        ("train", "ticket", "visit"),
        ("evening", "party", "friend"),
    ):
        add(
            0,
            f"regexp_matches(title, '{one}|{two}|{three}')",
            lambda a=one, b=two, c=three: pl.col("title").str.contains(f"{a}|{b}|{c}"),
        )
    for one, two in (("buy", "sale"), ("offer", "trial"), ("order", "shop"), ("stock", "market"), ("gift", "win")):
        add(1, f"regexp_matches(body, '{one} .*{two}')", lambda a=one, b=two: pl.col("body").str.contains(f"{a} .*{b}"))
    for limit in (150, 200, 250, 300, 350, 400, 450):
        add(1, f"amount > {limit}", lambda x=limit: pl.col("amount") > x)
    for limit in (10, 30, 90, 180, 365):
        add(0, f"age < {limit}", lambda x=limit: pl.col("age") < x)
    add(0, "length(body) < 280", lambda: pl.col("body").str.len_chars() < 280)
    add(0, "starts_with(title, 'note')", lambda: pl.col("title").str.starts_with("note"))
    add(1, "ends_with(body, 'cash')", lambda: pl.col("body").str.ends_with("cash"))
    assert len(found) == 50, len(found)
    return found


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """Return wall and CPU seconds of one call."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - start, cpu


def main() -> None:
    """Measure, compare, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lfs = labeling_functions()
    with tempfile.TemporaryDirectory() as folder:
        db = wsdb.connect(str(Path(folder) / "bench.duckdb"))
        pages = make(arguments.rows)
        db.execute("CREATE TABLE docs AS FROM pages")
        db.execute("CREATE TASK spam ON docs KEY (id) TYPE BINARY ('ham', 'spam')")
        names = ["ham", "spam"]
        for at, (code, sql, _) in enumerate(lfs):
            db.execute(f"CREATE LF lf_{at} FOR TASK spam VOTE '{names[code]}' WHEN {sql}")
        votes = ", ".join(
            f"CASE WHEN {sql} THEN {code}::TINYINT END AS lf_{at}" for at, (code, sql, _) in enumerate(lfs)
        )
        by_hand = f"CREATE OR REPLACE TABLE by_hand AS SELECT id, {votes} FROM docs"
        frame = pl.from_arrow(pages)
        assert isinstance(frame, pl.DataFrame)
        kept: dict[str, pl.DataFrame] = {}

        def polars_by_hand() -> None:
            columns = [
                pl.when(expression()).then(pl.lit(code, pl.Int8)).alias(f"lf_{at}")
                for at, (code, _, expression) in enumerate(lfs)
            ]
            kept["polars"] = frame.lazy().select("id", *columns).collect(engine="streaming")

        contenders = {
            "wsdb": lambda: db.execute("REFRESH LABEL MATRIX FOR TASK spam FULL"),
            "duckdb by hand": lambda: db.execute(by_hand),
            "polars by hand": polars_by_hand,
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for run in range(arguments.runs + 1):
            for name, work in contenders.items():
                seconds = measured(work)  # type: ignore[arg-type]
                if run:
                    times[name].append(seconds)
        db.register("from_polars", kept["polars"].to_arrow())
        db.execute("CREATE TABLE by_polars AS FROM from_polars")
        for other in ("by_hand", "by_polars"):
            (different,) = db.execute(
                "SELECT count(*) FROM wsdb.matrix_spam m JOIN "
                + other
                + " h USING (id) WHERE "
                + " OR ".join(f"m.lf_{at} IS DISTINCT FROM h.lf_{at}" for at in range(len(lfs)))
            ).fetchall()[0]
            assert different == 0, f"{different} rows differ from {other}"
            assert db.execute(f"SELECT count(*) FROM {other}").fetchall()[0][0] == arguments.rows
        (votes_cast,) = db.execute("SELECT sum(votes) FROM wsdb.matrix_columns").fetchall()[0]
        db.close()
    wall = {name: statistics.median(w for w, _ in runs) for name, runs in times.items()}
    cpu = {name: statistics.median(c for _, c in runs) for name, runs in times.items()}
    print(f"{arguments.rows:,} rows x {len(lfs)} labeling functions, {votes_cast:,} votes, equal in every cell\n")
    print("| contender | wall s | CPU s | wsdb / it, wall | wsdb / it, CPU |\n|---|---|---|---|---|")
    for name in contenders:
        ratios = f"{wall['wsdb'] / wall[name]:.2f} | {cpu['wsdb'] / cpu[name]:.2f}"
        print(f"| {name} | {wall[name]:.2f} | {cpu[name]:.2f} | {ratios} |")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "rows": arguments.rows, "lfs": len(lfs), "votes": int(votes_cast), "wall_s": wall, "cpu_s": cpu,
            "duckdb": duckdb.__version__, "polars": pl.__version__, "machine": platform.machine(),
        }  # fmt: skip
        arguments.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
