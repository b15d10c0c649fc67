"""Inline: a SELECT that only filters a relation, as expressions over one row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import duckdb

from wsdb.core.sqltext import literal
from wsdb.core.task import Task
from wsdb.engine.analyze import nodes, tree

CLAUSES = ("modifiers", "group_expressions", "group_sets", "having", "qualify", "sample")
"""What a tree has for the clauses of a SELECT besides its list, its table and WHERE; empty where it has none."""
BARRED = frozenset({"SUBQUERY", "WINDOW", "STAR", "COLUMNS", "PARAMETER", "POSITIONAL_REFERENCE", "LAMBDA_REF"})


@dataclass(frozen=True, slots=True)
class RowSelect:
    """A SELECT whose every row is made from one row of a relation, in DuckDB's own words.

    Attributes
    ----------
    names : of each item of its select list the alias, or of a column the name; empty for other expressions
    plain : whether an item is a column under its own name
    items : the SQL of each item
    where : the SQL of its condition, None without one
    """

    names: tuple[str, ...]
    plain: tuple[bool, ...]
    items: tuple[str, ...]
    where: str | None


def row_select(
    con: duckdb.DuckDBPyConnection, query: str, relation: str, columns: list[str], aggregates: frozenset[str]
) -> RowSelect | None:
    """Return a query of the form ``SELECT expression… FROM relation [WHERE …]`` in parts; None for other queries.

    Parameters
    ----------
    columns : of the relation
    aggregates : lower-cased names of aggregate and table functions
    """
    parsed = tree(con, query)
    if parsed is None or len(parsed["statements"]) != 1:
        return None
    select = parsed["statements"][0]["node"]
    source = select.get("from_table", {})
    if select.get("type") != "SELECT_NODE" or source.get("type") != "BASE_TABLE" or not _plain(select, source):
        return None
    path = [part for part in (source["catalog_name"], source["schema_name"], source["table_name"]) if part]
    if ".".join(path).lower() != relation.replace('"', "").lower():
        return None
    items, where = select["select_list"], select.get("where_clause")
    name = (source.get("alias") or source["table_name"]).lower()
    known = {column.lower() for column in columns}
    if not all(_own(part, name, known, aggregates) for part in [*items, *([where] if where else [])]):
        return None
    texts = [_text(con, parsed, part) for part in [*items, *([where] if where else [])]]
    if any(text is None for text in texts):
        return None
    found = [text for text in texts if text is not None]
    columns = [item["column_names"][-1] if item.get("class") == "COLUMN_REF" else "" for item in items]
    names = [item.get("alias") or column for item, column in zip(items, columns, strict=True)]
    plain = [bool(column) and column.lower() == name.lower() for column, name in zip(columns, names, strict=True)]
    return RowSelect(tuple(names), tuple(plain), tuple(found[: len(items)]), found[-1] if where else None)


def inlined(
    con: duckdb.DuckDBPyConnection, query: str, task: Task, columns: list[str], aggregates: frozenset[str]
) -> str | None:
    """Return the expression that votes as ``SELECT key…, label FROM relation [WHERE …]`` does; None for other queries.

    Parameters
    ----------
    columns : of the task's relation
    aggregates : lower-cased names of aggregate and table functions
    """
    found = row_select(con, query, task.relation, columns, aggregates)
    keys = [key.lower() for key in task.keys]
    if found is None or not all(found.plain[:-1]) or [name.lower() for name in found.names[:-1]] != keys:
        return None
    if found.names[-1].lower() in keys:
        return None
    label = found.items[-1]
    return label if found.where is None else f"CASE WHEN {found.where} THEN {label} END"


def _plain(select: dict[str, Any], source: dict[str, Any]) -> bool:
    """Return whether a SELECT has nothing but a select list, one table and a WHERE."""
    if any(select.get(name) for name in CLAUSES) or select["cte_map"]["map"]:
        return False
    if select["aggregate_handling"] != "STANDARD_HANDLING":  # GROUP BY ALL
        return False
    return not source.get("sample") and not source.get("column_name_alias") and not source.get("at_clause")


def _own(part: dict[str, Any], name: str, known: set[str], aggregates: frozenset[str]) -> bool:
    """Return whether an expression reads columns of the one table only; strip the table's name off them."""
    for node in nodes(part):
        kind, of = node.get("type"), node.get("class")
        if (isinstance(kind, str) and kind in BARRED) or of in BARRED or of == "LAMBDA":
            return False
        if of == "FUNCTION" and node.get("function_name", "").lower() in aggregates:
            return False
        if of == "COLUMN_REF":
            path = node["column_names"]
            if len(path) == 2 and path[0].lower() == name and path[1].lower() in known:
                node["column_names"] = path[1:]
            elif len(path) != 1 or path[0].lower() not in known:
                return False
    return True


def _text(con: duckdb.DuckDBPyConnection, parsed: dict[str, Any], part: dict[str, Any]) -> str | None:
    """Return DuckDB's own text of an expression of the tree."""
    whole = json.loads(json.dumps(parsed))
    select = whole["statements"][0]["node"]
    select["select_list"], select["where_clause"] = [{**part, "alias": ""}], None
    select["from_table"] = {"type": "EMPTY", "alias": "", "sample": None}
    try:
        text = con.execute(f"SELECT json_deserialize_sql({literal(json.dumps(whole))}::JSON)").fetchall()[0][0]
    except duckdb.Error:
        return None
    found: str = text.removeprefix("SELECT ")
    return found if found != text else None
