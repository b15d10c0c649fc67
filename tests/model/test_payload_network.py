"""Laws of networks with payloads: what may change an answer, and what may not."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.factoid import PAYLOADS, TASKS, batch_of, predictor_of, rows_of, stored_model
from wsdb.core.errors import ModelError, SpecError
from wsdb.model.inputs import LONGEST, drop, inputs_of
from wsdb.model.module import module_of, source_of
from wsdb.model.network import network_logits, row_chunks
from wsdb.model.parts import PayloadInput, TaskTarget
from wsdb.model.payload_arrays import Embedding
from wsdb.model.plan import COMBINES, ENCODERS, NetworkPlan, module_keys
from wsdb.model.predictor import Predictor, Scores

CPU = torch.device("cpu")
NAMES = [(encoder, combine) for encoder in ENCODERS for combine in COMBINES]


@cache
def model_of(encoder: str, combine: str) -> Predictor:
    """A model of every encoder and combination; some with a torso."""
    return predictor_of(encoder=encoder, combine=combine, hidden=4 if combine == "max" else 0)


seeds = st.integers(0, 10_000)
models = st.sampled_from(NAMES)


def of_row(scores: Scores, row: int) -> np.ndarray:
    """The answers of one row, (1, k) or (elements, k)."""
    if scores.indptr is None:
        return scores.probabilities[row : row + 1]
    return scores.probabilities[scores.indptr[row] : scores.indptr[row + 1]]


def assert_same(left: Scores, left_row: int, right: Scores, right_row: int) -> None:
    np.testing.assert_allclose(of_row(left, left_row), of_row(right, right_row), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(model=models, seed=seeds)
def test_a_row_is_answered_alike_alone_and_in_any_batch(model: tuple[str, str], seed: int) -> None:
    predictor, rng = model_of(*model), np.random.default_rng(seed)
    rows = rows_of(rng, 9)
    rows[4] = rows_of(rng, 1, longest=60)[0]  # others are padded to its length
    together = predictor.predict(batch_of(rows))
    order = rng.permutation(len(rows))
    shuffled = predictor.predict(batch_of([rows[i] for i in order]))
    for i in range(len(rows)):
        alone = predictor.predict(batch_of([rows[i]]))
        for task in predictor.tasks:
            assert_same(together[task], i, alone[task], 0)
            assert_same(together[task], i, shuffled[task], int(np.flatnonzero(order == i)[0]))


@settings(max_examples=40, deadline=None)
@given(model=models, seed=seeds)
def test_answers_have_the_shape_of_their_payload_and_are_probabilities(model: tuple[str, str], seed: int) -> None:
    predictor = model_of(*model)
    rows = rows_of(np.random.default_rng(seed), 8)
    answers = predictor.predict(batch_of(rows))
    for task in TASKS:
        scores = answers[task.name]
        payload = task.payload if task.payload in ("tokens", "entities") else None
        if payload is None:
            assert scores.indptr is None and len(scores.probabilities) == len(rows)
        else:
            assert scores.indptr is not None
            assert np.diff(scores.indptr).tolist() == [len(row[payload] or []) for row in rows]
        assert ((scores.probabilities >= 0) & (scores.probabilities <= 1)).all()
        if task.kind != "bitvector":
            np.testing.assert_allclose(scores.probabilities.sum(axis=1), 1, atol=1e-9)
    for i, row in enumerate(rows):
        if row["entities"]:
            assert of_row(answers["arg"], i)[:, 1].sum() == pytest.approx(1, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(model=models, seed=seeds)
def test_permuting_a_set_permutes_its_answers_and_no_others(model: tuple[str, str], seed: int) -> None:
    predictor, rng = model_of(*model), np.random.default_rng(seed)
    row = rows_of(rng, 1)[0]
    order = rng.permutation(len(row["entities"]))
    moved = row | {"entities": [row["entities"][i] for i in order]}
    before, after = predictor.predict(batch_of([row])), predictor.predict(batch_of([moved]))
    for task in ("arg", "rank"):
        np.testing.assert_allclose(before[task].probabilities[order], after[task].probabilities, atol=1e-5)
    for task in ("intent", "pos", "type", "fun"):
        np.testing.assert_allclose(before[task].probabilities, after[task].probabilities, atol=1e-5)


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if name not in ("bow", "mlp")])
def test_blocks_read_the_order_of_a_sequence_and_its_neighbors(encoder: str) -> None:
    predictor = model_of(encoder, "mean")
    there = predictor.predict(batch_of([{"query": "", "tokens": ["how", "tall", "obama"], "entities": []}]))
    back = predictor.predict(batch_of([{"query": "", "tokens": ["obama", "tall", "how"], "entities": []}]))
    assert np.abs(there["pos"].probabilities[::-1] - back["pos"].probabilities).max() > 1e-3


def test_a_bag_of_words_reads_each_token_by_itself() -> None:
    predictor = model_of("bow", "mean")
    one = predictor.predict(batch_of([{"query": "", "tokens": ["obama"], "entities": []}]))
    many = predictor.predict(batch_of([{"query": "", "tokens": ["how", "tall", "obama"], "entities": []}]))
    np.testing.assert_allclose(one["pos"].probabilities[0], many["pos"].probabilities[2], atol=1e-6)


def test_an_element_reads_the_tokens_of_its_span_alone() -> None:
    predictor = predictor_of(encoder="bow", payloads=(PAYLOADS[0], PAYLOADS[2]), tasks=TASKS[4:5])
    entity = {"name": "Rome", "size": 1.0, "known": True, "vec": [0.0, 1.0], "span": {"first": 2, "last": 3}}

    def rank(tokens: list[str], **changes: object) -> np.ndarray:
        return predictor.predict(batch_of([{"query": "", "tokens": tokens, "entities": [entity | changes]}]))[
            "rank"
        ].probabilities

    same = rank(["how", "tall", "is", "obama"])
    np.testing.assert_allclose(same, rank(["old", "tall", "is", "the"]), atol=1e-6)
    assert np.abs(same - rank(["how", "old", "is", "obama"])).max() > 1e-4
    assert np.abs(same - rank(["how", "tall", "is", "obama"], span=None)).max() > 1e-4


def test_a_payload_reads_others_and_no_more() -> None:
    tasks = (TaskTarget("reads", ("a", "b"), payload="query"), TaskTarget("deaf", ("a", "b"), payload="other"))
    payloads = (*PAYLOADS, PayloadInput("other", "singleton", (("query", "VARCHAR"),)))
    predictor = predictor_of(payloads=payloads, tasks=tasks)
    rows = [{"query": "how", "tokens": ["tall"], "entities": []}, {"query": "how", "tokens": ["old"], "entities": []}]
    answers = predictor.predict(batch_of(rows))
    np.testing.assert_allclose(*answers["deaf"].probabilities, atol=1e-6)
    assert np.abs(np.subtract(*answers["reads"].probabilities)).max() > 1e-4


def test_a_set_can_read_the_row() -> None:
    reading = replace(PAYLOADS[2], reads=("row",))
    payloads = (PAYLOADS[0], PayloadInput("row", "singleton", (("query", "VARCHAR"),)), reading)
    schema_row = {"tokens": None, "entities": [{"name": "Rome", "size": 1.0, "known": True, "vec": [0.0, 1.0]}]}
    predictor = predictor_of(payloads=payloads, tasks=TASKS[4:5], hidden=4)
    answers = predictor.predict(batch_of([schema_row | {"query": "how tall"}, schema_row | {"query": "obama of"}]))
    assert np.abs(np.subtract(*answers["rank"].probabilities)).max() > 1e-4


def test_no_rows_and_rows_without_elements_have_answers_of_no_elements() -> None:
    predictor = model_of("lstm", "attention")
    for rows in ([], [{"query": None, "tokens": None, "entities": None}, {"query": "", "tokens": [], "entities": []}]):
        answers = predictor.predict(batch_of(rows))
        assert answers["pos"].probabilities.shape == (0, 3)
        assert answers["intent"].probabilities.shape == (len(rows), 3)
        assert np.isfinite(answers["intent"].probabilities).all()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_sequence_longer_than_a_piece_is_read_piece_by_piece(encoder: str) -> None:
    predictor, rng = model_of(encoder, "mean"), np.random.default_rng(3)
    tokens = rng.choice(["how", "tall", "is"], LONGEST + 40).tolist()
    whole = predictor.predict(batch_of([{"query": "", "tokens": tokens, "entities": []}]))["pos"].probabilities
    for part in (slice(0, LONGEST), slice(LONGEST, None)):
        piece = predictor.predict(batch_of([{"query": "", "tokens": tokens[part], "entities": []}]))
        np.testing.assert_allclose(whole[part], piece["pos"].probabilities, atol=1e-5)


def test_many_rows_are_computed_a_stretch_at_a_time() -> None:
    predictor = model_of("cnn", "attention")
    rows = rows_of(np.random.default_rng(1), 30)
    rows += [{"query": "", "tokens": ["how"] * 40_000, "entities": []}] * 3
    encoded = predictor.encode(batch_of(rows))
    chunks = list(row_chunks(encoded))
    assert len(chunks) > 1 and np.concatenate(chunks).tolist() == list(range(33))
    together = predictor.predict(batch_of(rows))
    alone = predictor.predict(batch_of(rows[:30]))
    for i in range(30):
        for task in predictor.tasks:
            assert_same(together[task], i, alone[task], i)


@settings(max_examples=10, deadline=None)
@given(encoder=st.sampled_from(ENCODERS), seed=seeds)
def test_a_stored_model_answers_as_the_one_that_was_trained(encoder: str, seed: int) -> None:
    manifest, weights, network = stored_model(encoder=encoder, seed=seed, hidden=4)
    loaded = Predictor.load(json.loads(json.dumps(manifest)), weights)
    batch = batch_of(rows_of(np.random.default_rng(seed + 1), 6))
    encoded = loaded.encode(batch)
    for left, right in zip(network_logits(network, encoded, CPU), loaded.scores(encoded), strict=True):
        np.testing.assert_array_equal(left, right)
    module = module_of(manifest, weights)
    with torch.no_grad():
        for left, right in zip(network(inputs_of(encoded, CPU)), module(inputs_of(encoded, CPU)), strict=True):
            assert torch.equal(left, right)


def test_threads_share_a_predictor() -> None:
    predictor, before = model_of("lstm", "attention"), torch.get_num_threads()
    batches = [batch_of(rows_of(np.random.default_rng(seed), 50)) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(predictor.predict, batches))
    for batch, answers in zip(batches, together, strict=True):
        for task, scores in predictor.predict(batch).items():
            np.testing.assert_array_equal(scores.probabilities, answers[task].probabilities)
    assert torch.get_num_threads() == before


def test_equal_seeds_draw_equal_weights_whatever_torch_has_drawn_before() -> None:
    torch.manual_seed(1)
    first = stored_model(encoder="lstm")[1]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert stored_model(encoder="lstm")[1] == first
    assert torch.equal(torch.get_rng_state(), state)
    assert stored_model(encoder="lstm", seed=5)[1] != first


def test_weights_of_another_network_are_refused() -> None:
    manifest, weights, _ = stored_model(encoder="cnn")
    manifest["network"]["encoder"] = "lstm"
    with pytest.raises(ModelError, match="WS508"):
        Predictor.load(manifest, weights)


def test_pretrained_vectors_reach_tokens_that_training_never_saw() -> None:
    tokens = pa.array(["how", "paris", "rome"])
    vectors = np.array([[0.0, 1.0], [3.0, -3.0], [3.0, -3.0]], np.float32)
    sequence = PayloadInput("tokens", "sequence", (("tokens", "VARCHAR[]"),), embedding="glove", frozen=True)
    manifest, weights, network = stored_model(
        payloads=(sequence,), tasks=TASKS[1:2], encoder="mlp", embeddings={"glove": Embedding("glove", tokens, vectors)}
    )
    predictor = Predictor.load(manifest, weights)
    one = predictor.encode(batch_of([{"query": "", "tokens": ["Paris", "how", "nobody", None], "entities": None}]))
    assert one.ragged["payload.tokens"].arrays["pretrained"].tolist() == [2, 1, 0, 0]
    embed = network.payloads.encoders["tokens"].embed  # type: ignore[union-attr]
    assert not embed.pretrained.weight.requires_grad  # type: ignore[union-attr]
    finetuned = stored_model(
        payloads=(PayloadInput("tokens", "sequence", (("tokens", "VARCHAR[]"),), embedding="glove"),),
        tasks=TASKS[1:2],
        embeddings={"glove": Embedding("glove", tokens, vectors)},
    )[2]
    assert finetuned.payloads.encoders["tokens"].embed.pretrained.weight.requires_grad  # type: ignore[union-attr]


def test_a_row_reads_the_vectors_of_its_words() -> None:
    table = Embedding("glove", pa.array(["tall", "huge", "small"]), np.array([[1, 0], [1, 0], [0, -3]], np.float32))
    query = PayloadInput("query", "singleton", (("query", "VARCHAR"), ("age", "DOUBLE")), embedding="glove")
    tasks = (
        TaskTarget("size", ("a", "b"), payload="query"),
        TaskTarget("arg", ("no", "yes"), kind="select", payload="entities"),
    )
    predictor = predictor_of(payloads=(query, PAYLOADS[0], PAYLOADS[2]), tasks=tasks, embeddings={"glove": table})
    rows = [{"query": text, "age": 1.0, "tokens": [], "entities": []} for text in ("Zoe, HUGE! zoe", "small", None)]
    encoded = predictor.encode(batch_of([{"query": "tall,Huge zoe", "tokens": None, "entities": None}, *rows]))
    words = encoded.ragged["words.query"]
    assert words.indptr.tolist() == [0, 2, 3, 4, 4] and words.arrays["pretrained"].tolist() == [1, 2, 2, 3]
    huge, small, _ = predictor.predict(batch_of(rows))["size"].probabilities
    assert np.abs(huge - small).max() > 1e-3
    assert predictor.predict(batch_of(rows))["size"].indptr is None


def test_a_singleton_without_text_has_no_words() -> None:
    table = Embedding("glove", pa.array(["tall"]), np.ones((1, 2), np.float32))
    age = PayloadInput("age", "singleton", (("age", "DOUBLE"),), embedding="glove")
    predictor = predictor_of(
        payloads=(age,), tasks=(TaskTarget("t", ("a", "b"), payload="age"),), embeddings={"glove": table}
    )
    with pytest.raises(ModelError, match="no VARCHAR column"):
        predictor.predict(batch_of(rows_of(np.random.default_rng(0), 2)))


def test_hidden_values_leave_the_letters_and_dropout_is_drawn_from_its_generator() -> None:
    manifest, weights, network = stored_model(encoder="cnn")
    inputs = inputs_of(Predictor.load(manifest, weights).encode(batch_of(rows_of(np.random.default_rng(0), 9))), CPU)
    first, again = (drop(inputs, 0.5, torch.Generator().manual_seed(4)) for _ in range(2))
    for left, right in zip(network(first), network(again), strict=True):
        assert torch.equal(left, right)
    assert first.payloads["tokens"].keep is not None
    assert set(first.payloads["tokens"].keep.unique().tolist()) == {0.0, 1.0}
    assert any(not torch.equal(a, b) for a, b in zip(network(first), network(inputs), strict=True))
    assert torch.equal(first.payloads["tokens"].slots, inputs.payloads["tokens"].slots)  # type: ignore[arg-type]


def test_every_parameter_takes_part_in_training() -> None:
    for encoder in ENCODERS:
        manifest, weights, network = stored_model(encoder=encoder, hidden=4)
        batch = Predictor.load(manifest, weights).encode(batch_of(rows_of(np.random.default_rng(2), 60)))
        sum((logits**2).sum() for logits in network(inputs_of(batch, CPU))).backward()  # type: ignore[union-attr]
        still = [name for name, p in network.named_parameters() if p.numel() and (p.grad is None or not p.grad.any())]
        assert still == []
        deep = {id(parameter) for parameter in network.deep_parameters()}
        wide = [name for name, parameter in network.named_parameters() if id(parameter) not in deep]
        assert wide and all(name.startswith("heads.") for name in wide)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("combine", COMBINES)
def test_half_precision_gives_nearly_the_same_and_trains(encoder: str, combine: str) -> None:
    manifest, weights, network = stored_model(encoder=encoder, combine=combine, hidden=4)
    inputs = inputs_of(Predictor.load(manifest, weights).encode(batch_of(rows_of(np.random.default_rng(0), 12))), CPU)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(inputs)
    sum(logits.float().sum() for logits in half).backward()  # type: ignore[union-attr]
    for whole, other in zip(network(inputs), half, strict=True):
        assert (whole - other).abs().max() < 0.2 * (1 + whole.abs().max())


def test_the_plan_survives_json() -> None:
    manifest, _, network = stored_model()
    assert NetworkPlan.restore(json.loads(json.dumps(manifest["network"]))) == network.plan


@pytest.mark.parametrize(
    ("payloads", "task", "message"),
    [
        (PAYLOADS[:1], TaskTarget("t", ("a", "b"), payload="nothing"), "labels payload nothing"),
        ((PayloadInput("q", "singleton", reads=("tokens",)),), TaskTarget("t", ("a", "b")), "reads payload tokens"),
        (
            (PayloadInput("a", "singleton", reads=("b",)), PayloadInput("b", "singleton", reads=("a",))),
            TaskTarget("t", ("a", "b")),
            "in a circle",
        ),
    ],
)
def test_payloads_that_are_not_there_are_named(
    payloads: tuple[PayloadInput, ...], task: TaskTarget, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as error:
        stored_model(payloads=payloads, tasks=(task,))
    assert error.value.code == "WS307"


def test_modules_are_called_as_tasks_are_where_torch_allows_it() -> None:
    assert module_keys(["intent", "type", "a.b", "a_b", "training", ""]) == [
        "intent",
        "type",
        "a_b",
        "a_b_",
        "of training",
        "row",
    ]
    tasks = tuple(TaskTarget(name, ("a", "b")) for name in ("type", "keys", "a.b", "forward", "training", "_modules"))
    assert set(predictor_of(tasks=tasks).predict(batch_of(rows_of(np.random.default_rng(0), 2)))) == {
        t.name for t in tasks
    }


def test_the_source_of_a_model_says_all_of_it() -> None:
    manifest, weights, _ = stored_model(encoder="lstm")
    text = source_of(manifest, weights)
    for part in (
        '"encoder": "lstm"',
        "(tokens): ElementEncoder(",
        "class Lstm(nn.Module):",
        "class SelectHead",
        "height",
    ):
        assert part in text
    assert "class Convolution" not in text


def test_without_torch_a_network_with_payloads_says_what_to_install(tmp_path: object) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from wsdb.core.errors import EnvironmentError_\n"
        "from wsdb.model.plan import HeadPlan, NetworkPlan, PayloadPlan\n"
        "from wsdb.model.predictor import _torch_scores\n"
        "plan = NetworkPlan(0, 0, 0, 0, (HeadPlan('t', 'multiclass', 2, 'p'),), (PayloadPlan('p', 'set'),))\n"
        "try: _torch_scores(plan, {})\n"
        "except EnvironmentError_ as error: sys.exit(0 if error.code == 'WS701' else 1)\n"
        "sys.exit(2)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("encoder", ["bow", "cnn", "lstm", "transformer"])
def test_the_text_of_a_network_is_a_program_that_makes_it(encoder: str) -> None:
    manifest, weights, _ = stored_model(encoder=encoder, hidden=4)
    made: dict[str, Any] = {"__name__": "made"}
    exec(compile(source_of(manifest, weights), "<network>", "exec"), made)
    network, module = made["network"], module_of(manifest, weights)
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in module.state_dict().items()
    }
    assert type(network).__module__ == "made"
    assert not [part for part in network.modules() if type(part).__module__.startswith("wsdb.")]
    network.load_state_dict(module.state_dict())
    batch = predictor_of(encoder=encoder, hidden=4).encode(batch_of(rows_of(np.random.default_rng(3), 12)))
    device = torch.device("cpu")
    for mine, theirs in zip(network_logits(network, batch, device), network_logits(module, batch, device), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert made["specification"]["options"] == manifest["spec"]
