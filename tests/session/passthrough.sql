#### Every scalar type
SELECT 1::TINYINT, 2::SMALLINT, 3::INTEGER, 4::BIGINT, 5::HUGEINT, 6::UTINYINT, 7::USMALLINT, 8::UINTEGER, 9::UBIGINT
%%
SELECT 1.5::FLOAT, 2.5::DOUBLE, 3.25::DECIMAL(10, 3), 1e300, 'nan'::DOUBLE, 'infinity'::DOUBLE, 0xFF, 1_000_000
%%
SELECT true, false, NULL, NULL::BOOLEAN, 'text', ''::VARCHAR, '\xAA\x00'::BLOB, '0101'::BIT
%%
SELECT DATE '2026-01-31', TIME '12:34:56.789', TIMESTAMP '2026-01-31 12:34:56', TIMESTAMPTZ '2026-01-31 12:34:56+00'::VARCHAR
%%
SELECT TIMESTAMP_S '2026-01-31 12:34:56', TIMESTAMP_MS '2026-01-31 12:34:56.123', TIMESTAMP_NS '2026-01-31 12:34:56.123456789'
%%
SELECT INTERVAL 1 YEAR + INTERVAL '3 days 4 hours', UUID 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
%%
SELECT [1, 2, NULL], [[1], []], [1, 2, 3]::INTEGER[3], {'a': 1, 'b': {'c': 'x'}}, MAP {'k': 1, 'l': 2}
%%
SELECT union_value(num := 2)::UNION(num INTEGER, str VARCHAR), '{"a": [1, 2]}'::JSON, row(1, 'a')
%%
SELECT 'sad'::ENUM('happy', 'sad'), 170141183460469231731687303715884105727, -0.0, 1 // 2, 1 / 2, 7 % 4, 2 ** 10
%%
SELECT 'a' || 'b', 'a' 'b', 'it''s', "x"."y" FROM (SELECT {'y': 1} AS x)
%%
SELECT 'a'
'b' AS joined_over_lines
%%
SELECT E'tab\there', E'quote\'s', E'back\\slash', E'\u00e9', e'new\nline'
%%
SELECT 'backslash \ stays', '\', 'C:\new'
%%
SELECT typeof(1), typeof('a'), typeof([1]), typeof({'a': 1}), typeof(NULL)
%%
SELECT 300::TINYINT
%%
SELECT 'abc'::INTEGER
%%
SELECT TRY_CAST('abc' AS INTEGER), CAST('12' AS INTEGER), '2026-02-30'::DATE IS NULL
%%
SELECT TRY_CAST('abc' AS INTEGER), CAST('12' AS INTEGER)
#### Expressions, aggregates, windows
CREATE TABLE mails (id INTEGER PRIMARY KEY, sender VARCHAR, body VARCHAR, size DOUBLE, sent DATE)
%%
INSERT INTO mails VALUES (1, 'ann', 'buy now', 10.5, '2026-01-01'), (2, 'bob', 'hello task', 3, '2026-01-02'), (3, 'ann', 'model; label', 7.25, '2026-01-03'), (4, NULL, NULL, NULL, NULL), (5, 'cy', 'refresh labels', 1, '2026-02-01')
%%
SELECT * FROM mails ORDER BY id
%%
FROM mails
%%
FROM mails SELECT sender, count(*) GROUP BY ALL ORDER BY ALL
%%
FROM mails WHERE size > 3 ORDER BY id LIMIT 2
%%
SELECT count(*), count(sender), count(DISTINCT sender), sum(size), avg(size), min(body), max(sent), list(id ORDER BY id) FROM mails
%%
SELECT sender, sum(size) FILTER (WHERE size > 5) AS big FROM mails GROUP BY sender HAVING count(*) >= 1 ORDER BY sender NULLS LAST
%%
SELECT sender, month(sent), sum(size) FROM mails GROUP BY GROUPING SETS ((sender), (month(sent)), ()) ORDER BY ALL
%%
SELECT sender, id, sum(size) FROM mails GROUP BY ROLLUP (sender, id) ORDER BY ALL
%%
SELECT id, row_number() OVER (ORDER BY id), lag(size) OVER w, sum(size) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM mails WINDOW w AS (ORDER BY id) ORDER BY id
%%
SELECT id, rank() OVER (PARTITION BY sender ORDER BY size DESC) AS r FROM mails QUALIFY r = 1 ORDER BY id
%%
SELECT arg_max(body, size), mode(sender), quantile_cont(size, 0.5), string_agg(body, '; ' ORDER BY id) FROM mails
%%
SELECT * EXCLUDE (body, sent) REPLACE (size * 2 AS size) FROM mails ORDER BY id
%%
SELECT COLUMNS('s.*') FROM mails ORDER BY id
%%
SELECT min(COLUMNS(*)) FROM mails
%%
SELECT * RENAME (id AS task) FROM mails ORDER BY ALL LIMIT 1
%%
SELECT CASE WHEN body ILIKE '%task%' THEN 'spam' WHEN regexp_matches(body, 'model') THEN 'ham' END AS label FROM mails ORDER BY id
%%
SELECT id FROM mails WHERE id IN (SELECT id FROM mails WHERE size > 3) AND EXISTS (SELECT 1) ORDER BY id
%%
SELECT (SELECT max(size) FROM mails m WHERE m.sender = mails.sender) AS most, id FROM mails ORDER BY id
%%
SELECT a.id, b.id FROM mails a JOIN mails b ON a.sender = b.sender AND a.id < b.id
%%
SELECT a.id, b.id FROM mails a LEFT JOIN mails b ON a.id = b.id + 1 ORDER BY ALL
%%
SELECT count(*) FROM mails a CROSS JOIN mails b
%%
SELECT a.id FROM mails a SEMI JOIN (SELECT 2 AS id) b USING (id)
%%
SELECT a.id FROM mails a ANTI JOIN (SELECT 2 AS id) b USING (id) ORDER BY id
%%
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(x, y) POSITIONAL JOIN (VALUES (10), (20)) u(z)
%%
SELECT a.x, b.y FROM (VALUES (1), (5)) a(x) ASOF JOIN (VALUES (0), (4)) b(y) ON a.x >= b.y ORDER BY ALL
%%
SELECT m.id, u.word FROM mails m, LATERAL (SELECT unnest(string_split(m.body, ' ')) AS word) u ORDER BY ALL
%%
SELECT 1 AS task UNION ALL SELECT 2 UNION ALL BY NAME SELECT 3 AS task ORDER BY task
%%
SELECT 1 INTERSECT SELECT 1
%%
SELECT 1 EXCEPT SELECT 2
%%
SELECT DISTINCT ON (sender) sender, id FROM mails ORDER BY sender, id
%%
SELECT id FROM mails ORDER BY id LIMIT 2 OFFSET 1
%%
SELECT id FROM mails ORDER BY id LIMIT 40%
%%
SELECT count(*) > 0 FROM mails USING SAMPLE 100%
%%
SELECT unnest([1, 2, 3]) AS x, unnest(['a', 'b']) AS y
%%
SELECT unnest({'a': 1, 'b': [2, 3]}, recursive := true)
%%
SELECT * FROM generate_series(1, 5), range(2) ORDER BY ALL
%%
VALUES (1, 'model'), (2, 'task')
%%
TABLE mails
%%
SELECT label: 1, task: 'x'
%%
FROM m: mails SELECT m.id ORDER BY 1
%%
SELECT #1 FROM mails ORDER BY #1
%%
SELECT sum(1) OVER (), extract(year FROM sent) AS y FROM mails ORDER BY y NULLS FIRST
%%
SELECT nullif(1, 1), coalesce(NULL, 2), greatest(1, 3), iif FROM (SELECT 1 AS iif)
%%
SELECT id IS DISTINCT FROM 1 FROM mails ORDER BY id
%%
SELECT current_database() IS NOT NULL, current_schema(), 1 = ANY([1, 2]), 2 NOT BETWEEN 1 AND 3
#### CTEs, recursive and materialized
WITH c AS (SELECT 1 AS x) SELECT * FROM c
%%
WITH labels(a, b) AS (SELECT 1, 2), predict(c) AS (SELECT 3) SELECT * FROM labels, predict
%%
WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 5) SELECT sum(n) FROM up
%%
WITH RECURSIVE lineage(level) AS (SELECT 1 UNION SELECT level + 1 FROM lineage WHERE level < 3) SELECT level FROM lineage ORDER BY level
%%
WITH c AS MATERIALIZED (SELECT 1 AS x), d AS NOT MATERIALIZED (SELECT x + 1 AS y FROM c) SELECT * FROM c, d
%%
WITH RECURSIVE t(a, b) USING KEY (a) AS (SELECT 1, 1 UNION SELECT a, b + 1 FROM t WHERE b < 3) SELECT * FROM t
%%
WITH model AS (SELECT 1 AS task) FROM model
%%
WITH a AS (WITH task AS (SELECT 42 AS x) SELECT * FROM task) SELECT x FROM a
#### PIVOT and UNPIVOT
PIVOT mails ON sender USING sum(size)
%%
PIVOT (SELECT sender, size, month(sent) AS m FROM mails) ON m USING sum(size) GROUP BY sender ORDER BY sender
%%
SELECT * FROM mails PIVOT (count(*) FOR sender IN ('ann', 'bob') GROUP BY sent) ORDER BY sent
%%
UNPIVOT (SELECT 1 AS task, 2 AS model) ON task, model INTO NAME label VALUE lf
%%
SELECT * FROM (SELECT 1 AS a, NULL AS b) UNPIVOT INCLUDE NULLS (v FOR k IN (a, b))
%%
PIVOT mails ON nosuch USING sum(size)
#### Lists, structs, maps, lambdas
SELECT [x * 2 FOR x IN [1, 2, 3] IF x > 1]
%%
SELECT list_transform([1, 2], lambda label: label + 1), list_filter([1, 2, 3], lambda x: x > 1), list_reduce([1, 2, 3], lambda a, b: a + b)
%%
SELECT [1, 2, 3][1], [1, 2, 3][2:], 'task'[1:2], {'task': 1}.task, {'model': 2}['model'], MAP {'lf': 3}['lf']
%%
SELECT map_keys(MAP {'a': 1}), struct_pack(task := 1, model := 'x'), list_sort([3, 1, 2]), flatten([[1], [2]])
%%
SELECT '{"label": {"task": [1, 2]}}'::JSON -> 'label' ->> '$.task[1]', json_extract('{"a": 1}', '$.a')
%%
SELECT list_transform([1], x -> model)
#### Macros, also with the names of wsdb's functions
CREATE MACRO labels(x) AS x + 1
%%
SELECT labels(1), labels(x := 2)
%%
SELECT 1, labels(labels(1)), (labels(2))
%%
CREATE MACRO predict(a, b := 10) AS a * b
%%
SELECT predict(2), predict(2, 3), predict(2, b := 4) FROM mails WHERE predict(id) > 30
%%
CREATE MACRO evaluate(n) AS TABLE SELECT * FROM range(n) t(task)
%%
SELECT * FROM evaluate(3)
%%
FROM evaluate(2) AS e, evaluate(n := 1) AS f
%%
CREATE MACRO lineage(name, depth := 3) AS TABLE SELECT name AS name, depth AS depth
%%
SELECT * FROM lineage('x') WHERE depth = 3
%%
CREATE TEMP MACRO task(x) AS x || '!'
%%
SELECT task('a'), task(sender) FROM mails ORDER BY id
%%
CREATE OR REPLACE MACRO model(x) AS x, (x, y) AS x + y
%%
SELECT model(1), model(1, 2)
%%
CREATE TEMP MACRO label_matrix(t) AS TABLE SELECT t AS t
%%
SELECT * FROM label_matrix('mine')
%%
CREATE TEMP MACRO label_votes(t) AS t
%%
SELECT label_votes('scalar')
%%
CREATE MACRO lf_summary(t, split := NULL) AS TABLE FROM query_table(t)
%%
SELECT count(*) FROM lf_summary('mails')
%%
CREATE FUNCTION feature(a) AS a
%%
SELECT feature(feature(3))
%%
CREATE MACRO training_info() AS TABLE FROM mails SELECT id ORDER BY id; SELECT * FROM training_info()
%%
SELECT labels(1, 2, 3)
%%
SELECT nolabels(1)
%%
SELECT confusion_matrix(1)
%%
SELECT id, model_versions(id) FROM mails
%%
DROP MACRO labels
%%
DROP MACRO TABLE evaluate
%%
DROP MACRO IF EXISTS predict
%%
DROP FUNCTION feature
%%
DROP MACRO nosuch
%%
DROP MACRO task; DROP MACRO model; DROP MACRO TABLE lineage; DROP MACRO TABLE lf_summary; DROP MACRO TABLE training_info
%%
DROP MACRO TABLE label_matrix; DROP MACRO label_votes
#### Tables, columns and schemas with the words of wsdb
CREATE TABLE model(task int)
%%
INSERT INTO model VALUES (1), (2)
%%
SELECT task FROM model ORDER BY task
%%
SELECT model.task, model FROM model ORDER BY ALL
%%
DESCRIBE model
%%
DESC model
%%
SUMMARIZE model
%%
SHOW model
%%
CREATE TABLE labels(id INTEGER, label VARCHAR)
%%
INSERT INTO labels (id, label) VALUES (1, 'spam'), (2, 'ham')
%%
INSERT INTO labels(id, label) VALUES (3, 'x')
%%
SELECT labels.label FROM labels ORDER BY id
%%
SELECT * FROM labels JOIN model ON (labels.id = model.task) ORDER BY ALL
%%
DESCRIBE labels
%%
SHOW labels
%%
CREATE TABLE task AS SELECT 1 AS lf, 2 AS feature, 3 AS refresh, 4 AS slice
%%
SELECT lf, feature, refresh, slice FROM task
%%
DESCRIBE task
%%
DESCRIBE SELECT * FROM task
%%
SELECT refresh FROM task ORDER BY refresh
%%
CREATE TABLE models (label INTEGER); SELECT * FROM models
%%
SHOW "models"
%%
DESCRIBE models
%%
CREATE TABLE tasks (feature INTEGER); SHOW "tasks"
%%
CREATE TABLE lf (x INTEGER)
%%
DESCRIBE lf
%%
SHOW lf
%%
CREATE TABLE label (feature INTEGER DEFAULT 3, CHECK (feature > 0))
%%
DESCRIBE label
%%
SHOW "label"
%%
SHOW label
%%
CREATE TABLE feature (x INTEGER)
%%
SHOW feature
%%
DESCRIBE feature
%%
INSERT INTO label VALUES (-1)
%%
INSERT INTO label DEFAULT VALUES
%%
CREATE TABLE slice (refresh INTEGER, payload VARCHAR, primitive BOOLEAN)
%%
CREATE TABLE refresh (x INTEGER); SELECT count(*) FROM refresh
%%
CREATE TABLE predict (x INTEGER); INSERT INTO predict (x) VALUES (7); SELECT * FROM predict
%%
CREATE TABLE lineage(name VARCHAR, task VARCHAR)
%%
COPY (SELECT 1) TO '{tmp}/one.csv'
%%
COPY lineage (name, task) FROM '{tmp}/nosuch.csv'
%%
CREATE INDEX refresh_index ON lineage (name)
%%
CREATE SCHEMA task
%%
CREATE TABLE task.model (label INTEGER); INSERT INTO task.model VALUES (9); FROM task.model
%%
DESCRIBE task.model
%%
SHOW TABLES FROM task
%%
CREATE SCHEMA model; CREATE VIEW model.task AS SELECT 1 AS x; SELECT * FROM model.task
%%
DESCRIBE model.task
%%
CREATE MACRO task.labels(x) AS x * 3; SELECT task.labels(2)
%%
CREATE MACRO task.predict(x) AS TABLE SELECT x AS y; SELECT * FROM task.predict(4)
%%
DROP SCHEMA task CASCADE
%%
SELECT * FROM task.model
%%
ALTER TABLE model ADD COLUMN label VARCHAR DEFAULT 'x'
%%
ALTER TABLE model RENAME COLUMN task TO feature
%%
ALTER TABLE model ALTER feature TYPE BIGINT
%%
ALTER TABLE model DROP COLUMN label
%%
ALTER TABLE model RENAME TO payload
%%
SELECT * FROM payload ORDER BY ALL
%%
ALTER TABLE payload RENAME TO model
%%
ALTER TABLE model ADD COLUMN IF NOT EXISTS feature INTEGER
%%
ALTER TABLE nosuch ADD COLUMN x INTEGER
%%
COMMENT ON TABLE model IS 'CREATE TASK; not one'
%%
COMMENT ON COLUMN model.feature IS 'a column'
%%
SELECT comment FROM duckdb_tables() WHERE table_name = 'model' ORDER BY ALL
%%
COMMENT ON TABLE nosuch IS 'x'
%%
COMMENT ON VIEW model.task IS 'view'
%%
DROP TABLE model
%%
DROP TABLE model
%%
DROP TABLE IF EXISTS model
%%
DROP TABLE labels; DROP TABLE lineage; DROP TABLE IF EXISTS predict
%%
SELECT "task", 'model' AS "label" FROM (SELECT 1 AS task)
%%
SELECT lf.x FROM lf
%%
DROP TABLE slice; DROP TABLE refresh; DROP TABLE tasks
%%
DROP SCHEMA model CASCADE
#### Strings, comments and dollar quotes that hold statements
SELECT 'CREATE TASK t ON x KEY (id) TYPE BINARY'
%%
SELECT 'a; CREATE TASK t; b'
%%
SELECT 'it''s; REFRESH LABELS; '''
%%
SELECT E'a\'; CREATE TASK t; \''
%%
SELECT E'a\\'; SELECT 'CREATE MODEL m'
%%
SELECT $$ ; CREATE TASK t; $$
%%
SELECT $task$ it's; CREATE MODEL m FOR TASK x; $$ $task$ AS "x;y"
%%
SELECT 1 -- CREATE TASK t;
%%
-- CREATE TASK t;
SELECT 1
%%
-- predict('fraud', webpages)
SELECT 2 AS labels
%%
/* CREATE TASK t; */ SELECT 1 /* ; REFRESH LABELS */
%%
SELECT /* a /* b */ ; CREATE TASK t; */ 1
%%
SELECT 1 /* never closed CREATE TASK
%%
SELECT 'predict(''a'', b)' AS "labels(1)"
%%
SELECT 'from labels(1)', $$ FROM predict('x', y) $$
%%
SELECT * FROM mails WHERE body = 'model; label'
%%
SELECT 1; -- REFRESH LABELS
%%
SELECT 1 --
%%
SELECT 1 -- end without newline; CREATE TASK
; SELECT 2
%%
SELECT "CREATE TASK" FROM (SELECT 3 AS "CREATE TASK")
%%
SELECT 1 AS "a;b", 2 AS "CREATE MODEL m; x"
%%
SELECT 'ünïcödé; task' AS "größe", '日本語' AS "列", '🦆' AS duck
%%
CREATE TABLE "größe task" ("列 label" INTEGER); INSERT INTO "größe task" VALUES (5); SELECT "列 label" FROM "größe task"
%%
SELECT 列 FROM (SELECT 1 AS 列, 'task' AS model)
%%
SELECT 'select ''refresh''' || chr(59) || 'task'
%%
SELECT 1;;; SELECT 'task';;
%%
;
%%
;;;
%%
-- only a comment about a task
%%
/* only a comment; CREATE TASK */
%%
  
