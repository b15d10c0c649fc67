"""Task: what is to be predicted, on which relation, with which labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wsdb.core.errors import SpecError, did_you_mean

MAX_LABELS = 10_000
TASK_KINDS = ("binary", "multiclass", "bitvector", "select", "ordinal")
SELECT_LABELS = ("no", "yes")
"""The labels of a SELECT task, one for each element: whether it is the one that is picked."""
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
    kind : ``binary``; ``multiclass``; ``bitvector`` (any number of the labels apply to a row); ``select`` (one element
        of a row's payload is picked); ``ordinal`` (multiclass whose labels have an order, lowest first)
    labels : the classes in code order; for binary (negative, positive), for select (no, yes)
    labels_from : SQL text of the relation to read the labels from (``MULTICLASS FROM``); None once they are read
    balance : class shares in label order; ``"uniform"``; None is unknown (AUTO). For bitvector the share of rows that
        have each label, which need not sum to 1
    gold, split : see `Gold`, `Split`; None where not declared
    payload : the payload whose elements are labeled, each of them a row of its own; None where the row itself is
    depends_on : tasks whose answer this one builds on, for the order of error attribution
    role : ``primary``, or ``ancillary`` for a task that only helps others
    multilabel_absent : for bitvector, what a label means that a vote does not list: ``abstain``, or ``no``
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
    payload: str | None = None
    depends_on: tuple[str, ...] = ()
    role: str = "primary"
    multilabel_absent: str = "abstain"
    comment: str | None = None

    @property
    def code_type(self) -> str:
        """The SQL type that stores a label's code."""
        return "TINYINT" if len(self.labels) <= 127 else "SMALLINT"

    @property
    def coded(self) -> Task:
        """The task as its label matrix has it: of a bitvector, each column is about one label, coded no or yes."""
        if self.kind != "bitvector":
            return self
        return replace(self, kind="binary", labels=SELECT_LABELS, balance=None, gold=None)

    @property
    def shares(self) -> tuple[float, ...] | None:
        """Class shares in label order, or None where the balance is unknown."""
        if self.balance == "uniform":
            return tuple(1 / len(self.labels) for _ in self.labels)
        return self.balance if isinstance(self.balance, tuple) else None


def unknown_label(task: Task, label: str, lf: str | None = None) -> SpecError:
    """Return the error for a label that the task does not have, from labeling function `lf` where there is one."""
    shown = ", ".join(repr(known) for known in task.labels[:8]) + (", …" if len(task.labels) > 8 else "")
    source = f' from labeling function "{lf}"' if lf is not None else ""
    return SpecError(
        "WS302",
        f"unknown label '{label}'{source}; task \"{task.name}\" has ({shown})",
        hint=did_you_mean(label, task.labels),
        label=label,
    )
