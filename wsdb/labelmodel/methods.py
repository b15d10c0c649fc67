"""`fit`: the one way into the label model, by method name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from wsdb.core.errors import SpecError, did_you_mean
from wsdb.core.matrix import SparseVotes, VotePatterns
from wsdb.labelmodel.auto import fit_auto
from wsdb.labelmodel.calibrate import calibrated
from wsdb.labelmodel.dawid_skene import fit_dawid_skene
from wsdb.labelmodel.dependencies import GivenPairs
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.gold import GoldCounts, GoldRows
from wsdb.labelmodel.ibcc import fit_ibcc
from wsdb.labelmodel.majority import fit_majority
from wsdb.labelmodel.matrix_completion import fit_matrix
from wsdb.labelmodel.options import DEFAULTS, Options
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.statistics import read_votes
from wsdb.labelmodel.summary import Summary
from wsdb.labelmodel.triplet import fit_triplet
from wsdb.labelmodel.weighted_majority import fit_weighted_majority

METHODS: dict[str, Callable[[Request], Fit]] = {
    "auto": fit_auto,
    "majority": fit_majority,
    "weighted_majority": fit_weighted_majority,
    "dawid_skene": fit_dawid_skene,
    "ibcc": fit_ibcc,
    "triplet": fit_triplet,
    "matrix": fit_matrix,
}
EVERY = frozenset({"prior", "calibrate"})
ITERATIVE = EVERY | {"regime", "max_iter", "tol", "structure"}
APPLIES: dict[str, frozenset[str]] = {
    "auto": ITERATIVE | {"abstain_informative"},
    "majority": EVERY,
    "weighted_majority": EVERY | {"regime", "structure"},
    "dawid_skene": ITERATIVE | {"abstain_informative"},
    "ibcc": ITERATIVE,
    "triplet": EVERY | {"regime", "structure"},
    "matrix": ITERATIVE,
}
"""The options that each method knows; any other one must be at its default."""
REGIMES = ("auto", "lf", "annotator")
BALANCE_TOLERANCE = 1e-3


def fit(
    patterns: VotePatterns | SparseVotes | Summary,
    *,
    method: str = "auto",
    balance: np.ndarray | None = None,
    regime: str = "auto",
    gold: GoldCounts | GoldRows | None = None,
    labels: Sequence[str] | None = None,
    options: Options = DEFAULTS,
    dependencies: Sequence[tuple[str, str, str]] = (),
) -> Fit:
    """Fit a label model to the patterns of a label matrix.

    Parameters
    ----------
    patterns : the label matrix: distinct rows of votes with counts (-1 is abstain), or a list of votes; or a
        summary of it, where `summary.fits_some`
    method : a name of METHODS
    balance : float64 array of shape (k,), the class balance, sums to 1; None if not known
    regime : "auto" to detect it from the matrix, "lf" or "annotator" to force it
    gold : rows of known class, or counts over them; they correct the vote rates, and give the balance where none
        is passed; rows also calibrate the probabilities
    labels : k class names for the notices; the class numbers if None
    options : how to fit
    dependencies : (source, source, reason) of pairs that are known to depend on each other; the reason is "declared"
        or why it is thought so

    Returns
    -------
    Fit

    Raises
    ------
    SpecError
        WS308 for an unknown method or regime; WS303 for a balance of the wrong length, with a share that is
        negative or not finite, or that does not sum to 1; WS320 for gold counts, labels, dependencies or options
        that do not match.
    """
    request, rows = check(
        patterns, balance=balance, regime=regime, gold=gold, labels=labels, options=options, dependencies=dependencies
    )
    return fit_request(request, rows, method)


def check(
    patterns: VotePatterns | SparseVotes | Summary,
    *,
    balance: np.ndarray | None,
    regime: str,
    gold: GoldCounts | GoldRows | None,
    labels: Sequence[str] | None,
    options: Options,
    dependencies: Sequence[tuple[str, str, str]],
) -> tuple[Request, GoldRows | None]:
    """Check the arguments of `fit`, all but the method, and read the votes."""
    _one_of("regime", regime, REGIMES)
    summary = patterns if isinstance(patterns, Summary) else None
    patterns = patterns.some if isinstance(patterns, Summary) else patterns
    k, m = patterns.n_classes, len(patterns.sources)
    rows = gold if isinstance(gold, GoldRows) else None
    if rows is not None and rows.votes.shape[1] != m:
        raise SpecError("WS320", f"gold rows of {rows.votes.shape[1]} sources do not match {m} sources")
    counts = gold.counts(k) if isinstance(gold, GoldRows) else gold
    if counts is not None and counts.votes.shape != (m, k, k):
        raise SpecError("WS320", f"gold counts {counts.votes.shape} do not match {m} sources, {k} classes")
    if labels is not None and len(labels) != k:
        raise SpecError("WS320", f"{len(labels)} labels do not match {k} classes")
    fired = read_votes(patterns)
    request = Request(
        "auto",
        patterns,
        fired,
        fired.copies() if summary is None else summary.copy_of,
        _balance(balance, counts, options, k),
        regime,
        counts,
        labels if labels is not None else [str(y) for y in range(k)],
        options,
        GivenPairs.of(dependencies, patterns.sources),
        summary,
    )
    return request, rows


def fit_request(request: Request, rows: GoldRows | None, method: str) -> Fit:
    """Fit a checked request by a method; `rows` calibrate it."""
    _one_of("label model", method, tuple(METHODS))
    extra = [name for name in request.options.changed if name not in APPLIES[method]]
    if extra:
        known = ", ".join(sorted(APPLIES[method]))
        raise SpecError("WS320", f"option {extra[0]} does not apply to {method}", hint=f"{method} knows {known}")
    fitted = METHODS[method](replace(request, method=method))
    return calibrated(fitted, rows) if rows is not None and request.options.calibrate else fitted


def check_balance(balance: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the balance as float64, shape (k,), scaled to sum to 1; raise SpecError WS303 if it is none."""
    shares = np.asarray(balance, dtype=float)
    if shares.shape != (n_classes,):
        raise SpecError("WS303", f"the class balance has {shares.size} shares, the task has {n_classes} classes")
    total = float(shares.sum())
    if not np.isfinite(shares).all() or (shares < 0).any() or abs(total - 1) > BALANCE_TOLERANCE:
        raise SpecError("WS303", f"the shares of a class balance are at least 0 and sum to 1; they sum to {total:g}")
    return shares / total


def _balance(
    declared: np.ndarray | None, gold: GoldCounts | None, options: Options, n_classes: int
) -> np.ndarray | None:
    known = check_balance(declared, n_classes) if declared is not None else None
    if options.prior == "uniform":
        return np.full(n_classes, 1 / n_classes)
    if options.prior == "declared" and known is None:
        raise SpecError("WS303", "prior = 'declared' needs a class balance", hint="give the task a CLASS BALANCE")
    if known is None and gold is not None and gold.classes.sum() > 0:
        return gold.balance
    return known


def _one_of(what: str, word: str, choices: tuple[str, ...]) -> None:
    if word not in choices:
        hint = did_you_mean(word, choices) or f"one of {', '.join(choices)}"
        raise SpecError("WS308", f'unknown {what} "{word}"', hint=hint, choices=list(choices))
