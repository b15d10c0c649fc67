"""The tables of measured figures, read from what `make bench` left in bench/results/."""

from __future__ import annotations

import json
import statistics
import textwrap
from collections.abc import Callable
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


TARGETS: dict[str, float] = {
    "over_duckdb": 0.4,
    "over_polars": 1.2,
    "keywords_factor": 20.0,
    "keywords_mb": 4096.0,
    "incremental: nothing changed": 6.0,
    "incremental: one labeling function edited": 15.0,
    "incremental: one regular expression edited": 15.0,
    "incremental: 1% of the rows appended": 10.0,
    "incremental: 1% of the rows changed": 10.0,
    "incremental: 1% of the rows deleted": 10.0,
    "analysis_s": 1.0,
    "ten tasks": 3.0,
    "hundred tasks": 5.0,
    "epoch": 1.15,
    "first_epoch": 1.4,
    "snorkel classifier": 4.0,
    "memory_gb": 3.0,
    "crowdkit": 10.0,
    "sequence_f1": 73.34,
    "graph_mv": 6.0,
    "graph_auto": 4.0,
}
"""What was promised, by the name of the figure."""


def measured(name: str) -> Callable[[Callable[[Any], str]], Callable[[], str]]:
    """Make a function of a benchmark's results one without arguments, which says so where there are none."""

    def wrap(written: Callable[[Any], str]) -> Callable[[], str]:
        def text() -> str:
            if not (RESULTS / f"{name}.json").exists():
                return f"Not measured yet: `python -m bench.{name}` measures it.\n"
            return written(read(name))

        return text

    return wrap


def said(text: str) -> str:
    """Return a paragraph, broken into lines."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n\n"


def judged(figure: float, name: str, *, least: bool = True, unit: str = "") -> str:
    """Return the sentence on a target: reached, or missed and by how much; nothing where there is none."""
    target = TARGETS.get(name)
    if target is None:
        return ""
    word = "at least" if least else "at most"
    reached = figure >= target if least else figure <= target
    return f" Target: {word} {target:g}{unit}; {'reached' if reached else f'missed, it is {figure:.3g}{unit}'}."


@measured("bench_label_matrix")
def label_matrix(found: Any) -> str:
    """Return the label matrix against the same SELECT by hand, polars expressions by hand, and Snorkel's appliers."""
    wall, cpu = found["wall_s"], found["cpu_s"]
    rows = [
        [
            name,
            f"{wall[name]:.2f}" if name in wall else "",
            f"{cpu[name]:.2f}",
            f"{wall['wsdb'] / wall[name]:.2f}" if name in wall else "",
            f"{cpu['wsdb'] / cpu[name]:.3f}",
        ]
        for name in cpu
    ]
    size = f"{found['rows']:,} rows x {found['lfs']} labeling functions, {found['votes']:,} votes"
    head = ["", "wall s", "CPU s", "wsdb / it, wall", "wsdb / it, CPU"]
    verdict = f" wsdb takes {wall['wsdb'] / wall['duckdb by hand']:.2f} of the time of DuckDB's own SELECT."
    verdict += judged(wall["wsdb"] / wall["duckdb by hand"], "over_duckdb", least=False)
    equal_work = cpu["wsdb"] / cpu["polars by hand, read from and stored in DuckDB"]
    verdict += f" Against polars that reads from DuckDB and stores there it takes {equal_work:.2f} of the CPU time."
    verdict += judged(cpu["wsdb"] / cpu["polars by hand, read from and stored in DuckDB"], "over_polars", least=False)
    return said(f"{size}, equal in every cell.{verdict}") + table(head, rows)


