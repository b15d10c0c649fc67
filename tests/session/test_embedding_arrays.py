"""CREATE EMBEDDING reads numpy files, with the tokens beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wsdb


def test_the_rows_of_an_array_are_the_vectors_of_the_lines_beside_it(tmp_path: Path) -> None:
    np.save(tmp_path / "words.npy", np.array([[0.5, 1.0], [2.0, -3.0]]))
    (tmp_path / "words.txt").write_text("new york\nparis\n", "utf-8")
    with wsdb.connect() as db:
        db.execute(f"CREATE EMBEDDING words FROM '{tmp_path / 'words.npy'}'")
        assert db.sql("SELECT token, vector::FLOAT[] FROM wsdb.embedding_words").fetchall() == [
            ("new york", [0.5, 1.0]),
            ("paris", [2.0, -3.0]),
        ]


@pytest.mark.parametrize(
    ("array", "tokens", "said"),
    [
        (np.ones((2, 3)), None, "has vectors and no tokens, and there is no words.txt beside it"),
        (np.ones((2, 3)), "a", "has 2 vectors, and words.txt has 1 lines"),
        (np.ones(3), "a\nb\nc", "is float64 of shape (3,); it must be numbers"),
        (np.ones((2, 0)), "a\nb", "is float64 of shape (2, 0); it must be numbers"),
        (np.array([["x"]]), "a", "is <U1 of shape (1, 1); it must be numbers"),
        (np.array([[{}]], dtype=object), "a", "holds no array of numbers"),
        (np.array([[np.nan]]), "a", "1 vector with a NULL, NaN or infinite number"),
        (np.ones((2, 1)), "a\na", "the token 'a' stands 2 times"),
        (None, "a", "No such file"),
    ],
)
def test_what_is_no_array_of_vectors_is_refused_and_leaves_the_catalog(
    tmp_path: Path, array: Any, tokens: str | None, said: str
) -> None:
    if array is not None:
        np.save(tmp_path / "words.npy", array, allow_pickle=True)
    if tokens is not None:
        (tmp_path / "words.txt").write_text(tokens, "utf-8")
    with wsdb.connect() as db:
        db.execute("CREATE TABLE t AS SELECT 1 AS id; CREATE TASK k ON t KEY (id) TYPE BINARY ('no', 'yes')")
        with pytest.raises(wsdb.WsdbError) as caught:
            db.execute(f"CREATE EMBEDDING words FROM '{tmp_path / 'words.npy'}'")
        assert caught.value.code == "WS347"
        assert said in str(caught.value)
        assert caught.value.span is not None
        assert db.sql("SELECT count(*) FROM wsdb_objects() WHERE kind = 'embedding'").fetchall() == [(0,)]


def test_an_archive_of_arrays_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "words.npz", np.ones((2, 2)))
    (tmp_path / "words.npz").rename(tmp_path / "words.npy")
    (tmp_path / "words.txt").write_text("a\nb", "utf-8")
    with wsdb.connect() as db, pytest.raises(wsdb.WsdbError, match="holds several arrays"):
        db.execute(f"CREATE EMBEDDING words FROM '{tmp_path / 'words.npy'}'")
