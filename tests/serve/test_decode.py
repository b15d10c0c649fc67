"""Labels from probabilities: one task at a time by brute force, and tasks together against all combinations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdb.core.errors import SpecError
from wsdb.model.decode import MAX_VECTORS, NONE, SOME, Answer, Component, decide, decode, join

SEEDS = st.integers(0, 2**32 - 1)


def simplex(generator: np.random.Generator, n: int, k: int) -> np.ndarray:
    return generator.dirichlet(np.ones(k), n)


def singleton(generator: np.random.Generator, n: int, k: int, kind: str = "multiclass") -> Answer:
    labels = tuple(f"l{i}" for i in range(k))
    probs = generator.uniform(size=(n, k)) if kind == "bitvector" else simplex(generator, n, k)
    return decide(kind, labels, probs, None)


def select(generator: np.random.Generator, sizes: list[int]) -> Answer:
    """A select task; a row's probabilities sum to 1 with "none"."""
    yes = np.concatenate([simplex(generator, 1, size + 1)[0, :size] for size in sizes] + [np.zeros(0)])
    return decide("select", ("no", "yes"), np.stack([1 - yes, yes], axis=1), np.cumsum([0, *sizes]))


def test_a_task_alone_has_its_likeliest_label() -> None:
    probs = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    answer = decide("multiclass", ("a", "b", "c"), probs, None)
    assert answer.chosen.tolist() == [1, 0]
    assert answer.offsets.tolist() == [0, 1, 2]


def test_thresholds_move_labels() -> None:
    probs = np.array([[0.7, 0.3], [0.9, 0.1]])
    assert decide("binary", ("no", "yes"), probs, None).chosen.tolist() == [0, 0]
    assert decide("binary", ("no", "yes"), probs, None, 0.25).chosen.tolist() == [1, 0]
    assert decide("bitvector", ("a", "b"), probs, None).chosen.tolist() == [[True, False], [True, False]]
    assert decide("bitvector", ("a", "b"), probs, None, [0.8, 0.2]).chosen.tolist() == [[False, True], [True, False]]


def test_cuts_of_an_ordinal_task_move_the_expected_label() -> None:
    probs = np.array([[0.5, 0.0, 0.5], [0.0, 0.4, 0.6], [0.8, 0.2, 0.0]])  # expected 1, 1.6, 0.2
    labels = ("low", "mid", "high")
    assert decide("ordinal", labels, probs, None).chosen.tolist() == [0, 2, 0]
    assert decide("ordinal", labels, probs, None, [0.5, 1.5]).chosen.tolist() == [1, 2, 0]
    assert decide("ordinal", labels, probs, None, [0.1, 0.9]).chosen.tolist() == [2, 2, 1]
    assert decide("ordinal", labels, probs[:0], None, [0.5, 1.5]).chosen.shape == (0,)


