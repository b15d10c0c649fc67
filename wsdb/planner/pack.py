"""Pack: votes as bits of 64-bit words, so that patterns are counted by a GROUP BY over few columns."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.core.task import Task
from wsdb.planner.steps import Pack, Step


def bits(n_classes: int) -> int:
    """Return how many bits hold a vote: abstain and the classes."""
    return n_classes.bit_length()


def per_word(n_classes: int) -> int:
    """Return how many votes fit into a 64-bit word."""
    return 64 // bits(n_classes)


def pack(task: Task, columns: Sequence[str], matrix: Step, storage: str = "wide") -> Pack:
    """Return the step that reads votes: of a wide matrix patterns, as many votes as fit in a word, else each vote."""
    size = per_word(len(task.labels))
    return Pack(task, tuple(columns), -(-len(columns) // size), matrix, storage)
