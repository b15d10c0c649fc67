"""Which slices get experts: those whose rows gain by them where they were not trained on.

The network is trained without slices, and with all. On the rows that a task held out, or on gold rows of dev where the
task has 100, the squared errors of its probabilities (Brier scores) are compared. A slice helps if its rows gain more
than their standard error; where some slices do not, the network is trained once more with those that do. It stays if
all its slices help and these rows gain in the mean, else the network without slices does, bit by bit. Weak labels serve
as well as gold here: what experts memorize of single rows is not in the held-out ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np

from wsdb.model.judge import Judged


class Trained(Protocol):
    """What training returned."""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""


T = TypeVar("T", bound=Trained)


def choose_slices(
    learn: Callable[[tuple[str, ...]], tuple[T, list[Judged]]],
    names: Sequence[str],
    members: np.ndarray,
    weights: Sequence[float],
) -> tuple[T, list[Judged], str | None]:
    """Return what is kept of the trainings, and a notice where a slice has no expert.

    Parameters
    ----------
    learn : trains with experts for the slices of the given names, in their order
    names : of the slices
    members : bool (n, s), the rows of each
    weights : of the tasks
    """
    plain = learn(())
    if plain[0].interrupted or all(one.rows is None for one in plain[1]):
        return *plain, None
    if not any(len(one.rows) for one in plain[1] if one.rows is not None):
        return *plain, "slices have no experts: no held-out rows say whether they would help"
    kept, run = tuple(names), learn(tuple(names))
    helps, better = compare(plain[1], run[1], members, weights)
    if helps.any() and not helps.all() and not run[0].interrupted:
        kept = tuple(name for name, good in zip(names, helps, strict=True) if good)
        run = learn(kept)
        helps, better = compare(plain[1], run[1], members[:, helps], weights)
    cut = run[0].interrupted
    if cut or not helps.all() or not better:
        kept, run = (), plain
    left = [name for name in names if name not in kept]
    if not left:
        return *run, None
    shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
    why = "held-out rows do not show that they help; slice_mode = 'attention' trains them"
    why = "their training was interrupted" if cut else why
    return *run, f"no experts for slices {shown}: {why}"


def compare(
    plain: Sequence[Judged], sliced: Sequence[Judged], members: np.ndarray, weights: Sequence[float]
) -> tuple[np.ndarray, bool]:
    """Return whether each slice helps, bool (s,), and whether the network with slices is better over all rows."""
    rows, gained = gains(plain, sliced, weights)
    return useful(rows, gained, members), bool(gained.mean() > 0)


def gains(plain: Sequence[Judged], sliced: Sequence[Judged], weights: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that tasks are judged on, int64 (m,), and how much less is lost on each with slices, (m,)."""
    rows, found = [], []
    for before, after, weight in zip(plain, sliced, weights, strict=True):
        if before.rows is not None:
            rows.append(before.rows)
            found.append(weight * (before.losses - after.losses))
    return np.concatenate(rows), np.concatenate(found)


def useful(rows: np.ndarray, gained: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return whether the rows of each slice gain more than a standard error, bool (s,); fewer than two show nothing."""
    inside = [gained[own] for own in members[rows].T]
    return np.array([len(own) > 1 and own.mean() > own.std(ddof=1) / len(own) ** 0.5 for own in inside], dtype=bool)
