"""The end models of the examples, through SQL, over several seeds: test accuracy against majority vote and a ceiling.

    python -m bench.quality_examples [--data ../shared/data] [--seeds 5] [--out FILE]

Runs the statements of examples/*/labels.sql up to the models in a database in memory, then trains each model with each
seed. No gold is read by training or by any choice; the ceiling is the same network on the gold labels of train.
Majority vote gives a tie, and a row without a vote, to the first label.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import wsdb

EXAMPLES = {
    "phishing": (
        "phishing", "pages", "id",
        "form_handler, popups, certificate, outside_content, outside_links, traffic, url_length, domain_age, ip_in_url",
    ),
    "youtube": ("spam", "comments", "id", "text"),
}  # fmt: skip


def prepare(name: str, data: Path) -> wsdb.Session:
    """Return a database with an example's tables, tasks and labeling functions."""
    db = wsdb.connect()
    db.execute(f"SET VARIABLE data = '{data / name}'")
    for piece in db.pieces(Path(f"examples/{name}/labels.sql").read_text()):
        words = piece.sql.upper().split()
        if "MODEL" in words[:4]:
            break
        if words[0] not in ("SELECT", "FROM"):
            db.run(piece)
    return db


def accuracy(db: wsdb.Session, query: str) -> float:
    """Return 100 times the one number a query gives."""
    (value,) = db.execute(query).fetchall()[0]
    return 100 * float(value)


def measure(name: str, seeds: int, data: Path) -> dict[str, object]:
    """Return the test accuracies of one example."""
    task, relation, key, features = EXAMPLES[name]
    db = prepare(name, data)
    gold = f"SELECT {key}, split, gold FROM wsdb.rows_{task} WHERE split = 'test'"
    db.execute(f"REFRESH LABELS FOR TASK {task}")
    scores: dict[str, object] = {}
    first = f"(SELECT map_keys(probs)[1] FROM wsdb.labels_{task} LIMIT 1)"
    votes = f"SELECT {key}, label, count(*) AS n FROM wsdb.label_votes_{task} GROUP BY ALL"
    most = f"SELECT {key}, arg_max(label, 2 * n + (label = {first})::INTEGER) AS label FROM ({votes}) GROUP BY {key}"
    for shown, labels in (("majority vote", f"({most})"), ("label model", f"wsdb.labels_{task}")):
        rows = f"({gold}) AS g LEFT JOIN {labels} AS l USING ({key})"
        scores[shown] = accuracy(db, f"SELECT avg((coalesce(l.label, {first}) = g.gold)::INTEGER) FROM {rows}")
    db.execute(f"CREATE VIEW test_rows AS SELECT r.* FROM {relation} AS r JOIN ({gold}) AS g USING ({key})")
    train_gold = f"SELECT {key}, gold AS label FROM wsdb.rows_{task} WHERE split = 'train' AND gold IS NOT NULL"
    for shown, labels in (("end model", ""), ("ceiling (gold)", f"LABELS FROM ({train_gold})")):
        found = []
        for seed in range(seeds):
            db.execute(
                f"CREATE OR REPLACE MODEL m FOR TASK {task} FROM {relation} FEATURES ({features}) {labels} "
                f"WITH (seed = {seed})"
            )
            found.append(accuracy(db, "SELECT accuracy FROM evaluate('m', test_rows)"))
        scores[shown] = {"mean": statistics.mean(found), "min": min(found), "max": max(found)}
    db.close()
    return scores


def main() -> None:
    """Measure the examples, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = {name: measure(name, arguments.seeds, arguments.data.resolve()) for name in EXAMPLES}
    print(f"test accuracy, mean (min to max) of {arguments.seeds} seeds\n")
    print("| example | majority vote | label model | end model | ceiling (gold) |\n|---|---|---|---|---|")
    for name, scores in results.items():
        cells = [
            f"{value['mean']:.1f} ({value['min']:.1f} to {value['max']:.1f})"
            if isinstance(value, dict)
            else f"{value:.1f}"
            for value in scores.values()
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