@measured("bench_keywords")
def keywords(found: Any) -> str:
    """Return thousands of keyword functions against the fused SELECT."""
    wall, cpu = found["wall_s"], found["cpu_s"]
    names = {"matrix": "wsdb, label matrix", "labels": "wsdb, labels from it", "by hand": "fused SELECT, scaled"}
    rows = [[text, f"{wall[name]:.1f}", f"{cpu[name]:.1f}"] for name, text in names.items()]
    factor, peak = wall["by hand"] / wall["matrix"], found["peak_mb"]["matrix"]
    size = f"{found['rows']:,} rows x {found['lfs']:,} labeling functions, {found['votes']:,} votes"
    lead = f"{size}; equal on a sample of {found['sample']:,} rows, from which the time of the SELECT is scaled."
    lead += f" The label matrix is {factor:.1f} times as fast, with {peak:,.0f} MB at most; labels take"
    lead += f" {found['peak_mb']['labels']:,.0f} MB."
    lead += judged(factor, "keywords_factor", unit=" times") + judged(peak, "keywords_mb", least=False, unit=" MB")
    return said(lead) + table(["", "wall s", "CPU s"], rows)


@measured("bench_incremental")
def incremental(found: Any) -> str:
    """Return what a refresh costs after a change."""
    kept, rows = found["wall_s"], []
    for name in kept["labels"]:
        cells = [name]
        for what in ("label matrix", "labels"):
            share = kept[what][name] / kept[what]["full rebuild"]
            cells += [f"{kept[what][name]:.2f}", f"{share:.1%}"]
        rows.append(cells)
    lead = f"{found['rows']:,} rows x 50 labeling functions, {found['patterns']:,} vote patterns. After each change the"
    lead += " kept label matrix and patterns are compared with rebuilt ones."
    for name in kept["label matrix"]:
        share = 100 * kept["label matrix"][name] / kept["label matrix"]["full rebuild"]
        verdict = judged(share, f"incremental: {name}", least=False, unit=" % of a rebuild of the label matrix")
        lead += f" {name.capitalize()}:{verdict}" if verdict else ""
    return said(lead) + table(["change", "label matrix s", "of a rebuild", "labels s", "of a rebuild"], rows)


@measured("bench_label_model")
def label_model(found: Any) -> str:
    """Return the label model against one GROUP BY and Snorkel's LabelModel, by case."""
    rows, missed, quality = [], [], []
    for case, one in found.get("cases", {"narrow": found}).items():
        figures = one["figures"]
        spent = {name: f"{figures[name]['cpu_s']:.2f}" if name in figures else "–" for name in FIGURES}
        size = f"{one['rows']:,} x {one['sources']}"
        rows.append(
            [case, size, f"{one['patterns']:,}", *spent.values(), f"{one['peak_mb']:,.0f}" if "peak_mb" in one else ""]
        )
        missed += [f"{case}: {text}" for text in one.get("missed", ())]
        known = {who: 100 * one["quality"][key] for who, key in SHARES.items() if key in one["quality"]}
        quality.append(f"{case} " + ", ".join(f"{who} {share:.1f} %" for who, share in known.items()))
    head = ["case", "rows x sources", "patterns", *FIGURES.values(), "peak MB"]
    promised = all("missed" in one for one in found.get("cases", {}).values()) and "cases" in found
    verdict = f" Missed: {'; '.join(missed)}." if missed else " All promised ratios are kept." if promised else ""
    right = said(f"Right on covered rows: {'; '.join(quality)}.")[:-1]
    return said(f"CPU seconds.{verdict}") + table(head, rows) + "\n" + right


FIGURES = {
    "group by": "bare GROUP BY",
    "wsdb": "wsdb: count and fit",
    "wsdb fit": "fit alone",
    "wsdb labels": "labels of all rows",
    "snorkel": "Snorkel: fit",
}
SHARES = {"wsdb": "right", "majority vote": "majority_right", "Snorkel": "snorkel_right"}


