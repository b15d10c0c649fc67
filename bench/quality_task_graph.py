"""Quality of the joint label model of a task graph against majority vote and label models per task.

    python -m bench.quality_task_graph [--data ../shared/data] [--out task_graph.json]

Drawn rows. A coarse task has two labels, each with a task of three finer labels below it that applies to that
label alone. Coarse sources vote the coarse task and are right 70-90 % of the time; fine sources vote one of the
six leaves and are right 40-70 % of the time; which leaf a source takes each one for is drawn from a flat
Dirichlet distribution. Every source votes on the given share of the rows, independently. Labels are uniform
over the leaves. Four seeds, 4,000 rows.

Scoring. Mean accuracy over the three tasks, "does not apply" being an answer like any other, on the rows where
some source votes. The models per task get the votes of fine sources on every task: a vote for a leaf is passed
to the coarse task, and to the fine tasks, whose extra class is "does not apply". With `path` a coarse vote stays
with the coarse task; with `full` it is passed on as a vote that the other fine task does not apply, which is
already half a joint model. `mv` breaks ties at random and guesses a random class where a task has no vote;
`auto` is `wsdb.labelmodel.fit` with its defaults, and answers the first class there.

Last drawn line: every source votes a leaf, all equally accurate, wrong at random; the gain should be near zero,
since what the joint model adds is coarse votes that prune fine ones.

`--data` adds TREC: 6 coarse and 50 fine question types from the gold of its test split. The stored labeling
functions vote the coarse task. Nobody has written fine ones for the set, so fine votes are made from gold: 10
sources, each right on 55 % of the rows that it votes on and wrong at random over the other fine types. The
coarse votes are real, the fine ones are not, and the line says so.

Exit status 1 unless the joint model gains, on average over the mixed settings, 6 points over `mv path` and 4 over
`auto path`, and on none of them loses to any other column.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import decide, fit
from wsdb.labelmodel.joint import fit_joint, joint_posterior
from wsdb.labelmodel.joint_graph import IMPLIES, Constraint, JointGraph, JointTask, feasible_vectors

SETTINGS = ((5, 5, 0.5), (5, 5, 0.3), (5, 10, 0.3), (10, 10, 0.2), (3, 8, 0.5))
"""Coarse sources, fine sources, coverage."""
SEEDS = range(4)
N_ROWS = 4000
N_LEAVES = 6
GAIN = {"mv path": 6.0, "auto path": 4.0}
COLUMNS = ("mv path", "mv full", "auto path", "auto full", "joint")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Votes on a task graph with known labels.

    Attributes
    ----------
    votes : int64 array of shape (n, c), one column per source and task, -1 is abstain
    columns : (source, task) of each column
    truth : int64 array of shape (n, T), k where a task does not apply
    """

    graph: JointGraph
    votes: np.ndarray
    columns: list[tuple[str, int]]
    truth: np.ndarray


def two_level(groups: list[list[str]]) -> JointGraph:
    """A coarse task with a label per group, and below each a task of the group's labels; one is left out."""
    tasks = [JointTask("coarse", tuple(f"c{i}" for i in range(len(groups))))]
    rules = []
    for i, group in enumerate(groups):
        if len(group) > 1:
            tasks.append(JointTask(f"fine_{i}", tuple(group)))
            rules += [Constraint(f"fine_{i}", label, IMPLIES, "coarse", f"c{i}") for label in group]
    return feasible_vectors(tasks, rules)


