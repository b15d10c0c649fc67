"""A table several times as large as DuckDB's memory limit gets its label matrix and labels."""

from __future__ import annotations

from pathlib import Path

import pytest

import wsdb


@pytest.mark.slow
def test_a_table_larger_than_memory_is_labeled(tmp_path: Path) -> None:
    n = 1_500_000
    config = {"memory_limit": "200MB", "temp_directory": str(tmp_path / "spill"), "threads": "2"}
    with wsdb.connect(str(tmp_path / "big.duckdb"), config=config) as session:
        # About 400 characters a row that do not compress: 600 MB of text.
        text = " || ".join(f"md5((i * 13 + {part})::VARCHAR)" for part in range(12))
        session.execute(
            f"CREATE TABLE pages AS SELECT i AS id, {text} || ' word' || (i % 7) AS body FROM range({n}) t(i)"
        )
        size = session.execute("SELECT sum(length(body)) FROM pages").fetchall()[0][0]
        assert size > 2.5 * 200e6
        session.execute("CREATE TASK fraud ON pages KEY (id) TYPE BINARY ('ok', 'fraud')")
        for word in range(5):
            label = "fraud" if word % 2 else "ok"
            session.execute(f"CREATE LF has_{word} FOR TASK fraud VOTE '{label}' WHEN body LIKE '%word{word}'")
        session.execute("CREATE LF early FOR TASK fraud AS SELECT id, 'ok' AS label FROM pages WHERE id < 1000")
        found = session.execute(
            "SELECT count(*), count(has_0), count(has_1), count(early) FROM label_matrix('fraud')"
        ).fetchall()
        assert found == [(n, -(-n // 7), -(-(n - 1) // 7), 1000)]
        labels = dict(session.execute("SELECT label, count(*) FROM labels('fraud') GROUP BY label").fetchall())
        assert sum(labels.values()) == n
        uncovered = sum(-(-(n - word) // 7) for word in (5, 6)) - sum(i % 7 in (5, 6) for i in range(1000))
        assert labels[None] == uncovered
