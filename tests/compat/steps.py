"""What one side of the compatibility test does: ``python -m tests.compat.steps ACTION FILE`` prints JSON.

Run by each of the two environments, so it needs nothing but wsdb and duckdb.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

MAILS = [
    (1, "you won, claim at http://win.example now"),
    (2, "see you at noon"),
    (3, "invoice attached, as agreed yesterday on the phone"),
    (4, "short http link"),
]


def write(file: str) -> Any:
    """Make a task with two labeling functions and its labels."""
    import wsdb

    db = wsdb.connect(file)
    db.execute("CREATE TABLE mails (id INTEGER, body VARCHAR)")
    for key, body in MAILS:
        db.execute(f"INSERT INTO mails VALUES ({key}, '{body}')")
    db.execute("CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam')")
    db.execute("CREATE LABELING FUNCTION has_link FOR TASK spam VOTE 'spam' WHEN body LIKE '%http%'")
    db.execute("CREATE LABELING FUNCTION short FOR TASK spam AS CASE WHEN length(body) < 20 THEN 'ham' END")
    rows = _labels(db)
    db.close()
    return rows


def read(file: str) -> Any:
    """Return the labels, through wsdb."""
    import wsdb

    db = wsdb.connect(file)
    rows = _labels(db)
    db.close()
    return rows


def change(file: str) -> Any:
    """Add a labeling function and a row, and return the labels that follow."""
    import wsdb

    db = wsdb.connect(file)
    db.execute("INSERT INTO mails VALUES (5, 'claim your prize')")
    db.execute("CREATE LABELING FUNCTION prize FOR TASK spam VOTE 'spam' WHEN body ILIKE '%claim%'")
    rows = _labels(db)
    db.close()
    return rows


def bare(file: str) -> Any:
    """Return the stored labels, through DuckDB alone."""
    import duckdb

    with duckdb.connect(file, read_only=True) as con:
        return con.execute("SELECT id, label FROM wsdb.labels_spam ORDER BY id").fetchall()


def version(file: str) -> Any:
    """Return DuckDB's version."""
    import duckdb

    return duckdb.__version__


def _labels(db: Any) -> list[Any]:
    return [list(row) for row in db.execute("SELECT id, label FROM labels('spam') ORDER BY id").fetchall()]


ACTIONS: dict[str, Callable[[str], Any]] = {
    "write": write,
    "read": read,
    "change": change,
    "bare": bare,
    "version": version,
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(ACTIONS[sys.argv[1]](sys.argv[2])))
