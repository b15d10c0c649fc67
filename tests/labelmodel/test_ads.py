"""Anchored Dawid-Skene against a literal, loop-by-loop reading of its definition."""

from __future__ import annotations

import numpy as np
import pytest

from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import GoldCounts
from wsdb.labelmodel.ads import Rates, fit_anchored, fit_annotators, score_table, with_gold
from wsdb.labelmodel.statistics import FiredVotes, Statistics
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates


def literal_theta(votes: np.ndarray, balance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    n, m = votes.shape
    k = len(balance)
    shares = np.zeros((n, k))
    for i in range(n):
        for j in range(m):
            if votes[i, j] >= 0:
                shares[i, votes[i, j]] += weights[j]
        shares[i] = shares[i] / shares[i].sum() if shares[i].sum() > 0 else balance
    prior = np.full((k, k), 0.25 / (k - 1)) + np.eye(k) * (0.75 - 0.25 / (k - 1))
    theta = np.zeros((m, k, k))
    for j in range(m):
        pseudo = np.array([10 * prior[v] * (votes[:, j] == v).any() for v in range(k)])
        fired = max((votes[:, j] >= 0).sum(), 1)
        for y in range(k):
            total = max(pseudo.sum() * n / fired * balance[y], 1.02 * pseudo[:, y].sum())
            for v in range(k):
                counted = shares[votes[:, j] == v, y].sum()
                theta[j, v, y] = (counted + pseudo[v, y]) / (shares[:, y].sum() + total)
            if theta[j, :, y].sum() > 0.999:
                theta[j, :, y] *= 0.999 / theta[j, :, y].sum()
    return theta


def literal_weights(votes: np.ndarray, theta: np.ndarray, balance: np.ndarray) -> np.ndarray:
    n, m = votes.shape
    k = len(balance)
    weights = np.ones(m)
    for j in range(m):
        repeated = 0.0
        for v in range(k):
            excess = 0.0
            for other in set(range(m)) - {j}:
                both = ((votes[:, j] == v) & (votes[:, other] == v)).sum() / n
                expected = (balance * theta[j, v] * theta[other, v]).sum()
                scale = 1.0
                for source in (j, other):
                    scale *= np.sqrt((balance * theta[source, v] * (1 - theta[source, v])).sum())
                if scale > 0:
                    excess += np.clip((both - expected) / scale - 2 / np.sqrt(n), 0, 1)
            repeated += (votes[:, j] == v).sum() / max((votes[:, j] >= 0).sum(), 1) * excess
        weights[j] = 1 / (1 + repeated)
    return weights


@pytest.mark.parametrize("unipolar", [True, False])
def test_two_rounds_equal_the_definition(unipolar: bool) -> None:
    rng = np.random.default_rng(3)
    balance = np.array([0.5, 0.3, 0.2])
    _, votes = draw_votes(rng, labeling_rates(rng, 6, 3, unipolar=unipolar), balance, 300)
    votes[:, 5] = np.where(rng.random(300) < 0.9, votes[:, 4], -1)
    fired = FiredVotes.of(VotePatterns.of_rows(votes, 3))
    rates = fit_anchored(fired, Statistics.of_votes(fired), balance)

    first = literal_theta(votes, balance, np.ones(6))
    weights = literal_weights(votes, first, balance)
    second = literal_theta(votes, balance, weights)
    np.testing.assert_allclose(rates.theta, second, atol=1e-12)
    np.testing.assert_allclose(rates.weights, literal_weights(votes, second, balance), atol=1e-9)
    assert rates.weights[4] < 0.8


def test_evidence_given_firing_is_normalised_over_values() -> None:
    theta = np.array([[[0.4, 0.1], [0.1, 0.2]]])
    rates = Rates(theta, np.array([0.5]))
    np.testing.assert_allclose(score_table(rates, given_fired=False), 0.5 * np.log(theta))
    conditional = theta / theta.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(score_table(rates, given_fired=True), 0.5 * np.log(conditional))


def test_a_vote_never_seen_is_no_evidence() -> None:
    theta = np.array([[[0.4, 0.1], [0.0, 0.0]]])
    scores = score_table(Rates(theta, np.ones(1)), given_fired=False)
    np.testing.assert_array_equal(scores[0, 1], [0, 0])


def test_gold_rows_pull_rates_with_the_strength_of_a_hundred_rows() -> None:
    gold = GoldCounts(np.array([[[8.0, 2.0], [0.0, 0.0]]]), np.array([10.0, 40.0]))
    corrected = with_gold(np.array([[[0.5, 0.5], [0.0, 0.0]]]), gold)
    np.testing.assert_allclose(corrected[0, 0], [(50 + 8) / 110, (50 + 2) / 140])
    np.testing.assert_array_equal(corrected[0, 1], [0, 0])


def test_gold_counts_add_up_and_give_a_smoothed_balance() -> None:
    votes, labels = np.array([[0, -1], [1, 1], [0, 1]]), np.array([0, 1, 1])
    gold = GoldCounts.of_rows(votes, labels, 2)
    np.testing.assert_array_equal(gold.votes[0], [[1, 1], [0, 1]])
    np.testing.assert_allclose(gold.balance, [1.5 / 4, 2.5 / 4])
    parts = GoldCounts.of_rows(votes[:1], labels[:1], 2) + GoldCounts.of_rows(votes[1:], labels[1:], 2)
    np.testing.assert_array_equal(parts.votes, gold.votes)


def test_annotator_rates_recover_confusions() -> None:
    rng = np.random.default_rng(5)
    theta = labeling_rates(rng, 9, 3, coverage=0.6, unipolar=False)
    balance = np.array([0.5, 0.3, 0.2])
    _, votes = draw_votes(rng, theta, balance, 4000)
    found = fit_annotators(FiredVotes.of(VotePatterns.of_rows(votes, 3)), balance).theta
    conditional = [t / t.sum(axis=1, keepdims=True) for t in (found, theta)]
    assert np.abs(conditional[0] - conditional[1]).max() < 0.12
