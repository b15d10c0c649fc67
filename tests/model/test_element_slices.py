"""Slices of every shape: of rows and of elements, for tasks on rows, tokens, sets and picks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.factoid import TASKS, batch_of, rows_of, stored_model
from wsdb.core.errors import ModelError
from wsdb.model.backend import torch
from wsdb.model.inputs import inputs_of
from wsdb.model.losses import binary_cross_entropies, select_cross_entropy
from wsdb.model.members import MemberReader, Members
from wsdb.model.module import module_of, source_of
from wsdb.model.parts import PayloadInput, SliceInput, TaskTarget
from wsdb.model.plan import ROW
from wsdb.model.predictor import Predictor
from wsdb.model.slice_losses import expert_loss, expert_losses, item_weights
from wsdb.model.slices import Indicator
from wsdb.model.spec import train_spec
from wsdb.model.targets import TrainingLabels
from wsdb.model.train import Trained, train

SLICES = (
    SliceInput("rare"),
    SliceInput("names", "tokens"),
    SliceInput("rare too"),
    SliceInput("big", "entities"),
    SliceInput("short", "tokens"),
)
TOKENS = PayloadInput("tokens", "sequence", (("tokens", "VARCHAR[]"),))


def test_which_slices_correct_a_task_and_which_members_are_known() -> None:
    manifest, weights, network = stored_model(slices=SLICES)
    corrected = {head.task: network.plan.correcting(head) for head in network.plan.heads}
    rows, tokens = ("rare", "rare too"), ("names", "short")
    assert corrected == {
        "intent": rows,
        "pos": (*rows, *tokens),
        "type": (*rows, *tokens),
        "arg": (*rows, "big"),
        "rank": (*rows, "big"),
        "fun": rows,
    }
    predictor, batch = Predictor.load(manifest, weights), batch_of(rows_of(np.random.default_rng(3), 9))
    found = predictor.slice_members(batch)
    assert predictor.slices == {ROW: rows, "entities": ("big",), "tokens": tokens}
    assert {place: one.probabilities.shape[1] for place, one in found.items()} == {ROW: 2, "entities": 1, "tokens": 2}
    assert found[ROW].probabilities.shape[0] == 9
    lengths = [len(words or []) for words in batch.column("tokens").to_pylist()]
    assert np.diff(found["tokens"].indptr).tolist() == lengths


def test_rows_do_not_see_each_other_in_any_shape() -> None:
    predictor = Predictor.load(*stored_model(slices=SLICES)[:2])
    batch = batch_of(rows_of(np.random.default_rng(5), 12))
    together = predictor.predict(batch)
    parts = [predictor.predict(batch.slice(at, 1)) for at in range(12)]
    for task, scores in together.items():
        alone = np.concatenate([part[task].probabilities for part in parts])
        np.testing.assert_allclose(alone, scores.probabilities, atol=1e-5)


def test_no_rows_and_rows_without_elements_have_answers() -> None:
    predictor = Predictor.load(*stored_model(slices=SLICES)[:2])
    empty = batch_of([{"query": None, "age": None, "tokens": None, "entities": []}])
    for batch in (empty, empty.slice(0, 0)):
        assert all(np.isfinite(one.probabilities).all() for one in predictor.predict(batch).values())
        assert predictor.slice_members(batch)["tokens"].probabilities.shape == (0, 2)


def test_what_is_in_no_slice_has_the_base_and_the_picks_of_a_row_sum_to_one() -> None:
    _, _, network = stored_model(slices=SLICES)
    batch = batch_of(rows_of(np.random.default_rng(7), 12))
    predictor = Predictor.load(*stored_model(slices=SLICES)[:2])
    picks = predictor.predict(batch)["arg"]
    for start, stop in zip(picks.indptr[:-1], picks.indptr[1:], strict=True):
        assert stop == start or picks.probabilities[start:stop, 1].sum() == pytest.approx(1)
    inputs = inputs_of(predictor.encode(batch), torch.device("cpu"))
    hidden, states = network.hidden(inputs)
    bases = network.bases(inputs, hidden, states)
    moved = [not torch.allclose(one, base) for one, base in zip(network(inputs), bases, strict=True)]
    assert moved == [True] * len(TASKS)
    for one in network.slices.indicators.values():
        assert isinstance(one, Indicator)
        one.prior.fill_(-1e4)
    for logits, base in zip(network(inputs), bases, strict=True):
        torch.testing.assert_close(logits, base)


def test_the_program_of_a_sliced_network_gives_its_predictions() -> None:
    manifest, weights, network = stored_model(slices=SLICES)
    names: dict[str, Any] = {}
    exec(compile(source_of(manifest, weights), "code", "exec"), names)
    names["network"].load_state_dict(module_of(manifest, weights).state_dict())
    inputs = inputs_of(Predictor.load(manifest, weights).encode(batch_of(rows_of(np.random.default_rng(1), 6))), "cpu")
    for found, expected in zip(names["network"](inputs), network(inputs), strict=True):
        torch.testing.assert_close(found, expected)
    assert type(names["network"].slices) is names["Slices"]


# ── losses ────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 1000))
def test_one_slice_of_everything_has_half_the_loss_of_the_task(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    alone = torch.randn(7, 1, 2, generator=generator)
    labels, weights = torch.rand(7, 2, generator=generator), torch.rand(7, 2, generator=generator).round(decimals=1)
    indptr = np.array([0, 3, 3, 7])
    bits = TrainingLabels(labels.numpy(), weights.numpy())
    found = expert_losses("bitvector", alone, labels, weights)
    mass = torch.from_numpy(item_weights("bitvector", bits)).sum()
    expected = binary_cross_entropies(alone, labels[:, None], weights[:, None] / weights.sum().clamp_min(1e-9))
    assert float(expert_loss(found, torch.ones(7, 1), mass[None])) == pytest.approx(float(expected) / 2, rel=1e-4)
    picks = TrainingLabels(labels.numpy(), weights[:, 0].numpy(), indptr)
    own = item_weights("select", picks)
    rows = torch.tensor([0, 0, 0, 2, 2, 2, 2])
    found = expert_losses("select", alone[:, :, 1:], labels, weights[:, 0], rows, 3)
    scaled = weights[:, 0] / max(float(own.sum()), 1e-9)
    chosen = select_cross_entropy(alone[:, 0, 1], labels[:, 1], scaled, rows)
    loss = expert_loss(found, torch.ones(3, 1), torch.tensor([own.sum()]))
    assert float(loss) == pytest.approx(float(chosen) / 2, rel=1e-4)


def test_a_pick_without_labels_has_no_loss() -> None:
    alone = torch.randn(3, 2, 1, requires_grad=True)
    found = expert_losses("select", alone, torch.rand(3, 2), torch.zeros(3), torch.tensor([0, 0, 1]), 2)
    assert found.shape == (2, 2)
    assert not found.any()
    found.sum().backward()


# ── members ───────────────────────────────────────────────────────────────────────────────────────


def read(columns: dict[str, Any], slices: tuple[SliceInput, ...] = (SliceInput("a", "tokens"),)) -> Members:
    """Read the members among rows of two, no and one token."""
    reader = MemberReader(slices, [TOKENS])
    reader.see(pa.record_batch({"tokens": [["x", "y"], None, ["z"]], **columns}))
    return reader.finish()


def test_members_among_elements_are_places_and_what_is_behind_the_last_is_none() -> None:
    part = read({"__s_a": [[2, 7, None], [1], None]}).parts["tokens"]
    assert part.inside[:, 0].tolist() == [False, True, False]
    assert part.indptr is not None and part.indptr.tolist() == [0, 2, 2, 3]
    assert part.by_row()[:, 0].tolist() == [True, False, False]
    assert read({"__s_a": pa.nulls(3)}).parts["tokens"].inside.sum() == 0


@pytest.mark.parametrize(
    ("column", "said"), [({}, "no column __s_a"), ({"__s_a": [True, False, None]}, "must hold lists of places")]
)
def test_members_among_elements_are_checked(column: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        read(column)
    assert caught.value.code == "WS509"


def test_a_row_has_all_its_elements_and_a_pick_is_in_the_slices_of_its_candidates() -> None:
    slices = (SliceInput("whole"), SliceInput("a", "tokens"))
    members = read({"__s_a": [[2], None, []], "__s_whole": [False, True, True]}, slices)
    tags = TaskTarget("tags", ("no", "yes"), payload="tokens")
    pick = TaskTarget("pick", ("no", "yes"), kind="select", payload="tokens")
    row = TaskTarget("row", ("no", "yes"))
    indptr = np.array([0, 2, 2, 3])
    assert members.names(tags) == members.names(pick) == ("whole", "a")
    assert members.names(row) == ("whole",)
    assert members.items(tags, indptr).tolist() == [[False, False], [False, True], [True, False]]
    assert members.items(pick, indptr).tolist() == [[False, True], [True, False], [True, False]]
    assert members.items(row, None).tolist() == [[False], [True], [True]]
    assert members.any_of(tags, indptr).tolist() == [False, True, True]
    assert members.only(["a"]).parts.keys() == {"tokens"}


# ── training ──────────────────────────────────────────────────────────────────────────────────────


def queries(n: int, seed: int, what: str) -> tuple[list[list[str]], list[list[bool]], list[list[bool]]]:
    """Draw lists of words with a label each, and what is in the slice, where a word means the opposite.

    Of 'rows' that is a tenth of the rows, which the word "not" shows; of 'elements' the words with the number 3. Those
    'drawn' are of no kind: nothing shows them, and no word has another meaning there.
    """
    rng = np.random.default_rng(seed)
    words, labels, members = [], [], []
    for _ in range(n):
        m = int(rng.integers(2, 7))
        y, numbers, whole = rng.random(m) < 0.5, rng.integers(0, 10, m), rng.random() < 0.1
        inside = np.full(m, whole) if what == "rows" else numbers == 3 if what == "elements" else rng.random(m) < 0.2
        sense = y if what == "drawn" else y ^ inside
        row = [f"{'good' if s else 'bad'}{c}" for s, c in zip(sense, numbers, strict=True)]
        if what == "rows" and whole:
            row[int(rng.integers(0, m))] = "not"
        words.append(row)
        labels.append(y.tolist())
        members.append(inside.tolist())
    return words, labels, members


def fit(what: str, kind: str, mode: str, n: int = 1000) -> tuple[Trained, float, float]:
    """Train on drawn queries; return what was trained, and the accuracy inside and outside the slice on new ones.

    A pick is the first word with the label; what matters is how likely it is among the words of its row.
    """
    words, labels, members = queries(n, 0, what)
    columns: dict[str, Any] = {"tokens": words, "__key": list(range(n))}
    if what == "rows":
        columns["__s_s"] = [row[0] for row in members]
    else:
        columns["__s_s"] = [[at + 1 for at, one in enumerate(row) if one] for row in members]
    tasks = {
        "multiclass": TaskTarget("y", ("no", "yes"), payload="tokens"),
        "bitvector": TaskTarget("y", ("yes",), kind="bitvector", payload="tokens"),
        "select": TaskTarget("y", ("no", "yes"), kind="select", payload="tokens"),
    }

    def hot(one: bool) -> list[float]:
        return [float(one)] if kind == "bitvector" else [1.0 - one, float(one)]

    columns["__p_y"] = [[hot(one) for one in row] if kind != "select" or any(row) else None for row in labels]
    table = pa.table(columns)
    slices = [SliceInput("s", None if what == "rows" else "tokens")]
    spec = train_spec({"slice_mode": mode, "encoder": "bow", "epochs": 12, "width": 16})
    trained = train([], [tasks[kind]], lambda: iter(table.to_batches(512)), spec, payloads=[TOKENS], slices=slices)
    new, gold, own = queries(500, 1, what)
    scores = Predictor.load(trained.manifest, trained.weights).predict(pa.record_batch({"tokens": new}))["y"]
    said = scores.probabilities[:, -1]
    right, inside = np.concatenate(gold), np.concatenate(own)
    if kind == "select":  # a word is right where it is above its row's mean as its label says
        row = np.repeat(np.arange(500), [len(one) for one in new])
        mixed = np.array([len(set(one)) > 1 for one in gold])[row]
        hit = (said > (np.bincount(row, said) / np.bincount(row))[row]) == right
        return trained, float(hit[inside & mixed].mean()), float(hit[~inside & mixed].mean())
    hit = (said > 0.5) == right
    return trained, float(hit[inside].mean()), float(hit[~inside].mean())


@pytest.mark.parametrize("kind", ["multiclass", "bitvector", "select"])
def test_a_slice_of_rows_learns_the_elements_of_its_rows(kind: str) -> None:
    _, plain, rest = fit("rows", kind, "none")
    trained, sliced, others = fit("rows", kind, "attention")
    assert plain < 0.4
    assert sliced > plain + 0.3
    assert others > rest - (0.1 if kind == "select" else 0.02)  # few picks are learned late; of 3,000 rows none is lost
    assert [one["name"] for one in trained.manifest["network"]["slices"]] == ["s"]


@pytest.mark.parametrize("kind", ["multiclass", "bitvector", "select"])
def test_a_slice_of_elements_knows_its_members(kind: str) -> None:
    trained, sliced, others = fit("elements", kind, "attention")
    assert sliced > 0.8
    assert others > 0.8
    predictor = Predictor.load(trained.manifest, trained.weights)
    found = predictor.slice_members(pa.record_batch({"tokens": [["good3", "bad3", "good4"], [], ["bad5"]]}))["tokens"]
    assert ((found.probabilities[:, 0] > 0.5) == [True, True, False, False]).all()
    assert found.indptr is not None and found.indptr.tolist() == [0, 3, 3, 4]


def test_the_same_rows_and_seed_give_the_same_bits() -> None:
    first, second = (fit("elements", "multiclass", "attention", n=300)[0].weights for _ in range(2))
    assert first == second


def test_held_out_elements_decide_whether_a_slice_has_an_expert() -> None:
    kept = fit("rows", "multiclass", "auto")[0]
    assert [one["name"] for one in kept.manifest["network"]["slices"]] == ["s"]
    plain, auto = (fit("drawn", "multiclass", mode, n=1000)[0] for mode in ("none", "auto"))
    assert auto.weights == plain.weights
    assert "no experts for slices s" in auto.notices[-1]


def test_elements_of_a_slice_may_weigh_more() -> None:
    heavier, plain = (fit("elements", "multiclass", mode, n=200)[0].weights for mode in ("weight", "none"))
    assert heavier != plain
