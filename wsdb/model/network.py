"""The multitask network: payload encoders, an optional torso, and a head for each task.

Notation for shapes: b rows, c category columns, d dense columns, h hidden units, E elements of a payload, k labels of a
task.

A task on rows has a linear path over its inputs. Without a torso and payloads every parameter belongs to one task, and
the network is one softmax regression for each. With a torso category and dense columns pass through two layers whose
output every task on rows reads; text and the plain numbers keep a linear path beside it, categories do not: with a
weight for each value and task, few labels are learned by heart. Payloads give states to the elements of lists, which
tasks on them label, and which rows read pooled to one vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from wsdb.model.arrays import EncodedBatch
from wsdb.model.backend import torch
from wsdb.model.forward import ROWS
from wsdb.model.heads import (
    ElementHead,
    RowHead,
    SelectHead,
    columns_of,
    element_head,
    row_head,
    row_pairs,
    select_head,
    state_head,
)
from wsdb.model.inputs import Inputs, drop, inputs_of
from wsdb.model.layers import Affine, Named, affine, bag
from wsdb.model.payload_arrays import PREFIX
from wsdb.model.payloads import Payloads
from wsdb.model.plan import HeadGroup, HeadPlan, NetworkPlan
from wsdb.model.slices import BUCKETS, Marks, Outputs, Slices, logit_width

__all__ = ["Inputs", "Network", "build_network", "drop", "inputs_of", "network_logits"]

nn = torch.nn
_ELEMENTS = 1 << 16  # elements of a payload in the network at a time
_SLICES = 16


class Torso(nn.Module):
    """Two hidden layers over category and dense columns."""

    def __init__(self, categories: nn.EmbeddingBag | None, dense: Affine, second: Affine) -> None:
        super().__init__()
        self.categories = categories
        self.dense = dense
        self.second = second

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Return the hidden units, float32 [b, h]."""
        first = self.dense(inputs.dense)  # [b, h]
        if self.categories is not None:
            first = first + self.categories(inputs.categories)  # [b, h]
        return torch.relu(self.second(torch.relu(first)))  # [b, h]