def draw(seed: int, n_coarse: int, n_fine: int, coverage: float, equal: bool = False) -> Drawn:
    """Draw a table of the generator described above; `equal` makes fine sources alike and wrong at random."""
    rng = np.random.default_rng(seed)
    graph = two_level([["a0", "a1", "a2"], ["b0", "b1", "b2"]])
    leaf = rng.integers(0, N_LEAVES, N_ROWS)
    columns: list[tuple[str, int]] = []
    parts = []
    for j in range(n_coarse):
        right = rng.random(N_ROWS) < rng.uniform(0.7, 0.9)
        parts.append(mask(rng, np.where(right, leaf // 3, 1 - leaf // 3), coverage)[:, None])
        columns.append((f"coarse_{j}", 0))
    for j in range(n_fine):
        confusion = confused(rng, 0.55 if equal else rng.uniform(0.4, 0.7), equal=equal)
        said = (rng.random(N_ROWS)[:, None] > confusion.cumsum(axis=1)[leaf]).sum(axis=1)
        voted = mask(rng, np.minimum(said, N_LEAVES - 1), coverage)
        parts.append(np.stack([np.where(voted // 3 == side, voted % 3, -1) for side in (0, 1)], axis=1))
        columns += [(f"fine_{j}", 1), (f"fine_{j}", 2)]
    vectors = graph.components[0].vectors
    return Drawn(graph, np.concatenate(parts, axis=1), columns, vectors[leaf])


def confused(rng: np.random.Generator, accuracy: float, *, equal: bool) -> np.ndarray:
    """P(vote | leaf) of a fine source: float64 array of shape (leaves, leaves), rows sum to 1."""
    confusion = np.zeros((N_LEAVES, N_LEAVES))
    for y in range(N_LEAVES):
        wrong = np.full(N_LEAVES - 1, 1 / (N_LEAVES - 1)) if equal else rng.dirichlet(np.ones(N_LEAVES - 1))
        confusion[y] = np.insert((1 - accuracy) * wrong, y, accuracy)
    return confusion


def mask(rng: np.random.Generator, votes: np.ndarray, coverage: float) -> np.ndarray:
    """Votes with -1 where the source abstains."""
    return np.where(rng.random(len(votes)) < coverage, votes, -1)


def per_task(drawn: Drawn, *, full: bool) -> list[np.ndarray]:
    """Votes of each task with what other votes of the same source decide, int8 arrays of shape (n, S)."""
    vectors = drawn.graph.components[0].vectors
    sources = list(dict.fromkeys(source for source, _ in drawn.columns))
    tables = [np.full((len(drawn.votes), len(sources)), -1, dtype=np.int8) for _ in range(vectors.shape[1])]
    for column, (source, task) in enumerate(drawn.columns):
        said = drawn.votes[:, column]
        for label in range(len(drawn.graph.tasks[task].labels)):
            rows = said == label
            left = vectors[vectors[:, task] == label]
            for other, table in enumerate(tables):
                ruled_out = task == 0 and other != 0
                if (left[:, other] == left[0, other]).all() and (full or not ruled_out):
                    table[rows, sources.index(source)] = left[0, other]
    return tables


def majority(rng: np.random.Generator, votes: np.ndarray, k: int) -> np.ndarray:
    """Most frequent class, ties and rows without votes at random."""
    counts = np.stack([(votes == y).sum(axis=1) for y in range(k)], axis=1)
    return (counts + rng.random(counts.shape) * 0.5).argmax(axis=1)


def accuracy(answers: list[np.ndarray], drawn: Drawn) -> float:
    """Mean accuracy over tasks on rows with a vote, in percent."""
    covered = (drawn.votes >= 0).any(axis=1)
    return 100 * float(np.mean([(answer == drawn.truth[:, t])[covered].mean() for t, answer in enumerate(answers)]))


def compare(drawn: Drawn, seed: int) -> dict[str, float]:
    """Accuracy of every method, and the seconds of the joint fit."""
    rng = np.random.default_rng(1000 + seed)
    sizes = [len(task.labels) + (t > 0) for t, task in enumerate(drawn.graph.tasks)]
    scores = {}
    for name, full in (("path", False), ("full", True)):
        tables = per_task(drawn, full=full)
        answers = [majority(rng, table, k) for table, k in zip(tables, sizes, strict=True)]
        scores[f"mv {name}"] = accuracy(answers, drawn)
        answers = []
        for table, k in zip(tables, sizes, strict=True):
            model = fit(VotePatterns.of_rows(table, k))
            answers.append(np.maximum(decide(model.form, table), 0))
        scores[f"auto {name}"] = accuracy(answers, drawn)
    start = time.perf_counter()
    answer = joint_posterior(fit_joint(drawn.graph, drawn.votes, drawn.columns), drawn.votes)
    scores["seconds"] = time.perf_counter() - start
    scores["joint"] = accuracy(list(answer.labels.T), drawn)
    return scores


def trec(data: Path, seed: int) -> Drawn:
    """TREC's test split: stored coarse votes, and fine votes made from gold."""
    rng = np.random.default_rng(seed)
    table = duckdb.sql(f"FROM '{data}/trec/test.parquet'").fetchnumpy()
    coarse, fine = np.asarray(table["label"]).astype(int), np.asarray(table["fine_label"]).astype(str)
    groups = [sorted(set(fine[coarse == y].tolist())) for y in range(6)]
    graph = two_level(groups)
    names = [task.name for task in graph.tasks]
    leaves = [(y, label) for y, group in enumerate(groups) for label in group]
    leaf = np.array([leaves.index(pair) for pair in zip(coarse.tolist(), fine.tolist(), strict=True)])
    vectors = np.array([vector_of(graph, names, groups, pair) for pair in leaves])
    lfs = sorted((name for name in table if name.startswith("lf_")), key=lambda name: int(name[3:]))
    parts = [np.stack([np.asarray(table[name]).astype(int) for name in lfs], axis=1)]
    columns = [(name, 0) for name in lfs]
    for j in range(10):
        right = rng.random(len(leaf)) < 0.55
        other = (leaf + rng.integers(1, len(leaves), len(leaf))) % len(leaves)
        voted = mask(rng, np.where(right, leaf, other), 0.5)
        said = np.where(voted[:, None] >= 0, vectors[voted], -1)
        for t in range(1, len(names)):
            parts.append(np.where(said[:, [t]] < len(graph.tasks[t].labels), said[:, [t]], -1))
            columns.append((f"fine_{j}", t))
        # A fine type that is alone in its group has no task of its own: its vote is one for the coarse type.
        alone = (said[:, 1:] == [len(task.labels) for task in graph.tasks[1:]]).all(axis=1)
        parts.append(np.where(alone, said[:, 0], -1)[:, None])
        columns.append((f"fine_{j}", 0))
    return Drawn(graph, np.concatenate(parts, axis=1), columns, vectors[leaf])


def vector_of(graph: JointGraph, names: list[str], groups: list[list[str]], pair: tuple[int, str]) -> list[int]:
    """Codes of all tasks for a (coarse, fine) pair."""
    y, label = pair
    codes = [len(task.labels) for task in graph.tasks]
    codes[0] = y
    if len(groups[y]) > 1:
        codes[names.index(f"fine_{y}")] = groups[y].index(label)
    return codes


def mean(scores: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each figure over the seeds."""
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}


def show(title: str, score: dict[str, float]) -> None:
    """Print one line of the table."""
    figures = "".join(f"{score[name]:11.2f}" for name in COLUMNS)
    gains = "".join(f"{score['joint'] - score[name]:+14.2f}" for name in COLUMNS[:-1])
    print(f"{title:34}{figures}{gains}{score['seconds']:9.2f}")


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    gains = "".join(f"{'vs ' + name:>14}" for name in COLUMNS[:-1])
    print(f"{'coarse, fine, coverage':34}{''.join(f'{name:>11}' for name in COLUMNS)}{gains}  seconds")
    results = {}
    for n_coarse, n_fine, coverage in SETTINGS:
        score = mean([compare(draw(seed, n_coarse, n_fine, coverage), seed) for seed in SEEDS])
        show(f"{n_coarse}, {n_fine}, {coverage}", score)
        results[f"{n_coarse},{n_fine},{coverage}"] = score
    mixed = list(results.values())
    reached = all(score["joint"] >= max(score[name] for name in COLUMNS) for score in mixed)
    average = mean(mixed)
    show("mean", average)
    reached &= all(average["joint"] - average[name] >= gain for name, gain in GAIN.items())
    score = mean([compare(draw(seed, 0, 10, 0.5, equal=True), seed) for seed in SEEDS])
    show("0, 10, 0.5 (equal sources)", score)
    results["equal"] = score
    if arguments.data:
        score = mean([compare(trec(arguments.data, seed), seed) for seed in SEEDS])
        show("trec (fine votes made from gold)", score)
        results["trec"] = score
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
