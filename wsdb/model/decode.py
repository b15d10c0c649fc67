"""Decoding: from the probabilities of a row's tasks to labels, one by one or the likeliest that fit together.

Tasks that rules tie together form a component with a table of feasible vectors. A row's answer is the vector v with the
largest product of the tasks' probabilities, argmax_v sum_t log P_t(v_t): the mode of the product of the heads,
conditioned on the rules. The table is small enough to look at every vector, so the answer is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from wsdb.core.errors import SpecError
from wsdb.model.calibrate import label_at

CHUNK = 4_000_000
"""Scores of vectors that are held at once."""
TINY = 1e-300
MAX_VECTORS = 20_000
"""Vectors of a component; a row of a batch is compared with all of them."""
NONE, SOME = 0, 1
"""The states of a select task: no element is picked, or one is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One task's answer for the n rows of a batch, whose E elements stand in the order of the rows.

    Attributes
    ----------
    kind : of the task, as in `wsdb.core.task.Task`
    labels : the k labels
    probabilities : float64 array of shape (E, k)
    offsets : int64 array of shape (n + 1,), the elements of row i are offsets[i] … offsets[i + 1] - 1
    chosen : int64 array of shape (E,), codes, -1 where the task does not apply; of a bitvector bool (E, k), the labels
        that apply; of a select task bool (E,), the element that is picked
    """

    kind: str
    labels: tuple[str, ...]
    probabilities: np.ndarray
    offsets: np.ndarray
    chosen: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1


def decide(
    kind: str,
    labels: tuple[str, ...],
    probabilities: np.ndarray,
    indptr: np.ndarray | None,
    threshold: float | Sequence[float] | None = None,
) -> Answer:
    """Return the answer of a task on its own.

    Parameters
    ----------
    probabilities : float64 array of shape (E, k); rows sum to 1, but those of a bitvector are P(label applies)
    indptr : int64 array of shape (n + 1,); None where every row has one element
    threshold : the least P(second label) of a binary task that is an answer, 0.5 where None; of a bitvector k numbers,
        the least P(label) for a label to apply; of an ordinal task k - 1 cuts of the expected label

    Returns
    -------
    Answer
        Of a select task the likeliest element is picked, unless P(none) = 1 - sum of the row is larger.
    """
    offsets = np.arange(len(probabilities) + 1) if indptr is None else np.asarray(indptr, dtype=np.int64)
    if kind == "bitvector":
        chosen = probabilities >= np.asarray(0.5 if threshold is None else threshold, dtype=np.float64)
    elif kind == "select":
        chosen = _picked(probabilities[:, 1], offsets)
    elif isinstance(threshold, float):
        chosen = (probabilities[:, 1] >= threshold).astype(np.int64)
    else:
        chosen = probabilities.argmax(axis=1) if threshold is None else label_at(probabilities, threshold)
    return Answer(kind, labels, probabilities, offsets, chosen)


def _picked(yes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return which element of each row is picked: bool array of shape (E,)."""
    chosen = np.zeros(len(yes), dtype=bool)
    best, likeliest, none = _row_choice(yes, offsets)
    chosen[best[(best >= 0) & (likeliest >= none)]] = True
    return chosen


