"""The specs of label models, feature sets and models."""

from __future__ import annotations

from dataclasses import dataclass

Values = tuple[str | float, ...]
Option = str | int | float | bool | None | Values | tuple[tuple[str, Values], ...]


@dataclass(frozen=True, slots=True)
class LabelModelSpec:
    """How the votes of one task, or of several at once, are de-noised.

    Attributes
    ----------
    task : the task; the first one where there are several
    method : one of `LABEL_MODEL_METHODS` of the grammar
    regime : ``auto``, ``lf`` (programmatic sources) or ``annotator`` (crowds)
    use_dev : ``never``; ``anchor``: gold rows of the dev split inform balance and accuracies; ``select``: they pick the
        method, the one with the best score on them
    tasks : all tasks, in the order given; always starts with `task`
    graph : the task graph whose rules tie the tasks together, or None
    structure : which dependencies between labeling functions count: ``auto``, ``none``, ``static`` (read off their
        definitions), ``learned`` (from votes) or ``declared`` (their DEPENDS ON)
    prior : where class shares come from: ``auto``, ``uniform`` or ``declared`` (the task's CLASS BALANCE)
    abstain_informative : whether an abstain is evidence, instead of none
    calibrate : whether probabilities are corrected for overconfidence
    max_iter : the most iterations of the fit; None is the method's own
    tol : the change at which the fit stops; None is the method's own
    """

    name: str
    task: str
    method: str = "auto"
    regime: str = "auto"
    use_dev: str = "never"
    tasks: tuple[str, ...] = ()
    graph: str | None = None
    structure: str = "auto"
    prior: str = "auto"
    abstain_informative: bool = False
    calibrate: bool = True
    max_iter: int | None = None
    tol: float | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", (self.task, *self.tasks[1:]))


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
    tasks : (task, loss weight) pairs; ``(("*", 1.0),)`` is all tasks on the source, until the model is created
    source : SQL text of the relation, or of a SELECT in parentheses; empty where not said, until the model is created
    columns : feature columns; ``*`` is all columns but the keys, gold and split columns
    excluded : columns that ``*`` leaves out
    feature_sets : names of feature sets whose columns are added
    payloads : names of the payloads that are read besides the features
    slices : names of the slices that get capacity of their own; ``("*",)`` is all slices on the source's relation, as
        they are when the model is trained
    augment : names of the transformation functions that make more training rows
    labels_from : SELECTs of keys and labels, which replace the label model's labels of the tasks they have columns of
    options : (name, value) pairs of the WITH clause, sorted by name
    """

    name: str
    tasks: tuple[tuple[str, float], ...]
    source: str
    columns: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    feature_sets: tuple[str, ...] = ()
    payloads: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    augment: tuple[str, ...] = ()
    labels_from: tuple[str, ...] = ()
    options: tuple[tuple[str, Option], ...] = ()
    comment: str | None = None
