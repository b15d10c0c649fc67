-- Phishing pages: from heuristics to a trained model, with no label written by hand.
--
--     wsdb run examples/phishing/labels.sql
--
-- Run it from the repository root. A "--:" comment is printed as the heading of the result below it.
-- Three kinds of statement follow each other: plain DuckDB SQL, wsdb's own CREATE statements, and plain queries again.


-- 1. Data -------------------------------------------------------------------------------------------------------------
-- 1,250 web pages, each described by nine observations (see README.md). Gold labels live in a table of their own:
-- no labeling function and no feature can reach them.

CREATE OR REPLACE TABLE pages AS FROM read_csv('examples/phishing/pages.csv');
CREATE OR REPLACE TABLE gold_pages AS FROM read_csv('examples/phishing/gold.csv');

--: What a page looks like
SELECT * FROM pages ORDER BY id LIMIT 5;


-- 2. Task: what we want to know about every page ----------------------------------------------------------------------
-- GOLD is used to score things, never to train them. SPLIT BY names the column that says train, dev or test.

CREATE OR REPLACE TASK phishing ON pages KEY (id) TYPE BINARY ('legitimate', 'phishing')
  GOLD gold_pages (label)
  SPLIT BY split
  COMMENT 'does the page pretend to be somebody else?';


-- 3. Labeling functions: what a fraud analyst believes ----------------------------------------------------------------
-- None of them is right all the time, and they contradict each other. NULL (or no row) means "I do not know".
-- They were written from what the columns mean, and not tuned on the gold labels.

-- The simplest form: one label, one condition.
CREATE OR REPLACE LABELING FUNCTION lf_empty_form FOR TASK phishing
  COMMENT 'a form with an empty handler is a stage prop: a script reads the password and sends it away'
  VOTE 'phishing' WHEN form_handler = 'empty';

CREATE OR REPLACE LABELING FUNCTION lf_own_form FOR TASK phishing
  COMMENT 'a form answered by the site itself has a working server behind it'
  VOTE 'legitimate' WHEN form_handler = 'own';

CREATE OR REPLACE LABELING FUNCTION lf_ip_in_url FOR TASK phishing
  COMMENT 'businesses have names; a bare IP address is a hacked or rented machine'
  VOTE 'phishing' WHEN ip_in_url;

CREATE OR REPLACE LABELING FUNCTION lf_long_url FOR TASK phishing
  COMMENT 'a long address hides the true host behind a familiar brand name'
  VOTE 'phishing' WHEN url_length = 'long';

CREATE OR REPLACE LABELING FUNCTION lf_borrowed_content FOR TASK phishing
  COMMENT 'a copied page still loads the logo and style sheets of the page it was copied from'
  VOTE 'phishing' WHEN outside_content = 'most';

-- Several labels in one function: any expression over the row. No ELSE, so the middle values abstain.
CREATE OR REPLACE LABELING FUNCTION lf_certificate FOR TASK phishing
  COMMENT 'a trusted certificate costs time and a checked identity; a page without one asks for blind trust'
  AS CASE certificate WHEN 'trusted' THEN 'legitimate' WHEN 'missing' THEN 'phishing' END;

CREATE OR REPLACE LABELING FUNCTION lf_popups FOR TASK phishing
  COMMENT 'intrusive pop-ups rush the visitor into typing; calm pages are mostly honest'
  AS CASE popups WHEN 'none' THEN 'legitimate' WHEN 'intrusive' THEN 'phishing' END;

CREATE OR REPLACE LABELING FUNCTION lf_outside_links FOR TASK phishing
  COMMENT 'a copied menu leads back to the real site; an honest menu stays at home'
  AS CASE outside_links WHEN 'few' THEN 'legitimate' WHEN 'most' THEN 'phishing' END;

-- A SELECT: joins, aggregates and look-ups. It returns the key and a label; a page without a row gets no vote.
-- Here an analyst's table of verdicts is joined: phishing sites are thrown away after days, so a site that is both
-- young and little visited is suspect. Young but busy, or old but unheard of, tells nothing: no row, no vote.
CREATE OR REPLACE TABLE reputation (traffic VARCHAR, domain_age VARCHAR, verdict VARCHAR);
INSERT INTO reputation VALUES
  ('none', 'young', 'phishing'),
  ('low',  'young', 'phishing'),
  ('low',  'old',   'legitimate'),
  ('high', 'old',   'legitimate');

