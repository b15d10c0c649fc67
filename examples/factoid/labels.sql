-- Factoid questions: one network that answers four questions about each query, at three granularities.
--
--     wsdb run examples/factoid/labels.sql
--
-- Run it from the repository root. A "--:" comment is printed as the heading of the result below it.
-- The example is the running one of Overton (Ré et al. 2020): "how tall is the president of the united states?"


-- 1. Data -------------------------------------------------------------------------------------------------------------
-- Queries of an assistant: the text, its tokens, and the candidates for what it is about, from a table of known things.
-- A candidate has a type, a popularity between 0 and 1, and a span: its first token, and the one behind its last.

CREATE OR REPLACE TABLE queries AS
FROM read_json('examples/factoid/queries.json', columns = {
  qid: 'INTEGER', query: 'VARCHAR', tokens: 'VARCHAR[]',
  entities: 'STRUCT("name" VARCHAR, "type" VARCHAR, popularity DOUBLE, span STRUCT("start" INTEGER, "end" INTEGER))[]',
  split: 'VARCHAR'});

-- Gold is in tables of its own, one for each task, and for scores only. No label is used for training.
CREATE OR REPLACE TABLE gold AS FROM read_json('examples/factoid/gold.json', columns = {
  qid: 'INTEGER', intent: 'VARCHAR', pos: 'VARCHAR[]', entity_type: 'VARCHAR[][]', intent_arg: 'INTEGER'});
CREATE OR REPLACE TABLE gold_intent AS SELECT qid, intent AS label FROM gold;
CREATE OR REPLACE TABLE gold_arg AS
SELECT qid, place AS pos, CASE WHEN place = intent_arg THEN 'yes' ELSE 'no' END AS label
FROM (SELECT qid, generate_subscripts(entities, 1)::INTEGER AS place FROM queries) JOIN gold USING (qid);
CREATE OR REPLACE TABLE gold_pos AS
SELECT qid, generate_subscripts(pos, 1)::INTEGER AS pos, unnest(pos) AS label FROM gold;
CREATE OR REPLACE TABLE gold_type AS
SELECT qid, generate_subscripts(entity_type, 1)::INTEGER AS pos, unnest(entity_type) AS label FROM gold;

--: What a query looks like
SELECT qid, query, list_transform(entities, lambda e: e.name || ': ' || e.type) AS candidates, split
FROM queries ORDER BY qid LIMIT 5;


-- 2. Payloads: the parts of a query that can be labeled ---------------------------------------------------------------
-- Each is also a view with a row for each element: tokens (qid, pos, value), entities (qid, pos, value).

CREATE OR REPLACE PAYLOAD tokens   ON queries KEY (qid) AS SEQUENCE (tokens);
CREATE OR REPLACE PAYLOAD query    ON queries KEY (qid) AS SINGLETON (query) FROM PAYLOADS (tokens);
CREATE OR REPLACE PAYLOAD entities ON queries KEY (qid) AS SET (entities) SPANS tokens (span);


-- 3. Tasks: what we want to know --------------------------------------------------------------------------------------

-- of the query: what is asked (one of four)
CREATE OR REPLACE TASK intent ON queries KEY (qid) PAYLOAD query
  TYPE MULTICLASS ('height', 'age', 'capital', 'spouse')
  GOLD gold_intent (label) SPLIT BY split;

-- of each candidate: is it the one that is meant? (one of the set)
CREATE OR REPLACE TASK intent_arg ON queries KEY (qid) PAYLOAD entities TYPE SELECT
  GOLD gold_arg (label) SPLIT BY split;

-- of each token: what it is the name of (any number of labels)
CREATE OR REPLACE TASK entity_type ON queries KEY (qid) PAYLOAD tokens
  TYPE BITVECTOR ('person', 'location', 'country', 'title')
  GOLD gold_type (label) SPLIT BY split
  WITH (multilabel_absent = 'no');  -- a vote for some labels is a vote against the others

-- of each token: its part of speech. Nobody asks for it; it helps the others (ANCILLARY).
CREATE OR REPLACE TASK pos ON queries KEY (qid) PAYLOAD tokens
  TYPE MULTICLASS ('NOUN', 'VERB', 'ADJ', 'OTHER') ROLE ANCILLARY
  GOLD gold_pos (label) SPLIT BY split;


