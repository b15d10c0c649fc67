"""Laws of the sequence model, and what it does on drawn sequences."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdb.labelmodel.hmm import SequenceFit, fit_hmm, tag_sequences
from wsdb.labelmodel.hmm_estimate import evidence_table
from wsdb.labelmodel.sequence import Chain, forward_backward, likelihoods, offsets_of, viterbi
from wsdb.labelmodel.spans import abstains, bio_to_spans, entity_f1, tag_set

BIO = ("O", "B-a", "I-a", "B-b", "I-b")
PLAIN = ("NOUN", "VERB", "ADJ", "DET", "NUM")


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Votes without structure over labels 0 … 4, and offsets."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    lengths = np.array(draw(st.lists(st.integers(0, 7), min_size=1, max_size=12)))
    votes = rng.integers(0, 5, (lengths.sum(), draw(st.integers(1, 4)))).astype(np.int8)
    votes[rng.random(votes.shape) < draw(st.sampled_from([0.2, 0.7, 1.0]))] = -1
    return votes, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


LABELS = st.sampled_from([BIO, PLAIN])


def brute_force(likelihood: np.ndarray, chain: Chain) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    n, k = likelihood.shape
    posterior, moves, best = np.zeros((n, k)), np.zeros((k, k)), (-1.0, ())
    for path in itertools.product(range(k), repeat=n):
        mass = chain.initial[path[0]] * np.prod([likelihood[i, y] for i, y in enumerate(path)])
        mass *= np.prod([chain.transition[a, b] for a, b in itertools.pairwise(path)])
        best = max(best, (float(mass), tuple(-y for y in path)))
        for i, y in enumerate(path):
            posterior[i, y] += mass
        for a, b in itertools.pairwise(path):
            moves[a, b] += mass
    total = posterior[0].sum()
    return posterior / total, moves / total, tuple(-y for y in best[1])


@settings(max_examples=40)
@given(st.integers(0, 2**20), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_the_recursions_equal_the_sum_over_all_paths(seed: int, lengths: list[int]) -> None:
    rng, k = np.random.default_rng(seed), 3
    chain = Chain(rng.dirichlet(np.ones(k), size=k), rng.dirichlet(np.ones(k)))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    likelihood = rng.random((offsets[-1], k)) + 0.01
    counts = rng.integers(1, 4, len(lengths)).astype(float)
    posterior, moves = forward_backward(likelihood, offsets, chain, counts)
    path = viterbi(np.log(likelihood), offsets, chain)
    wanted = np.zeros((k, k))
    for i, (a, b) in enumerate(itertools.pairwise(offsets)):
        expected, own, best = brute_force(likelihood[a:b], chain)
        np.testing.assert_allclose(posterior[a:b], expected, atol=1e-12)
        assert tuple(path[a:b]) == best
        wanted += counts[i] * own
    np.testing.assert_allclose(moves, wanted, atol=1e-12)


@settings(max_examples=40)
@given(tables(), LABELS)
def test_posteriors_are_distributions_and_uncovered_sequences_have_no_label(
    table: tuple[np.ndarray, np.ndarray], labels: tuple[str, ...]
) -> None:
    votes, offsets = table
    fitted = fit_hmm(votes, offsets, labels)
    tagged = tag_sequences(fitted, votes, offsets)
    np.testing.assert_allclose(tagged.posterior.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(fitted.emission.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(fitted.chain.transition.sum(axis=1), 1.0, atol=1e-9)
    for a, b in itertools.pairwise(offsets):
        voted = bool((votes[a:b] >= 0).any())
        assert (tagged.covered[a:b] == voted).all()
        assert ((tagged.labels[a:b] >= 0) == voted).all()
        if not voted and b > a:
            np.testing.assert_array_equal(tagged.posterior[a:b], [fitted.prior] * (b - a))
    assert ((tagged.span_probability > 0) & (tagged.span_probability <= 1 + 1e-12)).all()


@settings(max_examples=40)
@given(tables())
def test_bio_paths_are_legal_and_every_span_was_voted(table: tuple[np.ndarray, np.ndarray]) -> None:
    votes, offsets = table
    tags = tag_set(BIO)
    tagged = tag_sequences(fit_hmm(votes, offsets, BIO), votes, offsets)
    voted = set().union(*(bio_to_spans(votes[:, j], offsets, tags).rows() for j in range(votes.shape[1])))
    assert set(tagged.spans.rows()) <= voted
    for a, b in itertools.pairwise(offsets):
        path = tagged.labels[a:b]
        if b > a and path[0] >= 0:
            assert tags.allowed_first[path[0]]
            assert all(tags.allowed[x, y] for x, y in itertools.pairwise(path))


@settings(max_examples=40)
@given(tables(), LABELS, st.data())
def test_permuting_sources_and_classes_permutes_the_answers(
    table: tuple[np.ndarray, np.ndarray], labels: tuple[str, ...], data: st.DataObject
) -> None:
    votes, offsets = table
    order = np.array(data.draw(st.permutations(range(5))))
    sources = np.array(data.draw(st.permutations(range(votes.shape[1]))))
    renamed = np.where(votes >= 0, order[votes], -1)[:, sources]
    names = tuple(labels[i] for i in np.argsort(order))
    one, other = fit_hmm(votes, offsets, labels), fit_hmm(renamed, offsets, names)
    left, right = tag_sequences(one, votes, offsets), tag_sequences(other, renamed, offsets)
    np.testing.assert_allclose(right.posterior[:, order], left.posterior, atol=1e-8)
    np.testing.assert_allclose(other.accuracy, one.accuracy[sources], atol=1e-8)


@settings(max_examples=40)
@given(tables(), LABELS, st.integers(2, 3))
def test_a_copy_of_a_source_changes_nothing(
    table: tuple[np.ndarray, np.ndarray], labels: tuple[str, ...], copies: int
) -> None:
    votes, offsets = table
    copied = np.concatenate([votes, *[votes[:, :1]] * (copies - 1)], axis=1)
    one = tag_sequences(fit_hmm(votes, offsets, labels), votes, offsets)
    other = tag_sequences(fit_hmm(copied, offsets, labels), copied, offsets)
    np.testing.assert_allclose(other.posterior, one.posterior, atol=1e-8)


@settings(max_examples=40)
@given(tables(), LABELS, st.integers(2, 3))
def test_sequences_twice_say_the_same_per_sequence(
    table: tuple[np.ndarray, np.ndarray], labels: tuple[str, ...], times: int
) -> None:
    """Equal sequences are worked on once with a count: their order and grouping must not matter."""
    votes, offsets = table
    fitted = fit_hmm(votes, offsets, labels)
    many = np.concatenate([votes] * times)
    bounds = np.concatenate([[0], np.cumsum(np.tile(np.diff(offsets), times))])
    tagged = tag_sequences(fitted, many, bounds)
    once = tag_sequences(fitted, votes, offsets)
    np.testing.assert_allclose(tagged.posterior, np.tile(once.posterior, (times, 1)), atol=1e-12)
    np.testing.assert_array_equal(tagged.labels, np.tile(once.labels, times))
    backwards = [np.arange(a, b) for a, b in itertools.pairwise(offsets)][::-1]
    rows = np.concatenate(backwards)
    again = fit_hmm(votes[rows], np.concatenate([[0], np.cumsum([len(r) for r in backwards])]), labels)
    np.testing.assert_allclose(again.emission, fitted.emission, atol=1e-9)


@settings(max_examples=40)
@given(tables(), LABELS)
def test_a_fit_survives_json(table: tuple[np.ndarray, np.ndarray], labels: tuple[str, ...]) -> None:
    votes, offsets = table
    fitted = fit_hmm(votes, offsets, labels)
    read = SequenceFit.from_dict(json.loads(json.dumps(fitted.to_dict())))
    one, other = tag_sequences(fitted, votes, offsets), tag_sequences(read, votes, offsets)
    np.testing.assert_array_equal(one.posterior, other.posterior)
    np.testing.assert_array_equal(one.labels, other.labels)


def test_a_vote_for_o_is_silence_that_covers() -> None:
    votes = np.array([[0, -1], [1, 1], [2, -1], [-1, -1]])
    silent = np.where(votes == 0, -1, votes)
    offsets = np.array([0, 4])
    one, other = fit_hmm(votes, offsets, BIO), fit_hmm(silent, offsets, BIO)
    np.testing.assert_array_equal(one.emission, other.emission)
    only_o = np.array([[0, 0], [-1, 0]])
    assert tag_sequences(one, only_o, np.array([0, 2])).labels.tolist() == [0, 0]
    assert tag_sequences(one, np.full((2, 2), -1), np.array([0, 2])).labels.tolist() == [-1, -1]


def draw_spans(seed: int, n_sequences: int = 400, length: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes (n, 5), offsets and gold codes: spans of one to three tokens that sources find, cut or miss."""
    rng = np.random.default_rng(seed)
    n = n_sequences * length
    offsets = np.arange(n_sequences + 1) * length
    gold, votes = np.zeros(n, dtype=np.int64), np.full((n, 5), -1)
    recall, wrong = rng.uniform(0.3, 0.7, 5), rng.uniform(0.002, 0.01, 5)
    for start in offsets[:-1]:
        at = start + int(rng.integers(0, 6))
        while at + 3 < start + length:
            kind, size = int(rng.integers(0, 2)), int(rng.integers(1, 4))
            gold[at : at + size] = 2 + 2 * kind
            gold[at] = 1 + 2 * kind
            for j in np.flatnonzero(rng.random(5) < recall):
                cut = size if rng.random() < 0.8 else max(1, size - 1)
                seen = kind if rng.random() < 0.9 else 1 - kind
                votes[at : at + cut, j] = 2 + 2 * seen
                votes[at, j] = 1 + 2 * seen
            at += size + int(rng.integers(2, 8))
    for j in range(5):
        stray = (rng.random(n) < wrong[j]) & (votes[:, j] < 0) & (np.roll(votes[:, j], -1) < 0)
        votes[stray, j] = 1 + 2 * rng.integers(0, 2, stray.sum())
    return votes, offsets, gold


