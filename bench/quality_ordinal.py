"""Ordered labels: which label of a network's probabilities is nearest to the right one.

    python -m bench.quality_ordinal --data ../shared/data --seeds 5

imdb, the stars of a review in four steps (1-2, 3-4, 7-8, 9-10; there are no others) and in three (1-3, 4-7, 8-10), from
word lists; no gold is read. Decisions of the same probabilities: the likeliest label; the median, which has the least
expected distance if the probabilities are right; and the network's own, the expected label cut at shares. Scored on the
test rows: accuracy, and the mean distance in steps between the label and the right one. One training row in four (those
at --first), default options.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.quality_end_model import write
from bench.quality_multitask import lists, with_labels
from bench.quality_slices import summary
from wsdb.labelmodel import posterior
from wsdb.labelmodel.ordinal import decide_ordinal, fit_ordinal
from wsdb.model.backend import torch
from wsdb.model.decode import decide
from wsdb.model.parts import TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import train_spec
from wsdb.model.train import train

STEPS = {"four": (3, 6, 9), "three": (4, 8)}
"""The least stars of every step but the first."""
VOTES = {"four": (0, 1, 2, 3), "three": (0, 1, 1, 2)}
"""The step that words of each kind vote for: awful, poor, good, great."""
WORDS = (
    (0, r"\b(worst|terrible|awful|horrible|garbage|unwatchable|atrocious|pathetic)\b"),
    (0, r"\bwaste of (time|money)|\bhated\b|\bavoid (this|it)\b|\bturned it off\b"),
    (1, r"\b(disappoint\w*|mediocre|boring|dull|bland|predictable|forgettable|uninspired)\b"),
    (1, r"\bcould have been\b|\bnot (very |that |really )?(good|funny|scary)\b|\bnothing special\b|\btoo bad\b"),
    (2, r"\b(enjoyable|entertaining|decent|solid|likable|charming|pleasant)\b"),
    (2, r"\bpretty good\b|\bworth (a look|watching|seeing)\b|\bnot bad\b|\bgood (movie|film|fun)\b|\bi liked\b"),
    (3, r"\b(masterpiece|brilliant|perfect|amazing|superb|flawless|outstanding|magnificent)\b"),
    (3, r"\b(one of the|my|all time) (best|favou?rites?)\b|\bmust see\b|\bloved\b|\bhighly recommend"),
)


def votes_of(texts: list[str], steps: tuple[int, ...]) -> np.ndarray:
    """Return votes int8 (n, m): each word list votes its step where one of its words is found."""
    columns = [[steps[kind] if re.search(pattern, text) else -1 for text in texts] for kind, pattern in WORDS]
    return np.array(columns, np.int8).T


def scores(shown: str, said: np.ndarray, gold: np.ndarray) -> dict[str, float]:
    """Return accuracy in percent and the mean distance, under the name of what decides."""
    accuracy, distance = (said == gold).mean() * 100, np.abs(said - gold).mean()
    return {f"{shown}: accuracy": float(accuracy), f"{shown}: distance": float(distance)}


def both(shown: str, probabilities: np.ndarray, gold: np.ndarray) -> dict[str, float]:
    """Return the scores of the likeliest label and of the median."""
    every = np.ones(len(gold), bool)
    found = scores(f"{shown}, likeliest", decide_ordinal(probabilities, every, "mode"), gold)
    return found | scores(f"{shown}, median", decide_ordinal(probabilities, every, "median"), gold)


def network(rows: pa.Table, test: pa.Table, gold: np.ndarray, labels: tuple[str, ...], seed: int) -> dict[str, float]:
    """Train on the rows; return the scores on the test rows."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield from rows.to_batches(max_chunksize=2048)

    task = TaskTarget("stars", labels, kind="ordinal")
    trained = train([("text", "VARCHAR")], [task], batches, train_spec({"seed": seed}))
    predictor = Predictor.load(trained.manifest, trained.weights)
    found = np.concatenate([predictor.predict(part)["stars"].probabilities for part in test.to_batches(2048)])
    answer = decide("ordinal", labels, found, None, trained.manifest["tasks"][0]["threshold"])
    return both("network", found, gold) | scores("network, expected", answer.chosen, gold)


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--first", type=int, default=0, help="row, 0 to 3")
    arguments.add_argument("--out", type=Path, help="write the figures as JSON")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    table = pq.read_table(given.data / "imdb" / "train.parquet")
    table = table.take(np.arange(given.first, len(table), 4))  # the rows of a label stand together
    test = pq.read_table(given.data / "imdb" / "test.parquet")
    texts, test_texts = table["text"].to_pylist(), test["text"].to_pylist()
    measured = {}
    for name, least in STEPS.items():
        k = len(least) + 1
        gold = np.searchsorted(least, test["stars"].to_numpy(), side="right")
        votes, test_votes = votes_of(texts, VOTES[name]), votes_of(test_texts, VOTES[name])
        fitted = fit_ordinal(votes, k)
        rows = with_labels(
            table.select(["text"]), {"stars": lists(posterior(fitted.form, votes), (votes >= 0).any(axis=1))}
        )
        label_model = both("label model", posterior(fitted.form, test_votes), gold)
        labels = tuple(str(step) for step in range(k))
        runs = [network(rows, test, gold, labels, seed) for seed in range(given.seeds)]
        measured[name] = summary([label_model | run for run in runs])
        for key, one in measured[name].items():
            print(f"{name:6} {key:32} {one['mean']:6.2f} ± {one['half'] or 0:.2f}", flush=True)
    write(measured, given.out)


if __name__ == "__main__":
    main()
