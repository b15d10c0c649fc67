"""CREATE MODEL on input that cannot be learned from is an error that changes nothing; odd input is learned from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import wsdb

pytest.importorskip("torch")

SET_UP = """
CREATE TABLE mails AS SELECT i AS id, ['win money', 'see you'][1 + i % 2] AS body,
  CASE i % 5 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN 'inf'::DOUBLE WHEN 2 THEN NULL ELSE i END AS size,
  CASE WHEN i = 7 THEN ['nan'::FLOAT, 1] WHEN i = 8 THEN [1, '-inf'::FLOAT] ELSE [i, 1] END AS vec,
  CASE WHEN i = 3 THEN repeat('win ', 262144) ELSE 'see you' END AS long, 'v' || i AS code,
  ['a', 'b'] AS words, CASE WHEN i = 5 THEN ['a'] ELSE ['a', 'b'] END AS tags FROM range(60) t(i);
CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam') CLASS BALANCE ('ham' = 0.5, 'spam' = 0.5);
CREATE LF win FOR TASK spam AS CASE WHEN body LIKE 'win%' THEN 'spam' ELSE 'ham' END;
CREATE TASK silent ON mails KEY (id) TYPE BINARY;
CREATE TASK mute ON mails KEY (id) TYPE BINARY;
CREATE LF nothing FOR TASK mute VOTE 'yes' WHEN id < 0;
CREATE PAYLOAD words ON mails KEY (id) AS SEQUENCE (words);
CREATE PAYLOAD both ON mails KEY (id) AS SEQUENCE (words, tags);
CREATE TASK kind ON mails KEY (id) PAYLOAD words TYPE MULTICLASS ('x', 'y');
CREATE LF first FOR TASK kind AS CASE WHEN pos = 1 THEN 'x' END;
CREATE TABLE many AS SELECT i AS id, 'v' || i % 10000 AS value, i % 2 = 0 AS even FROM range(20000) t(i);
CREATE TASK parity ON many KEY (id) TYPE BINARY ('odd', 'even') CLASS BALANCE ('odd' = 0.5, 'even' = 0.5);
CREATE LF same FOR TASK parity AS CASE WHEN even THEN 'even' ELSE 'odd' END;
"""
BAD = [
    ("FOR TASK silent FROM mails FEATURES (body)", "WS4|WS5"),
    ("FOR TASK mute FROM mails FEATURES (body)", "WS505"),
    ("FOR TASK spam FROM (SELECT * FROM mails WHERE id < 0) FEATURES (body)", "WS505"),
    ("FOR TASK spam FROM mails FEATURES (body) LABELS FROM (SELECT id, 'spam' AS label FROM mails)", "WS506"),
    ("FOR TASK spam FROM mails FEATURES (body) WITH (epoch = 3)", "WS307"),
    ("FOR TASK spam FROM mails FEATURES (body) WITH (epochs = 0)", "WS307"),
    ("FOR TASK spam FROM mails FEATURES (bodi)", "WS312"),
    ("FOR TASK spam FROM mails PAYLOADS (both)", "WS512"),
]


@pytest.fixture(scope="module")
def db() -> Iterator[wsdb.Session]:
    """A session on odd data."""
    with wsdb.connect() as session:
        session.execute(SET_UP)
        yield session


@pytest.mark.parametrize(("clauses", "code"), BAD)
def test_what_cannot_be_learned_from_is_an_error_that_changes_nothing(
    db: wsdb.Session, clauses: str, code: str
) -> None:
    db.execute("REFRESH LABELS")
    before = state(db)
    with pytest.raises(wsdb.WsdbError, match=rf"\[(?:{code})") as caught:
        db.execute(f"CREATE MODEL m {clauses}")
    assert caught.value.span is not None
    assert state(db) == before


def state(db: wsdb.Session) -> list[object]:
    """Return what the catalog has, and the macros and views of schema wsdb."""
    return [
        db.connection.execute(query).fetchall()
        for query in (
            "SELECT kind, name, version FROM wsdb.objects ORDER BY ALL",
            "SELECT * FROM wsdb.model_versions",
            "SELECT function_name FROM duckdb_functions() WHERE schema_name = 'wsdb' ORDER BY ALL",
            "SELECT view_name FROM duckdb_views() WHERE schema_name = 'wsdb' ORDER BY ALL",
        )
    ]


@pytest.mark.parametrize(
    "clauses",
    [
        "FOR TASK spam FROM mails FEATURES (body, size)",
        "FOR TASK spam FROM mails FEATURES (body, vec)",
        "FOR TASK spam FROM mails FEATURES (body, long)",
        "FOR TASK kind FROM mails PAYLOADS (words)",
    ],
    ids=["numbers that are none", "vectors with holes", "a text of a megabyte", "elements without a label"],
)
def test_odd_input_is_learned_from_and_predictions_are_numbers(db: wsdb.Session, clauses: str) -> None:
    task = clauses.split()[2]
    db.execute(f"CREATE OR REPLACE MODEL odd_{task} {clauses} WITH (epochs = 2)")
    shown = f"unnest(predicted_{task}_prob)" if task == "kind" else f"predicted_{task}_prob"
    rows = f"SELECT {shown} AS p FROM predict('odd_{task}', mails)"
    found = db.execute(f"SELECT count(*), count(*) FILTER (WHERE isfinite(p)) FROM ({rows})").fetchall()
    assert found[0][0] == found[0][1] > 0
    db.execute(f"DROP MODEL odd_{task}")


def test_ten_thousand_categories_are_all_kept(db: wsdb.Session) -> None:
    db.execute("CREATE MODEL wide FOR TASK parity FROM many FEATURES (value) WITH (epochs = 1, categories = ['value'])")
    assert not any("most frequent of" in text for text in db.notices)
    assert db.execute("SELECT n_slots FROM feature_info('wide')").fetchall() == [(10_002,)]
    rows = "SELECT count(*) FROM predict('wide', many) WHERE isfinite(predicted_parity_prob)"
    assert db.execute(rows).fetchall() == [(20_000,)]
    db.execute("DROP MODEL wide")
