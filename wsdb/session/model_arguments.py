"""The arguments of the functions that report on models: whether what they name exists."""

from __future__ import annotations

import json

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError, ModelError, SpecError, did_you_mean
from wsdb.core.span import Span
from wsdb.monitor.bodies import MEMBERS
from wsdb.session import segments
from wsdb.session.arguments import Given
from wsdb.session.calls import Call
from wsdb.session.rooms import Rooms

GOLD_FREE = ("explain_predict", "slices", "constraint_violations")
"""Reports that need no gold."""


def check(rooms: Rooms, call: Call, name: str, snapshot: CatalogSnapshot, given: Given) -> None:
    """Check what a call names besides its model, and say which tasks cannot be scored for want of gold.

    Parameters
    ----------
    name : the first argument: a model or task, with or without a version

    Raises
    ------
    CatalogError
        WS201 for a task that the model does not have, for the other model of a comparison that is not there or has no
        such task, and for a slice, tag or source that is not there.
    SpecError
        WS302 for a label that no task of the model has; WS307 for a top_k below 1.
    """
    tasks = _tasks(name, snapshot)
    wanted = given("task")
    if wanted is not None:
        tasks = [_of(str(wanted[0]), tasks, f'"{name}" has no task', wanted)]
    if call.name == "compare":
        _check_other(snapshot, name, tasks, given)
    label = given("label")
    if label is not None:
        known = [own for task in tasks if snapshot.find("task", task) for own in snapshot.task(task).labels]
        if str(label[0]).lower() not in (own.lower() for own in known):
            raise SpecError(
                "WS302",
                f"unknown label '{label[0]}'; \"{name}\" has ({', '.join(map(repr, known[:8]))})",
                span=label[1],
                hint=did_you_mean(str(label[0]), known),
            )
    if call.name == "explain_predict":
        _check_explained(given)
    _check_segments(snapshot, name, given)
    for task in tasks if call.name not in GOLD_FREE else ():
        if snapshot.find("task", task) is not None and snapshot.task(task).gold is None:
            rooms.notice(f"{call.name}: task {task} has no GOLD to compare with")


def _tasks(name: str, snapshot: CatalogSnapshot) -> list[str]:
    plain = name.partition("@")[0]
    model = snapshot.find("model", plain)
    return [task for task, _ in snapshot.model(plain).tasks] if model is not None else [snapshot.task(plain).name]


def _of(name: str, known: list[str], what: str, given: tuple[object, Span]) -> str:
    """Return the known name that `name` is, without regard to case."""
    found = next((one for one in known if one.lower() == name.lower()), None)
    if found is None:
        raise CatalogError(
            "WS201",
            f'{what} "{name}"; it has {", ".join(known[:8])}{", …" if len(known) > 8 else ""}',
            span=given[1],
            hint=did_you_mean(name, known),
            name=name,
        )
    return found


def _check_other(snapshot: CatalogSnapshot, name: str, tasks: list[str], given: Given) -> None:
    """Raise where the other model of a comparison is not there, or has none of the tasks; versions had their own."""
    other = given("other")
    if other is None:
        return
    plain = str(other[0])
    check_model(plain, other[1], snapshot)
    if "@" in name + plain:
        return
    known = _tasks(plain, snapshot)
    if not {task.lower() for task in tasks} & {task.lower() for task in known}:
        raise CatalogError(
            "WS201",
            f'"{plain}" has no task {" or ".join(tasks)} to compare with "{name}"; it has {", ".join(known[:8])}',
            span=other[1],
            name=plain,
        )


def _check_explained(given: Given) -> None:
    top = given("top_k")
    if top is not None and (not isinstance(top[0], int) or top[0] < 1):
        raise SpecError("WS307", f"top_k is a whole number of at least 1, not {top[0]!r}", span=top[1])


def _check_segments(snapshot: CatalogSnapshot, name: str, given: Given) -> None:
    """Raise where a slice or tag is not among those of the model's rows, or BY asks for what there is none of."""
    by = given("by")
    kinds = [kind for kind in MEMBERS if by is not None and str(by[0]).lower() == kind]
    for kind in (*kinds, "slice", "tag"):
        found = by if kind in kinds else given(kind)
        if found is None:
            continue
        known = [group.name for group in segments.groups(snapshot, kind, segments.of_name(snapshot, name))]
        if not known:
            raise CatalogError(
                "WS201",
                f'no {kind} is on a relation of "{name}"',
                span=found[1],
                hint=f"CREATE {kind.upper()} makes one",
                name=str(found[0]),
            )
        if kind not in kinds:
            _of(str(found[0]), known, f'no {kind} of "{name}" is', found)


def check_model(name: str, span: Span, snapshot: CatalogSnapshot) -> None:
    """Raise unless `name` is a trained model, a task that one serves, or a version of either."""
    plain, mark, version = name.partition("@")
    model = snapshot.models.get(plain.lower())
    serving = snapshot.serving.get(plain.lower())
    if model is not None or serving is not None:
        newest = model.version if model is not None else serving[1] if serving is not None else 0
        if mark and not (version.isdigit() and 1 <= int(version) <= newest):
            raise CatalogError(
                "WS207", f'"{plain}" has no version "{version}"; its newest is {newest}', span=span, name=name
            )
        return
    if snapshot.find("task", plain) is not None:
        raise ModelError(
            "WS501",
            f'task "{plain}" has no model yet',
            span=span,
            hint=f"CREATE MODEL m FOR TASK {plain} FROM … FEATURES (…) trains one",
        )
    known = [*snapshot.names("model"), *snapshot.names("task")]
    raise CatalogError(
        "WS201", f'there is no model and no task "{plain}"', span=span, hint=did_you_mean(plain, known), name=name
    )


def check_labels(rooms: Rooms, name: str, snapshot: CatalogSnapshot) -> None:
    """Say where a model was trained on other labels than its task has now."""
    plain, _, version = name.partition("@")
    served = snapshot.serving.get(plain.lower())
    model = plain if plain.lower() in snapshot.models else served[0] if served is not None else plain
    rows = rooms.engine.rows(
        f"SELECT version, manifest->'$.tasks' FROM {rooms.engine.table('model_versions')} "
        "WHERE lower(model) = ? AND (? = '' OR version = TRY_CAST(? AS INTEGER)) ORDER BY version DESC LIMIT 1",
        [model.lower(), version, version],
    )
    for number, tasks in rows:
        for trained in json.loads(tasks):
            found = snapshot.find("task", trained["name"])
            if found is not None and tuple(trained["labels"]) != snapshot.task(found.name).labels:
                rooms.notice(
                    f"model {model}@{number} was trained when task {found.name} had the labels "
                    f"({', '.join(trained['labels'][:8])}); they have changed: REFRESH MODEL {model}"
                )
