"""CatalogSnapshot: the catalog as a frozen value, read once per statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wsdb.catalog.references import references
from wsdb.core.constraint import Constraint
from wsdb.core.embedding import Embedding
from wsdb.core.errors import CatalogError, did_you_mean
from wsdb.core.graph import TaskGraph
from wsdb.core.lf import LabelingFunction
from wsdb.core.payload import Payload, Primitive, element_task
from wsdb.core.slice import Slice, elements_of
from wsdb.core.source import Source
from wsdb.core.span import Span
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec
from wsdb.core.sqltext import bare
from wsdb.core.task import Task
from wsdb.core.transformation import TransformationFunction
from wsdb.parser.render import Spec
from wsdb.parser.statements import Statement


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as stored: its spec, version and hashes."""

    kind: str
    name: str
    version: int
    spec: Spec
    data_hash: str
    metadata_hash: str
    created_by: str

    @property
    def named(self) -> set[tuple[str, str]]:
        """The objects that the spec names, as (kind, name in lower case)."""
        return {(kind, name.lower()) for kind, name in references(self.spec)}


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of a label matrix: which labeling function filled it, from inputs of which hash, with how many votes.

    Attributes
    ----------
    version : that of the labeling function
    """

    name: str
    lf: str
    source: str | None
    input_hash: str
    version: int = 0
    votes: int | None = None


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    """What is known of a label matrix.

    Attributes
    ----------
    n_rows : rows of the task's relation that it stands for
    columns : its columns in order
    rows_hash : the hash of those rows: of their keys and of `row_columns`
    row_columns : the columns of the task's relation that the hash of a row covers
    column_hashes : the hash of each of them, where it was last read with the whole matrix; else empty
    gold_hash : the hash of a gold relation apart from the task's; empty without one
    hash_probe : what DuckDB's hash function answered then for a few values
    storage : ``wide`` or ``sparse``
    views_hash : the hash of the text of each of its views, with blanks between them
    """

    n_rows: int
    columns: tuple[StoredColumn, ...]
    rows_hash: str
    row_columns: tuple[str, ...] = ()
    column_hashes: tuple[tuple[str, str], ...] = ()
    gold_hash: str = ""
    hash_probe: str = ""
    storage: str = "wide"
    views_hash: str = ""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """The newest version of a trained model and the hash of what it was trained on."""

    version: int
    input_hash: str
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CatalogSnapshot:
    """Everything the planner may know of the catalog. Names are compared without case."""

    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)
    matrices: Mapping[str, StoredMatrix] = field(default_factory=dict)
    label_runs: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, StoredModel] = field(default_factory=dict)
    serving: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    primitive_hashes: Mapping[str, str | None] = field(default_factory=dict)

    def find(self, kind: str, name: str) -> Entry | None:
        """Return the object, or None."""
        return self.entries.get((kind, name.lower()))

    def entry(self, kind: str, name: str, span: Span | None = None) -> Entry:
        """Return the object.

        Raises
        ------
        CatalogError
            WS201 where it does not exist, with the nearest name as the hint.
        """
        found = self.find(kind, name)
        if found is None:
            known = self.names(kind)
            hint = did_you_mean(name, known) or (
                f"the {kind}s are {', '.join(known[:8])}{', …' if len(known) > 8 else ''}"
                if len(known) > 1
                else f"the only {kind} is {known[0]}"
                if known
                else f"there is no {kind} yet; CREATE {kind.upper()} makes one"
            )
            raise CatalogError("WS201", f'{kind} "{name}" does not exist', span=span, hint=hint, name=name)
        return found

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind, sorted."""
        return sorted(entry.name for (of, _), entry in self.entries.items() if of == kind)

    def task(self, name: str, span: Span | None = None) -> Task:
        """Return a task's spec; of a task on a payload, as a task on the elements."""
        spec = self.entry("task", name, span).spec
        assert isinstance(spec, Task)
        return spec if spec.payload is None else element_task(spec, self.payload(spec.payload))

    def tasks(self) -> list[Task]:
        """Return all tasks by name."""
        return [self.task(name) for name in self.names("task")]

    def lfs(self, task: str) -> list[LabelingFunction]:
        """Return the labeling functions of a task in the order they were created, each as this task sees it.

        One that votes on several tasks is returned with its votes on this one alone; its entry has all of it.
        """
        return [
            entry.spec.of_task(task)
            for entry in self.entries.values()
            if isinstance(entry.spec, LabelingFunction) and entry.spec.votes_on(task)
        ]

    def labeling_function(self, name: str, span: Span | None = None) -> LabelingFunction:
        """Return a labeling function's spec, with all its tasks."""
        spec = self.entry("labeling function", name, span).spec
        assert isinstance(spec, LabelingFunction)
        return spec

    def label_model(self, task: str) -> LabelModelSpec:
        """Return the task's label model; a task without one has the default, named after the task."""
        for entry in self.entries.values():
            if isinstance(entry.spec, LabelModelSpec) and task.lower() in (own.lower() for own in entry.spec.tasks):
                return entry.spec
        return LabelModelSpec(name=task, task=task)

    def payload(self, name: str, span: Span | None = None) -> Payload:
        """Return a payload's spec."""
        spec = self.entry("payload", name, span).spec
        assert isinstance(spec, Payload)
        return spec

    def payloads(self) -> list[Payload]:
        """Return all payloads by name."""
        return [self.payload(name) for name in self.names("payload")]

    def primitive(self, name: str, span: Span | None = None) -> Primitive:
        """Return a primitive's spec."""
        spec = self.entry("primitive", name, span).spec
        assert isinstance(spec, Primitive)
        return spec

    def primitives(self) -> list[Primitive]:
        """Return all primitives by name."""
        return [self.primitive(name) for name in self.names("primitive")]

    def task_graph(self, name: str, span: Span | None = None) -> TaskGraph:
        """Return a task graph's spec."""
        spec = self.entry("task graph", name, span).spec
        assert isinstance(spec, TaskGraph)
        return spec

    def task_graphs(self) -> list[TaskGraph]:
        """Return all task graphs by name."""
        return [self.task_graph(name) for name in self.names("task graph")]

    def feature_set(self, name: str, span: Span | None = None) -> FeatureSet:
        """Return a feature set's spec."""
        spec = self.entry("feature set", name, span).spec
        assert isinstance(spec, FeatureSet)
        return spec

    def model(self, name: str, span: Span | None = None) -> ModelSpec:
        """Return a model's spec."""
        spec = self.entry("model", name, span).spec
        assert isinstance(spec, ModelSpec)
        return spec

    def expanded(self, spec: ModelSpec, at: Statement | None = None) -> ModelSpec:
        """Return a model's spec with the source and the tasks that it leaves to be found.

        Without FROM the source is the relation of its first payload, else of its first task; ``TASKS (*)`` are all
        tasks on the source.

        Raises
        ------
        CatalogError
            WS201 where the source has no task.
        """
        source = spec.source
        if not source:
            first = spec.payloads[0] if spec.payloads else None
            place = at.spans.get(f"payload {first.lower()}") if at is not None and first is not None else None
            source = (
                self.payload(first, place).relation if first is not None else self._relation_of(spec.tasks[0][0], at)
            )
        tasks = spec.tasks
        if tasks == (("*", 1.0),):
            found = [name for name in self.names("task") if self._relation_of(name, at).lower() == source.lower()]
            if not found:
                raise CatalogError("WS201", f"there is no task on {source}", span=at.span if at is not None else None)
            tasks = tuple((name, 1.0) for name in found)
        return replace(spec, source=source, tasks=tasks)

    def _relation_of(self, task: str, at: Statement | None) -> str:
        """Return the relation that a task was created on, whose elements it may label."""
        span = at.spans.get(f"task {task.lower()}", at.spans.get("task")) if at is not None else None
        spec = self.entry("task", task, span).spec
        assert isinstance(spec, Task)
        return spec.relation

    def slices(self, relation: str | None = None) -> list[Slice]:
        """Return all slices by name, or those of a relation."""
        return self._groups("slice", relation)

    def tags(self, relation: str | None = None) -> list[Slice]:
        """Return all tags by name, or those of a relation."""
        return self._groups("tag", relation)

    def _groups(self, kind: str, relation: str | None) -> list[Slice]:
        specs = [self.entry(kind, name).spec for name in self.names(kind)]
        return [
            spec
            for spec in specs
            if isinstance(spec, Slice) and (relation is None or spec.relation.lower() == relation.lower())
        ]

    def model_slices(self, spec: ModelSpec) -> list[Slice]:
        """Return the slices of a model.

        ``*`` is all slices on its source and the payloads of it, as they are now; of those of elements the ones whose
        elements its tasks label.
        """
        if spec.slices == ("*",):
            payloads = [one for one in self.payloads() if bare(one.relation) == bare(spec.source)]
            relations = {bare(spec.source), *(bare(one.name) for one in payloads)}
            labeled = {(self.task(name).payload or "").lower() for name, _ in spec.tasks}
            found = [(one, elements_of(one, payloads)) for one in self.slices() if bare(one.relation) in relations]
            return [one for one, of in found if of is None or of.name.lower() in labeled]
        of = {group.name.lower(): group for group in self.slices()}
        return [of[name.lower()] for name in spec.slices]

    def constraints(self, tasks: Sequence[str] | None = None) -> list[Constraint]:
        """Return all constraints by name, or those whose tasks are all among the given."""
        own = None if tasks is None else {name.lower() for name in tasks}
        specs = [self.entry("constraint", name).spec for name in self.names("constraint")]
        return [
            spec
            for spec in specs
            if isinstance(spec, Constraint) and (own is None or {name.lower() for name in spec.tasks} <= own)
        ]

    def sources(self, relation: str | None = None) -> list[Source]:
        """Return all sources by name, or those for a relation."""
        specs = [self.entry("source", name).spec for name in self.names("source")]
        return [
            spec
            for spec in specs
            if isinstance(spec, Source) and (relation is None or spec.relation.lower() == relation.lower())
        ]

    def slice(self, name: str, span: Span | None = None) -> Slice:
        """Return a slice's spec."""
        spec = self.entry("slice", name, span).spec
        assert isinstance(spec, Slice)
        return spec

    def transformation_function(self, name: str, span: Span | None = None) -> TransformationFunction:
        """Return a transformation function's spec."""
        spec = self.entry("transformation function", name, span).spec
        assert isinstance(spec, TransformationFunction)
        return spec

    def transformation_functions(self) -> list[TransformationFunction]:
        """Return all transformation functions by name."""
        return [self.transformation_function(name) for name in self.names("transformation function")]

    def embedding(self, name: str, span: Span | None = None) -> Embedding:
        """Return an embedding's spec."""
        spec = self.entry("embedding", name, span).spec
        assert isinstance(spec, Embedding)
        return spec

    def embeddings(self) -> list[Embedding]:
        """Return all embeddings by name."""
        return [self.embedding(name) for name in self.names("embedding")]

    def tasks_on(self, relation: str) -> list[Task]:
        """Return the tasks on a relation by name, as they are stored: one on a payload with the keys of the rows."""
        found = [self.entry("task", name).spec for name in self.names("task")]
        return [one for one in found if isinstance(one, Task) and bare(one.relation) == bare(relation)]

    def dependents(self, kind: str, name: str) -> list[Entry]:
        """Return the objects that are built on this one, and on those in turn, each before what it is built on."""
        users: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for key, entry in self.entries.items():
            for used in entry.named:
                users.setdefault(used, []).append(key)
        found: dict[tuple[str, str], None] = {}
        seen = {(kind, name.lower())}

        def visit(key: tuple[str, str]) -> None:
            for user in users.get(key, ()):
                if user not in seen:
                    seen.add(user)
                    visit(user)
                    found[user] = None

        visit((kind, name.lower()))
        return [self.entries[key] for key in found]
