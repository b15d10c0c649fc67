"""A Python without torch: plain networks predict, and training says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import wsdb

pytest.importorskip("torch")

SET_UP = """
CREATE TABLE mails AS SELECT i AS id, ['win money', 'see you'][1 + i % 2] AS body, ['a', 'b'] AS words
  FROM range(40) t(i);
CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam');
CREATE LF win FOR TASK spam AS CASE WHEN body LIKE 'win%' THEN 'spam' ELSE 'ham' END;
CREATE PAYLOAD words ON mails KEY (id) AS SEQUENCE (words);
CREATE MODEL plain FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 1);
CREATE SLICE tens ON mails KEY (id) AS id < 10;
CREATE MODEL sliced FOR TASK spam FROM mails FEATURES (body) SLICES (tens) WITH (slice_mode = 'attention', epochs = 1);
CREATE MODEL deep FOR TASK spam FROM mails FEATURES (body) PAYLOADS (words) WITH (epochs = 1);
"""
WITHOUT = """
import sys
sys.modules["torch"] = None
import wsdb
with wsdb.connect(sys.argv[1]) as db:
    found = db.execute("SELECT predicted_spam, count(*) FROM predict('plain', mails) GROUP BY ALL ORDER BY ALL")
    print(found.fetchall())
    print(db.execute("SELECT count(predicted_spam) FROM predict('sliced', mails)").fetchall())
    print(db.execute("SELECT count(p_member) FROM slices('sliced', mails)").fetchall())
    print(db.execute("SELECT n, accuracy IS NULL FROM evaluate('plain', mails)").fetchall())
    for text in ("CREATE OR REPLACE MODEL plain FOR TASK spam FROM mails FEATURES (id)", "FROM predict('deep', mails)",
                 "FROM explain_predict('plain', mails)", "SHOW CODE FOR MODEL plain"):
        try:
            print(len(db.execute(text).fetchall()) > 0)
        except wsdb.WsdbError as error:
            print(error.code, error.message, "|", error.hint)
    print(db.execute("SELECT kind, name, version FROM wsdb_objects() WHERE kind = 'model'").fetchall())
"""


def test_without_torch_plain_networks_predict_and_the_rest_says_what_to_install(tmp_path: Path) -> None:
    file = str(tmp_path / "w.duckdb")
    with wsdb.connect(file) as db:
        db.execute(SET_UP)
    run = subprocess.run([sys.executable, "-c", WITHOUT, file], capture_output=True, text=True, check=True)
    predicted, sliced, members, scored, trained, deep, explained, code, models = run.stdout.splitlines()
    assert predicted == "[('ham', 20), ('spam', 20)]"
    assert sliced == members == "[(40,)]"
    assert scored == "[]"
    for said in (trained, deep, code):
        assert said.startswith("WS701 ")
        assert "pip install" in said
    assert explained == "True"
    assert models == "[('model', 'deep', 1), ('model', 'plain', 1), ('model', 'sliced', 1)]"


def test_checkpoints_need_a_folder_beside_the_database(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    (tmp_path / "w.duckdb.training").write_text("a file is in the way")
    with wsdb.connect(str(file)) as db:
        db.execute(SET_UP.partition("CREATE MODEL")[0])
        with pytest.raises(wsdb.WsdbError, match="cannot be used") as caught:
            db.execute("CREATE MODEL m FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 1, resume = true)")
        assert caught.value.code == "WS514"
        assert db.execute("SELECT name FROM wsdb_objects() WHERE kind = 'model'").fetchall() == []


def test_memory_that_runs_out_leaves_the_catalog_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from wsdb.model import loop

    with wsdb.connect() as db:
        db.execute(SET_UP.partition("CREATE MODEL deep")[0])
        before = db.execute("FROM wsdb_objects()").fetchall(), db.execute("FROM predict('plain', mails)").fetchall()
        monkeypatch.setattr(
            loop, "inputs_of", lambda *_: (_ for _ in ()).throw(MemoryError("Unable to allocate 9 TiB"))
        )
        with pytest.raises(wsdb.WsdbError, match="ran out of memory") as caught:
            db.execute("CREATE OR REPLACE MODEL plain FOR TASK spam FROM mails FEATURES (id)")
        assert caught.value.code == "WS513"
        monkeypatch.undo()
        after = db.execute("FROM wsdb_objects()").fetchall(), db.execute("FROM predict('plain', mails)").fetchall()
        assert after == before
