"""What a SQL body reads: its columns, its relations and whether it can be fingerprinted, off DuckDB's own tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from wsdb.core.sqltext import ident, literal


@dataclass(frozen=True, slots=True)
class Reads:
    """What a query reads.

    Attributes
    ----------
    names : lower-cased parts of every column reference
    everything : whether a star or a COLUMNS expression stands in it
    relations : SQL names of the tables and views it reads, without its own CTEs
    functions : lower-cased names of the functions it calls
    opaque : whether it calls a table function, whose input cannot be fingerprinted
    """

    names: frozenset[str]
    everything: bool
    relations: tuple[str, ...]
    functions: frozenset[str]
    opaque: bool

    def of(self, columns: list[str]) -> tuple[str, ...]:
        """Return which of a relation's columns are read."""
        return tuple(name for name in columns if self.everything or name.lower() in self.names)


def tree(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any] | None:
    """Return DuckDB's parse tree of a SELECT, or None where it does not parse."""
    text = con.execute(f"SELECT json_serialize_sql({literal(query)})").fetchall()[0][0]
    parsed: dict[str, Any] = json.loads(text)
    return None if parsed.get("error") else parsed


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Return every object of a tree, parents first."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def reads(con: duckdb.DuckDBPyConnection, query: str) -> Reads:
    """Return what a SELECT reads; one that does not parse reads everything and cannot be fingerprinted."""
    parsed = tree(con, query)
    if parsed is None:
        return Reads(frozenset(), True, (), frozenset(), True)
    names: set[str] = set()
    relations: dict[str, None] = {}
    functions: set[str] = set()
    ctes: set[str] = set()
    everything = opaque = False
    for node in nodes(parsed):
        kind = node.get("type")
        if kind == "COLUMN_REF":
            names.update(part.lower() for part in node["column_names"])
        elif kind == "STAR" or kind == "POSITIONAL_REFERENCE":
            everything = True
        elif kind == "BASE_TABLE":
            path = [part for part in (node["catalog_name"], node["schema_name"], node["table_name"]) if part]
            relations[".".join(ident(part) for part in path)] = None
        elif kind == "TABLE_FUNCTION":
            opaque = True
        elif kind == "FUNCTION":
            functions.add(node["function_name"].lower())
        if isinstance(node.get("cte_map"), dict):
            ctes.update(entry["key"].lower() for entry in node["cte_map"]["map"])
    own = tuple(relation for relation in relations if relation.strip('"').lower() not in ctes)
    return Reads(frozenset(names), everything, own, frozenset(functions), opaque)


@dataclass(frozen=True, slots=True)
class Functions:
    """What is known of a database's functions, read once because DuckDB takes its time to list them.

    Attributes
    ----------
    volatile : lower-cased names of those that may answer differently for the same input
    macros : definition of each of the user's macros, which is part of what a body that calls it means
    """

    volatile: frozenset[str]
    macros: Mapping[str, str]


def functions(con: duckdb.DuckDBPyConnection) -> Functions:
    """Return the functions of a database that matter for fingerprints."""
    rows = con.execute(
        "SELECT lower(function_name), stability IS NOT NULL AND stability <> 'CONSISTENT', "
        "CASE WHEN function_type IN ('macro', 'table_macro') AND NOT internal AND schema_name <> 'wsdb' "
        "AND database_name <> 'temp' THEN coalesce(macro_definition, '') END AS definition "
        "FROM duckdb_functions() WHERE stability <> 'CONSISTENT' OR definition IS NOT NULL ORDER BY ALL"
    ).fetchall()
    return Functions(
        frozenset(name for name, volatile, _ in rows if volatile),
        {name: definition for name, _, definition in rows if definition is not None},
    )


@dataclass(frozen=True, slots=True)
class Constant:
    """A string literal that an expression can answer, with its place in the query."""

    text: str
    start: int


def answers(con: duckdb.DuckDBPyConnection, query: str, column: int = 0) -> list[Constant]:
    """Return the string literals that column `column` of a SELECT answers: THEN and ELSE of a CASE, or itself."""
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
        elif node.get("class") == "CONSTANT":
            text = _string(node)
            if text is not None and node["query_location"] < len(query.encode()):
                start = len(query.encode()[: node["query_location"]].decode(errors="ignore"))
                found.append(Constant(text, start))
    return found


def _string(node: dict[str, Any]) -> str | None:
    """Return the text of a string constant; DuckDB 1.5 and 2.0 write it differently."""
    if "literal" in node:
        return node["literal"]["text"] if node["literal"].get("kind") == "STRING" else None
    value = node.get("value", {})
    return value["value"] if value.get("type", {}).get("id") == "VARCHAR" and not value.get("is_null") else None
