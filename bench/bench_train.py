"""Speed of training: against a hand-written torch loop, and against Snorkel's MultitaskClassifier.

    python -m bench.bench_train [--snorkel /path/to/python] [--device cpu|cuda] [--out train.json]

Two cases, made with a fixed seed:

* text: 40,000 rows of 60 words and three tasks (2, 3 and 5 labels) that read its hashed n-grams;
* table: 40,000 rows of 16 numbers and three tasks over a shared layer.

*wsdb* is `train` on Arrow batches, all of it: reading, statistics, encoding, epochs, held-out losses. *plain* is the
loop that a person would write for the same network: its inputs, already encoded, lie in memory as tensors; batches are
drawn in the same order, the same optimizers take the same steps, the held-out loss is computed after each epoch. Both
use one thread, and CPU seconds are compared: the medians of three runs of each, in turn. Asserted: the same final
training losses. Promised: later epochs within 1.15 times of each other, and the first epoch of wsdb, with reading and
encoding, within 1.4 times plain's.

*Snorkel* trains its MultitaskClassifier in an environment of its own on the table case: numbers as a tensor, two hidden
layers of the same width, a head per task, the same batch size and number of epochs, hard labels (it knows no others);
of three rounds the one with the median ratio is reported.
Promised: it takes at most a quarter of the CPU seconds, and is right as often less a point.

With `--device cuda` the network trains on the GPU, wsdb in bf16, and the share of an epoch that the GPU is busy is
measured by torch's profiler.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.model import loop as loop_module
from wsdb.model.arrays import CATEGORIES, DENSE, TEXT, EncodedBatch
from wsdb.model.average import AveragedWeights
from wsdb.model.backend import torch
from wsdb.model.loop import Loop
from wsdb.model.network import Inputs, inputs_of
from wsdb.model.optimize import Optimizers, TaskBalance
from wsdb.model.parts import TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import TrainSpec
from wsdb.model.train import Trained, train

TASKS = (TaskTarget("two", ("a", "b")), TaskTarget("three", ("a", "b", "c")), TaskTarget("five", tuple("abcde")))
NUMBERS = 16
ROUNDS = 3
SPEC = TrainSpec(epochs=5, early_stop=False, patience=100, batch_size=256, sharpen=1.0, calibrate="none")

SNORKEL = """
import json, sys, time
import numpy as np, torch
from torch import nn
torch.set_num_threads(1)
from functools import partial
from snorkel.classification import DictDataLoader, DictDataset, MultitaskClassifier, Operation, Task, Trainer
data = np.load(sys.argv[1])
epochs, size, hidden = (int(x) for x in sys.argv[3:6])
names = ["two", "three", "five"]

