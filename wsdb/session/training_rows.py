"""The SELECT that feeds training: features, and for each task the labels of train rows and the gold of dev rows."""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.core.payload import POS, Payload
from wsdb.core.rowsql import gold_labels
from wsdb.core.slice import Slice, elements_of
from wsdb.core.sqltext import ident, idents, literals
from wsdb.core.task import Task
from wsdb.labelmodel.shapes import SHAPES
from wsdb.planner.steps import GivenLabels, Train
from wsdb.session.rooms import Rooms

ROWS = "__rows"
SAMPLED = 200_000
"""Of about so many rows the labels by which a model is calibrated are read."""


def on_elements(task: Task) -> bool:
    """Return whether a task labels the elements of a payload, whose rows its keys number."""
    return task.payload is not None and task.keys[-1].lower() == POS


def row_keys(task: Task) -> tuple[str, ...]:
    """Return the columns that identify the row which a task labels, or whose elements it labels."""
    return task.keys[:-1] if on_elements(task) else task.keys


def training_query(rooms: Rooms, step: Train, *, uncovered: str, relation: str | None = None) -> str:
    """Return the SELECT of training rows: each row of the model's source once.

    Its columns are ``__key``; the features and the columns of payloads; for each task ``__p_<task>``, the probabilities
    of its labels in rows of the split train, and ``__g_<task>``, one-hot gold in rows of the split dev, where the task
    has gold; for each slice ``__s_<slice>``, whether the row is a member, or the places of the elements that are. A
    task on elements has a list of labels, as long as the payload's, with NULL for an element without one. Labels of a
    bitvector are numbers of their own, NULL where nothing is known of one. Rows of the split test have neither. Where
    other probabilities may be learned than those of ``labels``, ``__o_<task>`` has these, of about `SAMPLED` rows.

    Parameters
    ----------
    uncovered : ``drop``, or ``prior`` where rows that no source labels are taught the prior
    relation : what to read in place of the model's source: rows with its columns, made from its rows
    """
    joins: list[str] = []
    outputs = [f"concat_ws(chr(31), {idents(row_keys(step.tasks[0]), f'{ROWS}.')}) AS __key"]
    outputs += [f"{ROWS}.{ident(name)}" for name, _ in step.columns]

    def join(select: str, keys: Sequence[str], alias: str) -> None:
        on = " AND ".join(f"{ROWS}.{ident(key)} = {alias}.{ident(key)}" for key in keys)
        joins.append(f"LEFT JOIN ({select}) AS {alias} ON {on}")

    sampled = calibrated_by_labels(rooms, step)
    for at, task in enumerate(step.tasks):
        join(labels_select(rooms, step, task, uncovered=uncovered), row_keys(task), f"__t{at}")
        outputs.append(f"__t{at}.probs AS {ident(f'__p_{task.name}')}")
        if task.gold is not None:
            join(gold_select(rooms, task), row_keys(task), f"__g{at}")
            outputs.append(f"__g{at}.probs AS {ident(f'__g_{task.name}')}")
        if task.name in sampled:
            join(sampled_labels(rooms, task, sampled[task.name]), task.keys, f"__o{at}")
            outputs.append(f"__o{at}.probs AS {ident(f'__o_{task.name}')}")
    for at, (keys, own) in enumerate(slices_by_key(step).items()):
        join(members_select(rooms, keys, own), keys, f"__s{at}")
        for number, (group, payload) in enumerate(own):
            there = "" if payload is not None else " IS NOT NULL"
            outputs.append(f"__s{at}.own[{number}]{there} AS {ident(f'__s_{group.name}')}")
    return f"SELECT {', '.join(outputs)} FROM {relation or step.spec.source} AS {ROWS} " + " ".join(joins)


def slices_by_key(step: Train) -> dict[tuple[str, ...], list[tuple[Slice, Payload | None]]]:
    """Return the slices of a model, with the payload whose elements they have, by the columns that identify a row."""
    found: dict[tuple[str, ...], list[tuple[Slice, Payload | None]]] = {}
    for group in step.slices:
        payload = elements_of(group, step.payloads)
        keys = tuple(sorted(key.lower() for key in group.keys if payload is None or key.lower() != POS))
        found.setdefault(keys, []).append((group, payload))
    return found


def members_select(rooms: Rooms, keys: tuple[str, ...], slices: Sequence[tuple[Slice, Payload | None]]) -> str:
    """Return the SELECT of row keys and ``own``, a map from the number of each slice of the row to its members' places.

    Of a slice of rows these are a NULL. One join for all slices: DuckDB plans hundreds of them for a long time.
    """
    names = idents(keys)
    parts = [
        f"SELECT {names}, {number} AS __slice, {'NULL' if payload is None else POS}::BIGINT AS __pos "
        f"FROM {rooms.engine.table(group.stored)}"
        for number, (group, payload) in enumerate(slices)
    ]
    places = f"SELECT {names}, __slice, list(__pos) AS places FROM ({' UNION ALL '.join(parts)}) GROUP BY ALL"
    return f"SELECT {names}, map(list(__slice), list(places)) AS own FROM ({places}) GROUP BY {names}"


def labels_select(rooms: Rooms, step: Train, task: Task, *, uncovered: str) -> str:
    """Return the SELECT of row keys and ``probs``, the training labels of rows of the split train."""
    given = step.given_to(task)
    if given is not None:
        return _regrouped(given_select(rooms, given, task), task)
    used = "split IS NOT DISTINCT FROM 'train'" + ("" if uncovered == "prior" else " AND covered")
    table = rooms.engine.table(f"training_{task.name}")
    return _regrouped(f"SELECT {idents(task.keys)}, CASE WHEN {used} THEN probs END AS probs FROM {table}", task)


