"""The forward pass of a network over rows alone in numpy, so that its predictions load no torch; and probabilities.

Notation for shapes as in `wsdb.model.network`: b rows, e text entries, c category columns, d dense columns, h hidden
units, K labels of all tasks together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from wsdb.model.arrays import CATEGORIES, DENSE, TEXT, EncodedBatch
from wsdb.model.calibrate import softmax
from wsdb.model.plan import ROW, NetworkPlan, module_keys

ROWS = 4_096
"""Rows in the network at a time."""


@dataclass(frozen=True, slots=True)
class RowMap:
    """A linear map of a row's inputs and of the torso's units: `wsdb.model.heads.RowHead`.

    Attributes
    ----------
    text : float32 (slots, K); 0 rows where no column is text
    categories : float32 (category slots, K); 0 rows where no column is a category
    dense, bias : float32 (d + h, K) and (K,)
    pairs : the map of products of text and categories, r of each; None without
    """

    text: np.ndarray
    categories: np.ndarray
    dense: np.ndarray
    bias: np.ndarray
    pairs: RowMap | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, np.ndarray], name: str) -> RowMap:
        """Read the parameters of the module of that name."""
        bias = parameters[f"{name}.dense.bias"]
        none = np.zeros((0, len(bias)), np.float32)
        return cls(
            text=parameters.get(f"{name}.text.weight", none),
            categories=parameters.get(f"{name}.categories.weight", none),
            dense=np.ascontiguousarray(parameters[f"{name}.dense.weight"].T),
            bias=bias,
            pairs=cls.of(parameters, f"{name}.pairs") if f"{name}.pairs.dense.bias" in parameters else None,
        )

    def __call__(self, batch: EncodedBatch, dense: np.ndarray) -> np.ndarray:
        """Return float64 (b, K) of rows, whose dense columns and units are float32 (b, d + h).

        Slots beyond a table's rows share these, as in maps of slices.
        """
        scores = _affine(dense, self.dense, self.bias).astype(np.float64)  # [b, K]
        if len(self.categories):
            scores += _rows_of(self.categories, batch.rows[CATEGORIES] % len(self.categories))  # [b, K]
        if len(self.text):
            scores += _bags(self.text, batch)  # [b, K]
        if self.pairs is not None:
            scores += self.pairs.products(batch)  # [b, K]
        return scores

    def products(self, batch: EncodedBatch) -> np.ndarray:
        """Return the map of the products of a row's text and categories, float64 (b, K): `wsdb.model.heads.Pairs`."""
        both = _bags(self.text, batch) * _rows_of(self.categories, batch.rows[CATEGORIES])  # [b, r]
        return np.asarray(np.einsum("br,ro->bo", both, self.dense) + self.bias)  # [b, K]


