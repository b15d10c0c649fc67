"""Labels that were kept by patching counts are those of REFRESH LABELS FULL, to the last bit, after any edits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wsdb
from wsdb.session import run_counts

WORDS = ["aa", "ab", "bc", "cd", "de", "ef", "fg"]
TABLES = (
    "split_counts", "vote_counts", "vote_pairs", "vote_shares", "label_scores", "label_bias", "label_confusion",
    "lf_dependencies", "patterns_kind", "labels_kind", "training_kind",
)  # fmt: skip
EDITS = {
    "append": "INSERT INTO docs SELECT id + {at} * 1000, body, part FROM docs WHERE id % {width} = 1",
    "change": "UPDATE docs SET body = '{word}x' WHERE id % {width} = 0",
    "delete": "DELETE FROM docs WHERE id % {width} = 2",
    "split": "UPDATE docs SET part = 'dev' WHERE id % {width} = 3",
    "gold": "UPDATE truths SET truth = 'b' WHERE id % {width} = 4",
    "lf": "CREATE OR REPLACE LF lf_{lf} FOR TASK kind VOTE 'b' WHEN body LIKE '%{word}%'",
    "copy": "CREATE OR REPLACE LF lf_{lf} FOR TASK kind VOTE 'a' WHEN body LIKE '%aa%'",
    "balance": "CREATE OR REPLACE LABEL MODEL lm FOR TASK kind WITH (prior = '{prior}')",
    "nothing": "SELECT 1",
}


def made() -> wsdb.Session:
    """Return a session with a task of three labels, splits and gold, and eight labeling functions."""
    db = wsdb.connect()
    word = "CASE WHEN false THEN '' " + " ".join(f"WHEN h % 7 = {at} THEN '{word}'" for at, word in enumerate(WORDS))
    db.execute(
        f"CREATE TABLE docs AS SELECT id, {word} END || chr(97 + (h // 7 % 9)::INT) AS body, "
        "['train', 'dev', 'test'][(h % 3 + 1)::INT] AS part "
        "FROM (SELECT id, (id * 7919 + 13) % 1009 AS h FROM range(300) AS t(id))"
    )
    db.execute(
        "CREATE TABLE truths AS SELECT id, ['a', 'b', 'c'][(id % 3 + 1)::INT] AS truth FROM docs WHERE id % 4 > 0"
    )
    db.execute("CREATE TASK kind ON docs KEY (id) TYPE MULTICLASS ('a', 'b', 'c') GOLD truths (truth) SPLIT BY part")
    for at, part in enumerate("abcdefgx"):
        db.execute(f"CREATE LF lf_{at} FOR TASK kind VOTE '{'abc'[at % 3]}' WHEN body LIKE '%{part}%'")
    return db


def stored(db: wsdb.Session) -> dict[str, Any]:
    """Return everything that a fit stores."""
    found: dict[str, Any] = {name: sorted(map(repr, db.execute(f"FROM wsdb.{name}").fetchall())) for name in TABLES}
    found["fit"] = json.loads(db.execute("SELECT fit FROM wsdb.label_runs").fetchall()[0][0])
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Assert that two fits are equal, name by name."""
    for name, value in one.items():
        assert value == other[name], name


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "edit": st.sampled_from(sorted(EDITS)),
                "width": st.integers(7, 60),
                "lf": st.integers(0, 7),
                "word": st.sampled_from(WORDS),
                "prior": st.sampled_from(["uniform", "auto"]),
            }
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([10, 1 << 16]),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_kept_labels_are_those_of_a_full_refresh(
    monkeypatch: pytest.MonkeyPatch, edits: list[dict[str, Any]], most: int
) -> None:
    monkeypatch.setattr(run_counts, "MOST", most)
    db = made()
    db.execute("REFRESH LABELS FOR TASK kind")
    for at, edit in enumerate(edits, 1):
        db.execute(EDITS[edit["edit"]].format(at=at, **edit))
        db.execute("REFRESH LABELS FOR TASK kind")
    kept = stored(db)
    db.execute("REFRESH LABELS FOR TASK kind FULL")
    same(kept, stored(db))
    db.close()


def test_a_refresh_after_a_small_change_counts_only_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    db = made()
    db.execute("REFRESH LABELS FOR TASK kind")

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("all patterns are read")

    monkeypatch.setattr(run_counts, "_whole", refused)
    for edit in ("append", "change", "delete", "balance"):
        db.execute(EDITS[edit].format(at=9, width=29, lf=0, word="fg", prior="uniform"))
        db.execute("REFRESH LABELS FOR TASK kind")
        (n,) = db.execute("SELECT count(*) FROM wsdb.changes_kind").fetchall()[0]
        assert n == 0
    with pytest.raises(AssertionError, match="all patterns are read"):
        db.execute("REFRESH LABELS FOR TASK kind FULL")
    db.close()
