"""Slices: rows that matter on their own get a predictor of their own, and the network learns where to use it.

A slice has rows, and with a row all its elements; or it has elements of a payload. It corrects every task on what it
has. A slice s of a task adds two maps to the task's logits, which are its *base*:

- an indicator, q_s = P(the row or element is in the slice), learned from what the slicing function selects. Membership
  is predicted for every row and element, and is never an input;
- an expert, whose residual r_s corrects the base: base + r_s is the prediction of slice s alone. It is a map of what
  the head reads, the row's inputs and vector or the element's state, and of the base itself: r_s = W_s x + M_s base.
  M_s, k x k numbers, is soon learned, and is all it takes where a slice doubts the base, moves it, or means the
  opposite. Where labels exclude each other M_s reads base - mean of base. A select task has k = 1, the score of an
  element.

The task still has one prediction. What is in no slice has the base; where slices overlap, the residuals are averaged by
an attention over experts, by membership and by confidence:

    logits = base + gate * sum_s a_s r_s,    gate = max_s q_s,    a_s = q_s c_s / sum_u q_u c_u,
    c_s = max_y softmax(base + r_s)_y

of a bitvector c_s is the mean over labels of the larger of p and 1 - p, of a select task the share of the likeliest
element. There the softmax is over the elements of a row, of which a slice of elements has some: q_s r_s corrects these.

With one slice this is base + q r. The weights a sum to 1, so that a slice that is declared twice, or 500 slices that
hold the same row, do not add their corrections up. The loss of a task is, with `wsdb.model.slice_losses`,

    L(logits, all) + 0.5 BCE(q, slicing function) + 0.5 mean_s L(base + r_s, members of s)

Source: Chen, Wu, Ratner, Wang and Ré, Slice-based learning, NeurIPS 2019 (indicators, experts, attention), and Ré et
al., Overton, 2019, section 2.2 (one prediction per task; membership that generalises to new rows).

Notation for shapes: b rows, E elements of a payload, n either, s slices, k labels of a task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wsdb.model.backend import torch
from wsdb.model.inputs import Elements, Inputs
from wsdb.model.layers import Named, counts, largest, row_log_softmax, sums
from wsdb.model.plan import ROW, HeadPlan, NetworkPlan, module_keys

nn = torch.nn

UPWEIGHT = 5.0
"""How often a row of a slice counts with slice_mode = 'weight'."""
BUCKETS = 1 << 14
"""Most rows of a table of text, and of one of categories, in a map of slices."""
MARKS = 3_200
"""Members from which membership is learned in plain steps."""


class Outputs(NamedTuple):
    """What a network says of b rows while it is trained with slices."""

    logits: list[torch.Tensor]  # of every task, float32 [n, k]
    members: dict[str, torch.Tensor]  # logits of membership [n, s], by payload, '' of rows
    alone: list[torch.Tensor | None]  # of every task, float32 [n, s, k], base + r_s: the base gets no gradient from it;
    # of a select task [E, s, 1]; None where no slice corrects the task


class Marks(nn.Module):
    """A map of a row's inputs and vector, and of the values and letters of its elements: the sum over sqrt(number).

    A vector of pooled states hardly shows a single token; beside it the elements are read as a text's words are.
    """

    def __init__(self, row: nn.Module, elements: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.row = row
        self.places = tuple(elements)
        self.elements = nn.ModuleList(elements.values())

    def forward(self, inputs: Inputs, vector: torch.Tensor | None) -> torch.Tensor:
        """Return float32 [b, s]."""
        found = self.row(inputs, vector)
        for place, head in zip(self.places, self.elements, strict=True):
            own = inputs.payloads[place]
            values = head(own, own.dense.new_empty(len(own.rows), 0))  # [E, s]
            number = counts(own.rows, inputs.n).clamp_min(1)
            found = found + sums(values, own.rows, inputs.n) / number.sqrt()[:, None]
        return found


class Indicator(nn.Module):
    """Which slices have a row, or an element of one payload."""

    def __init__(self, of: nn.Module, n_slices: int) -> None:
        super().__init__()
        self.map = of
        self.prior: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("prior", torch.zeros(n_slices))  # [s] log odds of membership where nothing is known
        self.register_buffer("scale", torch.ones(n_slices))  # [s] by which what is known counts

    def expect(self, shares: torch.Tensor, n: int) -> None:
        """Begin at the shares of n rows or elements that the slices have, float32 [s].

        Else a rare slice unlearns its marks first. A step of Adagrad is as long for a mark that 50 rows show as for one
        that 5,000 do, so that after some epochs what was learned of membership grows with the root of the number of
        members. The logits are scaled by the root of MARKS / members, from 1 to 8, which makes up for it. In
        bench/quality_slices.py, a slice of 1% of 6,000 queries: its members had P = 0.12 in the mean without, and 0.7
        with it.
        """
        shares = shares.clamp(1e-4, 1 - 1e-4)
        self.prior.copy_(torch.log(shares / (1 - shares)))
        self.scale.copy_((MARKS / (shares * max(n, 1))).sqrt().clamp(1, 8))

    def forward(self, inputs: Inputs | Elements, vector: torch.Tensor | None) -> torch.Tensor:
        """Return the logits of membership, [n, s], from what a head reads."""
        return self.prior + self.scale * self.map(inputs, vector)


class Expert(nn.Module):
    """The residuals of s slices for one task."""

    def __init__(self, of: nn.Module, n_slices: int, n_labels: int) -> None:
        super().__init__()
        self.map = of
        self.turn = nn.Parameter(torch.zeros(n_slices, n_labels, n_labels))  # M of each slice

    def forward(self, base: torch.Tensor, inputs: Inputs | Elements, vector: torch.Tensor | None) -> torch.Tensor:
        """Return r_s, [n, s, k], from the base [n, k] as M reads it and from what a head reads."""
        residuals = self.map(inputs, vector).view(len(base), *self.turn.shape[:2])
        return residuals + torch.einsum("bk,sjk->bsj", base, self.turn)


class Slices(nn.Module):
    """Indicators of all slices, and an expert for each task that some of them correct.

    Text and categories enter through tables of at most `BUCKETS` rows, which n-grams and values share, so that 500
    slices fit into memory.

    Parameters
    ----------
    indicators : by payload, '' of rows; maps (inputs, vector) or (elements, states) -> [n, s], 0 before training
    experts : by position of the task; maps -> [n, s * k]
    """

    def __init__(
        self, plan: NetworkPlan, indicators: Mapping[str, nn.Module], experts: Mapping[int, nn.Module]
    ) -> None:
        super().__init__()
        self.plan = plan
        self.places = plan.members()  # names of slices by payload
        keys = module_keys(list(self.places))
        self.indicators = Named(
            {
                key: Indicator(indicators[at], len(names))
                for key, (at, names) in zip(keys, self.places.items(), strict=True)
            }
        )
        self.experts = Named(
            {
                str(t): Expert(one, len(plan.correcting(plan.heads[t])), logit_width(plan.heads[t]))
                for t, one in experts.items()
            }
        )

    def expect(self, shares: Mapping[str, torch.Tensor], numbers: Mapping[str, int]) -> None:
        """Begin at the shares that the slices have of the rows, or elements, by payload; see `Indicator.expect`."""
        for place, indicator in zip(self.places, self.indicators.values(), strict=True):
            assert isinstance(indicator, Indicator)
            indicator.expect(shares[place], numbers[place])

    def forward(
        self,
        bases: Sequence[torch.Tensor],
        inputs: Inputs,
        hidden: torch.Tensor | None,
        states: Mapping[str, torch.Tensor],
    ) -> Outputs:
        """Correct the logits of the heads, given what they read."""
        folded = self.fold(inputs)
        members = {}
        for place, indicator in zip(self.places, self.indicators.values(), strict=True):
            elements = inputs.payloads.get(place)
            vector = states.get(self.plan.row_vector if elements is None else place, hidden)
            members[place] = indicator(folded if elements is None else elements, vector)
        logits = list(bases)
        alone: list[torch.Tensor | None] = [None] * len(bases)
        for name, expert in self.experts.items():
            t = int(name)
            logits[t], alone[t] = self.corrected(self.plan.heads[t], expert, bases[t], members, folded, hidden, states)
        return Outputs(logits, members, alone)

    def corrected(
        self,
        head: HeadPlan,
        expert: nn.Module,
        logits: torch.Tensor,
        members: Mapping[str, torch.Tensor],
        inputs: Inputs,
        hidden: torch.Tensor | None,
        states: Mapping[str, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the corrected logits of a task, [n, k], and those of each slice alone, [n, s, k]; inputs folded."""
        elements = inputs.payloads.get(head.payload)
        base = logits[:, -logit_width(head) :]  # [n, k]
        known = base.detach()
        read = known if head.kind in ("bitvector", "select") else known - known.mean(dim=1, keepdim=True)
        residuals = expert(read, inputs if elements is None else elements, states.get(head.payload, hidden))
        inside = inside_of(head, members, elements).detach()  # [n, s]
        own = residuals  # [n, s, k]
        if head.kind == "select" and head.payload in members:
            n_rows = inside.shape[1] - members[head.payload].shape[1]  # slices of rows come first
            own = torch.cat([own[:, :n_rows], inside[:, n_rows:, None] * own[:, n_rows:]], dim=1)
        alone = known.unsqueeze(1) + own
        found = base + corrections(head.kind, residuals, alone.detach(), inside, elements, inputs.n)
        return (torch.cat([torch.zeros_like(found), found], dim=1) if head.kind == "select" else found), alone

    def fold(self, inputs: Inputs) -> Inputs:
        """Return the inputs with slots of text and of categories as the tables here have them."""
        slots, categories = inputs.slots, inputs.categories
        return inputs._replace(
            slots=slots % BUCKETS if self.plan.n_text > BUCKETS else slots,
            categories=categories % BUCKETS if self.plan.n_category > BUCKETS else categories,
        )


