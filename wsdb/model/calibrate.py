"""Calibration of logits: a temperature on held-out labels, offsets towards a known class balance, and thresholds.

Prediction is softmax(z / T + s b): z logits, T temperature, b offsets of prior matching, s the share of them
applied. The softmax runs over the labels; of a bitvector over (no, yes) of each label, with logits (0, z); of a select
task over the elements of a row, with the logits of 'yes'. `cases` brings all of them to one form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_PADDING = -1e30  # logit of an element that is not there: finite, so that 0 times it is 0

_LOWEST, _HIGHEST = 0.05, 20.0  # temperatures
_ROUNDS = 60  # of bisection at the worst; Newton's method takes some six
_DECISION = 10.0


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, float64 (n, k)."""
    return np.exp(log_softmax(logits))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log probabilities, float64 (n, k)."""
    return np.ascontiguousarray(_log_softmax_of_columns(np.ascontiguousarray(logits.T)).T)


def _log_softmax_of_columns(columns: np.ndarray) -> np.ndarray:
    """The same of (k, n): sums over few labels of many rows take a third of the time in this order."""
    shifted = columns - columns.max(axis=0)
    return shifted - np.log(np.exp(shifted).sum(axis=0))


def log_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean expected cross-entropy in nats; `targets` float (n, k), rows sum to 1."""
    columns = _log_softmax_of_columns(np.ascontiguousarray(logits.T))
    return float(-(np.ascontiguousarray(targets.T) * columns).sum(axis=0).mean())


