"""`auto`: look at the matrix, pick the label model that fits it, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel.ads import TINY, Rates, class_posterior, fit_anchored, fit_annotators, score_table
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.gold import GoldCounts
from wsdb.labelmodel.majority import majority_form, precision_form
from wsdb.labelmodel.notices import BALANCE_UNKNOWN, chance_notice, guard_notice, source_notices
from wsdb.labelmodel.regimes import Profile, copies
from wsdb.labelmodel.score import TIE, ScoreForm
from wsdb.labelmodel.sources import report_sources
from wsdb.labelmodel.statistics import FiredVotes, Statistics, count_votes, vote_shares
from wsdb.labelmodel.unanimity import below_chance, keep_unanimity

ANNOTATOR_TEMPERATURE = 0.4
PRODUCT_MIX = 0.8
"""Share of the plain vote share, against a uniform one, in the product with majority vote."""
PRODUCT_POWER = 0.6
"""Exponent of the whole product; it flattens what counts the same votes twice."""
GUARD = 0.35
"""Largest tolerated share of rows whose clear majority the model contradicts."""


@dataclass(frozen=True, slots=True)
class Request:
    """A checked call of `fit`.

    Attributes
    ----------
    patterns : the label matrix
    balance : float64 array of shape (k,) or None if neither given nor counted from gold rows
    regime : "auto", "lf" or "annotator"
    gold : counts over gold rows, or None
    labels : k class names for notices
    """

    patterns: VotePatterns
    balance: np.ndarray | None
    regime: str
    gold: GoldCounts | None
    labels: Sequence[str]


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


def fit_majority(request: Request) -> Fit:
    """Majority vote: the posterior is the vote share; accuracy is agreement with it, own vote included."""
    patterns = request.patterns
    fired = FiredVotes.of(patterns)
    prior = _known_or_uniform(request)
    form = majority_form(len(patterns.sources), prior)
    expected = count_votes(fired, vote_shares(fired))
    blank = _blank(request, "majority", fired, form, expected)
    reason = "Majority vote was asked for: every vote counts the same."
    return replace(blank, chosen="majority", reason=reason)


def fit_auto(request: Request) -> Fit:
    """Fit the label model that suits the matrix."""
    patterns = request.patterns
    fired = FiredVotes.of(patterns)
    copy_of = copies(patterns.votes)
    profile = Profile.of(patterns, fired, copy_of)
    regime = profile.regime if request.regime == "auto" else request.regime
    why = profile.unidentifiable
    if why is not None or patterns.n_classes < 2:
        return _fit_unidentifiable(request, fired, regime, why or "the task has one class")
    because = _because(profile, regime, forced=request.regime != "auto")
    if regime == "annotator":
        return _fit_annotator_regime(request, fired, because)
    return _fit_lf_regime(request, fired, copy_of, because)


def _fit_lf_regime(request: Request, fired: FiredVotes, copy_of: np.ndarray, because: str) -> Fit:
    # Copies are fitted as one source and then share its weight: an exact copy changes nothing.
    distinct = fired.select(copy_of == np.arange(fired.n_sources))
    statistics = Statistics.of_votes(distinct)

    def fit_at(balance: np.ndarray) -> Model:
        return _share_copies(fit_anchored(distinct, statistics, balance, request.gold), copy_of, balance)

    uniform = fit_at(np.full(fired.n_classes, 1 / fired.n_classes))
    model = uniform if request.balance is None else fit_at(request.balance)
    contradicted = contradiction(fired, model)
    guarded = contradicted > GUARD
    product = guarded or request.balance is None
    if guarded:
        # A balance that the votes contradict is left out of the scores; uncovered rows and ties follow it.
        model = replace(uniform, form=replace(uniform.form, prior=model.form.prior))
    form = with_vote_share(model.form, model.shared) if product else model.form
    fit = _of_model(request, "lf", fired, replace(model, form=form))
    known = "the class balance is known" if request.balance is not None else "the class balance is not known"
    return replace(
        fit,
        chosen="ads x majority" if product else "ads",
        reason=f"{because}; {known}, so accuracies are read off the agreement between sources"
        + (" and the result is multiplied with the vote shares." if product else "."),
        training_form=form if guarded else uniform.form,
        notices=fit.notices + ((guard_notice(contradicted),) if guarded else ()),
    )


def _fit_annotator_regime(request: Request, fired: FiredVotes, because: str) -> Fit:
    covered = fired.votes_per_pattern > 0
    # One row is added per class.
    votes = fired.counts @ vote_shares(fired) + 1.0
    counted = votes / (fired.counts[covered].sum() + fired.n_classes)
    balance = counted if request.balance is None else request.balance
    model = _model(fit_annotators(fired, balance, request.gold), balance, given_fired=True)
    contradicted = contradiction(fired, model)
    guarded = contradicted > GUARD
    flat = replace(model.form, temperature=ANNOTATOR_TEMPERATURE)
    fit = _of_model(request, "annotator", fired, replace(model, form=with_vote_share(model.form) if guarded else flat))
    return replace(
        fit,
        chosen="annotator x majority" if guarded else "annotator",
        reason=f"{because}; accuracies are estimated by expectation-maximisation near the vote shares.",
        notices=fit.notices + ((guard_notice(contradicted),) if guarded else ()),
    )


def _fit_unidentifiable(request: Request, fired: FiredVotes, regime: str, why: str) -> Fit:
    prior = _known_or_uniform(request)
    form = precision_form(fired.n_sources, prior)
    none = np.zeros(form.scores.shape[:2], dtype=bool)
    form = replace(form, scores=keep_unanimity(form.bias, form.scores, none))
    blank = _blank(request, regime, fired, form, None)
    return replace(
        blank,
        chosen="majority-precision",
        reason=f"Accuracies cannot be estimated because {why}: every vote counts as right 3 times out of 4.",
        notices=(*blank.notices, f"accuracies cannot be estimated: {why}"),
    )


def _share_copies(rates: Rates, copy_of: np.ndarray, balance: np.ndarray) -> Model:
    one = _model(Rates(rates.theta[copy_of], rates.weights[copy_of]), balance, given_fired=False)
    if (copy_of == np.arange(len(copy_of))).all():
        return one
    shared = 1 / np.bincount(copy_of, minlength=len(copy_of))[copy_of]
    return replace(
        one,
        rates=replace(one.rates, weights=one.rates.weights * shared),
        form=replace(one.form, scores=one.form.scores * shared[:, None, None]),
        shared=shared,
    )


def _model(rates: Rates, balance: np.ndarray, *, given_fired: bool) -> Model:
    bias = np.log(np.maximum(balance, TINY))
    evidence = score_table(replace(rates, weights=np.ones_like(rates.weights)), given_fired=given_fired)
    seen = rates.theta.sum(axis=2) > 0
    bad = below_chance(bias, evidence) & seen
    scores = keep_unanimity(bias, score_table(rates, given_fired=given_fired), bad)
    # A vote never seen in training says nothing, also after the cap.
    scores = np.where(seen[:, :, None], scores, 0.0)
    return Model(rates, ScoreForm(bias, scores, 1.0, None, 0.0, balance), bad, None)


def with_vote_share(form: ScoreForm, weights: np.ndarray | None = None) -> ScoreForm:
    """The form multiplied with the smoothed vote share and flattened."""
    return replace(
        form,
        temperature=PRODUCT_POWER,
        share_mix=PRODUCT_MIX,
        share_power=PRODUCT_POWER,
        share_weights=weights,
    )


def contradiction(fired: FiredVotes, model: Model) -> float:
    """Share, in [0, 1], of the rows with a strict majority of votes whose likeliest class is another."""
    form = model.form
    shares = vote_shares(fired, model.shared)
    clear = shares.max(axis=1) > 0.5
    total = float(fired.counts[clear].sum())
    if total == 0:
        return 0.0
    probabilities = class_posterior(fired, form.scores, np.exp(form.bias))
    majority = probabilities[np.arange(len(shares)), shares.argmax(axis=1)]
    against = clear & (probabilities.max(axis=1) > majority + TIE)
    return float(fired.counts[against].sum()) / total


def _of_model(request: Request, regime: str, fired: FiredVotes, model: Model) -> Fit:
    expected = model.rates.theta * np.exp(model.form.bias)
    blank = _blank(request, regime, fired, model.form, expected)
    worse = chance_notice(model.bad, blank.precision, request.patterns.sources, request.labels)
    return replace(blank, theta=model.rates.theta, weights=model.rates.weights, notices=(*blank.notices, *worse))


def _blank(request: Request, regime: str, fired: FiredVotes, form: ScoreForm, expected: np.ndarray | None) -> Fit:
    """A fit with everything that does not depend on the model chosen."""
    patterns = request.patterns
    emitted = fired.table
    report = report_sources(expected, emitted, float(patterns.n_rows))
    covered = fired.counts[fired.votes_per_pattern > 0]
    notices = source_notices(emitted, copies(patterns.votes), patterns.sources, request.labels)
    known = request.balance is not None
    return Fit(
        method="majority" if regime == "majority" else "auto",
        chosen="",
        reason="",
        regime=regime,
        sources=patterns.sources,
        n_classes=patterns.n_classes,
        n_rows=patterns.n_rows,
        n_patterns=len(patterns.counts),
        largest_pattern=float(covered.max() / covered.sum()) if len(covered) else 0.0,
        prior=form.prior,
        theta=None,
        weights=np.ones(fired.n_sources),
        accuracy=report.accuracy,
        precision=report.precision,
        propensity=report.propensity,
        stderr=report.stderr,
        counts=report.counts,
        notices=tuple(notices if known or regime == "annotator" else [BALANCE_UNKNOWN, *notices]),
        form=form,
        training_form=form,
        balance_known=known,
    )


def _known_or_uniform(request: Request) -> np.ndarray:
    k = request.patterns.n_classes
    return np.full(k, 1 / k) if request.balance is None else request.balance


def _because(profile: Profile, regime: str, *, forced: bool) -> str:
    if regime == "annotator":
        start = "The sources are treated as annotators"
        facts = f"{1 - profile.unipolar_votes:.0%} of the votes come from sources that use several classes"
        facts += f" and {profile.overlap:.0%} of the rows have two votes or more"
    else:
        start = "The sources are treated as labeling functions"
        facts = f"{profile.unipolar_votes:.0%} of the votes come from sources that vote one class"
        facts += f" and {profile.overlap:.0%} of the rows have two votes or more"
    return f"{start}, as asked" if forced else f"{start} because {facts}"
