"""The label matrix of 1M rows x 50 labeling functions, against the SELECT by hand, polars by hand, and Snorkel.

    python -m bench.bench_label_matrix [--rows 1000000] [--runs 3] [--snorkel PYTHON] [--out FILE]

One run measures wsdb, DuckDB and polars on the same table, in turn, after a warm-up; every cell of the three matrices
is compared. Wall and CPU seconds are the median of the runs. Snorkel's appliers run once on the first 20,000 rows, in
an environment of their own, with the same labeling functions as Python; their CPU seconds are scaled to all rows and
their votes compared too.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """Return id, title (about 50 characters), body (about 300 characters), host, amount and age."""
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
            "host": pa.array([f"host{at}.example" for at in rng.integers(0, 5_000, rows)]),
            "amount": rng.gamma(2.0, 50.0, rows),
            "age": rng.integers(0, 3650, rows),
        }
    )


@dataclass(frozen=True)
class Rule:
    """A labeling function three times: as SQL, as polars, and as what `applied` reads in plain Python."""

    code: int
    sql: str
    polars: pl.Expr
    python: tuple[str, str, Any]


def labeling_functions(bad: list[str]) -> list[Rule]:
    """Return 50 labeling functions of the kinds people write.

    Parameters
    ----------
    bad : the hosts of the knowledge base
    """
    found: list[Rule] = []
    body, title = pl.col("body"), pl.col("title")

    def add(code: int, sql: str, expression: pl.Expr, python: tuple[str, str, Any]) -> None:
        found.append(Rule(code, sql, expression, python))

    for word in ("lottery", "winner", "password", "urgent", "wire", "bonus", "prize"):
        add(1, f"body LIKE '%{word}%'", body.str.contains(word, literal=True), ("in", "body", word))
    for word in ("meeting", "lunch", "garden", "school", "music", "coffee"):
        add(0, f"contains(title, '{word}')", title.str.contains(word, literal=True), ("in", "title", word))
    for word in ("Verify", "Invoice", "Claim", "Offer"):
        expression = body.str.contains(f"(?i){word}")
        add(1, f"body ILIKE '%{word}%'", expression, ("search", "body", f"(?i){word}"))
    for words in (
        "great|happy|kind", "team|report|work", "summer|sun|travel", "train|ticket|visit", "evening|party|friend",
        "buy|sale|shop|order", "free|gift|win|prize|bonus", "click|link|subscribe",
    ):  # fmt: skip
        code = int("buy" in words or "free" in words or "click" in words)
        expression = body.str.contains(words)
        add(code, f"regexp_matches(body, '{words}')", expression, ("search", "body", words))
    for words in (
        "cash|money", "pay|paper|plan", "stock|market", "wire|transfer|send", "trial|deal|cheap", "account|bank",
        "home|house", "night|week|today", "rain|river|road", "email|letter|note", "quick|question", "phone|call|share",
    ):  # fmt: skip
        pattern = rf"(?i)\b({words})\b"
        code = int(words in ("cash|money", "stock|market", "wire|transfer|send", "trial|deal|cheap"))
        add(code, f"regexp_matches(body, '{pattern}')", body.str.contains(pattern), ("search", "body", pattern))
    for one, two in (("buy", "sale"), ("offer", "trial"), ("gift", "win")):
        pattern = rf"{one} \w+ {two}"
        add(1, f"regexp_matches(body, '{pattern}')", body.str.contains(pattern), ("search", "body", pattern))
    for limit in (150.0, 250.0, 350.0, 450.0):
        add(1, f"amount > {limit}", pl.col("amount") > limit, (">", "amount", limit))
    for limit in (10, 90, 365):
        add(0, f"age < {limit}", pl.col("age") < limit, ("<", "age", limit))
    add(0, "starts_with(title, 'note')", title.str.starts_with("note"), ("search", "title", "^note"))
    add(1, "ends_with(body, 'cash')", body.str.ends_with("cash"), ("search", "body", "cash$"))
    add(1, "host IN (SELECT host FROM bad_hosts)", pl.col("host").is_in(bad), ("among", "host", bad))
    assert len(found) == 50, len(found)
    return found


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """Return wall and CPU seconds of one call."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - start, cpu


