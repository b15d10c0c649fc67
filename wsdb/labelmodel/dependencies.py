"""Sources that repeat each other: pairs given by the user or by analysis, and pairs found in the votes.

The residual r of two sources for a value is the part of their agreement that their rates do not explain, as a
correlation. A source's weight is 1 / (1 + sum of its residuals), so g copies count about as one source. A given
pair counts as if its residual were at least STRENGTH times the largest correlation that two sources of their
coverage can have: pairs declared dependent, of equal coverage, count as one source, and a rare source takes little
from a wide one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wsdb.core.errors import SpecError, did_you_mean
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.rows import TINY

NOISE_FLOOR = 2.0
"""tau: standard errors of agreement that count as chance."""
DECLARED = "declared"
DECLARED_STRENGTH = 1.0
STATIC_STRENGTH = 0.5
"""Of pairs given for any other reason than that they were declared."""
EDGE_RESIDUAL = 0.2
EDGE_Z = 4.0
EDGES = 1000
"""Learned edges that a fit reports at most, the strongest ones."""


class Dependency(NamedTuple):
    """Two sources that are not independent.

    Attributes
    ----------
    reason : "learned" (r above 0.2 and z above 4), "copy" (equal votes), or the reason that was given
    r : agreement beyond that of independent sources, a correlation; the largest over the values; None if not measured
    z : r in standard errors
    rows : rows on which both vote that value
    """

    source_a: str
    source_b: str
    reason: str
    r: float | None = None
    z: float | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class GivenPairs:
    """Pairs of sources that are known to depend on each other.

    Attributes
    ----------
    left, right : int64 arrays of shape (g,), left < right, each pair once
    reasons : g reasons
    """

    left: np.ndarray
    right: np.ndarray
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str, str]], sources: Sequence[str]) -> GivenPairs:
        """Read (source, source, reason) by name; of a pair given twice the declared reason stays, else the first.

        Raises
        ------
        SpecError
            WS320 for a source that does not exist or is paired with itself.
        """
        place = {name: j for j, name in enumerate(sources)}
        found: dict[tuple[int, int], str] = {}
        for one, other, reason in pairs:
            for name in (one, other):
                if name not in place:
                    raise SpecError(
                        "WS320", f'dependency of unknown source "{name}"', hint=did_you_mean(name, list(sources))
                    )
            if one == other:
                raise SpecError("WS320", f'source "{one}" is declared dependent on itself')
            key = (min(place[one], place[other]), max(place[one], place[other]))
            if key not in found or reason == DECLARED:
                found[key] = reason
        edges = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
        return cls(edges[:, 0], edges[:, 1], tuple(found[key] for key in sorted(found)))

    def used(self, structure: str) -> GivenPairs:
        """Pairs that count at a value of the option `structure`."""
        if structure in ("static", "declared"):
            return self
        keep = [structure == "auto" and reason == DECLARED for reason in self.reasons]
        chosen = np.flatnonzero(keep)
        return GivenPairs(self.left[chosen], self.right[chosen], tuple(self.reasons[i] for i in chosen.tolist()))

    def merged(self, copy_of: np.ndarray) -> GivenPairs:
        """The pairs between the first sources of groups of copies (`copy_of`, int64, shape (m,))."""
        left, right = copy_of[self.left], copy_of[self.right]
        found: dict[tuple[int, int], str] = {}
        for a, b, reason in zip(left.tolist(), right.tolist(), self.reasons, strict=True):
            key = (min(a, b), max(a, b))
            if a != b and (key not in found or reason == DECLARED):
                found[key] = reason
        edges = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
        return GivenPairs(edges[:, 0], edges[:, 1], tuple(found[key] for key in sorted(found)))

    def floors(self, fired: np.ndarray, n_rows: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Least residual of each pair for each value that both vote.

        Parameters
        ----------
        fired : float64 array of shape (m, k), votes by source and value

        Returns
        -------
        left, right, value, floor : arrays of shape (f,)
        """
        place, value = np.nonzero((fired[self.left] > 0) & (fired[self.right] > 0))
        left, right = self.left[place], self.right[place]
        p, q = fired[left, value] / n_rows, fired[right, value] / n_rows
        odds = [np.maximum(np.minimum(p, q), TINY), np.maximum(np.maximum(p, q), TINY)]
        low, high = (rate / np.maximum(1 - rate, TINY) for rate in odds)
        strength = np.array([DECLARED_STRENGTH if reason == DECLARED else STATIC_STRENGTH for reason in self.reasons])
        floor = strength[place] * np.sqrt(np.minimum(low / high, 1.0)) if len(place) else np.zeros(0)
        return left, right, value, floor