%%
SELECT '	tab and
new line; task'
#### Scripts
SELECT 1; SELECT 2, 'task'
%%
CREATE TABLE s1 (a INTEGER); INSERT INTO s1 VALUES (1); INSERT INTO s1 VALUES (2); SELECT sum(a) AS task FROM s1
%%
INSERT INTO s1 VALUES (3); INSERT INTO s1 VALUES ('model'); INSERT INTO s1 VALUES (4)
%%
SELECT sum(a), 'task' FROM s1
%%
INSERT INTO s1 VALUES (10); SELECT * FROM nosuch_task; INSERT INTO s1 VALUES (20)
%%
SELECT sum(a) FROM s1
%%
INSERT INTO s1 VALUES (100); SELEC 'task'; INSERT INTO s1 VALUES (200)
%%
SELECT sum(a) FROM s1
%%
SELECT error('stopped at label'); INSERT INTO s1 VALUES (1000)
%%
SELECT sum(a) FROM s1
%%
CREATE SEQUENCE seq_task; SELECT nextval('seq_task'); SELECT nextval('seq_task'); SELECT currval('seq_task')
%%
SELECT nextval('seq_task')
%%
BEGIN; INSERT INTO s1 VALUES (7); ROLLBACK; SELECT sum(a) AS model FROM s1
#### Transactions
BEGIN TRANSACTION
%%
CREATE TABLE in_transaction AS SELECT 'task' AS label
%%
SELECT * FROM in_transaction
%%
ROLLBACK
%%
SELECT * FROM in_transaction
%%
BEGIN
%%
INSERT INTO s1 VALUES (1), (2)
%%
COMMIT
%%
COMMIT
%%
ROLLBACK
%%
BEGIN
%%
BEGIN
%%
SELECT 1 / 0, 'task'::INTEGER
%%
SELECT 'after an error: model'
%%
INSERT INTO mails VALUES (1, 'twice', NULL, NULL, NULL)
%%
SELECT count(*) AS label FROM mails
%%
COMMIT
%%
ABORT
%%
BEGIN TRANSACTION READ ONLY
%%
INSERT INTO s1 VALUES (3)
%%
ROLLBACK
%%
CHECKPOINT
#### Prepared statements and variables
PREPARE p1 AS SELECT $1 + 1 AS task, $2 AS model
%%
EXECUTE p1(1, 'label')
%%
EXECUTE p1(1)
%%
PREPARE p2 AS SELECT $low AS low, id FROM mails WHERE id > $low ORDER BY id
%%
EXECUTE p2(low := 3)
%%
PREPARE p3 AS INSERT INTO s1 VALUES (?) RETURNING a AS label
%%
EXECUTE p3(55)
%%
DEALLOCATE p1
%%
EXECUTE p1(1, 'x')
%%
DEALLOCATE p1
%%
SET VARIABLE task = 'model; label'
%%
SELECT getvariable('task')
%%
RESET VARIABLE task
%%
SELECT getvariable('task')
%%
SELECT ?, 'task'
%%
SELECT $model
#### Writing rows
INSERT INTO s1 VALUES (8) RETURNING a, a * 2 AS label
%%
UPDATE s1 SET a = a + 1 WHERE a = 8 RETURNING a
%%
DELETE FROM s1 WHERE a > 50 RETURNING *
%%
INSERT INTO mails VALUES (1, 'x', 'y', 1, NULL)
%%
INSERT INTO mails VALUES (1, 'x', 'label', 1, NULL) ON CONFLICT (id) DO UPDATE SET body = excluded.body
%%
INSERT OR IGNORE INTO mails VALUES (1, 'ignored task', NULL, NULL, NULL)
%%
INSERT OR REPLACE INTO mails BY NAME SELECT 5 AS id, 'task' AS body
%%
SELECT id, body FROM mails ORDER BY id
%%
UPDATE mails SET size = t.x FROM (VALUES (1, 99.0)) t(k, x) WHERE mails.id = t.k
%%
DELETE FROM mails USING (VALUES (5)) t(k) WHERE mails.id = t.k
%%
MERGE INTO mails AS m USING (VALUES (1, 'merged'), (77, 'new task')) AS v(id, body) ON (m.id = v.id) WHEN MATCHED THEN UPDATE SET body = v.body WHEN NOT MATCHED THEN INSERT (id, body) VALUES (v.id, v.body)
%%
MERGE INTO mails USING (VALUES (77)) AS v(id) USING (id) WHEN MATCHED THEN DELETE RETURNING merge_action, id
%%
SELECT id, body FROM mails ORDER BY id
%%
TRUNCATE s1
%%
SELECT count(*) FROM s1
%%
INSERT INTO nosuch VALUES (1)
%%
UPDATE mails SET nosuch = 1
%%
DELETE FROM mails WHERE nosuch
%%
INSERT INTO mails (id) VALUES (1, 2)
#### Types, sequences, indexes, views, constraints
CREATE TYPE label AS ENUM ('spam', 'ham')
%%
CREATE TABLE typed (l label, s STRUCT(task INTEGER, model VARCHAR), m MAP(VARCHAR, INTEGER), u UNION(a INTEGER, b VARCHAR))
%%
INSERT INTO typed VALUES ('spam', {'task': 1, 'model': 'x'}, MAP {'a': 1}, 'b'), (NULL, NULL, NULL, 3)
%%
SELECT * FROM typed
%%
INSERT INTO typed (l) VALUES ('nolabel')
%%
SELECT enum_range(NULL::label), s.task, m['a'], u.b FROM typed
%%
DROP TYPE label
%%
CREATE SEQUENCE task START 5 INCREMENT 2
%%
SELECT nextval('task'), nextval('task')
%%
CREATE VIEW label_view AS SELECT id, body AS label FROM mails
%%
SELECT * FROM label_view ORDER BY id
%%
CREATE OR REPLACE TEMP VIEW refresh_view AS FROM label_view
%%
SELECT count(*) FROM refresh_view
%%
CREATE VIEW broken AS SELECT * FROM nosuch_model
%%
DROP VIEW label_view
%%
SELECT * FROM refresh_view
%%
CREATE UNIQUE INDEX i_task ON mails (sender, body)
%%
DROP INDEX i_task
%%
CREATE INDEX i_model ON nosuch (x)
%%
CREATE TABLE child (id INTEGER REFERENCES mails (id), label VARCHAR NOT NULL, total INTEGER GENERATED ALWAYS AS (id * 2))
%%
INSERT INTO child (id, label) VALUES (1, 'a'); SELECT * FROM child
%%
INSERT INTO child (id, label) VALUES (12345, 'a')
%%
INSERT INTO child (id) VALUES (1)
%%
CREATE TEMP TABLE temp_label AS SELECT 1 AS x; SELECT * FROM temp_label
%%
CREATE TABLE IF NOT EXISTS mails (x INTEGER)
%%
CREATE TABLE mails (x INTEGER)
%%
CREATE OR REPLACE TABLE temp2 AS FROM range(3) WITH NO DATA
%%
SELECT * FROM temp2
%%
CREATE TABLE dup (a INTEGER, a INTEGER)
%%
CREATE TABLE label (other INTEGER)
%%
CREATE SCHEMA IF NOT EXISTS extra; CREATE TABLE extra.t (x INTEGER); DROP SCHEMA extra
%%
DROP SCHEMA extra CASCADE
#### Files
COPY (SELECT id, body AS label FROM mails ORDER BY id) TO '{tmp}/labels.parquet' (FORMAT parquet)
%%
SELECT * FROM '{tmp}/labels.parquet' ORDER BY id
%%
SELECT * FROM read_parquet('{tmp}/labels.parquet') WHERE label = 'merged'
%%
COPY (SELECT 1 AS task, 'x;y' AS model) TO '{tmp}/model.csv' (HEADER, DELIMITER '|')
%%
FROM read_csv('{tmp}/model.csv', delim = '|')
%%
FROM '{tmp}/model.csv'
%%
CREATE TABLE from_csv (task INTEGER, model VARCHAR); COPY from_csv FROM '{tmp}/model.csv' (HEADER, DELIMITER '|'); FROM from_csv
%%
COPY from_csv TO '{tmp}/model.json'
%%
FROM read_json('{tmp}/model.json')
%%
FROM '{tmp}/nosuch_task.parquet'
%%
COPY nosuch TO '{tmp}/x.csv'
%%
COPY (SELECT 1) TO '{tmp}/nosuch/x.csv'
%%
CREATE SCHEMA keep; CREATE TABLE keep.t AS SELECT 1 AS label
%%
EXPORT DATABASE '{tmp}/export' (FORMAT parquet)
%%
ATTACH ':memory:' AS back; USE back; IMPORT DATABASE '{tmp}/export'; SELECT count(*) FROM mails
%%
SELECT label FROM keep.t
%%
USE {home}
%%
IMPORT DATABASE '{tmp}/nosuch_model'
#### Attached databases
ATTACH '{tmp}/other.duckdb' AS model
%%
CREATE TABLE model.task (label INTEGER); INSERT INTO model.task VALUES (1), (2)
%%
SELECT sum(label) FROM model.task
%%
USE model
%%
SELECT current_database(), current_schema()
%%
SHOW TABLES
%%
DESCRIBE task
%%
SELECT * FROM model.main.task ORDER BY label
%%
DETACH model
%%
USE back.main
%%
DETACH model
%%
ATTACH '{tmp}/other.duckdb' AS model (READ_ONLY); INSERT INTO model.task VALUES (3)
%%
DETACH DATABASE IF EXISTS model
%%
ATTACH '{tmp}/one.csv' AS broken
%%
ATTACH '{tmp}/nosuch/x.duckdb' AS broken
%%
DETACH nosuch_task
%%
SELECT * FROM nosuch_task.main.x
#### SHOW, DESCRIBE, PRAGMA, settings
SHOW TABLES
%%
SHOW ALL TABLES
%%
SHOW DATABASES
%%
SHOW SCHEMAS
%%
DESCRIBE mails
%%
DESCRIBE nosuch_task
%%
SHOW nosuch_table
%%
DESCRIBE
%%
SUMMARIZE SELECT 1 AS task
%%
DESCRIBE TABLE mails
%%
PRAGMA table_info('mails')
%%
PRAGMA show_tables
%%
PRAGMA version
%%
PRAGMA nosuch_task
%%
CALL pragma_table_info('mails')
%%
CALL range(3)
%%
CALL nosuch_task(1)
%%
SET threads = 1
%%
SET SESSION default_null_order = 'nulls_first'; SELECT x AS task FROM (VALUES (1), (NULL)) t(x) ORDER BY x
%%
RESET default_null_order
%%
SELECT current_setting('threads')
%%
SET nosuch_task = 1
%%
SET memory_limit = 'not a task'
%%
SET search_path = 'main'
%%
SELECT count(*) > 10 FROM duckdb_settings()
%%
SELECT table_name FROM information_schema.tables ORDER BY ALL
%%
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'mails' ORDER BY ordinal_position
%%
SELECT function_name FROM duckdb_functions() WHERE NOT internal ORDER BY ALL
%%
SELECT database_name, path IS NULL FROM duckdb_databases() WHERE NOT internal ORDER BY ALL
#### EXPLAIN
EXPLAIN SELECT 'a;b' AS task FROM mails
%%
EXPLAIN SELECT * FROM nosuch_model
%%
EXPLAIN (FORMAT json) SELECT 1 AS label
%%
EXPLAIN ANALYZE SELECT count(*) AS label FROM mails
%% shape
EXPLAIN CREATE TABLE explained (task INTEGER)
%%
EXPLAIN ANALYZE CREATE TABLE analyzed AS SELECT 1 AS task
%% shape
SELECT * FROM analyzed
%%
EXPLAIN SELECT 1; SELECT 'task'
#### Syntax errors
SELEC 1 AS task
%%
SELECT FROM WHERE task
%%
SELECT 'never closed; CREATE TASK
%%
SELECT "never closed label
%%
SELECT $$ never closed model
%%
SELECT (1, 'task'
%%
SELECT 1)) AS task
%%
SELECT [1, 2 AS label
%%
CREATE
%%
CREATE TASKS
%%
CREATE TABLE
%%
CREATE OR REPLACE
%%
CREATE OR
%%
DROP
%%
DROP TASKS x
%%
ALTER
%%
ALTER LABEL x
%%
SHOW
%%
DESCRIBE SELECT FROM
%%
EXPLAIN
%%
EXPLAIN EXPLAIN SELECT 1 AS task
%%
COMMENT ON
%%
COMMENT ON FEATURE x IS 'y'
%%
INSERT INTO
%%
UPDATE model
%%
WITH task AS SELECT 1
%%
SELECT 1 LIMIT task
%%
SELECT * FROM mails GROUP
%%
SELECT task FROM mails
%%
SELECT sender, count(*) AS label FROM mails
%%
SELECT labels(FROM mails)
%%
FROM
%%
task
%%
label model x
%%
modle m
%%
SELECT 1 # task
%%
SELECT '\'; CREATE TABLE x; select '\'
%%
SELECT U&'d\0061ta task'
%%
SELECT `model`
%%
SELECT @task
%%
SELECT 1 WHERE label = 'x'
%%
EXPORT DATA
%%
IMPORT
%%
SET
%%
SET task
%%
RESET
%%
PREPARE task
%%
EXECUTE nosuch_task
%%
LOAD nosuch_task
%%
VACUUM
%%
ANALYZE
%%
SELECT 'end', 'task'
