"""explain_row where labels are stored row by row: the terms of the label model of the task's shape."""

from __future__ import annotations

from wsdb.core.sqltext import ident, idents, literal, stored
from wsdb.monitor.explain_row import summed, weights
from wsdb.monitor.labelled import Labelled
from wsdb.monitor.rows import set_text, vote_label


def stored_body(rows: Labelled, rest: str | None, *, prior: bool, unsure: bool) -> str:
    """Return the body of the macro ``explain_row``; its parameter ``of_key`` is the key as JSON.

    Parameters
    ----------
    rest : the name of what other rows or tasks say, which is stored with each label; None where that is nothing
    prior : whether the prior is a term of its own; that of a sequence comes with the rest of it
    unsure : whether votes count by their confidence

    Notes
    -----
    Terms are as of the closed form, in nats: log prior, each vote, and the vote-share factor. Besides, as a shape has
    them: ``silence``, the evidence of the sources that say nothing of an element, and what the rest of the sequence, or
    the votes on the other tasks of a task graph and the rules between them, say of this row. The classes of a bitvector
    are a yes or no each: their terms are log odds of yes.
    """
    task = rows.task
    low = literal(task.name.lower())
    posterior = f"(SELECT * FROM {stored('posterior_' + task.name)} SEMI JOIN chosen USING ({idents(task.keys)}))"
    scores = f"(SELECT * FROM {stored('label_scores')} WHERE lower(task) = {low})"
    said = (
        "SELECT s.source, s.lf, s.vote, w.weight, s.class, s.label, s.score * v.trust AS score, "
        f"s.share * v.trust AS share FROM ({_votes(rows, unsure=unsure)}) AS v JOIN {scores} AS s "
        f"ON s.source = v.source AND s.vote = v.vote LEFT JOIN ({weights(rows)}) AS w ON w.lf = s.lf"
    )
    silence = (
        f"SELECT class, sum(score) AS value FROM {scores} WHERE code = -1 AND source NOT IN (SELECT source FROM said) "
        "GROUP BY class"
    )
    parts = {
        "bias": f"SELECT * FROM {stored('label_bias')} WHERE lower(task) = {low}",
        "said": said,
        "silence": silence,
    }
    more = ["silence"]
    if rest is not None:
        name = rest.replace(" ", "_")
        parts[name] = f"SELECT class, p.others[class + 1] AS value FROM bias, {posterior} AS p"
        more.append(name)
    covered = f"(SELECT any_value(covered) FROM {posterior})"
    return summed(rows, parts, covered, more, prior=prior, alone=task.kind == "bitvector")


def _votes(rows: Labelled, *, unsure: bool) -> str:
    """Return the SELECT of source, vote (its name) and trust of the votes of the chosen row."""
    task, keys = rows.task, idents(rows.task.keys)
    if not rows.columns:
        return "SELECT 0 AS source, ''::VARCHAR AS vote, 1.0 AS trust WHERE false"
    names = ", ".join(literal(name) for name in rows.columns)
    place = f"list_position([{names}]::VARCHAR[], column_name) - 1"
    said = ", ".join(vote_label(ident(name), task.coded) for name in rows.columns)
    votes = f"SELECT unnest(range({len(rows.columns)})) AS source, unnest([{said}]) AS vote FROM chosen"
    if rows.storage == "sparse":
        label = vote_label("v.code", task.coded)
        votes = f"SELECT v.source, {label} AS vote FROM {rows.votes} AS v JOIN chosen USING (__id)"
    if rows.sets:
        table = stored("sets_" + task.name)
        votes += f" UNION ALL SELECT {place}, {set_text('labels')} FROM {table} SEMI JOIN chosen USING ({keys})"
    if not unsure:
        return f"SELECT source, vote, 1.0 AS trust FROM ({votes}) WHERE vote IS NOT NULL AND source IS NOT NULL"
    trust = (
        f"SELECT {place} AS source, least(greatest(confidence, 0), 1) AS trust "
        f"FROM {stored('confidence_' + task.name)} SEMI JOIN chosen USING ({keys})"
    )
    return (
        f"SELECT source, vote, coalesce(trust, 1) AS trust FROM ({votes}) LEFT JOIN ({trust}) USING (source) "
        "WHERE vote IS NOT NULL AND source IS NOT NULL AND coalesce(trust, 1) > 0"
    )


