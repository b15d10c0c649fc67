"""A summary gives the fit of all patterns: exactly where it holds them all, and nearly where it holds a sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labelmodel.strategies import balances, drawn, noise
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import Fit, auto, decide, fit, posterior
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.statistics import Statistics, count_shares, read_votes
from wsdb.labelmodel.summary import Sampled, Summary, copies, fits_some, kept_sources, thin
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates


def summary_of(patterns: VotePatterns) -> Summary:
    """Summarize all patterns of a table."""
    votes = read_votes(patterns)
    whole = Statistics.of(patterns)
    copy_of = copies(votes.table, whole.pairs)
    shares, classes = count_shares(votes.select(kept_sources(copy_of, learns=True)))
    covered = votes.counts[votes.votes_per_pattern > 0]
    largest = int(covered.max(initial=0))
    statistics = replace(whole, votes=shares, classes=classes)
    return Summary(statistics, copy_of, len(votes.counts), largest, patterns, 1)


@given(noise(), st.data())
def test_sources_with_equal_votes_are_found_by_counts(table: tuple[np.ndarray, int], data: st.DataObject) -> None:
    votes, k = table
    for j in range(votes.shape[1]):
        votes[:, j] = votes[:, data.draw(st.integers(0, j))]
    patterns = VotePatterns.of_rows(votes, k)
    found = copies(read_votes(patterns).table, Statistics.of(patterns).pairs)
    np.testing.assert_array_equal(found, read_votes(patterns).copies())


@given(st.one_of(noise(), drawn()), st.data())
@settings(max_examples=40)
def test_a_summary_of_all_patterns_gives_the_same_fit(table: tuple[np.ndarray, int], data: st.DataObject) -> None:
    votes, k = table
    if votes.shape[1] > 3 and data.draw(st.booleans()):
        votes[:, 3] = votes[:, 0]
    patterns, balance = VotePatterns.of_rows(votes, k), data.draw(balances(k))
    one = fit(patterns, balance=balance, regime="lf")
    other = fit(summary_of(patterns), balance=balance, regime="lf")
    assert (one.chosen, one.reason, one.notices) == (other.chosen, other.reason, other.notices)
    assert (one.n_rows, one.n_patterns, one.largest_pattern) == (other.n_rows, other.n_patterns, other.largest_pattern)
    for name in ("weights", "accuracy", "counts", "propensity"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.form.scores, other.form.scores)
    np.testing.assert_array_equal(one.training_form.scores, other.training_form.scores)


def test_only_auto_on_labeling_functions_reads_a_summary() -> None:
    votes = draw_votes(np.random.default_rng(0), labeling_rates(np.random.default_rng(0), 6, 2), np.ones(2) / 2, 500)[1]
    patterns = VotePatterns.of_rows(votes, 2)
    table = read_votes(patterns)
    found = auto.Profile.of(table, table.copies())
    assert fits_some("auto", "lf", found)
    assert fits_some("auto", "auto", found) == (found.regime == "lf")
    assert not fits_some("auto", "annotator", found)
    assert not fits_some("dawid_skene", "lf", found)


@given(noise(min_rows=1, min_sources=1), st.integers(1, 30), st.integers(0, 99))
def test_a_thinned_table_keeps_frequent_patterns_and_about_all_rows(
    table: tuple[np.ndarray, int], most: int, seed: int
) -> None:
    votes, k = table
    counts = np.random.default_rng(seed).integers(1, 60, size=len(votes))
    whole = read_votes(VotePatterns(votes, counts, tuple(f"lf_{j}" for j in range(votes.shape[1])), k))
    some, step = thin(whole, most)
    if len(counts) <= most:
        assert some is whole
        assert step == 1
        return
    assert (some.counts >= step).all()
    assert (some.counts > step).sum() == (counts > step).sum()
    light = counts[counts < step].sum()
    assert abs(some.counts.sum() - counts.sum()) < step or light == 0


@given(noise(min_rows=1), st.floats(1, 50))
def test_what_a_sample_does_not_change_stays(table: tuple[np.ndarray, int], step: float) -> None:
    votes, k = table
    whole = Statistics.of(VotePatterns.of_rows(votes, k))
    half = Statistics.of(VotePatterns.of_rows(votes[::2], k))
    found = Sampled(half.votes, half.classes, step).scaled(whole, half.votes, half.classes)
    # A row with a vote is of some class up to rounding of its shares.
    np.testing.assert_allclose(found[0], whole.votes, rtol=1e-6)
    np.testing.assert_allclose(found[1], whole.classes, rtol=1e-6)


@pytest.mark.parametrize("unipolar", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_a_sample_gives_nearly_the_labels_of_all_patterns(
    unipolar: bool, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    balance = np.array([0.5, 0.3, 0.2])
    votes = draw_votes(rng, labeling_rates(rng, 30, 3, coverage=0.15, unipolar=unipolar), balance, 40_000)[1]
    votes[:, 7] = np.where(rng.random(len(votes)) < 0.9, votes[:, 3], votes[:, 7])
    patterns = VotePatterns.of_rows(votes, 3)
    assert len(patterns.counts) > 20_000

    def fitted(most: int) -> Fit:
        monkeypatch.setattr(auto.thin, "__defaults__", (most,))
        return fit(patterns, balance=balance if known else None, regime="lf")

    whole, some = fitted(1 << 30), fitted(4_000)
    assert some.n_patterns == whole.n_patterns
    np.testing.assert_array_equal(some.counts, whole.counts)
    np.testing.assert_allclose(some.weights, whole.weights, atol=0.05)
    assert np.abs(posterior(some.form, votes) - posterior(whole.form, votes)).mean() < 0.02
    assert (decide(some.form, votes) != decide(whole.form, votes)).mean() < 0.02


def test_no_pairs_are_copies_only_of_silent_sources() -> None:
    fired = np.array([[0.0, 0.0], [2.0, 1.0], [0.0, 0.0]])
    assert copies(fired, PairCounts.empty()).tolist() == [0, 1, 0]
