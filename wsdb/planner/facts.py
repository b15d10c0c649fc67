"""What the planner must know beyond the catalog: facts an engine reads off the user's relations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LFFacts:
    """What a labeling function reads.

    Attributes
    ----------
    reads : columns of the task's relation
    input_hash : hash of its definition and of the data it reads; None where an input cannot be fingerprinted
        (a volatile function, a table function), so that it is computed at every refresh
    looks_up : whether a row body reads another relation, by a subquery
    sources : the distinct sources of a vote relation, sorted; (None,) for every other body
    """

    reads: tuple[str, ...]
    input_hash: str | None
    sources: tuple[str | None, ...] = (None,)
    looks_up: bool = False


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """The task's relation as it is now: its rows, the hash of its keys, and the facts of each LF by name."""

    n_rows: int
    keys_hash: str
    lfs: Mapping[str, LFFacts]
