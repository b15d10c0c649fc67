"""Spec to canonical statement text: what the catalog stores, SHOW CREATE prints and fingerprints hash."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import singledispatch
from itertools import chain, count

from wsdb.core.constraint import Constraint
from wsdb.core.embedding import Embedding
from wsdb.core.graph import Rule, TaskGraph
from wsdb.core.lf import Body, Expression, LabelingFunction, Python, Select, Votes, VoteTogether, VoteWhen
from wsdb.core.payload import Payload, Primitive
from wsdb.core.slice import Slice, Tag
from wsdb.core.source import Source
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec, Option
from wsdb.core.sqltext import ident, literal, literals
from wsdb.core.task import Task
from wsdb.core.transformation import TransformationFunction
from wsdb.parser.cursor import tokens_of

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
WORDS_OF_OURS = {
    "task",
    "for",
    "on",
    "key",
    "type",
    "with",
    "comment",
    "select",
    "from",
    "as",
    "weight",
    "exclude",
    "if",
    "graph",
}

Spec = (
    Task
    | TaskGraph
    | Payload
    | Primitive
    | LabelingFunction
    | LabelModelSpec
    | FeatureSet
    | ModelSpec
    | Slice
    | TransformationFunction
    | Constraint
    | Embedding
    | Source
)
"""Any spec; a `Tag` is a `Slice`."""


def name(text: str) -> str:
    """Return a name, quoted only where it must be."""
    return text if PLAIN.match(text) and text.lower() not in WORDS_OF_OURS else ident(text)


def names(items: tuple[str, ...]) -> str:
    """Return names separated by commas."""
    return ", ".join(name(item) for item in items)


def value(option: Option) -> str:
    """Return an option's value as SQL."""
    if isinstance(option, bool):
        return "true" if option else "false"
    if option is None:
        return "NULL"
    if isinstance(option, str):
        return literal(option)
    if isinstance(option, tuple):
        items = [f"{literal(item[0])}: {value(item[1])}" if isinstance(item, tuple) else value(item) for item in option]
        return f"{{{', '.join(items)}}}" if option and isinstance(option[0], tuple) else f"[{', '.join(items)}]"
    return number(option)


def number(share: float) -> str:
    """Return a number in its shortest exact form without an exponent."""
    return f"{Decimal(repr(share)):f}".removesuffix(".0")


@singledispatch
def render(spec: Spec) -> str:
    """Return the canonical CREATE statement of a spec; parsing it gives an equal spec."""
    raise TypeError(f"no canonical text for {type(spec).__name__}")


def _list(clause: str, items: tuple[str, ...]) -> list[str]:
    """Return a clause with a list of names, or nothing where it is empty."""
    return [f"{clause} ({names(items)})"] if items else []


def _for_tasks(tasks: tuple[str, ...]) -> str:
    return f"FOR TASK {name(tasks[0])}" if len(tasks) == 1 else f"FOR TASKS ({names(tasks)})"


def _with(*options: tuple[str, Option, Option]) -> list[str]:
    """Return a WITH clause of the (name, value, default) options that do not have their default, or nothing."""
    given = [f"{key} = {value(option)}" for key, option, default in options if option != default]
    return [f"WITH ({', '.join(given)})"] if given else []


@render.register
def _task(spec: Task) -> str:
    kind = {"select": "SELECT"}.get(spec.kind, f"{spec.kind.upper()} ({literals(spec.labels)})")
    if spec.labels_from:
        kind = f"MULTICLASS FROM {spec.labels_from}"
    payload = f" PAYLOAD {name(spec.payload)}" if spec.payload is not None else ""
    parts = [f"CREATE TASK {name(spec.name)} ON {spec.relation} KEY ({names(spec.keys)}){payload}", f"TYPE {kind}"]
    if spec.balance == "uniform":
        parts.append("CLASS BALANCE UNIFORM")
    elif isinstance(spec.balance, tuple):
        shares = zip(spec.labels, spec.balance, strict=True)
        parts.append(
            "CLASS BALANCE (" + ", ".join(f"{literal(label)} = {number(share)}" for label, share in shares) + ")"
        )
    if spec.gold is not None:
        plain = spec.gold.is_query and spec.gold.column == "label"
        parts.append(f"GOLD {spec.gold.relation}" + ("" if plain else f" ({name(spec.gold.column)})"))
    if spec.split is not None:
        shares_text = ", ".join(f"{split} {number(share)}" for split, share in spec.split.shares)
        column = name(spec.split.column)
        parts.append(f"SPLIT HASH ({column}) ({shares_text})" if spec.split.shares else f"SPLIT BY {column}")
    parts += ["ROLE ANCILLARY"] if spec.role == "ancillary" else []
    parts += _list("DEPENDS ON", spec.depends_on)
    parts += _with(("multilabel_absent", spec.multilabel_absent, "abstain"))
    return "\n  ".join(parts) + _comment(spec.comment)


