"""Lookups of many keywords in the text columns of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from wsdb.engine.match.evaluate import atom
from wsdb.engine.match.keywords import STRANGE, Bytes, Ints, Keyword, KeywordIndex, keywords_of
from wsdb.engine.match.predicate import Search

LITERAL_COST, PATTERN_COST, PASS_COST = 0.05, 0.15, 5.0
"""Microseconds for a row of 300 characters: one literal, one pattern, one pass for all keywords."""


class KeywordScan:
    """All searches for keywords in one text column with one way to compare letters.

    Attributes
    ----------
    column : the text column
    searches : what is looked up, numbered by place
    """

    def __init__(self, column: str, fold: bool, searches: Sequence[Search], words: Sequence[Sequence[Keyword]]) -> None:
        self.column = column
        self.fold = fold
        self.searches = tuple(searches)
        self._index = KeywordIndex(words, fold)

    def pairs(self, frame: pl.DataFrame, column: pa.Array | pa.ChunkedArray) -> tuple[Ints, Ints]:
        """Return (row, number of the search) of what is found, each pair once, in no order.

        Parameters
        ----------
        frame : the batch with every column the searches name
        column : the text column of the same batch
        """
        data, offsets = flat(column)
        rows, found = self._index.pairs(data, offsets, pl.thread_pool_size())
        if column.null_count:
            known = frame.get_column(self.column).is_not_null().to_numpy()[rows]
            rows, found = rows[known], found[known]
        strange = self._strange(frame)
        if not len(strange):
            return rows, found
        usual = np.ones(frame.height, np.bool_)
        usual[strange] = False
        rest = frame[strange].select(atom(search).alias(str(at)) for at, search in enumerate(self.searches))
        hits = [np.flatnonzero(mask.fill_null(False).to_numpy()) for mask in rest.get_columns()]
        own = np.repeat(np.arange(len(hits)), [len(hit) for hit in hits])
        return (
            np.concatenate([rows[usual[rows]], strange[np.concatenate(hits)]]),
            np.concatenate([found[usual[rows]], own]),
        )

    def _strange(self, frame: pl.DataFrame) -> Ints:
        """Return the rows with a character that folds to ASCII; they are searched pattern by pattern."""
        text = frame.get_column(self.column)
        if not self.fold:
            return np.zeros(0, np.int64)
        wide = (text.str.len_bytes() != text.str.len_chars()).fill_null(False).arg_true()
        odd = pl.any_horizontal(pl.first().str.contains(char, literal=True) for char in STRANGE)
        return wide.filter(text.gather(wide).to_frame().select(odd).to_series()).to_numpy().astype(np.int64)


def scans_of(searches: Iterable[Search]) -> list[KeywordScan]:
    """Return the lookups that are faster than one search after the other."""
    groups: dict[tuple[str, bool], list[tuple[Search, tuple[Keyword, ...]]]] = {}
    for search in searches:
        words = keywords_of(search.node)
        if words is not None:
            fold = any(word.fold for word in words)
            groups.setdefault((search.column, fold), []).append((search, words))
    scans = []
    for (column, fold), found in groups.items():
        if sum(_cost(fold, words) for _, words in found) > PASS_COST:
            scans.append(KeywordScan(column, fold, [search for search, _ in found], [words for _, words in found]))
    return scans


def _cost(fold: bool, words: Sequence[Keyword]) -> float:
    simple = len(words) == 1 and not fold and not words[0].left and not words[0].right
    return LITERAL_COST if simple else PATTERN_COST


def flat(column: pa.Array | pa.ChunkedArray) -> tuple[Bytes, Ints]:
    """Return the UTF-8 of a text column, and where each row begins and the last ends."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if not len(column):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    if column.type not in (pa.string(), pa.large_string()):
        column = column.cast(pa.large_string())
    _, places, data = column.buffers()
    width = np.int32 if column.type == pa.string() else np.int64
    offsets = np.frombuffer(places, width)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return (np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)), offsets
