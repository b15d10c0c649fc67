-- What wsdb stores, in schema `wsdb` of the user's own database file. Any DuckDB client can read it; only wsdb's
-- catalog writes it. Besides these tables there are, for each task t:
--   wsdb.matrix_t         the label matrix: the task's keys, one integer column per vote source, NULL = abstain
--   wsdb.label_matrix_t   the same with label strings (view)
--   wsdb.label_votes_t    the same in long form: one row per vote (view)
--   wsdb.labels_t         the de-noised labels: the label model's posterior as plain SQL over the matrix (view)
--   wsdb.training_t       the probabilities that models train on (view)
--   wsdb.rows_t           the split and the gold label of each row (view)

CREATE SCHEMA IF NOT EXISTS wsdb;

-- Settings of the file: format_version says which layout of these tables it has.
CREATE TABLE IF NOT EXISTS wsdb.settings (name VARCHAR, value VARCHAR);

-- Objects as they are now: one row per task, labeling function, label model, feature set and model.
-- `sql` is the canonical CREATE statement; data_hash changes with its meaning, metadata_hash with its comment.
-- `id` is kind:name in lower case: of two sessions that make one object at once, one fails.
CREATE TABLE IF NOT EXISTS wsdb.objects (
    id VARCHAR PRIMARY KEY, kind VARCHAR, name VARCHAR, version INTEGER, task VARCHAR, sql VARCHAR, comment VARCHAR,
    data_hash VARCHAR, metadata_hash VARCHAR, created_at TIMESTAMP, created_by VARCHAR
);

-- Every version an object ever had; rows are never changed. parent_data_hash covers the objects it was built on.
CREATE TABLE IF NOT EXISTS wsdb.object_versions (
    kind VARCHAR, name VARCHAR, version INTEGER, sql VARCHAR, data_hash VARCHAR, metadata_hash VARCHAR,
    parent_data_hash VARCHAR, created_at TIMESTAMP, created_by VARCHAR
);

-- The label matrix of each task as it was last computed, and what its columns were computed from.
CREATE TABLE IF NOT EXISTS wsdb.matrices (
    task VARCHAR, n_rows BIGINT, keys_hash VARCHAR, computed_at TIMESTAMP
);
CREATE TABLE IF NOT EXISTS wsdb.matrix_columns (
    task VARCHAR, position INTEGER, column_name VARCHAR, lf VARCHAR, source VARCHAR, input_hash VARCHAR,
    votes BIGINT, seconds DOUBLE, computed_at TIMESTAMP
);

-- The label model's runs: one current row per task. `fit` holds every parameter.
CREATE TABLE IF NOT EXISTS wsdb.label_runs (
    task VARCHAR, run INTEGER, method VARCHAR, chosen VARCHAR, reason VARCHAR, regime VARCHAR, notices VARCHAR[],
    n_rows BIGINT, n_patterns BIGINT, input_hash VARCHAR, fit VARCHAR, seconds DOUBLE, computed_at TIMESTAMP
);
CREATE TABLE IF NOT EXISTS wsdb.label_parameters (
    task VARCHAR, run INTEGER, lf VARCHAR, class VARCHAR, accuracy DOUBLE, precision DOUBLE, propensity DOUBLE,
    weight DOUBLE, stderr DOUBLE, n BIGINT
);

-- Trained models: versions are immutable. `manifest` and the tensors (safetensors) rebuild the network.
CREATE TABLE IF NOT EXISTS wsdb.model_versions (
    model VARCHAR, version INTEGER, tasks VARCHAR[], features VARCHAR[], manifest VARCHAR, input_hash VARCHAR,
    n_rows BIGINT, epochs INTEGER, valid_loss DOUBLE, bytes BIGINT, seconds DOUBLE, sql VARCHAR,
    created_at TIMESTAMP, created_by VARCHAR
);
CREATE TABLE IF NOT EXISTS wsdb.tensors (model VARCHAR, version INTEGER, format VARCHAR, bytes BLOB);
CREATE TABLE IF NOT EXISTS wsdb.training (
    model VARCHAR, version INTEGER, epoch INTEGER, task VARCHAR, split VARCHAR, loss DOUBLE, seconds DOUBLE
);

-- Which model answers predict('<task>', …): the one trained last, until it is dropped.
CREATE TABLE IF NOT EXISTS wsdb.serving (task VARCHAR, model VARCHAR, version INTEGER, since TIMESTAMP);

-- What each object was made from.
CREATE TABLE IF NOT EXISTS wsdb.lineage_edges (
    from_kind VARCHAR, from_name VARCHAR, to_kind VARCHAR, to_name VARCHAR, to_version INTEGER
);

-- How old derived state is. `definition_changed` is true where a definition is newer than what was computed;
-- changed rows show in wsdb's own front ends, which compare fingerprints before a read.
CREATE OR REPLACE VIEW wsdb.freshness AS
SELECT m.task, 'label matrix' AS what, m.n_rows, m.computed_at, now()::TIMESTAMP - m.computed_at AS age,
       EXISTS (FROM wsdb.objects o WHERE o.kind = 'labeling function' AND o.task = m.task
               AND o.created_at > m.computed_at) AS definition_changed
FROM wsdb.matrices m
UNION ALL
SELECT r.task, 'labels', r.n_rows, r.computed_at, now()::TIMESTAMP - r.computed_at,
       EXISTS (FROM wsdb.objects o WHERE o.kind IN ('labeling function', 'label model') AND o.task = r.task
               AND o.created_at > r.computed_at)
FROM wsdb.label_runs r
UNION ALL
SELECT s.task, 'model ' || s.model || '@' || s.version, v.n_rows, v.created_at, now()::TIMESTAMP - v.created_at,
       EXISTS (FROM wsdb.label_runs r WHERE r.task = s.task AND r.computed_at > v.created_at)
FROM wsdb.serving s JOIN wsdb.model_versions v USING (model, version);

-- The objects by kind.
CREATE OR REPLACE VIEW wsdb.tasks AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'task';
CREATE OR REPLACE VIEW wsdb.lfs AS
SELECT name, task, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'labeling function';
CREATE OR REPLACE VIEW wsdb.label_models AS
SELECT name, task, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'label model';
CREATE OR REPLACE VIEW wsdb.feature_sets AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'feature set';
CREATE OR REPLACE VIEW wsdb.models AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'model';
