"""The numpy forward pass against the torch network it reads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from wsdb.model.arrays import CATEGORIES, DENSE, TEXT, EncodedBatch, Ragged
from wsdb.model.forward import Weights, logits, members
from wsdb.model.network import build_network, member_probabilities, network_logits
from wsdb.model.plan import ROW, HeadPlan, NetworkPlan, SlicePlan
from wsdb.model.slices import BUCKETS


def batch_of(
    rng: np.random.Generator, rows: int, text: int, columns: int, dense: int, values_of: int = 7
) -> EncodedBatch:
    """Return random encoded rows; some have no text at all."""
    lengths = rng.integers(0, 5, rows) if text else np.zeros(rows, np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    slots = rng.integers(0, max(text, 1), indptr[-1]).astype(np.int32)
    values = rng.normal(size=indptr[-1]).astype(np.float32)
    categories = rng.integers(0, values_of, (rows, columns)).astype(np.int32)
    numbers = rng.normal(size=(rows, dense)).astype(np.float32)
    texts = Ragged(indptr, {"slots": slots, "values": values})
    return EncodedBatch(rows, {CATEGORIES: categories, DENSE: numbers}, {TEXT: texts})


@pytest.mark.parametrize("slices", [0, 3])
@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize(
    ("text", "columns", "dense", "values"),
    [(50, 0, 0, 0), (0, 2, 3, 7), (1 << 15, 2, 3, 7), (0, 0, 4, 0), (0, 1, 0, BUCKETS + 5)],
)
def test_numpy_gives_the_logits_of_torch(
    hidden: int, text: int, columns: int, dense: int, values: int, slices: int
) -> None:
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    heads = (HeadPlan("a", "multiclass", 2), HeadPlan("b.c", "bitvector", 5))
    pairs = 3 if text and columns and not hidden else 0
    plan = NetworkPlan(
        text, values, dense, hidden, heads, pairs=pairs, slices=tuple(SlicePlan(f"s{at}") for at in range(slices))
    )
    network = build_network(plan, generator)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    batch = batch_of(rng, 5_000, text, columns, dense, values)  # more rows than one block
    weights = Weights.of({name: value.numpy() for name, value in network.state_dict().items()}, plan)
    expected = network_logits(network, batch, torch.device("cpu"))
    for got, want in zip(logits(weights, batch), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)
    if slices:
        inside = member_probabilities(network, batch, torch.device("cpu"))
        np.testing.assert_allclose(members(weights, batch)[ROW], inside[ROW], atol=1e-5)
        assert inside[ROW].shape == (5_000, 3)


def test_no_rows_give_logits_of_no_rows() -> None:
    plan = NetworkPlan(9, 0, 0, 0, (HeadPlan("t", "multiclass", 3),))
    network = build_network(plan, torch.Generator().manual_seed(0))
    weights = Weights.of({name: value.numpy() for name, value in network.state_dict().items()}, plan)
    assert [part.shape for part in logits(weights, batch_of(np.random.default_rng(0), 0, 9, 0, 0))] == [(0, 3)]


def test_loading_a_predictor_loads_no_torch() -> None:
    code = "import sys, wsdb.model.predictor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
