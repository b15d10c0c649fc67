"""BIO tags: spans to labels and back, repair, scores, and the same in SQL."""

from __future__ import annotations

import itertools

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdb.core.errors import SpecError
from wsdb.labelmodel.spans import Spans, bio_to_spans, entity_f1, geometric_means, repair_bio, spans_to_bio, tag_set
from wsdb.labelmodel.spans_sql import label_spans_sql, span_votes_sql

LABELS = ("O", "B-person", "I-person", "B-place", "I-place")
TAGS = tag_set(LABELS)


@st.composite
def sequences(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Codes, with abstains, and offsets; empty sequences included."""
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=6))
    codes = draw(st.lists(st.integers(-1, 4), min_size=sum(lengths), max_size=sum(lengths)))
    return np.array(codes, dtype=np.int64), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@st.composite
def disjoint(draw: st.DrawFn) -> tuple[Spans, int]:
    gaps = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 1)), max_size=6))
    rows, at = [], 0
    for gap, length, kind in gaps:
        rows.append((at + gap, at + gap + length, kind))
        at += gap + length
    return Spans.of(rows), at + draw(st.integers(0, 3))


@given(disjoint())
def test_spans_survive_the_way_to_labels_and_back(case: tuple[Spans, int]) -> None:
    spans, n = case
    codes = spans_to_bio(spans, n, TAGS)
    assert bio_to_spans(codes, np.array([0, n]), TAGS).rows() == spans.rows()


@given(sequences())
def test_repaired_labels_are_legal_and_have_the_same_spans(case: tuple[np.ndarray, np.ndarray]) -> None:
    codes, offsets = case
    repaired = repair_bio(codes, offsets, TAGS)
    for start, end in itertools.pairwise(offsets):
        part = repaired[start:end]
        assert not len(part) or part[0] < 0 or TAGS.allowed_first[part[0]]
        for before, after in itertools.pairwise(part):
            assert after < 0 or TAGS.allowed[max(before, 0), after]
    assert bio_to_spans(repaired, offsets, TAGS).rows() == bio_to_spans(codes, offsets, TAGS).rows()
    np.testing.assert_array_equal(repair_bio(repaired, offsets, TAGS), repaired)


@given(sequences())
def test_spans_never_cross_sequences(case: tuple[np.ndarray, np.ndarray]) -> None:
    codes, offsets = case
    for start, end, _ in bio_to_spans(codes, offsets, TAGS).rows():
        assert any(a <= start < end <= b for a, b in itertools.pairwise(offsets))


@settings(max_examples=30)
@given(sequences())
def test_sql_joins_labels_to_the_same_spans(case: tuple[np.ndarray, np.ndarray]) -> None:
    codes, offsets = case
    probability = np.linspace(0.2, 0.9, len(codes))
    spans = bio_to_spans(codes, offsets, TAGS)
    group = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    wanted = {
        (int(group[a]), a - int(offsets[group[a]]), b - int(offsets[group[a]]), TAGS.types[kind]): round(p, 9)
        for (a, b, kind), p in zip(spans.rows(), geometric_means(probability, spans).tolist(), strict=True)
    }
    with duckdb.connect() as con:
        con.execute("CREATE TABLE labels (id INTEGER, pos INTEGER, label VARCHAR, prob DOUBLE)")
        rows = [
            (int(g), i - int(offsets[g]), LABELS[c] if c >= 0 else None, float(p))
            for i, (g, c, p) in enumerate(zip(group, codes, probability, strict=True))
        ]
        if rows:
            con.executemany("INSERT INTO labels VALUES (?, ?, ?, ?)", rows)
        found = con.execute(label_spans_sql("labels", ["id"])).fetchall()
    assert {row[:4]: round(row[4], 9) for row in found} == wanted


def test_sql_votes_follow_the_spans_and_the_earlier_span_wins() -> None:
    with duckdb.connect() as con:
        con.execute("CREATE TABLE tokens AS SELECT 1 AS id, unnest(range(6)) AS pos UNION ALL SELECT 2, 0")
        con.execute(
            "CREATE TABLE found AS FROM (VALUES (1, 1, 3, 'x'), (1, 2, 5, 'y'), (2, 0, 1, 'x'))"
            ' t(id, start, "end", type)'
        )
        votes = con.execute(span_votes_sql("tokens", "found", ["id"]) + " ORDER BY ALL").fetchall()
    assert votes == [(1, 1, "B-x"), (1, 2, "I-x"), (1, 3, "I-y"), (1, 4, "I-y"), (2, 0, "B-x")]


def test_scores_count_exact_spans() -> None:
    gold = Spans.of([(0, 2, 0), (3, 4, 1), (6, 8, 0)])
    score = entity_f1(gold, Spans.of([(0, 2, 0), (3, 4, 0), (6, 8, 0), (9, 10, 1)]))
    assert (score.n_gold, score.n_predicted, score.n_right) == (3, 4, 2)
    assert (score.precision, score.recall) == (0.5, 2 / 3)
    assert score.f1 == pytest.approx(4 / 7)
    assert entity_f1(Spans.of([]), Spans.of([])).f1 == 0.0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["B-x", "I-x"], 'no "O"'),
        (["O", "NOUN", "B-x"], '"NOUN"'),
        (["O", "B-x", "I-y"], '"I-y" but no "B-y"'),
        (["O"], "no B-x"),
    ],
)
def test_labels_that_are_not_bio_are_refused_where_bio_is_asked_for(labels: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message) as raised:
        tag_set(labels, "bio")
    assert raised.value.code == "WS340"
    assert not tag_set(labels).bio
    with pytest.raises(SpecError, match="unknown structure") as other:
        tag_set(labels, "crf")
    assert other.value.code == "WS308"


def test_a_span_outside_the_elements_is_refused() -> None:
    with pytest.raises(ValueError, match="not within"):
        spans_to_bio(Spans.of([(3, 6, 0)]), 5, TAGS)
