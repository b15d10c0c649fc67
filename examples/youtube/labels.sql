-- YouTube comments: ten published labeling functions as SQL, a second task on the same rows, one multitask model.
--
--     wsdb run examples/youtube/labels.sql --var data=../shared/data/youtube
--
-- "data" is the folder with train.parquet, valid.parquet and test.parquet. README.md says where they come from.


-- 1. Data -------------------------------------------------------------------------------------------------------------
-- The three files number their rows from 0 each, so the split goes into the key. Gold labels and stored votes get
-- tables of their own: the comments that labeling functions and models read hold neither.

CREATE OR REPLACE TEMP TABLE loaded AS
SELECT id + CASE split WHEN 'train' THEN 0 WHEN 'dev' THEN 10000 WHEN 'test' THEN 20000 END AS id, * EXCLUDE (id)
FROM (
  SELECT 'train' AS split, * FROM read_parquet(getvariable('data') || '/train.parquet')
  UNION ALL BY NAME
  SELECT 'dev' AS split, * FROM read_parquet(getvariable('data') || '/valid.parquet')
  UNION ALL BY NAME
  SELECT 'test' AS split, * FROM read_parquet(getvariable('data') || '/test.parquet')
);

CREATE OR REPLACE TABLE comments AS
SELECT id, split, video, author, text, textblob_polarity, textblob_subjectivity FROM loaded;

CREATE OR REPLACE TABLE gold_spam AS SELECT id, lower(label_name) AS label FROM loaded;

-- The votes as published, 0 and 1 as labels and -1 (abstain) as NULL. check_votes.sql compares ours with them.
CREATE OR REPLACE TABLE published_votes AS
SELECT id,
       CASE lf_0 WHEN 1 THEN 'spam' END AS keyword_my,
       CASE lf_1 WHEN 1 THEN 'spam' END AS keyword_subscribe,
       CASE lf_2 WHEN 1 THEN 'spam' END AS keyword_link,
       CASE lf_3 WHEN 1 THEN 'spam' END AS keyword_please,
       CASE lf_4 WHEN 0 THEN 'ham'  END AS keyword_song,
       CASE lf_5 WHEN 1 THEN 'spam' END AS regex_check_out,
       CASE lf_6 WHEN 0 THEN 'ham'  END AS short_comment,
       CASE lf_7 WHEN 0 THEN 'ham'  END AS has_person_nlp,
       CASE lf_8 WHEN 0 THEN 'ham'  END AS textblob_polarity,
       CASE lf_9 WHEN 0 THEN 'ham'  END AS textblob_subjectivity
FROM loaded;

--: Comments and spam, by split
SELECT split, count(*) AS comments, count(*) FILTER (label = 'spam') AS spam
FROM comments JOIN gold_spam USING (id) GROUP BY split ORDER BY comments DESC;


-- 2. First task: spam -------------------------------------------------------------------------------------------------
-- The ten functions of the published set, under their published names.

CREATE OR REPLACE TASK spam ON comments KEY (id) TYPE BINARY ('ham', 'spam')
  GOLD gold_spam (label)
  SPLIT BY split
  COMMENT 'is the comment an advertisement?';

CREATE OR REPLACE LF keyword_my FOR TASK spam
  COMMENT 'spammers talk about my channel, my video, my song'
  VOTE 'spam' WHEN lower(text) LIKE '%my%';

CREATE OR REPLACE LF keyword_subscribe FOR TASK spam
  COMMENT 'asks for subscribers'
  VOTE 'spam' WHEN lower(text) LIKE '%subscribe%';

CREATE OR REPLACE LF keyword_link FOR TASK spam
  COMMENT 'points away from the video'
  VOTE 'spam' WHEN lower(text) LIKE '%http%';

CREATE OR REPLACE LF keyword_please FOR TASK spam
  COMMENT 'begs'
  VOTE 'spam' WHEN lower(text) LIKE '%please%' OR lower(text) LIKE '%plz%';

CREATE OR REPLACE LF keyword_song FOR TASK spam
  COMMENT 'real comments talk about the song'
  VOTE 'ham' WHEN lower(text) LIKE '%song%';

