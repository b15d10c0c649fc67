from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from wsdb.core.errors import ModelError
from wsdb.model.arrays import CATEGORIES, DENSE, TEXT, EncodedBatch, concat_batches
from wsdb.model.columns import MAX_CATEGORIES
from wsdb.model.encode import Encoder, Hashing
from wsdb.model.features import choose_kinds, family

HASHING = Hashing(bits=12, word_ngrams=2, char_ngrams=(0, 0))

FEATURES = [
    ("body", "VARCHAR"),
    ("colour", "ENUM('red', 'blue')"),
    ("price", "DECIMAL(9,2)"),
    ("n", "INTEGER"),
    ("open", "BOOLEAN"),
    ("at", "TIMESTAMP"),
    ("day", "DATE"),
    ("v", "FLOAT[3]"),
    ("w", "DOUBLE[]"),
]


def everything(n: int = 40) -> pa.Table:
    """A table with a column of every family; row 3 is all NULL."""
    i = range(n)
    table = pa.table(
        {
            "body": pa.array([f"word{k % 7} and a longer text number {k}" for k in i]),
            "colour": pa.array(["red" if k % 3 else "blue" for k in i]).dictionary_encode(),
            "price": pa.array([Decimal(k) / 4 for k in i], pa.decimal128(9, 2)),
            "n": pa.array([k * k for k in i], pa.int32()),
            "open": pa.array([k % 2 == 0 for k in i]),
            "at": pa.array([dt.datetime(2024, 1, 1) + dt.timedelta(hours=7 * k) for k in i], pa.timestamp("us")),
            "day": pa.array([dt.date(1969, 12, 30) + dt.timedelta(days=k) for k in i]),
            "v": pa.array([[k, 1, -k] for k in i], pa.list_(pa.float32(), 3)),
            "w": pa.array([[k / 2, k / 3] for k in i], pa.list_(pa.float64())),
        }
    )
    nulls = pa.table({name: pa.nulls(1, table.schema.field(name).type) for name in table.column_names})
    return pa.concat_tables([table.slice(0, 3), nulls, table.slice(4)])


def fit(table: pa.Table, features: list[tuple[str, str]]) -> tuple[Encoder, EncodedBatch, list[str]]:
    encoder, notices = Encoder.fit(features, table.to_batches(), HASHING, 1)
    return encoder, concat_batches([encoder.encode(batch) for batch in table.to_batches()]), notices


