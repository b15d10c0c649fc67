"""What the reference pages are made of; each function returns Markdown. The pages call them in cog blocks.

make docs          rewrites the pages
make docs-check    fails where a page is not what its block gives
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

import wsdb
from wsdb.core.errors import WsdbError
from wsdb.core.lf import LabelingFunction
from wsdb.core.resources import read_sql
from wsdb.core.specs import LabelModelSpec
from wsdb.core.task import Task
from wsdb.parser import statements as parser_statements
from wsdb.parser.clauses import (
    LABEL_MODEL_METHODS,
    LABEL_MODEL_OPTIONS,
    LABELING_FUNCTION_OPTIONS,
    TASK_OPTIONS,
    TYPE_TEXTS,
)
from wsdb.parser.grammar import SETTINGS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from error_examples import EXAMPLES, SETUP, Example  # noqa: E402

CODE = re.compile(r"WS\d{3}")

# ---------------------------------------------------------------------------------------------------------------------
# Statements

STATEMENT_EXAMPLES = {
    "CreateTask": "CREATE OR REPLACE TASK spam ON comments KEY (id) TYPE BINARY ('ham', 'spam')\n"
    "  CLASS BALANCE ('ham' = 0.6, 'spam' = 0.4)\n  GOLD gold (label)\n"
    "  SPLIT HASH (id) (train 80, dev 10, test 10);",
    "CreatePayload": "CREATE PAYLOAD words ON sentences KEY (id) AS SEQUENCE (words);\n\n"
    "CREATE TASK names ON sentences KEY (id) PAYLOAD words TYPE MULTICLASS ('O', 'B-site', 'I-site');",
    "CreatePrimitive": "CREATE PRIMITIVE shapes ON comments KEY (id)\n"
    "  AS SELECT id, len(string_split(body, ' ')) AS n_words FROM comments;",
    "CreateSlice": "CREATE SLICE long_ones ON comments AS length(body) > 100;\n\n"
    "CREATE SLICE banned ON comments AS SELECT id FROM comments JOIN banned_authors USING (author);",
    "CreateTag": "CREATE TAG praise ON comments COMMENT 'five stars' AS stars = 5;",
    "CreateTransformationFunction": "CREATE TRANSFORMATION FUNCTION shout ON comments\n"
    "  AS SELECT * REPLACE (upper(body) AS body) FROM comments;",
    "CreateConstraint": "CREATE CONSTRAINT adverts_are_spam ON TASKS (advert, spam)\n"
    "  CHECK (advert = 'none' OR spam = 'spam');",
    "CreateEmbedding": "COPY (VALUES ('win', 0.1, 0.9), ('now', 0.4, 0.2)) TO '/tmp/word_vectors.csv';\n\n"
    "CREATE EMBEDDING word_vectors FROM '/tmp/word_vectors.csv';",
    "CreateSource": "CREATE SOURCE made_up FOR comments TAGS ('synthetic')\n"
    "  AS SELECT 'visit http://example.org/' || n AS body, 'spam' AS spam FROM range(100) t(n);",
    "ShowCode": "SHOW CODE FOR MODEL detector;",
    "CreateTaskGraph": "CREATE TASK advert ON comments KEY (id) TYPE MULTICLASS ('link', 'offer', 'none');\n\n"
    "CREATE TASK GRAPH adverts (\n"
    "  advert 'link' IMPLIES spam 'spam',\n"
    "  advert 'offer' IMPLIES spam 'spam'\n);",
    "CreateLabelingFunction": "CREATE LABELING FUNCTION has_link FOR TASK spam\n"
    "  VOTE 'spam' WHEN body LIKE '%http%';\n\n"
    "CREATE LF stars FOR TASK spam\n"
    "  AS CASE WHEN stars >= 4 THEN 'ham' WHEN stars = 1 THEN 'spam' END;\n\n"
    "CREATE LF banned FOR TASK spam\n"
    "  AS SELECT c.id, 'spam' AS label FROM comments c JOIN banned_authors USING (author);\n\n"
    "CREATE LF crowd FOR TASK spam KIND crowd FROM VOTES crowd_votes (id, worker, label);\n\n"
    "CREATE LF praise FOR TASK spam TAGS ('opinion')\n"
    "  FROM TEMPLATE keyword (col = 'body', words = ['love', 'good'], label = 'ham');\n\n"
    "CREATE LF links FOR TASKS (spam, advert) VOTE (spam 'spam', advert 'link') WHEN body LIKE '%http%';\n\n"
    "CREATE LF shouting FOR TASK spam WITH (columns = ['body']) LANGUAGE python AS $$\n"
    "def lf(batch):\n"
    "    return ['spam' if text.isupper() else None for text in batch.column('body').to_pylist()]\n$$;",
    "CreateLabelModel": "CREATE LABEL MODEL spam_votes FOR TASK spam USING auto WITH (use_dev = 'anchor');",
    "CreateFeatureSet": "CREATE FEATURE SET live ON comments (body, stars) SERVABLE;",
    "CreateModel": "CREATE MODEL detector FOR TASK spam FROM comments FEATURES (body) WITH (epochs = 3);\n\n"
    "CREATE TASK long ON comments KEY (id) TYPE BINARY ('no', 'yes');\n\n"
    "CREATE LF counts FOR TASK long AS CASE WHEN length(body) > 10 THEN 'yes' ELSE 'no' END;\n\n"
    "CREATE MODEL both FOR TASKS (spam, long WEIGHT 0.5) FROM comments FEATURES (body);",
    "Alter": "ALTER LF stars DISABLE;\nALTER LF stars RENAME TO rating;",
    "Drop": "DROP FEATURE SET IF EXISTS live CASCADE;",
    "CommentOn": "COMMENT ON TASK spam IS 'is the comment an advertisement?';",
    "Show": "SHOW LABELING FUNCTIONS FOR TASK spam LIKE 'has%';",
    "ShowCreate": "SHOW CREATE TASK spam;",
    "ShowVersions": "SHOW VERSIONS OF MODEL detector;",
    "Describe": "DESCRIBE MODEL detector;",
    "Refresh": "REFRESH LABELS FOR TASK spam;",
    "Explain": "EXPLAIN REFRESH LABELS FOR TASK spam FULL;",
    "SetOption": "SET wsdb_auto_refresh = false;\nRESET wsdb_auto_refresh;",
}
TITLES = {"SetOption": "SET and RESET"}


def statement_classes() -> list[type]:
    """Return the statements a user can write, in the order of the module."""
    found = [item for item in vars(parser_statements).values() if inspect.isclass(item)]
    known = [item for item in found if issubclass(item, parser_statements.Statement)]
    return [item for item in known if not any(other is not item and issubclass(other, item) for other in known)]


def title(cls: type) -> str:
    """Return the words of a statement: ``CREATE LABEL MODEL``."""
    return TITLES.get(cls.__name__) or " ".join(re.findall(r"[A-Z][a-z]+", cls.__name__)).upper()


def statements() -> str:
    """Return the entries of all statements, from their docstrings."""
    parts = []
    for cls in statement_classes():
        text = (inspect.getdoc(cls) or "").replace("``", "`")
        summary, _, rest = text.partition("\n\n")
        grammar, _, notes = rest.partition("\n\n")
        parts.append(f"### {title(cls)}\n\n{summary}\n\n```grammar\n{grammar.strip('`')}\n```\n")
        if notes:
            parts.append(notes + "\n")
        parts.append(f"```sql\n{STATEMENT_EXAMPLES[cls.__name__]}\n```\n")
    return "\n".join(parts)


# ---------------------------------------------------------------------------------------------------------------------
# Functions

FUNCTION_EXAMPLES = {
    "label_matrix": ("label_matrix('spam')",),
    "label_votes": ("label_votes('spam')",),
    "labels": ("labels('spam', min_prob := 0.9)",),
    "label_spans": ("label_spans('names')",),
    "label_model": ("label_model('spam')",),
    "lf_summary": ("lf_summary('spam', split := 'dev')",),
    "lf_conflicts": ("lf_conflicts('spam')",),
    "lf_dependencies": ("lf_dependencies('spam')",),
    "label_confusion": ("label_confusion('spam')",),
    "lf_errors": ("lf_errors('spam', 'has_link')", "lf_errors('spam', 'has_link', n := 20)"),
    "lf_confusion": ("lf_confusion('spam', 'has_link')",),
    "label_buckets": ("label_buckets('spam', 'has_link', 'praise')",),
    "coverage_gaps": ("coverage_gaps('spam')", "coverage_gaps('spam', by => 'stars')"),
    "sample_for_review": (
        "sample_for_review('spam', 3)",
        "sample_for_review('spam', 3, strategy => 'uncovered', seed => 7)",
    ),
    "label_issues": ("label_issues('spam')",),
    "explain_row": ("explain_row('spam', 1)",),
    "label_model_report": ("label_model_report('spam')",),
    "predict": ("predict('spam', comments)", "predict('spam@1', (SELECT 'win money' AS body))"),
    "evaluate": (
        "evaluate('detector', comments, by := 'split')",
        "evaluate('detector', comments, by := 'slice')",
        "evaluate('detector', (SELECT *, length(body) > 40 AS long FROM comments), by := 'long')",
    ),
    "confusion_matrix": ("confusion_matrix('detector', comments)",),
    "roc_curve": ("roc_curve('detector', comments)", "roc_curve('detector', comments, label := 'ham')"),
    "pr_curve": ("pr_curve('detector', comments, task := 'spam')",),
    "calibration": ("calibration('detector', comments)",),
    "compare": ("compare('detector@1', 'detector', comments)",),
    "error_attribution": ("error_attribution('detector', comments)",),
    "explain_predict": (
        "explain_predict('detector', comments, top_k := 3)",
        "explain_predict('both', comments, task := 'long')",
    ),
    "slices": ("slices('detector', comments)",),
    "constraint_violations": ("constraint_violations('both', comments)",),
    "model_versions": ("model_versions('detector')",),
    "training_info": ("training_info('detector')",),
    "feature_info": ("feature_info('detector')",),
    "trials": ("trials('detector')",),
    "learning_curve": ("learning_curve('detector')", "learning_curve('detector', seeds := 3)"),
    "task_transfer": ("task_transfer('both')", "task_transfer('both', seeds := 3)"),
    "lineage": ("lineage('detector')",),
    "wsdb_objects": ("wsdb_objects()",),
}
SPANS = """
CREATE TABLE sentences AS SELECT id, string_split(body, ' ') AS tokens FROM comments;
CREATE PAYLOAD words ON sentences KEY (id) AS SEQUENCE (tokens);
CREATE TASK names ON sentences KEY (id) PAYLOAD words TYPE MULTICLASS ('O', 'B-site', 'I-site');
CREATE LF site FOR TASK names AS CASE WHEN value LIKE 'http%' THEN 'B-site' ELSE 'O' END;
"""
_MACRO = re.compile(r"((?:^-- .*\n)+)^CREATE OR REPLACE @macro@ @here@(\w+)(\([^\n]*\)) AS TABLE", re.MULTILINE)


@cache
def database() -> Any:
    """Return a session on a small database that has one of everything."""
    db = wsdb.connect()
    db.sql(SETUP)
    db.sql("ALTER TABLE comments ADD COLUMN author VARCHAR")
    db.sql(SPANS)
    db.sql("CREATE SLICE links ON comments KEY (id) AS body LIKE '%http%'")
    db.sql("CREATE MODEL detector FOR TASK spam FROM comments FEATURES (body) WITH (epochs = 1)")
    db.sql("CREATE TASK long ON comments KEY (id) TYPE BINARY ('no', 'yes')")
    db.sql("CREATE LF counts FOR TASK long AS CASE WHEN length(body) > 30 THEN 'yes' ELSE 'no' END")
    db.sql("CREATE MODEL both FOR TASKS (spam, long) FROM comments FEATURES (body) WITH (epochs = 1)")
    return db


@cache
def shapes() -> Any:
    """Return a session on a database whose tasks store all kinds of relations."""
    db = wsdb.connect()
    db.sql(SETUP)
    db.sql(SHAPES)
    return db


def macro_entries() -> list[tuple[str, str, str]]:
    """Return (name, signature, description) of each table function in sql/functions.sql."""
    found = []
    for comment, name, signature in _MACRO.findall(read_sql("functions.sql")):
        text = " ".join(line.removeprefix("-- ").strip() for line in comment.strip().split("\n"))
        found.append((name, f"{name}{signature}".replace('"by"', "by"), text))
    return found


def functions() -> str:
    """Return the entries of all table functions, from the comments of sql/functions.sql and from DESCRIBE."""
    parts = []
    for name, signature, text in macro_entries():
        examples = FUNCTION_EXAMPLES[name]
        columns = described(f"SELECT * FROM {examples[0]}")
        calls = "\n".join(f"FROM {call};" for call in examples)
        parts.append(f"### {name}\n\n`{signature}`\n\n{prose(text)}\n\n```sql\n{calls}\n```\n\n{columns}")
    return "\n".join(parts)


def described(query: str, db: Any = None) -> str:
    """Return a table of the columns of a query."""
    rows = (db or database()).sql(f"DESCRIBE {query}").fetchall()
    return table(("column", "type"), [(f"`{name}`", short(kind)) for name, kind, *_ in rows])


def short(kind: str) -> str:
    """Return a type with a long ENUM cut."""
    return kind if len(kind) < 60 else kind[:57] + "…"


def prose(text: str) -> str:
    """Return a paragraph broken into lines, with names that have a placeholder in backticks."""
    marked = re.sub(r"\w*<\w+>\w*", lambda found: f"`{found[0]}`", text)
    return textwrap.fill(marked, 120, break_long_words=False, break_on_hyphens=False)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(list(head))}"]
    lines += [f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------------------------
# Options and settings

SETTING_TEXTS = {
    "wsdb_auto_refresh": (
        "BOOLEAN",
        "true",
        "whether reading labels or a label matrix first brings them up to date; false reads what is stored",
    ),
}


def documented(cls: type) -> dict[str, str]:
    """Return the lines ``name : text`` of a class's docstring."""
    text = inspect.getdoc(cls) or ""
    found = re.findall(r"^(\w+) : (.*(?:\n {4}.*)*)", text, flags=re.MULTILINE)
    return {name: " ".join(line.strip() for line in body.split("\n")).replace("``", "`") for name, body in found}


