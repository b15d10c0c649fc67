"""Rules one by one: what breaks none of them is what a task graph leaves."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdb.core.graph import Rule as GraphRule
from wsdb.core.graph import TaskGraph, vectors
from wsdb.model.decode import Answer, Component, decide
from wsdb.model.rules import Rule, graph_rules

LABELS = {"a": ("x", "y"), "b": ("x", "y", "z"), "c": ("x", "y")}


def answers(states: np.ndarray) -> dict[str, Answer]:
    """Return the answers of tasks a, b and c with given codes (n, 3); the number of labels is: does not apply."""
    found = {}
    for at, (name, labels) in enumerate(LABELS.items()):
        even = np.full((len(states), len(labels)), 1 / len(labels))
        chosen = np.where(states[:, at] == len(labels), -1, states[:, at])
        found[name] = replace(decide("multiclass", labels, even, None), chosen=chosen)
    return found


RULES = st.sampled_from(
    [
        GraphRule(task, label, verb, other, other_label)
        for task, other in itertools.permutations(LABELS, 2)
        for other_label in LABELS[other]
        for verb, labels in (("implies", LABELS[task]), ("excludes", LABELS[task]), ("applies", (None,)))
        for label in labels
        if verb != "applies" or task == "c"
    ]
)


@settings(max_examples=200)
@given(st.lists(RULES, min_size=1, max_size=5, unique=True))
def test_what_breaks_no_rule_is_what_the_graph_leaves(rules: list[GraphRule]) -> None:
    graph = TaskGraph("g", tuple(rules))
    names = list(graph.tasks)
    applies = "c" in names and any(rule.verb == "applies" for rule in rules)
    sizes = {name: len(labels) + (applies and name == "c") for name, labels in LABELS.items()}
    states = np.array(list(itertools.product(*(range(size) for size in sizes.values()))))
    broken = [rule.violated(answers(states)) for rule in graph_rules(graph, {name: name for name in LABELS})]
    kept = states[~np.logical_or.reduce(broken)]
    places = [list(LABELS).index(name) for name in names]
    assert {tuple(row) for row in kept[:, places].tolist()} == set(vectors(graph, LABELS))


def test_rules_of_tasks_that_a_model_lacks_are_none_of_its_own() -> None:
    graph = TaskGraph("g", (GraphRule("a", "x", "implies", "b", "y"), GraphRule("a", "y", "excludes", "c", "x")))
    assert [rule.tasks for rule in graph_rules(graph, {"a": "A", "b": "B"})] == [("A", "B")]


def test_a_row_breaks_a_rule_where_one_of_its_elements_does_and_a_row_without_elements_never() -> None:
    indptr = np.array([0, 2, 2, 3])
    own = {
        name: replace(decide("multiclass", ("x", "y"), np.full((3, 2), 0.5), indptr), chosen=np.array(codes))
        for name, codes in (("a", [0, 1, 0]), ("b", [0, 0, 0]))
    }
    rule = Rule("constraint", "same", "a = b", ("a", "b"), Component(("a", "b"), np.array([[0, 0], [1, 1]])))
    assert rule.violated(own).tolist() == [True, False, False]
    again = Rule.from_dict(rule.to_dict())
    assert again.violated(own).tolist() == [True, False, False]


def test_bitvectors_and_selects_have_states_too() -> None:
    bits = decide("bitvector", ("u", "v"), np.array([[0.9, 0.1], [0.9, 0.9]]), None)
    yes = np.array([0.2, 0.9, 0.3])
    pick = decide("select", ("no", "yes"), np.stack([1 - yes, yes], axis=1), np.array([0, 2, 3]))
    rule = Rule("constraint", "c", "…", ("bits", "pick"), Component(("bits", "pick"), np.array([[1, 1], [3, 1]])))
    assert rule.violated({"bits": bits, "pick": pick}).tolist() == [False, True]
