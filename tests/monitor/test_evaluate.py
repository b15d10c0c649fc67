"""The figures of evaluate and the other reports on models against the same figures computed in numpy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.monitor.predictions import Reports, task
from wsdb.monitor.scored import ScoredTask

Z = 1.959963984540054
LABELS = ("a", "b", "c")


def wilson(share: float, n: float) -> tuple[float, float]:
    centre = (share + Z * Z / 2 / n) / (1 + Z * Z / n)
    width = Z * np.sqrt(share * (1 - share) / n + Z * Z / 4 / n / n) / (1 + Z * Z / n)
    return max(centre - width, 0), min(centre + width, 1)


def scores(gold: np.ndarray, label: np.ndarray, classes: int) -> dict[str, float]:
    """Return precision, recall and f1 as means over the classes that occur, and micro_f1."""
    tp = np.array([((gold == c) & (label == c)).sum() for c in range(classes)], float)
    fp = np.array([((gold != c) & (label == c)).sum() for c in range(classes)], float)
    fn = np.array([((gold == c) & (label != c)).sum() for c in range(classes)], float)
    kept = tp + fp + fn > 0
    tp, fp, fn = tp[kept], fp[kept], fn[kept]
    return {
        "precision": float(np.mean(tp / np.maximum(tp + fp, 1))),
        "recall": float(np.mean(tp / np.maximum(tp + fn, 1))),
        "f1": float(np.mean(2 * tp / (2 * tp + fp + fn))),
        "micro_f1": float(2 * tp.sum() / (2 * tp.sum() + fp.sum() + fn.sum())),
    }


def multiclass(n: int = 400, seed: int = 3) -> tuple[Reports, np.ndarray, np.ndarray, np.ndarray]:
    """Return reports on a model of one task with three labels, and its gold, labels and probabilities."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[gold]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label = probs.argmax(axis=1)
    reports = Reports()
    reports.con.execute("CREATE TABLE t (id BIGINT, predicted_x VARCHAR, predicted_x_prob DOUBLE, ps DOUBLE[])")
    rows = [(i, LABELS[label[i]], float(probs[i, label[i]]), probs[i].tolist()) for i in range(n)]
    reports.con.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
    reports.con.execute(
        "CREATE TABLE rows AS SELECT * EXCLUDE (ps), map(['a', 'b', 'c'], ps) AS predicted_x_probs FROM t"
    )
    reports.con.execute("CREATE TABLE gold (id BIGINT, split VARCHAR, gold VARCHAR)")
    reports.con.executemany("INSERT INTO gold VALUES (?, ?, ?)", [(i, "test", LABELS[gold[i]]) for i in range(n)])
    reports.rows("x", "FROM gold")
    reports.model("m", [ScoredTask(task("x", LABELS))])
    return reports, gold, label, probs


def test_a_multiclass_task_has_the_figures_that_numpy_has() -> None:
    reports, gold, label, probs = multiclass()
    (found,) = reports.ask("evaluate", "m", "rows")
    n = len(gold)
    expected: dict[str, Any] = {"n": n, "accuracy": (gold == label).mean(), **scores(gold, label, 3)}
    expected["log_loss"] = -np.log(probs[np.arange(n), gold]).mean()
    expected["brier"] = ((probs - np.eye(3)[gold]) ** 2).sum(axis=1).mean()
    expected["accuracy_low"], expected["accuracy_high"] = wilson(expected["accuracy"], n)
    sure = probs.max(axis=1)
    bins = np.argsort(np.argsort(sure)) * 10 // n
    gaps = [abs((gold == label)[bins == b].sum() - sure[bins == b].sum()) for b in range(10)]
    expected["ece"] = sum(gaps) / n
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    assert found["micro_f1"] == pytest.approx(found["accuracy"])  # each row has one label


