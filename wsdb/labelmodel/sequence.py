"""Chains of elements: how sequences lie in memory, and forward-backward and Viterbi over many at once.

Rabiner (1989). A step of the recursion is one product of a (sequences, K) block with the (K, K) transitions:
elements are ordered by position first, so that step t is a contiguous slice of all sequences longer than t.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHUNK_CELLS = 1 << 21
"""Elements x states worked on at a time; bounds the memory of the recursions."""
FLOOR = -200.0
"""Nats below the likeliest state at which evidence is cut off; keeps every scaled step above zero."""
SMALLEST = 1e-300


def offsets_of(ids: np.ndarray) -> np.ndarray:
    """Where each sequence starts, in rows sorted by sequence.

    Parameters
    ----------
    ids : array of shape (n,), sequence of each row; rows of one sequence stand together

    Returns
    -------
    int64 array of shape (g + 1,); sequence i is the rows offsets[i] … offsets[i + 1] - 1.

    Raises
    ------
    ValueError
        If the rows of a sequence do not stand together.

    Examples
    --------
    >>> offsets_of(np.array([7, 7, 2, 2, 2])).tolist()
    [0, 2, 5]
    """
    if not len(ids):
        return np.zeros(1, dtype=np.int64)
    starts = np.flatnonzero(ids[1:] != ids[:-1]) + 1
    if len(np.unique(ids)) != len(starts) + 1:
        raise ValueError("the rows of a sequence do not stand together; sort by sequence and position")
    return np.concatenate([[0], starts, [len(ids)]]).astype(np.int64)


def check_offsets(offsets: np.ndarray, n_elements: int) -> np.ndarray:
    """Return the offsets as int64; raise ValueError where they do not split `n_elements` elements in order."""
    checked = np.asarray(offsets, dtype=np.int64)
    if checked.ndim != 1 or not len(checked) or checked[0] != 0 or checked[-1] != n_elements:
        raise ValueError(f"offsets must go from 0 to {n_elements}")
    if (np.diff(checked) < 0).any():
        raise ValueError("offsets must not decrease")
    return checked


def groups_of(offsets: np.ndarray) -> np.ndarray:
    """Sequence number of each element: int64 array of shape (n,)."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def group_codes(columns: np.ndarray, radix: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct rows of an integer table.

    Parameters
    ----------
    columns : integer array of shape (n, m), values in 0 … radix - 1

    Returns
    -------
    first : int64 array of shape (p,), a row of each kind
    number : int64 array of shape (n,), the kind of each row
    """
    code, size = np.zeros(len(columns), dtype=np.int64), 1
    for j in range(columns.shape[1]):
        if size * radix > 1 << 62:
            code = np.unique(code, return_inverse=True)[1]
            size = int(code.max(initial=0)) + 1
        code = code * radix + columns[:, j]
        size *= radix
    _, first, number = np.unique(code, return_index=True, return_inverse=True)
    return first.astype(np.int64), number.astype(np.int64).ravel()


@dataclass(frozen=True, slots=True)
class DistinctSequences:
    """Sequences of kinds, each different one once.

    Attributes
    ----------
    kinds : int64 array of shape (z,), kind of each element
    offsets : int64 array of shape (d + 1,)
    counts : float64 array of shape (d,), how often each occurs
    place : int64 array of shape (g,), which of the d each original sequence is
    """

    kinds: np.ndarray
    offsets: np.ndarray
    counts: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, kinds: np.ndarray, offsets: np.ndarray) -> DistinctSequences:
        """Find the different sequences; empty ones are left out and have place -1."""
        lengths = np.diff(offsets)
        place = np.full(len(lengths), -1, dtype=np.int64)
        parts = [np.zeros(0, dtype=np.int64)]
        sizes: list[int] = []
        counts: list[np.ndarray] = []
        for length in np.unique(lengths[lengths > 0]):
            members = np.flatnonzero(lengths == length)
            rows = np.ascontiguousarray(kinds[offsets[members][:, None] + np.arange(length)])
            keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * int(length)))).ravel()
            _, first, inverse, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
            place[members] = len(sizes) + inverse.ravel()
            parts.append(rows[first].ravel())
            sizes += [int(length)] * len(first)
            counts.append(count.astype(float))
        bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return cls(np.concatenate(parts), bounds, np.concatenate(counts or [np.zeros(0)]), place)

    def expand(self, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Values per element of the distinct sequences (first axis z), copied to the original n elements."""
        group = groups_of(offsets)
        within = np.arange(offsets[-1]) - offsets[:-1][group]
        copied: np.ndarray = values[self.offsets[:-1][self.place[group]] + within]
        return copied


@dataclass(frozen=True, slots=True)
class StepOrder:
    """Elements of some sequences ordered by position, longest sequence first.

    Attributes
    ----------
    order : int64 array of shape (n,), element at each place
    starts : int64 array of shape (longest + 1,), step t is the places starts[t] … starts[t + 1] - 1
    rank : int64 array of shape (g,), sequence at each place of step 0
    """

    order: np.ndarray
    starts: np.ndarray
    rank: np.ndarray

    @classmethod
    def of(cls, offsets: np.ndarray) -> StepOrder:
        """Order the elements of non-empty sequences."""
        lengths = np.diff(offsets)
        rank = np.argsort(-lengths, kind="stable")
        longer = len(lengths) - np.cumsum(np.bincount(lengths))  # sequences longer than t
        starts = np.concatenate([[0, len(lengths)], len(lengths) + np.cumsum(longer[1:-1])]).astype(np.int64)
        place_in_step = np.empty(len(lengths), dtype=np.int64)
        place_in_step[rank] = np.arange(len(lengths))
        group = groups_of(offsets)
        place = starts[np.arange(offsets[-1]) - offsets[:-1][group]] + place_in_step[group]
        order = np.empty(len(place), dtype=np.int64)
        order[place] = np.arange(len(place))
        return cls(order, starts, rank)


