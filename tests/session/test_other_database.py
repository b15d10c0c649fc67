"""After USE of another database every table function answers what it answered before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

import wsdb
from wsdb.session.calls import FUNCTIONS

pytest.importorskip("torch")

SET_UP = """
CREATE TABLE mails AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'win money now' ELSE 'meet me at lunch' END AS body,
  i % 3 AS stars, string_split('go to http://a.example today', ' ') AS tokens FROM range(40) t(i);
CREATE SCHEMA known;
CREATE TABLE known.truth AS SELECT id, CASE WHEN id % 10 = 0 OR id % 2 = 1 THEN 'ham' ELSE 'spam' END AS label
  FROM mails WHERE id < 30;
CREATE TABLE banned AS SELECT 2 AS id UNION ALL SELECT 5;
CREATE MACRO third(x) AS x % 3 = 0;
CREATE MACRO these(x) AS TABLE SELECT x AS id;
CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam') GOLD known.truth (label);
CREATE LF money FOR TASK spam VOTE 'spam' WHEN body LIKE '%money%';
CREATE LF lunch FOR TASK spam VOTE 'ham' WHEN body LIKE '%lunch%';
CREATE TASK many ON mails KEY (id) TYPE BINARY ('no', 'yes');
CREATE LF starred FOR TASK many AS CASE WHEN stars > 1 THEN 'yes' WHEN stars < 1 THEN 'no' END;
CREATE TABLE cast_votes AS SELECT i % 40 AS id, 'w' || (i % 330) AS worker, 'yes' AS label FROM range(660) t(i);
CREATE TASK crowd ON mails KEY (id) TYPE BINARY ('no', 'yes');
CREATE LF workers FOR TASK crowd FROM VOTES cast_votes (id, worker, label);
CREATE PAYLOAD words ON mails KEY (id) AS SEQUENCE (tokens);
CREATE TASK names ON mails PAYLOAD words KEY (id) TYPE MULTICLASS ('O', 'B-site', 'I-site');
CREATE LF site FOR TASK names AS CASE WHEN value LIKE 'http%' THEN 'B-site' ELSE 'O' END;
CREATE SLICE some ON mails KEY (id) AS third(id) OR id IN (SELECT id FROM banned);
CREATE SLICE listed ON mails KEY (id) AS SELECT b.id FROM banned b UNION ALL FROM these(7);
CREATE TAG late ON mails KEY (id) AS id > (SELECT max(id) FROM banned);
CREATE SOURCE made_up FOR mails TAGS ('invented')
  AS SELECT 1000 + id AS id, 'money' AS body, 'spam' AS spam FROM banned;
CREATE CONSTRAINT fits ON TASKS (spam, many) CHECK (spam = 'ham' OR many = 'no');
CREATE MODEL filter FOR TASKS (spam, many) FROM mails FEATURES (body, stars) SLICES (some)
  WITH (epochs = 1, batch_size = 16);
