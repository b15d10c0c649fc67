"""Slices: rows that matter on their own get a predictor of their own, and the network learns where to use it.

A slice s of a task adds two maps to the task's logits, which are its *base*:

- an indicator, q_s = P(the row is in the slice), learned from the rows that the slicing function selects. Membership
  is predicted for every row, and is never an input;
- an expert, whose residual r_s corrects the base: base + r_s is the prediction of slice s alone. It is a map of the
  inputs and of the row's vector, and of the base itself: r_s = W_s x + M_s (base - mean of base). M_s, k x k numbers,
  is soon learned, and is all it takes where a slice doubts the base, moves it, or means the opposite.

The task still has one prediction. Where a row is in no slice it is the base; where slices overlap, the residuals are
averaged by an attention over experts, by membership and by confidence:

    logits = base + gate * sum_s a_s r_s,    gate = max_s q_s,    a_s = q_s c_s / sum_u q_u c_u,
    c_s = max_y softmax(base + r_s)_y

With one slice this is base + q r. The weights a sum to 1, so that a slice that is declared twice, or 500 slices that
hold the same row, do not add their corrections up. The loss of a task is

    CE(logits, all rows) + 0.5 BCE(q, slicing function) + 0.5 mean_s CE(base + r_s, member rows of s)

Source: Chen, Wu, Ratner, Wang and Ré, Slice-based learning, NeurIPS 2019 (indicators, experts, attention), and Ré et
al., Overton, 2019, section 2.2 (one prediction per task; membership that generalises to new rows).

Notation for shapes: b rows, s slices, k labels of a task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from wsdb.model.backend import torch
from wsdb.model.inputs import Inputs

nn = torch.nn

UPWEIGHT = 5.0
"""How often a row of a slice counts with slice_mode = 'weight'."""
BUCKETS = 1 << 14
"""Most rows of a table of text in a map of slices."""
MARKS = 3_200
"""Members from which membership is learned in plain steps."""
SHARE = 0.5
"""Weight of the losses of membership and of experts beside the task's."""


class Sliced(NamedTuple):
    """What the slices make of the logits of one task."""

    logits: torch.Tensor  # [b, k] the prediction
    alone: torch.Tensor  # [b, s, k] base + r_s, the prediction of each slice; the base gets no gradient from it


class Outputs(NamedTuple):
    """What a network says of b rows while it is trained with slices."""

    logits: list[torch.Tensor]  # of every task, float32 [b, k], or [E, k] where the task labels elements
    members: torch.Tensor  # [b, s] logits of membership
    alone: list[torch.Tensor | None]  # of every task, float32 [b, s, k]; None where slices do not change it


