"""Partial and uncertain votes: "one of these classes", and votes with a confidence below one.

Coarsening at random (Heitjan and Rubin 1991): a source has one class v in mind, drawn from theta[j, ., y], and
shows a set S that holds it; which set says nothing more about y. Then P(S | y) is proportional to the sum of
theta[j, v, y] over v in S, a vote for a single class is what it always was, and a vote for "any class" only says
that the source fired. The rates are read off an anchor as in anchored Dawid-Skene: the row's vote shares, where a
vote for S gives each of its classes 1 / |S|.

A vote with confidence c counts c votes in the shares and weighs c in the evidence: c = 0 is an abstain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wsdb.labelmodel.ads import PRIOR_STRENGTH, accuracy_prior
from wsdb.labelmodel.score import ScoreForm
from wsdb.labelmodel.set_votes import copy_weights, set_table, trust_of, vote_shares
from wsdb.labelmodel.unanimity import below_chance, keep_unanimity

PRODUCT_MIX = 0.8
PRODUCT_POWER = 0.6
"""With unknown class balance the posterior is multiplied with the smoothed vote share and flattened."""
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class PartialFit:
    """A fitted model of m sources, k classes and s sets of classes.

    The code of a vote is a class, 0 … k - 1, or k + i for set i. The posterior of a row is, up to its normaliser,
    exp(temperature * (bias[y] + sum_j c_j scores[j, code_j, y])) * (mix * share[y] + (1 - mix) / k) ** power.

    Attributes
    ----------
    sets : bool array of shape (k + s, k), the classes that each code stands for; the first k are single classes
    theta : float64 array of shape (m, k, k), [j, v, y] = P(source j has v in mind and votes | class y)
    weights : float64 array of shape (m,), weight of a source's evidence
    scores : float64 array of shape (m, k + s, k), evidence of each code in nats, weights included
    bias : float64 array of shape (k,), log class balance
    prior : float64 array of shape (k,), the class balance; the answer for uncovered rows
    temperature, share_mix, share_power : see above; share_mix is None for no vote-share factor
    bad : bool array of shape (m, k), votes for a class that make another one likelier, alone on a row; the caller
        warns of them. Rows whose votes are all for one class get that class where none of the votes is bad
    accuracy : float64 array of shape (m,), estimated P(class in mind is the true one | voted); 0.75 unvoted
    precision : float64 array of shape (m, k), the same per class in mind; NaN where it never is
    propensity : float64 array of shape (m,), share of rows with a vote
    counts : int64 array of shape (m,), rows with a vote
    n_rows : rows fitted
    """

    sets: np.ndarray
    theta: np.ndarray
    weights: np.ndarray
    scores: np.ndarray
    bias: np.ndarray
    prior: np.ndarray
    temperature: float
    share_mix: float | None
    share_power: float
    bad: np.ndarray
    accuracy: np.ndarray
    precision: np.ndarray
    propensity: np.ndarray
    counts: np.ndarray
    n_rows: int

    @property
    def form(self) -> ScoreForm:
        """The posterior for votes of single classes with confidence 1, which SQL can be written for."""
        k = len(self.prior)
        scores = self.scores[:, :k]
        return ScoreForm(self.bias, scores, self.temperature, self.share_mix, self.share_power, self.prior)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN is None."""
        arrays = ("theta", "weights", "scores", "bias", "prior", "accuracy", "propensity", "counts")
        values: dict[str, Any] = {name: getattr(self, name).tolist() for name in arrays}
        values["sets"] = self.sets.astype(int).tolist()
        values["bad"] = self.bad.astype(int).tolist()
        values["precision"] = [[None if np.isnan(p) else p for p in row] for row in self.precision.tolist()]
        for name in ("temperature", "share_mix", "share_power", "n_rows"):
            values[name] = getattr(self, name)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PartialFit:
        """Read what `to_dict` returned."""
        read, k = dict(values), len(values["prior"])
        for name in ("theta", "weights", "scores", "bias", "prior", "accuracy", "precision", "propensity"):
            read[name] = np.asarray(values[name], dtype=float)
        read["sets"] = np.asarray(values["sets"], dtype=bool).reshape(-1, k)
        read["bad"] = np.asarray(values["bad"], dtype=bool).reshape(-1, k)
        read["theta"] = read["theta"].reshape(-1, k, k)
        read["scores"] = read["scores"].reshape(-1, len(read["sets"]), k)
        read["precision"] = read["precision"].reshape(-1, k)
        read["counts"] = np.asarray(values["counts"], dtype=np.int64)
        return cls(**read)


