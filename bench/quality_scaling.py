"""Quality of an end model as weak labels double: imdb, 1x to 32x, with a plot for the documentation.

    python -m bench.quality_scaling --data ../shared/data --seeds 5 --out FILE.json --svg docs/scaling.svg

Each seed draws an order of the train rows; the first 1/32 of them are 1x, the first 1/16 2x, and so on. At every size
the label model (method ``auto``) is fitted on the votes of those rows alone, and the end model, with the default
options, is trained on what it says of them. Gold labels are read for scoring only. Each point is the mean test accuracy
over the seeds with its 95% t-interval; at 32x the seeds differ in the training alone, not in the rows.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from bench.quality_end_model import features_of, half_interval, json_object, predict, read_split, train_once, write
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import decide, fit, posterior
from wsdb.model.backend import torch
from wsdb.model.spec import train_spec

STEPS = (1, 2, 4, 8, 16, 32)


def measure(folder: Path, seeds: int) -> list[dict[str, Any]]:
    """Return one row per size: rows, covered rows, and the accuracies of label model and end model in percent."""
    train_table, votes, _ = read_split(folder, "train")
    test_table, test_votes, gold = read_split(folder, "test")
    features = features_of(folder.name, train_table.schema, json_object(folder / "meta.json"))
    k = int(gold.max()) + 1
    measured = []
    for step in STEPS:
        size = len(votes) * step // STEPS[-1]
        ends, models, covered = [], [], []
        for seed in range(seeds):
            rows = np.sort(np.random.default_rng(seed).permutation(len(votes))[:size])
            own = votes[rows]
            fitted = fit(VotePatterns.of_rows(own, k))
            has = (own >= 0).any(axis=1)
            labels = posterior(fitted.training_form, own)
            trained = train_once(train_table.take(rows), features, labels, has, train_spec({"seed": seed}))
            ends.append(float((predict(trained, test_table, features)[0].argmax(axis=1) == gold).mean() * 100))
            models.append(float((np.maximum(decide(fitted.form, test_votes), 0) == gold).mean() * 100))
            covered.append(int(has.sum()))
        measured.append(
            {
                "times": step,
                "rows": size,
                "labeled": statistics.mean(covered),
                "lm": statistics.mean(models),
                "mean": statistics.mean(ends),
                "+-": half_interval(ends),
                "min": min(ends),
                "max": max(ends),
            }
        )
        print(" ".join(f"{measured[-1][name]:{form}}" for name, form in COLUMNS), flush=True)
    return measured


def plot(measured: list[dict[str, Any]], name: str) -> str:
    """Draw accuracy over the number of weak labels, on a logarithmic axis, as SVG."""
    left, top, width, height = 56, 34, 470, 230
    values = [row["lm"] for row in measured] + [row["mean"] + sign * row["+-"] for row in measured for sign in (-1, 1)]
    low, high = int(min(values)) - 1, int(max(values)) + 2

    def x(at: int) -> float:
        return left + 20 + at * (width - 40) / (len(measured) - 1)

    def y(value: float) -> float:
        return top + height * (high - value) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 14} {top + height + 50}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="test accuracy as weak labels double">',
        f'<rect width="100%" height="100%" fill="white"/><text x="{left}" y="18">{name}: test accuracy, %</text>',
    ]
    for value in range(low, high + 1, max(1, (high - low) // 6)):
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>')
    for at, row in enumerate(measured):
        for shown, dy in ((f"{row['labeled']:,.0f}", 18), (f"{row['times']}x", 36)):
            parts.append(f'<text x="{x(at):.1f}" y="{top + height + dy}" text-anchor="middle">{shown}</text>')
    for key, color, shown, dy in (("lm", "#888", "label model", 16), ("mean", "#1f5fa8", "end model", -12)):
        points = " ".join(f"{x(at):.1f},{y(row[key]):.1f}" for at, row in enumerate(measured))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        end = measured[-1][key]
        place = f'x="{x(len(measured) - 1):.1f}" y="{y(end) + dy:.1f}"'
        parts.append(f'<text {place} text-anchor="end" fill="{color}">{shown}</text>')
    for at, row in enumerate(measured):
        ends = (y(row["mean"] - row["+-"]), y(row["mean"] + row["+-"]))
        parts.append(
            f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}" '
            'stroke="#1f5fa8" stroke-width="1.5"/>'
        )
        parts.append(f'<circle cx="{x(at):.1f}" cy="{y(row["mean"]):.1f}" r="3.5" fill="#1f5fa8"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


COLUMNS = (
    ("times", ">5"), ("rows", ">6"), ("labeled", ">8.0f"), ("lm", ">6.1f"), ("mean", ">6.1f"), ("+-", ">5.2f"),
    ("min", ">6.1f"), ("max", ">6.1f"),
)  # fmt: skip


def main() -> None:
    """Print one line per size; write the figures and the plot where asked."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--set", default="imdb")
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments.add_argument("--svg", type=Path, help="write the plot")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    print(" ".join(f"{name:{form.split('.')[0].rstrip('f')}}" for name, form in COLUMNS), flush=True)
    measured = measure(given.data / given.set, given.seeds)
    write(measured, given.out)
    if given.svg:
        given.svg.write_text(plot(measured, given.set))


if __name__ == "__main__":
    main()
