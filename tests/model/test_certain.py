"""The option min_label_prob: which labels it leaves out, for each kind of task."""

from __future__ import annotations

import numpy as np
import pytest

from wsdb.core.errors import ModelError
from wsdb.model.certain import certain
from wsdb.model.parts import TaskTarget
from wsdb.model.rows import TaskRows, share_of_row
from wsdb.model.spec import TrainSpec
from wsdb.model.targets import training_labels


def test_a_row_counts_by_its_likeliest_class() -> None:
    given = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.5, 0.5]])
    found, note = certain(TaskTarget("t", ("a", "b")), TaskRows(given, np.array([True, True, True, False])), 0.8)
    assert found.labeled.tolist() == [True, False, True, False]
    assert found.probabilities.tolist() == [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.5, 0.5]]
    assert note == "task t: 1 of 3 labels are less probable than 0.8 and are left out"


def test_elements_count_one_by_one() -> None:
    given = np.array([[0.9, 0.05, 0.05], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]])
    rows = TaskRows(given, np.ones(3, bool), np.array([0, 2, 2, 3]))
    found, _ = certain(TaskTarget("t", ("a", "b", "c"), payload="tokens"), rows, 0.5)
    assert found.labeled.tolist() == [True, False, True]
    assert found.rows.tolist() == [True, False, True]
    assert found.indptr is rows.indptr


def test_each_label_of_a_bitvector_counts_for_itself_present_or_absent() -> None:
    given = np.array([[0.95, 0.6], [0.3, 0.02], [0.5, 0.9]])
    labeled = np.array([[True, True], [True, True], [False, True]])
    found, note = certain(TaskTarget("t", ("a", "b"), kind="bitvector"), TaskRows(given, labeled), 0.9)
    assert found.labeled.tolist() == [[True, False], [False, True], [False, True]]
    assert found.probabilities.tolist() == [[0.95, 0.5], [0.5, 0.02], [0.5, 0.9]]
    assert "2 of 5 labels" in note


def test_a_row_of_a_select_task_counts_by_its_likeliest_element() -> None:
    yes = np.array([0.9, 0.1, 0.5, 0.5, 0.4])
    rows = share_of_row(TaskRows(np.stack([1 - yes, yes], axis=1), np.ones(5, bool), np.array([0, 2, 4, 4, 5])))
    found, note = certain(TaskTarget("t", ("no", "yes"), kind="select", payload="set"), rows, 0.8)
    assert found.labeled.tolist() == [True, True, False, False, True]
    assert "1 of 3 labels" in note


def test_a_label_as_probable_as_asked_is_kept() -> None:
    rows = TaskRows(np.array([[1 - 0.1 - 0.1, 0.1, 0.1]]), np.ones(1, bool))
    found, note = certain(TaskTarget("t", ("a", "b", "c")), rows, 0.8)
    assert found is rows
    assert note == "min_label_prob changed nothing for task t: no label is less probable than 0.8"


def test_nothing_left_is_an_error() -> None:
    rows = TaskRows(np.array([[0.6, 0.4]]), np.ones(1, bool))
    with pytest.raises(ModelError, match=r"none of its 1 labels has a probability of 0\.9") as caught:
        certain(TaskTarget("t", ("a", "b")), rows, 0.9)
    assert (caught.value.code, caught.value.hint) == ("WS505", "lower min_label_prob")


def test_what_is_left_out_is_a_row_without_a_label_which_may_be_taught_the_prior() -> None:
    task = TaskTarget("t", ("a", "b"), balance=(0.25, 0.75))
    given = TaskRows(np.array([[0.9, 0.1], [0.6, 0.4]]), np.ones(2, bool))
    found, _ = certain(task, given, 0.8)
    dropped = training_labels(task, found, TrainSpec(), 1.0)
    assert dropped.weights.tolist() == [1, 0]
    taught = training_labels(task, found, TrainSpec(uncovered="prior"), 1.0)
    assert taught.weights.tolist() == [1, 1]
    np.testing.assert_allclose(taught.labels, [[0.9, 0.1], [0.25, 0.75]])
