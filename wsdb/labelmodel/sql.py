"""ScoreForm to SQL: a plain DuckDB SELECT over vote columns that gives each row's label and probabilities.

Layers of nested SELECTs, so that each class score is written once:

    votes -> class scores -> unnormalised masses -> probabilities -> label -> output columns
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsdb.labelmodel.score import TIE, ScoreForm

ARMS = 4_000
"""Above this many scores they are looked up in constant lists, which bind faster than CASE arms."""


def labels_select(
    form: ScoreForm,
    *,
    relation: str,
    keys: Sequence[str],
    columns: Sequence[str],
    labels: Sequence[str],
) -> str:
    """SELECT statement that labels the rows of a relation; equals `posterior` to 1e-9.

    Parameters
    ----------
    form : what to evaluate
    relation : quoted name of a relation, or a parenthesised query
    keys : quoted key columns, passed through
    columns : m quoted vote columns, integer codes 0 … k-1, NULL = abstain
    labels : k class names, unquoted

    Returns
    -------
    str
        Columns: the keys; label VARCHAR and prob DOUBLE, its probability (both NULL where no source votes);
        probs MAP(VARCHAR, DOUBLE), the prior where no source votes; n_votes INTEGER; n_conflicts INTEGER,
        votes for another class than the label; covered BOOLEAN.

    Raises
    ------
    ValueError
        If `columns` or `labels` do not match the form.
    """
    if len(columns) != form.n_sources or len(labels) != form.n_classes:
        raise ValueError(f"{len(columns)} columns, {len(labels)} labels do not match {form.scores.shape}")
    classes = range(form.n_classes)
    # Plain vote shares have counted the votes per class, and nothing needs the vote columns again.
    counted = form.share_mix is not None and form.share_weights is None
    carried = [*keys, *([] if counted else columns)]
    query = layered(form, relation, carried, [*_scores(form, columns), *_counts(form, columns)])
    agreeing = _each("n", classes) if counted else columns
    return f"SELECT {', '.join([*keys, *output(labels, agreeing, counted=counted)])}\nFROM {query}"


def layered(
    form: ScoreForm, relation: str, carried: Sequence[str], first: Sequence[str], extra: Sequence[str] = ()
) -> str:
    """The layers from class scores to the label, as nested queries.

    Parameters
    ----------
    relation : quoted name of a relation, or a parenthesised query
    carried : columns of `relation` that every layer passes on
    first : terms of the first layer: __ws_z0 … evidence of each class, __ws_n votes, and, where the form has vote
        shares, __ws_n0 … votes or their weight for each class; `extra` are names of more terms to pass on
    """
    classes = range(form.n_classes)
    counts = ["__ws_n", *(_each("n", classes) if form.share_mix is not None else []), *extra]
    layers = [
        first,
        [f"greatest({_names('z', classes)}) AS __ws_top", *_each("z", classes), *counts],
        [*(f"{_mass(form, y)} AS __ws_m{y}" for y in classes), *counts],
        [f"{_sum(_each('m', classes))} AS __ws_total", *_each("m", classes), *counts],
        [*(f"{_probability(form, y)} AS __ws_p{y}" for y in classes), *counts],
        [f"greatest({_names('p', classes)}) AS __ws_best", *_each("p", classes), *counts],
        [f"{_choice(form)} AS __ws_label", *_each("p", classes), *counts],
    ]
    query = relation
    for depth, layer in enumerate(layers):
        query = f"(SELECT {', '.join([*carried, *layer])}\nFROM {query}) AS __ws_{depth}"
    return query


def output(labels: Sequence[str], votes: Sequence[str], *, counted: bool = True) -> list[str]:
    """The output columns after the keys; `votes` are columns with counts per class, or of votes if not `counted`."""
    classes = range(len(labels))
    names = [quoted(label) for label in labels]
    agreeing = (
        _case(votes, "0") if counted else _sum([f"coalesce(({column} = __ws_label)::INTEGER, 0)" for column in votes])
    )
    return [
        f"{_case(names, 'NULL')} AS label",
        f"{_case([f'__ws_p{y}' for y in classes], 'NULL')} AS prob",
        f"map([{', '.join(names)}], [{_names('p', classes)}]) AS probs",
        "__ws_n::INTEGER AS n_votes",
        f"(__ws_n - {agreeing})::INTEGER AS n_conflicts",
        "__ws_n > 0 AS covered",
    ]


def literal(number: float) -> str:
    """Spell a number so that DuckDB reads exactly this DOUBLE, not a DECIMAL.

    Examples
    --------
    >>> literal(0.1)
    '1.0000000000000001e-01'
    """
    return f"{float(number):.16e}"


def quoted(text: str) -> str:
    """Spell a string as a SQL literal.

    Examples
    --------
    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def _evidence(form: ScoreForm, columns: Sequence[str], y: int) -> list[str]:
    """Terms of the score of class y less that of class 0, which leaves the posterior as it is."""
    bias = form.temperature * (form.bias[y] - form.bias[0])
    terms = [literal(bias)]
    relative = form.temperature * (form.scores[:, :, y] - form.scores[:, :, 0])  # [m, k]
    lists = np.count_nonzero(form.scores) > ARMS
    for column, row in zip(columns, relative, strict=True):
        arms = np.flatnonzero(row)
        if lists and len(arms) > 2:
            table = quoted("[" + ",".join(repr(float(score)) for score in row) + "]")
            terms.append(f"coalesce(({table}::DOUBLE[])[{column} + 1], 0e0)")
        elif len(arms):
            cases = " ".join(f"WHEN {v} THEN {literal(row[v])}" for v in arms)
            terms.append(f"CASE {column} {cases} ELSE 0e0 END")
    return terms


