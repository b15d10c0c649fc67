"""The steps of a plan: a tree of frozen values whose leaves run first. EXPLAIN prints exactly what runs."""

from __future__ import annotations

from dataclasses import dataclass

from wsdb.core.graph import TaskGraph
from wsdb.core.lf import LabelingFunction
from wsdb.core.payload import Payload, Primitive
from wsdb.core.slice import Slice
from wsdb.core.source import Source
from wsdb.core.specs import LabelModelSpec, ModelSpec
from wsdb.core.task import Task
from wsdb.core.transformation import TransformationFunction
from wsdb.planner.facts import TaskFacts


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a label matrix that is to be.

    Attributes
    ----------
    source : the voter, where a vote relation names several
    input_hash : of everything its votes depend on but the row
    bit : of a bitvector task, the label that the column says yes or no to
    absent : of a bitvector task, whether a label that a vote leaves out is a no
    listed : whether a vote is a list of labels, not a single one: all that apply, or of which one applies
    labels : of a bitvector task, all its labels
    """

    name: str
    lf: LabelingFunction
    source: str | None
    input_hash: str
    bit: str | None = None
    absent: bool = False
    listed: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Any step. Its inputs run before it."""

    @property
    def inputs(self) -> tuple[Step, ...]:
        """The steps that run before this one."""
        return ()

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        """What EXPLAIN prints behind the name."""
        return ()


@dataclass(frozen=True, slots=True)
class Append(Step):
    """Rows that are new since the stored label matrix."""

    rows: int

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("new_rows", self.rows),)


@dataclass(frozen=True, slots=True)
class Rescan(Step):
    """Rows of which a column that votes depend on has another value than in the stored label matrix."""

    rows: int

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("changed_rows", self.rows),)


@dataclass(frozen=True, slots=True)
class Retract(Step):
    """Take rows that are gone out of the stored label matrix."""

    rows: int

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("gone_rows", self.rows),)


@dataclass(frozen=True, slots=True)
class Scan(Step):
    """Read these columns of a relation once: of all its rows, or of those that `rows` names."""

    relation: str
    columns: tuple[str, ...]
    rows: tuple[Step, ...] = ()
    primitives: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Step, ...]:
        return self.rows

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        more = (("primitives", self.primitives),) if self.primitives else ()
        return (("relation", self.relation), ("columns", self.columns), *more)


