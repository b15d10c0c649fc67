from __future__ import annotations

import random

import duckdb
import pyarrow as pa
import pytest

from tests.engine.match.differ import compared, kernels, searches
from tests.engine.match.generate import predicate, texts
from wsdb.engine.match import scan


def fuzz(seed: int, rounds: int, n_predicates: int, n_texts: int) -> tuple[int, int, int]:
    """Return how many predicates were made, how many had a kernel, and how many cells were compared."""
    made = known = cells = 0
    con = duckdb.connect()
    for number in range(rounds):
        rng = random.Random(f"{seed} {number}")
        bodies = [predicate(rng) for _ in range(n_predicates)]
        con.execute("CREATE OR REPLACE TABLE t (id INTEGER, body VARCHAR)")
        nodes = [leaf.node for kernel in kernels(con, bodies) if kernel for leaf in searches(kernel)]
        values = [*texts(rng, nodes, n_texts - 1), None]
        con.register("given", pa.table({"id": range(len(values)), "body": pa.array(values, pa.string())}))
        con.execute("INSERT INTO t FROM given")
        own, compared_cells = compared(con, bodies)
        made, known, cells = made + n_predicates, known + own, cells + compared_cells
    return made, known, cells


@pytest.fixture(params=["one by one", "in one pass"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let keywords be searched one after the other, or all together even if they are few."""
    monkeypatch.setattr(scan, "PASS_COST", 1e9 if request.param == "one by one" else 0.0)


@pytest.mark.usefixtures("way")
def test_kernels_answer_what_duckdb_answers() -> None:
    made, known, cells = fuzz(1, 1, 100, 60)
    assert cells > 3_000
    assert known > made * 0.6  # else the fuzz says little


@pytest.mark.slow
@pytest.mark.usefixtures("way")
def test_kernels_answer_what_duckdb_answers_in_many_cases() -> None:
    made, known, cells = fuzz(2, 20, 150, 120)
    assert cells > 200_000
    assert known > made * 0.6
