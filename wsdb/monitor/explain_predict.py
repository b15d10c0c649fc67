"""explain_predict, slices, constraint_violations, feature_info and trials: what a model looks at, how it came about."""

from __future__ import annotations

from wsdb.monitor.bodies import ROWS

EXPLAIN = "wsdb_explain_needs_a_python_session_with_wsdb_attached"
SEEN = "wsdb_slices_needs_a_python_session_with_wsdb_attached"
RULES = "wsdb_rules_need_a_python_session_with_wsdb_attached"
"""The scalar functions of `wsdb.serve.explainer`."""
SHOWN = 3
"""Keys that constraint_violations shows of each rule."""
INPUT = f"WITH {ROWS}, p AS MATERIALIZED (FROM @inputs@('r'))"


def explain_body() -> str:
    """Return the body of ``explain_predict``.

    The list around the call is an evaluation barrier, as in predict: the rows are explained once.
    """
    call = f"{EXPLAIN}(__model, @task@::VARCHAR, @top_k@::INTEGER, __input)"
    answers = f"SELECT __row, __key, unnest([{call}]) AS answer FROM p"
    return (
        f"{INPUT}, e AS (SELECT __row, __key, unnest(answer) AS e, generate_subscripts(answer, 1) AS place "
        f"FROM ({answers})) SELECT __key AS key, e.task, e.pos, e.label, e.feature, e.attribution FROM e "
        "ORDER BY __row, place"
    )


def slices_body() -> str:
    """Return the body of ``slices``."""
    answers = f"(SELECT __row, unnest([{SEEN}(__model, __input)]) AS answer FROM p)"
    same = "t.__row = p.__row AND t.slice = n.slice AND t.pos IS NOT DISTINCT FROM p.pos"
    return (
        f"{INPUT}, m AS MATERIALIZED (SELECT __row, segment AS slice, payload, pos FROM @segments@('slice', @at@) "
        "WHERE pos IS DISTINCT FROM 0), "
        f"seen AS MATERIALIZED (SELECT __row, unnest(answer, max_depth := 2) FROM {answers}), "
        "places AS (SELECT __row, NULL AS payload, NULL AS pos FROM p UNION "
        "SELECT __row, payload, pos FROM seen WHERE pos IS NOT NULL), "
        "names AS (SELECT slice, payload FROM m UNION SELECT slice, payload FROM seen WHERE slice IS NOT NULL) "
        "SELECT i.__key AS key, n.slice, p.pos, m.slice IS NOT NULL AS member, s.prob AS p_member "
        "FROM places AS p JOIN p AS i USING (__row) JOIN names AS n ON n.payload IS NOT DISTINCT FROM p.payload "
        f"LEFT JOIN m ON {same.replace('t.', 'm.')} LEFT JOIN seen AS s ON {same.replace('t.', 's.')} "
        "ORDER BY p.__row, n.slice, p.pos"
    )


def violations_body() -> str:
    """Return the body of ``constraint_violations``."""
    answers = f"SELECT __row, __key, unnest([{RULES}(__model, __input)]) AS answer FROM p"
    rules = "SELECT __row, __key, unnest(answer) AS v, generate_subscripts(answer, 1) AS place FROM a"
    return (
        f"{INPUT}, a AS ({answers}), e AS ({rules}) SELECT any_value(v.kind) AS kind, any_value(v.name) AS name, "
        "any_value(v.rule) AS rule, any_value(v.tasks) AS tasks, count(*) AS n, "
        "count(*) FILTER (WHERE v.before) AS before, count(*) FILTER (WHERE v.after) AS after, "
        f"coalesce(list(__key ORDER BY __row) FILTER (WHERE v.before), [])[1:{SHOWN}] AS examples "
        "FROM e GROUP BY place ORDER BY place"
    )


def features_body() -> str:
    """Return the body of ``feature_info``, from the manifests of a model's versions."""
    versions = "SELECT version, manifest::JSON AS m FROM @home@.model_versions WHERE lower(model) = lower(@model@)"
    columns = (
        "SELECT version, unnest(CAST(m->'$.features' AS JSON[])) AS f, NULL::VARCHAR AS payload, NULL::JSON AS given "
        "FROM v"
    )
    payloads = (
        "SELECT version, unnest(CAST(p->'$.fields' AS JSON[])), p->>'$.name', p->'$.columns' FROM "
        "(SELECT version, unnest(CAST(m->'$.payloads' AS JSON[])) AS p FROM v)"
    )
    own = "list_filter(CAST(given AS JSON[]), lambda c: (c->>'$[0]') = (f->>'$.name'))[1]"
    found = f"coalesce(f->>'$.type', {own}->>'$[1]', given->>'$[0][1]')"
    values = "json_array_length(f->'$.fit.values')::BIGINT"
    slots = (
        f"CASE f->>'$.kind' WHEN 'text' THEN coalesce(CAST(f->>'$.fit.slots' AS BIGINT), {values}) "
        f"WHEN 'category' THEN {values} + 2 WHEN 'boolean' THEN {values} + 2 "
        "WHEN 'number' THEN json_array_length(f->'$.fit.edges')::BIGINT + 2 WHEN 'timestamp' THEN 139 "
        "WHEN 'vector' THEN 2 END"
    )
    return (
        f"WITH v AS ({versions}), every AS ({columns} UNION ALL {payloads}) "
        f"SELECT version, f->>'$.name' AS feature, payload, {found} AS type, f->>'$.kind' AS kind, "
        f"{slots} AS n_slots, f->'$.fit' AS statistics FROM every ORDER BY version, payload NULLS FIRST"
    )


def trials_body() -> str:
    """Return the body of ``trials``."""
    return (
        "SELECT version, trial, options, metric, dev_score, chosen, seconds, status, pruned_at FROM @home@.trials "
        "WHERE lower(model) = lower(@model@) ORDER BY version, trial"
    )
