"""Plan to text: one numbered line a step, the last to run first, inputs indented below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsdb.planner.steps import Step

SHOWN = 12
"""A list longer than this is cut, with the count of what is left."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a step did: rows out, seconds and bytes, its inputs not counted; None where the step does not know."""

    rows: int | None
    seconds: float
    bytes: int | None = None


def explain(step: Step, profiles: Mapping[int, Profile] | None = None) -> list[str]:
    """Return the lines of a plan.

    Parameters
    ----------
    profiles : by ``id`` of the step, what EXPLAIN ANALYZE measured
    """
    lines: list[str] = []

    def visit(at: Step, depth: int) -> None:
        text = " ".join([type(at).__name__, *(f"{name}={_value(value)}" for name, value in at.facts)])
        if profiles is not None and id(at) in profiles:
            profile = profiles[id(at)]
            text += "" if profile.rows is None else f" rows={profile.rows}"
            text += f" seconds={profile.seconds:.3f}"
            text += "" if profile.bytes is None else f" bytes={profile.bytes}"
        lines.append(f"{len(lines) + 1:02d}){'--' * depth}{text}")
        for part in at.inputs:
            visit(part, depth + 1)

    visit(step, 0)
    return lines


def _value(value: object) -> str:
    if isinstance(value, tuple):
        shown = ", ".join(str(item) for item in value[:SHOWN])
        more = f", … {len(value) - SHOWN} more" if len(value) > SHOWN else ""
        return f"[{shown}{more}]"
    return str(value)
