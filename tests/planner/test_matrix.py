"""Laws of the plan of a label matrix, on made-up catalogs: no database."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.catalog.snapshot import CatalogSnapshot, StoredColumn, StoredMatrix
from wsdb.core.errors import DataError
from wsdb.core.lf import Body, Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.task import Task
from wsdb.planner.columns import WIDE_COLUMNS, columns_of
from wsdb.planner.explain import explain
from wsdb.planner.facts import LFFacts, RowChanges, TaskFacts
from wsdb.planner.labels import hash_of, plan_labels
from wsdb.planner.matrix import FEW, plan_matrix
from wsdb.planner.pack import bits, per_word
from wsdb.planner.steps import (
    Append,
    Column,
    Fit,
    Fuse,
    LabelMatrix,
    Match,
    Rescan,
    Retract,
    Reuse,
    Scan,
    Scatter,
    Step,
    walk,
)

TASK = Task("spam", "mails", ("id",), "binary", ("ham", "spam"))
BODIES: dict[str, Body] = {
    "rule": VoteWhen("spam", "a"),
    "expression": Expression("b"),
    "query": Select("SELECT id, label FROM t"),
    "python": Python("def lf(b): …"),
    "votes": Votes("crowd", ("id",), "worker", "label"),
}
SOURCES: dict[str, tuple[str | None, ...]] = {"votes": ("ann", "bob")}


def lf(name: str, kind: str, **fields: object) -> LabelingFunction:
    return LabelingFunction(name, "spam", BODIES[kind], **fields)  # type: ignore[arg-type]


def facts(lfs: list[LabelingFunction], hashes: dict[str, str | None], rows: str = "k", **fields: object) -> TaskFacts:
    kinds = {type(body): kind for kind, body in BODIES.items()}
    known = {
        one.name: LFFacts(("body",), hashes[one.name], SOURCES.get(kinds[type(one.body)], (None,)))
        for one in lfs
        if one.enabled
    }
    return TaskFacts(100, rows, known, ("body",), **fields)  # type: ignore[arg-type]


def stored_as(step: Step, before: StoredMatrix | None) -> StoredMatrix | None:
    """What the catalog holds after a step has run."""
    if isinstance(step, Reuse):
        return before
    assert isinstance(step, LabelMatrix)
    columns = tuple(StoredColumn(c.name, c.lf.name, c.source, c.input_hash) for c in step.columns)
    return StoredMatrix(step.rows.n_rows, columns, step.rows.rows_hash, step.rows.row_columns, storage=step.storage)


def scanned(part: Step) -> Scan:
    while not isinstance(part, Scan):
        (part,) = part.inputs
    return part


def computed(step: Step, *, rows: bool = False) -> set[str]:
    """The columns a plan computes on all rows, or on the rows that differ."""
    found: set[str] = set()
    for part in walk(step):
        on_rows = isinstance(part, Fuse | Match) and bool(scanned(part).rows)
        if isinstance(part, Fuse | Match | Scatter) and on_rows == rows:
            found |= {column.name for column in part.columns}
    return found


def reused(step: Step) -> set[str]:
    """The columns a plan keeps."""
    return {name for part in walk(step) if isinstance(part, Reuse) and part.what == "columns" for name in part.names}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[LabelingFunction], dict[str, str | None]]:
    names = draw(st.lists(st.sampled_from("abcdef"), max_size=5, unique=True))
    kinds = {name: draw(st.sampled_from(sorted(BODIES))) for name in names}
    lfs = [lf(name, kinds[name], enabled=draw(st.integers(0, 4)) > 0) for name in names]
    hashes = {name: draw(st.sampled_from(["1", "2", None])) for name in names}
    return lfs, hashes


changes = st.none() | st.builds(RowChanges, st.integers(0, 90), st.integers(0, 90), st.integers(0, 90)).filter(
    lambda found: found.touched + found.removed > 0
)


@given(worlds(), worlds(), changes)
def test_a_plan_computes_what_changed_and_keeps_the_rest(
    before: tuple[list[LabelingFunction], dict[str, str | None]],
    after: tuple[list[LabelingFunction], dict[str, str | None]],
    found: RowChanges | None,
) -> None:
    stored = stored_as(plan_matrix(TASK, before[0], None, facts(*before)), None)
    assert stored is not None
    old = {column.name: column.input_hash for column in stored.columns}
    now = facts(*after, "k" if found is None else "l", changes=found)
    step = plan_matrix(TASK, after[0], stored, now)
    wanted = columns_of(TASK, after[0], now)
    many = found is not None and found.touched + found.removed > FEW * 100
    fresh = {c.name for c in wanted if many or c.input_hash == "always" or old.get(c.name) != c.input_hash}
    assert computed(step) == fresh
    if isinstance(step, Reuse):
        assert not fresh and found is None and list(old) == [column.name for column in wanted]
        return
    assert isinstance(step, LabelMatrix)
    assert reused(step) == {column.name for column in wanted} - fresh
    assert step.columns == wanted
    same = list(old) == [column.name for column in wanted]
    assert step.write == ("create" if many else "update" if same else "rewrite")
    if found is not None and not many:
        numbers = {type(part): part.rows for part in walk(step) if isinstance(part, Append | Rescan | Retract)}
        said = {Append: found.added, Rescan: found.changed, Retract: found.removed}
        assert numbers == {kind: rows for kind, rows in said.items() if rows}
        on_rows = {c.name for c in wanted if c.name not in fresh and c.lf.scope in ("row", "python")}
        assert computed(step, rows=True) == (on_rows if found.touched else set())


@given(worlds())
def test_a_plan_that_ran_has_nothing_left_to_do(world: tuple[list[LabelingFunction], dict[str, str | None]]) -> None:
    lfs, hashes = world
    stored = stored_as(plan_matrix(TASK, lfs, None, facts(*world)), None)
    again = plan_matrix(TASK, lfs, stored, facts(*world))
    volatile = [one.name for one in lfs if one.enabled and hashes[one.name] is None]
    assert isinstance(again, Reuse) == (not volatile)
    assert {name.partition(":")[0] for name in computed(again)} == set(volatile)


@given(worlds())
def test_one_scan_holds_all_row_and_python_labeling_functions(
    world: tuple[list[LabelingFunction], dict[str, str | None]],
) -> None:
    lfs, _ = world
    step = plan_matrix(TASK, lfs, None, facts(*world))
    fused = [part for part in walk(step) if isinstance(part, Fuse)]
    assert len(fused) <= 1
    in_scan = {one.name for one in lfs if one.enabled and one.scope in ("row", "python")}
    assert {column.name for fuse in fused for column in fuse.columns} == in_scan
    apart = [part.lf.name for part in walk(step) if isinstance(part, Scatter)]
    assert sorted(apart) == sorted(one.name for one in lfs if one.enabled and one.scope in ("relation", "votes"))


def test_a_column_that_changed_everywhere_recomputes_only_those_that_read_it() -> None:
    lfs = [lf("a", "rule"), lf("b", "expression")]
    reads = {"a": LFFacts(("body",), "1"), "b": LFFacts(("score",), "2")}
    before = TaskFacts(100, "k", reads, ("body", "score"))
    stored = stored_as(plan_matrix(TASK, lfs, None, before), None)
    now = TaskFacts(100, "l", reads, ("body", "score"), RowChanges(0, 100, 0, ("score",)))
    step = plan_matrix(TASK, lfs, stored, now)
    assert isinstance(step, LabelMatrix) and step.write == "update" and step.rehash
    assert computed(step) == {"b"} and reused(step) == {"a"}


def test_predicates_leave_sql_together_where_they_cost_enough() -> None:
    lfs = [lf("a", "rule"), lf("b", "expression"), lf("c", "rule")]

    def planned(cost: float) -> Step:
        able = LFFacts(("body",), "1", predicates=("body LIKE '%x%'",), cost=cost)
        return plan_matrix(TASK, lfs, None, TaskFacts(100, "k", {"a": able, "b": LFFacts(("body",), "1"), "c": able}))

    cheap, dear = planned(0.1), planned(2.0)
    assert not [part for part in walk(cheap) if isinstance(part, Match)]
    (match,) = [part for part in walk(dear) if isinstance(part, Match)]
    (fuse,) = [part for part in walk(dear) if isinstance(part, Fuse)]
    assert [column.name for column in match.columns] == ["a", "c"]
    assert [column.name for column in fuse.columns] == ["b"]


def test_a_select_that_filters_the_relation_joins_the_scan() -> None:
    one = lf("query", "query")
    inlined = LFFacts(("body",), "1", inlined="CASE WHEN a THEN 'spam' END")
    step = plan_matrix(TASK, [one], None, TaskFacts(1, "k", {"query": inlined}))
    (fuse,) = [part for part in walk(step) if isinstance(part, Fuse)]
    assert fuse.columns == (Column("query", replace(one, body=Expression("CASE WHEN a THEN 'spam' END")), None, "1"),)


def test_labels_are_reused_only_where_matrix_and_label_model_are_the_same() -> None:
    lfs = [lf("a", "rule"), lf("v", "votes")]
    now = {"spam": facts(lfs, {"a": "1", "v": "2"})}
    stored = stored_as(plan_matrix(TASK, lfs, None, now["spam"]), None)
    assert stored is not None
    catalog = snapshot(lfs, stored, "")
    catalog = replace(catalog, label_runs={"spam": hash_of(TASK, catalog, now)})
    assert isinstance(plan_labels(TASK, catalog, now), Reuse)
    assert isinstance(plan_labels(TASK, catalog, now, full=True), Fit)
    balanced = replace(TASK, balance=(0.5, 0.5))
    assert isinstance(plan_labels(balanced, catalog, now), Fit)
    assert explain(plan_labels(balanced, catalog, now))[-1].endswith("Reuse label matrix=[spam]")


def snapshot(lfs: list[LabelingFunction], stored: StoredMatrix, hashed: str) -> CatalogSnapshot:
    from wsdb.catalog.snapshot import Entry

    entries = {("labeling function", one.name): Entry("labeling function", one.name, 1, one, "", "", "") for one in lfs}
    return CatalogSnapshot(entries=entries, matrices={"spam": stored}, label_runs={"spam": hashed})


def test_sources_that_differ_only_in_case_are_refused() -> None:
    one = lf("crowd", "votes")
    known = TaskFacts(1, "k", {"crowd": LFFacts((), "1", ("Ann", "ann"))})
    with pytest.raises(DataError, match="differ only in case") as caught:
        columns_of(TASK, [one], known)
    assert caught.value.code == "WS407"


def test_many_columns_are_stored_sparse() -> None:
    one = lf("crowd", "votes")
    most = tuple(f"w{number}" for number in range(WIDE_COLUMNS))
    storage = {}
    for sources in (most, (*most, "one more")):
        step = plan_matrix(TASK, [one], None, TaskFacts(1, "k", {"crowd": LFFacts((), "1", sources)}))
        assert isinstance(step, LabelMatrix)
        storage[len(sources)] = step.storage
    assert storage == {WIDE_COLUMNS: "wide", WIDE_COLUMNS + 1: "sparse"}


@given(st.integers(2, 10_000))
def test_a_vote_has_bits_for_abstain_and_every_class(n_classes: int) -> None:
    assert 2 ** bits(n_classes) >= n_classes + 1 > 2 ** (bits(n_classes) - 1)
    assert per_word(n_classes) * bits(n_classes) <= 64 < (per_word(n_classes) + 1) * bits(n_classes)


def test_a_long_list_is_cut_in_explain() -> None:
    lfs = [lf(f"f{number:02d}", "rule") for number in range(14)]
    step = plan_matrix(TASK, lfs, None, facts(lfs, {one.name: "1" for one in lfs}))
    (line,) = [line for line in explain(step) if "Fuse" in line]
    assert line.endswith("f10, f11, … 2 more]")
