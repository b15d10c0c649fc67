"""The torch module of a trained network, and its text: the resolved specification, the structure and the source."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from wsdb.core.errors import ModelError
from wsdb.model.arrays import EncodedBatch
from wsdb.model.backend import one_thread, torch
from wsdb.model.network import Network, build_network, member_probabilities, network_logits
from wsdb.model.plan import NetworkPlan
from wsdb.model.weights import read_weights


def module_of(manifest: Mapping[str, Any], weights: bytes) -> Network:
    """Return the trained network of what `train` returned, on the CPU, ready to predict or to be trained further.

    Raises
    ------
    ModelError  WS508 if manifest and weights do not fit together or are of another format.
    """
    _, parameters = read_weights(manifest, weights)
    return network_of_weights(NetworkPlan.restore(manifest["network"]), parameters)


def network_of_weights(plan: NetworkPlan, parameters: Mapping[str, np.ndarray]) -> Network:
    """Return a network with the given parameters, on the CPU.

    Raises
    ------
    ModelError  WS508 if they are not those of the plan's network.
    """
    network = build_network(plan, torch.Generator().manual_seed(0))
    state = {name: torch.from_numpy(np.array(array)) for name, array in parameters.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError("WS508", f"the weights of the model are not those of its network: {error}") from error
    return network.eval()


_ONE_AT_A_TIME = Lock()


def scores_of(network: Network, batch: EncodedBatch) -> Sequence[np.ndarray]:
    """Return the logits of every task, float64 (E, k).

    The threads of the database take turns: torch has one number of threads for the whole process, and it is 1 here, as
    more of them would fight with those of the database for the cores.
    """
    with _ONE_AT_A_TIME, one_thread():
        return network_logits(network, batch, torch.device("cpu"))


def members_of(network: Network, batch: EncodedBatch) -> np.ndarray:
    """Return the probability that each slice has each row, float64 (n, s); for a network with slices."""
    with _ONE_AT_A_TIME, one_thread():
        return member_probabilities(network, batch, torch.device("cpu"))


def source_of(manifest: Mapping[str, Any], weights: bytes) -> str:
    """Return a text that says all of a network: its specification as JSON, its structure, and the classes in it.

    Raises
    ------
    ModelError  WS508 if manifest and weights do not fit together or are of another format.
    """
    network = module_of(manifest, weights)
    count = sum(parameter.numel() for parameter in network.parameters())
    facts = {
        "network": manifest["network"],
        "tasks": [{"name": task["name"], "labels": task["labels"]} for task in manifest["tasks"]],
        "options": manifest["spec"],
    }
    parts = [
        f"# specification, every option resolved\n{json.dumps(facts, indent=2)}",
        f"# structure, {count:,} parameters\n{network}",
        *(f"# {one.__module__}\n{inspect.getsource(one)}" for one in _classes(network)),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _classes(network: torch.nn.Module) -> Iterator[type]:
    """Give the classes of wsdb among the modules of a network, each once, the whole before its parts."""
    seen = set()
    for module in network.modules():
        kind = type(module)
        if kind.__module__.startswith("wsdb.") and kind not in seen:
            seen.add(kind)
            yield kind
