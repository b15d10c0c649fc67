"""LabelingFunction: one source of votes for one or more tasks, in one of six bodies."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wsdb.core.specs import Option
from wsdb.core.sqltext import ident, idents, literal


@dataclass(frozen=True, slots=True)
class VoteWhen:
    """``VOTE 'label' WHEN predicate``: the label where the predicate holds, else abstain."""

    label: str
    predicate: str


@dataclass(frozen=True, slots=True)
class VoteTogether:
    """``VOTE (task 'label', …) WHEN predicate``: a label for each of several tasks, else abstain on all of them.

    Attributes
    ----------
    votes : (task, label) pairs, one for each task of the labeling function, in their order
    """

    votes: tuple[tuple[str, str], ...]
    predicate: str


@dataclass(frozen=True, slots=True)
class Expression:
    """``AS expression``: an expression over one row that gives a label or NULL; for several tasks, a STRUCT of them."""

    sql: str


@dataclass(frozen=True, slots=True)
class Select:
    """``AS SELECT key, label [, confidence]``: votes by key; keys it leaves out abstain.

    For several tasks there is a column of labels for each, with the task's name.
    """

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
    confidence : the column that says how sure a vote is, from 0 to 1; None where every vote counts alike
    """

    relation: str
    keys: tuple[str, ...]
    source: str | None
    label: str
    confidence: str | None = None

    def of_task(self, n_keys: int) -> Votes:
        """Return the body with its columns told apart: of `n_keys` + 1 before the label, the last names the source."""
        if self.source is None and len(self.keys) == n_keys + 1:
            return replace(self, keys=self.keys[:n_keys], source=self.keys[n_keys])
        return self


Body = VoteWhen | VoteTogether | Expression | Select | Python | Votes
SCOPES: dict[type, str] = {
    VoteWhen: "row",
    VoteTogether: "row",
    Expression: "row",
    Select: "relation",
    Python: "python",
    Votes: "votes",
}


@dataclass(frozen=True, slots=True)
class Template:
    """``FROM TEMPLATE kind (options)``: what a body was written as.

    Attributes
    ----------
    kind : ``keyword``, ``regex``, ``lookup`` or ``threshold``
    options : (name, value) pairs sorted by name, without those that have their default
    """

    kind: str
    options: tuple[tuple[str, Option], ...]


@dataclass(frozen=True, slots=True)
class LabelingFunction:
    """A labeling function (LF). NULL is abstain.

    Attributes
    ----------
    name : unique among labeling functions, compared without case
    task : the task it votes on; the first one where there are several
    body : see the six body classes; of a template, what it stands for
    on_error : ``raise`` (default) or ``abstain``: what a row on which the LF fails becomes
    columns : for python, the columns its batch holds; empty means all of the relation
    enabled : a disabled labeling function keeps its definition and casts no votes
    tasks : all tasks it votes on, in the order given; always starts with `task`
    depends_on : labeling functions whose votes this one repeats in part, for ``structure = 'declared'``
    kind : a word for where its votes come from, such as ``crowd`` or ``kb``; shown in reports, changes no vote
    tags : words to find it by; they change no vote
    servable : False where it reads what is not there at prediction time (NONSERVABLE)
    template : what `body` was written as, or None
    """

    name: str
    task: str
    body: Body
    on_error: str = "raise"
    columns: tuple[str, ...] = ()
    enabled: bool = True
    tasks: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    kind: str | None = None
    tags: tuple[str, ...] = ()
    servable: bool = True
    template: Template | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", (self.task, *self.tasks[1:]))

    @property
    def scope(self) -> str:
        """``row``, ``relation``, ``python`` or ``votes``: how the planner computes it."""
        return SCOPES[type(self.body)]

    def votes_on(self, task: str) -> bool:
        """Return whether `task` is one of its tasks; names are compared without case."""
        return task.lower() in (own.lower() for own in self.tasks)

    def of_task(self, task: str) -> LabelingFunction:
        """Return the labeling function as one of its tasks sees it: its votes on the others are left out.

        One that votes on a single task is returned as it is. The result has one task and a body of one label.

        Raises
        ------
        ValueError
            Where it does not vote on `task`.
        """
        if not self.votes_on(task):
            raise ValueError(f"labeling function {self.name} does not vote on task {task}")
        if len(self.tasks) == 1:
            return self
        own = next(name for name in self.tasks if name.lower() == task.lower())
        others = tuple(name for name in self.tasks if name != own)
        return replace(self, task=own, tasks=(own,), body=_body_of(self.body, own, others))


def _body_of(body: Body, task: str, others: tuple[str, ...]) -> Body:
    """Return a body of several tasks as one of them sees it."""
    match body:
        case VoteTogether(votes, predicate):
            return VoteWhen({name.lower(): label for name, label in votes}[task.lower()], predicate)
        case Expression(sql):
            return Expression(f"struct_extract((\n{sql}\n), {literal(task)})")
        case Select(sql):
            return Select(f"SELECT * EXCLUDE ({idents(others)}) RENAME ({ident(task)} AS label) FROM (\n{sql}\n)")
        case _:
            raise ValueError(f"a {type(body).__name__} body votes on one task")
