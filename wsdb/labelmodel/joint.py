"""Joint label model of a task graph: one posterior over feasible label vectors, from votes on single tasks.

Votes of coarse and fine sources meet in the vectors (as in multi-task weak supervision, Ratner et al. 2019). The
parameters stay those of single tasks: rates[j, t, v, u] = P(source j votes v | it votes, task t has u). EM
starts from the vectors that most columns agree with and stays lightly anchored there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wsdb.core.matrix import ABSTAIN
from wsdb.labelmodel.joint_fitted import JointAnswer, JointFit
from wsdb.labelmodel.joint_graph import Component, JointGraph
from wsdb.labelmodel.joint_votes import UNDECIDED, SourceVotes, read_votes
from wsdb.labelmodel.sequence import group_codes

PRIOR_ACCURACY = 0.7
"""a0: share of the prior votes that are right."""
PRIOR_STRENGTH = 10.0
"""s0: prior votes for each value of a task."""
ANCHOR = 0.3
"""kappa: weight of the counts at the start against those of the posterior."""
MAX_ITERATIONS = 30
TOLERANCE = 1e-4
BEAM = 2000
"""Above this many vectors a pattern is scored on the vectors that its votes agree with most."""
MAX_PAIRS, NARROW = 8_000_000, 50
"""Pairs of a pattern and a vector scored at most, as long as NARROW vectors are left for each pattern."""
BALANCE_STEPS = 50
TINY = 1e-12


def fit_joint(
    graph: JointGraph,
    votes: np.ndarray,
    columns: Sequence[tuple[str, int]],
    counts: np.ndarray | None = None,
    balances: Mapping[int, np.ndarray] | None = None,
) -> JointFit:
    """Fit the joint model.

    Parameters
    ----------
    graph : from `feasible_vectors`
    votes : integer array of shape (p, c), patterns or rows; label codes of the column's task, -1 is abstain
    columns : (source, position of task in the graph) of each column; a source has one column per task at most
    counts : float64 array of shape (p,), rows per pattern; 1 each if None
    balances : class balance of some tasks, by position: float64 arrays of shape (k,), over the rows where the
        task applies. The rest is as even over the vectors as these allow

    Returns
    -------
    JointFit

    Raises
    ------
    ValueError
        If the columns do not match the votes or the graph, or a vote is out of range.
    """
    _check(graph, votes, columns)
    rows = np.ones(len(votes)) if counts is None else counts.astype(float)
    first, kind = group_codes(votes.astype(np.int64) + 1, int(votes.max(initial=0)) + 2)
    patterns, weight = votes[first], np.bincount(kind, weights=rows, minlength=len(first))
    sources = tuple(dict.fromkeys(source for source, _ in columns))
    shape = (len(sources), len(graph.tasks))
    accuracy, emitted = np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    fitted = []
    for component in graph.components:
        local = _local_columns(component, columns, sources)
        prior = _prior(component, balances or {})
        rates, totals, steps = _fit_component(component, read_votes(component, patterns, local), weight, prior)
        fitted.append((rates, prior, steps))
        fired = totals.sum(axis=(2, 3))
        right = np.einsum("jtvv->jt", totals)
        accuracy[:, component.tasks] = np.divide(right, fired, out=np.full(fired.shape, np.nan), where=fired > 0)
        emitted[:, component.tasks] = np.rint(fired).astype(np.int64)
    rates, priors, iterations = zip(*fitted, strict=True)
    n_rows = round(float(rows.sum()))
    return JointFit(graph, tuple(columns), sources, rates, priors, accuracy, emitted, iterations, n_rows, len(patterns))


def joint_posterior(fit: JointFit, votes: np.ndarray) -> JointAnswer:
    """Label rows, the fitted ones or others; `votes` has the fitted columns."""
    graph, n = fit.graph, len(votes)
    _check(graph, votes, fit.columns)
    first, kind = group_codes(votes.astype(np.int64) + 1, int(votes.max(initial=0)) + 2)
    patterns = votes[first]
    marginals: list[np.ndarray] = [np.zeros((0, 0))] * len(graph.tasks)
    shape = (n, len(graph.tasks))
    labels, chosen, covered = np.full(shape, ABSTAIN), np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for component, rates, prior in zip(graph.components, fit.rates, fit.priors, strict=True):
        said = read_votes(component, patterns, _local_columns(component, fit.columns, fit.sources))
        pairs = _Candidates.of(component, said, len(patterns))
        posterior = pairs.posterior(_log_evidence(component, said, rates, pairs), prior)
        voted = _voted(said, len(patterns))
        best = pairs.best(posterior)
        for i, task in enumerate(component.tasks.tolist()):
            values = component.vectors[pairs.vector, i]
            width = int(component.sizes[i]) + 1
            table = np.bincount(pairs.pattern * width + values, weights=posterior, minlength=len(patterns) * width)
            base = np.bincount(component.vectors[:, i], weights=prior, minlength=width)
            marginals[task] = np.where(voted[:, None], table.reshape(-1, width), base)[kind]
            labels[:, task] = np.where(voted, component.vectors[pairs.vector[best], i], ABSTAIN)[kind]
            chosen[:, task] = np.where(voted, posterior[best], np.nan)[kind]
            covered[:, task] = voted[kind]
    return JointAnswer(tuple(marginals), labels, chosen, covered)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """(pattern, vector) pairs that are scored, in order of patterns; starts: first pair of each pattern."""

    pattern: np.ndarray
    vector: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, component: Component, said: list[SourceVotes], n_patterns: int) -> _Candidates:
        size = len(component.vectors)
        width = min(BEAM, max(NARROW, MAX_PAIRS // max(n_patterns, 1)))
        if size <= width:
            vector = np.tile(np.arange(size), n_patterns)
            return cls(np.repeat(np.arange(n_patterns), size), vector, np.arange(n_patterns) * size)
        tables = [source.agreement(component.vectors) for source in said]
        patterns, vectors = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        step = max(1, MAX_PAIRS // size)
        for first in range(0, n_patterns, step):
            last = min(first + step, n_patterns)
            agreed = np.zeros((last - first, size))
            for source, table in zip(said, tables, strict=True):
                agreed += table[source.number[first:last]]
            # Of vectors that agree equally, the first; the best one is kept even where nothing agrees.
            order = np.argpartition(size * -agreed + np.arange(size) / size, width - 1, axis=1)[:, :width]
            keep = np.take_along_axis(agreed, order, axis=1) > 0
            keep[~keep.any(axis=1), 0] = True
            row, place = np.nonzero(keep)
            patterns.append(row + first)
            vectors.append(order[row, place])
        pattern, vector = np.concatenate(patterns), np.concatenate(vectors)
        sorted_pairs = np.lexsort((vector, pattern))
        pattern, vector = pattern[sorted_pairs], vector[sorted_pairs]
        return cls(pattern, vector, np.searchsorted(pattern, np.arange(n_patterns)))

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum of `values` (one per pair) over each pattern, repeated for its pairs."""
        summed: np.ndarray = np.add.reduceat(values, self.starts)[self.pattern] if len(values) else values
        return summed

    def top(self, values: np.ndarray) -> np.ndarray:
        """Largest of `values` in each pattern, repeated for its pairs."""
        largest: np.ndarray = np.maximum.reduceat(values, self.starts)[self.pattern] if len(values) else values
        return largest

    def posterior(self, evidence: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """P(vector | votes) of each pair: softmax of log prior and evidence over each pattern."""
        logs = evidence + np.log(np.maximum(prior, TINY))[self.vector]
        mass = np.exp(logs - self.top(logs))
        answer: np.ndarray = mass / self.total(mass)
        return answer

    def best(self, posterior: np.ndarray) -> np.ndarray:
        """Pair with the likeliest vector of each pattern; of equals the first."""
        winners = np.flatnonzero(posterior >= self.top(posterior) - 1e-9)
        found: np.ndarray = winners[np.searchsorted(winners, self.starts)]
        return found


def _fit_component(
    component: Component, said: list[SourceVotes], counts: np.ndarray, prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Rates (S, t, kmax, kmax), expected votes of that shape, and iterations."""
    # Patterns without a vote say nothing of the sources.
    weight = np.where(_voted(said, len(counts)), counts, 0.0)
    pairs = _Candidates.of(component, said, len(counts))
    posterior = _start(component, said, pairs)
    anchor = _expected_votes(component, said, pairs, posterior * weight[pairs.pattern])
    rates = _rates(component, anchor)
    totals, steps = anchor, 0
    for step in range(1, MAX_ITERATIONS + 1):
        updated = pairs.posterior(_log_evidence(component, said, rates, pairs), prior)
        moved = float((np.abs(updated - posterior) * weight[pairs.pattern]).sum())
        posterior, steps = updated, step
        totals = _expected_votes(component, said, pairs, posterior * weight[pairs.pattern])
        rates = _rates(component, (totals + ANCHOR * anchor) / (1 + ANCHOR))
        if moved < TOLERANCE * max(float(weight.sum()), 1.0):
            break
    return rates, totals, steps


def _start(component: Component, said: list[SourceVotes], pairs: _Candidates) -> np.ndarray:
    """Half the share of agreeing columns, half spread evenly over the vectors that most columns agree with."""
    agreed = np.zeros(len(pairs.vector))
    for source in said:
        agreed += source.agreement(component.vectors)[source.number[pairs.pattern], pairs.vector]
    most = (agreed >= pairs.top(agreed) - 1e-9).astype(float)
    share = agreed / np.maximum(pairs.total(agreed), TINY)
    start: np.ndarray = 0.5 * share + 0.5 * most / np.maximum(pairs.total(most), 1.0)
    return start


def _expected_votes(component: Component, said: list[SourceVotes], pairs: _Candidates, rows: np.ndarray) -> np.ndarray:
    """Rows by source, task, value voted and value of the task: float64 array of shape (S, t, kmax, kmax)."""
    n_vectors, n_tasks = component.vectors.shape
    width = int(component.sizes.max()) + 1
    totals = np.zeros((len(said), n_tasks, width, width))
    for j, source in enumerate(said):
        cell = source.number[pairs.pattern] * n_vectors + pairs.vector
        size = len(source.values) * n_vectors
        by_vector = np.bincount(cell, weights=rows, minlength=size).reshape(-1, n_vectors)
        for i in range(n_tasks):
            fired = np.flatnonzero(source.values[:, i] != UNDECIDED)
            if not len(fired):
                continue
            cells = source.values[fired, i][:, None] * width + component.vectors[:, i]
            table = np.bincount(cells.ravel(), weights=by_vector[fired].ravel(), minlength=width * width)
            totals[j, i] = table.reshape(width, width)
    return totals


def _rates(component: Component, totals: np.ndarray) -> np.ndarray:
    """Vote rates from expected votes and the prior; column u sums to 1 over the labels v."""
    rates = np.ones(totals.shape)
    for i, k in enumerate(component.sizes.tolist()):
        # Where the task does not apply, no label is the right one.
        prior = np.full((k, k + 1), 1 / k)
        if k > 1:
            prior[:, :k] = (1 - PRIOR_ACCURACY) / (k - 1)
            np.fill_diagonal(prior, PRIOR_ACCURACY)
        raised = totals[:, i, :k, : k + 1] + PRIOR_STRENGTH * prior
        rates[:, i, :k, : k + 1] = raised / raised.sum(axis=1, keepdims=True)
    return rates


def _log_evidence(component: Component, said: list[SourceVotes], rates: np.ndarray, pairs: _Candidates) -> np.ndarray:
    logs = np.log(rates + TINY)
    total = np.zeros(len(pairs.vector))
    for j, source in enumerate(said):
        total += source.evidence(logs[j], component.vectors)[source.number[pairs.pattern], pairs.vector]
    return total


def _voted(said: list[SourceVotes], n_patterns: int) -> np.ndarray:
    voted = np.zeros(n_patterns, dtype=bool)
    for source in said:
        voted |= source.voted
    return voted


def _prior(component: Component, balances: Mapping[int, np.ndarray]) -> np.ndarray:
    """Probability of each vector: the flattest that has the given balances (iterative proportional fitting)."""
    prior = np.full(len(component.vectors), 1 / len(component.vectors))
    known = [(i, balances[t]) for i, t in enumerate(component.tasks.tolist()) if t in balances]
    for _ in range(BALANCE_STEPS if known else 0):
        for i, balance in known:
            values = component.vectors[:, i]
            applies = values < component.sizes[i]
            shares = np.bincount(values[applies], weights=prior[applies], minlength=len(balance))
            target = np.asarray(balance, dtype=float) * prior[applies].sum()
            factor = target / np.maximum(shares, TINY)
            prior[applies] *= factor[values[applies]]
        prior /= prior.sum()
    return prior


def _local_columns(
    component: Component, columns: Sequence[tuple[str, int]], sources: tuple[str, ...]
) -> list[list[tuple[int, int]]]:
    place = {t: i for i, t in enumerate(component.tasks.tolist())}
    local: dict[str, list[tuple[int, int]]] = {source: [] for source in sources}
    for column, (source, task) in enumerate(columns):
        if task in place:
            local[source].append((column, place[task]))
    return list(local.values())


def _check(graph: JointGraph, votes: np.ndarray, columns: Sequence[tuple[str, int]]) -> None:
    if votes.ndim != 2 or votes.shape[1] != len(columns):
        raise ValueError(f"votes {votes.shape} do not match {len(columns)} columns")
    if len(set(columns)) != len(columns):
        raise ValueError("a source has two columns for one task")
    for column, (_, task) in enumerate(columns):
        if not 0 <= task < len(graph.tasks):
            raise ValueError(f"column {column} names task {task}, the graph has {len(graph.tasks)}")
        k = len(graph.tasks[task].labels)
        if len(votes) and (votes[:, column].min() < ABSTAIN or votes[:, column].max() >= k):
            raise ValueError(f"votes of column {column} must be in -1 … {k - 1}")