def test_select_picks_one_element_a_row_the_first_of_equals_and_none_where_that_is_likelier() -> None:
    yes = np.array([0.2, 0.5, 0.3, 0.5, 0.5, 0.1, 0.2])
    offsets = np.array([0, 3, 3, 5, 7])  # the second row has no element; in the last one none has 0.7
    answer = decide("select", ("no", "yes"), np.stack([1 - yes, yes], axis=1), offsets)
    assert answer.chosen.tolist() == [False, True, False, True, False, False, False]


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_decoding_finds_the_likeliest_feasible_combination(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, ka, kb = 12, 3, 2
    sizes = generator.integers(0, 4, n).tolist()
    answers = {
        "a": singleton(generator, n, ka),
        "bits": singleton(generator, n, kb, "bitvector"),
        "pick": select(generator, sizes),
    }
    every = np.array(list(itertools.product(range(ka), range(2**kb), (NONE, SOME))))
    component = Component(("a", "bits", "pick"), every[generator.uniform(size=len(every)) < 0.5])
    if not len(component.vectors):
        return
    found = decode(component, answers)
    feasible = {tuple(row) for row in component.vectors.tolist()}
    for row in range(n):
        own = slice(answers["pick"].offsets[row], answers["pick"].offsets[row + 1])
        yes = answers["pick"].probabilities[own, 1]
        best, chosen = -1.0, None
        for a, bits, pick in sorted(feasible):
            if pick == SOME and not len(yes):
                continue
            p = answers["a"].probabilities[row, a]
            for b in range(kb):
                q = answers["bits"].probabilities[row, b]
                p *= q if bits >> b & 1 else 1 - q
            p *= yes.max() if pick == SOME else 1 - yes.sum()
            if p > best:
                best, chosen = p, (a, bits, pick)
        if chosen is None:  # every combination picks an element, and there is none
            continue
        bits = sum(1 << b for b in range(kb) if found["bits"].chosen[row, b])
        assert (found["a"].chosen[row], bits, int(found["pick"].chosen[own].any())) == chosen
        assert found["pick"].chosen[own].sum() <= 1


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_rows_that_keep_the_rules_keep_their_answer(seed: int) -> None:
    generator = np.random.default_rng(seed)
    answers = {"a": singleton(generator, 30, 3), "b": singleton(generator, 30, 2)}
    every = np.array(list(itertools.product(range(3), range(2))))
    component = Component(("a", "b"), every[:4])
    found = decode(component, answers)
    own = np.stack([answers["a"].chosen, answers["b"].chosen], axis=1)
    after = np.stack([found["a"].chosen, found["b"].chosen], axis=1)
    kept = np.array([tuple(row) in {tuple(v) for v in every[:4].tolist()} for row in own.tolist()])
    assert (after[kept] == own[kept]).all()
    assert {tuple(row) for row in after.tolist()} <= {tuple(v) for v in every[:4].tolist()}
    assert (found["a"].probabilities == answers["a"].probabilities).all()


def test_a_task_that_does_not_apply_has_no_label() -> None:
    a = decide("multiclass", ("x", "y"), np.array([[0.9, 0.1], [0.1, 0.9]]), None)
    b = decide("multiclass", ("p", "q"), np.array([[0.5, 0.5], [0.3, 0.7]]), None)
    component = Component(("a", "b"), np.array([[0, 2], [1, 0], [1, 1]]))  # b applies where a is y
    found = decode(component, {"a": a, "b": b})
    assert found["a"].chosen.tolist() == [0, 1]
    assert found["b"].chosen.tolist() == [-1, 1]


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_components_that_share_tasks_are_joined(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = {"a": 3, "b": 2, "c": 2, "d": 3}
    parts = []
    for names in (("a", "b"), ("b", "c"), ("d",), ("a", "c")):
        every = np.array(list(itertools.product(*(range(sizes[name]) for name in names))))
        keep = generator.uniform(size=len(every)) < 0.8
        keep[0] = True
        parts.append(Component(names, every[keep]))
    joined = {frozenset(part.tasks): part for part in join(parts)}
    assert set(joined) == {frozenset("abc"), frozenset("d")}
    abc = joined[frozenset("abc")]
    found = {tuple(row[abc.tasks.index(name)] for name in "abc") for row in abc.vectors.tolist()}
    allowed = [{tuple(row) for row in part.vectors.tolist()} for part in parts]
    expected = {
        (a, b, c)
        for a, b, c in itertools.product(range(3), range(2), range(2))
        if (a, b) in allowed[0] and (b, c) in allowed[1] and (a, c) in allowed[3]
    }
    assert found == expected
    assert len(abc.vectors) == len(expected)


def test_rules_that_leave_nothing_or_too_much_are_refused() -> None:
    first = Component(("a", "b"), np.array([[0, 0]]))
    with pytest.raises(SpecError, match="leave no combination") as caught:
        join([first, Component(("b",), np.array([[1]]))])
    assert caught.value.code == "WS360"
    with pytest.raises(SpecError, match="more than"):
        join([Component(("a",), np.arange(MAX_VECTORS + 1)[:, None])])


def test_a_component_survives_json() -> None:
    component = Component(("a", "b"), np.array([[0, 1], [1, 0]]))
    again = Component.from_dict(component.to_dict())
    assert again.tasks == component.tasks
    assert (again.vectors == component.vectors).all()
