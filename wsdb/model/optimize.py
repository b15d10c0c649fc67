"""Steps of training: Adagrad for linear maps and tables, AdamW with warm-up for torsos and the encoders of payloads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from wsdb.model.backend import torch
from wsdb.model.network import Network
from wsdb.model.resolve import Steps
from wsdb.model.spec import TrainSpec

_DENSE_LR = 0.1  # step size of dense inputs, as a share of that of sparse inputs
_SLICE_LR = 0.375  # longest step of dense inputs in maps of slices
_ENCODER_DECAY = 0.01
_BALANCE_LR = 0.01


class TaskBalance(torch.nn.Module):
    """Weights of the tasks' losses.

    Fixed, the loss is sum_t w_t L_t. By uncertainty it is sum_t w_t (exp(-s_t) L_t + s_t / 2) with s_t = log sigma_t^2
    learned from 0: a task whose labels the network cannot explain counts less.

    Source: Kendall, Gal and Cipolla, Multi-task learning using uncertainty to weigh losses, CVPR 2018, equation 10
    (a classification task adds L / sigma^2 + log sigma).
    """

    def __init__(self, weights: Sequence[float], *, learned: bool) -> None:
        super().__init__()
        self.weights: torch.Tensor
        self.register_buffer("weights", torch.tensor(list(weights), dtype=torch.float32))  # [t]
        self.log_variances = torch.nn.Parameter(torch.zeros(len(weights)), requires_grad=learned)  # [t]
        self.learned = learned

    def forward(self, losses: torch.Tensor) -> torch.Tensor:
        """Return the total of the losses of all tasks, float32 [t], a scalar."""
        if not self.learned:
            return (self.weights * losses).sum()
        return (self.weights * (torch.exp(-self.log_variances) * losses + self.log_variances / 2)).sum()


class Optimizers:
    """The optimizers of a network.

    Parameters
    ----------
    network : its deep parameters are those of torso and encoders
    balance : of the tasks
    steps : their sizes and penalties
    most : number of steps of the whole training, of which the warm-up is a share
    """

    def __init__(
        self,
        network: Network,
        balance: TaskBalance,
        spec: TrainSpec,
        steps: Steps,
        *,
        most: int,
    ) -> None:
        self.warmup = max(1, round(spec.warmup * most))
        self.clip = spec.clip
        self.steps = 0
        self.encoders = [one for one in network.deep_parameters() if one.requires_grad]
        deep = {id(one) for one in self.encoders}
        rest = [one for one in network.parameters() if one.requires_grad and id(one) not in deep]
        self.parts: dict[str, torch.optim.Optimizer] = {}
        if rest:
            fused = rest[0].device.type == "cpu"  # one pass over each weight; torch has it for no other device
            self.parts["adagrad"] = torch.optim.Adagrad(parameter_groups(network, rest, steps), fused=fused)
        own = {"params": self.encoders, "lr": steps.encoder_lr, "weight_decay": _ENCODER_DECAY}
        groups: list[dict[str, Any]] = [own] if self.encoders else []
        if balance.learned:
            groups.append({"params": list(balance.parameters()), "lr": _BALANCE_LR, "weight_decay": 0.0})
        if groups:
            self.parts["adamw"] = torch.optim.AdamW(groups, fused=groups[0]["params"][0].device.type != "mps")
            for group in self.parts["adamw"].param_groups:
                group["full_lr"] = group["lr"]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts.values():
            for group in part.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None

    def step(self) -> None:
        """Take a step of every optimizer; the step size of AdamW rises linearly to its value in the warm-up."""
        self.steps += 1
        if self.encoders and self.clip > 0:
            torch.nn.utils.clip_grad_norm_(self.encoders, self.clip)
        if "adamw" in self.parts:
            for group in self.parts["adamw"].param_groups:
                group["lr"] = group["full_lr"] * min(1.0, self.steps / self.warmup)
        for part in self.parts.values():
            part.step()

    def state(self) -> dict[str, np.ndarray]:
        """Return the state of all optimizers as arrays."""
        arrays = {"steps": np.array(self.steps)}
        for name, part in self.parts.items():
            for i, values in part.state_dict()["state"].items():
                for key, value in values.items():
                    arrays[f"{name}.{i}.{key}"] = torch.as_tensor(value).cpu().numpy()
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put the state back that `state` gave."""
        self.steps = int(arrays["steps"])
        for name, part in self.parts.items():
            state: dict[int, dict[str, torch.Tensor]] = {}
            for key, array in arrays.items():
                if key.startswith(f"{name}."):
                    _, i, value = key.split(".", 2)
                    state.setdefault(int(i), {})[value] = torch.from_numpy(np.array(array))
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})


def parameter_groups(
    network: torch.nn.Module, parameters: Iterable[torch.nn.Parameter], steps: Steps
) -> list[dict[str, Any]]:
    """Tables of sparse inputs take the steps given, dense maps a tenth of them under a penalty of their own.

    Maps of slices see few rows: dense ones take thrice the steps, up to 0.375 (a tenth of the steps gave the slice of
    bench/quality_slices.py 5 points less), and there is no penalty, which outweighs the gradient of a rare slice.
    """
    bags = [module for module in network.modules() if isinstance(module, torch.nn.EmbeddingBag)]
    sparse = {id(bag.weight) for bag in bags}
    slices = {id(one) for name, one in network.named_parameters() if name.startswith("slices.")}
    every = list(parameters)
    chosen = [one for one in every if id(one) not in slices]
    groups = [
        {"params": [one for one in chosen if (id(one) in sparse) is wanted], "lr": rate, "weight_decay": decay}
        for wanted, rate, decay in (
            (True, steps.lr, steps.weight_decay),
            (False, steps.lr * _DENSE_LR, steps.dense_decay),
        )
    ]
    for wanted, rate in ((True, steps.lr), (False, min(3 * steps.lr, _SLICE_LR))):
        own = [one for one in every if id(one) in slices and (id(one) in sparse) is wanted]
        groups.append({"params": own, "lr": rate, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]
