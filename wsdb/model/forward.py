"""The forward pass of a network over rows alone in numpy, so that its predictions load no torch; and probabilities.

Notation for shapes as in `wsdb.model.network`: b rows, e text entries, c category columns, d dense columns, h hidden
units, K labels of all tasks together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wsdb.model.arrays import CATEGORIES, DENSE, TEXT, EncodedBatch
from wsdb.model.calibrate import softmax
from wsdb.model.plan import NetworkPlan

ROWS = 4_096
"""Rows in the network at a time."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The parameters of a network, the heads of its tasks side by side.

    Attributes
    ----------
    text : float32 (slots, K); 0 rows where no column is text
    categories : float32 (category slots, K); 0 rows where no column is a category
    dense, bias : float32 (d + h, K) and (K,)
    torso_categories, torso_dense, torso_bias : float32 (category slots, h), (d, h) and (h,); None without a torso
    second, second_bias : float32 (h, h) and (h,); None without a torso
    ends : for each task, where its labels end among the K
    """

    text: np.ndarray
    categories: np.ndarray
    dense: np.ndarray
    bias: np.ndarray
    torso_categories: np.ndarray | None
    torso_dense: np.ndarray | None
    torso_bias: np.ndarray | None
    second: np.ndarray | None
    second_bias: np.ndarray | None
    ends: tuple[int, ...]

    @classmethod
    def of(cls, parameters: Mapping[str, np.ndarray], plan: NetworkPlan) -> Weights:
        """Read the parameters of `wsdb.model.network.Network` by their names.

        Raises
        ------
        KeyError, ValueError
            where they are not those of a network with these heads.
        """
        (group,) = plan.groups()
        total, head = sum(group.sizes), f"heads.{group.key}"
        none = np.zeros((0, total), np.float32)
        bias = parameters[f"{head}.dense.bias"]
        if len(bias) != total:
            raise ValueError(f"the heads have {len(bias)} labels, the tasks {total}")
        torso = "torso.second.weight" in parameters
        return cls(
            text=parameters.get(f"{head}.text.weight", none),
            categories=parameters.get(f"{head}.categories.weight", none),
            dense=np.ascontiguousarray(parameters[f"{head}.dense.weight"].T),
            bias=bias,
            torso_categories=parameters.get("torso.categories.weight"),
            torso_dense=parameters["torso.dense.weight"].T if torso else None,
            torso_bias=parameters["torso.dense.bias"] if torso else None,
            second=parameters["torso.second.weight"].T if torso else None,
            second_bias=parameters["torso.second.bias"] if torso else None,
            ends=tuple(np.cumsum(group.sizes).tolist()),
        )


def logits(weights: Weights, batch: EncodedBatch) -> list[np.ndarray]:
    """Return the logits of every task, float64 (b, k) each."""
    parts = [
        _block(weights, batch.take(np.arange(start, min(start + ROWS, len(batch)))))
        for start in range(0, max(len(batch), 1), ROWS)
    ]
    return np.split(np.concatenate(parts), weights.ends[:-1], axis=1)


def _block(weights: Weights, batch: EncodedBatch) -> np.ndarray:
    dense, categories = batch.rows[DENSE], batch.rows[CATEGORIES]  # [b, d], [b, c]
    if weights.second is not None:
        assert weights.torso_dense is not None
        first = _affine(dense, weights.torso_dense, weights.torso_bias)  # [b, h]
        if weights.torso_categories is not None:
            first += weights.torso_categories[categories].sum(axis=1)  # [b, h]
        hidden = np.maximum(_affine(np.maximum(first, 0), weights.second, weights.second_bias), 0)  # [b, h]
        dense = np.concatenate([dense, hidden], axis=1) if dense.shape[1] else hidden  # [b, d + h]
    scores = _affine(dense, weights.dense, weights.bias).astype(np.float64)  # [b, K]
    if len(weights.categories):
        scores += weights.categories[categories].sum(axis=1)  # [b, K]
    if len(weights.text):
        scores += _bags(weights.text, batch)  # [b, K]
    return scores


def _affine(inputs: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return inputs @ weight + bias. einsum, not BLAS: its threads fight with those of the database for the cores."""
    if inputs.shape[1] == 0:
        product = np.zeros((len(inputs), weight.shape[1]), np.float32)
    else:
        product = np.einsum("bi,io->bo", inputs, weight)
    return product if bias is None else product + bias


def _bags(table: np.ndarray, batch: EncodedBatch) -> np.ndarray:
    """Return the weighted sum of each row's text entries, float64 (b, K)."""
    sums, text = np.zeros((len(batch), table.shape[1])), batch.ragged[TEXT]
    filled = np.flatnonzero(np.diff(text.indptr))  # reduceat cannot sum an empty stretch
    if len(filled):
        entries = table[text.arrays["slots"]] * text.arrays["values"][:, None]  # [e, K]
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
        return np.exp(-np.logaddexp(0, -scaled))
    if kind != "select":
        return softmax(scaled)
    assert indptr is not None
    chosen, filled = np.zeros(len(scaled)), indptr[:-1][np.diff(indptr) > 0]  # reduceat cannot sum an empty stretch
    if len(filled):
        row = np.repeat(np.arange(len(filled)), np.diff(np.append(filled, len(scaled))))
        raised = np.exp(scaled[:, 1] - np.maximum.reduceat(scaled[:, 1], filled)[row])
        chosen = raised / np.add.reduceat(raised, filled)[row]
    return np.stack([1 - chosen, chosen], axis=1)
