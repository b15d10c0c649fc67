from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load

from wsdb.model.parallel import World, world

REPOSITORY = Path(__file__).parents[2]


def test_one_process_is_a_world_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with world() as alone:
        assert alone == World(0, 1)
    assert not torch.distributed.is_initialized()


def test_the_shares_of_a_step_are_all_of_its_rows() -> None:
    rows = np.arange(11)
    shares = [World(rank, 3).share(rows) for rank in range(3)]
    assert sorted(np.concatenate(shares).tolist()) == rows.tolist()
    assert {len(share) for share in shares} == {3, 4}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    program = ["tests.model.parallel_run", str(tmp_path)]
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29617"]
    for command in (["-m", *program], [*torchrun, "-m", *program]):
        subprocess.run([sys.executable, *command], check=True, cwd=REPOSITORY, env=environment, timeout=250)
    alone, first, second = (load((tmp_path / f"{name}.safetensors").read_bytes()) for name in ("alone", "0", "1"))
    for name, array in alone.items():
        assert np.array_equal(first[name], second[name]), name  # the processes agree to the bit
        np.testing.assert_allclose(first[name], array, atol=1e-3, err_msg=name)
    told = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("alone", "0")]
    for one, other in zip(*(run["history"] for run in told), strict=True):
        assert (one["epoch"], one["task"], one["split"]) == (other["epoch"], other["task"], other["split"])
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
