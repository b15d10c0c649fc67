"""From list columns to arrays: statistics, streams, and lists that do not fit together."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.factoid import PAYLOADS, batch_of, fitted, rows_of
from wsdb.core.errors import ModelError
from wsdb.model.arrays import CATEGORIES, DENSE, Ragged
from wsdb.model.parts import PayloadInput, TaskTarget
from wsdb.model.payload_arrays import Embedding, PayloadEncoders
from wsdb.model.payload_columns import check_labels

TOKENS = PayloadInput("tokens", "sequence", (("tokens", "VARCHAR[]"),))


def set_of(*columns: str, spans: tuple[str, str] | None = None) -> PayloadInput:
    return PayloadInput("things", "set", tuple((name, "…[]") for name in columns), spans=spans)


def arrays_of(payload: PayloadInput, batch: pa.RecordBatch, fit_on: pa.RecordBatch | None = None) -> Ragged:
    """Fit a payload on a batch, and return the arrays of another."""
    return fitted([fit_on or batch], [payload]).apply(batch)[f"payload.{payload.name}"]


def assert_equal(left: Ragged, right: Ragged) -> None:
    np.testing.assert_array_equal(left.indptr, right.indptr)
    assert left.arrays.keys() == right.arrays.keys() and left.parts.keys() == right.parts.keys()
    for name in left.arrays:
        np.testing.assert_array_equal(left.arrays[name], right.arrays[name])
    for name in left.parts:
        assert_equal(left.parts[name], right.parts[name])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 12))
def test_batches_orders_and_stored_statistics_give_the_same_arrays(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rows_of(rng, 12)
    whole = fitted([batch_of(rows)], min_rows=2)
    parts = [rows[i] for i in rng.permutation(12)]
    streamed = fitted([batch_of(parts[i : i + size]) for i in range(0, 12, size)], min_rows=2)
    restored = PayloadEncoders.restore(json.loads(json.dumps(whole.to_manifest())), whole.tensors())
    new = batch_of(rows_of(rng, 5))
    expected = whole.apply(new)
    for name in ("payload.tokens", "payload.entities"):
        assert_equal(expected[name], streamed.apply(new)[name])
        assert_equal(expected[name], restored.apply(new)[name])
        alone = [whole.apply(new.slice(i, 1))[name] for i in range(5)]
        for i, one in enumerate(alone):
            assert_equal(expected[name].take(np.array([i])), one)


def test_a_struct_array_reads_as_its_record_batch_does() -> None:
    batch = batch_of(rows_of(np.random.default_rng(0), 10))
    encoders = fitted([batch])
    left, right = encoders.apply(batch), encoders.apply(batch.to_struct_array())
    for name in left:
        assert_equal(left[name], right[name])


def test_null_and_empty_lists_have_no_elements_and_a_null_element_is_one() -> None:
    batch = pa.record_batch({"tokens": [["a", None], None, [], ["b"]]})
    found = arrays_of(TOKENS, batch)
    assert found.indptr.tolist() == [0, 2, 2, 2, 3]
    assert found.arrays[CATEGORIES][:, 0].tolist() == [2, 0, 3]


def test_an_unknown_token_is_known_by_its_letters() -> None:
    seen = pa.record_batch({"tokens": [["capital", "capital", "old", "old", "once"]]})
    new = pa.record_batch({"tokens": [["capitol", "zzz", "once"]]})
    encoders = fitted([seen], [TOKENS], min_rows=2)
    found = encoders.apply(new)["payload.tokens"]
    assert found.arrays[CATEGORIES][:, 0].tolist() == [1, 1, 1]
    grams = found.parts["grams"]
    shared = set(grams.take(np.array([0])).arrays["slots"])
    known = set(encoders.apply(seen)["payload.tokens"].parts["grams"].arrays["slots"][: grams.indptr[1] + 4])
    assert len(shared & known) >= 4  # cap, api, pit, capi, apit and others
    assert np.diff(grams.indptr).tolist()[1:] == [0, 0]


def test_long_texts_are_read_by_their_words() -> None:
    text = "the quick brown fox jumps over the dog"
    batch = pa.record_batch({"tokens": [[text, text], [text]]})
    encoders = fitted([batch], [TOKENS])
    assert encoders.encoders[0].fields[0].grams.long  # type: ignore[union-attr]
    assert encoders.encoders[0].n_grams == 7 + 7  # distinct words, and pairs of neighbors


def test_fields_of_every_type() -> None:
    day = dt.datetime(2024, 2, 29, 23, 30)
    things: list[list[dict[str, Any]] | None] = [
        [
            {"s": "x", "n": 1, "b": True, "t": day, "v": [3.0, 4.0], "w": ["two", "words"]},
            {"s": None, "n": None, "b": None, "t": None, "v": None, "w": None},
        ],
        None,
    ]
    found = arrays_of(set_of("things"), pa.record_batch({"things": things}))
    # value 1, number 1, boolean 1, timestamp 5, vector 1, words 1 slots; number 1, timestamp 1, vector 2 columns
    assert found.arrays[CATEGORIES].shape == (2, 10)
    assert found.arrays[DENSE].shape == (2, 4)
    np.testing.assert_allclose(found.arrays[DENSE][0, 2:], np.array([3, 4]) / 5 * np.sqrt(2), rtol=1e-6)
    assert not found.arrays[DENSE][1].any()
    assert np.diff(found.parts["grams"].indptr).tolist()[1] == 0


def test_numbers_and_vectors_can_be_the_elements_themselves() -> None:
    numbers = arrays_of(set_of("n"), pa.record_batch({"n": [[1.0, 3.0], [None]]}))
    assert numbers.arrays[DENSE][:, 0].tolist() == [-1, 1, 0]
    vectors = arrays_of(set_of("v"), pa.record_batch({"v": [[[1.0, 0.0], [0.0, 1.0]], []]}))
    assert vectors.arrays[DENSE].shape == (2, 2)


def test_parallel_lists_are_fields_of_the_same_elements() -> None:
    batch = pa.record_batch({"name": [["a", "b"], None], "size": [[1.0, 2.0], []]})
    found = arrays_of(set_of("name", "size"), batch)
    assert found.arrays[CATEGORIES].shape == (2, 2) and found.arrays[DENSE].shape == (2, 1)


def test_parallel_lists_of_two_lengths_are_an_error_that_names_the_key() -> None:
    batch = pa.record_batch({"name": [["a"], ["a", "b"]], "size": [[1.0], [2.0]]})
    encoders = fitted([batch.slice(0, 1)], [set_of("name", "size")])
    with pytest.raises(ModelError, match="lists of one length") as error:
        encoders.apply(batch, pa.array(["k1", "k2"]))
    assert error.value.code == "WS512" and "key k2 has 2 and 1" in str(error.value)
    with pytest.raises(ModelError, match="row 2 has 2 and 1"):
        encoders.apply(batch)


def test_labels_must_be_as_many_as_elements() -> None:
    task = TaskTarget("pos", ("a", "b"), payload="tokens")
    lengths, keys = np.array([2, 3, 0]), pa.array([10, 11, 12])
    check_labels(task, lengths, np.array([2, 0, 0]), np.array([True, False, True]), keys)  # NULL fits any row
    with pytest.raises(ModelError, match="key 11 has 3 elements and 2 labels") as error:
        check_labels(task, lengths, np.array([2, 2, 0]), np.array([True, True, True]), keys)
    assert error.value.code == "WS512"


SEQUENCE = [["how", "tall", "is", "obama"]]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ([2, 3], [1, 3]),
        ({"first": 2, "last": 3}, [1, 3]),
        ({"start": 2, "end": 4}, [1, 3]),
        (None, [0, 0]),
        ([4, 4], [3, 4]),
        ({"first": 1, "last": None}, [0, 0]),
    ],
)
def test_spans_count_from_one(span: Any, expected: list[int]) -> None:
    things = [[{"span": span, "n": 1.0}, {"span": None, "n": 2.0}]]
    batch = pa.record_batch({"tokens": SEQUENCE, "things": things})
    payloads = [TOKENS, set_of("things", spans=("tokens", "span"))]
    found = fitted([batch], payloads).apply(batch)["payload.things"].arrays["spans"]
    assert found.tolist() == [expected, [0, 0]]


def test_a_span_can_be_a_list_column_of_its_own() -> None:
    batch = pa.record_batch({"tokens": SEQUENCE, "name": [["a", "b"]], "at": [[[1, 2], [4, 4]]]})
    payloads = [TOKENS, set_of("name", "at", spans=("tokens", "at"))]
    assert fitted([batch], payloads).apply(batch)["payload.things"].arrays["spans"].tolist() == [[0, 2], [3, 4]]


def test_elements_can_be_spans_and_nothing_else() -> None:
    batch = pa.record_batch({"tokens": SEQUENCE, "at": [[{"first": 1, "last": 2}, None]]})
    encoders = fitted([batch], [TOKENS, set_of("at", spans=("tokens", "at"))])
    assert encoders.encoders[1].fields == ()
    assert encoders.apply(batch)["payload.things"].arrays["spans"].tolist() == [[0, 2], [0, 0]]


@pytest.mark.parametrize("span", [[0, 1], [3, 5], [3, 2], [-2, -1]])
def test_a_span_outside_of_its_sequence_is_an_error(span: list[int]) -> None:
    batch = pa.record_batch({"tokens": SEQUENCE, "things": [[{"span": span, "n": 1.0}]]})
    payloads = [TOKENS, set_of("things", spans=("tokens", "span"))]
    with pytest.raises(ModelError, match="inside the sequence of their row"):
        fitted([batch], payloads)
    good = pa.record_batch({"tokens": SEQUENCE, "things": [[{"span": [1, 1], "n": 1.0}]]})
    with pytest.raises(ModelError, match="inside the sequence of their row") as error:
        fitted([good], payloads).apply(batch, pa.array(["q7"]))
    assert error.value.code == "WS512" and "key q7 has" in str(error.value)


@pytest.mark.parametrize(
    ("payload", "columns", "code", "message"),
    [
        (TOKENS, {"tokens": ["a", "b"]}, "WS503", "must be a LIST"),
        (TOKENS, {"words": [["a"]]}, "WS504", "no such column"),
        (set_of("things"), {"things": [[{"s": {"deep": 1}}]]}, "WS503", "cannot read field s"),
        (set_of("things"), {"things": [[[1.0], [1.0, 2.0]]]}, "WS507", "must all have"),
    ],
)
def test_columns_that_are_no_payload(payload: PayloadInput, columns: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        fitted([pa.record_batch(columns)], [payload])
    assert error.value.code == code


@pytest.mark.parametrize(
    ("things", "code"),
    [([[{"s": 1.0}]], "WS504"), ([[{"other": "x"}]], "WS504"), ([["plain"]], "WS504"), ([[]], None), ([None], None)],
)
def test_elements_of_another_kind_than_in_training(things: Any, code: str | None) -> None:
    encoders = fitted([pa.record_batch({"things": [[{"s": "x"}]]})], [set_of("things")])
    batch = pa.record_batch({"things": things})
    if code is None:
        assert encoders.apply(batch)["payload.things"].indptr.tolist() == [0, 0]
        return
    with pytest.raises(ModelError) as error:
        encoders.apply(batch)
    assert error.value.code == code


def test_spans_of_a_payload_that_is_not_there() -> None:
    batch = batch_of(rows_of(np.random.default_rng(0), 3))
    with pytest.raises(ModelError, match="which the model does not have"):
        fitted([batch], [PAYLOADS[2]]).apply(batch)


def test_no_elements_in_training_is_noticed_and_still_works() -> None:
    from wsdb.model.payload_arrays import PayloadFitting

    fitting = PayloadFitting([TOKENS], 1)
    fitting.update(pa.record_batch({"tokens": pa.array([None, []], pa.list_(pa.string()))}))
    encoders, notices = fitting.finish()
    assert notices == ["payload tokens has no elements in the training rows"]
    found = encoders.apply(pa.record_batch({"tokens": [["new"]]}))["payload.tokens"]
    assert found.arrays[CATEGORIES].tolist() == [[1]]


def test_an_embedding_that_is_not_given_or_has_nothing_to_give() -> None:
    tokens = PayloadInput("tokens", "sequence", (("tokens", "DOUBLE[]"),), embedding="glove")
    batch = pa.record_batch({"tokens": [[1.0]]})
    with pytest.raises(ModelError, match="not given"):
        fitted([batch], [tokens])
    glove = Embedding("glove", pa.array(["a"]), np.ones((1, 2), np.float32))
    with pytest.raises(ModelError, match="no text field"):
        fitted([batch], [tokens], embeddings={"glove": glove})
