"""Few, many and odd labeling functions, keys and texts: the right answer or a coded error, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

import wsdb
from wsdb.core.errors import StorageError
from wsdb.engine import duckdb as engine
from wsdb.engine.isolate import isolate
from wsdb.planner import columns as columns_plan
from wsdb.planner import match as match_plan
from wsdb.planner import matrix as matrix_plan


def slow(*values: Any) -> Any:
    """Return parameters of a case that `make test` leaves out."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture
def db() -> Iterator[wsdb.Session]:
    """A session with a relation of ten rows."""
    with wsdb.connect() as session:
        session.execute("CREATE TABLE data AS SELECT i AS id, 'text ' || i AS body, i % 3 AS n FROM range(10) t(i)")
        yield session


def task(session: wsdb.Session, *lfs: str, kind: str = "BINARY ('ham', 'spam')", key: str = "id") -> None:
    session.execute(f"CREATE TASK t ON data KEY ({key}) TYPE {kind}")
    for at, body in enumerate(lfs):
        session.execute(f"CREATE LF f{at} FOR TASK t {body}")


def labels(session: wsdb.Session) -> list[Any]:
    return session.execute("SELECT label FROM labels('t') ORDER BY ALL").fetchall()


def rows_of(session: wsdb.Session, query: str) -> tuple[list[str], list[Any]]:
    session.execute(query)
    return [column[0] for column in session.description], session.fetchall()


def same_as_rebuilt(session: wsdb.Session) -> list[Any]:
    """Check that what is stored is what a fresh build gives, and return the matrix."""
    queries = [f"FROM {part}('t') ORDER BY ALL" for part in ("label_matrix", "labels")]
    kept = [rows_of(session, query) for query in queries]
    session.execute("REFRESH LABELS FOR TASK t FULL")
    assert [rows_of(session, query) for query in queries] == kept
    return kept[0][1]


# ------------------------------------------------------------------------------------------ labeling functions


def test_without_a_labeling_function_no_row_is_covered(db: wsdb.Session) -> None:
    task(db)
    assert db.execute("SELECT DISTINCT label, n_votes, covered FROM labels('t')").fetchall() == [(None, 0, False)]
    db.execute("INSERT INTO data VALUES (10, 'more', 0)")
    assert len(same_as_rebuilt(db)) == 11


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        (["VOTE 'spam' WHEN n = 0"], [("spam",)] * 4 + [(None,)] * 6),
        slow(["VOTE 'spam' WHEN n = 0", "VOTE 'ham' WHEN n = 1"], [("ham",)] * 3 + [("spam",)] * 4 + [(None,)] * 3),
        slow(["VOTE 'spam' WHEN false"], [(None,)] * 10),
        slow(["VOTE 'spam' WHEN true"], [("spam",)] * 10),
        (["VOTE 'spam' WHEN n < 2"] * 4, [("spam",)] * 7 + [(None,)] * 3),
        slow(["VOTE 'spam' WHEN NULL", "AS NULL", "VOTE 'ham' WHEN n = 1"], [("ham",)] * 3 + [(None,)] * 7),
        (["AS SELECT id, 'spam' FROM data WHERE false", "AS SELECT 0 AS id, 'ham' AS label"],
         [("ham",)] + [(None,)] * 9),
    ],
    ids=["one", "two", "never", "always", "equal", "null", "queries"],
)  # fmt: skip
def test_few_and_degenerate_labeling_functions(db: wsdb.Session, bodies: list[str], expected: list[Any]) -> None:
    task(db, *bodies)
    assert labels(db) == expected
    db.execute("INSERT INTO data VALUES (12, 'more', 2); DELETE FROM data WHERE id = 9")
    same_as_rebuilt(db)