@pytest.mark.parametrize("seed", range(3))
def test_drawn_spans_are_found_better_than_by_any_single_source(seed: int) -> None:
    votes, offsets, gold = draw_spans(seed)
    tags = tag_set(BIO)
    truth = bio_to_spans(gold, offsets, tags)
    fitted = fit_hmm(votes, offsets, BIO)
    found = entity_f1(truth, tag_sequences(fitted, votes, offsets).spans)
    alone = max(entity_f1(truth, bio_to_spans(votes[:, j], offsets, tags)).f1 for j in range(5))
    assert found.f1 >= alone + 0.1
    assert found.f1 >= 0.75


@pytest.mark.parametrize("seed", range(3))
def test_neighbours_help_where_labels_persist(seed: int) -> None:
    """Plain labels of a sticky chain: smoothing beats the vote of each element by 5 points or more."""
    rng = np.random.default_rng(seed)
    k, n, length = 3, 9000, 30
    labels = np.zeros(n, dtype=np.int64)
    for i in range(n):
        labels[i] = rng.integers(0, k) if i % length == 0 or rng.random() < 0.2 else labels[i - 1]
    votes = np.full((n, 4), -1)
    for j in range(4):
        right = rng.random(n) < 0.6
        votes[:, j] = np.where(right, labels, rng.integers(0, k, n))
        votes[rng.random(n) < 0.5, j] = -1
    offsets = np.arange(0, n + 1, length)
    tagged = tag_sequences(fit_hmm(votes, offsets, ["x", "y", "z"]), votes, offsets)
    counts = np.stack([(votes == y).sum(axis=1) for y in range(k)], axis=1) + rng.random((n, k)) * 0.5
    assert (tagged.labels == labels).mean() >= (counts.argmax(axis=1) == labels).mean() + 0.05


