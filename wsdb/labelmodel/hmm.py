"""Anchored hidden Markov model: labels of elements that stand in sequences, from votes on each element.

The votes of source j on an element of state y follow emission[j, ., y]; neighbours follow a transition matrix
(Rabiner 1989; for weak supervision Lison et al. 2020). As in anchored Dawid-Skene, every count behind a
parameter, of votes and of moves between neighbours, stays anchored on the vote shares: free EM ends in labels
nobody voted for. Where labels have an O, a source that says nothing says O, at a discount.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.hmm_estimate import (
    ANCHOR,
    ITERATIONS,
    Elements,
    Estimator,
    copy_weights,
    log_evidence,
    neighbours,
    vote_shares,
)
from wsdb.labelmodel.hmm_fitted import SequenceFit, Tagged
from wsdb.labelmodel.hmm_spans import voted_path
from wsdb.labelmodel.sequence import (
    Chain,
    DistinctSequences,
    check_offsets,
    chunks,
    forward_backward,
    groups_of,
    likelihoods,
    viterbi,
)
from wsdb.labelmodel.spans import Spans, bio_to_spans, geometric_means, tag_set


def fit_hmm(
    votes: np.ndarray,
    offsets: np.ndarray,
    labels: Sequence[str],
    structure: str = "auto",
    balance: np.ndarray | None = None,
) -> SequenceFit:
    """Fit the model to the votes of a sequence task.

    Parameters
    ----------
    votes : integer array of shape (n, m), values in {-1, 0 … k-1}; -1 is abstain. With an O among the labels,
        a vote for O counts as an abstain in the fit
    offsets : int64 array of shape (g + 1,), sequence i is the rows offsets[i] … offsets[i + 1] - 1
    labels : k names; see `tag_set`
    structure : "auto", "bio" or "plain"
    balance : float64 array of shape (k,), sums to 1, for labels without an O; uniform if None. With an O the
        balance follows from how often sources vote

    Returns
    -------
    SequenceFit

    Raises
    ------
    SpecError
        WS308 or WS340, as `tag_set`.
    ValueError
        If votes are out of range or the offsets do not split them.
    """
    tags = tag_set(labels, structure)
    offsets = _check(votes, offsets, len(tags.labels))
    elements = Elements.of(votes, offsets, tags.outside)
    model = Estimator(elements, tags, copy_weights(elements.symbols), balance)
    shares = vote_shares(elements.symbols, model.weights, tags)
    anchor = model.expected(shares), *neighbours(elements.sequences, shares)
    emission, chain = model.maximise(*anchor)
    for _ in range(ITERATIONS):
        counted = model.expect(emission, chain)
        mixed = [(new + ANCHOR * old) / (1 + ANCHOR) for new, old in zip(counted, anchor, strict=True)]
        emission, chain = model.maximise(*mixed)
    return model.report(emission, chain, model.expect(emission, chain)[0], len(votes), len(offsets) - 1)


def tag_sequences(fit: SequenceFit, votes: np.ndarray, offsets: np.ndarray) -> Tagged:
    """Label sequences, the fitted ones or others.

    Parameters
    ----------
    votes, offsets : as for `fit_hmm`, the same sources in the same order
    """
    k, tags = len(fit.tags.labels), fit.tags
    offsets = _check(votes, offsets, k)
    if votes.shape[1] != len(fit.emission):
        raise ValueError(f"votes {votes.shape} do not match {len(fit.emission)} sources")
    voted = np.bincount(groups_of(offsets), weights=(votes != ABSTAIN).any(axis=1), minlength=len(offsets) - 1) > 0
    covered = voted[groups_of(offsets)]
    elements = Elements.of(votes, offsets, tags.outside)
    distinct = elements.sequences
    evidence = log_evidence(elements.symbols, fit.emission, fit.weights, fit.silent_weight)
    likelihood = likelihoods(evidence)
    posterior, others = np.empty((len(distinct.kinds), k)), np.empty((len(distinct.kinds), k))
    for first, last in chunks(distinct.offsets, k):
        part = slice(distinct.offsets[first], distinct.offsets[last])
        block = distinct.offsets[first : last + 1] - part.start
        seen = likelihood[distinct.kinds[part]]
        posterior[part] = forward_backward(seen, block, fit.chain, distinct.counts[first:last])[0]
        with np.errstate(divide="ignore"):
            others[part] = np.log(posterior[part]) - np.log(seen)
    if tags.bio:
        path = voted_path(elements.symbols, distinct, evidence, fit.chain, tags)
    else:
        path = _free_path(distinct, evidence, fit.chain)
    probabilities = distinct.expand(posterior, offsets)
    probabilities[~covered] = fit.prior
    codes = np.where(covered, distinct.expand(path, offsets), ABSTAIN)
    spans = bio_to_spans(codes, offsets, tags) if tags.bio else Spans.of([])
    chosen = np.take_along_axis(probabilities, np.maximum(codes, 0)[:, None], axis=1)[:, 0]
    rest = distinct.expand(others, offsets)
    return Tagged(probabilities, rest, codes, covered, spans, geometric_means(chosen, spans))


def _free_path(distinct: DistinctSequences, evidence: np.ndarray, chain: Chain) -> np.ndarray:
    path = np.empty(len(distinct.kinds), dtype=np.int64)
    for first, last in chunks(distinct.offsets, len(chain.initial) ** 2):
        part = slice(distinct.offsets[first], distinct.offsets[last])
        block = distinct.offsets[first : last + 1] - part.start
        path[part] = viterbi(evidence[distinct.kinds[part]], block, chain)
    return path


def _check(votes: np.ndarray, offsets: np.ndarray, k: int) -> np.ndarray:
    if votes.ndim != 2:
        raise ValueError(f"votes {votes.shape} must have one row per element and one column per source")
    if votes.size and (votes.min() < ABSTAIN or votes.max() >= k):
        raise ValueError(f"votes must be in -1 … {k - 1}")
    return check_offsets(offsets, len(votes))