def test_intervals_of_means_over_labels_are_as_wide_as_the_bootstrap_says() -> None:
    reports, gold, label, _ = multiclass(n=1500)
    (found,) = reports.ask("evaluate", "m", "rows")
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(1000):
        at = rng.integers(0, len(gold), len(gold))
        draws.append(scores(gold[at], label[at], 3))
    for name in ("precision", "recall", "f1"):
        low, high = np.quantile([draw[name] for draw in draws], [0.025, 0.975])
        assert found[f"{name}_high"] - found[f"{name}_low"] == pytest.approx(high - low, rel=0.12)
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]


def test_a_binary_task_has_wilson_intervals_and_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(5)
    gold, p = rng.integers(0, 2, 80), np.round(rng.random(80), 1)  # with ties
    label = (p > 0.5).astype(int)
    reports = Reports()
    reports.con.execute("CREATE TABLE raw (id BIGINT, g VARCHAR, l VARCHAR, p DOUBLE)")
    names = ("no", "yes")
    rows = [(i, names[gold[i]], names[label[i]], float(p[i])) for i in range(80)]
    reports.con.executemany("INSERT INTO raw VALUES (?, ?, ?, ?)", rows)
    reports.con.execute(
        "CREATE TABLE t AS SELECT id, l AS predicted_y, greatest(p, 1 - p) AS predicted_y_prob, "
        "map(['no', 'yes'], [1 - p, p]) AS predicted_y_probs FROM raw"
    )
    reports.rows("y", "SELECT id, NULL AS split, g AS gold FROM raw")
    reports.model("m", [ScoredTask(task("y", names, "binary"))])
    (found,) = reports.ask("evaluate", "m", "t")
    tp, fp = ((gold == 1) & (label == 1)).sum(), ((gold == 0) & (label == 1)).sum()
    fn = ((gold == 1) & (label == 0)).sum()
    assert found["precision"] == pytest.approx(tp / (tp + fp))
    assert (found["precision_low"], found["precision_high"]) == pytest.approx(wilson(tp / (tp + fp), tp + fp))
    assert (found["recall_low"], found["recall_high"]) == pytest.approx(wilson(tp / (tp + fn), tp + fn))
    pairs = (p[gold == 1][:, None] > p[gold == 0]) + 0.5 * (p[gold == 1][:, None] == p[gold == 0])
    assert found["auc"] == pytest.approx(pairs.mean())
    assert found["brier"] == pytest.approx(((p - gold) ** 2).mean())
    curve = reports.ask("roc_curve", "m", "t")
    area = sum((after["fpr"] - before["fpr"]) * (after["tpr"] + before["tpr"]) / 2 for before, after in pairwise(curve))
    assert area == pytest.approx(found["auc"])  # trapezoids under the ROC curve are the Mann-Whitney statistic
    points = {row["threshold"]: row for row in reports.ask("pr_curve", "m", "t", label="YES")}
    at = points[0.6]
    assert at["precision"] == pytest.approx((gold[p >= 0.6] == 1).mean())
    assert at["recall"] == pytest.approx((p[gold == 1] >= 0.6).mean())
    bins = reports.ask("calibration", "m", "t", task="Y")
    assert sum(row["n"] for row in bins) == 80
    assert bins[0]["ece"] == pytest.approx(found["ece"])
    assert sum(row["n"] * row["accuracy"] for row in bins) == pytest.approx((gold == label).sum())


def test_five_hundred_slices_have_the_figures_of_their_rows() -> None:
    reports, gold, label, _ = multiclass()
    reports.con.execute(
        "CREATE TABLE members AS SELECT id, 's' || s AS segment FROM gold, range(500) r(s) WHERE (id * 7 + s) % 11 < 2"
    )
    reports.members(
        "m", "slice", "SELECT r.__row, members.segment FROM r JOIN members USING (id) UNION ALL SELECT NULL, 'empty'"
    )
    found = {row["segment"]: row for row in reports.ask("evaluate", "m", "rows", by="slice")}
    ids = np.arange(len(gold))
    assert set(found) == {"all", "empty", *(f"s{s}" for s in range(500))}  # each row is in some of the 500
    assert (found["empty"]["n"], found["empty"]["accuracy"], found["empty"]["f1"]) == (0, None, None)
    for s in (0, 17, 499):
        inside = (ids * 7 + s) % 11 < 2
        assert found[f"s{s}"]["n"] == inside.sum()
        assert found[f"s{s}"]["accuracy"] == pytest.approx((gold == label)[inside].mean())
        assert found[f"s{s}"]["f1"] == pytest.approx(scores(gold[inside], label[inside], 3)["f1"])
    assert found["all"]["n"] == len(gold)


