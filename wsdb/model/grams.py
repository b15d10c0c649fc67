"""The n-grams of a text as text, with the bucket that each is hashed to: the inverse of `wsdb.model.hashing`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wsdb.model import hashing
from wsdb.model.encode import Hashing


def grams(text: str, how: Hashing) -> list[tuple[str, int]]:
    """Return each n-gram of a text, lower-cased and as often as it occurs, with its bucket.

    The tokens of a word n-gram are joined by a space. A character n-gram has a hyphen where its word goes on.
    """
    data, offsets = hashing.utf8_bytes(pc.utf8_lower(pa.array([text], pa.large_string())))
    if not len(data):
        return []
    classes, inner = hashing._classes(data)
    boundary = np.zeros(len(data) + 1, bool)
    boundary[offsets] = True
    starts, ends, is_word = hashing._tokens(classes, inner, boundary)
    windows, raw = hashing._windows(data), data.tobytes()
    tokens = [raw[a:b].decode("utf-8", "replace") for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    found = _word_grams(tokens, hashing._hash_spans(windows, starts, ends), how)
    if how.char_ngrams[1] > 0:
        words = [token for token, word in zip(tokens, is_word.tolist(), strict=True) if word]
        parts = hashing._char_grams(windows, inner, starts[is_word], ends[is_word], how.char_ngrams)
        found += _char_grams(words, parts, how)
    return found


def _word_grams(tokens: list[str], hashes: np.ndarray, how: Hashing) -> list[tuple[str, int]]:
    found = _buckets(tokens, hashes, how)
    gram = hashes
    for length in range(2, how.word_ngrams + 1):
        gram = hashing.mix(gram[:-1] * hashing._GRAM + hashes[length - 1 :])
        names = [" ".join(tokens[at : at + length]) for at in range(len(gram))]
        found += _buckets(names, gram, how)
    return found


def _char_grams(words: list[str], parts: list[tuple[np.ndarray, np.ndarray]], how: Hashing) -> list[tuple[str, int]]:
    found = []
    for length, (hashes, owner) in enumerate(parts, how.char_ngrams[0]):
        names, seen = [], dict.fromkeys(range(len(words)), 0)
        for word in owner.tolist():
            at = seen[word]
            seen[word] += 1
            inside = words[word][at : at + length]
            names.append(f"{'-' if at else ''}{inside}{'-' if at + length < len(words[word]) else ''}")
        found += _buckets(names, hashes, how)
    return found


def _buckets(names: list[str], hashes: np.ndarray, how: Hashing) -> list[tuple[str, int]]:
    return list(zip(names, (hashes >> np.uint64(64 - how.bits)).astype(np.int64).tolist(), strict=True))
