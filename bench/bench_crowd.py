"""Speed of Dawid-Skene on crowd votes: 20,000 items, 800 workers, 100,000 votes, against crowd-kit.

    python -m bench.bench_crowd [--crowdkit /path/to/python] [--out crowd.json]

One table of synthetic votes (fixed seed): four classes, five votes per item, workers of different diligence and
skill. Measured in CPU seconds, one after the other in one run:

* em: the EM loop of `dawid_skene` with no prior, as crowd-kit has none;
* dawid_skene, ibcc, auto: whole fits of a SparseVotes (`auto` takes the workers for annotators);
* crowd-kit: `DawidSkene(n_iter, tol=-inf)` in an environment of its own, from the votes in a pandas frame.

em and crowd-kit start from the same majority vote and run the same number of iterations. Their answers must be equal:
the same label for every item whose best two classes are 1e-6 apart, probabilities within 1e-6. The fits must agree
with the truth at least as often as majority vote less half a point. Each is run `--repeat` times and the fastest
counts; crowd-kit is run once. em must be ten times faster, or the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wsdb.core.matrix import SparseVotes
from wsdb.labelmodel import decide, fit
from wsdb.labelmodel.dawid_skene import log_shares
from wsdb.labelmodel.em import Confusions, estimate
from wsdb.labelmodel.statistics import read_votes

ITEMS, WORKERS, VOTES, CLASSES = 20_000, 800, 100_000, 4
BALANCE = np.array([0.4, 0.3, 0.2, 0.1])
LEAST = 10.0

CROWDKIT = """
import json, sys, time
import numpy as np
import pandas as pd
from crowdkit.aggregation import DawidSkene
job = np.load(sys.argv[1])
data = pd.DataFrame({"task": job["row"], "worker": job["source"], "label": job["value"]})
model = DawidSkene(n_iter=int(sys.argv[3]), tol=float("-inf"))
cpu, wall = time.process_time(), time.perf_counter()
probabilities = model.fit_predict_proba(data)
spent = [time.process_time() - cpu, time.perf_counter() - wall]
frame = probabilities.sort_index()[sorted(probabilities.columns)]
np.savez(sys.argv[2], probabilities=frame.to_numpy(), rows=frame.index.to_numpy())
print(json.dumps({"cpu_s": spent[0], "wall_s": spent[1], "iterations": len(model.loss_history_)}))
"""


def draw(seed: int) -> tuple[SparseVotes, np.ndarray]:
    """Votes of workers, and the class of each item: int64 array of shape (ITEMS,)."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(CLASSES, size=ITEMS, p=BALANCE)
    diligence = rng.pareto(1.5, size=WORKERS) + 0.1
    per = VOTES // ITEMS
    # More draws than needed, so that enough distinct workers are left on each item.
    drawn = rng.choice(WORKERS, size=(ITEMS, 8 * per), p=diligence / diligence.sum())
    row, source = [], []
    for item, workers in enumerate(drawn):
        chosen = list(dict.fromkeys(workers.tolist()))[:per]
        row += [item] * len(chosen)
        source += chosen
    rows, sources = np.array(row), np.array(source)
    skill = rng.beta(5, 2, size=WORKERS)
    right = rng.random(len(rows)) < skill[sources]
    value = np.where(right, truth[rows], rng.integers(0, CLASSES, size=len(rows)))
    names = tuple(f"worker_{j}" for j in range(WORKERS))
    counts = np.ones(ITEMS, dtype=np.int64)
    return SparseVotes.of_list(rows, sources, value, counts=counts, sources=names, n_classes=CLASSES), truth


def timed(run: Callable[[], Any], repeat: int) -> tuple[Any, dict[str, float]]:
    """Result of `run` and the CPU and wall seconds of its fastest repetition."""
    result, best = None, {"cpu_s": np.inf, "wall_s": np.inf}
    for _ in range(repeat):
        cpu, wall = time.process_time(), time.perf_counter()
        result = run()
        took = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        best = min(best, took, key=lambda seconds: seconds["cpu_s"])
    return result, best


def run_crowdkit(python: str, votes: SparseVotes, iterations: int) -> tuple[np.ndarray, dict[str, Any]]:
    """crowd-kit's probabilities (float64, shape (ITEMS, CLASSES)) and its figures."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "votes.npz", Path(folder) / "answer.npz"
        np.savez(source, row=votes.row, source=votes.source, value=votes.value)
        command = [python, "-c", CROWDKIT, str(source), str(target), str(iterations)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        answer = np.load(target)
        assert (answer["rows"] == np.arange(ITEMS)).all()
        figures: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
        return answer["probabilities"], figures


def check_equal(mine: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Assert that two tables of probabilities are the same answer; how far they are apart."""
    apart = float(np.abs(mine - theirs).max())
    best = np.sort(theirs, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-6
    same = float((mine.argmax(axis=1) == theirs.argmax(axis=1))[clear].mean())
    assert same == 1.0, f"labels are equal on {same:.4f} of the items"
    assert apart <= 1e-6, f"probabilities differ by {apart:.2e}"
    return {"largest_difference": apart, "same_labels": same}


def main() -> int:
    """Run the benchmark and print one table; 1 if the promise was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--crowdkit", help="interpreter of an environment with crowd-kit")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    votes, truth = draw(11)

    def em() -> Confusions:
        return estimate(read_votes(votes), log_shares, prior=0.0, max_iter=options.iterations, tol=0.0)

    figures: dict[str, dict[str, Any]] = {}
    found, figures["em"] = timed(em, options.repeat)
    quality: dict[str, float] = {}
    for method in ("majority", "dawid_skene", "ibcc", "auto"):
        fitted, figures[method] = timed(lambda method=method: fit(votes, method=method), options.repeat)
        quality[f"{method}_right"] = float((decide(fitted.form, votes) == truth).mean())
        assert quality[f"{method}_right"] >= quality["majority_right"] - 0.005, quality
    assert fitted.chosen == "annotator", fitted.reason
    missed = False
    if options.crowdkit:
        theirs, figures["crowd-kit"] = run_crowdkit(options.crowdkit, votes, options.iterations)
        assert figures["crowd-kit"]["iterations"] == found.iterations == options.iterations
        quality |= check_equal(found.posterior, theirs)
        quality["faster_than_crowdkit"] = figures["crowd-kit"]["cpu_s"] / figures["em"]["cpu_s"]
        missed = quality["faster_than_crowdkit"] < LEAST
    base = figures["em"]["cpu_s"]
    print(
        f"{ITEMS} items, {WORKERS} workers, {len(votes.row)} votes, {CLASSES} classes, {options.iterations} iterations"
    )
    print(f"{'':<12} {'CPU s':>8} {'wall s':>8} {'CPU / em':>9}")
    for name, seconds in figures.items():
        print(f"{name:<12} {seconds['cpu_s']:8.3f} {seconds['wall_s']:8.3f} {seconds['cpu_s'] / base:9.2f}")
    print(", ".join(f"{name} {value:.4g}" for name, value in quality.items()))
    print("missed" if missed else "every promise kept")
    if options.out:
        versions = {"python": platform.python_version(), "numpy": np.__version__}
        facts = {"machine": platform.platform(), "versions": versions, "votes": len(votes.row)}
        options.out.write_text(json.dumps(facts | {"figures": figures, "quality": quality}, indent=1))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
