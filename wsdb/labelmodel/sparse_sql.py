"""ScoreForm to SQL for votes in long form: a SELECT that joins votes with a stored relation of scores.

    votes ⋈ scores -> evidence of each class and vote counts per key -> the layers of `sql` -> output columns

A relation of scores holds what a wide SELECT would spell out: with thousands of sources that text would be
megabytes, and a source added needs rows, not new text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsdb.labelmodel import sql
from wsdb.labelmodel.score import ScoreForm


def score_rows(form: ScoreForm) -> dict[str, np.ndarray]:
    """Rows of the relation of scores that `labels_select_sparse` reads, as columns.

    Returns
    -------
    source : int32 array, position of the source in the form
    code : int16 array, the value voted
    class : int16 array, the class that the score speaks for
    score : float64 array, nats, temperature included
    share : float64 array, weight of the vote in the vote share if `class` is the value voted, else 0
    """
    m, k = form.n_sources, form.n_classes
    source, code, y = (axis.ravel() for axis in np.indices((m, k, k)))
    weights = np.ones(m) if form.share_weights is None else form.share_weights
    return {
        "source": source.astype(np.int32),
        "code": code.astype(np.int16),
        "class": y.astype(np.int16),
        "score": form.temperature * form.scores.ravel(),
        "share": np.where(code == y, weights[source], 0.0),
    }


def labels_select_sparse(
    form: ScoreForm,
    *,
    votes: str,
    rows: str,
    scores: str,
    keys: Sequence[str],
    labels: Sequence[str],
    source: str = "source",
    code: str = "code",
) -> str:
    """SELECT statement that labels the rows of a relation from votes in long form; equals `posterior` to 1e-9.

    Parameters
    ----------
    form : what to evaluate; its scores are read from `scores`
    votes : quoted name of a relation, or a parenthesised query: the keys, `source` and `code`, one row per vote
    rows : the same of a relation with the keys of all rows, each once
    scores : the same of a relation with the rows of `score_rows`
    keys : quoted key columns, at least one
    labels : k class names, unquoted
    source, code : quoted columns of `votes`: position of the source (votes of others are no votes), value 0 … k-1

    Returns
    -------
    str
        Columns as in `sql.labels_select`.

    Raises
    ------
    ValueError
        If `labels` does not match the form or there is no key.
    """
    if len(labels) != form.n_classes or not keys:
        raise ValueError(f"{len(labels)} labels, {len(keys)} keys do not match {form.n_classes} classes")
    classes = range(form.n_classes)
    known = f"{source} BETWEEN 0 AND {form.n_sources - 1} AND {code} BETWEEN 0 AND {form.n_classes - 1}"
    # One row per source and value, with the scores of all classes side by side: a vote is joined once.
    wide = ", ".join(
        f"sum(score) FILTER (class = {y}) AS __ws_s{y}, sum(share) FILTER (class = {y}) AS __ws_w{y}" for y in classes
    )
    table = f"(SELECT source AS __ws_source, code AS __ws_code, {wide}\nFROM {scores} GROUP BY ALL) AS __ws_scores"
    sums = ", ".join(
        f"sum(__ws_s{y}) AS __ws_e{y}, sum(__ws_w{y}) AS __ws_a{y}, count(*) FILTER ({code} = {y}) AS __ws_c{y}"
        for y in classes
    )
    names = ", ".join(keys)
    summed = (
        f"(SELECT {names}, {sums}, count(*) AS __ws_all\nFROM {votes} AS __ws_votes JOIN {table}\n"
        f"ON __ws_source = {source} AND __ws_code = {code}\nWHERE {known} GROUP BY ALL) AS __ws_sums"
    )
    joined = (
        f"(SELECT *\nFROM (SELECT {names} FROM {rows}) AS __ws_rows LEFT JOIN {summed} USING ({names})) AS __ws_joined"
    )
    counts = [f"coalesce(__ws_c{y}, 0) AS __ws_v{y}" for y in classes]
    first = [*(f"{_evidence(form, y)} AS __ws_z{y}" for y in classes), "coalesce(__ws_all, 0) AS __ws_n", *counts]
    carried = [f"__ws_v{y}" for y in classes]
    if form.share_mix is not None:
        first += [
            f"coalesce({'__ws_c' if form.share_weights is None else '__ws_a'}{y}, 0) AS __ws_n{y}" for y in classes
        ]
    query = sql.layered(form, joined, [*keys], first, extra=carried)
    return f"SELECT {', '.join([*keys, *sql.output(labels, carried)])}\nFROM {query}"


def _evidence(form: ScoreForm, y: int) -> str:
    bias = sql.literal(form.temperature * (form.bias[y] - form.bias[0]))
    return f"({bias} + coalesce(__ws_e{y} - __ws_e0, 0e0))"
