"""Hashed n-grams of text columns, as counts per row, with no Python loop over rows or tokens.

A byte string of length l is read eight bytes at a time as little-endian numbers w_0 … w_m, the last filled up with
zeros. Its hash is  mix( l * G + f(w_0) + sum_{j>0} mix( w_j + j * G ) )  modulo 2^64, f(w) a product and a shift, G an
odd constant. It does not depend on where in a buffer the string lies, nor on the batch, process or machine.

Tokens: the text is lower-cased; a run of letters, digits and underscores is one token; every other visible
character (punctuation, CJK ideograph, symbol, emoji) is a token of its own; white space separates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_CHUNK_BYTES = 1 << 17  # what is known of the tokens of one chunk stays in the cache of a processor
_SPACE, _WORD, _SINGLE = 0, 1, 2
_STEP = np.uint64(0x9E3779B97F4A7C15)  # odd
_GRAM = np.uint64(0xD1342543DE82EF95)  # multiplier that joins the hash of a gram and of its next token
_WORD_BEGIN = np.uint64(0xE7037ED1A0B428DB)  # a character gram at the beginning of its word
_WORD_END = np.uint64(0x8EBC6AF09C88C6E3)


@dataclass(frozen=True, slots=True)
class HashedRows:
    """Counts of hashed n-grams per row, in compressed sparse row form.

    Attributes
    ----------
    indptr : int64 array of shape (n + 1,); row i owns entries indptr[i] … indptr[i+1]-1
    buckets : int32 array of shape (nnz,), values in 0 … 2**bits-1, ascending and distinct within a row
    counts : int32 array of shape (nnz,), each at least 1
    """

    indptr: np.ndarray
    buckets: np.ndarray
    counts: np.ndarray


def hash_ngrams(texts: pa.Array, *, bits: int, word_ngrams: int, char_ngrams: tuple[int, int]) -> HashedRows:
    """Count the hashed n-grams of each text.

    Parameters
    ----------
    texts : string array of length n; NULL and the empty string have no n-grams
    bits : the table has 2**bits buckets
    word_ngrams : 1 … word_ngrams neighboring tokens make a gram
    char_ngrams : (shortest, longest) character grams inside a word, in characters; (0, 0) for none

    Returns
    -------
    HashedRows of n rows; the same for any division of the rows into batches.
    """
    data, offsets = utf8_bytes(pc.utf8_lower(texts.cast(pa.large_string())))
    parts = []
    first, n = 0, len(offsets) - 1
    while first < n:
        last = int(np.searchsorted(offsets, offsets[first] + _CHUNK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), n)  # a text longer than a chunk makes a chunk of its own
        at = offsets[first : last + 1]
        parts.append(_count_chunk(data[at[0] : at[-1]], at - at[0], bits, word_ngrams, char_ngrams))
        first = last
    return concat_rows(parts)


def hash_strings(values: pa.Array) -> np.ndarray:
    """Hash each whole string to a uint64, shape (n,); NULL hashes as the empty string does."""
    data, offsets = utf8_bytes(values.cast(pa.large_string()))
    return _hash_spans(_windows(data), offsets[:-1], offsets[1:])  # [n]


def mix(words: np.ndarray) -> np.ndarray:
    """Scramble uint64 words so that every bit depends on every bit (the finaliser of splitmix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def concat_rows(parts: list[HashedRows]) -> HashedRows:
    """Put blocks of rows one under the other."""
    lengths = [np.diff(part.indptr) for part in parts]
    return HashedRows(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate([np.empty(0, np.int64), *lengths]))]),
        np.concatenate([np.empty(0, np.int32), *(part.buckets for part in parts)]),
        np.concatenate([np.empty(0, np.int32), *(part.counts for part in parts)]),
    )


# ── text as bytes ─────────────────────────────────────────────────────────────────────────────────


def utf8_bytes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Bytes uint8 (size,) and offsets int64 (n + 1,) of a large_string array; NULL has no bytes."""
    if texts.null_count:
        texts = pc.fill_null(texts, "")
    if len(texts) == 0:
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def _byte_classes() -> bytes:
    """Class of a character by its first byte."""
    classes = np.full(256, _SINGLE, np.int8)
    classes[:33] = _SPACE
    classes[127] = _SPACE
    for low, high in (("0", "9"), ("A", "Z"), ("a", "z"), ("_", "_")):
        classes[ord(low) : ord(high) + 1] = _WORD
    # UTF-8 lead bytes. E2 (general punctuation, symbols), E3-E9 (CJK), EF (full-width forms) and F0-F4
    # (emoji) stay single; the other alphabets write words.
    classes[0x80:0xE2] = _WORD
    classes[0xEA:0xEF] = _WORD
    return classes.tobytes()


_CLASSES = _byte_classes()
_FIRST_BYTES = np.array([(1 << 8 * size) - 1 for size in range(9)], "<u8")  # masks


def _windows(data: np.ndarray) -> np.ndarray:
    """Return the eight bytes from each byte on as a number, uint64 (size + 1,), zeros behind the end; a view."""
    padded = np.zeros(len(data) + 8, np.uint8)
    padded[: len(data)] = data
    return np.ndarray((len(data) + 1,), "<u8", padded.data, strides=(1,))


def _hash_spans(windows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Hash of the bytes [start, end) for each pair, uint64; `windows` as of `_windows`."""
    sizes = ends - starts
    sums = (windows[starts] & _FIRST_BYTES.take(sizes, mode="clip")) * _GRAM
    sums ^= sums >> np.uint64(32)
    long = np.flatnonzero(sizes > 8)
    if len(long):
        more = (sizes[long] - 1) >> 3  # numbers beside the first
        begins = np.cumsum(more) - more
        owner = np.repeat(long, more)
        place = np.arange(1, len(owner) + 1) - np.repeat(begins, more)  # 1, 2, … of each string
        rest = windows[starts[owner] + 8 * place] & _FIRST_BYTES.take(sizes[owner] - 8 * place, mode="clip")
        sums[long] += np.add.reduceat(mix(rest + place.astype(np.uint64) * _STEP), begins)
    return mix(sums + sizes.astype(np.uint64) * _STEP)


