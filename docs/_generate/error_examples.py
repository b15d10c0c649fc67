"""The cause of every error code, and a statement that provokes it; the pages show the error it gives.

The database of every example is made by SETUP. `before` runs next; an example with one gets a fresh database.
A code without `sql` cannot be provoked by a statement on every machine; the page then shows the message's pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

SETUP = """
CREATE TABLE comments (id INTEGER, body VARCHAR, stars INTEGER);
INSERT INTO comments VALUES (1, 'check http://x.example', 1), (2, 'love this song', 5), (3, 'subscribe', 2),
  (4, 'so good', 4), (5, 'win at http://y.example', 1), (6, 'best voice', 5);
CREATE TABLE gold (id INTEGER, label VARCHAR);
INSERT INTO gold VALUES (1, 'spam'), (2, 'ham');
CREATE TASK spam ON comments KEY (id) TYPE BINARY ('ham', 'spam') GOLD gold (label);
CREATE TASK topic ON comments KEY (id) TYPE MULTICLASS ('song', 'video', 'other');
CREATE LABELING FUNCTION has_link FOR TASK spam VOTE 'spam' WHEN body LIKE '%http%';
CREATE LABELING FUNCTION praise FOR TASK spam VOTE 'ham' WHEN regexp_matches(body, 'love|good|best');
"""

TRAINED = "CREATE MODEL detector FOR TASK spam FROM comments FEATURES (body) WITH (epochs = 1);"


@dataclass(frozen=True, slots=True)
class Example:
    """Why an error comes, and a statement that makes it come."""

    cause: str
    sql: str = ""
    before: str = ""
    bare: bool = False
    """The database is empty: SETUP is not run."""


EXAMPLES: dict[str, Example] = {
    "WS101": Example(
        "A word is not what the grammar allows at that place. The caret stands below the first wrong word.",
        "CREATE TASK spam ON comments KEY (id) TIPE BINARY ('ham', 'spam');",
    ),
    "WS102": Example(
        "A string, a comment or a quoted name is opened and not closed.",
        "CREATE TASK spam ON comments KEY (id) TYPE BINARY ('ham', 'spam);",
    ),
    "WS103": Example(
        "The statement, clause or type belongs to the design of wsdb and is not built in this version.",
        "SUGGEST LFS FOR TASK spam;",
    ),
    "WS104": Example(
        "OR REPLACE and IF NOT EXISTS say opposite things about an object that exists.",
        "CREATE OR REPLACE TASK IF NOT EXISTS spam ON comments KEY (id) TYPE BINARY;",
    ),
    "WS105": Example(
        "SET or RESET names a setting that starts with wsdb_ and is none of wsdb's.", "SET wsdb_auto_refesh = false;"
    ),
    "WS106": Example(
        "An option or a clause stands twice in one statement.",
        "CREATE MODEL m FOR TASK spam FROM comments FEATURES (body) WITH (seed = 1, seed = 2);",
    ),
    "WS201": Example(
        "An object of that kind and name does not exist: a task, labeling function, label model, payload and so on.",
        "DROP LABELING FUNCTION has_lnk;",
    ),
    "WS202": Example(
        "CREATE names an object that exists. Names are compared without case.",
        "CREATE LABELING FUNCTION has_link FOR TASK spam VOTE 'spam' WHEN body LIKE '%www%';",
    ),
    "WS203": Example(
        "A task has one label model. A second one under another name is refused.",
        "CREATE LABEL MODEL second FOR TASK spam USING auto;",
        before="CREATE LABEL MODEL votes FOR TASK spam USING majority;",
    ),
    "WS204": Example(
        "A read needs labels or a label matrix that were never computed, and the read may not compute them: automatic "
        "refresh is off, the database is read-only, or a Python labeling function came with the file.",
        "SELECT * FROM labels('spam');",
        before="SET wsdb_auto_refresh = false;",
    ),
    "WS205": Example("Other objects are built on the one to be dropped.", "DROP TASK spam;"),
    "WS206": Example(
        "A table function of wsdb is called in a database where no task was ever created.",
        "SELECT * FROM labels('spam');",
        bare=True,
    ),
    "WS207": Example(
        "A name with a version, such as 'spam@7', asks for a version that was never trained.",
        "SELECT * FROM predict('detector@7', comments);",
        before=TRAINED,
    ),
    "WS208": Example(
        "Two sessions wrote the same object or the same task's state at the same time; one of them succeeded, and this "
        "one changed nothing."
    ),
    "WS209": Example("No row of the task has the key that explain_row is asked for.", "FROM explain_row('spam', 77);"),
    "WS301": Example(
        "The labels or the key of a task do not make a task: fewer than two labels, a label twice, a BINARY task "
        "with three, a key column twice.",
        "CREATE TASK mood ON comments KEY (id) TYPE BINARY ('good', 'bad', 'mixed');",
    ),
    "WS302": Example(
        "A labeling function names a label that its task does not have. Labels are compared with case.",
        "CREATE LABELING FUNCTION caps FOR TASK spam VOTE 'Spam' WHEN body = upper(body);",
    ),
    "WS303": Example(
        "CLASS BALANCE leaves out a label, its shares do not sum to 1, or the type of the task has no such balance. A "
        "label model with prior = 'declared' needs one.",
        "CREATE TASK mood ON comments KEY (id) TYPE BINARY ('bad', 'good') CLASS BALANCE ('bad' = 0.5, 'good' = 0.6);",
    ),
    "WS304": Example(
        "A split is named that wsdb does not have, or the percentages of SPLIT HASH do not sum to 100.",
        "CREATE TASK mood ON comments KEY (id) TYPE BINARY SPLIT HASH (id) (train 80, dev 10);",
    ),
    "WS305": Example(
        "USING names a label model method that this version does not have.",
        "CREATE LABEL MODEL lm FOR TASK spam USING majorty;",
    ),
    "WS306": Example(
        "A list of tasks names one twice, or gives a weight that is not above 0.",
        "CREATE MODEL m FOR TASKS (spam, topic, spam) FROM comments FEATURES (body);",
    ),
    "WS307": Example(
        "An option does not exist, or its value is of the wrong type or out of range.",
        "CREATE MODEL m FOR TASK spam FROM comments FEATURES (body) WITH (epoch = 3);",
    ),
    "WS308": Example(
        "An option of a task, labeling function or label model takes one of a few words, or a value of one type, and "
        "this is another.",
        "CREATE LABEL MODEL lm FOR TASK spam WITH (regime = 'annotators');",
    ),
    "WS309": Example(
        "DuckDB refuses the SQL inside a wsdb statement. The message is DuckDB's own; the place is in your text.",
        "CREATE LABELING FUNCTION caps FOR TASK spam VOTE 'spam' WHEN bdy = upper(bdy);",
    ),
    "WS310": Example(
        "The text of a Python labeling function is not Python or defines no function, or its module cannot be "
        "imported.",
        "CREATE LABELING FUNCTION caps FOR TASK spam LANGUAGE python AS $$ vote = 'spam' $$;",
    ),
    "WS311": Example(
        "A label model that reads whole rows, as those of sequences, sets, bitvectors, ordered labels and task graphs "
        "do, has more rows times sources than it holds in memory. Other tasks take any number.",
        "REFRESH LABELS FOR TASK mood;",
        before="CREATE TABLE votes AS SELECT 1 AS id, 'worker_' || n AS worker, 'low' AS label FROM range(3000) t(n);"
        "CREATE TABLE many AS SELECT i AS id FROM range(100000) t(i);"
        "CREATE TASK mood ON many KEY (id) TYPE ORDINAL ('low', 'mid', 'high');"
        "CREATE LABELING FUNCTION crowd FOR TASK mood FROM VOTES votes (id, worker, label);",
    ),
    "WS312": Example(
        "A clause names a column that its relation does not have.",
        "CREATE MODEL m FOR TASK spam FROM comments FEATURES (bdy);",
    ),
    "WS313": Example(
        "The body of a labeling function, or LABELS FROM, returns something that is not a label: another type, too "
        "many columns, or no key.",
        "CREATE LABELING FUNCTION long FOR TASK spam AS length(body);",
    ),
    "WS314": Example(
        "A labeling function would have the name of a key column; both are columns of the label matrix.",
        "CREATE LABELING FUNCTION id FOR TASK spam VOTE 'spam' WHEN stars = 1;",
    ),
    "WS315": Example(
        "A label model is to use the gold rows of the dev split, and there are none.",
        "REFRESH LABELS FOR TASK spam;",
        before="CREATE LABEL MODEL lm FOR TASK spam WITH (use_dev = 'anchor');",
    ),
    "WS316": Example(
        "LABELS FROM labels the tasks that its columns are named as; a model of one task takes any name. This column "
        "is of no task, or its task has one already.",
        "CREATE MODEL m FOR TASKS (spam, topic) FROM comments FEATURES (body)\n"
        "  LABELS FROM (SELECT id, label FROM gold);",
    ),
    "WS317": Example(
        "After EXCLUDE, and without the key, split and gold columns, no feature column is left.",
        "CREATE MODEL m FOR TASK spam FROM comments FEATURES (* EXCLUDE (body, stars));",
    ),
    "WS318": Example(
        "predict('name', …) takes the name of a model or of a task, so a model may share a name only with a task that "
        "it has. A model's name may not contain @ or a colon.",
        "CREATE MODEL topic FOR TASK spam FROM comments FEATURES (body);",
    ),
    "WS319": Example("EXPLAIN is asked for a statement that has no plan.", "EXPLAIN SHOW TASKS;"),
    "WS320": Example(
        "Gold counts or class names do not fit the votes. SQL statements always give fitting ones; the code is met by "
        "programs that call wsdb.labelmodel themselves."
    ),
    "WS330": Example(
        "A clause does not fit the type of the task, or objects that name each other do not go together: another "
        "relation, another key, no task in common.",
        "CREATE TASK best ON comments KEY (id) TYPE SELECT;",
    ),
    "WS331": Example(
        "A payload is made from itself or in two ways, names a column twice, or its spans are not of a SEQUENCE.",
        "CREATE PAYLOAD words ON comments AS SEQUENCE (body, Body);",
    ),
    "WS332": Example(
        "A rule of a task graph is about one task only or stands twice; or its tasks are not about the same rows, have "
        "several labels for a row, or are not those of the label model.",
        "CREATE TASK GRAPH g (spam 'spam' IMPLIES spam 'ham');",
    ),
    "WS333": Example(
        "Objects that depend on each other lead back to where they started. The path is in the message.",
        "CREATE TASK GRAPH g (spam APPLIES WHEN topic 'song', topic APPLIES WHEN spam 'ham');",
    ),
    "WS334": Example(
        "No row can keep the rules of a task graph, whatever its labels.",
        "CREATE TASK GRAPH g (spam 'ham' IMPLIES loud 'yes', spam 'ham' EXCLUDES loud 'yes',\n"
        "  spam 'spam' IMPLIES loud 'yes', spam 'spam' EXCLUDES loud 'yes');",
        before="CREATE TASK loud ON comments KEY (id) TYPE BINARY;",
    ),
    "WS335": Example(
        "There is no such template, or one of its options is missing or cannot be used.",
        "CREATE LABELING FUNCTION shop FOR TASK spam FROM TEMPLATE keyword (col = 'body', label = 'spam');",
    ),
    "WS336": Example(
        "A labeling function for several tasks has a body for one, or its tasks are not about the same rows.",
        "CREATE LABELING FUNCTION shop FOR TASKS (spam, topic) VOTE 'spam' WHEN body LIKE '%shop%';",
    ),
    "WS337": Example(
        "A label model, or an option of one, is named that is not made for the type of the task.",
        "CREATE LABEL MODEL chain FOR TASK spam USING hmm;",
    ),
    "WS340": Example(
        "A SELECT votes spans on a task whose labels are not O, B-… and I-….",
        "CREATE LABELING FUNCTION names FOR TASK kind\n"
        "  AS SELECT id, 1 AS start, 2 AS \"end\", 'PER' AS type FROM sentences;",
        before="CREATE TABLE sentences AS SELECT id, string_split(body, ' ') AS tokens FROM comments;"
        "CREATE PAYLOAD words ON sentences KEY (id) AS SEQUENCE (tokens);"
        "CREATE TASK kind ON sentences KEY (id) PAYLOAD words TYPE MULTICLASS ('name', 'other');",
    ),
    "WS341": Example(
        "A rule of a task graph names a task or label that is not there, or one task twice. Statements are checked "
        "before (WS201, WS302, WS332); the code is met by programs that call wsdb.labelmodel themselves."
    ),
    "WS342": Example(
        "The rules of a task graph leave a label that no row can have.",
        "CREATE TASK GRAPH g (spam 'spam' IMPLIES loud 'yes', spam 'spam' EXCLUDES loud 'yes');",
        before="CREATE TASK loud ON comments KEY (id) TYPE BINARY;",
    ),
    "WS343": Example(
        "The tasks of a graph have more combinations of labels, or one of them more labels, than a label model of them "
        "can go through."
    ),
    "WS344": Example(
        "A slice or tag is defined by something that is no condition, or by a SELECT without the key of its members.",
        "CREATE SLICE long_ones ON comments AS length(body);",
    ),
    "WS345": Example(
        "A transformation function does not read its relation or does not return its columns, or a source returns a "
        "column that its relation does not have.",
        "CREATE TRANSFORMATION FUNCTION lower_case ON comments AS SELECT lower(body) AS body FROM comments;",
    ),
    "WS346": Example(
        "The CHECK of a constraint is no condition, fails on labels, or leaves no combination of them.",
        "CREATE CONSTRAINT c ON TASKS (spam) CHECK (spam = 'Spam');",
    ),
    "WS347": Example(
        "The file of an embedding cannot be read, or its tokens and vectors are not what they have to be.",
        "CREATE EMBEDDING words FROM 'words.bin';",
    ),
    "WS348": Example(
        "A payload, slice or transformation function of a model is on another relation than the model's rows.",
        "CREATE MODEL m FOR TASKS (spam) FROM comments FEATURES (body) SLICES (old);",
        before="CREATE TABLE letters (id INTEGER, year INTEGER); CREATE SLICE old ON letters AS year < 1900;",
    ),
    "WS360": Example(
        "The constraints and task graphs between the tasks of a model leave no combination of labels, or too many to "
        "look at for each row; or they are such that predictions cannot keep them.",
        "CREATE MODEL m FOR TASKS (spam, topic) FROM comments FEATURES (body);",
        before="CREATE CONSTRAINT one ON TASKS (spam, topic) CHECK (spam = 'spam');"
        "CREATE CONSTRAINT two ON TASKS (spam, topic) CHECK (spam = 'ham');",
    ),
    "WS361": Example(
        "Gold labels would reach training unasked: a feature holds them, or a labeling function reads them.",
        "CREATE MODEL m FOR TASK spam FROM comments FEATURES (body);",
        before="CREATE LABELING FUNCTION cheat FOR TASK spam AS SELECT id, label FROM gold;",
    ),
    "WS401": Example(
        "The key of a task is NULL somewhere or not unique, or a key has several gold rows. Keys are checked when the "
        "label matrix is computed, gold when the task is created, and the rows of a model before it is trained.",
        "SELECT * FROM labels('spam');",
        before="INSERT INTO comments VALUES (2, 'love it', 5);",
    ),
    "WS402": Example(
        "A relation has changed since the object was created, and no longer fits.",
        "SELECT * FROM labels('spam');",
        before="ALTER TABLE comments RENAME body TO text;",
    ),
    "WS403": Example(
        "Data holds a label that the task does not have: in votes, in gold, or in what a function returns.",
        "REFRESH LABELS FOR TASK topic;",
        before="CREATE TABLE tags AS SELECT 1 AS id, 'songs' AS tag;"
        "CREATE LABELING FUNCTION tagged FOR TASK topic AS SELECT id, tag FROM tags;",
    ),
    "WS404": Example(
        "A SELECT or a vote relation votes for keys that the task's relation does not have.",
        "REFRESH LABELS FOR TASK topic;",
        before="CREATE TABLE tags AS SELECT 99 AS id, 'song' AS tag;"
        "CREATE LABELING FUNCTION tagged FOR TASK topic AS SELECT id, tag FROM tags;",
    ),
    "WS405": Example(
        "A labeling function fails on some rows. It is named, with the number of rows and the first of them. "
        "Nothing is stored.",
        "SELECT * FROM labels('spam');",
        before="CREATE LABELING FUNCTION number FOR TASK spam VOTE 'spam' WHEN CAST(body AS INTEGER) > 0;",
    ),
    "WS406": Example(
        "A Python labeling function returns something that is not one string or None for each row.",
        "SELECT * FROM labels('topic');",
        before="CREATE LABELING FUNCTION one FOR TASK topic LANGUAGE python AS $$ def lf(batch): return ['song'] $$;",
    ),
    "WS407": Example(
        "A vote relation with a source column has votes without a source, or sources whose names differ in case only.",
        "SELECT * FROM labels('topic');",
        before="CREATE TABLE votes AS SELECT 1 AS id, NULL::VARCHAR AS worker, 'song' AS label;"
        "CREATE LABELING FUNCTION crowd FOR TASK topic FROM VOTES votes (id, worker, label);",
    ),
    "WS408": Example(
        "A SELECT votes for whole rows of a payload, and a list has another length than the row, or a span or the "
        "number of an element is outside of it.",
        "REFRESH LABELS FOR TASK kind;",
        before="CREATE TABLE sentences AS SELECT id, string_split(body, ' ') AS tokens FROM comments;"
        "CREATE PAYLOAD words ON sentences KEY (id) AS SEQUENCE (tokens);"
        "CREATE TASK kind ON sentences KEY (id) PAYLOAD words TYPE MULTICLASS ('name', 'other');"
        "CREATE LABELING FUNCTION all_other FOR TASK kind AS SELECT id, ['other'] AS label FROM sentences;",
    ),
    "WS409": Example(
        "LABELS FROM gives a map from labels to numbers that are no probabilities: below 0, above 1, NULL, or of a sum "
        "that is not 1. Those of a BITVECTOR need not sum to 1.",
        "CREATE MODEL m FOR TASK spam FROM comments FEATURES (body)\n"
        "  LABELS FROM (SELECT id, MAP {'ham': 0.5, 'spam': 0.9} FROM comments);",
    ),
    "WS501": Example(
        "predict or evaluate is asked for a task that no model was trained for.",
        "SELECT * FROM predict('spam', comments);",
    ),
    "WS502": Example(
        "The input of predict has no column of that name, and the model was trained on it.",
        "SELECT * FROM predict('spam', (SELECT body AS text FROM comments));",
        before=TRAINED,
    ),
    "WS503": Example(
        "A feature column is of a type that a model cannot read.",
        "CREATE MODEL m FOR TASK spam FROM (SELECT id, body::BLOB AS raw FROM comments) FEATURES (raw);",
    ),
    "WS504": Example(
        "The input of predict has the column, with a type of another family than the model was trained on.",
        "SELECT * FROM predict('spam', (SELECT 7 AS body));",
        before=TRAINED,
    ),
    "WS505": Example(
        "No row of the model's source is in the train split and has a label.",
        "CREATE MODEL m FOR TASK topic FROM comments FEATURES (body);",
    ),
    "WS506": Example(
        "All labeled rows have the same label, so there is nothing to tell apart.",
        "CREATE MODEL m FOR TASK spam FROM comments FEATURES (body)\n"
        "  LABELS FROM (SELECT id, label FROM gold WHERE label = 'spam');",
    ),
    "WS507": Example(
        "A column of vectors holds vectors of different lengths.",
        "CREATE MODEL m FOR TASK spam FROM vectors FEATURES (vector);",
        before="CREATE TABLE vectors AS SELECT id, range(id)::FLOAT[] AS vector FROM comments;",
    ),
    "WS508": Example("A stored model is of another format, or its bytes are damaged."),
    "WS509": Example(
        "The rows handed to training have no key or no valid probabilities. SQL statements always give both; the code "
        "is met by programs that call wsdb.model themselves."
    ),
    "WS510": Example("A prediction macro names a model version whose tensors are not in the database that is open."),
    "WS511": Example(
        "The weights of a model stopped being finite numbers while it was trained: the steps were too large. "
        "A smaller lr helps."
    ),
    "WS512": Example(
        "The lists of a payload do not fit together: lists of one row have different lengths, a span is outside of the "
        "sequence of its row, or there are more or fewer labels than elements.",
        "CREATE MODEL m FOR TASK kind FROM sentences PAYLOADS (words, marks);",
        before="CREATE TABLE sentences AS SELECT id, string_split(body, ' ') AS tokens, [[1, 9]] AS marks "
        "FROM comments;"
        "CREATE PAYLOAD words ON sentences KEY (id) AS SEQUENCE (tokens);"
        "CREATE PAYLOAD marks ON sentences KEY (id) AS SET (marks) SPANS words (marks);"
        "CREATE TASK kind ON sentences KEY (id) PAYLOAD words TYPE MULTICLASS ('name', 'other');"
        "CREATE LABELING FUNCTION name FOR TASK kind VOTE 'name' WHEN value ILIKE 'h%';"
        "CREATE LABELING FUNCTION rest FOR TASK kind VOTE 'other' WHEN value NOT ILIKE 'h%';",
    ),
    "WS513": Example(
        "Training needs more memory than the machine or its GPU has. The hint names the options that take most of it, "
        "with their values."
    ),
    "WS514": Example(
        "The state of an interrupted training run cannot be read or written in the folder given. The code is met by "
        "programs that call wsdb.model themselves."
    ),
    "WS516": Example(
        "task_transfer is asked for a model with a single task.",
        "SELECT * FROM task_transfer('detector');",
        before="CREATE MODEL detector FOR TASK spam FROM comments FEATURES (body) WITH (epochs = 1);",
    ),
    "WS601": Example("Another process holds the database file. DuckDB lets one process write, or many read."),
    "WS602": Example("The file is not a DuckDB database, or is damaged."),
    "WS603": Example("The file was written by a version of wsdb with another layout of schema wsdb."),
    "WS604": Example("The database is open read-only, and the statement writes."),
    "WS701": Example("Training needs torch, which is an optional package. Predictions do not."),
    "WS702": Example("The option device asks for hardware that this machine does not have."),
}
