"""FeatureSpec: from a column's DuckDB type to the kind of input it becomes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from wsdb.core.errors import ModelError, SpecError, did_you_mean
from wsdb.core.sqltext import ident
from wsdb.model.hashing import utf8_bytes

KINDS = ("text", "category", "number", "boolean", "timestamp", "vector")
SUPPORTED = "VARCHAR, ENUM, BOOLEAN, numbers, DATE, TIMESTAMP, and lists or arrays of numbers"

_NUMBERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
    "UHUGEINT", "FLOAT", "REAL", "DOUBLE", "DECIMAL", "NUMERIC", "INT", "INT1", "INT2", "INT4", "INT8",
    "FLOAT4", "FLOAT8",
)  # fmt: skip
FAMILIES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("VARCHAR", "TEXT", "STRING", "CHAR", "ENUM"), "string")
    | dict.fromkeys(_NUMBERS, "number")
    | dict.fromkeys(("BOOLEAN", "BOOL"), "boolean")
    | dict.fromkeys(
        ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATETIME",
         "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"), "timestamp")
)  # fmt: skip
"""Family of a DuckDB type without its parameters; lists and arrays are handled by `family`."""

_CATEGORY_VALUES = 256
_CODE_VALUES = 65_536
_SURE = 4  # a category whose values come back less often is a close call
_SHOWN = 8  # columns that a notice names


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One input column.

    Attributes
    ----------
    name : column
    type : DuckDB type, as declared
    kind : one of `KINDS`
    """

    name: str
    type: str
    kind: str


def family(name: str, duckdb_type: str) -> str:
    """Return the family of a column: string, number, boolean, timestamp or vector.

    Raises
    ------
    ModelError  WS503 if a model cannot read the type.

    Examples
    --------
    >>> family("price", "DECIMAL(18,3)"), family("embedding", "FLOAT[384]")
    ('number', 'vector')
    """
    text = duckdb_type.strip().upper()
    array = re.fullmatch(r"(.*)\[\d*\]", text)
    base = re.sub(r"\(.*\)", "", array.group(1) if array else text, flags=re.DOTALL).strip()
    found = FAMILIES.get(base)
    if array:
        found = "vector" if found == "number" else None
    if found is None:
        raise ModelError(
            "WS503",
            f"a model cannot read column {name} of type {duckdb_type}",
            hint=_hint(name, base, lists=array is not None),
            column=name,
            type=duckdb_type,
        )
    return found


def _hint(name: str, base: str, *, lists: bool) -> str:
    """Say what a model can read in place of a type, whose name is in capitals, or of lists of it."""
    own = ident(name)
    number = f"give it a number, FROM (SELECT * REPLACE (epoch({own}) AS {own}) FROM …)"
    words = f"CREATE PAYLOAD … AS SET ({own}), or AS SEQUENCE, reads the elements of a list of strings"
    single = {
        "STRUCT": f"give it fields as columns, FROM (SELECT *, {own}.field AS field FROM …)",
        "MAP": f"give it values as columns, FROM (SELECT *, {own}['key'] AS key FROM …)",
        "JSON": f"give it what matters as columns, FROM (SELECT *, {own} ->> 'field' AS field FROM …), or all of it as "
        f"text, CAST({own} AS VARCHAR)",
        "INTERVAL": number,
        "TIME": number,
        "UUID": f"an id says nothing of rows to come: leave it out; if its values come back, CAST({own} AS VARCHAR)",
        "BLOB": f"give it text, FROM (SELECT * REPLACE (decode({own}) AS {own}) FROM …), or the vector of an image or "
        "a sound as a column FLOAT[]",
    }
    several = {
        "STRUCT": f"CREATE PAYLOAD … AS SET ({own}), or AS SEQUENCE, reads the elements of a list of structs",
        "BOOLEAN": f"give it a vector, FROM (SELECT * REPLACE (CAST({own} AS TINYINT[]) AS {own}) FROM …)",
        "VARCHAR": words,
        "ENUM": words,
    }
    found = (several if lists else single).get(base)
    return found or f"supported are {SUPPORTED}; cast the column in the model's SELECT"


