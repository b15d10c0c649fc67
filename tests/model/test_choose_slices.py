"""slice_mode = 'auto' over text: experts where held-out rows gain by them, else the network without, bit by bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.model.conftest import batches_of, rows_of
from wsdb.model.choose_slices import Gains, choose_slices, gains
from wsdb.model.judge import Judged, RowLosses
from wsdb.model.members import Members, Part
from wsdb.model.parts import SliceInput, TaskTarget
from wsdb.model.plan import ROW
from wsdb.model.predictor import Predictor
from wsdb.model.spec import train_spec
from wsdb.model.train import Trained, train

TASK = TaskTarget("y", ("no", "yes"))
MEMBERS = np.repeat(np.eye(2, dtype=bool), 50, axis=0)  # 50 rows of slice a, then 50 of slice b


@dataclass(frozen=True)
class Run:
    """A trained network: its slices, and what `choose_slices` reads of it."""

    names: tuple[str, ...]
    interrupted: bool


def judged(losses: np.ndarray, indptr: np.ndarray | None = None, rows: np.ndarray | None = None) -> Judged:
    """A task's calibration, of which only the losses count; all that it labels is known."""
    n = len(losses) if indptr is None else len(indptr) - 1
    held = np.arange(n) if rows is None else rows
    return Judged(1.0, np.zeros(2), None, {}, {}, held, RowLosses(losses, np.ones(len(losses), bool), indptr))


def choice(
    losses: dict[tuple[str, ...], np.ndarray], **changes: Any
) -> tuple[tuple[str, ...], str | None, list[tuple[str, ...]]]:
    """Choose among runs with the given losses of held-out rows; return slices kept, notice, and all trained."""
    trained: list[tuple[str, ...]] = []

    def learn(names: tuple[str, ...]) -> Any:
        trained.append(names)
        return Run(names, interrupted=changes.get("interrupted") == names), [judged(losses[names])]

    members = Members({ROW: Part(("a", "b"), MEMBERS)})
    run, _, notice = choose_slices(learn, ("a", "b"), partial(gains, [TASK], members, ("a", "b")))
    return run.names, notice, trained


def lost(a: float, b: float) -> np.ndarray:
    """Losses of 100 rows that differ from row to row."""
    return np.repeat([a, b], 50) + np.tile([0.1, -0.1], 50) * np.repeat([a, b], 50)


def test_slices_that_gain_are_kept() -> None:
    assert choice({(): lost(0.5, 0.5), ("a", "b"): lost(0.3, 0.4)}) == (("a", "b"), None, [(), ("a", "b")])


def test_a_slice_that_does_not_gain_is_left_out_and_named() -> None:
    kept, notice, trained = choice({(): lost(0.5, 0.5), ("a", "b"): lost(0.3, 0.6), ("a",): lost(0.3, 0.5)})
    assert trained == [(), ("a", "b"), ("a",)]
    assert kept == ("a",)
    assert notice is not None
    assert "no experts for slices b:" in notice


@pytest.mark.parametrize(
    "losses",
    [
        {(): lost(0.5, 0.5), ("a", "b"): lost(0.5, 0.6)},
        {(): lost(0.5, 0.5), ("a", "b"): lost(0.4, 0.9), ("a",): lost(0.45, 0.6)},  # a gains what the others lose
        {(): lost(0.5, 0.5), ("a", "b"): lost(0.3, 0.6), ("a",): lost(0.5, 0.5)},  # a alone does not gain again
    ],
)
def test_slices_that_do_not_pay_leave_the_network_without(losses: dict[tuple[str, ...], np.ndarray]) -> None:
    kept, notice, _ = choice(losses)
    assert kept == ()
    assert notice is not None
    assert "a, b" in notice


def test_what_holds_nothing_out_has_no_experts() -> None:
    kept, notice, trained = choice({(): np.empty(0)})
    assert (kept, trained) == ((), [()])
    assert notice is not None
    assert "no held-out rows" in notice


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_an_interrupted_run_ends_the_choice(names: tuple[str, ...]) -> None:
    kept, notice, trained = choice({(): lost(0.5, 0.5), ("a", "b"): lost(0.3, 0.6)}, interrupted=names)
    assert kept == ()
    assert (notice is None) if names == () else "interrupted" in str(notice)
    assert trained == ([()] if names == () else [(), ("a", "b")])


def test_one_row_is_no_evidence() -> None:
    found = Gains(np.zeros(0), [np.array([0.3]), np.array([0.3, 0.2, 0.3]), np.empty(0)])
    assert found.helps.tolist() == [False, True, False]


def test_a_slice_that_gains_no_more_than_what_is_in_none_does_not_help() -> None:
    all_alike, more = np.tile([0.1, 0.2], 20), np.tile([0.3, 0.4], 20)
    assert Gains(all_alike, [all_alike, more]).helps.tolist() == [True, True]
    assert Gains(all_alike, [all_alike, more], all_alike).helps.tolist() == [False, True]
    assert Gains(all_alike, [all_alike, more], all_alike[:1]).helps.tolist() == [True, True]


