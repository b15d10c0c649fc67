"""A run of statements that create labeling functions, slices and tags: checked one by one, and written together.

Written one by one, each takes twenty statements of DuckDB's, and the catalog is read anew after each.
"""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.catalog.snapshot import CatalogSnapshot, Entry
from wsdb.core.lf import LabelingFunction, Python
from wsdb.core.slice import Slice
from wsdb.parser.render import Spec
from wsdb.parser.script import Piece
from wsdb.parser.statements import KINDS, CreateLabelingFunction, CreateSlice, CreateTag
from wsdb.session.rooms import Rooms
from wsdb.session.run_define import checked_lf, parents_of
from wsdb.session.run_rows import checked_group, group_parents, view_rows
from wsdb.session.segments import store_members

MOST = 500
"""So many objects are written in one transaction."""
WORDS = tuple(("CREATE", word) for word in ("LF", "LABELING", "LABELLING", "SLICE", "TAG", "OR"))

Parents = list[tuple[str, str]]


def run_ahead(pieces: Sequence[Piece], at: int) -> Sequence[Piece]:
    """Return the statements from a place on that may all create such objects, at most `MOST`."""
    end = at
    while end < min(len(pieces), at + MOST) and pieces[end].ours and _creates(pieces[end]):
        end += 1
    return pieces[at:end]


def _creates(piece: Piece) -> bool:
    return tuple(token.word for token in piece.tokens[:2]) in WORDS


def create_together(pieces: Sequence[Piece], rooms: Rooms) -> list[str]:
    """Store the objects of a run of statements as far as they are right, new and, labeling functions, enabled.

    Returns what the statements of those that were stored have to say. The statement behind them is to be executed by
    itself: it does more, or raises its error. Inside a transaction of the user's nothing is stored: an error there ends
    it.
    """
    if len(pieces) < 2 or rooms.engine.in_transaction():
        return []
    entries = dict(rooms.catalog.definitions().entries)
    snapshot = CatalogSnapshot(entries=entries)  # grows with the objects found
    found: list[tuple[Spec, Parents]] = []
    with rooms.engine.at_home(), rooms.engine.functions_listed_once():
        for piece in pieces:
            new = _checked(piece, rooms, snapshot)
            if new is None:
                break
            found.append(new)
            kind, name = KINDS[type(new[0])], new[0].name
            entries[kind, name.lower()] = Entry(kind, name, 1, new[0], "", "", "")
        if not found or not _stored(found, rooms):
            return []
    rooms.trusted_python.update(
        spec.name.lower() for spec, _ in found if isinstance(spec, LabelingFunction) and isinstance(spec.body, Python)
    )
    return [f"{KINDS[type(spec)]} {spec.name}: created" for spec, _ in found]


def _checked(piece: Piece, rooms: Rooms, snapshot: CatalogSnapshot) -> tuple[Spec, Parents] | None:
    """Return the object that a statement makes and its parents; None where it is not simply a new one."""
    try:
        stmt = piece.parse()
        if not isinstance(stmt, (CreateLabelingFunction, CreateSlice, CreateTag)):
            return None
        if snapshot.find(KINDS[type(stmt.spec)], stmt.spec.name) is not None:
            return None
        if isinstance(stmt, CreateLabelingFunction):
            lf = checked_lf(stmt, rooms, snapshot)
            return (lf, parents_of(lf, rooms, snapshot)) if lf.enabled else None
        group = checked_group(stmt, rooms, snapshot)
        return group, group_parents(group, rooms)
    except Exception:  # it is raised where the statement is executed by itself
        return None


def _stored(found: Sequence[tuple[Spec, Parents]], rooms: Rooms) -> bool:
    """Write objects, with the views of groups; return whether that could be done: one by one it is known which not."""
    groups = [spec for spec, _ in found if isinstance(spec, Slice)]
    try:
        with rooms.writing():
            rooms.catalog.put_new(found)
            for group in groups:
                view_rows(rooms, group)
            if groups:
                store_members(rooms)
    except Exception:  # such as another session that writes the same
        return False
    return True
