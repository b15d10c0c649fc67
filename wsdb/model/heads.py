"""Heads: the logits of the tasks of one payload, side by side; and of a task that selects an element.

Notation for shapes: b rows, c category columns, d dense columns, E elements of a payload, h units, v the size of a
row's vector, k labels of all tasks of the head together.
"""

from __future__ import annotations

from wsdb.model.backend import torch
from wsdb.model.inputs import Elements, Inputs
from wsdb.model.layers import Affine, affine, bag
from wsdb.model.plan import PayloadPlan

nn = torch.nn


class Pairs(nn.Module):
    """What a row's text says together with its other columns: a map of the products of r numbers of each.

    Each n-gram and each category, or stretch of a number, has r numbers; those of a row's text are summed, and so are
    those of its columns. A logit gets sum_r w_r (sum_i x_i u_ir) (sum_c v_cr): a weight for every pair of an n-gram and
    a category, of rank r.

    Source: Rendle, Factorization machines, ICDM 2010.
    """

    def __init__(self, text: nn.EmbeddingBag, categories: nn.EmbeddingBag, dense: Affine) -> None:
        super().__init__()
        self.text = text
        self.categories = categories
        self.dense = dense

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Return float32 [b, k], to be added to the logits."""
        text = self.text(inputs.slots, inputs.offsets, per_sample_weights=inputs.values)  # [b, r]
        return self.dense(text * self.categories(inputs.categories))  # [b, k]


class RowHead(nn.Module):
    """Tasks on rows: the sum of a linear map of every kind of input and of the row's vector, and of pairs of inputs."""

    def __init__(
        self,
        text: nn.EmbeddingBag | None,
        categories: nn.EmbeddingBag | None,
        dense: Affine,
        pairs: Pairs | None = None,
    ) -> None:
        super().__init__()
        self.text = text
        self.categories = categories
        self.dense = dense
        self.pairs = pairs

    def forward(self, inputs: Inputs, vector: torch.Tensor | None) -> torch.Tensor:
        """Return logits, float32 [b, k]; `vector` float32 [b, v] is the torso's, or that of the task's payload."""
        dense = inputs.dense  # [b, d]
        if vector is not None:
            dense = torch.cat([dense, vector], dim=1) if dense.shape[1] else vector  # [b, d + v]
        logits = self.dense(dense)  # [b, k]
        if self.text is not None:
            logits = logits + self.text(inputs.slots, inputs.offsets, per_sample_weights=inputs.values)  # [b, k]
        if self.categories is not None:
            logits = logits + self.categories(inputs.categories)  # [b, k]
        if self.pairs is not None:
            logits = logits + self.pairs(inputs)  # [b, k]
        return logits

    def views(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return logits, float32 [b, k], from text and categories alone, and from dense columns alone.

        They are twice their part of `forward`, which is their mean: a view learns as if it were the whole head.
        """
        sparse = [] if self.categories is None else [self.categories(inputs.categories)]  # [b, k] each
        if self.text is not None:
            sparse.append(self.text(inputs.slots, inputs.offsets, per_sample_weights=inputs.values))
        return [2 * torch.stack(sparse).sum(dim=0), 2 * self.dense(inputs.dense)]


class ElementHead(nn.Module):
    """Tasks on elements: a linear map of their states, and of their own values and letters."""

    def __init__(self, values: nn.EmbeddingBag | None, grams: nn.EmbeddingBag | None, states: Affine) -> None:
        super().__init__()
        self.values = values
        self.grams = grams
        self.states = states

    def forward(self, elements: Elements, states: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 [E, k], of states [E, h]."""
        logits = self.states(states)  # [E, k]
        if self.values is not None:
            values = self.values(elements.categories)  # [E, k]
            logits = logits + (values if elements.keep is None else values * elements.keep)
        if self.grams is not None and elements.slots is not None:
            logits = logits + self.grams(elements.slots, elements.offsets)  # [E, k]
        return logits


class SelectHead(nn.Module):
    """A task that selects an element: a score of each from its state and the row's vector; no is 0, yes the score."""

    def __init__(self, first: Affine, second: Affine) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, elements: Elements, states: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 [E, 2], of states [E, h] and the rows' vectors [b, v]."""
        both = torch.cat([states, context[elements.rows]], dim=1)  # [E, h + v]
        score = self.second(torch.relu(self.first(both)))  # [E, 1]
        return torch.cat([torch.zeros_like(score), score], dim=1)


def row_head(n_text: int, n_category: int, n_dense: int, n_labels: int, pairs: Pairs | None = None) -> RowHead:
    """Return a head whose maps begin at 0."""
    return RowHead(
        bag(torch.zeros(n_text, n_labels), by_offsets=True),
        bag(torch.zeros(n_category, n_labels), by_offsets=False),
        Affine(torch.zeros(n_labels, n_dense)),
        pairs,
    )


def row_pairs(n_text: int, n_category: int, rank: int, n_labels: int, generator: torch.Generator) -> Pairs:
    """Return pairs that begin at 0, with numbers that are drawn."""
    text, categories = (torch.randn(size, rank, generator=generator) * 0.1 for size in (n_text, n_category))
    of_text, of_categories = bag(text, by_offsets=True), bag(categories, by_offsets=False)
    assert of_text is not None
    assert of_categories is not None
    return Pairs(of_text, of_categories, Affine(torch.zeros(n_labels, rank)))


def element_head(plan: PayloadPlan, width: int, n_labels: int) -> ElementHead:
    """Return a head whose maps begin at 0."""
    return ElementHead(
        bag(torch.zeros(plan.n_category, n_labels), by_offsets=False),
        bag(torch.zeros(plan.n_grams, n_labels), by_offsets=True, mode="mean"),
        Affine(torch.zeros(n_labels, width)),
    )


def state_head(width: int, n_labels: int) -> ElementHead:
    """Return a head of states alone, which begins at 0."""
    return ElementHead(None, None, Affine(torch.zeros(n_labels, width)))


def select_head(width: int, context: int, generator: torch.Generator) -> SelectHead:
    """Return a head that begins with equal scores."""
    return SelectHead(affine(width + context, width, generator, gain=2.0), Affine(torch.zeros(1, width)))


def columns_of(head: nn.Module, start: int, stop: int) -> dict[str, torch.Tensor]:
    """Return the weights of some labels of a row or element head, as views, by name."""
    found = {}
    for name, module in head.named_children():
        weight = module.get_parameter("weight").detach()
        if isinstance(module, Affine):
            found[f"{name}.weight"], found[f"{name}.bias"] = weight[start:stop], module.bias.detach()[start:stop]
        else:
            found[f"{name}.weight"] = weight[:, start:stop]
    return found
