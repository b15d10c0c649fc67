"""Quality of the label models on public sets: majority vote, auto, the other methods by name, and Snorkel.

    python -m bench.quality_labels --data ../shared/data [--snorkel /path/to/python] [--out labels.json]

The votes of the train split are fitted; the class balance is counted on the valid split; scores are those
of the test split. A crowd set has one split: all votes are fitted, items with gold are scored, and there is
no balance column.

Scoring. `covered` = rows with a vote: accuracy, macro-F1 over the classes that occur in gold or answer, and
their mean, the `score`. `all` = accuracy on all rows, an uncovered row getting the class that is likeliest
a priori (uniform prior: class 0). Ties go to the higher prior, then to the lower class. `mv random` is
majority vote with ties broken at random, the mean of 20 draws: on sets with many ties the tie rule moves
majority vote by points.

The other methods are given the balance where there is one. Those for annotators (dawid_skene, ibcc) are at a loss on
labeling functions, and say so in a notice.

Snorkel (`--snorkel`, the interpreter of an environment with snorkel and torch) runs LabelModel with its
defaults except a fixed seed, in a process of its own, on the same votes; "+bal" passes the same balance.

The expected figures are the rows MV, auto-B and auto-A of the tables in METHODS.md 3.1, and the rows MV and
auto of its crowd table. The tie rule of that MV is not stated: only the auto columns decide the exit status.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import Fit, decide, fit

FUNCTION_SETS = ("youtube", "rna_titles", "imdb", "trec", "semeval", "phishing_web", "mushroom")
CROWD_SETS = ("bluebird", "dog", "face", "rte_text", "sentiment")
EXPECTED = {
    "youtube": {"mv random": 81.4, "auto": 86.4, "auto+bal": 86.4},
    "rna_titles": {"mv random": 83.7, "auto": 84.7, "auto+bal": 84.7},
    "imdb": {"mv random": 73.6, "auto": 73.7, "auto+bal": 73.7},
    "trec": {"mv random": 55.9, "auto": 69.3, "auto+bal": 68.5},
    "semeval": {"mv random": 74.1, "auto": 76.9, "auto+bal": 76.9},
    "phishing_web": {"mv random": 87.0, "auto": 88.1, "auto+bal": 88.4},
    "mushroom": {"mv random": 87.7, "auto": 90.1, "auto+bal": 92.1},
    "bluebird": {"mv random": 75.1, "auto": 85.9},
    "dog": {"mv random": 81.9, "auto": 83.9},
    "face": {"mv random": 62.3, "auto": 64.1},
    "rte_text": {"mv random": 90.8, "auto": 93.2},
    "sentiment": {"mv random": 93.2, "auto": 95.9},
}
DRAWS = 20
TOLERANCE = {"function": 0.5, "crowd": 3.0}
NAMED = ("weighted_majority", "dawid_skene", "ibcc", "triplet", "matrix")
COLUMNS = ("mv random", "mv", "auto", "auto+bal", *NAMED, "snorkel", "snorkel+bal")

SNORKEL = """
import json, sys, time
import numpy as np
from snorkel.labeling.model import LabelModel
job = np.load(sys.argv[1])
train, test = job["train"].astype(int), job["test"].astype(int)
balance = job["balance"].tolist() if job["balance"].size else None
model = LabelModel(cardinality=int(job["k"]), verbose=False)
cpu, wall = time.process_time(), time.perf_counter()
model.fit(train, class_balance=balance, seed=0, progress_bar=False)
seconds = [time.process_time() - cpu, time.perf_counter() - wall]
np.savez(sys.argv[2], p=model.predict_proba(test), seconds=seconds)
"""


@dataclass(frozen=True, slots=True)
class Votes:
    """One benchmark set.

    Attributes
    ----------
    kind : "function" or "crowd"
    train, test : int8 arrays of shape (n, m), -1 is abstain
    gold : int64 array of shape (n_test,)
    balance : float64 array of shape (k,), or None for a crowd set
    """

    name: str
    kind: str
    n_classes: int
    train: np.ndarray
    test: np.ndarray
    gold: np.ndarray
    balance: np.ndarray | None


def read_split(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Votes (int8, shape (n, m)) and gold (int64, shape (n,)) of one parquet split."""
    table = duckdb.sql(f"SELECT label, COLUMNS('^lf_[0-9]+$') FROM '{path}'").fetchnumpy()
    names = sorted((name for name in table if name != "label"), key=lambda name: int(name[3:]))
    return np.stack([np.asarray(table[name]) for name in names], axis=1), np.asarray(table["label"])


