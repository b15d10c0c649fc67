"""What slices do: F1 on a slice with a rule of its own, and accuracy by slice on real text, with intervals over seeds.

    python -m bench.quality_slices --data ../shared/data --seeds 5

Three networks with the default options: without slices, with more weight on their rows (slice_mode = 'weight'), and
with experts (slice_mode = 'attention').

generator   The set of METHODS 9: 20 normal columns, 6,000 rows, 10% of them in a slice where another linear rule holds;
            10% of the labels are wrong; 15% of the slice's rows are missed by its slicing function, which selects as
            many from elsewhere. Scored on 20,000 clean rows.
reversed    The same, but in the slice the rule is the opposite of that elsewhere. What Overton's +50 points take: see
            `REVERSED`.
real        Labels from the labeling functions (method auto); slices are SQL predicates; scored on gold test labels.
            No slice is named by its label: one of stars holds as many good reviews as bad.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from bench.quality_end_model import features_of, half_interval, json_object, read_split
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import fit, posterior
from wsdb.model.backend import torch
from wsdb.model.predictor import Predictor
from wsdb.model.spec import TaskTarget, train_spec
from wsdb.model.train import train

MODES = ("none", "weight", "attention")
TEST_ROWS = 20_000
REVERSED = ((0.02, 6_000, 0.15, 0.1), (0.02, 20_000, 0.15, 0.1), (0.02, 20_000, 0.0, 0.0))
"""Share of the slice, rows, errors of its slicing function, errors of the labels."""
SLICES = {
    "imdb": {"short": "length(text) < 600", "long": "length(text) > 2000", "mild": "stars BETWEEN 4 AND 7"},
    "youtube": {
        "psy": "video = 'Psy'",
        "eminem": "video = 'Eminem'",
        "short": "length(text) < 40",
        "long": "length(text) > 150",
    },
}


@dataclass(frozen=True)
class Drawn:
    """A generated set: x float32 (n, 20); y, its labels, the slice and what its function selects, bool (n,)."""

    x: np.ndarray
    y: np.ndarray
    labels: np.ndarray
    inside: np.ndarray
    selected: np.ndarray


def draw(
    seed: int, rows: int, *, share: float = 0.1, missed: float = 0.15, wrong: float = 0.1, reverse: bool = False
) -> Drawn:
    """Draw `rows` training rows, and test rows after them."""
    rng = np.random.default_rng(seed)
    n = rows + TEST_ROWS
    x = rng.normal(size=(n, 20)).astype(np.float32)
    rule, other, where = rng.normal(size=(3, 20))
    place = x @ where
    inside = place > np.quantile(place, 1 - share)
    y = np.where(inside, x @ (-rule if reverse else other) > 0, x @ rule > 0)
    selected = inside.copy()
    moved = int(missed * inside.sum())
    selected[rng.choice(np.flatnonzero(inside), moved, replace=False)] = False
    selected[rng.choice(np.flatnonzero(~inside), moved, replace=False)] = True
    return Drawn(x, y, y ^ (rng.random(n) < wrong), inside, selected)


def learn(
    table: pa.Table,
    features: list[tuple[str, str]],
    labels: np.ndarray,
    covered: np.ndarray,
    slices: Mapping[str, np.ndarray],
    options: dict[str, Any],
) -> tuple[Predictor, float]:
    """Train on probabilities (n, k) of the covered rows; return the predictor and the seconds."""
    lists = [row if use else None for row, use in zip(labels.tolist(), covered, strict=True)]
    rows = table.select([name for name, _ in features]).append_column("__p_y", pa.array(lists, pa.list_(pa.float64())))
    rows = rows.append_column("__key", pa.array(np.arange(len(labels))))
    for name, members in slices.items():
        rows = rows.append_column(f"__s_{name}", pa.array(members))

    def batches() -> Iterator[pa.RecordBatch]:
        yield from rows.to_batches(max_chunksize=2048)

    task = TaskTarget("y", tuple(str(c) for c in range(labels.shape[1])))
    trained = train(features, [task], batches, train_spec(options), slices=tuple(slices))
    return Predictor.load(trained.manifest, trained.weights), trained.seconds


def answers(predictor: Predictor, table: pa.Table, features: list[tuple[str, str]]) -> np.ndarray:
    """Return the likeliest label of each row."""
    chunks = table.select([name for name, _ in features]).to_batches(max_chunksize=4096)
    return np.concatenate([predictor.predict(chunk)["y"].probabilities.argmax(axis=1) for chunk in chunks])


def f1(y: np.ndarray, found: np.ndarray) -> float:
    """F1 of the class true, in percent."""
    return float(200 * (y & found).sum() / max(1, y.sum() + found.sum()))


def generated(drawn: Drawn, rows: int, options: dict[str, Any]) -> dict[str, float]:
    """Train on the first rows and score on the rest."""
    names = [f"x{i}" for i in range(20)]
    table = pa.table({name: drawn.x[:, i] for i, name in enumerate(names)})
    features = [(name, "FLOAT") for name in names]
    one_hot = np.eye(2)[drawn.labels[:rows].astype(int)]
    slices = {"a": drawn.selected[:rows]}
    predictor, seconds = learn(table[:rows], features, one_hot, np.ones(rows, bool), slices, options)
    found = answers(predictor, table[rows:], features).astype(bool)
    y, inside = drawn.y[rows:], drawn.inside[rows:]
    scores = {"all": f1(y, found), "slice": f1(y[inside], found[inside]), "rest": f1(y[~inside], found[~inside])}
    return scores | {"seconds": seconds}


def members_of(path: Path, slices: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return which rows of a file each predicate selects, bool (n,)."""
    columns = ", ".join(f"coalesce({predicate}, false) AS {name}" for name, predicate in slices.items())
    found = duckdb.sql(f"SELECT {columns} FROM read_parquet('{path}', file_row_number = true) ORDER BY file_row_number")
    return {name: np.asarray(values, bool) for name, values in found.fetchnumpy().items()}


