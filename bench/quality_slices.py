"""What slices do: F1 on a slice with a rule of its own, and accuracy by slice on real text, with intervals over seeds.

    python -m bench.quality_slices --data ../shared/data --seeds 5

Networks with the default options: without slices, with more weight on their rows (slice_mode = 'weight'), with experts
for all slices (slice_mode = 'attention'), and as they are by default (slice_mode = 'auto'), which is the former over
tables.

generator   The set of METHODS 9: 20 normal columns, 6,000 rows, 10% of them in a slice where another linear rule holds;
            10% of the labels are wrong; 15% of the slice's rows are missed by its slicing function, which selects as
            many from elsewhere. Scored on 20,000 clean rows.
reversed    The same, but in the slice the rule is the opposite of that elsewhere: `REVERSED`.
queries     Overton's rare disambiguations, as text. A query names one of 20 ambiguous words among three of 80 words
            that speak for one of its two senses (right 8 times in 10) and three that say nothing. In the slice, which
            phrases such as "named after" show, these words speak for the other sense: all of them or some, see
            `QUERIES`. The network reads hashed words and pairs of words; without slices it is linear, so that a phrase
            cannot turn a word round. Every network has the same rows and labels. What +50 points of F1 take: a rule in
            the slice that contradicts the others', labels that are right there, a network too small to tell the two
            apart, and marks that show the slice.
real        Labels from the labeling functions (method auto); slices are SQL predicates; scored on gold test labels.
            No slice is named by its label: one of stars holds as many good reviews as bad.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from bench.quality_end_model import features_of, half_interval, json_object, read_split, write
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import fit, posterior
from wsdb.model.backend import torch
from wsdb.model.parts import SliceInput, TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import train_spec
from wsdb.model.train import train

MODES = ("none", "weight", "attention", "auto")
TEST_ROWS = 20_000
REVERSED = ((0.02, 6_000, 0.15, 0.1), (0.02, 20_000, 0.0, 0.0))
"""Share of the slice, rows, errors of its slicing function, errors of the labels."""
QUERIES = (
    (0.03, 6_000, 1.0, 0.0, 0.0),
    (0.01, 20_000, 1.0, 0.0, 0.0),
    (0.01, 6_000, 1.0, 0.0, 0.0),
    (0.03, 6_000, 1.0, 0.15, 0.1),
    (0.03, 6_000, 0.5, 0.0, 0.0),
    (0.03, 6_000, 0.0, 0.0, 0.0),
)
"""Share of the slice, rows, share of the words that mean the opposite there, errors of its slicing function, and of the
labels."""
PHRASES = ("named after", "logo of", "origin of the", "versus", "other meaning of", "pun on")
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
    """A generated set: n rows of columns; y, its labels, the slice and what its function selects, bool (n,)."""

    table: pa.Table
    features: list[tuple[str, str]]
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
    selected = selection(rng, inside, missed)
    table = pa.table({f"x{i}": x[:, i] for i in range(20)})
    return Drawn(table, [(f"x{i}", "FLOAT") for i in range(20)], y, y ^ (rng.random(n) < wrong), inside, selected)


def selection(rng: np.random.Generator, inside: np.ndarray, missed: float) -> np.ndarray:
    """Return what a slicing function selects that misses a share of the slice and takes as many other rows."""
    selected = inside.copy()
    moved = int(missed * inside.sum())
    selected[rng.choice(np.flatnonzero(inside), moved, replace=False)] = False
    selected[rng.choice(np.flatnonzero(~inside), moved, replace=False)] = True
    return selected


def draw_queries(seed: int, rows: int, *, share: float, turned: float, missed: float, wrong: float) -> Drawn:
    """Draw `rows` training queries, and test queries after them."""
    rng = np.random.default_rng(seed)
    n = rows + TEST_ROWS
    inside = rng.random(n) < share
    y = rng.random(n) < 0.4
    word = rng.integers(0, 40, (n, 3))
    turns = inside[:, None] & (word < 40 * turned)
    sense = (rng.random((n, 3)) < 0.8) == (y[:, None] ^ turns)
    subject, other = rng.integers(0, 20, n), rng.integers(0, 200, (n, 3))
    phrase = rng.integers(0, len(PHRASES), n)
    texts = []
    for i in range(n):
        words = [f"subject{subject[i]}", *(f"other{w}" for w in other[i])]
        words += [f"{'first' if s else 'second'}{w}" for s, w in zip(sense[i], word[i], strict=True)]
        words += [PHRASES[phrase[i]]] if inside[i] else []
        texts.append(" ".join(rng.permutation(words)))
    selected = selection(rng, inside, missed)
    return Drawn(pa.table({"t": texts}), [("t", "VARCHAR")], y, y ^ (rng.random(n) < wrong), inside, selected)


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
    trained = train(features, [task], batches, train_spec(options), slices=[SliceInput(name) for name in slices])
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
    table, features = drawn.table, drawn.features
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


def settings(name: str) -> Iterator[tuple[str, int, Callable[[int], Drawn]]]:
    """Give the settings of a generated set: title, training rows, and what draws it with a seed."""
    if name == "queries":
        for share, rows, turned, missed, wrong in QUERIES:
            title = f"{name}: slice {share:.0%}, {rows} rows, {turned:.0%} turned, errors {missed:.0%} {wrong:.0%}"
            yield title, rows, partial(draw_queries, rows=rows, share=share, turned=turned, missed=missed, wrong=wrong)
        return
    for share, rows, missed, wrong in REVERSED if name == "reversed" else ((0.1, 6_000, 0.15, 0.1),):
        title = f"{name}: slice {share:.0%}, {rows} rows, errors {missed:.0%} {wrong:.0%}"
        new = partial(draw, rows=rows, share=share, missed=missed, wrong=wrong, reverse=name == "reversed")
        yield title, rows, new


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--first", type=int, default=100, help="first seed; the method was chosen on 0 to 4")
    arguments.add_argument("--sets", default="generator,queries,reversed,youtube,imdb")
    arguments.add_argument("--out", type=Path, help="write the figures as JSON")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    measured: dict[str, Any] = {}
    for name in given.sets.split(","):
        if name in SLICES:
            measured[name] = show(name, real(given.data / name, range(given.first, given.first + given.seeds)))
            continue
        for title, rows, new in settings(name):
            found: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
            for seed in range(given.first, given.first + given.seeds):
                drawn = new(seed)
                for mode in MODES if name == "queries" else MODES[:-1]:
                    found[mode].append(generated(drawn, rows, {"seed": seed, "slice_mode": mode}))
            found["auto"] = found["auto"] or found["attention"]  # the same over a table
            measured[title] = show(title, found)
    write(measured, given.out)


if __name__ == "__main__":
    main()
