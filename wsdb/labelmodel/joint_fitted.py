"""JointFit and JointAnswer: what the joint model of a task graph finds, and the labels it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wsdb.labelmodel.joint_graph import JointGraph


@dataclass(frozen=True, slots=True)
class JointFit:
    """A fitted joint model of T tasks and S sources.

    Attributes
    ----------
    graph : tasks and feasible vectors
    columns : (source, position of task) of each column of votes
    sources : S names
    rates : for each component a float64 array of shape (S, t, kmax, kmax), [j, i, v, u] = P(vote v | source j
        votes, task i of the component has value u)
    priors : for each component a float64 array of shape (r,), probability of each vector; sums to 1
    accuracy : float64 array of shape (S, T), estimated P(vote correct | voted); NaN where the source says
        nothing of the task
    counts : int64 array of shape (S, T), rows with a vote of the source that says something of the task
    iterations : for each component the times the rates were re-estimated
    n_rows, n_patterns : what was fitted
    """

    graph: JointGraph
    columns: tuple[tuple[str, int], ...]
    sources: tuple[str, ...]
    rates: tuple[np.ndarray, ...]
    priors: tuple[np.ndarray, ...]
    accuracy: np.ndarray
    counts: np.ndarray
    iterations: tuple[int, ...]
    n_rows: int
    n_patterns: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN is None."""
        return {
            "graph": self.graph.to_dict(),
            "columns": [list(column) for column in self.columns],
            "sources": list(self.sources),
            "rates": [rates.tolist() for rates in self.rates],
            "priors": [prior.tolist() for prior in self.priors],
            "accuracy": [[None if np.isnan(a) else a for a in row] for row in self.accuracy.tolist()],
            "counts": self.counts.tolist(),
            "iterations": list(self.iterations),
            "n_rows": self.n_rows,
            "n_patterns": self.n_patterns,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> JointFit:
        """Read what `to_dict` returned."""
        shape = (len(values["sources"]), len(values["graph"]["tasks"]))
        return cls(
            JointGraph.from_dict(values["graph"]),
            tuple((source, task) for source, task in values["columns"]),
            tuple(values["sources"]),
            tuple(np.asarray(rates, dtype=float) for rates in values["rates"]),
            tuple(np.asarray(prior, dtype=float) for prior in values["priors"]),
            np.asarray(values["accuracy"], dtype=float).reshape(shape),
            np.asarray(values["counts"], dtype=np.int64).reshape(shape),
            tuple(values["iterations"]),
            values["n_rows"],
            values["n_patterns"],
        )


@dataclass(frozen=True, slots=True)
class JointAnswer:
    """Labels of n rows.

    Attributes
    ----------
    marginals : for each task a float64 array of shape (n, k + 1); the last column is P(does not apply). The
        marginal of the prior where uncovered
    labels : int64 array of shape (n, T), the likeliest vector, always feasible; k where the task does not
        apply, -1 where uncovered
    path_probability : float64 array of shape (n, T), probability of the task's part of the vector: that of the
        vector of its component; NaN where uncovered
    covered : bool array of shape (n, T), some source votes on the task or on one that constraints connect
    """

    marginals: tuple[np.ndarray, ...]
    labels: np.ndarray
    path_probability: np.ndarray
    covered: np.ndarray