def real(folder: Path, seeds: range) -> dict[str, list[dict[str, float]]]:
    """Return the scores of every mode, one entry a seed; a slice without test rows is not scored."""
    table, votes, _ = read_split(folder, "train")
    test, _, gold = read_split(folder, "test")
    k = int(gold.max()) + 1
    features = features_of(folder.name, table.schema, json_object(folder / "meta.json"))
    labels = posterior(fit(VotePatterns.of_rows(votes, k)).training_form, votes)
    covered = (votes >= 0).any(axis=1)
    slices = members_of(folder / "train.parquet", SLICES[folder.name])
    tested = members_of(folder / "test.parquet", SLICES[folder.name])
    found: dict[str, list[dict[str, float]]] = {}
    for mode in MODES:
        for seed in seeds:
            options = {"seed": seed, "slice_mode": mode}
            predictor, seconds = learn(table, features, labels, covered, slices, options)
            right = answers(predictor, test, features) == gold
            scores = {"all": float(right.mean() * 100)}
            scores |= {name: float(right[own].mean() * 100) for name, own in tested.items() if own.any()}
            found.setdefault(mode, []).append(scores | {"seconds": seconds})
    return found


def summary(scores: list[dict[str, float]]) -> dict[str, Any]:
    """Return mean and 95% half-width (Student's t over the seeds) of every figure."""
    n = len(scores)
    facts = {}
    for name in scores[0]:
        values = np.array([score[name] for score in scores])
        half = half_interval(values.tolist()) if n > 1 else None
        facts[name] = {"mean": float(values.mean()), "half": half, "values": values.tolist()}
    return facts


def show(title: str, found: Mapping[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Print a line per mode, and the gain of each over none, and return the figures."""
    facts: dict[str, Any] = {}
    for mode, scores in found.items():
        facts[mode] = summary(scores)
        gains = [{key: one[key] - base[key] for key in one} for one, base in zip(scores, found["none"], strict=True)]
        facts[mode]["gain"] = summary(gains)
        parts = []
        for key, gain in facts[mode]["gain"].items():
            parts.append(f"{key} {facts[mode][key]['mean']:.1f} ({gain['mean']:+.1f} ± {gain['half'] or 0:.1f})")
        print(f"{title:44} {mode:10} {'  '.join(parts)}", flush=True)
    return facts


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--first", type=int, default=100, help="first seed; the method was chosen on 0 to 4")
    arguments.add_argument("--sets", default="generator,reversed,youtube,imdb")
    arguments.add_argument("--out", type=Path, help="write the figures as JSON")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    measured: dict[str, Any] = {}
    for name in given.sets.split(","):
        if name in SLICES:
            measured[name] = show(name, real(given.data / name, range(given.first, given.first + given.seeds)))
            continue
        settings = REVERSED if name == "reversed" else ((0.1, 6_000, 0.15, 0.1),)
        for share, rows, missed, wrong in settings:
            title = f"{name}: slice {share:.0%}, {rows} rows, errors {missed:.0%} {wrong:.0%}"
            found: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
            for seed in range(given.first, given.first + given.seeds):
                drawn = draw(seed, rows, share=share, missed=missed, wrong=wrong, reverse=name == "reversed")
                for mode in MODES:
                    found[mode].append(generated(drawn, rows, {"seed": seed, "slice_mode": mode}))
            measured[title] = show(title, found)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