def fit_partial(
    votes: np.ndarray,
    k: int,
    sets: np.ndarray | None = None,
    *,
    counts: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    balance: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    prior: np.ndarray | None = None,
    values: np.ndarray | None = None,
) -> PartialFit:
    """Fit the rates of sources from votes for classes and sets of classes.

    Parameters
    ----------
    votes : integer array of shape (p, m), rows or patterns; a class, k + i for set i, or -1 for abstain
    k : number of classes
    sets : bool array of shape (s, k), each with a class; None for no sets
    counts : float64 array of shape (p,), rows per pattern; 1 each if None
    confidence : float64 array of shape (p, m) in [0, 1]; 1 each if None. Ignored where a source abstains
    balance : float64 array of shape (k,), sums to 1; None if not known
    weights : float64 array of shape (m,), weight of each source; None is 1 / number of identical columns
    prior : float64 array of shape (k, k), [v, y] the share of class y among prior votes for v; None is 0.75 for
        y = v
    values : float64 array of shape (m, k, k), [j, v, y] more prior votes for v on rows of class y; they move what
        a source votes where it votes, and leave how often it votes

    Returns
    -------
    PartialFit
    """
    table = set_table(k, sets)
    trust = trust_of(votes, len(table), confidence)
    rows = np.ones(len(votes)) if counts is None else counts.astype(float)
    spread = accuracy_prior(k) if prior is None else prior
    given = np.full(k, 1 / k) if balance is None else np.asarray(balance, dtype=float)
    shared = copy_weights(votes, trust) if weights is None else np.ones(votes.shape[1])
    source_weights = shared if weights is None else weights
    shares = vote_shares(votes, table, trust, source_weights)
    covered = shares.sum(axis=1) > 0
    expected = _expected_votes(votes, table, trust, shares * rows[:, None], spread)
    classes = rows @ shares + rows[~covered].sum() * given
    fired = expected.sum(axis=2)
    added = PRIOR_STRENGTH * spread * (fired > 0)[:, :, None]
    theta = anchored_rates(expected, classes, fired, float(rows.sum()), given, added)
    if values is not None:
        theta = _shift_values(theta, expected + added, values * (fired > 0)[:, :, None])
    return _report(table, trust, rows, theta, source_weights, shared, given, known=balance is not None)


def partial_posterior(fit: PartialFit, votes: np.ndarray, confidence: np.ndarray | None = None) -> np.ndarray:
    """P(class | votes) of each row: float64 array of shape (n, k); `fit.prior` where uncovered.

    Parameters
    ----------
    votes : integer array of shape (n, m), codes as in `PartialFit`; -1 is abstain
    confidence : float64 array of shape (n, m) in [0, 1]; 1 each if None
    """
    if votes.ndim != 2 or votes.shape[1] != len(fit.theta):
        raise ValueError(f"votes {votes.shape} do not match {len(fit.theta)} sources")
    trust = trust_of(votes, len(fit.sets), confidence)
    logs = np.tile(fit.bias, (len(votes), 1))
    for j in range(votes.shape[1]):
        logs += trust[:, [j]] * fit.scores[j, votes[:, j]]
    logs *= fit.temperature
    mass: np.ndarray = np.exp(logs - logs.max(axis=1, keepdims=True))
    if fit.share_mix is not None:
        shares = vote_shares(votes, fit.sets, trust, fit.weights)
        mass *= (fit.share_mix * shares + (1 - fit.share_mix) / len(fit.prior)) ** fit.share_power
    mass /= mass.sum(axis=1, keepdims=True)
    mass[~(trust > 0).any(axis=1)] = fit.prior
    return mass


def set_accuracy(fit: PartialFit, votes: np.ndarray) -> np.ndarray:
    """P(the true class is among those voted | voted) of each source over its votes: float64 array of shape (m,).

    Parameters
    ----------
    votes : integer array of shape (n, m), codes as in `PartialFit`; -1 is abstain
    """
    shown = np.einsum("cv,jvy->jcy", fit.sets, fit.theta) * fit.prior
    total = shown.sum(axis=2)
    right = np.divide((shown * fit.sets).sum(axis=2), total, out=np.zeros_like(total), where=total > 0)
    found = fit.accuracy.copy()
    for j in range(votes.shape[1]):
        cast = np.bincount(votes[:, j] + 1, minlength=len(fit.sets) + 1)[1:]
        if cast.any():
            found[j] = cast @ right[j] / cast.sum()
    return found


