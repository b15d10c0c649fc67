"""CatalogSnapshot: the catalog as a frozen value, read once per statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsdb.core.errors import CatalogError, did_you_mean
from wsdb.core.lf import LabelingFunction
from wsdb.core.span import Span
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec
from wsdb.core.task import Task
from wsdb.parser.render import Spec


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


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of a label matrix: which labeling function filled it, from inputs of which hash."""

    name: str
    lf: str
    source: str | None
    input_hash: str


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    """What is known of a label matrix: its rows, the hash of its keys, and its columns in order."""

    n_rows: int
    keys_hash: str
    columns: tuple[StoredColumn, ...]


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
        """Return a task's spec."""
        spec = self.entry("task", name, span).spec
        assert isinstance(spec, Task)
        return spec

    def tasks(self) -> list[Task]:
        """Return all tasks by name."""
        return [self.task(name) for name in self.names("task")]

    def lfs(self, task: str) -> list[LabelingFunction]:
        """Return the labeling functions of a task in the order they were created."""
        return [
            entry.spec
            for entry in self.entries.values()
            if isinstance(entry.spec, LabelingFunction) and entry.spec.task.lower() == task.lower()
        ]

    def label_model(self, task: str) -> LabelModelSpec:
        """Return the task's label model; a task without one has the default, named after the task."""
        for entry in self.entries.values():
            if isinstance(entry.spec, LabelModelSpec) and entry.spec.task.lower() == task.lower():
                return entry.spec
        return LabelModelSpec(name=task, task=task)

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

    def dependents(self, kind: str, name: str) -> list[Entry]:
        """Return the objects that are built directly on this one."""
        low = name.lower()
        found = []
        for entry in self.entries.values():
            spec = entry.spec
            on_task = isinstance(spec, LabelingFunction | LabelModelSpec) and spec.task.lower() == low
            in_model = isinstance(spec, ModelSpec) and low in {task.lower() for task, _ in spec.tasks}
            uses_set = isinstance(spec, ModelSpec) and low in {other.lower() for other in spec.feature_sets}
            if (kind == "task" and (on_task or in_model)) or (kind == "feature set" and uses_set):
                found.append(entry)
        return found
