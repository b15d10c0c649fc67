"""Accuracy of end models trained on weak labels alone, beside the label model, majority vote and gold labels.

    python -m bench.quality_end_model --data ../shared/data --seeds 5 --vectors FOLDER

One configuration, the defaults, for all sets; with --vectors each set of text is measured again with its MiniLM
sentence vectors beside the text (`bench.sentence_vectors` makes them, into that folder). Per set: the label model
(method ``auto``, no class balance, no gold) is fitted on the votes of the train split, the end model is trained on its
training posterior with the default options, and both are scored on the test split. Gold labels are read for scoring,
for the column "gold" (the same network on gold train labels), and for "balance", which gives the class shares of the
valid split to the model. Uncovered test rows: majority vote and label model guess the first class in their tie order;
"covered" scores rows with a vote. "+-" is half the 95% t-interval of the mean over seeds: it says how much the seed
moves the score, not how much another test set would. phishing_web's labeling functions read columns that a deployed
model may not, so that its ceiling is below the label model; phishing_web:all reads these columns too, as a model that
is used offline, or that teaches a deployed one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.sentence_vectors import TEXTS, sentence_vectors
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import decide, fit, posterior
from wsdb.model.backend import torch
from wsdb.model.parts import TaskTarget
from wsdb.model.predictor import Predictor
from wsdb.model.spec import TrainSpec, train_spec
from wsdb.model.train import Trained, train

TEXT = {"youtube": "text", "trec": "text_clean", "imdb": "text", "semeval": "text", "rna_titles": "title"}
ALL = ":all"  # behind the name of a set: with the columns that a deployed model may not read
SETS = (*TEXT, "phishing_web", "phishing_web" + ALL, "mushroom")
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Two-sided 95% quantiles of Student's t by degrees of freedom."""
MUSHROOM_LF_ONLY = ("spore_print_color",)  # meta.json: not servable, though listed among the servable columns too


def features_of(name: str, schema: pa.Schema, meta: dict[str, Any], *, every: bool = False) -> list[tuple[str, str]]:
    """Return the input columns of a set with their DuckDB types; `every` adds those that are not servable."""
    if name == "semeval":  # the entities are part of the question: which relation holds between these two
        return [("text", "VARCHAR"), ("entity1", "VARCHAR"), ("entity2", "VARCHAR")]
    if name in TEXT:
        return [(TEXT[name], "VARCHAR")]
    columns = [column for column in meta["servable"] if column not in MUSHROOM_LF_ONLY]
    columns += meta["nonservable"] if every else []
    return [(c, "VARCHAR" if pa.types.is_large_string(schema.field(c).type) else "TINYINT") for c in columns]