CREATE OR REPLACE LF regex_check_out FOR TASK spam
  COMMENT 'check out ..., check my ... out'
  VOTE 'spam' WHEN regexp_matches(text, 'check.*out', 'i');

CREATE OR REPLACE LF short_comment FOR TASK spam
  COMMENT 'fewer than five words: too short to sell anything'
  VOTE 'ham' WHEN len(regexp_extract_all(text, '\S+')) < 5;

CREATE OR REPLACE LF textblob_polarity FOR TASK spam
  COMMENT 'pure enthusiasm, by a sentiment score that came with the data'
  VOTE 'ham' WHEN textblob_polarity > 0.9;

CREATE OR REPLACE LF textblob_subjectivity FOR TASK spam
  COMMENT 'opinions are ham, by a score that came with the data'
  VOTE 'ham' WHEN textblob_subjectivity >= 0.5;

-- The tenth asks a named-entity tagger whether a short comment names a person. That model is not here, but its votes
-- are: votes that were made elsewhere are imported as they are. A NULL is an abstention.
CREATE OR REPLACE LF has_person_nlp FOR TASK spam
  COMMENT 'short and names a person, usually the singer (votes of an outside tagger)'
  FROM VOTES published_votes (id, has_person_nlp);


-- 3. Second task: what kind of comment is it? -------------------------------------------------------------------------
-- No gold labels exist for this one. The functions below were written after reading a few hundred comments.

CREATE OR REPLACE TASK comment_type ON comments KEY (id)
  TYPE MULTICLASS ('promotion', 'praise', 'question', 'remark')
  SPLIT BY split
  COMMENT 'promotion: wants something; praise: likes it; question: asks; remark: everything else about the video';

CREATE OR REPLACE LF type_link FOR TASK comment_type
  COMMENT 'an address to visit, also without http'
  VOTE 'promotion' WHEN regexp_matches(text, 'https?://|www\.|\.(com|net|org)\b', 'i');

CREATE OR REPLACE LF type_subscribe FOR TASK comment_type
  COMMENT 'asks for subscribers, in several spellings'
  VOTE 'promotion' WHEN regexp_matches(text, '\bsub(s|scri\w*)?\b|\bsuscri\w*', 'i');

CREATE OR REPLACE LF type_my_work FOR TASK comment_type
  COMMENT 'talks about a work of the writer, not of the singer'
  VOTE 'promotion'
  WHEN regexp_matches(text, '\b(my|our) (\w+ )?(channel|page|site|video|vid|music|song|cover|remix|rap)s?\b', 'i');

CREATE OR REPLACE LF type_call_to_action FOR TASK comment_type
  COMMENT 'tells the reader to do something'
  VOTE 'promotion'
  WHEN regexp_matches(text, 'check.{0,20}\bout\b|take a look|\bvisit\b|follow (me|us)|\bshare\b|like this comment|thumbs up', 'i');

-- The whole table at once: long texts that were posted more than once are pasted, not written.
CREATE OR REPLACE LF type_pasted FOR TASK comment_type
  COMMENT 'the same long text was posted more than once'
  AS SELECT id, 'promotion' AS label
     FROM comments
     WHERE length(text) > 30
     QUALIFY count(*) OVER (PARTITION BY lower(trim(text))) > 1;

CREATE OR REPLACE LF type_praise_words FOR TASK comment_type
  COMMENT 'words of praise'
  VOTE 'praise'
  WHEN regexp_matches(text, '\b(lo+ve+[ds]?|i like|best|great|amazing|awesome|good|nice|beautiful|cool|perfect|epic|fantastic|legend|rocks)\b', 'i');

CREATE OR REPLACE LF type_cheer FOR TASK comment_type
  COMMENT 'hearts (also as the entity &lt;3, the texts still carry HTML), or a few words that ask nothing: a cheer'
  VOTE 'praise' WHEN regexp_matches(text, '<3|&lt;3|[❤♥😍😘👍]')
                  OR (len(regexp_extract_all(text, '\S+')) < 5 AND text NOT LIKE '%?%');

