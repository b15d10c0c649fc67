"""The pairs of vote sources that depend on each other before a vote is read: declared, or alike in their text."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.core.task import Task
from wsdb.monitor.static_pairs import static_pairs
from wsdb.session.rooms import Rooms


def given_pairs(rooms: Rooms, task: Task, sources: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (source, source, reason) of the pairs declared by DEPENDS ON, and of those alike in their text.

    Parameters
    ----------
    sources : columns of the label matrix; those of a bitvector name the label that they are about after a colon, and
        make a pair where they are about one label
    """
    snapshot = rooms.catalog.definitions()
    lfs = [lf for lf in snapshot.lfs(task.name) if lf.enabled]
    by_lf: dict[str, list[str]] = {}
    for source in sources:
        by_lf.setdefault(source.partition(":")[0].lower(), []).append(source)
    pairs = [(lf.name, other, "declared") for lf in lfs for other in lf.depends_on]
    texts = rooms.engine.texts_of(task, lfs, snapshot.primitives())
    pairs += [tuple(pair) for pair in static_pairs(texts, ignored=(*task.labels, *task.keys))]  # type: ignore[misc]
    return [
        (one, two, reason)
        for lf, other, reason in pairs
        for one in by_lf.get(lf.lower(), ())
        for two in by_lf.get(other.lower(), ())
        if one != two and (task.kind != "bitvector" or _label(one, task) == _label(two, task))
    ]


def _label(source: str, task: Task) -> str:
    """Return the label that a column of a bitvector is about."""
    return max((label for label in task.labels if source.endswith(f":{label}")), key=len, default="")