def calibrated_by_labels(rooms: Rooms, step: Train) -> dict[str, int]:
    """Return the tasks of which other probabilities may be learned than those of ``labels``, with their rows.

    A model is calibrated by those of ``labels`` then.
    """
    snapshot = rooms.catalog.snapshot()
    own = [task for task in step.tasks if step.given_to(task) is None and not on_elements(task)]
    own = [task for task in own if snapshot.label_model(task.name).graph is None]
    return {
        task.name: snapshot.matrices[task.name.lower()].n_rows
        for task in own
        if rooms.catalog.shape_of_run(task.name) not in SHAPES
    }


def sampled_labels(rooms: Rooms, task: Task, n_rows: int) -> str:
    """Return the SELECT of keys and ``probs``, those of ``labels``, of about `SAMPLED` of the task's rows at most."""
    where = f"covered AND hash({idents(task.keys)}) % {n_rows // SAMPLED + 1} = 0"
    labels = rooms.engine.table(f"labels_{task.name}")
    return f"SELECT {idents(task.keys)}, map_values(probs) AS probs FROM {labels} WHERE {where}"


def gold_select(rooms: Rooms, task: Task) -> str:
    """Return the SELECT of row keys and ``probs``, one-hot gold of rows of the split dev; other rows have NULL."""
    table = rooms.engine.table(f"rows_{task.name}")
    gold, known = "gold", "gold IS NOT NULL"
    if task.kind == "bitvector":
        gold = gold_labels("gold")
    if task.kind == "select":  # the other elements of a row are not the one that is picked
        known = f"(bool_or(gold = 'yes') OVER (PARTITION BY {idents(row_keys(task))}))"
        gold = "coalesce(gold, 'no')"
    dev = f"CASE WHEN split IS NOT DISTINCT FROM 'dev' AND {known} THEN {hot(task, gold)} END"
    return _regrouped(f"SELECT {idents(task.keys)}, {dev} AS probs FROM {table}", task)


def _regrouped(select: str, task: Task) -> str:
    """Return a SELECT of keys and ``probs`` with a row for each row of the relation: elements become lists."""
    if not on_elements(task):
        return select
    keys = idents(row_keys(task))
    lists = f"CASE WHEN bool_or(probs IS NOT NULL) THEN list(probs ORDER BY {POS}) END"
    return f"SELECT {keys}, {lists} AS probs FROM ({select}) GROUP BY {keys}"


def hot(task: Task, label: str) -> str:
    """Return SQL of a label as one number for each label of the task; NULL where it is none of them.

    Of a bitvector the label is a list of labels.
    """
    names = f"[{literals(task.labels)}]"
    if task.kind == "bitvector":
        return f"list_transform({names}, lambda __l: CAST(list_contains({label}, __l) AS DOUBLE))"
    hot = f"list_transform({names}, lambda __l: CAST(__l = {label} AS DOUBLE))"
    return f"CASE WHEN list_contains({names}, {label}) THEN {hot} END"


def given_rows(rooms: Rooms, given: GivenLabels, task: Task) -> str:
    """Return the SELECT of the labels of LABELS FROM: the task's keys, as the task has them, and ``__label``.

    A key that cannot be one of the task is NULL. Rows without a label are left out.
    """
    types = dict(rooms.engine.columns(rooms.engine.table(f"rows_{task.name}")))
    keys = ", ".join(
        f"TRY_CAST({ident(own)} AS {types[key]}) AS {ident(key)}"
        for own, key in zip(given.keys, task.keys, strict=True)
    )
    label = ident(given.label)
    return f"SELECT {keys}, {label} AS __label FROM (\n{given.sql}\n) WHERE {label} IS NOT NULL"


def given_select(rooms: Rooms, given: GivenLabels, task: Task) -> str:
    """Return the SELECT of keys and ``probs`` from LABELS FROM: those of rows of the split train, NULL without a label.

    What a map of a bitvector does not name is unknown; other maps give it the probability 0. Of a select task, elements
    that are not named are not the one that is picked, where one of their row is.
    """
    if given.soft:
        probs = soft(task, "CAST(g.__label AS MAP(VARCHAR, DOUBLE))")
    else:
        probs = hot(task, "g.__label" if task.kind == "bitvector" else "CAST(g.__label AS VARCHAR)")
    known = "r.split IS NOT DISTINCT FROM 'train' AND g.__label IS NOT NULL"
    found = (
        f"SELECT {idents(task.keys)}, CASE WHEN {known} THEN {probs} END AS probs "
        f"FROM {rooms.engine.table(f'rows_{task.name}')} AS r LEFT JOIN ({given_rows(rooms, given, task)}) AS g "
        f"USING ({idents(task.keys)})"
    )
    if task.kind != "select":
        return found
    picked = f"bool_or(probs[2] > 0) OVER (PARTITION BY {idents(row_keys(task))})"
    return (
        f"SELECT {idents(task.keys)}, CASE WHEN {picked} THEN coalesce(probs, [1.0, 0.0]) END AS probs FROM ({found})"
    )


def soft(task: Task, shares: str) -> str:
    """Return SQL of probabilities by label, a MAP(VARCHAR, DOUBLE), as one number for each label of the task."""
    names = f"[{literals(task.labels)}]"
    if task.kind == "bitvector":
        return f"list_transform({names}, lambda __l: {shares}[__l])"
    return f"list_transform({names}, lambda __l: coalesce({shares}[__l], 0) / list_sum(map_values({shares})))"
