"""Laws of slices: one prediction, membership that is learned, overlap, and slices of no row or one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.conftest import batches_of, reviews, rows_of
from wsdb.model.backend import torch
from wsdb.model.inputs import Inputs
from wsdb.model.layers import Affine
from wsdb.model.parts import SliceInput, TaskTarget
from wsdb.model.plan import ROW, HeadPlan, NetworkPlan, SlicePlan
from wsdb.model.predictor import Predictor
from wsdb.model.slice_losses import expert_loss, expert_losses, membership_loss
from wsdb.model.slices import Expert, Indicator, Slices
from wsdb.model.spec import train_spec
from wsdb.model.train import Trained, train

TASK = TaskTarget("y", ("no", "yes"))


class OfDense(torch.nn.Module):
    """A map that reads the dense columns alone."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.map = Affine(weight)

    def forward(self, inputs: Inputs, vector: torch.Tensor | None) -> torch.Tensor:
        """Return [b, out]."""
        return self.map(inputs.dense)


def inputs(dense: torch.Tensor) -> Inputs:
    """Rows of dense columns and one n-gram each."""
    n = len(dense)
    ones = torch.ones(n)
    slots = torch.arange(n, dtype=torch.int32)
    return Inputs(n, slots, torch.arange(n + 1, dtype=torch.int32), ones, torch.zeros(n, 0), dense, {}, {})


def slices_of(seed: int, names: tuple[str, ...], k: int = 3, d: int = 4) -> Slices:
    """Slices of rows that correct one task, whose maps are drawn."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    plan = NetworkPlan(0, 0, d, 0, (HeadPlan("y", "multiclass", k),), slices=tuple(map(SlicePlan, names)))
    found = Slices(plan, {ROW: OfDense(drawn(len(names), d))}, {0: OfDense(drawn(len(names) * k, d))})
    expert(found).turn.data = drawn(len(names), k, k)
    return found


def expert(slices: Slices) -> Expert:
    """The expert of the first task."""
    found = slices.experts["0"]
    assert isinstance(found, Expert)
    return found


def indicator(slices: Slices) -> Indicator:
    """What says which slices have a row."""
    (found,) = slices.indicators.values()
    assert isinstance(found, Indicator)
    return found


def corrected(slices: Slices, base: torch.Tensor, rows: Inputs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the corrected logits, those of membership and those of each slice alone."""
    found = slices([base], rows, None, {})
    assert found.alone[0] is not None
    return found.logits[0], found.members[ROW], found.alone[0]


