"""`auto`: look at the matrix, pick the label model that fits it, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsdb.labelmodel.abstains import with_abstains
from wsdb.labelmodel.ads import MAX_ITERATIONS, TOLERANCE, Rates, fit_anchored, fit_annotators
from wsdb.labelmodel.assemble import Model, counted_balance, fit_of, given_weights, model_of, share_copies
from wsdb.labelmodel.balance import (
    LADDER,
    TILTED,
    damped,
    differing,
    held_out_information,
    label_shares,
    sample,
    settle,
    settle_majority,
)
from wsdb.labelmodel.dependencies import GivenPairs, learned_edges
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.majority import fit_unidentifiable
from wsdb.labelmodel.moments_balance import moment_balance
from wsdb.labelmodel.notices import balance_notice, guard_notice, listed
from wsdb.labelmodel.regimes import Profile
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.rows import row_max, softmax
from wsdb.labelmodel.score import TIE, ScoreForm
from wsdb.labelmodel.statistics import Statistics, VoteTable, count_shares, vote_shares
from wsdb.labelmodel.summary import Sampled, thin

ANNOTATOR_TEMPERATURE = 0.4
PRODUCT_MIX = 0.8
"""Share of the plain vote share, against a uniform one, in the product with majority vote."""
PRODUCT_POWER = 0.6
"""Exponent of the whole product; it flattens what counts the same votes twice."""
OPEN = 0.05
"""Least share of the rows whose labels hang on the balance that is worth a notice."""
SKEWED = 0.15
"""How far a share that the votes tell has to be from the uniform one to be used on labeling functions.

Nearer ones are within what dependent functions move the estimate by, and the product with majority vote does as well
there: examples/phishing, whose classes are 47 and 53 %, was told 40 and 60 and fell below majority vote by it.
"""
GUARD = 0.35
"""Largest tolerated share of rows whose clear majority the model contradicts."""
REWRITTEN = 0.09
"""Largest share of the rows with a vote on which end models learn another label than the task has.

