"""Python labeling functions as vectorised Arrow functions: a row on which one raises is counted, never lost."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import pyarrow as pa

from wsdb.catalog.fingerprint import digest
from wsdb.core.errors import DataError, SpecError, did_you_mean
from wsdb.core.lf import LabelingFunction, Python
from wsdb.core.span import Span
from wsdb.core.sqltext import shown_row
from wsdb.core.task import Task

BatchFunction = Callable[[pa.RecordBatch], Any]


def load(body: Python, name: str, span: Span | None = None) -> BatchFunction:
    """Return the function of a python body.

    Raises
    ------
    SpecError
        WS310 where the text does not compile or fails, defines no function of one argument, or the module has none.
    """
    if body.using:
        return _imported(body.source, name, span)
    try:
        parsed = _parsed(body.source, f"<labeling function {name}>")
    except SyntaxError as error:
        raise SpecError(
            "WS310", f'labeling function "{name}" is not Python: {error.msg} (line {error.lineno})', span=span
        ) from error
    defined = [node.name for node in parsed.body if isinstance(node, ast.FunctionDef)]
    if not defined:
        raise SpecError(
            "WS310",
            f'labeling function "{name}" defines no function',
            span=span,
            hint="write def lf(batch): … that takes a pyarrow.RecordBatch and returns one label or None for each row",
        )
    scope: dict[str, Any] = {"__name__": f"wsdb_lf_{name}"}
    try:
        exec(compile(parsed, f"<labeling function {name}>", "exec"), scope)
    except Exception as error:
        raise SpecError(
            "WS310",
            f'labeling function "{name}" cannot be loaded: {type(error).__name__}: {error}',
            span=span,
            hint="what it imports and computes outside of its functions must work where wsdb runs",
        ) from error
    function: BatchFunction = scope[defined[-1]]
    return function


def _parsed(source: str, filename: str) -> ast.Module:
    """Return the tree of a python text, which may be indented as a whole, but for its first line too."""
    try:
        return ast.parse(textwrap.dedent(source).strip("\n"), filename=filename)
    except SyntaxError:
        return ast.parse(inspect.cleandoc(source), filename=filename)


def _imported(place: str, name: str, span: Span | None) -> BatchFunction:
    module, _, attribute = place.partition(":")
    if not module or not attribute:
        raise SpecError("WS310", f"USING takes 'module:function', not '{place}'", span=span)
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            "WS310",
            f'labeling function "{name}" cannot be imported: {error}',
            span=span,
            hint="the module must be importable from where wsdb runs",
        ) from error
    if not callable(function):
        raise SpecError("WS310", f"'{place}' is not a function", span=span)
    imported: BatchFunction = function
    return imported


def source_of(body: Python) -> str:
    """Return the text that a python body's fingerprint covers: of a module's function, the module's file.

    The file is found without importing anything, because a read takes fingerprints and a read runs no Python of the
    file's. A module that is no plain file is covered by its name.
    """
    if not body.using:
        return body.source
    parts = body.source.partition(":")[0].split(".")
    for folder in sys.path:
        place = Path(folder or ".").joinpath(*parts)
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return f"{body.source}\n{file.read_text(errors='replace')}"
    return body.source


def code_of(function: Callable[..., Any]) -> str:
    """Return a fingerprint of a Python function: of its code, its defaults, and the plain values that it reads.

    Not covered is what it calls. Something that is callable but no function is covered by its name.
    """
    function = inspect.unwrap(getattr(function, "func", function))  # of functools.partial
    if not inspect.isfunction(function):
        return digest(getattr(function, "__module__", ""), getattr(function, "__qualname__", type(function).__name__))
    with contextlib.suppress(ValueError):  # what it closes over is not set yet
        read = inspect.getclosurevars(function)
        values = {**read.globals, **read.nonlocals}
        return digest(*_code(function.__code__), *map(_plain, (function.__defaults__, function.__kwdefaults__, values)))
    return digest(*_code(function.__code__))


def _code(code: CodeType) -> list[object]:
    """Return what a function's code does, wherever it stands in a file."""
    parts: list[object] = [code.co_code.hex(), *code.co_names, *code.co_varnames]
    for constant in code.co_consts:
        parts += _code(constant) if isinstance(constant, CodeType) else [_plain(constant)]
    return parts


def _plain(value: object) -> str:
    """Return a value as text where that is the same in every process, else its type."""
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_plain, value))})"
    if isinstance(value, set | frozenset):
        return f"({', '.join(sorted(map(_plain, value)))})"
    if isinstance(value, dict):
        return f"({', '.join(f'{_plain(key)}: {_plain(each)}' for key, each in value.items())})"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | re.Pattern):
        return repr(value)
    return digest(*_code(value.__code__)) if inspect.isfunction(value) else type(value).__qualname__


