"""The journal of a search: what its finished trials came to, so that a search that was killed need not repeat them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wsdb.model.checkpoint import Checkpoint
from wsdb.model.spec import TrainSpec


@dataclass(frozen=True, slots=True)
class Entry:
    """One trial that ended.

    Attributes
    ----------
    reports : (epoch, score) as the search was told
    score : of the network; None for a trial that was pruned
    """

    reports: tuple[tuple[int, float], ...]
    score: float | None


@dataclass(slots=True)
class Journal:
    """Entries by the options of the trial, kept in a checkpoint; without one nothing is kept.

    Attributes
    ----------
    kept : where it is; the fingerprint is that of the rows and of the model as it was written
    """

    kept: Checkpoint | None = None
    entries: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def read(cls, kept: Checkpoint | None) -> Journal:
        """Read what an earlier run of the same search has left.

        Raises
        ------
        ModelError  WS514 if it cannot be read.
        """
        found = None if kept is None else kept.load()
        entries = {} if found is None else found[0]["trials"]
        return cls(
            kept,
            {
                options: Entry(tuple((epoch, seen) for epoch, seen in reports), score)
                for options, (reports, score) in entries.items()
            },
        )

    def find(self, spec: TrainSpec) -> Entry | None:
        """Return how a trial of these options ended, None where none did."""
        return self.entries.get(_options(spec))

    def add(self, spec: TrainSpec, entry: Entry) -> None:
        """Write down how a trial ended.

        Raises
        ------
        ModelError  WS514 if it cannot be written.
        """
        self.entries[_options(spec)] = entry
        if self.kept is not None:
            trials: dict[str, Any] = {name: (one.reports, one.score) for name, one in self.entries.items()}
            self.kept.save({"trials": trials}, {"trials": np.array(len(trials))})


def _options(spec: TrainSpec) -> str:
    return json.dumps(dataclasses.asdict(spec), sort_keys=True)