def written(value: object) -> str:
    """Return a default as it is written in SQL."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "the method's own"
    if value == ():
        return "all columns"
    return f"'{value}'" if isinstance(value, str) else repr(value)


def spec_options(cls: type, options: dict[str, Any]) -> str:
    """Return the table of the options of a task, labeling function or label model."""
    texts, defaults = documented(cls), {item.name: item.default for item in dataclasses.fields(cls)}
    kinds = {**TYPE_TEXTS, bool: "BOOLEAN", tuple: "list of strings"}
    rows = []
    for name, allowed in options.items():
        kind = kinds[allowed] if isinstance(allowed, type) else " or ".join(f"`'{word}'`" for word in allowed)
        rows.append((f"`{name}`", kind, f"`{written(defaults[name])}`", texts[name]))
    return table(("option", "values", "default", "meaning"), rows)


def task_options() -> str:
    """Return the options of CREATE TASK."""
    return spec_options(Task, dict(TASK_OPTIONS))


def labeling_function_options() -> str:
    """Return the options of CREATE LABELING FUNCTION."""
    return spec_options(LabelingFunction, dict(LABELING_FUNCTION_OPTIONS))


def label_model_options() -> str:
    """Return the options of CREATE LABEL MODEL."""
    methods = f"Methods: {', '.join(f'`{name}`' for name in LABEL_MODEL_METHODS)}; the default is `auto`.\n\n"
    return methods + spec_options(LabelModelSpec, dict(LABEL_MODEL_OPTIONS))


def model_options() -> str:
    """Return the options of CREATE MODEL."""
    from wsdb.model.spec import OPTIONS

    rows = [
        (f"`{item.name}`", item.type, item.allowed(), f"`{written(item.default)}`", item.description)
        for item in OPTIONS.values()
    ]
    return table(("option", "type", "values", "default", "meaning"), rows)


def settings() -> str:
    """Return the settings that SET changes."""
    return table(
        ("setting", "type", "default", "meaning"),
        [
            (f"`{name}`", SETTING_TEXTS[name][0], f"`{SETTING_TEXTS[name][1]}`", SETTING_TEXTS[name][2])
            for name in SETTINGS
        ],
    )


# ---------------------------------------------------------------------------------------------------------------------
# Storage

_OBJECT = re.compile(r"CREATE (?:OR REPLACE )?(TABLE|VIEW) (?:IF NOT EXISTS )?wsdb\.(\w+)")
PER_TASK = {
    "matrix": "spam",
    "patterns": "spam",
    "changes": "spam",
    "votes": "many",
    "sources": "many",
    "scores_labels": "many",
    "confidence": "sure",
    "sets": "vague",
    "posterior": "sure",
    "label_matrix": "spam",
    "label_votes": "spam",
    "labels": "spam",
    "training": "spam",
    "rows": "spam",
}
"""The relations of a task, and a task that has them: others are there for many sources or confidences."""
SHAPES = """
CREATE TABLE cast_votes AS SELECT 1 AS id, 'worker_' || n AS worker, 'song' AS label, 0.5 AS sure FROM range(321) t(n);
CREATE TASK many ON comments KEY (id) TYPE MULTICLASS ('song', 'video', 'other');
CREATE LF crowd FOR TASK many FROM VOTES cast_votes (id, worker, label);
CREATE TASK sure ON comments KEY (id) TYPE MULTICLASS ('song', 'video', 'other');
CREATE LF one FOR TASK sure AS SELECT id, label, sure AS confidence FROM cast_votes WHERE worker = 'worker_1';
CREATE TASK vague ON comments KEY (id) TYPE MULTICLASS ('song', 'video', 'other');
CREATE LF either FOR TASK vague AS SELECT 1 AS id, ['song', 'video'] AS label;
REFRESH LABELS;
"""


def storage() -> str:
    """Return the tables and views of schema wsdb, from the comments of sql/catalog.sql and from DESCRIBE."""
    parts, comment = [], ""
    for block in read_sql("catalog.sql").split("\n\n")[1:]:
        lines = block.split("\n")
        text = " ".join(line.removeprefix("-- ") for line in lines if line.startswith("--"))
        comment = text or comment
        for kind, name in _OBJECT.findall(block):
            columns = described(f"SELECT * FROM wsdb.{name}")
            parts.append(f"### wsdb.{name}\n\n{prose(f'{comment} ({kind.lower()})')}\n\n{columns}")
    return "\n".join(parts)


def task_storage() -> str:
    """Return the tables and views that each task has, with the columns they have for a task of one key, ``id``."""
    found = {
        line.split()[1].removeprefix("wsdb.").removesuffix("_t"): line.split(None, 2)[2]
        for line in read_sql("catalog.sql").split("\n")
        if line.startswith("--   wsdb.")
    }
    parts = []
    for name, task in PER_TASK.items():
        columns = described(f"SELECT * FROM wsdb.{name}_{task}", shapes())
        parts.append(f"### wsdb.{name}_t\n\n{found[name]}\n\n{columns}")
    return "\n".join(parts)


# ---------------------------------------------------------------------------------------------------------------------
# Errors


@dataclasses.dataclass(frozen=True, slots=True)
class Raised:
    """A place in the source that raises an error: its class, the pattern of its message and of its hint."""

    code: str
    label: str
    message: str
    hint: str


def pattern(node: ast.expr | None) -> str:
    """Return a message's text with … for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp):
        return pattern(node.left) + pattern(node.right)
    return "…" if node is not None else ""