@dataclass(frozen=True, slots=True)
class Weights:
    """The parameters of a network over rows alone.

    Attributes
    ----------
    head : the heads of its tasks side by side
    torso_categories, torso_dense, torso_bias : float32 (category slots, h), (d, h) and (h,); None without a torso
    second, second_bias : float32 (h, h) and (h,); None without a torso
    ends : for each task, where its labels end among the K
    slices : what corrects the tasks; None without slices
    """

    head: RowMap
    torso_categories: np.ndarray | None
    torso_dense: np.ndarray | None
    torso_bias: np.ndarray | None
    second: np.ndarray | None
    second_bias: np.ndarray | None
    ends: tuple[int, ...]
    slices: SliceWeights | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, np.ndarray], plan: NetworkPlan) -> Weights:
        """Read the parameters of `wsdb.model.network.Network` by their names.

        Raises
        ------
        KeyError, ValueError
            where they are not those of a network with these heads.
        """
        (group,) = plan.groups()
        head = RowMap.of(parameters, f"heads.{group.key}")
        if len(head.bias) != sum(group.sizes):
            raise ValueError(f"the heads have {len(head.bias)} labels, the tasks {sum(group.sizes)}")
        torso = "torso.second.weight" in parameters
        return cls(
            head=head,
            torso_categories=parameters.get("torso.categories.weight"),
            torso_dense=parameters["torso.dense.weight"].T if torso else None,
            torso_bias=parameters["torso.dense.bias"] if torso else None,
            second=parameters["torso.second.weight"].T if torso else None,
            second_bias=parameters["torso.second.bias"] if torso else None,
            ends=tuple(np.cumsum(group.sizes).tolist()),
            slices=SliceWeights.of(parameters, plan) if plan.slices else None,
        )

    def dense(self, batch: EncodedBatch) -> np.ndarray:
        """Return the dense columns and the torso's units of rows, float32 (b, d + h)."""
        dense, categories = batch.rows[DENSE], batch.rows[CATEGORIES]  # [b, d], [b, c]
        if self.second is None:
            return dense
        assert self.torso_dense is not None
        first = _affine(dense, self.torso_dense, self.torso_bias)  # [b, h]
        if self.torso_categories is not None:
            first += _rows_of(self.torso_categories, categories)  # [b, h]
        hidden = np.maximum(_affine(np.maximum(first, 0), self.second, self.second_bias), 0)  # [b, h]
        return np.concatenate([dense, hidden], axis=1) if dense.shape[1] else hidden  # [b, d + h]


@dataclass(frozen=True, slots=True)
class SliceWeights:
    """The parameters of s slices of rows: see `wsdb.model.slices`.

    Attributes
    ----------
    indicator, prior, scale : of the logits of membership; float32 (s,)
    experts : of each task, the map to its residuals and M, float32 (s, k, k)
    kinds : of the tasks
    """

    indicator: RowMap
    prior: np.ndarray
    scale: np.ndarray
    experts: tuple[tuple[RowMap, np.ndarray], ...]
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, parameters: Mapping[str, np.ndarray], plan: NetworkPlan) -> SliceWeights:
        """Read the parameters of `wsdb.model.slices.Slices` by their names."""
        (key,) = module_keys(list(plan.members()))
        name = f"slices.indicators.{key}"
        experts = [f"slices.experts.{t}" for t in range(len(plan.heads))]
        return cls(
            RowMap.of(parameters, f"{name}.map"),
            parameters[f"{name}.prior"],
            parameters[f"{name}.scale"],
            tuple((RowMap.of(parameters, f"{one}.map"), parameters[f"{one}.turn"]) for one in experts),
            tuple(head.kind for head in plan.heads),
        )

    def members(self, batch: EncodedBatch, dense: np.ndarray) -> np.ndarray:
        """Return P(in the slice), float64 (b, s)."""
        return _logistic(self.prior + self.scale * self.indicator(batch, dense))

    def corrected(self, bases: list[np.ndarray], batch: EncodedBatch, dense: np.ndarray) -> list[np.ndarray]:
        """Return the corrected logits of every task, float64 (b, k) each, from their bases."""
        inside, found = self.members(batch, dense), []  # [b, s]
        for base, (expert, turn), kind in zip(bases, self.experts, self.kinds, strict=True):
            read = base if kind == "bitvector" else base - base.mean(axis=1, keepdims=True)
            residuals = expert(batch, dense).reshape(len(base), *turn.shape[:2])  # [b, s, k]
            residuals += np.einsum("bk,sjk->bsj", read, turn)
            alone = base[:, None] + residuals  # [b, s, k]
            if kind == "bitvector":
                sure = _logistic(np.abs(alone)).mean(axis=2)  # [b, s]
            else:
                sure = softmax(alone.reshape(-1, alone.shape[2])).max(axis=1).reshape(alone.shape[:2])
            attention = inside * sure
            attention /= np.maximum(attention.sum(axis=1, keepdims=True), 1e-12)
            weights = inside.max(axis=1, keepdims=True) * attention  # [b, s]
            found.append(base + (weights[:, :, None] * residuals).sum(axis=1))
        return found


