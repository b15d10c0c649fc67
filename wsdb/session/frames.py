"""Calls to DuckDB made as if from the user's own code, so that it finds the user's variables as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

_CALL = compile("__wsdb_call(*__wsdb_arguments, **__wsdb_named)", "<wsdb>", "eval")


def call_as(
    frame: FrameType | None,
    function: Callable[..., Any],
    arguments: Sequence[Any] = (),
    named: Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Any:
    """Call a function of DuckDB's so that its caller appears to be `frame`.

    DuckDB reads a name that is no table as a variable of the calling frame: a frame of ours in between would hide the
    user's data frames.

    Parameters
    ----------
    variables : further names to be found as variables, such as a result table
    """
    scope = {} if frame is None else frame.f_globals
    local: dict[str, Any] = {} if frame is None else dict(frame.f_locals)
    local.update(variables or {})
    local.update(__wsdb_call=function, __wsdb_arguments=arguments, __wsdb_named=named or {})
    return eval(_CALL, scope, local)