@cache
def raised() -> tuple[Raised, ...]:
    """Return all places in wsdb/ that make an error with a code."""
    labels = {cls.__name__: cls.label for cls in WsdbError.__subclasses__()}
    found = []
    for path in sorted((ROOT / "wsdb").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and len(node.args) > 1 and isinstance(node.args[0], ast.Constant)):
                continue
            code, name = node.args[0].value, ast.unparse(node.func)
            if isinstance(code, str) and CODE.fullmatch(code) and name in labels:
                hint = next((item.value for item in node.keywords if item.arg == "hint"), None)
                found.append(Raised(code, labels[name], pattern(node.args[1]), pattern(hint)))
    return tuple(found)


def codes_in_source() -> set[str]:
    """Return every code that a string of wsdb/ or sql/ has, docstrings and comments apart."""
    found: set[str] = set()
    for path in sorted((ROOT / "wsdb").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
                found |= set(CODE.findall(node.value))
    return found


def errors() -> str:
    """Return the entries of all codes, by class; examples are run."""
    parts, last = [], ""
    classes = {cls.label: inspect.getdoc(cls) or "" for cls in WsdbError.__subclasses__()}
    for code in sorted(EXAMPLES):
        places = [place for place in raised() if place.code == code]
        label = places[0].label
        if label != last:
            parts.append(f"## {label}\n\n{classes[label].split(chr(10))[0]}\n")
            last = label
        parts.append(f"### {code}\n\n{prose(EXAMPLES[code].cause)}\n\n{example(EXAMPLES[code], places)}")
    return "\n".join(parts)


def example(item: Example, places: list[Raised]) -> str:
    """Return the statement and its error, or the patterns of the messages."""
    if not item.sql:
        lines = [f"{place.message}" + (f"\nhint: {place.hint}" if place.hint else "") for place in places]
        return "```text\n" + "\n\n".join(dict.fromkeys(lines)) + "\n```\n"
    return f"```sql no-run\n{item.sql}\n```\n\n```text\n{provoked(item)}\n```\n"


@cache
def shared() -> Any:
    """Return the session of the examples that change nothing."""
    db = wsdb.connect()
    db.sql(SETUP)
    return db


def provoked(item: Example) -> str:
    """Return the text of the error that an example gives."""
    db = wsdb.connect() if item.before or item.bare else shared()
    if item.before:
        db.sql(SETUP)
        db.sql(item.before)
    try:
        db.execute(item.sql).fetchall()
    except WsdbError as error:
        return str(error)
    except duckdb.Error as error:
        return str(error).split("\n\n")[0]
    raise AssertionError(f"no error from: {item.sql}")