# ── grams ─────────────────────────────────────────────────────────────────────────────────────────


def _count_chunk(
    data: np.ndarray, offsets: np.ndarray, bits: int, word_ngrams: int, char_ngrams: tuple[int, int]
) -> HashedRows:
    """Count the grams of one chunk of texts; arguments as in `hash_ngrams`, texts as bytes and offsets."""
    n_rows = len(offsets) - 1
    boundary = np.zeros(len(data) + 1, bool)  # a text begins here
    boundary[offsets] = True
    classes, inner = _classes(data)
    starts, ends, is_word = _tokens(classes, inner, boundary)
    windows, shift = _windows(data), np.uint64(64 - bits)
    token = _hash_spans(windows, starts, ends)  # [t] uint64
    row = np.repeat(np.arange(n_rows, dtype=np.uint64) << np.uint64(bits), np.diff(np.searchsorted(starts, offsets)))

    keys, gram = [row | token >> shift], token  # [t] uint64: the row, and in its lowest bits the bucket
    for length in range(2, word_ngrams + 1):
        gram = mix(gram[:-1] * _GRAM + token[length - 1 :])  # [t - length + 1]
        head = row[: len(gram)]
        keys.append((head | gram >> shift)[head == row[length - 1 :]])
    if char_ngrams[1] > 0:
        own = row[is_word]
        for grams, owner in _char_grams(windows, inner, starts[is_word], ends[is_word], char_ngrams):
            keys.append(own[owner] | grams >> shift)
    return _count_keys(np.concatenate(keys), n_rows, bits)


def _count_keys(keys: np.ndarray, n_rows: int, bits: int) -> HashedRows:
    """Count equal keys, uint64: the number of a row times 2**bits, and a bucket."""
    keys.sort()
    new = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    first = np.flatnonzero(new)
    found = keys[first]
    indptr = np.searchsorted(found, np.arange(n_rows + 1, dtype=np.uint64) << np.uint64(bits))
    buckets = (found & np.uint64((1 << bits) - 1)).astype(np.int32)
    return HashedRows(indptr, buckets, np.diff(first, append=len(keys)).astype(np.int32))


def _classes(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class of the character of each byte, int8 (size,), and whether a byte continues one of UTF-8, bool (size,)."""
    inner = data & 0xC0 == 0x80
    classes = np.frombuffer(data.tobytes().translate(_CLASSES), np.int8)
    for _ in range(3 if inner.any() else 0):  # a continuation byte has the class of its lead byte, at most 3 back
        classes = np.concatenate([classes[:1], np.where(inner[1:], classes[:-1], classes[1:])])
    return classes, inner


def _tokens(classes: np.ndarray, inner: np.ndarray, boundary: np.ndarray) -> tuple[np.ndarray, ...]:
    """Tokens in order: first byte, byte after the last, and whether the token is a word; shape (t,) each."""
    word, single = classes == _WORD, classes == _SINGLE
    apart = ~word
    begins, closes = word.copy(), word.copy()
    begins[1:] &= apart[:-1] | boundary[1:-1]
    closes[:-1] &= apart[1:] | boundary[1:-1]
    begins |= single & ~inner
    closes[:-1] |= single[:-1] & ~inner[1:]
    closes[-1:] |= single[-1:]
    starts = np.flatnonzero(begins)
    return starts, np.flatnonzero(closes) + 1, word[starts]


def _char_grams(
    windows: np.ndarray, inner: np.ndarray, starts: np.ndarray, ends: np.ndarray, lengths: tuple[int, int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Character grams inside the words [start, end): per length, hashes and the word of each."""
    sizes = ends - starts
    owner = np.repeat(np.arange(len(starts)), sizes)
    at = np.arange(len(owner)) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)  # every byte of every word
    lead = ~inner[at]
    at, owner = at[lead], owner[lead]  # [c]: first byte of every character
    opens = np.r_[True, owner[1:] != owner[:-1]][: len(owner)]
    closes = np.r_[owner[1:] != owner[:-1], True][: len(owner)]
    stop = np.where(closes, ends[owner], np.r_[at[1:], 0][: len(at)])  # [c]: byte after the character
    found = []
    for length in range(lengths[0], lengths[1] + 1):
        count = max(len(at) - length + 1, 0)
        head, tail = slice(0, count), slice(length - 1, length - 1 + count)
        same = owner[head] == owner[tail]
        grams = _hash_spans(windows, at[head][same], stop[tail][same])
        grams = grams ^ np.where(opens[head][same], _WORD_BEGIN, np.uint64(0))
        grams = grams ^ np.where(closes[tail][same], _WORD_END, np.uint64(0))
        found.append((mix(grams), owner[head][same]))
    return found
