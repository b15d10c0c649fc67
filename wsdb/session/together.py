"""A run of CREATE LABELING FUNCTION statements: each is checked by itself, and they are written together.

Written one by one, each takes twenty statements of DuckDB's, and the catalog is read anew after each.
"""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.catalog.snapshot import CatalogSnapshot, Entry
from wsdb.core.errors import CatalogError
from wsdb.core.lf import LabelingFunction, Python
from wsdb.parser.render import Spec
from wsdb.parser.script import Piece
from wsdb.parser.statements import CreateLabelingFunction
from wsdb.session.rooms import Rooms
from wsdb.session.run_define import checked_lf, parents_of

MOST = 500
"""So many labeling functions are written in one transaction."""
KIND = "labeling function"
WORDS = (("CREATE", "LF"), ("CREATE", "LABELING"), ("CREATE", "LABELLING"), ("CREATE", "OR"))


def run_ahead(pieces: Sequence[Piece], at: int) -> Sequence[Piece]:
    """Return the statements from a place on that may all create labeling functions, at most `MOST`."""
    end = at
    while end < min(len(pieces), at + MOST) and pieces[end].ours and _creates(pieces[end]):
        end += 1
    return pieces[at:end]


def _creates(piece: Piece) -> bool:
    return tuple(token.word for token in piece.tokens[:2]) in WORDS


def create_together(pieces: Sequence[Piece], rooms: Rooms) -> list[str]:
    """Store the labeling functions of a run of statements as far as they are right, new and enabled.

    Returns the names of those that were stored. The statement behind them is to be executed by itself: it does more,
    or raises its error. Inside a transaction of the user's nothing is stored: an error there ends it.
    """
    if len(pieces) < 2 or rooms.engine.in_transaction():
        return []
    entries = dict(rooms.catalog.definitions().entries)
    snapshot = CatalogSnapshot(entries=entries)  # grows with the functions found
    found: list[tuple[Spec, list[tuple[str, str]]]] = []
    with rooms.engine.at_home():
        for piece in pieces:
            new = _checked(piece, rooms, snapshot)
            if new is None:
                break
            found.append(new)
            entries[KIND, new[0].name.lower()] = Entry(KIND, new[0].name, 1, new[0], "", "", "")
        if not found:
            return []
        try:
            with rooms.writing():
                rooms.catalog.put_new(found)
        except CatalogError:  # another session writes the same: one by one it is known which
            return []
    rooms.trusted_python.update(
        spec.name.lower() for spec, _ in found if isinstance(spec, LabelingFunction) and isinstance(spec.body, Python)
    )
    return [spec.name for spec, _ in found]


def _checked(piece: Piece, rooms: Rooms, snapshot: CatalogSnapshot) -> tuple[Spec, list[tuple[str, str]]] | None:
    """Return the labeling function that a statement makes and its parents; None where it is not simply a new one."""
    try:
        stmt = piece.parse()
        if not isinstance(stmt, CreateLabelingFunction) or not stmt.spec.enabled:
            return None
        if snapshot.find(KIND, stmt.spec.name) is not None:
            return None
        spec = checked_lf(stmt, rooms, snapshot)
        return spec, parents_of(spec, rooms, snapshot)
    except Exception:  # it is raised where the statement is executed by itself
        return None