def test_unknown_gold_counts_for_nothing_but_churn() -> None:
    reports = Reports()
    reports.con.execute(
        "CREATE TABLE t AS SELECT i AS id, l AS predicted_x, 0.5::DOUBLE AS predicted_x_prob, "
        "map(['a', 'b'], [0.5::DOUBLE, 0.5::DOUBLE]) AS predicted_x_probs, o AS other_predicted_x, "
        "predicted_x_prob AS other_predicted_x_prob, predicted_x_probs AS other_predicted_x_probs FROM (VALUES "
        "(1, 'a', 'a'), (2, 'a', 'b'), (3, 'b', 'a'), (4, 'a', 'b'), (5, 'b', 'b'), (6, 'a', 'b')) v(i, l, o)"
    )
    # right in both: 1; fixed: 2, 4; broken: 3; wrong in both: 5; 6 has no gold
    reports.rows(
        "x", "FROM (VALUES (1, 'a'), (2, 'b'), (3, 'b'), (4, 'b'), (5, 'a')) v(id, gold), (SELECT 'dev' AS split)"
    )
    reports.model("m", [ScoredTask(task("x", ("a", "b")))])
    reports.model("other", [ScoredTask(task("x", ("a", "b")))], renamed="other_")
    (found,) = reports.ask("compare", "m", "other", "t")
    assert (found["n"], found["n_rows"], found["fixed"], found["broken"]) == (5, 6, 2, 1)
    assert found["accuracy_a"] == pytest.approx(2 / 5)
    assert found["accuracy_b"] == pytest.approx(3 / 5)
    assert found["churn"] == pytest.approx(4 / 6)
    assert found["error_reduction"] == pytest.approx(3 / 2)
    # three coins: 2 P(0 heads) + P(1 head) = 2 / 8 + 3 / 8
    assert found["p_value"] == pytest.approx(5 / 8)
    # cells with 1/2 more: fixed 2.5, broken 1.5 of 7
    width = Z * np.sqrt(4 - 1 / 7) / 7
    assert (found["delta_low"], found["delta_high"]) == pytest.approx((1 / 7 - width, 1 / 7 + width))
    # a: label a has tp 1, fp 2, fn 1; b has tp 1, fp 1, fn 2.  other: a has tp 1, fp 1, fn 1; b tp 2, fp 1, fn 1
    assert found["f1_a"] == pytest.approx((2 / 5 + 2 / 5) / 2)
    assert found["f1_b"] == pytest.approx((2 / 4 + 4 / 6) / 2)
    (alone,) = reports.ask("evaluate", "m", "t")
    assert (alone["n"], alone["f1"]) == (5, pytest.approx(found["f1_a"]))