def _scores(form: ScoreForm, columns: Sequence[str]) -> list[str]:
    return [f"{_sum(_evidence(form, columns, y))} AS __ws_z{y}" for y in range(form.n_classes)]


def _counts(form: ScoreForm, columns: Sequence[str]) -> list[str]:
    every = _sum([f"({column} IS NOT NULL)::INTEGER" for column in columns])
    counted = [f"{every} AS __ws_n"]
    if form.share_mix is not None:
        classes = range(form.n_classes)
        counted += [f"{_sum(_votes_for(form, columns, y))} AS __ws_n{y}" for y in classes]
    return counted


def _votes_for(form: ScoreForm, columns: Sequence[str], y: int) -> list[str]:
    if form.share_weights is None:
        return [f"coalesce(({column} = {y})::INTEGER, 0)" for column in columns]
    weights = form.share_weights.tolist()
    return [
        f"CASE WHEN {column} = {y} THEN {literal(weight)} ELSE 0e0 END"
        for column, weight in zip(columns, weights, strict=True)
    ]


def _probability(form: ScoreForm, y: int) -> str:
    return f"CASE WHEN __ws_n > 0 THEN __ws_m{y} / __ws_total ELSE {literal(form.prior[y])} END"


def _mass(form: ScoreForm, y: int) -> str:
    mass = f"exp(__ws_z{y} - __ws_top)"
    if form.share_mix is None or form.share_power == 0:
        return mass
    # Integer counts: / is DuckDB's division of doubles. An uncovered row is replaced later.
    votes = "__ws_n" if form.share_weights is None else _sum(_each("n", range(form.n_classes)))
    share = f"__ws_n{y} / nullif({votes}, 0)"
    if form.share_mix != 1:
        rest = (1 - form.share_mix) / form.n_classes
        share = f"{literal(form.share_mix)} * ({share}) + {literal(rest)}"
    power = f"({share})" if form.share_power == 1 else f"pow({share}, {literal(form.share_power)})"
    return f"{mass} * {power}"


def _choice(form: ScoreForm) -> str:
    arms = " ".join(f"WHEN __ws_p{y} >= __ws_best - {literal(TIE)} THEN {y}" for y in form.tie_order)
    return f"CASE WHEN __ws_n = 0 THEN NULL {arms} END"


def _case(values: Sequence[str], otherwise: str) -> str:
    arms = " ".join(f"WHEN {y} THEN {value}" for y, value in enumerate(values))
    return f"CASE __ws_label {arms} ELSE {otherwise} END"


def _each(letter: str, classes: range) -> list[str]:
    return [f"__ws_{letter}{y}" for y in classes]


def _names(letter: str, classes: range) -> str:
    return ", ".join(_each(letter, classes))


def _sum(terms: Sequence[str]) -> str:
    """A balanced tree of additions: hundreds of terms in a row would exceed DuckDB's expression depth."""
    if len(terms) <= 4:
        return "(" + " + ".join(terms) + ")" if terms else "0"
    middle = len(terms) // 2
    return f"({_sum(terms[:middle])} + {_sum(terms[middle:])})"
