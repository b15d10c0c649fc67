"""BIO tags: label sets with begin and inside labels, spans to tags and back, and entity-level scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsdb.core.errors import SpecError
from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.sequence import groups_of

OUTSIDE = "O"
STRUCTURES = ("auto", "bio", "plain")


@dataclass(frozen=True, slots=True)
class TagSet:
    """The labels of a sequence task and the moves between neighbours that they allow.

    Attributes
    ----------
    labels : k names; codes are positions
    bio : the labels are O, B-t and I-t
    outside : code of the label O, or -1; a source that does not vote is taken to say it
    types : names t of the spans, empty where `bio` is false
    begin, inside : int64 arrays of shape (types,), codes of B-t and I-t; inside is -1 where there is no I-t
    """

    labels: tuple[str, ...]
    bio: bool
    outside: int
    types: tuple[str, ...]
    begin: np.ndarray
    inside: np.ndarray

    @property
    def allowed(self) -> np.ndarray:
        """Bool array of shape (k, k): [a, b] whether b may follow a. I-t follows B-t and I-t only."""
        moves = np.ones((len(self.labels), len(self.labels)), dtype=bool)
        for begin, inside in zip(self.begin, self.inside, strict=True):
            if inside >= 0:
                moves[:, inside] = False
                moves[[begin, inside], inside] = True
        return moves

    @property
    def allowed_first(self) -> np.ndarray:
        """Bool array of shape (k,): whether a sequence may start with the label."""
        first = np.ones(len(self.labels), dtype=bool)
        first[self.inside[self.inside >= 0]] = False
        return first

    @property
    def span_type(self) -> np.ndarray:
        """Type of the span that a label belongs to: int64 array of shape (k + 1,), -1 for O; last is abstain."""
        kinds = np.full(len(self.labels) + 1, -1, dtype=np.int64)
        kinds[self.begin] = np.arange(len(self.types))
        has_inside = np.flatnonzero(self.inside >= 0)
        kinds[self.inside[has_inside]] = has_inside
        return kinds


def tag_set(labels: Sequence[str], structure: str = "auto") -> TagSet:
    """Read the structure of a sequence task off its labels.

    Parameters
    ----------
    labels : k names
    structure : "bio" for O, B-t, I-t; "plain" for labels without forbidden moves; "auto" is "bio" where the
        labels are such names

    Raises
    ------
    SpecError
        WS308 for an unknown structure; WS340 where "bio" is asked for and the labels are not BIO tags.

    Examples
    --------
    >>> tag_set(["O", "B-person", "I-person"]).types
    ('person',)
    """
    if structure not in STRUCTURES:
        raise SpecError("WS308", f'unknown structure "{structure}"', hint=f"one of {', '.join(STRUCTURES)}")
    names = list(labels)
    wrong = _not_bio(names)
    none = np.zeros(0, dtype=np.int64)
    outside = names.index(OUTSIDE) if OUTSIDE in names else -1
    if structure == "plain" or (structure == "auto" and wrong is not None):
        return TagSet(tuple(names), False, outside, (), none, none)
    if wrong is not None:
        raise SpecError("WS340", wrong, hint="labels of spans are O, and B-x and I-x for each type x")
    types = tuple(name[2:] for name in names if name.startswith("B-"))
    begin = np.array([names.index(f"B-{t}") for t in types], dtype=np.int64)
    inside = np.array([names.index(f"I-{t}") if f"I-{t}" in names else -1 for t in types], dtype=np.int64)
    return TagSet(tuple(names), True, outside, types, begin, inside)


def _not_bio(names: list[str]) -> str | None:
    if OUTSIDE not in names:
        return f'the labels have no "{OUTSIDE}"'
    for name in names:
        if name != OUTSIDE and name[:2] not in ("B-", "I-"):
            return f'the label "{name}" is neither "{OUTSIDE}" nor B-x or I-x'
        if name.startswith("I-") and f"B-{name[2:]}" not in names:
            return f'the labels have "{name}" but no "B-{name[2:]}"'
    return None if any(name.startswith("B-") for name in names) else "the labels have no B-x"


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans over elements that stand in one array, sequence after sequence.

    Attributes
    ----------
    start, end : int64 arrays of shape (s,), first element and the one after the last
    kind : int64 array of shape (s,), position in `TagSet.types`
    """

    start: np.ndarray
    end: np.ndarray
    kind: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int]]) -> Spans:
        """Spans of (start, end, kind) rows."""
        table = np.array(rows, dtype=np.int64).reshape(-1, 3)
        return cls(table[:, 0], table[:, 1], table[:, 2])

    def __len__(self) -> int:
        return len(self.start)

    def rows(self) -> list[tuple[int, int, int]]:
        """(start, end, kind) of each span."""
        return list(zip(self.start.tolist(), self.end.tolist(), self.kind.tolist(), strict=True))


