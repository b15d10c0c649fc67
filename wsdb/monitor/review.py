"""Which rows to look at: coverage_gaps, sample_for_review and label_issues."""

from __future__ import annotations

from wsdb.core.sqltext import ident, idents, literal, literals, stored
from wsdb.monitor.labelled import Labelled

STRATEGIES = ("entropy", "disagreement", "uncovered", "random", "balanced")
"""How sample_for_review chooses."""
POOL = 20_000
"""Rows drawn by the seed, from which sample_for_review takes the most useful ones."""


def gaps_body(rows: Labelled) -> str:
    """Return the body of the macro ``coverage_gaps``; its parameter ``of_by`` is a column of the task's relation."""
    keys = idents(rows.task.keys)
    gaps = f"SELECT {keys}, 1 AS __gap FROM {rows.matrix} AS m WHERE {rows.uncovered('m.')}"
    by = "CAST(COLUMNS(lambda c: lower(c) = lower(@of_by@)) AS VARCHAR) AS __group"
    return (
        "SELECT __group AS segment, count(*) AS n, count(__gap) AS uncovered, count(__gap) / count(*) AS share "
        f"FROM (SELECT {keys}, {by} {rows.relation}) LEFT JOIN ({gaps}) USING ({keys}) "
        "GROUP BY __group ORDER BY uncovered DESC, n DESC, __group NULLS LAST"
    )


def sample_body(rows: Labelled) -> str:
    """Return the body of the macro ``sample_for_review``; its parameters are ``of_n``, ``strategy`` and ``seed``.

    Rows without a gold label come first, then the others. Of each, the strategy decides:

    * entropy: the least sure labels, by the entropy of their probabilities;
    * disagreement: the largest share of votes against the label;
    * uncovered: rows on which no source votes;
    * balanced: as many of each label as there are;
    * random: any.

    All but ``uncovered`` choose among the rows of a pool of some twenty thousand that the seed draws, all of a smaller
    task, so that the labels of millions of rows need not be computed.
    """
    # Of the type of a hash: of another one, each row would be divided as a 128-bit number.
    share = f"CAST(greatest({rows.n_rows} // greatest({POOL}, 2 * CAST(@of_n@ AS BIGINT)), 1) AS UBIGINT)"
    drawn = f"{rows.order} % {share} = 0 AND (@strategy@ = 'random' OR NOT ({rows.uncovered()}))"
    drawn += " AND @strategy@ <> 'uncovered'"
    pool = f"SELECT *, {rows.order} AS __at FROM {rows.matrix} WHERE {drawn}"
    labelled = rows.select(pool, [*rows.keys, "__gold", "__at"])
    each = "p * ln(greatest(p, 1e-300))"
    if rows.task.kind == "bitvector":  # each label may apply or not
        each += " + (1 - p) * ln(greatest(1 - p, 1e-300))"
    entropy = f"abs(list_sum(list_transform(map_values(probs), lambda p: {each})))"
    rank = (
        f"CASE @strategy@ WHEN 'entropy' THEN -({entropy}) WHEN 'disagreement' THEN -(n_conflicts / n_votes) "
        "WHEN 'balanced' THEN row_number() OVER (PARTITION BY __gold IS NULL, label ORDER BY __at) ELSE 0 END"
    )
    why = (
        f"CASE @strategy@ WHEN 'entropy' THEN format('entropy {{:.3f}}', {entropy}) "
        "WHEN 'disagreement' THEN format('{} of {} votes are for another label', n_conflicts, n_votes) "
        "WHEN 'balanced' THEN 'label ' || CAST(label AS VARCHAR) WHEN 'random' THEN 'random' ELSE "
        + _unknown_strategy()
        + " END"
    )
    keys = idents(rows.task.keys)
    gaps = (
        f"SELECT {keys}, NULL AS label, NULL AS prob, 'no votes' AS why, __gold IS NOT NULL AS __known, 0 AS __rank, "
        f"{rows.order} AS __at FROM {rows.matrix} WHERE @strategy@ = 'uncovered' AND {rows.uncovered()}"
    )
    found = f"SELECT {keys}, label, prob, {why} AS why, __gold IS NOT NULL AS __known, {rank} AS __rank, __at"
    return (
        f"SELECT {keys}, label, prob, why FROM ({found} FROM ({labelled}) UNION ALL {gaps}) "
        f"WHERE @strategy@ IN ({literals(STRATEGIES)}) OR {_unknown_strategy()}::BOOLEAN "
        "ORDER BY __known, __rank, __at LIMIT CAST(@of_n@ AS BIGINT)"
    )


