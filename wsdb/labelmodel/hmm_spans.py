"""The likeliest path whose spans were voted: BIO labels decoded over the spans that sources proposed.

Plain Viterbi can stitch the spans of two sources into one that nobody voted. Here a path may enter a span only
if some source voted exactly that span. Elements without a vote for a tag are O on such a path, and given an O
the parts left and right of it are independent: each run of elements with votes is decoded on its own, equal
runs once.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from wsdb.labelmodel.sequence import SMALLEST, Chain, DistinctSequences, groups_of
from wsdb.labelmodel.spans import TagSet, bio_to_spans


def voted_path(
    symbols: np.ndarray, sequences: DistinctSequences, evidence: np.ndarray, chain: Chain, tags: TagSet
) -> np.ndarray:
    """Likeliest labels of each element.

    Parameters
    ----------
    symbols : int64 array of shape (p, m), 0 silent, 1 + v for a vote v, per kind of element
    sequences : sequences of kinds, z elements in all
    evidence : float64 array of shape (p, k), log-likelihood of a kind's votes
    chain : moves between neighbours

    Returns
    -------
    int64 array of shape (z,)
    """
    kinds, offsets = sequences.kinds, sequences.offsets
    path = np.full(len(kinds), tags.outside, dtype=np.int64)
    active = np.isin(kinds, np.flatnonzero((symbols > 0).any(axis=1)))
    group = groups_of(offsets)
    same = np.concatenate([[False], (group[1:] == group[:-1]) & active[:-1]])[: len(kinds)]
    starts = np.flatnonzero(active & ~same)
    if not len(starts):
        return path
    stops = np.flatnonzero(np.concatenate([~active, [True]]))
    ends = np.minimum(stops[np.searchsorted(stops, starts)], offsets[1:][group[starts]])
    at_start, at_end = starts == offsets[:-1][group[starts]], ends == offsets[1:][group[starts]]
    spans = _voted_spans(symbols, sequences, tags)
    bounds = np.searchsorted([span[0] for span in spans], np.stack([starts, ends]))
    decoder = _RunDecoder(evidence, chain, tags)
    known: dict[tuple[bytes, bool, bool], list[int]] = {}
    for start, end, first, last, low, high in zip(
        starts.tolist(), ends.tolist(), at_start.tolist(), at_end.tolist(), *bounds.tolist(), strict=True
    ):
        # The kinds of a run fix its spans: a run ends where no source votes.
        key = (kinds[start:end].tobytes(), first, last)
        if key not in known:
            own = [(a - start, b - start, kind) for a, b, kind in spans[low:high]]
            known[key] = decoder.decode(kinds[start:end], own, at_start=first, at_end=last)
        path[start:end] = known[key]
    return path


def _voted_spans(symbols: np.ndarray, sequences: DistinctSequences, tags: TagSet) -> list[tuple[int, int, int]]:
    """Every different span that some source votes, as (start, end, kind), sorted."""
    voted: set[tuple[int, int, int]] = set()
    for j in range(symbols.shape[1]):
        voted.update(bio_to_spans(symbols[sequences.kinds, j] - 1, sequences.offsets, tags).rows())
    return sorted(voted)


class _RunDecoder:
    """Viterbi over O and the voted spans of one run of elements."""

    def __init__(self, evidence: np.ndarray, chain: Chain, tags: TagSet) -> None:
        self.evidence, self.outside = evidence, tags.outside
        self.begin, self.inside = tags.begin.tolist(), tags.inside.tolist()
        self.moves = np.log(np.maximum(chain.transition, SMALLEST)).tolist()
        self.initial = np.log(np.maximum(chain.initial, SMALLEST)).tolist()

    def decode(
        self, kinds: np.ndarray, spans: list[tuple[int, int, int]], *, at_start: bool, at_end: bool
    ) -> list[int]:
        """Labels of a run; it lies between O and O except where it is at an end of its sequence."""
        n = len(kinds)
        into = self.initial if at_start else self.moves[self.outside]
        pieces = self._pieces(self.evidence[kinds].tolist(), spans)
        # best[i][s]: score of the best labels of the first i elements that end in state s, the state before the
        # last piece, and that piece.
        best: list[dict[int, tuple[float, int, tuple[int, ...]]]] = [{} for _ in range(n + 1)]
        best[0][-1] = (0.0, -1, ())
        for i in range(n):
            for state, (score, _, _) in best[i].items():
                enter = into if state < 0 else self.moves[state]
                for piece, own in pieces[i]:
                    total = score + enter[piece[0]] + own
                    after, last = best[i + len(piece)], piece[-1]
                    if last not in after or total > after[last][0]:
                        after[last] = (total, state, piece)
        leave = [0.0] * len(self.initial) if at_end else [row[self.outside] for row in self.moves]
        state = max((score + leave[state], -state) for state, (score, _, _) in best[n].items())[1] * -1
        backwards: list[int] = []
        while n:
            _, before, piece = best[n][state]
            backwards += reversed(piece)
            n, state = n - len(piece), before
        return backwards[::-1]

    def _pieces(
        self, seen: list[list[float]], spans: list[tuple[int, int, int]]
    ) -> list[list[tuple[tuple[int, ...], float]]]:
        """What may start at each element: O, or a voted span; as labels and their score without the entry."""
        pieces: list[list[tuple[tuple[int, ...], float]]] = [[((self.outside,), row[self.outside])] for row in seen]
        for start, end, kind in spans:
            labels = (self.begin[kind], *([self.inside[kind]] * (end - start - 1)))
            score = sum(seen[start + i][label] for i, label in enumerate(labels))
            score += sum(self.moves[a][b] for a, b in pairwise(labels))
            pieces[start].append((labels, score))
        return pieces
