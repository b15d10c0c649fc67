-- The table functions of wsdb, as macros over what is stored. Each is made twice from this text: as wsdb.name(…) in the
-- file, for any DuckDB client that opens it, and as a TEMP macro name(…) on the connections of wsdb sessions.
-- @macro@ stands for MACRO or TEMP MACRO, @here@ for the schema prefix of the new macro, @home@ for the schema wsdb.
-- A macro dispatches by query() to a view or macro of the task or model it is asked for; names are quoted, so that
-- no text can become SQL.

-- The label matrix: the task's keys and one ENUM column per vote source; NULL is abstain.
CREATE OR REPLACE @macro@ @here@label_matrix(task, split := NULL) AS TABLE
FROM query(format('FROM @home@."label_matrix_rows_{}"({})', replace(task, '"', '""'),
    coalesce('''' || replace(split, '''', '''''') || '''', 'NULL')));

-- The votes in long form, one row a vote: the keys, lf, source, label, lf_version and computed_at.
CREATE OR REPLACE @macro@ @here@label_votes(task) AS TABLE
FROM query(format('FROM @home@."label_votes_{}"', replace(task, '"', '""')));

-- The de-noised labels: the keys, label, prob, probs, n_votes, n_conflicts and covered. A row without a vote has
-- label and prob NULL and the class balance as probs. min_prob keeps rows whose label is at least that probable.
CREATE OR REPLACE @macro@ @here@labels(task, min_prob := NULL) AS TABLE
FROM query(format('FROM @home@."labels_{}"', replace(task, '"', '""'))
    || coalesce(format(' WHERE prob >= {}', CAST(min_prob AS DOUBLE)), ''));

-- What the label model learned of each vote source: accuracy (P(vote is right) where it votes), precision of each
-- class it votes for, propensity (share of rows it votes on), weight, stderr of the accuracy, n votes; and the method.
CREATE OR REPLACE @macro@ @here@label_model(task) AS TABLE
FROM query(format('SELECT p.* EXCLUDE (task, run), r.chosen AS method, r.reason FROM @home@.label_parameters p '
    || 'JOIN @home@.label_runs r USING (task, run) WHERE lower(task) = lower(''{}'')', replace(task, '''', '''''')));

-- Each labeling function: coverage, overlaps and conflicts as shares of all rows; correct and incorrect against gold;
-- emp_acc is correct / (correct + incorrect), learned_acc the label model's estimate, gap their difference.
CREATE OR REPLACE @macro@ @here@lf_summary(task, split := NULL) AS TABLE
FROM query(format('FROM @home@."lf_summary_{}"({})', replace(task, '"', '""'),
    coalesce('''' || replace(split, '''', '''''') || '''', 'NULL')));

-- The rows on which a labeling function disagrees with gold, or where there is no gold, with the label model.
CREATE OR REPLACE @macro@ @here@lf_errors(task, lf, n := NULL) AS TABLE
FROM query(format('FROM @home@."lf_errors_{}"(''{}'')', replace(task, '"', '""'), replace(lf, '''', ''''''))
    || coalesce(format(' LIMIT {}', CAST(n AS BIGINT)), ''));

-- The label model next to majority vote, by split, against gold where there is gold. accuracy, macro_f1 and log_loss are
-- over rows with gold and a label; accuracy_all counts a row without a label as wrong.
CREATE OR REPLACE @macro@ @here@label_model_report(task, split := NULL) AS TABLE
FROM query(format('FROM @home@."label_model_report_{}"({})', replace(task, '"', '""'),
    coalesce('''' || replace(split, '''', '''''') || '''', 'NULL')));

-- The input's columns, and predicted_<task>, predicted_<task>_prob and predicted_<task>_probs of each task of a model.
-- The name is a task's, a model's, or one of them with a version ('fraud@3'). tbl is a relation's name, a file's path,
-- a CTE's name, or a SELECT in parentheses written as a string.
CREATE OR REPLACE @macro@ @here@predict(task, tbl) AS TABLE
FROM query(CASE WHEN tbl LIKE '(%'
    THEN format('WITH __wsdb_source AS {} FROM @home@."predict_{}"(''__wsdb_source'')', tbl, replace(task, '"', '""'))
    ELSE format('FROM @home@."predict_{}"(''{}'')', replace(task, '"', '""'), replace(tbl, '''', '''''')) END);

-- The scores of a model on the gold rows of tbl, one row a task and segment; by := 'split' makes the splits segments.
CREATE OR REPLACE @macro@ @here@evaluate(model, tbl, task := NULL, "by" := NULL) AS TABLE
FROM query(format('SELECT * FROM @home@."evaluate_{}"(''{}'', {}) WHERE {}', replace(model, '"', '""'),
    replace(tbl, '''', ''''''), coalesce('''' || replace("by", '''', '''''') || '''', 'NULL'),
    coalesce(format('lower(task) = lower(''{}'')', replace(task, '''', '''''')), 'true')));

-- How often each gold label is predicted as each label, by task, on the gold rows of tbl.
CREATE OR REPLACE @macro@ @here@confusion_matrix(model, tbl, task := NULL) AS TABLE
FROM query(format('SELECT * FROM @home@."confusion_matrix_{}"(''{}'') WHERE {}', replace(model, '"', '""'),
    replace(tbl, '''', ''''''),
    coalesce(format('lower(task) = lower(''{}'')', replace(task, '''', '''''')), 'true')));

-- The versions of a model, newest first.
CREATE OR REPLACE @macro@ @here@model_versions(model) AS TABLE
FROM query(format('SELECT v.version, v.tasks, v.features, list_sort((SELECT list(s.task) FROM @home@.serving s '
    || 'WHERE s.model = v.model AND s.version = v.version)) AS serves, v.n_rows, v.epochs, v.valid_loss, v.bytes, '
    || 'v.seconds, v.input_hash AS data_hash, v.created_at, v.created_by FROM @home@.model_versions v '
    || 'WHERE lower(v.model) = lower(''{}'') ORDER BY v.version DESC', replace(model, '''', '''''')));

-- The loss of each epoch, task and split of every version of a model.
CREATE OR REPLACE @macro@ @here@training_info(model) AS TABLE
FROM query(format('SELECT version, epoch, task, split, loss, seconds FROM @home@.training '
    || 'WHERE lower(model) = lower(''{}'') ORDER BY version, epoch, task, split', replace(model, '''', '''''')));

-- What an object was made from, as it is defined now, through any number of steps up to depth.
CREATE OR REPLACE @macro@ @here@lineage(name, depth := 10) AS TABLE
FROM query(format('WITH RECURSIVE e AS (SELECT * FROM @home@.lineage_edges x WHERE x.to_kind = ''labels'' OR EXISTS '
    || '(FROM @home@.objects o WHERE o.kind = x.to_kind AND lower(o.name) = lower(x.to_name) '
    || 'AND o.version = x.to_version)), up AS (SELECT *, 1 AS level FROM e WHERE lower(to_name) = lower(''{}'') '
    || 'UNION SELECT e.*, up.level + 1 FROM e JOIN up ON e.to_kind = up.from_kind '
    || 'AND lower(e.to_name) = lower(up.from_name) WHERE up.level < {}) '
    || 'SELECT min(level) AS level, from_kind, from_name, to_kind, to_name, to_version FROM up '
    || 'GROUP BY ALL ORDER BY ALL', replace(name, '''', ''''''), CAST(depth AS INTEGER)));

-- Every object: its kind, name, version, task, statement and comment.
CREATE OR REPLACE @macro@ @here@wsdb_objects() AS TABLE
FROM query('SELECT kind, name, version, task, comment, sql, created_at, created_by FROM @home@.objects '
    || 'ORDER BY kind, name');
