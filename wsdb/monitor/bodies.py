"""The bodies of the table functions that report on models, and how their arguments are written into them.

A body is SQL with holes: ``@task@`` is an argument as a string literal or NULL; ``@source@`` the relation of the rows;
``@outputs@``, ``@scored@``, ``@inputs@`` and ``@segments@`` the macros of the model named; ``@home@`` the schema wsdb,
and ``@at@`` the argument that tells a macro where that is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from wsdb.core.sqltext import literal

ROWS = "r AS MATERIALIZED (SELECT row_number() OVER () AS __row, * FROM @source@)"
"""The rows of the input, numbered."""
PREDICTED = f"WITH {ROWS}, p AS MATERIALIZED (FROM @outputs@('r'))"
"""The rows of the input, scored once."""
ONE_TASK = "(@task@ IS NULL OR lower(task) = lower(@task@))"
BY = '"by"'
"""The parameter, quoted: it is a word of SQL."""
OPEN, CLOSE = "('", "', "
MEMBERS = ("slice", "tag", "source")
"""What rows can be members of."""


def within() -> str:
    """SQL condition that a scored thing is in the slice and the tag asked for, where one is."""
    parts = []
    for kind in ("slice", "tag"):
        own = f"FROM @segments@({literal(kind)}, @at@) WHERE lower(segment) = lower(@{kind}@)"
        element = "{'r': __row, 'at': payload, 'pos': pos}"
        parts.append(
            f"(@{kind}@ IS NULL OR __row IN (SELECT __row {own} AND payload IS NULL) OR "
            f"{element} IN (SELECT {element} {own} AND payload IS NOT NULL))"
        )
    return " AND ".join(parts)


HOLE = re.compile(r"@(\w+)@")
BODY = re.compile(r"@body:(\w+)@")


def expand(text: str, home: str, bodies: dict[str, str]) -> str:
    """Return the text of functions.sql with each ``@body:name@`` replaced by SQL that gives the body as a string.

    All holes are filled at once, by format(), so that no argument can be taken for a hole.

    Parameters
    ----------
    home : schema wsdb as SQL
    """
    return BODY.sub(lambda found: _filled(bodies[found[1]], home), text)


def _filled(body: str, home: str) -> str:
    holes: list[str] = []

    def hole(found: re.Match[str]) -> str:
        if found[1] not in holes:
            holes.append(found[1])
        return f"{{{holes.index(found[1])}}}"

    whole = body.replace("@home@", home).replace("{", "{{").replace("}", "}}")
    template = HOLE.sub(hole, whole)
    return f"format({', '.join([literal(template), *(_value(name, home) for name in holes)])})"


def _value(name: str, home: str) -> str:
    """Return SQL of what stands in a hole, from the arguments of the function."""
    return MACROS[name](home) if name in MACROS else _quoted(f'"{name}"')


def _quoted(argument: str) -> str:
    return f"coalesce('''' || replace(CAST({argument} AS VARCHAR), '''', '''''') || '''', 'NULL')"


def _macro(kind: str, argument: str = "model") -> Callable[[str], str]:
    return lambda home: f"""{literal(f'{home}."{kind}_')} || replace({argument}, '"', '""') || '"'"""


def _segmented(home: str) -> str:
    """SQL of the SELECT of the scored things with their segments, as `by` asks for.

    place is 0 for all rows, 1 for a segment and 2 for what is in none.
    """
    by, kinds = f"lower(CAST({BY} AS VARCHAR))", ", ".join(literal(kind) for kind in MEMBERS)
    every = "SELECT *, 0 AS place, 'all' AS segment FROM base"
    split = "SELECT *, 1 AS place, coalesce(split, '(none)') AS segment FROM base"
    opens = f"{literal('WITH m AS MATERIALIZED (FROM ')} || {MACROS['segments'](home)}"
    kind = f"{literal(OPEN)} || {by} || {literal(CLOSE)} || {MACROS['at'](home)} || ')'"
    rest = literal(
        f"), e AS (FROM m WHERE payload IS NOT NULL), w AS (FROM m WHERE payload IS NULL) {every} UNION ALL "
        "SELECT b.*, 1, w.segment FROM base AS b JOIN w USING (__row) UNION ALL "
        "SELECT b.*, 1, e.segment FROM base AS b JOIN e USING (__row, payload, pos) UNION ALL "
        "SELECT b.*, 2, '(none)' FROM base AS b ANTI JOIN w USING (__row) ANTI JOIN e USING (__row, payload, pos)"
    )
    column = literal(
        "SELECT b.*, 1 AS place, coalesce(c.segment, '(none)') AS segment FROM base AS b JOIN "
        "(SELECT __row, CAST(COLUMNS(lambda c: lower(c) = lower("
    )
    after = literal(")) AS VARCHAR) AS segment FROM r) AS c USING (__row)")
    return (
        f"CASE WHEN {BY} IS NULL THEN {literal(every)} WHEN {by} = 'split' THEN {literal(split)} "
        f"WHEN {by} IN ({kinds}) THEN {opens} || {kind} || {rest} ELSE {column} || {_quoted(BY)} || {after} END"
    )


def _groups(home: str) -> str:
    """SQL of the SELECT of the slices, tags or sources that `by` asks for, by segment and payload; else of none."""
    by, kinds = f"lower(CAST({BY} AS VARCHAR))", ", ".join(literal(kind) for kind in MEMBERS)
    members = f"{literal(OPEN)} || {by} || {literal(CLOSE)} || {MACROS['at'](home)} || ')'"
    return (
        f"CASE WHEN {by} IN ({kinds}) THEN 'SELECT DISTINCT segment, payload FROM ' || {MACROS['segments'](home)} || "
        f"{members} ELSE 'SELECT NULL::VARCHAR AS segment, NULL::VARCHAR AS payload WHERE false' END"
    )


MACROS: dict[str, Callable[[str], str]] = {
    "at": lambda home: literal(f"home := {literal(home.removesuffix('wsdb'))}"),
    "outputs": _macro("outputs"),
    "other_outputs": _macro("outputs", "other"),
    "scored": _macro("scored"),
    "other_scored": _macro("scored", "other"),
    "inputs": _macro("inputs"),
    "segments": _macro("segments"),
    "segmented": _segmented,
    "groups": _groups,
    "source": lambda home: f"CASE WHEN tbl LIKE '(%' THEN tbl ELSE 'query_table(' || {_quoted('tbl')} || ')' END",
}