@pytest.mark.slow
def test_a_class_that_nobody_votes_for_is_possible_and_empty(db: wsdb.Session) -> None:
    task(db, "AS CASE n WHEN 0 THEN 'a' ELSE 'b' END", "VOTE 'b' WHEN n = 1", kind="MULTICLASS ('a', 'b', 'c')")
    assert {label for (label,) in labels(db)} == {"a", "b"}
    (probs,) = db.execute("SELECT probs FROM labels('t') LIMIT 1").fetchall()[0]
    assert set(probs) == {"a", "b", "c"} and sum(probs.values()) == pytest.approx(1)


@pytest.mark.parametrize("n", [0, slow(1)])
def test_no_row_and_one_row(db: wsdb.Session, n: int) -> None:
    db.execute(f"DELETE FROM data WHERE id >= {n}")
    task(db, "VOTE 'spam' WHEN n = 0", "AS SELECT id, 'spam' AS label FROM data", "VOTE 'ham' WHEN contains(body, 'x')")
    assert labels(db) == [("spam",)] * n
    db.execute("INSERT INTO data SELECT i, 'text x', 1 FROM range(1, 4) t(i)")
    assert len(same_as_rebuilt(db)) == 3 + n
    db.execute("DELETE FROM data")
    assert same_as_rebuilt(db) == []


@pytest.mark.slow
def test_two_hundred_classes(db: wsdb.Session) -> None:
    db.execute("CREATE OR REPLACE TABLE data AS SELECT i AS id, 'c' || (i % 200) AS body, i AS n FROM range(400) t(i)")
    names = ", ".join(f"'c{i}'" for i in range(200))
    task(db, "AS body", "AS CASE WHEN n % 2 = 0 THEN body END", "VOTE 'c199' WHEN n = 1", kind=f"MULTICLASS ({names})")
    assert (
        db.execute("SELECT count(*) FROM labels('t') JOIN data USING (id) WHERE label = body").fetchall()[0][0] >= 399
    )
    db.execute("INSERT INTO data VALUES (400, 'c7', 2)")
    same_as_rebuilt(db)


@pytest.mark.slow
@pytest.mark.parametrize("cost", [0.0, 1e9], ids=["matched", "in SQL"])
def test_five_thousand_labeling_functions(db: wsdb.Session, cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match_plan, "WORTH", cost)
    db.execute(
        "CREATE OR REPLACE TABLE data AS SELECT i AS id, 'w' || (i % 2500) || ' z' AS body FROM range(3000) t(i)"
    )
    db.execute("CREATE TASK t ON data KEY (id) TYPE BINARY ('ham', 'spam')")
    n = 5000 if cost == 0 else 600
    for at in range(n):
        label = "ham" if at % 2 else "spam"
        db.execute(f"CREATE LF f{at} FOR TASK t VOTE '{label}' WHEN contains(body, 'w{at // 2} ')")
    found = db.execute("SELECT n_votes, count(*) FROM labels('t') GROUP BY 1 ORDER BY 1").fetchall()
    assert found == ([(2, 3000)] if n == 5000 else [(0, 2400), (2, 600)])
    assert db.execute("SELECT storage FROM wsdb.matrices").fetchall() == [("sparse",)]
    assert len(db.execute("FROM lf_summary('t')").fetchall()) == n


# -------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    "key",
    [
        slow("uuid()"),
        "'it''s \"' || i || '\" ключ 鍵 🗝'",
        slow("DATE '2026-01-01' + i::INTEGER"),
        slow("TIMESTAMP '2026-01-01 12:00:00.5' + to_days(i::INTEGER)"),
        slow("i / 8"),
        slow("i::HUGEINT * 100000000000000000000"),
        slow("('\\x0' || i)::BLOB"),
        slow("{'a': i, 'b': 'x'}"),
    ],
)
def test_keys_of_any_type(db: wsdb.Session, key: str) -> None:
    db.execute(f'CREATE OR REPLACE TABLE data AS SELECT {key} AS "select", i AS n FROM range(10) t(i)')
    task(
        db,
        "VOTE 'spam' WHEN n > 4",
        "AS SELECT \"select\", 'ham' AS label FROM data ORDER BY n LIMIT 3",
        "WITH (columns = ['n']) LANGUAGE python AS $$\n"
        "def lf(b): return ['ham' if n == 9 else None for n in b['n'].to_pylist()]$$",
        key='"select"',
    )
    assert db.execute("SELECT count(label) FROM labels('t')").fetchall() == [(8,)]
    db.execute("UPDATE data SET n = 100 WHERE n = 0; DELETE FROM data WHERE n = 1")
    assert len(same_as_rebuilt(db)) == 9


