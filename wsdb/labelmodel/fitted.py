"""Fit: a fitted label model, with what it found about each source and the closed form of its posterior."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from wsdb.labelmodel.dependencies import Dependency
from wsdb.labelmodel.score import ScoreForm

ARRAYS = ("prior", "weights", "accuracy", "propensity", "stderr")


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted label model over m sources and k classes.

    Attributes
    ----------
    method : what was asked for, a name of `methods.METHODS`
    chosen : what was fitted: "ads", "ads x majority", "annotator", "annotator x majority", "majority-precision",
        or the method
    reason : one sentence for the user: the regime and why
    regime : "lf" (labeling functions: firing is evidence) or "annotator" (who answered is random), or
        "majority" where that was asked for
    sources : m names
    n_classes, n_rows, n_patterns : k, n, P
    largest_pattern : share of the covered rows that have the most frequent pattern; 0 without covered rows
    prior : float64 array of shape (k,), the class balance used
    theta : float64 array of shape (m, k, k), [j, v, y] = P(source j votes v | class y), or None if not
        estimated
    weights : float64 array of shape (m,), in (0, 1]; below 1 where a source repeats others
    accuracy : float64 array of shape (m,), estimated P(vote correct | voted); 0.75 is assumed without
        evidence
    precision : float64 array of shape (m, k), the same per value voted; NaN where never voted
    propensity : float64 array of shape (m,), share of rows with a vote
    stderr : float64 array of shape (m,), standard error of accuracy
    counts : int64 array of shape (m,), rows with a vote
    notices : what the user should know, one sentence each
    form : the posterior
    training_form : the posterior that end models are trained on; in the "lf" regime at uniform class
        balance, so that rare classes stay represented; elsewhere equal to `form`
    balance_known : the prior was given or counted from gold rows
    dependencies : pairs of sources that are not independent: given, copies, or found in the votes
    """

    method: str
    chosen: str
    reason: str
    regime: str
    sources: tuple[str, ...]
    n_classes: int
    n_rows: int
    n_patterns: int
    largest_pattern: float
    prior: np.ndarray
    theta: np.ndarray | None
    weights: np.ndarray
    accuracy: np.ndarray
    precision: np.ndarray
    propensity: np.ndarray
    stderr: np.ndarray
    counts: np.ndarray
    notices: tuple[str, ...]
    form: ScoreForm
    training_form: ScoreForm
    balance_known: bool
    dependencies: tuple[Dependency, ...] = ()

    @property
    def confusion(self) -> np.ndarray | None:
        """P(source j votes v | class y, it votes): float64 array of shape (m, k, k), [j, v, y]; sums over v are 1.

        NaN where a source never votes; None where nothing was estimated.
        """
        if self.theta is None:
            return None
        mass = self.theta.sum(axis=1, keepdims=True)
        shares: np.ndarray = np.divide(self.theta, mass, out=np.full_like(self.theta, np.nan), where=mass > 0)
        return shares

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN is None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("prior", "weights", "accuracy", "propensity", "stderr", "counts"):
            values[name] = values[name].tolist()
        values["theta"] = None if self.theta is None else self.theta.tolist()
        values["precision"] = [[None if np.isnan(p) else p for p in row] for row in self.precision.tolist()]
        values["sources"] = list(self.sources)
        values["notices"] = list(self.notices)
        values["dependencies"] = [list(edge) for edge in self.dependencies]
        values["form"] = self.form.to_dict()
        values["training_form"] = self.training_form.to_dict()
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fit:
        """Read what `to_dict` returned."""
        k = values["n_classes"]
        read = dict(values)
        for name in ARRAYS:
            read[name] = np.asarray(values[name], dtype=float)
        read["counts"] = np.asarray(values["counts"], dtype=np.int64)
        theta = values["theta"]
        read["theta"] = None if theta is None else np.asarray(theta, dtype=float).reshape(-1, k, k)
        read["precision"] = np.asarray(values["precision"], dtype=float).reshape(-1, k)
        read["sources"] = tuple(values["sources"])
        read["notices"] = tuple(values["notices"])
        read["dependencies"] = tuple(Dependency(*edge) for edge in values.get("dependencies", ()))
        read["form"] = ScoreForm.from_dict(values["form"])
        read["training_form"] = ScoreForm.from_dict(values["training_form"])
        return cls(**read)