CREATE OR REPLACE LABELING FUNCTION lf_reputation FOR TASK phishing
  COMMENT 'the age of the domain and its traffic, read together'
  AS SELECT p.id, r.verdict AS label
     FROM pages p JOIN reputation r ON p.traffic = r.traffic AND p.domain_age = r.domain_age;

-- Python, for what is awkward in SQL: an Arrow RecordBatch in, one label or None per row out.
CREATE OR REPLACE LABELING FUNCTION lf_nothing_odd FOR TASK phishing
  COMMENT 'somebody who takes care of every detail is usually honest'
  LANGUAGE python AS $$
GOOD = {
    "form_handler": "own",
    "popups": "none",
    "certificate": "trusted",
    "outside_content": "few",
    "outside_links": "few",
    "url_length": "short",
}


def lf(batch):
    columns = {name: batch.column(name).to_pylist() for name in GOOD}
    votes = []
    for row in range(batch.num_rows):
        good = sum(columns[name][row] == value for name, value in GOOD.items())
        votes.append("legitimate" if good >= 4 else None)
    return votes
$$;

--: How each labeling function votes: coverage, overlaps and conflicts, and against gold
FROM lf_summary('phishing');


-- 4. Labels: ten opinions become one ----------------------------------------------------------------------------------
-- The label model learns how far to trust each function from how they agree and disagree. It has not seen gold.

--: How well each way of combining the votes does
FROM label_model_report('phishing');

--: What the label model believes about each function
FROM label_model('phishing');

--: The pages it is least sure of
SELECT l.*, p.* EXCLUDE (id, split)
FROM labels('phishing') l JOIN pages p USING (id)
ORDER BY abs(l.prob - 0.5), id LIMIT 5;


-- 5. Models -----------------------------------------------------------------------------------------------------------
-- "detector" learns from the de-noised labels. It always answers, also where the functions abstain or contradict each
-- other, and it needs none of them: the nine columns are enough.

CREATE OR REPLACE MODEL detector FOR TASKS (phishing) FROM pages
  FEATURES (form_handler, popups, certificate, outside_content, outside_links,
            traffic, url_length, domain_age, ip_in_url)
  WITH (seed = 7);

-- "ceiling" is the same model trained on the gold labels of the train split: what 748 labels by hand would buy.
CREATE OR REPLACE MODEL ceiling FOR TASKS (phishing) FROM pages
  FEATURES (form_handler, popups, certificate, outside_content, outside_links,
            traffic, url_length, domain_age, ip_in_url)
  LABELS FROM (SELECT id, g.label FROM gold_pages g JOIN pages USING (id) WHERE split = 'train')
  WITH (seed = 7);

CREATE OR REPLACE VIEW test_pages AS FROM pages WHERE split = 'test';

--: Test pages: no label by hand (votes) next to 748 labels by hand (gold)
SELECT 'votes' AS trained_on, * FROM evaluate('detector', test_pages)
UNION ALL
SELECT 'gold', * FROM evaluate('ceiling', test_pages);

--: Where the detector is wrong
FROM confusion_matrix('detector', test_pages);

--: Ten predictions
SELECT id, form_handler, certificate, traffic, domain_age,
       predicted_phishing, round(predicted_phishing_prob, 3) AS prob
FROM predict('detector', test_pages) ORDER BY id LIMIT 10;


-- 6. What is stored ---------------------------------------------------------------------------------------------------
-- Everything above is tables and views in schema wsdb of this database; any DuckDB client can read them.

--: What is stored
SELECT table_name AS name, 'table' AS kind, column_count AS columns
FROM duckdb_tables() WHERE schema_name = 'wsdb'
UNION ALL
SELECT view_name, 'view', column_count
FROM duckdb_views() WHERE schema_name = 'wsdb'
ORDER BY kind, name;