def test_a_key_of_three_columns(db: wsdb.Session) -> None:
    db.execute(
        'CREATE OR REPLACE TABLE data AS SELECT i % 2 AS "order", i // 2 % 2 AS "group by", i // 4 AS c, i AS n '
        "FROM range(8) t(i)"
    )
    task(
        db,
        "VOTE 'spam' WHEN n > 4",
        'AS SELECT "order", "group by", c, \'ham\' AS label FROM data ORDER BY n LIMIT 2',
        key='"order", "group by", c',
    )
    assert db.execute("SELECT count(label) FROM labels('t')").fetchall() == [(5,)]
    db.execute("UPDATE data SET n = 9 WHERE n = 3; DELETE FROM data WHERE n = 7; INSERT INTO data VALUES (5, 5, 5, 5)")
    assert len(same_as_rebuilt(db)) == 8


def codes(session: wsdb.Session, query: str = "FROM labels('t')") -> str:
    with pytest.raises(wsdb.WsdbError) as caught:
        session.execute(query).fetchall()
    return caught.value.code


def test_duplicates_and_nulls_that_appear_later_are_refused_and_lose_nothing(db: wsdb.Session) -> None:
    task(db, "VOTE 'spam' WHEN n = 0", "VOTE 'ham' WHEN n = 1")
    before = rows_of(db, "FROM label_matrix('t') ORDER BY id")
    for wrong in ("(3, 'again', 1)", "(NULL, 'nobody', 1)"):
        db.execute(f"INSERT INTO data VALUES {wrong}")
        assert codes(db) == "WS401"
        assert codes(db, "REFRESH LABELS FOR TASK t") == "WS401"
        db.execute("SET wsdb_auto_refresh = false")
        assert rows_of(db, "FROM label_matrix('t') ORDER BY id") == before
        db.execute("SET wsdb_auto_refresh = true; DELETE FROM data WHERE body IN ('again', 'nobody')")
    assert rows_of(db, "FROM label_matrix('t') ORDER BY id") == before
    # An equal row twice, so that hashes cancel out
    db.execute("INSERT INTO data VALUES (3, 'text 3', 0), (3, 'text 3', 0)")
    assert codes(db) == "WS401"


@pytest.mark.parametrize("cost", [0.0, slow(1e9)], ids=["matched", "in SQL"])
def test_null_empty_and_large_texts(db: wsdb.Session, cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match_plan, "WORTH", cost)
    db.execute("UPDATE data SET body = NULL WHERE id = 0; UPDATE data SET body = '' WHERE id = 1")
    db.execute("UPDATE data SET body = repeat('lorem ipsum ', 90000) || 'needle' WHERE id = 2")
    task(
        db,
        "VOTE 'spam' WHEN body LIKE '%needle'",
        "VOTE 'spam' WHEN regexp_matches(body, 'ipsum n.edle')",
        "VOTE 'ham' WHEN body IS NULL OR body = ''",
        "VOTE 'ham' WHEN NOT contains(body, 'text')",
    )
    found = db.execute("FROM label_matrix('t') WHERE id < 4 ORDER BY id").fetchall()
    assert found == [
        (0, None, None, "ham", None),
        (1, None, None, "ham", "ham"),
        (2, "spam", "spam", None, "ham"),
        (3, None, None, None, None),
    ]
    db.execute("UPDATE data SET body = repeat('x', 1000000) || 'needle' WHERE id = 5")
    same_as_rebuilt(db)


# ---------------------------------------------------------------------------------- changes of the relation itself


