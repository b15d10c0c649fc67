-- How pages.csv and gold.csv were made (plain DuckDB; nothing here needs to be run again).
--
-- Input: the file phishing.csv.gz of the Python package river, read from the current directory. Its numbers are the
-- ones of the UCI file, rescaled to 0 / 0.5 / 1. Here every number becomes the word it stands for, every page gets an
-- id and a split, and the gold label moves to a file of its own, so that features and gold cannot meet by accident.
-- README.md says how each column was read, and why river's is_phishing = 1 is a legitimate page.

CREATE OR REPLACE TEMP TABLE source AS
SELECT row_number() OVER () AS id,
       * RENAME (is_phishing AS is_legitimate),
       concat_ws('|', empty_server_form_handler, popup_window, https, request_from_other_domain,
                 anchor_from_other_domain, is_popular, long_url, age_of_domain, ip_in_url) AS profile
FROM read_csv('phishing.csv.gz');

COPY (
  SELECT id,
         CASE empty_server_form_handler
           WHEN 0 THEN 'own' WHEN 0.5 THEN 'elsewhere' WHEN 1 THEN 'empty' END AS form_handler,
         CASE popup_window
           WHEN 0 THEN 'none' WHEN 0.5 THEN 'some' WHEN 1 THEN 'intrusive' END AS popups,
         CASE https
           WHEN 0 THEN 'trusted' WHEN 0.5 THEN 'untrusted' WHEN 1 THEN 'missing' END AS certificate,
         CASE request_from_other_domain
           WHEN 0 THEN 'few' WHEN 0.5 THEN 'some' WHEN 1 THEN 'most' END AS outside_content,
         CASE anchor_from_other_domain
           WHEN 0 THEN 'few' WHEN 0.5 THEN 'some' WHEN 1 THEN 'most' END AS outside_links,
         CASE is_popular
           WHEN 0 THEN 'none' WHEN 0.5 THEN 'low' WHEN 1 THEN 'high' END AS traffic,
         CASE long_url
           WHEN 0 THEN 'short' WHEN 0.5 THEN 'medium' WHEN 1 THEN 'long' END AS url_length,
         CASE age_of_domain
           WHEN 0 THEN 'old' WHEN 1 THEN 'young' END AS domain_age,
         ip_in_url = 1 AS ip_in_url,
         -- 60 / 10 / 30 by a hash of the nine values, not of the id: seven pages in ten have a twin with the same
         -- nine values, and twins must not sit on both sides of the split.
         CASE WHEN md5_number_lower(profile) % 10 < 6 THEN 'train'
              WHEN md5_number_lower(profile) % 10 = 6 THEN 'dev'
              ELSE 'test' END AS split
  FROM source ORDER BY id
) TO 'pages.csv';

COPY (
  SELECT id, if(is_legitimate = 1, 'legitimate', 'phishing') AS label FROM source ORDER BY id
) TO 'gold.csv';
