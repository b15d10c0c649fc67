"""define: what every CREATE does once its spec is checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsdb.parser.render import Spec
from wsdb.parser.statements import KINDS, Create
from wsdb.session import run_labels
from wsdb.session.rooms import Rooms

MADE = ("created", "replaced")
"""What `Catalog.put` returns where an object has a new meaning."""


def define(
    rooms: Rooms,
    stmt: Create,
    spec: Spec,
    *,
    parents: Sequence[tuple[str, str]] = (),
    then: Callable[[str], None] = lambda done: None,
) -> None:
    """Store an object, do what belongs to it, and say what was done; all of it or nothing.

    Parameters
    ----------
    parents : (kind, name) of what else than other objects it is made from, and of those that its text does not name
    then : called with what was done, as `Catalog.put` returns it
    """
    kind = KINDS[type(spec)]

    def work() -> None:
        done = rooms.catalog.put(
            spec, or_replace=stmt.or_replace, if_not_exists=stmt.if_not_exists, parents=parents, span=stmt.at(kind)
        )
        then(done)
        rooms.notice(f"{kind} {spec.name}: {done}")

    run_labels.transact(rooms, work)