def read_split(folder: Path, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Return rows, votes int8 (n, m) and gold int64 (n,)."""
    table = pq.read_table(folder / f"{split}.parquet")
    sources = [column for column in table.column_names if column.startswith("lf_")]
    votes = np.stack([table[column].to_numpy() for column in sources], axis=1)
    return table, votes, table["label"].to_numpy()


def train_once(
    table: pa.Table,
    features: list[tuple[str, str]],
    labels: np.ndarray,
    covered: np.ndarray,
    spec: TrainSpec,
    balance: tuple[float, ...] | None = None,
    own: np.ndarray | None = None,
) -> Trained:
    """Train on probabilities `labels` (n, k) of the `covered` rows, calibrated by the label model's `own`."""
    k = labels.shape[1]
    rows = table.select([name for name, _ in features]).append_column("__key", table["id"])
    for prefix, given in (("__p_", labels), ("__o_", own)):
        if given is not None:
            kept = [row if use else None for row, use in zip(given.tolist(), covered, strict=True)]
            rows = rows.append_column(f"{prefix}y", pa.array(kept, pa.list_(pa.float64())))

    def batches() -> Iterator[pa.RecordBatch]:
        yield from rows.to_batches(max_chunksize=2048)

    return train(features, [TaskTarget("y", tuple(str(c) for c in range(k)), balance=balance)], batches, spec)


def predict(trained: Trained, table: pa.Table, features: list[tuple[str, str]]) -> tuple[np.ndarray, float]:
    """Return probabilities of the rows, and rows per second in batches of 2,048."""
    predictor = Predictor.load(trained.manifest, trained.weights)
    chunks = table.select([name for name, _ in features]).to_batches(max_chunksize=2048)
    began = time.perf_counter()
    found = np.concatenate([predictor.predict(chunk)["y"].probabilities for chunk in chunks])
    return found, len(found) / (time.perf_counter() - began)


def majority(votes: np.ndarray, k: int) -> np.ndarray:
    """Most frequent vote; ties and rows without a vote go to the lowest class."""
    return np.stack([(votes == y).sum(axis=1) for y in range(k)], axis=1).argmax(axis=1)


def with_vectors(folder: Path, split: str, table: pa.Table, cached: Path) -> tuple[pa.Table, list[tuple[str, str]]]:
    """Return the table with a vector column for each text column, and these columns with their types."""
    added = []
    for column in TEXTS[folder.name]:
        vectors = sentence_vectors(folder, split, column, cached)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        table = table.append_column(f"{column}_vector", lists)
        added.append((f"{column}_vector", f"FLOAT[{vectors.shape[1]}]"))
    return table, added


def half_interval(scores: list[float]) -> float:
    """Return half the 95% t-interval of the mean; NaN for one score."""
    n = len(scores)
    return STUDENT.get(n - 1, 1.96) * statistics.stdev(scores) / n**0.5 if n > 1 else float("nan")


def run_set(
    folder: Path, specs: list[TrainSpec], vectors: Path | None = None, *, every: bool = False
) -> dict[str, Any]:
    """Return the measured figures of one set, accuracies in percent.

    Parameters
    ----------
    vectors : folder of sentence vectors
    every : whether the model reads columns that are not servable, too
    """
    train_table, train_votes, train_gold = read_split(folder, "train")
    test_table, test_votes, gold = read_split(folder, "test")
    meta = json_object(folder / "meta.json")
    k = int(max(train_gold.max(), gold.max())) + 1
    features = features_of(folder.name, train_table.schema, meta, every=every)
    if vectors is not None:
        train_table, added = with_vectors(folder, "train", train_table, vectors)
        test_table, _ = with_vectors(folder, "test", test_table, vectors)
        features += added
    fitted = fit(VotePatterns.of_rows(train_votes, k))
    labels, own = (posterior(form, train_votes) for form in (fitted.training_form, fitted.form))
    covered = (train_votes >= 0).any(axis=1)
    test_covered = (test_votes >= 0).any(axis=1)

    runs = [train_once(train_table, features, labels, covered, spec, own=own) for spec in specs]
    predicted = [predict(run, test_table, features) for run in runs]
    scores = [float((p.argmax(axis=1) == gold).mean() * 100) for p, _ in predicted]
    losses = [float(-np.log(p[np.arange(len(gold)), gold] + 1e-12).mean()) for p, _ in predicted]
    shares = np.bincount(pq.read_table(folder / "valid.parquet")["label"].to_numpy(), minlength=k) + 1.0
    balanced, _ = predict(
        train_once(train_table, features, labels, covered, specs[0], tuple((shares / shares.sum()).tolist())),
        test_table,
        features,
    )
    one_hot = np.eye(k)[train_gold]
    ceiling, _ = predict(
        train_once(train_table, features, one_hot, np.ones(len(covered), bool), specs[0]),
        test_table,
        features,
    )
    label_model = decide(fitted.form, test_votes)
    label_model = np.where(label_model < 0, 0, label_model)
    return {
        "set": folder.name + (ALL if every else "") + ("+vectors" if vectors is not None else ""),
        "rows": len(train_gold),
        "mv": float((majority(test_votes, k) == gold).mean() * 100),
        "lm": float((label_model == gold).mean() * 100),
        "lm_cov": float((label_model == gold)[test_covered].mean() * 100),
        "mean": float(np.mean(scores)),
        "+-": half_interval(scores),
        "min": min(scores),
        "max": max(scores),
        "end_cov": float(np.mean([(p.argmax(axis=1) == gold)[test_covered].mean() * 100 for p, _ in predicted])),
        "balance": float((balanced.argmax(axis=1) == gold).mean() * 100),
        "gold": float((ceiling.argmax(axis=1) == gold).mean() * 100),
        "ll": float(np.mean(losses)),
        "epoch": runs[0].epoch["y"],
        "T": runs[0].manifest["tasks"][0]["temperature"],
        "sec": float(np.mean([run.seconds for run in runs])),
        "rows/s": max(rate for _, rate in predicted),
    }


def write(measured: object, out: Path | None) -> None:
    """Write figures as JSON, where a file is given."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(measured, indent=2) + "\n")


def json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    return json.loads(path.read_text())


COLUMNS = (
    ("set", "<18"), ("rows", ">6"), ("mv", ">6.1f"), ("lm", ">6.1f"), ("lm_cov", ">7.1f"), ("mean", ">6.1f"),
    ("+-", ">5.2f"), ("min", ">6.1f"), ("max", ">6.1f"), ("end_cov", ">8.1f"), ("balance", ">8.1f"),
    ("gold", ">6.1f"), ("ll", ">6.2f"), ("epoch", ">6"), ("T", ">6.2f"), ("sec", ">6.1f"), ("rows/s", ">8.0f"),
)  # fmt: skip


def main() -> None:
    """Print one line per set."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--sets", default=",".join(SETS))
    arguments.add_argument(
        "--vectors", type=Path, help="folder of sentence vectors; measures the sets of text with them"
    )
    arguments.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="as in WITH (…)")
    arguments.add_argument("--out", type=Path, help="write the figures as JSON; rows of other sets there are kept")
    given = arguments.parse_args()
    options = {name: read_value(text) for name, _, text in (item.partition("=") for item in given.option)}
    torch.set_num_threads(1)
    print(" ".join(f"{name:{form.split('.')[0].rstrip('f')}}" for name, form in COLUMNS), flush=True)
    measured = []
    for name in given.sets.split(","):
        specs = [train_spec({**options, "seed": seed}) for seed in range(given.seeds)]
        for vectors in (None, given.vectors) if given.vectors is not None and name in TEXTS else (None,):
            row = run_set(given.data / name.removesuffix(ALL), specs, vectors, every=name.endswith(ALL))
            measured.append(row)
            print(" ".join(f"{row[column]:{form}}" for column, form in COLUMNS), flush=True)
    kept = json.loads(given.out.read_text()) if given.out is not None and given.out.exists() else []
    named = {row["set"]: row for row in (*kept, *measured)}
    write(list(named.values()), given.out)


def read_value(text: str) -> object:
    """Read an option's value as written on the command line."""
    try:
        return json.loads(text.lower())
    except json.JSONDecodeError:
        return text


if __name__ == "__main__":
    main()