def test_a_bitvector_is_right_where_all_its_labels_are() -> None:
    reports = Reports()
    reports.con.execute(
        "CREATE TABLE t AS SELECT i AS id, l AS predicted_x, 0.7::DOUBLE AS predicted_x_prob, "
        "map(['a', 'b'], p::DOUBLE[]) AS predicted_x_probs FROM (VALUES (1, ['b', 'a'], [0.9, 0.8]), "
        "(2, ['a'], [0.6, 0.4]), (3, []::VARCHAR[], [0.1, 0.3]), (4, ['b'], [0.2, 0.7])) v(i, l, p)"
    )
    # gold as text of a list, or of one label
    reports.rows(
        "x", "SELECT id, 'dev' AS split, gold FROM (VALUES (1, '[a, b]'), (2, 'b'), (3, '[]'), (4, NULL)) v(id, gold)"
    )
    reports.model("m", [ScoredTask(task("x", ("a", "b"), "bitvector"))])
    (found,) = reports.ask("evaluate", "m", "t")
    # a: tp 1, fp 1, fn 0; b: tp 1, fp 0, fn 1
    assert (found["n"], found["accuracy"]) == (3, pytest.approx(2 / 3))
    assert (found["precision"], found["recall"]) == pytest.approx((0.75, 0.75))
    assert (found["f1"], found["micro_f1"]) == pytest.approx((2 / 3, 2 / 3))
    right = np.array([[0.9, 0.8], [0.4, 0.4], [0.9, 0.7]])
    assert found["log_loss"] == pytest.approx(-np.log(right).mean())
    assert found["brier"] == pytest.approx(((1 - right) ** 2).mean())
    cells = {(row["gold"], row["predicted"]): row["n"] for row in reports.ask("confusion_matrix", "m", "t")}
    assert cells == {
        ("a", "a"): 1, ("not a", "a"): 1, ("not a", "not a"): 1,
        ("b", "b"): 1, ("b", "not b"): 1, ("not b", "not b"): 1,
    }  # fmt: skip
    curve = reports.ask("pr_curve", "m", "t", label="b")
    assert [(row["threshold"], row["precision"], row["recall"]) for row in curve] == [
        (0.8, 1.0, 0.5), (0.4, 1.0, 1.0), (0.3, pytest.approx(2 / 3), 1.0),
    ]  # fmt: skip


def test_a_select_task_is_scored_by_the_element_it_picks() -> None:
    reports = Reports()
    reports.con.execute(
        "CREATE TABLE t AS SELECT i AS id, l AS predicted_x, 0.5::DOUBLE AS predicted_x_prob, p::DOUBLE[] AS "
        "predicted_x_probs FROM (VALUES (1, 2, [0.25, 0.75]), (2, 1, [0.6, 0.4]), (3, NULL, [0.2, 0.2]), "
        "(4, 1, [1.0])) v(i, l, p)"
    )
    # 1: picked right; 2: the other one; 3: none, right; 4: nothing known
    gold = "(1, 1, 'no'), (1, 2, 'yes'), (2, 1, 'no'), (2, 2, 'yes'), (3, 1, 'no'), (3, 2, 'no'), (4, 1, NULL)"
    reports.rows("x", f"SELECT id, pos, 'dev' AS split, gold FROM (VALUES {gold}) v(id, pos, gold)")
    reports.model("m", [ScoredTask(task("x", ("no", "yes"), "select", ("id", "pos")))])
    (found,) = reports.ask("evaluate", "m", "t")
    assert (found["n"], found["accuracy"]) == (3, pytest.approx(2 / 3))
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((0.5, 0.5, 0.5))
    assert found["log_loss"] == pytest.approx(-np.log([0.75, 0.4]).mean())
    cells = [(row["gold"], row["predicted"], row["n"]) for row in reports.ask("confusion_matrix", "m", "t")]
    assert cells == [("(none)", "(none)", 1), ("2", "1", 1), ("2", "2", 1)]


def sequences() -> Reports:
    """Return reports on a model of two sentences: one span of two right, and one too long."""
    reports = Reports()
    labels = "(1, ['B-x', 'I-x', 'O', 'B-y']), (2, ['O', 'B-x', 'I-x'])"
    reports.con.execute(
        "CREATE TABLE t AS SELECT i AS id, l AS predicted_x, list_transform(l, lambda e: 0.5::DOUBLE) AS "
        "predicted_x_prob, list_transform(l, lambda e: map(['O'], [0.5::DOUBLE])) AS predicted_x_probs "
        f"FROM (VALUES {labels}) v(i, l)"
    )
    gold = "(1, ['B-x', 'I-x', 'O', 'O']), (2, ['O', 'B-x', 'O'])"
    reports.rows(
        "x",
        "SELECT id, unnest(range(1, len(l) + 1)) AS pos, CASE id WHEN 1 THEN 'dev' ELSE 'test' END AS split, "
        f"unnest(l) AS gold FROM (VALUES {gold}) v(id, l)",
    )
    own = task("x", ("O", "B-x", "I-x", "B-y", "I-y"), keys=("id", "pos"))
    reports.model("m", [ScoredTask(own, elements=True, spans=True)])
    return reports


