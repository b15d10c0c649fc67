"""Which slices get experts: those whose rows gain by them where they were not trained on.

The network is trained without slices, and with all. On the rows that a task held out, or on gold rows of dev where the
task has 100, the squared errors of its probabilities (Brier scores) are compared: of a task on elements the mean over
those of a row that the slice has. A slice helps if its rows gain more than their standard error, and where a task is on
elements also more than what is in no slice: experts of a slice drawn at random fit all elements a little better. Where
some slices do not, the network is trained once more with those that do. It stays if all its slices help and these rows
gain in the mean, else the network without slices does, bit by bit. Weak labels serve as well as gold here: what experts
memorize of single rows is not in the held-out ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from wsdb.model.judge import Judged
from wsdb.model.members import Members
from wsdb.model.parts import TaskTarget


class Trained(Protocol):
    """What training returned."""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""


T = TypeVar("T", bound=Trained)


@dataclass(frozen=True, slots=True)
class Gains:
    """How much less is lost with slices on the rows that were not trained on.

    Attributes
    ----------
    whole : float64 (m,), one for each of these rows and task
    inside : of each slice the same for its rows, over what it has of them
    outside : float64 (r,), the same over what no slice has; None for a model of tasks on rows
    """

    whole: np.ndarray
    inside: Sequence[np.ndarray]
    outside: np.ndarray | None = None

    @property
    def helps(self) -> np.ndarray:
        """Whether each slice gains more than a standard error, and than the rest does, bool (s,).

        Fewer than two rows show nothing.
        """
        return np.array([_gains(own) and _differs(own, self.outside) for own in self.inside], dtype=bool)


def _gains(own: np.ndarray) -> bool:
    return len(own) > 1 and bool(own.mean() > _squared_error(own) ** 0.5)


def _differs(own: np.ndarray, rest: np.ndarray | None) -> bool:
    """Whether a slice gains more than the rest by a standard error of the difference; a rest of one row has no say."""
    if rest is None or len(rest) < 2:
        return True
    return bool(own.mean() - rest.mean() > (_squared_error(own) + _squared_error(rest)) ** 0.5)


def _squared_error(values: np.ndarray) -> float:
    """Return the squared standard error of a mean."""
    return float(values.var(ddof=1) / len(values))


def choose_slices(
    learn: Callable[[tuple[str, ...]], tuple[T, list[Judged]]],
    names: Sequence[str],
    gained: Callable[[Sequence[Judged], Sequence[Judged]], Gains],
) -> tuple[T, list[Judged], str | None]:
    """Return what is kept of the trainings, and a notice where a slice has no expert.

    Parameters
    ----------
    learn : trains with experts for the slices of the given names, in their order
    names : of the slices
    gained : compares two trainings, the second with slices
    """
    plain = learn(())
    if plain[0].interrupted:
        return *plain, None
    if not any(len(one.rows) for one in plain[1]):
        return *plain, "slices have no experts: no held-out rows say whether they would help"
    kept, run = tuple(names), learn(tuple(names))
    found = gained(plain[1], run[1])
    helps = found.helps
    if helps.any() and not helps.all() and not run[0].interrupted:
        kept = tuple(name for name, good in zip(names, helps, strict=True) if good)
        run = learn(kept)
        found = gained(plain[1], run[1])
        helps = np.array([good for name, good in zip(names, found.helps, strict=True) if name in kept], dtype=bool)
    cut = run[0].interrupted
    if cut or not helps.all() or not found.whole.mean() > 0:
        kept, run = (), plain
    left = [name for name in names if name not in kept]
    if not left:
        return *run, None
    shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
    why = "held-out rows do not show that they help; slice_mode = 'attention' trains them"
    why = "their training was interrupted" if cut else why
    return *run, f"no experts for slices {shown}: {why}"


def gains(
    tasks: Sequence[TaskTarget],
    members: Members,
    names: Sequence[str],
    plain: Sequence[Judged],
    sliced: Sequence[Judged],
) -> Gains:
    """Compare a training without slices with one with slices.

    Parameters
    ----------
    members : of all slices, in all rows
    names : of the slices, in the order of the answer
    """
    whole: list[np.ndarray] = []
    inside: dict[str, list[np.ndarray]] = {name: [] for name in names}
    outside: list[np.ndarray] = []
    for task, before, after in zip(tasks, plain, sliced, strict=True):
        own = before.losses
        gained = task.weight * (own.values - after.losses.values)
        whole.append(row_means(gained, own.known, own.indptr))
        selected = members.take(before.rows).items(task, own.indptr)
        for at, name in enumerate(members.names(task)):
            inside[name].append(row_means(gained, own.known & selected[:, at], own.indptr))
        outside.append(row_means(gained, own.known & ~selected.any(axis=1), own.indptr))
    elements = any(task.payload is not None for task in tasks)
    return Gains(
        np.concatenate(whole),
        [np.concatenate([np.empty(0), *inside[name]]) for name in names],
        np.concatenate(outside) if elements else None,
    )


def row_means(values: np.ndarray, chosen: np.ndarray, indptr: np.ndarray | None) -> np.ndarray:
    """Return the mean of the chosen values of each row that has any, float64 (m,)."""
    if indptr is None:
        return values[chosen]
    counts, totals = (
        np.diff(np.concatenate([np.zeros(1), np.cumsum(one)])[indptr]) for one in (chosen, np.where(chosen, values, 0))
    )
    return totals[counts > 0] / counts[counts > 0]
