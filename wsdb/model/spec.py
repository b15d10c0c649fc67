"""TrainSpec and TaskTarget: what to train. OPTIONS says the same to the SQL front end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from wsdb.core.errors import SpecError, did_you_mean


@dataclass(frozen=True, slots=True)
class TaskTarget:
    """One task of a network.

    Attributes
    ----------
    name : name of the task; its labels come in the column ``__p_<name>``
    labels : the k class names, in the order of the probabilities
    weight : weight of the task's loss, above 0
    balance : share of each class, k positive numbers that sum to 1; None where unknown
    """

    name: str
    labels: tuple[str, ...]
    weight: float = 1.0
    balance: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise SpecError("WS307", f'task "{self.name}" needs at least two labels, got {len(self.labels)}')
        if not self.weight > 0:
            raise SpecError("WS307", f'task "{self.name}" needs a weight above 0, got {self.weight}')
        if self.balance is not None and (
            len(self.balance) != len(self.labels) or min(self.balance) <= 0 or abs(sum(self.balance) - 1) > 1e-6
        ):
            raise SpecError(
                "WS307",
                f'the balance of task "{self.name}" must be {len(self.labels)} positive shares that sum to 1',
                balance=list(self.balance),
            )


@dataclass(frozen=True, slots=True)
class Option:
    """One option of CREATE MODEL … WITH (…).

    Attributes
    ----------
    name : as written in SQL
    type : SQL type of the value, INTEGER, DOUBLE, BOOLEAN, VARCHAR or VARCHAR[]; a list may be NULL, for none
    default : value where the option is not given
    description : one line
    choices : words allowed in place of (numbers) or as (VARCHAR) the value
    low, high : smallest and largest number, inclusive; None for no bound
    """

    name: str
    type: str
    default: Any
    description: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    def allowed(self) -> str:
        """Say in words which values the option takes."""
        words = ", ".join(f"'{choice}'" for choice in self.choices)
        if self.type == "VARCHAR":
            return f"one of {words}"
        if self.type == "BOOLEAN":
            return "true or false"
        if self.type == "VARCHAR[]":
            return "a list of names, as in ['a', 'b']"
        kind = "a whole number" if self.type == "INTEGER" else "a number"
        numbers = f"{kind} from {self.low:g}" + (f" to {self.high:g}" if self.high is not None else " up")
        return f"{numbers}, or {words}" if words else numbers

    def read(self, value: Any) -> Any:
        """Return `value` in the option's Python type, or raise SpecError WS307."""
        if isinstance(value, str) and value.lower() in self.choices:
            return value.lower()
        if self.type == "BOOLEAN" and isinstance(value, bool):
            return value
        if self.type == "VARCHAR[]" and (value is None or _names(value)):
            return tuple(value) if value else None
        if self.type in ("INTEGER", "DOUBLE") and not isinstance(value, (str, bool)):
            number = _number(value, whole=self.type == "INTEGER")
            if (
                number is not None
                and (self.low is None or number >= self.low)
                and (self.high is None or number <= self.high)
            ):
                return number
        raise SpecError(
            "WS307",
            f"option {self.name} must be {self.allowed()}; got {value!r}",
            option=self.name,
            value=value,
        )


def _names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _number(value: Any, *, whole: bool) -> int | float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not whole:
        return number
    return int(number) if number.is_integer() else None


