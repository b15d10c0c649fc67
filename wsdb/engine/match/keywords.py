"""Many literals of one text column in one pass over its bytes.

A search for literals, each perhaps between word boundaries, needs no regular expression. Whole words are looked up by
token: its first eight bytes and its length. Other literals are looked up by their first bytes (up to four) at each
place. Each candidate is then compared byte by byte. The cost hardly grows with the number of literals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from wsdb.engine.match.charset import Ranges, chars_of, single
from wsdb.engine.match.pattern import Alt, At, Cat, Chars, Node, Repeat

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

STRANGE = "\u212a\u017f\u0130\u0131"
"""Outside ASCII and yet equal to an ASCII letter in some folding; texts with one take the way of the patterns."""

_MAX_VARIANTS = 4096
_CHUNK_BYTES = 1 << 20
_MASK_CELLS = 1 << 24
_BITS = 17
_GRAM = 4
_MIX = np.uint64(0x9E3779B97F4A7C15)
_LOWER = np.array([code + 32 if 65 <= code <= 90 else code for code in range(256)], np.uint8)
_IS_WORD = np.array([chr(code).isascii() and (chr(code).isalnum() or code == 95) for code in range(256)])
_LOW_BYTES = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)


@dataclass(frozen=True, slots=True)
class Keyword:
    """A literal, `left` and `right` of which a word boundary may have to be.

    Attributes
    ----------
    text : UTF-8; in lower case if `fold`
    fold : whether ASCII letters match in both cases; None where it has none
    """

    text: bytes
    fold: bool | None
    left: bool
    right: bool

    @property
    def whole(self) -> bool:
        """Whether it is found exactly where a token of word characters is equal to it."""
        return self.left and self.right and bool(_IS_WORD[np.frombuffer(self.text, np.uint8)].all())


def keywords_of(node: Node) -> tuple[Keyword, ...] | None:
    """Return the literals of which a pattern is a choice, None where it is something else."""
    try:
        variants = list(_variants(node))
    except _TooMany:
        return None
    found = [_keyword(variant) for variant in variants]
    words = tuple(word for word in found if word is not None)
    if len(words) < len(found) or not words or {True, False} <= {word.fold for word in words}:
        return None
    return words


class _TooMany(Exception):
    """A pattern is no choice of few literals."""


def _variants(node: Node) -> Iterator[tuple[Chars | At, ...]]:
    """Return the sequences of characters and places that a pattern stands for."""
    match node:
        case Chars() | At():
            yield (node,)
        case Alt(arms):
            for arm in arms:
                yield from _variants(arm)
        case Repeat(inner, 0, 1):
            yield ()
            yield from _variants(inner)
        case Repeat():
            raise _TooMany
        case Cat(parts):
            choices = [list(_variants(part)) if not isinstance(part, Chars | At) else [(part,)] for part in parts]
            if np.prod([len(choice) for choice in choices], dtype=float) > _MAX_VARIANTS:
                raise _TooMany
            for chosen in product(*choices):
                yield tuple(item for variant in chosen for item in variant)


def _keyword(variant: Sequence[Chars | At]) -> Keyword | None:
    items = list(variant)
    left = items[:1] == [At("b")]
    items = items[left:]
    right = items[-1:] == [At("b")]
    items = items[: len(items) - right]
    text, folds = "", set()
    for item in items:
        if not isinstance(item, Chars):
            return None
        char = single(item.ranges)
        if char is None:
            char = _folding(item.ranges)
            if char is None:
                return None
            folds.add(True)
        elif char.isascii() and char.isalpha():
            folds.add(False)
        text += char
    if not text or len(folds) > 1:
        return None
    return Keyword(text.encode(), folds.pop() if folds else None, left, right)


def _folding(ranges: Ranges) -> str | None:
    """Return the lower-case ASCII letter of which a set is both cases, and perhaps strange ones."""
    if not 2 <= sum(high - low + 1 for low, high in ranges) <= 4:
        return None
    chars = set(map(chr, chars_of(ranges)))
    char = min(chars).lower()
    both = {char, char.upper()}
    return char if char.isascii() and char.isalpha() and both <= chars <= {*both, *STRANGE} else None


class KeywordIndex:
    """The literals of several searches in one column, ready to be looked up.

    Attributes
    ----------
    n : number of searches
    """

    def __init__(self, searches: Sequence[Sequence[Keyword]], fold: bool) -> None:
        self.n = len(searches)
        self.fold = fold
        entries = [(word, at) for at, words in enumerate(searches) for word in words]
        groups: dict[int, list[tuple[Keyword, int]]] = {}
        for entry in entries:
            groups.setdefault(0 if entry[0].whole else min(len(entry[0].text), _GRAM), []).append(entry)
        self._tables = [_Table(group, gram) for gram, group in groups.items()]

    def pairs(self, data: Bytes, offsets: Ints, threads: int = 1) -> tuple[Ints, Ints]:
        """Return where searches find something, as (row, number of the search), each pair once, in order.

        Parameters
        ----------
        data : UTF-8 of all rows, one behind the other
        offsets : n + 1 places in `data`
        """
        todo = _chunks(offsets, _MASK_CELLS // self.n)
        with ThreadPoolExecutor(threads) as pool:  # numpy lets other threads run
            parts = list(pool.map(lambda piece: self._chunk(data, offsets, *piece), todo))
        rows, found = zip(*parts, strict=True) if parts else ((), ())
        empty = np.zeros(0, np.int64)
        return np.concatenate([empty, *rows]), np.concatenate([empty, *found])

    def _chunk(self, data: Bytes, offsets: Ints, low: int, high: int) -> tuple[Ints, Ints]:
        text = _Text(data, offsets[low : high + 1], self.fold)
        mask = np.zeros((high - low) * self.n, np.bool_)
        for table in self._tables:
            rows, searches = table.find(text)
            mask[rows * self.n + searches] = True
        hits = np.flatnonzero(mask)
        rows = hits // self.n
        return rows + low, hits - rows * self.n


def _chunks(offsets: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Return (first, last) rows of pieces of about `_CHUNK_BYTES` and at most `most` rows."""
    low, n = 0, len(offsets) - 1
    while low < n:
        high = int(np.searchsorted(offsets, offsets[low] + _CHUNK_BYTES, "right")) - 1
        high = min(max(high, low + 1), low + max(most, 1), n)
        yield low, high
        low = high


