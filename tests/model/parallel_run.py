"""What a process of tests.model.test_parallel does: train, and write what came out. Started by torchrun."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.model import factoid
from tests.model.shapes import batches, labeled_table
from wsdb.model.spec import TrainSpec
from wsdb.model.train import train


def main(folder: Path) -> None:
    """Train all tasks of `factoid`; each process leaves its weights and history in the folder."""
    spec = TrainSpec(epochs=3, buckets_bits=10, batch_size=32, task_balance="uncertainty", hidden=8, threshold="f1")
    trained = train(
        factoid.FEATURES, factoid.TASKS, batches(labeled_table(160, gold_every=8)), spec, payloads=factoid.PAYLOADS
    )
    rank = os.environ.get("RANK", "alone")
    (folder / f"{rank}.safetensors").write_bytes(trained.weights)
    (folder / f"{rank}.json").write_text(json.dumps({"history": trained.history, "tasks": trained.manifest["tasks"]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
