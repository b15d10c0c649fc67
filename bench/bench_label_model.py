"""Speed of the label model: a million rows of votes by ten sources, from the table to a fit.

    python -m bench.bench_label_model [--rows 1000000] [--snorkel /path/to/python] [--out label_model.json]

One table of synthetic votes (fixed seed) in DuckDB; measured one after the other in one run, in CPU seconds
and wall seconds:

* group by: `SELECT lf_0 …, count(*) GROUP BY ALL` alone, the work no pattern-based fit can avoid;
* wsdb: the same query, fetched, and `fit` on the patterns;
* wsdb labels: the SELECT that labels all rows by that fit, into a table;
* snorkel: LabelModel defaults (100 epochs) in an environment of its own, from the votes in memory; its
  `predict` is timed apart.

After one warm-up each is run `--repeat` times and the fastest counts; Snorkel is run once. The answers are
checked: numpy and SQL must label every row the same, the labels must be right at least as often as majority
vote less half a point, and Snorkel must agree on nine rows of ten.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from wsdb.core.matrix import ABSTAIN, VotePatterns
from wsdb.labelmodel import Fit, decide, fit
from wsdb.labelmodel.sql import labels_select
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates

SOURCES = 10
BALANCE = np.array([0.6, 0.4])

SNORKEL = """
import json, resource, sys, time
import numpy as np
from snorkel.labeling.model import LabelModel
votes = np.load(sys.argv[1])
cpu, wall = time.process_time(), time.perf_counter()
model = LabelModel(cardinality=2, verbose=False)
model.fit(votes, seed=0, progress_bar=False)
fit = [time.process_time() - cpu, time.perf_counter() - wall]
cpu, wall = time.process_time(), time.perf_counter()
labels = model.predict(votes)
predict = [time.process_time() - cpu, time.perf_counter() - wall]
np.savez(sys.argv[2], labels=labels)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"fit": fit, "predict": predict, "peak_mb": peak}))
"""


def timed(run: Callable[[], Any], repeat: int) -> tuple[Any, dict[str, float]]:
    """Result of `run` and the CPU and wall seconds of its fastest repetition, after one warm-up."""
    result = run()
    best = {"cpu_s": np.inf, "wall_s": np.inf}
    for _ in range(repeat):
        cpu, wall = time.process_time(), time.perf_counter()
        result = run()
        took = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        best = min(best, took, key=lambda seconds: seconds["cpu_s"])
    return result, best


def load(connection: duckdb.DuckDBPyConnection, votes: np.ndarray) -> None:
    """Create table `votes`: a key and one TINYINT column per source, NULL = abstain."""
    names = [f"lf_{j}" for j in range(votes.shape[1])]
    raw = {name: np.ascontiguousarray(votes[:, j]) for j, name in enumerate(names)}
    raw["id"] = np.arange(len(votes))
    connection.register("raw", pa.table(raw))
    columns = ", ".join(f"nullif({name}, {ABSTAIN})::TINYINT AS {name}" for name in names)
    connection.execute(f"CREATE TABLE votes AS SELECT id, {columns} FROM raw")
    connection.unregister("raw")


def group(connection: duckdb.DuckDBPyConnection) -> dict[str, np.ndarray]:
    """Distinct rows of votes with their counts."""
    columns = ", ".join(f"coalesce(lf_{j}, {ABSTAIN})::TINYINT AS lf_{j}" for j in range(SOURCES))
    query = f"SELECT {columns}, count(*) AS n FROM votes GROUP BY ALL"
    return connection.execute(query).fetchnumpy()


def fit_table(connection: duckdb.DuckDBPyConnection) -> Fit:
    """Group the votes and fit."""
    table = group(connection)
    votes = np.stack([np.asarray(table[f"lf_{j}"], dtype=np.int8) for j in range(SOURCES)], axis=1)
    names = tuple(f"lf_{j}" for j in range(SOURCES))
    return fit(VotePatterns(votes, np.asarray(table["n"], dtype=np.int64), names, 2), balance=BALANCE)


def label_table(connection: duckdb.DuckDBPyConnection, fitted: Fit) -> None:
    """Label all rows in SQL, into table `labels`."""
    columns = [f"lf_{j}" for j in range(SOURCES)]
    select = labels_select(fitted.form, relation="votes", keys=["id"], columns=columns, labels=["0", "1"])
    connection.execute(f"CREATE OR REPLACE TABLE labels AS {select}")


def run_snorkel(python: str, votes: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Snorkel's labels (int, shape (n,)) and its figures."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "votes.npy", Path(folder) / "labels.npz"
        np.save(source, votes.astype(int))
        command = [python, "-c", SNORKEL, str(source), str(target)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        figures = json.loads(printed.strip().splitlines()[-1])
        return np.load(target)["labels"], {
            "cpu_s": figures["fit"][0],
            "wall_s": figures["fit"][1],
            "predict_cpu_s": figures["predict"][0],
            "peak_mb": figures["peak_mb"],
        }


def check(connection: duckdb.DuckDBPyConnection, fitted: Fit, votes: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Assert that the answers are right; return how often they are."""
    labels = decide(fitted.form, votes)
    in_sql = connection.execute("SELECT coalesce(label::INTEGER, -1) AS y FROM labels ORDER BY id").fetchnumpy()
    assert (np.asarray(in_sql["y"]) == labels).all(), "SQL and numpy label rows differently"
    covered = (votes != ABSTAIN).any(axis=1)
    plain = decide(fit(VotePatterns.of_rows(votes[:1000], 2), method="majority", balance=BALANCE).form, votes)
    right = float((labels == truth)[covered].mean())
    majority = float((plain == truth)[covered].mean())
    assert right >= majority - 0.005, f"fit right on {right:.3f} of the rows, majority vote on {majority:.3f}"
    return {"right": right, "majority_right": majority, "labels": labels, "covered": covered}


