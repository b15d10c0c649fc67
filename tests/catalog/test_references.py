"""References, dependents and hashes: what a spec names, who names it, and what changes when names do."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from tests.parser.strategies import SPECS, labeling_functions
from wsdb.catalog.fingerprint import data_hash, metadata_hash, votes_hash
from wsdb.catalog.references import mapped, references, renamed
from wsdb.catalog.snapshot import CatalogSnapshot, Entry
from wsdb.core.graph import Rule, TaskGraph
from wsdb.core.lf import LabelingFunction, VoteTogether, VoteWhen
from wsdb.core.payload import Payload
from wsdb.core.specs import LabelModelSpec
from wsdb.core.task import Task
from wsdb.parser.render import Spec
from wsdb.parser.statements import KINDS


def snapshot_of(*specs: Spec) -> CatalogSnapshot:
    entries = {
        (KINDS[type(spec)], spec.name.lower()): Entry(KINDS[type(spec)], spec.name, 1, spec, "", "", "")
        for spec in specs
    }
    return CatalogSnapshot(entries=entries)


def task(name: str, payload: str | None = None) -> Task:
    return Task(name, "r", ("id",), "binary", ("no", "yes"), payload=payload)


@given(SPECS)
def test_a_name_that_stays_changes_nothing(spec: Spec) -> None:
    assert mapped(spec, lambda kind, name, place: name) == spec


@given(SPECS)
def test_after_a_rename_the_old_name_is_gone_and_renaming_back_undoes_it(spec: Spec) -> None:
    for kind, name in references(spec):
        after = renamed(spec, kind, name, "not used elsewhere")
        assert (kind, name.lower()) not in {(of, other.lower()) for of, other in references(after)}
        back = renamed(after, kind, "NOT used elsewhere", name)
        assert [(of, other.lower()) for of, other in references(back)] == [
            (of, other.lower()) for of, other in references(spec)
        ]


@given(labeling_functions())
def test_what_only_describes_a_labeling_function_changes_the_metadata_hash_only(lf: LabelingFunction) -> None:
    for other in (
        replace(lf, kind="another"),
        replace(lf, tags=("x", "y", "z")),
        replace(lf, servable=not lf.servable),
    ):
        assert data_hash(other) == data_hash(lf)
        assert metadata_hash(other) != metadata_hash(lf)


@given(labeling_functions())
def test_votes_depend_on_the_body_alone(lf: LabelingFunction) -> None:
    other = replace(lf, name="renamed", enabled=not lf.enabled, depends_on=("x",), tags=("y",), comment="z")
    assert votes_hash(other) == votes_hash(lf)
    assert votes_hash(replace(lf, on_error="raise")) != votes_hash(replace(lf, on_error="abstain"))


def test_dependents_come_before_what_they_are_built_on() -> None:
    snapshot = snapshot_of(
        Payload("tokens", "r", ("id",), "sequence", ("tokens",)),
        task("t", payload="Tokens"),
        task("u"),
        LabelingFunction("f", "t", VoteWhen("yes", "x")),
        LabelingFunction("g", "u", VoteWhen("yes", "x"), tasks=("u", "T"), depends_on=("F",)),
        TaskGraph("rules", (Rule("t", "yes", "implies", "u", "yes"),)),
        LabelModelSpec("lm", "t", tasks=("t", "u"), graph="rules"),
    )
    built = [entry.name for entry in snapshot.dependents("payload", "TOKENS")]
    assert sorted(built) == ["f", "g", "lm", "rules", "t"]
    for below, above in (("g", "f"), ("f", "t"), ("lm", "rules"), ("rules", "t")):
        assert built.index(below) < built.index(above)
    assert [entry.name for entry in snapshot.dependents("labeling function", "f")] == ["g"]
    assert snapshot.dependents("label model", "lm") == []


def test_a_task_has_the_labeling_functions_that_name_it_second_too() -> None:
    snapshot = snapshot_of(
        task("t"),
        task("u"),
        LabelingFunction("f", "t", VoteWhen("yes", "x")),
        LabelingFunction("g", "u", VoteTogether((("u", "no"), ("t", "yes")), "x"), tasks=("u", "t")),
        LabelingFunction("h", "u", VoteWhen("yes", "x")),
        LabelModelSpec("lm", "t", tasks=("t", "u")),
    )
    assert [(lf.name, lf.tasks, lf.body) for lf in snapshot.lfs("T")] == [
        ("f", ("t",), VoteWhen("yes", "x")),
        ("g", ("t",), VoteWhen("yes", "x")),
    ]
    assert [lf.name for lf in snapshot.lfs("u")] == ["g", "h"]
    assert snapshot.labeling_function("g").tasks == ("u", "t")
    assert snapshot.label_model("U").name == "lm"
