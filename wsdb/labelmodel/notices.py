"""The sentences a fit tells the user about its input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BALANCE_UNKNOWN = "class balance unknown; give CLASS BALANCE, or gold rows with use_dev = 'anchor'"
NAMED = 8
"""How many names one notice lists."""


def source_notices(
    fired: np.ndarray, copy_of: np.ndarray, sources: Sequence[str], labels: Sequence[str], *, shared: bool
) -> list[str]:
    """Say which sources never vote, which are copies (`shared`: of one weight), and which classes nobody votes for."""
    voting = fired.sum(axis=1) > 0
    found = []
    silent = [sources[int(j)] for j in np.flatnonzero(~voting)]
    if silent:
        found.append(f"never votes: {listed(silent)}")
    same = [f"{sources[j]} = {sources[i]}" for j, i in enumerate(copy_of.tolist()) if voting[j] and i != j]
    if same:
        so = ", so they share one weight" if shared else ""
        found.append(f"votes exactly as another source{so}: {listed(same)}")
    if voting.any() and len(labels) > 1:
        missing = [repr(labels[int(y)]) for y in np.flatnonzero(fired.sum(axis=0) == 0)]
        if missing:
            found.append(f"no source votes for {listed(missing)}")
    return found


def chance_notice(bad: np.ndarray, precision: np.ndarray, sources: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Name the votes that are below chance (bool array of shape (m, k)) with their estimated precision."""
    names = [f"{sources[j]} voting {labels[v]!r} (right {precision[j, v]:.0%})" for j, v in np.argwhere(bad).tolist()]
    # All of them, however many: these votes may lose where they are unanimous.
    return [f"estimated worse than chance: {', '.join(names)}"] if names else []


def guard_notice(share: float) -> str:
    """Say that the fit departs from majority vote on `share` of the rows where it is clear."""
    return (
        f"the fitted model contradicts a clear majority of the votes on {share:.0%} of the rows; "
        "its posterior is multiplied with the vote shares"
    )


def balance_notice(share: float) -> str:
    """Say that the class balance, which nobody gave, decides the labels of `share` of the rows with a vote."""
    return (
        f"the labels of {share:.0%} of the rows hang on the class balance: they are others with even shares than with "
        "the shares of the votes; a rough CLASS BALANCE settles them"
    )


def listed(names: Sequence[str]) -> str:
    """Join names, the first few of many.

    Examples
    --------
    >>> listed(["a", "b"])
    'a, b'
    """
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
