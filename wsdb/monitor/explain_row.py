"""explain_row: how the label of one row comes about, term by term."""

from __future__ import annotations

from wsdb.core.sqltext import ident, idents, literal, stored
from wsdb.monitor.labelled import Labelled
from wsdb.monitor.rows import vote_label


def explain_body(rows: Labelled) -> str:
    """Return the body of the macro ``explain_row``; its parameter ``of_key`` is the key as JSON.

    Notes
    -----
    The terms are those of the label model's closed form: log prior, the evidence of each vote in nats (temperature
    included), and the log of the vote-share factor. Their sum, exponentiated and scaled to sum to 1, is the
    probability; a row without a vote has the prior.
    """
    task = rows.task
    low = literal(task.name.lower())
    bias = f"SELECT * FROM {stored('label_bias')} WHERE lower(task) = {low}"
    scores = f"SELECT * FROM {stored('label_scores')} WHERE lower(task) = {low}"
    learned = f"{stored('label_parameters')} WHERE lower(task) = {low}"
    weights = f"SELECT lf, any_value(weight) AS weight FROM {learned} GROUP BY lf"
    said = (
        f"SELECT s.source, s.lf, s.vote, w.weight, s.class, s.label, s.score, s.share FROM ({_votes(rows)}) AS v "
        f"JOIN ({scores}) AS s ON s.source = v.source AND s.code = v.code LEFT JOIN ({weights}) AS w ON w.lf = s.lf"
    )
    classes = (
        "SELECT b.class, b.label, b.bias, b.prior, b.mix, b.power, (SELECT count(DISTINCT source) FROM said) AS votes, "
        "coalesce(sum(s.score), 0) AS score, coalesce(sum(s.share), 0) AS share, "
        "(SELECT coalesce(sum(share), 0) FROM said) AS shares, (SELECT count(*) FROM bias) AS k "
        "FROM bias AS b LEFT JOIN said AS s ON s.class = b.class GROUP BY ALL"
    )
    part = "mix * share / nullif(shares, 0) + (1 - mix) / k"
    factored = (
        f"SELECT *, CASE WHEN mix IS NULL OR votes = 0 OR power = 0 THEN 0 WHEN {part} > 0 THEN power * ln({part}) "
        "ELSE '-infinity'::DOUBLE END AS factor FROM classes"
    )
    totals = "SELECT *, bias + score + factor AS total FROM factored"
    # A total of minus infinity is a mass of 0.
    masses = (
        "SELECT *, CASE WHEN isinf(total) THEN 0 ELSE exp(total - (SELECT max(total) FROM totals)) END AS mass "
        "FROM totals"
    )
    answer = (
        "SELECT *, CASE WHEN votes = 0 THEN prior ELSE mass / (SELECT sum(mass) FROM masses) END AS prob FROM masses"
    )
    terms = " UNION ALL ".join(
        [
            _term(0, "prior", "bias"),
            "SELECT 1, 'vote', source, lf, vote, weight, map(list(label ORDER BY class), list(score ORDER BY class)) "
            "FROM said GROUP BY source, lf, vote, weight",
            _term(2, "vote share", "factor", "votes > 0 AND mix IS NOT NULL"),
            _term(3, "total", "total", "votes > 0"),
            _term(4, "probability", "prob"),
        ]
    )
    return (
        f"WITH chosen AS MATERIALIZED ({_chosen(rows)}), bias AS ({bias}), said AS MATERIALIZED ({said}), "
        f"classes AS ({classes}), factored AS ({factored}), totals AS MATERIALIZED ({totals}), "
        f"masses AS MATERIALIZED ({masses}), answer AS MATERIALIZED ({answer}), terms AS ({terms}) "
        "SELECT term, lf, vote, weight, evidence FROM terms "
        f"WHERE (SELECT count(*) FROM chosen) > 0 OR {_missing(rows)}::BOOLEAN ORDER BY step, source"
    )


