"""Kernels against DuckDB, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from wsdb.core.lf import Body, Expression, LabelingFunction, VoteWhen
from wsdb.core.task import Task
from wsdb.engine.compile import vote_code
from wsdb.engine.match import Kernel, Matcher, kernels_of
from wsdb.engine.match.predicate import Search, atoms
from wsdb.planner.steps import Column

TASK = Task("spam", "t", ("id",), "multiclass", ("ham", "spam", "1"))


def functions(bodies: Sequence[str | Body]) -> list[LabelingFunction]:
    """Return labeling functions; a text is the predicate of VOTE 'spam' WHEN."""
    full = [VoteWhen("spam", body) if isinstance(body, str) else body for body in bodies]
    return [LabelingFunction(f"lf_{at}", "spam", body) for at, body in enumerate(full)]


def types_of(con: duckdb.DuckDBPyConnection, relation: str = "t") -> dict[str, str]:
    return {row[0]: row[1] for row in con.execute(f"DESCRIBE {relation}").fetchall()}


def kernels(con: duckdb.DuckDBPyConnection, bodies: Sequence[str | Body], task: Task = TASK) -> list[Kernel | None]:
    return kernels_of(con, functions(bodies), task, types_of(con, task.relation))


def searches(kernel: Kernel) -> list[Search]:
    return [leaf for when, _ in kernel.arms for leaf in atoms(when) if isinstance(leaf, Search)]


def _column(lf: LabelingFunction) -> Column:
    return Column(lf.name, lf, None, "")


def compared(con: duckdb.DuckDBPyConnection, bodies: Sequence[str | Body], task: Task = TASK) -> tuple[int, int]:
    """Assert that each kernel gives what DuckDB gives for table ``t``; return how many had one, and cells."""
    lfs = functions(bodies)
    found = kernels_of(con, lfs, task, types_of(con, task.relation))
    own = [at for at, kernel in enumerate(found) if kernel is not None]
    if not own:
        return 0, 0
    votes = [f"{vote_code(_column(lfs[at]), task, {})} AS c{at}" for at in own]
    wanted = con.sql(f"SELECT {', '.join(votes)} FROM {task.relation}").to_arrow_table()
    batch = con.sql(f"FROM {task.relation}").to_arrow_table()
    matcher = Matcher([kernel for kernel in found if kernel is not None])
    for at, code in zip(own, matcher.codes(batch), strict=True):
        want = wanted[f"c{at}"].combine_chunks()
        if isinstance(want, pa.ChunkedArray):
            want = pa.concat_arrays(want.chunks) if want.num_chunks else pa.array([], want.type)
        assert code.type == want.type
        if not code.equals(want):
            rows = [row for row, (a, b) in enumerate(zip(code.to_pylist(), want.to_pylist(), strict=True)) if a != b]
            given = batch.slice(rows[0], 1).to_pylist()[0]
            raise AssertionError(
                f"{bodies[at]!r}: {len(rows)} rows differ, the first {given!r}: "
                f"DuckDB {want[rows[0]]}, kernel {code[rows[0]]}; {found[at]}"
            )
    return len(own), len(own) * batch.num_rows


__all__ = ["TASK", "Expression", "VoteWhen", "compared", "functions", "kernels", "searches", "types_of"]
