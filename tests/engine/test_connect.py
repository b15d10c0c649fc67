"""Opening files: which storage format they get, and what is said of those that cannot be opened."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

import wsdb
from wsdb.core.errors import StorageError


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "labels.duckdb"
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError) as caught:
        wsdb.connect(str(file))
    assert caught.value.code == "WS602"
    assert str(file) in caught.value.message
    assert caught.value.hint == "the file is cut off or damaged, or is of another kind; restore it from a copy"
    assert file.read_bytes() == b"no database" * 1000


def test_a_database_of_another_wsdb_format_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.duckdb"
    with wsdb.connect(str(file)) as session:
        session.execute("CREATE TABLE mails (id INTEGER); CREATE TASK spam ON mails KEY (id) TYPE BINARY")
    with duckdb.connect(str(file)) as con:
        con.execute("UPDATE wsdb.settings SET value = '99' WHERE name = 'format_version'")
    with duckdb.connect(str(file)) as con, pytest.raises(StorageError) as caught:
        wsdb.attach(con)
    assert caught.value.code == "WS603"
    assert caught.value.message == "the database has wsdb format 99, this version reads format 2"


def test_a_new_file_has_the_storage_format_of_the_oldest_supported_duckdb(tmp_path: Path) -> None:
    file = tmp_path / "labels.duckdb"
    with wsdb.connect(str(file)) as session:
        tags = session.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert tags == [({"storage_version": "v1.5.0+"},)]
