"""Task graphs: feasible vectors, laws of the joint model, and what it gains on drawn votes."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdb.core.errors import SpecError
from wsdb.labelmodel import joint, joint_graph
from wsdb.labelmodel.joint import JointFit, fit_joint, joint_posterior
from wsdb.labelmodel.joint_graph import EXCLUDES, IMPLIES, Constraint, JointGraph, JointTask, feasible_vectors
from wsdb.labelmodel.row_scores import NOT_APPLYING, joint_others, joint_scores

ANIMAL = JointTask("animal", ("bird", "fish"))
BIRD = JointTask("bird", ("owl", "crow", "wren"))
FISH = JointTask("fish", ("carp", "pike", "tuna"))
PET = JointTask("pet", ("yes", "no"))
RULES = [
    *[Constraint("bird", label, IMPLIES, "animal", "bird") for label in BIRD.labels],
    *[Constraint("fish", label, IMPLIES, "animal", "fish") for label in FISH.labels],
]
ZOO = feasible_vectors([ANIMAL, BIRD, FISH, PET], RULES)
COLUMNS = [("a", 0), ("b", 1), ("b", 2), ("c", 0), ("c", 1), ("d", 3), ("e", 2), ("e", 3)]
SIZES = [2, 3, 3, 2, 3, 2, 3, 2]


@st.composite
def votes(draw: st.DrawFn, min_rows: int = 0) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    n = draw(st.integers(min_rows, 30))
    table = np.stack([rng.integers(0, size, n) for size in SIZES], axis=1)
    table[rng.random(table.shape) < draw(st.sampled_from([0.3, 0.7, 1.0]))] = -1
    return table


def test_a_hierarchy_leaves_out_the_tasks_beside_the_path() -> None:
    assert [part.tasks.tolist() for part in ZOO.components] == [[0, 1, 2], [3]]
    assert ZOO.components[0].vectors.tolist() == [[0, 0, 3], [0, 1, 3], [0, 2, 3], [1, 3, 0], [1, 3, 1], [1, 3, 2]]
    assert ZOO.components[1].vectors.tolist() == [[0], [1]]


def test_exclusion_forbids_a_pair_and_leaves_no_task_out() -> None:
    spam, good = JointTask("spam", ("yes", "no")), JointTask("good", ("yes", "no"))
    graph = feasible_vectors([spam, good], [Constraint("spam", "yes", EXCLUDES, "good", "yes")])
    assert graph.components[0].vectors.tolist() == [[0, 1], [1, 0], [1, 1]]


def test_three_levels() -> None:
    order = JointTask("order", ("owls", "others"))
    rules = [*RULES, *[Constraint("order", label, IMPLIES, "bird", "owl") for label in order.labels]]
    vectors = feasible_vectors([ANIMAL, BIRD, FISH, order], rules).components[0].vectors.tolist()
    assert vectors == [[0, 0, 3, 0], [0, 0, 3, 1], [0, 1, 3, 2], [0, 2, 3, 2], *[[1, 3, i, 2] for i in range(3)]]


@pytest.mark.parametrize(
    ("rule", "code", "message"),
    [
        (Constraint("birds", "owl", IMPLIES, "animal", "bird"), "WS341", 'no task "birds"'),
        (Constraint("bird", "eagle", IMPLIES, "animal", "bird"), "WS341", "no label 'eagle'"),
        (Constraint("bird", "owl", "means", "animal", "bird"), "WS341", '"means"'),
        (Constraint("bird", "owl", IMPLIES, "bird", "crow"), "WS341", "both sides"),
        (Constraint("bird", "owl", IMPLIES, "animal", "fish"), "WS342", "bird = 'owl'"),
    ],
)
def test_impossible_graphs_are_errors(rule: Constraint, code: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as raised:
        feasible_vectors([ANIMAL, BIRD, FISH], [*RULES, rule])
    assert raised.value.code == code


def test_a_graph_with_too_many_vectors_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_graph, "MAX_VECTORS", 5)
    with pytest.raises(SpecError, match="more than 5 combinations") as raised:
        feasible_vectors([ANIMAL, BIRD, FISH], RULES)
    assert raised.value.code == "WS343"


def test_a_task_with_too_many_labels_is_an_error() -> None:
    with pytest.raises(SpecError, match="501 labels") as raised:
        feasible_vectors([JointTask("wide", tuple(map(str, range(501))))], [])
    assert raised.value.code == "WS343"


@settings(max_examples=40)
@given(votes())
def test_answers_are_feasible_distributions_and_null_where_nobody_votes(table: np.ndarray) -> None:
    fitted = fit_joint(ZOO, table, COLUMNS)
    answer = joint_posterior(fitted, table)
    voted = {0: (table[:, [0, 1, 2, 3, 4, 6]] >= 0).any(axis=1), 3: (table[:, [5, 7]] >= 0).any(axis=1)}
    for t, marginal in enumerate(answer.marginals):
        np.testing.assert_allclose(marginal.sum(axis=1), 1.0, atol=1e-9)
        covered = voted[3 if t == 3 else 0]
        np.testing.assert_array_equal(answer.covered[:, t], covered)
        np.testing.assert_array_equal(answer.labels[:, t] >= 0, covered)
        np.testing.assert_array_equal(np.isnan(answer.path_probability[:, t]), ~covered)
    feasible = {tuple(vector) for vector in ZOO.components[0].vectors.tolist()}
    assert {tuple(row) for row in answer.labels[voted[0], :3].tolist()} <= feasible
    assert ((fitted.accuracy >= 0) & (fitted.accuracy <= 1) | np.isnan(fitted.accuracy)).all()


@settings(max_examples=40)
@given(votes())
def test_marginals_are_sums_over_vectors(table: np.ndarray) -> None:
    """P(bird) is P(owl) + P(crow) + P(wren), and P(fish does not apply)."""
    answer = joint_posterior(fit_joint(ZOO, table, COLUMNS), table)
    bird = answer.marginals[0][:, 0]
    np.testing.assert_allclose(answer.marginals[1][:, :3].sum(axis=1), bird, atol=1e-9)
    np.testing.assert_allclose(answer.marginals[2][:, 3], bird, atol=1e-9)


@settings(max_examples=40)
@given(votes(min_rows=1), st.data())
def test_rows_and_patterns_and_the_order_of_columns_do_not_matter(table: np.ndarray, data: st.DataObject) -> None:
    patterns, counts = np.unique(table, axis=0, return_counts=True)
    order = np.array(data.draw(st.permutations(range(len(COLUMNS)))))
    one = fit_joint(ZOO, table, COLUMNS)
    other = fit_joint(ZOO, patterns[:, order], [COLUMNS[i] for i in order], counts)
    left, right = joint_posterior(one, table), joint_posterior(other, table[:, order])
    for a, b in zip(left.marginals, right.marginals, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)
    assert one.n_rows == other.n_rows == len(table)


@settings(max_examples=40)
@given(votes(), st.permutations(range(3)))
def test_renaming_labels_permutes_the_marginals(table: np.ndarray, order: list[int]) -> None:
    names = tuple(BIRD.labels[order.index(i)] for i in range(3))
    graph = feasible_vectors([ANIMAL, JointTask("bird", names), FISH, PET], RULES)
    renamed = table.copy()
    for column in (1, 4):
        renamed[:, column] = np.where(table[:, column] >= 0, np.array(order)[table[:, column]], -1)
    one = joint_posterior(fit_joint(ZOO, table, COLUMNS), table)
    other = joint_posterior(fit_joint(graph, renamed, COLUMNS), renamed)
    np.testing.assert_allclose(other.marginals[1][:, [*order, 3]], one.marginals[1], atol=1e-8)
    np.testing.assert_allclose(other.marginals[0], one.marginals[0], atol=1e-8)


@settings(max_examples=40)
@given(votes())
def test_the_beam_equals_the_full_sum_where_it_holds_every_vector_and_stays_a_distribution(table: np.ndarray) -> None:
    full = joint_posterior(fit_joint(ZOO, table, COLUMNS), table)
    beam, joint.BEAM = joint.BEAM, 2
    try:
        narrow = joint_posterior(fit_joint(ZOO, table, COLUMNS), table)
    finally:
        joint.BEAM = beam
    np.testing.assert_array_equal(narrow.covered, full.covered)
    for marginal in narrow.marginals:
        np.testing.assert_allclose(marginal.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(narrow.marginals[3], full.marginals[3], atol=1e-9)


@settings(max_examples=40)
@given(votes())
def test_a_fit_survives_json(table: np.ndarray) -> None:
    fitted = fit_joint(ZOO, table, COLUMNS)
    read = JointFit.from_dict(json.loads(json.dumps(fitted.to_dict())))
    one, other = joint_posterior(fitted, table), joint_posterior(read, table)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.marginals[1], other.marginals[1])


def test_a_vote_for_a_leaf_is_a_vote_for_its_path() -> None:
    leaf = joint_posterior(fit_joint(ZOO, np.array([[1]]), [("b", 1)]), np.array([[1]]))
    assert leaf.labels[0].tolist() == [0, 1, 3, -1]
    both = np.array([[0, 1]])
    said_twice = joint_posterior(fit_joint(ZOO, both, [("b", 0), ("b", 1)]), both)
    np.testing.assert_allclose(said_twice.marginals[1], leaf.marginals[1], atol=1e-12)


def test_a_single_task_is_a_model_of_its_own() -> None:
    graph = feasible_vectors([PET], [])
    table = np.array([[0, 0, -1], [1, 1, 1], [0, 1, 0], [-1, -1, -1]])
    answer = joint_posterior(fit_joint(graph, table, [("a", 0), ("b", 0), ("c", 0)]), table)
    assert answer.labels[:, 0].tolist() == [0, 1, 0, -1]
    np.testing.assert_array_equal(answer.marginals[0][:, 2], 0.0)


def test_balances_are_kept_by_the_prior() -> None:
    balance = {0: np.array([0.8, 0.2]), 2: np.array([0.5, 0.3, 0.2])}
    blank = np.full((1, len(COLUMNS)), -1)
    answer = joint_posterior(fit_joint(ZOO, blank, COLUMNS, balances=balance), blank)
    np.testing.assert_allclose(answer.marginals[0][0], [0.8, 0.2, 0.0], atol=1e-9)
    np.testing.assert_allclose(answer.marginals[2][0], [0.1, 0.06, 0.04, 0.8], atol=1e-9)
    np.testing.assert_allclose(answer.marginals[1][0], [0.8 / 3] * 3 + [0.2], atol=1e-9)


def draw(seed: int, n: int = 3000) -> tuple[JointGraph, np.ndarray, list[tuple[str, int]], np.ndarray]:
    rng = np.random.default_rng(seed)
    graph = feasible_vectors([ANIMAL, BIRD, FISH], RULES)
    leaf = rng.integers(0, 6, n)
    parts, columns = [], []
    for j in range(5):
        right = rng.random(n) < rng.uniform(0.7, 0.9)
        vote = np.where(right, leaf // 3, 1 - leaf // 3)
        parts.append(np.where(rng.random(n) < 0.4, vote, -1))
        columns.append((f"coarse_{j}", 0))
    for j in range(5):
        right = rng.random(n) < rng.uniform(0.4, 0.7)
        vote = np.where(right, leaf, (leaf + rng.integers(1, 6, n)) % 6)
        vote = np.where(rng.random(n) < 0.4, vote, -1)
        for side in (0, 1):
            parts.append(np.where(vote // 3 == side, vote % 3, -1))
            columns.append((f"fine_{j}", 1 + side))
    return graph, np.stack(parts, axis=1), columns, graph.components[0].vectors[leaf]


@pytest.mark.parametrize("seed", range(3))
def test_coarse_votes_prune_fine_ones(seed: int) -> None:
    """At least 5 points over the most frequent vote per task, where fine votes are passed up their path."""
    graph, table, columns, truth = draw(seed)
    rng = np.random.default_rng(seed)
    covered = (table >= 0).any(axis=1)
    answer = joint_posterior(fit_joint(graph, table, columns), table)
    counts = [np.zeros((len(table), k)) for k in (2, 4, 4)]
    for column, (_, task) in enumerate(columns):
        rows = np.flatnonzero(table[:, column] >= 0)
        counts[task][rows, table[rows, column]] += 1
        if task:
            counts[0][rows, task - 1] += 1
            counts[3 - task][rows, 3] += 1
    majority = [(count + rng.random(count.shape) * 0.5).argmax(axis=1) for count in counts]
    of_joint = np.mean([(answer.labels[:, t] == truth[:, t])[covered].mean() for t in range(3)])
    of_votes = np.mean([(majority[t] == truth[:, t])[covered].mean() for t in range(3)])
    assert of_joint >= of_votes + 0.05


def test_shapes_are_checked() -> None:
    for table, columns, message in (
        (np.zeros((1, 2)), [("a", 0)], "do not match 1 columns"),
        (np.zeros((1, 2)), [("a", 0), ("a", 0)], "two columns for one task"),
        (np.zeros((1, 1)), [("a", 9)], "task 9"),
        (np.full((1, 1), 2), [("a", 0)], "must be in"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_joint(ZOO, table, columns)


def test_every_combination_of_explicit_votes_is_scored() -> None:
    """Contradictory votes of one source are taken as they are: the row still has a feasible answer."""
    for row in itertools.product((-1, 0, 1), (-1, 0), (-1, 2)):
        table = np.array([row])
        answer = joint_posterior(fit_joint(ZOO, table, [("s", 0), ("s", 1), ("s", 2)]), table)
        assert (answer.labels[0, :3].tolist() in ZOO.components[0].vectors.tolist()) == any(v >= 0 for v in row)


@settings(max_examples=40)
@given(votes())
def test_the_votes_on_a_task_and_the_others_add_up_to_its_marginal(table: np.ndarray) -> None:
    """Where a source votes on one task only, the others are the row without its vote."""
    fitted = fit_joint(ZOO, table, COLUMNS)
    answer = joint_posterior(fitted, table)
    for task, columns in enumerate([[0, 3], [1, 4], [2, 6], [5, 7]]):
        names = [COLUMNS[column][0] for column in columns]
        labels = ZOO.tasks[task].labels
        scores = joint_scores(fitted, task, names, labels)
        others = joint_others(fitted, task, names, table[:, columns], answer.marginals[task])
        width = len(scores.classes)
        assert scores.classes == (*labels, NOT_APPLYING)[:width]
        total = scores.bias + others
        for j, column in enumerate(columns):
            cast = table[:, column] >= 0
            total[cast] += scores.scores[j, table[cast, column]]
        mass = np.exp(total - total.max(axis=1, keepdims=True))
        shown = answer.covered[:, task]
        expected = answer.marginals[task][shown, :width]
        np.testing.assert_allclose((mass / mass.sum(axis=1, keepdims=True))[shown], expected, atol=1e-9)
    alone = table.copy()
    alone[:, 0] = -1  # source a votes on animals only
    without = joint_posterior(fitted, alone).marginals[0][:, :2]
    rest = joint_others(fitted, 0, ["a"], table[:, [0]], answer.marginals[0])
    prior = joint_scores(fitted, 0, ["a"], ANIMAL.labels).prior
    mass = np.exp(rest - rest.max(axis=1, keepdims=True)) * prior
    np.testing.assert_allclose(mass / mass.sum(axis=1, keepdims=True), without, atol=1e-9)
