-- The table functions of wsdb, as macros over what is stored. Each is made twice from this text: as wsdb.name(…) in the
-- file, for any DuckDB client that opens it, and as a TEMP macro name(…) on the connections of wsdb sessions.
-- @macro@ stands for MACRO or TEMP MACRO, @here@ for the schema prefix of the new macro, @home@ for the schema wsdb and
-- @at@ for the argument that tells a macro where that is, so that it is found after USE, too. A macro dispatches by query() to a view or macro of the task or model it is asked for; names are quoted, so that
-- no text can become SQL.

-- The label matrix: the task's keys and one ENUM column per vote source; NULL is abstain.
CREATE OR REPLACE @macro@ @here@label_matrix(task, split := NULL) AS TABLE
FROM query(format('FROM @home@."label_matrix_rows_{}"({}, @at@)', replace(task, '"', '""'),
    coalesce('''' || replace(split, '''', '''''') || '''', 'NULL')));

-- The votes in long form, one row a vote: the keys, lf, source, label, lf_version and computed_at. The label of a vote for
-- one of several labels names them: one of …
CREATE OR REPLACE @macro@ @here@label_votes(task) AS TABLE
FROM query(format('FROM @home@."label_votes_{}"', replace(task, '"', '""')));

-- The de-noised labels: the keys, label, prob, probs, n_votes, n_conflicts and covered. A row without a vote has
-- label and prob NULL and the class balance as probs. min_prob keeps rows whose label is at least that probable.
CREATE OR REPLACE @macro@ @here@labels(task, min_prob := NULL) AS TABLE
FROM query(format('FROM @home@."labels_{}"', replace(task, '"', '""'))
    || coalesce(format(' WHERE prob >= {}', CAST(min_prob AS DOUBLE)), ''));

-- The labels of a task with the labels O, B-… and I-… as spans: the key of the row, start_pos, end_pos (the number after
-- the last element's), type, and prob, the geometric mean of the elements' probabilities.
CREATE OR REPLACE @macro@ @here@label_spans(task) AS TABLE
FROM query(format('FROM @home@."label_spans_{}"(@at@)', replace(task, '"', '""')));

-- What the label model learned of each vote source: accuracy (P(vote is right) where it votes), precision of each
-- class it votes for, propensity (share of rows it votes on), weight, stderr of the accuracy, n votes; and the method.
CREATE OR REPLACE @macro@ @here@label_model(task) AS TABLE
FROM query(format('SELECT p.* EXCLUDE (task, run), r.chosen AS method, r.reason FROM @home@.label_parameters p '
    || 'JOIN @home@.label_runs r USING (task, run) WHERE lower(task) = lower(''{}'')', replace(task, '''', '''''')));

-- Each labeling function: coverage, overlaps and conflicts as shares of all rows; correct and incorrect against gold (a
-- vote for one of several labels is correct if it has the right one, and conflicts with votes that share no label with it;
-- of a BITVECTOR there is a line for each label, whose votes are yes and no);
-- emp_acc is correct / (correct + incorrect), emp_low and emp_high its 95 % interval (Wilson); learned_acc is the label
-- model's estimate and learned_stderr its standard error, gap is learned_acc - emp_acc. audit says what looks wrong:
-- never votes, copy of another, worse than chance or not surely better (less than two standard errors above), learned
-- accuracy outside the interval of gold.
CREATE OR REPLACE @macro@ @here@lf_summary(task, split := NULL) AS TABLE
FROM query(format('FROM @home@."lf_summary_{}"({}, @at@)', replace(task, '"', '""'),
    coalesce('''' || replace(split, '''', '''''') || '''', 'NULL')));

-- Each pair of labeling functions that vote on common rows: overlap and conflict as shares of all rows, agreement as the
-- share of the common rows on which they vote the same, kappa (Cohen's) over these rows, lift (how many times more
-- common rows than two independent functions would have) and n, the common rows.
CREATE OR REPLACE @macro@ @here@lf_conflicts(task) AS TABLE
FROM query(replace('WITH p AS (FROM @home@.vote_pairs WHERE lower(task) = lower(@task@)), '
    || 's AS (SELECT label, labels FROM @home@.vote_sets WHERE lower(task) = lower(@task@)), '
    || 'pair AS (SELECT lf_a, lf_b, sum(n)::BIGINT AS n, coalesce(sum(n) FILTER (label_a <> label_b AND NOT '
    || 'list_has_any(coalesce(sa.labels, [label_a]), coalesce(sb.labels, [label_b]))), 0)::BIGINT AS torn '
    || 'FROM p LEFT JOIN s AS sa ON sa.label = label_a LEFT JOIN s AS sb ON sb.label = label_b GROUP BY lf_a, lf_b), '
    || 'a AS (SELECT lf_a, lf_b, label_a AS label, labels, sum(p.n) AS n FROM p LEFT JOIN s ON s.label = label_a GROUP BY ALL), '
    || 'b AS (SELECT lf_a, lf_b, label_b AS label, labels, sum(p.n) AS n FROM p LEFT JOIN s ON s.label = label_b GROUP BY ALL), '
    || 'same AS (SELECT lf_a, lf_b, a.n::DOUBLE * b.n AS n FROM a JOIN b USING (lf_a, lf_b, label) '
    || 'UNION ALL SELECT lf_a, lf_b, a.n::DOUBLE * b.n FROM (FROM a WHERE labels IS NOT NULL) AS a JOIN b USING (lf_a, lf_b) '
    || 'WHERE a.label <> b.label AND list_has_any(a.labels, coalesce(b.labels, [b.label])) '
    || 'UNION ALL SELECT lf_a, lf_b, a.n::DOUBLE * b.n FROM (FROM a WHERE labels IS NULL) AS a '
    || 'JOIN (FROM b WHERE labels IS NOT NULL) AS b USING (lf_a, lf_b) WHERE list_contains(b.labels, a.label)), '
    || 'chance AS (SELECT lf_a, lf_b, sum(n) AS n FROM same GROUP BY ALL), '
    || 'v AS (SELECT lf, sum(n) AS n FROM @home@.vote_counts WHERE lower(task) = lower(@task@) GROUP BY lf), '
    || 'every AS (SELECT sum(n) AS n FROM @home@.split_counts WHERE lower(task) = lower(@task@)) '
    || 'SELECT lf_a, lf_b, pair.n / every.n AS overlap, torn / every.n AS conflict, 1 - torn / pair.n AS agreement, '
    || '(1 - torn / pair.n - e) / nullif(1 - e, 0) AS kappa, pair.n::DOUBLE * every.n / va.n / vb.n AS lift, pair.n AS n '
    || 'FROM (SELECT pair.*, coalesce(chance.n, 0) / (pair.n::DOUBLE * pair.n) AS e FROM pair '
    || 'LEFT JOIN chance USING (lf_a, lf_b)) AS pair JOIN v AS va ON va.lf = lf_a JOIN v AS vb ON vb.lf = lf_b, every '
    || 'ORDER BY conflict DESC, overlap DESC, lf_a, lf_b', '@task@', '''' || replace(task, '''', '''''') || ''''));

-- The confusion of each vote source as the label model estimates it: p is how often a vote of the source on a row whose
-- class is truth is a vote for label; of a crowd, a worker's confusion matrix. A column of a BITVECTOR votes yes or no on its
-- label, and sources of a SELECT task have none. Compare lf_confusion, which counts gold.
CREATE OR REPLACE @macro@ @here@label_confusion(task) AS TABLE
FROM query(format('SELECT lf, truth, label, p FROM @home@.label_confusion WHERE lower(task) = lower(''{}'') '
    || 'ORDER BY lf, truth, label', replace(task, '''', '''''')));

-- Pairs of labeling functions that are not independent of each other, one row a reason: declared, shared_column: …,
-- shared_constant: …, shared_primitive: …, learned (they agree more than the label model expects) or copy. score is
-- that excess as a correlation, where it was measured. Labels that are stored row by row (sequences, sets, bitvectors,
-- ordered labels, votes for one of several or with a confidence, task graphs) have the pairs too; the fit does not weigh them.
CREATE OR REPLACE @macro@ @here@lf_dependencies(task) AS TABLE
FROM query(format('SELECT lf_a, lf_b, score, reason FROM @home@.lf_dependencies WHERE lower(task) = lower(''{}'') '
    || 'ORDER BY score DESC NULLS LAST, lf_a, lf_b, reason', replace(task, '''', '''''')));

-- The rows on which a labeling function disagrees with gold, or where there is no gold, with the label model.
CREATE OR REPLACE @macro@ @here@lf_errors(task, lf, n := NULL) AS TABLE
FROM query(format('FROM @home@."lf_errors_{}"(''{}'', @at@)', replace(task, '"', '""'), replace(lf, '''', ''''''))
    || coalesce(format(' LIMIT {}', CAST(n AS BIGINT)), ''));

-- How often a labeling function votes each label on rows of each truth: gold (basis gold), or where a row has none, the
-- label (basis label). A column of a BITVECTOR votes yes or no on its label, and the truth is yes or no.
CREATE OR REPLACE @macro@ @here@lf_confusion(task, lf) AS TABLE
FROM query(format('FROM @home@."lf_confusion_{}"(''{}'', @at@)', replace(task, '"', '""'), replace(lf, '''', '''''')));

-- The rows on which one of two labeling functions votes, by both votes (NULL is abstain) and the truth, as in
-- lf_confusion; keys has the first three keys of each bucket.
CREATE OR REPLACE @macro@ @here@label_buckets(task, lf_a, lf_b) AS TABLE
FROM query(format('FROM @home@."label_buckets_{}"(''{}'', ''{}'', @at@)', replace(task, '"', '""'),
    replace(lf_a, '''', ''''''), replace(lf_b, '''', '''''')));

-- Where no labeling function votes: rows, uncovered ones and their share by split, or by a column of the task's relation.
CREATE OR REPLACE @macro@ @here@coverage_gaps(task, "by" := NULL) AS TABLE
FROM query(CASE WHEN "by" IS NULL
    THEN format('SELECT split AS segment, n, n - covered AS uncovered, (n - covered) / n AS share '
        || 'FROM @home@.split_counts WHERE lower(task) = lower(''{}'') AND n > 0 '
        || 'ORDER BY uncovered DESC, n DESC, split NULLS LAST', replace(task, '''', ''''''))
    ELSE format('FROM @home@."coverage_gaps_{}"(''{}'', @at@)', replace(task, '"', '""'), replace("by", '''', '''''')) END);

-- n rows that are worth a look, and why, those without a gold label first. strategy is entropy (the least sure labels),
-- disagreement (the most votes against the label), uncovered (no votes), balanced (as many of each label) or random. All
-- but uncovered choose among some 20,000 rows that the seed draws.
CREATE OR REPLACE @macro@ @here@sample_for_review(task, n, strategy := 'entropy', seed := 0) AS TABLE
FROM query(format('FROM @home@."sample_for_review_{}"(''{}'', ''{}'', ''{}'', @at@)', replace(task, '"', '""'),
    CAST(n AS BIGINT), replace(strategy, '''', ''''''), CAST(seed AS BIGINT)));

-- Gold labels that the label model disputes (kind gold): it finds another label as likely as rows of that label are on
-- average (confident learning). Of a BITVECTOR each label is judged by itself, against not <label>. suggested is that label, prob its probability, score the probability of the gold label
-- less prob; the lowest first. predictions names a relation with the task's keys and predicted_<task>_probs; then labels
-- that those dispute follow (kind label).
CREATE OR REPLACE @macro@ @here@label_issues(task, predictions := NULL) AS TABLE
FROM query(format('FROM @home@."label_issues_{}"(@at@)', replace(task, '"', '""')) || coalesce(format(
    ' UNION ALL FROM @home@."prediction_issues_{}"(''{}'', @at@)', replace(task, '"', '""'),
    replace(predictions, '''', '''''')), ''));

-- How the label of the row with this key comes about: the log prior, the evidence of each vote in nats, the logarithm of
-- the vote-share factor, their total, and the probability of each label, as MAPs by label: exp(total), scaled to sum to 1.
-- Labels of sequences, sets and task graphs have terms of other rows and tasks besides: silence (of the sources that say
-- nothing of an element), rest of the sequence, other elements (the log of the sum of their masses) and other tasks (their
-- votes and the rules between them). The labels of a BITVECTOR are a yes or no each: their terms are log odds, their
-- probability is 1 / (1 + exp(-total)). A key of several columns is a STRUCT, a list, or text with commas.
CREATE OR REPLACE @macro@ @here@explain_row(task, key) AS TABLE
FROM query(format('FROM @home@."explain_row_{}"({}, @at@)', replace(task, '"', '""'),
    coalesce('''' || replace(to_json(key)::VARCHAR, '''', '''''') || '''', 'NULL')));

-- All label model methods next to each other, by split: chosen is what the method came down to, selected whether it makes
-- the labels, agreement its share of labels that equal the selected ones, log_likelihood that of the votes per row;
-- against gold, accuracy, macro_f1 and log_loss are over rows with gold and a label; accuracy_all is over all rows with
-- gold, one without a label having the likeliest class of the prior. reason says why a method came down to something
-- else, or failed. A BITVECTOR is right where all its labels are, as in evaluate; its log_loss is the mean over its labels.
CREATE OR REPLACE @macro@ @here@label_model_report(task, split := NULL) AS TABLE
FROM query(format('SELECT method, chosen, selected, split, n, coverage, agreement, log_likelihood, n_gold, accuracy, '
    || 'macro_f1, accuracy_all, log_loss, reason FROM @home@.label_reports WHERE lower(task) = lower(''{}'') AND {} '
    || 'ORDER BY split NULLS LAST, selected DESC, method', replace(task, '''', ''''''),
    coalesce('split = ''' || replace(split, '''', '''''') || '''', 'true')));

-- The input's columns, and predicted_<task>, predicted_<task>_prob and predicted_<task>_probs of each task of a model.
-- The name is a task's, a model's, or one of them with a version ('fraud@3'). tbl is a relation's name, a file's path,
-- a CTE's name, or a SELECT in parentheses written as a string. Columns of these names that the input has, predictions
-- that were stored, are left out.
CREATE OR REPLACE @macro@ @here@predict(task, tbl) AS TABLE
FROM query(CASE WHEN tbl LIKE '(%'
    THEN format('WITH __wsdb_source AS {} FROM @home@."predict_{}"(''__wsdb_source'')', tbl, replace(task, '"', '""'))
    ELSE format('FROM @home@."predict_{}"(''{}'')', replace(task, '"', '""'), replace(tbl, '''', '''''')) END);

-- The scores of a model on the rows of tbl that have gold, one row a task and segment. by makes segments of the slices,
-- the tags, the sources (with all, and (none) for rows in none), the splits, or the values of a column of tbl. A slice, tag
-- or source none of whose rows in tbl has gold is there with n = 0 and NULL scores; a source's rows have gold where the
-- task's GOLD has their key, and their own labels count as none. A slice or tag of a payload's elements tells apart what the
-- tasks on these elements label; a SELECT task's row is in it with any of its elements. precision, recall and f1 are those
-- of the second label of a BINARY task, of the elements picked by a SELECT task, and of other tasks the mean over the labels
-- that occur; micro_f1 sums over labels instead. A BITVECTOR is right where all its labels are. The tasks of SEQUENCE and
-- SET payloads are scored by element, span_f1 by whole spans, of rows that are in the segment as a whole. auc and brier of a
-- BINARY task are those of its second label; brier of others is summed over labels. ece is the calibration error over ten
-- bins of equal counts. _low and _high are 95 % intervals: Wilson, of means over labels with the effective number of the
-- delta method.
CREATE OR REPLACE @macro@ @here@evaluate(model, tbl, task := NULL, "by" := NULL) AS TABLE
FROM query(@body:evaluate@);

-- How often each gold label is predicted as each label, by task, on the gold rows of tbl, or those of a slice or tag. Of a
-- BITVECTOR each label is a matrix of its own, against not <label>; of a SELECT task labels are positions, or (none).
CREATE OR REPLACE @macro@ @here@confusion_matrix(model, tbl, task := NULL, slice := NULL, tag := NULL) AS TABLE
FROM query(@body:confusion_matrix@);

-- The ROC curve of a label against all others: at each threshold the shares of rows without it and with it that are at
-- least so likely to have it. Of a BINARY task the label is the second one, of others each, or the one asked for.
CREATE OR REPLACE @macro@ @here@roc_curve(model, tbl, task := NULL, label := NULL, slice := NULL, tag := NULL) AS TABLE
FROM query(@body:roc_curve@);

-- The precision and recall of a label at each threshold of its probability; labels are chosen as in roc_curve.
CREATE OR REPLACE @macro@ @here@pr_curve(model, tbl, task := NULL, label := NULL, slice := NULL, tag := NULL) AS TABLE
FROM query(@body:pr_curve@);

-- How sure predictions are and how often they are right, in ten bins of equal counts by the probability of the predicted
-- label (equal probabilities share a bin): n, low and high of the bin, confidence (its mean probability), accuracy with
-- its 95 % interval (Wilson). ece, brier and log_loss are the whole task's, on each of its rows.
CREATE OR REPLACE @macro@ @here@calibration(model, tbl, task := NULL, slice := NULL, tag := NULL) AS TABLE
FROM query(@body:calibration@);

-- Two models, or versions of one, on the same rows; a is the first. n rows have gold; delta is accuracy_b - accuracy_a with
-- its 95 % interval (Agresti and Min 2005), p_value the exact McNemar test (mid-p) of the rows that b fixed and those it
-- has broken. error_reduction is the errors of a over those of b. Of all n_rows rows, churn is the share whose prediction
-- differs. Segments are as in evaluate.
CREATE OR REPLACE @macro@ @here@compare(model, other, tbl, task := NULL, "by" := NULL) AS TABLE
FROM query(@body:compare@);

-- Which task is at fault: for each row with gold, by its key, the first task whose prediction is wrong in the order in
-- which tasks build on each other (DEPENDS ON and task graphs), or NULL; chain is that task and the wrong ones that build
-- on it, wrong all that are wrong; gold and predicted are those of the first one.
CREATE OR REPLACE @macro@ @here@error_attribution(model, tbl) AS TABLE
FROM query(@body:error_attribution@);

-- What speaks for the predicted label of each row, by task: the top_k features with the largest attributions (all of them
-- with top_k := NULL). The attributions of a label sum to its logit minus that of a row of NULLs. A column's part is its
-- Shapley value over two orders of the columns, which is its exact contribution in a network without a hidden layer; a
-- text column's is shared among its words and n-grams, those that are hashed alike joined by |. Of a BITVECTOR each label
-- that applies is explained, or the likeliest one where none does. Of the tasks on a payload each element is, pos is its
-- number: features are its own fields, of text the value and its letters, then the elements beside it (-1, +1), the others,
-- other payloads and the columns of the row; the NULLs are as many as there are elements. Of a SELECT task the picked
-- element is, its logit less the mean one of its row. Rules between tasks have no part: a task is explained on its own.
CREATE OR REPLACE @macro@ @here@explain_predict(model, tbl, top_k := 5, task := NULL) AS TABLE
FROM query(@body:explain_predict@);

-- The rows of tbl, by key, and the slices of the model's relations: member says what the slice's definition says, p_member
-- is the network's own estimate, for models trained with SLICES, and NULL for others. A slice of a payload's elements has a
-- row for each of them, with its pos; of a slice of rows pos is NULL.
CREATE OR REPLACE @macro@ @here@slices(model, tbl) AS TABLE
FROM query(@body:slices@);

-- The constraints and the rules of task graphs between the tasks of a model, as they were when it was trained: on how
-- many of the n rows of tbl the tasks' own answers break the rule (before), and the answers that predict gives (after),
-- which are decoded together: after is 0 unless the model was trained WITH (decode = 'none'). examples has the keys of up
-- to three rows that break it before. A row whose elements are labeled breaks a rule where one of them does.
CREATE OR REPLACE @macro@ @here@constraint_violations(model, tbl) AS TABLE
FROM query(@body:constraint_violations@);

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

-- The inputs of each version of a model: feature (of a payload's elements, the field), payload (NULL is the row), type, kind
-- (text, category, number, …), n_slots (the n-grams, tokens, values or bins that are told apart) and statistics as JSON.
CREATE OR REPLACE @macro@ @here@feature_info(model) AS TABLE
FROM query(@body:feature_info@);

-- The networks that the search of a model has tried: options, the score on dev (higher is better) and whether this one
-- was chosen. status is done, pruned (at the epoch pruned_at) or failed.
CREATE OR REPLACE @macro@ @here@trials(model) AS TABLE
FROM query(@body:trials@);

-- What more training rows would bring: each task's score by networks trained on 1/16, 1/8, 1/4, 1/2 and all of the
-- training rows, each part inside the next. judged_on is gold (of dev, metric accuracy) or, without any, weak (labels of rows
-- held out by their key, metric agreement). All networks are judged on the same rows; n_rows counts the labels trained
-- on, those of elements one by one. score and log_loss are NULL without enough rows to train or to judge. The first
-- read of a model version in a session of wsdb trains them and stores the scores; other clients read what is stored, of
-- the version studied last. With seeds (1 to 10), score and log_loss are means over as many networks, and score_low and
-- score_high the 95 % interval of the score over the seeds (Student's t); another number than stored trains again.
CREATE OR REPLACE @macro@ @here@learning_curve(model, seeds := NULL) AS TABLE
FROM query(@body:learning_curve@);

-- Which task helps which: the score of each task by a network that learns it with another task, or with (all), next to that
-- of a network of its own (alone), as means over seeds; delta is the difference and stderr its standard error over the
-- seeds, without the error of a small dev set; delta_low and delta_high are its 95 % interval (Student's t). Two seeds are
-- taken unless said. Of n tasks, n (n + 1) / 2 + 1 networks are trained for each seed, at most `most` (60 unless said) in
-- all. judged_on, metric and the first read are as in learning_curve.
CREATE OR REPLACE @macro@ @here@task_transfer(model, seeds := NULL, most := NULL) AS TABLE
FROM query(@body:task_transfer@);

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
