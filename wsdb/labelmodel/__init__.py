"""LabelModel: vote patterns in, a fit and its posterior out; numpy only."""

from __future__ import annotations

from wsdb.labelmodel.fitted import Fit
from wsdb.labelmodel.gold import GoldCounts
from wsdb.labelmodel.methods import METHODS, REGIMES, fit
from wsdb.labelmodel.score import ScoreForm, choose, decide, posterior
from wsdb.labelmodel.statistics import Statistics

__all__ = [
    "METHODS",
    "REGIMES",
    "Fit",
    "GoldCounts",
    "ScoreForm",
    "Statistics",
    "choose",
    "decide",
    "fit",
    "posterior",
]
