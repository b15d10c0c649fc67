"""Option: one option of CREATE MODEL, and how its value is read."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from wsdb.core.duration import seconds_of
from wsdb.core.errors import SpecError


@dataclass(frozen=True, slots=True)
class Option:
    """One option of CREATE MODEL … WITH (…).

    Attributes
    ----------
    name : as written in SQL
    type : SQL type of the value, INTEGER, DOUBLE, BOOLEAN, VARCHAR, VARCHAR[], DOUBLE[], INTERVAL, kept as its text, or
        STRUCT: lists of values by name of an option; lists and structs may be NULL
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
        if self.type == "DOUBLE[]":
            return "a list of numbers above 0, as in [1, 0.5]"
        if self.type == "INTERVAL":
            return f"a length of time, as in INTERVAL '10 minutes', or {words}"
        if self.type == "STRUCT":
            return "lists of values by option, as in {lr: [0.1, 0.5], hidden: [0, 64]}"
        kind = "a whole number" if self.type == "INTEGER" else "a number"
        numbers = f"{kind} from {_shown(self.low)}" + (" up" if self.high is None else f" to {_shown(self.high)}")
        return f"{numbers}, or {words}" if words else numbers

    def _numbers(self, value: Any) -> bool:
        if not isinstance(value, (list, tuple)) or any(isinstance(item, (str, bool)) for item in value):
            return False
        return all((number := _number(item, whole=False)) is not None and 0 < number < inf for item in value)

    def read(self, value: Any) -> Any:
        """Return `value` in the option's Python type, or raise SpecError WS307."""
        if isinstance(value, str) and value.lower() in self.choices:
            return value.lower()
        if self.type == "INTERVAL" and isinstance(value, str) and seconds_of(value):
            return " ".join(value.lower().split())
        if self.type == "BOOLEAN" and isinstance(value, bool):
            return value
        if self.type == "VARCHAR[]" and (value is None or _names(value)):
            return None if value is None else tuple(value)
        if self.type == "DOUBLE[]" and (value is None or self._numbers(value)):
            return None if value is None else tuple(float(item) for item in value)
        if self.type == "STRUCT" and (value is None or _lists(value)):
            return tuple((name, tuple(values)) for name, values in value) if value else None
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


def _shown(bound: float | None) -> str:
    return f"{bound:,.0f}" if float(bound or 0).is_integer() else f"{bound:g}"


def _lists(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[1], (list, tuple)) for pair in value
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
