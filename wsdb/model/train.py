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
from wsdb.model.calibrate import fit_temperature, prior_offsets
from wsdb.model.early_stop import diverged
from wsdb.model.encode import Encoder, Hashing
from wsdb.model.features import chosen_kinds
from wsdb.model.loop import Loop
from wsdb.model.network import build_network, network_logits
from wsdb.model.rows import KEY, hash_keys, held_out_rows, one_sided, read_task, require_rows, training_labels
from wsdb.model.spec import TaskTarget, TrainSpec
from wsdb.model.weights import FORMAT, digest, pack

_SMALL = 2_000  # training rows below which a torso needs a stronger penalty


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
    rows : {task: {"train": n, "valid": n}}, labeled rows used
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
    ModelError  WS503 column type, WS504 column of another family, WS505 no labeled row, WS506 a single
        class, WS507 vectors of several lengths, WS509 label or key column, WS511 divergence.
    SpecError  WS307 without a feature or a task, with one named twice, or with an option that names no feature.
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
    chosen_by_user = chosen_kinds(features, spec.text, spec.categories)
    encoder, encoded, notices = Encoder.fit(features, table, hashing, spec.min_rows, chosen_by_user)
    del table
    hidden = resolve_hidden(spec, encoder)
    sharpen = resolve_sharpen(spec, encoder)
    targets = [training_labels(task, rows, spec, sharpen) for task, rows in zip(tasks, labels, strict=True)]
    notices += [notice for task, rows in zip(tasks, labels, strict=True) for notice in one_sided(task, rows)]
    order = np.argsort(keys, kind="stable")  # [n]; from here on rows are visited in this order
    held_out, notes = held_out_rows(tasks, labels, keys, spec)
    notices += notes
    targets = [target.without(out) for target, out in zip(targets, held_out, strict=True)]
    valid_rows = [order[out[order]] for out in held_out]
    train_rows = order[np.any([target.weights > 0 for target in targets], axis=0)[order]]

    generator = torch.Generator().manual_seed(spec.seed)
    network = build_network(
        n_text=encoder.n_text,
        n_category=encoder.n_category,
        n_dense=encoder.n_dense,
        hidden=hidden,
        n_labels=[len(task.labels) for task in tasks],
        generator=generator,
    ).to(device)
    loop = Loop(
        network=network,
        encoded=encoded,
        tasks=tasks,
        targets=targets,
        train_rows=train_rows,
        valid_rows=valid_rows,
        spec=spec,
        batch_size=resolve_batch_size(spec, len(train_rows)),
        lr=resolve_lr(spec, hidden),
        weight_decay=resolve_weight_decay(spec, hidden, len(train_rows)),
        generator=generator,
        device=device,
        began=began,
        progress=progress,
    )
    chosen = loop.run()
    network.eval()
    every = network_logits(network, encoded.take(order), device)  # per task [n, k], in `order`
    parameters = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    _require_finite(tasks, every, parameters)
    calibrated = _calibrate(tasks, every, [rows.probabilities[order] for rows in labels], held_out, order, spec)
    counts = {
        task.name: {"train": int((target.weights > 0).sum()), "valid": len(rows)}
        for task, target, rows in zip(tasks, targets, valid_rows, strict=True)
    }
    weights_bytes = pack(encoder.tensors(), parameters)
    manifest = {
        "format": FORMAT,
        "weights_sha256": digest(weights_bytes),
        "torch": str(torch.__version__),
        "spec": {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(spec).items()
        },
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
        history=loop.history,
        rows=counts,
        epoch=chosen,
        notices=notices,
        seconds=time.perf_counter() - began,
    )


def _require_finite(
    tasks: Sequence[TaskTarget], logits: Sequence[np.ndarray], parameters: dict[str, np.ndarray]
) -> None:
    """Raise ModelError WS511 unless every weight, and every logit of the training rows, is finite."""
    for task, scores in zip(tasks, logits, strict=True):
        if not np.isfinite(scores).all():
            raise diverged(task.name)
    if not all(np.isfinite(values).all() for values in parameters.values()):
        raise diverged(tasks[0].name)


def _calibrate(
    tasks: Sequence[TaskTarget],
    logits: Sequence[np.ndarray],
    probabilities: Sequence[np.ndarray],
    held_out: Sequence[np.ndarray],
    order: np.ndarray,
    spec: TrainSpec,
) -> list[dict[str, Any]]:
    """Return temperature and offsets of each task; logits and probabilities are in `order`, held_out is not."""
    found = []
    for t, task in enumerate(tasks):
        temperature, offsets, out = 1.0, np.zeros(len(task.labels)), held_out[t][order]
        if spec.calibrate == "temperature" and out.any():
            temperature = fit_temperature(logits[t][out], probabilities[t][out])
        if task.balance is not None and spec.prior_match > 0:
            offsets = spec.prior_match * prior_offsets(logits[t] / temperature, np.array(task.balance))
        found.append({"temperature": temperature, "offsets": offsets.tolist()})
    return found


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


def resolve_lr(spec: TrainSpec, hidden: int) -> float:
    """Return the step size; 'auto' is 0.125 with a torso, 0.5 without (METHODS 8.1).

    Measured with averaged weights, three to twenty seeds, at 0.5, 0.25 and 0.125: phishing_web 73.1, 73.3, 73.6;
    mushroom 91.5, 91.4, 91.5; examples/phishing 88.3, 88.4, 88.8. The choice was read on these sets.
    """
    return (0.125 if hidden else 0.5) if spec.lr == "auto" else float(spec.lr)


def resolve_weight_decay(spec: TrainSpec, hidden: int, n_rows: int) -> float:
    """Return the L2 penalty; 'auto' is 0.01 for a torso on fewer than 2,000 rows, 2e-4 otherwise.

    Measured with averaged weights at 2e-4, 0.01 and 0.02: examples/phishing (748 labeled rows) 88.8 (worst of ten seeds
    87.6), 88.9 (88.1), 88.7 (87.9); on thirty other seeds 88.6 (87.1) at 2e-4 and 88.7 (87.4) at 0.01.
    phishing_web (7,000) loses 0.7 points at 2e-3, and trec, a linear map of text, 4 at 1e-3. The choice was read on
    these sets.
    """
    if spec.weight_decay != "auto":
        return float(spec.weight_decay)
    return 0.01 if hidden and n_rows < _SMALL else 2e-4


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