@measured("bench_crowd")
def crowd(found: Any) -> str:
    """Return Dawid-Skene on crowd votes against crowd-kit."""
    names = {
        "em": "wsdb: EM as crowd-kit runs it",
        "dawid_skene": "`dawid_skene`, a whole fit",
        "ibcc": "`ibcc`",
        "auto": "`auto`",
        "majority": "`majority`",
        "crowd-kit": "crowd-kit `DawidSkene`",
    }
    rows = []
    for name, text in names.items():
        if name in found["figures"]:
            right = found["quality"].get(f"{name}_right")
            cells = [f"{found['figures'][name]['cpu_s']:.2f}", "" if right is None else f"{100 * right:.1f}"]
            rows.append([text, *cells])
    lead = f"{found['votes']:,} votes of 800 workers on 20,000 items, four classes."
    factor = found["quality"].get("faster_than_crowdkit")
    if factor is not None:
        lead += f" The EM loop is {factor:.1f} times as fast as crowd-kit's, with the same answers."
        lead += judged(factor, "crowdkit", unit=" times")
    return said(lead) + table(["", "CPU s", "right %"], rows)


@measured("bench_analysis")
def analysis(found: Any) -> str:
    """Return the seconds of the analysis functions."""
    slowest = max(found["seconds"].values())
    lead = (
        f"{found['rows']:,} rows x {found['lfs']} labeling functions, {100 * found['gold']:g} % of the rows with gold."
    )
    lead += judged(slowest, "analysis_s", least=False, unit=" s for each")
    lead += f" What they read is counted with the labels: {found['statistics_seconds']:.1f} of the"
    lead += (
        f" {found['refresh_seconds']:.1f} s of REFRESH LABELS. The first read of `label_model_report` fits all methods,"
    )
    lead += f" in {found['report_seconds']:.1f} s."
    return said(lead) + table(
        ["call", "s"], [[f"`{call}`", f"{spent:.3f}"] for call, spent in found["seconds"].items()]
    )


@measured("quality_labels")
def labels(found: Any) -> str:
    """Return the label models on the public sets."""
    rows = []
    for one in found["sets"]:
        cells = [scores(one["columns"].get(name)) for name in LABEL_COLUMNS]
        rows.append([one["set"], str(one["sources"]), *cells])
    missed = f"Another figure than expected: {', '.join(found['missed'])}."
    return (said(missed) if found["missed"] else "") + table(["set", "sources", *LABEL_COLUMNS.values()], rows)


LABEL_COLUMNS = {"mv": "majority vote", "auto": "auto", "auto+bal": "auto, balance given", "snorkel": "Snorkel"}
METHOD_COLUMNS = ("weighted_majority", "dawid_skene", "ibcc", "triplet", "matrix")


def scores(found: dict[str, float] | None) -> str:
    """Return accuracy and macro-F1 of a column, where there is one."""
    known = found is not None and "accuracy" in found
    return f"{found['accuracy']:.1f} / {found['macro_f1']:.1f}" if found is not None and known else "–"


@measured("quality_labels")
def methods(found: Any) -> str:
    """Return the other label models on the same sets."""
    if not any(name in one["columns"] for one in found["sets"] for name in METHOD_COLUMNS):
        return "Not measured yet: `python -m bench.quality_labels` measures them.\n"
    rows = [[one["set"], *(scores(one["columns"].get(name)) for name in METHOD_COLUMNS)] for one in found["sets"]]
    return table(["set", *(f"`{name}`" for name in METHOD_COLUMNS)], rows)


@measured("quality_sequence")
def sequences(found: Any) -> str:
    """Return the sequence model on a public set, and its speed."""
    rows = [[name, *(f"{row[split]:.1f}" for split in SPLITS)] for name, row in found["f1"].items()]
    best = found["f1"]["fit_hmm"]["test"]
    speeds = "; ".join(
        f"{case}: {one['fit tokens/s'] / 1000:,.0f} thousand tokens a second fitted, "
        f"{one['label tokens/s'] / 1000:,.0f} thousand labeled"
        for case, one in found["speed"].items()
    )
    lead = f"Entity F1, exact spans. Best published label model on test: {TARGETS['sequence_f1']:g}."
    return said(lead + judged(best, "sequence_f1")) + table(["", *SPLITS], rows) + "\n" + said(f"{speeds}.")[:-1]


SPLITS = ("train", "valid", "test")


