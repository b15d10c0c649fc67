from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.model.hashing import HashedRows, concat_rows, hash_ngrams, hash_strings

TEXTS = [
    "Hello, world!",
    "",
    None,
    "日本語のテキスト",
    "naïve café 😀😀",
    "a",
    "don't   stop\n\tnow",
    "x" * 300_000,
    "Hello world",
]


def hashed(texts: list[str | None], *, words: int = 2, chars: tuple[int, int] = (3, 5), bits: int = 18) -> HashedRows:
    return hash_ngrams(pa.array(texts, pa.string()), bits=bits, word_ngrams=words, char_ngrams=chars)


def row(rows: HashedRows, i: int) -> dict[int, int]:
    part = slice(rows.indptr[i], rows.indptr[i + 1])
    return dict(zip(rows.buckets[part].tolist(), rows.counts[part].tolist(), strict=True))


def same(left: HashedRows, right: HashedRows) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in ("indptr", "buckets", "counts"))


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=12), st.integers(1, 5))
def test_hashes_do_not_depend_on_how_rows_are_batched(texts: list[str | None], size: int) -> None:
    parts = [hashed(texts[i : i + size]) for i in range(0, len(texts), size)]
    assert same(hashed(texts), concat_rows(parts))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_text_longer_than_a_chunk_hashes_as_it_does_alone(size: int) -> None:
    parts = [hashed(TEXTS[i : i + size]) for i in range(0, len(TEXTS), size)]
    assert same(hashed(TEXTS * 3), concat_rows(parts * 3))


def test_a_slice_of_an_array_hashes_as_a_copy_of_it_does() -> None:
    whole = pa.array(TEXTS, pa.string())
    options = {"bits": 18, "word_ngrams": 2, "char_ngrams": (0, 0)}
    assert same(hash_ngrams(whole[3:7], **options), hash_ngrams(pa.array(TEXTS[3:7], pa.string()), **options))


def test_hashes_are_equal_in_another_process() -> None:
    program = (
        "import pyarrow as pa; from wsdb.model.hashing import hash_ngrams;"
        "h = hash_ngrams(pa.array(['Hello, world!', 'naïve café']), "
        "bits=18, word_ngrams=2, char_ngrams=(3, 4));"
        "print(h.buckets.tolist())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert found == str(hashed(["Hello, world!", "naïve café"], chars=(3, 4)).buckets.tolist())


def test_hashes_are_those_of_the_first_release() -> None:
    # Stored models hold bucket numbers: a change here makes every stored model wrong, and needs a new format
    # number.
    pinned = [41356, 89259, 101068, 119814, 140485, 173867, 204211, 209664, 215053]
    text = "Hello, world! Antidisestablishmentarianism"  # a word of more than eight bytes too
    assert hashed([text], chars=(0, 0)).buckets.tolist() == pinned


def test_a_repeated_word_is_counted() -> None:
    rows = hashed(["spam spam spam"], words=1, chars=(0, 0))
    assert list(row(rows, 0).values()) == [3]


def test_case_does_not_matter_but_accents_do() -> None:
    rows = hashed(["ÉCOLE Spam", "école spam", "ecole spam"])
    assert row(rows, 0) == row(rows, 1)
    assert row(rows, 1) != row(rows, 2)


def test_null_and_the_empty_string_have_no_ngrams() -> None:
    assert np.diff(hashed(["", None, " \n", "a"]).indptr).tolist() == [0, 0, 0, 1]


def test_two_words_make_one_pair_and_pairs_know_their_order() -> None:
    words = hashed(["alpha beta", "beta alpha"], words=1, chars=(0, 0))
    pairs = hashed(["alpha beta", "beta alpha"], words=2, chars=(0, 0))
    assert row(words, 0) == row(words, 1)
    assert len(row(pairs, 0)) == 3
    assert row(pairs, 0) != row(pairs, 1)


def test_pairs_do_not_cross_from_one_row_to_the_next() -> None:
    apart = hashed(["alpha", "beta"], words=2, chars=(0, 0))
    assert np.diff(apart.indptr).tolist() == [1, 1]


def test_punctuation_ideographs_and_emoji_are_tokens_of_their_own() -> None:
    rows = hashed(["a!?", "日本語", "😀x😁", "naïve"], words=1, chars=(0, 0))
    assert np.diff(rows.indptr).tolist() == [3, 3, 3, 1]


def test_character_grams_count_characters_and_stay_inside_words() -> None:
    rows = hashed(["über ab", "uber"], words=1, chars=(3, 3))
    assert np.diff(rows.indptr).tolist() == [2 + 2, 1 + 2]  # über: übe, ber; ab has none


def test_character_grams_tell_the_beginning_of_a_word_from_its_middle() -> None:
    rows = hashed(["abc", "xabcx"], words=1, chars=(3, 3))
    assert not set(row(rows, 0)) & set(row(rows, 1))


def test_distinct_words_spread_evenly_over_the_buckets() -> None:
    rows = hashed([f"word{i}" for i in range(20_000)], words=1, chars=(0, 0), bits=10)
    counts = np.bincount(rows.buckets, minlength=1024)
    # Poisson with mean 19.5: a chi-square statistic over 1023 degrees of freedom, sd 45
    assert abs(((counts - counts.mean()) ** 2 / counts.mean()).sum() - 1023) < 5 * 45


@given(st.lists(st.text("ab\0é", max_size=40), max_size=30), st.integers(0, 20))
def test_strings_hash_equal_where_they_are_equal_wherever_they_lie(texts: list[str], before: int) -> None:
    hashes = hash_strings(pa.array(["z" * before, *texts], pa.string()))[1:].tolist()
    assert hashes == hash_strings(pa.array(texts, pa.string())).tolist()
    assert len(set(hashes)) == len(set(texts))


def test_long_strings_that_differ_in_the_order_of_their_parts_hash_apart() -> None:
    parts = ["12345678", "abcdefgh", "ABCDEFGH"]
    texts = ["".join(one) for one in itertools.permutations(parts)] + ["x" * 800, "x" * 808, "x" * 801]
    assert len(set(hash_strings(pa.array(texts)).tolist())) == len(texts)


def test_whole_strings_hash_apart_and_null_is_the_empty_string() -> None:
    hashes = hash_strings(pa.array(["1", "2", "12", "21", "", None]))
    assert len(set(hashes.tolist())) == 5
    assert hashes[4] == hashes[5]
