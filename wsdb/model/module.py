"""The torch module of a trained network, and its text: the resolved specification, the structure and the source."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from types import FunctionType
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


def members_of(network: Network, batch: EncodedBatch) -> dict[str, np.ndarray]:
    """Return P(in the slice) of rows, or elements, float64 (n, s), by payload, '' of rows; of a network with slices."""
    with _ONE_AT_A_TIME, one_thread():
        return member_probabilities(network, batch, torch.device("cpu"))


def source_of(manifest: Mapping[str, Any], weights: bytes) -> str:
    """Return a network as a Python program: its specification, its structure as a comment, and the classes in it.

    Run, it defines ``specification`` and ``network``, a `torch.nn.Module` of the classes printed, with new parameters;
    those that were trained are loaded with ``network.load_state_dict(db.model('m').module.state_dict())``.

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
    printed = _printed(network)
    structure = "\n".join(f"# {line}" for line in str(network).splitlines())
    parts = [
        "from __future__ import annotations\n\nimport json\n\n" + "\n".join(_imports(printed)),
        f'# specification, every option resolved\nspecification = json.loads(r"""{json.dumps(facts, indent=2)}""")',
        f"# structure, {count:,} parameters\n{structure}",
        *(f"# {one.__module__}\n{inspect.getsource(one)}" for one in printed),
        MADE,
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


MADE = """# the network, of the classes above
network = build_network(NetworkPlan.restore(specification["network"]), torch.Generator().manual_seed(0)).eval()
for module in network.modules():
    module.__class__ = globals().get(type(module).__name__, type(module))"""


def _imports(printed: Sequence[type | FunctionType]) -> list[str]:
    """Return the import statements of what a program names and does not define, and of what `MADE` names."""
    found = {"from wsdb.model.network import build_network", "from wsdb.model.plan import NetworkPlan", "import torch"}
    own = {one.__name__ for one in printed}
    for one in printed:
        for name, value in _named(one).items():
            if name not in own and inspect.ismodule(value):
                found.add(f"import {value.__name__}" + (f" as {name}" if value.__name__ != name else ""))
            elif name not in own:
                found.add(f"from {one.__module__} import {name}")
    return sorted(found)


def _named(one: type | FunctionType) -> dict[str, Any]:
    """Return what the text of a class or function names of its module's globals."""
    known = vars(sys.modules[one.__module__])
    names = {part.id for part in ast.walk(ast.parse(inspect.getsource(one))) if isinstance(part, ast.Name)}
    return {name: known[name] for name in sorted(names & known.keys())}


def _printed(network: torch.nn.Module) -> list[type | FunctionType]:
    """Return the classes of a network, and the functions of wsdb that they call and that name one of the classes."""
    found: list[type | FunctionType] = list(_classes(network))
    classes = set(found)
    for one in found:
        for value in _named(one).values():
            if isinstance(value, FunctionType) and value not in found and classes & _values(value):
                found.append(value)
    return found


def _values(function: FunctionType) -> set[Any]:
    return {value for value in _named(function).values() if isinstance(value, type)}


def _classes(network: torch.nn.Module) -> Iterator[type]:
    """Give the classes of wsdb among the modules of a network, each once, the whole before its parts."""
    seen = set()
    for module in network.modules():
        kind = type(module)
        if kind.__module__.startswith("wsdb.") and kind not in seen:
            seen.add(kind)
            yield kind