class _Text:
    """Some rows of text as bytes, with 8 zeros behind them.

    Attributes
    ----------
    eight, four : at each place the next 8 and 4 bytes as a number
    word : whether each byte is an ASCII word character
    row : the row of each byte
    end : where each row ends
    first : whether a row begins at each place, also behind the last byte
    """

    def __init__(self, data: Bytes, offsets: Ints, fold: bool) -> None:
        start, stop = int(offsets[0]), int(offsets[-1])
        size = stop - start
        raw = np.zeros(size + 8, np.uint8)
        raw[:size] = _LOWER[data[start:stop]] if fold else data[start:stop]
        self.size = size
        self.eight = np.ndarray((size + 1,), np.uint64, raw.data, strides=(1,))
        self.four = np.ndarray((size + 1,), np.uint32, raw.data, strides=(1,))
        self.word = _IS_WORD[raw[: size + 1]]
        ends = offsets[1:] - start
        self.end = ends
        self.row = np.repeat(np.arange(len(ends), dtype=np.int32), np.diff(offsets))
        self.first = np.zeros(size + 1, np.bool_)
        self.first[offsets - start] = True

    def tokens(self) -> tuple[Ints, Ints]:
        """Return where the longest runs of word characters begin and end, no run across rows."""
        inside = self.word[:-1] & ~self.first[1:]  # whether the run may go on behind this byte
        goes_on = inside & self.word[1:]
        begins = self.word[:-1].copy()
        begins[1:] &= ~goes_on[:-1]
        return np.flatnonzero(begins), np.flatnonzero(self.word[:-1] & ~goes_on) + 1


