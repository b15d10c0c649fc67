"""The statements of wsdb: one frozen dataclass each; its docstring is its entry in the SQL reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsdb.core.lf import LabelingFunction
from wsdb.core.span import Span
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec
from wsdb.core.task import Task

KINDS = ("task", "labeling function", "label model", "feature set", "model")
"""The kinds of object that statements create, as error messages name them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Any statement; `span` is its text, `spans` the places of the names in it."""

    span: Span
    spans: Mapping[str, Span] = field(default_factory=dict)

    def at(self, what: str) -> Span:
        """Return where `what` stands in the text, or the whole statement."""
        return self.spans.get(what, self.span)

    def at_name(self, what: str, name: str) -> Span:
        """Return where one name of a list stands, such as one key column of several."""
        return self.spans.get(f"{what} {name.lower()}", self.at(what))


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(Statement):
    """Base of the CREATE statements."""

    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTask(Create):
    """Define a classification task over the rows of a relation.

    ``CREATE [OR REPLACE] TASK [IF NOT EXISTS] name ON relation KEY (columns)
    TYPE {BINARY [('negative', 'positive')] | MULTICLASS ('a', 'b', …) | MULTICLASS FROM relation}
    [CLASS BALANCE {AUTO | UNIFORM | ('a' = 0.9, 'b' = 0.1)}] [GOLD {relation | (query)} [(column)]]
    [SPLIT {BY column | HASH (column) (train 80, dev 10, test 10)}] [COMMENT 'text']``

    Key columns are unique together and never NULL. Gold rows are read by evaluation only, never by training.
    A label is a string; NULL is abstain. MULTICLASS FROM reads the labels once, from the relation's first column.
    """

    spec: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLabelingFunction(Create):
    """Define a labeling function (LF), a source of votes for a task.

    ``CREATE [OR REPLACE] {LABELING FUNCTION | LF} [IF NOT EXISTS] name FOR TASK task [COMMENT 'text']
    [WITH (on_error = 'raise' | 'abstain', enabled = true | false, columns = ['a', 'b'])]
    { VOTE 'label' WHEN predicate | AS expression | AS SELECT key, label FROM …
    | LANGUAGE python {AS $$ source $$ | USING 'module:function'} | FROM VOTES relation (key, [source,] label) }``

    A row body sees the columns of the task's relation. A SELECT returns the task's keys and a label, once per key.
    A python function takes an Arrow record batch and returns one label or None for each row.
    """

    spec: LabelingFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLabelModel(Create):
    """Choose how the votes of a task are de-noised; a task without one has ``USING auto``.

    ``CREATE [OR REPLACE] LABEL MODEL [IF NOT EXISTS] name FOR TASK task [USING {auto | majority}]
    [WITH (regime = 'auto' | 'lf' | 'annotator', use_dev = 'never' | 'anchor')] [COMMENT 'text']``
    """

    spec: LabelModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFeatureSet(Create):
    """Name a list of feature columns of a relation.

    ``CREATE [OR REPLACE] FEATURE SET [IF NOT EXISTS] name ON relation (columns) [SERVABLE | NONSERVABLE]
    [COMMENT 'text']``
    """

    spec: FeatureSet


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateModel(Create):
    """Train one multitask model on the probabilistic labels of its tasks.

    ``CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name FOR {TASK task | TASKS (task [WEIGHT w], …)}
    FROM {relation | (query)} {FEATURES (column, … | * [EXCLUDE (column, …)]) | FEATURE SET name} …
    [LABELS FROM (SELECT key, label …)] [WITH (option = value, …)] [COMMENT 'text']``

    Clauses may stand in any order. Every run that changes something makes a new version.
    """

    spec: ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(Statement):
    """Remove an object, and with CASCADE what is built on it.

    ``DROP {TASK | LABELING FUNCTION | LF | LABEL MODEL | FEATURE SET | MODEL} [IF EXISTS] name
    [CASCADE | RESTRICT]``
    """

    kind: str
    name: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentOn(Statement):
    """Set or remove the comment of an object.

    ``COMMENT ON {TASK | LABELING FUNCTION | LF | LABEL MODEL | FEATURE SET | MODEL} name IS {'text' | NULL}``
    """

    kind: str
    name: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Show(Statement):
    """List the objects of a kind.

    ``SHOW {TASKS | LABELING FUNCTIONS | LFS | LABEL MODELS | FEATURE SETS | MODELS} [FOR TASK task]
    [LIKE 'pattern']``

    A table of such a name is shown by quoting it: ``SHOW "models"``.
    """

    kind: str
    task: str | None = None
    like: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowCreate(Statement):
    """Print the statement that makes an object, with every effective option.

    ``SHOW CREATE {TASK | LABELING FUNCTION | LF | LABEL MODEL | FEATURE SET | MODEL} name``
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowVersions(Statement):
    """List the versions of a model.

    ``SHOW VERSIONS OF MODEL name``
    """

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe(Statement):
    """Print what is known of an object, one property a row.

    ``{DESCRIBE | DESC} {TASK | LABELING FUNCTION | LF | LABEL MODEL | FEATURE SET | MODEL} name``
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh(Statement):
    """Bring derived state up to date: only what changed is computed again; FULL computes all of it.

    ``REFRESH {LABEL MATRIX FOR TASK task | LABELS [FOR TASK task] | MODEL name} [FULL]``
    """

    target: str
    name: str | None = None
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Explain(Statement):
    """Print the stages a statement would run; with ANALYZE run them and add rows and seconds.

    ``EXPLAIN [ANALYZE] {CREATE MODEL … | REFRESH … | any statement of wsdb}``
    """

    statement: Statement
    analyze: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOption(Statement):
    """Change a setting of this session.

    ``SET {wsdb_auto_refresh} = {true | false}`` and ``RESET wsdb_auto_refresh``
    """

    name: str
    value: str | bool | None