CREATE TABLE predictions AS SELECT id, MAP {'ham': 0.9, 'spam': 0.1} AS predicted_spam_probs FROM mails;
REFRESH LABELS;
"""
CALLS = (
    "label_matrix('spam')", "label_matrix('spam', split := 'train')", "label_matrix('crowd')", "label_votes('spam')",
    "labels('spam', min_prob := 0.6)", "label_spans('names')", "label_model('spam')", "lf_summary('spam')",
    "lf_summary('spam', split := 'train')", "lf_summary('crowd')", "lf_conflicts('spam')", "lf_dependencies('spam')",
    "label_confusion('spam')", "lf_errors('spam', 'money')", "lf_errors('crowd', 'workers:w1')",
    "lf_errors('names', 'site')", "lf_confusion('spam', 'money')", "label_buckets('spam', 'money', 'lunch')",
    "coverage_gaps('spam')", "coverage_gaps('many', by => 'stars')", "coverage_gaps('crowd', by => 'body')",
    "sample_for_review('spam', 3)", "sample_for_review('many', 3, strategy => 'uncovered')", "label_issues('spam')",
    "label_issues('spam', predictions => 'memory.predictions')", "explain_row('spam', 1)",
    "explain_row('names', '1,2')",
    "label_model_report('spam')", "predict('spam', {mails})", "predict('filter@1', (FROM {mails} WHERE id < 9))",
    "evaluate('filter', {mails})", "evaluate('filter', {mails}, by => 'slice')",
    "evaluate('spam', {mails}, by => 'tag')", "evaluate('filter', (FROM {mails} WHERE id < 9), by => 'source')",
    "evaluate('filter', {mails}, by => 'split')", "evaluate('filter', {mails}, by => 'stars')",
    "confusion_matrix('filter', {mails}, slice => 'some', tag => 'late')", "roc_curve('filter', {mails})",
    "pr_curve('filter', {mails}, slice => 'listed')", "calibration('filter', {mails}, tag => 'late')",
    "compare('filter@1', 'filter', {mails}, by => 'slice')", "error_attribution('filter', {mails})",
    "explain_predict('filter', {mails}, top_k := 3)", "slices('filter', {mails})",
    "constraint_violations('filter', {mails})", "model_versions('filter')",
    "training_info('filter')", "feature_info('filter')", "trials('filter')", "learning_curve('filter')",
    "task_transfer('filter')", "lineage('filter')", "wsdb_objects()",
)  # fmt: skip


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[wsdb.Session, dict[str, Any], dict[str, Any]]]:
    """A session, and what the calls answer before and after USE."""
    with wsdb.connect() as db:
        db.execute(SET_UP)
        before = {call: ask(db, call, "mails") for call in CALLS}
        db.execute("ATTACH ':memory:' AS other; USE other; CREATE TABLE banned AS SELECT 1 AS id")
        yield db, before, {call: ask(db, call, "memory.mails") for call in CALLS}


def ask(db: Any, call: str, mails: str) -> list[str]:
    """Return the rows of a call as text, in an order of their own; sums of floats depend on it in the last digits."""
    rows = db.execute(f"SELECT * FROM {call.format(mails=mails)}").fetchall()
    return sorted(repr([round(item, 9) if isinstance(item, float) else item for item in row]) for row in rows)


def test_every_table_function_is_called() -> None:
    assert {call.partition("(")[0] for call in CALLS} == set(FUNCTIONS)


@pytest.mark.parametrize("call", CALLS)
def test_the_answer_is_the_one_from_before(call: str, both: tuple[Any, dict[str, Any], dict[str, Any]]) -> None:
    _, before, after = both
    assert after[call] == before[call]


def test_the_calls_answer_something(both: tuple[Any, dict[str, Any], dict[str, Any]]) -> None:
    empty = {call.partition("(")[0] for call, rows in both[1].items() if not rows}
    assert empty <= {"label_confusion", "lf_conflicts", "lf_dependencies", "lf_errors", "label_issues", "trials"}


def test_the_views_answer_too_and_new_objects_are_made_at_home(both: tuple[Any, Any, Any]) -> None:
    db = both[0]
    rows = db.execute("SELECT count(*) FROM memory.wsdb.rows_spam WHERE gold = 'spam'").fetchall()
    assert rows == [(12,)]
    assert db.execute("SELECT count(*) FROM memory.wsdb.slice_some").fetchall() == [(16,)]
    assert db.execute("SELECT count(*) FROM memory.wsdb.slice_listed").fetchall() == [(3,)]
    assert db.execute("SELECT count(*) FROM memory.wsdb.source_made_up").fetchall() == [(2,)]
    assert len(db.model("filter").metrics().fetchall()) == 1
    db.execute("CREATE TAG few ON mails KEY (id) AS id IN (SELECT id FROM banned)")
    found = db.execute("SELECT n FROM evaluate('spam', memory.mails, by => 'tag') WHERE segment = 'few'").fetchall()
    assert found == [(2,)]  # of memory.banned, not of other.banned


def test_a_file_under_another_name_is_read_by_its_own_macros(tmp_path: Any) -> None:
    file = str(tmp_path / "first.duckdb")
    with wsdb.connect(file) as db:
        db.execute("CREATE TABLE t AS SELECT i AS id, i % 2 = 0 AS even FROM range(9) r(i)")
        db.execute("CREATE TASK parity ON t KEY (id) TYPE BINARY; CREATE LF e FOR TASK parity VOTE 'yes' WHEN even")
        expected = db.execute("SELECT lf, coverage FROM lf_summary('parity')").fetchall()
        gaps = db.execute("FROM coverage_gaps('parity', by => 'even')").fetchall()
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{file}' AS renamed (READ_ONLY); USE renamed")
        assert con.execute("SELECT lf, coverage FROM wsdb.lf_summary('parity')").fetchall() == expected
        assert con.execute("FROM wsdb.coverage_gaps('parity', 'even')").fetchall() == gaps
