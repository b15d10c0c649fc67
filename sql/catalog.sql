-- What wsdb stores, in schema `wsdb` of the user's own database file. Any DuckDB client can read it; only wsdb's
-- catalog writes it. Besides these tables there are, for each task t:
--   wsdb.matrix_t         the label matrix: keys, __row (hash of the row), __split, __gold (code), a column per source
--   wsdb.patterns_t       the vote patterns: split, gold code, the votes as bits of words, and the number of rows
--   wsdb.changes_t        what has changed of the vote patterns since they were last fitted; n is below 0 where rows went
--   wsdb.votes_t          of a sparse label matrix, the votes: __id (as in matrix_t), number of the source, code
--   wsdb.sources_t        of a sparse label matrix, the names of the sources by number
--   wsdb.scores_labels_t  of a sparse label matrix, the evidence by source, code and class; also scores_training_t
--   wsdb.confidence_t     how sure votes are, where they say so
--   wsdb.sets_t           votes for one of several labels, where a vote is a list
--   wsdb.posterior_t      the labels, where they are no formula of a row's votes: sequences, sets, bitvectors, graphs
--   wsdb.label_matrix_t   the label matrix with label strings (view)
--   wsdb.label_votes_t    the same in long form: one row per vote (view)
--   wsdb.labels_t         the de-noised labels: the posterior as plain SQL over the matrix, or posterior_t (view)
--   wsdb.training_t       the probabilities that models train on (view)
--   wsdb.rows_t           the split and the gold label of each row (view)
--   wsdb.slice_s, tag_g   the keys of the members of a slice or tag (views)
--   wsdb.source_s         the rows of a source, as rows of its relation, with __label_t for each task (view)
--   wsdb.augmented_m      the training rows that transformation functions make for a model: the columns of its source, with
--                         __functions (applied in this order) and __copy (view)
--   wsdb.constraint_c     the combinations of answers that keep a constraint, a column for each task
--   wsdb.embedding_e      the vectors of an embedding: token, vector
-- Votes are codes: the place of the label in the task, from 0; NULL is abstain. Each primitive p is wsdb.primitive_p.

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

-- The label matrix of each task as it was last computed, and what its columns were computed from. rows_hash covers all
-- rows; row_columns are the columns that votes, split and gold depend on, besides the keys; hash_probe says whether the
-- hash function of this DuckDB is the one that hashed the rows; views_hash whether the views must be written again.
CREATE TABLE IF NOT EXISTS wsdb.matrices (
    task VARCHAR, n_rows BIGINT, storage VARCHAR, rows_hash VARCHAR, row_columns VARCHAR[], column_hashes VARCHAR[],
    gold_hash VARCHAR, hash_probe VARCHAR, views_hash VARCHAR, computed_at TIMESTAMP
);
CREATE TABLE IF NOT EXISTS wsdb.matrix_columns (
    task VARCHAR, position INTEGER, column_name VARCHAR, lf VARCHAR, source VARCHAR, input_hash VARCHAR,
    lf_version INTEGER, votes BIGINT, seconds DOUBLE, computed_at TIMESTAMP
);