def test_a_column_that_is_renamed_or_changes_its_type(db: wsdb.Session) -> None:
    task(db, "VOTE 'spam' WHEN n = 0", "VOTE 'ham' WHEN body = 'text 1'")
    labels(db)
    db.execute("ALTER TABLE data RENAME COLUMN n TO number")
    assert codes(db) == "WS402"
    db.execute("CREATE OR REPLACE LF f0 FOR TASK t VOTE 'spam' WHEN number = 0")
    assert len(same_as_rebuilt(db)) == 10
    db.execute("ALTER TABLE data ALTER number TYPE VARCHAR USING 'n' || number")
    assert codes(db) in ("WS402", "WS405")  # 'n0' is no number
    db.execute("CREATE OR REPLACE LF f0 FOR TASK t VOTE 'spam' WHEN number = 'n0'")
    assert [row[1] for row in same_as_rebuilt(db)] == ["spam", None, None] * 3 + ["spam"]
    db.execute("ALTER TABLE data ALTER id TYPE VARCHAR")
    assert [row[0] for row in same_as_rebuilt(db)] == [str(i) for i in range(10)]
    db.execute("ALTER TABLE data RENAME COLUMN id TO key")
    assert codes(db) == "WS402"


def test_another_table_of_the_same_name_and_keys(db: wsdb.Session) -> None:
    task(db, "VOTE 'spam' WHEN n = 0", "AS SELECT id, 'ham' AS label FROM data WHERE n = 1 LIMIT 2")
    labels(db)
    db.execute("DROP TABLE data; CREATE TABLE data AS SELECT i AS id, i % 2 AS n FROM range(10) t(i)")
    assert [row[1] for row in same_as_rebuilt(db)] == ["spam", None] * 5
    db.execute("DROP TABLE data; CREATE VIEW data AS SELECT i AS id, 0 AS n FROM range(3) t(i)")
    assert [row[1] for row in same_as_rebuilt(db)] == ["spam"] * 3
    db.execute("DROP VIEW data")
    assert codes(db) == "WS402"


def test_an_edited_function_and_changed_rows_at_once(db: wsdb.Session) -> None:
    task(
        db,
        "VOTE 'spam' WHEN n = 0",
        "VOTE 'ham' WHEN n = 1",
        "AS SELECT id, 'ham' AS label FROM data WHERE n = 2 LIMIT 9",
    )
    labels(db)
    db.execute("CREATE OR REPLACE LF f0 FOR TASK t VOTE 'spam' WHEN n = 2; UPDATE data SET n = 2 WHERE id = 0")
    db.execute("INSERT INTO data VALUES (10, 'new', 1); DELETE FROM data WHERE id = 9; DROP LF f2")
    matrix = same_as_rebuilt(db)
    assert matrix[0][1:] == ("spam", None) and matrix[-1] == (10, None, "ham")


def test_a_view_with_joins(db: wsdb.Session) -> None:
    db.execute("CREATE TABLE names AS SELECT i AS n, 'name ' || i AS name FROM range(2) t(i)")
    db.execute("CREATE VIEW joined AS SELECT id, body, name FROM data LEFT JOIN names USING (n)")
    db.execute("CREATE TASK t ON joined KEY (id) TYPE BINARY ('ham', 'spam')")
    db.execute(
        "CREATE LF f0 FOR TASK t VOTE 'spam' WHEN name = 'name 0';"
        "CREATE LF f1 FOR TASK t VOTE 'ham' WHEN body LIKE '%3'"
    )
    assert len(labels(db)) == 10
    db.execute("UPDATE names SET name = 'name 0' WHERE n = 1; INSERT INTO data VALUES (10, 'text 33', 1)")
    assert [row[1] for row in same_as_rebuilt(db)][:3] == ["spam", "spam", None]
    db.execute("INSERT INTO names VALUES (0, 'a second')")
    assert codes(db) == "WS401"


