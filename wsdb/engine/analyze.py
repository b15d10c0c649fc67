"""What a SQL body reads: its columns, its relations and whether it can be fingerprinted, off DuckDB's own tree."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import duckdb

from wsdb.core.sqltext import ident

CLOCKS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
"""Words without parentheses that answer the time; DuckDB's tree shows them as columns."""
UNMARKED = frozenset({"current_localtime", "current_localtimestamp", "current_setting", "getvariable"})
"""Functions that answer the time or something of the session, and that some DuckDB calls consistent."""
ZONED = frozenset(
    {"to_timestamp", "make_timestamptz", "timezone", "strptime", "try_strptime", "uuid_extract_timestamp"}
)
"""Functions that make a time of a time zone, by which days and hours are then those of the session's."""
PURE = frozenset({"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"})
"""Table functions that answer their arguments alone."""
SPREADING = frozenset({"unnest", "unlist"})
"""Functions that make several rows of one."""
KNOWN = 20_000
"""What about this many queries read is kept in memory."""


SETTINGS = {
    "default_collation": "",
    "default_null_order": "NULLS_LAST",
    "default_order": "ASCENDING",
    "integer_division": "False",
    "ieee_floating_point_ops": "True",
}
"""Settings of a session by which an expression answers otherwise, with what DuckDB has them at."""


@dataclass(frozen=True, slots=True)
class Functions:
    """What is known of a database's functions, read once because DuckDB takes its time to list them; and its settings.

    Attributes
    ----------
    volatile : lower-cased names of those that may answer differently for the same input
    macros : by lower-cased name, the user's macros as SELECTs, part of what a body that calls them means
    code : by lower-cased name, the fingerprints of Python functions that the session has registered
    aggregates : lower-cased names of aggregate functions
    own : lower-cased names of the functions that are not DuckDB's own, wsdb's and those of Python among them
    settings : those of `SETTINGS` that are not as DuckDB has them, as texts
    zone : the session's TimeZone
    """

    volatile: frozenset[str]
    macros: Mapping[str, tuple[str, ...]]
    aggregates: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    code: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    zone: str = ""

    def session(self, *, zoned: bool) -> list[str]:
        """Return what an answer depends on of the session besides its input.

        Parameters
        ----------
        zoned : whether times of a time zone are seen
        """
        return [*self.settings, *([f"TimeZone={self.zone}"] if zoned else [])]


def functions(con: duckdb.DuckDBPyConnection, code: Mapping[str, str] = MappingProxyType({})) -> Functions:
    """Return the functions of a database that matter for fingerprints.

    Parameters
    ----------
    code : see `Functions`
    """
    ours = "schema_name = 'wsdb' OR (database_name = 'temp' AND contains(coalesce(macro_definition, ''), '.wsdb.'))"
    rows = con.execute(
        "SELECT function_name, stability IS NOT NULL AND stability <> 'CONSISTENT', "
        f"CASE WHEN function_type IN ('macro', 'table_macro') AND NOT internal AND NOT ({ours}) "
        "THEN if(function_type = 'macro', 'SELECT ', '') || coalesce(macro_definition, '') END AS definition, "
        "function_type = 'aggregate' AS aggregate, NOT internal AS own "
        "FROM duckdb_functions() WHERE stability <> 'CONSISTENT' OR aggregate OR own ORDER BY ALL"
    ).fetchall()
    rows = [(name.lower(), *rest) for name, *rest in rows]  # a macro of the user's may be called lower
    macros: dict[str, tuple[str, ...]] = {}
    for name, _, definition, _, _ in rows:
        if definition is not None:
            macros[name] = (*macros.get(name, ()), definition)
    volatile = UNMARKED | {name for name, changing, _, _, _ in rows if changing}
    aggregates = frozenset(name for name, _, _, aggregate, _ in rows if aggregate)
    owned = frozenset(name for name, *_, own in rows if own)
    asked = ", ".join(f"current_setting('{name}')::VARCHAR" for name in (*SETTINGS, "TimeZone"))
    *values, zone = con.execute(f"SELECT {asked}").fetchall()[0]
    pairs = zip(SETTINGS.items(), values, strict=True)
    settings = tuple(f"{name}={value}" for (name, usual), value in pairs if value.lower() != usual.lower())
    return Functions(volatile, macros, aggregates, owned, code, settings, zone)