def spans_to_bio(spans: Spans, n_elements: int, tags: TagSet) -> np.ndarray:
    """Label of each element: int64 array of shape (n,), O outside the spans.

    Of spans that overlap, the one that starts first is kept, then the longer one. An element inside a span of
    a type without an I-label gets the B-label.

    Examples
    --------
    >>> tags = tag_set(["O", "B-x", "I-x"])
    >>> spans_to_bio(Spans.of([(1, 3, 0), (2, 5, 0)]), 5, tags).tolist()
    [0, 1, 2, 0, 0]
    """
    codes = np.full(n_elements, tags.outside, dtype=np.int64)
    free_from = 0
    for i in np.lexsort((-spans.end, spans.start)).tolist():
        start, end, kind = int(spans.start[i]), int(spans.end[i]), int(spans.kind[i])
        if not 0 <= start < end <= n_elements:
            raise ValueError(f"span {start} … {end} is not within 0 … {n_elements}")
        if start < free_from:
            continue
        inside = tags.inside[kind]
        codes[start:end] = inside if inside >= 0 else tags.begin[kind]
        codes[start] = tags.begin[kind]
        free_from = end
    return codes


def repair_bio(codes: np.ndarray, offsets: np.ndarray, tags: TagSet) -> np.ndarray:
    """The labels with every I-t that neither B-t nor I-t precedes turned into B-t.

    Parameters
    ----------
    codes : integer array of shape (n,), labels; -1 is abstain and ends a span as O does
    """
    kind = tags.span_type[codes]
    before = np.concatenate([[-1], kind[:-1]])
    before[offsets[:-1][offsets[:-1] < len(codes)]] = -1
    is_inside = np.isin(codes, tags.inside[tags.inside >= 0])
    broken = is_inside & (before != kind)
    repaired: np.ndarray = np.where(broken, tags.begin[np.maximum(kind, 0)] if len(tags.begin) else codes, codes)
    return repaired


def bio_to_spans(codes: np.ndarray, offsets: np.ndarray, tags: TagSet) -> Spans:
    """Spans of a column of labels, in order of their start; an I-t without a start begins a span.

    Parameters
    ----------
    codes : integer array of shape (n,), labels; -1 is abstain and ends a span as O does
    offsets : int64 array of shape (g + 1,); a span never crosses sequences

    Examples
    --------
    >>> tags = tag_set(["O", "B-x", "I-x"])
    >>> bio_to_spans(np.array([2, 2, 0, 1, 1]), np.array([0, 5]), tags).rows()
    [(0, 2, 0), (3, 4, 0), (4, 5, 0)]
    """
    repaired = repair_bio(codes, offsets, tags)
    start = np.flatnonzero(np.isin(repaired, tags.begin))
    goes_on = np.isin(repaired, tags.inside[tags.inside >= 0])
    stops = np.flatnonzero(np.concatenate([~goes_on, [True]]))
    end = stops[np.searchsorted(stops, start + 1)] if len(start) else start
    group_end = offsets[1:][groups_of(offsets)[start]] if len(start) else start
    return Spans(start, np.minimum(end, group_end), tags.span_type[repaired[start]])


@dataclass(frozen=True, slots=True)
class SpanScore:
    """Entity-level scores: a span is right where start, end and type are.

    Attributes
    ----------
    precision, recall, f1 : in [0, 1]; 0 where nothing is predicted or nothing is to be found
    n_gold, n_predicted, n_right : numbers of spans
    """

    precision: float
    recall: float
    f1: float
    n_gold: int
    n_predicted: int
    n_right: int


def entity_f1(gold: Spans, predicted: Spans) -> SpanScore:
    """Score predicted spans; a span given twice counts once."""
    wanted, found = set(gold.rows()), set(predicted.rows())
    right = len(wanted & found)
    precision, recall = right / max(len(found), 1), right / max(len(wanted), 1)
    f1 = 2 * right / max(len(wanted) + len(found), 1)
    return SpanScore(precision, recall, f1, len(wanted), len(found), right)


def geometric_means(probability: np.ndarray, spans: Spans) -> np.ndarray:
    """Geometric mean over the elements of each span: float64 array of shape (s,)."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.maximum(probability, 1e-300)))])
    means: np.ndarray = np.exp((logs[spans.end] - logs[spans.start]) / np.maximum(spans.end - spans.start, 1))
    return means


def abstains(codes: np.ndarray, outside: int) -> np.ndarray:
    """Bool array: the vote names no tag, because it is an abstain or O."""
    silent: np.ndarray = (codes == ABSTAIN) | (codes == outside)
    return silent
