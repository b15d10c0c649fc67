"""explain_row: how the label of one row comes about, term by term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsdb.core.sqltext import ident, idents, literal, stored
from wsdb.monitor.labelled import Labelled


def explain_body(rows: Labelled) -> str:
    """Return the body of the macro ``explain_row``; its parameter ``of_key`` is the key as JSON.

    Notes
    -----
    The terms are those of the label model's closed form: log prior, the evidence of each vote in nats (temperature
    included), and the log of the vote-share factor. Their sum, exponentiated and scaled to sum to 1, is the
    probability; a row without a vote has the prior.
    """
    low = literal(rows.task.name.lower())
    scores = f"SELECT * FROM {stored('label_scores')} WHERE lower(task) = {low}"
    said = (
        f"SELECT s.source, s.lf, s.vote, w.weight, s.class, s.label, s.score, s.share FROM ({_votes(rows)}) AS v "
        f"JOIN ({scores}) AS s ON s.source = v.source AND s.code = v.code "
        f"LEFT JOIN ({weights(rows)}) AS w ON w.lf = s.lf"
    )
    bias = f"SELECT * FROM {stored('label_bias')} WHERE lower(task) = {low}"
    return summed(rows, {"bias": bias, "said": said}, "(SELECT count(*) FROM said) > 0")


def weights(rows: Labelled) -> str:
    """Return the SELECT of the weight of each source."""
    low = literal(rows.task.name.lower())
    learned = f"{stored('label_parameters')} WHERE lower(task) = {low}"
    return f"SELECT lf, any_value(weight) AS weight, any_value(accuracy) AS accuracy FROM {learned} GROUP BY lf"


def summed(
    rows: Labelled,
    parts: Mapping[str, str],
    covered: str,
    more: Sequence[str] = (),
    *,
    prior: bool = True,
    alone: bool = False,
) -> str:
    """Return the SELECT of the terms of the chosen row, their total, and the probabilities that follow from it.

    Parameters
    ----------
    parts : common table expressions. Among them ``bias``, for each class its label, bias, prior, mix and power, and
        ``said``, for each vote and class the source, lf, vote, weight, score and share; they may read ``chosen``, the
        row
    covered : SQL condition that the row has a label; it has the prior else
    more : names of ``parts`` that are terms besides: class and value; a term of no rows is left out
    prior : whether the prior is a term
    alone : whether each class is a yes or no of its own, with the total as its log odds
    """
    extra = "".join(f", any_value({name}.value) AS {name}" for name in more)
    joins = "".join(f" LEFT JOIN {name} ON {name}.class = b.class" for name in more)
    classes = (
        f"SELECT b.class, b.label, b.bias, b.prior, b.mix, b.power, {covered} AS covered, "
        "(SELECT count(DISTINCT source) FROM said) AS votes, "
        "coalesce(sum(s.score), 0) AS score, coalesce(sum(s.share), 0) AS share, "
        f"(SELECT coalesce(sum(share), 0) FROM said) AS shares, (SELECT count(*) FROM bias) AS k{extra} "
        f"FROM bias AS b LEFT JOIN said AS s ON s.class = b.class{joins} "
        "GROUP BY b.class, b.label, b.bias, b.prior, b.mix, b.power"
    )
    part = "mix * share / nullif(shares, 0) + (1 - mix) / k"
    factored = (
        f"SELECT *, CASE WHEN mix IS NULL OR NOT covered OR power = 0 THEN 0 WHEN {part} > 0 THEN power * ln({part}) "
        "ELSE '-infinity'::DOUBLE END AS factor FROM classes"
    )
    totals = (
        f"SELECT *, bias + score + factor{''.join(f' + coalesce({name}, 0)' for name in more)} AS total FROM factored"
    )
    # A total of minus infinity is a mass of 0.
    masses = (
        "SELECT *, CASE WHEN isinf(total) THEN 0 ELSE exp(total - (SELECT max(total) FROM totals)) END AS mass "
        "FROM totals"
    )
    found = "1 / (1 + exp(-total))" if alone else "mass / (SELECT sum(mass) FROM masses)"
    answer = f"SELECT *, CASE WHEN covered THEN {found} ELSE prior END AS prob FROM masses"
    terms = " UNION ALL ".join(
        [
            _term(0, "prior", "bias", str(prior).lower()),
            "SELECT 1, 'vote', source, lf, vote, weight, map(list(label ORDER BY class), list(score ORDER BY class)) "
            "FROM said GROUP BY source, lf, vote, weight",
            *(
                _term(2 + at, name.replace("_", " "), name, f"{name} IS NOT NULL AND covered")
                for at, name in enumerate(more)
            ),
            _term(7, "vote share", "factor", "covered AND mix IS NOT NULL"),
            _term(8, "total", "total", "covered"),
            _term(9, "probability", "prob"),
        ]
    )
    given = "".join(f"{name} AS MATERIALIZED ({select}), " for name, select in parts.items())
    return (
        f"WITH chosen AS MATERIALIZED ({chosen(rows)}), {given}"
        f"classes AS ({classes}), factored AS ({factored}), totals AS MATERIALIZED ({totals}), "
        f"masses AS MATERIALIZED ({masses}), answer AS MATERIALIZED ({answer}), terms AS ({terms}) "
        "SELECT term, lf, vote, weight, evidence FROM terms "
        f"WHERE (SELECT count(*) FROM chosen) > 0 OR {_missing(rows)}::BOOLEAN ORDER BY step, source"
    )


def _term(step: int, term: str, value: str, condition: str = "true") -> str:
    names = ["step", "term", "source", "lf", "vote", "weight", "evidence"]
    values = [str(step), literal(term), "NULL::INTEGER", "NULL::VARCHAR", "NULL::VARCHAR", "NULL::DOUBLE"]
    values.append(f"map(list(label ORDER BY class), list(({value})::DOUBLE ORDER BY class))")
    given = ", ".join(f"{text} AS {name}" for text, name in zip(values, names, strict=True))
    return f"SELECT {given} FROM answer WHERE {condition} HAVING count(*) > 0"


def chosen(rows: Labelled) -> str:
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
        given, text = f"coalesce({', '.join(f'({one})' for one in said)}, {whole})", f"CAST({ident(key)} AS VARCHAR)"
        # 1.1 is the key 1.10, too.
        number = f"TRY_CAST({text} AS DOUBLE) = TRY_CAST({given} AS DOUBLE)"
        fraction = f"regexp_matches(typeof({ident(key)}), '^(DECIMAL|DOUBLE|FLOAT)')"
        parts.append(f"({text} = {given} OR {fraction} AND {number})")
    return f"SELECT * FROM {rows.table} WHERE {' AND '.join(parts)} LIMIT 1"


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