class Slices(nn.Module):
    """Indicators of all slices, and for each task on rows an expert per slice.

    Text enters through tables of at most `BUCKETS` rows: n-grams share them, so that 500 slices fit into memory.

    Parameters
    ----------
    names : of the slices
    sizes : (k, size of the vector that its head reads) by position of the task; only tasks that slices correct
    n_text : text slots of the inputs
    new_map : makes a map (inputs, vector) -> [b, out] from the numbers of text slots, of the vector's units and of
        outputs; 0 before training
    """

    def __init__(
        self,
        names: Sequence[str],
        sizes: Mapping[int, tuple[int, int]],
        n_text: int,
        new_map: Callable[[int, int, int], nn.Module],
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.buckets = min(n_text, BUCKETS)
        first = next(iter(sizes.values()))
        self.indicators = new_map(self.buckets, first[1], len(names))
        self.experts = nn.ModuleDict(
            {str(t): new_map(self.buckets, vector, len(names) * k) for t, (k, vector) in sizes.items()}
        )
        self.turns = nn.ParameterDict(
            {str(t): nn.Parameter(torch.zeros(len(names), k, k)) for t, (k, _) in sizes.items()}
        )  # M of each expert, [s, k, k]
        self.prior: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("prior", torch.zeros(len(names)))  # [s] log odds of membership where nothing is known

        self.register_buffer("scale", torch.ones(len(names)))  # [s] by which what is known counts

    def expect(self, shares: torch.Tensor, rows: int) -> None:
        """Begin at the shares of `rows` rows that the slices have, float32 [s].

        Else a rare slice unlearns its marks first. A step of Adagrad is as long for a mark that 50 rows show as for one
        that 5,000 do, so that after some epochs what was learned of membership grows with the root of the number of
        members. The logits are scaled by the root of MARKS / members, from 1 to 8, which makes up for it. In
        bench/quality_slices.py, a slice of 1% of 6,000 queries: its members had P = 0.12 in the mean without, and 0.7
        with it.
        """
        shares = shares.clamp(1e-4, 1 - 1e-4)
        self.prior.copy_(torch.log(shares / (1 - shares)))
        self.scale.copy_((MARKS / (shares * max(rows, 1))).sqrt().clamp(1, 8))

    def fold(self, inputs: Inputs) -> Inputs:
        """Return the inputs with text slots as the tables here have them."""
        return inputs._replace(slots=inputs.slots % self.buckets) if self.buckets else inputs

    def members(self, inputs: Inputs, vector: torch.Tensor | None) -> torch.Tensor:
        """Return the logits of membership, [b, s]; inputs folded, vector as for a head."""
        return self.prior + self.scale * self.indicators(inputs, vector)

    def forward(
        self, task: int, base: torch.Tensor, members: torch.Tensor, inputs: Inputs, vector: torch.Tensor | None
    ) -> Sliced:
        """Correct the logits `base` [b, k] of a task, given the logits of membership [b, s].

        Membership gets no gradient from the task, so that p_member stays what the slicing function says.
        """
        residuals = self.experts[str(task)](inputs, vector).view(len(base), len(self.names), base.shape[1])  # [b, s, k]
        centered = base.detach() - base.detach().mean(dim=1, keepdim=True)  # [b, k]
        residuals = residuals + torch.einsum("bk,sjk->bsj", centered, self.turns[str(task)])
        alone = base.detach().unsqueeze(1) + residuals  # [b, s, k]
        inside = torch.sigmoid(members.detach())  # [b, s]
        confidence = torch.softmax(alone.detach(), dim=2).amax(dim=2)  # [b, s]
        attention = inside * confidence  # [b, s]
        attention = attention / attention.sum(dim=1, keepdim=True).clamp_min(1e-12)
        weights = inside.amax(dim=1, keepdim=True) * attention  # [b, s]
        return Sliced(base + (weights.unsqueeze(2) * residuals).sum(dim=1), alone)


def membership_loss(members: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Return half the cross-entropy of membership, a scalar: the mean over rows and slices.

    Parameters
    ----------
    members : float32 [b, s], logits
    inside : float32 [b, s], 1 where the slicing function selects the row
    """
    return SHARE * nn.functional.binary_cross_entropy_with_logits(members, inside)


def expert_loss(
    alone: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, inside: torch.Tensor, mass: torch.Tensor
) -> torch.Tensor:
    """Return half the loss of the experts of one task on the rows of their slices, a scalar.

    The mean over slices of each slice's mean over its rows; a slice without a row counts 0.

    Parameters
    ----------
    alone : float32 [b, s, k]
    targets : float32 [b, k], the task's labels
    weights : float32 [b], the task's weights of rows; 0 masks a row out
    inside : float32 [b, s]
    mass : float32 [s], sum of the weights of each slice's rows; of the whole step where these are a part of it
    """
    entropy = -(targets.unsqueeze(1) * torch.log_softmax(alone, dim=2)).sum(dim=2)  # [b, s]
    return SHARE * ((weights.unsqueeze(1) * inside * entropy).sum(dim=0) / mass.clamp_min(1e-12)).mean()
