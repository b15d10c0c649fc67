"""Spec to canonical statement text: what the catalog stores, SHOW CREATE prints and fingerprints hash."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import singledispatch
from itertools import chain, count

from wsdb.core.lf import Body, Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec, Option
from wsdb.core.sqltext import ident, literal, literals
from wsdb.core.task import Task
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
}

Spec = Task | LabelingFunction | LabelModelSpec | FeatureSet | ModelSpec


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
        return f"[{literals(option)}]"
    return repr(option)


def number(share: float) -> str:
    """Return a number in its shortest exact form without an exponent."""
    return f"{Decimal(repr(float(share))):f}".removesuffix(".0")


@singledispatch
def render(spec: Spec) -> str:
    """Return the canonical CREATE statement of a spec; parsing it gives an equal spec."""
    raise TypeError(f"no canonical text for {type(spec).__name__}")


@render.register
def _task(spec: Task) -> str:
    labels = f"({literals(spec.labels)})"
    kind = f"MULTICLASS FROM {spec.labels_from}" if spec.labels_from else f"{spec.kind.upper()} {labels}"
    parts = [f"CREATE TASK {name(spec.name)} ON {spec.relation} KEY ({names(spec.keys)})\n  TYPE {kind}"]
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
    return "\n  ".join(parts) + _comment(spec.comment)


@render.register
def _labeling_function(spec: LabelingFunction) -> str:
    options = [f"on_error = {literal(spec.on_error)}"] if spec.on_error != "raise" else []
    options += [f"columns = {value(spec.columns)}"] if spec.columns else []
    options += ["enabled = false"] if not spec.enabled else []
    clause = f"\n  WITH ({', '.join(options)})" if options else ""
    head = f"CREATE LABELING FUNCTION {name(spec.name)} FOR TASK {name(spec.task)}"
    return f"{head}{_comment(spec.comment)}{clause}\n  {_body(spec.body)}"


def _body(body: Body) -> str:
    match body:
        case VoteWhen(label, predicate):
            return f"VOTE {literal(label)} WHEN {predicate}"
        case Expression(sql) | Select(sql):
            return f"AS {sql}"
        case Python(source, True):
            return f"LANGUAGE python USING {literal(source)}"
        case Python(source, _):
            tags = chain(("$$", "$py$"), (f"$py{number}$" for number in count()))
            tag = next(tag for tag in tags if f"{source}{tag}".find(tag) == len(source))
            return f"LANGUAGE python AS {tag}{source}{tag}"
        case Votes(relation, keys, source, label):
            columns = (*keys, *((source,) if source else ()), label)
            return f"FROM VOTES {relation} ({names(columns)})"


@render.register
def _label_model(spec: LabelModelSpec) -> str:
    options = f"regime = {literal(spec.regime)}, use_dev = {literal(spec.use_dev)}"
    head = f"CREATE LABEL MODEL {name(spec.name)} FOR TASK {name(spec.task)}"
    return f"{head}\n  USING {spec.method} WITH ({options}){_comment(spec.comment)}"


@render.register
def _feature_set(spec: FeatureSet) -> str:
    servable = {True: " SERVABLE", False: " NONSERVABLE", None: ""}[spec.servable]
    head = f"CREATE FEATURE SET {name(spec.name)} ON {spec.relation} ({names(spec.columns)})"
    return f"{head}{servable}{_comment(spec.comment)}"


@render.register
def _model(spec: ModelSpec) -> str:
    tasks = ", ".join(name(task) + ("" if weight == 1 else f" WEIGHT {number(weight)}") for task, weight in spec.tasks)
    parts = [f"CREATE MODEL {name(spec.name)} FOR TASKS ({tasks})", f"FROM {spec.source}"]
    if spec.columns == ("*",):
        parts.append("FEATURES (*" + (f" EXCLUDE ({names(spec.excluded)})" if spec.excluded else "") + ")")
    elif spec.columns:
        parts.append(f"FEATURES ({names(spec.columns)})")
    parts += [f"FEATURE SET {name(feature_set)}" for feature_set in spec.feature_sets]
    if spec.labels_sql is not None:
        parts.append(f"LABELS FROM ({spec.labels_sql})")
    if spec.options:
        parts.append("WITH (" + ", ".join(f"{key} = {value(option)}" for key, option in spec.options) + ")")
    return "\n  ".join(parts) + _comment(spec.comment)


def _comment(text: str | None) -> str:
    return f"\n  COMMENT {literal(text)}" if text is not None else ""


def essence(text: str) -> str:
    """Return SQL text without comments and layout: texts of equal meaning to the tokeniser are equal.

    >>> essence("a  >  1 -- note") == essence("a > 1")
    True
    """
    return "\x1f".join(text[token.start : token.end] for token in tokens_of(text))
