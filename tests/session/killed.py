"""What the process that is killed does: ``python -m tests.session.killed FILE KIND`` runs the statements of a kind.

It prints the state after each statement of a first round as JSON, then ``start <number>`` before every statement of
the rounds that follow, until it is killed.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time

import wsdb
from tests.session.invariants import state

MODEL = "FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 1, hidden = 4, buckets_bits = 8, seed = 1)"
SET_UP = f"""
CREATE TABLE mails AS SELECT i AS id, CASE WHEN i % 3 = 0 THEN 'win a prize' ELSE 'see you at noon' END || i AS body
  FROM range(600) t(i);
CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam');
CREATE LF prize FOR TASK spam VOTE 'spam' WHEN body LIKE '%prize%';
CREATE LF noon FOR TASK spam VOTE 'ham' WHEN body LIKE '%noon%';
REFRESH LABELS FOR TASK spam;
CREATE MODEL filter {MODEL};
"""
EXTRA = "TASK extra ON mails KEY (id) TYPE BINARY ('a', 'b')"
ROUNDS: dict[str, list[str]] = {
    "task": [
        f"CREATE {EXTRA}",
        "CREATE OR REPLACE TASK extra ON mails KEY (id) TYPE MULTICLASS ('a', 'b', 'c') COMMENT 'three'",
        "DROP TASK extra",
    ],
    "labeling function": [
        "CREATE LF long FOR TASK spam AS CASE WHEN length(body) > 15 THEN 'ham' END",
        "CREATE OR REPLACE LF long FOR TASK spam AS CASE WHEN length(body) > 16 THEN 'ham' END",
        "DROP LF long",
    ],
    "refresh that creates": [
        f"CREATE {EXTRA}",
        "CREATE LF odd FOR TASK extra VOTE 'a' WHEN id % 2 = 1",
        "REFRESH LABELS FOR TASK extra",
        "DROP TASK extra CASCADE",
    ],
    "refresh that updates": [
        "CREATE OR REPLACE LF noon FOR TASK spam VOTE 'ham' WHEN id % 7 = 0",
        "REFRESH LABELS FOR TASK spam",
        "CREATE OR REPLACE LF noon FOR TASK spam VOTE 'ham' WHEN body LIKE '%noon%'",
        "REFRESH LABELS FOR TASK spam",
    ],
    "refresh that rewrites": [
        "CREATE LF early FOR TASK spam VOTE 'ham' WHEN id < 100",
        "REFRESH LABELS FOR TASK spam",
        "DROP LF early",
        "REFRESH LABEL MATRIX FOR TASK spam",
        "REFRESH LABELS FOR TASK spam",
    ],
    "label model": [
        "CREATE LABEL MODEL votes FOR TASK spam USING majority",
        "REFRESH LABELS FOR TASK spam",
        "DROP LABEL MODEL votes",
        "REFRESH LABELS FOR TASK spam",
    ],
    "model": [f"CREATE MODEL second {MODEL}", "DROP MODEL second"],
    "refresh of a model": ["REFRESH MODEL filter FULL"],
    "drop cascade": [
        f"CREATE {EXTRA}",
        "CREATE LF odd FOR TASK extra AS CASE WHEN id % 2 = 1 THEN 'a' ELSE 'b' END",
        "CREATE MODEL third FOR TASK extra FROM mails FEATURES (body) WITH (epochs = 1, hidden = 4, buckets_bits = 8)",
        "DROP TASK extra CASCADE",
    ],
    "comment": ["COMMENT ON TASK spam IS 'one'", "COMMENT ON LF prize IS 'two'", "COMMENT ON TASK spam IS NULL",
                "COMMENT ON LF prize IS NULL"],
}  # fmt: skip


def digest(db: wsdb.Session) -> str:
    """Return the state as a short text, without what differs from round to round."""
    return hashlib.sha256(json.dumps(state(db, steady=True)).encode()).hexdigest()


def main(file: str, kind: str) -> None:
    """Run the statements of a kind for ever."""
    db = wsdb.connect(file)
    states = []
    for statement in ROUNDS[kind]:
        for piece in db.pieces(statement):
            db.run(piece)
        states.append(digest(db))
    start = time.perf_counter()
    for statement in ROUNDS[kind]:
        db.execute(statement)
    sys.stdout.write(json.dumps({"states": states, "seconds": time.perf_counter() - start}) + "\n")
    sys.stdout.flush()
    while True:
        for number, statement in enumerate(ROUNDS[kind]):
            sys.stdout.write(f"start {number}\n")
            sys.stdout.flush()
            db.execute(statement)


if __name__ == "__main__":
    main(*sys.argv[1:])