-- When each primitive was computed into wsdb.primitive_<name>, and from what; input_hash is NULL until it is known.
-- Column __made_from of that table is the hash of the row that a row was made from; NULL where that is not one row.
CREATE TABLE IF NOT EXISTS wsdb.primitive_runs (
    name VARCHAR, n_rows BIGINT, input_hash VARCHAR, computed_at TIMESTAMP
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
       EXISTS (FROM wsdb.objects o JOIN wsdb.lineage_edges e ON e.to_kind = o.kind AND e.to_name = o.name
               AND e.to_version = o.version WHERE e.from_kind = 'task' AND lower(e.from_name) = lower(m.task)
               AND o.kind = 'labeling function' AND o.created_at > m.computed_at) AS definition_changed
FROM wsdb.matrices m
UNION ALL
SELECT r.task, 'labels', r.n_rows, r.computed_at, now()::TIMESTAMP - r.computed_at,
       EXISTS (FROM wsdb.objects o JOIN wsdb.lineage_edges e ON e.to_kind = o.kind AND e.to_name = o.name
               AND e.to_version = o.version WHERE e.from_kind = 'task' AND lower(e.from_name) = lower(r.task)
               AND o.kind IN ('labeling function', 'label model') AND o.created_at > r.computed_at)
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

-- What is known of each labeling function besides its definition in SQL: all its tasks, what it is about (KIND, TAGS),
-- whether it can be computed at prediction time, and the labeling functions whose votes it repeats in part.
CREATE TABLE IF NOT EXISTS wsdb.lf_details (
    lf VARCHAR, tasks VARCHAR[], tags VARCHAR[], depends_on VARCHAR[], kind VARCHAR, servable BOOLEAN, enabled BOOLEAN
);

-- More objects by kind.
CREATE OR REPLACE VIEW wsdb.payloads AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'payload';
CREATE OR REPLACE VIEW wsdb.primitives AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'primitive';
CREATE OR REPLACE VIEW wsdb.task_graphs AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'task graph';

-- What the reports on labeling functions read, written with each fit: whole counts, which add up over splits, labels
-- and gold. Rows of each split (NULL where a row has none): all, those with a vote, those with a gold label.
CREATE TABLE IF NOT EXISTS wsdb.split_counts (
    task VARCHAR, split VARCHAR, n BIGINT, covered BIGINT, gold BIGINT
);

-- Votes of each column of the label matrix by split, label voted and gold label (NULL where a row has none): all, those
-- in whose row another source votes too (overlap), those in whose row two votes differ (conflict). A column of a
-- bitvector votes no or yes on its label, gold is no or yes too, and only votes on that label overlap and conflict. Votes
-- for one of several labels differ from those that have none of them in common.
CREATE TABLE IF NOT EXISTS wsdb.vote_counts (
    task VARCHAR, split VARCHAR, lf VARCHAR, label VARCHAR, gold VARCHAR, n BIGINT, overlap BIGINT, conflict BIGINT
);

-- Votes for one of several labels: what they are called above and below, and their labels.
CREATE TABLE IF NOT EXISTS wsdb.vote_sets (task VARCHAR, label VARCHAR, labels VARCHAR[]);

-- Rows on which two columns of the label matrix vote, by what they vote. Of a sparse label matrix only pairs that vote
-- together on five rows or more.
CREATE TABLE IF NOT EXISTS wsdb.vote_pairs (
    task VARCHAR, lf_a VARCHAR, lf_b VARCHAR, label_a VARCHAR, label_b VARCHAR, n BIGINT
);

-- What a fit counts besides, so that the next one reads changes only: rows with two votes or more (overlap), and the
-- vote shares summed by class, over rows with each vote (votes: column, label voted, class) and over all (classes). Only
-- the columns in kept take part in the shares, the others repeat them.
CREATE TABLE IF NOT EXISTS wsdb.vote_shares (
    task VARCHAR, columns VARCHAR[], kept VARCHAR[], overlap BIGINT, votes DOUBLE[], classes DOUBLE[]
);

-- Pairs of columns that are not independent, and why: declared, shared_column, shared_constant, shared_primitive, learned
-- or copy. score is their agreement beyond what the label model expects of them, as a correlation; z the same in
-- standard errors; n the rows on which they vote the same label; all NULL where they were not measured.
CREATE TABLE IF NOT EXISTS wsdb.lf_dependencies (
    task VARCHAR, lf_a VARCHAR, lf_b VARCHAR, reason VARCHAR, score DOUBLE, z DOUBLE, n BIGINT
);

-- The label model as numbers: a vote of a source for a label (code) is evidence of so many nats for each class, and
-- counts so much in the vote share of the class it is for.
CREATE TABLE IF NOT EXISTS wsdb.label_scores (
    task VARCHAR, source INTEGER, lf VARCHAR, code SMALLINT, vote VARCHAR, class SMALLINT, label VARCHAR, score DOUBLE,
    share DOUBLE
);

-- And of each class: evidence without any vote, the prior (the answer without votes), and the vote-share factor
-- (mix * share + (1 - mix) / classes) ^ power; mix is NULL where there is none.
CREATE TABLE IF NOT EXISTS wsdb.label_bias (
    task VARCHAR, class SMALLINT, label VARCHAR, bias DOUBLE, prior DOUBLE, mix DOUBLE, power DOUBLE
);

-- The label model methods next to each other, as of a label run: what label_model_report reads.
CREATE TABLE IF NOT EXISTS wsdb.label_reports (
    task VARCHAR, run INTEGER, method VARCHAR, chosen VARCHAR, selected BOOLEAN, split VARCHAR, n BIGINT,
    coverage DOUBLE, agreement DOUBLE, log_likelihood DOUBLE, n_gold BIGINT, accuracy DOUBLE, macro_f1 DOUBLE,
    accuracy_all DOUBLE, log_loss DOUBLE, reason VARCHAR
);

-- How often the label model expects a source that votes to vote each label on rows of each class: the confusion of a
-- worker. Sources that never vote are left out.
CREATE TABLE IF NOT EXISTS wsdb.label_confusion (task VARCHAR, lf VARCHAR, truth VARCHAR, label VARCHAR, p DOUBLE);

-- The networks tried by the search of a model: options is a JSON object of what differed, dev_score the value of the metric
-- on dev (higher is better); status is done, pruned (at the epoch pruned_at) or failed.
CREATE TABLE IF NOT EXISTS wsdb.trials (
    model VARCHAR, version INTEGER, trial INTEGER, options JSON, metric VARCHAR, dev_score DOUBLE, chosen BOOLEAN,
    seconds DOUBLE, status VARCHAR, pruned_at INTEGER
);

-- What networks that were trained to learn about a model, and thrown away, have scored: rows of learning_curve (fraction,
-- n_rows) and of task_transfer (with_task, seeds, alone, delta, stderr); the columns of the other study are NULL.
CREATE TABLE IF NOT EXISTS wsdb.studies (
    model VARCHAR, version INTEGER, study VARCHAR, task VARCHAR, with_task VARCHAR, fraction DOUBLE, n_rows BIGINT,
    metric VARCHAR, judged_on VARCHAR, seeds INTEGER, score DOUBLE, log_loss DOUBLE, alone DOUBLE, delta DOUBLE, stderr DOUBLE
);

-- Still more objects by kind.
CREATE OR REPLACE VIEW wsdb.slices AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'slice';
CREATE OR REPLACE VIEW wsdb.tags AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'tag';
CREATE OR REPLACE VIEW wsdb.transformation_functions AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'transformation function';
CREATE OR REPLACE VIEW wsdb.constraints AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'constraint';
CREATE OR REPLACE VIEW wsdb.embeddings AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'embedding';
CREATE OR REPLACE VIEW wsdb.sources AS
SELECT name, version, sql, comment, created_at, created_by FROM wsdb.objects WHERE kind = 'source';

-- The files that embeddings were read from; content_hash covers tokens and vectors.
CREATE TABLE IF NOT EXISTS wsdb.embedding_files (
    name VARCHAR, n_tokens BIGINT, dims INTEGER, content_hash VARCHAR, read_at TIMESTAMP
);
