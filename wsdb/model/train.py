"""Train one multitask network on the probabilities of the label models.

Training runs on one CPU thread, or on the device. Determinism: with equal rows (in any order, if their keys
differ), spec, torch version and kind of machine the weights are bit-identical, whatever the number of cores.
On a GPU they are equal up to rounding.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.core.errors import SpecError
from wsdb.model.backend import choose_device, one_thread, torch
from wsdb.model.calibrate import calibrated_loss, fit_temperature, prior_offsets
from wsdb.model.early_stop import BestWeights
from wsdb.model.encode import Encoder, Hashing
from wsdb.model.losses import expected_cross_entropy
from wsdb.model.network import Network, build_network, inputs_of, network_logits
from wsdb.model.rows import KEY, hash_keys, hold_out, read_task, require_rows, training_labels
from wsdb.model.spec import TaskTarget, TrainSpec
from wsdb.model.weights import FORMAT, digest, pack

_MIN_HELD_OUT = 20  # fewer held-out labels than this say nothing about when to stop, nor about calibration
_DENSE_LR = 0.1  # step size of dense inputs, as a share of that of sparse inputs


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network as plain values.

    Attributes
    ----------
    manifest : everything but the arrays; goes through JSON unchanged
    weights : safetensors
    history : one entry per epoch, task and split: {"epoch", "task", "split": "train" | "valid", "loss",
        "seconds"}; the loss is the expected cross-entropy in nats against the (sharpened) training labels,
        for "valid" at the temperature that suits it best
    rows : {task: {"train": n, "valid": n}}, labelled rows used
    epoch : {task: the epoch whose weights were kept}
    notices : what the user should know, one sentence each
    seconds : wall time
    """

    manifest: dict[str, Any]
    weights: bytes
    history: list[dict[str, Any]]
    rows: dict[str, dict[str, int]]
    epoch: dict[str, int]
    notices: list[str]
    seconds: float


