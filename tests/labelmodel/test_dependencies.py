"""Sources that repeat each other: found, declared, copies, and what they weigh."""

from __future__ import annotations

import numpy as np
import pytest

from wsdb.core.errors import SpecError
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import Dependency, Fit, Options, fit, posterior
from wsdb.labelmodel.dependencies import GivenPairs
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates

BALANCE = np.array([0.6, 0.4])


def votes_with_a_near_copy(seed: int = 0) -> np.ndarray:
    """Eight functions; the last repeats most votes of the first."""
    rng = np.random.default_rng(seed)
    votes = draw_votes(rng, labeling_rates(rng, 7, 2, coverage=0.2), BALANCE, 4000)[1]
    return np.column_stack([votes, np.where(rng.random(4000) < 0.9, votes[:, 0], -1)]).astype(np.int8)


def fit_rows(votes: np.ndarray, structure: str = "auto", pairs: tuple[tuple[str, str, str], ...] = ()) -> Fit:
    options = Options(structure=structure)
    return fit(VotePatterns.of_rows(votes, 2), balance=BALANCE, regime="lf", options=options, dependencies=pairs)


def test_a_near_copy_is_an_edge_with_its_strength() -> None:
    fitted = fit_rows(votes_with_a_near_copy())
    first = fitted.dependencies[0]
    assert first[:3] == ("lf_0", "lf_7", "learned")
    assert first.r > 0.8
    assert first.z > 40
    votes = votes_with_a_near_copy()
    assert first.rows == ((votes[:, 0] >= 0) & (votes[:, 7] >= 0)).sum()
    assert all(edge.r > 0.2 and edge.z > 4 for edge in fitted.dependencies)
    assert max(fitted.weights[[0, 7]]) < 0.65 < min(fitted.weights[1:7])


def test_independent_sources_have_no_edges() -> None:
    rng = np.random.default_rng(1)
    votes = draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.1), BALANCE, 4000)[1]
    assert fit_rows(votes).dependencies == ()


def test_exact_copies_are_edges_with_the_source_they_copy() -> None:
    votes = votes_with_a_near_copy()
    copied = np.column_stack([votes, votes[:, 2], votes[:, 2]])
    edges = fit_rows(copied).dependencies
    assert Dependency("lf_2", "lf_8", "copy", 1.0) in edges
    assert Dependency("lf_2", "lf_9", "copy", 1.0) in edges


def test_the_option_structure_chooses_what_counts() -> None:
    votes = votes_with_a_near_copy()
    pairs = (("lf_1", "lf_3", "declared"), ("lf_2", "lf_4", "shared_column body"))
    weights = {name: fit_rows(votes, name, pairs).weights for name in ("auto", "none", "learned", "static", "declared")}
    np.testing.assert_array_equal(weights["none"], 1.0)
    learned = fit_rows(votes).weights
    np.testing.assert_allclose(weights["learned"], learned)
    # lf_1 and lf_3 vote the same class, as lf_2 and lf_4 do.
    changed = {name: np.flatnonzero(weights[name] < learned - 0.05).tolist() for name in ("auto", "static")}
    assert {1, 3} <= set(changed["auto"])
    assert not {0, 5, 6, 7} & set(changed["auto"])
    assert {1, 2, 3, 4} <= set(changed["static"])
    assert (weights["declared"] < 1).nonzero()[0].tolist() == [1, 2, 3, 4]
    assert weights["declared"][[0, 7]].tolist() == [1.0, 1.0]


def test_pairs_declared_dependent_of_equal_coverage_count_as_one_source() -> None:
    rng = np.random.default_rng(2)
    votes = draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.3), BALANCE, 3000)[1]
    votes[:, 2] = rng.permutation(votes[:, 0])
    fitted = fit_rows(votes, "declared", (("lf_2", "lf_0", "declared"),))
    np.testing.assert_allclose(fitted.weights[[0, 2]], 0.5, atol=1e-3)
    half = fit_rows(votes, "declared", (("lf_2", "lf_0", "same keyword"),))
    np.testing.assert_allclose(half.weights[[0, 2]], 1 / 1.5, atol=1e-3)


def test_a_rare_source_takes_little_from_a_wide_one() -> None:
    rng = np.random.default_rng(3)
    votes = draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.3), BALANCE, 3000)[1]
    votes[20:, 2] = -1
    fitted = fit_rows(votes, "declared", (("lf_0", "lf_2", "declared"),))
    assert fitted.weights[0] > 0.85


def test_a_pair_that_votes_for_different_classes_shares_nothing() -> None:
    votes = votes_with_a_near_copy()
    fitted = fit_rows(votes, "declared", (("lf_0", "lf_1", "declared"),))
    np.testing.assert_array_equal(fitted.weights, 1.0)


def test_given_pairs_are_reported_with_what_was_measured() -> None:
    pairs = (("lf_7", "lf_0", "declared"), ("lf_1", "lf_3", "shared_column body"))
    edges = fit_rows(votes_with_a_near_copy(), "learned", pairs).dependencies
    assert edges[0][:3] == ("lf_0", "lf_7", "declared")
    assert edges[0].r > 0.8
    assert edges[1] == Dependency("lf_1", "lf_3", "shared_column body")
    assert sum({edge.source_a, edge.source_b} == {"lf_0", "lf_7"} for edge in edges) == 1


def test_annotators_and_triplets_heed_declared_pairs() -> None:
    rng = np.random.default_rng(4)
    votes = draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.8, unipolar=False), BALANCE, 2000)[1]
    pairs = (("lf_0", "lf_1", "declared"),)
    for method in ("auto", "dawid_skene", "ibcc", "triplet", "matrix", "weighted_majority"):
        patterns = VotePatterns.of_rows(votes, 2)
        plain, given = (fit(patterns, method=method, dependencies=d) for d in ((), pairs))
        assert np.abs(posterior(plain.form, votes) - posterior(given.form, votes)).max() > 1e-4, method
        assert given.dependencies[0][:3] == ("lf_0", "lf_1", "declared")


def test_of_a_pair_given_twice_the_declared_reason_stays() -> None:
    pairs = GivenPairs.of([("b", "a", "same keyword"), ("a", "b", "declared"), ("b", "a", "other")], ("a", "b"))
    assert (pairs.left.tolist(), pairs.right.tolist(), pairs.reasons) == ([0], [1], ("declared",))


@pytest.mark.parametrize(
    ("pair", "text"),
    [(("lf_0", "lf_9", "declared"), 'unknown source "lf_9"'), (("lf_0", "lf_0", "declared"), "dependent on itself")],
)
def test_impossible_pairs_are_refused(pair: tuple[str, str, str], text: str) -> None:
    with pytest.raises(SpecError, match=text) as caught:
        fit_rows(votes_with_a_near_copy(), pairs=(pair,))
    assert caught.value.code == "WS320"