@measured("quality_task_graph")
def task_graphs(found: Any) -> str:
    """Return the joint label model of a task graph against one label model for each task."""
    rows = []
    for setting, one in found.items():
        name = {"equal": "all fine, equally good", "trec": "TREC, fine votes made from gold"}.get(setting, setting)
        rows.append([name, *(f"{one[column]:.1f}" for column in GRAPH_COLUMNS)])
    mixed = [one for setting, one in found.items() if setting not in ("equal", "trec")]
    gains = {name: sum(one["joint"] - one[name] for one in mixed) / len(mixed) for name in ("mv path", "auto path")}
    lead = f"On average over the mixed settings the joint model gains {gains['mv path']:.1f} points over majority vote."
    lead += judged(gains["mv path"], "graph_mv", unit=" points")
    lead += f" Over one label model for each task it gains {gains['auto path']:.1f} points."
    lead += judged(gains["auto path"], "graph_auto", unit=" points")
    if "equal" in found:
        gain = found["equal"]["joint"] - found["equal"]["auto path"]
        lead += f" Where all sources vote the finest labels and are equally good, it is {gain:+.1f} points."
    head = ["coarse sources, fine ones, coverage", *GRAPH_COLUMNS.values()]
    return said(lead) + table(head, rows)


GRAPH_COLUMNS = {
    "mv path": "majority vote",
    "mv full": "the same, votes passed on in full",
    "auto path": "auto for each task",
    "auto full": "the same, votes passed on in full",
    "joint": "joint",
}


PUBLISHED = {"youtube": 98.0, "trec": 82.4, "imdb": 91.5, "semeval": 88.8}
"""Best test accuracy in percent on the same votes in WRENCH: a fine-tuned, self-trained transformer."""


def end_models() -> str:
    """Return the end models on the public sets."""
    rows = []
    for one in read("quality_end_model"):
        best = PUBLISHED.get(one["set"].partition("+")[0])
        rows.append(
            [
                one["set"].replace("+", " + ").replace(":all", ", all columns"),
                f"{one['mv']:.1f}",
                f"{one['lm']:.1f}",
                f"{one['mean']:.1f} ± {one['+-']:.1f}",
                f"{one['balance']:.1f}",
                f"{one['gold']:.1f}",
                "" if best is None else f"{best:.1f} ({one['mean'] - best:+.1f})",
            ]
        )
    heads = ["set", "majority vote", "label model", "end model", "class balance known", "same network on gold"]
    return table([*heads, "published best (gap)"], rows)


def scaling() -> str:
    """Return the end model on ever more weak labels."""
    rows = [
        [
            f"{one['times']}x",
            f"{one['labeled']:,.0f}",
            f"{one['lm']:.1f}",
            f"{one['mean']:.1f} ± {one['+-']:.1f}",
        ]
        for one in read("quality_scaling")
    ]
    return table(["", "weak labels", "label model", "end model"], rows)


def multitask() -> str:
    """Return tasks learned by one network beside a network for each."""
    rows = []
    for name, facts in read("quality_multitask").items():
        for task in [key.removesuffix(" gain") for key in facts if key.endswith(" gain")]:
            ways = [facts[f"{task} {way}"] for way in ("alone", "together", "gain")]
            rules = f"{facts[f'{task} rules']['mean']:.1f}" if f"{task} rules" in facts else ""
            rows.append([name, task, rules, *(f"{one['mean']:.1f} ± {one['half']:.1f}" for one in ways)])
    return table(["set", "task", "its rules", "a network of its own", "one network", "gain"], rows)


@measured("quality_mmt")
def many_tasks(found: Any) -> str:
    """Return what a hundred tasks in one network cost and gain."""
    cost, quality = found["cost"], found["quality"]
    ten, hundred = (cost[f"ratio {n}"]["mean"] for n in (10, 100))
    gain = quality["gain"]
    targets = judged(ten, "ten tasks", least=False) + judged(hundred, "hundred tasks", least=False)
    together, alone, worse = (quality[name]["mean"] for name in ("together", "alone", "worse"))
    text = (
        f"An epoch of ten tasks takes {ten:.1f} times that of one, an epoch of a hundred {hundred:.1f} times.{targets} "
        f"Together the tasks are right in {together:.1f} % of the rows, each by itself in {alone:.1f} %: a gain of "
        f"{gain['mean']:+.1f} ± {gain['half']:.1f}; {worse:.0f} of the hundred are worse together."
    )
    return said(text)