def test_the_balance_given_for_plain_labels_is_the_stationary_one() -> None:
    rng = np.random.default_rng(0)
    votes = rng.integers(-1, 3, (300, 3))
    balance = np.array([0.6, 0.3, 0.1])
    fitted = fit_hmm(votes, np.arange(0, 301, 10), ["x", "y", "z"], balance=balance)
    np.testing.assert_allclose(balance @ fitted.chain.transition, balance, atol=1e-6)
    np.testing.assert_array_equal(fitted.prior, balance)


def test_offsets_and_votes_are_checked() -> None:
    assert offsets_of(np.array(["a", "a", "b"])).tolist() == [0, 2, 3]
    with pytest.raises(ValueError, match="stand together"):
        offsets_of(np.array([1, 2, 1]))
    with pytest.raises(ValueError, match="from 0 to 2"):
        fit_hmm(np.zeros((2, 1), dtype=int), np.array([0, 1]), BIO)
    with pytest.raises(ValueError, match="votes must be in"):
        fit_hmm(np.full((1, 1), 5), np.array([0, 1]), BIO)
    with pytest.raises(ValueError, match="1 sources"):
        tag_sequences(fit_hmm(np.zeros((1, 1), dtype=int), np.array([0, 1]), BIO), np.zeros((1, 2)), np.array([0, 1]))


@settings(max_examples=40)
@given(tables(), LABELS)
def test_the_rest_of_a_sequence_is_its_posterior_without_the_elements_own_votes(
    table: tuple[np.ndarray, np.ndarray], labels: tuple[str, ...]
) -> None:
    votes, offsets = table
    fit = fit_hmm(votes, offsets, labels)
    tagged = tag_sequences(fit, votes, offsets)
    evidence = evidence_table(fit.emission, fit.weights, fit.silent_weight)
    symbols = np.where(abstains(votes, fit.tags.outside), 0, votes.astype(int) + 1)
    likelihood = likelihoods(sum(evidence[j, symbols[:, j]] for j in range(votes.shape[1])))
    for at in np.flatnonzero(tagged.covered)[:5].tolist():
        start = offsets[np.searchsorted(offsets, at, side="right") - 1]
        stop = offsets[np.searchsorted(offsets, at, side="right")]
        seen = likelihood[start:stop].copy()
        seen[at - start] = 1.0
        alone = forward_backward(seen, np.array([0, stop - start]), fit.chain, np.ones(1))[0][at - start]
        rest = np.exp(tagged.others[at] - tagged.others[at].max())
        assert rest / rest.sum() == pytest.approx(alone, abs=1e-9)
