"""Labels that are stored row by row are the same whether their votes are stored by column or one by one."""

from __future__ import annotations

import math
from typing import Any

import pytest

import wsdb
from tests.session.test_explain_shapes import SETUP, TASKS
from wsdb.planner import columns as columns_plan

REPORTS = (
    "FROM labels('{task}')",
    "SELECT * EXCLUDE (computed_at) FROM label_votes('{task}')",
    "SELECT * EXCLUDE (ms) FROM lf_summary('{task}')",
    "FROM lf_conflicts('{task}')",
    "FROM lf_dependencies('{task}')",
    "FROM label_model('{task}')",
    "FROM label_confusion('{task}')",
    "FROM lf_errors('{task}', '{lf}')",
    "FROM lf_confusion('{task}', '{lf}')",
    "FROM label_buckets('{task}', '{lf}', '{other}')",
    "FROM coverage_gaps('{task}', by => 'qid')",
    "FROM sample_for_review('{task}', 9)",
    "FROM label_issues('{task}')",
)


def answers(shape: str) -> dict[str, list[Any]]:
    """Return the form in which votes are stored, and what the reports say."""
    task, text = TASKS[shape]
    key = "qid, pos" if "PAYLOAD" in text else "qid"
    with wsdb.connect() as db:
        db.execute(SETUP + text)
        db.execute(f"REFRESH LABELS FOR TASK {task}")
        found = {"storage": db.execute("SELECT storage FROM wsdb.matrices WHERE task = ?", [task]).fetchall()}
        known = "SELECT column_name FROM wsdb.matrix_columns WHERE task = ? ORDER BY position LIMIT 2"
        (lf,), (other,) = db.execute(known, [task]).fetchall()
        rows = db.execute(f"SELECT {key} FROM labels('{task}') ORDER BY ALL LIMIT 4").fetchall()
        keys = [", ".join(map(str, row)) for row in rows]
        for report in [*REPORTS, *(f"FROM explain_row('{task}', '{row}')" for row in keys)]:
            query = report.format(task=task, lf=lf, other=other)
            found[query] = sorted(db.execute(query).fetchall(), key=repr)
        return found


@pytest.mark.parametrize("shape", TASKS)
def test_votes_one_by_one_give_what_votes_by_column_do(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = answers(shape)
    monkeypatch.setattr(columns_plan, "WIDE_COLUMNS", 0)
    monkeypatch.setattr(columns_plan, "WIDE_BITS", 0)
    sparse = answers(shape)
    assert (wide.pop("storage"), sparse.pop("storage")) == ([("wide",)], [("sparse",)])
    for report, rows in wide.items():
        assert near(sparse[report], rows), report


def near(left: Any, right: Any) -> bool:
    """Return whether two answers are equal but for the last bits of numbers, which sums in another order differ by."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or math.isclose(left, right, rel_tol=1e-12, abs_tol=1e-12)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and near(list(left.values()), list(right.values()))
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(near, left, right))
    return bool(left == right)