def learn(rows, epochs):
    torch.manual_seed(0)
    x = torch.from_numpy(data["x"][:rows])
    dataset = DictDataset("train", "train", {"x": x}, {n: torch.from_numpy(data[n][:rows]) for n in names})
    loader = DictDataLoader(dataset, batch_size=size, shuffle=True)
    torso = nn.Sequential(nn.Linear(x.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
    tasks = []
    for n, k in zip(names, (2, 3, 5)):
        pool = nn.ModuleDict({"torso": torso, "head_" + n: nn.Linear(hidden, k)})
        flow = [Operation("torso", [("_input_", "x")], "torso"), Operation("head_" + n, ["torso"], "head_" + n)]
        tasks.append(Task(n, pool, flow))
    model = MultitaskClassifier(tasks)
    Trainer(n_epochs=epochs, lr=0.003, progress_bar=False, logging=False, checkpointing=False).fit(model, [loader])
    return model

learn(2_000, 1)  # torch loads parts of itself in the first step, which is not counted on either side
began, cpu = time.perf_counter(), time.process_time()
model = learn(len(data["x"]), epochs)
took = [time.perf_counter() - began, time.process_time() - cpu]
test = DictDataset("test", "test", {"x": torch.from_numpy(data["test_x"])},
                   {n: torch.from_numpy(data["test_" + n]) for n in names})
found = model.predict(DictDataLoader(test, batch_size=4096), return_preds=True)["preds"]
right = {n: float((np.asarray(found[n]) == data["test_" + n]).mean()) for n in names}
print(json.dumps({"wall_s": took[0], "cpu_s": took[1], "right": right}))
"""


# ── data ──────────────────────────────────────────────────────────────────────────────────────────


def text_rows(rng: np.random.Generator, n: int) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """Texts of 60 words; each task has words of its own that give its label away."""
    gold = {task.name: rng.integers(0, len(task.labels), n) for task in TASKS}
    ranks = np.minimum(rng.zipf(1.3, (n, 57)), 30_000)
    telling = [np.char.add(f"{name}", y.astype(str)) for name, y in gold.items()]
    words = np.concatenate([np.char.add("w", ranks.astype(str)), np.stack(telling, axis=1)], axis=1)
    texts = [" ".join(row) for row in words.tolist()]
    return pa.table({"body": texts}), gold


def number_rows(rng: np.random.Generator, n: int) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """Numbers; the labels are bins of sums of products of them."""
    x = rng.normal(size=(n, NUMBERS)).astype(np.float32)
    gold = {}
    for t, task in enumerate(TASKS):
        k = len(task.labels)
        score = x[:, t] * x[:, t + 1] + x[:, t + 2] + 0.5 * x[:, t + 3]
        gold[task.name] = np.searchsorted(np.quantile(score, np.arange(1, k) / k), score)
    return pa.table({f"x{i}": x[:, i] for i in range(NUMBERS)}), gold


def with_labels(table: pa.Table, gold: dict[str, np.ndarray]) -> pa.Table:
    """Add keys, and labels that are right nine times of ten and say so."""
    rng = np.random.default_rng(5)
    for task in TASKS:
        k, y = len(task.labels), gold[task.name]
        noisy = np.where(rng.random(len(y)) < 0.1, rng.integers(0, k, len(y)), y)
        soft = np.where(np.arange(k) == noisy[:, None], 0.9, 0.1 / (k - 1))
        lists = pa.FixedSizeListArray.from_arrays(pa.array(soft.ravel()), k)
        table = table.append_column(f"__p_{task.name}", lists.cast(pa.list_(pa.float64())))
    return table.append_column("__key", pa.array(np.arange(len(table))))


# ── wsdb and the plain loop ───────────────────────────────────────────────────────────────────────


def clock(device: str) -> float:
    """CPU seconds of this process, which other work on the machine does not stretch; wall seconds on a GPU."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def run_wsdb(table: pa.Table, features: list[tuple[str, str]], spec: TrainSpec) -> tuple[Trained, Loop, list[float]]:
    """Train; also return the loop, whose arrays the plain loop takes, and the seconds of every epoch.

    The first epoch has reading and encoding in it.
    """
    kept: list[Loop] = []
    ends = [clock(spec.device)]
    plain = Loop.run

    def run(self: Loop) -> dict[str, int]:
        kept.append(self)
        return plain(self)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from table.to_batches(max_chunksize=2048)

    def progress(entry: dict[str, Any]) -> None:
        if entry["task"] == TASKS[-1].name and entry["split"] == "valid":
            ends.append(clock(spec.device))

    loop_module.Loop.run = run  # type: ignore[method-assign]
    try:
        return train(features, TASKS, batches, spec, progress), kept[0], np.diff(ends).tolist()
    finally:
        loop_module.Loop.run = plain  # type: ignore[method-assign]


class PlainLoop:
    """What a person would write for one network whose inputs lie in memory."""

    def __init__(self, loop: Loop) -> None:
        from wsdb.model.network import build_network

        self.spec, self.device = loop.spec, loop.device
        self.generator = torch.Generator().manual_seed(loop.spec.seed)
        self.network = build_network(loop.network.plan, self.generator, {}).to(self.device)
        encoded = loop.store.encoded
        text = encoded.ragged[TEXT]
        self.indptr = torch.from_numpy(text.indptr)
        self.slots = torch.from_numpy(np.asarray(text.arrays["slots"])).to(self.device)
        self.values = torch.from_numpy(np.asarray(text.arrays["values"])).to(self.device)
        self.categories = torch.from_numpy(encoded.rows[CATEGORIES]).to(self.device)
        self.dense = torch.from_numpy(encoded.rows[DENSE]).to(self.device)
        self.labels = [torch.from_numpy(target.labels).to(self.device) for target in loop.targets]
        self.train_rows = torch.from_numpy(loop.train_rows)
        self.valid_rows = torch.from_numpy(loop.valid_rows)
        self.size, self.steps = loop.batch_size, loop.steps

    def inputs(self, rows: torch.Tensor) -> Inputs:
        """Rows of the tensors."""
        lengths = self.indptr[rows + 1] - self.indptr[rows]
        ends = torch.cumsum(lengths, 0)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), ends])
        at = torch.arange(int(offsets[-1])) + torch.repeat_interleave(self.indptr[rows] - offsets[:-1], lengths)
        at, rows = at.to(self.device), rows.to(self.device)
        offsets = offsets.to(torch.int32).to(self.device)
        return inputs_of(EncodedBatch(0, {}, {}), self.device)._replace(
            n=len(rows),
            slots=self.slots[at],
            offsets=offsets,
            values=self.values[at],
            categories=self.categories[rows],
            dense=self.dense[rows],
        )

    def loss(self, rows: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of all tasks."""
        scores = self.network(self.inputs(rows))
        own = rows.to(self.device)
        losses = [
            -(labels[own] * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
            for logits, labels in zip(scores, self.labels, strict=True)
        ]
        return torch.stack(losses)

    def run(self) -> tuple[list[float], list[list[float]]]:
        """Train; return seconds and training losses of every epoch."""
        most = -(-len(self.train_rows) // self.size) * self.spec.epochs
        optimizers = Optimizers(
            self.network, TaskBalance([1.0] * len(TASKS), learned=False), self.spec, self.steps, most=most
        )
        average = AveragedWeights(self.network, -(-len(self.train_rows) // self.size))
        seconds, losses = [], []
        for _ in range(self.spec.epochs):
            began = clock(self.spec.device)
            order = self.train_rows[torch.randperm(len(self.train_rows), generator=self.generator)]
            total = torch.zeros(len(TASKS), device=self.device)
            for start in range(0, len(order), self.size):
                rows = order[start : start + self.size]
                each = self.loss(rows)
                optimizers.zero_grad()
                each.sum().backward()
                optimizers.step()
                average.see()
                total += each.detach() * len(rows)
            with average.applied(), torch.inference_mode():
                for start in range(0, len(self.valid_rows), 4096):
                    self.loss(self.valid_rows[start : start + 4096])
            losses.append((total / len(order)).tolist())
            seconds.append(clock(self.spec.device) - began)
        return seconds, losses


def compare(name: str, table: pa.Table, features: list[tuple[str, str]], spec: TrainSpec) -> dict[str, Any]:
    """Train by wsdb and by the plain loop, in turn; return figures, ratios and what was missed."""
    run_wsdb(table.slice(0, 2_000), features, replace(spec, epochs=1))  # warm up
    rounds = []
    for _ in range(ROUNDS):
        trained, loop, seconds = run_wsdb(table, features, spec)
        plain_seconds, plain_losses = PlainLoop(loop).run()
        rounds.append((seconds, plain_seconds))
    own = [entry["loss"] for entry in trained.history if entry["epoch"] == spec.epochs and entry["split"] == "train"]
    tolerance = 2e-2 if loop.bf16 else 1e-3
    assert np.allclose(own, plain_losses[-1], rtol=tolerance), f"{name}: losses {own} and {plain_losses[-1]}"
    seconds, plain_seconds = (np.median(each, axis=0).tolist() for each in zip(*rounds, strict=True))
    ratios = {
        "epoch": float(np.median(seconds[1:]) / np.median(plain_seconds[1:])),
        "first_epoch": seconds[0] / plain_seconds[0],
    }
    missed = [
        f"{what} {ratios[what]:.2f}x" for what, most in (("epoch", 1.15), ("first_epoch", 1.4)) if ratios[what] > most
    ]
    return {
        "rows": len(table),
        "wsdb_epochs_s": seconds,
        "plain_epochs_s": plain_seconds,
        "loss": own,
        "ratios": ratios,
        "missed": missed,
    }


# ── Snorkel ───────────────────────────────────────────────────────────────────────────────────────


def compare_snorkel(python: str, rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Train the table case by wsdb and by Snorkel on the same hard labels."""
    table, gold = number_rows(rng, rows + 5_000)
    split = table.slice(0, rows), table.slice(rows)
    features = [(name, "FLOAT") for name in table.column_names]
    labeled = with_labels(split[0], {name: y[:rows] for name, y in gold.items()})
    spec = replace(SPEC, valid_share=0.0, loss="hard", hidden=64)
    tests = split[1].combine_chunks().to_batches()[0]

    def run_own() -> dict[str, Any]:
        began, cpu = time.perf_counter(), time.process_time()
        trained, _, _ = run_wsdb(labeled, features, spec)
        spent = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
        found = Predictor.load(trained.manifest, trained.weights).predict(tests)
        right = {n: float((found[n].probabilities.argmax(axis=1) == y[rows:]).mean()) for n, y in gold.items()}
        return spent | {"right": right}

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        x = np.stack([table[name].to_numpy() for name in table.column_names], axis=1)
        hard = {t.name: np.array(labeled[f"__p_{t.name}"].to_pylist()).argmax(axis=1) for t in TASKS}
        np.savez(file, x=x[:rows], test_x=x[rows:], **hard, **{f"test_{n}": y[rows:] for n, y in gold.items()})
        command = [python, "-c", SNORKEL, str(file), "-", str(SPEC.epochs), str(spec.batch_size), "64"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}

        def run_theirs() -> dict[str, Any]:
            printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
            found: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
            return found

        rounds = [(run_own(), run_theirs()) for _ in range(ROUNDS)]
    own, theirs = sorted(rounds, key=lambda pair: pair[1]["cpu_s"] / pair[0]["cpu_s"])[ROUNDS // 2]
    ratio = theirs["cpu_s"] / own["cpu_s"]
    missed = [f"Snorkel takes {ratio:.1f}x"] if ratio < 4 else []
    for n, right in own["right"].items():
        if right < theirs["right"][n] - 0.01:
            missed.append(f"{n} right {right:.3f}, Snorkel {theirs['right'][n]:.3f}")
    return {"rows": rows, "wsdb": own, "snorkel": theirs, "ratios": {"snorkel": ratio}, "missed": missed}


def busy_share(table: pa.Table, features: list[tuple[str, str]], spec: TrainSpec) -> float:
    """Share of the epochs' wall time in which the GPU runs a kernel."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        _, _, seconds = run_wsdb(table, features, spec)
    kernels = sum(event.self_device_time_total for event in profiler.key_averages()) / 1e6
    return kernels / sum(seconds[1:]) * (spec.epochs - 1) / spec.epochs


def main() -> int:
    """Run the cases and print one table; 1 if a promise was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--snorkel", help="interpreter of an environment with snorkel 0.10 and torch")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(20)
    cuda = given.device == "cuda"
    spec = replace(SPEC, device=given.device, precision="bf16" if cuda else "fp32")
    cases: dict[str, dict[str, Any]] = {}
    for name, make, kind in (("text", text_rows, "VARCHAR"), ("table", number_rows, "FLOAT")):
        table, gold = make(rng, given.rows)
        features = [(column, kind) for column in table.column_names]
        cases[name] = compare(name, with_labels(table, gold), features, spec)
        if cuda:
            cases[name]["gpu_busy"] = busy_share(with_labels(table, gold), features, spec)
        shown = ", ".join(f"{what} {ratio:.2f}x" for what, ratio in cases[name]["ratios"].items())
        busy = f", GPU busy {cases[name]['gpu_busy']:.0%}" if cuda else ""
        medians = [np.median(cases[name][f"{who}_epochs_s"][1:]) for who in ("wsdb", "plain")]
        print(f"{name:<8} epoch {medians[0]:.2f} s, plain {medians[1]:.2f} s: {shown}{busy}", flush=True)
    if given.snorkel:
        cases["snorkel"] = compare_snorkel(given.snorkel, rng, given.rows)
        own, theirs = cases["snorkel"]["wsdb"], cases["snorkel"]["snorkel"]
        ratio = cases["snorkel"]["ratios"]["snorkel"]
        print(f"snorkel  wsdb {own['cpu_s']:.1f} CPU s, Snorkel {theirs['cpu_s']:.1f} CPU s: {ratio:.1f}x", flush=True)
        print(f"         right {own['right']}, Snorkel {theirs['right']}")
    missed = [f"{name}: {what}" for name, case in cases.items() for what in case["missed"]]
    print(f"missed: {', '.join(missed)}" if missed else "every promise kept")
    if given.out:
        versions = {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__}
        facts = {"device": given.device, "machine": platform.platform(), "versions": versions}
        given.out.write_text(json.dumps(facts | {"cases": cases}, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
