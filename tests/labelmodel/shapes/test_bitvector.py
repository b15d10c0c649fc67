"""Laws of the bitvector model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.labelmodel.bitvector import BitvectorFit, bit_posterior, bits_of_lists, decide_bits, fit_bitvector
from wsdb.labelmodel.partial import fit_partial, partial_posterior


@st.composite
def tables(draw: st.DrawFn, bits: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    shape = (draw(st.integers(0, 20)), draw(st.integers(1, 4)), bits or draw(st.integers(1, 4)))
    votes = rng.integers(0, 2, shape)
    votes[rng.random(shape) < draw(st.sampled_from([0.2, 0.6, 1.0]))] = -1
    return votes


@given(tables())
def test_probabilities_are_probabilities_and_unvoted_bits_have_no_label(votes: np.ndarray) -> None:
    fitted = fit_bitvector(votes)
    answer = bit_posterior(fitted, votes)
    assert ((answer >= 0) & (answer <= 1)).all()
    voted = (votes >= 0).any(axis=1)
    np.testing.assert_array_equal(decide_bits(fitted, votes) >= 0, voted)
    np.testing.assert_array_equal(answer[~voted], np.broadcast_to(fitted.prior, voted.shape)[~voted])


@given(tables(), st.data())
def test_permuting_bits_and_sources_permutes_the_answers(votes: np.ndarray, data: st.DataObject) -> None:
    bits = np.array(data.draw(st.permutations(range(votes.shape[2]))))
    sources = np.array(data.draw(st.permutations(range(votes.shape[1]))))
    other = votes[:, sources][:, :, bits]
    left, right = fit_bitvector(votes), fit_bitvector(other)
    np.testing.assert_allclose(bit_posterior(right, other), bit_posterior(left, votes)[:, bits], atol=1e-9)
    np.testing.assert_allclose(right.accuracy, left.accuracy[sources], atol=1e-9)


@given(tables())
def test_saying_no_for_yes_turns_the_probabilities_round(votes: np.ndarray) -> None:
    turned = np.where(votes >= 0, 1 - votes, -1)
    left, right = bit_posterior(fit_bitvector(votes), votes), bit_posterior(fit_bitvector(turned), turned)
    np.testing.assert_allclose(right, 1 - left, atol=1e-9)


@given(tables())
def test_patterns_and_rows_give_the_same_answers(votes: np.ndarray) -> None:
    patterns, counts = np.unique(votes, axis=0, return_counts=True)
    one, other = fit_bitvector(votes), fit_bitvector(patterns, counts=counts)
    np.testing.assert_allclose(bit_posterior(one, votes), bit_posterior(other, votes), atol=1e-9)


@given(tables(bits=1))
def test_one_bit_is_a_binary_task(votes: np.ndarray) -> None:
    balance = np.array([0.3])
    plain = fit_partial(votes[:, :, 0], 2, balance=np.array([0.7, 0.3]))
    answer = bit_posterior(fit_bitvector(votes, balance), votes)
    np.testing.assert_allclose(answer[:, 0], partial_posterior(plain, votes[:, :, 0])[:, 1], atol=1e-12)


@given(tables())
def test_a_fit_survives_json(votes: np.ndarray) -> None:
    fitted = fit_bitvector(votes)
    read = BitvectorFit.from_dict(json.loads(json.dumps(fitted.to_dict())))
    np.testing.assert_array_equal(bit_posterior(read, votes), bit_posterior(fitted, votes))


def test_the_empty_list_says_no_and_null_says_nothing() -> None:
    votes = bits_of_lists([[[1], None, []], [None, None, None]], 2)
    assert votes.tolist() == [[[0, 1], [-1, -1], [0, 0]], [[-1, -1]] * 3]
    assert decide_bits(fit_bitvector(votes), votes)[1].tolist() == [-1, -1]


def draw_bits(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 8)) < rng.uniform(0.03, 0.25, 8)
    votes = np.full((n, 8, 8), -1)
    for j in range(8):
        hit, false = rng.uniform(0.5, 0.95), rng.uniform(0, 0.15)
        fires = rng.random(n) < 0.4
        votes[fires, j] = np.where(truth, rng.random((n, 8)) < hit, rng.random((n, 8)) < false)[fires]
    return votes, truth


@pytest.mark.parametrize("seed", range(4))
def test_drawn_bits_are_found_better_than_by_majority_vote(seed: int) -> None:
    votes, truth = draw_bits(seed)
    voted = (votes >= 0).any(axis=1)

    def f1(found: np.ndarray) -> float:
        return float(2 * (found & truth & voted).sum() / ((found & voted).sum() + (truth & voted).sum()))

    majority = (votes == 1).sum(axis=1) > (votes == 0).sum(axis=1)
    assert f1(decide_bits(fit_bitvector(votes), votes) == 1) >= f1(majority)


def test_votes_are_checked() -> None:
    with pytest.raises(ValueError, match="rows, sources and bits"):
        fit_bitvector(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="-1, 0 or 1"):
        fit_bitvector(np.full((1, 1, 1), 2))
    with pytest.raises(ValueError, match="does not match 1 bits"):
        fit_bitvector(np.zeros((1, 1, 1)), np.array([0.5, 0.5]))
