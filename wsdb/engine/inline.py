"""Inline: a SELECT that only filters the task's relation, as an expression over one row."""

from __future__ import annotations

import json
from typing import Any

import duckdb

from wsdb.core.sqltext import literal
from wsdb.core.task import Task
from wsdb.engine.analyze import nodes, tree

PLAIN = ("modifiers", "group_expressions", "group_sets", "cte_map", "having", "qualify", "sample")
BARRED = frozenset({"SUBQUERY", "WINDOW", "STAR", "COLUMNS", "PARAMETER", "POSITIONAL_REFERENCE", "LAMBDA_REF"})


def inlined(
    con: duckdb.DuckDBPyConnection, query: str, task: Task, columns: list[str], aggregates: frozenset[str]
) -> str | None:
    """Return the expression that votes as ``SELECT key…, label FROM relation [WHERE …]`` does; None for other queries.

    Parameters
    ----------
    columns : of the task's relation
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
    if ".".join(path).lower() != task.relation.replace('"', "").lower():
        return None
    items = select["select_list"]
    if len(items) != len(task.keys) + 1 or not _keys_first(items, task):
        return None
    name = (source.get("alias") or source["table_name"]).lower()
    known = {column.lower() for column in columns}
    parts = [items[-1]] + ([select["where_clause"]] if select.get("where_clause") else [])
    if not all(_own(part, name, known, aggregates) for part in parts):
        return None
    label = _text(con, parsed, items[-1])
    where = _text(con, parsed, select["where_clause"]) if select.get("where_clause") else None
    if label is None or (select.get("where_clause") and where is None):
        return None
    return label if where is None else f"CASE WHEN {where} THEN {label} END"


def _plain(select: dict[str, Any], source: dict[str, Any]) -> bool:
    """Return whether a SELECT has nothing but a select list, one table and a WHERE."""
    for name in PLAIN:
        value = select.get(name)
        if isinstance(value, dict):
            value = value.get("map")
        if value:
            return False
    return not source.get("sample") and not source.get("column_name_alias") and not source.get("at_clause")


def _keys_first(items: list[dict[str, Any]], task: Task) -> bool:
    for item, key in zip(items, task.keys, strict=False):
        if item.get("class") != "COLUMN_REF" or item["column_names"][-1].lower() != key.lower():
            return False
        if item.get("alias") and item["alias"].lower() != key.lower():
            return False
    label: str = items[-1].get("alias") or ""
    return label.lower() not in {key.lower() for key in task.keys}


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
