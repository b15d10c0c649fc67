"""Evaluates all kernels of one scan together on Arrow batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from wsdb.engine.match.evaluate import atom, cleaned, combined
from wsdb.engine.match.kernel import Kernel
from wsdb.engine.match.keywords import Ints
from wsdb.engine.match.pattern import lowered
from wsdb.engine.match.predicate import Atom, Search, atoms
from wsdb.engine.match.scan import scans_of

_REPLACED = {"lower": (["\u212a", "\u0130"], ["k", "i"]), "upper": (["\u017f", "\u0131"], ["S", "I"])}
"""The characters outside ASCII that lower() and upper() take into it, which makes them word characters."""
_FOLDED = 2
"""From this many searches of a text column on that take both cases of letters, it is put into lower case for them."""

Found = list[Ints]
"""Of each search that is looked up with others, the rows where it finds something, in order."""


class Matcher:
    """All kernels of one scan.

    A predicate that several kernels have is evaluated once. Many keywords of one column are looked up in one pass.

    Attributes
    ----------
    kernels : in the order of the answers
    columns : the columns that batches have to have
    """

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self.kernels = tuple(kernels)
        self.columns = tuple(dict.fromkeys(name for kernel in kernels for name in kernel.columns))
        leaves = dict.fromkeys(leaf for kernel in kernels for predicate, _ in kernel.arms for leaf in atoms(predicate))
        self._scans = scans_of(leaf for leaf in leaves if isinstance(leaf, Search))
        found = [search for scan in self._scans for search in scan.searches]
        self._place: dict[Atom, int] = {search: at for at, search in enumerate(found)}
        self._single = {at: place for at, kernel in enumerate(kernels) if (place := self._of_one(kernel)) is not None}
        self._others = [at for at in range(len(kernels)) if at not in self._single]
        own = dict.fromkeys(
            leaf for at in self._others for predicate, _ in kernels[at].arms for leaf in atoms(predicate)
        )
        self._names = {leaf: f"\0{number}" for number, leaf in enumerate(own)}
        rest = [leaf for leaf in self._names if leaf not in self._place]
        low = _lowered(leaf for leaf in rest if isinstance(leaf, Search) and not leaf.case)
        self._masks = [atom(low.get(leaf, leaf)).alias(self._names[leaf]) for leaf in rest]
        self._lowered = sorted({leaf.column for leaf in low if isinstance(leaf, Search)})
        columns = {leaf: pl.col(name) for leaf, name in self._names.items()}
        self._codes = [_code(kernels[at], columns).alias(str(at)) for at in self._others]
        self._cases = sorted({(leaf.column, leaf.case) for leaf in leaves if isinstance(leaf, Search) and leaf.case})

    def _of_one(self, kernel: Kernel) -> int | None:
        """Return the place of the search that a kernel consists of, if it is looked up with others."""
        if len(kernel.arms) != 1 or not isinstance(kernel.arms[0][0], Search):
            return None
        return self._place.get(kernel.arms[0][0])

    def codes(self, batch: pa.RecordBatch | pa.Table) -> list[pa.Array]:
        """Return the label codes of each kernel on the rows of a batch.

        Parameters
        ----------
        batch : n rows with at least `columns`; text columns as strings of any Arrow type

        Returns
        -------
        list of int8 (int16 for kernels that are wide) arrays of n; NULL is abstain
        """
        frame = self._frame(batch)
        found = self._found(frame, batch)
        answers: list[pa.Array] = [None] * len(self.kernels)
        for at, place in self._single.items():
            answers[at] = _sparse(self.kernels[at], found[place], frame.height)
        for at, column in zip(self._others, self._evaluated(frame, found), strict=True):
            answers[at] = column.rechunk().to_arrow()
        return answers

    def hits(self, batch: pa.RecordBatch | pa.Table) -> tuple[Ints, npt.NDArray[np.int32], npt.NDArray[np.int16]]:
        """Return only the votes, for kernels so many that most abstain on most rows.

        Returns
        -------
        (row int64, kernel int32, code int16), three arrays of the same length, ordered by kernel, then row
        """
        frame = self._frame(batch)
        found = self._found(frame, batch)
        rows: list[Ints] = [np.zeros(0, np.int64)] * len(self.kernels)
        codes: list[npt.NDArray[np.int16]] = [np.zeros(0, np.int16)] * len(self.kernels)
        for at, place in self._single.items():
            rows[at] = found[place]
            codes[at] = np.full(len(rows[at]), self.kernels[at].arms[0][1], np.int16)
        for at, column in zip(self._others, self._evaluated(frame, found), strict=True):
            rows[at] = column.is_not_null().arg_true().to_numpy().astype(np.int64)
            codes[at] = column.drop_nulls().to_numpy().astype(np.int16)
        kernels = np.repeat(np.arange(len(rows), dtype=np.int32), [len(part) for part in rows])
        empty = np.zeros(0, np.int64)
        return np.concatenate([empty, *rows]), kernels, np.concatenate([empty.astype(np.int16), *codes])

    def _frame(self, batch: pa.RecordBatch | pa.Table) -> pl.DataFrame:
        given = pl.from_arrow(batch.select(list(self.columns)))
        assert isinstance(given, pl.DataFrame)
        given = given.with_columns(_cleaned(given, column, case) for column, case in self._cases)
        return given.with_columns(_in_lower_case(batch, column) for column in self._lowered)

    def _found(self, frame: pl.DataFrame, batch: pa.RecordBatch | pa.Table) -> Found:
        """Return the rows of each search that is looked up with others."""
        found: Found = []
        for scan in self._scans:
            rows, searches = scan.pairs(frame, batch.column(scan.column))
            number = len(scan.searches)
            small = searches.astype(np.uint16) if number < 1 << 16 else searches
            order = np.argsort(small, kind="stable")
            ends = np.cumsum(np.bincount(searches, minlength=number))
            found += [np.sort(part) for part in np.split(rows[order], ends[:-1])]
        return found

    def _evaluated(self, frame: pl.DataFrame, found: Found) -> list[pl.Series]:
        """Return the codes of the kernels that are not one lookup alone."""
        if not self._others:
            return []
        looked_up = [
            _mask(frame.get_column(leaf.column), found[self._place[leaf]]).alias(name)
            for leaf, name in self._names.items()
            if leaf in self._place and isinstance(leaf, Search)
        ]
        masks = (
            frame.lazy()
            .with_columns(self._masks)
            .select(pl.first(), *(mask.meta.output_name() for mask in self._masks))
        )
        return masks.collect().with_columns(looked_up).select(self._codes).get_columns()


def matcher_of(kernels: Sequence[Kernel]) -> Matcher:
    """Return the matcher of some kernels; what was made lately is kept, as long as `kernels_of` keeps the kernels."""
    key = tuple(map(id, kernels))
    known = _known.get(key)
    if known is None:
        if len(_known) >= KNOWN:
            _known.clear()
        known = _known[key] = Matcher(kernels)  # which holds the kernels, so that no other gets their id
    return known


KNOWN = 64
"""This many matchers are kept in memory: a refresh makes that of the functions that it computes."""
_known: dict[tuple[int, ...], Matcher] = {}


def _lowered(searches: Iterable[Search]) -> dict[Atom, Search]:
    """Return the searches that are faster where ASCII letters are in lower case, as they read there."""
    found: dict[Atom, Search] = {}
    for search in searches:
        node = lowered(search.node)
        if node is not None:
            found[search] = replace(search, column=cleaned(search.column, "ascii"), node=node)
    uses = Counter(search.column for search in found.values())
    return {given: search for given, search in found.items() if uses[search.column] >= _FOLDED}


def _in_lower_case(batch: pa.RecordBatch | pa.Table, column: str) -> pl.Series:
    """Return a text column with its ASCII letters in lower case."""
    text = batch.column(column)
    if text.type not in (pa.string(), pa.large_string()):
        text = text.cast(pa.large_string())
    made = pl.from_arrow(pc.ascii_lower(text))
    assert isinstance(made, pl.Series)
    return made.alias(cleaned(column, "ascii"))


def _cleaned(frame: pl.DataFrame, column: str, case: str) -> pl.Series:
    """Return a text column with the characters replaced that `case` takes into ASCII."""
    text = frame.get_column(column)
    chars, ascii_ = _REPLACED[case]
    if any(text.str.contains(char, literal=True).any() for char in chars):
        text = text.str.replace_many(chars, ascii_)
    return text.alias(cleaned(column, case))


def _mask(text: pl.Series, rows: Ints) -> pl.Series:
    """Return TRUE at some rows, FALSE at the others, NULL where the text is."""
    mask = np.zeros(len(text), np.bool_)
    mask[rows] = True
    series = pl.Series(mask)
    return series.set(text.is_null(), None) if text.null_count() else series


def _sparse(kernel: Kernel, rows: Ints, size: int) -> pa.Array:
    """Return the codes of a kernel that votes at some rows."""
    type_ = np.int16 if kernel.wide else np.int8
    valid = np.zeros(size, np.bool_)
    valid[rows] = True
    codes = np.full(size, kernel.arms[0][1], type_)
    bits = pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    return pa.Array.from_buffers(pa.from_numpy_dtype(type_), size, [bits, pa.py_buffer(codes)], size - len(rows))


def _code(kernel: Kernel, leaves: Mapping[Atom, pl.Expr]) -> pl.Expr:
    type_ = pl.Int16 if kernel.wide else pl.Int8
    code = pl.lit(None, type_)
    for predicate, value in reversed(kernel.arms):
        code = pl.when(combined(predicate, leaves)).then(pl.lit(value, type_)).otherwise(code)
    return code
