"""What attributions add up to, and the names of the n-grams behind them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.model.conftest import batches_of, reviews, rows_of
from wsdb.model.attribution import Attributions, attribute
from wsdb.model.encode import Hashing
from wsdb.model.grams import grams
from wsdb.model.hashing import hash_ngrams
from wsdb.model.parts import TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import train_spec
from wsdb.model.train import train

FEATURES = [("body", "VARCHAR"), ("stars", "DOUBLE"), ("place", "VARCHAR")]


def trained(hidden: int, rng: np.random.Generator) -> tuple[Predictor, pa.RecordBatch]:
    """Return a predictor over a text, a number and a category, and rows with NULLs in all of them."""
    texts, gold, labels = reviews(400, rng)
    stars = [None if i % 7 == 0 else float(y + rng.normal()) for i, y in enumerate(gold)]
    place = [None if i % 11 == 0 else ("home" if y else "town") for i, y in enumerate(gold)]
    bodies = [None if i % 13 == 0 else text for i, text in enumerate(texts)]
    table = rows_of({"body": bodies, "stars": stars, "place": place}, {"t": labels.tolist()})
    spec = train_spec({"epochs": 4, "seed": 1, "hidden": hidden, "text": ["body"], "categories": ["place"]})
    found = train(FEATURES, [TaskTarget("t", ("good", "bad"))], batches_of(table), spec)
    return Predictor.load(found.manifest, found.weights), table.select(["body", "stars", "place"]).to_batches()[0]


def sums(found: Attributions) -> np.ndarray:
    return np.array([sum(value for _, value in row) for row in found.rows])


@pytest.mark.parametrize("hidden", [0, 8])
def test_attributions_of_a_row_sum_to_the_logit_minus_the_bias(hidden: int, rng: np.random.Generator) -> None:
    predictor, batch = trained(hidden, rng)
    found = attribute(predictor, batch, "t")
    probabilities = predictor.predict(batch)["t"].probabilities
    assert found.labels == [("good", "bad")[place] for place in probabilities.argmax(axis=1)]
    np.testing.assert_allclose(sums(found), found.logits - found.bias, rtol=0, atol=1e-4)
    assert np.abs(found.logits - found.bias).max() > 1


def test_without_a_hidden_layer_a_columns_part_is_what_its_absence_takes_away(rng: np.random.Generator) -> None:
    predictor, batch = trained(0, rng)
    found = attribute(predictor, batch, "t")
    for name in ("stars", "place"):
        at = batch.schema.get_field_index(name)
        without = batch.set_column(at, name, pa.nulls(len(batch), batch.schema.field(at).type))
        rest = attribute(predictor, without, "t")
        same = [row for row in range(len(batch)) if found.labels[row] == rest.labels[row]]
        parts = np.array([dict(found.rows[row]).get(name, 0.0) for row in same])
        np.testing.assert_allclose(parts, (found.logits - rest.logits)[same], rtol=0, atol=1e-5)
        assert len(same) > 100


def test_the_words_that_decide_come_first(rng: np.random.Generator) -> None:
    predictor, batch = trained(0, rng)
    found = attribute(predictor, batch.slice(1, 1), "t", 3)
    word = batch.column("body")[1].as_py().split()
    (row,) = found.rows
    assert len(row) == 3
    assert abs(row[0][1]) >= abs(row[1][1]) >= abs(row[2][1])
    names = {name for name, _ in attribute(predictor, batch.slice(1, 1), "t").rows[0]}
    assert {f"body: {one}" for one in word} & names


def test_no_rows_and_rows_of_nulls_have_no_attributions(rng: np.random.Generator) -> None:
    predictor, batch = trained(8, rng)
    assert attribute(predictor, batch.slice(0, 0), "t").rows == []
    nothing = pa.record_batch([pa.nulls(2, field.type) for field in batch.schema], schema=batch.schema)
    found = attribute(predictor, nothing, "t")
    assert found.rows == [[], []]
    np.testing.assert_allclose(found.logits, found.bias)


@given(st.text(max_size=40), st.integers(1, 3), st.sampled_from([(0, 0), (2, 3), (3, 5)]))
@example("Ein Straßenfest, naïve 中文 😀 a_b 12", 2, (2, 4))
def test_the_grams_of_a_text_are_those_that_were_hashed(text: str, words: int, chars: tuple[int, int]) -> None:
    how = Hashing(16, words, chars)
    counted = hash_ngrams(pa.array([text]), bits=16, word_ngrams=words, char_ngrams=chars)
    expected = dict(zip(counted.buckets.tolist(), counted.counts.tolist(), strict=True))
    assert Counter(bucket for _, bucket in grams(text, how)) == expected


def test_grams_have_the_names_a_person_would_give_them() -> None:
    names = [name for name, _ in grams("Win money!", Hashing(18, 2, (2, 3)))]
    assert names[:5] == ["win", "money", "!", "win money", "money !"]
    assert names[5:] == ["wi-", "-in", "mo-", "-on-", "-ne-", "-ey", "win", "mon-", "-one-", "-ney"]
