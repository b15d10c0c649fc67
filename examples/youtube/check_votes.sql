-- Do the labeling functions of labels.sql cast the published votes? To be run after labels.sql, in the same database.
--
-- Every cell is compared: one comment, one function. Unpivoting drops the NULLs (abstentions), so a cell is missing on
-- one side where only one of the two votes, and the FULL JOIN finds it.

--: Published votes against ours, cell by cell
WITH matrix AS (FROM label_matrix('spam')),
     ours AS (
       UNPIVOT (SELECT id, CAST(COLUMNS(* EXCLUDE (id)) AS VARCHAR) FROM matrix)
       ON COLUMNS(* EXCLUDE (id)) INTO NAME lf VALUE vote
     ),
     published AS (
       UNPIVOT (FROM published_votes) ON COLUMNS(* EXCLUDE (id)) INTO NAME lf VALUE vote
     )
SELECT lf,
       count(ours.vote) AS our_votes,
       count(published.vote) AS published_votes,
       count(*) FILTER (ours.vote IS DISTINCT FROM published.vote) AS differing_cells
FROM ours FULL JOIN published USING (id, lf)
GROUP BY lf ORDER BY lf;