def choose_kinds(
    features: Sequence[tuple[str, str]],
    batches: Iterable[pa.RecordBatch],
    chosen: Mapping[str, str] = MappingProxyType({}),
) -> tuple[tuple[FeatureSpec, ...], list[str]]:
    """Decide the kind of every column; what is not a string follows from its type, ENUM is a category.

    A VARCHAR column with n values that are not NULL and d distinct ones is a category if its values look like
    names or codes that come back: on average at most 3 words and 32 bytes, and either d <= 256 and n >= 2 d,
    or one word at most, d <= 65,536 and n >= 5 d. It is text otherwise. The rule reads all rows, so their
    order has no influence; `batches` are read up to twice. A column in `chosen` has the kind given there. Also return
    notices: which columns are categories; a category whose values are mostly of several words, or come back fewer than
    four times, may be meant as text; a text of single words may be meant as a category.
    """
    kinds, columns = {}, {}
    for name, duckdb_type in features:
        kind = family(name, duckdb_type)
        if kind == "string":
            enum = duckdb_type.strip().upper().startswith("ENUM")
            kind = "category" if enum else chosen.get(name, "")
            if not kind:
                columns[name] = _Strings()
        kinds[name] = kind
    for part in batches if columns else ():
        for name, column in columns.items():
            column.measure(part.column(name))
    short = {name: column for name, column in columns.items() if column.is_short}
    for part in batches if short else ():
        for name, column in short.items():
            column.compare(part.column(name))
    notices, clear = [], []
    for name, column in columns.items():
        kinds[name], notice = column.kind(name)
        notices.extend(notice)
        clear += [name] if kinds[name] == "category" and not notice else []
    if clear:
        shown = ", ".join(clear[:_SHOWN]) + (", …" if len(clear) > _SHOWN else "")
        notices.append(
            f"column{'s' * (len(clear) > 1)} {shown} {'are' if len(clear) > 1 else 'is'} read as a category; to read "
            f"the words of one write text = ['{clear[0]}']"
        )
    return tuple(FeatureSpec(name, duckdb_type, kinds[name]) for name, duckdb_type in features), notices


def chosen_kinds(
    features: Sequence[tuple[str, str]], text: Sequence[str] | None, categories: Sequence[str] | None
) -> dict[str, str]:
    """Return the kinds that the options text and categories choose, by column.

    Raises
    ------
    SpecError  WS307 for a column that is no feature, or not a VARCHAR.
    """
    types = {name.lower(): (name, kind) for name, kind in features}
    found = {}
    for option, kind, names in (("text", "text", text), ("categories", "category", categories)):
        for given in names or ():
            if given.lower() not in types:
                raise SpecError(
                    "WS307",
                    f"option {option} names column {given}, which is not a feature of the model",
                    hint=did_you_mean(given, [name for name, _ in features])
                    or f"features are {', '.join(name for name, _ in features)}",
                    option=option,
                )
            name, duckdb_type = types[given.lower()]
            if family(name, duckdb_type) != "string" or duckdb_type.strip().upper().startswith("ENUM"):
                raise SpecError(
                    "WS307",
                    f"option {option} names column {name} of type {duckdb_type}; it takes VARCHAR columns",
                    hint=f"cast it in the model's SELECT: {name}::VARCHAR",
                    option=option,
                )
            found[name] = kind
    return found