def _row_choice(yes: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each row the likeliest element (-1 in an empty one), its probability, and that of none: (n,) each."""
    n = len(offsets) - 1
    best, likeliest, none = np.full(n, -1), np.zeros(n), np.ones(n)
    filled = np.flatnonzero(np.diff(offsets) > 0)
    if len(filled):
        starts = offsets[filled]
        likeliest[filled] = np.maximum.reduceat(yes, starts)
        none[filled] = np.maximum(1 - np.add.reduceat(yes, starts), 0)
        row = np.repeat(np.arange(n), np.diff(offsets))
        first = np.flatnonzero(yes >= likeliest[row])
        rows, where = np.unique(row[first], return_index=True)
        best[rows] = first[where]
    return best, likeliest, none


@dataclass(frozen=True, slots=True)
class Component:
    """Tasks that rules tie together, and the combinations of their states that are left.

    Attributes
    ----------
    tasks : names
    vectors : int64 array of shape (v, t). A state is the code of a label, or k where the task does not apply; of a
        bitvector the number whose bit b is set where label b applies; of a select task `NONE` or `SOME`
    known : the bytes of every vector
    """

    tasks: tuple[str, ...]
    vectors: np.ndarray
    known: frozenset[bytes] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        vectors = np.ascontiguousarray(self.vectors, dtype=np.int64)
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "known", frozenset(row.tobytes() for row in vectors))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"tasks": list(self.tasks), "vectors": self.vectors.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Component:
        """Read what `to_dict` returned."""
        vectors = np.asarray(values["vectors"], dtype=np.int64).reshape(-1, len(values["tasks"]))
        return cls(tuple(values["tasks"]), vectors)


def join(components: Sequence[Component]) -> tuple[Component, ...]:
    """Return components that share no task: those that do become one, with the vectors that fit all of them.

    Raises
    ------
    SpecError
        WS360 where a component has more than `MAX_VECTORS` vectors, or none.
    """
    apart: list[Component] = []
    for component in components:
        joined = component
        for other in [other for other in apart if set(other.tasks) & set(component.tasks)]:
            apart.remove(other)
            joined = _join(other, joined)
        _check_size(joined.tasks, len(joined.vectors))
        apart.append(joined)
    return tuple(apart)


def _check_size(tasks: tuple[str, ...], n_vectors: int) -> None:
    if 0 < n_vectors <= MAX_VECTORS:
        return
    found = f"more than {MAX_VECTORS:,} combinations" if n_vectors else "no combination"
    raise SpecError(
        "WS360",
        f"the rules between {', '.join(tasks)} leave {found} of labels",
        hint="WITH (decode = 'none') predicts each task on its own",
    )


def _join(left: Component, right: Component) -> Component:
    shared = [name for name in left.tasks if name in right.tasks]
    fresh = [at for at, name in enumerate(right.tasks) if name not in left.tasks]
    of_left = left.vectors[:, [left.tasks.index(name) for name in shared]]
    of_right = right.vectors[:, [right.tasks.index(name) for name in shared]]
    _, place = np.unique(np.concatenate([of_left, of_right]), axis=0, return_inverse=True)
    place = place.ravel()
    mine, theirs = place[: len(of_left)], place[len(of_left) :]
    order = np.argsort(theirs, kind="stable")
    low, high = (np.searchsorted(theirs[order], mine, side=side) for side in ("left", "right"))
    sizes = high - low
    names = (*left.tasks, *(right.tasks[at] for at in fresh))
    _check_size(names, int(sizes.sum()))
    rows = np.repeat(np.arange(len(mine)), sizes)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    matches = order[np.repeat(low, sizes) + within]
    return Component(names, np.concatenate([left.vectors[rows], right.vectors[matches][:, fresh]], axis=1))


def decode(component: Component, answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """Return the answers of a component's tasks, changed to the likeliest feasible combination of each row.

    Probabilities stay those of the heads. Rows whose own answers fit together keep them, thresholds included.

    Parameters
    ----------
    answers : of at least the component's tasks. Tasks on the elements of a payload have equal offsets; a select task
        stands with tasks on rows
    """
    own = [answers[name] for name in component.tasks]
    states = np.stack([state_of(answer) for answer in own], axis=1)  # [n, t]
    changed = np.array([row.tobytes() not in component.known for row in states], dtype=bool)
    at = np.flatnonzero(changed)
    step = max(CHUNK // max(len(component.vectors), 1), 1)
    for start in range(0, len(at), step):
        rows = at[start : start + step]
        total = np.zeros((len(rows), len(component.vectors)))
        for t, answer in enumerate(own):
            total += _scores(answer, rows, component.vectors[:, t])
        states[rows] = component.vectors[total.argmax(axis=1)]
    return {
        name: _with_states(answer, states[:, t], changed)
        for t, (name, answer) in enumerate(zip(component.tasks, own, strict=True))
    }


def _bits(states: np.ndarray, k: int) -> np.ndarray:
    """Return which of k labels apply in each state of a bitvector: bool array of shape (s, k)."""
    found: np.ndarray = (states[:, None] >> np.arange(k)[None, :]) & 1 == 1
    return found


def state_of(answer: Answer) -> np.ndarray:
    """Return the state that the task's own answer is: int64 array of shape (n,), or (E,) for a task on elements."""
    k = len(answer.labels)
    if answer.kind == "bitvector":
        state: np.ndarray = answer.chosen.astype(np.int64) @ (1 << np.arange(k))
    elif answer.kind == "select":
        state = np.zeros(len(answer), dtype=np.int64)
        state[np.repeat(np.arange(len(answer)), np.diff(answer.offsets))[answer.chosen]] = SOME
    else:
        state = np.where(answer.chosen < 0, k, answer.chosen).astype(np.int64)
    return state


def _scores(answer: Answer, rows: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Return the log probability of states, 0 where the task does not apply: float64 array of shape (rows, states)."""
    if answer.kind == "select":
        best, likeliest, none = _row_choice(answer.probabilities[:, 1], answer.offsets)
        some = np.where(best >= 0, np.log(np.maximum(likeliest, TINY)), -np.inf)
        both: np.ndarray = np.stack([np.log(np.maximum(none, TINY)), some], axis=1)[rows][:, states]
        return both
    p = answer.probabilities[rows]
    if answer.kind == "bitvector":
        on = _bits(states, len(answer.labels))
        bits: np.ndarray = np.log(np.maximum(p, TINY)) @ on.T + np.log(np.maximum(1 - p, TINY)) @ ~on.T
        return bits
    one = np.concatenate([np.log(np.maximum(p, TINY)), np.zeros((len(p), 1))], axis=1)  # the last: does not apply
    found: np.ndarray = one[:, states]
    return found


def _with_states(answer: Answer, states: np.ndarray, changed: np.ndarray) -> Answer:
    """Return the answer with the states of the changed rows."""
    k = len(answer.labels)
    if answer.kind == "bitvector":
        return replace(answer, chosen=np.where(changed[:, None], _bits(states, k), answer.chosen))
    if answer.kind == "select":
        best, _, _ = _row_choice(answer.probabilities[:, 1], answer.offsets)
        chosen = np.zeros(len(answer.probabilities), dtype=bool)
        chosen[best[(states == SOME) & (best >= 0)]] = True
        keep = np.repeat(~changed, np.diff(answer.offsets))
        return replace(answer, chosen=np.where(keep, answer.chosen, chosen))
    return replace(answer, chosen=np.where(changed, np.where(states == k, -1, states), answer.chosen))