def text_of(encoded: EncodedBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    text = encoded.ragged[TEXT]
    return text.indptr, np.asarray(text.arrays["slots"]), np.asarray(text.arrays["values"])


def same(left: EncodedBatch, right: EncodedBatch) -> bool:
    texts = all(np.array_equal(a, b) for a, b in zip(text_of(left), text_of(right), strict=True))
    return texts and all(np.array_equal(left.rows[name], right.rows[name]) for name in (CATEGORIES, DENSE))


@pytest.mark.parametrize("size", [1, 7, 40])
def test_rows_encode_alike_in_any_batch(size: int) -> None:
    table = everything()
    encoder, whole, _ = fit(table, FEATURES)
    parts = [encoder.encode(batch) for batch in table.to_batches(max_chunksize=size)]
    assert same(whole, concat_batches(parts))


def test_a_struct_array_encodes_as_its_record_batch_does() -> None:
    batch = everything().combine_chunks().to_batches()[0]
    encoder, whole, _ = fit(pa.Table.from_batches([batch]), FEATURES)
    assert same(whole, encoder.encode(batch.to_struct_array()))


def test_null_columns_without_a_type_encode_as_nulls() -> None:
    encoder, whole, _ = fit(everything(), FEATURES)
    untyped = pa.record_batch({name: pa.nulls(1) for name, _ in FEATURES})
    assert same(encoder.encode(untyped), whole.take(np.array([3])))


def test_an_empty_batch_encodes_to_no_rows() -> None:
    table = everything()
    encoder, whole, _ = fit(table, FEATURES)
    empty = encoder.encode(
        pa.RecordBatch.from_arrays([pa.array([], f.type) for f in table.schema], schema=table.schema)
    )
    assert len(empty) == 0
    assert empty.rows[DENSE].shape == (0, whole.rows[DENSE].shape[1])


def test_statistics_survive_json() -> None:
    table = everything()
    encoder, whole, _ = fit(table, FEATURES)
    restored = Encoder.restore(json.loads(json.dumps(encoder.to_manifest())), encoder.tensors(), HASHING)
    assert same(whole, concat_batches([restored.encode(batch) for batch in table.to_batches()]))


def test_statistics_do_not_depend_on_the_order_of_rows(rng: np.random.Generator) -> None:
    table = everything()
    shuffled = table.take(rng.permutation(len(table)))
    assert fit(table, FEATURES)[0].to_manifest() == fit(shuffled, FEATURES)[0].to_manifest()


def test_text_rows_have_length_one_and_empty_text_has_none() -> None:
    _, encoded, _ = fit(pa.table({"t": ["spam and eggs", "", None, "eggs"]}), [("t", "VARCHAR")])
    indptr, _, values = text_of(encoded)
    squares = np.add.reduceat(np.append(values**2, 0), indptr[:-1])
    assert np.diff(indptr).tolist() == [5, 0, 0, 1]
    np.testing.assert_allclose(squares[[0, 3]], 1, rtol=1e-6)


def test_text_weights_are_tf_idf_worked_by_hand() -> None:
    _encoder, encoded, _ = fit(pa.table({"t": ["b b a", "a"]}), [("t", "VARCHAR")])
    # idf a = ln(3/3) + 1 = 1; b, "b b" and "b a" each ln(3/2) + 1; tf of b = 1 + ln 2
    rare = np.log(1.5) + 1
    weights = np.array([1, (1 + np.log(2)) * rare, rare, rare])
    expected = np.sort(weights / np.linalg.norm(weights))
    np.testing.assert_allclose(np.sort(text_of(encoded)[2][:4]), expected, rtol=1e-6)


def test_text_buckets_of_too_few_rows_are_dropped() -> None:
    table = pa.table({"t": ["spam eggs", "spam ham"]})
    encoder, _ = Encoder.fit([("t", "VARCHAR")], table.to_batches(), HASHING, 2)
    assert encoder.n_text == 1


def test_a_value_never_seen_is_unknown_and_not_null() -> None:
    encoder, _, _ = fit(pa.table({"c": ["x", "y", None] * 4}), [("c", "ENUM('x', 'y')")])
    slots = encoder.encode(pa.record_batch({"c": ["x", "y", "new", None]})).rows[CATEGORIES][:, 0]
    assert slots.tolist() == [2, 3, 1, 0]


def test_too_many_categories_keep_the_most_frequent_and_say_so() -> None:
    values = [f"v{i:05}" for i in range(70_000)] + ["v09999"]
    encoder, _, notices = fit(pa.table({"c": values}), [("c", "ENUM('…')")])
    kept = encoder.to_manifest()[0]["fit"]["values"]
    assert len(kept) == MAX_CATEGORIES
    assert kept[:2] == ["v09999", "v00000"]
    assert notices == ["column c: the 65,536 most frequent of 70,000 values are kept, the rest count as unknown"]


def test_nan_and_infinity_count_as_null_and_are_noticed() -> None:
    values = [1.0, 2.0, float("nan"), float("inf"), None, -float("inf")]
    _encoder, encoded, notices = fit(pa.table({"x": values}), [("x", "DOUBLE")])
    assert notices == ["column x: 3 values are NaN or infinite and count as NULL"]
    assert encoded.rows[CATEGORIES][:, 0].tolist() == [1, 2, 0, 0, 0, 0]
    assert encoded.rows[DENSE][:, 0].tolist() == [-1, 1, 0, 0, 0, 0]


def test_a_number_far_outside_the_training_range_is_clipped() -> None:
    encoder, _, _ = fit(pa.table({"x": np.arange(100.0)}), [("x", "DOUBLE")])
    assert encoder.encode(pa.record_batch({"x": [1e30, -1e30]})).rows[DENSE][:, 0].tolist() == [5, -5]


def test_a_constant_number_and_an_all_null_column_encode_to_zero() -> None:
    table = pa.table({"x": [7.0] * 5, "y": pa.nulls(5, pa.float64()), "v": pa.nulls(5, pa.list_(pa.float32()))})
    _, encoded, _ = fit(table, [("x", "DOUBLE"), ("y", "DOUBLE"), ("v", "FLOAT[]")])
    assert not encoded.rows[DENSE].any()


def test_time_becomes_hour_weekday_month_day_and_minute_in_utc() -> None:
    # 2024-02-29 23:30 UTC was a Thursday; slots: hour + 1, weekday (Sunday 0) + 1, month, day, minute + 1
    times = pa.array([dt.datetime(2024, 2, 29, 23, 30), dt.datetime(1969, 12, 31, 1, 0)], pa.timestamp("us", "UTC"))
    _, encoded, _ = fit(pa.table({"t": times}), [("t", "TIMESTAMP WITH TIME ZONE")])
    local = encoded.rows[CATEGORIES] - np.array([0, 25, 33, 46, 78])
    assert local.tolist() == [[24, 5, 2, 29, 31], [2, 4, 12, 31, 1]]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_a_timestamp_makes_no_difference(unit: str) -> None:
    times = pa.array([dt.datetime(2024, 2, 29, 23), dt.datetime(2021, 5, 1, 4)], pa.timestamp("us"))
    plain = fit(pa.table({"t": times}), [("t", "TIMESTAMP")])[1]
    assert same(plain, fit(pa.table({"t": times.cast(pa.timestamp(unit))}), [("t", "TIMESTAMP")])[1])


@pytest.mark.parametrize("chunks", [[[[1.0, 2.0], [1.0]]], [[[1.0, 2.0]], [[1.0]]]])
def test_vectors_of_several_lengths_are_an_error(chunks: list[list[list[float]]]) -> None:
    column = pa.chunked_array([pa.array(chunk) for chunk in chunks])
    with pytest.raises(ModelError, match=r"vectors of column v must all have 2 numbers; found one of 1") as caught:
        fit(pa.table({"v": column}), [("v", "DOUBLE[]")])
    assert caught.value.code == "WS507"


def test_a_vector_of_another_length_is_an_error_at_prediction() -> None:
    encoder, _, _ = fit(pa.table({"v": [[1.0, 2.0]] * 3}), [("v", "DOUBLE[]")])
    with pytest.raises(ModelError) as caught:
        encoder.encode(pa.record_batch({"v": [[1.0, 2.0, 3.0]]}))
    assert caught.value.code == "WS507"


@pytest.mark.parametrize(
    ("duckdb_type", "hint"),
    [
        ("BLOB", 'decode("x")'),
        ("MAP(VARCHAR, INTEGER)", "\"x\"['key'] AS key"),
        ("UUID", "leave it out"),
        ("JSON", "\"x\" ->> 'field'"),
        ("JSON[]", "VARCHAR, ENUM, BOOLEAN"),
        ("TIMESTAMP[]", "VARCHAR, ENUM, BOOLEAN"),
        ("BOOLEAN[]", 'CAST("x" AS TINYINT[])'),
        ("STRUCT(a INTEGER)[]", 'AS SET ("x")'),
        ("ENUM('a', 'b')[]", 'AS SET ("x")'),
        ("VARCHAR[][]", "VARCHAR, ENUM, BOOLEAN"),
        ("VARCHAR[]", 'AS SET ("x")'),
        ("STRUCT(a INTEGER)", '"x".field AS field'),
        ("INTERVAL", 'epoch("x")'),
        ("TIME", 'epoch("x")'),
    ],
)
def test_a_type_a_model_cannot_read_is_named_with_what_to_do(duckdb_type: str, hint: str) -> None:
    with pytest.raises(ModelError, match="column x") as caught:
        family("x", duckdb_type)
    assert caught.value.code == "WS503"
    assert caught.value.hint is not None and hint in caught.value.hint


def test_a_column_of_another_family_is_an_error_that_names_both() -> None:
    encoder, _, _ = fit(pa.table({"body": ["a b c", "d e f"]}), [("body", "VARCHAR")])
    with pytest.raises(ModelError) as caught:
        encoder.encode(pa.record_batch({"body": pa.array([b"x"])}))
    assert str(caught.value) == "Model Error [WS504]: model was trained on column body (VARCHAR); got BLOB"


def test_a_missing_column_is_an_error_that_lists_those_there() -> None:
    encoder, _, _ = fit(pa.table({"body": ["a b c", "d e f"]}), [("body", "VARCHAR")])
    with pytest.raises(ModelError) as caught:
        encoder.encode(pa.record_batch({"bod": ["x"], "other": ["y"]}))
    assert (caught.value.code, caught.value.hint) == ("WS504", "they have bod, other")


def test_another_type_of_the_same_family_is_read() -> None:
    encoder, _, _ = fit(pa.table({"x": [1, 2, 3]}), [("x", "INTEGER")])
    narrow, wide = (encoder.encode(pa.record_batch({"x": pa.array([2], t)})) for t in (pa.int8(), pa.float64()))
    assert same(narrow, wide)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["red", "blue", "green"] * 10, "category"),
        (["new york", "san francisco"] * 3, "category"),
        ([f"user{i}" for i in range(300)], "text"),
        ([f"code{i % 300}" for i in range(3000)], "category"),
        ([f"two words {i % 300}" for i in range(3000)], "text"),
        (["a sentence of many different words"] * 30, "text"),
        ([None, None], "text"),
    ],
)
def test_strings_are_categories_where_short_values_come_back(values: list[str | None], kind: str) -> None:
    table = pa.table({"s": pa.array(values, pa.string())})
    assert choose_kinds([("s", "VARCHAR")], table.to_batches())[0][0].kind == kind