-- Several labels in one function: how a comment ends says what it is. The zero-width mark at the end of many texts
-- (U+FEFF) is removed first.
CREATE OR REPLACE LF type_ending FOR TASK comment_type
  COMMENT 'a question mark asks, a row of exclamation marks cheers'
  AS CASE WHEN rtrim(replace(text, chr(65279), '')) LIKE '%?'   THEN 'question'
          WHEN rtrim(replace(text, chr(65279), '')) LIKE '%!!!' THEN 'praise' END;

CREATE OR REPLACE LF type_question_word FOR TASK comment_type
  COMMENT 'opens like a question; on the web the question mark is optional'
  VOTE 'question'
  WHEN regexp_matches(text, '^\W*(who|what|when|where|why|how|which|is (this|that|it|he|she)|does|did|any(one|body))\b', 'i');

CREATE OR REPLACE LF type_view_count FOR TASK comment_type
  COMMENT 'the view counter is a favourite subject'
  VOTE 'remark' WHEN regexp_matches(text, '\bview(s|ed)?\b|\b[mb]illions?\b', 'i');

CREATE OR REPLACE LF type_memories FOR TASK comment_type
  COMMENT 'years, and what the song brings back'
  VOTE 'remark' WHEN regexp_matches(text, '\byears?\b|\b20(0|1)\d\b|remember|remind|\bstill\b|childhood', 'i');

CREATE OR REPLACE LF type_dislike FOR TASK comment_type
  COMMENT 'complaints are remarks'
  VOTE 'remark'
  WHEN regexp_matches(text, '\b(hate[ds]?|worst|bad|sucks?|boring|annoying|dislike|overrated|useless|ugly)\b', 'i');

--: Spam: how each labeling function votes, and how it does against gold
FROM lf_summary('spam');

--: Comment type: how each labeling function votes (there is no gold)
FROM lf_summary('comment_type');


-- 4. Labels -----------------------------------------------------------------------------------------------------------

--: Spam: how well each way of combining the votes does
FROM label_model_report('spam');

--: Spam: what the label model believes about each function
FROM label_model('spam');

--: Comment type: what the label model believes about each function
FROM label_model('comment_type');

--: The two tasks side by side: promotion is what spam is made of
SELECT t.label AS comment_type,
       count(*) AS comments,
       count(*) FILTER (s.label = 'spam') AS labeled_spam,
       count(*) FILTER (g.label = 'spam') AS gold_spam
FROM labels('comment_type') t JOIN labels('spam') s USING (id) JOIN gold_spam g USING (id)
GROUP BY ALL ORDER BY comments DESC;


-- 5. One model for both tasks -----------------------------------------------------------------------------------------
-- One text encoder, one head per task. It reads the text alone: not the sentiment scores, not the tagger's votes. Those
-- were good enough to make labels with, but nobody has to compute them for a new comment.

CREATE OR REPLACE MODEL youtube FOR TASKS (spam, comment_type) FROM comments
  FEATURES (text)
  WITH (seed = 7);

-- All test comments stand below one video that the training comments hardly know: a fair, hard test.
CREATE OR REPLACE VIEW test_comments AS FROM comments WHERE split = 'test';

--: Test comments (gold exists for spam only)
FROM evaluate('youtube', test_comments);

--: Where it is wrong
FROM confusion_matrix('youtube', test_comments);

-- Comments nobody has voted on: the model needs nothing but the columns it was trained on.
CREATE OR REPLACE TABLE new_comments (text VARCHAR);
INSERT INTO new_comments VALUES
  ('come visit my channel, new videos every week'),
  ('my favourite song of that whole summer'),
  ('who is the girl in the red dress'),
  ('three billion and counting'),
  ('earn 500 dollars a day from home, link in my profile');

--: Five new comments
SELECT text, predicted_spam, round(predicted_spam_prob, 3) AS prob, predicted_comment_type
FROM predict('youtube', new_comments);

--: What is stored
SELECT table_name AS name, 'table' AS kind, column_count AS columns
FROM duckdb_tables() WHERE schema_name = 'wsdb'
UNION ALL
SELECT view_name, 'view', column_count
FROM duckdb_views() WHERE schema_name = 'wsdb'
ORDER BY kind, name;
