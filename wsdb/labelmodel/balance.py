"""Class balance where nobody gave one: damped vote shares, as far as sources predict each other better with them.

Vote shares are a poor class balance: a wide labeling function takes share from every other class. Uniform is a
poor one on skewed data. So a few balances between and beyond the two are tried, in that order, and a model is
judged without gold: by how much the class that the *other* sources give a row tells of a source's vote. A model
that shifts many rows to the wrong class lowers that. Where the balance is known, the same figure chooses what the
rates are read off: the vote shares of a row, or its majority, which is better where rows have dozens of votes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.fired import FiredVotes
from wsdb.labelmodel.score import TIE, ScoreForm
from wsdb.labelmodel.statistics import VoteTable
from wsdb.labelmodel.summary import picked

LADDER = ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1.0, 1.5))
"""Exponents of the vote shares: balance that the rates are fitted at, balance of the posterior. 0 is uniform.

The last rung sharpens: vote shares are mixed by wrong votes, so a skewed balance is more skewed than they are.
"""
MARGIN = 0.15
"""By how much, relatively, a rung must predict the sources better than the uniform one to weigh as much."""
STEEPNESS = 30.0
"""Power of the information that weighs the rungs; a hard choice would let a near copy of a source flip many rows."""
TILTED = 0.25
"""Exponent from which a fit says that its balance follows the vote shares."""
CLEAR = 0.05
"""An anchor of the rates that weighs less is left out."""
TINY = 1e-12
SAMPLE = 10_000
"""Patterns on which models are compared."""
CHUNK_CELLS = 1 << 20
"""Cells (votes x classes) held out at a time."""


def damped(shares: np.ndarray, exponent: float) -> np.ndarray:
    """Class balance proportional to `shares ** exponent`.

    Parameters
    ----------
    shares : float64 array of shape (k,), rows per class by vote share; one row is added per class
    exponent : 0 gives the uniform balance, 1 the shares themselves

    Returns
    -------
    float64 array of shape (k,), sums to 1
    """
    logs = exponent * np.log(shares + 1.0)
    powers = np.exp(logs - logs.max())
    balance: np.ndarray = powers / powers.sum()
    return balance


def sample(votes: VoteTable) -> VoteTable:
    """Every i-th pattern of a large table, which is enough to choose between a few balances; small ones whole."""
    n = len(votes.counts)
    if n <= SAMPLE:
        return votes
    return picked(votes, np.linspace(0, n - 1, SAMPLE).astype(np.int64))


def settle(information: Sequence[float]) -> tuple[float, float]:
    """Average the exponents of the ladder, each rung weighed by `information ** STEEPNESS`, the first one favoured.

    Examples
    --------
    >>> settle([1.0, 1.0, 1.0, 1.0])[0] < 0.05
    True
    >>> [round(exponent, 2) for exponent in settle([1.0, 1.2, 2.0, 1.2])]
    [1.0, 1.0]
    """
    rates, answer = _preference(information) @ np.array(LADDER)
    return float(rates), float(answer)


def settle_majority(shares: float, majority: float) -> float:
    """Weight, in [0, 1], of the rates read off the majority of each row (see `ads.majority_counts`).

    Parameters
    ----------
    shares, majority : held-out information of the model with either anchor; the vote shares are favoured

    Examples
    --------
    >>> settle_majority(1.0, 1.0), settle_majority(1.0, 2.0)
    (0.0, 1.0)
    >>> 0.4 < settle_majority(1.0, 1.15) < 0.6
    True
    """
    weight = float(_preference([shares, majority])[1])
    # A second fit that hardly counts is left out.
    return weight if CLEAR < weight < 1 - CLEAR else float(weight >= 0.5)


def _preference(information: Sequence[float]) -> np.ndarray:
    """Weight of each model, information ** STEEPNESS and the first one favoured; float64, sums to 1."""
    # The absolute part keeps rounding from deciding where nothing is predicted.
    logs = STEEPNESS * np.log(np.asarray(information) + TIE)
    logs[0] += STEEPNESS * np.log(1 + MARGIN)
    powers = np.exp(logs - logs.max())
    weights: np.ndarray = powers / powers.sum()
    return weights


def held_out_information(votes: VoteTable, form: ScoreForm) -> float:
    """How much the likeliest class by the other votes tells of each source's vote.

    For source j: I(Y; V_j) = sum P(y, v) log(P(y, v) / (P(y) P(v))), over the rows that have another vote. V_j is
    the vote or abstain; Y is the likeliest class of `form` without the vote of j, ties in equal parts.

    Parameters
    ----------
    votes : the votes, exact copies left out
    form : the model to judge; scores of shape (m, k, k)

    Returns
    -------
    Nats, summed over sources; 0 if no row has two votes.
    """
    k, m = votes.n_classes, votes.n_sources
    cells = form.temperature * form.scores
    logs = votes.class_logs(cells)
    cells = cells.reshape(-1, k)
    many = votes.votes_per_pattern
    tally = np.rint(votes.shares() * many[:, None])
    whole = _likeliest(form, logs, tally) * (many > 0)[:, None]
    voted = np.zeros((m * k, k))
    for pattern, source, value in _votes(votes):
        code = source.astype(np.int64) * k + value
        others = tally[pattern]
        others[np.arange(len(pattern)), value] -= 1.0
        label = _likeliest(form, logs[pattern] - cells[code], others)
        weight = votes.counts[pattern] * (many[pattern] >= 2)
        for y in range(k):
            voted[:, y] += np.bincount(code, weights=weight * label[:, y], minlength=m * k)
    abstained = np.maximum(votes.counts @ whole - votes.count(whole).sum(axis=1), 0.0)
    return _information(np.concatenate([voted.reshape(m, k, k), abstained[:, None]], axis=1))


def differing(votes: VoteTable, one: ScoreForm, other: ScoreForm) -> float:
    """Share, in [0, 1], of the rows with a vote whose likeliest class by two models is not the same."""
    voted = votes.votes_per_pattern > 0
    apart = (_labels(votes, one) != _labels(votes, other)).any(axis=1) & voted
    return float(votes.counts[apart].sum() / max(votes.counts[voted].sum(), 1.0))


def label_shares(votes: VoteTable, form: ScoreForm) -> np.ndarray:
    """Share of each class in the likeliest ones of the rows with a vote, ties in equal parts; float64 of shape (k,)."""
    counts = np.where(votes.votes_per_pattern > 0, votes.counts, 0.0)
    return np.asarray(counts @ _labels(votes, form) / max(counts.sum(), 1.0))


def _labels(votes: VoteTable, form: ScoreForm) -> np.ndarray:
    """Likeliest class of each pattern, ties in equal parts; float64 of shape (p, k)."""
    tally = np.rint(votes.shares() * votes.votes_per_pattern[:, None])
    return _likeliest(form, votes.class_logs(form.temperature * form.scores), tally)


def _votes(votes: VoteTable) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pattern, source and value of the votes (integer arrays of one shape), some at a time."""
    if isinstance(votes, FiredVotes):
        step = max(1, CHUNK_CELLS // votes.n_classes)
        for first in range(0, len(votes.pattern), step):
            part = slice(first, first + step)
            yield votes.pattern[part], votes.source[part], votes.value[part]
        return
    step = max(1, CHUNK_CELLS // (votes.n_classes * max(votes.n_sources, 1)))
    for first in range(0, len(votes.counts), step):
        block = votes.votes[first : first + step]
        pattern, source = np.nonzero(block != ABSTAIN)
        yield pattern + first, source, block[pattern, source]


def _likeliest(form: ScoreForm, logs: np.ndarray, tally: np.ndarray) -> np.ndarray:
    """The likeliest class as a row of k, ties in equal parts; `tally` (float64, (r, k)) is votes per class."""
    score = logs + form.temperature * form.bias
    if form.share_mix is not None:
        shares = tally / np.maximum(tally.sum(axis=1, keepdims=True), 1.0)
        factor = form.share_mix * shares + (1 - form.share_mix) / form.n_classes
        score = score + form.share_power * np.log(np.maximum(factor, TINY))
    top = (score >= score.max(axis=1, keepdims=True) - TIE).astype(float)
    likeliest: np.ndarray = top / top.sum(axis=1, keepdims=True)
    return likeliest


def _information(joint: np.ndarray) -> float:
    """Mutual information per source, summed; `joint` is float64 of shape (m, k + 1, k), rows by vote and class."""
    total = joint.sum(axis=(1, 2), keepdims=True)
    share = joint / np.maximum(total, 1.0)
    apart = share.sum(axis=1, keepdims=True) * share.sum(axis=2, keepdims=True)
    ratio = np.divide(share, apart, out=np.ones_like(share), where=(share > 0) & (apart > 0))
    return float((share * np.log(ratio)).sum())
