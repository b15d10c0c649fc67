"""The options of a model: every one with its value, and what is said of those that change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import SpecError
from wsdb.core.payload import Payload
from wsdb.core.specs import ModelSpec
from wsdb.session.model_rules import has_rules
from wsdb.session.rooms import Rooms


def effective_options(given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return every training option with its value, checked and sorted by name."""
    from wsdb.model.spec import OPTIONS, train_spec

    spec = train_spec(dict(given))
    return tuple((name, getattr(spec, name)) for name in sorted(OPTIONS))


def check_effects(rooms: Rooms, spec: ModelSpec, payloads: Sequence[Payload], snapshot: CatalogSnapshot) -> None:
    """Say which options change nothing here, so that options of one project serve all its models.

    An option that has its default is not looked at. What hangs on the rows is found out by training, which says it too
    (`wsdb.model.resolve.idle_options`).

    Parameters
    ----------
    spec : with the value of every option
    payloads : that the model reads

    Raises
    ------
    SpecError
        WS307 for a threshold by a metric where no task has one, and for checkpoints of a database in memory.
    """
    from wsdb.model.spec import OPTIONS

    options = dict(spec.options)
    for names, reason in _idle(spec, options, payloads, snapshot):
        given = [name for name in names if options[name] != OPTIONS[name].default]
        if given:
            rooms.notice(f"model {spec.name}: {', '.join(given)} changed nothing: {reason}")
    if options["threshold"] in ("f1", "accuracy"):
        _check_threshold(rooms, spec, snapshot)
    if options["resume"] and rooms.engine.in_memory:
        raise SpecError(
            "WS307",
            'option "resume" keeps checkpoints beside the database file, and this database is in memory',
            hint="wsdb.connect(path) opens a file; or leave it out",
            option="resume",
        )


def _idle(
    spec: ModelSpec, options: Mapping[str, Any], payloads: Sequence[Payload], snapshot: CatalogSnapshot
) -> list[tuple[tuple[str, ...], str]]:
    """Return the options that nothing in the model reads, and why."""
    shapes = {payload.shape for payload in payloads}
    ruled = has_rules([snapshot.task(name) for name, _ in spec.tasks], snapshot)
    augment = ("augment_policy", "augment_copies", "augment_length", "augment_weights")
    rules = (
        ("sequence" not in shapes, ("encoder", "layers"), "the model reads no SEQUENCE payload"),
        ("sequence" in shapes and options["encoder"] == "bow", ("layers",), "encoder 'bow' has no blocks"),
        (not shapes & {"sequence", "set"}, ("width", "combine"), "the model reads no SEQUENCE or SET payload"),
        (not spec.slices, ("slice_mode",), "the model has no SLICES"),
        (not spec.augment, augment, "the model has no AUGMENT WITH"),
        (not ruled, ("decode",), "no constraint and no task graph relates its tasks"),
        (
            options["search"] == "none",
            ("trials", "budget", "pin", "space", "metric"),
            "without search nothing is compared",
        ),
        (not options["resume"], ("checkpoint_s",), "only resume = true keeps checkpoints"),
        (not options["early_stop"], ("patience",), "early_stop = false takes the last epoch"),
    )
    return [(names, reason) for idle, names, reason in rules if idle]


def _check_threshold(rooms: Rooms, spec: ModelSpec, snapshot: CatalogSnapshot) -> None:
    tasks = [snapshot.task(name) for name, _ in spec.tasks]
    left = [task for task in tasks if task.kind not in ("binary", "bitvector")]
    shown = ", ".join(f"{task.name} is {task.kind.upper()}" for task in left)
    if len(left) == len(tasks):
        raise SpecError(
            "WS307",
            f'option "threshold" moves the answers of BINARY and BITVECTOR tasks; {shown}',
            hint="the other kinds answer their likeliest label; leave it out",
            option="threshold",
        )
    if left:
        rooms.notice(f"model {spec.name}: threshold leaves tasks at their likeliest label: {shown}")
