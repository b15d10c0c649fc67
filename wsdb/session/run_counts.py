"""Count the votes of a label matrix with each fit: all of them once, and from then on what comes and goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wsdb.core.matrix import RowVotes
from wsdb.core.sqltext import literal
from wsdb.labelmodel.dense import DenseVotes
from wsdb.labelmodel.pairs import PairCounts
from wsdb.labelmodel.regimes import Profile
from wsdb.labelmodel.statistics import Statistics, count_shares
from wsdb.labelmodel.summary import MOST, Summary, copies, kept_sources
from wsdb.monitor import vote_counts, vote_pairs
from wsdb.monitor.vote_counts import SplitCounts, VoteCounts, count_votes
from wsdb.monitor.vote_pairs import VotePairs, count_pairs
from wsdb.planner.steps import Pack
from wsdb.session.rooms import Rooms

RARE_PAIR = 5
"""Of a sparse label matrix, pairs of sources that vote together on fewer rows are not counted."""
MOST_SHARES = 1 << 18
"""Sums of vote shares (sources x labels x labels) above which they are not stored, and always counted anew."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Sums of vote shares, see `statistics.Statistics`.

    Attributes
    ----------
    kept : bool array of shape (m,), the sources whose votes make the shares
    overlap : rows with two votes or more
    votes, classes : float64 arrays of shape (m, k, k) and (k,)
    """

    kept: np.ndarray
    overlap: int
    votes: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, rows: RowVotes, kept: np.ndarray) -> Shares:
        """Sum the vote shares of patterns by the sources `kept`."""
        votes = DenseVotes.of(rows.votes)  # type: ignore[arg-type]
        overlap = int(votes.counts[votes.votes_per_pattern >= 2].sum())
        return cls(kept, overlap, *count_shares(votes.select(kept)))

    def patched(self, came: Shares, went: Shares) -> Shares:
        """Return the sums after some rows came and others went, to the last bit those of a new count."""
        return Shares(
            self.kept,
            self.overlap + came.overlap - went.overlap,
            self.votes + came.votes - went.votes,
            self.classes + came.classes - went.classes,
        )


@dataclass(frozen=True)
class Counted:
    """The votes of a label matrix as counts over all its rows.

    Attributes
    ----------
    pack : the step that reads the votes
    splits, counts, pairs : what the reports read
    shares : what the label model of labeling functions reads besides; None of a sparse label matrix
    """

    pack: Pack
    splits: SplitCounts
    counts: VoteCounts
    pairs: VotePairs
    shares: Shares | None

    @property
    def n_rows(self) -> int:
        """Rows of the label matrix."""
        return int(self.splits.n.sum())

    @cached_property
    def fired(self) -> np.ndarray:
        """Votes by source and value: float64 array of shape (m, k)."""
        table = np.zeros((len(self.pack.columns), len(self.pack.task.labels)))
        np.add.at(table, (self.counts.source, self.counts.value), self.counts.n)
        return table

    @cached_property
    def same(self) -> PairCounts:
        """Rows where two sources vote the same value."""
        pairs = self.pairs
        same = pairs.value_left == pairs.value_right
        n = pairs.n[same].astype(float)
        return PairCounts.join([PairCounts(pairs.left[same], pairs.right[same], pairs.value_left[same], n)])

    @cached_property
    def copy_of(self) -> np.ndarray:
        """First source with the votes of each source: int64 array of shape (m,)."""
        return copies(self.fired, self.same)

    @property
    def profile(self) -> Profile | None:
        """What the matrix is; None of a sparse one."""
        if self.shares is None:
            return None
        # How many patterns there are decides nothing that is asked here.
        return Profile.of_counts(self.fired, self.shares.overlap, self.n_rows, 3, self.copy_of)

    def summary(self, rooms: Rooms, *, learns: bool) -> Summary:
        """Return what a label model is fitted to: the counts, and a sample of the patterns."""
        assert self.shares is not None
        found = rooms.engine.some_votes(self.pack, MOST)
        statistics = Statistics(
            float(self.n_rows),
            float(self.splits.covered.sum()),
            float(self.shares.overlap),
            self.fired,
            self.shares.votes,
            self.shares.classes,
            self.same if learns else PairCounts.empty(),
        )
        return Summary(statistics, self.copy_of, found.n_patterns, found.largest, found.votes, found.step)


def count(rooms: Rooms, pack: Pack, *, learns: bool = True) -> Counted:
    """Return the counts of a label matrix, patched where it is known what came and went since they were stored.

    Parameters
    ----------
    learns : sources with equal votes make the vote shares once, see `summary.kept_sources`
    """
    stored = _stored(rooms, pack) if pack.storage == "wide" else None
    changed = rooms.engine.changed_votes(pack) if stored is not None else None
    if stored is None or changed is None:
        return _whole(rooms, pack, learns=learns)
    came, went = (_of_rows(pack, rows) for rows in changed)
    m, k = len(pack.columns), len(pack.task.labels)
    before, after, gone = ((one.splits, one.counts) for one in (stored, came, went))
    splits, counts = vote_counts.patched(before, after, gone, m, k)
    pairs = vote_pairs.patched(stored.pairs, came.pairs, went.pairs, m, k)
    counted = Counted(pack, splits, counts, pairs, None)
    kept, old = kept_sources(counted.copy_of, learns=learns), stored.shares
    if old is None or (kept != old.kept).any():
        return replace(counted, shares=Shares.of(rooms.engine.counted_votes(pack), kept))
    return replace(counted, shares=old.patched(*(Shares.of(rows, kept) for rows in changed)))


def _whole(rooms: Rooms, pack: Pack, *, learns: bool) -> Counted:
    if pack.storage == "sparse":
        return _of_rows(pack, rooms.engine.votes(pack), RARE_PAIR)
    rows = rooms.engine.counted_votes(pack)
    counted = _of_rows(pack, rows)
    return replace(counted, shares=Shares.of(rows, kept_sources(counted.copy_of, learns=learns)))


def _of_rows(pack: Pack, rows: RowVotes, least: int = 1) -> Counted:
    splits, counts = count_votes(rows)
    voted = np.unique(counts.source * len(pack.task.labels) + counts.value)
    return Counted(pack, splits, counts, count_pairs(rows.votes, least, voted), None)


def share_rows(counted: Counted) -> dict[str, pa.Array]:
    """Return the row of wsdb.vote_shares; none where the sums are too many, or there are none."""
    shares, columns = counted.shares, counted.pack.columns
    if shares is None or shares.votes.size > MOST_SHARES:
        return {}
    text, number = pa.list_(pa.string()), pa.list_(pa.float64())
    kept = [name for name, one in zip(columns, shares.kept.tolist(), strict=True) if one]
    return {
        "columns": pa.array([list(columns)], text),
        "kept": pa.array([kept], text),
        "overlap": pa.array([shares.overlap], pa.int64()),
        "votes": pa.array([shares.votes.ravel()], number),
        "classes": pa.array([shares.classes], number),
    }


def _stored(rooms: Rooms, pack: Pack) -> Counted | None:
    """Return the counts that the last fit stored; None where there are none of these columns."""
    found = _table(rooms, pack, "vote_shares", ("columns", "kept", "overlap", "votes", "classes")).to_pylist()
    if not found or tuple(found[0]["columns"]) != pack.columns:
        return None
    m, k = len(pack.columns), len(pack.task.labels)
    kept, votes, classes = (found[0][name] for name in ("kept", "votes", "classes"))
    if len(votes) != m * k * k:
        return None
    shares = Shares(
        np.isin(np.array(pack.columns, dtype=object), kept),
        found[0]["overlap"],
        np.array(votes).reshape(m, k, k),
        np.array(classes),
    )
    splits = _table(rooms, pack, "split_counts", ("split", "n", "covered", "gold"))
    names = tuple(splits.column("split").to_pylist())
    counts = _table(rooms, pack, "vote_counts", ("split", "lf", "label", "gold", "n", "overlap", "conflict"))
    pairs = _table(rooms, pack, "vote_pairs", ("lf_a", "lf_b", "label_a", "label_b", "n"))
    labels = pack.task.labels
    return Counted(
        pack,
        SplitCounts(names, *(_numbers(splits, name) for name in ("n", "covered", "gold"))),
        VoteCounts(
            _codes(counts, "split", names),
            _codes(counts, "lf", pack.columns),
            _codes(counts, "label", labels),
            _codes(counts, "gold", labels),
            *(_numbers(counts, name) for name in ("n", "overlap", "conflict")),
        ),
        VotePairs(
            _codes(pairs, "lf_a", pack.columns),
            _codes(pairs, "lf_b", pack.columns),
            _codes(pairs, "label_a", labels),
            _codes(pairs, "label_b", labels),
            _numbers(pairs, "n"),
        ),
        shares,
    )


def _table(rooms: Rooms, pack: Pack, name: str, columns: tuple[str, ...]) -> pa.Table:
    """Return columns of a task's rows of a stored table."""
    listed = ", ".join(columns)
    task, table = literal(pack.task.name.lower()), rooms.engine.table(name)
    batches = list(rooms.engine.batches(f"SELECT {listed} FROM {table} WHERE lower(task) = {task}"))
    if batches:
        return pa.Table.from_batches(batches)
    return pa.table({column: pa.nulls(0) for column in columns})


def _codes(table: pa.Table, column: str, names: tuple[str | None, ...]) -> np.ndarray:
    """Return the places of the values of a column among names; -1 for what is none."""
    values = table.column(column).combine_chunks().cast(pa.string())
    places = pc.index_in(values, value_set=pa.array(names, pa.string()))
    codes: np.ndarray = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _numbers(table: pa.Table, column: str) -> np.ndarray:
    numbers: np.ndarray = table.column(column).cast(pa.int64()).to_numpy().astype(np.int64)
    return numbers