@render.register
def _task_graph(spec: TaskGraph) -> str:
    rules = ",\n  ".join(_rule(rule) for rule in spec.rules)
    return f"CREATE TASK GRAPH {name(spec.name)} (\n  {rules}\n)" + _comment(spec.comment)


def _rule(rule: Rule) -> str:
    other = f"{name(rule.other)} {literal(rule.other_label)}"
    if rule.label is None:
        return f"{name(rule.task)} APPLIES WHEN {other}"
    return f"{name(rule.task)} {literal(rule.label)} {rule.verb.upper()} {other}"


@render.register
def _payload(spec: Payload) -> str:
    parts = [" ".join([f"CREATE PAYLOAD {name(spec.name)} ON {spec.relation}", *_list("KEY", spec.keys)])]
    parts.append(f"AS {spec.shape.upper()} ({names(spec.columns)})")
    parts += _list("FROM PAYLOADS", spec.from_payloads)
    if spec.spans is not None:
        parts.append(f"SPANS {name(spec.spans.payload)} ({name(spec.spans.column)})")
    if spec.embedding is not None:
        parts.append(f"EMBED WITH {name(spec.embedding)} {'FREEZE' if spec.frozen else 'FINETUNE'}")
    return "\n  ".join(parts) + _comment(spec.comment)


@render.register
def _primitive(spec: Primitive) -> str:
    head = " ".join([f"CREATE PRIMITIVE {name(spec.name)} ON {spec.relation}", *_list("KEY", spec.keys)])
    return f"{head}{_comment(spec.comment)}\n  AS {spec.sql}"


@render.register
def _labeling_function(spec: LabelingFunction) -> str:
    clauses = [f"KIND {name(spec.kind)}"] if spec.kind is not None else []
    clauses += [f"TAGS ({literals(spec.tags)})"] if spec.tags else []
    clauses += _list("DEPENDS ON", spec.depends_on)
    clauses += [] if spec.servable else ["NONSERVABLE"]
    head = "\n  ".join([f"CREATE LABELING FUNCTION {name(spec.name)} {_for_tasks(spec.tasks)}", *clauses])
    options = _with(
        ("on_error", spec.on_error, "raise"), ("columns", spec.columns, ()), ("enabled", spec.enabled, True)
    )
    body = _body(spec.body)
    if spec.template is not None:
        given = ", ".join(f"{key} = {value(option)}" for key, option in spec.template.options)
        body = f"FROM TEMPLATE {spec.template.kind} ({given})"
    return "\n  ".join([head + _comment(spec.comment), *options, body])


def _body(body: Body) -> str:
    match body:
        case VoteWhen(label, predicate):
            return f"VOTE {literal(label)} WHEN {predicate}"
        case VoteTogether(votes, predicate):
            pairs = ", ".join(f"{name(task)} {literal(label)}" for task, label in votes)
            return f"VOTE ({pairs}) WHEN {predicate}"
        case Expression(sql) | Select(sql):
            return f"AS {sql}"
        case Python(source, True):
            return f"LANGUAGE python USING {literal(source)}"
        case Python(source, _):
            tags = chain(("$$", "$py$"), (f"$py{number}$" for number in count()))
            tag = next(tag for tag in tags if f"{source}{tag}".find(tag) == len(source))
            return f"LANGUAGE python AS {tag}{source}{tag}"
        case Votes(relation, keys, source, label, confidence):
            columns = (*keys, *((source,) if source else ()), label)
            sure = f" CONFIDENCE {name(confidence)}" if confidence is not None else ""
            return f"FROM VOTES {relation} ({names(columns)}){sure}"