def stored_body(rows: Labelled) -> str:
    """Return the body of ``explain_row`` where labels are stored row by row: the votes and the probabilities.

    Such a label depends on other rows or votes too, so that its evidence is no sum of this row's terms.
    """
    task = rows.task
    low, names = literal(task.name.lower()), ", ".join(literal(name) for name in rows.columns)
    labels = stored("labels_" + task.name)
    learned = f"{stored('label_parameters')} WHERE lower(task) = {low}"
    weights = f"SELECT lf, any_value(weight) AS weight FROM {learned} GROUP BY lf"
    evidence = "NULL::MAP(VARCHAR, DOUBLE) AS evidence"
    votes = (
        f"SELECT 1 AS step, v.source, 'vote' AS term, ([{names}]::VARCHAR[])[v.source + 1] AS lf, "
        f"{vote_label('v.code', task)} AS vote FROM ({_votes(rows)}) AS v WHERE v.code IS NOT NULL"
    )
    terms = (
        f"SELECT v.step, v.source, v.term, v.lf, v.vote, w.weight, {evidence} FROM ({votes}) AS v "
        f"LEFT JOIN ({weights}) AS w ON w.lf = v.lf UNION ALL "
        f"SELECT 2, NULL, 'probability', NULL, NULL, NULL, l.probs FROM {labels} AS l "
        f"JOIN chosen USING ({idents(task.keys)})"
    )
    return (
        f"WITH chosen AS MATERIALIZED ({_chosen(rows)}), terms AS ({terms}) "
        "SELECT term, lf, vote, weight, evidence FROM terms "
        f"WHERE (SELECT count(*) FROM chosen) > 0 OR {_missing(rows)}::BOOLEAN ORDER BY step, source"
    )


def _term(step: int, term: str, value: str, condition: str = "true") -> str:
    names = ["step", "term", "source", "lf", "vote", "weight", "evidence"]
    values = [str(step), literal(term), "NULL::INTEGER", "NULL::VARCHAR", "NULL::VARCHAR", "NULL::DOUBLE"]
    values.append(f"map(list(label ORDER BY class), list(({value})::DOUBLE ORDER BY class))")
    given = ", ".join(f"{text} AS {name}" for text, name in zip(values, names, strict=True))
    return f"SELECT {given} FROM answer WHERE {condition} HAVING count(*) > 0"


def _chosen(rows: Labelled) -> str:
    """Return the SELECT of the row with the key, of one or of no row."""
    task = rows.task
    parts = []
    for at, key in enumerate(task.keys):
        name = key.replace("\\", "\\\\").replace('"', '\\"')
        json = "CAST(@of_key@ AS JSON)"
        said = [f"{json}->>{literal(f'$.{chr(34)}{name}{chr(34)}')}", f"{json}->>'$[{at}]'"]
        whole = f"CASE WHEN json_type({json}) NOT IN ('OBJECT', 'ARRAY') THEN {json}->>'$' END"
        if len(task.keys) > 1:
            whole = f"trim(split_part({whole}, ',', {at + 1}))"
        parts.append(f"CAST({ident(key)} AS VARCHAR) = coalesce({', '.join(f'({text})' for text in said)}, {whole})")
    return f"SELECT * FROM {rows.matrix} WHERE {' AND '.join(parts)} LIMIT 1"


def _missing(rows: Labelled) -> str:
    return (
        f"error('[WS209] task ' || {literal(rows.task.name)} || ' has no row with the key ' || "
        f"coalesce(@of_key@, 'NULL') || '; its key is ' || {literal(idents(rows.task.keys))})"
    )


def _votes(rows: Labelled) -> str:
    """Return the SELECT of source and code of the votes of the chosen row."""
    if rows.storage == "sparse":
        return f"SELECT v.source, v.code FROM {rows.votes} AS v JOIN chosen USING (__id)"
    if not rows.columns:
        return "SELECT 0 AS source, 0 AS code WHERE false"
    return f"SELECT unnest(range({len(rows.columns)})) AS source, unnest([{idents(rows.columns)}]) AS code FROM chosen"
