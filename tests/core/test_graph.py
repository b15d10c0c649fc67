"""Laws of task graphs: feasible vectors are those that keep each rule, whatever the order of tasks and rules."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.core.graph import Rule, TaskGraph, applies_cycle, cycle, impossible, vectors

LABELS = {"a": ("x", "y"), "b": ("x", "y", "z"), "c": ("x", "y")}


@st.composite
def graphs(draw: st.DrawFn) -> TaskGraph:
    """Any rules between three tasks; APPLIES WHEN may be in a circle."""
    rules = []
    for _ in range(draw(st.integers(1, 6))):
        one, two = draw(st.permutations(list(LABELS)))[:2]
        verb = draw(st.sampled_from(["implies", "excludes", "applies"]))
        label = None if verb == "applies" else draw(st.sampled_from(LABELS[one]))
        rules.append(Rule(one, label, verb, two, draw(st.sampled_from(LABELS[two]))))
    return TaskGraph("g", tuple(rules))


def kept(graph: TaskGraph, row: dict[str, str | None]) -> bool:
    """Whether a row of labels (None is NA) keeps all rules, said rule by rule."""
    conditional = {rule.task for rule in graph.rules if rule.verb == "applies"}
    for rule in graph.rules:
        holds = row[rule.other] == rule.other_label
        if rule.verb == "implies" and row[rule.task] == rule.label and not holds:
            return False
        if rule.verb == "excludes" and row[rule.task] == rule.label and holds:
            return False
    for task in row:
        needs = [rule for rule in graph.rules if rule.verb == "applies" and rule.task == task]
        applies = any(row[rule.other] == rule.other_label for rule in needs) if task in conditional else True
        if applies != (row[task] is not None):
            return False
    return True


@given(graphs())
def test_vectors_are_the_rows_that_keep_all_rules(graph: TaskGraph) -> None:
    tasks = graph.tasks
    rows = product(*([*LABELS[task], None] for task in tasks))
    expected = {
        tuple(
            len(LABELS[task]) if label is None else LABELS[task].index(label)
            for task, label in zip(tasks, row, strict=True)
        )
        for row in rows
        if kept(graph, dict(zip(tasks, row, strict=True)))
    }
    found = list(vectors(graph, LABELS))
    assert set(found) == expected
    assert found == sorted(expected)


@given(graphs())
def test_a_label_is_impossible_where_no_vector_has_it(graph: TaskGraph) -> None:
    found = list(vectors(graph, LABELS))
    missing = {
        (task, label)
        for at, task in enumerate(graph.tasks)
        for code, label in enumerate(LABELS[task])
        if code not in {vector[at] for vector in found}
    }
    assert set(impossible(graph, LABELS)) == missing
    assert impossible(graph, LABELS, most=0) == () or not found


def test_many_tasks_are_walked_without_listing_all_combinations() -> None:
    names = [f"t{at}" for at in range(60)]
    rules = [Rule(one, "x", "implies", two, "x") for one, two in pairwise(names)]
    graph = TaskGraph("g", tuple(rules))
    assert sum(1 for _ in vectors(graph, dict.fromkeys(names, ("x", "y")))) == 61


def test_names_are_compared_without_case_and_spelled_as_first_written() -> None:
    graph = TaskGraph("g", (Rule("Fine", "x", "implies", "coarse", "y"), Rule("COARSE", None, "applies", "fine", "x")))
    assert graph.tasks == ("Fine", "coarse")
    assert list(vectors(graph, {"fine": ("x",), "coarse": ("y",)})) == [(0, 0)]


@given(st.dictionaries(st.sampled_from("abcde"), st.lists(st.sampled_from("abcde"), max_size=3)))
def test_a_circle_is_found_where_there_is_one(edges: dict[str, list[str]]) -> None:
    reach = {one: set(two) for one, two in edges.items()}
    for _ in range(5):
        reach = {one: two.union(*(reach.get(node, set()) for node in two)) for one, two in reach.items()}
    found = cycle(edges)
    assert (found is None) == all(one not in two for one, two in reach.items())
    if found is not None:
        assert found[0] == found[-1]
        assert all(two in edges[one] for one, two in pairwise(found))


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ((("a", "b"), ("b", "c")), None),
        ((("a", "b"), ("b", "A")), ("a", "b", "a")),
        ((("a", "a"),), ("a", "a")),
    ],
)
def test_tasks_that_apply_only_where_each_other_does(rules: tuple[tuple[str, str], ...], path: object) -> None:
    graph = TaskGraph("g", tuple(Rule(one, None, "applies", two, "x") for one, two in rules))
    assert applies_cycle(graph) == path
