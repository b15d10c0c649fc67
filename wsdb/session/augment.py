"""More training rows: transformation functions drawn for each train row by a policy, and applied one after the other.

A policy is a probability for each function (Ratner et al. 2017 call it a mean-field policy); the random one has them
all alike. Which functions a row gets is a hash of its key, the seed, the number of the copy and the step: the same rows
get the same functions in every version of DuckDB, and in every order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wsdb.core.sqltext import ident, idents, literal, literals
from wsdb.core.task import Task
from wsdb.core.transformation import TransformationFunction, applied
from wsdb.session.rooms import Rooms
from wsdb.session.training_rows import row_keys

FUNCTIONS = "__functions"
"""The column of an augmented row that names the functions applied to its parent, in order."""
COPY = "__copy"
"""The column of an augmented row that numbers the copies of its parent, from 1."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How augmented rows are drawn.

    Attributes
    ----------
    functions : the transformation functions
    weights : their probabilities, which sum to 1
    length : functions applied to a row, one after the other
    copies : augmented rows of each train row
    seed : of the draws
    """

    functions: tuple[TransformationFunction, ...]
    weights: tuple[float, ...]
    length: int
    copies: int
    seed: int


def policy_of(functions: Sequence[TransformationFunction], options: Mapping[str, object]) -> Policy:
    """Return the policy that the options of a model say, with all functions alike where they give no weights."""
    given = options.get("augment_weights")
    weights = [float(weight) for weight in given] if isinstance(given, (list, tuple)) else [1.0] * len(functions)
    total = sum(weights)
    return Policy(
        tuple(functions),
        tuple(weight / total for weight in weights),
        int(str(options["augment_length"])),
        int(str(options["augment_copies"])),
        int(str(options["seed"])),
    )


def augmented_select(
    rooms: Rooms, policy: Policy, relation: str, columns: Sequence[tuple[str, str]], tasks: Sequence[Task]
) -> str:
    """Return the SELECT of the augmented rows: the relation's columns, ``__functions`` and ``__copy``.

    Only rows that are in the split train of one of the tasks have copies, and dev and test rows of any task have none.
    A function that drops a row ends that copy; one that multiplies a row multiplies it.

    Parameters
    ----------
    columns : (name, type) of the relation
    """
    keys = row_keys(tasks[0])
    names = idents([name for name, _ in columns])
    train = f"SELECT {names} FROM {relation} SEMI JOIN ({_train_keys(rooms, tasks)}) USING ({idents(keys)})"
    copies = []
    for copy in range(1, policy.copies + 1):
        rows = train
        for step in range(1, policy.length + 1):
            rows = _stepped(policy, rows, columns, keys, (copy, step))
        picks = ", ".join(_pick_name(policy, keys, (copy, step)) for step in range(1, policy.length + 1))
        copies.append(f"SELECT *, [{picks}] AS {FUNCTIONS}, {copy} AS {COPY} FROM ({rows})")
    return " UNION ALL ".join(copies)


def _train_keys(rooms: Rooms, tasks: Sequence[Task]) -> str:
    """Return the SELECT of the keys of rows that some task trains on and no task keeps for dev or test."""
    keys = row_keys(tasks[0])
    parts = [
        f"SELECT {', '.join(f'{ident(own)} AS {ident(key)}' for own, key in zip(row_keys(task), keys, strict=True))}, "
        f"split FROM {rooms.engine.table(f'rows_{task.name}')}"
        for task in tasks
    ]
    return (
        f"SELECT {idents(keys)} FROM ({' UNION ALL '.join(parts)}) GROUP BY {idents(keys)} "
        "HAVING bool_and(split IS NOT DISTINCT FROM 'train')"
    )


def _stepped(
    policy: Policy,
    rows: str,
    columns: Sequence[tuple[str, str]],
    keys: Sequence[str],
    place: tuple[int, int],
) -> str:
    """Return the SELECT that applies to each row the function that is drawn for it at a place (copy, step)."""
    names = idents([name for name, _ in columns])
    parts, low = [], 0.0
    drawn = _draw(policy, keys, place)
    for function, weight in zip(policy.functions, policy.weights, strict=True):
        high = 1.0 if function is policy.functions[-1] else low + weight
        picked = f"SELECT {names} FROM __drawn WHERE __at >= {low!r} AND __at < {high!r}"
        if weight > 0:
            parts.append(f"SELECT {names} FROM ({applied(function, picked, columns)})")
        low += weight
    return f"WITH __drawn AS (SELECT *, {drawn} AS __at FROM ({rows})) {' UNION ALL '.join(parts)}"


def _draw(policy: Policy, keys: Sequence[str], place: tuple[int, int]) -> str:
    """Return SQL of a number in [0, 1) that a row's key, the seed, the copy and the step decide."""
    salt = ":".join(map(str, (policy.seed, *place)))
    text = f"concat_ws(chr(31), {idents(keys)}, {literal(salt)})"
    return f"((md5_number_lower({text}) % 1000000007) / 1000000007.0)"


def _pick_name(policy: Policy, keys: Sequence[str], place: tuple[int, int]) -> str:
    """Return SQL of the name of the function that is drawn at a place."""
    ends, total = [], 0.0
    for weight in policy.weights[:-1]:
        total += weight
        ends.append(total)
    drawn = _draw(policy, keys, place)
    at = " + ".join(f"({drawn} >= {end!r})::INTEGER" for end in ends) or "0"
    return f"([{literals([function.name for function in policy.functions])}])[1 + {at}]"