class Network(nn.Module):
    """Payloads, or none; a torso, or none; and the heads of the tasks, those of one payload side by side."""

    def __init__(
        self,
        plan: NetworkPlan,
        torso: Torso | None,
        payloads: Payloads | None,
        heads: Mapping[str, nn.Module],
        slices: Slices | None = None,
    ) -> None:
        super().__init__()
        self.plan = plan
        self.groups = plan.groups()
        self.torso = torso
        self.payloads = payloads
        self.heads = Named(heads)
        self.slices = slices

    def forward(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the logits of every task, float32 [b, k], or [E, k] where the task labels elements."""
        hidden, states = self.hidden(inputs)
        found = self.bases(inputs, hidden, states)
        return found if self.slices is None else self.slices(found, inputs, hidden, states).logits

    def outputs(self, inputs: Inputs) -> Outputs:
        """Return the logits with those of membership and of the experts alone; for a network with slices."""
        assert self.slices is not None
        hidden, states = self.hidden(inputs)
        found: Outputs = self.slices(self.bases(inputs, hidden, states), inputs, hidden, states)
        return found

    def hidden(self, inputs: Inputs) -> tuple[torch.Tensor | None, Mapping[str, torch.Tensor]]:
        """Return the torso's units, float32 [b, h] or None, and the states of payloads."""
        hidden = None if self.torso is None else self.torso(inputs)  # [b, h]
        return hidden, {} if self.payloads is None else self.payloads(inputs, hidden)

    def bases(
        self, inputs: Inputs, hidden: torch.Tensor | None, states: Mapping[str, torch.Tensor]
    ) -> list[torch.Tensor]:
        """Return the logits of the heads, in the order of the tasks."""
        found: dict[int, torch.Tensor] = {}
        for group, head in zip(self.groups, self.heads.values(), strict=True):
            logits = head_logits(head, group, inputs, hidden, states)  # [b, K] or [E, K]
            found |= zip(group.tasks, logits.split(group.sizes, dim=1), strict=True)
        return [found[t] for t in range(len(found))]

    def views(self, inputs: Inputs) -> list[list[torch.Tensor]]:
        """Return the logits of every task by view, float32 [b, k]; for a network of linear heads alone."""
        (group,), (head,) = self.groups, self.heads.values()
        assert isinstance(head, RowHead)
        views = [view.split(group.sizes, dim=1) for view in head.views(inputs)]
        return [list(task) for task in zip(*views, strict=True)]

    def task_weights(self, task: int) -> dict[str, torch.Tensor]:
        """Return the weights of one task alone, as views: by name, its part of each weight of its group's head."""
        at = next(g for g, group in enumerate(self.groups) if task in group.tasks)
        group, head = self.groups[at], list(self.heads.values())[at]
        place = group.tasks.index(task)
        start = sum(group.sizes[:place])
        return columns_of(head, start, start + group.sizes[place])

    @property
    def shared(self) -> bool:
        """Whether tasks share parameters."""
        return self.plan.shared

    def deep_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that learn by small steps, as deep networks do: all but tables of tasks, and slices.

        There are none in a network without a torso and payloads.
        """
        if not self.plan.deep:
            return []
        wide = (name for name, _ in self.named_parameters() if name.split(".")[0] == "heads")
        linear = {name for name in wide if name.split(".")[2] in ("text", "categories", "values", "grams")}
        linear |= {name for name, _ in self.named_parameters() if name.split(".")[0] == "slices"}
        return [parameter for name, parameter in self.named_parameters() if name not in linear]


def head_logits(
    head: nn.Module, group: HeadGroup, inputs: Inputs, hidden: torch.Tensor | None, states: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Return the logits of a group of tasks side by side, from what their head reads."""
    if isinstance(head, RowHead):
        return head(inputs, states.get(group.payload, hidden))
    elements = inputs.payloads[group.payload]
    if isinstance(head, SelectHead):
        assert group.context is not None
        return head(elements, states[group.payload], states[group.context])
    assert isinstance(head, ElementHead)
    return head(elements, states[group.payload])


def build_network(
    plan: NetworkPlan, generator: torch.Generator, tables: Mapping[str, np.ndarray] | None = None
) -> Network:
    """Build the network of a plan.

    Linear maps to logits begin at 0; other weights are drawn from `generator`, a CPU generator.

    Parameters
    ----------
    tables : pretrained vectors by payload, float32 (v + 1, d); row 0 stands for no vector. Zeros where it has none, to
        be filled by `load_state_dict`
    """
    torso = build_torso(plan, generator) if plan.hidden else None
    payloads = None
    if plan.payloads:
        given = {name: torch.from_numpy(np.ascontiguousarray(table)) for name, table in (tables or {}).items()}
        for one in plan.payloads:
            if one.n_pretrained and one.name not in given:
                given[one.name] = torch.zeros(one.n_pretrained, one.d_pretrained)
        payloads = Payloads(plan, given, generator)
    heads = {group.key: build_head(plan, group, payloads, generator) for group in plan.groups()}
    return Network(plan, torso, payloads, heads, build_slices(plan, payloads))


def build_slices(plan: NetworkPlan, payloads: Payloads | None) -> Slices | None:
    """Return the slices of a plan, None without any or without a task that they correct."""
    elements = {one.name: one for one in plan.payloads if one.shape != "singleton"}
    corrected = {t: head for t, head in enumerate(plan.heads) if plan.correcting(head)}
    if not corrected:
        return None

    def of_rows(payload: str, out: int) -> nn.Module:
        vector = plan.hidden if payloads is None else payloads.sizes[payload]
        return row_head(min(plan.n_text, BUCKETS), min(plan.n_category, BUCKETS), plan.n_dense + vector, out)

    def indicator(place: str, n_slices: int) -> nn.Module:
        if place in elements:
            return element_head(elements[place], plan.width, n_slices)
        row = of_rows(plan.row_vector, n_slices)
        return Marks(row, {one: element_head(at, 0, n_slices) for one, at in elements.items()}) if elements else row

    def expert(head: HeadPlan) -> nn.Module:
        out = len(plan.correcting(head)) * logit_width(head)
        return of_rows(head.payload, out) if head.payload not in elements else state_head(plan.width, out)

    return Slices(
        plan,
        {place: indicator(place, len(names)) for place, names in plan.members().items()},
        {t: expert(head) for t, head in corrected.items()},
    )


def build_head(plan: NetworkPlan, group: HeadGroup, payloads: Payloads | None, generator: torch.Generator) -> nn.Module:
    """Return the head of a group of tasks."""
    n_labels = sum(group.sizes)
    n_category = 0 if plan.hidden else plan.n_category
    if payloads is None:
        pairs = row_pairs(plan.n_text, n_category, plan.pairs, n_labels, generator) if plan.pairs else None
        return row_head(plan.n_text, n_category, plan.n_dense + plan.hidden, n_labels, pairs)
    payload = next(payload for payload in plan.payloads if payload.name == group.payload)
    if payload.shape == "singleton":
        vector = payloads.sizes[payload.name]
        return row_head(plan.n_text, n_category, plan.n_dense + vector, n_labels)
    if group.context is not None:
        return select_head(plan.width, payloads.sizes[group.context], generator)
    return element_head(payload, plan.width, n_labels)


def build_torso(plan: NetworkPlan, generator: torch.Generator) -> Torso:
    """Return the torso over the category and dense columns of rows."""
    h = plan.hidden
    return Torso(
        bag(torch.randn(plan.n_category, h, generator=generator) * 0.1, by_offsets=False),
        affine(plan.n_dense, h, generator, gain=2.0),
        affine(h, h, generator, gain=2.0),
    )


def row_chunks(batch: EncodedBatch, n_slices: int = 0) -> Iterator[np.ndarray]:
    """Divide the rows into stretches of at most 4,096 rows and some 65,536 elements; none gives one of no rows.

    Elements are as many fewer as there are more than 16 slices: each has logits of its own for every element.
    """
    wide = max(1, n_slices / _SLICES)
    weight = np.zeros(len(batch), np.int64)
    for name, ragged in batch.ragged.items():
        if name.startswith(PREFIX):
            weight += np.diff(ragged.indptr)
    ends = np.cumsum(weight)
    start = 0
    while start < len(batch):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + _ELEMENTS / wide, side="right"))
        stop = min(max(stop, start + 1), start + ROWS, len(batch))
        yield np.arange(start, stop)
        start = stop
    if not len(batch):
        yield np.arange(0)


def network_logits(network: Network, batch: EncodedBatch, device: torch.device) -> Sequence[np.ndarray]:
    """Return the logits of every task, float64 (n, k) or (E, k), computed a stretch of rows at a time."""
    parts = []
    with torch.inference_mode():
        for rows in row_chunks(batch, len(network.plan.slices)):
            scores = network(inputs_of(batch.take(rows), device))
            parts.append([score.float().cpu().numpy().astype(np.float64) for score in scores])
    return [np.concatenate(scores) for scores in zip(*parts, strict=True)]


def member_probabilities(network: Network, batch: EncodedBatch, device: torch.device) -> dict[str, np.ndarray]:
    """Return P(in the slice) of rows, or elements, float64 (n, s), by payload, '' of rows; of a network with slices."""
    parts: dict[str, list[np.ndarray]] = {place: [] for place in network.plan.members()}
    with torch.inference_mode():
        for rows in row_chunks(batch, len(network.plan.slices)):
            for place, members in network.outputs(inputs_of(batch.take(rows), device)).members.items():
                parts[place].append(torch.sigmoid(members.float()).cpu().numpy().astype(np.float64))
    return {place: np.concatenate(found) for place, found in parts.items()}
