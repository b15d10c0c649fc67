-- How queries.json and gold.json were made, in plain DuckDB. Everything here is written by hand for this example.
--
--     wsdb run examples/factoid/prepare.sql
--
-- Run it from the repository root. The two files are in the repository: nobody needs to run this again.

-- What may be asked about. A mention is what people type; several things can go by one mention.
CREATE TEMP TABLE things AS FROM (VALUES
  ('michael jordan',         'jordan',              'person',   0.9),
  ('jordan',                 'jordan',              'country',  0.6),
  ('george washington',      'washington',          'person',   0.7),
  ('washington state',       'washington',          'location', 0.8),
  ('abraham lincoln',        'lincoln',             'person',   0.8),
  ('lincoln nebraska',       'lincoln',             'location', 0.3),
  ('christopher columbus',   'columbus',            'person',   0.6),
  ('columbus ohio',          'columbus',            'location', 0.7),
  ('whitney houston',        'houston',             'person',   0.7),
  ('houston texas',          'houston',             'location', 0.8),
  ('chad smith',             'chad',                'person',   0.2),
  ('chad',                   'chad',                'country',  0.5),
  ('israel kamakawiwoole',   'israel',              'person',   0.2),
  ('israel',                 'israel',              'country',  0.8),
  ('georgia okeeffe',        'georgia',             'person',   0.3),
  ('georgia',                'georgia',             'country',  0.6),
  ('austin powers',          'austin',              'person',   0.4),
  ('austin texas',           'austin',              'location', 0.7),
  ('marie curie',            'marie curie',         'person',   0.8),
  ('albert einstein',        'einstein',            'person',   0.9),
  ('serena williams',        'serena williams',     'person',   0.8),
  ('lionel messi',           'messi',               'person',   0.9),
  ('ada lovelace',           'ada lovelace',        'person',   0.5),
  ('frida kahlo',            'frida kahlo',         'person',   0.6),
  ('nelson mandela',         'mandela',             'person',   0.8),
  ('france',                 'france',              'country',  0.8),
  ('denmark',                'denmark',             'country',  0.6),
  ('spain',                  'spain',               'country',  0.8),
  ('peru',                   'peru',                'country',  0.5),
  ('japan',                  'japan',               'country',  0.9),
  ('kenya',                  'kenya',               'country',  0.5),
  ('new zealand',            'new zealand',         'country',  0.6),
  ('mount everest',          'mount everest',       'location', 0.9),
  ('kilimanjaro',            'kilimanjaro',         'location', 0.7),
  ('eiffel tower',           'eiffel tower',        'location', 0.9),
  ('president of france',    'president of france', 'person',   0.5),
  ('president of kenya',     'president of kenya',  'person',   0.3),
  ('queen of denmark',       'queen of denmark',    'person',   0.5),
  ('king of spain',          'king of spain',       'person',   0.5),
  ('emperor of japan',       'emperor of japan',    'person',   0.4)
) t(name, mention, type, popularity);

-- What is asked, and what it can be asked about.
CREATE TEMP TABLE patterns AS FROM (VALUES
  ('height',  'how tall is the {x}',                ['person', 'location']),
  ('height',  'how tall is {x}',                    ['person', 'location']),
  ('height',  'what is the height of {x}',          ['person', 'location']),
  ('height',  '{x} height in meters',               ['person', 'location']),
  ('height',  'is {x} very tall',                   ['person']),
  ('height',  'how many feet does {x} measure',     ['person', 'location']),
  ('age',     'how old is {x}',                     ['person']),
  ('age',     'what is the age of {x}',             ['person']),
  ('age',     'when was {x} born',                  ['person']),
  ('age',     'how old was {x} last year',          ['person']),
  ('age',     '{x} birthday',                       ['person']),
  ('capital', 'what is the capital of {x}',         ['country']),
  ('capital', 'capital city of {x}',                ['country']),
  ('capital', 'which city governs {x}',             ['country']),
  ('capital', '{x} capital',                        ['country']),
  ('capital', 'where does the government of {x} sit', ['country']),
  ('spouse',  'who is {x} married to',              ['person']),
  ('spouse',  'who is the wife of {x}',             ['person']),
  ('spouse',  'name the husband of {x}',            ['person']),
  ('spouse',  'who did {x} marry',                  ['person']),
  ('spouse',  'does {x} have a famous partner',     ['person'])
) t(intent, pattern, types);