@pytest.mark.slow
def test_a_parquet_file(db: wsdb.Session, tmp_path: Any) -> None:
    path = tmp_path / "it's.parquet"
    quoted = str(path).replace("'", "''")
    db.execute(f"COPY data TO '{quoted}'")
    db.execute(f"CREATE TASK t ON '{quoted}' KEY (id) TYPE BINARY ('ham', 'spam')")
    db.execute("CREATE LF f0 FOR TASK t VOTE 'spam' WHEN n = 0; CREATE LF f1 FOR TASK t VOTE 'ham' WHEN body LIKE '%3'")
    assert len(labels(db)) == 10
    db.execute(f"INSERT INTO data VALUES (10, 'text 33', 1); COPY data TO '{quoted}'")
    assert same_as_rebuilt(db)[-1] == (10, None, "ham")
    path.unlink()
    assert codes(db) == "WS402"


# --------------------------------------------------------------------------------- votes for keys that come and go


@pytest.mark.parametrize(
    ("body", "wide"),
    [
        ("FROM VOTES votes (id, label)", True),
        ("AS SELECT id, label FROM votes", False),
        slow("FROM VOTES votes (id, label)", False),
        slow("AS SELECT id, label FROM votes", True),
    ],
)
def test_votes_for_rows_that_go_and_come_back(
    db: wsdb.Session, body: str, wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns_plan, "WIDE_COLUMNS", 320 if wide else 0)
    db.execute("CREATE TABLE votes AS FROM (VALUES (9, 'spam'), (1, 'ham')) AS t(id, label)")
    task(db, "VOTE 'spam' WHEN n = 0", body)
    labels(db)
    db.execute("CREATE TABLE gone AS FROM data WHERE id = 9; DELETE FROM data WHERE id = 9")
    assert codes(db) == "WS404"
    db.execute("INSERT INTO data FROM gone")
    assert same_as_rebuilt(db)[-1] == ((9, "spam", "spam") if wide else (9, {"f0": "spam", "f1": "spam"}))
    db.execute("DELETE FROM votes WHERE id = 9; DELETE FROM data WHERE id = 9; FROM labels('t')")
    db.execute("INSERT INTO votes VALUES (9, 'ham')")
    assert codes(db) == "WS404"
    db.execute("INSERT INTO data FROM gone")
    assert same_as_rebuilt(db)[-1] == ((9, "spam", "ham") if wide else (9, {"f0": "spam", "f1": "ham"}))


def test_python_is_called_for_new_rows_only(db: wsdb.Session, tmp_path: Any) -> None:
    log = tmp_path / "calls"
    task(
        db,
        "VOTE 'spam' WHEN n = 0",
        f"WITH (columns = ['n']) LANGUAGE python AS $$def lf(b):\n"
        f"    with open({str(log)!r}, 'a') as f: f.write(' '.join(map(str, b['n'].to_pylist())) + ' ')\n"
        f"    return ['ham' if n == 1 else None for n in b['n'].to_pylist()]$$",
    )

    def seen() -> list[int]:
        found = sorted(map(int, log.read_text().split())) if log.exists() else []
        log.unlink(missing_ok=True)
        return found

    labels(db)
    assert seen() == sorted(i % 3 for i in range(10))
    db.execute("INSERT INTO data VALUES (10, 'new', 41), (11, 'new', 42); UPDATE data SET n = 43 WHERE id = 0")
    labels(db)
    assert seen() == [41, 42, 43]
    db.execute("DELETE FROM data WHERE id = 10; UPDATE data SET body = 'other'")
    labels(db)
    assert seen() == []
    db.execute("CREATE OR REPLACE LF f0 FOR TASK t VOTE 'spam' WHEN n = 2")
    labels(db)
    assert seen() == []
    same_as_rebuilt(db)


