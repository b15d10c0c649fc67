"""The statements of wsdb: one frozen dataclass each; its docstring is its entry in the SQL reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsdb.core.constraint import Constraint
from wsdb.core.embedding import Embedding
from wsdb.core.graph import TaskGraph
from wsdb.core.lf import LabelingFunction
from wsdb.core.payload import Payload, Primitive
from wsdb.core.slice import Slice, Tag
from wsdb.core.source import Source
from wsdb.core.span import Span
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec
from wsdb.core.task import Task
from wsdb.core.transformation import TransformationFunction

KINDS: Mapping[type, str] = {
    Task: "task",
    TaskGraph: "task graph",
    Payload: "payload",
    Primitive: "primitive",
    LabelingFunction: "labeling function",
    LabelModelSpec: "label model",
    FeatureSet: "feature set",
    ModelSpec: "model",
    Slice: "slice",
    Tag: "tag",
    TransformationFunction: "transformation function",
    Constraint: "constraint",
    Embedding: "embedding",
    Source: "source",
}
"""The kinds of object that statements create, as error messages name them, by the class of their specs."""


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
    """Define a classification task over the rows of a relation, or over the elements of a payload.

    ``CREATE [OR REPLACE] TASK [IF NOT EXISTS] name ON relation KEY (columns) [PAYLOAD payload]
    TYPE {BINARY [('negative', 'positive')] | MULTICLASS ('a', 'b', …) | MULTICLASS FROM relation
    | BITVECTOR ('a', 'b', …) | ORDINAL ('lowest', …, 'highest') | SELECT}
    [CLASS BALANCE {AUTO | UNIFORM | ('a' = 0.9, 'b' = 0.1)}] [GOLD {relation | (query)} [(column)]]
    [SPLIT {BY column | HASH (column) (train 80, dev 10, test 10)}]
    [ROLE {PRIMARY | ANCILLARY}] [DEPENDS ON (task, …)]
    [WITH (multilabel_absent = 'abstain' | 'no')] [COMMENT 'text']``

    Key columns are unique together and never NULL. Gold rows are read by evaluation only, never by training.
    A label is a string; NULL is abstain. MULTICLASS FROM reads the labels once, from the relation's first column.
    A row has one label of a MULTICLASS task, any number of those of a BITVECTOR task; the labels of an ORDINAL task
    stand from the lowest to the highest. A SELECT task picks one element of a payload, so each element is labeled
    no or yes. The shares of a BITVECTOR task are shares of rows that have the label, each between 0 and 1.
    """

    spec: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePayload(Create):
    """Name a part of each row that tasks can label: the row itself, or each element of its lists.

    ``CREATE [OR REPLACE] PAYLOAD [IF NOT EXISTS] name ON relation [KEY (columns)]
    AS {SINGLETON | SEQUENCE | SET} (columns) [FROM PAYLOADS (payload, …) | SPANS payload (column)]
    [EMBED WITH embedding [FREEZE | FINETUNE]] [COMMENT 'text']``

    The columns of a SEQUENCE or SET are lists that have one length in each row. A payload is also a view of its name
    with one row for each element: the key columns, the position pos counted from 1, and the values. FROM PAYLOADS names
    what a model reads this payload from; SPANS says that its elements are stretches of a SEQUENCE. EMBED WITH gives the
    words of its texts the vectors of an embedding, which training leaves as they are, or with FINETUNE goes on from.
    """

    spec: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePrimitive(Create):
    """Name a query that is computed once and read by any number of labeling functions.

    ``CREATE [OR REPLACE] PRIMITIVE [IF NOT EXISTS] name ON relation [KEY (columns)] [COMMENT 'text']
    AS SELECT …``

    A primitive is also a table of its name, which is computed again when what it reads has changed.
    """

    spec: Primitive


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTaskGraph(Create):
    """State how the labels of several tasks on the same rows go together, for a label model of these tasks.

    ``CREATE [OR REPLACE] TASK GRAPH [IF NOT EXISTS] name
    ({task 'label' {IMPLIES | EXCLUDES} task 'label' | task APPLIES WHEN task 'label'}, …) [COMMENT 'text']``

    A task with APPLIES WHEN has a label only where the other task has that one; where several such rules are given, one
    of them is enough. Each of the tasks has one label for a row: BITVECTOR and SELECT tasks cannot be in a graph.
    """

    spec: TaskGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLabelingFunction(Create):
    """Define a labeling function (LF), a source of votes for one or more tasks.

    ``CREATE [OR REPLACE] {LABELING FUNCTION | LF} [IF NOT EXISTS] name FOR {TASK task | TASKS (task, …)}
    [KIND word] [TAGS ('text', …)] [DEPENDS ON (labeling function, …)] [NONSERVABLE] [COMMENT 'text']
    [WITH (on_error = 'raise' | 'abstain', enabled = true | false, columns = ['a', 'b'])]
    { VOTE 'label' WHEN predicate | VOTE (task 'label', …) WHEN predicate
    | AS expression | AS SELECT key, label [, confidence] FROM …
    | LANGUAGE python {AS $$ source $$ | USING 'module:function'}
    | FROM VOTES relation (key, [source,] label) [CONFIDENCE column]
    | FROM TEMPLATE {keyword | regex | lookup | near | threshold} (option = value, …) }``

    A row body sees the columns of the task's relation. A SELECT returns the task's keys and a label, once per key.
    A python function takes an Arrow record batch and returns one label or None for each row.
    For several tasks, an expression returns a STRUCT and a SELECT has columns, one for each task and of its name.
    KIND, TAGS and NONSERVABLE describe the labeling function and change no vote. DEPENDS ON names labeling functions
    whose votes it repeats in part, for a label model with structure = 'declared'.

    Templates: keyword (col, words, label, whole_words = true, ignore_case = true) votes where a text has one of the
    words; regex (col, pattern, label, ignore_case = false) where a pattern is found; threshold (col, label, above or
    at_least, below or at_most) where a number is in a range; lookup (col, table, key, label or labels) where a value is
    found in another relation: label is one label for all that are found, labels the column of labels; near (col,
    exemplars, radius, key, label or labels, metric = 'cosine') where a vector, an array or list of numbers, is at most
    radius from the nearest vector (column key, or col) of the relation exemplars. metric may be 'euclidean'; cosine
    distance is 1 - cosine, of a vector of zeros none.
    """

    spec: LabelingFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSlice(Create):
    """Name a group of rows that models give capacity to, and reports tell apart.

    ``CREATE [OR REPLACE] SLICE [IF NOT EXISTS] name ON relation [KEY (columns)] [COMMENT 'text']
    AS {predicate | SELECT key, … FROM …}``

    A predicate sees the columns of a row. A SELECT returns the keys of the members. Without KEY the key is that of the
    tasks on the relation; on a payload it is that of the rows and pos, and the slice has elements. The view
    wsdb."slice_<name>" has the keys of the members as they are now.
    """

    spec: Slice


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTag(Create):
    """Name a group of rows that reports tell apart and training does not know of.

    ``CREATE [OR REPLACE] TAG [IF NOT EXISTS] name ON relation [KEY (columns)] [COMMENT 'text']
    AS {predicate | SELECT key, … FROM …}``

    As a slice; the view is wsdb."tag_<name>".
    """

    spec: Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTransformationFunction(Create):
    """Define how rows of a relation are turned into more rows to train on.

    ``CREATE [OR REPLACE] TRANSFORMATION FUNCTION [IF NOT EXISTS] name ON relation [COMMENT 'text'] AS SELECT …``

    The SELECT reads the relation by its name and returns all of its columns, the key unchanged. It may change, leave
    out or multiply rows. It is applied to training rows only.
    """

    spec: TransformationFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateConstraint(Create):
    """State which answers of several tasks cannot stand together on one row.

    ``CREATE [OR REPLACE] CONSTRAINT [IF NOT EXISTS] name ON TASKS (task, …) [COMMENT 'text'] CHECK (condition)``

    In the condition the name of a task is a column with its answer: a label as VARCHAR; of a BITVECTOR task the list of
    its labels, VARCHAR[]; of a SELECT task the position of the element as INTEGER, or NULL for none. Answers for which
    it is false are not given together. The table wsdb."constraint_<name>" has the combinations that are left.
    """

    spec: Constraint


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEmbedding(Create):
    """Read vectors of tokens from a file, for payloads EMBED WITH them.

    ``CREATE [OR REPLACE] EMBEDDING [IF NOT EXISTS] name FROM 'file' [COMMENT 'text']``

    The file is parquet or CSV: a column token (or else the first one that is VARCHAR), and either a column of lists of
    numbers or a column for each number; or text (.txt, .vec) as GloVe and word2vec write it, a token and its numbers on
    each line, with blanks between; or numpy (.npy), numbers of shape (tokens, d), with the tokens as the lines of the
    .txt file of the same name beside it. It is read once, into the table wsdb."embedding_<name>".
    """

    spec: Embedding


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSource(Create):
    """Give more rows to train on that are no rows of the relation, such as synthetic ones.

    ``CREATE [OR REPLACE] SOURCE [IF NOT EXISTS] name FOR relation [TAGS ('text', …)] [COMMENT 'text'] AS SELECT …``

    The SELECT returns columns of the relation; those it leaves out are NULL. A column of the name of a task on the
    relation holds labels of that task. Reports tell the rows of a source apart.
    """

    spec: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLabelModel(Create):
    """Choose how the votes of a task, or of several together, are de-noised; a task without one has ``USING auto``.

    ``CREATE [OR REPLACE] LABEL MODEL [IF NOT EXISTS] name FOR {TASK task | TASKS (task, …)} [GRAPH task graph]
    [USING {auto | majority | weighted_majority | dawid_skene | ibcc | triplet | matrix | hmm}]
    [WITH (option = value, …)] [COMMENT 'text']``

    The options are listed under [label models](#options-of-create-label-model). A label model of several tasks keeps
    the rules of its task graph.
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

    ``CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name FOR {TASK task | TASKS (task [WEIGHT w], … | *)}
    [FROM {relation | (query)}] [FEATURES (column, … | * [EXCLUDE (column, …)])] [FEATURE SET name] …
    [PAYLOADS (payload, …)] [SLICES (slice, … | *)] [AUGMENT WITH (transformation function, …)]
    [LABELS FROM (SELECT key, task, …), …] [WITH (option = value, …)] [COMMENT 'text']``

    Clauses may stand in any order. Every run that changes something makes a new version. Without FROM the rows are
    those of the tasks' relation; TASKS (*) are all tasks on it. A model reads FEATURES, PAYLOADS or both. SLICES get
    capacity of their own; SLICES (*) are all slices on the relation and its payloads, as they are when the model is
    trained. AUGMENT WITH makes more training rows.

    LABELS FROM gives labels of your own: a query has the keys of tasks, and a column of labels for each of them, named
    as the task. A label is a string, of a BITVECTOR a list of them, or a MAP from labels to probabilities; NULL is no
    label. Tasks without a column have the labels of their label models.
    """

    spec: ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Alter(Statement):
    """Turn a labeling function off or on again, or give an object another name.

    ``ALTER {LABELING FUNCTION | LF | TASK GRAPH | PAYLOAD | PRIMITIVE | LABEL MODEL | FEATURE SET | SLICE | TAG
    | TRANSFORMATION FUNCTION | CONSTRAINT | EMBEDDING | SOURCE} name
    {ENABLE | DISABLE | RENAME TO new_name}``

    ENABLE and DISABLE are for labeling functions. A disabled labeling function keeps its definition and casts no votes.
    What wsdb knows of a renamed object follows; SQL text that names a payload or primitive does not.
    """

    kind: str
    name: str
    action: str
    new_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(Statement):
    """Remove an object, and with CASCADE what is built on it.

    ``DROP {TASK | TASK GRAPH | PAYLOAD | PRIMITIVE | LABELING FUNCTION | LF | LABEL MODEL | FEATURE SET | MODEL
    | SLICE | TAG | TRANSFORMATION FUNCTION | CONSTRAINT | EMBEDDING | SOURCE}
    [IF EXISTS] name [CASCADE | RESTRICT]``
    """

    kind: str
    name: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentOn(Statement):
    """Set or remove the comment of an object.

    ``COMMENT ON {TASK | TASK GRAPH | PAYLOAD | PRIMITIVE | LABELING FUNCTION | LF | LABEL MODEL | FEATURE SET | MODEL
    | SLICE | TAG | TRANSFORMATION FUNCTION | CONSTRAINT | EMBEDDING | SOURCE}
    name IS {'text' | NULL}``
    """

    kind: str
    name: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Show(Statement):
    """List the objects of a kind.

    ``SHOW {TASKS | TASK GRAPHS | PAYLOADS | PRIMITIVES | LABELING FUNCTIONS | LFS | LABEL MODELS | FEATURE SETS
    | MODELS | SLICES | TAGS | TRANSFORMATION FUNCTIONS | CONSTRAINTS | EMBEDDINGS | SOURCES}
    [FOR TASK task] [LIKE 'pattern']``

    A table of such a name is shown by quoting it: ``SHOW "models"``.
    """

    kind: str
    task: str | None = None
    like: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowCreate(Statement):
    """Print the statement that makes an object, with every effective option.

    ``SHOW CREATE {TASK | TASK GRAPH | PAYLOAD | PRIMITIVE | LABELING FUNCTION | LF | LABEL MODEL | FEATURE SET | MODEL
    | SLICE | TAG | TRANSFORMATION FUNCTION | CONSTRAINT | EMBEDDING | SOURCE}
    name``
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
class ShowCode(Statement):
    """Print a trained model as a Python program: its specification with every option, and the text of its network.

    ``SHOW CODE FOR MODEL name``
    """

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe(Statement):
    """Print what is known of an object, one property a row.

    ``{DESCRIBE | DESC}
    {TASK | TASK GRAPH | PAYLOAD | PRIMITIVE | LABELING FUNCTION | LF | LABEL MODEL | FEATURE SET | MODEL
    | SLICE | TAG | TRANSFORMATION FUNCTION | CONSTRAINT | EMBEDDING | SOURCE}
    name``
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
