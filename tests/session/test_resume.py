"""A training run that was killed goes on from its last checkpoint, when asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import wsdb
from wsdb.core.progress import Progress

pytest.importorskip("torch")

SET_UP = """
CREATE TABLE mails AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'win money ' ELSE 'see you at ' END || i AS body
FROM range(400) t(i);
CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam');
CREATE LF money FOR TASK spam VOTE 'spam' WHEN body LIKE '%money%';
CREATE LF see FOR TASK spam VOTE 'ham' WHEN body LIKE '%see%';
"""
TRAIN = "CREATE MODEL m FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 5, early_stop = false, resume = true)"


SEARCH = (
    "CREATE MODEL m FOR TASK spam FROM mails FEATURES (body) "
    "WITH (epochs = 4, search = 'auto', trials = 6, text = ['body'], resume = true)"
)


class Killed(Exception):
    """Stands for a kill."""


def weights(file: Path) -> bytes:
    with wsdb.connect(file) as db:
        return bytes(db.execute("SELECT bytes FROM wsdb.tensors").fetchall()[0][0])


def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    seen: list[str] = []
    with wsdb.connect(whole) as db:
        db.execute(SET_UP)
    shutil.copy(whole, cut)
    with wsdb.connect(whole) as db:
        db.execute(TRAIN)
    assert not Path(f"{whole}.training").exists()

    def kill(progress: Progress) -> None:
        if "epoch 3" in str(progress):
            raise Killed

    with wsdb.connect(cut) as db:
        db.on_progress = kill
        with pytest.raises(Killed):
            db.execute(TRAIN)
        assert db.execute("SELECT count(*) FROM wsdb.models").fetchall() == [(0,)]
    assert Path(f"{cut}.training").exists()
    with wsdb.connect(cut) as db:
        db.on_progress = lambda progress: seen.append(str(progress))
        db.execute(TRAIN)
    assert not any("epoch 1," in text or "epoch 2," in text for text in seen)
    assert any("epoch 5," in text for text in seen)
    assert not Path(f"{cut}.training").exists()
    assert weights(cut) == weights(whole)


def test_a_database_in_memory_has_no_place_for_checkpoints() -> None:
    with wsdb.connect() as db:
        db.execute("CREATE TABLE t AS SELECT i AS id, 'a' AS body FROM range(9) r(i)")
        db.execute("CREATE TASK spam ON t KEY (id) TYPE BINARY; CREATE LF one FOR TASK spam VOTE 'yes' WHEN id > 3")
        with pytest.raises(wsdb.WsdbError, match=r'\[WS307\]: option "resume" keeps checkpoints beside the database'):
            db.execute("CREATE MODEL m FOR TASK spam FROM t FEATURES (body) WITH (resume = true)")
        assert db.execute("SELECT count(*) FROM wsdb_objects() WHERE kind = 'model'").fetchall() == [(0,)]


def trials(file: Path) -> list[tuple[object, ...]]:
    with wsdb.connect(file) as db:
        return db.execute("SELECT trial, options, dev_score, chosen, status, pruned_at FROM trials('m')").fetchall()


def test_a_killed_search_goes_on_after_its_last_trial_and_ends_with_the_same_trials(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    with wsdb.connect(whole) as db:
        db.execute(SET_UP)
    shutil.copy(whole, cut)
    heard: list[str] = []

    def hear(progress: Progress) -> None:
        heard.append(str(progress))

    with wsdb.connect(whole) as db:
        db.on_progress = hear
        db.execute(SEARCH)
    in_all = sum("epoch 1, train" in text for text in heard)
    assert not Path(f"{whole}.training").exists()

    def kill(progress: Progress) -> None:
        heard.append(str(progress))
        if sum("epoch 1, train" in text for text in heard) == 4:
            raise Killed

    heard.clear()
    with wsdb.connect(cut) as db:
        db.on_progress = kill
        with pytest.raises(Killed):
            db.execute(SEARCH)
    heard.clear()
    with wsdb.connect(cut) as db:
        db.on_progress = hear
        db.execute(SEARCH)
    again = sum("epoch 1, train" in text for text in heard)
    assert again in (in_all - 3, in_all - 2)  # three trials are known, and the best of them may be trained once more
    assert trials(cut) == trials(whole)
    assert weights(cut) == weights(whole)
    assert not Path(f"{cut}.training").exists()
