"""What a network is for and reads, as training is told it: tasks, payloads and slices."""

from __future__ import annotations

from dataclasses import dataclass

from wsdb.core.errors import SpecError

KINDS = ("binary", "multiclass", "ordinal", "bitvector", "select")


@dataclass(frozen=True, slots=True)
class TaskTarget:
    """One task of a network.

    Attributes
    ----------
    name : name of the task; its labels come in the column ``__p_<name>``
    labels : the k class names, in the order of the probabilities; of a select task they are (no, yes)
    weight : weight of the task's loss, above 0
    balance : share of each class, k positive numbers that sum to 1 (of a bitvector: the share of rows that have each
        label, each above 0 and below 1); None where unknown
    kind : one of `KINDS`
    payload : the sequence or set whose elements the task labels; None where it labels the row
    given : whether the labels are the user's own, which are trusted as they are: 'auto' does not sharpen them, and
        decisions are not matched to their shares
    """

    name: str
    labels: tuple[str, ...]
    weight: float = 1.0
    balance: tuple[float, ...] | None = None
    kind: str = "multiclass"
    payload: str | None = None
    given: bool = False

    def __post_init__(self) -> None:
        least = 1 if self.kind == "bitvector" else 2
        if self.kind not in KINDS:
            raise SpecError("WS307", f'task "{self.name}" is of kind {self.kind}; kinds are {", ".join(KINDS)}')
        if len(self.labels) < least:
            needed = "one label" if least == 1 else "two labels"
            raise SpecError("WS307", f'task "{self.name}" needs at least {needed}, got {len(self.labels)}')
        if self.kind == "select" and (self.payload is None or len(self.labels) != 2):
            raise SpecError(
                "WS307", f'task "{self.name}" selects an element: it needs a set, and the labels no and yes'
            )
        if not self.weight > 0:
            raise SpecError("WS307", f'task "{self.name}" needs a weight above 0, got {self.weight}')
        self._check_balance()

    def _check_balance(self) -> None:
        if self.balance is None:
            return
        good = len(self.balance) == len(self.labels) and min(self.balance) > 0
        if self.kind == "bitvector":
            if not good or max(self.balance) >= 1:
                raise SpecError(
                    "WS307",
                    f'the balance of task "{self.name}" must be {len(self.labels)} shares above 0 and below 1',
                    balance=list(self.balance),
                )
        elif not good or abs(sum(self.balance) - 1) > 1e-6:
            raise SpecError(
                "WS307",
                f'the balance of task "{self.name}" must be {len(self.labels)} positive shares that sum to 1',
                balance=list(self.balance),
            )


@dataclass(frozen=True, slots=True)
class PayloadInput:
    """One payload of a network, as `train` reads it.

    Attributes
    ----------
    name : name of the payload
    shape : singleton, sequence or set
    columns : (column, DuckDB type) of its fields; those of a sequence or set are lists, one item per element
    reads : payloads whose output it reads (FROM PAYLOADS)
    spans : (payload, column) of a set whose elements are spans of a sequence: the column holds
        STRUCT("begin" INTEGER, "end" INTEGER)[], counted from 0, the end left out; None otherwise
    embedding : file of token vectors; None to learn them
    frozen : whether these vectors stay as they are
    """

    name: str
    shape: str
    columns: tuple[tuple[str, str], ...] = ()
    reads: tuple[str, ...] = ()
    spans: tuple[str, str] | None = None
    embedding: str | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        if self.shape not in ("singleton", "sequence", "set"):
            raise SpecError("WS307", f'payload "{self.name}" is a {self.shape}; it is a singleton, a sequence or a set')


@dataclass(frozen=True, slots=True)
class SliceInput:
    """One slice, as `train` reads it.

    Attributes
    ----------
    name : of the slice; its members come in the column ``__s_<name>``
    payload : the sequence or set whose elements it groups; None where it groups rows
    """

    name: str
    payload: str | None = None