SNORKEL = """
import json, re, resource, sys, types
import pandas as pd
from snorkel.labeling import LabelingFunction, LFApplier, PandasLFApplier
rules, folder = json.load(open(sys.argv[1] + "/rules.json")), sys.argv[1]
def made(at, code, kind, column, value):
    if kind == "in": test = lambda text: value in text
    elif kind == "search": test = lambda text, found=re.compile(value, re.ASCII).search: found(text) is not None
    elif kind == ">": test = lambda number: number > value
    elif kind == "<": test = lambda number: number < value
    else: test = lambda text, known=frozenset(value): text in known
    return LabelingFunction(f"lf_{at}", lambda row: code if test(getattr(row, column)) else -1)
lfs = [made(at, code, *python) for at, (code, python) in enumerate(rules)]
frame = pd.DataFrame(json.load(open(folder + "/sample.json")))
rows = [types.SimpleNamespace(**row) for row in frame.to_dict("records")]
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
seconds = {}
for name, applier, data in (("LFApplier", LFApplier(lfs), rows), ("PandasLFApplier", PandasLFApplier(lfs), frame)):
    start = cpu()
    votes = applier.apply(data, progress_bar=False)
    seconds[name] = cpu() - start
import numpy as np
np.save(folder + "/votes.npy", votes)
print(json.dumps(seconds))
"""
SAMPLE = 20_000


def snorkel(python: str, folder: Path, rules: list[Rule], pages: pa.Table) -> tuple[dict[str, float], np.ndarray]:
    """Return the CPU seconds of Snorkel's appliers on the first rows, scaled to all rows, and their votes."""
    (folder / "rules.json").write_text(json.dumps([(rule.code, rule.python) for rule in rules]))
    (folder / "sample.json").write_text(json.dumps(pages.slice(0, SAMPLE).to_pydict()))
    (folder / "apply.py").write_text(SNORKEL)
    done = subprocess.run([python, str(folder / "apply.py"), str(folder)], capture_output=True, text=True, check=True)
    seconds = json.loads(done.stdout.splitlines()[-1])
    scale = pages.num_rows / min(SAMPLE, pages.num_rows)
    return {name: spent * scale for name, spent in seconds.items()}, np.load(folder / "votes.npy")


def set_up(db: wsdb.Session, pages: pa.Table, rules: list[Rule], bad: list[str]) -> None:
    """Make the table, the knowledge base, the task and its labeling functions."""
    hosts = pa.table({"host": bad})
    db.register("pages", pages)
    db.register("hosts", hosts)
    db.execute("CREATE TABLE docs AS FROM pages; CREATE TABLE bad_hosts AS FROM hosts")
    db.execute("CREATE TASK spam ON docs KEY (id) TYPE BINARY ('ham', 'spam')")
    names = ["ham", "spam"]
    for at, rule in enumerate(rules):
        db.execute(f"CREATE LF lf_{at} FOR TASK spam VOTE '{names[rule.code]}' WHEN {rule.sql}")


