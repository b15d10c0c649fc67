"""Hypothesis strategies: matrices of votes, and fits of every kind."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import APPLIES, Options
from wsdb.labelmodel.synthetic import draw_votes, labeling_rates


@st.composite
def noise(draw: st.DrawFn, min_sources: int = 0, min_rows: int = 0) -> tuple[np.ndarray, int]:
    """Votes without any structure, and the number of classes."""
    k = draw(st.integers(2, 4))
    m = draw(st.integers(min_sources, 6))
    n = draw(st.integers(min_rows, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    abstain = draw(st.sampled_from([0.1, 0.5, 0.9]))
    votes = rng.integers(0, k, size=(n, m)).astype(np.int8)
    votes[rng.random((n, m)) < abstain] = -1
    return votes, k


@st.composite
def drawn(draw: st.DrawFn, n_rows: int = 800) -> tuple[np.ndarray, int]:
    """Votes of sources that are better than chance, and the number of classes."""
    k = draw(st.integers(2, 4))
    m = draw(st.integers(3, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    theta = labeling_rates(rng, m, k, coverage=0.25, unipolar=draw(st.booleans()))
    return draw_votes(rng, theta, rng.dirichlet(np.full(k, 4.0)), n_rows)[1], k


@st.composite
def balances(draw: st.DrawFn, k: int) -> np.ndarray | None:
    """A class balance, mild or skewed, or None."""
    if draw(st.booleans()):
        return None
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    return rng.dirichlet(np.full(k, draw(st.sampled_from([0.4, 5.0]))))


REGIMES = st.sampled_from(["auto", "lf", "annotator"])
METHODS = st.sampled_from(["auto", "auto", "majority", "weighted_majority", "dawid_skene", "ibcc", "triplet", "matrix"])
COPY_METHODS = st.sampled_from(["auto", "auto", "weighted_majority", "triplet", "matrix"])
"""Methods that count exact copies of a labeling function as one."""


@st.composite
def options(draw: st.DrawFn, method: str) -> Options:
    """Options that a method knows, most of them at their default."""
    choices = {
        "structure": ["none", "learned", "static", "declared"],
        "prior": ["uniform"],
        "abstain_informative": [True],
        "max_iter": [1, 3],
        "tol": [0.0, 0.1],
    }
    name = draw(st.sampled_from(["", "", *sorted(choices.keys() & APPLIES[method])]))
    return Options(**{name: draw(st.sampled_from(choices[name]))}) if name else Options()


def as_patterns(votes: np.ndarray, k: int) -> VotePatterns:
    """One pattern per row, not grouped."""
    names = tuple(f"lf_{j}" for j in range(votes.shape[1]))
    return VotePatterns(votes, np.ones(len(votes), dtype=np.int64), names, k)
