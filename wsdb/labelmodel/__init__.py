"""LabelModel: vote patterns in, a fit and its posterior out; numpy only."""

from __future__ import annotations

from wsdb.labelmodel.dependencies import Dependency
from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.gold import GoldCounts, GoldRows
from wsdb.labelmodel.methods import APPLIES, METHODS, REGIMES, fit
from wsdb.labelmodel.options import Options
from wsdb.labelmodel.score import ScoreForm, choose, decide, posterior
from wsdb.labelmodel.statistics import Statistics

__all__ = [
    "APPLIES",
    "METHODS",
    "REGIMES",
    "Dependency",
    "Fit",
    "GoldCounts",
    "GoldRows",
    "Options",
    "ScoreForm",
    "Statistics",
    "choose",
    "decide",
    "fit",
    "posterior",
]
