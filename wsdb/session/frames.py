"""Calls to DuckDB made as if from the user's own code, so that it finds the user's variables as tables."""

from __future__ import annotations

import inspect
import sys
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
    if frame is None:
        return function(*arguments, **(named or {}))
    local = {**frame.f_locals, **(variables or {})}
    if sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        frame.f_locals.clear()  # a copy that the frame would keep: it would outlive the user's own `del frame`
    local.update(__wsdb_call=function, __wsdb_arguments=arguments, __wsdb_named=named or {})
    # DuckDB names the place of a variable that is no table: it is the user's line.
    code = _CALL.replace(co_filename=frame.f_code.co_filename, co_firstlineno=frame.f_lineno)
    return eval(code, frame.f_globals, local)
