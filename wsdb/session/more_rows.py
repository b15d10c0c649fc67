"""Training rows that are no rows of the model's source: made by transformation functions, or given by CREATE SOURCE."""

from __future__ import annotations

from collections.abc import Callable

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import SpecError, did_you_mean
from wsdb.core.slice import elements_of
from wsdb.core.source import LABEL, Source
from wsdb.core.specs import ModelSpec
from wsdb.core.sqltext import ident, literal
from wsdb.core.task import Task
from wsdb.planner.steps import Train
from wsdb.session.augment import Policy, augmented_select, policy_of
from wsdb.session.rooms import Rooms
from wsdb.session.training_rows import calibrated_by_labels, hot, on_elements, training_query


def sources_of(rooms: Rooms, spec: ModelSpec, snapshot: CatalogSnapshot) -> tuple[Source, ...]:
    """Return the sources of further rows for a model: those that the option names, else all for its relation.

    Raises
    ------
    SpecError
        WS348 for a source that is not there, or is for another relation.
    """
    known = {source.name.lower(): source for source in snapshot.sources(spec.source)}
    wanted = dict(spec.options).get("sources")
    if wanted is None:
        return tuple(known.values())
    assert isinstance(wanted, (list, tuple))
    for name in wanted:
        if str(name).lower() not in known:
            raise SpecError(
                "WS348",
                f'there is no source "{name}" for {spec.source}',
                hint=did_you_mean(str(name), known),
                option="sources",
            )
    return tuple(known[str(name).lower()] for name in wanted)


def source_hash(rooms: Rooms, source: Source) -> str:
    """Return the hash of the rows of a source."""
    stored = rooms.engine.table(source.stored)
    columns = [name for name, _ in rooms.engine.columns(stored, None, f'source "{source.name}"')]
    return rooms.engine.rows_hash(stored, columns)


def augmented(model: str) -> str:
    """Return the name of the view of the rows that transformation functions make for a model."""
    return f"augmented_{model}"


def rows_query(rooms: Rooms, step: Train, *, uncovered: str, policy: Policy | None) -> str:
    """Return the SELECT of all training rows of a model: those of its source, those made from them, and given ones.

    The view of what a policy makes is stored as ``wsdb.augmented_<model>``, which shows each row's parent (its key),
    the functions applied and the number of the copy.
    """
    base = training_query(rooms, step, uncovered=uncovered)
    view = rooms.engine.table(augmented(step.spec.name))
    rooms.engine.run(f"DROP VIEW IF EXISTS {view}")  # of another policy
    if policy is None and not step.more:
        return base
    parts = [f"SELECT *, false AS __augmented, NULL::VARCHAR AS __source FROM ({base})"]
    if policy is not None:
        columns = rooms.engine.columns(step.spec.source, None, f'model "{step.spec.name}"')
        select = augmented_select(rooms, policy, step.spec.source, columns, step.tasks)
        rooms.engine.run(f"CREATE VIEW {view} AS {select}")
        made = training_query(rooms, step, uncovered="drop", relation=view)
        apart = [ident(f"__g_{task.name}") for task in step.tasks if task.gold is not None]
        apart += [ident(f"__o_{name}") for name in calibrated_by_labels(rooms, step)]
        others = f"* EXCLUDE ({', '.join(apart)})" if apart else "*"
        parts.append(f"SELECT {others}, true AS __augmented, NULL::VARCHAR AS __source FROM ({made})")
    parts += [_given(rooms, step, source) for source in step.more]
    return " UNION ALL BY NAME ".join(parts)


def _given(rooms: Rooms, step: Train, source: Source) -> str:
    """Return the SELECT of the rows of a source with the labels that it gives them."""
    view = rooms.engine.table(source.stored)
    given = {name.lower() for name, _ in rooms.engine.columns(view, None, f'source "{source.name}"')}
    own = f"md5(CAST(r AS VARCHAR)) || chr(31) || {literal(source.name)}"  # a key of its own
    outputs = [f"{own} AS __key", *(f"r.{ident(name)}" for name, _ in step.columns)]
    for task in step.tasks:
        label = LABEL + task.name
        if label.lower() in given:
            outputs.append(f"{_probabilities(step, task, f'r.{ident(label)}')} AS {ident(f'__p_{task.name}')}")
    for group in step.slices:
        nothing = "false" if elements_of(group, step.payloads) is None else "NULL"
        outputs.append(f"{nothing} AS {ident(f'__s_{group.name}')}")
    return f"SELECT {', '.join(outputs)}, false AS __augmented, {literal(source.name)} AS __source FROM {view} AS r"


def _probabilities(step: Train, task: Task, label: str) -> str:
    """Return SQL of the one-hot probabilities of a label that a source gives, NULL for NULL."""
    if task.kind == "select":
        payload = next(part for part in step.payloads if part.name == task.payload)
        places = f"generate_series(1, len(r.{ident(payload.columns[0])}))"
        one = f"CASE WHEN __i = {label} THEN [0.0::DOUBLE, 1.0] ELSE [1.0::DOUBLE, 0.0] END"
        return f"CASE WHEN {label} IS NOT NULL THEN list_transform({places}, lambda __i: {one}) END"
    if on_elements(task):
        return f"list_transform({label}, lambda __e: {hot(task, '__e')})"
    return f"CASE WHEN {label} IS NOT NULL THEN {hot(task, label)} END"


def policy_for(step: Train, lowered: Callable[[Policy | None], float]) -> tuple[Policy | None, list[str]]:
    """Return the policy by which the rows of a model are augmented, None without functions, and notices.

    A learned one trains a network without augmented rows, and one with those of each function alone. A function's
    probability is proportional to how much it lowers the loss of rows that none of them was trained on; one that does
    not lower it is left out.

    Parameters
    ----------
    lowered : trains with the augmented rows of a policy, or None, and returns the loss of held-out rows

    Raises
    ------
    SpecError
        WS348 where the weights are not one above 0 for each function.
    """
    options = dict(step.spec.options)
    if not step.augment:
        return None, []
    weights = options.get("augment_weights")
    learned, mean_field = options["augment_policy"] == "learned", options["augment_policy"] == "mean_field"
    number = len(weights) if isinstance(weights, (list, tuple)) else 0
    if mean_field != bool(number) or (mean_field and number != len(step.augment)):
        raise SpecError(
            "WS348",
            f"augment_weights has {number} numbers; policy '{options['augment_policy']}' with {len(step.augment)} "
            f"transformation functions needs {len(step.augment) if mean_field else 'none'}",
            hint="WITH (augment_policy = 'mean_field', augment_weights = […]) gives each function a weight above 0",
            option="augment_weights",
        )
    policy = policy_of(step.augment, options)
    if not learned:
        return policy, []
    without = lowered(None)
    losses = [lowered(policy_of((function,), options)) for function in step.augment]
    gains = [max(0.0, without - loss) for loss in losses]
    if not sum(gains) > 0:
        return None, ["no transformation function lowers the loss of held-out rows; none is used"]
    found = policy_of(step.augment, {**options, "augment_weights": gains})
    kept = ", ".join(
        f"{function.name} {weight:.0%}" for function, weight in zip(step.augment, found.weights, strict=True) if weight
    )
    return found, [f"the learned policy draws {kept}"]
