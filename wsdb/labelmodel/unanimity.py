"""Votes that all agree decide the row, unless a source is estimated to be worse than chance."""

from __future__ import annotations

import numpy as np

MARGIN = 1e-3
"""Nats by which a lone vote wins at least; far above the tie rule's 1e-9 at any temperature in use."""


def below_chance(bias: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Find the votes that do not point to their own class.

    A vote v of source j is below chance if, on a row without other votes, another class is likelier than v,
    or if it makes another class more likely against v than the class balance has it.

    Parameters
    ----------
    bias : float64 array of shape (k,), log class balance
    evidence : float64 array of shape (m, k, k), [j, v, y] log-likelihood of the vote without weights

    Returns
    -------
    bool array of shape (m, k)
    """
    own = np.einsum("jvv->jv", evidence)[:, :, None]
    against = (own < evidence - 1e-12).any(axis=2)
    outvoted = (own + bias[:, None] < evidence + bias - 1e-12).any(axis=2)
    found: np.ndarray = against | outvoted
    return found


def keep_unanimity(bias: np.ndarray, scores: np.ndarray, exempt: np.ndarray) -> np.ndarray:
    """Cap what a vote of v says for other classes, so that rows whose votes are all v get the label v.

    Dependency weights shrink evidence towards the class balance, and could so let the balance overrule a
    lone vote
    that the model itself holds to be right. With log-odds of at least max(0, bias[y] - bias[v]) per vote,
    the sum over agreeing votes exceeds bias[y] - bias[v] for every y.

    Parameters
    ----------
    bias : float64 array of shape (k,)
    scores : float64 array of shape (m, k, k)
    exempt : bool array of shape (m, k), votes left as they are

    Returns
    -------
    float64 array of shape (m, k, k)
    """
    own = np.einsum("jvv->jv", scores)
    cap = own[:, :, None] + np.minimum(0.0, bias[:, None] - bias - MARGIN)
    capped = np.minimum(scores, cap)
    np.einsum("jvv->jv", capped)[...] = own
    return np.where(exempt[:, :, None], scores, capped)