def anchored_rates(
    votes: np.ndarray,
    classes: np.ndarray,
    fired: np.ndarray,
    n_rows: float,
    balance: np.ndarray,
    pseudo: np.ndarray,
) -> np.ndarray:
    """M-step of anchored Dawid-Skene with any prior votes.

    Parameters
    ----------
    votes : float64 array of shape (m, k, k), rows of class y where source j votes v
    classes : float64 array of shape (k,), rows of each class
    fired : float64 array of shape (m, k), votes by source and value
    balance : float64 array of shape (k,)
    pseudo : float64 array of shape (m, k, k), prior votes

    Returns
    -------
    float64 array of shape (m, k, k); the sum over v is below 1. The prior rows are rows where the source fires;
    the totals grow with them so that its coverage stays.
    """
    scale = n_rows / np.maximum(fired.sum(axis=1), 1.0)
    totals = np.maximum((pseudo.sum(axis=(1, 2)) * scale)[:, None] * balance, 1.02 * pseudo.sum(axis=1))
    theta = (votes + pseudo) / np.maximum(classes + totals, TINY)[:, None, :]
    mass = theta.sum(axis=1, keepdims=True)
    scaled: np.ndarray = theta * np.where(mass > 0.999, 0.999 / np.maximum(mass, TINY), 1.0)
    return scaled


def _shift_values(theta: np.ndarray, votes: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Theta with P(v | voted, y) counted from `votes` and `more` votes, and P(voted | y) as it was."""
    total = votes + more
    share = total / np.maximum(total.sum(axis=1, keepdims=True), TINY)
    shifted: np.ndarray = theta.sum(axis=1, keepdims=True) * share
    return shifted


def _expected_votes(
    votes: np.ndarray, table: np.ndarray, trust: np.ndarray, rows: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """Votes by source, class in mind and true class: float64 array of shape (m, k, k).

    Which class of a set the source had in mind follows the prior: P(v | S, y) = prior[v, y] / its sum over S.
    """
    m, (n_codes, k) = votes.shape[1], table.shape
    in_mind = table[:, :, None] * prior  # [code, v, y]
    in_mind /= np.maximum(in_mind.sum(axis=1, keepdims=True), TINY)
    totals = np.zeros((m, k, k))
    for j in range(m):
        by_code = np.empty((n_codes, k))
        for y in range(k):
            cells = np.bincount(votes[:, j] + 1, weights=trust[:, j] * rows[:, y], minlength=n_codes + 1)
            by_code[:, y] = cells[1:]
        totals[j] = np.einsum("cy,cvy->vy", by_code, in_mind)
    return totals


def _report(
    table: np.ndarray,
    trust: np.ndarray,
    rows: np.ndarray,
    theta: np.ndarray,
    weights: np.ndarray,
    shared: np.ndarray,
    balance: np.ndarray,
    *,
    known: bool,
) -> PartialFit:
    m, k = len(theta), theta.shape[1]
    bias = np.log(np.maximum(balance, TINY))
    mass = np.einsum("cv,jvy->jcy", table, theta)
    seen = mass.sum(axis=2, keepdims=True) > 0
    evidence = np.where(seen, np.log(mass + TINY), 0.0)
    bad = below_chance(bias, evidence[:, :k]) & seen[:, :k, 0]
    # Copies share the capped evidence of one source; other weights shrink the evidence before the cap.
    scores = evidence * (weights / shared)[:, None, None]
    scores[:, :k] = np.where(seen[:, :k], keep_unanimity(bias, scores[:, :k], bad), 0.0)
    scores *= shared[:, None, None]
    joint = theta * balance
    right, per_value = np.einsum("jvv->jv", joint), joint.sum(axis=2)
    total = per_value.sum(axis=1)
    counts = (trust > 0).T @ rows
    return PartialFit(
        table,
        theta,
        weights,
        scores,
        bias,
        balance,
        1.0 if known else PRODUCT_POWER,
        None if known else PRODUCT_MIX,
        0.0 if known else PRODUCT_POWER,
        bad,
        np.divide(right.sum(axis=1), total, out=np.full(m, float(accuracy_prior(k)[0, 0])), where=total > 0),
        np.divide(right, per_value, out=np.full((m, k), np.nan), where=per_value > 0),
        counts / max(float(rows.sum()), 1.0),
        np.rint(counts).astype(np.int64),
        round(float(rows.sum())),
    )
