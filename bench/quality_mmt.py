"""A hundred tasks with shared structure in one model, against a model of its own for each.

    python -m bench.quality_mmt --seeds 5

The set: 50 normal columns, 8 hidden directions of tanh shape, and 100 two-class tasks that are each a linear rule of
these directions. A task has labels on 200 of 4,000 rows, of which one in ten is wrong; scored on 2,000 clean rows.
Default options. The cost of a step is the time of an epoch in which every row has labels for every task, divided by
that of an epoch with one task; reading is left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.quality_end_model import write
from bench.quality_slices import summary
from wsdb.model.backend import torch
from wsdb.model.parts import TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import train_spec
from wsdb.model.train import train

ROWS, TEST_ROWS, COLUMNS, DIRECTIONS, LABELED = 4_000, 2_000, 50, 8, 200
FEATURES = [(f"x{i}", "FLOAT") for i in range(COLUMNS)]


def draw(seed: int, tasks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x float32 (n, 50), y bool (n, t), and training labels int8 (rows, t), -1 for none."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS + TEST_ROWS, COLUMNS)).astype(np.float32)
    hidden = np.tanh(x @ rng.normal(size=(COLUMNS, DIRECTIONS)) / COLUMNS**0.5 * 2)
    y = hidden @ rng.normal(size=(DIRECTIONS, tasks)) > 0
    labels = (y[:ROWS] ^ (rng.random((ROWS, tasks)) < 0.1)).astype(np.int8)
    for t in range(tasks):
        labels[rng.permutation(ROWS)[LABELED:], t] = -1
    return x, y, labels


def learn(x: np.ndarray, labels: np.ndarray, options: dict[str, Any]) -> tuple[Predictor, list[float]]:
    """Train one model on all columns of labels; return it, and the seconds of each epoch but the first."""
    table = pa.table({name: x[: len(labels), i] for i, (name, _) in enumerate(FEATURES)})
    sides: list[list[float] | None] = [[1.0, 0.0], [0.0, 1.0], None]
    for t in range(labels.shape[1]):
        column = pa.array([sides[value] for value in labels[:, t]], pa.list_(pa.float64()))
        table = table.append_column(f"__p_t{t}", column)
    table = table.append_column("__key", pa.array(np.arange(len(labels))))

    def batches() -> Iterator[pa.RecordBatch]:
        yield from table.to_batches(max_chunksize=2048)

    ends: dict[int, float] = {}

    def progress(entry: dict[str, Any]) -> None:
        ends.setdefault(entry["epoch"], time.perf_counter())

    tasks = [TaskTarget(f"t{t}", ("no", "yes")) for t in range(labels.shape[1])]
    trained = train(FEATURES, tasks, batches, train_spec(options), progress)
    return Predictor.load(trained.manifest, trained.weights), np.diff(list(ends.values())).tolist()


def accuracy(predictor: Predictor, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the accuracy of each task, percent (t,)."""
    batch = pa.record_batch({name: x[:, i] for i, (name, _) in enumerate(FEATURES)})
    found = predictor.predict(batch)
    return np.array([(found[t].probabilities.argmax(axis=1) == y[:, i]).mean() for i, t in enumerate(found)]) * 100


def quality(seed: int, tasks: int) -> dict[str, float]:
    """Return the mean accuracies of one model and of a model for each task."""
    x, y, labels = draw(seed, tasks)
    together = accuracy(learn(x, labels, {"seed": seed})[0], x[ROWS:], y[ROWS:])
    alone = [
        float(accuracy(learn(x, labels[:, [t]], {"seed": seed})[0], x[ROWS:], y[ROWS:, [t]])[0]) for t in range(tasks)
    ]
    return {
        "together": float(together.mean()),
        "alone": float(np.mean(alone)),
        "gain": float((together - alone).mean()),
        "worse": float((together < np.array(alone)).sum()),
    }


def cost(seed: int, counts: Sequence[int]) -> dict[str, float]:
    """Return the milliseconds of an epoch by number of tasks, the fastest of four, and the ratios to one task."""
    x, y, _ = draw(seed, max(counts))
    found = {}
    for count in counts:
        options = {"seed": seed, "epochs": 5, "early_stop": False, "valid_share": 0}
        _, seconds = learn(x, y[:ROWS, :count].astype(np.int8), options)
        found[f"epoch {count}"] = min(seconds) * 1000
    return found | {f"ratio {count}": found[f"epoch {count}"] / found["epoch 1"] for count in counts[1:]}


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--tasks", type=int, default=100)
    arguments.add_argument("--out", type=Path, help="write the figures as JSON")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    costs = summary([cost(seed, (1, 10, given.tasks)) for seed in range(min(given.seeds, 3))])
    for name, one in costs.items():
        print(f"{name:12} {one['mean']:8.1f} ± {one['half'] or 0:.1f}", flush=True)
    scores = summary([quality(seed, given.tasks) for seed in range(given.seeds)])
    for name, one in scores.items():
        print(f"{name:12} {one['mean']:8.1f} ± {one['half'] or 0:.1f}", flush=True)
    write({"cost": costs, "quality": scores}, given.out)


if __name__ == "__main__":
    main()