def logits(weights: Weights, batch: EncodedBatch) -> list[np.ndarray]:
    """Return the logits of every task, float64 (b, k) each."""
    parts = []
    for some in _blocks(batch):
        dense = weights.dense(some)
        bases = np.split(weights.head(some, dense), weights.ends[:-1], axis=1)
        parts.append(bases if weights.slices is None else weights.slices.corrected(bases, some, dense))
    return [np.concatenate(scores) for scores in zip(*parts, strict=True)]


def members(weights: Weights, batch: EncodedBatch) -> dict[str, np.ndarray]:
    """Return P(in the slice) of each row, float64 (n, s), under ''; of a network with slices."""
    assert weights.slices is not None
    parts = [weights.slices.members(some, weights.dense(some)) for some in _blocks(batch)]
    return {ROW: np.concatenate(parts)}


def _blocks(batch: EncodedBatch) -> Iterator[EncodedBatch]:
    """Divide rows into stretches; none gives one of no rows."""
    for start in range(0, max(len(batch), 1), ROWS):
        yield batch.take(np.arange(start, min(start + ROWS, len(batch))))


def _affine(inputs: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return inputs @ weight + bias. einsum, not BLAS: its threads fight with those of the database for the cores."""
    if inputs.shape[1] == 0:
        product = np.zeros((len(inputs), weight.shape[1]), np.float32)
    else:
        product = np.einsum("bi,io->bo", inputs, weight)
    return product if bias is None else product + bias


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def _rows_of(table: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Return the sum of the rows of a table (t, K) that each row of int32 (b, c) names, float32 (b, K).

    Column after column: all of them at once would take c times the memory of the answer, of a thousand columns 0.5 GB.
    """
    total = np.zeros((len(slots), table.shape[1]), table.dtype)
    for column in slots.T:
        total += table.take(column, axis=0)
    return total


def _bags(table: np.ndarray, batch: EncodedBatch) -> np.ndarray:
    """Return the weighted sum of each row's text entries, float64 (b, K)."""
    sums, text = np.zeros((len(batch), table.shape[1])), batch.ragged[TEXT]
    filled = np.flatnonzero(np.diff(text.indptr))  # reduceat cannot sum an empty stretch
    if len(filled):
        entries = table[text.arrays["slots"] % len(table)] * text.arrays["values"][:, None]  # [e, K]
        sums[filled] = np.add.reduceat(entries, text.indptr[filled], axis=0, dtype=np.float64)
    return sums


def probabilities(
    kind: str, scores: np.ndarray, temperature: float, offsets: np.ndarray, indptr: np.ndarray | None
) -> np.ndarray:
    """Return the probabilities of one task from its logits z, float64 (E, k).

    softmax(z / T + b); of a bitvector the logistic function of it, label by label; of a select task (1 - p, p), p the
    softmax of the yes logits / T over the elements of each row.

    Parameters
    ----------
    scores : float64 (E, k)
    temperature, offsets : T and b, float64 (k,); see `wsdb.model.calibrate`
    indptr : int64 (n + 1,), where the elements of each row are; of a select task
    """
    scaled = scores / temperature + offsets
    if kind == "bitvector":
        return _logistic(scaled)
    if kind != "select":
        return softmax(scaled)
    assert indptr is not None
    chosen, filled = np.zeros(len(scaled)), indptr[:-1][np.diff(indptr) > 0]  # reduceat cannot sum an empty stretch
    if len(filled):
        row = np.repeat(np.arange(len(filled)), np.diff(np.append(filled, len(scaled))))
        raised = np.exp(scaled[:, 1] - np.maximum.reduceat(scaled[:, 1], filled)[row])
        chosen = raised / np.add.reduceat(raised, filled)[row]
    return np.stack([1 - chosen, chosen], axis=1)