Public sets are at 0 to 0.04, and train better at a uniform balance (trec 70.5 against 66.3, mushroom 91.5 against
90.1). With rare positives it can turn the fit round: bench/quality_rare.py.
"""
STARVED = 0.1
"""Least part of its share of the rows that each class must have in labels for end models to learn them."""


def fit_auto(request: Request) -> Fit:
    """Fit the label model that suits the matrix."""
    profile = request.profile
    regime = profile.regime if request.regime == "auto" else request.regime
    why = profile.unidentifiable
    if why is not None or request.n_classes < 2:
        return fit_unidentifiable(request, regime, why or "the task has one class")
    because = _because(profile, regime, forced=request.regime != "auto")
    if regime == "annotator":
        return _fit_annotator_regime(request, because)
    return _fit_lf_regime(request, because)


@dataclass(frozen=True, slots=True)
class _Fitter:
    """Fits one table of votes, copies left out, at any balance.

    Attributes
    ----------
    statistics : of all rows
    given : pairs of its sources that are known to depend on each other
    drawn : the plain counts of `votes` where they are a sample of the rows
    """

    request: Request
    votes: VoteTable
    statistics: Statistics
    given: GivenPairs
    drawn: Sampled | None = None

    @classmethod
    def of(cls, request: Request, votes: VoteTable, given: GivenPairs) -> _Fitter:
        learns = request.options.learns
        return cls(request, votes, Statistics.of_votes(votes) if learns else Statistics.without_pairs(votes), given)

    @classmethod
    def of_request(cls, request: Request) -> _Fitter:
        """The fitter of all rows of a request; copies are left out, and of very many patterns a sample is read."""
        given, kept = request.used.merged(request.merged), request.merged == np.arange(request.fired.n_sources)
        votes = request.fired.select(kept)
        if request.summary is not None:
            statistics, step = request.summary.statistics.among(kept), request.summary.step
        else:
            statistics = cls.of(request, votes, given).statistics
            votes, step = thin(votes)
        drawn = Sampled(*count_shares(votes), float(step)) if step > 1 else None
        return cls(request, votes, statistics, given, drawn)

    def sampled(self) -> _Fitter:
        """The fitter of some of the votes, on which models are compared."""
        some = sample(self.votes)
        return self if some is self.votes else _Fitter.of(self.request, some, self.given)

    def rates(self, balance: np.ndarray, majority: float = 0.0) -> Rates:
        """Rates at a balance, read off the vote shares; those read off the majority weigh `majority` in the mean."""
        if 0 < majority < 1:
            shares, sharp = self.rates(balance, 0.0), self.rates(balance, 1.0)
            theta = (1 - majority) * shares.theta + majority * sharp.theta
            return Rates(theta, (1 - majority) * shares.weights + majority * sharp.weights)
        return fit_anchored(
            self.votes,
            self.statistics,
            balance,
            self.request.gold,
            learned=self.request.options.learns,
            given=self.given,
            majority=majority > 0,
            sampled=self.drawn,
        )

    def model(self, rates: Rates, balance: np.ndarray) -> Model:
        model = model_of(rates, balance, given_fired=False)
        return with_abstains(model, balance) if self.request.options.abstain_informative else model

    def at(self, balance: np.ndarray, majority: float = 0.0) -> Model:
        return self.model(self.rates(balance, majority), balance)


def _fit_lf_regime(request: Request, because: str) -> Fit:
    # Copies are fitted as one source and then share its weight: an exact copy changes nothing.
    fitter, copy_of = _Fitter.of_request(request), request.merged
    even = fitter.at(request.uniform)
    tilt = majority = open_share = 0.0
    told = moment_balance(fitter.votes, fitter.statistics) if request.balance is None else None
    if told is not None and np.abs(told - request.uniform).max() < SKEWED:
        told = None
    balance = request.balance if told is None else told
    if balance is not None:
        found, majority = _fit_known(fitter, balance)
        model = share_copies(found, copy_of)
    else:
        found, tilt, open_share = _fit_tilted(fitter)
        # The balance is unknown still: uncovered rows and ties follow the uniform one.
        model = share_copies(found, copy_of)
        model = replace(model, form=replace(model.form, prior=request.uniform))
    contradicted = contradiction(fitter.votes, found)
    guarded = contradicted > GUARD
    product = guarded or request.balance is None
    statistics = fitter.statistics
    edges = learned_edges(
        model.rates.theta, statistics.pairs, statistics.n_rows, model.form.prior, request.patterns.sources
    )
    if guarded and request.balance is not None:
        # A balance that the votes contradict is left out of the scores; uncovered rows and ties follow it.
        uniform = share_copies(even, copy_of)
        model, majority = replace(uniform, form=replace(uniform.form, prior=model.form.prior)), 0.0
    form = with_vote_share(model.form, model.shared) if product else model.form
    training = _for_training(fitter, even, found)
    rewritten = _rewritten(fitter, training.form, with_vote_share(found.form) if product else found.form)
    fit = fit_of(request, "lf", replace(model, form=form), edges)
    known = f"the class balance is {'not ' if request.balance is None else ''}known"
    known += f"; {said(told, request.labels)}" if told is not None else ""
    known += " and follows the vote shares, with which sources predict each other better" if tilt > TILTED else ""
    source = "the agreement between sources"
    source += ", counted against the majority of each row," if majority > TILTED else ""
    return replace(
        fit,
        chosen="ads x majority" if product else "ads",
        reason=f"{because}; {known}, so accuracies are read off {source}"
        + (" and the result is multiplied with the vote shares." if product else "."),
        training_form=form if guarded or rewritten else share_copies(training, copy_of).form,
        notices=fit.notices
        + ((guard_notice(contradicted),) if guarded else ())
        + ((balance_notice(open_share),) if open_share >= OPEN else ()),
    )


def _fit_known(fitter: _Fitter, balance: np.ndarray) -> tuple[Model, float]:
    """Fit at a known balance: the model, and how much of it is read off the majority of each row (see `balance`)."""
    some = fitter.sampled()
    information = [held_out_information(some.votes, some.at(balance, majority).form) for majority in (0.0, 1.0)]
    majority = settle_majority(*information)
    return fitter.at(balance, majority), majority


def _for_training(fitter: _Fitter, even: Model, found: Model) -> Model:
    """The model at a uniform class balance that end models are trained on, so that rare classes stay represented.

    Its rates are those fitted at a uniform balance, or `found` at another one if sources predict each other better
    with these: on skewed votes that mostly agree, a uniform balance takes the agreement that the class causes for
    dependence.
    """
    uniform, some = fitter.request.uniform, fitter.sampled()
    other = fitter.model(found.rates, uniform)
    information = [held_out_information(some.votes, one.form) for one in (even, other)]
    return other if settle_majority(*information) >= 0.5 else even


def _rewritten(fitter: _Fitter, training: ScoreForm, own: ScoreForm) -> bool:
    """Return whether end models would learn labels that are not the task's `own`, which leave no class out."""
    votes = fitter.sampled().votes
    if differing(votes, training, own) <= REWRITTEN:
        return False
    return bool((label_shares(votes, own) >= STARVED * own.prior).all())


