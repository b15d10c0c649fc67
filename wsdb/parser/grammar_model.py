"""CREATE FEATURE SET and CREATE MODEL, from the name on."""

from __future__ import annotations

from collections.abc import Callable

from wsdb.core.errors import SpecError
from wsdb.core.specs import FeatureSet, ModelSpec
from wsdb.parser.clauses import comment, distinct_names, once, options
from wsdb.parser.cursor import Cursor
from wsdb.parser.statements import CreateFeatureSet, CreateModel

ALL_TASKS = (("*", 1.0),)


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
            cursor.spans[f"feature set {sets[-1].lower()}"] = cursor.spans["feature set"]
            seen.add("FEATURES")
            continue
        for words, clause, read in MODEL_CLAUSES:
            if cursor.accept(*words):
                once(cursor, seen, clause)
                fields.update(read(cursor))
                break
        else:
            raise cursor.wrong(*(clause for _, clause, _ in MODEL_CLAUSES[:-2]), "FEATURE SET", "WITH", "COMMENT")
    if "FOR" not in seen:
        raise cursor.wrong("FOR")
    if not seen & {"FEATURES", "PAYLOADS"}:
        raise cursor.wrong("FEATURES", "PAYLOADS")
    fields.setdefault("source", "")
    if fields["tasks"] == ALL_TASKS and fields["source"][:1] in ("", "("):  # type: ignore[index]
        raise SpecError(
            "WS306",
            "TASKS (*) are the tasks on a relation: say FROM which"
            if "FROM" not in seen
            else "TASKS (*) are the tasks on a relation, and FROM is a query",
            span=cursor.spans["tasks"],
            hint="FROM relation",
        )
    spec = ModelSpec(**fields, feature_sets=tuple(sets))  # type: ignore[arg-type]
    return CreateModel(span=cursor.span(0), spec=spec)


def _tasks(cursor: Cursor) -> dict[str, object]:
    if cursor.accept("TASK"):
        return {"tasks": ((cursor.name("task"), 1.0),)}
    if not cursor.accept("TASKS"):
        raise cursor.wrong("TASKS", "TASK")
    start = cursor.at
    cursor.expect("(")
    if cursor.accept("*"):
        cursor.expect(")")
        cursor.spans["tasks"] = cursor.span(start)
        return {"tasks": ALL_TASKS}
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
        cursor.spans["features"] = cursor.span(cursor.at - 1)
        excluded = cursor.names("excluded column") if cursor.accept("EXCLUDE") else ()
        cursor.expect(")")
        return {"columns": ("*",), "excluded": excluded}
    cursor.at -= 1
    start = cursor.at
    columns = cursor.names("column")
    cursor.spans["features"] = cursor.span(start)
    return {"columns": columns}


def _slices(cursor: Cursor) -> dict[str, object]:
    if cursor.accept("(", "*", ")"):
        return {"slices": ("*",)}
    return {"slices": distinct_names(cursor, "slice", "WS306")}


def _labels_from(cursor: Cursor) -> dict[str, object]:
    queries: list[str] = []
    while not queries or cursor.accept(","):
        queries.append(cursor.parenthesis("labels query"))
        cursor.spans[f"labels query {len(queries) - 1}"] = cursor.spans.pop("labels query")
    return {"labels_from": tuple(queries)}


def _with(cursor: Cursor) -> dict[str, object]:
    return {"options": tuple(sorted(options(cursor).items()))}


MODEL_CLAUSES: tuple[tuple[tuple[str, ...], str, Callable[[Cursor], dict[str, object]]], ...] = (
    (("FOR",), "FOR", _tasks),
    (("FROM",), "FROM", _source),
    (("FEATURES",), "FEATURES", _features),
    (("PAYLOADS",), "PAYLOADS", lambda cursor: {"payloads": distinct_names(cursor, "payload", "WS306")}),
    (("SLICES",), "SLICES", _slices),
    (
        ("AUGMENT", "WITH"),
        "AUGMENT WITH",
        lambda cursor: {"augment": distinct_names(cursor, "transformation function", "WS306")},
    ),
    (("LABELS", "FROM"), "LABELS FROM", _labels_from),
    (("WITH",), "WITH", _with),
    (("COMMENT",), "COMMENT", lambda cursor: {"comment": comment(cursor)}),
)