-- 4. Labeling functions -----------------------------------------------------------------------------------------------

-- intent: a word or two give a question away. Many ways to ask have no function: the network has to find them.
CREATE OR REPLACE LF lf_how_tall  FOR TASK intent VOTE 'height'  WHEN query LIKE 'how tall%';
CREATE OR REPLACE LF lf_height    FOR TASK intent VOTE 'height'  WHEN list_contains(tokens, 'height');
CREATE OR REPLACE LF lf_how_old   FOR TASK intent VOTE 'age'     WHEN query LIKE 'how old%';
CREATE OR REPLACE LF lf_born      FOR TASK intent VOTE 'age'     WHEN list_has_any(tokens, ['born', 'age']);
CREATE OR REPLACE LF lf_capital   FOR TASK intent VOTE 'capital' WHEN list_contains(tokens, 'capital');
CREATE OR REPLACE LF lf_city      FOR TASK intent VOTE 'capital' WHEN list_contains(tokens, 'city');
CREATE OR REPLACE LF lf_marry     FOR TASK intent VOTE 'spouse'  WHEN regexp_matches(query, '\bmarr(y|ied)\b');
CREATE OR REPLACE LF lf_partner   FOR TASK intent VOTE 'spouse'  WHEN list_has_any(tokens, ['wife', 'husband']);
-- and one that is often wrong: "who …" may ask for a person, "what …" for a thing
CREATE OR REPLACE LF lf_question  FOR TASK intent
  AS CASE tokens[1] WHEN 'who' THEN 'spouse' WHEN 'which' THEN 'capital' WHEN 'when' THEN 'age' END;

-- intent_arg: votes on candidates. Several rows for one query mean "one of these".
CREATE OR REPLACE LF lf_people FOR TASK intent_arg
  AS SELECT qid, pos, 'yes' AS label FROM entities
     WHERE value.type = 'person'
       AND regexp_matches(query, '\b(old|born|age|birthday|wife|husband|marr(y|ied)|partner)\b');
CREATE OR REPLACE LF lf_countries FOR TASK intent_arg
  AS SELECT qid, pos, 'yes' AS label FROM entities WHERE value.type = 'country' AND query LIKE '%capital%';
CREATE OR REPLACE LF lf_popular FOR TASK intent_arg
  AS SELECT qid, arg_max(pos, value.popularity) AS pos, 'yes' AS label FROM entities GROUP BY qid;
CREATE OR REPLACE LF lf_longest FOR TASK intent_arg
  AS SELECT qid, arg_max(pos, value.span."end" - value.span."start") AS pos, 'yes' AS label FROM entities
     GROUP BY qid HAVING max(value.span."end" - value.span."start") > min(value.span."end" - value.span."start");
CREATE OR REPLACE LF lf_not_towns FOR TASK intent_arg
  AS SELECT qid, pos, 'no' AS label FROM entities WHERE value.type = 'location' AND value.popularity < 0.9;

-- entity_type: a vote is a list, [] says that no label applies
CREATE OR REPLACE LF lf_small_words FOR TASK entity_type
  AS CASE WHEN value IN ('how', 'what', 'who', 'when', 'which', 'where', 'is', 'was', 'does', 'did', 'the', 'of', 'to',
                         'in', 'a', 'have', 'last', 'very', 'many') THEN [] END;
CREATE OR REPLACE LF lf_question_words FOR TASK entity_type
  AS CASE WHEN value IN ('tall', 'height', 'meters', 'feet', 'measure', 'old', 'age', 'year', 'born', 'birthday',
                         'capital',
                         'city', 'married', 'wife', 'husband', 'marry', 'partner', 'government', 'sit') THEN [] END;
CREATE OR REPLACE LF lf_titles FOR TASK entity_type
  AS CASE WHEN value IN ('president', 'queen', 'king', 'emperor') THEN ['title'] END;
-- where all candidates for a token are of one type, it is that
CREATE OR REPLACE LF lf_candidates FOR TASK entity_type
  AS SELECT t.qid, t.pos,
            CASE min(e.value.type) WHEN 'country' THEN ['location', 'country'] ELSE [min(e.value.type)] END AS label
     FROM tokens t JOIN entities e ON e.qid = t.qid AND t.pos >= e.value.span."start" AND t.pos < e.value.span."end"
     WHERE t.value <> 'of' GROUP BY t.qid, t.pos HAVING min(e.value.type) = max(e.value.type);