def main() -> None:
    """Run the benchmark and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="DuckDB threads")
    parser.add_argument("--snorkel", help="interpreter of an environment with snorkel 0.10 and torch")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()

    rng = np.random.default_rng(20)
    theta = labeling_rates(rng, SOURCES, 2, coverage=0.3, unipolar=True)
    truth, votes = draw_votes(rng, theta, BALANCE, options.rows)
    connection = duckdb.connect(config={"threads": options.threads})
    load(connection, votes)

    figures: dict[str, dict[str, Any]] = {}
    _, figures["group by"] = timed(lambda: group(connection), options.repeat)
    fitted, figures["wsdb"] = timed(lambda: fit_table(connection), options.repeat)
    _, figures["wsdb labels"] = timed(lambda: label_table(connection, fitted), options.repeat)
    answers = check(connection, fitted, votes, truth)
    quality = {"right": answers["right"], "majority_right": answers["majority_right"]}
    quality["largest_theta_error"] = float(np.abs(fitted.theta - theta).max())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.snorkel:
        labels, figures["snorkel"] = run_snorkel(options.snorkel, votes)
        covered = answers["covered"]
        quality["snorkel_right"] = float((labels == truth)[covered].mean())
        quality["agreement"] = float((labels == answers["labels"])[covered].mean())
        assert quality["agreement"] >= 0.9, f"wsdb and Snorkel agree on {quality['agreement']:.3f} of the rows"

    base = figures["wsdb"]["cpu_s"]
    print(f"{options.rows} rows, {SOURCES} sources, {fitted.n_patterns} patterns, {fitted.chosen}")
    print(f"{'':<12} {'CPU s':>8} {'wall s':>8} {'CPU / wsdb':>11}")
    for name, seconds in figures.items():
        print(f"{name:<12} {seconds['cpu_s']:8.3f} {seconds['wall_s']:8.3f} {seconds['cpu_s'] / base:11.2f}")
    print(", ".join(f"{name} {value:.4f}" for name, value in quality.items()))
    if options.out:
        versions = {
            "python": platform.python_version(),
            "duckdb": duckdb.__version__,
            "numpy": np.__version__,
        }
        result = {
            "rows": options.rows,
            "sources": SOURCES,
            "patterns": fitted.n_patterns,
            "threads": options.threads,
            "peak_mb": peak,
            "machine": platform.platform(),
            "versions": versions,
            "figures": figures,
            "quality": quality,
        }
        options.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    sys.exit(main())