class _Strings:
    """What decides between text and category: numbers of values, of bytes and of blanks, and the distinct values."""

    def __init__(self) -> None:
        self.n = self.size = self.blanks = 0
        self.distinct: set[str] | None = set()

    def measure(self, chunk: pa.Array) -> None:
        """Count values, bytes and blanks."""
        chunk = _plain_strings(chunk)
        if chunk is None:
            return
        self.n += len(chunk) - chunk.null_count
        data, _ = utf8_bytes(chunk.cast(pa.large_string()))
        self.size += len(data)
        self.blanks += int(np.count_nonzero(data == ord(" ")))

    @property
    def is_short(self) -> bool:
        """Whether the values are short enough for a category."""
        return self.n > 0 and self.size <= 32 * self.n and self.blanks <= 2 * self.n

    def compare(self, chunk: pa.Array) -> None:
        """Collect distinct values, until there are too many."""
        chunk = _plain_strings(chunk)
        if chunk is None or self.distinct is None:
            return
        self.distinct.update(pc.unique(chunk.drop_null()).to_pylist())
        if len(self.distinct) > _CODE_VALUES:
            self.distinct = None

    def kind(self, name: str) -> tuple[str, list[str]]:
        """Return the kind and, where it is a close call, a notice."""
        n, d = self.n, len(self.distinct or ())
        category = (d <= _CATEGORY_VALUES and n >= 2 * d) or (self.blanks == 0 and n >= 5 * d)
        if not category and self.is_short and not self.blanks and n > 1:
            found = f"{d:,}" if self.distinct is not None else f"more than {_CODE_VALUES:,}"
            return "text", [
                f"column {name} is read as text, by its letters: {found} values in {n:,} rows seldom come back; "
                f"to read it as a category write categories = ['{name}']"
            ]
        if not d or not category:
            return "text", []
        if self.blanks < n and n >= _SURE * d:
            return "category", []
        return "category", [
            f"column {name} is read as a category of {d:,} values in {n:,} rows; "
            f"to read its words write text = ['{name}'], to keep it so categories = ['{name}']"
        ]


def _plain_strings(chunk: pa.Array) -> pa.Array | None:
    """Return the chunk, a dictionary decoded, or None where it holds no strings."""
    if pt.is_dictionary(chunk.type):
        chunk = chunk.dictionary_decode()
    return chunk if pt.is_string(chunk.type) or pt.is_large_string(chunk.type) else None


def check_column(spec: FeatureSpec, column: pa.Array) -> pa.Array:
    """Return the column, a dictionary decoded, if its Arrow type is of the family trained on.

    A column of NULL type counts as all NULL.

    Raises
    ------
    ModelError  WS504 naming both types.
    """
    if pt.is_dictionary(column.type):
        column = column.dictionary_decode()
    wanted = family(spec.name, spec.type)
    if pt.is_null(column.type) or _arrow_family(column.type) == wanted:
        return column
    raise ModelError(
        "WS504",
        f"model was trained on column {spec.name} ({spec.type}); got {_duckdb_name(column.type)}",
        column=spec.name,
        trained_on=spec.type,
        got=str(column.type),
    )


def _arrow_family(kind: pa.DataType) -> str | None:
    if pt.is_string(kind) or pt.is_large_string(kind):
        return "string"
    if pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind):
        return "number"
    if pt.is_boolean(kind):
        return "boolean"
    if pt.is_timestamp(kind) or pt.is_date(kind):
        return "timestamp"
    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind):
        inside = kind.value_type
        return "vector" if pt.is_null(inside) or _arrow_family(inside) == "number" else None
    return None


_DUCKDB_NAMES = {
    "string": "VARCHAR", "large_string": "VARCHAR", "binary": "BLOB", "large_binary": "BLOB", "bool":
    "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT", "uint8":
    "UTINYINT", "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT", "float": "FLOAT", "double":
    "DOUBLE", "date32[day]": "DATE", "date64[ms]": "DATE", "time64[us]": "TIME",
}  # fmt: skip


def _duckdb_name(kind: pa.DataType) -> str:
    """Name an Arrow type as the user knows it."""
    if pt.is_list(kind) or pt.is_large_list(kind):
        return f"{_duckdb_name(kind.value_type)}[]"
    if pt.is_fixed_size_list(kind):
        return f"{_duckdb_name(kind.value_type)}[{kind.list_size}]"
    if pt.is_timestamp(kind):
        return "TIMESTAMP"
    if pt.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    return _DUCKDB_NAMES.get(str(kind), str(kind).upper())
