"""From rates to a Fit: the steps that the methods share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsdb.labelmodel.ads import Rates, score_table
from wsdb.labelmodel.dependencies import Dependency, dependency_weights, report
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.notices import BALANCE_UNKNOWN, chance_notice, source_notices
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.rows import TINY
from wsdb.labelmodel.score import ScoreForm
from wsdb.labelmodel.sources import report_sources
from wsdb.labelmodel.statistics import VoteTable, vote_shares
from wsdb.labelmodel.unanimity import below_chance, keep_unanimity


@dataclass(frozen=True, slots=True)
class Model:
    """Rates of all sources, copies included, and the form they give.

    Attributes
    ----------
    bad : bool array of shape (m, k), votes below chance
    shared : float64 array of shape (m,), 1 / number of copies of a source; None without copies
    """

    rates: Rates
    form: ScoreForm
    bad: np.ndarray
    shared: np.ndarray | None


def model_of(rates: Rates, balance: np.ndarray, *, given_fired: bool) -> Model:
    """The model whose evidence is the log of its rates."""
    bias = np.log(np.maximum(balance, TINY))
    evidence = score_table(replace(rates, weights=np.ones_like(rates.weights)), given_fired=given_fired)
    return model_of_scores(rates, evidence, bias, balance)


def model_of_scores(rates: Rates, evidence: np.ndarray, bias: np.ndarray, balance: np.ndarray) -> Model:
    """The model with given evidence of each vote.

    Parameters
    ----------
    evidence : float64 array of shape (m, k, k), [j, v, y] log-likelihood of the vote, without weights
    bias : float64 array of shape (k,), what each class has before any vote
    balance : float64 array of shape (k,), the class balance
    """
    seen = rates.theta.sum(axis=2) > 0
    bad = below_chance(np.log(np.maximum(balance, TINY)), evidence) & seen
    scores = keep_unanimity(bias, rates.weights[:, None, None] * evidence, bad)
    # A vote never seen in training says nothing, also after the cap.
    scores = np.where(seen[:, :, None], scores, 0.0)
    return Model(rates, ScoreForm(bias, scores, 1.0, None, 0.0, balance), bad, None)


def share_copies(model: Model, copy_of: np.ndarray) -> Model:
    """Let the sources with equal votes (`copy_of`, int64, shape (m,)) share the evidence of one."""
    if (copy_of == np.arange(len(copy_of))).all():
        return model
    shared = 1 / np.bincount(copy_of, minlength=len(copy_of))[copy_of]
    return replace(
        model,
        rates=Rates(model.rates.theta[copy_of], model.rates.weights[copy_of] * shared),
        form=replace(model.form, scores=model.form.scores[copy_of] * shared[:, None, None]),
        bad=model.bad[copy_of],
        shared=shared,
    )


def assumed_balance(request: Request, regime: str) -> tuple[np.ndarray, str]:
    """The class balance to fit at, float64 array of shape (k,), and in words where it is from."""
    if request.balance is not None:
        return request.balance, "given"
    # Annotators use every class as often as it occurs, about; functions for one class each say nothing of it.
    if regime == "annotator":
        return counted_balance(request.fired), "taken from the vote shares"
    return request.uniform, "taken as uniform"


def counted_balance(fired: VoteTable) -> np.ndarray:
    """Vote shares of the covered rows, one row added per class: float64 array of shape (k,), sums to 1."""
    covered = fired.votes_per_pattern > 0
    votes = fired.counts @ vote_shares(fired) + 1.0
    balance: np.ndarray = votes / (fired.counts[covered].sum() + fired.n_classes)
    return balance


def given_weights(request: Request) -> np.ndarray:
    """Weights of annotators by the given pairs alone: float64 array of shape (m,)."""
    table = request.table
    blank = np.zeros((*table.shape, table.shape[1]))
    n_rows = float(max(request.n_rows, 1))
    return dependency_weights(blank, table, PairCounts.empty(), n_rows, request.uniform, request.used)


def fit_of(request: Request, regime: str, model: Model, learned: Sequence[Dependency] = ()) -> Fit:
    """The fit of a model; `chosen` and `reason` are left to the method."""
    expected = model.rates.theta * model.form.prior
    blank = blank_fit(request, regime, model.form, expected, learned)
    worse = chance_notice(model.bad, blank.precision, request.patterns.sources, request.labels)
    return replace(blank, theta=model.rates.theta, weights=model.rates.weights, notices=(*blank.notices, *worse))


def blank_fit(
    request: Request,
    regime: str,
    form: ScoreForm,
    expected: np.ndarray | None,
    learned: Sequence[Dependency] = (),
) -> Fit:
    """A fit with everything that does not depend on the model chosen."""
    patterns, emitted = request.patterns, request.table
    sources = report_sources(expected, emitted, float(request.n_rows))
    notices = source_notices(emitted, request.copy_of, patterns.sources, request.labels, shared=request.options.learns)
    voting = emitted.sum(axis=1) > 0
    known = request.balance is not None
    return Fit(
        method=request.method,
        chosen="",
        reason="",
        regime=regime,
        sources=patterns.sources,
        n_classes=patterns.n_classes,
        n_rows=request.n_rows,
        n_patterns=request.n_patterns,
        largest_pattern=request.largest_pattern,
        prior=form.prior,
        theta=None,
        weights=np.ones(len(emitted)),
        accuracy=sources.accuracy,
        precision=sources.precision,
        propensity=sources.propensity,
        stderr=sources.stderr,
        counts=sources.counts,
        notices=tuple(notices if known or regime == "annotator" else [BALANCE_UNKNOWN, *notices]),
        form=form,
        training_form=form,
        balance_known=known,
        dependencies=report(request.given, request.merged, learned, voting, patterns.sources),
    )
