"""LabelingFunction: one source of votes for a task, in one of five bodies."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class VoteWhen:
    """``VOTE 'label' WHEN predicate``: the label where the predicate holds, else abstain."""

    label: str
    predicate: str


@dataclass(frozen=True, slots=True)
class Expression:
    """``AS expression``: an expression over one row that gives a label or NULL."""

    sql: str


@dataclass(frozen=True, slots=True)
class Select:
    """``AS SELECT key, label``: a query that gives votes by key; keys it leaves out abstain."""

    sql: str


@dataclass(frozen=True, slots=True)
class Python:
    """``LANGUAGE python``: a function from an Arrow batch to an array of labels.

    Attributes
    ----------
    source : Python text that defines the function, or ``module:function``
    using : True where `source` is ``module:function``
    """

    source: str
    using: bool = False


@dataclass(frozen=True, slots=True)
class Votes:
    """``FROM VOTES relation (key, [source,] label)``: stored votes; each distinct source is a column.

    Attributes
    ----------
    relation : SQL text of the relation
    keys : its key columns, in the order of the task's
    source : the column that names the voter, or None for a single one
    label : the column of labels
    """

    relation: str
    keys: tuple[str, ...]
    source: str | None
    label: str

    def of_task(self, n_keys: int) -> Votes:
        """Return the body with its columns told apart: of `n_keys` + 1 before the label, the last names the source."""
        if self.source is None and len(self.keys) == n_keys + 1:
            return replace(self, keys=self.keys[:n_keys], source=self.keys[n_keys])
        return self


Body = VoteWhen | Expression | Select | Python | Votes
SCOPES: dict[type, str] = {
    VoteWhen: "row",
    Expression: "row",
    Select: "relation",
    Python: "python",
    Votes: "votes",
}


@dataclass(frozen=True, slots=True)
class LabelingFunction:
    """A labeling function (LF). NULL is abstain.

    Attributes
    ----------
    name : unique among labeling functions, compared without case
    task : the task it votes on
    body : see the five body classes
    on_error : ``raise`` (default) or ``abstain``: what a row on which the LF fails becomes
    columns : for python, the columns its batch holds; empty means all of the relation
    enabled : a disabled labeling function keeps its definition and casts no votes
    """

    name: str
    task: str
    body: Body
    on_error: str = "raise"
    columns: tuple[str, ...] = ()
    enabled: bool = True
    comment: str | None = None

    @property
    def scope(self) -> str:
        """``row``, ``relation``, ``python`` or ``votes``: how the planner computes it."""
        return SCOPES[type(self.body)]