def _unknown_strategy() -> str:
    return f"error('[WS308] unknown strategy \"' || @strategy@ || '\"; one of ' || {literal(', '.join(STRATEGIES))})"


def issues_body(rows: Labelled) -> str:
    """Return the body of the macro ``label_issues``: the gold labels that the label model disputes.

    Notes
    -----
    Confident learning (Northcutt et al. 2021): the threshold of a label is the mean probability that the label model
    gives it over the rows whose gold label it is. A row is suspect where another label reaches its threshold; the
    score is the probability of the gold label less that of the suggested one. Rows without votes are not judged. Of a
    bitvector each label is judged by itself, as <label> against not <label>, where a source votes on it.
    """
    keys = idents(rows.task.keys)
    known = f"SELECT * FROM {rows.matrix} WHERE __gold IS NOT NULL"
    labelled = rows.select(known, [*rows.keys, "__gold"])
    given = f"SELECT {keys}, {rows.gold} AS given, label, probs FROM ({labelled}) WHERE covered"
    if rows.task.kind == "bitvector":
        given = _bits(rows, given)
    return (
        f"SELECT {keys}, given AS gold, label, suggested, prob, score, 'gold' AS kind "
        f"FROM ({disputed(given, keys)}) ORDER BY score, {keys}"
    )


def prediction_issues_body(rows: Labelled) -> str:
    """Return the body of the macro ``prediction_issues``: the labels that stored predictions dispute.

    Its parameter ``of_predictions`` names a relation with the task's keys and ``predicted_<task>_probs``.
    """
    task = rows.task
    keys, probs = idents(task.keys), ident(f"predicted_{task.name}_probs")
    given = (
        f"SELECT {idents(task.keys, 'l.')}, l.label AS given, l.label, p.{probs} AS probs "
        f"FROM {stored('labels_' + task.name)} AS l JOIN query_table(@of_predictions@) AS p USING ({keys}) "
        f"JOIN {rows.matrix} AS m USING ({keys}) WHERE l.covered AND m.__gold IS NULL"
    )
    if task.kind == "bitvector":
        given = _bits(rows, given)
    return (
        f"SELECT {keys}, NULL::VARCHAR AS gold, label, suggested, prob, score, 'label' AS kind "
        f"FROM ({disputed(given, keys)}) ORDER BY score, {keys}"
    )


def _bits(rows: Labelled, given: str) -> str:
    """Return the SELECT of keys, given, label and probs with a row for each label of a bitvector that has votes.

    Parameters
    ----------
    given : SELECT of keys, given and label, lists of labels, and probs, P(yes) of each label
    """
    task, keys = rows.task, idents(rows.task.keys)
    names = f"[{literals(task.labels)}]"
    each = f"SELECT {keys}, given, label, probs, unnest({names}) AS bit, unnest(range({len(task.labels)})) AS place"
    known = f"SELECT {keys}, known FROM {stored('posterior_' + task.name)}"

    def side(labels: str) -> str:
        return f"CASE WHEN list_contains({labels}, bit) THEN bit ELSE 'not ' || bit END"

    of = "probs[bit]"
    return (
        f"SELECT {keys}, {side('given')} AS given, {side('label')} AS label, "
        f"map([bit, 'not ' || bit], [{of}, 1 - {of}]) AS probs FROM ({each} FROM ({given})) "
        f"JOIN ({known}) USING ({keys}) WHERE known[place + 1]"
    )


def disputed(given: str, keys: str) -> str:
    """Return the SELECT of the rows whose given label is disputed.

    Parameters
    ----------
    given : SELECT of keys, given, label and probs
    keys : quoted key columns

    Returns
    -------
    str
        Columns: the keys, given, label, suggested, prob (that of the suggested label) and score.
    """
    others = "list_filter(map_entries(probs), lambda e: e.key <> given AND e.value >= coalesce(thresholds[e.key], 2.0))"
    best = f"list_reverse_sort(list_transform({others}, lambda e: {{'prob': e.value, 'label': e.key}}))[1]"
    return (
        f"WITH given AS MATERIALIZED ({given}), thresholds AS (SELECT map(list(given), list(t)) AS thresholds FROM "
        "(SELECT given, avg(probs[given]) AS t FROM given GROUP BY given)) "
        f"SELECT {keys}, given, label, best.label AS suggested, best.prob AS prob, probs[given] - best.prob AS score "
        f"FROM (SELECT *, {best} AS best FROM given, thresholds) WHERE best IS NOT NULL"
    )