def _fit_tilted(fitter: _Fitter) -> tuple[Model, float, float]:
    """Fit without a balance: the model, the exponent of the vote shares in its balance (see `balance`), and `open`.

    The share of the rows with a vote whose label hangs on the balance: another one at even shares than at vote shares.
    """
    shares, some = fitter.statistics.classes, fitter.sampled()
    tried = {exponent: some.rates(damped(shares, exponent)) for exponent, _ in LADDER}
    forms = [with_vote_share(some.model(tried[rates], damped(shares, answer)).form) for rates, answer in LADDER]
    exponent, answer = settle([held_out_information(some.votes, form) for form in forms])
    model = fitter.model(fitter.rates(damped(shares, exponent)), damped(shares, answer))
    return model, answer, differing(some.votes, forms[0], forms[LADDER.index((1.0, 1.0))])


def _fit_annotator_regime(request: Request, because: str) -> Fit:
    fired, options = request.fired, request.options
    told = None
    if request.balance is None:
        distinct = fired.select(request.copy_of == np.arange(fired.n_sources))
        told = moment_balance(distinct, Statistics.without_pairs(distinct))
    balance = counted_balance(fired) if request.balance is None else request.balance
    balance = balance if told is None else told
    rates = fit_annotators(
        fired,
        balance,
        request.gold,
        weights=given_weights(request),
        max_iter=options.max_iter or MAX_ITERATIONS,
        tol=TOLERANCE if options.tol is None else options.tol,
    )
    model = model_of(rates, balance, given_fired=True)
    contradicted = contradiction(fired, model)
    guarded = contradicted > GUARD
    flat = replace(model.form, temperature=ANNOTATOR_TEMPERATURE)
    form = with_vote_share(model.form) if guarded else flat
    fit = fit_of(request, "annotator", replace(model, form=form))
    return replace(
        fit,
        chosen="annotator x majority" if guarded else "annotator",
        reason=f"{because}; accuracies are estimated by expectation-maximisation near the vote shares"
        + (f"; {said(told, request.labels)}." if told is not None else "."),
        notices=fit.notices + ((guard_notice(contradicted),) if guarded else ()),
    )


def with_vote_share(form: ScoreForm, weights: np.ndarray | None = None) -> ScoreForm:
    """The form multiplied with the smoothed vote share and flattened."""
    return replace(
        form,
        temperature=PRODUCT_POWER,
        share_mix=PRODUCT_MIX,
        share_power=PRODUCT_POWER,
        share_weights=weights,
    )


def contradiction(fired: VoteTable, model: Model) -> float:
    """Share, in [0, 1], of the rows with a strict majority of votes whose likeliest class is another."""
    form = model.form
    shares = vote_shares(fired, model.shared)
    clear = row_max(shares) > 0.5
    total = float(fired.counts[clear].sum())
    if total == 0:
        return 0.0
    probabilities = softmax(fired.class_logs(form.scores) + form.bias)
    # Where a majority is clear, it is the one class with a share above a half.
    majority = row_max(np.where(shares > 0.5, probabilities, 0.0))
    against = clear & (row_max(probabilities) > majority + TIE)
    return float(fired.counts[against].sum()) / total


def said(balance: np.ndarray, labels: Sequence[str]) -> str:
    """Say which class balance the votes tell (see `moments_balance`)."""
    shares = [f"{label!r} {share:.2f}" for label, share in zip(labels, balance.tolist(), strict=True)]
    return f"the votes of three groups of sources at a time tell the balance as {listed(shares)}"


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