@dataclass(frozen=True, slots=True)
class Fuse(Step):
    """Compute the votes of all row and python labeling functions in one scan.

    Attributes
    ----------
    groups : the columns of each scan; more than one where many of them look something up in other relations
    """

    groups: tuple[tuple[Column, ...], ...]
    scan: Scan

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of all scans."""
        return tuple(column for group in self.groups for column in group)

    @property
    def inputs(self) -> tuple[Step, ...]:
        return (self.scan,)

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        lfs = ("lfs", tuple(column.name for column in self.columns))
        return (lfs,) if len(self.groups) == 1 else (lfs, ("scans", len(self.groups)))


@dataclass(frozen=True, slots=True)
class Isolate(Step):
    """Run the fused scan; where it fails, find the failing labeling function by bisection and name its rows."""

    fuse: Fuse

    @property
    def inputs(self) -> tuple[Step, ...]:
        return (self.fuse,)

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("lfs", len(self.fuse.columns)),)


@dataclass(frozen=True, slots=True)
class Match(Step):
    """Compute votes from text predicates outside of SQL, on the Arrow batches of the scan.

    Attributes
    ----------
    columns : the columns computed so
    predicates : the texts of their predicates
    source : the scan, or the isolated fused scan that it shares with the functions that stay in SQL
    """

    columns: tuple[Column, ...]
    predicates: tuple[str, ...]
    source: Step

    @property
    def inputs(self) -> tuple[Step, ...]:
        return (self.source,)

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("lfs", tuple(column.name for column in self.columns)), ("predicates", self.predicates))


@dataclass(frozen=True, slots=True)
class Scatter(Step):
    """Read the votes of a relation or vote labeling function as (key, vote) and put them into the rows."""

    columns: tuple[Column, ...]

    @property
    def lf(self) -> LabelingFunction:
        """The labeling function whose columns these are."""
        return self.columns[0].lf

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("lf", self.lf.name), ("sources", len(self.columns)))


@dataclass(frozen=True, slots=True)
class Reuse(Step):
    """Keep stored state whose inputs have not changed."""

    what: str
    names: tuple[str, ...]

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return ((self.what, self.names),)


@dataclass(frozen=True, slots=True)
class Materialise(Step):
    """Compute a primitive that labeling functions read, because what it is made from has changed."""

    primitive: Primitive
    input_hash: str

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("primitive", self.primitive.name), ("relation", self.primitive.relation))


@dataclass(frozen=True, slots=True)
class LabelMatrix(Step):
    """Bring the stored label matrix of a task up to date.

    Attributes
    ----------
    write : ``create`` all of it; ``update`` rows and columns in place; ``rewrite`` the table because its set of
        columns changes
    storage : ``wide``, a column for each source, or ``sparse``, a row for each vote
    columns : all columns, in order
    rows : the relation's rows as they are now
    parts : what computes and what keeps them
    rehash : whether the row hashes must be made anew, because other columns are read
    votes : of the columns that are kept, the number of votes in the stored label matrix where it is known
    """

    task: Task
    write: str
    storage: str
    columns: tuple[Column, ...]
    rows: TaskFacts
    parts: tuple[Step, ...]
    rehash: bool = False
    votes: tuple[tuple[str, int], ...] = ()

    @property
    def inputs(self) -> tuple[Step, ...]:
        return self.parts

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        sparse = (("storage", self.storage),) if self.storage != "wide" else ()
        return (("task", self.task.name), ("write", self.write), *sparse, ("lfs", len(self.columns)))


@dataclass(frozen=True, slots=True)
class Pack(Step):
    """Pack the votes of a row into words and count the distinct patterns."""

    task: Task
    columns: tuple[str, ...]
    words: int
    matrix: Step
    storage: str = "wide"

    @property
    def inputs(self) -> tuple[Step, ...]:
        return (self.matrix,)

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        words = (("words", self.words),) if self.storage == "wide" else (("storage", self.storage),)
        return (("columns", len(self.columns)), *words)


@dataclass(frozen=True, slots=True)
class Fit(Step):
    """Fit the label model on the counted patterns and store its posterior as views."""

    task: Task
    spec: LabelModelSpec
    input_hash: str
    pack: Pack

    @property
    def inputs(self) -> tuple[Step, ...]:
        return (self.pack,)

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("task", self.task.name), ("method", self.spec.method))


@dataclass(frozen=True, slots=True)
class JointFit(Step):
    """Fit one label model for the tasks of a task graph, and store the labels of each.

    Attributes
    ----------
    input_hashes : of each task, the hash of everything its labels depend on
    packs : the votes of each task
    """

    tasks: tuple[Task, ...]
    spec: LabelModelSpec
    graph: TaskGraph
    input_hashes: tuple[str, ...]
    packs: tuple[Pack, ...]

    @property
    def inputs(self) -> tuple[Step, ...]:
        return self.packs

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("tasks", tuple(task.name for task in self.tasks)), ("graph", self.graph.name))


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """The column of LABELS FROM that has the labels of one task.

    Attributes
    ----------
    task : name of the task
    sql : the query
    keys : its columns that are the task's keys, in their order
    label : its column of labels: strings, of a bitvector lists of them; or where `soft`, maps from label to probability
    place : which of the queries of LABELS FROM it is, from 0
    """

    task: str
    sql: str
    keys: tuple[str, ...]
    label: str
    soft: bool
    place: int


@dataclass(frozen=True, slots=True)
class Train(Step):
    """Train one network for the tasks of a model on the rows that its labels cover.

    Attributes
    ----------
    features : (column, SQL type) pairs of the columns that are read as parts of the row
    input_hash : of everything that the network depends on
    labels : the steps that make the tasks' labels current
    payloads : sequences, sets and singletons that are read, each after those it is made from
    lists : (column, SQL type) pairs of the columns that payloads add to the features
    slices : groups of rows that get capacity of their own
    given : labels of LABELS FROM, by task; the other tasks have those of their label models
    augment : the functions that make more rows from those of the source
    more : the sources of further rows
    """

    spec: ModelSpec
    tasks: tuple[Task, ...]
    features: tuple[tuple[str, str], ...]
    input_hash: str
    labels: tuple[Step, ...]
    scan: Scan
    payloads: tuple[Payload, ...] = ()
    lists: tuple[tuple[str, str], ...] = ()
    slices: tuple[Slice, ...] = ()
    given: tuple[GivenLabels, ...] = ()
    augment: tuple[TransformationFunction, ...] = ()
    more: tuple[Source, ...] = ()

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """All columns that the network reads, with their SQL types."""
        return (*self.features, *self.lists)

    def given_to(self, task: Task) -> GivenLabels | None:
        """Return the labels that LABELS FROM gives a task, None where it has those of its label model."""
        return next((one for one in self.given if one.task == task.name), None)

    @property
    def inputs(self) -> tuple[Step, ...]:
        return (*self.labels, self.scan)

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        found: list[tuple[str, object]] = [("model", self.spec.name)]
        found.append(("tasks", tuple(task.name for task in self.tasks)))
        if self.payloads:
            found.append(("payloads", tuple(payload.name for payload in self.payloads)))
        if self.slices:
            found.append(("slices", tuple(group.name for group in self.slices)))
        if self.augment:
            found.append(("augment", tuple(function.name for function in self.augment)))
        if self.more:
            found.append(("sources", tuple(source.name for source in self.more)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Define(Step):
    """Write the definition of an object into the catalog, or remove it."""

    action: str
    kind: str
    names: tuple[str, ...]

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("action", self.action), ("kind", self.kind), ("names", self.names))


def walk(step: Step) -> list[Step]:
    """Return a step and all below it, in the order they run."""
    below = [found for part in step.inputs for found in walk(part)]
    return [*below, step]