def read_functions(data: Path, name: str) -> Votes:
    """A set with labeling functions."""
    splits = {split: read_split(data / name / f"{split}.parquet") for split in ("train", "valid", "test")}
    k = int(max(max(gold.max(), votes.max()) for votes, gold in splits.values())) + 1
    counted = np.bincount(splits["valid"][1], minlength=k).astype(float)
    (train, _), (test, gold) = splits["train"], splits["test"]
    return Votes(name, "function", k, train, test, gold, counted / counted.sum())


def read_crowd(data: Path, name: str) -> Votes:
    """A crowd set, one source per worker; items without gold are fitted but not scored."""
    folder = data / f"crowd_{name}"
    votes = duckdb.sql(f"SELECT item, worker, label FROM '{folder}/votes.parquet'").fetchnumpy()
    gold = duckdb.sql(f"SELECT item, truth FROM '{folder}/gold.parquet'").fetchnumpy()
    items, row = np.unique(votes["item"], return_inverse=True)
    workers, column = np.unique(votes["worker"], return_inverse=True)
    matrix = np.full((len(items), len(workers)), -1, dtype=np.int8)
    matrix[row, column] = votes["label"]
    place = {item: i for i, item in enumerate(items.tolist())}
    scored = [(place[i], t) for i, t in zip(gold["item"].tolist(), gold["truth"].tolist(), strict=True) if i in place]
    rows, truth = (np.array(part) for part in zip(*scored, strict=True))
    k = int(max(votes["label"].max(), truth.max())) + 1
    return Votes(name, "crowd", k, matrix, matrix[rows], truth, None)


def macro_f1(gold: np.ndarray, answer: np.ndarray) -> float:
    """Mean F1 over the classes that occur in `gold` or `answer`."""
    scores = []
    for y in np.union1d(gold, answer):
        right = ((gold == y) & (answer == y)).sum()
        scores.append(2 * right / ((gold == y).sum() + (answer == y).sum()))
    return float(np.mean(scores))


def score(votes: Votes, answer: np.ndarray, fallback: int) -> dict[str, float]:
    """Percentages for answers (int64, shape (n_test,)), `fallback` standing for uncovered rows."""
    covered = (votes.test >= 0).any(axis=1)
    full = np.where(covered, answer, fallback)
    accuracy = 100 * float((answer == votes.gold)[covered].mean())
    f1 = 100 * macro_f1(votes.gold[covered], answer[covered])
    return {
        "accuracy": accuracy,
        "macro_f1": f1,
        "score": (accuracy + f1) / 2,
        "accuracy_all": 100 * float((full == votes.gold).mean()),
    }


def score_fit(votes: Votes, method: str, balance: np.ndarray | None) -> dict[str, Any]:
    """Fit, label the test rows and score them."""
    patterns = VotePatterns.of_rows(votes.train, votes.n_classes)
    cpu = time.process_time()
    fitted: Fit = fit(patterns, method=method, balance=balance)
    seconds = time.process_time() - cpu
    figures: dict[str, Any] = dict(score(votes, decide(fitted.form, votes.test), int(fitted.form.tie_order[0])))
    return figures | {"cpu_s": seconds, "chosen": fitted.chosen, "notices": list(fitted.notices)}


def score_random_ties(votes: Votes) -> dict[str, Any]:
    """Majority vote with ties broken at random; the mean over draws."""
    rng = np.random.default_rng(0)
    counts = np.stack([(votes.test == y).sum(axis=1) for y in range(votes.n_classes)], axis=1)
    draws = [score(votes, (counts + rng.random(counts.shape) / 2).argmax(axis=1), 0) for _ in range(DRAWS)]
    return {figure: float(np.mean([draw[figure] for draw in draws])) for figure in draws[0]}