CREATE TEMP TABLE words AS
SELECT unnest(string_split(list, ' ')) AS word, tag FROM (VALUES
  ('is was does did have measure born governs marry married sit name', 'VERB'),
  ('tall old many last very famous', 'ADJ'),
  ('height meters feet age year birthday capital city government wife husband partner', 'NOUN'),
  ('president queen king emperor', 'NOUN')
) t(list, tag);

CREATE TEMP TABLE asked AS
SELECT replace(pattern, '{x}', mention) AS query, intent, name, mention, type
FROM things, patterns
WHERE list_contains(types, type)
  AND NOT (pattern = 'how tall is the {x}' AND NOT regexp_matches(mention, ' of |tower'))
  -- a town has no height
  AND NOT (type = 'location' AND mention NOT IN ('mount everest', 'kilimanjaro', 'eiffel tower'))
  AND NOT (mention LIKE '% of %' AND pattern = 'name the husband of {x}');

-- A number for each query, in an order that has nothing to do with how it was made.
CREATE TEMP TABLE numbered AS
SELECT row_number() OVER (ORDER BY md5(query || name)) AS qid, *, string_split(query, ' ') AS tokens FROM asked;

-- Every thing whose mention stands in the query is a candidate: other meanings of the mention, and mentions inside it.
CREATE TEMP TABLE candidates AS
SELECT q.qid, t.name, t.type, t.popularity, p.start AS "start", p.start + len(string_split(t.mention, ' ')) AS "end"
FROM numbered q JOIN things t ON contains(' ' || q.query || ' ', ' ' || t.mention || ' '),
  LATERAL (SELECT len(string_split(split_part(' ' || q.query || ' ', ' ' || t.mention || ' ', 1), ' ')) AS start) p;

CREATE TEMP TABLE listed AS
SELECT qid, list({'name': name, 'type': type, 'popularity': popularity, 'span': {'start': "start", 'end': "end"}}
                 ORDER BY md5(qid || name)) AS entities
FROM candidates GROUP BY qid;

COPY (
  SELECT qid, query, tokens, entities,
         CASE WHEN md5_number_lower(query) % 10 < 6 THEN 'train' WHEN md5_number_lower(query) % 10 < 7 THEN 'dev'
              ELSE 'test' END AS split
  FROM numbered JOIN listed USING (qid) ORDER BY qid
) TO 'examples/factoid/queries.json';

-- Gold: the intent, a tag and the types of each token, and the candidate that is meant.
CREATE TEMP TABLE elements AS
SELECT qid, generate_subscripts(tokens, 1) AS pos, unnest(tokens) AS word FROM numbered;

CREATE TEMP TABLE told AS
SELECT e.qid, e.pos,
       CASE WHEN m.name IS NOT NULL AND word <> 'of' THEN 'NOUN' ELSE coalesce(w.tag, 'OTHER') END AS tag,
       list_filter([
         CASE WHEN m.type = 'person' AND m.name NOT LIKE '% of %' THEN 'person' END,
         CASE WHEN m.type IN ('location', 'country') OR n.type = 'country' THEN 'location' END,
         CASE WHEN m.type = 'country' OR n.type = 'country' THEN 'country' END,
         CASE WHEN word IN ('president', 'queen', 'king', 'emperor') THEN 'title' END
       ], lambda l: l IS NOT NULL) AS types
FROM elements e JOIN numbered q USING (qid)
LEFT JOIN words w USING (word)
LEFT JOIN candidates m ON m.qid = e.qid AND m.name = q.name AND e.pos >= m."start" AND e.pos < m."end"
LEFT JOIN candidates n ON n.qid = e.qid AND n.name <> q.name AND q.name LIKE '% of ' || n.name
  AND e.pos >= n."start" AND e.pos < n."end";

COPY (
  SELECT q.qid, q.intent, list(t.tag ORDER BY t.pos) AS pos, list(t.types ORDER BY t.pos) AS entity_type,
         any_value(list_position(list_transform(l.entities, lambda e: e.name), q.name)) AS intent_arg
  FROM numbered q JOIN listed l USING (qid) JOIN told t USING (qid) GROUP BY ALL ORDER BY q.qid
) TO 'examples/factoid/gold.json';
