"""Rare positives: end models of public sets from which most rows of one class are taken out.

    python -m bench.quality_rare --data ../shared/data --seeds 3

Of the rows of one class, in train and test, a share is kept that a seed draws; everything else is as in
`bench.quality_end_model`: no gold in training, default options. Beside the default, which lets end models learn the
labels of the task where a uniform class balance would give many others (`wsdb.labelmodel.auto.REWRITTEN`), stands the
same network on labels at a uniform balance throughout. Accuracy and the F1 of the rare class in percent, mean of the
seeds; "known" has the class balance of the train split as the task's CLASS BALANCE.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.quality_end_model import features_of, json_object, predict, read_split, train_once, write
from bench.quality_slices import summary
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import auto, decide, fit, posterior
from wsdb.model.backend import torch
from wsdb.model.spec import TrainSpec

SETS = {
    "youtube, 8 % spam": ("youtube", 1, 0.1, False),
    "youtube, 7 % ham": ("youtube", 0, 0.1, False),
    "mushroom, 8 % poisonous": ("mushroom", 1, 0.1, False),
    "mushroom, 4 % poisonous": ("mushroom", 1, 0.05, False),
    "phishing_web, all columns, 19 % phishing": ("phishing_web", 1, 0.3, True),
    "phishing_web, all columns, 7 % phishing": ("phishing_web", 1, 0.1, True),
    "rna_titles, 5 % relevant": ("rna_titles", 1, 0.1, False),
    "imdb, 10 % good": ("imdb", 1, 0.1, False),
}
"""By what is shown: the set, its rare class, the share of this class that is kept, and whether all columns are read."""


def thinned(folder: Path, split: str, rare: int, kept: float, seed: int) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Return rows, votes and gold of a split without most rows of the rare class."""
    table, votes, gold = read_split(folder, split)
    keep = (gold != rare) | (np.random.default_rng(seed).random(len(gold)) < kept)
    return table.filter(pa.array(keep)), votes[keep], gold[keep]


def scores(said: np.ndarray, gold: np.ndarray, rare: int) -> dict[str, float]:
    """Return accuracy and the F1 of the rare class in percent."""
    both = ((said == rare) & (gold == rare)).sum()
    f1 = 2 * both / max((said == rare).sum() + (gold == rare).sum(), 1)
    return {"accuracy": float((said == gold).mean() * 100), "f1": float(f1 * 100)}


def run(folder: Path, rare: int, kept: float, seed: int, *, every: bool, known: bool) -> dict[str, float]:
    """Return the scores of one seed, by what decides."""
    table, votes, gold = thinned(folder, "train", rare, kept, seed)
    test, test_votes, test_gold = thinned(folder, "test", rare, kept, seed)
    features = features_of(folder.name, table.schema, json_object(folder / "meta.json"), every=every)
    shares = np.bincount(gold, minlength=2) / len(gold) if known else None
    said = {}
    for who, most in (("default", auto.REWRITTEN), ("uniform", 1.0)):
        before, auto.REWRITTEN = auto.REWRITTEN, most
        fitted = fit(VotePatterns.of_rows(votes, 2), balance=shares)
        auto.REWRITTEN = before
        said["label model"] = np.maximum(decide(fitted.form, test_votes), 0)
        trained = train_once(
            table,
            features,
            posterior(fitted.training_form, votes),
            (votes >= 0).any(axis=1),
            TrainSpec(seed=seed),
            None if shares is None else tuple(shares.tolist()),
        )
        said[who] = predict(trained, test, features)[0].argmax(axis=1)
    return {
        f"{who}: {name}": value for who, one in said.items() for name, value in scores(one, test_gold, rare).items()
    }


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the public sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for shown, (name, rare, kept, every) in SETS.items():
        for known in (False, True):
            runs = [run(given.data / name, rare, kept, seed, every=every, known=known) for seed in range(given.seeds)]
            key = shown + (", known" if known else "")
            found[key] = summary(runs)
            print(f"{key:<50}", *(f"{what} {value['mean']:.1f}" for what, value in found[key].items()), sep="  ")
    write(found, given.out)


if __name__ == "__main__":
    main()