def score_snorkel(votes: Votes, python: str, balance: np.ndarray | None) -> dict[str, Any]:
    """Fit Snorkel's LabelModel in `python` and score it by the same rules."""
    prior = np.full(votes.n_classes, 1 / votes.n_classes) if balance is None else balance
    with tempfile.TemporaryDirectory() as folder:
        job, answer = Path(folder) / "job.npz", Path(folder) / "answer.npz"
        # Snorkel takes the logarithm of the balance.
        floored = np.maximum(prior, 1e-3)
        given = np.zeros(0) if balance is None else floored / floored.sum()
        np.savez(job, train=votes.train, test=votes.test, k=votes.n_classes, balance=given)
        run = subprocess.run(
            [python, "-c", SNORKEL, str(job), str(answer)], capture_output=True, text=True, check=False
        )
        if run.returncode:
            return {"error": run.stderr.strip().splitlines()[-1]}
        result = np.load(answer)
        probabilities, seconds = result["p"], result["seconds"]
    order = np.lexsort((np.arange(len(prior)), -prior))
    near = probabilities[:, order] >= probabilities.max(axis=1, keepdims=True) - 1e-9
    return score(votes, order[near.argmax(axis=1)], int(order[0])) | {"cpu_s": float(seconds[0])}


def measure(votes: Votes, snorkel: str | None) -> dict[str, Any]:
    """All columns of one set."""
    columns: dict[str, Any] = {
        "mv random": score_random_ties(votes),
        "mv": score_fit(votes, "majority", None),
        "auto": score_fit(votes, "auto", None),
    }
    if votes.balance is not None:
        columns["auto+bal"] = score_fit(votes, "auto", votes.balance)
    for method in NAMED:
        columns[method] = score_fit(votes, method, votes.balance)
    if snorkel:
        columns["snorkel"] = score_snorkel(votes, snorkel, None)
        if votes.balance is not None:
            columns["snorkel+bal"] = score_snorkel(votes, snorkel, votes.balance)
    for name, value in EXPECTED[votes.name].items():
        columns[name]["expected"] = value
        columns[name]["difference"] = columns[name]["score"] - value
    return {"set": votes.name, "kind": votes.kind, "sources": votes.train.shape[1], "columns": columns}


def within(row: dict[str, Any]) -> bool:
    """Whether both auto columns reproduce the expected scores."""
    columns = row["columns"]
    return all(
        abs(columns[name]["difference"]) <= TOLERANCE[row["kind"]] for name in ("auto", "auto+bal") if name in columns
    )


def markdown(rows: list[dict[str, Any]], figure: str) -> str:
    """One table of `figure` by set and column; for scores with the difference to the expected one."""
    lines = ["| set | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    for row in rows:
        cells = []
        for name in COLUMNS:
            found = row["columns"].get(name)
            if found is None or figure not in found:
                cells.append("–" if found is None else "error")
                continue
            text = f"{found[figure]:.1f}"
            if figure == "score" and "difference" in found:
                text += f" ({found['difference']:+.1f})"
            cells.append(text)
        lines.append(f"| {row['set']} | " + " | ".join(cells) + " |")
    for kind in TOLERANCE:
        group = [row["columns"] for row in rows if row["kind"] == kind]
        means = []
        for name in COLUMNS:
            values = [columns[name][figure] for columns in group if figure in columns.get(name, {})]
            means.append(f"{np.mean(values):.1f}" if group and len(values) == len(group) else "–")
        if group:
            lines.append(f"| **mean, {kind} sets** | " + " | ".join(means) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark; exit status 1 if an expected score is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the public sets")
    parser.add_argument("--snorkel", help="interpreter of an environment with snorkel 0.10 and torch")
    parser.add_argument("--sets", nargs="*", default=[*FUNCTION_SETS, *CROWD_SETS], help="only these sets")
    parser.add_argument("--out", type=Path, help="write the figures as JSON, and the tables beside it as .md")
    options = parser.parse_args()
    rows = []
    for name in options.sets:
        read = read_crowd if name in CROWD_SETS else read_functions
        rows.append(measure(read(options.data, name), options.snorkel))
    report = "\n\n".join(
        f"{title}\n\n{markdown(rows, figure)}"
        for title, figure in (
            ("Score, covered test rows (difference to the expected figure)", "score"),
            ("Accuracy, covered test rows", "accuracy"),
            ("Accuracy, all test rows", "accuracy_all"),
        )
    )
    missed = [row["set"] for row in rows if not within(row)]
    print(report)
    print(f"\nnot reproduced: {', '.join(missed) or 'none'}")
    if options.out:
        facts = {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.platform()}
        options.out.write_text(json.dumps({"versions": facts, "sets": rows, "missed": missed}, indent=1))
        options.out.with_suffix(".md").write_text(report + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
