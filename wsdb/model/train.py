"""Train one multitask network on the probabilities of the label models.

Training runs on one CPU thread, or on the device. Determinism: with equal rows (in any order, if their keys
differ), spec, torch version and kind of machine the weights are bit-identical, whatever the number of cores, and
whatever part of the rows waits on disk. On a GPU they are equal up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import pyarrow as pa

from wsdb.core.errors import ModelError, SpecError
from wsdb.model.backend import one_thread
from wsdb.model.parallel import world
from wsdb.model.parts import PayloadInput, SliceInput, TaskTarget
from wsdb.model.payload_arrays import Embedding
from wsdb.model.reader import Rows, Wanted
from wsdb.model.run import Run
from wsdb.model.search import Report
from wsdb.model.search_run import SearchRun
from wsdb.model.spec import TrainSpec
from wsdb.model.trained import Trained

__all__ = ["Trained", "train"]


def train(
    features: Sequence[tuple[str, str]],
    tasks: Sequence[TaskTarget],
    batches: Callable[[], Iterator[pa.RecordBatch]],
    spec: TrainSpec,
    progress: Callable[[dict[str, Any]], None] | None = None,
    *,
    payloads: Sequence[PayloadInput] = (),
    slices: Sequence[SliceInput] = (),
    embeddings: Mapping[str, Embedding] | None = None,
    checkpoint: Path | None = None,
) -> Trained:
    """Train a network with one head per task.

    Parameters
    ----------
    features : (column, DuckDB type) of every input of the rows; may be empty where there are payloads
    tasks : at least one
    batches : gives the rows: the feature columns; per task ``__p_<task>``, a list of k probabilities, NULL
        where the row has no label for the task (it then has no part in the task's loss); ``__key``, of any
        type, which decides whether a row is held out. A task on a payload has such a list, or NULL, for each element.
        Optional are ``__g_<task>``, the same from gold labels of dev rows, which are never learned from;
        ``__o_<task>``, the label model's own probabilities of some rows, where others are learned, to calibrate by;
        ``__w``, the weight of a row; ``__augmented``, true for a row made from the one of the same key, and
        ``__source``, the name of the source of a row from elsewhere: neither is ever held out. It is called once, and
        read once; by a search once for each way to encode the rows.
    spec : options; with search, the network of the best trial is returned
    progress : called with every entry of the history as it is made
    payloads : of the model; those that are sequences and sets are read from their own list columns
    slices : names; ``__s_<slice>`` says whether the slice has the row
    embeddings : by name, those that payloads use
    checkpoint : folder for the state, after every epoch and every checkpoint_s seconds. A run that finds its own state
        there goes on from it, and gives the bits that it would have given without the interruption. A search
        keeps how its trials ended.

    Raises
    ------
    ModelError  WS503 column type, WS504 column of another family, WS505 no labeled row, WS506 a single
        class, WS507 vectors of several lengths, WS509 label or key column, WS511 divergence, WS512 lists that do
        not fit together, WS513 out of memory, WS514 checkpoint.
    SpecError  WS307 without a feature or a task, with one named twice, or with an option that names no feature.
    EnvironmentError_  WS702 if the device is missing.
    """
    _require_distinct("feature", [name for name, _ in features], least=0 if payloads else 1)
    _require_distinct("task", [task.name for task in tasks])
    wanted = Wanted(features, tasks, payloads, slices, embeddings)
    try:
        with one_thread(), world() as processes, TemporaryDirectory(prefix="wsdb-") as folder:

            def start(own: TrainSpec, report: Report | None = None) -> Run:
                kept = checkpoint if spec.search == "none" else None
                return Run(wanted, own, progress, kept, processes, report)

            def read(run: Run) -> Rows:
                return run.read(batches, Path(mkdtemp(dir=folder)))

            if spec.search != "none":
                folder_of = checkpoint if processes.size == 1 else None
                return SearchRun(start, read, tasks, payloads, spec, folder_of).train()
            run = start(spec)
            return run.train(read(run))[0]
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            raise out_of_memory(spec, error) from error
        raise


def out_of_memory(spec: TrainSpec, error: BaseException) -> ModelError:
    """Return the error for a machine or device that is too small."""
    return ModelError(
        "WS513",
        f"training ran out of memory: {str(error).splitlines()[0] if str(error) else 'no more is to be had'}",
        hint=f"lower buckets_bits ({spec.buckets_bits}), batch_size ({spec.batch_size}), hidden ({spec.hidden}) or "
        f"cache_mb ({spec.cache_mb})",
    )


def _require_distinct(what: str, names: Sequence[str], least: int = 1) -> None:
    if len(names) < least:
        raise SpecError("WS307", f"a model needs at least one {what}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError("WS307", f"{what} {twice[0]} is named twice", name=twice[0])