@dataclass(frozen=True, slots=True)
class Reads:
    """What a query reads, through the macros it calls too.

    Attributes
    ----------
    names : lower-cased parts of every column reference
    alone : those names that stand without a qualifier
    everything : whether a star or a COLUMNS expression stands in it
    relations : SQL names of the tables and views it reads, without its own CTEs
    functions : lower-cased names of the functions it calls
    outer : those of its functions that stand outside of subqueries
    windows : whether a window function stands outside of subqueries: a row's answer then depends on other rows
    tables : lower-cased names of the table functions it calls
    opaque : whether it calls a table function whose input cannot be fingerprinted
    macros : the user's macros and Python functions that it calls, by what they are made of
    constants : its string constants and numbers, as text
    models : what it predicts with: the names that calls of ``predict`` start with; the relations are in `relations`
    zoned : whether it makes times of a time zone, so that its answer depends on the session's TimeZone
    """

    names: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()
    everything: bool = False
    relations: tuple[str, ...] = ()
    functions: frozenset[str] = frozenset()
    outer: frozenset[str] = frozenset()
    windows: bool = False
    tables: frozenset[str] = frozenset()
    opaque: bool = False
    macros: tuple[str, ...] = ()
    constants: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    zoned: bool = False

    def of(self, columns: list[str], relation: str) -> tuple[str, ...]:
        """Return which of a relation's columns are read; its bare name stands for all of them."""
        low = {name.lower() for name in columns}
        whole = relation.rsplit(".", 1)[-1].strip('"').lower()
        everything = self.everything or (whole in self.alone and whole not in low)
        return tuple(name for name in columns if everything or name.lower() in self.names)

    @property
    def spreads(self) -> bool:
        """Whether one row may become several, or none."""
        return not self.outer.isdisjoint(SPREADING)

    def volatile(self, known: Functions, columns: list[str]) -> bool:
        """Return whether the query may answer differently for the same input."""
        own = {name.lower() for name in columns}
        changing = ((self.alone & CLOCKS) | (self.names & {"rowid"})) - own  # rowids move when a table is compacted
        return bool(changing or self.functions & known.volatile)


def tree(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any] | None:
    """Return DuckDB's parse tree of a SELECT, or None where it does not parse or is too deep."""
    return trees(con, [query])[0]


def trees(con: duckdb.DuckDBPyConnection, queries: Sequence[str]) -> list[dict[str, Any] | None]:
    """Return the parse tree of each SELECT; DuckDB is asked for all at once, which is ten times as fast."""
    given = [list(dict.fromkeys(queries))]
    texts = dict(
        con.execute("SELECT query, json_serialize_sql(query) FROM unnest(?::VARCHAR[]) AS q(query)", given).fetchall()
    )
    return [_parsed(texts[query]) for query in queries]


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(text)
    except RecursionError:
        return None
    return None if found.get("error") else found


def nodes(node: Any, *, inside: bool = True) -> Iterator[dict[str, Any]]:
    """Return every object of a tree, parents first.

    Parameters
    ----------
    inside : whether to go into subqueries of expressions
    """
    if isinstance(node, dict):
        yield node
        for name, value in node.items():
            if inside or name != "subquery" or node.get("class") != "SUBQUERY":
                yield from nodes(value, inside=inside)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value, inside=inside)


