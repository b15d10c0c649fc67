"""Speed of the label model, from a table of votes to a fit.

    python -m bench.bench_label_model [--case narrow] [--snorkel /path/to/python] [--out label_model.json]

Four cases, each one table of synthetic votes (fixed seed) in DuckDB:

* narrow: 1,000,000 rows, 10 labeling functions that vote on 3 rows of 10; about a thousand patterns;
* tall: 10,000,000 rows of the same;
* wide: 1,000,000 rows, 50 labeling functions that vote on 2 rows of 10: as many patterns as rows;
* dense: 1,000,000 rows, 50 sources that use both classes and vote on 8 rows of 10.

Measured one after the other in one run, in CPU seconds and wall seconds:

* group by: `SELECT lf_0 …, count(*) GROUP BY ALL` alone, the work no pattern-based fit can avoid;
* wsdb: the votes packed into words, counted, fetched, and `fit` on the patterns;
* wsdb fit: `fit` alone;
* wsdb labels: the SELECT that labels all rows by that fit, into a table;
* snorkel: LabelModel defaults (100 epochs) in an environment of its own, one thread, from the votes in memory; its
  `predict` is timed apart.

After one warm-up each is run `--repeat` times and the fastest counts; Snorkel is run once. The answers are
checked: numpy and SQL must label every row the same, the labels must be right at least as often as majority
vote less half a point, and Snorkel must agree on nine rows of ten. So are the speeds that CASES names: a case that
misses one is printed with "missed" and makes the exit status 1.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from wsdb.core.matrix import ABSTAIN, VotePatterns
from wsdb.labelmodel import Fit, decide, fit
from wsdb.labelmodel.sql import labels_select
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates

BALANCE = np.array([0.6, 0.4])
PER_WORD = 32


@dataclass(frozen=True, slots=True)
class Case:
    """A table of votes, and the speeds it has to reach.

    Attributes
    ----------
    coverage : share of rows, over sources and classes, on which a source votes
    over_group_by : most CPU seconds of counting and fitting, as a multiple of a bare GROUP BY; None for no promise
    under_snorkel : least ratio of Snorkel's CPU seconds, from votes in memory, to those of counting and fitting
    under_snorkel_fit : the same to those of fitting alone, also from votes in memory
    peak_mb : most memory, the table in DuckDB included
    unipolar : each source votes for one class
    """

    rows: int
    sources: int
    coverage: float
    over_group_by: float | None
    under_snorkel: float | None
    under_snorkel_fit: float | None
    peak_mb: int
    unipolar: bool = True


CASES = {
    "narrow": Case(1_000_000, 10, 0.3, 2.0, 20.0, 20.0, 2048),
    "tall": Case(10_000_000, 10, 0.3, 2.0, None, None, 4096),
    "wide": Case(1_000_000, 50, 0.2, None, None, 5.0, 2048),
    "dense": Case(1_000_000, 50, 0.9, None, None, 5.0, 2048, unipolar=False),
}

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


def names_of(case: Case) -> list[str]:
    """Columns of the table of votes."""
    return [f"lf_{j}" for j in range(case.sources)]


def group(connection: duckdb.DuckDBPyConnection, case: Case) -> int:
    """Count the distinct rows of votes; return how many there are."""
    query = f"SELECT {', '.join(names_of(case))}, count(*) AS n FROM votes GROUP BY ALL"
    return len(connection.execute(query).fetchnumpy()["n"])


def count_patterns(connection: duckdb.DuckDBPyConnection, case: Case) -> VotePatterns:
    """Pack the votes into words of 2 bits each, count the words, and unpack."""
    names = names_of(case)
    words = []
    for first in range(0, len(names), PER_WORD):
        terms = [
            f"(coalesce({name}, -1) + 1)::UBIGINT * {1 << 2 * at}::UBIGINT"
            for at, name in enumerate(names[first : first + PER_WORD])
        ]
        words.append(f"{' + '.join(terms)} AS word_{first // PER_WORD}")
    query = f"SELECT {', '.join(words)}, count(*) AS n FROM votes GROUP BY ALL"
    table = connection.sql(query).to_arrow_table()
    counts = table.column("n").to_numpy().astype(np.int64)
    packed = [table.column(f"word_{at}").to_numpy().view(np.uint8).reshape(-1, 8) for at in range(len(words))]
    # A byte holds four votes; its row of the table is those votes as four bytes.
    four = ((np.arange(256)[:, None] >> np.arange(0, 8, 2)) & 3).astype(np.int8) - 1
    unpacked = four.view(np.uint32)[:, 0][np.concatenate(packed, axis=1)]
    votes = np.ascontiguousarray(unpacked.view(np.int8)[:, : len(names)])
    return VotePatterns(votes, counts, tuple(names), 2)


def label_table(connection: duckdb.DuckDBPyConnection, case: Case, fitted: Fit) -> None:
    """Label all rows in SQL, into table `labels`."""
    select = labels_select(fitted.form, relation="votes", keys=["id"], columns=names_of(case), labels=["0", "1"])
    connection.execute(f"CREATE OR REPLACE TABLE labels AS {select}")


def run_snorkel(python: str, votes: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Snorkel's labels (int, shape (n,)) and its figures."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "votes.npy", Path(folder) / "labels.npz"
        np.save(source, votes.astype(int))
        command = [python, "-c", SNORKEL, str(source), str(target)]
        # One thread: on a busy machine two spend most of their CPU seconds waiting for each other.
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
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


def measure(case: Case, repeat: int, threads: int, snorkel: str | None) -> dict[str, Any]:
    """Run one case; figures, quality, ratios and what was missed."""
    rng = np.random.default_rng(20)
    theta = labeling_rates(rng, case.sources, 2, coverage=case.coverage, unipolar=case.unipolar)
    truth, votes = draw_votes(rng, theta, BALANCE, case.rows)
    connection = duckdb.connect(config={"threads": threads})
    load(connection, votes)

    figures: dict[str, dict[str, Any]] = {}
    _, figures["group by"] = timed(lambda: group(connection, case), repeat)
    fitted, figures["wsdb"] = timed(lambda: fit(count_patterns(connection, case), balance=BALANCE), repeat)
    patterns = count_patterns(connection, case)
    _, figures["wsdb fit"] = timed(lambda: fit(patterns, balance=BALANCE), repeat)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _, figures["wsdb labels"] = timed(lambda: label_table(connection, case, fitted), 1)
    answers = check(connection, fitted, votes, truth)
    quality = {"right": answers["right"], "majority_right": answers["majority_right"]}
    quality["largest_theta_error"] = float(np.abs(fitted.theta - theta).max())
    spent = figures["wsdb"]["cpu_s"]
    ratios = {"over_group_by": spent / figures["group by"]["cpu_s"]}
    missed = [f"peak {peak:.0f} MB"] if peak > case.peak_mb else []
    if case.over_group_by is not None and ratios["over_group_by"] > case.over_group_by:
        missed.append(f"{ratios['over_group_by']:.2f} x GROUP BY")
    if snorkel and case.under_snorkel_fit is not None:
        labels, figures["snorkel"] = run_snorkel(snorkel, votes)
        covered = answers["covered"]
        quality["snorkel_right"] = float((labels == truth)[covered].mean())
        quality["agreement"] = float((labels == answers["labels"])[covered].mean())
        assert quality["agreement"] >= 0.9, f"wsdb and Snorkel agree on {quality['agreement']:.3f} of the rows"
        ratios["under_snorkel"] = figures["snorkel"]["cpu_s"] / spent
        ratios["under_snorkel_fit"] = figures["snorkel"]["cpu_s"] / figures["wsdb fit"]["cpu_s"]
        promised = {"under_snorkel": case.under_snorkel or 0, "under_snorkel_fit": case.under_snorkel_fit}
        missed += [f"{name} {ratios[name]:.1f}" for name, least in promised.items() if ratios[name] < least]
    return {
        "rows": case.rows,
        "sources": case.sources,
        "patterns": fitted.n_patterns,
        "chosen": fitted.chosen,
        "peak_mb": peak,
        "figures": figures,
        "quality": quality,
        "ratios": ratios,
        "missed": missed,
    }


def printed(name: str, result: dict[str, Any]) -> None:
    """Print the table of one case."""
    base = result["figures"]["wsdb"]["cpu_s"]
    print(
        f"{name}: {result['rows']} rows, {result['sources']} sources, {result['patterns']} patterns, {result['chosen']}"
    )
    print(f"{'':<12} {'CPU s':>8} {'wall s':>8} {'CPU / wsdb':>11}")
    for what, seconds in result["figures"].items():
        print(f"{what:<12} {seconds['cpu_s']:8.3f} {seconds['wall_s']:8.3f} {seconds['cpu_s'] / base:11.2f}")
    figures = result["quality"] | result["ratios"] | {"peak_mb": result["peak_mb"]}
    print(", ".join(f"{what} {value:.4g}" for what, value in figures.items()))
    print(f"missed: {', '.join(result['missed'])}" if result["missed"] else "every promise kept", flush=True)


def main() -> int:
    """Run the cases and print one table for each; 1 if a promise was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=list(CASES), action="append", help="all if not given; may be repeated")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="DuckDB threads")
    parser.add_argument("--snorkel", help="interpreter of an environment with snorkel 0.10 and torch")
    parser.add_argument("--only", action="store_true", help="run the one case in this process")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    results = {}
    for name in options.case or list(CASES):
        if options.only:
            results[name] = measure(CASES[name], options.repeat, options.threads, options.snorkel)
            printed(name, results[name])
        else:
            results |= in_process(name, options)
    if options.out:
        versions = {"python": platform.python_version(), "duckdb": duckdb.__version__, "numpy": np.__version__}
        facts = {"threads": options.threads, "machine": platform.platform(), "versions": versions}
        # The first case also stands at the top, where the documentation reads it.
        first = next(iter(results.values()))
        options.out.write_text(json.dumps(facts | first | {"cases": results}, indent=1))
    return 1 if any(result["missed"] for result in results.values()) else 0


def in_process(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run a case in a process of its own, whose memory is that of the case alone."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "case.json"
        command = [sys.executable, "-m", "bench.bench_label_model", "--only", "--case", name, "--out", str(out)]
        command += ["--repeat", str(options.repeat), "--threads", str(options.threads)]
        command += ["--snorkel", options.snorkel] if options.snorkel else []
        done = subprocess.run(command, check=False)
        if not out.exists():
            raise SystemExit(done.returncode)
        cases: dict[str, Any] = json.loads(out.read_text())["cases"]
        return cases


if __name__ == "__main__":
    sys.exit(main())
