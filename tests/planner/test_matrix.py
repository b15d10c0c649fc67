"""Laws of the plan of a label matrix, on made-up catalogs: no database."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdb.catalog.fingerprint import data_hash
from wsdb.catalog.snapshot import CatalogSnapshot, StoredColumn, StoredMatrix
from wsdb.core.errors import DataError, SpecError
from wsdb.core.lf import Body, Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.specs import LabelModelSpec
from wsdb.core.task import Task
from wsdb.planner.explain import explain
from wsdb.planner.facts import LFFacts, TaskFacts
from wsdb.planner.matrix import MAX_COLUMNS, bits, columns_of, labels_hash, per_word, plan_labels, plan_matrix
from wsdb.planner.steps import Fit, Fuse, LabelMatrix, Reuse, Scatter, Step, walk

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


def facts(lfs: list[LabelingFunction], hashes: dict[str, str | None], keys: str = "k") -> TaskFacts:
    kinds = {type(body): kind for kind, body in BODIES.items()}
    known = {
        one.name: LFFacts(("body",), hashes[one.name], SOURCES.get(kinds[type(one.body)], (None,)))
        for one in lfs
        if one.enabled
    }
    return TaskFacts(3, keys, known)


def stored_as(step: Step, before: StoredMatrix | None) -> StoredMatrix | None:
    """What the catalog holds after a step has run."""
    if isinstance(step, Reuse):
        return before
    assert isinstance(step, LabelMatrix)
    columns = tuple(StoredColumn(c.name, c.lf.name, c.source, c.input_hash) for c in step.columns)
    return StoredMatrix(step.n_rows, step.keys_hash, columns)


def computed(step: Step) -> set[str]:
    """The columns a plan computes."""
    return {column.name for part in walk(step) if isinstance(part, Fuse | Scatter) for column in part.columns}


def reused(step: Step) -> set[str]:
    """The columns a plan keeps."""
    return {name for part in walk(step) if isinstance(part, Reuse) and part.what == "columns" for name in part.names}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[LabelingFunction], dict[str, str | None], str]:
    names = draw(st.lists(st.sampled_from("abcdef"), max_size=5, unique=True))
    kinds = {name: draw(st.sampled_from(sorted(BODIES))) for name in names}
    lfs = [lf(name, kinds[name], enabled=draw(st.integers(0, 4)) > 0) for name in names]
    hashes = {name: draw(st.sampled_from(["1", "2", None])) for name in names}
    return lfs, hashes, draw(st.sampled_from(["k", "l"]))


@given(worlds(), worlds())
def test_a_plan_computes_what_changed_and_keeps_the_rest(before: object, after: object) -> None:
    lfs, hashes, keys = before  # type: ignore[misc]
    stored = stored_as(plan_matrix(TASK, lfs, None, facts(lfs, hashes, keys)), None)
    assert stored is not None
    old = {column.name: column.input_hash for column in stored.columns}
    lfs, hashes, new_keys = after  # type: ignore[misc]
    now = facts(lfs, hashes, new_keys)
    step = plan_matrix(TASK, lfs, stored, now)
    wanted = columns_of(lfs, now)
    fresh = {
        column.name
        for column in wanted
        if new_keys != keys or column.input_hash == "always" or old.get(column.name) != column.input_hash
    }
    assert computed(step) == fresh
    if isinstance(step, Reuse):
        assert not fresh and set(old) == {column.name for column in wanted}
        return
    assert isinstance(step, LabelMatrix)
    assert reused(step) == {column.name for column in wanted} - fresh
    assert step.columns == wanted
    writes = {"create": new_keys != keys, "update": new_keys == keys and set(old) == {c.name for c in wanted}}
    assert step.write == next((write for write, holds in writes.items() if holds), "rewrite")


@given(worlds())
def test_a_plan_that_ran_has_nothing_left_to_do(world: object) -> None:
    lfs, hashes, keys = world  # type: ignore[misc]
    now = facts(lfs, hashes, keys)
    stored = stored_as(plan_matrix(TASK, lfs, None, now), None)
    again = plan_matrix(TASK, lfs, stored, now)
    volatile = [one.name for one in lfs if one.enabled and hashes[one.name] is None]
    assert isinstance(again, Reuse) == (not volatile)
    assert {name.partition(":")[0] for name in computed(again)} == set(volatile)


@given(worlds())
def test_one_scan_holds_all_row_and_python_labeling_functions(world: object) -> None:
    lfs, hashes, keys = world  # type: ignore[misc]
    step = plan_matrix(TASK, lfs, None, facts(lfs, hashes, keys))
    fused = [part for part in walk(step) if isinstance(part, Fuse)]
    assert len(fused) <= 1
    in_scan = {one.name for one in lfs if one.enabled and one.scope in ("row", "python")}
    assert {column.name for fuse in fused for column in fuse.columns} == in_scan
    apart = [part.lf.name for part in walk(step) if isinstance(part, Scatter)]
    assert sorted(apart) == sorted(one.name for one in lfs if one.enabled and one.scope in ("relation", "votes"))


def test_labels_are_reused_only_where_matrix_and_label_model_are_the_same() -> None:
    lfs = [lf("a", "rule"), lf("v", "votes")]
    now = facts(lfs, {"a": "1", "v": "2"})
    columns = columns_of(lfs, now)
    stored = stored_as(plan_matrix(TASK, lfs, None, now), None)
    assert stored is not None
    default = LabelModelSpec("spam", "spam")
    hashed = labels_hash(TASK, columns, now, data_hash(default))
    catalog = snapshot(lfs, stored, hashed)
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
        columns_of([one], known)
    assert caught.value.code == "WS407"


def test_a_label_matrix_holds_so_many_columns_and_no_more() -> None:
    one = lf("crowd", "votes")
    most = tuple(f"w{number}" for number in range(MAX_COLUMNS))
    assert len(columns_of([one], TaskFacts(1, "k", {"crowd": LFFacts((), "1", most)}))) == MAX_COLUMNS
    with pytest.raises(SpecError) as caught:
        columns_of([one], TaskFacts(1, "k", {"crowd": LFFacts((), "1", (*most, "one more"))}))
    assert caught.value.code == "WS311"


@given(st.integers(2, 10_000))
def test_a_vote_has_bits_for_abstain_and_every_class(n_classes: int) -> None:
    assert 2 ** bits(n_classes) >= n_classes + 1 > 2 ** (bits(n_classes) - 1)
    assert per_word(n_classes) * bits(n_classes) <= 64 < (per_word(n_classes) + 1) * bits(n_classes)


def test_a_long_list_is_cut_in_explain() -> None:
    lfs = [lf(f"f{number:02d}", "rule") for number in range(14)]
    step = plan_matrix(TASK, lfs, None, facts(lfs, {one.name: "1" for one in lfs}))
    (line,) = [line for line in explain(step) if "Fuse" in line]
    assert line.endswith("f10, f11, … 2 more]")
