"""EXPORT DATABASE and IMPORT DATABASE carry all of wsdb's state, views and macros with the rest."""

from __future__ import annotations

from pathlib import Path

import wsdb


def test_an_exported_database_is_imported_with_its_labels_and_reports(tmp_path: Path) -> None:
    with wsdb.connect() as db:
        db.execute(
            "CREATE TABLE mails AS SELECT i AS id, ['free money', 'see you'][i % 2 + 1] AS body FROM range(50) t(i)"
        )
        db.execute("CREATE TABLE gold AS SELECT id, if(id % 2 = 0, 'spam', 'ham') AS label FROM mails")
        db.execute("CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam') GOLD gold")
        db.execute("CREATE LF money FOR TASK spam VOTE 'spam' WHEN body LIKE '%money%'")
        db.execute("CREATE LF polite FOR TASK spam VOTE 'ham' WHEN body LIKE '%you%'")
        labels = db.execute("SELECT id, label, prob FROM labels('spam') ORDER BY id").fetchall()
        db.execute(f"EXPORT DATABASE '{tmp_path / 'out'}'")
    with wsdb.connect() as db:
        db.execute(f"IMPORT DATABASE '{tmp_path / 'out'}'")
        assert db.execute("SELECT id, label, prob FROM labels('spam') ORDER BY id").fetchall() == labels
        assert db.notices == []  # nothing had to be computed
        summary = db.execute("SELECT lf, coverage, correct FROM lf_summary('spam', split := 'train')").fetchall()
        assert summary == [("money", 0.5, 25), ("polite", 0.5, 25)]
        assert db.execute("FROM lf_errors('spam', 'money')").fetchall() == []
        assert db.execute("SELECT count(*) FROM label_matrix('spam', split := 'train')").fetchall() == [(50,)]
