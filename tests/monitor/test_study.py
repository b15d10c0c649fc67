"""The pieces of learning_curve and task_transfer."""

from __future__ import annotations

from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wsdb
from tests.monitor.mails import mails
from wsdb.model.rows import hash_key, hold_out
from wsdb.monitor.study import STUDENT, compared, mean_of, nets, score_of, study_body
from wsdb.session.run_study import FRACTIONS, kept

SCORES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6)


@given(SCORES)
def test_difference_is_paired_by_seed(pairs: list[tuple[float, float]]) -> None:
    together, alone = [one for one, _ in pairs], [other for _, other in pairs]
    score, own, delta, stderr = compared(together, alone)
    assert score - own == pytest.approx(delta)
    assert (stderr is None) == (len(pairs) == 1)
    if stderr is not None:
        differences = np.subtract(together, alone)
        assert stderr == pytest.approx(differences.std(ddof=1) / np.sqrt(len(pairs)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_the_mean_over_seeds_has_a_standard_error(values: list[float]) -> None:
    mean, stderr = mean_of(values)
    assert mean == pytest.approx(np.mean(values))
    assert (stderr is None) == (len(values) == 1) == (STUDENT[len(values) - 1] is None)
    if stderr is not None:
        assert stderr == pytest.approx(np.std(values, ddof=1) / np.sqrt(len(values)))


def test_the_quantiles_are_students() -> None:
    # P(|T| <= t) = 0.95: for one degree of freedom tan(0.475 pi), for two sqrt(2) p / sqrt(1 - p^2) with p = 0.95
    assert STUDENT[1] == pytest.approx(np.tan(0.475 * np.pi), abs=1e-6)
    assert STUDENT[2] == pytest.approx(np.sqrt(2) * 0.95 / np.sqrt(1 - 0.95**2), abs=1e-6)
    known = [t for t in STUDENT if t is not None]
    assert known == sorted(known, reverse=True)


@given(st.integers(2, 8))
def test_each_task_meets_each_other_once(n: int) -> None:
    names = [f"t{at}" for at in range(n)]
    made = nets(names)
    assert len(made) == len(set(made)) == n + n * (n - 1) // 2 + (n > 2)
    assert made[:n] == [(name,) for name in names]


def test_gold_counts_before_weak_labels() -> None:
    found = {"t": {"accuracy": 0.5, "log_loss": 1.0}}
    assert score_of("t", found, {}).on == "gold"  # type: ignore[union-attr]
    assert score_of("t", {}, found).on == "weak"  # type: ignore[union-attr]
    assert score_of("t", {}, {}) is None


def test_parts_are_nested_and_keep_what_is_judged_on() -> None:
    n = 20_000
    keys = pa.array([str(i) for i in range(n)])
    gold = np.arange(n) % 50 == 0
    probabilities = pa.array([[1.0, 0.0] if one else None for one in gold], pa.list_(pa.float64()))
    batch = pa.RecordBatch.from_arrays([keys, probabilities], names=["__key", "__g_t"])
    judged = hold_out(hash_key(keys), 0.1) | gold
    parts = [kept(batch, fraction, 0.1) for fraction in FRACTIONS]
    for fraction, part in zip(FRACTIONS, parts, strict=True):
        assert part[judged].all()
        assert part[~judged].mean() == pytest.approx(fraction, abs=0.015)
    for smaller, larger in pairwise(parts):
        assert (larger | ~smaller).all()


def test_a_version_is_studied_once_and_the_model_stays_as_it_is() -> None:
    with wsdb.connect() as db:
        db.execute(mails(400, epochs=2))
        stored = "SELECT version, manifest, bytes FROM wsdb.model_versions"
        before, predicted = db.execute(stored).fetchall(), db.execute("FROM predict('filter', mails)").fetchall()
        first = db.execute("FROM learning_curve('filter')").fetchall()
        assert any("trained 5 networks" in text for text in db._rooms.notices)
        assert db.execute("FROM learning_curve('filter')").fetchall() == first
        assert not any("networks" in text for text in db._rooms.notices)
        assert db.execute(stored).fetchall() == before
        assert db.execute("FROM predict('filter', mails)").fetchall() == predicted
        db.execute("REFRESH MODEL filter FULL")
        assert {row[0] for row in db.execute("FROM learning_curve('filter')").fetchall()} == {2}


def test_too_few_rows_have_no_score() -> None:
    with wsdb.connect() as db:
        db.execute(mails(4, epochs=2))
        rows = db.execute("SELECT fraction, score FROM learning_curve('filter')").fetchall()
        assert [fraction for fraction, _ in rows] == list(FRACTIONS)
        assert all(score is None for _, score in rows)


def test_intervals_of_shares_end_at_0_and_1_and_one_seed_has_none() -> None:
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE studies AS SELECT 'm' AS model, 'learning_curve' AS study, 1 AS version, 't' AS task, "
        "unnest([0.1, 0.5, 1.0]) AS fraction, 9 AS n_rows, 'accuracy' AS metric, 'gold' AS judged_on, "
        "unnest([2, 2, 1]) AS seeds, unnest([0.9, 0.5, 0.9]) AS score, unnest([0.05, 0.01, NULL]) AS stderr, "
        "0.1 AS log_loss"
    )
    body = study_body("learning_curve").replace("@home@.", "").replace("@model@", "'m'")
    found = con.execute(f"SELECT score_low, score_high FROM ({body})").fetchall()
    assert found[0] == (pytest.approx(0.9 - 0.05 * 12.706205), 1)
    assert found[1] == (pytest.approx(0.5 - 0.01 * 12.706205), pytest.approx(0.5 + 0.01 * 12.706205))
    assert found[2] == (None, None)
