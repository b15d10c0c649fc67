"""Tables of predictions and gold, written down instead of predicted, and the reports on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from wsdb.core.sqltext import AT, ident
from wsdb.core.task import Task
from wsdb.monitor.bodies import expand
from wsdb.monitor.reports import BODIES
from wsdb.monitor.scored import ScoredTask, scored_select


class Reports:
    """A DuckDB database with made-up models: what a model would answer is part of the rows it is asked about."""

    def __init__(self) -> None:
        self.con = duckdb.connect()
        self.con.execute("CREATE SCHEMA wsdb")

    def rows(self, task: str, select: str) -> None:
        """Make the view of a task's split and gold."""
        self.con.execute(f"CREATE OR REPLACE TABLE wsdb.{ident('rows_' + task)} AS {select}")

    def model(self, name: str, tasks: Sequence[ScoredTask], renamed: str = "") -> None:
        """Make a model that answers what columns ``predicted_…`` say; `renamed` stands before them in the input."""
        names = [f"predicted_{item.task.name}{part}" for item in tasks for part in ("", "_prob", "_probs")]
        replaced = ", ".join(f"{ident(renamed + name)} AS {ident(name)}" for name in names)
        columns = f"* REPLACE ({replaced})" if renamed else "*"
        self.con.execute(f'CREATE MACRO wsdb."outputs_{name}"(tbl) AS TABLE SELECT {columns} FROM query_table(tbl)')
        body = scored_select(tasks).replace(AT, "").replace("'", "''")
        self.con.execute(f"CREATE MACRO wsdb.\"scored_{name}\"(home := '') AS TABLE FROM query('{body}' || home)")

        self.members(name, "none", "SELECT __row, '' AS segment FROM r")

    def members(self, name: str, kind: str, select: str) -> None:
        """Make the members of slices or tags: a SELECT of __row and segment over r."""
        body = f"SELECT *, NULL::VARCHAR AS payload, NULL::BIGINT AS pos FROM ({select})".replace("'", "''")
        self.con.execute(
            f"CREATE OR REPLACE MACRO wsdb.\"segments_{name}\"(kind, home := '') AS TABLE FROM query('{body}' || "
            f"CASE WHEN kind = '{kind}' THEN '' ELSE ' LIMIT 0' END)"
        )

    def ask(self, function: str, *given: Any, **named: Any) -> list[dict[str, Any]]:
        """Return the rows of a report; arguments by name are those of functions.sql."""
        found = self._run(function, *given, **named)
        columns = [item[0] for item in found.description]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    def _run(self, function: str, *given: Any, **named: Any) -> Any:
        names = {"compare": ["model", "other", "tbl"]}.get(function, ["model", "tbl"])
        arguments = dict(zip(names, given, strict=True)) | named
        parameters = [*names, *(f"{ident(name)} := NULL" for name in ("task", "by", "label", "slice", "tag"))]
        text = expand(f"FROM query(@body:{function}@)", "wsdb", BODIES)
        self.con.execute(f"CREATE OR REPLACE TEMP MACRO report({', '.join(parameters)}) AS TABLE {text}")
        call = ", ".join(f"{ident(name)} := ?" if name in named else "?" for name in arguments)
        return self.con.execute(f"FROM report({call})", list(arguments.values()))


def task(name: str, labels: Sequence[str], kind: str = "multiclass", keys: Sequence[str] = ("id",)) -> Task:
    """Return a task on table t."""
    return Task(name, "t", tuple(keys), kind, tuple(labels))
