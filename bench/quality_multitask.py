"""Tasks in one network against a network of its own for each, from weak labels.

    python -m bench.quality_multitask --data ../shared/data --seeds 5

trec      coarse type from the stored votes; fine type from `FINE`, regular expressions on the text; scored on the test
          rows, where a fine type without a function is always missed.
youtube   spam from the stored votes; and what a comment asks for, from `ASKS` on one training row in five, scored
          against the same expressions on the test rows (there is no gold for it).
snips     intent, from keyword lists, and slots, token by token over a sequence payload, from the rules of
          `bench.snips_rules` (38 of the 39 types; a token is scored by its type, B and I alike), on 3,000 rows; the
          slots only on every third of them.

No gold label is read in training. Default options; the label model is method auto for votes and one-hot for a single
function. Over text alone a network shares no parameters between its tasks (METHODS 8.4), so that one network can differ
from two by the order of rows only: snips is the set where an encoder is shared.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.quality_end_model import read_split, write
from bench.quality_slices import summary
from bench.snips_rules import SLOTS, slots_of
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import fit, posterior
from wsdb.model.backend import torch
from wsdb.model.parts import PayloadInput, TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import train_spec
from wsdb.model.train import train

FINE = {
    "DESC:manner": r"^how (do|does|did|can|to|is|are|was|were)\b",
    "DESC:reason": r"^why\b|what causes?\b|reason",
    "DESC:def": r"^what (is|are|'s) (a |an |the )?[\w-]+( [\w-]+)? \?$|mean\b",
    "DESC:desc": r"origin|history|difference between|famous for|purpose of",
    "ABBR:exp": r"stands? for|abbreviation|acronym",
    "HUM:ind": r"^who\b|^(what|which) \w* ?(president|actor|actress|man|woman|author|singer|king|queen)\b",
    "HUM:gr": r"\b(company|companies|team|band|organization|tribe|university)\b",
    "HUM:desc": r"^who (is|was) [\w .'-]+ \?$",
    "LOC:city": r"\b(city|cities|capital|town)\b",
    "LOC:country": r"\b(country|countries|nation)\b",
    "LOC:state": r"\b(states?|province)\b",
    "LOC:mount": r"\bmountains?\b",
    "LOC:other": r"^where\b|\b(river|lake|ocean|island|continent|located)\b",
    "NUM:count": r"^how many\b|\bnumber of\b|population",
    "NUM:date": r"^when\b|what (year|date|day|century)\b",
    "NUM:money": r"how much (does|do|did|money|is)|cost|salary|worth",
    "NUM:period": r"how (long|old)|life expectancy|\bage\b",
    "NUM:dist": r"how (far|tall|high|deep|wide|big)\b|distance|diameter",
    "NUM:perc": r"percent|what are the (odds|chances)",
    "ENTY:animal": r"\b(animal|dog|cat|bird|fish|insect|breed|horse)s?\b",
    "ENTY:color": r"\bcolou?rs?\b",
    "ENTY:cremat": r"\b(book|novel|film|movie|song|play|album|poem|show|magazine|newspaper)s?\b",
    "ENTY:dismed": r"\b(disease|cure|drug|medicine|symptom|illness)s?\b",
    "ENTY:food": r"\b(food|drink|eat|wine|beer|fruit|dish|meal|cereal|candy)s?\b",
    "ENTY:sport": r"\b(sport|game)s?\b",
    "ENTY:event": r"\b(war|battle|event|festival|holiday)s?\b",
    "ENTY:lang": r"\blanguages?\b",
    "ENTY:substance": r"\b(metal|element|chemical|gas|made of|material)\b",
    "ENTY:termeq": r"^what (is|was) (the|another) (\w+ )?(term|name|word)|another word|called\b",
}
ASKS = {"subscribe": r"subscrib|channel", "watch": r"check ?(out|this|my)|watch|https?:|www\.|\.com", "none": ""}
INTENTS = {
    "AddToPlaylist": r"\badd\b|\bput\b.*\bplaylist\b",
    "BookRestaurant": r"\b(book|reservation|table|restaurant|reserve)\b",
    "GetWeather": r"\b(weather|forecast|rain|snow|cold|hot|warm|sunny|temperature|humid|chilly|windy|storm)\b",
    "PlayMusic": r"\b(play|listen|music|song|tune)\b",
    "RateBook": r"\b(rate|stars|points|rating)\b",
    "SearchCreativeWork": r"\b(find|search|look for|show me the)\b",
    "SearchScreeningEvent": r"\b(movie|movies|film|films|theatre|theater|cinema|showtimes|schedule)s?\b",
}


@dataclass(frozen=True)
class Problem:
    """One set: training rows with ``__key`` and ``__p_`` columns, test rows, and gold labels of the test rows.

    gold : by task an int array, one number per row, or per element where the task labels a payload; -1 is always wrong
    rules : the same from the rules that a task was labeled by, for tasks where they say something of every element
    """

    rows: pa.Table
    test: pa.Table
    features: list[tuple[str, str]]
    payloads: tuple[PayloadInput, ...]
    tasks: tuple[TaskTarget, ...]
    gold: Mapping[str, np.ndarray]
    rules: Mapping[str, np.ndarray] = field(default_factory=dict)


def lists(labels: np.ndarray, known: np.ndarray) -> pa.Array:
    """Probabilities (n, k) as lists, NULL where the row is not known."""
    return pa.array([row if use else None for row, use in zip(labels.tolist(), known, strict=True)])


def votes_of(texts: list[str], functions: Mapping[str, str]) -> np.ndarray:
    """Return votes int8 (n, m): function j votes j where its expression is found, and abstains elsewhere."""
    columns = [
        [j if re.search(pattern, text.lower()) else -1 for text in texts]
        for j, pattern in enumerate(functions.values())
    ]
    return np.array(columns, np.int8).T


def fused(votes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the label model's probabilities (n, k) and which rows have a vote."""
    return posterior(fit(VotePatterns.of_rows(votes, k)).training_form, votes), (votes >= 0).any(axis=1)


