"""Task: what is to be predicted, on which relation, with which labels."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LABELS = 10_000
SPLITS = ("train", "dev", "test")
"""The names a split has in wsdb; ``valid``, ``validation`` and ``val`` are read as ``dev``."""


@dataclass(frozen=True, slots=True)
class Gold:
    """Where the gold labels are: a relation with the task's key columns and a label column, or a query.

    Attributes
    ----------
    relation : SQL text of the relation, or of a SELECT in parentheses
    column : the label column; of a query, its first column that is not a key
    """

    relation: str
    column: str = "label"

    @property
    def is_query(self) -> bool:
        """True where `relation` is a SELECT in parentheses."""
        return self.relation.startswith("(")


@dataclass(frozen=True, slots=True)
class Split:
    """How rows fall into train, dev and test.

    Attributes
    ----------
    column : the column that names the split, or that is hashed
    shares : empty for ``SPLIT BY``; (name, percent) pairs that sum to 100 for ``SPLIT HASH``
    """

    column: str
    shares: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A classification task over the rows of one relation.

    Attributes
    ----------
    name : unique among tasks, compared without case
    relation : SQL text of the relation (a name, a qualified name, or a quoted file path)
    keys : columns that identify a row: unique together, never NULL
    kind : ``binary`` or ``multiclass``
    labels : the classes in code order; for binary (negative, positive)
    labels_from : SQL text of the relation to read the labels from (``MULTICLASS FROM``); None once they are read
    balance : class shares in label order; ``"uniform"``; None is unknown (AUTO)
    gold, split : see `Gold`, `Split`; None where not declared
    """

    name: str
    relation: str
    keys: tuple[str, ...]
    kind: str
    labels: tuple[str, ...]
    labels_from: str | None = None
    balance: tuple[float, ...] | str | None = None
    gold: Gold | None = None
    split: Split | None = None
    comment: str | None = None

    @property
    def code_type(self) -> str:
        """The SQL type that stores a label's code."""
        return "TINYINT" if len(self.labels) <= 127 else "SMALLINT"

    @property
    def shares(self) -> tuple[float, ...] | None:
        """Class shares in label order, or None where the balance is unknown."""
        if self.balance == "uniform":
            return tuple(1 / len(self.labels) for _ in self.labels)
        return self.balance if isinstance(self.balance, tuple) else None
