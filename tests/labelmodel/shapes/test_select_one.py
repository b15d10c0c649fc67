"""Laws of the select-one model."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.labelmodel.select_one import SelectFit, fit_select, select_posterior

NONE = st.sampled_from([None, 0.2])


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    sizes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    votes = rng.integers(0, 2, (sum(sizes), draw(st.integers(1, 4))))
    votes[rng.random(votes.shape) < draw(st.sampled_from([0.3, 0.7, 1.0]))] = -1
    return votes, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


@given(tables(), NONE)
def test_one_element_of_each_group_is_right(table: tuple[np.ndarray, np.ndarray], none: float | None) -> None:
    votes, offsets = table
    answer = select_posterior(fit_select(votes, offsets, none), votes, offsets)
    assert ((answer.probability >= 0) & (answer.probability <= 1 + 1e-12)).all()
    for g, (a, b) in enumerate(itertools.pairwise(offsets)):
        voted = bool((votes[a:b] >= 0).any())
        assert answer.covered[g] == voted
        if b > a:
            assert answer.probability[a:b].sum() + answer.none[g] == pytest.approx(1.0)
        if voted and answer.chosen[g] >= 0:
            assert a <= answer.chosen[g] < b
            assert answer.probability[answer.chosen[g]] >= answer.probability[a:b].max() - 1e-9
        if not voted:
            assert answer.chosen[g] == -1
            np.testing.assert_allclose(answer.probability[a:b], (1 - answer.none[g]) / max(b - a, 1))


@given(tables(), NONE, st.data())
def test_the_order_of_elements_groups_and_sources_does_not_matter(
    table: tuple[np.ndarray, np.ndarray], none: float | None, data: st.DataObject
) -> None:
    votes, offsets = table
    order = data.draw(st.permutations(range(len(offsets) - 1)))
    sources = np.array(data.draw(st.permutations(range(votes.shape[1]))))
    rows = [np.arange(offsets[g], offsets[g + 1])[::-1] for g in order]
    place = np.concatenate(rows).astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    other = votes[place][:, sources]
    one, two = fit_select(votes, offsets, none), fit_select(other, bounds, none)
    np.testing.assert_allclose(two.accuracy, one.accuracy[sources], atol=1e-9)
    np.testing.assert_allclose(
        select_posterior(two, other, bounds).probability,
        select_posterior(one, votes, offsets).probability[place],
        atol=1e-9,
    )


@given(tables(), NONE)
def test_a_copy_of_a_source_changes_nothing(table: tuple[np.ndarray, np.ndarray], none: float | None) -> None:
    votes, offsets = table
    copied = np.concatenate([votes, votes[:, :1]], axis=1)
    one = select_posterior(fit_select(votes, offsets, none), votes, offsets)
    two = select_posterior(fit_select(copied, offsets, none), copied, offsets)
    np.testing.assert_allclose(two.probability, one.probability, atol=1e-9)


@given(tables(), NONE)
def test_a_fit_survives_json(table: tuple[np.ndarray, np.ndarray], none: float | None) -> None:
    votes, offsets = table
    fitted = fit_select(votes, offsets, none)
    read = SelectFit.from_dict(json.loads(json.dumps(fitted.to_dict())))
    one, two = select_posterior(fitted, votes, offsets), select_posterior(read, votes, offsets)
    np.testing.assert_array_equal(one.probability, two.probability)


@given(tables())
def test_votes_for_all_of_a_group_say_nothing(table: tuple[np.ndarray, np.ndarray]) -> None:
    votes, offsets = table
    everywhere = np.ones((len(votes), 1), dtype=votes.dtype)
    one = select_posterior(fit_select(votes, offsets), votes, offsets)
    more = np.concatenate([votes, everywhere], axis=1)
    two = select_posterior(fit_select(more, offsets), more, offsets)
    np.testing.assert_allclose(two.probability, one.probability, atol=1e-9)


def test_a_vote_against_one_is_a_vote_for_the_others() -> None:
    offsets = np.array([0, 3])
    against, others = np.array([[0], [-1], [-1]]), np.array([[-1], [1], [1]])
    fitted = fit_select(others, offsets)
    one, two = select_posterior(fitted, against, offsets), select_posterior(fitted, others, offsets)
    np.testing.assert_allclose(one.probability, two.probability)
    assert one.probability[0] < one.probability[1]


def test_votes_against_everything_speak_for_none() -> None:
    votes, offsets = np.array([[0], [0]]), np.array([0, 2])
    answer = select_posterior(fit_select(votes, offsets, 0.3), votes, offsets)
    assert answer.none[0] > 0.3
    assert answer.chosen.tolist() == [-1]
    assert answer.covered.tolist() == [True]


def test_groups_without_votes_against_or_for_are_uncovered() -> None:
    votes, offsets = np.array([[1], [-1], [-1]]), np.array([0, 2, 3, 3])
    answer = select_posterior(fit_select(votes, offsets), votes, offsets)
    assert answer.chosen.tolist() == [0, -1, -1]
    assert answer.covered.tolist() == [True, False, False]


def test_a_vote_for_one_of_ten_says_more_than_one_of_two() -> None:
    offsets = np.array([0, 2, 12])
    votes = np.full((12, 1), -1)
    votes[[0, 2]] = 1
    fitted = fit_select(votes, offsets)
    answer = select_posterior(fitted, votes, offsets)
    prior = np.array([1 / 2, 1 / 10])
    odds = answer.probability[[0, 2]] / (1 - answer.probability[[0, 2]]) / (prior / (1 - prior))
    assert odds[1] > odds[0] > 1


def draw(seed: int, n_groups: int = 800) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Votes of six sources, some for two elements; offsets, the right elements and the accuracies."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 8, n_groups)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    truth = offsets[:-1] + (rng.random(n_groups) * sizes).astype(int)
    accuracy = rng.uniform(0.4, 0.9, 6)
    votes = np.full((offsets[-1], 6), -1)
    for j, g in itertools.product(range(6), range(n_groups)):
        if rng.random() < 0.5:
            wrong = offsets[g] + rng.integers(sizes[g] - 1)
            pick = truth[g] if rng.random() < accuracy[j] else wrong + (wrong >= truth[g])
            votes[pick, j] = 1
            if rng.random() < 0.3 and sizes[g] > 2:
                votes[offsets[g] + rng.integers(sizes[g]), j] = 1
    return votes, offsets, truth, accuracy


@pytest.mark.parametrize("seed", range(3))
def test_drawn_groups_are_answered_better_than_by_majority_vote(seed: int) -> None:
    votes, offsets, truth, accuracy = draw(seed)
    rng = np.random.default_rng(seed)
    fitted = fit_select(votes, offsets)
    answer = select_posterior(fitted, votes, offsets)
    count = (votes == 1).sum(axis=1) + rng.random(len(votes)) * 0.5
    majority = np.array([a + count[a:b].argmax() for a, b in itertools.pairwise(offsets)])
    right = (answer.chosen == truth)[answer.covered].mean()
    assert right >= (majority == truth)[answer.covered].mean() + 0.01
    assert np.corrcoef(fitted.accuracy, accuracy)[0, 1] >= 0.9


def test_votes_and_options_are_checked() -> None:
    with pytest.raises(ValueError, match="-1, 0 or 1"):
        fit_select(np.array([[2]]), np.array([0, 1]))
    with pytest.raises(ValueError, match="none_prior"):
        fit_select(np.array([[1]]), np.array([0, 1]), 1.0)
    with pytest.raises(ValueError, match="from 0 to 1"):
        fit_select(np.array([[1]]), np.array([0, 2]))