def with_labels(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Add the key and the labels."""
    table = table.append_column("__key", pa.array(np.arange(len(table))))
    for task, labels in columns.items():
        table = table.append_column(f"__p_{task}", labels)
    return table


def trec(data: Path) -> Problem:
    """Coarse and fine types of questions."""
    table, votes, _ = read_split(data / "trec", "train")
    test, _, gold = read_split(data / "trec", "test")
    names = list(FINE)
    fine = fused(votes_of(table["text_clean"].to_pylist(), FINE), len(names))
    index = {name: j for j, name in enumerate(names)}
    truth = np.array([index.get(label, -1) for label in test["fine_label"].to_pylist()])
    labels = {"coarse": lists(*fused(votes, 6)), "fine": lists(*fine)}
    tasks = (TaskTarget("coarse", tuple(str(c) for c in range(6))), TaskTarget("fine", tuple(names)))
    rows = with_labels(table.select(["text_clean"]), labels)
    return Problem(rows, test, [("text_clean", "VARCHAR")], (), tasks, {"coarse": gold, "fine": truth})


def youtube(data: Path) -> Problem:
    """Spam, and what a comment asks for."""
    table, votes, _ = read_split(data / "youtube", "train")
    test, _, gold = read_split(data / "youtube", "test")

    def asks(texts: list[str]) -> np.ndarray:
        found = votes_of(texts, {name: ASKS[name] for name in ("subscribe", "watch")})
        return np.where(found[:, 0] >= 0, 0, np.where(found[:, 1] >= 0, 1, 2))

    every = asks(table["text"].to_pylist())
    scarce = lists(np.eye(3)[every], np.arange(len(every)) % 5 == 0)
    tasks = (TaskTarget("spam", ("0", "1")), TaskTarget("asks", tuple(ASKS)))
    rows = with_labels(table.select(["text"]), {"spam": lists(*fused(votes, 2)), "asks": scarce})
    truth = {"spam": gold, "asks": asks(test["text"].to_pylist())}
    return Problem(rows, test, [("text", "VARCHAR")], (), tasks, truth)


def snips(data: Path) -> Problem:
    """Intent of a request, and the slot of each of its tokens."""
    table = pq.read_table(data / "snips" / "train.parquet")[:3000]
    test = pq.read_table(data / "snips" / "test.parquet")
    names = list(INTENTS)
    intent = fused(votes_of(table["text"].to_pylist(), INTENTS), len(names))
    slots = [
        np.eye(len(SLOTS))[slots_of(tokens)].tolist() if i % 3 == 0 else None
        for i, tokens in enumerate(table["tokens"].to_pylist())
    ]
    types = [tag.partition("-")[2] or "O" for tags in test["slot_tags"].to_pylist() for tag in tags]
    truth = {
        "intent": np.array([names.index(label) for label in test["intent"].to_pylist()]),
        "slots": np.array([SLOTS.index(kind) if kind in SLOTS else -1 for kind in types]),
    }
    tasks = (TaskTarget("intent", tuple(names)), TaskTarget("slots", SLOTS, payload="tokens"))
    rows = with_labels(table.select(["text", "tokens"]), {"intent": lists(*intent), "slots": pa.array(slots)})
    payload = PayloadInput("tokens", "sequence", (("tokens", "VARCHAR[]"),))
    rules = {"slots": np.array([slot for tokens in test["tokens"].to_pylist() for slot in slots_of(tokens)])}
    return Problem(rows, test, [("text", "VARCHAR")], (payload,), tasks, truth, rules)


PROBLEMS = {"trec": trec, "youtube": youtube, "snips": snips}


def scores(problem: Problem, tasks: tuple[TaskTarget, ...], seed: int) -> dict[str, float]:
    """Train one network on the tasks; return the accuracy of each on the test rows, in percent, and the seconds."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield from problem.rows.to_batches(max_chunksize=2048)

    trained = train(problem.features, tasks, batches, train_spec({"seed": seed}), payloads=problem.payloads)
    predictor = Predictor.load(trained.manifest, trained.weights)
    parts = [predictor.predict(batch) for batch in problem.test.to_batches(max_chunksize=2048)]
    found: dict[str, float] = {"seconds": trained.seconds}
    for task in tasks:
        guess = np.concatenate([part[task.name].probabilities.argmax(axis=1) for part in parts])
        found[task.name] = float((guess == problem.gold[task.name]).mean() * 100)
    return found


def compare(problem: Problem, seed: int) -> dict[str, float]:
    """Return the accuracy of each task in one network, in its own, and the gain."""
    together = scores(problem, problem.tasks, seed)
    found = {"seconds together": together["seconds"], "seconds alone": 0.0}
    for task in problem.tasks:
        alone = scores(problem, (task,), seed)
        found["seconds alone"] += alone["seconds"]
        found |= {f"{task.name} together": together[task.name], f"{task.name} alone": alone[task.name]}
        found[f"{task.name} gain"] = together[task.name] - alone[task.name]
        if task.name in problem.rules:
            found[f"{task.name} rules"] = float((problem.rules[task.name] == problem.gold[task.name]).mean() * 100)
    return found


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--sets", default=",".join(PROBLEMS))
    arguments.add_argument("--out", type=Path, help="write the figures as JSON")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    measured = {}
    for name in given.sets.split(","):
        problem = PROBLEMS[name](given.data)
        measured[name] = summary([compare(problem, seed) for seed in range(given.seeds)])
        parts = [f"{key} {one['mean']:.1f} ± {one['half'] or 0:.1f}" for key, one in measured[name].items()]
        print(f"{name:8} {'  '.join(parts)}", flush=True)
    write(measured, given.out)


if __name__ == "__main__":
    main()
