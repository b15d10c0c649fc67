"""How a value is written in the expected part of a `.test` file, and when two such texts are the same."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from tests.slt.records import IGNORE

EMPTY = "(empty)"


def rows_as_lines(rows: Sequence[Sequence[Any]], types: str) -> list[str]:
    """Return the expected lines for `rows`: one per row, values separated by tabs.

    The only value of a one-column row may run over several lines (a plan, a rendered table): it is written as
    it is, a blank line in it as ``(empty)``, since a blank line ends the record.
    """
    lines: list[str] = []
    for row in rows:
        if len(row) == 1 and isinstance(row[0], str) and "\n" in row[0]:
            lines += [part.rstrip() or EMPTY for part in row[0].rstrip("\n").split("\n")]
        else:
            texts = (text_of(value, letter) for value, letter in zip(row, types, strict=True))
            lines.append("\t".join(text.replace("\t", "\\t").replace("\n", "\\n") for text in texts).rstrip(" "))
    return lines


def text_of(value: Any, letter: str = "T") -> str:
    """Return one value as text: NULL, (empty), true, floats to six decimals, nested values as in DuckDB."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value, letter)
    if isinstance(value, str):
        return value or EMPTY
    if isinstance(value, dict):
        return "{" + ", ".join(f"'{key}': {text_of(item, letter)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(text_of(item, letter) for item in value) + "]"
    if isinstance(value, bytes):
        return "\\x" + value.hex() if value else EMPTY
    return str(value)


def _float(value: float, letter: str) -> str:
    """Return `value` to six decimals; in an R column, one under 0.001 keeps six digits instead."""
    if not math.isfinite(value):
        return str(value)
    if letter == "R" and 0 < abs(value) < 1e-3:
        return f"{value:.6g}"
    return repr(round(value, 6) + 0.0)  # + 0.0 makes -0.0 plain


def same_line(expected: str, actual: str, types: str = "") -> bool:
    """Return whether `actual` is what `expected` says, ignored parts and the tolerance of R columns aside."""
    wanted, got = expected.split("\t"), actual.split("\t")
    if len(wanted) != len(got):
        return False
    letters = types if len(types) == len(wanted) else "T" * len(wanted)
    return all(_same_value(*cell) for cell in zip(wanted, got, letters, strict=True))


def _same_value(expected: str, actual: str, letter: str) -> bool:
    if IGNORE in expected:
        pattern = ".*".join(re.escape(part) for part in expected.split(IGNORE))
        return re.fullmatch(pattern, actual) is not None
    if expected == actual:
        return True
    if letter != "R":
        return False
    try:
        wanted, got = float(expected), float(actual)
    except ValueError:
        return False
    # Both were rounded to six decimals (or digits), so they may differ by one in the last place.
    return wanted != 0 and abs(wanted - got) <= (1.5e-6 if abs(wanted) >= 1e-3 else 1e-5 * abs(wanted))
