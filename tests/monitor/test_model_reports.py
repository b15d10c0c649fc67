"""Reports on models through a session: what reaches the network, and what slices there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import wsdb
from tests.monitor.mails import mails
from wsdb.serve.predictor import install

ROWS = 600
SETUP = mails(ROWS, epochs=3, gold="GOLD mails (truth)")
REPORTS = {
    "evaluate('filter', mails)": 1,
    "evaluate('filter', mails, by => 'part')": 1,
    "evaluate('spam@1', mails, by => 'split')": 1,
    "confusion_matrix('filter', mails)": 1,
    "roc_curve('filter', mails)": 1,
    "pr_curve('filter', mails)": 1,
    "calibration('filter', mails)": 1,
    "error_attribution('filter', mails)": 1,
    "compare('filter', 'filter@1', mails)": 2,
    "slices('filter', mails)": 0,
}
"""How often each row is scored."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a trained model."""
    path = tmp_path_factory.mktemp("reports") / "mails.duckdb"
    with wsdb.connect(path) as db:
        db.execute(SETUP)
    return path


@pytest.fixture
def db(file: Path) -> Iterator[wsdb.Session]:
    with wsdb.connect(file) as session:
        yield session


def scored(db: wsdb.Session, query: str) -> int:
    function = install(db._rooms.engine)
    before = function.rows_scored
    db.execute(query).fetchall()
    return function.rows_scored - before


@pytest.mark.parametrize(("report", "times"), REPORTS.items(), ids=REPORTS)
def test_a_report_scores_each_row_once(db: wsdb.Session, report: str, times: int) -> None:
    assert scored(db, f"FROM {report}") == times * ROWS


@pytest.mark.parametrize("size", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_many_slices_are_scored_in_one_pass(tmp_path: Path, size: int) -> None:
    with wsdb.connect(tmp_path / "slices.duckdb") as db:
        db.execute(SETUP)
        db.execute(
            ";".join(f"CREATE SLICE s{at} ON mails KEY (id) AS part IN ({at % 100}, {at % 37})" for at in range(size))
        )
        query = "SELECT segment, n, accuracy FROM evaluate('filter', mails, by => 'slice')"
        assert scored(db, query) == ROWS
        found = {segment: (n, accuracy) for segment, n, accuracy in db.execute(query).fetchall()}
        assert set(found) - {"(none)"} == {"all", *(f"s{at}" for at in range(size))}
        for at in (0, 7, size - 1):
            ids = [i for i in range(ROWS) if i % 100 in (at % 100, at % 37)]
            right = sum(i % 10 != 0 for i in ids)
            assert found[f"s{at}"] == (len(ids), pytest.approx(right / len(ids)))
        members = db.execute("SELECT count(*), count(*) FILTER (WHERE member) FROM slices('filter', mails)").fetchall()[
            0
        ]
        assert members == (size * ROWS, sum(n for segment, (n, _) in found.items() if segment.startswith("s")))


def test_slices_overlap_come_and_go(tmp_path: Path) -> None:
    with wsdb.connect(tmp_path / "more.duckdb") as db:
        db.execute(SETUP)
        db.execute("CREATE SLICE tens ON mails KEY (id) AS id % 10 = 0")
        db.execute("CREATE SLICE low ON mails KEY (id) AS SELECT id FROM mails WHERE id < 20")
        db.execute("CREATE TAG odd ON mails KEY (id) AS id % 2 = 1")
        query = "SELECT segment, n, accuracy FROM evaluate('filter', mails, by => '{}') ORDER BY segment"
        assert db.execute(query.format("slice")).fetchall() == [
            ("(none)", 522, 1.0), ("all", 600, pytest.approx(0.9)), ("low", 20, pytest.approx(0.9)), ("tens", 60, 0.0),
        ]  # fmt: skip
        assert db.execute(query.format("tag")).fetchall() == [
            ("(none)", 300, pytest.approx(0.8)), ("all", 600, pytest.approx(0.9)), ("odd", 300, 1.0),
        ]  # fmt: skip
        cells = db.execute(
            "SELECT gold, predicted, n FROM confusion_matrix('filter', mails, slice => 'TENS')"
        ).fetchall()
        assert cells == [("ham", "spam", 60)]
        db.execute("DROP SLICE tens")
        assert [row[0] for row in db.execute(query.format("slice")).fetchall()] == ["(none)", "all", "low"]
        with pytest.raises(wsdb.WsdbError, match=r'WS201.*no slice of "filter" is "lwo"; it has low'):
            db.execute("FROM calibration('filter', mails, slice => 'lwo')")


def test_what_needs_no_prediction_is_read_by_any_client(file: Path) -> None:
    with duckdb.connect(str(file), read_only=True) as con:
        assert con.execute("SELECT feature, kind FROM wsdb.feature_info('FILTER')").fetchall() == [("body", "text")]
        assert con.execute("FROM wsdb.trials('filter')").fetchall() == []
        assert con.execute("SELECT count(*) > 0 FROM wsdb.training_info('filter')").fetchall() == [(True,)]
        with pytest.raises(duckdb.Error, match="wsdb_predict_needs_a_python_session_with_wsdb_attached"):
            con.execute("FROM wsdb.evaluate('filter', 'mails')")