NO_PAIRS = GivenPairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), ())


def residuals(theta: np.ndarray, pairs: PairCounts, n_rows: float, balance: np.ndarray) -> np.ndarray:
    """Correlation of each pair beyond what the rates `theta` (float64, shape (m, k, k)) explain: shape (s,)."""
    spread = np.sqrt(np.maximum((theta * (1 - theta)) @ balance, TINY))
    expected = (theta[pairs.left, pairs.value] * theta[pairs.right, pairs.value]) @ balance
    scale = spread[pairs.left, pairs.value] * spread[pairs.right, pairs.value]
    found: np.ndarray = (pairs.count / n_rows - expected) / scale
    return found


def dependency_weights(
    theta: np.ndarray,
    fired: np.ndarray,
    pairs: PairCounts,
    n_rows: float,
    balance: np.ndarray,
    given: GivenPairs = NO_PAIRS,
) -> np.ndarray:
    """Weight of each source: 1 / (1 + agreement with others that the rates do not explain).

    Parameters
    ----------
    pairs : the pairs to learn from; none if only `given` ones count

    Returns
    -------
    float64 array of shape (m,), in (0, 1]; about 1/g for each of g copies.
    """
    m = theta.shape[0]
    excess = np.clip(residuals(theta, pairs, n_rows, balance) - NOISE_FLOOR / np.sqrt(n_rows), 0.0, 1.0)
    left, right, value = pairs.left, pairs.right, pairs.value
    if len(given.left):
        more = given.floors(fired, n_rows)
        learned = _looked_up(pairs, excess, *more[:3])
        left, right, value = (
            np.concatenate([mine, its]) for mine, its in zip((left, right, value), more, strict=False)
        )
        excess = np.concatenate([excess, np.maximum(more[3] - learned, 0.0)])
    share = fired / np.maximum(fired.sum(axis=1, keepdims=True), 1.0)
    repeated = np.bincount(left, weights=excess * share[left, value], minlength=m)
    repeated += np.bincount(right, weights=excess * share[right, value], minlength=m)
    return 1.0 / (1.0 + repeated)


def learned_edges(
    theta: np.ndarray, pairs: PairCounts, n_rows: float, balance: np.ndarray, sources: Sequence[str]
) -> list[Dependency]:
    """Pairs with r above 0.2 and z above 4, the strongest first; each pair once, at its strongest value."""
    r = residuals(theta, pairs, n_rows, balance)
    z = r * np.sqrt(n_rows)
    found = np.flatnonzero((r > EDGE_RESIDUAL) & (z > EDGE_Z))
    found = found[np.lexsort((pairs.right[found], pairs.left[found], -r[found]))]
    edges: dict[tuple[int, int], Dependency] = {}
    for at in found.tolist():
        a, b = int(pairs.left[at]), int(pairs.right[at])
        if (a, b) not in edges and len(edges) < EDGES:
            rows = round(float(pairs.count[at]))
            edges[a, b] = Dependency(sources[a], sources[b], "learned", float(r[at]), float(z[at]), rows)
    return list(edges.values())


def report(
    given: GivenPairs, copy_of: np.ndarray, learned: Sequence[Dependency], voting: np.ndarray, sources: Sequence[str]
) -> tuple[Dependency, ...]:
    """All pairs known to depend on each other: given ones first, then copies, then those found in the votes."""
    measured = {(edge.source_a, edge.source_b): edge for edge in learned}
    edges = []
    for a, b, reason in zip(given.left.tolist(), given.right.tolist(), given.reasons, strict=True):
        known = measured.pop((sources[a], sources[b]), None)
        edges.append(Dependency(sources[a], sources[b], reason, *(known[3:] if known else ())))
    named = {edge[:2] for edge in edges}
    edges += [
        Dependency(sources[i], sources[j], "copy", 1.0)
        for j, i in enumerate(copy_of.tolist())
        if i != j and voting[j] and (sources[i], sources[j]) not in named
    ]
    return (*edges, *measured.values())


def _looked_up(
    pairs: PairCounts, excess: np.ndarray, left: np.ndarray, right: np.ndarray, value: np.ndarray
) -> np.ndarray:
    """Excess of the pairs listed in `left`, `right`, `value`; 0 where a pair was never seen."""
    if not len(pairs.count):
        return np.zeros(len(left))
    width = int(max(pairs.right.max(), right.max(initial=0))) + 1
    keys = (pairs.value * width + pairs.left) * width + pairs.right
    order = np.argsort(keys)
    wanted = (value * width + left) * width + right
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where(keys[place] == wanted, excess[place], 0.0)