@pytest.mark.slow
def test_a_volatile_function_is_computed_at_each_refresh_alone(db: wsdb.Session) -> None:
    task(db, "VOTE 'spam' WHEN n = 0", "VOTE 'ham' WHEN random() < 2", "VOTE 'ham' WHEN now() > DATE '2020-01-01'")
    labels(db)
    plan = "\n".join(row[0] for row in db.execute("EXPLAIN REFRESH LABEL MATRIX FOR TASK t").fetchall())
    assert "Fuse lfs=[f1" in plan and "columns=[f0" in plan
    db.execute("INSERT INTO data VALUES (10, 'new', 0)")
    assert same_as_rebuilt(db)[-1] == (10, "spam", "ham", "ham")


# Each works alone. In one SELECT DuckDB computes the CAST that both have once, before the condition around it.
PAIR = (
    "AS CASE WHEN TRY(CAST(body AS INTEGER)) > 5 THEN 'spam' END",
    "AS CASE WHEN body ~ '^[0-9]+$' THEN CASE WHEN CAST(body AS INTEGER) < 3 THEN 'ham' END END",
)


@pytest.mark.parametrize("wide", [True, False], ids=["wide", "sparse"])
@pytest.mark.parametrize("first", [slow("'seven'"), "'7'"], ids=["from the first", "on new rows"])
def test_functions_that_fail_only_together_are_computed_apart_on_new_rows_too(
    db: wsdb.Session, first: str, wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns_plan, "WIDE_COLUMNS", 320 if wide else 0)
    failed: list[Any] = []
    monkeypatch.setattr(engine, "isolate", lambda *given: failed.append(given) or isolate(*given))
    db.execute(f"CREATE OR REPLACE TABLE data AS SELECT i AS id, {first} AS body FROM range(9) t(i)")
    task(db, *PAIR, "VOTE 'ham' WHEN id = 3")
    labels(db)
    assert len(failed) == (first == "'seven'")
    failed.clear()
    db.execute("INSERT INTO data VALUES (100, 'eight'), (101, '2')")
    assert db.execute("SELECT id, lf, label FROM label_votes('t') WHERE id > 99").fetchall() == [(101, "f1", "ham")]
    assert failed
    assert len(same_as_rebuilt(db)) == 11


def test_a_function_that_fails_on_a_new_row_is_named_and_nothing_is_lost(db: wsdb.Session) -> None:
    task(db, "VOTE 'spam' WHEN split_part(body, ' ', 2)::INTEGER > 4", "VOTE 'ham' WHEN n = 1")
    before = rows_of(db, "FROM labels('t') ORDER BY id")
    db.execute("INSERT INTO data VALUES (10, 'text x', 1)")
    with pytest.raises(wsdb.WsdbError, match=r"WS405.*\"f0\" failed on 1 row; first at id = 10"):
        labels(db)
    db.execute("DELETE FROM data WHERE id = 10")
    assert rows_of(db, "FROM labels('t') ORDER BY id") == before


def test_a_sparse_matrix_answers_as_a_wide_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = []
    for columns in (320, 0):
        monkeypatch.setattr(columns_plan, "WIDE_COLUMNS", columns)
        monkeypatch.setattr(matrix_plan, "FEW", 2.0)
        with wsdb.connect() as db:
            db.execute(
                "CREATE TABLE data AS SELECT i AS id, i % 7 AS n, "
                "CASE WHEN i % 7 < 4 THEN 'ham' ELSE 'spam' END AS said FROM range(140) t(i)"
            )
            db.execute("CREATE TABLE gold AS SELECT id, said FROM data WHERE id % 2 = 0")
            db.execute(
                "CREATE TASK t ON data KEY (id) TYPE BINARY ('ham', 'spam') GOLD gold (said) "
                "SPLIT HASH (id) (train 50, dev 30, test 20)"
            )
            for at, body in enumerate(("n < 3", "n < 4", "n = 0")):
                db.execute(f"CREATE LF ham{at} FOR TASK t VOTE 'ham' WHEN {body}")
            for at, body in enumerate(("n > 3", "n > 4", "n IN (2, 6)")):
                db.execute(f"CREATE LF spam{at} FOR TASK t VOTE 'spam' WHEN {body}")
            db.execute("CREATE LABEL MODEL lm FOR TASK t USING dawid_skene WITH (use_dev = 'anchor')")
            db.execute("FROM labels('t')").fetchall()
            db.execute("INSERT INTO data VALUES (200, 0, 'ham'), (201, 6, 'spam'); UPDATE data SET n = 6 WHERE id = 3")
            same_as_rebuilt(db)
            found = [
                db.execute("SELECT id, label, n_votes, n_conflicts, covered FROM labels('t') ORDER BY id").fetchall(),
                db.execute("SELECT round(prob, 6) FROM labels('t') ORDER BY id").fetchall(),
                db.execute("SELECT * EXCLUDE (computed_at) FROM label_votes('t') ORDER BY ALL").fetchall(),
                db.execute("SELECT * EXCLUDE (ms) FROM lf_summary('t')").fetchall(),
            ]
            answers.append(repr(found))
    assert answers[0] == answers[1]


