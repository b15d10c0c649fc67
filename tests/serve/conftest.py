"""A small database with two tasks and a model of both, trained once; every test gets a copy of the file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import wsdb

ROWS = 5_000
SET_UP = f"""
CREATE TABLE webpages AS
  SELECT i AS id, 'page ' || i AS title,
         CASE WHEN i % 3 = 0 THEN 'wire transfer now, prince' ELSE 'holiday photos of the lake' END
         || CASE i % 4 WHEN 0 THEN ' football match' WHEN 1 THEN ' stock market' ELSE ' cooking soup' END AS body,
         i % 5 AS links
  FROM range({ROWS}) t(i);
CREATE TASK fraud ON webpages KEY (id) TYPE BINARY ('ok', 'fraud');
CREATE LF wire FOR TASK fraud VOTE 'fraud' WHEN body LIKE '%wire%';
CREATE LF photos FOR TASK fraud VOTE 'ok' WHEN body LIKE '%photos%';
CREATE TASK topic ON webpages KEY (id) TYPE MULTICLASS ('sport', 'money', 'food');
CREATE LF ball FOR TASK topic VOTE 'sport' WHEN body LIKE '%football%';
CREATE LF stock FOR TASK topic VOTE 'money' WHEN body LIKE '%stock%';
CREATE LF soup FOR TASK topic VOTE 'food' WHEN body LIKE '%soup%';
CREATE MODEL webcorp FOR TASKS (fraud, topic) FROM webpages FEATURES (body, links)
  WITH (epochs = 2, hidden = 8, buckets_bits = 12, seed = 1);
CREATE TASK unserved ON webpages KEY (id) TYPE BINARY;
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the trained model."""
    file = tmp_path_factory.mktemp("serve") / "served.duckdb"
    with wsdb.connect(file) as db:
        db.execute(SET_UP)
    return file


@pytest.fixture
def file(trained: Path, tmp_path: Path) -> Path:
    """A copy of the file that a test may change."""
    return Path(shutil.copy(trained, tmp_path / "served.duckdb"))


@pytest.fixture
def db(file: Path) -> Iterator[wsdb.Session]:
    """A session on the copy."""
    with wsdb.connect(file) as session:
        yield session