CREATE OR REPLACE LF lf_after_capital FOR TASK entity_type
  AS SELECT t.qid, t.pos, ['location', 'country'] AS label
     FROM tokens t JOIN tokens b ON b.qid = t.qid AND b.pos = t.pos - 1
     JOIN tokens c ON c.qid = t.qid AND c.pos = t.pos - 2
     WHERE b.value = 'of' AND c.value IN ('capital', 'city', 'president', 'queen', 'king', 'emperor');

-- pos: a small lexicon, and names
CREATE OR REPLACE LF lf_verbs  FOR TASK pos VOTE 'VERB'
  WHEN value IN ('is', 'was', 'does', 'did', 'have', 'measure', 'born', 'married', 'marry', 'governs');
CREATE OR REPLACE LF lf_adjectives FOR TASK pos VOTE 'ADJ' WHEN value IN ('tall', 'old', 'many', 'last', 'famous');
CREATE OR REPLACE LF lf_nouns FOR TASK pos VOTE 'NOUN'
  WHEN value IN ('height', 'age', 'capital', 'city', 'wife', 'president', 'queen', 'king', 'birthday', 'feet');
CREATE OR REPLACE LF lf_others FOR TASK pos VOTE 'OTHER'
  WHEN value IN ('how', 'what', 'who', 'when', 'which', 'where', 'the', 'of', 'to', 'in', 'a');
CREATE OR REPLACE LF lf_names FOR TASK pos
  AS SELECT DISTINCT t.qid, t.pos, 'NOUN' AS label
     FROM tokens t JOIN entities e ON e.qid = t.qid AND t.pos >= e.value.span."start" AND t.pos < e.value.span."end"
     WHERE t.value <> 'of';

--: How the functions for the candidates vote
FROM lf_summary('intent_arg');

--: Labels of the candidates of one query
SELECT qid, pos, value.name, value.type, l.label, round(l.prob, 2) AS prob
FROM labels('intent_arg') l JOIN entities USING (qid, pos) WHERE qid = 5 ORDER BY pos;


-- 5. Slices: groups of queries, or of their parts, that matter more than their number ----------------------------------

CREATE OR REPLACE SLICE ambiguous ON queries
  COMMENT 'several things go by one name'
  AS len(list_distinct(list_transform(entities, lambda e: e.type))) > 1;
CREATE OR REPLACE SLICE titles ON queries
  COMMENT 'who it is about is not said by name'
  AS list_has_any(tokens, ['president', 'queen', 'king', 'emperor']);
-- on the view of a payload a slice has elements: here candidates, which the network knows by their fields
CREATE OR REPLACE SLICE obscure ON entities
  COMMENT 'candidates that few know, and that lf_popular passes over'
  AS value.popularity < 0.5;


-- 6. The model --------------------------------------------------------------------------------------------------------
-- Payloads and tasks say what, nobody says how: encoders, heads and losses follow from them.

CREATE OR REPLACE MODEL factoid FOR TASKS (intent, entity_type, intent_arg, pos) FROM queries
  PAYLOADS (tokens, query, entities) SLICES (*)
  WITH (seed = 7);

CREATE OR REPLACE VIEW test_queries AS FROM queries WHERE split = 'test';

--: What the network says of some test queries
SELECT query, predicted_intent AS intent, entities[predicted_intent_arg].name AS about,
       list_transform(list_zip(tokens, predicted_entity_type), lambda p: p[1] || ' ' || p[2]::VARCHAR) AS tokens
FROM predict('factoid', test_queries) ORDER BY qid LIMIT 8;

--: The ancillary task has predictions of its own
SELECT query, predicted_pos FROM predict('pos', test_queries) ORDER BY qid LIMIT 3;

--: How good it is, over all test queries and in each slice; a pick is in "obscure" with any obscure candidate
SELECT task, segment, n, round(accuracy, 3) AS accuracy, round(f1, 3) AS f1
FROM evaluate('factoid', test_queries, by => 'slice') ORDER BY task, segment;
