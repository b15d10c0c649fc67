"""Qualify: a SELECT of the user's that means the same wherever USE points, with a schema before each name."""

from __future__ import annotations

import duckdb

from wsdb.core.sqltext import ident
from wsdb.engine.analyze import nodes, tree


def qualified(
    con: duckdb.DuckDBPyConnection, query: str, before: str = "", known_macros: set[tuple[str, str]] | None = None
) -> str:
    """Return a SELECT with the current schema before each name of a relation or macro that has none; else as it is.

    Names are those of the current database: others, and a query's own CTEs, stay as they are. A view that is stored
    in another schema finds them then from everywhere.

    Parameters
    ----------
    before : what stands before each name that begins with a schema of this database
    known_macros : what `macros` gave, where it has been called
    """
    parsed = tree(con, query)
    if parsed is None:
        return query
    text = query.encode()
    tables: set[tuple[int, str, str]] = set()
    calls: set[tuple[int, str, str]] = set()
    ctes: set[str] = set()
    for node in nodes(parsed):
        if isinstance(node.get("cte_map"), dict):
            ctes.update(entry["key"].lower() for entry in node["cte_map"]["map"])
        is_table, at = node.get("type") == "BASE_TABLE", node.get("query_location")
        named = node["function"] if node.get("type") == "TABLE_FUNCTION" else node
        name = named.get("table_name" if is_table else "function_name")
        if name and isinstance(at, int) and at < len(text) and not named.get("catalog_name" if is_table else "catalog"):
            own = named.get("schema_name" if is_table else "schema") or ""
            (tables if is_table else calls).add((at, own, name))
    known = _relations(con) if tables else set()
    if any(name[0].isalpha() or name[0] == "_" for _, _, name in calls):  # the others are operators
        known |= macros(con) if known_macros is None else known_macros
    ((schema,),) = con.execute("SELECT current_schema()").fetchall()
    for at, own, name in sorted(tables | calls, reverse=True):
        inside = ((own or schema).lower(), name.lower()) in known
        if inside and _written(text, at, own or name) and (own or name.lower() not in ctes):
            text = text[:at] + (before if own else f"{before}{ident(schema)}.").encode() + text[at:]
    return text.decode()


def _written(text: bytes, at: int, name: str) -> bool:
    """Return whether a name, quoted or not, stands in the text at a place."""
    return text[at:].decode(errors="replace").lower().startswith((name.lower(), ident(name).lower()))


def _relations(con: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """Return the (schema, name), in lower case, of the relations of the current database."""
    return set(
        con.execute(
            "SELECT lower(schema_name), lower(table_name) FROM duckdb_tables() "
            "WHERE database_name = current_database() "
            "UNION ALL SELECT lower(schema_name), lower(view_name) FROM duckdb_views() "
            "WHERE database_name = current_database() AND NOT internal"
        ).fetchall()
    )


def macros(con: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """Return the (schema, name), in lower case, of the macros of the current database."""
    return set(
        con.execute(
            "SELECT lower(schema_name), lower(function_name) FROM duckdb_functions() "
            "WHERE database_name = current_database() AND NOT internal AND function_type IN ('macro', 'table_macro')"
        ).fetchall()
    )
