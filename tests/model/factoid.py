"""Small models of every shape, with random weights: rows of queries, their tokens and candidate entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from wsdb.model.encode import Encoder, Hashing
from wsdb.model.network import Network, build_network
from wsdb.model.parts import PayloadInput, SliceInput, TaskTarget
from wsdb.model.payload_arrays import Embedding, PayloadEncoders, PayloadFitting
from wsdb.model.plan import plan_network
from wsdb.model.predictor import Predictor
from wsdb.model.weights import FORMAT, digest, pack

HASHING = Hashing(bits=10, word_ngrams=1, char_ngrams=(0, 0))
SPAN = pa.struct([("first", pa.int32()), ("last", pa.int32())])
ENTITY = pa.struct(
    [
        ("name", pa.string()),
        ("size", pa.float64()),
        ("known", pa.bool_()),
        ("vec", pa.list_(pa.float32())),
        ("span", SPAN),
    ]
)
SCHEMA = pa.schema(
    {"query": pa.string(), "age": pa.float64(), "tokens": pa.list_(pa.string()), "entities": pa.list_(ENTITY)}
)
FEATURES = (("query", "VARCHAR"), ("age", "DOUBLE"))
PAYLOADS = (
    PayloadInput("tokens", "sequence", (("tokens", "VARCHAR[]"),)),
    PayloadInput("query", "singleton", (("query", "VARCHAR"),), reads=("tokens", "entities")),
    PayloadInput("entities", "set", (("entities", "STRUCT(…)[]"),), spans=("tokens", "span")),
)
TASKS = (
    TaskTarget("intent", ("height", "age", "capital"), payload="query"),
    TaskTarget("pos", ("NOUN", "VERB", "ADJ"), kind="multiclass", payload="tokens"),
    TaskTarget("type", ("person", "place"), kind="bitvector", payload="tokens"),
    TaskTarget("arg", ("no", "yes"), kind="select", payload="entities"),
    TaskTarget("rank", ("low", "mid", "high"), kind="ordinal", payload="entities"),
    TaskTarget("fun", ("no", "yes"), kind="binary"),
)
WORDS = ("how", "tall", "is", "the", "obama", "of", "capital", "old")


def rows_of(rng: np.random.Generator, n: int, longest: int = 9) -> list[dict[str, Any]]:
    """Return random rows; some lists are NULL or empty, and some values inside are NULL."""
    rows = []
    for i in range(n):
        tokens = [None if rng.random() < 0.1 else str(rng.choice(WORDS)) for _ in range(rng.integers(0, longest + 1))]
        entities = [entity_of(rng, len(tokens)) for _ in range(rng.integers(0, 4))]
        rows.append(
            {
                "query": " ".join(str(token) for token in tokens),
                "age": float(rng.normal()),
                "tokens": None if i % 7 == 3 else tokens,
                "entities": [entity | {"span": None} for entity in entities] if i % 7 == 3 else entities,
            }
        )
    return rows


def entity_of(rng: np.random.Generator, n_tokens: int) -> dict[str, Any]:
    """Return a random entity of a row of so many tokens."""
    first = int(rng.integers(1, n_tokens + 1)) if n_tokens else 0
    return {
        "name": str(rng.choice(["Obama", "Paris", "Rome"])),
        "size": None if rng.random() < 0.2 else float(rng.normal()),
        "known": bool(rng.integers(0, 2)),
        "vec": [float(x) for x in rng.normal(size=2)],
        "span": {"first": first, "last": int(rng.integers(first, n_tokens + 1))} if n_tokens else None,
    }


def batch_of(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Return rows as Arrow."""
    return pa.RecordBatch.from_pylist(list(rows), SCHEMA)


def fitted(
    batches: Sequence[pa.RecordBatch],
    payloads: Sequence[PayloadInput] = PAYLOADS,
    min_rows: int = 1,
    embeddings: dict[str, Embedding] | None = None,
) -> PayloadEncoders:
    """Fit the payloads on some batches."""
    fitting = PayloadFitting(payloads, min_rows, embeddings)
    for batch in batches:
        fitting.update(batch)
    return fitting.finish()[0]


def stored_model(
    encoder: str = "cnn",
    combine: str = "attention",
    seed: int = 0,
    payloads: Sequence[PayloadInput] = PAYLOADS,
    tasks: Sequence[TaskTarget] = TASKS,
    hidden: int = 0,
    layers: int = 2,
    embeddings: dict[str, Embedding] | None = None,
    slices: Sequence[SliceInput] = (),
) -> tuple[dict[str, Any], bytes, Network]:
    """Return manifest and weights of a network with random weights, and the network."""
    batch = batch_of(rows_of(np.random.default_rng(seed), 40))
    row_encoder, _ = Encoder.fit(FEATURES, [batch], HASHING, 1, {"query": "text"})
    encoders = fitted([batch], payloads, embeddings=embeddings)
    plan = plan_network(
        row_encoder,
        encoders,
        tasks,
        payloads,
        hidden=hidden,
        encoder_name=encoder,
        layers=layers,
        combine=combine,
        width=8,
        slices=slices,
    )
    generator = torch.Generator().manual_seed(seed)
    network = build_network(plan, generator, encoders.tables())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    parameters = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    weights = pack(row_encoder.tensors() | encoders.tensors(), parameters)
    manifest = {
        "format": FORMAT,
        "weights_sha256": digest(weights),
        "spec": {"encoder": encoder},
        "hashing": asdict(HASHING) | {"char_ngrams": list(HASHING.char_ngrams)},
        "features": row_encoder.to_manifest(),
        "payloads": encoders.to_manifest(),
        "network": plan.to_manifest(),
        "tasks": [
            {"name": task.name, "labels": list(task.labels), "temperature": 1.5, "offsets": [0.0] * len(task.labels)}
            for task in tasks
        ],
    }
    return manifest, weights, network.eval()


def predictor_of(**options: Any) -> Predictor:
    """Return a predictor with random weights."""
    manifest, weights, _ = stored_model(**options)
    return Predictor.load(manifest, weights)