@dataclass(frozen=True, slots=True)
class Chain:
    """Parameters of a Markov chain with K states.

    Attributes
    ----------
    transition : float64 array of shape (K, K), [a, b] = P(next is b | a); rows sum to 1
    initial : float64 array of shape (K,), sums to 1
    """

    transition: np.ndarray
    initial: np.ndarray


def chunks(offsets: np.ndarray, n_states: int) -> Iterator[tuple[int, int]]:
    """Ranges of sequences whose elements x states stay near CHUNK_CELLS."""
    limit = max(1, CHUNK_CELLS // n_states)
    first, n = 0, len(offsets) - 1
    while first < n:
        last = int(np.searchsorted(offsets, offsets[first] + limit, side="right")) - 1
        last = min(max(last, first + 1), n)
        yield first, last
        first = last


def likelihoods(evidence: np.ndarray) -> np.ndarray:
    """Exponential of log evidence (float64, shape (p, K)), 1 for the likeliest state of a row."""
    top: np.ndarray = evidence.max(axis=1, keepdims=True)
    scaled: np.ndarray = np.exp(np.maximum(evidence - top, FLOOR))
    return scaled


def forward_backward(
    likelihood: np.ndarray, offsets: np.ndarray, chain: Chain, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior of every element, and the moves expected between neighbours.

    Parameters
    ----------
    likelihood : float64 array of shape (n, K), positive, scaled as `likelihoods` does
    offsets : int64 array of shape (g + 1,), no empty sequence
    counts : float64 array of shape (g,), how often each sequence occurs

    Returns
    -------
    posterior : float64 array of shape (n, K), rows sum to 1
    moves : float64 array of shape (K, K), [a, b] neighbours in states a, b, weighted by `counts`
    """
    steps = StepOrder.of(offsets)
    starts, k = steps.starts, len(chain.initial)
    seen = likelihood[steps.order]
    forward = np.empty_like(seen)
    scale = np.empty((len(seen), 1))
    state = np.broadcast_to(chain.initial, (len(offsets) - 1, k))
    for t in range(len(starts) - 1):
        here = slice(starts[t], starts[t + 1])
        ahead = state[: here.stop - here.start]
        state = (ahead if t == 0 else ahead @ chain.transition) * seen[here]
        scale[here] = np.maximum(state.sum(axis=1, keepdims=True), SMALLEST)
        state /= scale[here]
        forward[here] = state
    moves = np.zeros((k, k))
    weights = counts[steps.rank][:, None]
    backward = np.ones((int(starts[-1] - starts[-2]), k))
    posterior = np.empty_like(seen)
    posterior[starts[-2] :] = forward[starts[-2] :]
    for t in range(len(starts) - 3, -1, -1):
        here, after = slice(starts[t], starts[t + 1]), slice(starts[t + 1], starts[t + 2])
        n_after = after.stop - after.start
        message = seen[after] * backward / scale[after]
        moves += (forward[here][:n_after] * weights[:n_after]).T @ message
        backward = np.ones((here.stop - here.start, k))
        backward[:n_after] = message @ chain.transition.T
        posterior[here] = forward[here] * backward
    posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), SMALLEST)
    answer = np.empty_like(posterior)
    answer[steps.order] = posterior
    return answer, moves * chain.transition


def viterbi(evidence: np.ndarray, offsets: np.ndarray, chain: Chain) -> np.ndarray:
    """Likeliest states of each sequence: int64 array of shape (n,); ties go to the lower state.

    Parameters
    ----------
    evidence : float64 array of shape (n, K), log-likelihood of each element's votes
    offsets : int64 array of shape (g + 1,), no empty sequence
    """
    steps = StepOrder.of(offsets)
    starts = steps.starts
    moves = np.log(np.maximum(chain.transition, SMALLEST))
    seen = evidence[steps.order]
    came = np.zeros(seen.shape, dtype=np.int16)
    best = np.log(np.maximum(chain.initial, SMALLEST)) + seen[: starts[1]]
    final = [best]
    for t in range(1, len(starts) - 1):
        here = slice(starts[t], starts[t + 1])
        paths = best[: here.stop - here.start, :, None] + moves
        came[here] = paths.argmax(axis=1)
        best = paths.max(axis=1) + seen[here]
        final.append(best)
    state = np.empty(len(seen), dtype=np.int64)
    after = np.zeros(0, dtype=np.int64)
    for t in range(len(starts) - 2, -1, -1):
        here = slice(starts[t], starts[t + 1])
        chosen = final[t].argmax(axis=1)
        next_came = came[starts[t + 1] : starts[t + 1] + len(after)]
        chosen[: len(after)] = next_came[np.arange(len(after)), after]
        state[here] = after = chosen
    answer = np.empty_like(state)
    answer[steps.order] = state
    return answer