class _Table:
    """Keywords by key; candidates are compared with all of their bytes.

    Attributes
    ----------
    gram : how many of their first bytes are the key; 0 for whole words, looked up by token
    """

    def __init__(self, entries: Sequence[tuple[Keyword, int]], gram: int) -> None:
        self.gram = gram
        self.whole = gram == 0
        self.size = np.array([len(word.text) for word, _ in entries], np.int64)
        self.search = np.array([at for _, at in entries], np.int64)
        self.left = np.array([word.left for word, _ in entries], np.bool_)
        self.right = np.array([word.right for word, _ in entries], np.bool_)
        blocks = (int(self.size.max()) + 7) // 8
        padded = [word.text.ljust(8 * blocks, b"\0") for word, _ in entries]
        self.blocks = np.frombuffer(b"".join(padded), np.uint64).reshape(len(entries), blocks)
        lengths = self.size[:, None] - 8 * np.arange(blocks)
        self.masks = _LOW_BYTES[np.clip(lengths, 0, 8)]
        keys = self._keys(self.blocks[:, 0], self.size)
        self.order = np.argsort(keys, kind="stable")
        self.keys, self.starts, self.counts = np.unique(keys[self.order], return_index=True, return_counts=True)
        self.filter = np.zeros(1 << _BITS, np.bool_)
        self.filter[_bucket(self.keys)] = True

    def _keys(self, eight: Words, size: Ints) -> Words:
        if self.whole:
            return np.asarray((eight & _LOW_BYTES[np.minimum(size, 8)]) + (size.astype(np.uint64) * _MIX))
        return np.asarray(eight & _LOW_BYTES[self.gram])

    def find(self, text: _Text) -> tuple[Ints, Ints]:
        """Return (row, search) of the keywords found, in no order."""
        if not text.size:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        places, sizes, keys = self._candidates(text)
        slot = np.searchsorted(self.keys, keys)
        slot[slot == len(self.keys)] = 0
        same = self.keys[slot] == keys
        slot, at = slot[same], places[same]
        count = self.counts[slot]
        word = self.order[np.repeat(self.starts[slot], count) + _within(count)]
        at = np.repeat(at, count)
        if self.whole:
            fits = np.repeat(sizes[same], count) == self.size[word]
            at, word = at[fits], word[fits]
        return self._verified(text, at, word)

    def _candidates(self, text: _Text) -> tuple[Ints, Ints, Words]:
        """Return places where a keyword may be, the sizes of the tokens there if those are looked up, and the keys."""
        if not self.whole:
            mask = np.uint32(_LOW_BYTES[self.gram])
            places = np.flatnonzero(self.filter[_bucket(text.four[: text.size] & mask)])
            return places, places, (text.four[places] & mask).astype(np.uint64)
        places, ends = text.tokens()
        sizes = ends - places
        keys = self._keys(text.eight[places], sizes)
        likely = self.filter[_bucket(keys)]
        return places[likely], sizes[likely], keys[likely]

    def _verified(self, text: _Text, at: Ints, word: Ints) -> tuple[Ints, Ints]:
        row = text.row[at]
        fits = at + self.size[word] <= text.end[row]
        at, word, row = at[fits], word[fits], row[fits]
        for block in range(self.blocks.shape[1]):
            todo = self.size[word] > 8 * block
            place = np.minimum(at + 8 * block, text.size)
            equal = ~todo | ((text.eight[place] & self.masks[word, block]) == self.blocks[word, block])
            at, word, row = at[equal], word[equal], row[equal]
        if not self.whole:
            stop = at + self.size[word]
            before = text.word[at - 1] & ~text.first[at]
            after = text.word[stop] & (stop != text.end[row])
            left, right = before != text.word[at], text.word[stop - 1] != after
            good = (left | ~self.left[word]) & (right | ~self.right[word])
            word, row = word[good], row[good]
        return row.astype(np.int64), self.search[word]


def _bucket(keys: Words | npt.NDArray[np.uint32]) -> Ints:
    return (np.multiply(keys, _MIX, dtype=np.uint64) >> np.uint64(64 - _BITS)).view(np.int64)


def _within(counts: Ints) -> Ints:
    """Return 0 … count - 1 for each count."""
    return np.asarray(np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))