@render.register
def _label_model(spec: LabelModelSpec) -> str:
    graph = f" GRAPH {name(spec.graph)}" if spec.graph is not None else ""
    head = f"CREATE LABEL MODEL {name(spec.name)} {_for_tasks(spec.tasks)}{graph}"
    options = _with(
        ("regime", spec.regime, None),
        ("use_dev", spec.use_dev, None),
        ("structure", spec.structure, "auto"),
        ("prior", spec.prior, "auto"),
        ("abstain_informative", spec.abstain_informative, False),
        ("calibrate", spec.calibrate, True),
        ("max_iter", spec.max_iter, None),
        ("tol", spec.tol, None),
    )
    return f"{head}\n  USING {spec.method} {options[0]}{_comment(spec.comment)}"


@render.register
def _feature_set(spec: FeatureSet) -> str:
    servable = {True: " SERVABLE", False: " NONSERVABLE", None: ""}[spec.servable]
    head = f"CREATE FEATURE SET {name(spec.name)} ON {spec.relation} ({names(spec.columns)})"
    return f"{head}{servable}{_comment(spec.comment)}"


@render.register
def _model(spec: ModelSpec) -> str:
    tasks = ", ".join(name(task) + ("" if weight == 1 else f" WEIGHT {number(weight)}") for task, weight in spec.tasks)
    if spec.tasks == (("*", 1.0),):
        tasks = "*"
    parts = [f"CREATE MODEL {name(spec.name)} FOR TASKS ({tasks})", *([f"FROM {spec.source}"] if spec.source else [])]
    if spec.columns == ("*",):
        parts.append("FEATURES (*" + (f" EXCLUDE ({names(spec.excluded)})" if spec.excluded else "") + ")")
    elif spec.columns:
        parts.append(f"FEATURES ({names(spec.columns)})")
    parts += [f"FEATURE SET {name(feature_set)}" for feature_set in spec.feature_sets]
    parts += _list("PAYLOADS", spec.payloads)
    parts += ["SLICES (*)"] if spec.slices == ("*",) else _list("SLICES", spec.slices)
    parts += _list("AUGMENT WITH", spec.augment)
    if spec.labels_from:
        parts.append("LABELS FROM " + ", ".join(f"({query})" for query in spec.labels_from))
    if spec.options:
        parts.append("WITH (" + ", ".join(f"{key} = {value(option)}" for key, option in spec.options) + ")")
    return "\n  ".join(parts) + _comment(spec.comment)


@render.register
def _slice(spec: Slice) -> str:
    kind = "TAG" if isinstance(spec, Tag) else "SLICE"
    head = " ".join([f"CREATE {kind} {name(spec.name)} ON {spec.relation}", *_list("KEY", spec.keys)])
    return f"{head}{_comment(spec.comment)}\n  AS {spec.sql}"


@render.register
def _transformation_function(spec: TransformationFunction) -> str:
    head = f"CREATE TRANSFORMATION FUNCTION {name(spec.name)} ON {spec.relation}"
    return f"{head}{_comment(spec.comment)}\n  AS {spec.sql}"


@render.register
def _constraint(spec: Constraint) -> str:
    head = f"CREATE CONSTRAINT {name(spec.name)} ON TASKS ({names(spec.tasks)})"
    return f"{head}{_comment(spec.comment)}\n  CHECK ({spec.check})"


@render.register
def _embedding(spec: Embedding) -> str:
    return f"CREATE EMBEDDING {name(spec.name)} FROM {literal(spec.file)}{_comment(spec.comment)}"


@render.register
def _source(spec: Source) -> str:
    tags = f" TAGS ({literals(spec.tags)})" if spec.tags else ""
    head = f"CREATE SOURCE {name(spec.name)} FOR {spec.relation}{tags}"
    return f"{head}{_comment(spec.comment)}\n  AS {spec.sql}"


def _comment(text: str | None) -> str:
    return f"\n  COMMENT {literal(text)}" if text is not None else ""


def essence(text: str) -> str:
    """Return SQL text without comments and layout: texts of equal meaning to the tokeniser are equal.

    >>> essence("a  >  1 -- note") == essence("a > 1")
    True
    """
    return "\x1f".join(text[token.start : token.end] for token in tokens_of(text))
