"""Payload encoders: the state of every element of a sequence or set, and the vector of every row.

Notation for shapes: b rows, E elements of a payload in these rows, h units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsdb.model.backend import torch
from wsdb.model.combine import build_pooling
from wsdb.model.inputs import Elements, Inputs, Words
from wsdb.model.layers import Affine, Named, affine, bag, means
from wsdb.model.plan import NetworkPlan, PayloadPlan, module_keys
from wsdb.model.sequence import build_blocks

nn = torch.nn
_TABLE = 0.3  # standard deviation of the first weights of tables


class Embed(nn.Module):
    """The fields of an element as one vector: a sum of tables of its values, its letters and its vectors."""

    def __init__(
        self, plan: PayloadPlan, width: int, pretrained: torch.Tensor | None, generator: torch.Generator
    ) -> None:
        super().__init__()

        def table(rows: int) -> torch.Tensor:
            return torch.randn(rows, width, generator=generator) * _TABLE

        self.values = bag(table(plan.n_category), by_offsets=False)
        self.grams = bag(table(plan.n_grams), by_offsets=True, mode="mean")
        self.dense = affine(plan.n_dense, width, generator)
        self.pretrained: nn.Embedding | None = None
        self.project: Affine | None = None
        if pretrained is not None:  # [v + 1, d]; row 0 stands for no vector
            self.pretrained = nn.Embedding.from_pretrained(pretrained, freeze=plan.frozen, padding_idx=0)
            self.project = affine(pretrained.shape[1], width, generator)

    def forward(self, elements: Elements) -> torch.Tensor:
        """Return float32 [E, h]."""
        states = self.dense(elements.dense)  # [E, h]
        if self.values is not None:
            values = self.values(elements.categories)  # [E, h]
            states = states + (values if elements.keep is None else values * elements.keep)
        if self.grams is not None and elements.slots is not None:
            states = states + self.grams(elements.slots, elements.offsets)  # [E, h]
        if self.pretrained is not None and self.project is not None:
            states = states + self.project(self.pretrained(elements.pretrained))  # [E, h]
        return states


class ElementEncoder(nn.Module):
    """A sequence or set payload: its fields, the stretch that each element spans, what it reads, and blocks."""

    def __init__(
        self,
        plan: PayloadPlan,
        embed: Embed,
        span: Affine | None,
        reads: Mapping[str, Affine],
        blocks: nn.Module | None,
    ) -> None:
        super().__init__()
        self.spans = plan.spans
        self.embed = embed
        self.span = span
        self.reads = nn.ModuleList(reads.values())  # in the order of the payload's sources
        self.is_set = plan.shape == "set"
        self.blocks = blocks

    def forward(self, elements: Elements, stretches: torch.Tensor | None, sources: list[torch.Tensor]) -> torch.Tensor:
        """Return the states, float32 [E, h].

        Parameters
        ----------
        stretches : float32 [E, h], the mean state of each element's span; None where it has none
        sources : of each payload that this one reads, its vector for each row, float32 [b, *]
        """
        states = self.embed(elements)  # [E, h]
        if self.span is not None and stretches is not None:
            states = states + self.span(stretches)  # [E, h]
        for read, source in zip(self.reads, sources, strict=True):
            states = states + read(source)[elements.rows]  # [E, h]
        if self.is_set:
            return self.blocks(torch.relu(states)) if self.blocks is not None else torch.relu(states)
        return states if self.blocks is None else self.blocks(states, elements.blocks)  # [E, h]


class RowEncoder(nn.Module):
    """A singleton payload: the row's own columns, where others read it, and the payloads that it reads.

    Where there are several of these a rectified layer over all stands beside them, for what they say only together.
    """

    def __init__(
        self,
        name: str,
        columns: RowColumns | None,
        words: WordVectors | None,
        sizes: Sequence[int],
        width: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.name = name
        self.columns = columns
        self.words = words
        parts = [*sizes, *(part.width for part in (columns, words) if part is not None)]
        self.mixed = affine(sum(parts), width, generator, gain=2.0) if len(parts) > 1 else None
        self.size = sum(parts) + (0 if self.mixed is None else width)

    def forward(self, inputs: Inputs, hidden: torch.Tensor | None, sources: list[torch.Tensor]) -> torch.Tensor:
        """Return the vector of each row, float32 [b, size]: what torso, columns, words and sources say."""
        parts = [] if hidden is None else [hidden]
        if self.columns is not None:
            parts.append(self.columns(inputs))
        if self.words is not None:
            parts.append(self.words(inputs.words[self.name], inputs.n))
        vector = torch.cat([inputs.dense.new_empty(inputs.n, 0), *parts, *sources], dim=1)
        return vector if self.mixed is None else torch.cat([vector, torch.relu(self.mixed(vector))], dim=1)


class WordVectors(nn.Module):
    """The mean pretrained vector of a row's words, mapped to the width of the network."""

    def __init__(self, plan: PayloadPlan, width: int, table: torch.Tensor, generator: torch.Generator) -> None:
        super().__init__()
        self.width = width
        self.pretrained = nn.Embedding.from_pretrained(table, freeze=plan.frozen, padding_idx=0)
        self.project = affine(table.shape[1], width, generator)

    def forward(self, words: Words, n: int) -> torch.Tensor:
        """Return float32 [b, h]; a row without a known word has the bias."""
        return self.project(means(self.pretrained(words.pretrained), words.rows, n))


