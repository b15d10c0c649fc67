"""`fit`: the one way into the label model, by method name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wsdb.core.errors import SpecError, did_you_mean
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel.auto import Request, fit_auto, fit_majority
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.gold import GoldCounts

METHODS: dict[str, Callable[[Request], Fit]] = {"auto": fit_auto, "majority": fit_majority}
REGIMES = ("auto", "lf", "annotator")
BALANCE_TOLERANCE = 1e-3


def fit(
    patterns: VotePatterns,
    *,
    method: str = "auto",
    balance: np.ndarray | None = None,
    regime: str = "auto",
    gold: GoldCounts | None = None,
    labels: Sequence[str] | None = None,
) -> Fit:
    """Fit a label model to the patterns of a label matrix.

    Parameters
    ----------
    patterns : the label matrix, distinct rows of votes with counts; -1 is abstain
    method : "auto" or "majority"
    balance : float64 array of shape (k,), the class balance, sums to 1; None if not known
    regime : "auto" to detect it from the matrix, "lf" or "annotator" to force it
    gold : counts over rows of known class; corrects the vote rates, and gives the balance where none is
        passed
    labels : k class names for the notices; the class numbers if None

    Returns
    -------
    Fit

    Raises
    ------
    SpecError
        WS308 for an unknown method or regime; WS303 for a balance of the wrong length, with a share that is
        negative or not finite, or that does not sum to 1; WS320 for gold counts or labels that do not match.
    """
    _one_of("label model", method, tuple(METHODS))
    _one_of("regime", regime, REGIMES)
    k, m = patterns.n_classes, len(patterns.sources)
    if gold is not None and gold.votes.shape != (m, k, k):
        raise SpecError("WS320", f"gold counts {gold.votes.shape} do not match {m} sources, {k} classes")
    if labels is not None and len(labels) != k:
        raise SpecError("WS320", f"{len(labels)} labels do not match {k} classes")
    known = check_balance(balance, k) if balance is not None else None
    if known is None and gold is not None and gold.classes.sum() > 0:
        known = gold.balance
    names = labels if labels is not None else [str(y) for y in range(k)]
    return METHODS[method](Request(patterns, known, regime, gold, names))


def check_balance(balance: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the balance as float64, shape (k,), scaled to sum to 1; raise SpecError WS303 if it is none."""
    shares = np.asarray(balance, dtype=float)
    if shares.shape != (n_classes,):
        raise SpecError("WS303", f"the class balance has {shares.size} shares, the task has {n_classes} classes")
    total = float(shares.sum())
    if not np.isfinite(shares).all() or (shares < 0).any() or abs(total - 1) > BALANCE_TOLERANCE:
        raise SpecError("WS303", f"the shares of a class balance are at least 0 and sum to 1; they sum to {total:g}")
    return shares / total


def _one_of(what: str, word: str, choices: tuple[str, ...]) -> None:
    if word not in choices:
        hint = did_you_mean(word, choices) or f"one of {', '.join(choices)}"
        raise SpecError("WS308", f'unknown {what} "{word}"', hint=hint, choices=list(choices))
