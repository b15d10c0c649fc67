"""SequenceFit and Tagged: what the sequence model finds, and the labels it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wsdb.labelmodel.sequence import Chain
from wsdb.labelmodel.spans import Spans, TagSet, tag_set


@dataclass(frozen=True, slots=True)
class SequenceFit:
    """A fitted model of a sequence task with k labels and m sources.

    Attributes
    ----------
    tags : the labels and their structure
    emission : float64 array of shape (m, k + 1, k), [j, 0, y] = P(source j is silent | state y) and
        [j, 1 + v, y] = P(it votes v | y); sums to 1 over the votes
    weights : float64 array of shape (m,), 1 / number of sources with identical votes
    chain : transitions and initial probabilities
    prior : float64 array of shape (k,), share of each label among the elements fitted
    silent_weight : weight of silence as evidence; 0 where the labels have no O
    iterations : times the parameters were re-estimated
    accuracy : float64 array of shape (m,), estimated P(vote correct | voted); 0.5 without votes
    precision : float64 array of shape (m, k), the same per label voted; NaN where never voted
    propensity : float64 array of shape (m,), share of elements with a vote (for a tag where there is an O)
    counts : int64 array of shape (m,), elements with such a vote
    n_elements, n_sequences, n_patterns : sizes of what was fitted
    """

    tags: TagSet
    emission: np.ndarray
    weights: np.ndarray
    chain: Chain
    prior: np.ndarray
    silent_weight: float
    iterations: int
    accuracy: np.ndarray
    precision: np.ndarray
    propensity: np.ndarray
    counts: np.ndarray
    n_elements: int
    n_sequences: int
    n_patterns: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN is None."""
        return {
            "labels": list(self.tags.labels),
            "structure": "bio" if self.tags.bio else "plain",
            "emission": self.emission.tolist(),
            "weights": self.weights.tolist(),
            "transition": self.chain.transition.tolist(),
            "initial": self.chain.initial.tolist(),
            "prior": self.prior.tolist(),
            "silent_weight": self.silent_weight,
            "iterations": self.iterations,
            "accuracy": self.accuracy.tolist(),
            "precision": [[None if np.isnan(p) else p for p in row] for row in self.precision.tolist()],
            "propensity": self.propensity.tolist(),
            "counts": self.counts.tolist(),
            "n_elements": self.n_elements,
            "n_sequences": self.n_sequences,
            "n_patterns": self.n_patterns,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SequenceFit:
        """Read what `to_dict` returned."""
        k = len(values["labels"])

        def array(name: str) -> np.ndarray:
            return np.asarray(values[name], dtype=float)

        return cls(
            tag_set(values["labels"], values["structure"]),
            array("emission").reshape(-1, k + 1, k),
            array("weights"),
            Chain(array("transition"), array("initial")),
            array("prior"),
            values["silent_weight"],
            values["iterations"],
            array("accuracy"),
            array("precision").reshape(-1, k),
            array("propensity"),
            np.asarray(values["counts"], dtype=np.int64),
            values["n_elements"],
            values["n_sequences"],
            values["n_patterns"],
        )


@dataclass(frozen=True, slots=True)
class Tagged:
    """Labels of n elements.

    Attributes
    ----------
    posterior : float64 array of shape (n, k), P(label | all votes of the sequence); the prior where uncovered
    others : float64 array of shape (n, k), what the rest of the sequence says of an element, in nats up to a constant
        of each row: the log posterior of the same sequence without the element's own votes
    labels : int64 array of shape (n,), the likeliest path; -1 where uncovered. With BIO labels every span of
        the path is one that a source voted
    covered : bool array of shape (n,), a source votes somewhere in the sequence (a vote for O is a vote)
    spans : the spans of `labels`; empty without BIO labels
    span_probability : float64 array of shape (s,), geometric mean of the posteriors of a span's labels
    """

    posterior: np.ndarray
    others: np.ndarray
    labels: np.ndarray
    covered: np.ndarray
    spans: Spans
    span_probability: np.ndarray
