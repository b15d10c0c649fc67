"""The life of one statement: the values that ARCHITECTURE.md prints at each hop, taken from a run."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import wsdb
from wsdb.parser.cursor import tokens_of
from wsdb.parser.render import render
from wsdb.parser.script import split
from wsdb.planner.explain import explain
from wsdb.planner.labels import plan_labels
from wsdb.session.calls import calls

CREATE = "CREATE LABELING FUNCTION has_link FOR TASK spam VOTE 'spam' WHEN body LIKE '%http%'"
READ = "SELECT id, label, round(prob, 2) AS prob FROM labels('spam')"
SETUP = """
CREATE TABLE comments AS FROM (VALUES (1, 'check http://x.example'), (2, 'love this song'),
  (3, 'subscribe http://y.example'), (4, 'hello')) t(id, body);
CREATE TASK spam ON comments KEY (id) TYPE BINARY ('ham', 'spam');
CREATE LABELING FUNCTION praise FOR TASK spam VOTE 'ham' WHEN body LIKE '%love%';
"""
WIDTH = 112


@cache
def values() -> dict[str, str]:
    """Return the value of each hop as text, by the hop's name."""
    found: dict[str, str] = {}
    db = wsdb.connect()
    db.sql(SETUP)
    found["tokens"] = "\n".join(map(repr, tokens_of(CREATE)[:4])) + "\n…"
    (piece,) = split(CREATE)
    statement = piece.parse()
    found["statement"] = (
        f"{type(statement).__name__}(spec={statement.spec!r},\n"  # type: ignore[attr-defined]
        f"  spans={{'label': {statement.at('label').start}–{statement.at('label').end}, "
        f"'body': {statement.at('body').start}–{statement.at('body').end}, …}})"
    )
    found["canonical"] = render(statement.spec)  # type: ignore[attr-defined]
    db.sql(CREATE)
    found["notice"] = "\n".join(db.notices)
    found["row"] = show(db, "SELECT kind, name, version, data_hash FROM wsdb.objects WHERE name = 'has_link'")
    (piece,) = split(READ)
    (call,) = calls(piece)
    found["call"] = f"Call(name={call.name!r}, span={call.span.slice!r}, arguments=('spam',))"
    rooms = db._rooms
    snapshot = rooms.catalog.snapshot()
    task = snapshot.task("spam")
    facts = rooms.engine.inspect(task, snapshot.lfs("spam"), None, {})
    found["facts"] = shown_facts(facts)
    step: Any = plan_labels(task, snapshot, {"spam": facts})
    found["plan"] = "\n".join(explain(step))
    rows = db.sql(READ).fetchall()
    notices = list(db.notices)
    found["matrix"] = show(db, "FROM wsdb.matrix_spam")
    found["patterns"] = repr(rooms.engine.votes(step.pack).distinct)
    found["run"] = show(db, "SELECT method, chosen, regime, n_rows, n_patterns FROM wsdb.label_runs")
    (view,) = db.sql("SELECT sql FROM duckdb_views() WHERE view_name = 'labels_spam'").fetchall()[0]
    found["view"] = view[: 2 * WIDTH].replace(" FROM ", "\n  FROM ") + "…"
    found["answer"] = "\n".join(map(str, rows))
    found["notices"] = "\n".join(notices)
    return {name: re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE) for name, text in found.items()}


def shown_facts(facts: Any) -> str:
    """Return the facts that decide a first refresh, a line for each."""
    lines = [f"TaskFacts(n_rows={facts.n_rows}, rows_hash={facts.rows_hash!r}, row_columns={facts.row_columns}, lfs={{"]
    for name, lf in facts.lfs.items():
        text = (
            f"reads={lf.reads}, definition_hash={lf.definition_hash!r}, predicates={lf.predicates}, cost={lf.cost}, …"
        )
        lines.append(f"    {name!r}: LFFacts({text}),")
    return "\n".join([*lines, "  }, changes=None, …)"])


def show(db: Any, query: str) -> str:
    """Return the rendered rows of a query."""
    return str(db.sql(query)).rstrip()


def hop(name: str) -> str:
    """Return a fenced value."""
    return f"```text\n{wrapped(values()[name])}\n```\n"


def wrapped(text: str) -> str:
    """Return text with lines broken at the width of the page, at commas and spaces."""
    lines = []
    for line in text.split("\n"):
        rest = line
        while len(rest) > WIDTH and not rest.startswith(("│", "┌", "└")):
            at = rest.rfind(" ", 20, WIDTH)
            lines.append(rest[:at])
            rest = "    " + rest[at + 1 :]
        lines.append(rest)
    return "\n".join(lines)
