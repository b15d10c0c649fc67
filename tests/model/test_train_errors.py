from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.model.conftest import rows_of
from tests.model.test_train import BODY, QUICK, SENTIMENT, fit, review_table
from wsdb.core.errors import EnvironmentError_, ModelError, SpecError
from wsdb.model import loop
from wsdb.model.predictor import Predictor
from wsdb.model.spec import TrainSpec, train_spec
from wsdb.model.train import train


def test_a_task_without_labels_is_an_error(rng: np.random.Generator) -> None:
    with pytest.raises(ModelError, match="task tone has no labeled row") as caught:
        fit(rows_of({"body": ["a", "b"]}, {"tone": [None, None]}))
    assert caught.value.code == "WS505"


def test_no_rows_at_all_is_an_error() -> None:
    with pytest.raises(ModelError) as caught:
        train(BODY, [SENTIMENT], lambda: iter(()), QUICK)
    assert caught.value.code == "WS505"


def test_a_single_class_is_an_error_that_names_it() -> None:
    with pytest.raises(ModelError, match="every labeled row of task tone is bad") as caught:
        fit(rows_of({"body": ["a", "b"]}, {"tone": [[0.0, 1.0], None]}))
    assert caught.value.code == "WS506"


@pytest.mark.parametrize("label", [[0.5, 0.3, 0.2], [-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0], [None, 1.0]])
def test_a_label_that_is_no_distribution_is_an_error(label: list[float]) -> None:
    with pytest.raises(ModelError, match="__p_tone") as caught:
        fit(rows_of({"body": ["a", "b", "c"]}, {"tone": [[0.1, 0.9], label, [0.9, 0.1]]}))
    assert caught.value.code == "WS509"


def test_a_feature_that_the_training_rows_lack_is_an_error() -> None:
    with pytest.raises(ModelError, match="the training rows have no column bod") as caught:
        fit(rows_of({"body": ["a"]}, {"tone": [[0.5, 0.5]]}), features=[("bod", "VARCHAR")])
    assert caught.value.code == "WS504"


def test_features_and_tasks_must_be_named_once() -> None:
    table = rows_of({"body": ["a"]}, {"tone": [[0.5, 0.5]]})
    with pytest.raises(SpecError, match="feature body is named twice"):
        fit(table, features=BODY * 2)
    with pytest.raises(SpecError, match="at least one task"):
        fit(table, tasks=())


def test_a_missing_device_is_an_error_about_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EnvironmentError_) as caught:
        fit(rows_of({"body": ["a"]}, {"tone": [[0.5, 0.5]]}), TrainSpec(device="cuda"))
    assert caught.value.code == "WS702"


def test_a_manifest_of_another_format_or_broken_weights_are_errors(rng: np.random.Generator) -> None:
    trained = fit(review_table(50, rng))
    cases = [
        ({**trained.manifest, "format": 99}, trained.weights),
        (trained.manifest, b"no"),
        (trained.manifest, fit(review_table(80, rng)).weights),
    ]
    for manifest, weights in cases:
        with pytest.raises(ModelError) as caught:
            Predictor.load(manifest, weights)
        assert caught.value.code == "WS508"


@pytest.mark.parametrize("valid_share", [0.0, 0.2])
def test_training_that_diverges_is_an_error_and_no_model(
    valid_share: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = loop.task_losses
    monkeypatch.setattr(loop, "task_losses", lambda *given: plain(*given) * float("nan"))
    with pytest.raises(ModelError, match="training of task tone diverged") as caught:
        fit(review_table(200, rng), TrainSpec(epochs=2, buckets_bits=12, valid_share=valid_share))
    assert caught.value.code == "WS511"
    assert caught.value.hint is not None and "lower lr" in caught.value.hint


def test_options_that_name_columns_must_name_text_features(rng: np.random.Generator) -> None:
    table = rows_of({"body": ["a", "b"] * 9, "n": range(18)}, {"tone": [[0.9, 0.1], [0.1, 0.9]] * 9})
    features = [*BODY, ("n", "INTEGER")]
    cases = [
        ({"text": ["bodi"]}, "column bodi, which is not a feature"),
        ({"categories": ["n"]}, "column n of type INTEGER"),
        ({"text": ["body"], "categories": ["body"]}, "named by both"),
    ]
    for options, message in cases:
        with pytest.raises(SpecError, match=message) as caught:
            fit(table, train_spec(options), features=features)
        assert caught.value.code == "WS307"