def main() -> None:
    """Measure, compare, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--snorkel", help="python of an environment with snorkel")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bad = [f"host{at}.example" for at in range(0, 5_000, 25)]
    rules = labeling_functions(bad)
    with tempfile.TemporaryDirectory() as folder:
        db = wsdb.connect(str(Path(folder) / "bench.duckdb"))
        pages = make(arguments.rows)
        set_up(db, pages, rules, bad)
        votes = ", ".join(
            f"CASE WHEN {rule.sql} THEN {rule.code}::TINYINT END AS lf_{at}" for at, rule in enumerate(rules)
        )
        by_hand = f"CREATE OR REPLACE TABLE by_hand AS SELECT id, {votes} FROM docs"
        frame = pl.from_arrow(pages)
        assert isinstance(frame, pl.DataFrame)
        kept: dict[str, pl.DataFrame] = {}

        def polars_by_hand() -> None:
            columns = [
                pl.when(rule.polars).then(pl.lit(rule.code, pl.Int8)).alias(f"lf_{at}") for at, rule in enumerate(rules)
            ]
            kept["polars"] = frame.lazy().select("id", *columns).collect(engine="streaming")

        def polars_and_duckdb() -> None:
            read = pl.from_arrow(db.connection.sql("FROM docs").to_arrow_table())
            assert isinstance(read, pl.DataFrame)
            columns = [
                pl.when(rule.polars).then(pl.lit(rule.code, pl.Int8)).alias(f"lf_{at}") for at, rule in enumerate(rules)
            ]
            made = read.lazy().select("id", *columns).collect(engine="streaming").to_arrow()
            db.register("made", made)
            db.execute("CREATE OR REPLACE TABLE by_polars AS FROM made")
            db.unregister("made")

        contenders = {
            "wsdb": lambda: db.execute("REFRESH LABEL MATRIX FOR TASK spam FULL"),
            "duckdb by hand": lambda: db.execute(by_hand),
            "polars by hand, in memory": polars_by_hand,
            "polars by hand, read from and stored in DuckDB": polars_and_duckdb,
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for run in range(arguments.runs + 1):
            for name, work in contenders.items():
                seconds = measured(work)  # type: ignore[arg-type]
                if run:
                    times[name].append(seconds)
        compare(db, kept["polars"], arguments.rows)
        (votes_cast,) = db.execute("SELECT sum(votes) FROM wsdb.matrix_columns").fetchall()[0]
        peer: dict[str, float] = {}
        if arguments.snorkel:
            peer, theirs = snorkel(arguments.snorkel, Path(folder), rules, pages)
            ours = db.execute(
                f"SELECT COLUMNS('lf_.*') FROM wsdb.matrix_spam WHERE id < {SAMPLE} ORDER BY id"
            ).fetchnumpy()
            stacked = np.stack([np.ma.filled(column, -1) for column in ours.values()], axis=1)
            assert (stacked == theirs).all(), f"{(stacked != theirs).sum()} votes differ from Snorkel's"
        db.close()
    wall = {name: statistics.median(w for w, _ in runs) for name, runs in times.items()}
    cpu = {name: statistics.median(c for _, c in runs) for name, runs in times.items()} | peer
    print(f"{arguments.rows:,} rows x {len(rules)} labeling functions, {votes_cast:,} votes, equal in every cell\n")
    print("| contender | wall s | CPU s | wsdb / it, wall | wsdb / it, CPU |\n|---|---|---|---|---|")
    for name in cpu:
        walls = f"{wall[name]:.2f}" if name in wall else ""
        ratio = f"{wall['wsdb'] / wall[name]:.2f}" if name in wall else ""
        print(f"| {name} | {walls} | {cpu[name]:.2f} | {ratio} | {cpu['wsdb'] / cpu[name]:.3f} |")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "rows": arguments.rows, "lfs": len(rules), "votes": int(votes_cast), "wall_s": wall, "cpu_s": cpu,
            "duckdb": duckdb.__version__, "polars": pl.__version__, "machine": platform.machine(),
        }  # fmt: skip
        arguments.out.write_text(json.dumps(record, indent=2) + "\n")


def compare(db: wsdb.Session, frame: pl.DataFrame, rows: int) -> None:
    """Assert that the stored matrix is in every cell what DuckDB and polars gave."""
    db.register("from_polars", frame.to_arrow())
    db.execute("CREATE OR REPLACE TABLE in_polars AS FROM from_polars")
    for other in ("by_hand", "in_polars", "by_polars"):
        (different,) = db.execute(
            f"SELECT count(*) FROM wsdb.matrix_spam m JOIN {other} h USING (id) WHERE "
            + " OR ".join(f"m.lf_{at} IS DISTINCT FROM h.lf_{at}" for at in range(50))
        ).fetchall()[0]
        assert different == 0, f"{different} rows differ from {other}"
        assert db.execute(f"SELECT count(*) FROM {other}").fetchall()[0][0] == rows


if __name__ == "__main__":
    main()