@measured("bench_train")
def training(found: Any) -> str:
    """Return the speed of training beside a plain loop and Snorkel's classifier."""
    rows, text = [], ""
    for name in ("text", "table"):
        case = found["cases"][name]
        ratios = case["ratios"]
        later, plain = (statistics.median(case[key][1:]) for key in ("wsdb_epochs_s", "plain_epochs_s"))
        shown = [f"{later:.2f}", f"{plain:.2f}", f"{ratios['epoch']:.2f}", f"{ratios['first_epoch']:.2f}"]
        rows.append([name, *shown])
        for what, key in (("later epochs", "epoch"), ("first epoch", "first_epoch")):
            text += f"{name.capitalize()}, {what}:{judged(ratios[key], key, least=False)} "
    if "snorkel" in found["cases"]:
        case = found["cases"]["snorkel"]
        right = ", ".join(
            f"{100 * own:.1f} % and {100 * case['snorkel']['right'][task]:.1f} %"
            for task, own in case["wsdb"]["right"].items()
        )
        ratio = case["ratios"]["snorkel"]
        text += (
            f"Snorkel's MultitaskClassifier takes {ratio:.1f} times the CPU seconds on the table."
            f"{judged(ratio, 'snorkel classifier')} Right on its three tasks, wsdb and Snorkel: {right}."
        )
    head = ["case", "wsdb, s an epoch", "plain, s an epoch", "wsdb / plain", "wsdb / plain, first epoch"]
    return said(text) + table(head, rows)


@measured("bench_memory")
def memory(found: Any) -> str:
    """Return the memory of training on a table that does not fit into it."""
    text = (
        f"{found['rows']:,} rows with {found['text_bytes'] / 1e9:.1f} GB of text, DuckDB's memory_limit "
        f"{found['memory_limit']}: labeled and trained in {found['wall_s']:.0f} s ({found['cpu_s']:.0f} CPU s) with "
        f"{found['peak_gb']:.2f} GB at most."
    )
    return said(text + judged(found["peak_gb"], "memory_gb", least=False, unit=" GB"))


def ordinal() -> str:
    """Return what decides on ordered labels, and how near it comes."""
    rows = []
    for steps, facts in read("quality_ordinal").items():
        for who in [key.removesuffix(": accuracy") for key in facts if key.endswith(": accuracy")]:
            accuracy, distance = (facts[f"{who}: {name}"] for name in ("accuracy", "distance"))
            shown = (
                f"{accuracy['mean']:.1f} ± {accuracy['half']:.1f}",
                f"{distance['mean']:.2f} ± {distance['half']:.2f}",
            )
            rows.append([steps, who, *shown])
    return table(["steps", "label", "accuracy", "distance"], rows)


def rare() -> str:
    """Return what end models of rare classes learn from: accuracy and F1 of the rare class."""
    rows = []
    for name, facts in read("quality_rare").items():
        cells = [
            f"{facts[f'{who}: accuracy']['mean']:.1f}, {facts[f'{who}: f1']['mean']:.1f}"
            for who in ("label model", "uniform", "default")
        ]
        rows.append([name, *cells])
    return table(["set, rare class", "label model", "at a uniform balance", "default"], rows)


def slices() -> str:
    """Return what more weight and experts gain over a network that knows no slices, by part of the rows."""
    rows = []
    for setting, modes in read("quality_slices").items():
        for part, plain in modes["none"].items():
            if part in ("seconds", "gain"):
                continue
            gains = [modes[mode]["gain"][part] for mode in ("weight", "attention", "auto")]
            shown = [f"{gain['mean']:+.1f} ± {gain['half']:.1f}" for gain in gains]
            rows.append([setting.replace(": slice", ":"), part, f"{plain['mean']:.1f}", *shown])
    return table(["set", "rows", "without slices", "more weight", "experts", "default"], rows)


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