def logit_width(head: HeadPlan) -> int:
    """Return k: the numbers by which a task's answer is corrected; of a select task the score of an element."""
    return 1 if head.kind == "select" else head.n_labels


def inside_of(head: HeadPlan, members: Mapping[str, torch.Tensor], elements: Elements | None) -> torch.Tensor:
    """Return P(in the slice) of what a task labels, [n, s]: slices of rows, then those of its elements."""
    parts = []
    if ROW in members:
        parts.append(members[ROW] if elements is None else members[ROW][elements.rows])
    if head.payload != ROW and head.payload in members:
        parts.append(members[head.payload])
    return torch.sigmoid(torch.cat(parts, dim=1).float())


def corrections(
    kind: str,
    residuals: torch.Tensor,
    alone: torch.Tensor,
    inside: torch.Tensor,
    elements: Elements | None,
    n_rows: int,
) -> torch.Tensor:
    """Return gate * sum_s a_s r_s, [n, k].

    Membership gets no gradient from the task, so that p_member stays what the slicing function says.

    Parameters
    ----------
    residuals, alone : [n, s, k]
    inside : [n, s]
    """
    attention = inside * confidence(kind, alone.float(), elements, n_rows)  # [n, s]
    attention = attention / attention.sum(dim=1, keepdim=True).clamp_min(1e-12)
    weights = inside.amax(dim=1, keepdim=True) * attention  # [n, s]
    return (weights.unsqueeze(2) * residuals).sum(dim=1)


def confidence(kind: str, alone: torch.Tensor, elements: Elements | None, n_rows: int) -> torch.Tensor:
    """Return c_s, [n, s], of the predictions of each slice [n, s, k]."""
    if kind == "bitvector":
        return torch.sigmoid(alone.abs()).mean(dim=2)
    if kind != "select":
        return torch.softmax(alone, dim=2).amax(dim=2)
    assert elements is not None
    shares = row_log_softmax(alone[:, :, 0], elements.rows, n_rows).exp()  # [E, s]
    return largest(shares, elements.rows, n_rows)[elements.rows]