def select_body(rows: Labelled) -> str:
    """Return the body of the macro ``explain_row`` of a task that picks one element of each row.

    Notes
    -----
    With G elements, a source whose votes leave the set S of them gives each element in S

        weight * (ln(accuracy + (|S| - 1) b) - ln(|S| b)),  b = (1 - accuracy) / (G - 1)

    and the others nothing (`wsdb.labelmodel.select_one`). The prior of an element is -ln G. It is picked against all
    others: ``other elements`` is the log of the sum of their masses.
    """
    task = rows.task
    group = idents(task.keys[:-1])
    pos = ident(task.keys[-1])
    names = ", ".join(literal(name) for name in rows.columns)
    size = "(SELECT greatest(count(*), 1) FROM elements)"
    elements = f"SELECT m.* FROM {rows.table} AS m SEMI JOIN chosen USING ({group})"
    sizes = (
        "SELECT source, count(*) AS g, count(*) FILTER (code = 1) AS yes, count(*) FILTER (code = 0) AS no "
        "FROM cast_votes GROUP BY source"
    )
    left = "SELECT source, g, yes, CASE WHEN yes > 0 THEN yes WHEN no > 0 THEN g - no ELSE 0 END AS size FROM sizes"
    b = "((1 - w.accuracy) / greatest(l.g - 1, 1))"
    gains = (
        f"SELECT l.*, w.weight, CASE WHEN size IN (0, g) THEN 0 ELSE w.weight * "
        f"(ln(w.accuracy + (size - 1) * {b}) - ln(size * {b})) END AS gain FROM (SELECT *, "
        f"([{names}]::VARCHAR[])[source + 1] AS lf FROM left_open) AS l "
        f"JOIN ({weights(rows)}) AS w USING (lf)"
    )
    scored = (
        "SELECT v.pos, v.source, g.lf, g.weight, v.code, CASE WHEN CASE WHEN g.yes > 0 THEN coalesce(v.code, -1) = 1 "
        "ELSE coalesce(v.code, -1) <> 0 END THEN g.gain ELSE 0 END AS score FROM cast_votes AS v JOIN gains AS g "
        "USING (source)"
    )
    total = (
        f"SELECT e.pos, -ln({size}) + coalesce(sum(s.score), 0) AS total "
        f"FROM (SELECT {pos} AS pos FROM elements) AS e LEFT JOIN scored AS s ON s.pos = e.pos GROUP BY e.pos"
    )
    own = f"(SELECT {pos} FROM chosen)"
    labels = ", ".join(f"({at}, {literal(label)})" for at, label in enumerate(task.labels))
    bias = (
        f"SELECT class, label, CASE class WHEN 1 THEN -ln({size}) ELSE 0 END AS bias, "
        f"CASE class WHEN 1 THEN 1 / {size} ELSE 1 - 1 / {size} END "
        f"AS prior, NULL::DOUBLE AS mix, 0 AS power FROM (VALUES {labels}) AS t(class, label)"
    )
    said = (
        f"SELECT s.source, s.lf, {vote_label('s.code', task)} AS vote, s.weight, b.class, b.label, "
        "CASE b.class WHEN 1 THEN s.score ELSE 0 END AS score, 0 AS share FROM scored AS s, bias AS b "
        f"WHERE s.pos = {own} AND (s.code IS NOT NULL OR s.score <> 0)"
    )
    others = (
        "SELECT class, CASE class WHEN 0 THEN coalesce((SELECT max(total) + ln(sum(exp(total - top))) FROM "
        f"(SELECT total, max(total) OVER () AS top FROM element_totals WHERE pos <> {own})), '-infinity'::DOUBLE) "
        "ELSE 0 END AS value FROM bias"
    )
    parts = {
        "elements": elements,
        "cast_votes": _element_votes(rows, pos),
        "sizes": sizes,
        "left_open": left,
        "gains": gains,
        "scored": scored,
        "element_totals": total,
        "bias": bias,
        "said": said,
        "other_elements": others,
    }
    return summed(rows, parts, "(SELECT count(*) FROM cast_votes WHERE code IS NOT NULL) > 0", ["other_elements"])


def _element_votes(rows: Labelled, pos: str) -> str:
    """Return the SELECT of pos, source and code of all sources on the elements of a row; NULL where one abstains."""
    if not rows.columns:
        return f"SELECT {pos} AS pos, 0 AS source, 0 AS code FROM elements WHERE false"
    if rows.storage == "sparse":
        own = f"(SELECT v.* FROM {rows.votes} AS v SEMI JOIN elements USING (__id))"
        return (
            f"SELECT e.{pos} AS pos, s.source, v.code FROM elements AS e "
            f"CROSS JOIN (SELECT DISTINCT source FROM {own}) AS s LEFT JOIN {own} AS v "
            "ON v.__id = e.__id AND v.source = s.source"
        )
    sources = f"unnest(range({len(rows.columns)})) AS source"
    return f"SELECT {pos} AS pos, {sources}, unnest([{idents(rows.columns)}]) AS code FROM elements"