class RowColumns(nn.Module):
    """All columns of a row as one rectified vector, for payloads and select tasks that read the row."""

    def __init__(self, plan: NetworkPlan, generator: torch.Generator) -> None:
        super().__init__()

        def table(rows: int) -> torch.Tensor:
            return torch.randn(rows, plan.width, generator=generator) * _TABLE

        self.width = plan.width
        self.text = bag(table(plan.n_text), by_offsets=True)
        self.categories = bag(table(plan.n_category), by_offsets=False)
        self.dense = affine(plan.n_dense, plan.width, generator)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Return float32 [b, h]."""
        states = self.dense(inputs.dense)  # [b, h]
        if self.text is not None:
            states = states + self.text(inputs.slots, inputs.offsets, per_sample_weights=inputs.values)
        if self.categories is not None:
            states = states + self.categories(inputs.categories)
        return torch.relu(states)


class Two(nn.Module):
    """Two rectified layers of each element by itself: the blocks of a set."""

    def __init__(self, first: Affine, second: Affine) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Map float32 [E, h] to the same shape."""
        return torch.relu(self.second(torch.relu(self.first(states))))


def span_means(states: torch.Tensor, of: Elements, elements: Elements) -> torch.Tensor:
    """Return the mean state of the tokens in each element's span, float32 [E, h]; 0 without a span."""
    assert elements.span_tokens is not None and elements.span_owners is not None
    tokens = elements.span_tokens + of.starts[elements.rows[elements.span_owners]]  # [s]
    return means(states.index_select(0, tokens), elements.span_owners, len(elements.rows))


class Payloads(nn.Module):
    """All payloads of a network, computed in an order in which each finds its sources done."""

    def __init__(self, plan: NetworkPlan, tables: Mapping[str, torch.Tensor], generator: torch.Generator) -> None:
        super().__init__()
        self.plans = plan.payloads
        encoders: dict[str, nn.Module] = {}
        poolings: dict[str, nn.Module] = {}
        sizes: dict[str, int] = {}
        shapes = {one.name: one.shape for one in plan.payloads}
        read_by_elements = {source for one in plan.payloads if one.shape != "singleton" for source in one.reads}
        read_by_elements |= {head.context for head in plan.heads if head.context is not None}
        keys = module_names(plan)
        for one in plan.payloads:
            for source in one.reads:
                if shapes[source] != "singleton":
                    poolings[f"{keys[one.name]}_reads_{keys[source]}"] = build_pooling(
                        plan.combine, plan.width, generator
                    )
            read = {source: sizes[source] if shapes[source] == "singleton" else plan.width for source in one.reads}
            if one.shape == "singleton":
                columns = RowColumns(plan, generator) if one.name in read_by_elements and has_columns(plan) else None
                table = tables.get(one.name)
                words = None if table is None else WordVectors(one, plan.width, table, generator)
                given = [*((plan.hidden,) if plan.hidden else ()), *read.values()]
                row = RowEncoder(one.name, columns, words, given, plan.width, generator)
                encoders[one.name], sizes[one.name] = row, row.size
            else:
                encoders[one.name] = _element_encoder(plan, one, read, tables.get(one.name), generator)
        self.keys = keys
        self.encoders = Named({keys[name]: module for name, module in encoders.items()})
        self.poolings = Named(poolings)
        self.sizes = sizes

    def forward(self, inputs: Inputs, hidden: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """Return by payload the states of its elements, float32 [E, h], or of a singleton the rows' vectors [b, *]."""
        states: dict[str, torch.Tensor] = {}
        for one in self.plans:
            encoder = self.encoders[self.keys[one.name]]
            sources = [self.read(one.name, source, states, inputs) for source in one.reads]
            if one.shape == "singleton":
                states[one.name] = encoder(inputs, hidden, sources)
                continue
            elements = inputs.payloads[one.name]
            stretches = None
            if one.spans is not None:
                stretches = span_means(states[one.spans], inputs.payloads[one.spans], elements)
            states[one.name] = encoder(elements, stretches, sources)
        return states

    def read(self, reader: str, source: str, states: dict[str, torch.Tensor], inputs: Inputs) -> torch.Tensor:
        """Return a source's vector for each row, as `reader` sees it, float32 [b, *]."""
        name = f"{self.keys[reader]}_reads_{self.keys[source]}"
        if name not in self.poolings:
            return states[source]
        return self.poolings[name](states[source], inputs.payloads[source].rows, inputs.n)


def has_columns(plan: NetworkPlan) -> bool:
    """Whether rows have columns of their own."""
    return plan.n_text + plan.n_category + plan.n_dense > 0


def module_names(plan: NetworkPlan) -> dict[str, str]:
    """Return the module name of each payload."""
    names = [one.name for one in plan.payloads]
    return dict(zip(names, module_keys(names), strict=True))


def _element_encoder(
    plan: NetworkPlan,
    one: PayloadPlan,
    read: Mapping[str, int],
    table: torch.Tensor | None,
    generator: torch.Generator,
) -> ElementEncoder:
    width = plan.width
    if one.shape == "sequence":
        blocks: nn.Module | None = build_blocks(plan.encoder, plan.layers, width, generator)
    else:
        blocks = Two(affine(width, width, generator, gain=2.0), affine(width, width, generator, gain=2.0))
    return ElementEncoder(
        one,
        Embed(one, width, table, generator),
        None if one.spans is None else affine(width, width, generator),
        {source: affine(size, width, generator) for source, size in read.items()},
        blocks,
    )
