"""All methods side by side, and audits of sources against gold."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from wsdb.core.errors import SpecError
from wsdb.core.matrix import SparseVotes, VotePatterns
from wsdb.labelmodel import METHODS, GoldCounts, Options, decide, fit, methods
from wsdb.labelmodel.audit import audit, binomial_interval, log_gamma, wilson_interval
from wsdb.labelmodel.compare import compare, log_likelihood
from wsdb.labelmodel.metrics import score
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.score import ScoreForm
from wsdb.labelmodel.statistics import read_votes
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates

BALANCE = np.array([0.7, 0.3])


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return draw_votes(rng, labeling_rates(rng, 8, 2, coverage=0.2), BALANCE, 2000)


def as_rows(votes: np.ndarray) -> VotePatterns:
    names = tuple(f"lf_{j}" for j in range(votes.shape[1]))
    return VotePatterns(votes, np.ones(len(votes), dtype=np.int64), names, 2)


@pytest.mark.parametrize("sparse", [False, True])
def test_every_method_has_a_row_with_its_figures(sparse: bool) -> None:
    labels, votes = drawn()
    patterns = VotePatterns.of_rows(votes, 2)
    gold = as_rows(votes[:300])
    table = SparseVotes.of_patterns(patterns) if sparse else patterns
    given = SparseVotes.of_patterns(gold) if sparse else gold
    rows = compare(table, balance=BALANCE, evaluation={"dev": (given, labels[:300])})
    assert [row.method for row in rows] == list(METHODS)
    assert [row.method for row in rows if row.selected] == ["auto"]
    auto = fit(patterns, balance=BALANCE)
    answers, covered = decide(auto.form, votes), (votes >= 0).any(axis=1)
    for row in rows:
        fitted = fit(patterns, method=row.method, balance=BALANCE)
        mine = decide(fitted.form, votes)
        assert (row.chosen, row.reason) == (fitted.chosen, fitted.reason)
        assert row.coverage == pytest.approx(covered.mean())
        assert row.agreement == pytest.approx((mine == answers)[covered].mean())
        found = row.scores["dev"]
        assert found.accuracy == pytest.approx((mine == labels)[:300][covered[:300]].mean())
        assert found.accuracy_all == pytest.approx((np.where(covered, mine, 0) == labels)[:300].mean())
        assert (found.n_rows, found.n_covered) == (300, covered[:300].sum())
        assert found.log_loss > 0
        assert found.macro_f1 <= 1


def test_a_method_that_fails_has_a_row_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(request: Request) -> None:
        raise SpecError("WS320", "no votes in this shape")

    monkeypatch.setitem(methods.METHODS, "broken", fails)
    monkeypatch.setitem(methods.APPLIES, "broken", frozenset())
    rows = compare(VotePatterns.of_rows(drawn()[1], 2), methods=["broken", "majority"])
    assert [row.method for row in rows] == ["auto", "majority", "broken"]
    assert (rows[2].chosen, rows[2].reason, rows[2].coverage, rows[2].scores) == (
        None,
        "no votes in this shape",
        None,
        {},
    )
    selected = compare(VotePatterns.of_rows(drawn()[1], 2), method="broken", methods=["majority"])
    assert [(row.method, row.agreement) for row in selected] == [("majority", None), ("broken", None)]


def test_methods_are_fitted_without_options_that_do_not_apply_to_them() -> None:
    rows = compare(VotePatterns.of_rows(drawn()[1], 2), options=Options(max_iter=2, structure="none"))
    assert all(row.chosen for row in rows)


def literal_log_likelihood(votes: np.ndarray, q: np.ndarray) -> float:
    n, m = votes.shape
    share = q.mean(axis=0)
    k = len(share)
    theta = np.zeros((m, k, k))
    for j in range(m):
        for v in range(k):
            theta[j, v] = (q[votes[:, j] == v].sum(axis=0) + 1 / (k + 1)) / (q.sum(axis=0) + 1)
    silent = sum(share[y] * math.prod(1 - theta[j, :, y].sum() for j in range(m)) for y in range(k))
    total = 0.0
    for i in range(n):
        likelihood = 0.0
        for y in range(k):
            term = share[y]
            for j in range(m):
                term *= theta[j, votes[i, j], y] if votes[i, j] >= 0 else 1 - theta[j, :, y].sum()
            likelihood += term
        total += math.log(likelihood / (1 - silent))
    return total / n


def test_log_likelihood_is_that_of_the_definition_and_prefers_the_truth() -> None:
    labels, votes = drawn()
    covered = (votes >= 0).any(axis=1)
    votes, labels = votes[covered][:120], labels[covered][:120]
    q = np.random.default_rng(0).dirichlet([1.0, 1.0], size=120)
    fired = read_votes(as_rows(votes))
    assert log_likelihood(q, fired) == pytest.approx(literal_log_likelihood(votes, q))
    assert log_likelihood(np.eye(2)[labels], fired) > log_likelihood(q, fired) + 0.1
    blank = np.concatenate([votes, np.full((50, 8), -1, dtype=votes.dtype)])
    padded = np.concatenate([q, np.full((50, 2), 0.5)])
    assert log_likelihood(padded, read_votes(as_rows(blank))) == pytest.approx(log_likelihood(q, fired))


def test_scores_weigh_rows_by_their_counts_and_give_uncovered_rows_the_prior_class() -> None:
    form = ScoreForm(np.zeros(2), np.array([[[2.0, 0.0], [0.0, 2.0]]]), 1.0, None, 0.0, np.array([0.2, 0.8]))
    votes = VotePatterns(np.array([[0], [1], [-1]]), np.array([3, 1, 4]), ("a",), 2)
    found = score(form, votes, np.array([0, 0, 1]))
    assert (found.accuracy, found.accuracy_all, found.n_rows, found.n_covered) == (0.75, 7 / 8, 8, 4)
    assert found.macro_f1 == pytest.approx((6 / 7 + 0) / 2)
    likely = 1 / (1 + math.exp(-2))
    assert found.log_loss == pytest.approx(-(3 * math.log(likely) + math.log(1 - likely)) / 4)
    uncovered = score(form, VotePatterns(np.array([[-1]]), np.array([2]), ("a",), 2), np.array([1]))
    assert math.isnan(uncovered.accuracy)
    assert uncovered.accuracy_all == 1.0


def binomial_tail(n: int, x: int, p: float) -> float:
    share = Fraction(p)
    return float(sum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(x, n + 1)))


@pytest.mark.parametrize(("right", "total"), [(1, 3), (8, 10), (40, 40), (0, 12), (77, 200)])
def test_exact_intervals_end_where_the_tails_are_two_and_a_half_percent(right: int, total: int) -> None:
    low, high = binomial_interval(np.array([right]), np.array([total]))
    if right > 0:
        assert binomial_tail(total, right, float(low[0])) == pytest.approx(0.025, rel=1e-6)
    if right < total:
        assert 1 - binomial_tail(total, right + 1, float(high[0])) == pytest.approx(0.025, rel=1e-6)
    assert (low[0] == 0) == (right == 0)
    assert (high[0] == 1) == (right == total)
    near = wilson_interval(np.array([right]), np.array([total]))
    assert low[0] - 0.05 <= near[0][0] <= right / total <= near[1][0] + 1e-12 <= high[0] + 0.05


def test_intervals_of_nothing_are_everything_and_of_much_are_narrow() -> None:
    for interval in (binomial_interval, wilson_interval):
        low, high = interval(np.array([0, 500_000]), np.array([0, 1_000_000]))
        assert (low[0], high[0]) == (0, 1)
        assert 0.498 < low[1] < 0.5 < high[1] < 0.502
    x = np.array([0.01, 0.5, 1.0, 3.0, 1e6])
    np.testing.assert_allclose(log_gamma(x), [math.lgamma(v) for v in x], rtol=1e-12, atol=1e-12)


def test_the_audit_flags_a_source_that_the_model_believes_and_gold_does_not() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, size=6000)
    votes = np.full((6000, 6), -1, dtype=np.int8)
    # Three functions share their mistakes, so that the votes alone speak for them.
    wrong = rng.random(6000) < 0.4
    for j in range(6):
        miss = wrong & (rng.random(6000) < 0.9) if j < 3 else rng.random(6000) < 0.1
        fires = rng.random(6000) < 0.5
        votes[:, j] = np.where(fires, np.where(miss, 1 - labels, labels), -1)
    fitted = fit(VotePatterns.of_rows(votes[:5000], 2), balance=np.array([0.5, 0.5]), regime="lf")
    rows = audit(fitted, GoldCounts.of_rows(votes[5000:], labels[5000:], 2))
    assert [(row.source, row.value) for row in rows] == [(f"lf_{j}", v) for j in range(6) for v in range(2)]
    for row in rows:
        hit = votes[5000:, int(row.source[3:])] == row.value
        assert (row.n_gold, row.n_right) == (hit.sum(), (labels[5000:][hit] == row.value).sum())
        assert row.lower < row.precision < row.upper
        assert row.outside == (not row.lower <= row.learned <= row.upper)
    assert any(row.outside for row in rows if row.source in ("lf_0", "lf_1", "lf_2"))
    none = fit(VotePatterns.of_rows(votes[:1, :2], 2))
    assert all(
        row.learned is None and not row.outside for row in audit(none, GoldCounts(np.ones((2, 2, 2)), np.ones(2)))
    )
