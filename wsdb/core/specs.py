"""The remaining specs: label model, feature set, model."""

from __future__ import annotations

from dataclasses import dataclass

Option = str | int | float | bool | None | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelModelSpec:
    """How the votes of a task are de-noised.

    Attributes
    ----------
    method : ``auto`` or ``majority``
    regime : ``auto``, ``lf`` (programmatic sources) or ``annotator`` (crowds)
    use_dev : ``never``, or ``anchor``: gold rows of the dev split inform balance and accuracies
    """

    name: str
    task: str
    method: str = "auto"
    regime: str = "auto"
    use_dev: str = "never"
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A named list of feature columns of a relation.

    Attributes
    ----------
    servable : True, False, or None where not said: whether the columns exist at prediction time
    """

    name: str
    relation: str
    columns: tuple[str, ...]
    servable: bool | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A multitask model: tasks, where its rows come from, and which columns it may see.

    Attributes
    ----------
    tasks : (task, loss weight) pairs
    source : SQL text of the relation, or of a SELECT in parentheses
    columns : feature columns; ``*`` is all columns but the keys, gold and split columns
    excluded : columns that ``*`` leaves out
    feature_sets : names of feature sets whose columns are added
    labels_sql : a SELECT of keys and label that replaces the label model's labels, or None
    options : (name, value) pairs of the WITH clause, sorted by name
    """

    name: str
    tasks: tuple[tuple[str, float], ...]
    source: str
    columns: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    feature_sets: tuple[str, ...] = ()
    labels_sql: str | None = None
    options: tuple[tuple[str, Option], ...] = ()
    comment: str | None = None
