"""Progress: how far a piece of work is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work is; as a string, a sentence.

    Attributes
    ----------
    what : what is being done
    done : rows done
    total : all rows; 0 where that is not known

    Examples
    --------
    >>> str(Progress("label matrix of spam", 2048, 10000)), str(Progress("training detector"))
    ('label matrix of spam: 2,048 of 10,000 rows', 'training detector')
    """

    what: str
    done: int = 0
    total: int = 0

    def __str__(self) -> str:
        return f"{self.what}: {self.done:,} of {self.total:,} rows" if self.total else self.what