def cases(
    kind: str, logits: np.ndarray, labels: np.ndarray, known: np.ndarray, indptr: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Bring labeled logits of any kind of task to softmax problems of one width.

    Parameters
    ----------
    kind : of the task
    logits, labels : float (E, k)
    known : bool (E,), of a bitvector (E, k); only what is known is returned
    indptr : int64 (n + 1,), the elements of each row; needed for a select task only

    Returns
    -------
    Logits and targets, float64 (m, c): a row of targets sums to 1.
    """
    if kind == "bitvector":
        scores, shares = logits[known], labels[known]
        return np.stack([np.zeros(len(scores)), scores], axis=1), np.stack([1 - shares, shares], axis=1)
    if kind != "select":
        return logits[known], labels[known]
    assert indptr is not None
    lengths = np.diff(indptr)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    column = np.arange(len(owner)) - indptr[owner]
    shape = (len(lengths), int(lengths.max(initial=1)))
    wide, targets = np.full(shape, _PADDING), np.zeros(shape)
    wide[owner, column] = logits[:, -1]
    targets[owner, column] = np.where(known, labels[:, -1], 0)
    some = targets.sum(axis=1) > 0
    return wide[some], targets[some] / targets[some].sum(axis=1, keepdims=True)


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the T in 0.05 … 20 with the least log loss on (n, k) held-out labels.

    It is 1 where none is better than 1. The loss is convex in 1/T: Newton's method, and bisection where a step of it
    leaves the interval that holds the root of the derivative.
    """
    scores, wanted = (np.ascontiguousarray(array.T) for array in (logits, targets))  # [k, n]
    scores = scores - scores.max(axis=0)
    found = 1 / _best_scale(scores, wanted)
    return found if log_loss(logits / found, targets) < log_loss(logits, targets) else 1.0


def _best_scale(scores: np.ndarray, targets: np.ndarray) -> float:
    """Return 1/T for scores of which the largest is 0; both (k, n)."""
    low, high, scale = 1 / _HIGHEST, 1 / _LOWEST, 1.0
    if _derivatives(scores, targets, high)[0] <= 0:
        return high
    if _derivatives(scores, targets, low)[0] >= 0:
        return low
    for _ in range(_ROUNDS):
        slope, curve = _derivatives(scores, targets, scale)
        low, high = (scale, high) if slope < 0 else (low, scale)
        step = scale - slope / curve if curve > 0 else -1.0
        before, scale = scale, step if low < step < high else (low * high) ** 0.5
        if abs(scale - before) <= 1e-9 * before:
            break
    return scale


def _derivatives(scores: np.ndarray, targets: np.ndarray, scale: float) -> tuple[float, float]:
    """Return the first two derivatives by s of the mean over n of log sum exp(s z) - s t z; (k, n), max z = 0."""
    mass = np.exp(scores * scale)
    mass /= mass.sum(axis=0)
    mean = (mass * scores).sum(axis=0)
    slope = (mean - (targets * scores).sum(axis=0)).mean()
    return float(slope), float(((mass * scores * scores).sum(axis=0) - mean * mean).mean())


def calibrated_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the log loss at the best temperature.

    Sharpened labels make a network sure of itself within a few epochs; its plain loss then rises while its
    ranking still improves. Stopping on this loss instead gave +2 points on imdb.
    """
    return log_loss(logits / fit_temperature(logits, targets), targets)


def prior_offsets(logits: np.ndarray, balance: np.ndarray) -> np.ndarray:
    """Return b (k,), mean 0, such that the mean over rows of softmax(logits + b) is `balance`, whose parts are above 0.

    Fixed point  b += 0.5 (log balance - log mean), 200 steps; rows need no labels. Where logits are sharp it stops on
    the way, which is wanted: the last percent of the balance is not worth a boundary deep inside the rows of one label
    (bench/quality_examples.py: youtube trained on gold has 95.4 so, and 92.2 where the balance is met exactly).
    """
    columns = logits.T - logits.max(axis=1)
    mass = np.ascontiguousarray(np.exp(columns))  # [k, n]; softmax(logits + b) is mass * exp(b), normalized
    offsets = np.zeros(len(balance))
    for _ in range(200):
        odds = np.exp(offsets)
        total = np.maximum(np.einsum("k,kn->n", odds, mass), 1e-300)  # einsum, not BLAS: the same bits on any machine
        mean = odds * np.einsum("kn,n->k", mass, 1 / total) / mass.shape[1]
        step = 0.5 * (np.log(balance) - np.log(mean + 1e-12))
        offsets += step
        if np.abs(step).max() < 1e-9:
            break
    return offsets - offsets.mean()


def decision_offsets(logits: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return b (k,), mean 0, such that the likeliest labels of logits + b have the given shares, all above 0.

    It is `prior_offsets` of ten times the logits, with which the softmax is all but a decision.
    """
    return prior_offsets(_DECISION * logits, shares) / _DECISION


def label_shares(probabilities: np.ndarray) -> np.ndarray:
    """Return the shares of the classes in labels float (n, k), float64 (k,), all above 0.

    With two classes they are the shares of the likeliest labels, ties divided. With more they are the mean of these and
    of the probabilities: labels at uniform balance leave the likeliest class too much, and their mean too little.
    """
    top = probabilities >= probabilities.max(axis=1, keepdims=True) - 1e-9
    shares = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
    if len(shares) > 2:
        shares = (shares + probabilities.mean(axis=0)) / 2
    shares = np.maximum(shares, 1 / (2 * max(len(probabilities), 1)))
    return shares / shares.sum()


def expected_cuts(probabilities: np.ndarray, shares: np.ndarray) -> list[float]:
    """Return k - 1 cuts of the expected label's number at which ordered labels have the given shares.

    Parameters
    ----------
    probabilities : float (n, k), n > 0, labels from the lowest
    shares : float (k,), all above 0, sum 1
    """
    cuts: list[float] = np.quantile(probabilities @ np.arange(len(shares)), np.cumsum(shares)[:-1]).tolist()
    return cuts


def label_at(probabilities: np.ndarray, cuts: Sequence[float]) -> np.ndarray:
    """Return the number of cuts below each row's expected label, int64 (n,): its label.

    Examples
    --------
    >>> label_at(np.array([[0.5, 0.1, 0.4], [0.0, 0.1, 0.9]]), [0.5, 1.5]).tolist()
    [1, 2]
    """
    return np.searchsorted(np.asarray(cuts), probabilities @ np.arange(probabilities.shape[1]), side="left")


def bit_offsets(logits: np.ndarray, balance: np.ndarray) -> np.ndarray:
    """Return b (k,) such that the mean over rows of sigmoid(logits + b) is `balance`, label by label."""
    offsets = np.zeros(len(balance))
    for y, share in enumerate(balance):
        pair = prior_offsets(np.stack([np.zeros(len(logits)), logits[:, y]], axis=1), np.array([1 - share, share]))
        offsets[y] = pair[1] - pair[0]
    return offsets


def fit_threshold(scores: np.ndarray, yes: np.ndarray, metric: str) -> float:
    """Return the threshold t in 0 … 1 for which "yes where the score is at least t" is best.

    Parameters
    ----------
    scores : float (m,), probabilities of yes
    yes : float (m,), the true share of yes, 0 or 1 for gold labels
    metric : 'f1' (of yes) or 'accuracy'

    Returns
    -------
    The middle between two neighboring scores; of equally good ones that nearest to 0.5. It is 0.5 without rows.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], yes[order]
    ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True]) if len(ranked) else np.empty(0, np.int64)
    hits = np.r_[0.0, np.cumsum(truth)[ends]]  # true yes among the first; the first cut says yes to none
    said = np.r_[0, ends + 1]
    if metric == "f1":
        value = 2 * hits / np.maximum(said + truth.sum(), 1e-12)
    else:
        value = hits + (len(truth) - truth.sum()) - (said - hits)
    levels = ranked[ends]
    cuts = np.r_[1.0, (levels[:-1] + levels[1:]) / 2, 0.0] if len(levels) else np.array([0.5])
    best = value >= value.max() - 1e-12
    return float(cuts[best][np.abs(cuts[best] - 0.5).argmin()])