def reads(con: duckdb.DuckDBPyConnection, query: str, known: Functions) -> Reads:
    """Return what a SELECT reads; one that does not parse reads everything and cannot be fingerprinted."""
    found = _reads(con, query)
    done: set[str] = set()
    while called := sorted((found.functions & known.macros.keys()) - done):
        done.update(called)
        for macro in called:
            for definition in known.macros[macro]:
                inner = _reads(con, definition)
                found = Reads(
                    found.names | inner.names,
                    found.alone | inner.alone,
                    found.everything or inner.everything,
                    tuple(dict.fromkeys([*found.relations, *inner.relations])),
                    found.functions | inner.functions,
                    found.outer | (inner.outer if macro in found.outer else frozenset()),
                    found.windows or inner.windows,
                    found.tables | inner.tables,
                    found.opaque or inner.opaque,
                    (*found.macros, definition),
                    found.constants | inner.constants,
                    (*found.models, *inner.models),
                    found.zoned or inner.zoned,
                )
    code = tuple(known.code[name] for name in sorted(found.functions & known.code.keys()))
    unknown = found.tables - PURE - known.macros.keys()
    return replace(found, opaque=found.opaque or bool(unknown), macros=(*found.macros, *code))


def spreads(con: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Return whether a SELECT without FROM makes several rows, or none, of one; macros are not looked into."""
    return any(name in query.lower() for name in SPREADING) and _reads(con, query).spreads


def prepare(con: duckdb.DuckDBPyConnection, queries: Iterable[str]) -> None:
    """Read many SELECTs at once; `reads` then knows them."""
    new = [query for query in dict.fromkeys(queries) if query not in _known]
    if len(_known) > KNOWN:
        _known.clear()
    _known.update(zip(new, map(_read, trees(con, new)), strict=True))


def _reads(con: duckdb.DuckDBPyConnection, query: str) -> Reads:
    found = _known.get(query)  # the tree depends on nothing but the text
    if found is None:
        found = _known[query] = _read(tree(con, query))
    return found


_known: dict[str, Reads] = {}


def _read(parsed: dict[str, Any] | None) -> Reads:
    if parsed is None:
        return Reads(everything=True, opaque=True)
    names: set[str] = set()
    alone: set[str] = set()
    relations: dict[str, None] = {}
    functions: set[str] = set()
    ctes: set[str] = set()
    everything = False
    tables: set[str] = set()
    constants: set[str] = set()
    models: list[str] = []
    zoned = False
    for node in nodes(parsed):
        kind = node.get("type")
        if kind == "COLUMN_REF":
            parts = [part.lower() for part in node["column_names"]]
            names.update(parts)
            alone.update(parts if len(parts) == 1 else ())
        elif kind == "STAR" or kind == "POSITIONAL_REFERENCE":
            everything = True
        elif kind == "BASE_TABLE":
            path = [part for part in (node["catalog_name"], node["schema_name"], node["table_name"]) if part]
            relations[".".join(ident(part) for part in path)] = None
        elif kind == "TABLE_FUNCTION":
            predicted = _predicted(node)
            if predicted is None:
                tables.add(node["function"].get("function_name", "").lower())
            else:
                models.append(predicted[0])
                relations[predicted[1]] = None
        elif node.get("class") == "CONSTANT":
            constants.add(_constant(node))
        elif kind == "OPERATOR_CAST":
            zoned = zoned or is_zoned(str(node.get("type_expr") or node.get("cast_type")))
        elif kind == "FUNCTION":
            functions.add(_function(node))
        if isinstance(node.get("cte_map"), dict):
            ctes.update(entry["key"].lower() for entry in node["cte_map"]["map"])
    own = tuple(relation for relation in relations if relation.strip('"').lower() not in ctes)
    outer = list(nodes(parsed, inside=False))
    return Reads(
        frozenset(names),
        frozenset(alone),
        everything,
        own,
        frozenset(functions),
        frozenset(node["function_name"].lower() for node in outer if node.get("type") == "FUNCTION"),
        any(node.get("class") == "WINDOW" for node in outer),
        frozenset(tables),
        constants=frozenset(constants - {""}),
        models=tuple(models),
        zoned=zoned or not functions.isdisjoint(ZONED),
    )


def is_zoned(kind: str) -> bool:
    """Return whether the name of a type, or a tree that has it, is of times of a time zone."""
    return any(word in kind.upper() for word in ("TIME ZONE", "TIMESTAMPTZ", "TIMETZ"))


def _function(node: dict[str, Any]) -> str:
    """Return the lower-cased name of the function that is called; ``age`` of one time is that time before today."""
    name: str = node["function_name"].lower()
    given = node.get("children") or node.get("arguments") or []
    return "today" if name == "age" and len(given) == 1 else name


def _predicted(node: dict[str, Any]) -> tuple[str, str] | None:
    """Return the model and the relation of a call of predict that names both; None for any other table function."""
    call = node["function"]
    # DuckDB 2.0 has named arguments, 1.5 a list of children.
    arguments = call.get("children") or [argument["expression"] for argument in call.get("arguments", [])]
    if call.get("function_name", "").lower() != "predict" or len(arguments) != 2:
        return None
    relation = arguments[1]
    name = _string(arguments[0]) if arguments[0].get("class") == "CONSTANT" else None
    if name is None:
        return None
    if relation.get("class") == "COLUMN_REF":
        return name, ".".join(ident(part) for part in relation["column_names"])
    text = _string(relation) if relation.get("class") == "CONSTANT" else None
    return (name, text) if text is not None and not text.lstrip().startswith("(") else None


def _constant(node: dict[str, Any]) -> str:
    """Return a constant as text; empty where it is neither a string nor a number."""
    text = _string(node)
    if text is not None:
        return text
    value = node["literal"].get("text") if "literal" in node else node.get("value", {}).get("value")
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A string literal that an expression can answer, with its place in the query."""

    text: str
    start: int


def answers(con: duckdb.DuckDBPyConnection, query: str, column: int = 0) -> list[Constant]:
    """Return the string literals that column `column` of a SELECT answers: of a CASE, of a list, or itself."""
    parsed = tree(con, query)
    if parsed is None:
        return []
    select = parsed["statements"][0]["node"].get("select_list", [])
    if column >= len(select):
        return []
    found: list[Constant] = []
    todo = [select[column]]
    while todo:
        node = todo.pop(0)
        if node.get("class") == "CASE":
            todo += [check["then_expr"] for check in node["case_checks"]] + [node["else_expr"]]
        elif node.get("class") == "FUNCTION" and node.get("function_name") == "list_value":
            todo += node.get("children") or [given["expression"] for given in node.get("arguments", [])]
        elif node.get("class") == "CONSTANT":
            text = _string(node)
            if text is not None and node["query_location"] < len(query.encode()):
                start = len(query.encode()[: node["query_location"]].decode(errors="ignore"))
                found.append(Constant(text, start))
    return found


def only_empty(con: duckdb.DuckDBPyConnection, query: str, column: int = 0) -> bool:
    """Return whether column `column` of a SELECT can answer nothing but ``[]`` and NULL, as its text shows.

    DuckDB 1.5 takes the type of ``[]`` for INTEGER[].
    """
    parsed = tree(con, query)
    select = [] if parsed is None else parsed["statements"][0]["node"].get("select_list", [])
    todo = select[column : column + 1]
    for node in todo:
        if node.get("class") == "CASE":
            todo += [check["then_expr"] for check in node["case_checks"]] + [node["else_expr"]]
        elif node.get("class") == "CONSTANT":
            if not node.get("value", {}).get("is_null"):
                return False
        elif node.get("function_name") != "list_value" or node.get("children") or node.get("arguments"):
            return False
    return bool(todo)


def _string(node: dict[str, Any]) -> str | None:
    """Return the text of a string constant; DuckDB 1.5 and 2.0 write it differently."""
    if "literal" in node:
        return node["literal"]["text"] if node["literal"].get("kind") == "STRING" else None
    value = node.get("value", {})
    return value["value"] if value.get("type", {}).get("id") == "VARCHAR" and not value.get("is_null") else None
