"""The CREATE statements, from the name on: CREATE, OR REPLACE and the kind have been read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsdb.core.errors import SpecError, SyntaxError_, did_you_mean
from wsdb.core.lf import Body, Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec, Option
from wsdb.core.task import MAX_LABELS, Gold, Split, Task
from wsdb.parser.clauses import (
    LABEL_MODEL_METHODS,
    LABEL_MODEL_OPTIONS,
    LABELING_FUNCTION_OPTIONS,
    choice_options,
    comment,
    options,
)
from wsdb.parser.cursor import Cursor
from wsdb.parser.statements import (
    CreateFeatureSet,
    CreateLabelingFunction,
    CreateLabelModel,
    CreateModel,
    CreateTask,
)

LATER_TYPES = ("BITVECTOR", "SELECT", "ORDINAL", "REGRESSION")
LATER_BODIES = ("TEMPLATE", "EXPLANATION", "MODEL", "SUGGESTION")
SPLIT_NAMES = {
    "train": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "val": "dev",
    "test": "test",
}


def once(cursor: Cursor, seen: set[str], clause: str) -> None:
    """Raise WS106 where a clause stands a second time."""
    if clause in seen:
        raise SyntaxError_("WS106", f"clause {clause} is given twice", span=cursor.span(cursor.at - 1))
    seen.add(clause)


def create_task(cursor: Cursor) -> CreateTask:
    """Parse CREATE TASK."""
    name = cursor.name("task")
    cursor.expect("ON")
    relation = cursor.relation()
    if cursor.peek("("):
        raise cursor.wrong("KEY")
    fields: dict[str, object] = {}
    seen: set[str] = set()
    while not cursor.done:
        for words, clause, read in TASK_CLAUSES:
            if cursor.accept(*words):
                once(cursor, seen, clause)
                fields.update(read(cursor))
                break
        else:
            raise cursor.wrong(*(" ".join(words) for words, _, _ in TASK_CLAUSES))
    for clause in ("KEY", "TYPE"):
        if clause not in seen:
            raise cursor.wrong(clause)
    spec = Task(name=name, relation=relation, **fields)  # type: ignore[arg-type]
    return CreateTask(span=cursor.span(0), spec=check_balance(cursor, spec))


def check_balance(cursor: Cursor, spec: Task) -> Task:
    """Return the task with its balance in label order.

    Raises
    ------
    SpecError
        WS302 unknown label; WS303 a share missing or shares that do not sum to 1.
    """
    if not isinstance(spec.balance, dict):
        return spec
    shares: dict[str, float] = spec.balance
    span = cursor.spans.get("balance")
    if spec.labels_from is not None:
        raise SpecError("WS303", "CLASS BALANCE with shares needs its labels listed, not MULTICLASS FROM", span=span)
    for label in shares:
        if label not in spec.labels:
            raise unknown_label(spec, label).at(cursor.spans.get(f"share {label}", span))
    missing = [label for label in spec.labels if label not in shares]
    if missing:
        raise SpecError("WS303", f"CLASS BALANCE gives no share for {', '.join(map(repr, missing))}", span=span)
    total = sum(shares.values())
    for label, share in shares.items():
        if share <= 0:
            place = cursor.spans.get(f"share {label}", span)
            raise SpecError("WS303", f"the share of '{label}' must be above 0, not {share:g}", span=place)
    if abs(total - 1) > 0.01:
        raise SpecError("WS303", f"the shares of CLASS BALANCE must sum to 1; they sum to {total:g}", span=span)
    scale = 1.0 if abs(total - 1) < 1e-9 else total  # what SHOW CREATE printed stays as it is
    ordered = tuple(shares[label] / scale for label in spec.labels)
    return Task(
        **{field: getattr(spec, field) for field in Task.__slots__ if field != "balance"},
        balance=ordered,
    )


def unknown_label(task: Task, label: str, lf: str | None = None) -> SpecError:
    """Return the error for a label that the task does not have, from labeling function `lf` where there is one."""
    shown = ", ".join(repr(known) for known in task.labels[:8]) + (", …" if len(task.labels) > 8 else "")
    source = f' from labeling function "{lf}"' if lf is not None else ""
    return SpecError(
        "WS302",
        f"unknown label '{label}'{source}; task \"{task.name}\" has ({shown})",
        hint=did_you_mean(label, task.labels),
        label=label,
    )


def repeated(items: Sequence[str]) -> str | None:
    """Return the first item that stands in a list a second time, or None."""
    return next((item for at, item in enumerate(items) if item in items[:at]), None)


def _key(cursor: Cursor) -> dict[str, object]:
    keys = cursor.names("key column")
    twice = repeated([key.lower() for key in keys])
    if twice is not None:
        span = cursor.spans[f"key column {twice}"]
        raise SpecError("WS301", f'key column "{twice}" is named twice', span=span)
    return {"keys": keys}


def _labels(cursor: Cursor) -> tuple[str, ...]:
    start = cursor.at
    cursor.expect("(")
    labels = [cursor.string("a label")]
    while cursor.accept(","):
        labels.append(cursor.string("a label"))
    cursor.expect(")")
    span = cursor.span(start)
    cursor.spans["labels"] = span
    twice = repeated(labels)
    if twice is not None:
        raise SpecError("WS301", f"label '{twice}' is listed twice", span=span)
    if len(labels) < 2:
        raise SpecError("WS301", f"a task needs at least two labels, this one has {len(labels)}", span=span)
    if len(labels) > MAX_LABELS:
        raise SpecError("WS301", f"a task has at most {MAX_LABELS} labels", span=span)
    return tuple(labels)


def _type(cursor: Cursor) -> dict[str, object]:
    for later in LATER_TYPES:
        if cursor.accept(later):
            raise SyntaxError_(
                "WS103",
                f"TYPE {later} is not available in this version of wsdb",
                span=cursor.span(cursor.at - 1),
                hint="this version has BINARY and MULTICLASS",
            )
    if cursor.accept("BINARY"):
        labels = _labels(cursor) if cursor.peek("(") else ("no", "yes")
        if len(labels) != 2:
            raise SpecError(
                "WS301",
                f"a BINARY task has two labels, this one lists {len(labels)}",
                span=cursor.spans["labels"],
                hint="use TYPE MULTICLASS",
            )
        return {"kind": "binary", "labels": labels}
    if cursor.accept("MULTICLASS"):
        if cursor.accept("FROM"):
            return {"kind": "multiclass", "labels": (), "labels_from": cursor.relation("labels")}
        return {"kind": "multiclass", "labels": _labels(cursor)}
    raise cursor.wrong("BINARY", "MULTICLASS")


def _balance(cursor: Cursor) -> dict[str, object]:
    if cursor.accept("AUTO"):
        return {"balance": None}
    if cursor.accept("UNIFORM"):
        return {"balance": "uniform"}
    start = cursor.at
    if not cursor.accept("("):
        raise cursor.wrong("AUTO", "UNIFORM", "(")
    shares: dict[str, float] = {}
    while True:
        cursor.spans.pop("share", None)
        label = cursor.string("a label")
        cursor.spans[f"share {label}"] = cursor.span(cursor.at - 1)
        cursor.expect("=")
        shares[label] = cursor.number("a share")
        if not cursor.accept(","):
            break
    cursor.expect(")")
    cursor.spans["balance"] = cursor.span(start)
    return {"balance": shares}


def _gold(cursor: Cursor) -> dict[str, object]:
    relation = f"({cursor.parenthesis('gold')})" if cursor.peek("(") else cursor.relation("gold")
    column = cursor.names("gold column") if cursor.peek("(") else ("label",)
    if len(column) != 1:
        raise SyntaxError_("WS101", "GOLD takes one label column", span=cursor.spans["gold column"])
    return {"gold": Gold(relation, column[0])}


def _split(cursor: Cursor) -> dict[str, object]:
    if cursor.accept("BY"):
        return {"split": Split(cursor.name("split column"))}
    if not cursor.accept("HASH"):
        raise cursor.wrong("BY", "HASH")
    column = cursor.names("split column")
    start = cursor.at
    cursor.expect("(")
    shares: list[tuple[str, float]] = []
    while True:
        cursor.spans.pop("split", None)
        word = cursor.name("split")
        if word.lower() not in SPLIT_NAMES:
            raise SpecError(
                "WS304",
                f'unknown split "{word}"; splits are train, dev and test',
                span=cursor.spans["split"],
                hint=did_you_mean(word, SPLIT_NAMES),
            )
        shares.append((SPLIT_NAMES[word.lower()], cursor.number("a percentage")))
        if not cursor.accept(","):
            break
    cursor.expect(")")
    total = sum(share for _, share in shares)
    if abs(total - 100) > 1e-9 or min(share for _, share in shares) < 0:
        raise SpecError(
            "WS304",
            f"the shares of SPLIT HASH are percentages that sum to 100, not {total:g}",
            span=cursor.span(start),
        )
    if len(column) != 1:
        raise SyntaxError_("WS101", "SPLIT HASH takes one column", span=cursor.spans["split column"])
    return {"split": Split(column[0], tuple(shares))}


TASK_CLAUSES: tuple[tuple[tuple[str, ...], str, Callable[[Cursor], dict[str, object]]], ...] = (
    (("KEY",), "KEY", _key),
    (("TYPE",), "TYPE", _type),
    (("CLASS", "BALANCE"), "CLASS BALANCE", _balance),
    (("GOLD",), "GOLD", _gold),
    (("SPLIT",), "SPLIT", _split),
    (("COMMENT",), "COMMENT", lambda cursor: {"comment": comment(cursor)}),
)


def create_labeling_function(cursor: Cursor) -> CreateLabelingFunction:
    """Parse CREATE LABELING FUNCTION."""
    name = cursor.name("labeling function")
    cursor.expect("FOR")
    if cursor.accept("TASKS"):
        raise SyntaxError_(
            "WS103",
            "a labeling function for several TASKS is not available in this version of wsdb",
            span=cursor.span(cursor.at - 1),
            hint="write one for each task",
        )
    cursor.expect("TASK")
    task = cursor.name("task")
    given: dict[str, Option] = {}
    text: str | None = None
    seen: set[str] = set()
    while True:
        if cursor.accept("WITH"):
            once(cursor, seen, "WITH")
            given = choice_options(cursor, "labeling function", LABELING_FUNCTION_OPTIONS)
        elif cursor.accept("COMMENT"):
            once(cursor, seen, "COMMENT")
            text = comment(cursor)
        else:
            break
    body = _body(cursor)
    if not isinstance(body, Python) and "columns" in given:
        raise SpecError(
            "WS307",
            "option columns is for LANGUAGE python; a SQL body names its columns itself",
            span=cursor.spans["option columns"],
        )
    columns = given.get("columns", ())
    spec = LabelingFunction(
        name=name,
        task=task,
        body=body,
        on_error=str(given.get("on_error", "raise")),
        columns=columns if isinstance(columns, tuple) else (),
        enabled=given.get("enabled", True) is True,
        comment=text,
    )
    return CreateLabelingFunction(span=cursor.span(0), spec=spec)


def _body(cursor: Cursor) -> Body:
    if cursor.accept("VOTE"):
        cursor.spans.pop("label", None)
        label = cursor.string("label")
        cursor.expect("WHEN")
        return VoteWhen(label, cursor.rest("body", "a condition"))
    if cursor.accept("LANGUAGE"):
        cursor.expect("PYTHON")
        if cursor.accept("USING"):
            return Python(cursor.string("body"), using=True)
        cursor.expect("AS")
        return Python(cursor.string("body"))
    if cursor.accept("FROM"):
        if cursor.accept("VOTES"):
            return _votes(cursor)
        for later in LATER_BODIES:
            if cursor.accept(later):
                raise SyntaxError_(
                    "WS103",
                    f"FROM {later} is not available in this version of wsdb",
                    span=cursor.span(cursor.at - 2),
                )
        raise cursor.wrong("VOTES")
    if cursor.accept("AS"):
        query = cursor.peek("SELECT") or cursor.peek("WITH") or cursor.peek("FROM")
        text = cursor.rest("body", "an expression or a SELECT")
        return Select(text) if query else Expression(text)
    raise cursor.wrong("VOTE", "AS", "LANGUAGE", "FROM VOTES")


def _votes(cursor: Cursor) -> Votes:
    relation = cursor.relation("body")
    columns = cursor.names("vote column")
    if len(columns) < 2:
        raise SyntaxError_(
            "WS101",
            "FROM VOTES needs the key columns and the label column",
            span=cursor.spans["vote column"],
            hint="write FROM VOTES relation (key, label) or (key, source, label)",
        )
    # Which columns are keys is known once the task is: with as many columns as keys + 2, the one before the
    # label names the source. Until then all but the label stand in `keys`.
    return Votes(relation, columns[:-1], None, columns[-1])


def create_label_model(cursor: Cursor) -> CreateLabelModel:
    """Parse CREATE LABEL MODEL."""
    name = cursor.name("label model")
    cursor.expect("FOR", "TASK")
    task = cursor.name("task")
    method, given, text = "auto", {}, None
    seen: set[str] = set()
    while not cursor.done:
        if cursor.accept("USING"):
            once(cursor, seen, "USING")
            method = cursor.name("method").lower()
            if method not in LABEL_MODEL_METHODS:
                raise SpecError(
                    "WS305",
                    f'unknown label model method "{method}"',
                    span=cursor.spans["method"],
                    hint=did_you_mean(method, LABEL_MODEL_METHODS) or "this version has auto and majority",
                )
        elif cursor.accept("WITH"):
            once(cursor, seen, "WITH")
            given = choice_options(cursor, "label model", LABEL_MODEL_OPTIONS)
        elif cursor.accept("COMMENT"):
            once(cursor, seen, "COMMENT")
            text = comment(cursor)
        else:
            raise cursor.wrong("USING", "WITH", "COMMENT")
    spec = LabelModelSpec(
        name=name,
        task=task,
        method=method,
        regime=str(given.get("regime", "auto")),
        use_dev=str(given.get("use_dev", "never")),
        comment=text,
    )
    return CreateLabelModel(span=cursor.span(0), spec=spec)


def create_feature_set(cursor: Cursor) -> CreateFeatureSet:
    """Parse CREATE FEATURE SET."""
    name = cursor.name("feature set")
    cursor.expect("ON")
    relation = cursor.relation()
    columns = cursor.names("column")
    servable = True if cursor.accept("SERVABLE") else False if cursor.accept("NONSERVABLE") else None
    text = comment(cursor) if cursor.accept("COMMENT") else None
    return CreateFeatureSet(span=cursor.span(0), spec=FeatureSet(name, relation, columns, servable, text))


def create_model(cursor: Cursor) -> CreateModel:
    """Parse CREATE MODEL; its clauses may stand in any order."""
    fields: dict[str, object] = {"name": cursor.name("model")}
    sets: list[str] = []
    seen: set[str] = set()
    while not cursor.done:
        if cursor.accept("FEATURE"):
            cursor.expect("SET")
            cursor.spans.pop("feature set", None)
            sets.append(cursor.name("feature set"))
            seen.add("FEATURES")
            continue
        for words, clause, read in MODEL_CLAUSES:
            if cursor.accept(*words):
                once(cursor, seen, clause)
                fields.update(read(cursor))
                break
        else:
            raise cursor.wrong("FOR", "FROM", "FEATURES", "FEATURE SET", "LABELS FROM", "WITH", "COMMENT")
    for clause in ("FOR", "FROM", "FEATURES"):
        if clause not in seen:
            raise cursor.wrong(clause)
    spec = ModelSpec(**fields, feature_sets=tuple(sets))  # type: ignore[arg-type]
    return CreateModel(span=cursor.span(0), spec=spec)


def _tasks(cursor: Cursor) -> dict[str, object]:
    if cursor.accept("TASK"):
        return {"tasks": ((cursor.name("task"), 1.0),)}
    if not cursor.accept("TASKS"):
        raise cursor.wrong("TASKS", "TASK")
    cursor.expect("(")
    found: list[tuple[str, float]] = []
    while True:
        cursor.spans.pop("task", None)
        name = cursor.name("task")
        cursor.spans[f"task {name.lower()}"] = cursor.spans["task"]
        if name.lower() in (known.lower() for known, _ in found):
            raise SpecError("WS306", f'task "{name}" is listed twice', span=cursor.spans["task"])
        weight = cursor.number("a weight") if cursor.accept("WEIGHT") else 1.0
        if weight <= 0:
            raise SpecError("WS306", "a task's WEIGHT is above 0", span=cursor.span(cursor.at - 1))
        found.append((name, weight))
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return {"tasks": tuple(found)}


def _source(cursor: Cursor) -> dict[str, object]:
    if cursor.peek("("):
        return {"source": f"({cursor.parenthesis('relation')})"}
    return {"source": cursor.relation()}


def _features(cursor: Cursor) -> dict[str, object]:
    cursor.expect("(")
    if cursor.accept("*"):
        excluded = cursor.names("excluded column") if cursor.accept("EXCLUDE") else ()
        cursor.expect(")")
        return {"columns": ("*",), "excluded": excluded}
    cursor.at -= 1
    start = cursor.at
    columns = cursor.names("column")
    cursor.spans["features"] = cursor.span(start)
    return {"columns": columns}


def _labels_from(cursor: Cursor) -> dict[str, object]:
    return {"labels_sql": cursor.parenthesis("labels query")}


def _with(cursor: Cursor) -> dict[str, object]:
    return {"options": tuple(sorted(options(cursor).items()))}


MODEL_CLAUSES: tuple[tuple[tuple[str, ...], str, Callable[[Cursor], dict[str, object]]], ...] = (
    (("FOR",), "FOR", _tasks),
    (("FROM",), "FROM", _source),
    (("FEATURES",), "FEATURES", _features),
    (("LABELS", "FROM"), "LABELS FROM", _labels_from),
    (("WITH",), "WITH", _with),
    (("COMMENT",), "COMMENT", lambda cursor: {"comment": comment(cursor)}),
)
