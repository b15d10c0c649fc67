"""The steps of a plan: a tree of frozen values whose leaves run first. EXPLAIN prints exactly what runs."""

from __future__ import annotations

from dataclasses import dataclass

from wsdb.core.lf import LabelingFunction
from wsdb.core.specs import LabelModelSpec, ModelSpec
from wsdb.core.task import Task


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a label matrix that is to be: its labeling function, source, and the hash of its inputs."""

    name: str
    lf: LabelingFunction
    source: str | None
    input_hash: str


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
class Scan(Step):
    """Read these columns of a relation once."""

    relation: str
    columns: tuple[str, ...]

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("relation", self.relation), ("columns", self.columns))


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
class LabelMatrix(Step):
    """Bring the stored label matrix of a task up to date.

    Attributes
    ----------
    write : ``create`` all columns; ``update`` the changed ones in place; ``rewrite`` the table because its set of
        columns changes
    columns : all columns, in order
    parts : what computes and what keeps them
    checked : whether keys of this hash have been found unique before
    """

    task: Task
    write: str
    columns: tuple[Column, ...]
    keys_hash: str
    n_rows: int
    parts: tuple[Step, ...]
    checked: bool = False

    @property
    def inputs(self) -> tuple[Step, ...]:
        return self.parts

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("task", self.task.name), ("write", self.write), ("lfs", len(self.columns)))


@dataclass(frozen=True, slots=True)
class Pack(Step):
    """Pack the votes of a row into words and count the distinct patterns."""

    task: Task
    columns: tuple[str, ...]
    words: int
    matrix: Step

    @property
    def inputs(self) -> tuple[Step, ...]:
        return (self.matrix,)

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("columns", len(self.columns)), ("words", self.words))


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
class Train(Step):
    """Train one network for the tasks of a model on the rows that its labels cover."""

    spec: ModelSpec
    tasks: tuple[Task, ...]
    features: tuple[tuple[str, str], ...]
    input_hash: str
    labels: tuple[Step, ...]
    scan: Scan

    @property
    def inputs(self) -> tuple[Step, ...]:
        return (*self.labels, self.scan)

    @property
    def facts(self) -> tuple[tuple[str, object], ...]:
        return (("model", self.spec.name), ("tasks", tuple(task.name for task in self.tasks)))


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
