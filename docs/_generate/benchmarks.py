"""The tables of measured figures, read from what `make bench` left in bench/results/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"


def read(name: str) -> Any:
    """Return the results of one benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def label_matrix() -> str:
    """Return the label matrix against the same SELECT by hand and polars expressions by hand."""
    found = read("bench_label_matrix")
    wall, cpu = found["wall_s"], found["cpu_s"]
    rows = [
        [
            name,
            f"{wall[name]:.2f}",
            f"{cpu[name]:.2f}",
            f"{wall['wsdb'] / wall[name]:.2f}",
            f"{cpu['wsdb'] / cpu[name]:.2f}",
        ]
        for name in wall
    ]
    size = f"{found['rows']:,} rows x {found['lfs']} labeling functions, {found['votes']:,} votes"
    head = ["", "wall s", "CPU s", "wsdb / it, wall", "wsdb / it, CPU"]
    return f"{size}, equal in every cell.\n\n" + table(head, rows)


def label_model() -> str:
    """Return the label model against one GROUP BY and Snorkel's LabelModel."""
    found = read("bench_label_model")
    figures = found["figures"]
    names = {
        "group by": "one bare GROUP BY of the votes",
        "wsdb": "wsdb: that GROUP BY and the fit",
        "snorkel": "Snorkel LabelModel: fit, 100 epochs",
        "wsdb labels": "wsdb: labels of all rows, in SQL",
    }
    rows = [
        [text, f"{figures[name]['cpu_s']:.3f}", f"{figures[name]['cpu_s'] / figures['wsdb']['cpu_s']:.1f}"]
        for name, text in names.items()
        if name in figures
    ]
    quality = found["quality"]
    shares = {"wsdb": "right", "majority vote": "majority_right", "Snorkel": "snorkel_right"}
    known = {who: 100 * quality[key] for who, key in shares.items() if key in quality}
    right = "Right on covered rows: " + ", ".join(f"{who} {share:.1f} %" for who, share in known.items())
    lead = f"{found['rows']:,} rows x {found['sources']} sources, {found['patterns']:,} vote patterns. {right}.\n\n"
    return lead + table(["step", "CPU s", "it / wsdb"], rows)


def labels() -> str:
    """Return the label models on the public sets."""
    columns = {"mv": "majority vote", "auto": "auto", "auto+bal": "auto, balance given", "snorkel": "Snorkel"}
    rows = []
    for one in read("quality_labels")["sets"]:
        cells = [
            f"{one['columns'][name]['accuracy']:.1f} / {one['columns'][name]['macro_f1']:.1f}"
            if name in one["columns"]
            else "–"
            for name in columns
        ]
        rows.append([one["set"], str(one["sources"]), *cells])
    return table(["set", "sources", *columns.values()], rows)


def end_models() -> str:
    """Return the end models on the public sets."""
    rows = [
        [
            one["set"],
            f"{one['mv']:.1f}",
            f"{one['lm']:.1f}",
            f"{one['mean']:.1f} ({one['min']:.1f} to {one['max']:.1f})",
            f"{one['gold']:.1f}",
        ]
        for one in read("quality_end_model")
    ]
    return table(["set", "majority vote", "label model", "end model", "same network on gold"], rows)


def examples() -> str:
    """Return the end models of the examples, trained through SQL."""
    rows = []
    for name, scores in read("quality_examples").items():
        cells = [
            f"{value['mean']:.1f} ({value['min']:.1f} to {value['max']:.1f})"
            if isinstance(value, dict)
            else f"{value:.1f}"
            for value in scores.values()
        ]
        rows.append([name, *cells])
    return table(["example", *next(iter(read("quality_examples").values()))], rows)