def rules(n: int, seed: int, share: float = 0.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, labels and a slice in which the rule is turned round."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    inside = x[:, 1] > np.quantile(x[:, 1], 1 - share)
    return x, (x[:, 0] > 0) ^ inside, inside


def fit(x: np.ndarray, y: np.ndarray, slices: dict[str, np.ndarray], **options: object) -> Trained:
    """Train on exact labels."""
    table = rows_of({f"x{i}": x[:, i] for i in range(x.shape[1])}, {"y": np.eye(2)[y.astype(int)].tolist()})
    for name, members in slices.items():
        table = table.append_column(f"__s_{name}", pa.array(members))
    features = [(f"x{i}", "DOUBLE") for i in range(x.shape[1])]
    return train(features, [TASK], batches_of(table), train_spec(options), slices=[SliceInput(name) for name in slices])


def of_rows(x: np.ndarray) -> pa.RecordBatch:
    """The rows as a predictor reads them: no column says which slice has them."""
    return pa.record_batch({f"x{i}": x[:, i] for i in range(x.shape[1])})


@given(st.integers(0, 1000), st.integers(1, 6))
def test_one_slice_adds_its_residual_by_membership(seed: int, n: int) -> None:
    slices = slices_of(seed, ("a",))
    rows, base = inputs(torch.randn(n, 4)), torch.randn(n, 3)
    logits, members, alone = corrected(slices, base, rows)
    residual = expert(slices).map(rows, None) + (base - base.mean(dim=1, keepdim=True)) @ expert(slices).turn[0].T
    torch.testing.assert_close(logits, base + torch.sigmoid(members) * residual)
    torch.testing.assert_close(alone[:, 0], base + residual)


@given(st.integers(0, 1000), st.integers(2, 5))
def test_a_slice_declared_again_changes_nothing(seed: int, times: int) -> None:
    one, many = slices_of(seed, ("a",)), slices_of(seed, tuple("abcdef"[:times]))
    for name in ("weight", "bias"):
        for of_one, of_many in ((indicator(one), indicator(many)), (expert(one), expert(many))):
            value = getattr(of_one.map.map, name).data
            getattr(of_many.map.map, name).data = value.repeat(times, *[1] * (value.dim() - 1))
    expert(many).turn.data = expert(one).turn.data.repeat(times, 1, 1)
    rows, base = inputs(torch.randn(5, 4)), torch.randn(5, 3)
    torch.testing.assert_close(corrected(many, base, rows)[0], corrected(one, base, rows)[0])


def test_a_row_of_no_slice_keeps_its_base() -> None:
    slices = slices_of(0, ("a", "b"))
    indicator(slices).prior.fill_(-1e4)
    rows, base = inputs(torch.randn(5, 4)), torch.randn(5, 3)
    torch.testing.assert_close(corrected(slices, base, rows)[0], base)


def test_membership_learns_from_the_slicing_function_alone() -> None:
    slices = slices_of(0, ("a", "b"))
    rows, base = inputs(torch.randn(5, 4)), torch.randn(5, 3, requires_grad=True)
    corrected(slices, base, rows)[0].square().sum().backward()
    assert indicator(slices).map.map.weight.grad is None
    assert expert(slices).map.map.weight.grad is not None


def test_the_experts_do_not_teach_the_base() -> None:
    slices = slices_of(0, ("a",))
    rows, base = inputs(torch.randn(5, 4)), torch.randn(5, 3, requires_grad=True)
    corrected(slices, base, rows)[2].sum().backward()
    assert base.grad is None


@given(st.integers(0, 1000))
def test_expert_loss_is_half_the_mean_over_slices_of_the_mean_over_members(seed: int) -> None:
    rng = np.random.default_rng(seed)
    alone = rng.normal(size=(6, 3, 2))
    labels, weights = rng.dirichlet([1, 1], 6), rng.integers(0, 3, 6).astype(float)
    inside = rng.random((6, 3)) < 0.5
    inside[:, 2] = False  # a slice without a row counts 0
    expected = 0.0
    for s in range(2):
        own = weights * inside[:, s]
        shifted = alone[:, s] - np.logaddexp(alone[:, s, 0], alone[:, s, 1])[:, None]
        expected += 0.5 / 3 * (own @ -(labels * shifted).sum(axis=1)) / max(own.sum(), 1e-12)
    logits, known, own, members = (torch.from_numpy(one.astype(float)) for one in (alone, labels, weights, inside))
    found = expert_loss(expert_losses("multiclass", logits, known, own), members, own @ members)
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_a_masked_row_has_no_part_in_the_expert_loss() -> None:
    alone = torch.randn(4, 2, 3, requires_grad=True)
    weights = torch.tensor([1.0, 0.0, 1.0, 1.0])
    inside = torch.ones(4, 2)
    losses = expert_losses("multiclass", alone, torch.full((4, 3), 1 / 3), weights)
    expert_loss(losses, inside, weights @ inside).backward()
    assert alone.grad is not None
    assert not alone.grad[1].any()
    assert alone.grad[0].any()


def test_membership_loss_is_lowest_at_the_shares() -> None:
    inside = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    losses = [float(membership_loss(torch.logit(torch.full((4, 1), p)), inside)) for p in (0.15, 0.25, 0.35)]
    assert losses[1] == min(losses)


def test_an_expert_can_turn_the_answer_round() -> None:
    slices = slices_of(0, ("a",))
    expert(slices).map.map.weight.data.zero_()
    expert(slices).turn.data = -2 * torch.eye(3).unsqueeze(0)
    rows, base = inputs(torch.randn(5, 4)), torch.randn(5, 3)
    alone = torch.softmax(corrected(slices, base, rows)[2][:, 0], dim=1)
    torch.testing.assert_close(alone, torch.softmax(-base, dim=1))


@given(st.integers(1, 10**6), st.floats(1e-3, 0.9))
def test_membership_begins_at_the_shares_and_rare_slices_count_their_marks_more(rows: int, share: float) -> None:
    slices = slices_of(0, ("a",))
    slices.expect({ROW: torch.tensor([share])}, {ROW: rows})
    own = indicator(slices)
    assert float(torch.sigmoid(own.prior)) == pytest.approx(share, rel=1e-3)
    assert float(own.scale) == pytest.approx(min(max((3200 / (share * rows)) ** 0.5, 1), 8), rel=1e-3)
    dense = torch.randn(5, 4)
    torch.testing.assert_close(own(inputs(dense), None), own.prior + own.scale * own.map.map(dense))


def test_experts_learn_the_slice_and_its_members() -> None:
    x, y, inside = rules(3000, 0)
    new, gold, own = rules(3000, 1)
    found = {}
    for mode in ("none", "attention"):
        trained = fit(x, y, {"a": inside}, slice_mode=mode, hidden=0)
        predictor = Predictor.load(trained.manifest, trained.weights)
        right = predictor.predict(of_rows(new))["y"].probabilities.argmax(axis=1) == gold
        found[mode] = right[own].mean(), right[~own].mean()
        if mode == "none":
            assert predictor.slices == {}
            assert predictor.slice_members(of_rows(new)) == {}
        else:
            members = predictor.slice_members(of_rows(new))[ROW].probabilities
            assert predictor.slices == {ROW: ("a",)}
            assert ((members[:, 0] > 0.5) == own).mean() > 0.95
    assert found["attention"][0] > found["none"][0] + 0.3
    assert found["attention"][1] > found["none"][1] - 0.02


def test_more_weight_for_the_rows_of_a_slice() -> None:
    x, y, inside = rules(3000, 0)
    found = {}
    for mode in ("none", "weight"):
        trained = fit(x, y, {"a": inside}, slice_mode=mode, hidden=0)
        assert trained.manifest["network"]["slices"] == []
        scores = Predictor.load(trained.manifest, trained.weights).predict(of_rows(x))["y"].probabilities
        found[mode] = scores[inside, 1] @ y[inside]
    assert found["weight"] > found["none"]


def test_slices_of_no_row_of_one_and_of_all() -> None:
    x, y, inside = rules(300, 0)
    one = np.arange(300) == 5
    trained = fit(x, y, {"none": one & ~one, "one": one, "all": one | ~one, "a": inside, "again": inside}, epochs=3)
    predictor = Predictor.load(trained.manifest, trained.weights)
    assert np.isfinite(predictor.predict(of_rows(x))["y"].probabilities).all()
    members = predictor.slice_members(of_rows(x))[ROW].probabilities
    assert members.shape == (300, 5)
    assert (members[:, 0] < 0.5).all()
    assert (members[:, 2] > 0.5).all()


def test_rows_do_not_see_each_other() -> None:
    x, y, inside = rules(300, 0)
    trained = fit(x, y, {"a": inside}, epochs=2)
    predictor = Predictor.load(trained.manifest, trained.weights)
    together = predictor.predict(of_rows(x))["y"].probabilities
    alone = np.concatenate([predictor.predict(of_rows(x[i : i + 1]))["y"].probabilities for i in range(20)])
    np.testing.assert_allclose(alone, together[:20], atol=1e-6)


def test_the_same_rows_and_seed_give_the_same_bits() -> None:
    x, y, inside = rules(300, 0)
    first, second = (fit(x, y, {"a": inside}, epochs=2).weights for _ in range(2))
    assert first == second


def test_text_and_several_tasks(rng: np.random.Generator) -> None:
    texts, gold, labels = reviews(400, rng)
    table = rows_of({"t": texts}, {"y": labels.tolist(), "z": [*labels[:, ::-1].tolist()[:200], *[None] * 200]})
    table = table.append_column("__s_good", pa.array(gold == 0))
    tasks = [TASK, TaskTarget("z", ("no", "yes"))]
    trained = train(
        [("t", "VARCHAR")],
        tasks,
        batches_of(table),
        train_spec({"text": ["t"], "slice_mode": "attention"}),
        slices=(SliceInput("good"),),
    )
    predictor = Predictor.load(trained.manifest, trained.weights)
    batch = pa.record_batch({"t": texts})
    found = predictor.predict(batch)
    assert ((found["y"].probabilities[:, 1] > 0.5) == gold).mean() > 0.95
    assert ((found["z"].probabilities[:, 1] > 0.5) == (gold == 0)).mean() > 0.95
    assert ((predictor.slice_members(batch)[ROW].probabilities[:, 0] > 0.5) == (gold == 0)).mean() > 0.9
