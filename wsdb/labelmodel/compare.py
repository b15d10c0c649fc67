"""Compare: all label models on the same votes, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from wsdb.core.errors import WsdbError
from wsdb.core.matrix import SparseVotes, VotePatterns
from wsdb.labelmodel.abstains import abstain_evidence
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.gold import GoldCounts, GoldRows
from wsdb.labelmodel.methods import APPLIES, METHODS, check, fit_request
from wsdb.labelmodel.metrics import Scores, covered_rows, score
from wsdb.labelmodel.options import DEFAULTS, Options
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.score import choose, posterior
from wsdb.labelmodel.statistics import VoteTable, count_votes

SMOOTHING = 1.0
"""Rows added to each outcome of a source (its values and abstaining, evenly) where votes are judged."""

Evaluation = Mapping[str, tuple[VotePatterns | SparseVotes, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One label model on the votes.

    Attributes
    ----------
    method : its name
    chosen : what was fitted, as `Fit.chosen`; None if it failed, as the next figures
    selected : it is the model that the task uses
    reason : why it was chosen, or why it failed
    coverage : share of the rows with a label
    agreement : share of the covered rows whose label is that of the selected model; None also where that failed
    log_likelihood : mean log-likelihood of a covered row's votes, see `log_likelihood`
    scores : by evaluation split
    """

    method: str
    chosen: str | None
    selected: bool
    reason: str
    coverage: float | None = None
    agreement: float | None = None
    log_likelihood: float | None = None
    scores: Mapping[str, Scores] = field(default_factory=dict)


def compare(
    votes: VotePatterns | SparseVotes,
    *,
    method: str = "auto",
    methods: Sequence[str] | None = None,
    balance: np.ndarray | None = None,
    regime: str = "auto",
    gold: GoldCounts | GoldRows | None = None,
    labels: Sequence[str] | None = None,
    options: Options = DEFAULTS,
    dependencies: Sequence[tuple[str, str, str]] = (),
    evaluation: Evaluation | None = None,
) -> tuple[Comparison, ...]:
    """Fit every method to the votes; a method that fails has a row with its reason.

    Parameters
    ----------
    method : the model that the task uses; the others are compared with it
    methods : names of METHODS; None is all of them
    options : how to fit; a method is fitted without those that do not apply to it
    evaluation : by split, votes and the class of each pattern or listed row (see `metrics.score`)
    balance, regime, gold, labels, dependencies : see `methods.fit`

    Returns
    -------
    One row for each method, in the order of METHODS.

    Raises
    ------
    SpecError
        Where the arguments themselves do not match, as in `methods.fit`.
    """
    request, rows = check(
        votes, balance=balance, regime=regime, gold=gold, labels=labels, options=options, dependencies=dependencies
    )
    names = [name for name in METHODS if methods is None or name in methods or name == method]
    fits = {name: _tried(request, rows, name) for name in names}
    chosen = fits[method]
    answers = _labels(chosen, votes) if isinstance(chosen, Fit) else None
    return tuple(
        _failed(name, name == method, found)
        if isinstance(found, str)
        else _row(name, name == method, found, request.fired, votes, answers, evaluation or {})
        for name, found in fits.items()
    )


def log_likelihood(posteriors: np.ndarray, fired: VoteTable) -> float:
    """Mean log-likelihood of a covered row's votes, given the classes that a model gives the rows.

    The models differ in what they model: some have no rates, some none for abstains. So each is judged by its
    answers alone. Class shares pi and rates theta are counted anew from its posterior, SMOOTHING rows spread over
    the k + 1 outcomes of each source, and the votes of a row have likelihood

        sum over y of  pi[y]  product over j of  theta[j, v_j, y],   v_j a value or abstain, given that a source votes.

    The higher, the better do the classes explain which sources vote what, if sources are independent given the class.

    Parameters
    ----------
    posteriors : float64 array of shape (p, k), P(class | votes) of the patterns of `fired`
    """
    covered = fired.votes_per_pattern > 0
    weights = fired.counts * covered
    total = weights.sum()
    if total == 0:
        return float("nan")
    inside = posteriors * covered[:, None]
    k = fired.n_classes
    classes = fired.counts @ inside
    theta = (count_votes(fired, inside) + SMOOTHING / (k + 1)) / (classes + SMOOTHING)
    bias, evidence = abstain_evidence(theta, np.ones(fired.n_sources))
    share = np.maximum(classes / total, 1e-300)
    logs = fired.class_logs(evidence) + bias + np.log(share)
    logs -= (top := logs.max(axis=1, keepdims=True))
    rows = np.log(np.exp(logs).sum(axis=1)) + top[:, 0]
    # Only rows with a vote are looked at: their probability is divided by that of having one.
    silent = bias + np.log(share)
    voted = np.log(np.maximum(-np.expm1(np.minimum(np.logaddexp.reduce(silent), -1e-12)), 1e-300))
    return float(weights @ rows / total - voted)


def _tried(request: Request, rows: GoldRows | None, name: str) -> Fit | str:
    other = {option: getattr(DEFAULTS, option) for option in request.options.changed if option not in APPLIES[name]}
    try:
        return fit_request(replace(request, options=replace(request.options, **other)), rows, name)
    except WsdbError as error:
        return error.message
    except (ArithmeticError, ValueError, MemoryError, np.linalg.LinAlgError) as error:
        return f"{type(error).__name__}: {error}"


def _failed(name: str, selected: bool, reason: str) -> Comparison:
    return Comparison(name, None, selected, reason)


def _row(
    name: str,
    selected: bool,
    fit: Fit,
    fired: VoteTable,
    votes: VotePatterns | SparseVotes,
    answers: np.ndarray | None,
    evaluation: Evaluation,
) -> Comparison:
    probabilities = posterior(fit.form, votes if isinstance(votes, SparseVotes) else votes.votes)
    weights = votes.counts * covered_rows(votes)
    same = None
    if answers is not None and weights.any():
        same = float(weights @ (choose(fit.form, probabilities) == answers) / weights.sum())
    # Rows that are not listed have no votes.
    padded = np.concatenate([probabilities, np.tile(fit.prior, (len(fired.counts) - len(probabilities), 1))])
    return Comparison(
        name,
        fit.chosen,
        selected,
        fit.reason,
        float(weights.sum() / max(votes.n_rows, 1)),
        same,
        log_likelihood(padded, fired),
        {split: score(fit.form, rows, gold) for split, (rows, gold) in evaluation.items()},
    )


def _labels(fit: Fit, votes: VotePatterns | SparseVotes) -> np.ndarray:
    return choose(fit.form, posterior(fit.form, votes if isinstance(votes, SparseVotes) else votes.votes))
