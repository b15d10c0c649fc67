"""Whether pairs of text and other columns get weights: where rows that were not trained on gain much by them.

A network is trained without pairs, and one with them. Over weak labels pairs also learn what labeling functions get
wrong, and held-out rows do not tell that from what is right. Where a label hangs on pairs the difference is large,
though. So the second network is kept where the squared error of a task's probabilities falls by a quarter and by more
than two standard errors, and that of all tasks together falls too; else the first one is, bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from wsdb.model.choose_slices import Trained
from wsdb.model.judge import Judged

RANK = 8
"""Numbers of an n-gram, and of a category, whose products are weighed."""
_LEAST, _ERRORS = 0.25, 2.0

T = TypeVar("T", bound=Trained)


def choose_pairs(learn: Callable[[int], tuple[T, list[Judged]]]) -> tuple[T, list[Judged], str | None]:
    """Return what is kept of two trainings, and a notice where it is the one with pairs.

    Parameters
    ----------
    learn : trains with pairs of a rank, 0 for none
    """
    plain = learn(0)
    if plain[0].interrupted or not any(one.losses.known.any() for one in plain[1]):
        return *plain, None
    paired = learn(RANK)
    share = gained(plain[1], paired[1])
    if paired[0].interrupted or share is None:
        return *plain, None
    return *paired, f"text and other columns are read in pairs, too: held-out rows lose {share:.0%} less by it"


def gained(plain: Sequence[Judged], paired: Sequence[Judged]) -> float | None:
    """Return the largest share by which a task's loss of held-out rows falls, None where none falls by enough."""
    found, total = 0.0, 0.0
    for before, after in zip(plain, paired, strict=True):
        known = before.losses.known
        gains = (before.losses.values - after.losses.values)[known]
        if len(gains) < 2:
            continue
        total += gains.mean()
        share = gains.mean() / max(before.losses.values[known].mean(), 1e-12)
        if share >= _LEAST and gains.mean() > _ERRORS * gains.std(ddof=1) / len(gains) ** 0.5:
            found = max(found, share)
    return float(found) if found and total > 0 else None