def _option(default: Any, description: str, **facts: Any) -> Any:
    return field(default=default, metadata={"description": description, **facts})


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """How to train. Every option has a default; the defaults are one configuration for all data.

    A value outside its range raises SpecError WS307. The fields' meanings are in `OPTIONS`.
    """

    epochs: int = _option(15, "most passes over the training rows", low=1, high=1000)
    batch_size: int | str = _option(
        "auto",
        "rows per step; auto is 64 to 1024, growing with the rows",
        low=1,
        high=65536,
        choices=("auto",),
    )
    lr: float | str = _option(
        "auto",
        "step size of Adagrad for sparse inputs; dense inputs use a tenth; auto is 0.125 with a shared layer, else 0.5",
        low=1e-6,
        high=100,
        choices=("auto",),
    )
    seed: int = _option(0, "seed of the order of rows, of dropout and of first weights", low=0, high=2**31 - 1)
    hidden: int | str = _option(
        "auto",
        "width of the shared layer over all columns but text; 0 for none",
        low=0,
        high=4096,
        choices=("auto",),
    )
    buckets_bits: int = _option(18, "each text column hashes into 2^buckets_bits buckets", low=8, high=24)
    word_ngrams: int = _option(2, "longest run of neighboring words that makes a text feature", low=1, high=4)
    char_ngrams: str = _option(
        "none",
        "lengths of the character runs inside words that make text features",
        choices=("none", "3", "3-4", "3-5"),
    )
    min_rows: int = _option(2, "rows a text feature must occur in", low=1, high=1_000_000)
    sharpen: float | str = _option(
        "auto", "labels are raised to this power before training", low=0.1, high=100, choices=("auto",)
    )
    valid_share: float = _option(0.1, "share of labeled rows held out, chosen by key", low=0, high=0.5)
    patience: int = _option(3, "epochs without a better held-out loss before a task stops", low=1, high=1000)
    early_stop: bool = _option(True, "keep the epoch of the best held-out loss")
    calibrate: str = _option("temperature", "calibration on the held-out labels", choices=("temperature", "none"))
    prior_match: float = _option(
        0.5, "share of the offset that brings mean predictions to a known class balance", low=0, high=1
    )
    class_weights: str = _option("none", "weigh rows by the rarity of their class", choices=("none", "balanced"))
    uncovered: str = _option("drop", "rows without a label: dropped, or taught the prior", choices=("drop", "prior"))
    dropout: float = _option(0.0, "share of inputs hidden at random while training", low=0, high=0.9)
    weight_decay: float | str = _option(
        "auto", "L2 penalty; auto is larger for tables of few rows", low=0, high=10, choices=("auto",)
    )
    device: str = _option("auto", "where to train", choices=("auto", "cpu", "cuda", "mps"))
    loss: str = _option("soft", "train on probabilities, or on the likeliest label", choices=("soft", "hard"))
    deterministic: bool = _option(True, "same data, seed, machine and threads give the same bits")
    text: tuple[str, ...] | None = _option(None, "VARCHAR columns to read as text, whatever their values")
    categories: tuple[str, ...] | None = _option(None, "VARCHAR columns to read as categories, whatever their values")

    def __post_init__(self) -> None:
        for option in OPTIONS.values():
            object.__setattr__(self, option.name, option.read(getattr(self, option.name)))
        both = sorted(set(self.text or ()) & set(self.categories or ()))
        if both:
            raise SpecError(
                "WS307", f"column {both[0]} is named by both options text and categories", option="categories"
            )


_SQL_TYPES = {"int": "INTEGER", "float": "DOUBLE", "bool": "BOOLEAN", "str": "VARCHAR", "tuple[str,": "VARCHAR[]"}

OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        item.name: Option(
            name=item.name,
            type=_SQL_TYPES[str(item.type).split(" ")[0]],
            default=item.default,
            **item.metadata,
        )
        for item in dataclasses.fields(TrainSpec)
    }
)
"""Every option by name, in the order of `TrainSpec`."""


def train_spec(options: Mapping[str, object]) -> TrainSpec:
    """Build a TrainSpec from the options a user wrote.

    Parameters
    ----------
    options : values by name; names in any case; what is left out has its default

    Raises
    ------
    SpecError  WS307 for an unknown name (with the nearest one), a wrong type or a value out of range.

    Examples
    --------
    >>> train_spec({"EPOCHS": 5}).epochs
    5
    """
    read: dict[str, Any] = {}
    for name, value in options.items():
        option = OPTIONS.get(name.lower())
        if option is None:
            raise SpecError(
                "WS307",
                f'unknown model option "{name}"',
                hint=did_you_mean(name, OPTIONS) or f"options are {', '.join(OPTIONS)}",
                option=name,
            )
        read[option.name] = option.read(value)
    return TrainSpec(**read)