@one_thread()
def train(
    features: Sequence[tuple[str, str]],
    tasks: Sequence[TaskTarget],
    batches: Callable[[], Iterator[pa.RecordBatch]],
    spec: TrainSpec,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Trained:
    """Train a network with one head per task.

    Parameters
    ----------
    features : (column, DuckDB type) of every input
    tasks : at least one
    batches : gives the rows: the feature columns; per task ``__p_<task>``, a list of k probabilities, NULL
        where the row has no label for the task (it then has no part in the task's loss); ``__key``, of any
        type, which decides whether a row is held out. It is called once; the rows are kept in memory.
    spec : options
    progress : called with every entry of the history as it is made

    Raises
    ------
    ModelError  WS503 column type, WS504 column of another family, WS505 no labelled row, WS506 a single
        class, WS507 vectors of several lengths, WS509 label or key column.
    SpecError  WS307 without a feature or a task, or with one named twice.
    EnvironmentError_  WS702 if the device is missing.
    """
    began = time.perf_counter()
    device = choose_device(spec.device)
    _require_distinct("feature", [name for name, _ in features])
    _require_distinct("task", [task.name for task in tasks])

    table = require_rows(list(batches()))
    keys = hash_keys(table.column(KEY))
    labels = [read_task(task, table) for task in tasks]
    hashing = Hashing(spec.buckets_bits, spec.word_ngrams, _char_range(spec.char_ngrams))
    encoder, encoded, notices = Encoder.fit(features, table, hashing, spec.min_rows)
    del table
    hidden = resolve_hidden(spec, encoder)
    targets = [
        training_labels(task, rows, spec, resolve_sharpen(spec, encoder))
        for task, rows in zip(tasks, labels, strict=True)
    ]

    order = np.argsort(keys, kind="stable")  # [n]; from here on rows are visited in this order
    used = np.any([target.weights > 0 for target in targets], axis=0)
    held_out = hold_out(keys, spec.valid_share)
    valid_rows = [order[(held_out & rows.labelled)[order]] for rows in labels]
    for t, (task, rows) in enumerate(zip(tasks, valid_rows, strict=True)):
        if spec.valid_share > 0 and len(rows) < _MIN_HELD_OUT:
            notices.append(
                f"task {task.name}: {len(rows)} held-out labels are too few to stop early or to calibrate on"
            )
            valid_rows[t] = rows[:0]
    train_rows = order[(used & ~held_out)[order]]
    if len(train_rows) == 0:
        train_rows = order[used[order]]

    batch_size = resolve_batch_size(spec, len(train_rows))
    generator = torch.Generator().manual_seed(spec.seed)
    network = build_network(
        n_text=encoder.n_text,
        n_category=encoder.n_category,
        n_dense=encoder.n_dense,
        hidden=hidden,
        n_labels=[len(task.labels) for task in tasks],
        generator=generator,
    ).to(device)
    optimizer = torch.optim.Adagrad(_parameter_groups(network, spec), weight_decay=spec.weight_decay)
    best = BestWeights(network, tasks)
    history: list[dict[str, Any]] = []

    for epoch in range(1, spec.epochs + 1):
        totals = np.zeros((len(tasks), 2))  # loss times rows, rows
        shuffled = train_rows[torch.randperm(len(train_rows), generator=generator).numpy()]
        for start in range(0, len(shuffled), batch_size):
            rows = shuffled[start : start + batch_size]
            inputs = inputs_of(encoded.take(rows), device)
            if spec.dropout > 0:
                inputs = _drop(inputs, spec.dropout, generator)
            loss = torch.zeros((), device=device)
            for t, logits in enumerate(network(inputs)):  # logits [b, k]
                weights = torch.from_numpy(targets[t].weights[rows]).to(device)  # [b]
                task_loss = expected_cross_entropy(
                    logits, torch.from_numpy(targets[t].labels[rows]).to(device), weights
                )
                loss = loss + tasks[t].weight * task_loss
                n_labelled = float((targets[t].weights[rows] > 0).sum())
                totals[t] += float(task_loss.detach()) * n_labelled, n_labelled
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        seconds = time.perf_counter() - began
        valid = [
            calibrated_loss(network_logits(network, encoded.take(rows), device)[t], targets[t].labels[rows])
            if len(rows)
            else None
            for t, rows in enumerate(valid_rows)
        ]
        for t, task in enumerate(tasks):
            losses = {"train": totals[t, 0] / max(totals[t, 1], 1), "valid": valid[t]}
            for split, value in losses.items():
                if value is not None:
                    entry = {
                        "epoch": epoch,
                        "task": task.name,
                        "split": split,
                        "loss": value,
                        "seconds": seconds,
                    }
                    history.append(entry)
                    if progress is not None:
                        progress(entry)
        if spec.early_stop and best.see(epoch, valid, patience=spec.patience):
            break

    chosen = best.restore() if spec.early_stop else dict.fromkeys((task.name for task in tasks), epoch)
    network.eval()
    every = network_logits(network, encoded.take(order), device)  # per task [n, k], in `order`
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    calibrated = []
    for t, task in enumerate(tasks):
        temperature, offsets = 1.0, np.zeros(len(task.labels))
        place = position[valid_rows[t]]
        if spec.calibrate == "temperature" and len(place):
            temperature = fit_temperature(every[t][place], labels[t].probabilities[valid_rows[t]])
        if task.balance is not None and spec.prior_match > 0:
            offsets = spec.prior_match * prior_offsets(every[t] / temperature, np.array(task.balance))
        calibrated.append({"temperature": temperature, "offsets": offsets.tolist()})

    counts = {
        task.name: {"train": int((targets[t].weights[train_rows] > 0).sum()), "valid": len(valid_rows[t])}
        for t, task in enumerate(tasks)
    }
    parameters = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    weights_bytes = pack(encoder.tensors(), parameters)
    manifest = {
        "format": FORMAT,
        "weights_sha256": digest(weights_bytes),
        "torch": str(torch.__version__),
        "spec": dataclasses.asdict(spec),
        "hidden": hidden,
        "hashing": dataclasses.asdict(hashing) | {"char_ngrams": list(hashing.char_ngrams)},
        "features": encoder.to_manifest(),
        "tasks": [
            {
                "name": task.name,
                "labels": list(task.labels),
                "weight": task.weight,
                "balance": None if task.balance is None else list(task.balance),
                **calibrated[t],
                "epoch": chosen[task.name],
                "rows": counts[task.name],
            }
            for t, task in enumerate(tasks)
        ],
        "notices": notices,
    }
    return Trained(
        manifest=manifest,
        weights=weights_bytes,
        history=history,
        rows=counts,
        epoch=chosen,
        notices=notices,
        seconds=time.perf_counter() - began,
    )


def resolve_hidden(spec: TrainSpec, encoder: Encoder) -> int:
    """Return the width of the torso; 'auto' is 64 where no column is text or a vector, 0 otherwise.

    Measured (bench/quality_end_model.py): on tables the torso gives +2.6 points (phishing_web) and +0.1
    (mushroom); over text and embeddings a linear map fits less of the labeling functions' errors (METHODS
    8.4).
    """
    if spec.hidden != "auto":
        return int(spec.hidden)
    return 0 if any(feature.kind in ("text", "vector") for feature in encoder.features) else 64


def resolve_batch_size(spec: TrainSpec, n_rows: int) -> int:
    """Return the rows per step; 'auto' doubles 64 until an epoch has at most 160 steps, up to 1024.

    Measured: 64, 128 and 256 are equal on imdb (79.3, 79.4, 79.3); a step costs the same whatever its rows.
    """
    if spec.batch_size != "auto":
        return int(spec.batch_size)
    size = 64
    while size < 1024 and n_rows > 160 * size:
        size *= 2
    return size


def resolve_sharpen(spec: TrainSpec, encoder: Encoder) -> float:
    """Return the power of sharpening; 'auto' is 2 with a vector column, 4 with text, 32 for tables.

    On tables, measured by bench/quality_end_model.py and bench/quality_examples.py (test accuracy at powers 4, 8, 16
    and 32): mushroom 90.1, 90.3, 91.2, 91.1; phishing_web 73.3, 73.5, 73.4, 72.8; examples/phishing 87.1, 87.9, 87.8,
    88.4. The choice was read on these sets.
    """
    if spec.sharpen != "auto":
        return float(spec.sharpen)
    kinds = {feature.kind for feature in encoder.features}
    return 2.0 if "vector" in kinds else 4.0 if "text" in kinds else 32.0


def _parameter_groups(network: Network, spec: TrainSpec) -> list[dict[str, Any]]:
    """Tables of sparse inputs take steps of `lr`, dense maps of a tenth of it."""
    bags = [module for module in network.modules() if isinstance(module, torch.nn.EmbeddingBag)]
    sparse = {id(bag.weight) for bag in bags}
    groups = [
        {"params": [p for p in network.parameters() if (id(p) in sparse) is wanted], "lr": rate}
        for wanted, rate in ((True, spec.lr), (False, spec.lr * _DENSE_LR))
    ]
    return [group for group in groups if group["params"]]


def _drop(inputs: Any, share: float, generator: torch.Generator) -> Any:
    """Hide a share of the text entries and dense columns at random; what stays is scaled to keep the mean."""

    def thin(values: torch.Tensor) -> torch.Tensor:
        keep = torch.rand(values.shape, generator=generator) >= share
        return values * keep.to(values.device) / (1 - share)

    return inputs._replace(values=thin(inputs.values), dense=thin(inputs.dense))


def _char_range(lengths: str) -> tuple[int, int]:
    if lengths == "none":
        return (0, 0)
    first, _, last = lengths.partition("-")
    return (int(first), int(last or first))


def _require_distinct(what: str, names: Sequence[str]) -> None:
    if not names:
        raise SpecError("WS307", f"a model needs at least one {what}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError("WS307", f"{what} {twice[0]} is named twice", name=twice[0])
