from __future__ import annotations

import dataclasses

import pytest

from wsdb.core.errors import SpecError
from wsdb.model.parts import TaskTarget
from wsdb.model.spec import NOT_OPTIONS, OPTIONS, OTHER_NAMES, TrainSpec, train_spec


def test_every_option_has_a_description_and_a_default_it_accepts() -> None:
    assert list(OPTIONS) == [field.name for field in dataclasses.fields(TrainSpec)]
    for option in OPTIONS.values():
        assert option.description
        assert option.read(option.default) == option.default


def test_option_names_are_read_in_any_case() -> None:
    assert train_spec({"EPOCHS": 5, "Loss": "HARD"}) == TrainSpec(epochs=5, loss="hard")


def test_an_unknown_option_names_the_nearest_one() -> None:
    with pytest.raises(SpecError) as caught:
        train_spec({"epoch": 5})
    assert caught.value.code == "WS307"
    assert caught.value.hint == 'did you mean "epochs"?'


def test_an_option_unlike_any_other_lists_them_all() -> None:
    with pytest.raises(SpecError) as caught:
        train_spec({"zzz": 5})
    assert caught.value.hint is not None
    assert all(name in caught.value.hint for name in OPTIONS)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("learning_rate", 'did you mean "lr"?'),
        ("Timeout", 'did you mean "budget"?'),
        ("min_label_probability", 'did you mean "min_label_prob"?'),
        ("deterministic", "there is nothing to choose: equal rows, options and seed give equal weights"),
        ("freeze", "EMBED WITH name FREEZE of a payload keeps token vectors as they are"),
    ],
)
def test_names_of_other_tools_have_a_hint_of_their_own(name: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        train_spec({name: 1})
    assert caught.value.hint == hint


def test_every_other_name_is_that_of_an_option_and_hides_none() -> None:
    assert set(OTHER_NAMES.values()) <= set(OPTIONS)
    assert not (set(OTHER_NAMES) | set(NOT_OPTIONS)) & set(OPTIONS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget", "soon"),
        ("budget", "1 month"),
        ("budget", "0 seconds"),
        ("budget", 600),
        ("min_label_prob", 1.5),
        ("epochs", 0),
        ("epochs", 2.5),
        ("epochs", "many"),
        ("epochs", True),
        ("lr", float("nan")),
        ("lr", -1),
        ("dropout", 1.0),
        ("device", "tpu"),
        ("early_stop", 1),
        ("early_stop", "yes"),
        ("hidden", "wide"),
        ("sharpen", None),
        ("valid_share", 0.9),
        ("width", 63),
        ("width", 0),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SpecError) as caught:
        train_spec({name: value})
    assert caught.value.code == "WS307"
    assert caught.value.message.startswith(f"option {name} must be ")


def test_a_whole_number_counts_as_a_number_and_a_whole_float_as_an_integer() -> None:
    spec = train_spec({"lr": 1, "epochs": 7.0})
    assert (type(spec.lr), type(spec.epochs)) == (float, int)


def test_a_word_stands_in_for_a_number_where_the_option_says_so() -> None:
    assert train_spec({"hidden": "AUTO", "sharpen": 2}) == TrainSpec(hidden="auto", sharpen=2.0)


@pytest.mark.parametrize("balance", [(0.5, 0.4), (1.0, 0.0), (0.5, 0.25, 0.25)])
def test_a_class_balance_must_be_positive_shares_of_every_class(balance: tuple[float, ...]) -> None:
    with pytest.raises(SpecError, match="the balance of task"):
        TaskTarget("spam", ("ham", "spam"), balance=balance)


def test_a_task_needs_two_labels_and_a_weight() -> None:
    with pytest.raises(SpecError, match="two labels"):
        TaskTarget("spam", ("ham",))
    with pytest.raises(SpecError, match="weight"):
        TaskTarget("spam", ("ham", "spam"), weight=0.0)