@dataclass(slots=True)
class PythonLF:
    """A python labeling function as DuckDB calls it: key struct and row struct in, label codes out.

    Attributes
    ----------
    failed : number of rows on which the function raised
    first : the keys of the first such row and the error's text
    error : an error about the function as a whole, kept because DuckDB hands over only its text
    """

    lf: LabelingFunction
    task: Task
    function: BatchFunction
    failed: int = 0
    first: tuple[dict[str, Any], str] | None = None
    error: BaseException | None = None
    type: pa.DataType = field(init=False)

    def __post_init__(self) -> None:
        self.type = pa.int8() if self.task.code_type == "TINYINT" else pa.int16()

    def __call__(self, keys: pa.ChunkedArray, rows: pa.ChunkedArray) -> pa.Array:
        """Return the codes of one batch: int8 or int16, NULL where the function abstains or raised."""
        batch = pa.RecordBatch.from_struct_array(_whole(rows))
        try:
            return self.codes(self.function(batch), batch.num_rows)
        except (DataError, KeyboardInterrupt) as error:
            self.error = self.error or error
            raise
        except Exception:
            return self._row_by_row(_whole(keys), batch)

    def _row_by_row(self, keys: pa.StructArray, batch: pa.RecordBatch) -> pa.Array:
        parts = []
        for at in range(batch.num_rows):
            try:
                parts.append(self.codes(self.function(batch.slice(at, 1)), 1))
            except (DataError, KeyboardInterrupt) as error:
                self.error = self.error or error
                raise
            except Exception as error:
                self.failed += 1
                if self.first is None:
                    self.first = (keys[at].as_py(), f"{type(error).__name__}: {error}")
                parts.append(pa.nulls(1, self.type))
        return pa.concat_arrays(parts)

    def codes(self, answer: Any, n_rows: int) -> pa.Array:
        """Return the label codes of a function's answer.

        Raises
        ------
        DataError
            WS403 for an unknown label, WS406 for a wrong length or type.
        """
        import pyarrow.compute as pc  # takes a while to load, and only python labeling functions need it

        if answer is None or isinstance(answer, str):
            raise DataError(
                "WS406",
                f'labeling function "{self.lf.name}" returned {answer!r}; it must return a list or array with a label '
                "or None for each row",
            )
        labels = answer if isinstance(answer, pa.Array | pa.ChunkedArray) else pa.array(_listed(answer))
        if isinstance(labels, pa.ChunkedArray):
            labels = labels.combine_chunks()
        if pa.types.is_dictionary(labels.type):
            labels = labels.dictionary_decode()
        if len(labels) != n_rows:
            raise DataError(
                "WS406",
                f'labeling function "{self.lf.name}" returned {len(labels):,} label{"s" * (len(labels) != 1)} '
                f"for {n_rows:,} row{'s' * (n_rows != 1)}",
                hint="return a label or None for each row of the batch",
            )
        if pa.types.is_null(labels.type):
            return pa.nulls(n_rows, self.type)
        if not (pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)):
            raise DataError(
                "WS406",
                f'labeling function "{self.lf.name}" returned {labels.type}; labels are strings, None is abstain',
            )
        codes = pc.index_in(labels, value_set=pa.array(self.task.labels, labels.type))
        unknown = pc.filter(labels, pc.and_(pc.is_valid(labels), pc.is_null(codes)))
        if len(unknown):
            raise unknown_labels(self.lf, self.task, unknown[0].as_py(), len(unknown))
        return codes.cast(self.type)

    def check(self) -> str | None:
        """Raise if rows failed; under ``on_error = 'abstain'`` return a notice instead."""
        if self.failed and self.first is not None:
            error = raised(self.lf, self.failed, *self.first)
            if self.lf.on_error == "raise":
                raise error
            return f"{error.message}; those rows abstain"
        return None


def _whole(array: pa.ChunkedArray | pa.StructArray) -> pa.StructArray:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _listed(answer: Any) -> Any:
    """Return an answer as something pyarrow takes: polars and pandas series, numpy arrays and lists do."""
    return answer.to_arrow() if hasattr(answer, "to_arrow") else answer


def unknown_labels(lf: LabelingFunction, task: Task, label: str, count: int) -> DataError:
    """Return the error for a labeling function that answers a label its task does not have."""
    shown = ", ".join(repr(known) for known in task.labels[:8]) + (", …" if len(task.labels) > 8 else "")
    rows = "1 row" if count == 1 else f"{count:,} rows"
    return DataError(
        "WS403",
        f'unknown label \'{label}\' from labeling function "{lf.name}" on {rows}; task "{task.name}" has ({shown})',
        hint=did_you_mean(label, task.labels),
        lf=lf.name,
        label=label,
        count=count,
    )


def raised(lf: LabelingFunction, count: int | None, keys: dict[str, Any], text: str) -> DataError:
    """Return the error for a labeling function that fails on some rows; a count of None is not known."""
    rows = "at least 1 row" if count is None else "1 row" if count == 1 else f"{count:,} rows"
    where = shown_row(tuple(keys), tuple(keys.values()))
    python = isinstance(lf.body, Python)
    return DataError(
        "WS405",
        f'labeling function "{lf.name}" failed on {rows}; first at {where}: {text}',
        hint=("handle such rows in the function" if python else "guard the expression (TRY_CAST, CASE)")
        + ", or say WITH (on_error = 'abstain')",
        lf=lf.name,
        count=count,
        row=keys,
    )


def struct_of(columns: Sequence[str]) -> str:
    """Return the SQL that packs columns into the struct a python labeling function gets."""
    packed = ", ".join(f'"{name}" := "{name}"' for name in (column.replace('"', '""') for column in columns))
    return f"struct_pack({packed})"
