"""Dependencies among labeling functions, for methods that do not estimate them themselves."""

from __future__ import annotations

from wsdb.labelmodel.ads import anchored_rates
from wsdb.labelmodel.dependencies import Dependency, learned_edges
from wsdb.labelmodel.request import Request
from wsdb.labelmodel.statistics import Statistics, VoteTable


def anchored_edges(request: Request, distinct: VoteTable) -> list[Dependency]:
    """Pairs of sources that agree more than rates read off the vote shares explain (see `learned_edges`)."""
    statistics = Statistics.of_votes(distinct)
    balance = request.known_or_uniform
    theta = anchored_rates(statistics, balance)
    return learned_edges(theta, statistics.pairs, statistics.n_rows, balance, request.patterns.sources)