def test_sequences_are_scored_by_element_and_by_span() -> None:
    reports = sequences()
    (found,) = reports.ask("evaluate", "m", "t")
    assert (found["n"], found["accuracy"]) == (7, pytest.approx(5 / 7))
    # predicted spans: x, y, x (too long); gold: x, x; one is the same
    assert found["span_f1"] == pytest.approx(2 * 1 / (3 + 2))
    by_split = {row["segment"]: row for row in reports.ask("evaluate", "m", "t", by="split")}
    assert by_split["dev"]["span_f1"] == pytest.approx(2 / 3)
    assert by_split["test"]["span_f1"] == 0
    assert by_split["test"]["n"] == 3


def test_the_first_wrong_task_is_found_along_the_graph() -> None:
    reports = Reports()
    columns = ", ".join(
        f"{t} AS predicted_{t}, 0.5::DOUBLE AS predicted_{t}_prob, map(['a'], [0.5::DOUBLE]) AS predicted_{t}_probs"
        for t in "xyz"
    )
    reports.con.execute(
        f"CREATE TABLE t AS SELECT id, {columns} FROM (VALUES (1, 'a', 'a', 'a'), (2, 'b', 'b', 'a'), "
        "(3, 'a', 'b', 'b'), (4, 'b', 'a', 'b'), (5, 'b', 'b', 'b')) v(id, x, y, z)"
    )
    for name in "xyz":
        reports.rows(name, "SELECT i AS id, 'dev' AS split, CASE WHEN i < 5 THEN 'a' END AS gold FROM range(1, 6) r(i)")
    x, y, z = (task(name, ("a", "b")) for name in "xyz")  # x <- y, and z on its own
    reports.model("m", [ScoredTask(y, step=1, above=("x",)), ScoredTask(z, step=2), ScoredTask(x)])
    found = {
        row["key"]: (row["first_wrong_task"], row["chain"], row["wrong"])
        for row in reports.ask("error_attribution", "m", "t")
    }
    assert found == {
        "1": (None, [], []),
        "2": ("x", ["x", "y"], ["x", "y"]),
        "3": ("y", ["y"], ["y", "z"]),
        "4": ("x", ["x"], ["x", "z"]),
    }


def test_segments_are_all_rows_members_and_the_rest() -> None:
    reports, _, label, _ = multiclass(60)
    reports.members("m", "tag", "SELECT __row, 'first' AS segment FROM r WHERE id < 10")
    found = {row["segment"]: row for row in reports.ask("evaluate", "m", "rows", by="TAG")}
    assert list(found) == ["all", "first", "(none)"]
    assert [row["n"] for row in found.values()] == [60, 10, 50]
    (inside,) = reports.ask("calibration", "m", "rows", tag="FIRST")[:1]
    assert inside["brier"] == pytest.approx(found["first"]["brier"])
    by_column = {row["segment"]: row["n"] for row in reports.ask("evaluate", "m", "rows", by="Predicted_X")}
    assert by_column == {LABELS[c]: (label == c).sum() for c in set(label.tolist())}


def test_an_argument_cannot_become_sql() -> None:
    reports, _, _, _ = multiclass(30)
    for text in ("'", "@task@", "{0}", "x' OR 'x' = 'x", "{", "@tbl@"):
        assert reports.ask("evaluate", "m", "rows", task=text) == []
