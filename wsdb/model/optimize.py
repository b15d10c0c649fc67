"""Steps of training: Adagrad for linear maps and tables, AdamW with warm-up for torsos and the encoders of payloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from wsdb.model.backend import adagrad, adamw, torch
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
        self.groups: list[Adagrad | AdamW] = [Adagrad(**group) for group in parameter_groups(network, rest, steps)]
        if self.encoders:
            self.groups.append(AdamW(self.encoders, steps.encoder_lr, _ENCODER_DECAY))
        if balance.learned:
            self.groups.append(AdamW(list(balance.parameters()), _BALANCE_LR, 0.0))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.groups:
            for parameter in group.parameters:
                parameter.grad = None

    def step(self) -> None:
        """Take a step of every optimizer; the step size of AdamW rises linearly to its value in the warm-up."""
        self.steps += 1
        if self.encoders and self.clip > 0:
            clip([one.grad for one in self.encoders if one.grad is not None], self.clip)
        for group in self.groups:
            group.step(min(1.0, self.steps / self.warmup) if isinstance(group, AdamW) else 1.0)

    def state(self) -> dict[str, np.ndarray]:
        """Return the state of all optimizers as arrays."""
        arrays = {name: tensor.cpu().numpy() for name, tensor in self._tensors()}
        return {"steps": np.array(self.steps)} | arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put the state back that `state` gave."""
        self.steps = int(arrays["steps"])
        for name, tensor in self._tensors():
            tensor.copy_(torch.from_numpy(np.array(arrays[name])))

    def _tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        for at, group in enumerate(self.groups):
            for name, tensors in group.state().items():
                yield from ((f"{at}.{name}.{i}", tensor) for i, tensor in enumerate(tensors))


class Adagrad:
    """Steps by the sum of squares of all gradients so far: `torch.optim.Adagrad`, whose state this is.

    That class and `torch.optim.AdamW` load torch's compiler at their first step, which takes a second, and look each
    state up by its parameter at every step; the functions that compute the step do neither.
    """

    def __init__(self, params: Sequence[torch.nn.Parameter], lr: float, weight_decay: float) -> None:
        self.parameters, self.lr, self.decay = list(params), lr, weight_decay
        self.fused = self.parameters[0].device.type == "cpu"  # one pass over each weight; torch has it nowhere else
        self.sums = [torch.zeros_like(one) for one in self.parameters]
        self.counts = [torch.zeros(()) for _ in self.parameters]

    def step(self, share: float) -> None:
        """Take a step of `share` of the size."""
        parameters, gradients, sums, counts = with_gradients(self.parameters, self.sums, self.counts)
        with torch.no_grad():
            adagrad(
                parameters,
                gradients,
                sums,
                counts,
                fused=self.fused or None,
                lr=self.lr * share,
                weight_decay=self.decay,
                lr_decay=0.0,
                eps=1e-10,
                maximize=False,
            )

    def state(self) -> dict[str, list[torch.Tensor]]:
        """Return the tensors of the state, by name one for each parameter."""
        return {"sum": self.sums, "step": self.counts}


class AdamW:
    """Steps by the means of gradients and of their squares, with decay apart: `torch.optim.AdamW`."""

    def __init__(self, params: Sequence[torch.nn.Parameter], lr: float, weight_decay: float) -> None:
        self.parameters, self.lr, self.decay = list(params), lr, weight_decay
        self.fused = self.parameters[0].device.type != "mps"
        device = self.parameters[0].device if self.fused else None
        self.means, self.squares = ([torch.zeros_like(one) for one in self.parameters] for _ in range(2))
        self.counts = [torch.zeros((), device=device) for _ in self.parameters]

    def step(self, share: float) -> None:
        """Take a step of `share` of the size."""
        parameters, gradients, means, squares, counts = with_gradients(
            self.parameters, self.means, self.squares, self.counts
        )
        with torch.no_grad():
            adamw(
                parameters,
                gradients,
                means,
                squares,
                [],
                counts,
                fused=self.fused or None,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=self.lr * share,
                weight_decay=self.decay,
                eps=1e-8,
                maximize=False,
            )

    def state(self) -> dict[str, list[torch.Tensor]]:
        """Return the tensors of the state, by name one for each parameter."""
        return {"mean": self.means, "square": self.squares, "step": self.counts}


def with_gradients(parameters: Sequence[torch.Tensor], *states: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Return the parameters that have a gradient, the gradients, and the states of these parameters."""
    has = [one.grad is not None for one in parameters]
    gradients = [one.grad for one in parameters if one.grad is not None]
    first, *rest = ([one for one, use in zip(each, has, strict=True) if use] for each in (parameters, *states))
    return [first, gradients, *rest]


def clip(gradients: Sequence[torch.Tensor], most: float) -> None:
    """Scale gradients down to a length of at most `most` together, as `torch.nn.utils.clip_grad_norm_` in less time."""
    with torch.no_grad():
        length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))))
        torch._foreach_mul_(list(gradients), (most / (length + 1e-6)).clamp(max=1.0))


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