def test_a_read_that_may_not_refresh(db: wsdb.Session, tmp_path: Any) -> None:
    path = tmp_path / "x.duckdb"
    with wsdb.connect(path) as own:
        own.execute("CREATE TABLE data AS SELECT i AS id, i % 3 AS n FROM range(10) t(i)")
        task(own, "VOTE 'spam' WHEN n = 0")
        own.execute("SET wsdb_auto_refresh = false")
        assert codes(own) == "WS204"
        own.execute("REFRESH LABELS FOR TASK t; INSERT INTO data VALUES (10, 0)")
        assert len(labels(own)) == 10 and "out of date" in own.notices[-1]
        own.execute("RESET wsdb_auto_refresh")
        assert len(labels(own)) == 11
        own.execute("INSERT INTO data VALUES (11, 0)")
    with wsdb.connect(path, read_only=True) as own:
        assert len(labels(own)) == 11 and "read-only" in own.notices[-1]
        with pytest.raises(StorageError, match="WS604"):
            own.execute("REFRESH LABELS FOR TASK t")
    with wsdb.connect(path) as own:
        assert len(same_as_rebuilt(own)) == 12


def test_a_refresh_inside_the_users_transaction_and_its_rollback(db: wsdb.Session) -> None:
    task(db, "VOTE 'spam' WHEN n = 0", "AS SELECT id, 'ham' AS label FROM data WHERE n = 1 LIMIT 2")
    before = rows_of(db, "FROM labels('t') ORDER BY id")
    db.execute("BEGIN; INSERT INTO data VALUES (10, 'new', 0); UPDATE data SET n = 0 WHERE id = 1")
    assert len(labels(db)) == 11
    db.execute("CREATE LF f9 FOR TASK t VOTE 'ham' WHEN n = 2; REFRESH LABELS FOR TASK t; ROLLBACK")
    assert rows_of(db, "FROM labels('t') ORDER BY id") == before
    assert len(same_as_rebuilt(db)) == 10


def test_two_sessions_that_refresh_at_once(tmp_path: Any) -> None:
    with wsdb.connect(tmp_path / "x.duckdb") as one:
        one.execute("CREATE TABLE data AS SELECT i AS id, i % 3 AS n FROM range(1000) t(i)")
        task(one, "VOTE 'spam' WHEN n = 0", "VOTE 'ham' WHEN n = 1")
        labels(one)
        other = one.cursor()
        one.execute("INSERT INTO data VALUES (1000, 0)")
        # The other begins, and refreshes within; the first refreshes before the other commits.
        other.execute("BEGIN")
        assert len(labels(other)) == 1001
        try:
            assert len(labels(one)) == 1001
        except wsdb.WsdbError as error:
            assert error.code == "WS208"
        try:
            other.execute("COMMIT")
        except duckdb.TransactionException as error:
            assert "onflict" in str(error)
        assert len(same_as_rebuilt(one)) == 1001
        assert len(same_as_rebuilt(other)) == 1001