def test_a_row_counts_once_whatever_its_elements_and_a_slice_of_elements_sees_its_own() -> None:
    tags = TaskTarget("tags", ("no", "yes"), payload="tokens")
    pick = TaskTarget("pick", ("no", "yes"), kind="select", payload="tokens")
    indptr = np.array([0, 3, 3, 4, 6])  # elements of four rows
    short = np.array([[0, 1, 0, 1, 0, 0]], bool).T
    members = Members(
        {ROW: Part(("first",), np.array([[1, 0, 1, 0]], bool).T), "tokens": Part(("short",), short, indptr)}
    )
    losses = np.array([0.3, 0.6, 0.0, 0.5, 0.2, 0.4])
    of_rows = np.array([0.1, 0.2, 0.3, 0.4])
    plain = [judged(of_rows), judged(losses, indptr), judged(of_rows)]
    sliced = [judged(np.zeros(4)), judged(np.zeros(6), indptr), judged(np.zeros(4))]
    found = gains([TASK, tags, pick], members, ("short", "first"), plain, sliced)
    np.testing.assert_allclose(found.whole, [0.1, 0.2, 0.3, 0.4, 0.3, 0.5, 0.3, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(found.inside[0], [0.6, 0.5, 0.1, 0.3])  # tags of two rows, picks from two rows
    np.testing.assert_allclose(found.inside[1], [0.1, 0.3, 0.3, 0.5, 0.1, 0.3])
    np.testing.assert_allclose(found.outside, [0.2, 0.4, 0.3, 0.2, 0.4])  # rows, tags of the last, picks
    assert gains([TASK], members, ("first",), plain[:1], sliced[:1]).outside is None


# ── networks ──────────────────────────────────────────────────────────────────────────────────────


def queries(n: int, seed: int, *, turned: bool) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Texts whose cues mean the opposite in a tenth of the rows, or there too what they mean elsewhere."""
    rng = np.random.default_rng(seed)
    y, inside = rng.random(n) < 0.5, rng.random(n) < 0.1
    cue = y ^ (inside & turned)
    texts = [
        " ".join(
            rng.permutation([f"{'good' if c else 'bad'}{rng.integers(5)}", f"f{rng.integers(9)}", "not" * bool(s)])
        )
        for c, s in zip(cue, inside, strict=True)
    ]
    table = rows_of({"t": texts}, {"y": np.eye(2)[y.astype(int)].tolist()})
    return table.append_column("__s_negated", pa.array(inside)), y, inside


def fit(table: pa.Table, checkpoint: Path | None = None, **options: Any) -> Trained:
    """Train on the texts."""
    spec = replace(train_spec({"text": ["t"], "word_ngrams": 1, "buckets_bits": 12}), **options)
    return train(
        [("t", "VARCHAR")], [TASK], batches_of(table), spec, slices=[SliceInput("negated")], checkpoint=checkpoint
    )


def test_a_slice_of_text_with_a_rule_of_its_own_has_an_expert_by_default() -> None:
    table, _, _ = queries(2000, 0, turned=True)
    new, gold, inside = queries(2000, 1, turned=True)
    accuracy = {}
    for mode in ("none", "auto"):
        trained = fit(table, slice_mode=mode)
        predictor = Predictor.load(trained.manifest, trained.weights)
        found = predictor.predict(new.combine_chunks().to_batches()[0])["y"].probabilities.argmax(axis=1) == gold
        accuracy[mode] = found[inside].mean(), found[~inside].mean()
        assert predictor.slices == ({ROW: ("negated",)} if mode == "auto" else {})
    assert accuracy["none"][0] < 0.1
    assert accuracy["auto"][0] > 0.9
    assert accuracy["auto"][1] > accuracy["none"][1] - 0.01


def test_a_slice_that_the_text_does_not_show_changes_no_bit() -> None:
    table, _, _ = queries(2000, 0, turned=False)
    drawn = pa.array(np.random.default_rng(3).random(2000) < 0.1)
    table = table.set_column(table.schema.get_field_index("__s_negated"), "__s_negated", drawn)
    plain, auto = (fit(table, slice_mode=mode) for mode in ("none", "auto"))
    assert auto.weights == plain.weights
    assert "no experts for slices negated" in auto.notices[-1]
    assert auto.manifest["notices"] == auto.notices
    assert auto.manifest["slices"] == ["negated"]
    assert auto.manifest["network"]["slices"] == []


def test_each_training_of_a_comparison_keeps_a_state_of_its_own(tmp_path: Path) -> None:
    table, _, _ = queries(1000, 0, turned=True)
    first = fit(table, tmp_path, epochs=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-experts", "1-experts"]
    assert fit(table, tmp_path, epochs=2).weights == first.weights == fit(table, epochs=2).weights
